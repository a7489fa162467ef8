"""Closed forms and exact sums that a result is compared with: significances, intervals, coverage.

For one count, or one Gaussian measurement; not for spectra with nuisance parameters.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import betainc, chdtri, gammaincinv, ndtr, ndtri, xlogy

from fileset.errors import InputError

from .count_likelihood import log_poisson
from .counting import count_limit

_TINY = 1e-9


def li_ma(n_on: float, n_off: float, tau: float) -> float:
    """Significance of an excess over a measured background (Li & Ma 1983, eq. 17).

    Parameters
    ----------
    n_on, n_off : float
        Counts with and without signal.
    tau : float
        Exposure off over exposure on.

    Returns
    -------
    float
        Standard deviations; below 0 for a deficit.

    Examples
    --------
    >>> round(li_ma(4, 5, 5.0), 4)
    1.9473
    """
    total = n_on + n_off
    on = xlogy(n_on, (1.0 + tau) * n_on / total)
    off = xlogy(n_off, (1.0 + tau) / tau * n_off / total)
    size = math.sqrt(max(2.0 * (on + off), 0.0))
    return size if n_on * tau >= n_off else -size


def z_bi(n_on: float, n_off: float, tau: float) -> float:
    """Significance of an excess by a binomial test (Cousins, Linnemann & Tucker 2008).

    Parameters are those of :func:`li_ma`; the counts need not be integer.

    Examples
    --------
    >>> round(z_bi(4, 5, 5.0), 4)
    1.6643
    """
    return float(-ndtri(betainc(n_on, n_off + 1.0, 1.0 / (1.0 + tau))))


def asimov_significance(signal: float, background: float, sigma: float = 0.0) -> float:
    """Median significance of a signal (Cowan et al. 2011; with an uncertainty, Cowan 2012).

    Parameters
    ----------
    signal, background : float
        Expected events.
    sigma : float
        Uncertainty of the background [events].

    Examples
    --------
    >>> round(asimov_significance(10, 100), 4), round(asimov_significance(10, 100, 10.9), 4)
    (0.984, 0.6594)
    """
    total = signal + background
    if sigma == 0.0:
        return math.sqrt(2.0 * (total * math.log1p(signal / background) - signal))
    variance = sigma**2
    first = total * math.log(total * (background + variance) / (background**2 + total * variance))
    ratio = variance * signal / (background * (background + variance))
    return math.sqrt(2.0 * (first - background**2 / variance * math.log1p(ratio)))


def garwood(n: int, cl: float) -> tuple[float, float]:
    """Central interval on the mean of a Poisson distribution (Garwood 1936).

    Examples
    --------
    >>> [round(end, 4) for end in garwood(0, 0.90)]
    [0.0, 2.9957]
    """
    alpha = 0.5 * (1.0 - cl)
    low = float(gammaincinv(n, alpha)) if n else 0.0
    return low, float(gammaincinv(n + 1.0, 1.0 - alpha))


def gaussian_interval(x: float, cl: float) -> tuple[float, float]:
    """Feldman-Cousins interval on a mean >= 0 that was measured with a standard deviation of 1.

    Examples
    --------
    >>> [round(end, 3) for end in gaussian_interval(-2.0, 0.90)]
    [0.0, 0.402]
    """

    def covered(mean: float) -> float:
        """Probability of what is more likely, relative to its best mean, than the measurement."""
        ratio = -0.5 * (x - mean) ** 2 + (0.5 * x**2 if x < 0.0 else 0.0)
        high = mean + math.sqrt(-2.0 * ratio)
        low = mean - math.sqrt(-2.0 * ratio)
        # Below 0 the best mean is 0: the ratio is exp(x mean - mean^2 / 2) there.
        if low < 0.0 and mean > 0.0:
            low = ratio / mean + 0.5 * mean
        return float(ndtr(high - mean) - ndtr(low - mean))

    best = max(x, 0.0)
    upper = brentq(lambda m: covered(m) - cl, best + _TINY, best + 10.0, xtol=1e-12)
    if best == 0.0 or covered(_TINY) <= cl:
        return 0.0, float(upper)
    return float(brentq(lambda m: covered(m) - cl, _TINY, best - _TINY, xtol=1e-12)), float(upper)


def monotone_upper(n: int, background: float, cl: float, step: float = 0.002) -> float:
    """Feldman-Cousins upper limit that never rises with the background, as in the table of 1998.

    The exact one, that of :func:`.counting.count_limit`, does: then less background would be better
    for a limit. This is the largest of all larger backgrounds.

    Parameters
    ----------
    n : int
        Observed events.
    background : float
        Expected events, known.
    cl : float
    step : float
        Of the backgrounds that are tried; the table takes some.

    Examples
    --------
    >>> round(monotone_upper(0, 2.0, 0.90), 2)  # 1.26 in the table, on a coarser grid
    1.27
    """
    tried = background + step * np.arange(round(1.5 / step) + 1)
    return max(count_limit(n, float(b), 0.0, cl=cl, method="fc").upper for b in tried)


def exact_coverage(
    s: float, background: float, cl: float, method: str, *, upper_only: bool = False
) -> float:
    """Probability that the interval of a count holds the true signal, by a sum over all counts.

    Parameters
    ----------
    s, background : float
        True signal and known background [events].
    cl : float
    method : str
        See :func:`.counting.count_limit`.
    upper_only : bool
        Whether only the upper end counts.

    Examples
    --------
    >>> round(exact_coverage(5.0, 3.0, 0.90, "fc"), 4)
    0.9234
    """
    mean = s + background
    counts = range(int(mean + 10.0 * math.sqrt(mean) + 20.0))
    limits = (count_limit(n, background, 0.0, cl=cl, method=method) for n in counts)
    inside = [s <= one.upper and (upper_only or one.lower <= s) for one in limits]
    return float(np.exp(log_poisson(np.array(counts), mean)) @ np.array(inside, dtype=float))


def chi_squares(observed: ArrayLike, expected: ArrayLike) -> Mapping[str, float]:
    """Distance of counts from their expectation, by four conventions.

    Parameters
    ----------
    observed, expected : array_like, shape (n,)
        Events; expected ones above 0.

    Returns
    -------
    dict of str to float
        ``baker_cousins``, the likelihood ratio to the saturated model; ``pearson`` with the
        expected, ``neyman`` with the observed variance (at least 1); ``cnp``, their combination
        3 / (1 / n + 2 / mu) (Ji et al. 2020), by Baker & Cousins for empty bins: there
        mu / 2 is its variance.

    Raises
    ------
    InputError
        If nothing is expected somewhere.
    """
    n, mu = np.asarray(observed, dtype=float), np.asarray(expected, dtype=float)
    if not (mu > 0.0).all():
        raise InputError("a bin expects nothing; merge bins")
    squares = (n - mu) ** 2
    filled = np.where(n > 0.0, n, 1.0)
    combined = np.where(n > 0.0, 3.0 / (1.0 / filled + 2.0 / mu), 0.5 * mu)
    return {
        "baker_cousins": float(2.0 * np.sum(mu - n + xlogy(n, filled / mu))),
        "pearson": float(np.sum(squares / mu)),
        "neyman": float(np.sum(squares / filled)),
        "cnp": float(np.sum(squares / combined)),
    }


def two_parameter_threshold(cl: float) -> float:
    """-2 Delta ln L of the line that holds two parameters.

    Examples
    --------
    >>> round(two_parameter_threshold(0.90), 3)
    4.605
    """
    return float(chdtri(2, 1.0 - cl))
