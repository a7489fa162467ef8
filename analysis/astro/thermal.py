"""When right-handed neutrinos leave equilibrium in the early universe, and with which moment.

Ideal gas of the Standard Model with masses as in vacuum: good to some percent away from the QCD and
electroweak transitions. Rate against expansion, not a Boltzmann equation.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import zeta

from processors.kernels.constants import ALPHA, M_E, M_MU, M_TAU, M_W

from .cosmology import G_AT_NEUTRINO_DECOUPLING
from .supernova import flip_cross_section

PLANCK_MASS = 1.220890e19  # [GeV], CODATA 2018
QCD_TEMPERATURE = 0.157  # crossover [GeV], lattice, A. Bazavov et al., arXiv:1812.08235


class Particle(NamedTuple):
    """A particle of the plasma: mass [GeV], states, statistics, charge [e] and colours."""

    mass: float
    states: int
    fermion: bool
    charge: float = 0.0
    colours: int = 1
    coloured: bool = False


# Masses PDG 2024. States count spin, colour and antiparticle.
_PARTICLES = (
    Particle(0.0, 2, False),  # photon
    Particle(0.0, 6, True),  # left-handed neutrinos
    *(Particle(m, 4, True, 1.0) for m in (M_E, M_MU, M_TAU)),
    *(Particle(m, 12, True, 2 / 3, 3, True) for m in (0.00216, 1.273, 172.6)),
    *(Particle(m, 12, True, 1 / 3, 3, True) for m in (0.00470, 0.0935, 4.183)),
    Particle(0.0, 16, False, coloured=True),  # gluons
    Particle(M_W, 6, False),
    Particle(91.188, 3, False),
    Particle(125.2, 1, False),
)
_PIONS = (Particle(0.13957, 2, False), Particle(0.13498, 1, False))


def degrees_of_freedom(temperature: float) -> float:
    """Relativistic degrees of freedom in the entropy, g_*s.

    Parameters
    ----------
    temperature : float
        [GeV], > 0.

    Returns
    -------
    float
        [1]; 106.75 far above the top quark. Jumps at ``QCD_TEMPERATURE`` from quarks to pions.

    Examples
    --------
    >>> round(degrees_of_freedom(1e4), 2), round(degrees_of_freedom(2e-3), 1)
    (106.75, 10.7)
    """
    present = [p for p in _PARTICLES if temperature > QCD_TEMPERATURE or not p.coloured]
    pions = _PIONS if temperature <= QCD_TEMPERATURE else ()
    return math.fsum(_entropy(p, temperature) for p in (*present, *pions))


def flip_rate(temperature: float) -> float:
    """Helicity flips per neutrino and time for a moment of one Bohr magneton.

    Parameters
    ----------
    temperature : float
        [GeV], > 0.

    Returns
    -------
    float
        [GeV].

    Notes
    -----
    Density of charged fermions x pi alpha^2 mu^2 / m_e^2 [ln(1 + x) - x / (1 + x)] with x =
    s / m_D^2 at the mean s = 2 (3.15 T)^2 and the Debye mass m_D^2 = 4 pi alpha T^2 / 3 sum
    Q^2. Fermions lighter than 3 T count fully, others not; W bosons are left out.
    """
    charged = [
        p
        for p in _PARTICLES
        if p.charge and p.mass < 3.0 * temperature
        if temperature > QCD_TEMPERATURE or not p.coloured
    ]
    squares = math.fsum(p.charge**2 * p.colours for p in charged)
    density = 4.0 * squares * 0.75 * float(zeta(3.0)) / np.pi**2 * temperature**3
    x = 2.0 * 3.15**2 / (4.0 * np.pi * ALPHA / 3.0 * squares)
    return float(density * flip_cross_section(x))


def thermalisation_moment(extra_neutrinos: float, species: int = 3) -> float:
    """Moment with which right-handed neutrinos decouple just early enough.

    Parameters
    ----------
    extra_neutrinos : float
        Largest allowed Delta N_eff [1].
    species : int
        Right-handed neutrinos with the same moment.

    Returns
    -------
    float
        Moment [Bohr magneton] for which flips are as fast as the expansion at the latest allowed
        temperature of decoupling. A larger one keeps them in equilibrium longer.

    Raises
    ------
    ValueError
        If even decoupling above all masses of the Standard Model leaves more neutrinos, or the
        allowed number is that of neutrinos which never decoupled early.
    """
    degrees = G_AT_NEUTRINO_DECOUPLING * (species / extra_neutrinos) ** 0.75
    low, high = 2e-3, 1e4
    if not degrees_of_freedom(low) < degrees < degrees_of_freedom(high):
        raise ValueError(
            f"Delta N_eff < {extra_neutrinos:g} asks for {degrees:.1f} degrees of freedom; "
            "the Standard Model has between 10.75 and 106.75: no decoupling fits"
        )
    exponent = brentq(
        lambda t: degrees_of_freedom(math.exp(t)) - degrees, math.log(low), math.log(high)
    )
    temperature = math.exp(exponent)
    expansion = math.sqrt(8.0 * np.pi**3 * degrees / 90.0) * temperature**2 / PLANCK_MASS
    return math.sqrt(expansion / flip_rate(temperature))


def _entropy(particle: Particle, temperature: float) -> float:
    """Entropy relative to that of one massless bosonic state."""
    m, sign = particle.mass / temperature, 1.0 if particle.fermion else -1.0
    if m > 50.0:
        return 0.0

    def density(p: float) -> float:
        energy = math.hypot(p, m)
        # Energy density plus pressure, by momentum.
        return p * p * (energy + p * p / (3.0 * energy)) / (math.exp(energy) + sign)

    integral = quad(density, 1e-9, 60.0)[0] / (2.0 * np.pi**2)
    return float(particle.states * integral * 45.0 / (2.0 * np.pi**2))
