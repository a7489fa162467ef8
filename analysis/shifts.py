"""What every source of variation does to the templates, as rows of plain numbers.

Each dataset is scaled to one exposure before anything is added or compared.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from hist import Hist

from fileset.errors import InputError, closest
from processors.categories import CATEGORIES, SIGNAL
from processors.hypotheses import FLAVOURS, TEMPLATES, coefficients
from processors.registry import NOMINAL
from processors.templates import Templates

from .covariance import REPLICAS, Floats, Layout, Shifts, Source

Samples = Mapping[str, Mapping[str, float]]

UNITS = (
    coefficients(mu_nu=1e-9) | coefficients(charge_radius2=1e-32) | coefficients(millicharge=1e-9)
)
"""Coefficient of each signal template that makes it about as large as the Standard Model.

Per squared Bohr magneton it would be 1e18 times larger, and principal components those of the
signal alone.
"""

STANDARD_MODEL: Samples = {"standard_model": dict.fromkeys(CATEGORIES, 1.0)}
"""One sample with everything that is expected without a moment."""

SUPERSEDED = {"flux": "ppfx"}
"""Sources to what stands in their place: the flux normalisation is for formats without universes.

Both would count the same uncertainty twice.
"""

_SIDE = re.compile(r"(?P<source>.+?)(?:_(?P<reach>[2-9])sigma)?(?P<side>Up|Down)")
_UNIVERSE = re.compile(r"(?P<source>.+)_\d{3,}")
_SIGNS = {"Up": 1, "Down": -1}


def default_samples(templates: Templates, name: str = "spectrum") -> dict[str, dict[str, float]]:
    """Every category with events in some variation, and every signal template, each by itself.

    Parameters
    ----------
    templates : Templates
    name : str
        Key of ``templates.histograms``.

    Returns
    -------
    dict of str to dict of str to float
        Templates with their coefficient in :data:`UNITS`.
    """
    histogram = _histogram(templates, name)
    view = histogram.view(flow=True)["value"]
    simulated = [list(histogram.axes["dataset"]).index(d) for d in templates.simulated]
    units = dict.fromkeys(CATEGORIES, 1.0) | UNITS
    return {
        label: {label: units[label]}
        for position, label in enumerate(histogram.axes["category"])
        if label in units and any(view[d, position].any() for d in simulated)
    }


def with_magnetic(templates: Templates, name: str = "spectrum") -> dict[str, dict[str, float]]:
    """Every category with events, and the magnetic signal of all flavours per (1e-9 mu_B)^2.

    Parameters
    ----------
    templates : Templates
    name : str
        Key of ``templates.histograms``.

    Returns
    -------
    dict of str to dict of str to float
    """
    found = default_samples(templates, name)
    standard = {sample: parts for sample, parts in found.items() if sample in CATEGORIES}
    return standard | {"magnetic": coefficients(mu_nu=1e-9)}


def shifts(
    templates: Templates,
    pot: float,
    name: str = "spectrum",
    axes: Sequence[str] | None = None,
    samples: Samples | None = None,
) -> Shifts:
    """Read what every source of variation does to every bin of every sample.

    Parameters
    ----------
    templates : Templates
    pot : float
        Exposure that each dataset is scaled to before anything is added or compared [POT].
    name : str
        Key of ``templates.histograms``.
    axes : sequence of str, optional
        Axes to keep, all by default; the others are summed over, flow bins included.
    samples : mapping of str to mapping of str to float, optional
        Name of a sample to categories and templates with coefficients, such as
        ``{"background": {"nc": 1, "nue_cc": 1}, "signal": coefficients(mu_nu=1e-9)}``;
        :func:`default_samples` by default. A template that no dataset has adds nothing.

    Returns
    -------
    Shifts
        Without the flow bins of the axes that are kept. A source that another one supersedes
        (:data:`SUPERSEDED`) counts for the datasets that lack that one.

    Raises
    ------
    InputError
        Without simulation or exposure, for unknown names, a category in two samples, or a source
        that the datasets do not have in the same way.
    """
    if not pot > 0.0:
        raise InputError(f"exposure {pot} POT, expected > 0; give --pot where there are no data")
    histogram = _histogram(templates, name)
    layout = _layout(histogram, axes, samples or default_samples(templates, name))
    labels = list(histogram.axes["variation"])
    central = labels.index(NOMINAL)
    nominal, variance = np.zeros(layout.size), np.zeros(layout.size)
    changes: dict[str, Floats] = {}
    for dataset in templates.simulated:
        scale = pot / templates.ledger.pot(dataset)
        values, variances = _content(histogram, dataset, layout)
        rows = scale * _rows(values, layout, len(labels))
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            label = labels[int(np.argmin(finite))]
            raise InputError(
                f"dataset {dataset!r}: variation {label!r} is not finite; process again"
            )
        changes[dataset] = rows - rows[central]
        nominal += rows[central]
        variance += scale**2 * _mc_variance(variances, layout)
    sources = _sources(templates, labels, changes)
    return Shifts(layout, nominal, variance, sources, pot, digest(templates))


def digest(templates: Templates) -> str:
    """What templates were made of and how, as one sha256: ledger, datasets, provenance."""
    content = [templates.ledger.to_json(), templates.datasets, templates.provenance]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _histogram(templates: Templates, name: str) -> Hist:
    """Histogram with variations, of templates that hold simulation."""
    known = {n: h for n, h in templates.histograms.items() if "variation" in h.axes.name}
    if name not in known:
        raise InputError(f"no histogram {name!r} with variations; {closest(name, known)}")
    if not templates.simulated:
        raise InputError("no simulated dataset in the templates; process one with is_mc = true")
    return known[name]


def _layout(histogram: Hist, axes: Sequence[str] | None, samples: Samples) -> Layout:
    own = {axis.name: axis for axis in list(histogram.axes)[3:]}
    kept = list(own) if axes is None else list(axes)
    for name in kept:
        if name not in own or kept.count(name) > 1:
            raise InputError(f"axis {name!r}, expected each once, of {', '.join(own)}")
    # In the order of the histogram, whatever that of the caller.
    kept = [name for name in own if name in kept]
    owners: dict[str, str] = {}
    for sample, parts in samples.items():
        for label in parts:
            if label not in CATEGORIES and label not in TEMPLATES:
                known = (*CATEGORIES, *TEMPLATES)
                raise InputError(f"sample {sample!r}: no {label!r}; {closest(label, known)}")
            if label in CATEGORIES and owners.setdefault(label, sample) != sample:
                raise InputError(
                    f"category {label!r} is in samples {owners[label]!r} and {sample!r}: its "
                    "events would count twice; name it once"
                )
    return Layout(
        {sample: dict(parts) for sample, parts in samples.items()},
        {name: np.asarray(own[name].edges, dtype=float) for name in kept},
        {name: own[name].label or name for name in kept},
    )


def _content(
    histogram: Hist, dataset: str, layout: Layout
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Values (variations, bins) and nominal variances (bins) by category and template."""
    view: Any = histogram.view(flow=True)[list(histogram.axes["dataset"]).index(dataset)]
    labels = list(histogram.axes["variation"])
    wanted = {label for parts in layout.samples.values() for label in parts}
    values, variances = {}, {}
    for position, label in enumerate(histogram.axes["category"]):
        if label in wanted:
            part = view[position, : len(labels)]
            central = part[[labels.index(NOMINAL)]]
            values[label] = _flat(part["value"], histogram, layout)
            variances[label] = _flat(central["variance"], histogram, layout)[0]
    return values, variances


def _flat(values: Floats, histogram: Hist, layout: Layout) -> Floats:
    """Sum over the axes that are not kept, cut the flow bins of those that are."""
    for position, axis in reversed(list(enumerate(list(histogram.axes)[3:], start=1))):
        if axis.name in layout.axes:
            first = int(axis.traits.underflow)
            values = values.take(range(first, first + axis.size), axis=position)
        else:
            values = values.sum(axis=position)
    return values.reshape(len(values), -1)


def _rows(values: Mapping[str, Floats], layout: Layout, variations: int) -> Floats:
    """Yields of shape (variations, rows)."""
    result = np.zeros((variations, len(layout.samples), layout.bins))
    for position, parts in enumerate(layout.samples.values()):
        for label, coefficient in parts.items():
            if label in values:
                result[:, position] += coefficient * values[label]
    return result.reshape(variations, layout.size)


def _mc_variance(variances: Mapping[str, Floats], layout: Layout) -> Floats:
    """Variance of the rows; at its largest where the same events count in several ways."""
    result = np.zeros((len(layout.samples), layout.bins))
    for row, parts in zip(result, layout.samples.values(), strict=True):
        # Templates of one flavour share their events, those of two flavours do not.
        flavours = dict.fromkeys(FLAVOURS.values(), np.zeros(layout.bins))
        standard = np.zeros(layout.bins)
        for label, coefficient in parts.items():
            deviation = abs(coefficient) * np.sqrt(variances.get(label, 0.0))
            if label in TEMPLATES:
                flavours[label.rpartition("_")[2]] = flavours[label.rpartition("_")[2]] + deviation
            elif label == SIGNAL:
                standard = deviation
            else:
                row += deviation**2
        row += (standard + np.sqrt(sum(np.square(d) for d in flavours.values()))) ** 2
    return result.ravel()


class _Labels(NamedTuple):
    """Positions on the variation axis that belong to one source."""

    universes: list[int]
    sides: dict[tuple[int, str], int]


def _grouped(labels: Sequence[str]) -> dict[str, _Labels]:
    """Name of each source to its labels; a side has its number of standard deviations."""
    groups: dict[str, _Labels] = {}
    for position, label in enumerate(labels):
        if label == NOMINAL:
            continue
        side, universe = _SIDE.fullmatch(label), _UNIVERSE.fullmatch(label)
        found = side or universe
        if found is None:
            raise InputError(
                f"variation {label!r} is neither a side nor a universe; name it {label}Up, with "
                f"{label}Down if there is one, or {label}_000"
            )
        group = groups.setdefault(found["source"], _Labels([], {}))
        if side:
            group.sides[int(side["reach"] or 1), side["side"]] = position
        else:
            group.universes.append(position)
        if group.sides and group.universes:
            raise InputError(
                f"source {found['source']!r} has sides and universes, which would count one "
                "uncertainty twice; give them different names"
            )
    return groups


def _sources(
    templates: Templates, labels: Sequence[str], changes: Mapping[str, Floats]
) -> dict[str, Source]:
    _check_universes(templates)
    groups = _grouped(labels)
    sources = {}
    for name, group in groups.items():
        touched = dict(changes)
        better = groups.get(SUPERSEDED.get(name, ""))
        if better is not None:
            positions = [*better.universes, *better.sides.values()]
            touched = {d: c for d, c in changes.items() if not c[positions].any()}
            if not any(c[list(group.sides.values())].any() for c in touched.values()):
                continue
        if group.universes:
            kind = "replicas" if name in REPLICAS else "universes"
            members = np.asarray(sum(c[group.universes] for c in touched.values()))
            sources[name] = Source(name, kind, members)
        elif knots := _knots(templates, name, group, touched):
            sources[name] = _sided(name, knots)
    return sources


def _check_universes(templates: Templates) -> None:
    """Refuse datasets with different numbers of flux universes: some would stand still."""
    numbers = {d: templates.datasets[d].get("universes", 0) for d in templates.simulated}
    present = {n: d for d, n in numbers.items() if n}
    if len(present) > 1:
        (one, first), (other, second), *_ = present.items()
        raise InputError(
            f"dataset {first!r} has {one} flux universes, {second!r} has {other}: the same "
            "universes must be in both; process files of one production"
        )


def _knots(
    templates: Templates, name: str, group: _Labels, changes: Mapping[str, Floats]
) -> dict[int, Floats]:
    """Standard deviations to changes, without sides that only stand for something missing."""
    knots = {}
    for (reach, side), position in sorted(group.sides.items()):
        label = name + (f"_{reach}sigma" if reach > 1 else "") + side
        lacking = [d for d in changes if label in templates.datasets[d].get("one_sided", ())]
        having = [d for d, c in changes.items() if c[position].any()]
        if lacking and having:
            raise InputError(
                f"variation {label!r} is in dataset {having[0]!r} and not in {lacking[0]!r}, where "
                f"{name!r} has one side only; make both alike, or give them different names"
            )
        if not lacking:
            sign = 1 if side == "Up" else -1
            knots[sign * reach] = np.asarray(sum(c[position] for c in changes.values()))
    return knots


def _sided(name: str, knots: dict[int, Floats]) -> Source:
    """Source from the nearest knots; linear between them and the nominal."""
    reach = min(map(abs, knots))
    sides = {side: sign * reach for side, sign in _SIGNS.items() if sign * reach in knots}
    members = np.array([knots[knot] / reach for knot in sides.values()])
    kind = "pair" if len(sides) == 2 else "one_sided"
    return Source(name, kind, members, tuple(sides), knots)
