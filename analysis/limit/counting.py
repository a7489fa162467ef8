"""Limits from one observed count: a family of exact methods, each with its convention in words.

The count is Poisson with mean signal plus background; the background is known exactly or to an
absolute Gaussian uncertainty. Not for spectra, several channels or an uncertain signal efficiency.
"""

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, overload

import numpy as np
from scipy.special import ndtr

from fileset.html import html_table

from .count_likelihood import (
    UNIT_NODES,
    UNIT_WEIGHTS,
    Count,
    conditional_background,
    find_root,
    likelihood_ratio,
    log_cumulative,
    log_probability,
    profile_interval,
    profile_threshold,
)
from .feldman_cousins import (
    marginal_construction,
    profile_construction,
    profile_p_value,
)

# A smaller background uncertainty [events] changes no limit, but its square underflows.
_NO_SIGMA = 1e-9

METHODS = (
    "fc",
    "classical",
    "cls",
    "bayes_s",
    "bayes_mu",
    "profile_one_sided",
    "profile_two_sided",
)


@dataclass(frozen=True)
class CountLimit:
    """Interval on the number of signal events.

    Attributes
    ----------
    lower, upper : float
        Ends of the interval [signal events]; ``lower`` is 0 for every upper-limit method.
    method : str
        Name of the method.
    convention : str
        One- or two-sided, ordering or prior, and how the background uncertainty enters, in words.
    confidence_level : float
        Confidence level or posterior probability.
    n_obs : int
        Observed events.
    n_bkg, sigma_bkg : float
        Expected background and its absolute uncertainty [events].
    """

    lower: float
    upper: float
    method: str
    convention: str
    confidence_level: float
    n_obs: int
    n_bkg: float
    sigma_bkg: float

    def _repr_html_(self) -> str:
        rows = [
            ("signal events", f"{self.lower:.4g} to {self.upper:.4g}"),
            ("confidence level", self.confidence_level),
            ("method", self.method),
            ("convention", self.convention),
            ("observed", self.n_obs),
            ("background", f"{self.n_bkg:.4g} \N{PLUS-MINUS SIGN} {self.sigma_bkg:.3g}"),
        ]
        return html_table("limit from a count", ("", ""), rows)


def _classical(count: Count, cl: float) -> tuple[float, float]:
    return 0.0, _tail_limit(count, math.log(1.0 - cl))


def _cls(count: Count, cl: float) -> tuple[float, float]:
    background_only = log_cumulative(count.n_obs, 0.0, count.n_bkg, count.sigma_bkg)
    return 0.0, _tail_limit(count, math.log(1.0 - cl) + background_only)


def _tail_limit(count: Count, log_tail: float) -> float:
    """Signal at which ln P(N <= n_obs) falls to a value; zero if it starts below."""
    n, *background = count
    return _falling_root(lambda s: log_cumulative(n, s, *background) - log_tail)


def _falling_root(function: Callable[[float], float]) -> float:
    """Root of a function that falls with the signal; zero if it starts below zero."""
    if function(0.0) <= 0.0:
        return 0.0
    high = 1.0
    while function(high) > 0.0:
        high *= 2.0
    return find_root(function, 0.0, high)


def _bayes(count: Count, cl: float, power: int) -> tuple[float, float]:
    """Posterior quantile for a prior flat in x, with s = x**power."""
    n, *background = count
    # Outside -2 Delta ln L = 100 the posterior holds less than 1e-20.
    low, high = (end ** (1.0 / power) for end in profile_interval(count, 100.0))
    peak = log_probability(n, max(n - count.n_bkg, 0.0), *background)

    def mass(x: float) -> float:
        signal = (low + (x - low) * UNIT_NODES) ** power
        likelihood = np.exp(log_probability(n, signal, *background) - peak)
        return float((x - low) * (UNIT_WEIGHTS @ likelihood))

    total = mass(high)
    return 0.0, find_root(lambda x: mass(x) - cl * total, low, high) ** power


def _profile_one_sided(count: Count, cl: float) -> tuple[float, float]:
    return 0.0, profile_interval(count, profile_threshold(cl, sides=1))[1]


def _profile_two_sided(count: Count, cl: float) -> tuple[float, float]:
    return profile_interval(count, profile_threshold(cl, sides=2))


def _cls_asymptotic(count: Count, cl: float) -> tuple[float, float]:
    """CLs of q_tilde with the formulae of Cowan et al. 2011; Asimov background fitted at s = 0."""
    n, aux, sigma = count
    asimov = conditional_background(n, aux, 0.0, sigma)

    def excess(signal: float) -> float:
        if signal <= n - aux:
            return cl
        root = math.sqrt(likelihood_ratio(n, aux, signal, sigma))
        root_asimov = math.sqrt(likelihood_ratio(asimov, asimov, signal, sigma))
        # Beyond the Asimov value q_tilde has another distribution, because the fit is held at zero.
        beyond = (root**2 - root_asimov**2) / (2.0 * root_asimov) if root > root_asimov else 0.0
        shifted = min(root, root_asimov) + beyond
        return float(ndtr(-shifted) / ndtr(root_asimov - shifted)) - (1.0 - cl)

    return 0.0, _falling_root(excess)


def _profile_tail(count: Count, cl: float, *, divide: bool) -> tuple[float, float]:
    """Construction with q_tilde and a profiled background; CLs divides by P without signal."""
    if count.sigma_bkg == 0.0:
        return (_cls if divide else _classical)(count, cl)

    def excess(signal: float) -> float:
        # At s = 0 every experiment has q_tilde = 0; the limit from above is what counts.
        tested = [max(signal, 1e-9)]
        tail = profile_p_value(count, tested, one_sided=True)[0]
        without = profile_p_value(count, tested, generated=0.0, one_sided=True)[0]
        return float(tail / without if divide else tail) - (1.0 - cl)

    return 0.0, _falling_root(excess)


class _Method(NamedTuple):
    interval: Callable[[Count, float], tuple[float, float]]
    ordering: str
    background: str


_AVERAGED = "averaged over a normal truncated at 0"
_PROFILED = "profiled with a Gaussian constraint"
_NEYMAN = "one-sided upper limit, P(N <= n_obs) = 1 - CL (Neyman)"
_FELDMAN_COUSINS = "two-sided Feldman-Cousins interval, likelihood-ratio ordering with s >= 0"
_REGISTRY = {
    "fc": _Method(profile_construction, _FELDMAN_COUSINS, _PROFILED + ", its measurement varied"),
    "classical": _Method(_classical, _NEYMAN, _AVERAGED + " (Cousins-Highland)"),
    "cls": _Method(_cls, "one-sided upper limit, CLs ordered by the count", _AVERAGED),
    "bayes_s": _Method(
        lambda count, cl: _bayes(count, cl, 1),
        "one-sided Bayesian upper limit, prior flat in s (flat in mu^2)",
        _AVERAGED,
    ),
    "bayes_mu": _Method(
        lambda count, cl: _bayes(count, cl, 2),
        "one-sided Bayesian upper limit, prior flat in mu (1/sqrt(s) in s)",
        _AVERAGED,
    ),
    "profile_one_sided": _Method(
        _profile_one_sided,
        "one-sided upper limit, -2 Delta ln L = {one:.3f} (half chi-square, s >= 0)",
        _PROFILED,
    ),
    "profile_two_sided": _Method(
        _profile_two_sided, "two-sided interval, -2 Delta ln L = {two:.3f} (chi-square)", _PROFILED
    ),
    "fc_pole": _Method(marginal_construction, _FELDMAN_COUSINS, _AVERAGED + " (POLE)"),
    "cls_asymptotic": _Method(
        _cls_asymptotic, "one-sided upper limit, CLs of q_tilde in the asymptotic form", _PROFILED
    ),
    "cls_profile": _Method(
        lambda count, cl: _profile_tail(count, cl, divide=True),
        "one-sided upper limit, CLs ordered by q_tilde",
        _PROFILED + ", its measurement varied",
    ),
    "classical_profile": _Method(
        lambda count, cl: _profile_tail(count, cl, divide=False),
        "one-sided upper limit, P(q_tilde >= observed) = 1 - CL (Neyman)",
        _PROFILED + ", its measurement varied",
    ),
}


@overload
def count_limit(  # type: ignore[overload-overlap]  # "all" is a str too, and returns a dict
    n_obs: float, n_bkg: float, sigma_bkg: float = 0.0, *, cl: float, method: Literal["all"]
) -> dict[str, CountLimit]: ...


@overload
def count_limit(
    n_obs: float, n_bkg: float, sigma_bkg: float = 0.0, *, cl: float, method: str
) -> CountLimit: ...


def count_limit(
    n_obs: float, n_bkg: float, sigma_bkg: float = 0.0, *, cl: float, method: str
) -> CountLimit | dict[str, CountLimit]:
    """Limit on the signal events behind one observed count.

    Parameters
    ----------
    n_obs : int
        Observed events; a float with an integer value is accepted.
    n_bkg : float
        Expected background, >= 0 [events].
    sigma_bkg : float
        Absolute Gaussian uncertainty of the background, >= 0 [events]; 0, or less than 1e-9, means
        known exactly.
    cl : float
        Confidence level, between 0 and 1; no default, because 90 % and 95 % are easily confused.
    method : str
        One of `METHODS`; or "fc_pole", "cls_asymptotic", "cls_profile", "classical_profile"; or
        "all".

    Returns
    -------
    CountLimit or dict of str to CountLimit
        The interval; for ``method="all"`` one for each of `METHODS`.

    Raises
    ------
    ValueError
        For counts or levels out of range, and for an unknown method.

    Notes
    -----
    At a strong deficit ``classical`` excludes every s >= 0: the upper end is then 0 and the
    convention says so. The other methods of `METHODS` stay above 0.
    The constructions that vary the background measurement (``fc``, ``cls_profile``,
    ``classical_profile``) use the known-background form at ``sigma_bkg = 0`` and do not tend to it
    for ``sigma_bkg -> 0``: the measurement separates experiments with equal counts, which removes
    part of the overcoverage of a discrete count.
    With ``n_bkg = 0`` and ``sigma_bkg > 0`` the average is over half a normal.
    Sources: Feldman & Cousins 1998; Cousins & Highland 1992; Read 2002; Rolke et al. 2005;
    Conrad et al. 2003 (POLE).

    Examples
    --------
    >>> limit = count_limit(25, 23.78, sigma_bkg=2.592, cl=0.90, method="profile_one_sided")
    >>> round(limit.upper, 2)
    8.89
    >>> limit.convention  # doctest: +NORMALIZE_WHITESPACE
    '90 % CL one-sided upper limit, -2 Delta ln L = 1.642 (half chi-square, s >= 0);
    background profiled with a Gaussian constraint'
    """
    count = validated_count(n_obs, n_bkg, sigma_bkg)
    _validate_level(cl)
    if method == "all":
        return {name: _limit(count, cl, name) for name in METHODS}
    if method not in _REGISTRY:
        closest = difflib.get_close_matches(method, _REGISTRY, n=1, cutoff=0.0)[0]
        known = ", ".join(("all", *_REGISTRY))
        raise ValueError(f"no counting method {method!r}; closest: {closest}; known: {known}")
    return _limit(count, cl, method)


def _limit(count: Count, cl: float, name: str) -> CountLimit:
    method = _REGISTRY[name]
    lower, upper = method.interval(count, cl)
    thresholds = {"one": profile_threshold(cl, sides=1), "two": profile_threshold(cl, sides=2)}
    ordering = method.ordering.format(**thresholds)
    background = method.background if count.sigma_bkg > 0.0 else "known exactly"
    convention = f"{100 * cl:g} % CL {ordering}; background {background}"
    if upper == 0.0:
        convention += "; the count excludes every s > 0, so the limit is 0"
    return CountLimit(lower, upper, name, convention, cl, *count)


def validated_count(n_obs: float, n_bkg: float, sigma_bkg: float) -> Count:
    """Measurement with its numbers checked; `ValueError` where one is not possible."""
    if not (math.isfinite(n_obs) and n_obs >= 0 and n_obs == math.floor(n_obs)):
        raise ValueError(f"n_obs = {n_obs} is not a number of events; expected an integer >= 0")
    for name, value in {"n_bkg": n_bkg, "sigma_bkg": sigma_bkg}.items():
        if not (math.isfinite(value) and value >= 0.0):
            raise ValueError(
                f"{name} = {value} is not possible; expected a finite number >= 0 [events]"
            )
    return Count(int(n_obs), float(n_bkg), float(sigma_bkg if sigma_bkg > _NO_SIGMA else 0.0))


def _validate_level(cl: float) -> None:
    if not 0.0 < cl < 1.0:
        raise ValueError(
            f"cl = {cl} is not a confidence level; expected 0 < cl < 1, e.g. 0.90 for 90 %"
        )
