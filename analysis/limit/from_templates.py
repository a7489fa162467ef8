"""A model of the templates of a run: what the sources of variation do becomes nuisance parameters.

Neighbouring bins are merged, before any data are looked at, until each has some background: where
a moment is possible and nothing else, the first event would decide.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from fileset.errors import InputError
from processors.categories import CATEGORIES
from processors.hypotheses import coefficients
from processors.templates import Templates

from ..covariance import Floats
from ..shifts import default_samples, shifts
from ..systematics import Systematics, systematics
from .model import MOMENT_UNIT, Channel, Model, Parameter, Sample

SIGNAL_SAMPLE = "magnetic"


def model_of(
    kind: type[Model],
    templates: Templates,
    *,
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
) -> Model:
    """Make a model of the templates of a run.

    Parameters
    ----------
    kind : type
        Of the model to make.
    templates : Templates
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
    model of that kind
        One background sample per truth category with events; data if the templates have some.

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
    samples[SIGNAL_SAMPLE] = dict(signal or coefficients(mu_nu=MOMENT_UNIT))
    found = systematics(
        shifts(templates, exposure, name, axes, samples), keep, symmetrise, interpolation
    )
    count = len(samples)
    variance = found.statistical_variance if mc_statistics else 0.0 * found.nominal
    nominal = found.nominal.reshape(count, -1)
    edges = _edges(nominal[:-1].sum(axis=0), min_background)

    def merged(rows: Floats) -> Floats:
        apart = rows.reshape(*rows.shape[:-1], count, -1)
        return np.add.reduceat(apart, edges, axis=-1)

    return kind(
        channels=(Channel(channel, len(edges)),),
        samples=tuple(Sample(n, n == SIGNAL_SAMPLE) for n in samples),
        parameters=_parameters(found),
        nominal=merged(found.nominal),
        mc_variance=merged(variance),
        up=merged(found.up),
        down=merged(found.down),
        high=np.ones((len(found.nuisances), count)),
        low=np.ones((len(found.nuisances), count)),
        observed=_observed(templates, found, name, edges),
        pot=exposure,
        origin=found.origin,
    )


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
