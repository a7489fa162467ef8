"""Cross-sections and kinematics as compiled ufuncs: the one place with formulas of scattering.

Arguments broadcast; energies are in GeV, cross-sections in cm^2/GeV or cm^2 per target electron,
moments in Bohr magnetons. Cross-sections and their ratios are exactly 0 outside phase space, and
everything is NaN for input without physical meaning. The Python source of a kernel ``f`` is
``f.__wrapped__``, the numpy ufunc ``f.ufunc``.
"""

from pathlib import Path

from .compilation import discard_stale_kernels

# Before the first kernel is loaded from the cache, hence before the other imports.
discard_stale_kernels(Path(__file__).parent)

from . import constants  # noqa: E402
from .binding import BINDING_MODELS, SHELLS, ionised_electrons, released_electrons  # noqa: E402
from .cevns import (  # noqa: E402
    cevns_dsigma_dT,
    helm_form_factor,
    magnetic_nucleus_dsigma_dT,
    magnetic_nucleus_spin0_dsigma_dT,
    max_nuclear_recoil,
)
from .charge_radius import (  # noqa: E402
    charge_radius_dsigma_dT,
    charge_radius_transition_dsigma_dT,
    effective_charge_radius2,
)
from .dipole_portal import (  # noqa: E402
    dipole_max_mass,
    dipole_recoil_range,
    dipole_upscatter_dsigma_dT,
)
from .kinematics import (  # noqa: E402
    max_recoil_energy,
    min_neutrino_energy,
    recoil_cos_theta,
    recoil_theta,
    ttheta2,
)
from .magnetic import magnetic_dsigma_dT, magnetic_over_sm, magnetic_sigma  # noqa: E402
from .millicharge import millicharge_dsigma_dT  # noqa: E402
from .neutrino_electron import couplings, sm_dsigma_dT, sm_sigma  # noqa: E402
from .radiative import (  # noqa: E402
    RADIATIVE_SCHEMES,
    bks_dsigma_dT,
    check_no_double_counting,
    radiative_ratio,
)

__all__ = [
    "BINDING_MODELS",
    "RADIATIVE_SCHEMES",
    "SHELLS",
    "bks_dsigma_dT",
    "cevns_dsigma_dT",
    "charge_radius_dsigma_dT",
    "charge_radius_transition_dsigma_dT",
    "check_no_double_counting",
    "constants",
    "couplings",
    "dipole_max_mass",
    "dipole_recoil_range",
    "dipole_upscatter_dsigma_dT",
    "effective_charge_radius2",
    "helm_form_factor",
    "ionised_electrons",
    "magnetic_dsigma_dT",
    "magnetic_nucleus_dsigma_dT",
    "magnetic_nucleus_spin0_dsigma_dT",
    "magnetic_over_sm",
    "magnetic_sigma",
    "max_nuclear_recoil",
    "max_recoil_energy",
    "millicharge_dsigma_dT",
    "min_neutrino_energy",
    "radiative_ratio",
    "recoil_cos_theta",
    "recoil_theta",
    "released_electrons",
    "sm_dsigma_dT",
    "sm_sigma",
    "ttheta2",
]
