"""Fits of one data set: the best s, the best nuisance parameters at given s, Asimov data."""

from collections.abc import Callable

import numpy as np

from fileset.errors import InputError

from .branches import search, turned
from .compiling import compiled
from .drawing import expectation_at
from .expectation import Expectation
from .likelihood import Data, best_factors, curvature, expectation, objective
from .model import BinnedModel, Floats
from .newton import newton

_PRECISE = 1e-13
_SINGULAR = 1e12
_CELLS = 24
_ROUNDS = 5
# In standard deviations; beyond the last, the statistic rises no more.
_DISTANCES = 2.0 * 1.5 ** np.arange(61)


class Fitter:
    """One data set with a model made ready.

    Parameters
    ----------
    model : Expectation
    data : Data
        With one row.

    Attributes
    ----------
    best : ndarray, shape (positions,)
        s_hat >= 0 and the nuisance parameters there.
    value : float
        -ln L there, relative to the saturated model.
    width : float
        Standard deviation of s from the curvature there, as if there were no bound.
    """

    def __init__(self, model: Expectation, data: Data) -> None:
        self.model, self.data = model, data
        first = newton(model, data, np.zeros(model.positions), fixed=False)
        others = [
            s for s in turned(model, first[None]) if np.isfinite(objective(model, data, s)[0])
        ]
        ends = [first, *(newton(model, data, other[0], fixed=False) for other in others)]
        values = [float(objective(model, data, end[None])[0][0]) for end in ends]
        self.best, self.value = ends[int(np.argmin(values))], min(values)
        fisher = curvature(model, expectation_at(model, self.best), self.best)
        scale = np.sqrt(np.maximum(np.diag(fisher), np.finfo(float).tiny))
        if np.linalg.cond(fisher / np.outer(scale, scale)) > _SINGULAR:
            raise np.linalg.LinAlgError("two parameters are one")
        inverse = np.linalg.inv(fisher)
        self.width = float(np.sqrt(inverse[0, 0]))

    @classmethod
    def of(cls, model: BinnedModel) -> "Fitter":
        """Fit the data of a model.

        Raises
        ------
        InputError
            Without data, or if a free parameter changes nothing.
        """
        if model.observed is None:
            raise InputError("the model has no data; give some, or BinnedModel.asimov()")
        ready = compiled(model)
        factors = np.ones((1, model.bins if ready.varied else 1))
        data = Data(model.observed[None], np.zeros((1, ready.positions)), factors)
        try:
            return cls(ready, data)
        except np.linalg.LinAlgError:
            raise InputError(
                "the parameters cannot be told apart: a free one changes nothing, or the same as "
                "another; remove it"
            ) from None

    def at(self, signals: Floats) -> Floats:
        """Best nuisance parameters at each s: shape (n,) to (n, positions)."""
        start = np.repeat(self.best[None], len(signals), axis=0)
        start[:, 0] = signals
        data = self.data.take(np.zeros(len(signals), dtype=np.int64))
        middle = start[len(signals) // 2]
        fisher = curvature(self.model, expectation_at(self.model, middle), middle)
        metric = np.asarray(np.linalg.inv(fisher), dtype=float)
        fits = search(self.model, data, start, metric, fixed=True, tolerance=_PRECISE)
        return fits.points

    def statistic(self, signals: Floats, points: Floats | None = None) -> Floats:
        """-2 ln [L(s) / L(s_hat)] with s_hat >= 0, at each s; shape (n,)."""
        points = self.at(signals) if points is None else points
        data = self.data.take(np.zeros(len(signals), dtype=np.int64))
        return np.maximum(2.0 * (objective(self.model, data, points)[0] - self.value), 0.0)

    def asimov(self, s: float = 0.0) -> "Fitter":
        """Data without fluctuations at a signal, with the nuisance parameters fitted at it."""
        point = self.at(np.array([s]))
        n = expectation(self.model, self.data, point)
        return Fitter(self.model, Data(n, point, best_factors(self.model, self.data, point)))

    def reach(self, threshold: float) -> float:
        """An s above the best one where the statistic is above a threshold.

        Raises
        ------
        InputError
            If there is none: the signal can vanish within its own uncertainties.
        """
        for distance in _DISTANCES:
            high = self.best[0] + distance * self.width
            try:
                statistic = self.statistic(np.array([high]))[0]
            # So far out that the steps of a fit lose all digits.
            except ArithmeticError:
                break
            if statistic > threshold:
                return float(high)
        raise InputError(
            f"no signal up to s = {high:g} is excluded: its own uncertainties are as large as the "
            "signal; leave the largest out, or make straight lines of them (--symmetrise)"
        )


def crossing(function: Callable[[Floats], Floats], low: float, high: float) -> float:
    """Largest root in an interval of a function that is above 0 at its end.

    Parameters
    ----------
    function : callable
        Of many points at once.
    low, high : float

    Returns
    -------
    float
        ``low`` if the function is above 0 all the way.
    """
    for _ in range(_ROUNDS):
        points = np.linspace(low, high, _CELLS + 1)
        values = function(points)
        below = np.flatnonzero(values <= 0.0)
        if not len(below):
            return float(low)
        i = min(int(below[-1]), _CELLS - 1)
        low, high = points[i], points[i + 1]
        rise = values[i + 1] - values[i]
        if high - low <= 1e-12 * max(abs(high), 1e-300) or rise <= 0.0:
            break
    return float(low - values[i] * (high - low) / rise if rise > 0.0 else high)
