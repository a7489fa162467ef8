"""Coverage by toys: how often an interval holds the truth, the construction made anew in each."""

import math
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from fileset.errors import InputError

from .branches import search
from .compiling import compiled
from .constructions import TIE
from .count_likelihood import profile_threshold
from .drawing import Hypothesis, drawn, expectation_at, hypothesis, table_of
from .expectation import Expectation
from .likelihood import Data, curvature
from .model import BinnedModel, Floats
from .toys import Experiment, Mapper, run_all, with_workers

COVERING = ("fc", "profile_one_sided", "profile_two_sided")

_TRUTH = 30_000


class Coverage(NamedTuple):
    """Fraction of experiments whose interval holds the truth.

    Attributes
    ----------
    s : float
        The truth [(mu / unit)^2].
    fraction, error : float
        Its binomial error beside it.
    method : str
    confidence_level : float
    experiments, toys, seed : int
    """

    s: float
    fraction: float
    error: float
    method: str
    confidence_level: float
    experiments: int
    toys: int
    seed: int


def coverage(
    model: BinnedModel,
    s: float,
    *,
    cl: float,
    method: str = "fc",
    experiments: int = 400,
    toys: int = 1_000,
    seed: int = 1,
    workers: int | Executor = 1,
) -> Coverage:
    """Draw experiments at a truth and see in how many of them it is accepted.

    Parameters
    ----------
    model : BinnedModel
        Its nuisance parameters are 0 in truth; its data are not looked at.
    s : float
        Truth, >= 0 [(mu / unit)^2].
    cl : float
        Confidence level.
    method : str
        Of :data:`COVERING`. For ``fc``, toys are drawn in each experiment with the nuisance
        parameters that fit it.
    experiments, toys : int
        Toys are per experiment.
    seed : int
    workers : int or Executor

    Returns
    -------
    Coverage
    """
    if method not in COVERING:
        raise InputError(f"no coverage of {method!r}; expected {', '.join(COVERING)}")
    if not s >= 0.0:
        raise InputError(f"truth s = {s}, expected >= 0")
    ready = compiled(model)
    point = np.zeros(ready.positions)
    point[0] = s
    truth = Hypothesis(point, np.ones(model.bins if ready.varied else 1))
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_TRUTH,)))
    data = drawn(ready, truth, table_of(ready, truth), experiments, random)
    metric = np.asarray(np.linalg.inv(curvature(ready, expectation_at(ready, point), point)))
    start = np.repeat(point[None], experiments, axis=0)
    fixed = search(ready, data, start, metric, fixed=True)
    free = search(ready, data, fixed.points, metric, fixed=False)
    # A fit at fixed s bounds the other from above.
    t = 2.0 * (fixed.values - np.minimum(free.values, fixed.values))
    nested = toys if method == "fc" else 0
    if nested:
        made = [_nested(ready, data, fixed.points, i, seed) for i in range(experiments)]

        def work(mapper: Mapper) -> Floats:
            found = run_all(made, toys, mapper)
            return np.array([np.mean(f.t[0] >= own - TIE) for f, own in zip(found, t, strict=True)])

        inside = with_workers(workers, work) > 1.0 - cl
    else:
        sides = 1 if method == "profile_one_sided" else 2
        inside = t <= profile_threshold(cl, sides=sides)
        if sides == 1:
            inside |= free.points[:, 0] > s
    fraction = float(np.mean(inside))
    error = math.sqrt(max(fraction * (1.0 - fraction), cl * (1.0 - cl)) / experiments)
    return Coverage(
        s, fraction, error, method, cl, experiments, toys if method == "fc" else 0, seed
    )


def _nested(ready: Expectation, data: Data, points: Floats, i: int, seed: int) -> Experiment:
    own = data.take(np.array([i]))
    where = hypothesis(ready, own, points[i])
    return Experiment(ready, where, (float(points[i, 0]),), points[[i]], (seed, _TRUTH, i))
