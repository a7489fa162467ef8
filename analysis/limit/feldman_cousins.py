"""Feldman-Cousins and related Neyman constructions for one count: exact sums, no toys.

With a known background the ends are breakpoints of the ordering or roots between them, found
without a grid. With an uncertain one the p-value is a sum over n of normal integrals over the
background measurement. A discrete count makes the accepted set of signals disconnected now and
then; its outermost ends are returned. Not for many bins: their ordering needs toys.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincc, ndtr, xlogy

from .count_likelihood import (
    Count,
    Floats,
    conditional_background,
    find_root,
    likelihood_ratio,
    log_poisson,
    log_probability,
    profile_interval,
)

# Statistics closer than this count as equal: rounding must not decide a tie.
TIE = 1e-9
_GRID_POINTS = 64
_BISECTIONS = 40


def known_background(count: Count, cl: float) -> tuple[float, float]:
    """Exact Feldman-Cousins interval for a background without uncertainty.

    Parameters
    ----------
    count : Count
        The measurement; ``sigma_bkg`` is ignored.
    cl : float
        Confidence level.

    Returns
    -------
    tuple of float
        Lower and upper end [signal events].

    Notes
    -----
    With mu = s + b, counts n and m rank equally at ln mu_m = (g(m) - g(n)) / (m - n), where
    g(n) = n ln n' - n' and n' = max(n, b); mu_m rises with m. Between two such breakpoints the
    counts ranked no higher than n_obs are N <= low or N > high, with low and high fixed, and their
    probability falls, then rises with mu: the accepted set can only end at a breakpoint or at one
    root between two of them.
    """
    alpha, b = 1.0 - cl, count.n_bkg
    edges, low, high = _ordering(count, alpha)
    left, right = (_outside(low, high, mean) > alpha for mean in (edges[:-1], edges[1:]))

    def root(cell: int) -> float:
        return find_root(
            lambda mean: float(_outside(low[cell], high[cell], mean)) - alpha,
            edges[cell],
            edges[cell + 1],
        )

    first, last = np.flatnonzero(left | right)[[0, -1]]
    lower = edges[first] if left[first] else root(first)
    upper = edges[last + 1] if right[last] else root(last)
    return float(lower - b), float(upper - b)


def _ordering(count: Count, alpha: float) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Breakpoints in mu, and the low and high of the counts ranked no higher between them."""
    n, b, _ = count
    # Chernoff: P(t >= T) <= 2 exp(-T / 2); and a breakpoint below mu belongs to an m < e mu.
    statistic = 2.0 * math.log(2.0 / alpha)
    largest_mean = b + profile_interval(Count(n, b, 0.0), statistic)[1]
    others = np.delete(np.arange(math.ceil(math.e * largest_mean) + 3), n)
    best, own = np.maximum(others, b), max(n, b)
    slopes = (xlogy(others, best) - best - xlogy(n, own) + own) / (others - n)
    cell = np.arange(others.size)
    low, high = np.where(cell < n, cell - 1, n), np.where(cell < n, n - 1, cell)
    return np.concatenate(([b], np.maximum(np.exp(slopes), b))), low, high


def _outside(low: ArrayLike, high: ArrayLike, mean: ArrayLike) -> Floats:
    """P(N <= low) + P(N > high), where low may be -1."""
    below = np.where(np.less(low, 0), 0.0, gammaincc(np.maximum(low, 0) + 1.0, mean))
    return below + gammainc(np.add(high, 1.0), mean)


def profile_p_value(
    count: Count, signal: ArrayLike, *, generated: float | None = None, one_sided: bool = False
) -> Floats:
    """Probability of a statistic at least as large as the observed one, as an exact sum.

    Parameters
    ----------
    count : Count
        The measurement, with ``sigma_bkg > 0``.
    signal : array_like of float, one dimension
        Tested signals [events].
    generated : float, optional
        Signal that the experiments contain [events]; by default the tested one.
    one_sided : bool
        Use q_tilde (zero where the fit exceeds the tested signal) instead of t_tilde.

    Returns
    -------
    ndarray of float
        P(t >= t_obs). The experiments contain the background that fits the observed data best at
        the generated signal; the count and the background measurement both vary.

    Notes
    -----
    At fixed n the statistic falls, then rises with the measurement, turning at max(n - s, 0): the
    measurements with a smaller statistic are one interval, found by bisection.
    """
    s = np.asarray(signal, dtype=float)[:, None]
    n_obs, aux, sigma = count
    observed = likelihood_ratio(n_obs, aux, s, sigma) - TIE
    true_signal = s if generated is None else np.full_like(s, generated)
    background = conditional_background(n_obs, aux, true_signal, sigma)
    mean = true_signal + background
    n = _possible_counts(mean.min(), mean.max())
    turn = np.maximum(n - s, 0.0)

    def measured_below_crossing(outer: Floats) -> Floats:
        inner = turn
        for _ in range(_BISECTIONS):
            middle = (inner + outer) / 2.0
            beyond = likelihood_ratio(n, middle, s, sigma) >= observed
            inner, outer = np.where(beyond, inner, middle), np.where(beyond, middle, outer)
        return ndtr((outer - background) / sigma)

    smaller = measured_below_crossing(np.maximum(background + 10.0 * sigma, turn))
    if one_sided:
        reached = likelihood_ratio(n, turn, s, sigma) < observed
        smaller = np.where(reached & (n_obs - aux < s), smaller, 0.0)
    else:
        smaller = smaller - measured_below_crossing(np.minimum(background - 10.0 * sigma, turn))
    return 1.0 - np.sum(np.exp(log_poisson(n, mean)) * smaller, axis=1)


def profile_construction(count: Count, cl: float) -> tuple[float, float]:
    """Feldman-Cousins interval with the background profiled.

    Arguments and result as in `known_background`.

    Notes
    -----
    For sigma_bkg -> 0 this does not tend to `known_background`: a measurement that varies at all
    separates experiments with equal counts, and only about half of P(n_obs) enters the p-value.
    """
    if count.sigma_bkg == 0.0:
        return known_background(count, cl)
    window = profile_interval(count, _excluding_statistic(1.0 - cl))
    best = max(count.n_obs - count.n_bkg, 0.0)
    return _accepted_range(lambda s: profile_p_value(count, s), best, window, 1.0 - cl)


def marginal_construction(count: Count, cl: float) -> tuple[float, float]:
    """Feldman-Cousins interval with the background averaged (POLE).

    Arguments and result as in `known_background`.
    """
    if count.sigma_bkg == 0.0:
        return known_background(count, cl)
    background = count.n_bkg, count.sigma_bkg
    window = profile_interval(count, 2.0 * _excluding_statistic(1.0 - cl))
    smallest = max(window[0] + count.n_bkg - 9.0 * count.sigma_bkg, 0.0)
    largest = window[1] + count.n_bkg + 9.0 * count.sigma_bkg
    n = _possible_counts(min(smallest, count.n_obs), largest)
    best = _best_marginal_signal(n, *background)
    log_best = log_probability(n, best, *background)
    observed = int(np.flatnonzero(n == count.n_obs)[0])

    def p_value(signal: float) -> float:
        log_p = log_probability(n, signal, *background)
        log_ratio = log_p - log_best
        return float(np.exp(log_p) @ (log_ratio <= log_ratio[observed] + TIE))

    def p_values(signal: Floats) -> Floats:
        return np.array([p_value(s) for s in signal])

    return _accepted_range(p_values, float(best[observed]), window, 1.0 - cl)


def _possible_counts(smallest_mean: float, largest_mean: float) -> NDArray[np.int64]:
    """Counts outside which the Poisson probability is negligible for any mean of a range."""
    reach = 8.0 * math.sqrt(largest_mean) + 20.0
    return np.arange(max(math.floor(smallest_mean - reach), 0), math.ceil(largest_mean + reach))


def _best_marginal_signal(n: NDArray[np.int64], n_bkg: float, sigma: float) -> Floats:
    """Signals that maximise P(n | s), whose slope in s is P(n - 1 | s) - P(n | s); zero or more."""
    low, high = np.zeros(n.size), n.astype(float)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        lesser = log_probability(np.maximum(n - 1, 0), middle, n_bkg, sigma)
        rising = lesser > log_probability(n, middle, n_bkg, sigma)
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return low


def _excluding_statistic(alpha: float) -> float:
    """Statistic above which no signal is accepted, whatever the background.

    t <= t_n + z^2, with P(t_n >= x) <= 2 exp(-x / 2) (Chernoff) and z the pull of the measurement.
    """

    def bound(z: float) -> float:
        density = math.exp(-(z**2) / 2.0) / math.sqrt(2.0 * math.pi)
        return 2.0 * z * density + 2.0 * float(ndtr(-z))

    return find_root(lambda z: bound(z) - alpha, 0.0, 40.0) ** 2 + 2.0 * math.log(2.0)


def _accepted_range(
    p_value: Callable[[Floats], Floats], best: float, window: tuple[float, float], alpha: float
) -> tuple[float, float]:
    """Outermost signals with a p-value above alpha, on both sides of the best fit."""
    lower, upper = (_outermost(p_value, best, outside, alpha) for outside in window)
    return lower, upper


def _outermost(
    p_value: Callable[[Floats], Floats], inside: float, outside: float, alpha: float
) -> float:
    """Accepted signal closest to ``outside``.

    The p-value is not monotone: a coarse scan finds the last accepted stretch, a fine one its end.
    """
    ends = inside, outside
    for _ in range(2):
        grid = np.linspace(*ends, _GRID_POINTS)
        last = int(np.flatnonzero(p_value(grid) > alpha)[-1])
        if last == grid.size - 1:
            return float(grid[-1])
        ends = float(grid[last]), float(grid[min(last + 2, grid.size - 1)])
    return find_root(
        lambda s: float(p_value(np.array([s]))[0]) - alpha, float(grid[last]), float(grid[last + 1])
    )
