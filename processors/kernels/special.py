"""Special functions of the kernels, in float64 and without loss of digits where they are used.

Scalar and compiled, for use inside kernels, where scipy's cannot be called.
"""

import math

from numba import njit


@njit(cache=True, error_model="numpy")
def atanh_excess(z: float) -> float:
    """atanh(z) - z for 0 <= z <= 0.1 [1], by its series: all terms are positive."""
    z2 = z * z
    tail = 1 / 9 + z2 * (1 / 11 + z2 * (1 / 13 + z2 * (1 / 15 + z2 * (1 / 17 + z2 / 19))))
    return z * z2 * (1 / 3 + z2 * (1 / 5 + z2 * (1 / 7 + z2 * tail)))


@njit(cache=True, error_model="numpy")
def atanh_over_argument_excess(z: float, complement: float) -> float:
    """atanh(z) / z - 1 for 0 < z < 1 [1], given ``complement = sqrt(1 - z**2)`` with all digits."""
    if z < 0.1:
        return atanh_excess(z) / z
    return math.log((1.0 + z) / complement) / z - 1.0


@njit(cache=True, error_model="numpy")
def small_dilogarithm(x: float) -> float:
    """Li2(x) for 0 <= x <= 1/2 [1]: series in u = -ln(1 - x), terms B_2n u^(2n+1) / (2n+1)!."""
    u = -math.log1p(-x)
    v = u * u
    tail = 1 / 1120863744000 - v * (3617 / 181400588328960000)
    tail = 1 / 526901760 + v * (-691 / 16999766784000 + v * tail)
    tail = 1 / 211680 + v * (-1 / 10886400 + v * tail)
    return u - 0.25 * v + u * v * (1 / 36 + v * (-1 / 3600 + v * tail))


@njit(cache=True, error_model="numpy")
def dilogarithm(x: float) -> float:
    """Li2(x), minus the integral of ln(1 - t) / t from 0 to x, for 0 <= x <= 1 [1]."""
    if x > 0.5:
        rest = 1.0 - x
        crossed = math.log(x) * math.log(rest) if rest > 0.0 else 0.0
        return math.pi**2 / 6.0 - crossed - small_dilogarithm(rest)
    return small_dilogarithm(x)
