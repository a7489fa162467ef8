"""Neutrino moments in stars and in the early universe: widths and ratios, not stellar models.

The effective moment of stars is a sum over all pairs of states, `analysis.theory.stellar_moment`:
it is not the one that scattering bounds.
"""

from .cosmology import extra_neutrinos
from .matter import plasma_frequency
from .plasmon import (
    magnetic_over_sm,
    magnetic_width,
    millicharge_over_sm,
    millicharge_width,
    sm_width,
)
from .red_giants import TIP_STATUS, plasmon_energy_loss, tip_of_red_giant_branch
from .supernova import allowed_helicity_flip, helicity_flip_luminosity
from .thermal import degrees_of_freedom, thermalisation_moment

__all__ = [
    "TIP_STATUS",
    "allowed_helicity_flip",
    "degrees_of_freedom",
    "extra_neutrinos",
    "helicity_flip_luminosity",
    "magnetic_over_sm",
    "magnetic_width",
    "millicharge_over_sm",
    "millicharge_width",
    "plasma_frequency",
    "plasmon_energy_loss",
    "sm_width",
    "thermalisation_moment",
    "tip_of_red_giant_branch",
]
