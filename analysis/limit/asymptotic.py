"""Limits without toys: a fixed threshold on the profile likelihood, and asymptotic CLs.

Right far from the bound and for many events; near s = 0 the thresholds are too large or too small
(see ``docs/limits.md``). CLs after Cowan, Cranmer, Gross & Vitells 2011, the statistic bounded.
"""

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from .constructions import POINTS, Effort, Outcome, accepted, no_band, profile_expected
from .count_expectation import ExpectedLimits
from .count_likelihood import profile_threshold
from .fit import Fitter, crossing
from .model import Floats
from .result import Curve

_SIGMAS = (-2.0, -1.0, 0.0, 1.0, 2.0)


def profile(fit: Fitter, cl: float, effort: Effort, *, sides: int) -> Outcome:
    """Signals with -2 Delta ln L below a threshold.

    Parameters
    ----------
    fit : Fitter
    cl : float
    effort : Effort
        Toys are for expected limits alone.
    sides : {1, 2}
        Threshold of 1.642 or 2.706 at 90 %; the lower end is 0 for one side.

    Returns
    -------
    Outcome
    """
    threshold = profile_threshold(cl, sides=sides)
    top = fit.reach(1.6 * threshold + 0.4)
    signals = np.union1d(np.linspace(0.0, top, POINTS), fit.best[:1])
    critical = np.full(len(signals), threshold)
    intervals = accepted(fit, signals, critical)
    if sides == 1:
        intervals = ((0.0, intervals[-1][1]),)
    statistic = fit.statistic(signals)
    # Of the unbounded statistic: chi-square, or half of it at one side.
    p = (2.0 if sides == 2 else 1.0) * ndtr(-np.sqrt(statistic))
    curve = Curve(signals, statistic, critical, p, 0.0 * signals, no_band(len(signals)))
    if not effort.expected:
        return Outcome(intervals, 0.0, None, curve)
    null = fit.asimov()
    reach = (np.sqrt(threshold) + 2.3) ** 2
    top = max(top, null.reach(reach))
    expected, made = profile_expected(fit, np.linspace(0.0, top, 2 * POINTS), threshold, effort)
    return Outcome(intervals, 0.0, expected, curve, *made)


def cls(fit: Fitter, cl: float, expected: bool) -> Outcome:
    """Asymptotic CLs upper limit; Asimov data have the nuisance parameters fitted at s = 0.

    Parameters
    ----------
    fit : Fitter
    cl : float
    expected : bool
        Whether to find the expected limits too.

    Returns
    -------
    Outcome
    """
    null = fit.asimov()

    def ratio(signals: Floats) -> Floats:
        observed = np.where(fit.best[0] <= signals, fit.statistic(signals), 0.0)
        return asymptotic_cls(observed, null.statistic(signals))

    def typical(sigma: float, signals: Floats) -> Floats:
        return np.asarray(ndtr(sigma - np.sqrt(null.statistic(signals))) / ndtr(sigma))

    def expected_at(sigma: float) -> float:
        return crossing(lambda signals: alpha - typical(sigma, signals), 0.0, top)

    # More than an experiment three standard deviations up needs.
    reach = (3.0 - float(ndtri(1.0 - cl))) ** 2
    top = max(null.reach(reach), fit.reach(reach))
    alpha = 1.0 - cl
    upper = crossing(lambda s: alpha - ratio(s), 0.0, top)
    limits, signals = None, np.linspace(0.0, 1.5 * upper, POINTS)
    band = no_band(POINTS)
    if expected:
        limits = ExpectedLimits(*map(expected_at, _SIGMAS))
        signals = np.linspace(0.0, max(1.5 * upper, 1.2 * limits.plus_two_sigma), 2 * POINTS)
        band = np.array([typical(sigma, signals) for sigma in _SIGMAS])
    nothing = np.full(len(signals), np.nan)
    curve = Curve(signals, fit.statistic(signals), nothing, ratio(signals), 0.0 * signals, band)
    return Outcome(((0.0, upper),), 0.0, limits, curve)


def asymptotic_cls(statistic: Floats, asimov: Floats) -> Floats:
    """CLs from the bounded one-sided statistic of data and Asimov data, each of shape (n,)."""
    root, size = np.sqrt(statistic), np.sqrt(asimov)
    # Rounding must not look like a large distance where no signal is tested.
    size = np.maximum(size, 1e-6)
    beyond = (statistic - asimov) / (2.0 * size)
    shifted = np.where(root <= size, root - size, beyond)
    return np.exp(log_ndtr(-(shifted + size)) - log_ndtr(-shifted))
