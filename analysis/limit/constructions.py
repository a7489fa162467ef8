"""What the constructions of limits by toys share: which signals to test, toys there, crossings.

At every tested s, toys are drawn with the nuisance parameters that fit the data best there (profile
construction), their measurements included. Ordering and statistic are those of the profile
likelihood ratio with s_hat >= 0.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from .count_expectation import ExpectedLimits
from .drawing import hypothesis
from .fit import Fitter, crossing
from .model import Floats
from .result import Curve
from .toys import Experiment, Mapper, Store, Toys, run_all

TIE = 1e-9
"""Statistics closer than this count as equal: rounding must not decide a tie."""

POINTS = 20
"""Tested signals where the limit can be; more beyond them, for what is expected."""

QUANTILES: Floats = ndtr([-2.0, -1.0, 0.0, 1.0, 2.0])

_NULL = 10_000


class Outcome(NamedTuple):
    """What a method finds: see :class:`.result.ModelLimit`."""

    intervals: tuple[tuple[float, float], ...]
    upper_error: float
    expected: ExpectedLimits | None
    curve: Curve
    fits: int = 0
    fallback: int = 0
    negative: int = 0


class Effort(NamedTuple):
    """How much to do, and where.

    Attributes
    ----------
    toys, expected : int
        Toys per tested signal, and those without a moment for what is expected.
    seed, first : int
        Seed, and number of the first toy.
    mapper : callable
    store : Store, optional
        See :func:`.toys.run_all`.
    """

    toys: int
    expected: int
    seed: int
    mapper: Mapper = map
    first: int = 0
    store: Store | None = None

    def run(self, experiments: list[Experiment], toys: int) -> list[Toys]:
        """Make the toys of some experiments."""
        return run_all(experiments, toys, self.mapper, first=self.first, store=self.store)


class Tested(NamedTuple):
    """Toys at the tested signals.

    Attributes
    ----------
    points : ndarray, shape (n, positions)
        Tested signals with the nuisance parameters that fit the data.
    statistic : ndarray, shape (n,)
        That of the data.
    toys : list of Toys
        At each signal.
    """

    points: Floats
    statistic: Floats
    toys: list[Toys]

    @property
    def signals(self) -> Floats:
        """Tested s, ascending; shape (n,)."""
        return np.asarray(self.points[:, 0])


def span(fit: Fitter, threshold: float) -> tuple[float, float]:
    """Signals where the statistic falls below a threshold and rises above it again; from 0."""
    high = crossing(lambda s: fit.statistic(s) - threshold, fit.best[0], fit.reach(threshold))
    low = 0.0
    if fit.statistic(np.zeros(1))[0] > threshold:
        # Towards 0, as seen from the best one.
        low = fit.best[0] - crossing(
            lambda d: fit.statistic(fit.best[0] - d) - threshold, 0.0, fit.best[0]
        )
    return low, high


def grid(fit: Fitter, threshold: float, expected: float) -> Floats:
    """Signals to test: those with a statistic below a threshold, the best one among them.

    And, if that is not 0, up to where a typical experiment has the statistic ``expected``.
    """
    low, high = span(fit, threshold)
    signals = np.union1d(np.linspace(low, high, POINTS), fit.best[:1])
    if expected:
        null = fit.asimov()
        top = crossing(lambda s: null.statistic(s) - expected, 0.0, null.reach(expected))
        signals = np.union1d(signals, [0.0])
        if top > high:
            step = max((high - low) / (POINTS - 1), (top - high) / POINTS)
            signals = np.union1d(
                signals, np.linspace(high, top, math.ceil((top - high) / step) + 1)
            )
    return signals


def experiments(fit: Fitter, points: Floats, seed: int) -> list[Experiment]:
    """Toys at each tested signal, tested there."""
    return [
        Experiment(
            fit.model,
            hypothesis(fit.model, fit.data, point),
            (float(point[0]),),
            point[None],
            (seed, number),
        )
        for number, point in enumerate(points)
    ]


def null_experiment(fit: Fitter, points: Floats, seed: int) -> Experiment:
    """Toys without a moment, tested at all signals."""
    where = hypothesis(fit.model, fit.data, fit.at(np.zeros(1))[0])
    return Experiment(fit.model, where, tuple(points[:, 0]), points, (seed, _NULL))


def toys_where_the_limit_is(
    fit: Fitter,
    effort: Effort,
    threshold: float,
    reach: float,
    enough: Callable[[Tested], bool],
    zero: bool,
) -> Tested:
    """Make toys at tested signals, in a range that grows until it holds the limit.

    Parameters
    ----------
    fit : Fitter
    effort : Effort
    threshold, reach : float
        See :func:`grid`; the threshold is that of the first range.
    enough : callable
        Whether the limit is inside.
    zero : bool
        Whether to test s = 0 too.
    """
    while True:
        signals = grid(fit, threshold, reach)
        points = fit.at(signals if zero else signals[signals > 0.0])
        made = effort.run(experiments(fit, points, effort.seed), effort.toys)
        found = Tested(points, fit.statistic(points[:, 0], points), made)
        if enough(found):
            return found
        threshold *= 1.5


def accepted(fit: Fitter, signals: Floats, critical: Floats) -> tuple[tuple[float, float], ...]:
    """Signals whose statistic is not above the critical value, as intervals."""

    def excess(s: Floats) -> Floats:
        return fit.statistic(s) - np.interp(s, signals, critical) - TIE

    fine = np.union1d(signals, (signals[:-1] + signals[1:]) / 2.0)
    inside = excess(fine) <= 0.0
    found: list[tuple[float, float]] = []
    start = fine[0]
    for i in range(1, len(fine)):
        a, b = fine[i - 1], fine[i]
        if inside[i] and not inside[i - 1]:
            middle = a + b
            # Seen from the other end: the first crossing and not the last.
            start = middle - crossing(lambda s: excess(middle - s), a, b)  # noqa: B023
        elif inside[i - 1] and not inside[i]:
            found.append((float(start), crossing(excess, a, b)))
    if inside[-1]:
        found.append((float(start), float(fine[-1])))
    return tuple(found)


def expected_ends(signals: Floats, t: Floats, critical: Floats) -> ExpectedLimits:
    """Quantiles of the upper limits of toys: t has the shape (signals, toys)."""
    ends = np.quantile(last_crossing(signals, t - critical[:, None]), QUANTILES)
    return ExpectedLimits(*map(float, ends))


def last_crossing(signals: Floats, excess: Floats) -> Floats:
    """Where each toy is last below 0, or the first signal: shape (signals, toys) to (toys,)."""
    toys = np.arange(excess.shape[1])
    below = excess <= 0.0
    last = len(signals) - 1 - np.argmax(below[::-1], axis=0)
    last = np.minimum(np.where(below.any(axis=0), last, 0), len(signals) - 2)
    a, b = excess[last, toys], excess[last + 1, toys]
    weight = np.clip(np.divide(-a, b - a, out=np.ones_like(a), where=b > a), 0.0, 1.0)
    weight[~below.any(axis=0)] = 0.0
    return signals[last] + weight * (signals[last + 1] - signals[last])


def exceeding(ordered: Floats, values: Floats) -> Floats:
    """Part of toys, ordered by their statistic, whose statistic is not below each value."""
    return 1.0 - np.searchsorted(ordered, values - TIE) / len(ordered)


def profile_expected(
    fit: Fitter, signals: Floats, threshold: float, effort: Effort
) -> tuple[ExpectedLimits, tuple[int, int, int]]:
    """Expected limits of a method with one critical value for all signals; counts of its fits."""
    points = fit.at(signals)
    null = effort.run([null_experiment(fit, points, effort.seed)], effort.expected)
    found = expected_ends(signals, null[0].t, np.full(len(signals), threshold))
    return found, counts(null)


def counts(made: list[Toys]) -> tuple[int, int, int]:
    """Fits, those by full Newton steps, those that ended below 0."""
    fits = sum(toys.t.size + len(toys.best) for toys in made)
    return fits, sum(toys.fallback for toys in made), sum(toys.negative for toys in made)


def no_band(n: int) -> Floats:
    """Band of a curve that has none."""
    return np.zeros((0, n))
