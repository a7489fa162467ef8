"""Toy experiments: drawn, fitted and counted in blocks that do not know of each other.

A block has its own seed, made of that of the caller and its number: results are the same to the
last bit for any number of workers, wherever they are, and blocks made elsewhere can be joined.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from .branches import search
from .drawing import Hypothesis, Table, drawn, expectation_at, table_of
from .engine import Fits
from .expectation import Expectation
from .likelihood import Data, curvature, objective
from .model import Floats
from .newton import newton

BLOCK = 256
"""Toys per block; another number gives other toys."""

_GROUP = 4
_ALLOWED = 1e-6

Mapper = Callable[..., Iterable[Any]]


class Toys(NamedTuple):
    """What toys gave.

    Attributes
    ----------
    t : ndarray, shape (tests, toys)
        -2 ln [L(s) / L(s_hat)] with s_hat >= 0, for every tested s.
    best, deviance : ndarray, shape (toys,)
        s_hat, and -2 ln L there relative to the saturated model.
    fallback, negative : int
        Fits by full Newton steps, and those that ended where a bin expects less than nothing.
    evaluations : int
        Gradients of all fits.
    """

    t: Floats
    best: Floats
    deviance: Floats
    fallback: int
    negative: int
    evaluations: int


class Prepared(NamedTuple):
    """What all blocks of an experiment share: tables to draw from, the metric at each test."""

    table: Table
    metrics: list[Floats]


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

    @property
    def digest(self) -> str:
        """Hash of all that its blocks follow from."""
        model = self.model
        arrays = (model.matrix, *model.how, model.relative, model.constrained, self.starts)
        found = hashlib.sha256(repr((model.folded, model.varied, self.tests, self.seed)).encode())
        for array in (*arrays, self.where.point, self.where.factors):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def prepared(self) -> Prepared:
        """Make ready for blocks."""
        metrics: list[Floats] = []
        for start in self.starts:
            fisher = curvature(self.model, expectation_at(self.model, start), start)
            metrics.append(np.asarray(np.linalg.inv(fisher), dtype=float))
        return Prepared(table_of(self.model, self.where), metrics)

    def block(self, prepared: Prepared, number: int, toys: int) -> Toys:
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
            2.0 * free.values,
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


class Store(Protocol):
    """Where blocks are that were made before: see :class:`.toys_file.ToysFile`."""

    def get(self, digest: str, number: int, toys: int) -> Toys | None:
        """Give a block, if it is there."""

    def add(self, digest: str, number: int, block: Toys) -> None:
        """Keep a block."""


class _Task(NamedTuple):
    experiment: Experiment
    prepared: Prepared
    blocks: list[tuple[int, int]]


def _made(task: _Task) -> list[Toys]:
    return [task.experiment.block(task.prepared, *block) for block in task.blocks]


def run_all(
    experiments: Sequence[Experiment],
    toys: int,
    mapper: Mapper = map,
    *,
    first: int = 0,
    store: Store | None = None,
) -> list[Toys]:
    """Make and join all blocks of some experiments.

    Parameters
    ----------
    experiments : sequence of Experiment
    toys : int
        Of each.
    mapper : callable
        Such as the ``map`` of an executor, of threads or of a cluster. Whatever the order of the
        work, blocks are joined in theirs.
    first : int
        Number of the first toy, a multiple of :data:`BLOCK`: other toys of the same experiment.
    store : Store, optional
        Blocks that are there are not made again; those that are made are added.

    Returns
    -------
    list of Toys
    """
    sizes = [min(BLOCK, toys - i) for i in range(0, toys, BLOCK)]
    blocks = list(enumerate(sizes, first // BLOCK))
    found: list[dict[int, Toys]] = []
    tasks: list[tuple[int, _Task]] = []
    digests = [experiment.digest if store else "" for experiment in experiments]
    for i, (experiment, digest) in enumerate(zip(experiments, digests, strict=True)):
        kept = {n: store.get(digest, n, size) for n, size in blocks} if store else {}
        found.append({n: block for n, block in kept.items() if block})
        missing = [block for block in blocks if block[0] not in found[i]]
        prepared = experiment.prepared() if missing else None
        for start in range(0, len(missing), _GROUP):
            if prepared:
                tasks.append((i, _Task(experiment, prepared, missing[start : start + _GROUP])))
    for (i, task), made in zip(tasks, mapper(_made, [task for _, task in tasks]), strict=True):
        for (number, _), block in zip(task.blocks, made, strict=True):
            found[i][number] = block
            if store:
                store.add(digests[i], number, block)
    return [joined([each[n] for n, _ in blocks]) for each in found]


def run(experiment: Experiment, toys: int, mapper: Mapper = map) -> Toys:
    """Make and join all blocks of one experiment: see :func:`run_all`."""
    return run_all([experiment], toys, mapper)[0]


def joined(blocks: Sequence[Toys]) -> Toys:
    """Put blocks together, in this order."""
    return Toys(
        np.concatenate([block.t for block in blocks], axis=1),
        np.concatenate([block.best for block in blocks]),
        np.concatenate([block.deviance for block in blocks]),
        *(int(sum(block[i] for block in blocks)) for i in (3, 4, 5)),
    )


def with_workers(workers: int | Executor, work: Callable[[Mapper], Any]) -> Any:
    """Call a function with a ``map`` that uses threads, or those of an executor.

    The kernels leave Python's lock.
    """
    if isinstance(workers, Executor):
        return work(workers.map)
    if workers == 1:
        return work(map)
    with ThreadPoolExecutor(workers) as pool:
        return work(pool.map)
