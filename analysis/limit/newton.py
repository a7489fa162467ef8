"""Damped Newton steps for one data set: slow, and to the precision of the machine."""

import numpy as np
from numpy.typing import NDArray

from .expectation import Expectation
from .likelihood import Data, curvature, gradient, objective
from .model import Floats

_STEPS = 200
_DIFFERENCE = 1e-5
_FLAT = 0.01


def newton(model: Expectation, data: Data, start: Floats, *, fixed: bool) -> Floats:
    """Fit one data set by damped Newton steps to the precision of the machine.

    Parameters
    ----------
    model : Expectation
    data : Data
        With one row.
    start : ndarray, shape (positions,)
    fixed : bool
        Leave s where it starts; otherwise s >= 0.

    Returns
    -------
    ndarray, shape (positions,)

    Raises
    ------
    ArithmeticError
        If it does not converge.
    """
    x, only = start.copy(), np.zeros(1, dtype=np.int64)
    value = objective(model, data, x[None])[0][0]
    if not np.isfinite(value):
        raise ArithmeticError("a fit starts where its data have no probability")
    for _ in range(_STEPS):
        slope = gradient(model, data, only, x[None])[0][0]
        free = np.ones(len(x), dtype=bool)
        free[0] = not fixed and (x[0] > 0.0 or slope[0] < 0.0)
        hessian = second_derivatives(model, data, x)
        # Between two minima a direction may curve down.
        if not np.linalg.eigvalsh(hessian[np.ix_(free, free)]).min(initial=0.0) >= 0.0:
            hessian = _turned_up(hessian, curvature(model, data.n[0], x))
        direction = _newton_direction(hessian, slope, free)
        if free[0] and x[0] <= 0.0 and direction[0] < 0.0:
            free[0] = False
            direction = _newton_direction(hessian, slope, free)
        decrement = -slope @ direction
        if decrement < 1e-13:
            return x
        limit = -x[0] / direction[0] if free[0] and direction[0] < 0.0 else np.inf
        length = min(1.0, limit)
        while True:
            trial = x + length * direction
            trial[0] = 0.0 if length == limit else max(trial[0], 0.0)
            new = objective(model, data, trial[None])[0][0]
            if new <= value - 1e-4 * length * decrement:
                break
            length *= 0.5
            if length * decrement < 1e-13:
                return x
        x, value = trial, new
    raise ArithmeticError(f"a fit did not converge in {_STEPS} Newton steps")


def _turned_up(hessian: Floats, scale: Floats) -> Floats:
    """Second derivatives with a size but no sign: away from a ridge, and far where it is flat.

    Sizes are relative to those of a matrix that never curves down. Steps by that matrix alone would
    creep where the two nearly cancel.
    """
    size = np.sqrt(np.maximum(np.diag(scale), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(hessian / np.outer(size, size))
    sizes = np.maximum(np.abs(values), _FLAT)
    return np.asarray((vectors * sizes) @ vectors.T * np.outer(size, size))


def second_derivatives(model: Expectation, data: Data, x: Floats) -> Floats:
    """All second derivatives, from differences of the analytic gradient."""
    steps = _DIFFERENCE * np.eye(len(x))
    both = np.concatenate([x + steps, x - steps])
    slopes, _ = gradient(model, data, np.zeros(len(both), dtype=np.int64), both)
    half = (slopes[: len(x)] - slopes[len(x) :]) / (2.0 * _DIFFERENCE)
    return np.asarray(0.5 * (half + half.T))


def _newton_direction(hessian: Floats, slope: Floats, free: NDArray[np.bool_]) -> Floats:
    direction = np.zeros_like(slope)
    # Without any events a direction may have no curvature of its own.
    ridge = 1e-12 * np.eye(free.sum()) * max(float(np.trace(hessian)), 1e-300)
    direction[free] = -np.linalg.solve(hessian[np.ix_(free, free)] + ridge, slope[free])
    return direction
