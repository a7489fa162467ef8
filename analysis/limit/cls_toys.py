"""CLs upper limits by toys, with the statistic that is 0 above the tested signal."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from .constructions import (
    QUANTILES,
    TIE,
    Effort,
    Outcome,
    Tested,
    counts,
    exceeding,
    no_band,
    null_experiment,
    toys_where_the_limit_is,
)
from .count_expectation import ExpectedLimits
from .count_likelihood import profile_threshold
from .fit import Fitter
from .model import Floats
from .result import Curve
from .toys import Toys


def cls(fit: Fitter, cl: float, effort: Effort) -> Outcome:
    """CLs upper limit by toys.

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
    alpha, nulls = 1.0 - cl, list[Toys]()

    def enough(found: Tested) -> bool:
        nulls[:] = effort.run([null_experiment(fit, found.points, effort.seed)], effort.toys)
        return bool(_ratio(fit, found, nulls[0], effort.toys)[0][-1] < alpha)

    reach = (2.2 - ndtri(alpha * QUANTILES[-1])) ** 2 if effort.expected else 0.0
    threshold = 1.6 * profile_threshold(cl, sides=2) + 0.4
    found = toys_where_the_limit_is(fit, effort, threshold, reach, enough, zero=False)
    signals, (null,) = found.signals, nulls
    ratio, errors = _ratio(fit, found, null, effort.toys)
    upper, slope = _falls_to(signals, ratio, alpha)
    error = float(np.interp(upper, signals, errors)) / abs(slope)
    expected, band = None, no_band(len(signals))
    if effort.expected:
        band = _bands(found, null)
        expected = ExpectedLimits(*(_falls_to(signals, row, alpha)[0] for row in band))
    nothing = np.full(len(signals), np.nan)
    curve = Curve(signals, found.statistic, nothing, ratio, errors, band)
    return Outcome(((0.0, upper),), error, expected, curve, *counts([*found.toys, null]))


def _ratio(fit: Fitter, found: Tested, null: Toys, toys: int) -> tuple[Floats, Floats]:
    """CLs of the data at each signal, and its Monte Carlo error."""
    signals = found.signals
    observed = _one_sided(found.statistic, fit.best[0], signals)
    p_null = np.mean(_one_sided(null.t, null.best, signals[:, None]) >= observed[:, None] - TIE, 1)
    both = [_one_sided(t.t[0], t.best, s) for t, s in zip(found.toys, signals, strict=True)]
    p_both = np.array([np.mean(q >= own - TIE) for q, own in zip(both, observed, strict=True)])
    ratio = np.divide(p_both, p_null, out=np.zeros_like(p_both), where=p_null > 0.0)
    relative = [(1.0 - p) / np.maximum(p * toys, 1.0) for p in (p_both, p_null)]
    return ratio, ratio * np.sqrt(sum(relative))


def _one_sided(t: Floats, best: Floats | float, signals: Floats | float) -> Floats:
    return np.where(best <= signals, t, 0.0)


def _bands(found: Tested, null: Toys) -> Floats:
    """Quantiles of CLs of toys without a moment, at each signal: shape (5, signals)."""
    result = np.empty((len(QUANTILES), len(found.toys)))
    for i, (toys, s) in enumerate(zip(found.toys, found.signals, strict=True)):
        own = _one_sided(null.t[i], null.best, s)
        both = exceeding(np.sort(_one_sided(toys.t[0], toys.best, s)), own)
        result[:, i] = np.quantile(both / exceeding(np.sort(own), own), QUANTILES)
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
