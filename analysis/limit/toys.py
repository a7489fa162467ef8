"""Toy experiments: drawn, fitted and counted in blocks that do not know of each other.

A block has its own seed, made of that of the caller and its number: results are the same to the
last bit for any number of workers, and blocks made elsewhere can be joined. In every toy the
nuisance parameters and Monte Carlo factors are measured again; forgetting that is the commonest
mistake in such a construction.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

from .engine import Fits, newton, search
from .expectation import Expectation
from .likelihood import Data, best_factors, curvature, objective
from .model import Floats

BLOCK = 256
"""Toys per block; another number gives other toys."""

_GUIDES = 64
_ALLOWED = 1e-6
# Events; a bin that expects this much less than nothing is taken to expect nothing.
_NOTHING = 0.1

Mapper = Callable[..., Iterable[Any]]


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


class Toys(NamedTuple):
    """What toys gave.

    Attributes
    ----------
    t : ndarray, shape (tests, toys)
        -2 ln [L(s) / L(s_hat)] with s_hat >= 0, for every tested s.
    best : ndarray, shape (toys,)
        s_hat.
    fallback, negative : int
        Fits by full Newton steps, and those that ended where a bin expects less than nothing.
    evaluations : int
        Gradients of all fits.
    """

    t: Floats
    best: Floats
    fallback: int
    negative: int
    evaluations: int


class _Table(NamedTuple):
    """Cumulative distributions of all bins, one after the other."""

    cumulative: Floats
    first: NDArray[np.int64]
    lowest: NDArray[np.int64]
    guides: NDArray[np.int64]


def hypothesis(model: Expectation, data: Data, point: Floats) -> Hypothesis:
    """Where to draw toys after a fit of one data set."""
    return Hypothesis(point, best_factors(model, data, point[None])[0])


def _table(means: Floats) -> _Table:
    """Tables to draw Poisson numbers by inversion; their ends hold less than 1e-15."""
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
    return _Table(cumulative, first, lowest, guides)


@numba.njit(cache=True, nogil=True)
def _draw(uniform: Floats, table: _Table) -> None:
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
    model: Expectation, where: Hypothesis, table: _Table, toys: int, random: np.random.Generator
) -> Data:
    """Draw data sets at a hypothesis."""
    n = random.random((toys, model.matrix.shape[1]))
    _draw(n, table)
    aux = where.point + random.standard_normal((toys, model.positions))
    if not model.varied:
        return Data(n, aux, np.ones((1, 1)))
    factors = where.factors + model.relative * random.standard_normal(n.shape)
    return Data(n, aux, factors)


@dataclass(frozen=True)
class Experiment:
    """Toys at one hypothesis, tested at some signals: what a worker needs to make blocks.

    Attributes
    ----------
    model : Expectation
    where : Hypothesis
    tests : tuple of float
        Values of s.
    starts : ndarray, shape (tests, positions)
        Points to start the fits at each from.
    seed : tuple of int
        First that of the caller, then numbers that name the hypothesis.
    """

    model: Expectation
    where: Hypothesis
    tests: tuple[float, ...]
    starts: Floats
    seed: tuple[int, ...]

    def prepared(self) -> tuple[_Table, list[Floats]]:
        """Tables to draw from, and the metric at each tested point."""
        point, model = self.where.point, self.model
        factors = self.where.factors[None] if model.varied else np.ones((1, 1))
        means = _means(model, point, factors)
        metrics: list[Floats] = []
        for start in self.starts:
            fisher = curvature(model, expectation_at(model, start), start)
            metrics.append(np.asarray(np.linalg.inv(fisher), dtype=float))
        return _table(means), metrics

    def block(self, prepared: tuple[_Table, list[Floats]], number: int, toys: int) -> Toys:
        """Draw and fit one block."""
        table, metrics = prepared
        sequence = np.random.SeedSequence(self.seed[0], spawn_key=(*self.seed[1:], number))
        data = drawn(self.model, self.where, table, toys, np.random.default_rng(sequence))
        fits = [
            search(self.model, data, np.repeat(start[None], toys, axis=0), metric, fixed=True)
            for start, metric in zip(self.starts, metrics, strict=True)
        ]
        free = search(self.model, data, fits[0].points, metrics[0], fixed=False)
        free = _lowered(self.model, data, free, fits)
        t = 2.0 * (np.array([fit.values for fit in fits]) - free.values)
        if t.min(initial=0.0) < -_ALLOWED or not np.isfinite(t).all():
            raise ArithmeticError(
                f"block {number} of toys at s = {self.where.point[0]:g}: t = {t.min():.3g}, "
                "expected >= 0; a fit has not found its minimum"
            )
        fits.append(free)
        return Toys(
            np.maximum(t, 0.0),
            free.points[:, 0],
            int(sum(fit.fallback.sum() for fit in fits)),
            int(sum(fit.negative.sum() for fit in fits)),
            int(sum(fit.evaluations.sum() for fit in fits)),
        )


def _lowered(model: Expectation, data: Data, free: Fits, fits: Sequence[Fits]) -> Fits:
    """Fit again from what a fit at fixed s has found, where that is lower."""
    values = np.array([fit.values for fit in fits])
    lowest = values.argmin(axis=0)
    worse = np.flatnonzero(values.min(axis=0) < free.values - 0.5 * _ALLOWED)
    if not len(worse):
        return free
    start = np.array([fit.points for fit in fits])[lowest[worse], worse]
    for toy, begin in zip(worse, start, strict=True):
        own = data.take(np.array([toy]))
        # Steps that look at slopes alone may leave the valley; these only go down.
        free.points[toy] = newton(model, own, begin, fixed=False)
        value, negative = objective(model, own, free.points[[toy]])
        free.values[toy], free.negative[toy] = value[0], negative[0]
    free.fallback[worse] = True
    return free


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


def run(experiment: Experiment, toys: int, mapper: Mapper = map) -> Toys:
    """Make and join all blocks of an experiment.

    Parameters
    ----------
    experiment : Experiment
    toys : int
    mapper : callable
        Such as the ``map`` of an executor. Whatever the order of the work, blocks are joined in
        theirs.

    Returns
    -------
    Toys
    """
    prepared = experiment.prepared()
    sizes = [min(BLOCK, toys - first) for first in range(0, toys, BLOCK)]
    numbers = range(len(sizes))
    return joined(list(mapper(lambda i: experiment.block(prepared, i, sizes[i]), numbers)))


def joined(blocks: Sequence[Toys]) -> Toys:
    """Put blocks together, in this order."""
    return Toys(
        np.concatenate([block.t for block in blocks], axis=1),
        np.concatenate([block.best for block in blocks]),
        *(int(sum(block[i] for block in blocks)) for i in (2, 3, 4)),
    )


def with_workers(workers: int, work: Callable[[Mapper], Any]) -> Any:
    """Call a function with a ``map`` that uses some threads: the kernels leave Python's lock."""
    if workers == 1:
        return work(map)
    with ThreadPoolExecutor(workers) as pool:
        return work(pool.map)
