"""Magnetic-moment part of neutrino-electron scattering.

It flips the helicity, hence adds to the Standard Model without interference, with one formula for
all flavours; which effective moment is measured does depend on flavour, baseline and neutrino
nature. Per target electron, free and at rest: not for nuclei, and not below about a keV in heavy
atoms.
"""

import math

from numba import vectorize

from .compilation import quiet
from .constants import K_MAGNETIC, K_SM
from .kinematics import clip_window, endpoint
from .neutrino_electron import couplings, tree_shape
from .special import atanh_excess


@quiet
@vectorize(cache=True)
def magnetic_dsigma_dT(T: float, E_nu: float, mu_nu: float) -> float:
    """Magnetic-moment part of the neutrino-electron cross-section.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    mu_nu : array_like of float, broadcast against ``T``
        Effective magnetic moment [Bohr magneton].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per electron; 0 above the kinematic limit; NaN for input that is NaN, T
        or E_nu not positive, E_nu infinite, or a moment negative or infinite.

    Notes
    -----
    pi alpha^2 / m_e^2 * (1/T - 1/E_nu) * mu_nu^2 (Vogel and Engel, Phys. Rev. D 39, 3378 (1989)).
    """
    if not (T > 0.0 and 0.0 < E_nu < math.inf and 0.0 <= mu_nu < math.inf):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    return K_MAGNETIC * mu_nu * mu_nu * (E_nu - T) / E_nu / T


@quiet
@vectorize(cache=True)
def magnetic_sigma(T_min: float, T_max: float, E_nu: float, mu_nu: float) -> float:
    """Magnetic-moment part of the neutrino-electron cross-section integrated over a recoil window.

    Parameters
    ----------
    T_min, T_max : array_like of float
        Ends of the window in recoil energy [GeV]; clipped at the kinematic limit. ``T_min`` must be
        positive: the integral diverges logarithmically towards zero.
    E_nu : array_like of float, broadcast against ``T_min``
        Neutrino energy [GeV].
    mu_nu : array_like of float, broadcast against ``T_min``
        Effective magnetic moment [Bohr magneton].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Cross-section [cm^2] per electron; 0 for a window above the kinematic limit; NaN for input
        that is NaN, T_min not positive, T_max < T_min, or as in `magnetic_dsigma_dT`.

    Notes
    -----
    pi alpha^2 / m_e^2 * mu_nu^2 [ln(T_max/T_min) - (T_max - T_min)/E_nu], rearranged for narrow
    windows. Relative accuracy 1e-12, if the window reaches below 0.999 of the kinematic limit.
    """
    if not (0.0 < T_min <= T_max and 0.0 < E_nu < math.inf and 0.0 <= mu_nu < math.inf):
        return math.nan
    if T_min >= endpoint(E_nu):
        return 0.0
    T_top, width, rest = clip_window(T_min, T_max, E_nu)
    z = width / (T_min + T_top)
    if z < 0.1:
        # The two terms of the closed form cancel in a narrow window near E_nu. With
        # ln(T_top / T_min) = 2 atanh(z) they regroup into a sum of positive ones.
        integral = z * ((E_nu - T_min) + rest) / E_nu + 2.0 * atanh_excess(z)
    else:
        integral = math.log(T_top / T_min) - width / E_nu
    return K_MAGNETIC * mu_nu * mu_nu * integral


@quiet
@vectorize(cache=True)
def magnetic_over_sm(T: float, E_nu: float, nu_pdg: float, sin2_theta_w: float) -> float:
    """Ratio of magnetic to Standard Model cross-section for a moment of one Bohr magneton.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    nu_pdg : array_like of int, broadcast against ``T``
        Neutrino PDG code: 12, 14, 16, negative for antineutrinos.
    sin2_theta_w : array_like of float, broadcast against ``T``
        Weak mixing angle [1] of the generator whose events are weighted.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        r [1 / Bohr magneton^2], so that ``1 + mu_nu**2 * r`` weights a Standard Model event to a
        moment ``mu_nu``; 0 above the kinematic limit, where the magnetic part vanishes; NaN for
        input that is NaN, T or E_nu not positive, or as in `sm_dsigma_dT`.

    Notes
    -----
    Grows as 1/T: weighting events cannot fill a region that the generator leaves empty.

    Examples
    --------
    >>> 1.0 + round(float((1e-9) ** 2 * magnetic_over_sm(0.5, 2.0, 14, 0.2313)), 5)
    1.21227
    """
    left, right = couplings(nu_pdg, sin2_theta_w)
    if not (T > 0.0 and 0.0 < E_nu < math.inf) or math.isnan(left):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    magnetic = K_MAGNETIC * (E_nu - T) / E_nu / T
    return magnetic / (K_SM * tree_shape(T, E_nu, left, right))
