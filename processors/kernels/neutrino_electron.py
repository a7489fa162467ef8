"""Neutrino-electron elastic scattering in the Standard Model, at tree level.

Cross-sections are per target electron, free and at rest, and equal the tree level of GENIE. For
radiative corrections see `radiative`. Not below about a keV in heavy atoms, where binding matters.
"""

import math

from numba import njit, vectorize

from .compilation import quiet
from .constants import K_SM, M_E
from .kinematics import clip_window, endpoint, room_below_endpoint


@njit(cache=True, error_model="numpy")
def couplings(nu_pdg: float, sin2_theta_w: float) -> tuple[float, float]:
    """Left and right couplings of a neutrino to the electron.

    Parameters
    ----------
    nu_pdg : float
        Neutrino PDG code: 12, 14, 16, negative for antineutrinos. A scalar.
    sin2_theta_w : float
        Weak mixing angle [1], between 0 and 1. A scalar.

    Returns
    -------
    tuple of float
        (g_L, g_R) [1], exchanged for antineutrinos; (NaN, NaN) for any other code or mixing angle.

    Notes
    -----
    g_R = sin2_theta_w; g_L = sin2_theta_w + 1/2 for nu_e, which has the charged current too, and
    sin2_theta_w - 1/2 for nu_mu and nu_tau.
    """
    flavour = abs(nu_pdg)
    if not 0.0 < sin2_theta_w < 1.0 or flavour not in (12.0, 14.0, 16.0):
        return math.nan, math.nan
    left = sin2_theta_w + 0.5 if flavour == 12.0 else sin2_theta_w - 0.5
    if nu_pdg < 0.0:
        return sin2_theta_w, left
    return left, sin2_theta_w


@njit(cache=True, error_model="numpy")
def tree_shape(T: float, E_nu: float, left: float, right: float) -> float:
    """Tree-level dsigma/dT in units of ``K_SM`` [1], for given couplings, inside phase space."""
    falling = right * (E_nu - T) / E_nu
    return left * left + falling * falling - left * right * M_E * T / E_nu / E_nu


@njit(cache=True, error_model="numpy")
def shifted_shape(T: float, E_nu: float, left: float, right: float) -> float:
    """`tree_shape` [1] as a sum of positive terms, for couplings of any sign and size.

    With nearly equal couplings, as a photon has, the terms of `tree_shape` cancel towards the
    kinematic limit of neutrinos below an electron mass.
    """
    product = left * right
    if product <= 0.0:
        return tree_shape(T, E_nu, left, right)
    at_limit = (left - right) + right * T / E_nu
    room = max(room_below_endpoint(T, E_nu), 0.0)
    return at_limit * at_limit + product * room * (2.0 * E_nu + M_E) / E_nu / E_nu


@quiet
@vectorize(cache=True)
def sm_dsigma_dT(T: float, E_nu: float, nu_pdg: float, sin2_theta_w: float) -> float:
    """Cross-section of Standard Model neutrino-electron scattering per unit of recoil energy.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    nu_pdg : array_like of int, broadcast against ``T``
        Neutrino PDG code: 12, 14, 16, negative for antineutrinos.
    sin2_theta_w : array_like of float, broadcast against ``T``
        Weak mixing angle [1]; keep it equal to that of the generator when forming ratios.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per electron; 0 above the kinematic limit; NaN for input that is NaN,
        T < 0, E_nu not positive and finite, an unknown code, or a mixing angle outside (0, 1).

    Notes
    -----
    2 G_F^2 m_e / pi [g_L^2 + g_R^2 (1 - T/E_nu)^2 - g_L g_R m_e T / E_nu^2], from the trace of the
    tree-level amplitude. The last term is below 1e-3 for beams, of order one for reactors and the
    Sun.
    """
    left, right = couplings(nu_pdg, sin2_theta_w)
    if not (T >= 0.0 and 0.0 < E_nu < math.inf) or math.isnan(left):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    return K_SM * tree_shape(T, E_nu, left, right)


@quiet
@vectorize(cache=True)
def sm_sigma(T_min: float, T_max: float, E_nu: float, nu_pdg: float, sin2_theta_w: float) -> float:
    """Cross-section of Standard Model neutrino-electron scattering in a window of recoil energy.

    Parameters
    ----------
    T_min, T_max : array_like of float
        Ends of the window in recoil energy [GeV]; clipped at the kinematic limit, so that 0 and
        infinity give the total cross-section.
    E_nu : array_like of float, broadcast against ``T_min``
        Neutrino energy [GeV].
    nu_pdg : array_like of int, broadcast against ``T_min``
        Neutrino PDG code: 12, 14, 16, negative for antineutrinos.
    sin2_theta_w : array_like of float, broadcast against ``T_min``
        Weak mixing angle [1].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Cross-section [cm^2] per electron; 0 for a window above the kinematic limit; NaN for input
        that is NaN, T_min < 0, T_max < T_min, or as in `sm_dsigma_dT`.

    Notes
    -----
    The antiderivative is factorised by the width of the window: narrow windows lose no digits.
    Relative accuracy 1e-12, if the window reaches below 0.999 of the kinematic limit.
    """
    left, right = couplings(nu_pdg, sin2_theta_w)
    if not (0.0 <= T_min <= T_max and 0.0 < E_nu < math.inf) or math.isnan(left):
        return math.nan
    if T_min >= endpoint(E_nu):
        return 0.0
    T_top, width, rest = clip_window(T_min, T_max, E_nu)
    low, high = (E_nu - T_min) / E_nu, rest / E_nu
    square = (low * low + low * high + high * high) / 3.0
    interference = 0.5 * M_E * (T_min + T_top) / E_nu / E_nu
    return K_SM * width * (left * left + right * right * square - left * right * interference)
