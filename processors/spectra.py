"""Templates from finished spectra: no events, no selection, and no variation made here.

For CAFAna's ``Spectrum`` files (``fileset/formats/cafana_spectrum.py``). What each spectrum means
is in the description (:mod:`processors.recipes`).
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hist import Hist
from hist.axis import Variable
from numpy.typing import NDArray

from fileset.catalog import Dataset, Fileset
from fileset.errors import InputError
from fileset.exposure import Ledger, LedgerRow
from fileset.formats.cafana_spectrum import NAME, Spectrum, open_spectra

from .categories import AXIS
from .histograms import Histogram, empty
from .hypotheses import TEMPLATES
from .recipes import Located, Recipe, find, recipes, variation_label
from .templates import Templates, collect
from .variations import NOMINAL

_UNIVERSE = re.compile(r"(?P<source>.+)_\d{3,}")
_SIDES = {"Up": "Down", "Down": "Up"}
_TAKEN = ("dataset", "category", "variation")


class Content(NamedTuple):
    """Events per bin and their variance, under- and overflow included."""

    values: NDArray[np.float64]
    variances: NDArray[np.float64]

    def times(self, factor: float) -> "Content":
        """Scale."""
        return Content(factor * self.values, factor**2 * self.variances)

    def plus(self, other: "Content") -> "Content":
        """Add other events."""
        return Content(self.values + other.values, self.variances + other.variances)

    def minus(self, other: "Content") -> "Content":
        """Subtract the same events with other weights."""
        # They fluctuate together: the sum of the variances would exceed that of the rest by far.
        deviation = np.sqrt(self.variances) - np.sqrt(other.variances)
        return Content(self.values - other.values, deviation**2)


class Part(NamedTuple):
    """Spectra of one category or template, by the label of their variation.

    Attributes
    ----------
    recipe : Recipe
    added, taken : list of dict of str to Located
        One per path of the recipe.
    """

    recipe: Recipe
    added: list[dict[str, Located]]
    taken: list[dict[str, Located]]

    @property
    def labels(self) -> list[str]:
        """Variations that some of them have, in the order of their appearance."""
        return list(dict.fromkeys(label for found in self.added + self.taken for label in found))


@dataclass(frozen=True)
class Sample:
    """Spectra of one dataset.

    Attributes
    ----------
    dataset : Dataset
    parts : dict of str to Part
        Keyed by category or template.
    """

    dataset: Dataset
    parts: dict[str, Part]

    @property
    def first(self) -> Located:
        """Nominal spectrum of the first key: its axes and its exposure are those of the sample."""
        return next(iter(self.parts.values())).added[0][NOMINAL]

    @property
    def located(self) -> Iterator[Located]:
        """All spectra."""
        for part in self.parts.values():
            for found in part.added + part.taken:
                yield from found.values()

    @property
    def pot(self) -> float:
        """Exposure that the nominal spectra stand for [POT]."""
        return self.dataset.pot or self.first.spectrum.pot

    @property
    def labels(self) -> list[str]:
        """Variations that some part has, the nominal first."""
        found = dict.fromkeys(label for part in self.parts.values() for label in part.labels)
        return list({NOMINAL: None} | found)

    @property
    def other_sides(self) -> list[str]:
        """Labels that are missing: the other side of sources with one side only."""
        present = self.labels
        opposite = [
            label.removesuffix(side) + other
            for label in present
            for side, other in _SIDES.items()
            if label.endswith(side)
        ]
        return [label for label in opposite if label not in present]


def spectrum_templates(fileset: Fileset) -> Templates:
    """Read templates from spectra.

    Parameters
    ----------
    fileset : dict of str to Dataset
        All of format ``cafana_spectrum``, with ``spectra``.

    Returns
    -------
    Templates
        With the histogram ``spectrum`` alone: such files have no cut flow. Variations are scaled
        to the exposure of the nominal and otherwise as in the files; the other side of a source
        with one side only is the nominal.

    Raises
    ------
    InputError
        If a description or a spectrum cannot be right, or spectra do not go together.
    """
    for dataset in fileset.values():
        if dataset.format != NAME:
            raise InputError(
                f"dataset {dataset.name!r} is not of format {NAME}: events and spectra have no "
                "axes in common; describe them in two files"
            )
    samples = {name: _sample(dataset) for name, dataset in fileset.items()}
    listed = list(samples.values())
    _check_axes(listed)
    _check_universes(listed)
    _check_counted_once(listed)
    axes = _axes(listed)
    return collect(
        {name: {"spectrum": _histogram(sample, axes)} for name, sample in samples.items()},
        Ledger(tuple(row for sample in listed for row in _rows(sample))),
        {name: _metadata(sample) for name, sample in samples.items()},
        {"spectra": {name: _origins(sample) for name, sample in samples.items()}},
    )


def _sample(dataset: Dataset) -> Sample:
    if dataset.overlay and dataset.pot is None:
        raise InputError(
            f"dataset {dataset.name!r}: overlay = true, so the exposure in its files is that of "
            "the hosts; set 'pot' to that of the overlaid events"
        )
    wanted = recipes(dataset)
    files = [open_spectra(path, timeout=dataset.timeout) for path in dataset.files]
    parts = {
        key: Part(
            recipe,
            [find(pattern, files, dataset) for pattern in recipe.paths],
            [find(pattern, files, dataset) for pattern in recipe.minus],
        )
        for key, recipe in wanted.items()
    }
    sample = Sample(dataset, parts)
    _check_used(sample)
    for located in sample.located:
        _check_content(located, dataset)
    return sample


def _check_used(sample: Sample) -> None:
    """Refuse files and names of variations that nothing comes of."""
    where = f"dataset {sample.dataset.name!r}"
    used = {located.file.path for located in sample.located}
    for path in sample.dataset.files:
        if path not in used:
            raise InputError(
                f"{where}: no spectrum of {path} is used; name one in 'spectra' or remove the file"
            )
    for new, old in sample.dataset.variations.items():
        names = (variation_label(new), f"{new}_")
        if not any(label == names[0] or label.startswith(names[1]) for label in sample.labels):
            raise InputError(f"{where}: variations.{new}: no variation is named {old!r}")


def _check_content(located: Located, dataset: Dataset) -> None:
    where = f"dataset {dataset.name!r}: spectrum {located}"
    values, pot = located.spectrum.values, located.spectrum.pot
    if dataset.is_mc and not values.any():
        raise InputError(f"{where} is empty; fill it again or leave it out")
    if not dataset.is_mc and (values < 0.0).any():
        raise InputError(f"{where} has bins below 0, which data cannot have; is it simulation?")
    if dataset.pot is None and not _is_exposure(pot):
        livetime = located.spectrum.livetime
        seconds = f" and a livetime of {livetime:g} s" if livetime > 0.0 else ""
        raise InputError(
            f"{where} has {pot} POT{seconds}, expected > 0; set 'pot' to the exposure that it "
            "stands for, in a dataset of its own"
        )


def _is_exposure(pot: float) -> bool:
    return math.isfinite(pot) and pot > 0.0


def _scale(located: Located, sample: Sample) -> float:
    """Factor to the exposure of the sample."""
    pot, reference = located.spectrum.pot, sample.first.spectrum.pot
    if _is_exposure(pot) != _is_exposure(reference):
        raise InputError(
            f"dataset {sample.dataset.name!r}: {located} has {pot} POT, {sample.first} has "
            f"{reference}; describe them as two datasets, each with its 'pot'"
        )
    return reference / pot if _is_exposure(pot) else 1.0


def _content(part: Part, label: str, sample: Sample) -> Content:
    """Events of a part in one variation; what it does not change is the nominal."""
    if part.taken and any(label not in found for found in part.added + part.taken):
        # A difference of one shifted and one nominal spectrum is no signal.
        label = NOMINAL
    sums = []
    for found in (part.added, part.taken):
        total = Content(np.zeros(()), np.zeros(()))
        for by_label in found:
            located = by_label.get(label, by_label[NOMINAL])
            spectrum = Content(located.spectrum.values, located.spectrum.variances)
            total = total.plus(spectrum.times(_scale(located, sample)))
        sums.append(total)
    return sums[0].minus(sums[1]).times(1.0 / part.recipe.coefficient)


def _histogram(sample: Sample, axes: tuple[Variable, ...]) -> Hist:
    """Axes category, variation and those of the spectra."""
    # Data are what they are.
    labels = sample.labels + sample.other_sides if sample.dataset.is_mc else [NOMINAL]
    categories = (*AXIS, *(template for template in TEMPLATES if template in sample.parts))
    result = empty(Histogram(axes), labels, categories)
    view = result.view(flow=True)
    for key, part in sample.parts.items():
        for position, label in enumerate(labels):
            values, variances = _content(part, label, sample)
            view["value"][categories.index(key), position] = values
            view["variance"][categories.index(key), position] = variances
    return result


def _axes(samples: Sequence[Sample]) -> tuple[Variable, ...]:
    """Axes of the spectra, named by the description or after their labels."""
    spectrum = samples[0].first.spectrum
    names = next((list(s.dataset.axes) for s in samples if s.dataset.axes), _names(spectrum))
    if len(names) != len(spectrum.edges) or len({*names, *_TAKEN}) != len(names) + len(_TAKEN):
        raise InputError(
            f"dataset {samples[0].dataset.name!r}: axes = {names}, expected {len(spectrum.edges)} "
            f"different names, none of them {', '.join(_TAKEN)}; set 'axes'"
        )
    return tuple(
        Variable(edges, name=name, label=label or name)
        for edges, name, label in zip(spectrum.edges, names, spectrum.labels, strict=True)
    )


def _names(spectrum: Spectrum) -> list[str]:
    """Names of axes from their labels: 'Shower E (GeV)' is shower_e_gev."""
    words = [re.sub(r"\W+", "_", label).strip("_").lower() for label in spectrum.labels]
    return [word or f"axis{i}" for i, word in enumerate(words)]


def _check_axes(samples: Sequence[Sample]) -> None:
    """Refuse spectra with other bins than the first."""
    first = samples[0].first
    for sample in samples:
        for located in sample.located:
            if not _same_edges(located.spectrum, first.spectrum):
                raise InputError(
                    f"dataset {sample.dataset.name!r}: {located} has other bins than {first}; make "
                    "all spectra of a description with the same axes"
                )


def _same_edges(one: Spectrum, other: Spectrum) -> bool:
    if one.values.shape != other.values.shape:
        return False
    pairs = zip(one.edges, other.edges, strict=True)
    # CAFAna computes some of them, in more than one way.
    return all(np.allclose(a, b, rtol=0.0, atol=1e-9 * np.ptp(b)) for a, b in pairs)


def _check_universes(samples: Sequence[Sample]) -> None:
    """Refuse universes of one name that are not the same universes everywhere."""
    known: dict[str, tuple[set[tuple[str, str]], str]] = {}
    for sample in samples:
        for key, part in sample.parts.items():
            where = f"dataset {sample.dataset.name!r}: spectra.{key}"
            for found in part.added + part.taken:
                for source, universes in _universes(found).items():
                    first, place = known.setdefault(source, (universes, where))
                    if universes != first:
                        raise InputError(
                            f"{where} has {len(universes)} universes {source!r}, {place} has "
                            f"{len(first)} or others; make both with one multiverse, or give them "
                            "different names in 'variations'"
                        )


def _universes(found: dict[str, Located]) -> dict[str, set[tuple[str, str]]]:
    """Source to the universes of it: their labels and what they are."""
    sources: dict[str, set[tuple[str, str]]] = {}
    for label, located in found.items():
        if match := _UNIVERSE.fullmatch(label):
            universe = (label, located.spectrum.multiverse)
            sources.setdefault(match["source"], set()).add(universe)
    return sources


def _check_counted_once(samples: Sequence[Sample]) -> None:
    """Refuse a spectrum that is in two categories; templates and mock data may share one."""
    owners: dict[tuple[str, str, bool | None], str] = {}
    for sample in samples:
        for key, part in sample.parts.items():
            for found in part.added if key in AXIS else ():
                nominal, where = found[NOMINAL], f"spectra.{key} of dataset {sample.dataset.name!r}"
                owner = (nominal.file.uuid, nominal.spectrum.name, sample.dataset.is_mc)
                if owner in owners:
                    raise InputError(
                        f"{nominal} is in {where} and in {owners[owner]}: its events would count "
                        "twice; name it once"
                    )
                owners[owner] = where


def _rows(sample: Sample) -> list[LedgerRow]:
    """One row per file; the exposure is with the file of the first spectrum, all are scaled to it.

    Its entries are the number of events without weights that would be known as well.
    """
    name, first = sample.dataset.name, sample.first.file.path
    nominal = [f[NOMINAL] for k, p in sample.parts.items() if k in AXIS for f in p.added]
    rows = []
    for file in {located.file.path: located.file for located in sample.located}.values():
        entries = sum(n.spectrum.entries for n in nominal if n.file.path == file.path)
        pot = sample.pot if file.path == first else 0.0
        rows.append(LedgerRow(name, file.path, file.uuid, 0, round(entries), pot))
    return rows


def _metadata(sample: Sample) -> dict[str, Any]:
    """What is known of a dataset, as plain JSON values."""
    return {
        "dataset": sample.dataset.name,
        "format": NAME,
        "is_mc": sample.dataset.is_mc,
        "horn_current": sample.dataset.horn_current,
        "alternative_to": sample.dataset.alternative_to,
        "variation": sample.dataset.variation,
        "one_sided": sample.other_sides if sample.dataset.is_mc else [],
    }


def _origins(sample: Sample) -> dict[str, list[str]]:
    """Category or template to the nominal spectra that it was made of."""
    return {
        key: [
            f"{sign}{found[NOMINAL]}"
            for sign, listed in (("", part.added), ("-", part.taken))
            for found in listed
        ]
        for key, part in sample.parts.items()
    }
