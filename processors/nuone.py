"""The analysis: events to histograms, one chunk at a time."""

import copy
import functools
import operator
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import awkward as ak
import hist
import numba
import numpy as np
from numpy.typing import NDArray

from fileset.coffea_api import ProcessorABC
from fileset.plan import Chunk
from fileset.virtual import FileRange

from .categories import AXIS, SIGNAL, categorise
from .evaluation import available, factors, shifts
from .fill import Entries, Filling, Shown
from .filled import finished
from .histograms import HISTOGRAMS, LABELS
from .hypotheses import TEMPLATE_FLAVOURS, find_basis
from .kernels import RADIATIVE_SCHEMES
from .n_minus_one import n_minus_one
from .reading import Columns, read_columns
from .registry import CATEGORY, NOMINAL, Variation, find_variations, read_files
from .reweight import WEIGHTS, nominal_weights, radiative_weight, template_weights
from .selections import SELECTIONS, Selection, find_selection, select
from .variations import VARIATIONS

Masks = dict[str, NDArray[np.bool_]]
Passes = dict[str, tuple[Columns, Masks]]
"""Label of the nominal and of every shift to its columns and cuts."""

WEIGHED = frozenset(
    {
        *WEIGHTS,
        *("true_recoil_energy", "true_neutrino_energy", "true_electron_energy", "nu_pdg", "is_cc"),
        *("mode", "interaction_type", "lepton_pdg", "is_nuone", "is_mec"),
    }
)
"""Columns that weights, categories and templates depend on: a shift of one moves them too."""


AT_A_TIME = 8_192
"""Events whose factors are evaluated together, about."""


class Signal(NamedTuple):
    """The signal among some events.

    Attributes
    ----------
    at : ndarray of int, shape (n,)
        Which of the events it is.
    columns : Columns, length n
    ratio : ndarray, shape (n,)
        Radiative correction of the SM cross-section.
    """

    at: NDArray[np.int64]
    columns: Columns
    ratio: NDArray[np.float64]

    def among(self, kept: NDArray[np.int64]) -> "Signal":
        """The signal among some of the events, by their numbers in ascending order."""
        place = np.searchsorted(kept, self.at)
        there = np.flatnonzero(np.append(kept, -1)[place] == self.at)
        return Signal(place[there], self.columns[there], self.ratio[there])


class NuoneProcessor(ProcessorABC):
    """Fill recoil energy, T theta^2 and E theta^2 of selected events, per category and variation.

    Parameters
    ----------
    selection : str
        Name in :data:`processors.selections.SELECTIONS`; ``"a+b"`` applies both.
    variations : str, optional
        Comma-separated names and files of your own (``my_systematics.py``); those made by default
        if there are no names, ``"none"`` for the nominal alone.
    radiative : str
        Radiative scheme applied to the SM signal; ``"none"`` leaves the generator as it is.
    templates : str, optional
        Comma-separated members of :data:`processors.hypotheses.BASIS` to make signal templates of;
        all by default.

    Notes
    -----
    Runs unchanged under coffea's ``Runner``: no state, no files, everything that it must know of a
    dataset comes from ``events.metadata``.
    """

    def __init__(
        self,
        selection: str = "note_window",
        variations: str | None = None,
        radiative: str = "none",
        templates: str | None = None,
    ) -> None:
        find_selection(selection)
        if radiative not in RADIATIVE_SCHEMES:
            raise ValueError(
                f"no radiative scheme {radiative!r}; known: {', '.join(RADIATIVE_SCHEMES)}"
            )
        self.selection = selection
        self.variations, self.files = read_files(variations)
        self.radiative = radiative
        self.basis = find_basis(templates)
        self.sparse = False
        self._carried: tuple[Selection, list[Variation]] | None = None
        self.find()

    def process(self, events: ak.Array | FileRange) -> dict[str, dict[str, Any]]:
        """Turn one chunk into histograms.

        Parameters
        ----------
        events : coffea NanoEvents or FileRange
            As opened by :mod:`fileset`, or by coffea with the schema of the format.

        Returns
        -------
        dict
            Dataset name to additive results: the histograms of
            :data:`processors.histograms.HISTOGRAMS`, cut flow, N-1 yields and distributions, the
            chunk's ledger key, and how many negative weights were clipped.
        """
        columns, passes, counted, signal = self._counted(events)
        filled = self.histograms(columns, passes, self.templates(counted["flavours"]), signal)
        counted["clipped"].update(filled.pop("clipped"))
        output = {events.metadata["dataset"]: _without(counted, "flavours") | filled}
        return output if self.sparse else finished(output)

    def open(self, chunk: Chunk) -> ak.Array | FileRange:
        """Open a chunk for :meth:`process`; what others make of it may need coffea's events."""
        return chunk.open_range() if type(self) is NuoneProcessor else chunk.open()

    def summing(self) -> "NuoneProcessor":
        """The same processor, whose results hold only the filled bins: smaller to send and add."""
        same = copy.copy(self)
        same.sparse = True
        return same

    def postprocess(self, accumulator: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Make histograms of what was filled, their categories in order."""
        return accumulator if self.sparse else finished(accumulator)

    def selected(self, events: ak.Array | FileRange) -> tuple[dict[str, Any], Columns]:
        """What :meth:`process` makes of all events, and the events that any histogram shows.

        Returns
        -------
        counted : dict
            Cut flow, ledger key, clipped weights, and the flavours of the signal.
        kept : Columns
            Of these events alone, :meth:`refilled` makes the histograms.
        """
        columns, passes, counted, _ = self._counted(events)
        return counted, columns[_kept(passes)]

    def refilled(self, kept: Columns, flavours: Iterable[int]) -> dict[str, Any]:
        """Histograms of events that :meth:`selected` kept, from one or more chunks."""
        return self.histograms(kept, self.passes(kept), self.templates(flavours))

    def _counted(
        self, events: ak.Array | FileRange
    ) -> tuple[Columns, Passes, dict[str, Any], Signal]:
        """Columns, cuts and cut flow of all events, and the signal among them."""
        columns = read_columns(events)
        columns = columns.replaced({CATEGORY: categorise(columns)})
        clipped: Counter[str] = Counter()
        passes = self.passes(columns)
        weight = nominal_weights(columns, clipped)
        signal = self._signal(columns, columns.category)
        weight[signal.at] *= signal.ratio
        flavours: set[int] = set()
        if len(signal.at) and columns.metadata["is_mc"]:
            # Of all signal: the bins must not depend on the selection.
            flavours = {abs(int(pdg)) for pdg in np.unique(signal.columns.nu_pdg)}
        key = tuple(events.metadata[name] for name in ("fileuuid", "entrystart", "entrystop"))
        passed = passes[NOMINAL][1]
        counted = cut_flow(columns.category, weight, passed)
        counted |= n_minus_one(columns, weight, passed, self.cuts())
        counted |= {"ledger": [key], "clipped": clipped, "flavours": sorted(flavours)}
        return columns, passes, counted, signal

    def _signal(self, columns: Columns, category: NDArray[np.int64]) -> Signal:
        at = np.flatnonzero(category == AXIS.index(SIGNAL))
        signal = columns[at]
        # The radiative correction is that of the SM alone.
        ratio = radiative_weight(signal, self.radiative) if len(at) else np.ones(0)
        return Signal(at, signal, ratio)

    def find(self) -> list[Variation]:
        """Variations of this run, whatever the process that it is in."""
        return self._carried[1] if self._carried else find_variations(self.variations, self.files)

    def cuts(self) -> Selection:
        """Selection of this run, whatever the process that it is in."""
        return self._carried[0] if self._carried else find_selection(self.selection)

    def __getstate__(self) -> dict[str, Any]:
        """Have what was made in memory, in a notebook say, travel: workers know the package."""
        known = self._carried is None and is_packaged(self.selection, self.find())
        return vars(self) | {"_carried": None if known else (self.cuts(), self.find())}

    def passes(self, columns: Columns) -> Passes:
        """Decide the cuts for the nominal columns and for those of every shift."""
        shifted = {NOMINAL: columns}
        for variation in available(self.find(), columns):
            if variation.shift:
                shifted |= shifts(columns, variation)
        selection = self.cuts()
        return {label: (moved, select(moved, selection)) for label, moved in shifted.items()}

    def histograms(
        self,
        columns: Columns,
        passes: Passes,
        templates: list[str],
        signal: Signal | None = None,
    ) -> dict[str, Any]:
        """Fill every histogram for the nominal and every variation that the events can have.

        Parameters
        ----------
        columns : Columns, length n
        passes : dict
            From :meth:`passes`.
        templates : list of str
            Signal templates to fill.
        signal : Signal, optional
            That among the columns, if it is known already.

        Returns
        -------
        dict
            Name of each histogram to :class:`processors.filled.Filled`, and ``clipped``.
        """
        variations = available(self.find(), columns)
        labels = [NOMINAL, *(lb for v in variations for lb in v.labels(columns.metadata))]
        weights = [v for v in variations if not v.shift]
        kept = _kept(passes)
        events = columns[kept]
        known = None if signal is None else (events.category, signal.among(kept))
        entries = self.entries(events, templates, [v.replaces for v in weights], known)
        seen: dict[str, tuple[Columns, Entries, Masks]] = {}
        for label, (moved, passed) in passes.items():
            shifted = events if label == NOMINAL else moved[kept]
            same = moved.moved.isdisjoint(WEIGHED)
            own = entries if same else self.entries(shifted, templates, [])
            seen[label] = shifted, own, {name: shown(passed, name)[kept] for name in HISTOGRAMS}
        fillings = {}
        for name in HISTOGRAMS:
            parts = {label: Shown(c, e, masks[name]) for label, (c, e, masks) in seen.items()}
            fillings[name] = Filling(name, labels, (*AXIS, *templates), parts)
        clipped: Counter[str] = Counter()
        # As many at a time as the caches of a processor hold the factors of.
        for rows in events.neighbours(AT_A_TIME) if weights else ():
            some = events if len(rows) == len(events) else events[rows]
            first = 1
            for variation in weights:
                block = factors(some, variation, clipped)
                for filling in fillings.values():
                    filling.add(first, block, variation.replaces, int(rows[0]))
                first += len(variation.labels(columns.metadata))
        filled: dict[str, Any] = {name: f.result() for name, f in fillings.items()}
        return filled | {"clipped": clipped}

    def templates(self, flavours: Iterable[int]) -> list[str]:
        """Signal templates of some flavours, by absolute PDG code."""
        wanted = set(flavours)
        return [
            label
            for label, flavour in TEMPLATE_FLAVOURS.items()
            if flavour in wanted and label.rpartition("_")[0] in self.basis
        ]

    def entries(
        self,
        events: Columns,
        templates: list[str],
        replaced: list[str],
        known: tuple[NDArray[np.int64], Signal] | None = None,
    ) -> Entries:
        """Weigh events; a signal event enters as SM and in every template of its flavour."""
        if known is None:
            category = categorise(events)
            known = category, self._signal(events, category)
        category, signal = known
        ratio = np.ones(len(events))
        ratio[signal.at] = signal.ratio
        rows, labels, ratios = [np.arange(len(events))], [category], [ratio]
        if templates and len(signal.at):
            for label, (chosen, weights) in template_weights(signal.columns, templates).items():
                rows.append(signal.at[chosen])
                labels.append(np.full(len(chosen), LABELS.index(label)))
                ratios.append(weights)
        row = np.concatenate(rows)
        order = np.argsort(row, kind="stable")
        row, relative = row[order], np.concatenate(ratios)[order]
        without = {
            name: nominal_weights(events, without=name)[row] * relative
            for name in {*replaced} - {""}
        }
        weight = nominal_weights(events)[row] * relative
        return Entries(row, np.concatenate(labels)[order], weight, without)


_CUTS = {name: list(cuts.items()) for name, cuts in SELECTIONS.items()}
_VARIATIONS = dict(VARIATIONS)


def is_packaged(selection: str, variations: Iterable[Variation]) -> bool:
    """Whether cuts and variations are those of this package, or of files that travel as text."""
    same_cuts = (_CUTS.get(p) == list(SELECTIONS[p].items()) for p in selection.split("+"))
    return all(same_cuts) and all(v.source or _VARIATIONS.get(v.name) is v for v in variations)


def _kept(passes: Passes) -> NDArray[np.int64]:
    """Events that any histogram shows for any shift: only of these is the rest read."""
    shown_anywhere = (anywhere(passed) for _, passed in passes.values())
    return np.flatnonzero(functools.reduce(operator.or_, shown_anywhere))


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def everything(passed: Masks, without: tuple[str, ...] = ()) -> NDArray[np.bool_]:
    """Events that pass all cuts but those left out."""
    masks = [mask for name, mask in passed.items() if name not in without]
    return functools.reduce(operator.and_, masks, np.ones_like(next(iter(passed.values()))))


def shown(passed: Masks, histogram: str) -> NDArray[np.bool_]:
    """Events that a histogram of :data:`processors.histograms.HISTOGRAMS` shows."""
    without = HISTOGRAMS[histogram].without
    # A cut that two selections have carries the name of the second one in front.
    return everything(passed, tuple(n for n in passed if n.rpartition(".")[2] in without))


def anywhere(passed: Masks) -> NDArray[np.bool_]:
    """Events that at least one histogram shows."""
    return functools.reduce(operator.or_, (shown(passed, name) for name in HISTOGRAMS))


def cut_flow(
    category: NDArray[np.int64], weight: NDArray[np.float64], passed: Masks
) -> dict[str, Any]:
    """Yields after each cut, in order, and with each cut left out.

    Parameters
    ----------
    category : ndarray of int, shape (n,)
        Position in :data:`processors.categories.AXIS` of all events of a chunk.
    weight : ndarray, shape (n,)
    passed : dict of str to ndarray of bool, shape (n,)
        One mask per cut.

    Returns
    -------
    dict of str to hist.Hist
        Axes category and cut: ``cutflow`` (weighted, cumulative, ``all`` first),
        ``cutflow_events`` (raw counts) and ``nminusone`` (weighted, all cuts but this one).
    """
    masks = np.stack(list(passed.values()))
    sums = np.zeros((3, len(AXIS), len(passed) + 1))
    alone = np.zeros((2, len(AXIS), len(passed)))
    _count_cuts(category, weight, masks, sums, alone)
    weighted, squares, counts = np.cumsum(sums[:, :, ::-1], axis=2)[:, :, ::-1]
    names = ["all", *passed]
    return {
        "cutflow": yields(names, weighted, squares),
        "cutflow_events": yields(names, counts),
        "nminusone": yields(list(passed), *alone),
    }


@numba.njit(cache=True, nogil=True)
def _count_cuts(
    category: NDArray[np.int64],
    weight: NDArray[np.float64],
    masks: NDArray[np.bool_],
    sums: NDArray[np.float64],
    alone: NDArray[np.float64],
) -> None:
    """Sum events by the first cut that they fail, and by every cut that alone they may fail.

    ``sums`` of weights, squares and numbers has shape (3, categories, cuts + 1), its last cut for
    those that fail none; ``alone`` of weights and squares (2, categories, cuts).
    """
    cuts = len(masks)
    for i in range(len(category)):
        c, w = category[i], weight[i]
        first = last = cuts
        failed = 0
        for cut in range(cuts):
            if not masks[cut, i]:
                first = cut if failed == 0 else first
                last = cut
                failed += 1
        sums[0, c, first] += w
        sums[1, c, first] += w * w
        sums[2, c, first] += 1.0
        if failed > 1:
            continue
        for cut in range(cuts) if failed == 0 else range(last, last + 1):
            alone[0, c, cut] += w
            alone[1, c, cut] += w * w


def yields(
    names: list[str], values: NDArray[np.float64], squares: NDArray[np.float64] | None = None
) -> hist.Hist:
    """Histogram with axes category and cut: weighted sums with their squares, or raw counts."""
    result = hist.Hist(
        hist.axis.StrCategory(AXIS, name="category"),
        hist.axis.StrCategory(names, name="cut"),
        storage=hist.storage.Int64() if squares is None else hist.storage.Weight(),
    )
    if squares is None:
        result.view()[...] = values.astype(np.int64)
    else:
        result.view()["value"], result.view()["variance"] = values, squares
    return result
