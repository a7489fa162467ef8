"""Fits of many data sets at once: quasi-Newton steps in one metric, s >= 0 by an active set.

Every toy starts in the metric of the Fisher information at its point of generation, factorised once
for all toys, and learns its own curvature from its gradients (limited-memory BFGS); a step costs
two matrix products for a whole block. A step is shortened where the slope along it has turned: no
logarithm is needed. A toy that is not done in time is fitted alone by damped Newton steps, and
counted.
"""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .expectation import Expectation, product
from .likelihood import Data, gradient, objective
from .model import Floats
from .newton import newton

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOLERANCE = 1e-8
"""Newton decrement at which a fit is done: -ln L is then within half of it of its minimum."""

_MEMORY = 12
_EVALUATIONS = 60
# Of -ln L, more than rounding.
_RISE = 1e-7
_RUNNING, _DONE, _FAILED = 0, 1, 2


class Fits(NamedTuple):
    """Result of fits.

    Attributes
    ----------
    points : ndarray, shape (toys, positions)
        s and the nuisance parameters.
    values : ndarray, shape (toys,)
        -ln L, relative to the saturated model.
    evaluations : ndarray of int, shape (toys,)
        Gradients that each took.
    fallback, negative : ndarray of bool, shape (toys,)
        Which were fitted by full Newton steps, and which ended where a bin expects less than
        nothing.
    """

    points: Floats
    values: Floats
    evaluations: Integers
    fallback: Bools
    negative: Bools


class _State(NamedTuple):
    """What is known of each toy between two gradients."""

    x: Floats
    g: Floats
    d: Floats
    t: Floats
    limit: Floats
    steps: Floats
    changes: Floats
    inverse: Floats
    alpha: Floats
    learnt: Integers
    tries: Integers
    bound: Bools
    fresh: Bools
    status: Integers


def _state(start: Floats, fixed: bool) -> _State:
    toys, positions = start.shape
    memory = (toys, _MEMORY, positions)
    return _State(
        x=start.copy(),
        g=np.zeros_like(start),
        d=np.zeros_like(start),
        t=np.ones(toys),
        limit=np.full(toys, np.inf),
        steps=np.zeros(memory),
        changes=np.zeros(memory),
        inverse=np.zeros(memory[:2]),
        alpha=np.zeros(memory[:2]),
        learnt=np.zeros(toys, dtype=np.int64),
        tries=np.zeros(toys, dtype=np.int64),
        bound=np.full(toys, fixed),
        fresh=np.ones(toys, dtype=np.bool_),
        status=np.zeros(toys, dtype=np.int64),
    )


@numba.njit(cache=True, nogil=True)
def _first_loop(state: _State, toys: Integers) -> Floats:
    """First half of the two-loop recursion: gradients less what the memory explains."""
    result = np.empty((len(toys), state.x.shape[1]))
    for k in range(len(toys)):
        i = toys[k]
        q = result[k]
        q[:] = state.g[i]
        if state.bound[i]:
            q[0] = 0.0
        for j in range(state.learnt[i] - 1, -1, -1):
            total = 0.0
            for p in range(len(q)):
                total += state.steps[i, j, p] * q[p]
            state.alpha[i, j] = state.inverse[i, j] * total
            for p in range(len(q)):
                q[p] -= state.alpha[i, j] * state.changes[i, j, p]
    return result


@numba.njit(cache=True, nogil=True)
def _plain(state: _State, i: int, metric: Floats) -> None:
    """Direction in the metric alone, with what was learnt forgotten."""
    state.learnt[i] = 0
    step = metric @ state.g[i]
    if state.bound[i]:
        step -= metric[0] * (step[0] / metric[0, 0])
        step[0] = 0.0
    state.d[i] = -step


@numba.njit(cache=True, nogil=True)
def _second_loop(state: _State, i: int, r: Floats, metric: Floats) -> None:
    if state.bound[i]:
        # Schur complement: the metric at fixed s.
        ratio = r[0] / metric[0, 0]
        for p in range(len(r)):
            r[p] -= metric[0, p] * ratio
        r[0] = 0.0
    for j in range(state.learnt[i]):
        total = 0.0
        for p in range(len(r)):
            total += state.changes[i, j, p] * r[p]
        total = state.alpha[i, j] - state.inverse[i, j] * total
        for p in range(len(r)):
            r[p] += total * state.steps[i, j, p]
    if state.bound[i]:
        r[0] = 0.0
    for p in range(len(r)):
        state.d[i, p] = -r[p]


@numba.njit(cache=True, nogil=True)
def _decrement(state: _State, i: int) -> float:
    total = 0.0
    for p in range(state.x.shape[1]):
        total -= state.g[i, p] * state.d[i, p]
    return total


@numba.njit(cache=True, nogil=True)
def _finish(state: _State, i: int, metric: Floats, fixed: bool, tolerance: float) -> None:
    """Call a toy done, unless it waits at s = 0 and a larger s is better."""
    slope = state.g[i, 0]
    if state.bound[i] and not fixed and slope < 0.0 and slope**2 * metric[0, 0] > tolerance:
        state.bound[i] = False
        _plain(state, i, metric)
    else:
        state.status[i] = _DONE


@numba.njit(cache=True, nogil=True)
def _propose(
    state: _State, toys: Integers, r: Floats, metric: Floats, fixed: bool, tolerance: float
) -> Floats:
    """Next point of each toy that is not done."""
    trial = np.empty_like(r)
    for k in range(len(toys)):
        i = toys[k]
        if state.fresh[i]:
            _second_loop(state, i, r[k], metric)
            if not state.bound[i] and state.x[i, 0] <= 0.0 and state.d[i, 0] < 0.0:
                state.bound[i] = True
                _plain(state, i, metric)
            if not _decrement(state, i) > 0.0:
                _plain(state, i, metric)
            if _decrement(state, i) < tolerance:
                _finish(state, i, metric, fixed, tolerance)
            state.limit[i] = np.inf
            if not state.bound[i] and state.d[i, 0] < 0.0:
                state.limit[i] = -state.x[i, 0] / state.d[i, 0]
            state.t[i] = min(1.0, state.limit[i])
        for p in range(r.shape[1]):
            trial[k, p] = state.x[i, p] + state.t[i] * state.d[i, p]
        if state.t[i] >= state.limit[i]:
            trial[k, 0] = 0.0
    return trial


@numba.njit(cache=True, nogil=True)
def _remember(state: _State, i: int, gradient: Floats) -> None:
    """Add what a step has shown of the curvature."""
    last = state.learnt[i]
    if last == state.steps.shape[1]:
        last -= 1
        for j in range(last):
            state.steps[i, j] = state.steps[i, j + 1]
            state.changes[i, j] = state.changes[i, j + 1]
            state.inverse[i, j] = state.inverse[i, j + 1]
    product, size = 0.0, 0.0
    for p in range(len(gradient)):
        step, change = state.t[i] * state.d[i, p], gradient[p] - state.g[i, p]
        if p == 0 and state.bound[i]:
            change = 0.0
        state.steps[i, last, p], state.changes[i, last, p] = step, change
        product += step * change
        size += change * change
    if product > 1e-14 * size:
        state.inverse[i, last] = 1.0 / product
        state.learnt[i] = last + 1
    else:
        state.learnt[i] = last


@numba.njit(cache=True, nogil=True)
def _judge(state: _State, toys: Integers, trial: Floats, gradients: Floats, valid: Bools) -> None:
    """Take each step, or shorten it."""
    for k in range(len(toys)):
        i = toys[k]
        before, after = -_decrement(state, i), 0.0
        for p in range(trial.shape[1]):
            after += gradients[k, p] * state.d[i, p]
        state.fresh[i] = valid[k] and after <= -0.5 * before
        if not state.fresh[i]:
            state.tries[i] += 1
            shorter = 0.3
            if valid[k]:
                shorter = min(max(before / (before - after), 0.1), 0.8)
            state.t[i] *= shorter
            continue
        _remember(state, i, gradients[k])
        state.x[i], state.g[i] = trial[k], gradients[k]
        if state.t[i] >= state.limit[i]:
            state.bound[i] = True
            state.learnt[i] = 0


def minimise(
    model: Expectation,
    data: Data,
    start: Floats,
    metric: Floats,
    *,
    fixed: bool,
    tolerance: float = TOLERANCE,
) -> Fits:
    """Fit every data set.

    Parameters
    ----------
    model : Expectation
    data : Data
    start : ndarray, shape (toys, positions)
        Where to start, with s >= 0.
    metric : ndarray, shape (positions, positions)
        Inverse of the Fisher information nearby.
    fixed : bool
        Leave s where it starts; otherwise s >= 0.
    tolerance : float
        See :data:`TOLERANCE`.

    Returns
    -------
    Fits
        Of all of them: none is dropped.
    """
    state = _state(start, fixed)
    toys = np.arange(len(start))
    used = np.ones(len(start), dtype=np.int64)
    state.g[:], valid = gradient(model, data, toys, state.x)
    state.status[~valid] = _FAILED
    for _ in range(_EVALUATIONS):
        toys = np.flatnonzero(state.status == _RUNNING)
        if not len(toys):
            break
        trial = _propose(
            state, toys, product(_first_loop(state, toys), metric), metric, fixed, tolerance
        )
        running = state.status[toys] == _RUNNING
        toys, trial = toys[running], trial[running]
        gradients, valid = gradient(model, data, toys, trial)
        used[toys] += 1
        _judge(state, toys, trial, gradients, valid)
    again = state.status != _DONE
    if not model.convex:
        # Steps that look at slopes alone may leave the valley.
        again |= objective(model, data, state.x)[0] > objective(model, data, start)[0] + _RISE
    for i in np.flatnonzero(again):
        own = data.take(np.array([i]))
        state.x[i] = newton(model, own, start[i], fixed=fixed)
    values, negative = objective(model, data, state.x)
    return Fits(state.x, values, used, again, negative)
