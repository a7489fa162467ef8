"""Damped Newton steps for one data set: slow, and to the precision of the machine."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

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
    found = _steps(model, data, start, fixed)
    if found is None:
        # Along a valley that bends and curves down, quadratic steps creep.
        found = _steps(model, data, _quasi_newton(model, data, start, fixed), fixed)
    if found is None:
        raise ArithmeticError(f"a fit did not converge in {_STEPS} Newton steps")
    return found


def _steps(model: Expectation, data: Data, start: Floats, fixed: bool) -> Floats | None:
    """Damped Newton steps until nothing is gained; None if they are too many."""
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
        if not np.isfinite(decrement):
            raise ArithmeticError("a fit went where its slope is not finite")
        if decrement < 1e-13:
            return x
        limit = -x[0] / direction[0] if free[0] and direction[0] < 0.0 else np.inf
        length = min(1.0, limit)
        while length * decrement >= 1e-13:
            trial = x + length * direction
            trial[0] = 0.0 if length == limit else max(trial[0], 0.0)
            new = objective(model, data, trial[None])[0][0]
            if new <= value - 1e-4 * length * decrement:
                x, value = trial, new
                break
            length *= 0.5
        else:
            return x
    return None


def _quasi_newton(model: Expectation, data: Data, start: Floats, fixed: bool) -> Floats:
    """Where a bounded quasi-Newton method ends, to go on from."""
    only = np.zeros(1, dtype=np.int64)
    bounds = [(start[0], start[0]) if fixed else (0.0, None), *[(None, None)] * (len(start) - 1)]
    found = minimize(
        lambda x: objective(model, data, x[None])[0][0],
        start,
        jac=lambda x: gradient(model, data, only, x[None])[0][0],
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 2000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return np.asarray(found.x)


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
