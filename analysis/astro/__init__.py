"""Neutrino moments in stars and in the early universe: widths and ratios, not stellar models.

The effective moment of stars is a sum over all pairs of states, `analysis.theory.stellar_moment`:
it is not the one that scattering bounds.
"""

from .cosmology import extra_neutrinos
from .plasmon import (
    TIP_STATUS,
    magnetic_over_sm,
    magnetic_width,
    millicharge_over_sm,
    millicharge_width,
    plasma_frequency,
    sm_width,
    tip_of_red_giant_branch,
)

__all__ = [
    "TIP_STATUS",
    "extra_neutrinos",
    "magnetic_over_sm",
    "magnetic_width",
    "millicharge_over_sm",
    "millicharge_width",
    "plasma_frequency",
    "sm_width",
    "tip_of_red_giant_branch",
]
