"""Likelihood of one Poisson count with a background known to an absolute Gaussian uncertainty.

The model is ``n ~ Poisson(s + b)`` and ``aux ~ Normal(b, sigma)``, with ``s >= 0`` and ``b >= 0``;
``sigma = 0`` is the background known exactly. There are two ways to remove b: profiling
(`likelihood_ratio`) and averaging over a normal truncated at zero (`log_probability`).
Not for several bins or shapes: those are a model, not a count.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, kl_div, logsumexp, ndtr, ndtri, xlogy

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)
UNIT_NODES: Floats = (_NODES + 1.0) / 2.0
UNIT_WEIGHTS: Floats = _WEIGHTS / 2.0


class Count(NamedTuple):
    """One counting measurement.

    Attributes
    ----------
    n_obs : int
        Observed events.
    n_bkg : float
        Measured (expected) background, the observed value of ``aux`` [events].
    sigma_bkg : float
        Absolute Gaussian uncertainty of ``n_bkg``; 0 means known exactly [events].
    """

    n_obs: int
    n_bkg: float
    sigma_bkg: float


def conditional_background(n: ArrayLike, aux: ArrayLike, signal: ArrayLike, sigma: float) -> Floats:
    """Background that maximises the likelihood at a given signal.

    Parameters
    ----------
    n, aux, signal : array_like, broadcast against each other
        Count, background measurement and tested signal [events].
    sigma : float
        Uncertainty of ``aux`` [events].

    Returns
    -------
    ndarray of float
        b >= 0 [events].

    Notes
    -----
    mu = s + b is the positive root of mu^2 - (s + aux - sigma^2) mu - n sigma^2 = 0, unless that
    makes b negative.
    """
    n, aux, signal = (np.asarray(x, dtype=float) for x in (n, aux, signal))
    half = (signal + aux - sigma**2) / 2.0
    root = np.hypot(half, sigma * np.sqrt(n))
    # The textbook root cancels for half < 0; its conjugate does not.
    conjugate = n * sigma**2 / np.maximum(root - half, np.finfo(float).tiny)
    return np.maximum(np.where(half > 0.0, half + root, conjugate) - signal, 0.0)


def _deviance(n: Floats, aux: Floats, signal: Floats, sigma: float) -> Floats:
    """-2 ln L, profiled over b, relative to the saturated model."""
    background = conditional_background(n, aux, signal, sigma)
    pull = (aux - background) / sigma if sigma > 0.0 else 0.0
    return 2.0 * kl_div(n, signal + background) + pull**2


def likelihood_ratio(n: ArrayLike, aux: ArrayLike, signal: ArrayLike, sigma: float) -> Floats:
    """Profile likelihood ratio -2 ln [L(s) / L(s_hat)] with s_hat >= 0.

    Parameters
    ----------
    n, aux, signal : array_like, broadcast against each other
        Count, background measurement and tested signal [events].
    sigma : float
        Uncertainty of ``aux`` [events].

    Returns
    -------
    ndarray of float
        t_tilde >= 0; for fixed n and s it falls, then rises, with ``aux``.
    """
    n, aux, signal = (np.asarray(x, dtype=float) for x in (n, aux, signal))
    best = np.maximum(n - np.maximum(aux, 0.0), 0.0)
    difference = _deviance(n, aux, signal, sigma) - _deviance(n, aux, best, sigma)
    return np.maximum(difference, 0.0)


def profile_threshold(cl: float, *, sides: int) -> float:
    """Asymptotic threshold on -2 Delta ln L for one parameter.

    Parameters
    ----------
    cl : float
        Confidence level.
    sides : {1, 2}
        1: half chi-square at the boundary s >= 0 (Chernoff 1954), 1.642 at 90 %;
        2: chi-square, 2.706 at 90 %.

    Returns
    -------
    float
        Threshold; 0 for one side and ``cl`` below one half.
    """
    return float(max(ndtri(cl if sides == 1 else (1.0 + cl) / 2.0), 0.0)) ** 2


def profile_interval(count: Count, threshold: float) -> tuple[float, float]:
    """Both ends of the signals with -2 Delta ln L below a threshold.

    Parameters
    ----------
    count : Count
        The measurement.
    threshold : float
        Allowed -2 Delta ln L.

    Returns
    -------
    tuple of float
        Lower end (0 where the boundary is inside) and upper end [events].
    """

    def excess(signal: float) -> float:
        ratio = likelihood_ratio(count.n_obs, count.n_bkg, signal, count.sigma_bkg)
        return float(ratio) - threshold

    best = max(count.n_obs - count.n_bkg, 0.0)
    if threshold <= 0.0:
        return 0.0, best
    lower = find_root(excess, 0.0, best) if excess(0.0) > 0.0 else 0.0
    step = 1.0
    while excess(best + step) < 0.0:
        step *= 2.0
    return lower, find_root(excess, best, best + step)


def find_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Root of a scalar function that changes sign between two points."""
    return float(brentq(function, low, high, xtol=1e-12, rtol=1e-14))


def log_poisson(n: ArrayLike, mean: ArrayLike) -> Floats:
    """Logarithm of the Poisson probability of ``n`` at ``mean``, finite where that is not zero."""
    n, mean = np.asarray(n, dtype=float), np.asarray(mean, dtype=float)
    return xlogy(n, mean) - mean - gammaln(n + 1.0)


def log_probability(n: ArrayLike, signal: ArrayLike, n_bkg: float, sigma: float) -> Floats:
    """Logarithm of P(n | s), averaged over the background.

    Parameters
    ----------
    n, signal : array_like, broadcast against each other
        Count and signal [events].
    n_bkg, sigma : float
        Mean and width of the background's normal before truncation at zero [events].

    Returns
    -------
    ndarray of float
        ln of the average of Poisson(n; s + b) over b.

    Notes
    -----
    Gauss-Legendre quadrature around the most probable b, 9 widths down (the integrand is
    log-concave and falls fastest on that side) and up to where it is below exp(-40) of its peak.
    """
    n, signal = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(signal, dtype=float))
    if sigma == 0.0:
        return log_poisson(n, signal + n_bkg)
    mode = conditional_background(n, n_bkg, signal, sigma)
    mean = np.maximum(signal + mode, np.finfo(float).tiny)
    width = 1.0 / np.hypot(1.0 / sigma, np.sqrt(n) / mean)
    low = np.maximum(mode - 9.0 * width, 0.0)
    span = mode - low + _upper_reach(n, n_bkg, sigma, mode, mean, width)
    background = low[..., None] + span[..., None] * UNIT_NODES
    log_integrand = log_poisson(n[..., None], signal[..., None] + background)
    log_integrand -= ((background - n_bkg) / sigma) ** 2 / 2.0
    normalisation = math.log(math.sqrt(2.0 * math.pi) * sigma * ndtr(n_bkg / sigma))
    return logsumexp(log_integrand, b=UNIT_WEIGHTS, axis=-1) + np.log(span) - normalisation


def _upper_reach(
    n: Floats, n_bkg: float, sigma: float, mode: Floats, mean: Floats, width: Floats
) -> Floats:
    """Distance above the mode that holds the integral: the smallest of three sufficient ones."""
    gaussian = 9.0 * sigma
    poisson = 9.0 * width + 40.0 * np.maximum(1.0, mean / np.maximum(n, 1.0))
    # At a mode on the edge b = 0 there is a slope, and a log-concave function is below its tangent.
    slope = np.maximum(1.0 - n / mean - n_bkg / sigma**2, 1e-300)
    exponential = np.where(mode > 0.0, np.inf, 40.0 / slope)
    return np.minimum(np.minimum(gaussian, poisson), exponential)


def log_cumulative(n: int, signal: float, n_bkg: float, sigma: float) -> float:
    """Logarithm of P(N <= n | s), with the arguments of `log_probability`."""
    return float(logsumexp(log_probability(np.arange(n + 1), signal, n_bkg, sigma)))
