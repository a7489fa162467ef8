"""Is there something, and does the model fit at all: discovery and goodness of fit."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, ndtr

from .constructions import TIE, Effort, null_experiment
from .drawing import hypothesis
from .fit import Fitter
from .model import BinnedModel
from .toys import Experiment, Mapper, Store, with_workers

_BEST = 10_001


class DataTest(NamedTuple):
    """Result of a test of the data.

    Attributes
    ----------
    statistic : float
    degrees : int
        Of freedom, for the asymptotic p-value.
    p_value : float
        Asymptotic.
    p_toys, p_error : float or None
        By toys, and its Monte Carlo error; None without any.
    toys, seed : int
    convention : str
    """

    statistic: float
    degrees: int
    p_value: float
    p_toys: float | None
    p_error: float | None
    toys: int
    seed: int
    convention: str


def discovery(model: BinnedModel, effort: Effort) -> DataTest:
    """Test the hypothesis of no moment: q0 = -2 ln [L(0) / L(s_hat)] with s_hat >= 0.

    Parameters
    ----------
    model : BinnedModel
        With data.
    effort : Effort
        0 toys for the asymptotic p-value alone.

    Returns
    -------
    DataTest
        One-sided: only an excess counts; the number of standard deviations is sqrt(q0).
    """
    fit = Fitter.of(model)
    point = fit.at(np.zeros(1))
    q0 = float(fit.statistic(np.zeros(1), point)[0])
    made = null_experiment(fit, point, effort.seed)
    p, error = _by_toys(made, effort, q0, discovery=True)
    words = "one-sided, q0 with s_hat >= 0; asymptotic: half a chi-square; nuisances profiled"
    return DataTest(q0, 1, float(ndtr(-np.sqrt(q0))), p, error, effort.toys, effort.seed, words)


def goodness(model: BinnedModel, effort: Effort) -> DataTest:
    """Compare the best fit with the saturated model (Baker & Cousins 1984).

    Parameters
    ----------
    model : BinnedModel
        With data.
    effort : Effort
        0 toys for the asymptotic p-value alone.

    Returns
    -------
    DataTest
        The constraints count as data with a parameter each: the degrees of freedom are bins less
        free parameters less s. With few events per bin, or s_hat at its bound, only toys are right.
    """
    fit = Fitter.of(model)
    free = sum(parameter.constraint == "free" for parameter in model.parameters)
    degrees = max(model.bins - free - 1, 0)
    where = hypothesis(fit.model, fit.data, fit.best)
    made = Experiment(fit.model, where, (float(fit.best[0]),), fit.best[None], (effort.seed, _BEST))
    statistic = max(2.0 * fit.value, 0.0)
    p, error = _by_toys(made, effort, statistic, discovery=False)
    asymptotic = float(chdtrc(degrees, statistic)) if degrees else 1.0
    words = "saturated model, -2 ln L with its constraints; toys at the best fit"
    return DataTest(statistic, degrees, asymptotic, p, error, effort.toys, effort.seed, words)


def with_toys(
    function: Callable[[BinnedModel, Effort], DataTest],
    model: BinnedModel,
    *,
    toys: int = 10_000,
    seed: int = 1,
    workers: int | Executor = 1,
    store: Store | None = None,
) -> DataTest:
    """Call a test with threads or an executor; the parameters are those of a limit."""

    def work(mapper: Mapper) -> DataTest:
        return function(model, Effort(toys, 0, seed, mapper, 0, store))

    found: DataTest = with_workers(workers, work)
    return found


def _by_toys(
    experiment: Experiment, effort: Effort, statistic: float, *, discovery: bool
) -> tuple[float | None, float | None]:
    if not effort.toys:
        return None, None
    (toys,) = effort.run([experiment], effort.toys)
    p = float(np.mean((toys.t[0] if discovery else toys.deviance) >= statistic - TIE))
    return p, float(np.sqrt(p * (1.0 - p) / effort.toys))
