"""Neutrino charge radius in neutrino-electron scattering.

Convention of Giunti and Studenikin, Rev. Mod. Phys. 87, 531 (2015): form factor q^2 <r^2> / 6 on
the left-handed current. Older papers quote half of this <r^2>, some with the opposite sign. A
diagonal radius interferes with the Standard Model, one that changes the flavour does not. Per
target electron, free and at rest. Couplings with electroweak corrections contain the radius that
the Standard Model predicts: see `check_no_double_counting`.
"""

import math

import numpy as np
from numba import vectorize
from numpy.typing import ArrayLike, NDArray

from .compilation import quiet
from .constants import CHARGE_RADIUS_SHIFT, K_SM
from .kinematics import endpoint
from .neutrino_electron import couplings, shifted_shape


def effective_charge_radius2(
    charge_radius2: ArrayLike, anapole: ArrayLike
) -> NDArray[np.float64] | np.float64:
    """Combination of charge radius and anapole moment that scattering can see.

    Parameters
    ----------
    charge_radius2 : array_like of float
        Charge radius squared <r^2> [cm^2], of either sign.
    anapole : array_like of float, broadcast against ``charge_radius2``
        Anapole moment a [cm^2], of either sign.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        <r^2> - 6 a [cm^2]: use it as ``charge_radius2`` of the cross-sections.

    Notes
    -----
    Neutrinos are relativistic and left-handed, so that both enter through the same current (Giunti
    and Studenikin, Rev. Mod. Phys. 87, 531 (2015)).

    Examples
    --------
    >>> float(effective_charge_radius2(1e-32, 1e-33))
    4e-33
    """
    return np.asarray(charge_radius2, float) - 6.0 * np.asarray(anapole, float)


@quiet
@vectorize(cache=True)
def charge_radius_dsigma_dT(
    T: float, E_nu: float, nu_pdg: float, sin2_theta_w: float, charge_radius2: float
) -> float:
    """Cross-section of a neutrino with charge radius on electrons, Standard Model included.

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
    charge_radius2 : array_like of float, broadcast against ``T``
        Charge radius squared [cm^2], of either sign, added to what the couplings contain; at tree
        level they contain none. For the anapole moment see `effective_charge_radius2`.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per electron; 0 above the kinematic limit; NaN for input that is NaN,
        an infinite radius, or as in `sm_dsigma_dT`.

    Notes
    -----
    The tree level with g_V -> g_V + sqrt(2) pi alpha / (3 G_F) <r^2>, hence g_L and g_R each plus
    half of it; for antineutrinos the exchanged couplings get the same shift (Giunti and Studenikin,
    Rev. Mod. Phys. 87, 531 (2015)).

    Examples
    --------
    >>> f"{charge_radius_dsigma_dT(0.5, 2.0, 14, 0.23129, 1e-32):.6e}"
    '1.709875e-42'
    """
    left, right = couplings(nu_pdg, sin2_theta_w)
    if not (T >= 0.0 and 0.0 < E_nu < math.inf and abs(charge_radius2) < math.inf):
        return math.nan
    if math.isnan(left):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    shift = CHARGE_RADIUS_SHIFT * charge_radius2
    return K_SM * shifted_shape(T, E_nu, left + shift, right + shift)


@quiet
@vectorize(cache=True)
def charge_radius_transition_dsigma_dT(T: float, E_nu: float, charge_radius2: float) -> float:
    """Cross-section on electrons by a charge radius that changes the neutrino flavour.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    charge_radius2 : array_like of float, broadcast against ``T``
        Off-diagonal charge radius squared [cm^2]; its modulus, if complex. Enters squared.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per electron, to be added to the Standard Model; 0 above the kinematic
        limit; NaN for input that is NaN, T < 0, E_nu not positive and finite, an infinite radius.

    Notes
    -----
    pi alpha^2 m_e / 9 |<r^2>|^2 [1 + (1 - T/E_nu)^2 - m_e T / E_nu^2] for each final flavour,
    without interference, as the final neutrino differs (Giunti and Studenikin, Rev. Mod. Phys. 87,
    531 (2015)).
    """
    if not (T >= 0.0 and 0.0 < E_nu < math.inf and abs(charge_radius2) < math.inf):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    shift = CHARGE_RADIUS_SHIFT * charge_radius2
    return K_SM * shifted_shape(T, E_nu, shift, shift)
