"""Limits by toys: Feldman-Cousins with profiled nuisance parameters, and CLs.

At every tested s, toys are drawn with the nuisance parameters that fit the data best there (profile
construction), their measurements included. Ordering and statistic are those of the profile
likelihood ratio with s_hat >= 0.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from .count_expectation import ExpectedLimits
from .count_likelihood import profile_threshold
from .drawing import hypothesis
from .fit import Fitter, crossing
from .model import Floats
from .result import Curve
from .toys import Experiment, Mapper, Toys, run

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
    """How much to do: toys per signal, of which as many for what is expected, seed, workers."""

    toys: int
    expected: int
    seed: int
    mapper: Mapper = map


def grid(fit: Fitter, threshold: float, expected: float) -> Floats:
    """Signals to test: those with a statistic below a threshold, the best one among them.

    And, if that is not 0, up to where a typical experiment has the statistic ``expected``.
    """
    high = crossing(lambda s: fit.statistic(s) - threshold, fit.best[0], fit.reach(threshold))
    low = 0.0
    if fit.statistic(np.zeros(1))[0] > threshold:
        # Towards 0, as seen from the best one.
        low = fit.best[0] - crossing(
            lambda d: fit.statistic(fit.best[0] - d) - threshold, 0.0, fit.best[0]
        )
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


def feldman_cousins(fit: Fitter, cl: float, effort: Effort) -> Outcome:
    """Feldman-Cousins interval with profiled nuisance parameters.

    Parameters
    ----------
    fit : Fitter
    cl : float
    effort : Effort

    Returns
    -------
    Outcome
        Critical values are interpolated between the tested signals, the statistic of the data is
        computed wherever it is needed.
    """
    threshold = 1.6 * profile_threshold(cl, sides=2) + 0.4
    # Up to an experiment two standard deviations up.
    reach = (math.sqrt(profile_threshold(cl, sides=2)) + 2.2) ** 2 if effort.expected else 0.0
    while True:
        points = fit.at(grid(fit, threshold, reach))
        signals, statistic = points[:, 0], fit.statistic(points[:, 0], points)
        made = [run(e, effort.toys, effort.mapper) for e in experiments(fit, points, effort.seed)]
        ordered = [np.sort(toys.t[0]) for toys in made]
        critical = np.array([_quantile(t, cl) for t in ordered])
        outside = statistic > critical
        if outside[-1] and (outside[0] or signals[0] == 0.0):
            break
        threshold *= 1.5
    p = np.array([np.mean(t >= own - TIE) for t, own in zip(ordered, statistic, strict=True)])
    intervals = accepted(fit, signals, critical)
    error = _error(fit, intervals[-1][1], signals, [_spread(t, cl) for t in ordered])
    null, expected = [], None
    if effort.expected:
        null.append(run(null_experiment(fit, points, effort.seed), effort.expected, effort.mapper))
        expected = _expected(signals, null[0].t, critical)
    curve = Curve(signals, statistic, critical, p, np.sqrt(p * (1.0 - p) / effort.toys))
    return Outcome(intervals, error, expected, curve, *_counts([*made, *null]))


def _quantile(ordered: Floats, cl: float) -> float:
    """Smallest value that at least a fraction ``cl`` of the toys do not exceed."""
    return float(ordered[min(math.ceil(cl * len(ordered)), len(ordered)) - 1])


def _spread(ordered: Floats, cl: float) -> float:
    """Monte Carlo error of a quantile, from its neighbours in the order."""
    step = math.sqrt(cl * (1.0 - cl) / len(ordered))
    high, low = _quantile(ordered, min(cl + step, 1.0)), _quantile(ordered, cl - step)
    return 0.5 * (high - low)


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


def _error(fit: Fitter, upper: float, signals: Floats, spreads: list[float]) -> float:
    """Monte Carlo error of an end: of the critical value there, over the slope of the statistic."""
    right = min(int(np.searchsorted(signals, upper)), len(signals) - 1)
    weight = (upper - signals[right - 1]) / (signals[right] - signals[right - 1])
    spread = math.hypot((1.0 - weight) * spreads[right - 1], weight * spreads[right])
    step = 1e-3 * fit.width
    low, high = fit.statistic(np.array([max(upper - step, 0.0), upper + step]))
    return float(spread * 2.0 * step / (high - low)) if high > low else math.nan


def _expected(signals: Floats, t: Floats, critical: Floats) -> ExpectedLimits:
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


def profile_expected(fit: Fitter, signals: Floats, threshold: float, effort: Effort) -> Outcome:
    """Expected limits of a method with one critical value for all signals."""
    points = fit.at(signals)
    null = run(null_experiment(fit, points, effort.seed), effort.expected, effort.mapper)
    expected = _expected(signals, null.t, np.full(len(signals), threshold))
    empty = Curve(*(np.zeros(0),) * 5)
    return Outcome((), 0.0, expected, empty, *_counts([null]))


def cls(fit: Fitter, cl: float, effort: Effort) -> Outcome:
    """CLs upper limit by toys, with the statistic that is 0 above the tested signal.

    Parameters
    ----------
    fit : Fitter
    cl : float
    effort : Effort

    Returns
    -------
    Outcome
        Expected limits are where the quantiles of CLs of toys without a moment cross 1 - cl.
    """
    threshold = 1.6 * profile_threshold(cl, sides=2) + 0.4
    reach = (2.2 - ndtri((1.0 - cl) * QUANTILES[-1])) ** 2 if effort.expected else 0.0
    while True:
        signals = grid(fit, threshold, reach)
        points = fit.at(signals[signals > 0.0])
        signals = points[:, 0]
        made = [run(e, effort.toys, effort.mapper) for e in experiments(fit, points, effort.seed)]
        null = run(null_experiment(fit, points, effort.seed), effort.toys, effort.mapper)
        observed = _one_sided(fit.statistic(signals, points), fit.best[0], signals)
        background = _one_sided(null.t, null.best, signals[:, None])
        both = [_one_sided(toys.t[0], toys.best, s) for toys, s in zip(made, signals, strict=True)]
        p_both = np.array([np.mean(q >= own - TIE) for q, own in zip(both, observed, strict=True)])
        p_null = np.mean(background >= observed[:, None] - TIE, axis=1)
        ratio = np.divide(p_both, p_null, out=np.zeros_like(p_both), where=p_null > 0.0)
        if ratio[-1] < 1.0 - cl:
            break
        threshold *= 1.5
    relative = [(1.0 - p) / np.maximum(p * effort.toys, 1.0) for p in (p_both, p_null)]
    errors = ratio * np.sqrt(sum(relative))
    upper, slope = _falls_to(signals, ratio, 1.0 - cl)
    error = float(np.interp(upper, signals, errors)) / abs(slope)
    expected = None
    if effort.expected:
        quantiles = _cls_quantiles(background, both)
        expected = ExpectedLimits(*(_falls_to(signals, row, 1.0 - cl)[0] for row in quantiles))
    nothing = np.full(len(signals), np.nan)
    curve = Curve(signals, observed, nothing, ratio, errors)
    counts = _counts([*made, null])
    return Outcome(((0.0, upper),), error, expected, curve, *counts)


def _one_sided(t: Floats, best: Floats | float, signals: Floats | float) -> Floats:
    return np.where(best <= signals, t, 0.0)


def _cls_quantiles(background: Floats, both: list[Floats]) -> Floats:
    """Quantiles of CLs of toys without a moment, at each signal: shape (5, signals)."""
    result = np.empty((len(QUANTILES), len(both)))
    for i, (null, signal) in enumerate(zip(background, both, strict=True)):
        p_null = 1.0 - np.searchsorted(np.sort(null), null - TIE) / len(null)
        p_both = 1.0 - np.searchsorted(np.sort(signal), null - TIE) / len(signal)
        result[:, i] = np.quantile(p_both / p_null, QUANTILES)
    return result


def _falls_to(signals: Floats, values: Floats, level: float) -> tuple[float, float]:
    """Last signal at which values fall to a level, straight in their logarithm; the slope there."""
    above: NDArray[np.int64] = np.flatnonzero(values > level)
    i = min(int(above[-1]), len(signals) - 2) if len(above) else 0
    tiny = 1e-12
    logs = np.log(np.maximum(values[i : i + 2], tiny))
    slope = (logs[1] - logs[0]) / (signals[i + 1] - signals[i])
    if slope >= 0.0:
        return float(signals[i + 1]), math.nan
    s = signals[i] + (math.log(level) - logs[0]) / slope
    return float(max(s, 0.0)), float(slope * level)


def _counts(made: list[Toys]) -> tuple[int, int, int]:
    fits = sum(toys.t.size + len(toys.best) for toys in made)
    return fits, sum(toys.fallback for toys in made), sum(toys.negative for toys in made)
