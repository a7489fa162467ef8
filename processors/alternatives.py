"""Productions of their own as variations: other detector models, other generators.

A dataset whose description says ``alternative_to = "nd"`` and ``variation = "light_yield_up"`` is
no prediction of its own. Scaled to the exposure of its base, what it selects is one bin of the
base's variation axis (:func:`processors.recipes.variation_label` makes the label).

::

    [nd_light]
    files = ["light/*.root"]
    alternative_to = "nd_reference"
    variation = "light_yield_up"

    [nd_reference]
    files = ["reference/*.root"]
    alternative_to = "nd"
    variation = "nominal"

Small productions often come with a nominal one made of the same events, their reference
(MicroBooNE's ``detVarCV``: uboone/xsec_analyzer, ``configs/file_properties.txt``): an alternative
to a reference is the base plus the difference of the two, in which the events that they share
cancel (as in ``src/utils/SystematicsCalculator.cxx`` there). Without one, the fluctuations of both
samples are in the difference and pass for a systematic: compare the variances before believing a
shape. Nothing is made symmetric: the missing side of a single one is the nominal, and is listed
under ``one_sided``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from hist import Hist
from hist.axis import StrCategory
from numpy.typing import NDArray

from fileset.errors import InputError, closest

from .histograms import LABELS, labelled
from .hypotheses import TEMPLATES
from .recipes import variation_label
from .registry import NOMINAL

Output = Mapping[str, Mapping[str, Any]]
Datasets = Mapping[str, Mapping[str, Any]]

_OPPOSITE = {"Up": "Down", "Down": "Up"}


class Merged(NamedTuple):
    """Datasets with their alternatives as variations.

    Attributes
    ----------
    output : dict of str to dict
        As it was, without the alternatives.
    datasets : dict of str to dict
        Metadata of these; ``one_sided`` lists labels that only stand for a side that is missing.
    alternatives : dict of str to dict
        Metadata of the alternatives, each with its ``label``, ``base``, ``reference`` (or None),
        exposure ``pot`` and ``untouched``: categories and templates that it has no events of, for
        which the nominal stands.
    """

    output: dict[str, dict[str, Any]]
    datasets: dict[str, dict[str, Any]]
    alternatives: dict[str, dict[str, Any]]


class _Alternative(NamedTuple):
    """One dataset that is a variation of another; a reference is the nominal of others."""

    name: str
    label: str
    base: str
    reference: str | None


class _Sample(NamedTuple):
    """Result of one dataset and the factor to the exposure of the base."""

    part: Mapping[str, Any]
    scale: float

    def has(self, label: str) -> bool:
        """Whether events of a category or template went in, selected or not."""
        histograms = list(_varied(self.part).values())
        flow = self.part.get("cutflow_events")
        if label in TEMPLATES:
            return any(label in h.axes["category"] for h in histograms)
        if flow is not None:
            return label in flow.axes["category"] and bool(flow[label, "all"])
        return any(self.nominal(name, label)["value"].any() for name in _varied(self.part))

    def nominal(self, name: str, label: str) -> NDArray[Any]:
        """Nominal events and variances of a category or template, flow bins included."""
        histogram = self.part[name]
        view = histogram.view(flow=True)
        column = list(histogram.axes["variation"]).index(NOMINAL)
        found = list(histogram.axes["category"])
        if label not in found:
            return np.zeros_like(view[0, 0])
        scaled = view[found.index(label), column].copy()
        scaled["value"] *= self.scale
        scaled["variance"] *= self.scale**2
        return scaled


def check_alternatives(datasets: Datasets) -> None:
    """Refuse alternatives that go with nothing, before hours are spent on them.

    Parameters
    ----------
    datasets : mapping
        Dataset name to metadata.

    Raises
    ------
    InputError
        As :func:`merge_alternatives`.
    """
    _alternatives(datasets)


def merge_alternatives(output: Output, pots: Mapping[str, float], datasets: Datasets) -> Merged:
    """Make variations of the datasets that are alternatives to others.

    Parameters
    ----------
    output : mapping
        Dataset name to histograms, as summed by a run, and whatever else there is.
    pots : mapping of str to float
        Exposure of each of these datasets that is in the sum [POT].
    datasets : mapping
        Dataset name to metadata.

    Returns
    -------
    Merged
        The very histograms where there is no alternative.

    Raises
    ------
    InputError
        If an alternative and its base do not go together, or nothing comes of a reference.
    """
    found = _alternatives(datasets)
    names = [alternative.name for alternative in found]
    for name in [*names, *(alternative.base for alternative in found)]:
        if name not in output or not pots.get(name, 0.0) > 0.0:
            raise InputError(
                f"dataset {name!r}: nothing of it is in the result, or no exposure, and so no "
                "variation can be made; mend its files or leave out what needs it"
            )
    kept = {name: dict(metadata) for name, metadata in datasets.items() if name not in names}
    merged = {name: dict(output[name]) for name in kept if name in output}
    for base in dict.fromkeys(alternative.base for alternative in found):
        own = [a for a in found if a.base == base and a.label != NOMINAL]
        missing = _missing_sides(output[base], own)
        kept[base]["one_sided"] = [*kept[base].get("one_sided", ()), *missing]
        samples = {
            name: _Sample(output[name], pots[base] / pots[name])
            for a in found
            if a.base == base
            for name in (a.name, base)
        }
        for name, histogram in _varied(output[base]).items():
            merged[base][name] = _merge(name, histogram, own, missing, samples)
    notes = {
        a.name: {
            **datasets[a.name],
            **{"label": a.label, "base": a.base, "reference": a.reference, "pot": pots[a.name]},
            "untouched": _untouched(_Sample(output[a.base], 1.0), _Sample(output[a.name], 1.0)),
        }
        for a in found
    }
    return Merged(merged, kept, notes)


def _alternatives(datasets: Datasets) -> list[_Alternative]:
    """Datasets that are alternatives, with what they are an alternative to, checked."""
    found = [_alternative(name, datasets) for name in datasets if _is_alternative(name, datasets)]
    used = {alternative.reference for alternative in found}
    owners: dict[tuple[str, str], str] = {}
    for a in found:
        if a.label == NOMINAL:
            if a.name not in used:
                raise InputError(
                    f"dataset {a.name!r}: variation = 'nominal' makes it a reference, and no "
                    "dataset is an alternative_to it; name one or leave it out"
                )
            continue
        other = owners.setdefault((a.base, a.label), a.name)
        if other != a.name:
            raise InputError(
                f"datasets {other!r} and {a.name!r} are both {a.label!r} of {a.base!r}; list their "
                "files as one dataset or change 'variation'"
            )
    return found


def _is_alternative(name: str, datasets: Datasets) -> bool:
    base, variation = (datasets[name].get(key) for key in ("alternative_to", "variation"))
    if bool(base) != bool(variation):
        raise InputError(
            f"dataset {name!r}: alternative_to = {base!r}, variation = {variation!r}, expected "
            'both, as in alternative_to = "nd", variation = "light_yield_up"'
        )
    return bool(base)


def _alternative(name: str, datasets: Datasets) -> _Alternative:
    metadata = datasets[name]
    label = variation_label(metadata["variation"])
    base, reference = metadata["alternative_to"], None
    _check_pair(name, base, datasets)
    if _is_alternative(base, datasets):
        reference, base = base, datasets[base]["alternative_to"]
        _check_pair(name, base, datasets)
        own_label = variation_label(datasets[reference]["variation"])
        if own_label != NOMINAL or label == NOMINAL or _is_alternative(base, datasets):
            raise InputError(
                f"dataset {name!r}: alternative_to = {reference!r}, which is {own_label!r} of "
                f"{base!r}; expected a plain dataset, or a reference with variation = 'nominal'"
            )
    return _Alternative(name, label, base, reference)


def _check_pair(name: str, base: str, datasets: Datasets) -> None:
    """Refuse what cannot be the same events in another simulation."""
    if base not in datasets:
        raise InputError(
            f"dataset {name!r}: alternative_to = {base!r}, which is not in the result; "
            f"{closest(base, datasets)}"
        )
    if not (datasets[name]["is_mc"] and datasets[base]["is_mc"]):
        raise InputError(
            f"dataset {name!r}: alternative_to = {base!r}, and one of them is data; only "
            "simulation has alternatives"
        )
    horns = [datasets[n].get("horn_current", "") for n in (name, base)]
    if all(horns) and horns[0] != horns[1]:
        raise InputError(
            f"dataset {name!r} is of {horns[0]} and its base {base!r} of {horns[1]}; an "
            "alternative has the beam of its base"
        )


def _varied(part: Mapping[str, Any]) -> dict[str, Hist]:
    """Histograms with a variation axis."""
    return {n: h for n, h in part.items() if isinstance(h, Hist) and "variation" in h.axes.name}


def _missing_sides(part: Mapping[str, Any], own: list[_Alternative]) -> list[str]:
    """Other sides of those that have one side only."""
    labels = [alternative.label for alternative in own]
    present = {label for histogram in _varied(part).values() for label in histogram.axes[1]}
    for a in own:
        if a.label in present:
            raise InputError(
                f"dataset {a.name!r}: {a.base!r} has a variation {a.label!r} already; change "
                "'variation', or leave one of them out"
            )
    opposite = [
        label.removesuffix(side) + other
        for label in labels
        for side, other in _OPPOSITE.items()
        if label.endswith(side)
    ]
    return [label for label in opposite if label not in present.union(labels)]


def _merge(
    name: str,
    histogram: Hist,
    own: list[_Alternative],
    missing: list[str],
    samples: Mapping[str, _Sample],
) -> Hist:
    """Histogram of a base with more bins on its variation axis."""
    found = {a.name: samples[a.name].part[name] for a in own}
    for dataset, other in found.items():
        if tuple(other.axes[2:]) != tuple(histogram.axes[2:]):
            raise InputError(
                f"dataset {dataset!r}: the bins of {name!r} are not those of its base; make both "
                "with the same axes"
            )
    categories = {label for h in (histogram, *found.values()) for label in h.axes["category"]}
    ordered = sorted(categories, key=LABELS.index)
    known = list(histogram.axes["variation"])
    result = Hist(
        StrCategory(ordered, name="category", growth=True),
        labelled([*known, *(a.label for a in own), *missing], "variation"),
        *histogram.axes[2:],
        storage=histogram.storage_type(),
    )
    view, source = result.view(flow=True), histogram.view(flow=True)
    for row, label in enumerate(ordered):
        if label in histogram.axes["category"]:
            position = list(histogram.axes["category"]).index(label)
            view[row, : len(known)] = source[position, : len(known)]
        for column, alternative in enumerate(own, start=len(known)):
            view[row, column] = _content(name, label, alternative, samples)
        # What there is no side for is the nominal.
        view[row, len(known) + len(own) :][: len(missing)] = samples[own[0].base].nominal(
            name, label
        )
    return result


def _content(
    name: str, label: str, alternative: _Alternative, samples: Mapping[str, _Sample]
) -> NDArray[Any]:
    """Events and variances of one category or template in an alternative."""
    varied, base = samples[alternative.name], samples[alternative.base]
    if not varied.has(label):
        return base.nominal(name, label)
    if alternative.reference is None:
        return varied.nominal(name, label)
    reference = samples[alternative.reference]
    if not reference.has(label):
        return base.nominal(name, label)
    result = base.nominal(name, label)
    shifted, unshifted = varied.nominal(name, label), reference.nominal(name, label)
    result["value"] += shifted["value"] - unshifted["value"]
    # At its largest: as if no event were in both.
    result["variance"] += shifted["variance"] + unshifted["variance"]
    return result


def _untouched(base: _Sample, alternative: _Sample) -> list[str]:
    """Categories and templates of the base that an alternative has no events of."""
    labels = {label for h in _varied(base.part).values() for label in h.axes["category"]}
    return [x for x in sorted(labels, key=LABELS.index) if base.has(x) and not alternative.has(x)]
