"""Feldman-Cousins intervals with profiled nuisance parameters, by toys."""

import math

import numpy as np

from .constructions import (
    QUANTILES,
    TIE,
    Effort,
    Outcome,
    Tested,
    accepted,
    counts,
    exceeding,
    expected_ends,
    no_band,
    null_experiment,
    toys_where_the_limit_is,
)
from .count_likelihood import profile_threshold
from .fit import Fitter
from .model import Floats
from .result import Curve


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

    def enough(found: Tested) -> bool:
        outside = found.statistic > [_quantile(np.sort(toys.t[0]), cl) for toys in found.toys]
        return bool(outside[-1] and (outside[0] or found.signals[0] == 0.0))

    two_sided = profile_threshold(cl, sides=2)
    # Up to an experiment two standard deviations up.
    reach = (math.sqrt(two_sided) + 2.2) ** 2 if effort.expected else 0.0
    found = toys_where_the_limit_is(fit, effort, 1.6 * two_sided + 0.4, reach, enough, zero=True)
    signals, statistic = found.signals, found.statistic
    ordered = [np.sort(toys.t[0]) for toys in found.toys]
    critical = np.array([_quantile(t, cl) for t in ordered])
    p = np.array([np.mean(t >= own - TIE) for t, own in zip(ordered, statistic, strict=True)])
    intervals = accepted(fit, signals, critical)
    error = _error(fit, intervals[-1][1], signals, [_spread(t, cl) for t in ordered])
    null, expected, band = [], None, no_band(len(signals))
    if effort.expected:
        null = effort.run([null_experiment(fit, found.points, effort.seed)], effort.expected)
        expected = expected_ends(signals, null[0].t, critical)
        parts = [exceeding(t, own) for t, own in zip(ordered, null[0].t, strict=True)]
        band = np.quantile(parts, QUANTILES, axis=1)
    errors = np.sqrt(p * (1.0 - p) / effort.toys)
    curve = Curve(signals, statistic, critical, p, errors, band)
    return Outcome(intervals, error, expected, curve, *counts([*found.toys, *null]))


def _quantile(ordered: Floats, cl: float) -> float:
    """Smallest value that at least a fraction ``cl`` of the toys do not exceed."""
    return float(ordered[min(math.ceil(cl * len(ordered)), len(ordered)) - 1])


def _spread(ordered: Floats, cl: float) -> float:
    """Monte Carlo error of a quantile, from its neighbours in the order."""
    step = math.sqrt(cl * (1.0 - cl) / len(ordered))
    high, low = _quantile(ordered, min(cl + step, 1.0)), _quantile(ordered, cl - step)
    return 0.5 * (high - low)


def _error(fit: Fitter, upper: float, signals: Floats, spreads: list[float]) -> float:
    """Monte Carlo error of an end: of the critical value there, over the slope of the statistic."""
    right = min(int(np.searchsorted(signals, upper)), len(signals) - 1)
    weight = (upper - signals[right - 1]) / (signals[right] - signals[right - 1])
    spread = math.hypot((1.0 - weight) * spreads[right - 1], weight * spreads[right])
    step = 1e-3 * fit.width
    low, high = fit.statistic(np.array([max(upper - step, 0.0), upper + step]))
    return float(spread * 2.0 * step / (high - low)) if high > low else math.nan
