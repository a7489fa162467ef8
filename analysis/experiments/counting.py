"""Limits from counts: published ones, and sensitivities of counts that follow from a flux.

The signal yield comes from flux and cross-section, relative to the expected Standard Model events.
Not a substitute for an analysis of events.
"""

import math

from fileset.fluxes import FLAVOURS
from fileset.targets import Target

from ..limit import CountLimit, count_limit
from ..rates import Hypothesis, Rate, expected_rate
from .outcome import Outcome
from .rows import Experiment
from .sources import load_source

MU_REFERENCE = 1e-9
"""Moment to which signal yields refer [Bohr magneton]."""


def signal_yield(experiment: Experiment, *, nue_fraction: float | None = None) -> float:
    """Signal events per (1e-9 Bohr magneton)^2 of a counting experiment.

    Parameters
    ----------
    experiment : Experiment
        Row with flux, window and expectation.
    nue_fraction : float, optional
        Part of the expectation that is neutrino-electron scattering [1]; that of the row if absent.

    Returns
    -------
    float
        Expected neutrino-electron events, times the ratio of magnetic to Standard Model rate over
        the flux of all flavours: target and an efficiency that does not depend on the recoil energy
        cancel.

    Raises
    ------
    ValueError
        For a fraction that is not between 0 (excluded) and 1.
    """
    inputs = experiment.inputs
    fraction = inputs["nue_fraction"] if nue_fraction is None else nue_fraction
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"nue_fraction = {fraction}; expected a number above 0 and at most 1")
    rate = expected_rate(
        load_source(inputs["flux"]),
        Target("nova", 1.0),  # any: free electrons cancel
        inputs["recoil_energy"],
        Hypothesis(mu_nu=MU_REFERENCE),
        exposure=inputs["pot"],
    )
    return float(inputs["n_bkg"] * fraction * rate.magnetic_total / rate.sm_total)


def counting(
    experiment: Experiment, cl: float, method: str, *, nue_fraction: float | None = None
) -> Outcome:
    """Limit of a published count.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``counting``.
    cl : float
        Confidence level.
    method : str
        One of `analysis.limit.METHODS`.
    nue_fraction : float, optional
        As in `signal_yield`.

    Returns
    -------
    Outcome
        With the details of the count.
    """
    inputs = experiment.inputs
    events = signal_yield(experiment, nue_fraction=nue_fraction)
    sigma = inputs["background_syst"] * inputs["n_bkg"]
    limit = count_limit(inputs["n_obs"], inputs["n_bkg"], sigma, cl=cl, method=method)
    fraction = inputs["nue_fraction"] if nue_fraction is None else nue_fraction
    return _outcome(limit, events, exposure=inputs["pot"], nue_fraction=fraction)


def expected_count(experiment: Experiment, cl: float, method: str) -> Outcome:
    """Sensitivity of a count without data: the limit if the expectation is what is seen.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``expected_count``.
    cl : float
        Confidence level.
    method : str
        One of `analysis.limit.METHODS`.

    Returns
    -------
    Outcome
        With the details of the count.
    """
    inputs = experiment.inputs
    expected, magnetic = expected_total(experiment)
    sigma = inputs["background_syst"] * expected
    limit = count_limit(round(expected), expected, sigma, cl=cl, method=method)
    outcome = _outcome(limit, magnetic, exposure=inputs["exposure"])
    seen = f"expected: {limit.n_obs} events seen, as without a moment; "
    return outcome._replace(convention=seen + outcome.convention)


def expected_total(experiment: Experiment) -> tuple[float, float]:
    """Selected events of a sensitivity: without a moment, and added at ``MU_REFERENCE``."""
    inputs, rate = experiment.inputs, expected_events(experiment)
    expected = rate.sm_total * inputs["efficiency"] * (1.0 + inputs["background_ratio"])
    return expected, rate.magnetic_total * inputs["efficiency"]


def expected_events(experiment: Experiment) -> Rate:
    """Neutrino-electron events of a sensitivity before efficiency, at ``MU_REFERENCE``."""
    inputs = experiment.inputs
    moments = {FLAVOURS[flavour]: MU_REFERENCE for flavour in inputs["flavours"]}
    return expected_rate(
        load_source(inputs["flux"]),
        Target(inputs["target"], inputs["mass"]),
        inputs["recoil_energy"],
        # An antineutrino would have the moment of its neutrino unless it says otherwise.
        Hypothesis(mu_nu={-pdg: 0.0 for pdg in moments} | moments),
        exposure=inputs["exposure"],
    )


def _outcome(
    limit: CountLimit, events: float, *, exposure: float, nue_fraction: float | None = None
) -> Outcome:
    return Outcome(
        observed=MU_REFERENCE * math.sqrt(limit.upper / events),
        method=limit.method,
        convention=limit.convention,
        signal_events=limit.upper,
        yield_per_mu2=events,
        nue_fraction=nue_fraction,
        exposure=exposure,
        n_obs=limit.n_obs,
    )
