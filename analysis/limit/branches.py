"""Fits of models whose likelihood can have two minima: one from each side, the best one kept."""

import itertools

import numpy as np

from .engine import TOLERANCE, Fits, minimise
from .expectation import Expectation
from .likelihood import Data, objective
from .model import Floats

# Near: a start far out can slide into a third place.
_SIDE = 0.3
_BRANCHING = 2


def search(
    model: Expectation,
    data: Data,
    start: Floats,
    metric: Floats,
    *,
    fixed: bool,
    tolerance: float = TOLERANCE,
) -> Fits:
    """Fit every data set, again from the other side of each folded parameter, and keep the best.

    Parameters and result are those of :func:`.engine.minimise`.
    """
    first = minimise(model, data, start, metric, fixed=fixed, tolerance=tolerance)
    found = [first]
    for begin in turned(model, first.points):
        possible = np.isfinite(objective(model, data, begin)[0])
        begin = np.where(possible[:, None], begin, start)
        found.append(minimise(model, data, begin, metric, fixed=fixed, tolerance=tolerance))
    if len(found) == 1:
        return first
    best = np.argmin([fits.values for fits in found], axis=0)
    toys = np.arange(len(start))
    return Fits(
        np.array([fits.points for fits in found])[best, toys],
        np.array([fits.values for fits in found])[best, toys],
        np.sum([fits.evaluations for fits in found], axis=0),
        np.any([fits.fallback for fits in found], axis=0),
        np.array([fits.negative for fits in found])[best, toys],
    )


def turned(model: Expectation, points: Floats) -> list[Floats]:
    """Points on the other side of each folded parameter, and of all combinations of them."""
    folded = model.folded[:_BRANCHING]
    combinations = [c for n in range(len(folded)) for c in itertools.combinations(folded, n + 1)]
    result = []
    for positions in combinations:
        other = points.copy()
        for position in positions:
            other[:, position] = np.where(points[:, position] > 0.0, -_SIDE, _SIDE)
        result.append(other)
    return result
