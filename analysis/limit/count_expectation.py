"""What a counting experiment expects to exclude, from exact sums over the possible counts.

The count varies, the expected background stays: every hypothetical experiment quotes the same
``n_bkg`` and ``sigma_bkg``. With an uncertain background the counts follow the Poisson distribution
averaged over it.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from .count_likelihood import Floats, log_probability
from .counting import METHODS, count_limit, validated_count

# Counts rarer than this change a mean limit by less than its printed digits.
_NEGLIGIBLE = 1e-8


class ExpectedLimits(NamedTuple):
    """Quantiles of the upper limit [signal events] at -2, -1, 0, +1, +2 standard deviations."""

    minus_two_sigma: float
    minus_one_sigma: float
    median: float
    plus_one_sigma: float
    plus_two_sigma: float


def expected_limits(
    n_bkg: float, sigma_bkg: float = 0.0, *, cl: float, method: str, signal: float = 0.0
) -> ExpectedLimits:
    """Median and bands of the upper limit in repeated experiments.

    Parameters
    ----------
    n_bkg, sigma_bkg, cl, method
        As in `count_limit`, for one method.
    signal : float
        Signal that the experiments contain [events].

    Returns
    -------
    ExpectedLimits
        Upper limits at the counts whose cumulative probability first reaches 2.3, 15.9, 50, 84.1
        and 97.7 %.

    Notes
    -----
    These are quantiles of the limit wherever it rises with the count: always, except for ``fc``
    with a background uncertainty near one half or more, where it can fall.
    """
    _refuse_all(method)
    n, probability = _experiments(n_bkg, sigma_bkg, signal)
    counts = n[np.searchsorted(np.cumsum(probability), ndtr([-2.0, -1.0, 0.0, 1.0, 2.0]))]
    limits = {k: count_limit(k, n_bkg, sigma_bkg, cl=cl, method=method).upper for k in set(counts)}
    return ExpectedLimits(*(limits[k] for k in counts))


def mean_upper_limit(
    n_bkg: float, sigma_bkg: float = 0.0, *, cl: float, method: str, signal: float = 0.0
) -> float:
    """Mean upper limit in repeated experiments: the sensitivity of Feldman & Cousins 1998.

    Parameters
    ----------
    n_bkg, sigma_bkg, cl, method, signal
        As in `expected_limits`.

    Returns
    -------
    float
        Mean of the upper limit [signal events].
    """
    _refuse_all(method)
    n, probability = _experiments(n_bkg, sigma_bkg, signal)
    kept = probability > _NEGLIGIBLE
    limits = [count_limit(k, n_bkg, sigma_bkg, cl=cl, method=method).upper for k in n[kept]]
    return float(np.average(limits, weights=probability[kept]))


def _refuse_all(method: str) -> None:
    if method == "all":
        raise ValueError(
            "method = 'all' has no expected limit; choose one of " + ", ".join(METHODS)
        )


def _experiments(n_bkg: float, sigma_bkg: float, signal: float) -> tuple[NDArray[np.int64], Floats]:
    """Counts that can happen, and their probabilities."""
    _, n_bkg, sigma_bkg = validated_count(0, n_bkg, sigma_bkg)
    if not (math.isfinite(signal) and signal >= 0.0):
        raise ValueError(
            f"signal = {signal} is not possible; expected a finite number >= 0 [events]"
        )
    mean = signal + n_bkg + 9.0 * sigma_bkg
    n = np.arange(math.ceil(mean + 9.0 * math.sqrt(mean) + 40.0))
    return n, np.exp(log_probability(n, signal, n_bkg, sigma_bkg))
