"""Expectation of a model and its derivatives, for many points at once.

``nu = Z(s, theta) @ matrix``: each row of the matrix is a nominal or a change, summed over the
samples that s and the normalisations multiply alike, and Z holds what multiplies it. All of the
work for many toys is then two matrix products per step, whatever the model.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .model import Floats

LINEAR, CODE0, CODE4P = 0, 1, 2
# Multiplications; OpenBLAS takes one thread below 262144.
_PIECE = 250_000


class Map(NamedTuple):
    """How Z depends on (s, theta); positions of parameters count from 0 at s.

    Attributes
    ----------
    row_group, row_feature : ndarray of int, shape (rows,)
        What multiplies a row; feature -1 is 1.
    feature_position, feature_kind : ndarray of int, shape (features,)
        Parameter, and whether the feature is it or the even part of an interpolation.
    signal : ndarray of bool, shape (groups,)
        Whether a group is multiplied by s.
    factor_group, factor_position : ndarray of int, shape (factors,)
        Each normalisation.
    factor_values : ndarray, shape (factors, 9)
        1 for code 4 and 0 for a line; at +1; at -1; coefficients of theta to theta^6.
    """

    row_group: NDArray[np.int64]
    row_feature: NDArray[np.int64]
    feature_position: NDArray[np.int64]
    feature_kind: NDArray[np.int64]
    signal: NDArray[np.bool_]
    factor_group: NDArray[np.int64]
    factor_position: NDArray[np.int64]
    factor_values: Floats


@numba.njit(cache=True, nogil=True)
def _feature(kind: int, theta: float) -> tuple[float, float]:
    """Feature of a parameter and its derivative."""
    if kind == LINEAR:
        return theta, 1.0
    if kind == CODE4P and abs(theta) < 1.0:
        square = theta * theta
        value = square * (15.0 - 10.0 * square + 3.0 * square * square) / 8.0
        return value, theta * (30.0 - 40.0 * square + 18.0 * square * square) / 8.0
    return abs(theta), (1.0 if theta >= 0.0 else -1.0)


@numba.njit(cache=True, nogil=True)
def _factor(values: Floats, theta: float) -> tuple[float, float]:
    """Normalisation and its derivative."""
    if values[0] == 0.0:
        return 1.0 + theta * (values[1] - 1.0), values[1] - 1.0
    if theta >= 1.0:
        power = values[1] ** theta
        return power, power * np.log(values[1])
    if theta <= -1.0:
        power = values[2] ** (-theta)
        return power, -power * np.log(values[2])
    value, slope = 0.0, 0.0
    for order in range(6, 0, -1):
        slope = slope * theta + order * values[2 + order]
        value = (value + values[2 + order]) * theta
    return 1.0 + value, slope


@numba.njit(cache=True, nogil=True)
def _multipliers(x: Floats, how: Map, value: Floats, slope: Floats) -> None:
    """Fill what multiplies each group at a point, and its derivatives (groups, positions)."""
    slope[:] = 0.0
    for group in range(len(how.signal)):
        value[group] = x[0] if how.signal[group] else 1.0
        slope[group, 0] = 1.0 if how.signal[group] else 0.0
    for i in range(len(how.factor_group)):
        group, position = how.factor_group[i], how.factor_position[i]
        f, df = _factor(how.factor_values[i], x[position])
        for other in range(slope.shape[1]):
            slope[group, other] *= f
        slope[group, position] += value[group] * df
        value[group] *= f


@numba.njit(cache=True, nogil=True)
def rows_at(points: Floats, how: Map) -> Floats:
    """Z at each point: shape (n, positions) to (n, rows)."""
    rows, features = len(how.row_group), len(how.feature_kind)
    groups = len(how.signal)
    result = np.empty((len(points), rows))
    multiplier, slope = np.empty(groups), np.empty((groups, points.shape[1]))
    feature = np.empty(features)
    for i in range(len(points)):
        _multipliers(points[i], how, multiplier, slope)
        for j in range(features):
            feature[j] = _feature(how.feature_kind[j], points[i, how.feature_position[j]])[0]
        for row in range(rows):
            j = how.row_feature[row]
            result[i, row] = multiplier[how.row_group[row]] * (feature[j] if j >= 0 else 1.0)
    return result


@numba.njit(cache=True, nogil=True)
def pulled_back(points: Floats, how: Map, gradient: Floats) -> Floats:
    """Derivatives by the parameters from those by Z: shape (n, rows) to (n, positions)."""
    groups, features = len(how.signal), len(how.feature_kind)
    result = np.zeros(points.shape)
    multiplier, slope = np.empty(groups), np.empty((groups, points.shape[1]))
    by_group, by_feature = np.empty(groups), np.empty(features)
    feature, derivative = np.empty(features), np.empty(features)
    for i in range(len(points)):
        _multipliers(points[i], how, multiplier, slope)
        for j in range(features):
            position = how.feature_position[j]
            feature[j], derivative[j] = _feature(how.feature_kind[j], points[i, position])
        by_group[:], by_feature[:] = 0.0, 0.0
        for row in range(len(how.row_group)):
            group, j = how.row_group[row], how.row_feature[row]
            by_group[group] += gradient[i, row] * (feature[j] if j >= 0 else 1.0)
            if j >= 0:
                by_feature[j] += gradient[i, row] * multiplier[group]
        for j in range(features):
            result[i, how.feature_position[j]] += by_feature[j] * derivative[j]
        for group in range(groups):
            for position in range(points.shape[1]):
                if slope[group, position] != 0.0:
                    result[i, position] += by_group[group] * slope[group, position]
    return result


def product(rows: Floats, matrix: Floats) -> Floats:
    """Matrix product in pieces that BLAS does not share among threads.

    Its threads cost more than they save here, and give other last bits for another number of them.
    """
    size = max(1, min(_PIECE // max(matrix.size, 1), len(rows)))
    count = -(-len(rows) // size)
    padded = np.zeros((count * size, rows.shape[1]))
    padded[: len(rows)] = rows
    pieces = np.matmul(padded.reshape(count, size, rows.shape[1]), matrix)
    return np.asarray(pieces.reshape(count * size, matrix.shape[1])[: len(rows)])


@dataclass(frozen=True)
class Expectation:
    """A model made ready for fits.

    Attributes
    ----------
    matrix : ndarray, shape (rows, bins)
    varied : int
        Rows that the Monte Carlo factor of a bin multiplies; they come first.
    how : Map
    relative : ndarray, shape (bins,)
        Relative uncertainty of that factor.
    constrained : ndarray, shape (positions,)
        1 for a parameter with a normal constraint; 0 for a free one and for s.
    folded : tuple of int
        Positions of parameters whose two sides go the same way, the largest first: the likelihood
        can have a minimum on each side.
    convex : bool
        Whether the likelihood has one minimum.
    """

    matrix: Floats
    varied: int
    how: Map
    relative: Floats
    constrained: Floats
    folded: tuple[int, ...] = ()
    convex: bool = False

    @property
    def positions(self) -> int:
        """Number of parameters with s, which is the first."""
        return len(self.constrained)

    def parts(self, points: Floats) -> tuple[Floats, Floats]:
        """Expectation that the Monte Carlo factors multiply, and the rest; shapes (n, bins)."""
        rows = rows_at(points, self.how)
        rest = product(rows[:, self.varied :], self.matrix[self.varied :])
        if not self.varied:
            return np.zeros((1, 1)), rest
        return product(rows[:, : self.varied], self.matrix[: self.varied]), rest

    def jacobian(self, point: Floats) -> Floats:
        """Derivatives of the expectation at Monte Carlo factors of 1; shape (positions, bins)."""
        count = len(self.matrix)
        points = np.broadcast_to(point, (count, len(point))).copy()
        return product(pulled_back(points, self.how, np.eye(count)).T, self.matrix)
