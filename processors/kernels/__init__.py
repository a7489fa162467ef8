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
from .kinematics import (  # noqa: E402
    max_recoil_energy,
    min_neutrino_energy,
    recoil_cos_theta,
    recoil_theta,
    ttheta2,
)
from .magnetic import magnetic_dsigma_dT, magnetic_over_sm, magnetic_sigma  # noqa: E402
from .neutrino_electron import couplings, sm_dsigma_dT, sm_sigma  # noqa: E402
from .radiative import RADIATIVE_SCHEMES, radiative_ratio  # noqa: E402

__all__ = [
    "RADIATIVE_SCHEMES",
    "constants",
    "couplings",
    "magnetic_dsigma_dT",
    "magnetic_over_sm",
    "magnetic_sigma",
    "max_recoil_energy",
    "min_neutrino_energy",
    "radiative_ratio",
    "recoil_cos_theta",
    "recoil_theta",
    "sm_dsigma_dT",
    "sm_sigma",
    "ttheta2",
]
