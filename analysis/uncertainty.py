"""Uncertainty of templates, bin by bin, from the variations in them and from statistics.

Correlations between bins are not kept: for pictures and single counts, not for a fit, which needs
the variations themselves.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr

from processors.hypotheses import coefficients
from processors.templates import Templates
from processors.variations import NOMINAL

from .covariance import Shifts, Source, relative_size
from .shifts import STANDARD_MODEL, shifts

Floats = NDArray[np.float64]


def poisson_interval(n: Floats) -> tuple[Floats, Floats]:
    """Central 68.3 % interval on the mean behind each count (Garwood 1936).

    Parameters
    ----------
    n : ndarray
        Observed events, >= 0.

    Returns
    -------
    lower, upper : ndarray, shape of ``n``
        Ends of the interval [events]; the lower end of a zero is 0.
    """
    tail = float(ndtr(-1.0))
    # The inverse is not defined at shape 0, where the lower end is 0.
    lower = np.where(n > 0.0, gammaincinv(np.maximum(n, 1.0), tail), 0.0)
    return lower, gammaincinv(n + 1.0, 1.0 - tail)


@dataclass(frozen=True)
class Spectrum:
    """One axis of the templates at an exposure; all yields per bin [events].

    Attributes
    ----------
    edges : ndarray, shape (n + 1,)
        Bin edges, in the unit of the axis.
    label : str
        Name of the axis, with its unit.
    categories : dict of str to ndarray, shape (n,)
        Nominal Standard Model expectation.
    magnetic : ndarray, shape (n,)
        Nominal magnetic signal of all flavours, per squared Bohr magneton.
    total, uncertainty : ndarray, shape (n,)
        Standard Model expectation; its systematic and Monte Carlo uncertainty, in quadrature.
    observed : ndarray, shape (n,), or None
        None without data.
    """

    edges: Floats
    label: str
    categories: dict[str, Floats]
    magnetic: Floats
    total: Floats
    uncertainty: Floats
    observed: Floats | None

    @property
    def occupied(self) -> tuple[float, float]:
        """Range of the axis outside which nothing is expected or observed; all of it if empty."""
        filled = self.total > 0.0
        if self.observed is not None:
            filled = filled | (self.observed > 0.0)
        bins = np.flatnonzero(filled) if filled.any() else np.arange(filled.size)
        return float(self.edges[bins[0]]), float(self.edges[bins[-1] + 1])


def project(templates: Templates, name: str, axis: str, pot: float) -> Spectrum:
    """Sum templates over everything but one axis.

    Parameters
    ----------
    templates : Templates
    name : str
        Key of ``templates.histograms``.
    axis : str
        Axis of that histogram; the others are summed over, flow bins included.
    pot : float
        Exposure of the expectation [POT].

    Returns
    -------
    Spectrum
        Without the flow bins of the axis itself.
    """
    found = shifts(templates, pot, name, [axis], STANDARD_MODEL)
    prediction = templates.prediction(pot, name)[{"variation": NOMINAL}].project("category", axis)
    unit = templates.signal(pot, coefficients(mu_nu=1.0), name)[{"variation": NOMINAL}]
    sizes = [source.size for source in found.systematic.values()]
    data = templates.data(name)
    return Spectrum(
        edges=found.layout.axes[axis],
        label=found.layout.titles[axis],
        categories=dict(zip(prediction.axes["category"], prediction.values(), strict=True)),
        magnetic=np.asarray(unit.project(axis).values()),
        total=found.nominal,
        uncertainty=np.sqrt(found.mc_variance + np.square(sizes).sum(axis=0)),
        observed=None if data is None else np.asarray(data.project(axis).values()),
    )


class Impact(NamedTuple):
    """What one source does to the Standard Model expectation.

    Attributes
    ----------
    name : str
    up, down : float or None
        Change of the number of events by one standard deviation [events]; None without that side,
        and for universes.
    size : float
        What it adds to the uncertainty of that number, in quadrature [events]: see
        :attr:`analysis.covariance.Source.size`.
    shape : float or None
        Relative change that is left in the bins when that number is fixed, as root mean square
        over the events; None with one bin, and for statistics.
    """

    name: str
    up: float | None
    down: float | None
    size: float
    shape: float | None


def impacts(templates: Templates, pot: float, axis: str | None = None) -> list[Impact]:
    """Rank every source of uncertainty in the templates by what it does to the number of events.

    Parameters
    ----------
    templates : Templates
    pot : float
        Exposure of the expectation [POT].
    axis : str, optional
        Axis of the spectrum for the effect on the shape; the first by default.

    Returns
    -------
    list of Impact
        The largest first, ``mc_statistics`` among them. Everything that was selected counts, in
        the bins or beyond them.
    """
    count = shifts(templates, pot, axes=[], samples=STANDARD_MODEL)
    axis = axis or templates.hist.axes.name[3]
    binned = shifts(templates, pot, axes=[axis], samples=STANDARD_MODEL)
    found = [
        _impact(source, binned, binned.sources[name]) for name, source in count.systematic.items()
    ]
    found.append(Impact("mc_statistics", None, None, float(count.mc_variance[0]) ** 0.5, None))
    return sorted(found, key=lambda impact: -impact.size)


def _impact(source: Source, binned: Shifts, in_bins: Source) -> Impact:
    sides = dict(zip(source.sides, source.members[:, 0].tolist(), strict=False))
    shape = relative_size(binned, in_bins, STANDARD_MODEL)[1] if binned.layout.size > 1 else None
    size = float(source.size[0])
    return Impact(source.name, sides.get("Up"), sides.get("Down"), size, shape)
