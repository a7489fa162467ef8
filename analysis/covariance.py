"""Covariance between bins and samples, correlations and principal components.

A *row* is one bin of one sample; a sample is a truth category, a signal template or a sum of them.
What a variation of one name does in two samples, or in two datasets, is one and the same change:
that correlates them. :mod:`analysis.shifts` reads the changes from templates. For pictures and
single counts :mod:`analysis.uncertainty` is enough.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fileset.errors import InputError
from processors.categories import CATEGORIES

Floats = NDArray[np.float64]

REPLICAS = ("replica", "bootstrap")
"""Sources whose universes are the simulated events drawn again: Monte Carlo statistics."""


@dataclass(frozen=True)
class Layout:
    """What the rows are: samples, and within each the bins of the axes, the last one fastest.

    Attributes
    ----------
    samples : dict of str to dict of str to float
        Name of a sample to the categories and templates in it, with their coefficients.
    axes : dict of str to ndarray
        Name of an axis to its bin edges, in the unit of the axis.
    titles : dict of str to str
        Name of an axis to its name in figures, with its unit.
    """

    samples: dict[str, dict[str, float]]
    axes: dict[str, Floats]
    titles: dict[str, str]

    @property
    def bins(self) -> int:
        """Bins of one sample."""
        return math.prod(len(edges) - 1 for edges in self.axes.values())

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.samples) * self.bins

    @property
    def labels(self) -> list[str]:
        """Each row in words: ``nc: 0.5 <= recoil_energy < 0.6``."""
        texts = [""]
        for name, edges in self.axes.items():
            ranges = [f"{a:g} <= {name} < {b:g}" for a, b in itertools.pairwise(edges)]
            texts = [f"{text}, {part}" if text else part for text in texts for part in ranges]
        return [f"{sample}: {text}".rstrip(": ") for sample in self.samples for text in texts]

    @property
    def standard(self) -> list[str]:
        """Samples of truth categories alone: together the Standard Model."""
        return [name for name, parts in self.samples.items() if set(parts) <= set(CATEGORIES)]

    def summed(self, rows: Floats, samples: Iterable[str]) -> Floats:
        """Add samples up, bin by bin: shape (..., rows) to (..., bins)."""
        positions = [list(self.samples).index(name) for name in samples]
        apart = rows.reshape(*rows.shape[:-1], len(self.samples), self.bins)
        return np.asarray(apart[..., positions, :].sum(axis=-2))


@dataclass(frozen=True)
class Source:
    """One source of variation.

    Attributes
    ----------
    name : str
    kind : str
        ``"pair"``, ``"one_sided"``, ``"universes"`` or ``"replicas"``.
    members : ndarray, shape (n, rows)
        Changes with respect to the nominal [events]: by one standard deviation up, then down; the
        one side that there is; every universe.
    sides : tuple of str
        ``Up`` and ``Down`` as far as there are; empty for universes.
    knots : dict of int to ndarray, shape (rows,)
        Change [events] by each number of standard deviations that the templates have, such as -2.
    """

    name: str
    kind: str
    members: Floats
    sides: tuple[str, ...] = ()
    knots: dict[int, Floats] = field(default_factory=dict)

    @property
    def deviations(self) -> Floats:
        """Matrix D of shape (n, rows) whose D^T D is the covariance [events].

        The mean over the members, about the nominal and not about their own mean. A pair counts as
        two universes, which is the square of its half difference where it is symmetric; one side
        counts with its square, once: it is not halved for a side that does not exist.
        """
        return self.members / math.sqrt(max(len(self.members), 1))

    @property
    def symmetric(self) -> Floats:
        """Half the difference of the sides, or the one side, towards Up; shape (rows,) [events].

        Vanishes where both sides go the same way, whatever their size.

        Raises
        ------
        InputError
            For universes, which have no sides.
        """
        if not self.sides:
            raise InputError(
                f"source {self.name!r} has universes, no sides; leave them as they are"
            )
        signs = np.array([1.0 if side == "Up" else -1.0 for side in self.sides])
        return np.asarray(signs @ self.members / len(self.sides))

    @property
    def size(self) -> Floats:
        """Larger side, or the only one; spread of universes; shape (rows,) [events]."""
        if self.sides:
            return np.asarray(np.abs(self.members).max(axis=0))
        return np.asarray(np.linalg.norm(self.deviations, axis=0))


@dataclass(frozen=True)
class Shifts:
    """Nominal yields and what every source does to them, at one exposure.

    Attributes
    ----------
    layout : Layout
    nominal, mc_variance : ndarray, shape (rows,)
        Yields [events] and their variance from the finite simulation.
    sources : dict of str to Source
    pot : float
        Exposure [POT].
    origin : str
        sha256 of what the templates were made of and how.
    """

    layout: Layout
    nominal: Floats
    mc_variance: Floats
    sources: dict[str, Source]
    pot: float
    origin: str = ""

    @property
    def systematic(self) -> dict[str, Source]:
        """Sources without those that are Monte Carlo statistics."""
        return {name: s for name, s in self.sources.items() if s.kind != "replicas"}


class Principal(NamedTuple):
    """Principal components of a covariance.

    Attributes
    ----------
    components : ndarray, shape (k, rows)
        Square root of each eigenvalue times its eigenvector, largest first [events]: one nuisance
        parameter of unit variance each.
    eigenvalues : ndarray, shape (k,)
    remainder : ndarray, shape (rows,)
        Variance on the diagonal that they leave; its correlations are dropped.
    """

    components: Floats
    eigenvalues: Floats
    remainder: Floats


def covariance(source: Source, *, symmetrise: bool = False) -> Floats:
    """Covariance of one source.

    Parameters
    ----------
    source : Source
    symmetrise : bool
        Take a pair as its half difference, an assumption where its sides differ.

    Returns
    -------
    ndarray, shape (rows, rows)
        [events^2]
    """
    if symmetrise:
        return np.outer(source.symmetric, source.symmetric)
    return source.deviations.T @ source.deviations


def total_covariance(found: Shifts) -> Floats:
    """Sum of the covariances of all systematic sources; no statistics.

    Returns
    -------
    ndarray, shape (rows, rows)
        [events^2]
    """
    return sum(map(covariance, found.systematic.values()), np.zeros(2 * (found.layout.size,)))


def statistical_covariance(found: Shifts) -> Floats:
    """Covariance from the finite simulation.

    Returns
    -------
    ndarray, shape (rows, rows)
        [events^2]. From replicas where the templates have some. Otherwise a diagonal: bins and
        categories hold different events; but a signal template holds the events of the Standard
        Model signal with other weights, and their correlation, positive for a moment, is not in it.
    """
    replicas = [s for s in found.sources.values() if s.kind == "replicas"]
    return covariance(replicas[0]) if replicas else np.diag(found.mc_variance)


def correlation(matrix: Floats) -> Floats:
    """Correlation matrix of a covariance; a row without variance is correlated with nothing."""
    deviation = np.sqrt(np.diag(matrix))
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0.0)
    result = np.clip(matrix * inverse[:, None] * inverse, -1.0, 1.0)
    np.fill_diagonal(result, 1.0)
    return result


def ratios(found: Shifts, source: str) -> Floats:
    """Varied over nominal yields, every dataset at the same exposure.

    Returns
    -------
    ndarray, shape (n, rows)
        One row per member of the source; NaN where there is no nominal to divide by.
    """
    members = found.sources[source].members
    filled = found.nominal != 0.0
    return np.where(filled, 1.0 + members / np.where(filled, found.nominal, 1.0), np.nan)


def relative_size(found: Shifts, source: Source, samples: Iterable[str]) -> tuple[float, float]:
    """Relative uncertainty that a source gives to a sum of samples.

    Parameters
    ----------
    found : Shifts
    source : Source
    samples : iterable of str

    Returns
    -------
    total, shape : float
        Of the number of events; of what is left in the bins when that number is fixed, as root mean
        square over the events. Mean and spread of the relative change of an event's bin; NaN
        without events.
    """
    names = list(samples)
    nominal = found.layout.summed(found.nominal, names)
    deviations = found.layout.summed(source.deviations, names)
    events = nominal.sum()
    if not events > 0.0:
        return math.nan, math.nan
    total = deviations.sum(axis=1) / events
    left = (deviations - np.outer(total, nominal))[:, nominal > 0.0]
    shape = math.sqrt((left**2 / nominal[nominal > 0.0]).sum() / events)
    return float(np.linalg.norm(total)), shape


def principal(matrix: Floats, keep: float = 0.999) -> Principal:
    """Principal components of a covariance matrix.

    Parameters
    ----------
    matrix : ndarray, shape (rows, rows)
        Symmetric, without negative eigenvalues beyond rounding.
    keep : float
        Smallest fraction of the trace that the components hold.

    Returns
    -------
    Principal

    Raises
    ------
    InputError
        If the matrix is no covariance.
    """
    scale = max(float(np.abs(matrix).max(initial=0.0)), np.finfo(float).tiny)
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T, 0.0, 1e-9 * scale):
        raise InputError("the covariance is not finite and symmetric; mend what it was made of")
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    if values.min(initial=0.0) < -1e-9 * len(matrix) * scale:
        raise InputError(
            f"the covariance has the eigenvalue {values.min():.3g}, expected none below 0; mend "
            "what it was made of"
        )
    components = np.sqrt(np.maximum(values, 0.0))[::-1, None] * vectors.T[::-1]
    return _kept(components, np.diag(matrix), keep)


def principal_of(deviations: Floats, keep: float = 0.999) -> Principal:
    """Principal components of D^T D, without that matrix where there are fewer members than rows.

    Parameters
    ----------
    deviations : ndarray, shape (n, rows)
        As :attr:`Source.deviations`.
    keep : float
        See :func:`principal`.

    Returns
    -------
    Principal
        At most n components.
    """
    if len(deviations) >= deviations.shape[1]:
        return principal(deviations.T @ deviations, keep)
    if not np.isfinite(deviations).all():
        raise InputError("the deviations are not finite; mend what they were made of")
    # Left singular vectors: a rotation of the members, which loses nothing, however small, and
    # takes a fraction of the time of singular values for 1000 universes of 4000 rows.
    _, vectors = np.linalg.eigh(deviations @ deviations.T)
    return _kept(vectors.T[::-1] @ deviations, (deviations**2).sum(axis=0), keep)


def _kept(components: Floats, variance: Floats, keep: float) -> Principal:
    """Largest components, as many as hold that fraction of the trace."""
    if not 0.0 < keep <= 1.0:
        raise InputError(f"keep = {keep}, expected a fraction of the trace, 0 < keep <= 1")
    values = np.square(components).sum(axis=1)
    # Rounding must not keep directions of no size.
    threshold = values[:1].sum() * len(variance) * np.finfo(float).eps
    count = int(np.count_nonzero(values > threshold))
    enough = np.cumsum(values) >= keep * values.sum() * (1.0 - 1e-12)
    count = min(count, int(np.argmax(enough)) + 1) if count else 0
    components, values = components[:count], values[:count]
    # The sign of an eigenvector is arbitrary: its largest entry is up.
    largest = np.argmax(np.abs(components), axis=1)
    components = components * np.sign(components[np.arange(count), largest])[:, None]
    remainder = np.maximum(variance - np.square(components).sum(axis=0), 0.0)
    return Principal(components, values, remainder)
