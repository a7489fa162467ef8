"""Neutrino millicharge in neutrino-electron scattering.

Interferes with the Standard Model and grows as 1/T^2, so that its place is at the lowest recoils:
per target electron, free and at rest. Not below about a keV in heavy atoms, where free electrons,
with or without `ionised_electrons`, under-estimate the rate and the equivalent-photon approximation
is needed.
"""

import math

from numba import vectorize

from .compilation import quiet
from .constants import K_SM, MILLICHARGE_SHIFT
from .kinematics import endpoint
from .neutrino_electron import couplings, shifted_shape


@quiet
@vectorize(cache=True)
def millicharge_dsigma_dT(
    T: float, E_nu: float, nu_pdg: float, sin2_theta_w: float, millicharge: float
) -> float:
    """Cross-section of a neutrino with electric charge on electrons, Standard Model included.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    nu_pdg : array_like of int, broadcast against ``T``
        Neutrino PDG code: 12, 14, 16, negative for antineutrinos.
    sin2_theta_w : array_like of float, broadcast against ``T``
        Weak mixing angle [1].
    millicharge : array_like of float, broadcast against ``T``
        Charge of the neutrino [e > 0, so that the electron has -1], of either sign; for
        antineutrinos too give that of the neutrino.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per electron; 0 above the kinematic limit; NaN for input that is NaN, T
        or E_nu not positive, an infinite charge, or as in `sm_dsigma_dT`.

    Notes
    -----
    The tree level with g_V -> g_V - sqrt(2) pi alpha / G_F * q / (m_e T), hence g_L and g_R each
    minus half of it; for antineutrinos the exchanged couplings get the same shift. A small positive
    charge lowers the rate of nu_e at low recoil, a negative one raises it; the pure term tends to
    2 pi alpha^2 q^2 / (m_e T^2) (Giunti and Studenikin, Rev. Mod. Phys. 87, 531 (2015)).

    Examples
    --------
    >>> f"{millicharge_dsigma_dT(0.05, 2.0, 14, 0.23129, 1e-9):.6e}"
    '2.311666e-42'
    """
    left, right = couplings(nu_pdg, sin2_theta_w)
    if not (T > 0.0 and 0.0 < E_nu < math.inf and abs(millicharge) < math.inf):
        return math.nan
    if math.isnan(left):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    shift = MILLICHARGE_SHIFT * millicharge / T
    return K_SM * shifted_shape(T, E_nu, left + shift, right + shift)
