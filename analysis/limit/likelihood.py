"""Negative logarithm of the likelihood of many data sets, profiled over the Monte Carlo factors.

``sum(nu - n + n ln(n / nu)) + sum((theta - aux)^2) / 2``, and per bin a factor beta on the
background a, nu = beta a + c, with ``(beta - beta_aux)^2 / (2 r^2)``. The best beta has a closed
form: nu is the positive root of ``nu^2 - q nu = n v`` with ``v = (r a)^2``, ``q = beta_aux a + c -
v``.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .expectation import Expectation, product, pulled_back
from .model import Floats


class Data(NamedTuple):
    """Data sets, one per row.

    Attributes
    ----------
    n : ndarray, shape (toys, bins)
        Events.
    aux : ndarray, shape (toys, positions)
        Measured nuisance parameters; the entry of s and of free ones is not looked at.
    factors : ndarray, shape (toys, bins), or (1, 1) without Monte Carlo factors
        Measured Monte Carlo factors.
    """

    n: Floats
    aux: Floats
    factors: Floats

    def take(self, toys: NDArray[np.int64]) -> "Data":
        """Some of them."""
        # Of one bin, those of one data set have the shape of none.
        each = len(self.factors) == len(self.n)
        return Data(self.n[toys], self.aux[toys], self.factors[toys] if each else self.factors)


@numba.njit(cache=True, nogil=True, inline="always")
def _profiled(n: float, a: float, c: float, factor: float, relative: float) -> float:
    """Expectation at the best Monte Carlo factor."""
    variance = (relative * a) ** 2
    if n == 0.0:
        # A straight line, below 0 too: a wall there would stop a fit short of its minimum.
        return factor * a + c - variance
    half = 0.5 * (factor * a + c - variance)
    root = np.sqrt(half * half + n * variance)
    if half > 0.0:
        return half + root
    # The textbook root cancels here; its conjugate does not.
    return n * variance / max(root - half, 1e-300)


@numba.njit(cache=True, nogil=True, inline="always")
def _slope(n: float, nu: float) -> float:
    """Derivative of nu - n ln nu."""
    return 1.0 - n / (nu if nu > 0.0 else 1.0) if n > 0.0 else 1.0


@numba.njit(cache=True, nogil=True)
def _residuals(nu: Floats, n: Floats, toys: NDArray[np.int64], valid: NDArray[np.bool_]) -> None:
    """Replace nu by 1 - n / nu; say where there is no likelihood."""
    for k in range(len(toys)):
        row, good = toys[k], True
        for i in range(nu.shape[1]):
            value, count = nu[k, i], n[row, i]
            if count > 0.0:
                good = good and value > 0.0
                nu[k, i] = 1.0 - count / (value if value > 0.0 else 1.0)
            else:
                nu[k, i] = 1.0
        valid[k] = good


@numba.njit(cache=True, nogil=True)
def _profiled_residuals(
    a: Floats,
    c: Floats,
    data: Data,
    relative: Floats,
    toys: NDArray[np.int64],
    valid: NDArray[np.bool_],
) -> None:
    """Replace a and c by the derivatives by them."""
    for k in range(len(toys)):
        row, good = toys[k], True
        for i in range(a.shape[1]):
            n, own, factor = data.n[row, i], a[k, i], data.factors[row, i]
            nu = _profiled(n, own, c[k, i], factor, relative[i])
            good = good and (n == 0.0 or nu > 0.0)
            c[k, i] = _slope(n, nu)
            # At its best, the factor balances its constraint.
            a[k, i] = (factor - relative[i] ** 2 * own * c[k, i]) * c[k, i]
        valid[k] = good


def gradient(
    model: Expectation, data: Data, toys: NDArray[np.int64], points: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Derivatives by (s, theta) of some data sets, each at its own point.

    Parameters
    ----------
    model : Expectation
    data : Data
    toys : ndarray of int, shape (n,)
        Rows of the data.
    points : ndarray, shape (n, positions)

    Returns
    -------
    gradient : ndarray, shape (n, positions)
    valid : ndarray of bool, shape (n,)
        False where something observed has no probability.
    """
    a, c = model.parts(points)
    valid = np.empty(len(toys), dtype=np.bool_)
    if model.varied:
        _profiled_residuals(a, c, data, model.relative, toys, valid)
        own = product(a, model.matrix[: model.varied].T)
        rows = np.concatenate([own, product(c, model.matrix[model.varied :].T)], axis=1)
    else:
        _residuals(c, data.n, toys, valid)
        rows = product(c, model.matrix.T)
    result = pulled_back(points, model.how, rows)
    result += model.constrained * (points - data.aux[toys])
    return result, valid


@numba.njit(cache=True, nogil=True)
def _values(
    a: Floats, c: Floats, data: Data, relative: Floats, varied: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    result, negative = np.zeros(len(c)), np.zeros(len(c), dtype=np.bool_)
    for k in range(len(c)):
        total = 0.0
        for i in range(c.shape[1]):
            n, nu = data.n[k, i], c[k, i]
            if varied:
                nu = _profiled(n, a[k, i], nu, data.factors[k, i], relative[i])
                total += 0.5 * (relative[i] * a[k, i] * _slope(n, nu)) ** 2
            negative[k] = negative[k] or nu < 0.0
            total += nu - n
            if n > 0.0:
                total += n * np.log(n / nu) if nu > 0.0 else np.inf
        result[k] = total
    return result, negative


def objective(model: Expectation, data: Data, points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """-ln L relative to the saturated model, every data set at its own point.

    Returns
    -------
    value : ndarray, shape (toys,)
    negative : ndarray of bool, shape (toys,)
        Whether some bin expects less than nothing: the changes are too large for a straight line.
    """
    a, c = model.parts(points)
    values, negative = _values(a, c, data, model.relative, model.varied > 0)
    pulls = model.constrained * (points - data.aux) ** 2
    return values + 0.5 * pulls.sum(axis=1), negative


def curvature(model: Expectation, n: Floats, point: Floats) -> Floats:
    """Second derivatives at a point for data n, without those of the expectation itself.

    Exact where the expectation is linear in the parameters; with ``n`` the expectation it is the
    Fisher information. Shape (positions, positions).
    """
    a, c = model.parts(point[None])
    jacobian = model.jacobian(point)
    variance = (model.relative * a[0]) ** 2 if model.varied else np.zeros_like(model.relative)
    ones = np.ones_like(c)
    whole = c[0] + (a[0] if model.varied else 0.0)
    nu = whole
    if model.varied:
        nu = expectation(model, Data(n[None], ones, ones), point[None])[0]
    safe = np.where(nu > 0.0, nu, 1.0)
    weight = np.where(nu > 0.0, n / (safe**2 + n * variance), 0.0)
    return np.asarray(product(jacobian * weight, jacobian.T) + np.diag(model.constrained))


@numba.njit(cache=True, nogil=True)
def _expectations(a: Floats, c: Floats, data: Data, relative: Floats) -> Floats:
    result = np.empty_like(c)
    for k in range(len(c)):
        for i in range(c.shape[1]):
            factor = data.factors[k, i]
            result[k, i] = _profiled(data.n[k, i], a[k, i], c[k, i], factor, relative[i])
    return result


def expectation(model: Expectation, data: Data, points: Floats) -> Floats:
    """Expected events with the best Monte Carlo factors of each data set; shape (toys, bins)."""
    a, c = model.parts(points)
    return _expectations(a, c, data, model.relative) if model.varied else c


def best_factors(model: Expectation, data: Data, points: Floats) -> Floats:
    """Best Monte Carlo factors; shape (toys, bins), or (1, 1) without any."""
    if not model.varied:
        return np.ones((1, 1))
    a, c = model.parts(points)
    nu = _expectations(a, c, data, model.relative)
    slope = np.where(data.n > 0.0, 1.0 - data.n / np.where(nu > 0.0, nu, 1.0), 1.0)
    return np.asarray(data.factors - model.relative**2 * a * slope)
