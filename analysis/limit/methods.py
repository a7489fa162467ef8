"""Every method of a limit from a model, by name, with its convention in words."""

from collections.abc import Callable
from concurrent.futures import Executor

from fileset.errors import InputError, closest

from . import asymptotic
from .bayes import bayes
from .cls_toys import cls
from .constructions import Effort, Outcome
from .count_likelihood import profile_threshold
from .feldman_cousins_toys import feldman_cousins
from .fit import Fitter
from .model import BinnedModel
from .result import ModelLimit
from .toys import BLOCK, Mapper, Store, with_workers

_PROFILED = "nuisance parameters profiled"
_AVERAGED = "nuisance parameters averaged over their constraints, Monte Carlo factors by Laplace"
_CONSTRUCTION = (
    "toys with the nuisance parameters that fit the data at each s, their measurements varied"
)

_Method = Callable[[Fitter, float, Effort], Outcome]

METHODS: dict[str, tuple[_Method, str]] = {
    "fc": (
        feldman_cousins,
        "two-sided Feldman-Cousins interval, likelihood-ratio ordering with s >= 0; "
        f"{_CONSTRUCTION}",
    ),
    "cls": (
        cls,
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
    "bayes_s": (
        lambda fit, cl, effort: bayes(fit, cl, effort, prior="s"),
        f"one-sided Bayesian upper limit, prior flat in s (flat in mu^2); {_AVERAGED}",
    ),
    "bayes_mu": (
        lambda fit, cl, effort: bayes(fit, cl, effort, prior="mu"),
        f"one-sided Bayesian upper limit, prior flat in mu (1/sqrt(s) in s); {_AVERAGED}",
    ),
}
"""Name to what computes it, and the convention."""

SAMPLED = ("fc", "cls", "bayes_s", "bayes_mu")
"""Those whose limit itself has a Monte Carlo error."""


def limit(
    model: BinnedModel,
    method: str = "fc",
    *,
    cl: float,
    toys: int = 10_000,
    expected: int = 1_000,
    seed: int = 1,
    workers: int | Executor = 1,
    first_toy: int = 0,
    store: Store | None = None,
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
        Per tested signal; for Bayesian limits draws of the nuisance parameters.
    expected : int
        Toys without a moment for the expected limits; 0 for none.
    seed : int
        The same gives the same result to the last bit.
    workers : int or Executor
        Threads, or what has a ``map`` of its own, such as a dask cluster
        (:func:`processors.executors.open_executor`).
    first_toy : int
        Number of the first toy, a multiple of 256: others than those from 0 on.
    store : Store, optional
        Blocks of toys that were made before, and those that will be: see :mod:`.toys_file`.

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
    if first_toy < 0 or first_toy % BLOCK:
        raise InputError(f"first toy {first_toy}, expected a multiple of {BLOCK}")
    function, words = METHODS[method]
    fit = Fitter.of(model)

    def work(mapper: Mapper) -> Outcome:
        return function(fit, cl, Effort(toys, expected, seed, mapper, first_toy, store))

    effort = {"toys": toys if method in SAMPLED else 0, "expected_toys": expected, "seed": seed}
    if method == "cls_asymptotic":
        effort["expected_toys"] = 0
    elif method == "cls" and expected:
        effort["expected_toys"] = toys
    return _result(model, fit, with_workers(workers, work), method, cl, words, effort)


def _result(
    model: BinnedModel,
    fit: Fitter,
    found: Outcome,
    method: str,
    cl: float,
    words: str,
    effort: dict[str, int],
) -> ModelLimit:
    one, two = (profile_threshold(cl, sides=sides) for sides in (1, 2))
    return ModelLimit(
        lower=found.intervals[0][0],
        upper=found.intervals[-1][1],
        intervals=found.intervals,
        best=float(fit.best[0]),
        upper_error=found.upper_error,
        expected=found.expected,
        method=method,
        convention=f"{100 * cl:g} % CL {words.format(one=one, two=two)}",
        confidence_level=cl,
        fits=found.fits,
        fallback=found.fallback,
        negative=found.negative,
        curve=found.curve,
        unit=model.unit,
        pot=model.pot,
        affine=model.affine,
        origin=model.origin,
        **effort,
    )
