"""A model of the templates of a run: what the sources of variation do becomes nuisance parameters.

Neighbouring bins are merged, before any data are looked at, until each has some background: where
a moment is possible and nothing else, the first event would decide.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from fileset.errors import InputError
from processors.categories import CATEGORIES
from processors.hypotheses import coefficients
from processors.templates import Templates

from ..covariance import Floats
from ..shifts import default_samples, shifts
from ..systematics import Systematics, systematics
from .contours import Contribution
from .model import MOMENT_UNIT, Channel, Model, Parameter, Sample

SIGNAL_SAMPLE = "magnetic"


def model_of(kind: type[Model], templates: Templates, **options: Any) -> Model:
    """Make a model of the templates of a run: see :func:`model_and_others`, without others."""
    return model_and_others(kind, templates, **options)[0]


def model_and_others(
    kind: type[Model],
    templates: Templates,
    *,
    others: Mapping[str, Mapping[str, float]] | None = None,
    pot: float | None = None,
    channel: str = "nd",
    name: str = "spectrum",
    axes: Sequence[str] | None = ("recoil_energy",),
    signal: Mapping[str, float] | None = None,
    min_background: float = 1.0,
    keep: float = 0.999,
    symmetrise: Collection[str] = (),
    interpolation: str = "code4p",
    mc_statistics: bool = True,
) -> tuple[Model, dict[str, Contribution]]:
    """Make a model of the templates of a run, and templates of a second quantity beside it.

    Parameters
    ----------
    kind : type
        Of the model to make.
    templates : Templates
    others : mapping of str to mapping, optional
        Templates with their coefficients, of what is to be scanned beside s: :mod:`.contours`.
    pot : float, optional
        Exposure [POT]; that of the data by default, and required without data.
    channel : str
        Its name, for combinations.
    name, axes
        Histogram and its axes, the others summed over; see :func:`analysis.shifts.shifts`.
    signal : mapping of str to float, optional
        Templates with their coefficient at s = 1; the magnetic moment of all flavours by default.
    min_background : float
        Bins are merged with their right neighbour until they have this expectation [events].
    keep, symmetrise, interpolation
        See :func:`analysis.systematics.systematics`.
    mc_statistics : bool
        Whether the finite simulation is an uncertainty, with what the principal components leave.

    Returns
    -------
    model : model of that kind
        One background sample per truth category with events; data if the templates have some.
    others : dict of str to Contribution

    Raises
    ------
    InputError
        Without simulation, signal or exposure, and as :func:`analysis.shifts.shifts`.
    """
    if pot is not None and templates.data_pot:
        raise InputError(
            f"the templates hold data at {templates.data_pot:.4g} POT; --pot is for templates "
            "without data"
        )
    exposure = pot or templates.data_pot
    samples = {n: parts for n, parts in default_samples(templates, name).items() if n in CATEGORIES}
    backgrounds = len(samples)
    samples[SIGNAL_SAMPLE] = dict(signal or coefficients(mu_nu=MOMENT_UNIT))
    samples |= {n: dict(parts) for n, parts in (others or {}).items()}
    found = systematics(
        shifts(templates, exposure, name, axes, samples), keep, symmetrise, interpolation
    )
    nominal = found.nominal.reshape(len(samples), -1)
    edges = _edges(nominal[:backgrounds].sum(axis=0), min_background)

    def merged(rows: Floats) -> Floats:
        apart = rows.reshape(*rows.shape[:-1], len(samples), -1)
        return np.add.reduceat(apart, edges, axis=-1)

    arrays = {n: merged(getattr(found, n)) for n in ("nominal", "up", "down")}
    arrays["mc_variance"] = merged(found.statistical_variance * float(mc_statistics))
    own: dict[str, Any] = {n: array[..., : backgrounds + 1, :] for n, array in arrays.items()}
    model = kind(
        channels=(Channel(channel, len(edges)),),
        samples=tuple(Sample(n, n == SIGNAL_SAMPLE) for n in [*samples][: backgrounds + 1]),
        parameters=_parameters(found),
        high=np.ones((len(found.nuisances), backgrounds + 1)),
        low=np.ones((len(found.nuisances), backgrounds + 1)),
        observed=_observed(templates, found, name, edges),
        pot=exposure,
        origin=found.origin,
        **own,
    )
    rows = {n: backgrounds + 1 + i for i, n in enumerate(others or {})}
    return model, {
        n: Contribution(**{a: array[..., row, :] for a, array in arrays.items()})
        for n, row in rows.items()
    }


def _parameters(found: Systematics) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(n.name, "normal", n.interpolation, source=n.source) for n in found.nuisances
    )


def _edges(background: Floats, least: float) -> list[int]:
    """First of the bins that are merged into each; what is left at the end joins the last one."""
    edges, filled = [0], 0.0
    for position, content in enumerate(background):
        if filled > 0.0 and filled >= least:
            edges.append(position)
            filled = 0.0
        filled += content
    if len(edges) > 1 and (filled <= 0.0 or filled < least):
        edges.pop()
    return edges


def _observed(
    templates: Templates, found: Systematics, name: str, edges: Sequence[int]
) -> Floats | None:
    data = templates.data(name)
    if data is None:
        return None
    values = data.project(*found.layout.axes).values()
    return np.asarray(np.add.reduceat(values.ravel(), edges))
