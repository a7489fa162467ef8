"""Expectation of a model and its derivatives, for many points at once.

``nu = Z(s, theta) @ matrix``: each row of the matrix is a nominal or a change, summed over the
samples that s and the normalisations multiply alike, and Z holds what multiplies it. All of the
work for many toys is then two matrix products per step, whatever the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from fileset.errors import InputError

from .model import BinnedModel, Floats

_LINEAR, _CODE0, _CODE4P = 0, 1, 2
_SIDES = (-0.8, 0.8)
_BRANCHING = 2
# In squared standard deviations of the counts, and relative to the part that changes sign.
_SEEN, _BENT = 0.02, 0.1
# Multiplications; OpenBLAS takes one thread below 262144.
_PIECE = 250_000
_KINDS = {"linear": _LINEAR, "code0": _CODE0, "code4p": _CODE4P}


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
    if kind == _LINEAR:
        return theta, 1.0
    if kind == _CODE4P and abs(theta) < 1.0:
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
    """

    matrix: Floats
    varied: int
    how: Map
    relative: Floats
    constrained: Floats
    folded: tuple[int, ...] = ()

    @property
    def positions(self) -> int:
        """Number of parameters with s, which is the first."""
        return len(self.constrained)

    def branches(self, start: Floats) -> list[Floats]:
        """Points to start fits from: this one, and each combination of sides."""
        starts = [start]
        for position in self.folded[:_BRANCHING]:
            starts = [s.copy() for s in starts for _ in _SIDES]
            for i, branch in enumerate(starts):
                branch[:, position] = _SIDES[i % len(_SIDES)]
        return [start, *starts] if self.folded else starts

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


def compiled(model: BinnedModel) -> Expectation:
    """Make a model ready for fits.

    Raises
    ------
    InputError
        If a normalisation is not positive at +-1 standard deviation.
    """
    statistics = bool(model.mc_relative.any())
    even = (model.up + model.down) / 2.0
    odd = (model.up - model.down) / 2.0
    bent = [j for j, p in enumerate(model.parameters) if p.shape != "linear" and even[j].any()]
    positions = [*range(len(model.parameters)), *bent]
    kinds = [_LINEAR] * len(model.parameters) + [_KINDS[model.parameters[j].shape] for j in bent]
    changes = np.concatenate([odd, even[bent]])
    groups: dict[tuple[bool, bytes, bytes], list[int]] = {}
    # What the Monte Carlo factors multiply comes first.
    for p in sorted(range(len(model.samples)), key=lambda p: model.samples[p].signal):
        key = (model.samples[p].signal, model.high[:, p].tobytes(), model.low[:, p].tobytes())
        groups.setdefault(key, []).append(p)
    rows: list[tuple[int, int]] = []
    contents: list[Floats] = []
    for number, members in enumerate(groups.values()):
        for feature in range(-1, len(changes)):
            source = model.nominal if feature < 0 else changes[feature]
            content = source[members].sum(axis=0)
            if content.any() or feature < 0:
                rows.append((number, feature))
                contents.append(content)
    signal = [key[0] for key in groups]
    varied = sum(not signal[group] for group, _ in rows) if statistics else 0
    how = Map(
        np.array([group for group, _ in rows], dtype=np.int64),
        np.array([feature for _, feature in rows], dtype=np.int64),
        np.array(positions, dtype=np.int64) + 1,
        np.array(kinds, dtype=np.int64),
        np.array(signal),
        *_factors(model, [members[0] for members in groups.values()]),
    )
    constrained = [0.0] + [float(p.constraint == "normal") for p in model.parameters]
    return Expectation(
        np.array(contents),
        varied,
        how,
        model.mc_relative,
        np.array(constrained),
        _folded(model, even, odd, bent),
    )


def _folded(model: BinnedModel, even: Floats, odd: Floats, bent: list[int]) -> tuple[int, ...]:
    """Parameters whose sides go the same way by more than the data can overlook."""
    background = model.background
    weight = np.divide(1.0, background, out=np.zeros_like(background), where=background > 0.0)

    def size(change: Floats) -> float:
        return float((change[~model.is_signal].sum(axis=0) ** 2 * weight).sum())

    sizes = {j + 1: size(even[j]) for j in bent}
    chosen = [j + 1 for j in bent if sizes[j + 1] > max(_SEEN, _BENT * size(odd[j]))]
    return tuple(sorted(chosen, key=lambda position: -sizes[position]))


def _factors(
    model: BinnedModel, samples: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Normalisations of the samples that stand for each group."""
    groups, positions, values = [], [], []
    for group, sample in enumerate(samples):
        for j, parameter in enumerate(model.parameters):
            high, low = model.high[j, sample], model.low[j, sample]
            if high == 1.0 and low == 1.0:
                continue
            line = parameter.factor == "linear"
            if not line and not (high > 0.0 and low > 0.0):
                raise InputError(
                    f"parameter {parameter.name!r}: normalisation {high:g} and {low:g}, expected "
                    "> 0; make it linear"
                )
            groups.append(group)
            positions.append(j + 1)
            code = [0.0] * 6 if line else list(code4_coefficients(high, low))
            values.append([0.0 if line else 1.0, high, low, *code])
    return (
        np.array(groups, dtype=np.int64),
        np.array(positions, dtype=np.int64),
        np.array(values, dtype=float).reshape(-1, 9),
    )


def code4_coefficients(high: float, low: float) -> Floats:
    """Coefficients of theta to theta^6 between -1 and 1, as in pyhf's code 4.

    The polynomial and its first two derivatives meet ``high^theta`` at 1 and ``low^-theta`` at -1.
    """
    log_high, log_low = np.log(high), np.log(low)
    target = [
        high - 1.0,
        low - 1.0,
        high * log_high,
        -low * log_low,
        high * log_high**2,
        low * log_low**2,
    ]
    orders = np.arange(1, 7)
    sign = np.where(orders % 2 == 0, 1.0, -1.0)
    curvature = orders * (orders - 1.0)
    matrix = [np.ones(6), sign, orders, -orders * sign, curvature, curvature * sign]
    return np.linalg.solve(np.array(matrix, dtype=float), np.array(target))
