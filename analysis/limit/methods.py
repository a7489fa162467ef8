"""Every method of a limit from a model, by name, with its convention in words."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from fileset.errors import InputError, closest

from . import asymptotic, constructions
from .constructions import Effort, Outcome
from .count_likelihood import profile_threshold
from .fit import Fitter
from .model import BinnedModel
from .result import ModelLimit
from .toys import Mapper, with_workers

_PROFILED = "nuisance parameters profiled"
_CONSTRUCTION = (
    "toys with the nuisance parameters that fit the data at each s, their measurements varied"
)

_Method = Callable[[Fitter, float, Effort], Outcome]

METHODS: dict[str, tuple[_Method, str]] = {
    "fc": (
        constructions.feldman_cousins,
        "two-sided Feldman-Cousins interval, likelihood-ratio ordering with s >= 0; "
        f"{_CONSTRUCTION}",
    ),
    "cls": (
        constructions.cls,
        f"one-sided upper limit, CLs with q_tilde, s_hat >= 0; {_CONSTRUCTION}",
    ),
    "cls_asymptotic": (
        lambda fit, cl, effort: asymptotic.cls(fit, cl, effort.expected > 0),
        f"one-sided upper limit, CLs with q_tilde, asymptotic; {_PROFILED}",
    ),
    "profile_one_sided": (
        lambda fit, cl, effort: asymptotic.profile(fit, cl, effort, sides=1),
        "one-sided upper limit, -2 Delta ln L = {one:.3f} (half chi-square, s >= 0); "
        f"{_PROFILED}",
    ),
    "profile_two_sided": (
        lambda fit, cl, effort: asymptotic.profile(fit, cl, effort, sides=2),
        f"two-sided interval, -2 Delta ln L = {{two:.3f}} (chi-square); {_PROFILED}",
    ),
}
"""Name to what computes it, and the convention."""


def limit(
    model: BinnedModel,
    method: str = "fc",
    *,
    cl: float,
    toys: int = 10_000,
    expected: int = 1_000,
    seed: int = 1,
    workers: int | Executor = 1,
) -> ModelLimit:
    """Limit on s, and on the moment.

    Parameters
    ----------
    model : BinnedModel
        With data.
    method : str
        Of :data:`METHODS`.
    cl : float
        Confidence level; there is no default.
    toys : int
        Per tested signal.
    expected : int
        Toys without a moment for the expected limits; 0 for none.
    seed : int
        The same gives the same result to the last bit.
    workers : int or Executor
        Threads, or what has a ``map`` of its own.

    Returns
    -------
    ModelLimit

    Raises
    ------
    InputError
        For an unknown method, an impossible level or number, and without data.
    """
    if method not in METHODS:
        raise InputError(f"no method {method!r} for a model; {closest(method, METHODS)}")
    if not 0.5 <= cl < 1.0:
        raise InputError(f"confidence level {cl}, expected 0.5 <= cl < 1, such as 0.9")
    least = round(20.0 / (1.0 - cl))
    if toys < least or expected < 0:
        raise InputError(
            f"toys = {toys}, expected = {expected}; {100 * cl:g} % needs at least {least} toys"
        )
    function, words = METHODS[method]
    fit = Fitter.of(model)

    def work(mapper: Mapper) -> Outcome:
        return function(fit, cl, Effort(toys, expected, seed, mapper))

    found = work(workers.map) if isinstance(workers, Executor) else with_workers(workers, work)
    return _result(model, fit, found, method=method, cl=cl, words=words, toys=toys, seed=seed)


def _result(model: BinnedModel, fit: Fitter, found: Outcome, **facts: Any) -> ModelLimit:
    thresholds = {
        n: profile_threshold(facts["cl"], sides=i + 1) for i, n in enumerate(("one", "two"))
    }
    return ModelLimit(
        lower=found.intervals[0][0],
        upper=found.intervals[-1][1],
        intervals=found.intervals,
        best=float(fit.best[0]),
        upper_error=found.upper_error,
        expected=found.expected,
        method=facts["method"],
        convention=f"{100 * facts['cl']:g} % CL {facts['words'].format(**thresholds)}",
        confidence_level=facts["cl"],
        toys=facts["toys"] if facts["method"] in ("fc", "cls") else 0,
        seed=facts["seed"],
        fits=found.fits,
        fallback=found.fallback,
        negative=found.negative,
        curve=found.curve,
        unit=model.unit,
        pot=model.pot,
        affine=model.affine,
        origin=model.origin,
    )
