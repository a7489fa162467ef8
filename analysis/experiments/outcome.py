"""What a likelihood returns, and the convention that all but the counts share."""

import math
from typing import NamedTuple

from ..limit.count_likelihood import profile_threshold

PROFILE = "profile_one_sided"
"""Name of the convention of `gaussian_limit` and of the fits of spectra."""


class Outcome(NamedTuple):
    """Upper limit as a likelihood gives it.

    Attributes
    ----------
    observed : float
        Upper limit on the moment [Bohr magneton].
    method, convention : str
        Statistical method by name and in words.
    signal_events, yield_per_mu2, nue_fraction, exposure, n_obs : float or None
        Of counts: limit on the signal [events], events per (1e-9 Bohr magneton)^2, part of the
        expectation that is neutrino-electron scattering [1], protons on target, observed events.
    """

    observed: float
    method: str
    convention: str
    signal_events: float | None = None
    yield_per_mu2: float | None = None
    nue_fraction: float | None = None
    exposure: float | None = None
    n_obs: int | None = None


def gaussian_limit(estimate: float, sigma: float, cl: float) -> tuple[float, str]:
    """Upper limit on a squared moment that was measured with a Gaussian uncertainty.

    Parameters
    ----------
    estimate, sigma : float
        Measured squared moment, possibly negative, and its standard deviation.
    cl : float
        Confidence level, at least one half.

    Returns
    -------
    float, str
        Upper limit on the squared moment, and the convention in words.

    Notes
    -----
    -2 Delta ln L from the best physical fit, max(estimate, 0).

    Examples
    --------
    >>> round(gaussian_limit(0.0, 1.0, 0.90)[0], 4)
    1.2816
    """
    threshold = profile_threshold(cl, sides=1)
    distance = min(estimate, 0.0) / sigma
    upper = estimate + sigma * math.sqrt(threshold + distance**2)
    return upper, one_sided(cl)


def one_sided(cl: float) -> str:
    """Convention of a profile likelihood in mu^2, in words."""
    threshold = profile_threshold(cl, sides=1)
    return (
        f"{100 * cl:g} % CL one-sided upper limit, -2 Delta ln L = {threshold:.3f} "
        "(half chi-square, mu^2 >= 0)"
    )
