"""The analysis: events to histograms, one chunk at a time."""

import functools
import operator
from collections import Counter
from typing import Any

import awkward as ak
import hist
import numpy as np
from numpy.typing import NDArray

from fileset.coffea_api import ProcessorABC
from fileset.events import canonical

from .categories import AXIS, SIGNAL, categorise
from .columns import add_columns
from .fill import HISTOGRAMS, Entries, empty, fill, in_order
from .kernels import RADIATIVE_SCHEMES
from .reweight import nominal_weights, radiative_weight, template_weights
from .selections import find_selection, select
from .variations import NOMINAL, Variation, factors, find_variations

Masks = dict[str, NDArray[np.bool_]]


class NuoneProcessor(ProcessorABC):
    """Fill recoil energy, T theta^2 and E theta^2 of selected events, per category and variation.

    Parameters
    ----------
    selection : str
        Name in :data:`processors.selections.SELECTIONS`; ``"a+b"`` applies both.
    variations : str, optional
        Comma-separated names; all registered ones by default, ``"none"`` for the nominal alone.
    radiative : str
        Radiative scheme applied to the SM signal; ``"none"`` leaves the generator as it is.

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
    ) -> None:
        find_selection(selection)
        find_variations(variations)
        if radiative not in RADIATIVE_SCHEMES:
            raise ValueError(
                f"no radiative scheme {radiative!r}; known: {', '.join(RADIATIVE_SCHEMES)}"
            )
        self.selection = selection
        self.variations = variations
        self.radiative = radiative

    def process(self, events: ak.Array) -> dict[str, dict[str, Any]]:
        """Turn one chunk into histograms.

        Parameters
        ----------
        events : coffea NanoEvents
            As opened by :mod:`fileset`, or by coffea with the schema of the format.

        Returns
        -------
        dict
            Dataset name to additive results: the histograms of
            :data:`processors.fill.HISTOGRAMS`, cut flow, N-1 yields, the chunk's ledger key, and
            how many negative weights were clipped.
        """
        events = canonical(events)
        nominal = add_columns(events)
        passed = select(nominal, find_selection(self.selection))
        clipped: Counter[str] = Counter()
        entries = self.entries(nominal, anywhere(passed), clipped)
        output = cut_flow(entries, passed)
        output |= self.histograms(events, entries, passed, clipped)
        metadata = events.metadata
        key = (metadata["fileuuid"], metadata["entrystart"], metadata["entrystop"])
        return {metadata["dataset"]: output | {"ledger": [key], "clipped": dict(clipped)}}

    def postprocess(self, accumulator: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Put the categories of the sum in order, whatever the order of the chunks."""
        return {
            dataset: result | {name: in_order(result[name]) for name in HISTOGRAMS}
            for dataset, result in accumulator.items()
        }

    def entries(
        self,
        events: ak.Array,
        keep: NDArray[np.bool_],
        clipped: Counter[str] | None = None,
    ) -> Entries:
        """Weigh events; a signal event enters as SM and, if it is to be kept, in the templates."""
        category = categorise(events)
        weight = nominal_weights(events, clipped)
        rows = np.arange(len(events))
        signal = category == AXIS.index(SIGNAL)
        if not signal.any():
            return Entries(events, rows, category, weight)
        kept = rows[signal & keep]
        # Of all signal events: the bins must not depend on the selection, which a shift changes.
        flavours = sorted({abs(int(pdg)) for pdg in np.unique(events.nu_pdg[signal])})
        templates = template_weights(events[kept], flavours)
        row, label, weights = [rows], [category], [weight]
        for position, (index, ratio) in enumerate(templates.values(), start=len(AXIS)):
            row.append(kept[index])
            label.append(np.full(len(index), position))
            weights.append(weight[kept[index]] * ratio)
        # The radiative correction is that of the SM alone: after the templates.
        weight[signal] *= radiative_weight(events[signal], self.radiative)
        return Entries(
            events,
            np.concatenate(row),
            np.concatenate(label),
            np.concatenate(weights),
            (*AXIS, *templates),
        )

    def histograms(
        self,
        events: ak.Array,
        entries: Entries,
        passed: Masks,
        clipped: Counter[str],
    ) -> dict[str, hist.Hist]:
        """Fill every histogram for the nominal and every variation that the events can have."""
        metadata = events.metadata
        variations = self.available(entries.events)
        labels = [NOMINAL, *(lb for v in variations for lb in v.labels(metadata))]
        filled = {name: empty(h, labels, entries.labels) for name, h in HISTOGRAMS.items()}
        weights = [v for v in variations if not v.shift]
        # Once, although the same events may be in several histograms.
        counted = {next(iter(HISTOGRAMS)): clipped}
        for name, target in filled.items():
            kept = entries.subset(shown(passed, name))
            table = [np.ones((len(kept.events), 1))]
            table += [factors(kept.events, v, counted.get(name)) for v in weights]
            fill(target, kept, np.hstack(table), 0)
        for variation in (v for v in variations if v.shift):
            for label, columns in zip(
                variation.labels(metadata), variation.function(entries.events), strict=True
            ):
                self._fill_shifted(filled, events, columns, labels.index(label))
        return filled

    def available(self, events: ak.Array) -> list[Variation]:
        """Variations whose columns the events have, weights before shifts; none for data."""
        if not events.metadata["is_mc"]:
            return []
        fields = set(events.fields)
        found = [v for v in find_variations(self.variations) if fields.issuperset(v.uses)]
        # No label: a table that the files of this dataset do not have, such as universes.
        found = [v for v in found if v.labels(events.metadata)]
        return sorted(found, key=lambda v: v.shift)

    def _fill_shifted(
        self,
        filled: dict[str, hist.Hist],
        events: ak.Array,
        columns: dict[str, ak.Array],
        position: int,
    ) -> None:
        for name, values in columns.items():
            events = ak.with_field(events, values, name)
        shifted = add_columns(events)
        passed = select(shifted, find_selection(self.selection))
        entries = self.entries(shifted, anywhere(passed))
        for name, target in filled.items():
            kept = entries.subset(shown(passed, name))
            fill(target, kept, np.ones((len(kept.events), 1)), position)


def everything(passed: Masks, without: tuple[str, ...] = ()) -> NDArray[np.bool_]:
    """Events that pass all cuts but those left out."""
    masks = [mask for name, mask in passed.items() if name not in without]
    return functools.reduce(operator.and_, masks, np.ones_like(next(iter(passed.values()))))


def shown(passed: Masks, histogram: str) -> NDArray[np.bool_]:
    """Events that a histogram of :data:`processors.fill.HISTOGRAMS` shows."""
    without = HISTOGRAMS[histogram].without
    # A cut that two selections have carries the name of the second one in front.
    return everything(passed, tuple(n for n in passed if n.rpartition(".")[2] in without))


def anywhere(passed: Masks) -> NDArray[np.bool_]:
    """Events that at least one histogram shows."""
    return functools.reduce(operator.or_, (shown(passed, name) for name in HISTOGRAMS))


def cut_flow(entries: Entries, passed: Masks) -> dict[str, hist.Hist]:
    """Yields after each cut, in order, and with each cut left out.

    Parameters
    ----------
    entries : Entries
        All events of a chunk.
    passed : dict of str to ndarray of bool
        One mask per cut.

    Returns
    -------
    dict of str to hist.Hist
        Axes category and cut: ``cutflow`` (weighted, cumulative, ``all`` first),
        ``cutflow_events`` (raw counts) and ``nminusone`` (weighted, all cuts but this one).
    """
    cumulative = {"all": np.ones(len(entries.events), dtype=bool)}
    for name, mask in passed.items():
        cumulative[name] = cumulative[list(cumulative)[-1]] & mask
    left_out = {name: everything(passed, (name,)) for name in passed}
    return {
        "cutflow": _yields(entries, cumulative, hist.storage.Weight()),
        "cutflow_events": _yields(entries, cumulative, hist.storage.Int64()),
        "nminusone": _yields(entries, left_out, hist.storage.Weight()),
    }


def _yields(entries: Entries, masks: Masks, storage: hist.storage.Storage) -> hist.Hist:
    result = hist.Hist(
        hist.axis.StrCategory(AXIS, name="category"),
        hist.axis.StrCategory(list(masks), name="cut"),
        storage=storage,
    )
    weighted = isinstance(storage, hist.storage.Weight)
    for position, mask in enumerate(masks.values()):
        # Templates are no yields of their own.
        keep = mask[entries.row] & (entries.category < len(AXIS))
        weight = entries.weight[keep] if weighted else np.ones(np.count_nonzero(keep))
        sums = np.bincount(entries.category[keep], weight, len(AXIS))
        view = result.view()[:, position]
        if weighted:
            view["value"] = sums
            view["variance"] = np.bincount(entries.category[keep], weight**2, len(AXIS))
        else:
            view[...] = sums.astype(np.int64)
    return result
