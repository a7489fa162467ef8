"""Data sets of toys: counts by inversion of tables, and everything that is measured, again.

In every toy the nuisance parameters and Monte Carlo factors are measured again; forgetting that is
the commonest mistake in such a construction.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from .expectation import Expectation
from .likelihood import Data, best_factors
from .model import Floats

_GUIDES = 64
# Events; a bin that expects this much less than nothing is taken to expect nothing.
_NOTHING = 0.1


@dataclass(frozen=True)
class Hypothesis:
    """Where toys are drawn.

    Attributes
    ----------
    point : ndarray, shape (positions,)
        s and the nuisance parameters.
    factors : ndarray, shape (bins,) or (1,)
        Monte Carlo factors.
    """

    point: Floats
    factors: Floats


class Table(NamedTuple):
    """Cumulative distributions of all bins, one after the other."""

    cumulative: Floats
    first: NDArray[np.int64]
    lowest: NDArray[np.int64]
    guides: NDArray[np.int64]


def hypothesis(model: Expectation, data: Data, point: Floats) -> Hypothesis:
    """Where to draw toys after a fit of one data set."""
    return Hypothesis(point, best_factors(model, data, point[None])[0])


def table_of(model: Expectation, where: Hypothesis) -> Table:
    """Tables to draw Poisson numbers by inversion; their ends hold less than 1e-15."""
    factors = where.factors[None] if model.varied else np.ones((1, 1))
    means = _means(model, where.point, factors)
    reach = 10.0 * np.sqrt(means)
    lowest = np.maximum(np.floor(means - reach - 10.0), 0.0).astype(np.int64)
    sizes = np.ceil(means + reach + 30.0).astype(np.int64) - lowest + 1
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    bins = np.repeat(np.arange(len(means)), sizes)
    cumulative = pdtr(np.arange(len(bins)) - first[bins] + lowest[bins], means[bins])
    cumulative[first + sizes - 1] = 2.0
    levels = np.arange(_GUIDES) / _GUIDES
    guides = np.array(
        [
            np.searchsorted(cumulative[a : a + k], levels, "right")
            for a, k in zip(first, sizes, strict=True)
        ]
    )
    return Table(cumulative, first, lowest, guides)


@numba.njit(cache=True, nogil=True)
def _draw(uniform: Floats, table: Table) -> None:
    """Replace uniform numbers by Poisson numbers."""
    for row in range(len(uniform)):
        for i in range(uniform.shape[1]):
            u = uniform[row, i]
            k = table.guides[i, int(u * table.guides.shape[1])]
            base = table.first[i]
            while table.cumulative[base + k] <= u:
                k += 1
            uniform[row, i] = k + table.lowest[i]


def drawn(
    model: Expectation, where: Hypothesis, table: Table, toys: int, random: np.random.Generator
) -> Data:
    """Draw data sets at a hypothesis."""
    n = random.random((toys, model.matrix.shape[1]))
    _draw(n, table)
    aux = where.point + random.standard_normal((toys, model.positions))
    if not model.varied:
        return Data(n, aux, np.ones((1, 1)))
    factors = where.factors + model.relative * random.standard_normal(n.shape)
    return Data(n, aux, factors)


def _means(model: Expectation, point: Floats, factors: Floats) -> Floats:
    a, c = model.parts(point[None])
    means = (factors * a + c)[0] if model.varied else c[0]
    if (means < -_NOTHING).any():
        raise ArithmeticError(
            f"bin {int(np.argmin(means))} expects {means.min():.3g} events at s = {point[0]:g}; "
            "its changes are too large for a straight line"
        )
    return np.maximum(means, 0.0)


def expectation_at(model: Expectation, point: Floats) -> Floats:
    """Expected events at Monte Carlo factors of 1, none below 0; shape (bins,)."""
    a, c = model.parts(point[None])
    return np.maximum((a + c if model.varied else c)[0], 0.0)
