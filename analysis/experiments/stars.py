"""Limits from stars, the early universe and decays: formulas of `analysis.astro` solved for mu."""

import math

from scipy.optimize import brentq
from scipy.special import ndtri

from processors.kernels.constants import EV

from ..astro import (
    allowed_helicity_flip,
    plasmon_energy_loss,
    thermalisation_moment,
    tip_of_red_giant_branch,
)
from ..theory import decay_rate, dirac_moment, radiative_decay_width
from .outcome import Outcome
from .rows import Experiment

_LARGEST_TIP = 1e-11  # [Bohr magneton], end of the fit of the brightness


def red_giant_tip(experiment: Experiment, cl: float) -> Outcome:
    """Moment that makes the tip of the red-giant branch too bright.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``red_giant_tip``: magnitude and uncertainties [mag].
    cl : float
        Confidence level.

    Returns
    -------
    Outcome
        One-sided, Gaussian in the magnitude.

    Raises
    ------
    ValueError
        If the observed tip is fainter than the model allows even without a moment, or so bright
        that it asks for a moment beyond the fit.
    """
    inputs = experiment.inputs
    sigma = math.hypot(*inputs["uncertainties"])
    brightest = inputs["observed"] - float(ndtri(cl)) * sigma
    ends = [float(tip_of_red_giant_branch(mu)) - brightest for mu in (0.0, _LARGEST_TIP)]
    if not ends[1] < 0.0 < ends[0]:
        raise ValueError(
            f"{experiment.name}: tip at {brightest:.2f} mag is not between no moment and "
            f"{_LARGEST_TIP:g} mu_B; check observed and uncertainties"
        )
    moment = brentq(
        lambda mu: float(tip_of_red_giant_branch(mu)) - brightest, 0.0, _LARGEST_TIP, xtol=1e-16
    )
    convention = (
        f"{100 * cl:g} % CL one-sided, Gaussian in magnitude: tip brighter than {brightest:.2f}"
    )
    return Outcome(moment, "red_giant_tip", convention)


def plasmon_emission(experiment: Experiment) -> Outcome:
    """Moment with which plasmons lose a given multiple of what they lose in the Standard Model.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``plasmon_emission``.

    Returns
    -------
    Outcome
        Without a confidence level.
    """
    inputs = dict(experiment.inputs)
    excess = inputs.pop("excess")
    magnetic, sm = plasmon_energy_loss(_LARGEST_TIP, **inputs)
    convention = f"magnetic over Standard Model loss below {excess:g}; no confidence level"
    return Outcome(_LARGEST_TIP * math.sqrt(excess * sm / magnetic), "plasmon_emission", convention)


def supernova(experiment: Experiment) -> Outcome:
    """Moment whose right-handed neutrinos carry the allowed luminosity out of a core.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``supernova``.

    Returns
    -------
    Outcome
        Without a confidence level.
    """
    inputs = experiment.inputs
    moment = allowed_helicity_flip(**inputs)
    convention = (
        f"luminosity of right-handed neutrinos below {inputs['luminosity']:g} erg/s; "
        "no confidence level"
    )
    return Outcome(float(moment), "supernova", convention)


def thermalisation(experiment: Experiment) -> Outcome:
    """Moment that keeps right-handed neutrinos in equilibrium for too long.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``thermalisation``.

    Returns
    -------
    Outcome
        At the level of the limit on the number of neutrinos.
    """
    extra = experiment.inputs["extra_neutrinos"]
    moment = thermalisation_moment(extra)
    return Outcome(moment, "thermalisation", f"Delta N_eff < {extra:g}; rate = expansion")


def radiative_decay(experiment: Experiment) -> Outcome:
    """Moment that makes a neutrino decay faster than its lifetime allows.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``radiative_decay``: mass [GeV], lower limit on the lifetime [s].

    Returns
    -------
    Outcome
        For a massless daughter.
    """
    mass, lifetime = experiment.inputs["mass"], experiment.inputs["lifetime"]
    per_mu2 = float(decay_rate(radiative_decay_width(mass, 0.0, 1.0)))
    convention = f"lifetime above {lifetime:g} s for a mass of {mass / EV:g} eV, massless daughter"
    return Outcome(1.0 / math.sqrt(per_mu2 * lifetime), "radiative_decay", convention)


def dirac(experiment: Experiment) -> Outcome:
    """Moment of a Dirac neutrino in the minimally extended Standard Model.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``dirac_moment``: mass [GeV].

    Returns
    -------
    Outcome
        A prediction, not a limit.
    """
    mass = experiment.inputs["mass"]
    convention = f"prediction for a mass of {mass / EV:g} eV"
    return Outcome(float(dirac_moment(mass)), "dirac_moment", convention)
