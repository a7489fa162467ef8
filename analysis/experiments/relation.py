"""Limits that follow from a published combination of moments, or from the ratio of two rates."""

import math

from fileset.targets import Target

from ..rates import Hypothesis, expected_rate
from ..theory import flavour_limits
from .outcome import PROFILE, Outcome, gaussian_limit
from .rows import Experiment
from .sources import load_source

MU_UNIT = 1e-10
"""Moment at which rates are computed [Bohr magneton]; its square cancels."""


def relation(experiment: Experiment) -> Outcome:
    """Limit on one moment of a bounded sum of squares, the others zero.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``relation``: bound [Bohr magneton^2] and coefficients [1].

    Returns
    -------
    Outcome
        In the convention of the published bound.

    Raises
    ------
    ValueError
        If the moment has no coefficient.
    """
    inputs = experiment.inputs
    terms = " + ".join(f"{c:g} mu_{name}^2" for name, c in inputs["coefficients"].items())
    coefficient = inputs["coefficients"].get(inputs["moment"])
    if coefficient is None:
        raise ValueError(
            f"{experiment.name}: moment = {inputs['moment']!r} is not in the sum {terms}"
        )
    convention = f"published {terms} < {inputs['bound']:g}, all other moments zero"
    return Outcome(math.sqrt(inputs["bound"] / coefficient), "relation", convention)


def solar_flavour(experiment: Experiment) -> Outcome:
    """Limit on one flavour from that on the effective moment of solar neutrinos.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``solar_flavour``.

    Returns
    -------
    Outcome
        In the convention of the published limit, the other flavours zero.
    """
    inputs = experiment.inputs
    limits = flavour_limits(
        inputs["mu_eff"], survival=inputs["survival"], sin2_theta23=inputs["sin2_theta23"]
    )
    convention = (
        f"from mu_eff < {inputs['mu_eff']:g} with P_ee = {inputs['survival']:g} and "
        f"sin^2 theta23 = {inputs['sin2_theta23']:g}, the other moments zero"
    )
    return Outcome(float(getattr(limits, inputs["moment"])), "solar_flavour", convention)


def rate_ratio(experiment: Experiment, cl: float) -> Outcome:
    """Limit from a measured rate over that of the Standard Model: Gaussian in mu^2.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``rate_ratio``: ratio and its independent uncertainties [1].
    cl : float
        Confidence level.

    Returns
    -------
    Outcome
        All flavours of the flux with the same moment.
    """
    inputs, per_mu2 = experiment.inputs, magnetic_over_sm(experiment)
    sigma = math.hypot(*inputs["uncertainties"]) / per_mu2
    upper, convention = gaussian_limit((inputs["ratio"] - 1.0) / per_mu2, sigma, cl)
    return Outcome(math.sqrt(upper), PROFILE, f"{convention}; Gaussian in mu^2")


def magnetic_over_sm(experiment: Experiment) -> float:
    """Magnetic over Standard Model rate of a row per squared moment [1 / Bohr magneton^2]."""
    rate = expected_rate(
        load_source(experiment.inputs["flux"]),
        Target("water", 1.0),  # any: free electrons cancel
        experiment.inputs["recoil_energy"],
        Hypothesis(mu_nu=MU_UNIT),
        exposure=1.0,
    )
    return rate.magnetic_total / rate.sm_total / MU_UNIT**2
