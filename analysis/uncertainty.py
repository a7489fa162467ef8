"""Uncertainty of templates, bin by bin, from the variations in them and from statistics.

Correlations between bins are not kept: for pictures and single counts, not for a fit, which needs
the variations themselves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr

from processors.hypotheses import coefficients
from processors.templates import Templates
from processors.variations import NOMINAL

from .covariance import REPLICAS

Floats = NDArray[np.float64]

# The flux normalisation stands in for the universes where a format has none; both would count the
# same uncertainty twice.
SUPERSEDED = {"flux": "ppfx"}

_SIDE = re.compile(r"(?P<source>.+)(?<!_[2-9]sigma)(Up|Down)")
_UNIVERSE = re.compile(r"(?P<source>.+)_\d{3,}")


def systematic_sources(values: Floats, labels: Sequence[str]) -> dict[str, Floats]:
    """Uncertainty from each source: larger side, or the only one; spread of universes.

    Parameters
    ----------
    values : ndarray, shape (..., v)
        Yields for each of v variations [events].
    labels : sequence of str, length v
        Their names, ``nominal`` among them.

    Returns
    -------
    dict of str to ndarray, shape (...)
        Name of the source to its uncertainty [events]; a source that another one supersedes is
        left out, and so are replicas, which are statistics.
    """
    nominal = values[..., labels.index(NOMINAL)]
    differences = {label: values[..., i] - nominal for i, label in enumerate(labels)}
    sources: dict[str, Floats] = {}
    universes: dict[str, list[Floats]] = {}
    for label, difference in differences.items():
        if match := _SIDE.fullmatch(label):
            name = match["source"]
            sources[name] = np.maximum(sources.get(name, 0.0), np.abs(difference))
        elif (match := _UNIVERSE.fullmatch(label)) and match["source"] not in REPLICAS:
            universes.setdefault(match["source"], []).append(difference)
    for name, spread in universes.items():
        sources[name] = np.sqrt(np.mean(np.square(spread), axis=0))
    return {n: s for n, s in sources.items() if SUPERSEDED.get(n) not in sources}


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
    prediction = templates.prediction(pot, name).project("category", "variation", axis)
    categories, labels = list(prediction.axes["category"]), list(prediction.axes["variation"])
    nominal = labels.index(NOMINAL)
    values = prediction.values()
    total = values.sum(axis=0)
    squared = np.asarray(prediction.variances())[:, nominal].sum(axis=0)
    unit = templates.signal(pot, coefficients(mu_nu=1.0), name).project("variation", axis)
    for source in systematic_sources(total.T, labels).values():
        squared = squared + source**2
    data = templates.data(name)
    shown = prediction.axes[axis]
    return Spectrum(
        edges=shown.edges,
        label=shown.label,
        categories={c: values[i, nominal] for i, c in enumerate(categories)},
        magnetic=np.asarray(unit.values())[nominal],
        total=total[nominal],
        uncertainty=np.sqrt(squared),
        observed=None if data is None else np.asarray(data.project(axis).values()),
    )
