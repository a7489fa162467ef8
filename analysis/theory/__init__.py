"""Electromagnetic properties of neutrinos as models and papers state them, in our conventions.

Arrays in, arrays out: moments in Bohr magnetons, masses and widths in GeV, areas in cm^2.
Cross-sections are in `processors.kernels`, stars and the early universe in `analysis.astro`.
"""

from .charge_radius import CONVENTIONS, convert_charge_radius, sm_charge_radius
from .conversions import MOMENT_UNITS, convert_moment, dipole_from_moment, moment_from_dipole
from .decay import decay_rate, dipole_portal_width, lifetime, radiative_decay_width
from .effective import (
    FlavourLimits,
    effective_moment,
    flavour_limits,
    scattering_moment,
    solar_effective_moment,
    solar_flavour_combination,
    stellar_moment,
)
from .mixing import NUFIT52_NORMAL, OSCILLATION_PHASE, Mixing, oscillation_phases, pmns_matrix
from .moments import (
    Moments,
    dirac_moment,
    dirac_moments,
    majorana_matrix,
    majorana_moments,
    moment_matrix,
    split_moments,
    to_flavour_basis,
    to_mass_basis,
)
from .naturalness import (
    DIRAC_BOUND,
    MAJORANA_BOUND,
    Bound,
    majorana_bound,
    mass_from_moment,
    moment_from_mass,
)
from .precession import spin_flip_probability

__all__ = [
    "CONVENTIONS",
    "DIRAC_BOUND",
    "MAJORANA_BOUND",
    "MOMENT_UNITS",
    "NUFIT52_NORMAL",
    "OSCILLATION_PHASE",
    "Bound",
    "FlavourLimits",
    "Mixing",
    "Moments",
    "convert_charge_radius",
    "convert_moment",
    "decay_rate",
    "dipole_from_moment",
    "dipole_portal_width",
    "dirac_moment",
    "dirac_moments",
    "effective_moment",
    "flavour_limits",
    "lifetime",
    "majorana_bound",
    "majorana_matrix",
    "majorana_moments",
    "mass_from_moment",
    "moment_from_dipole",
    "moment_from_mass",
    "moment_matrix",
    "oscillation_phases",
    "pmns_matrix",
    "radiative_decay_width",
    "scattering_moment",
    "sm_charge_radius",
    "solar_effective_moment",
    "solar_flavour_combination",
    "spin_flip_probability",
    "split_moments",
    "stellar_moment",
    "to_flavour_basis",
    "to_mass_basis",
]
