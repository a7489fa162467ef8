"""Radiative corrections to neutrino-electron scattering, as ratios to the tree level.

For event weights: GENIE and `sm_dsigma_dT` are tree level. Never apply a ratio to events generated
with couplings that already contain corrections. Two schemes for two kinds of experiment:
"sarantakos" for calorimeters at accelerators, "bks" for solar and reactor neutrinos.
"""

import math
from typing import Any

from numba import njit, vectorize
from numpy.typing import ArrayLike

from .compilation import quiet
from .constants import (
    ALPHA,
    G_LEFT_SARANTAKOS_NUE,
    G_LEFT_SARANTAKOS_NUMU,
    G_RIGHT_SARANTAKOS,
    K_SM,
    KAPPA_BKS_NUE,
    KAPPA_BKS_NUMU,
    M_E,
    RHO_BKS,
    SIN2_THETA_W_BKS,
    SIN2_THETA_W_NOVA,
)
from .kinematics import endpoint
from .neutrino_electron import couplings, tree_shape
from .special import atanh_over_argument_excess, dilogarithm

# Distance of 1 to the next number in float64 [1].
ROUNDING = 2.220446049250313e-16


@quiet
@vectorize(cache=True)
def tree_level_ratio(T: float, E_nu: float, nu_pdg: float, sin2_theta_w: float) -> float:
    """Ratio of the tree level to itself [1]: scheme "none" of `radiative_ratio`."""
    left, _ = couplings(nu_pdg, sin2_theta_w)
    if not (T > 0.0 and 0.0 < E_nu < math.inf) or math.isnan(left):
        return math.nan
    return 1.0 if T <= endpoint(E_nu) else 0.0


@quiet
@vectorize(cache=True)
def sarantakos_ratio(T: float, E_nu: float, nu_pdg: float, sin2_theta_w: float) -> float:
    """Ratio to the tree level [1], photons summed with the electron: scheme "sarantakos"."""
    tree_left, tree_right = couplings(nu_pdg, sin2_theta_w)
    if not (T > 0.0 and 0.0 < E_nu < math.inf) or math.isnan(tree_left):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    left = G_LEFT_SARANTAKOS_NUE if abs(nu_pdg) == 12.0 else G_LEFT_SARANTAKOS_NUMU
    right = G_RIGHT_SARANTAKOS
    if nu_pdg < 0.0:
        left, right = right, left
    y = T / E_nu
    rest = (E_nu - T) / E_nu
    common = -(math.pi**2) / 6.0 - 2.0 / 3.0 * math.log(2.0 * T / M_E)
    flat = 1.0 + ALPHA / math.pi * (common + 23.0 / 72.0 - 5.0 * y / 12.0 + y * y / 24.0)
    # Multiplied out by (1 - y)^2: the inverse powers in the published form diverge at the endpoint.
    falling_correction = (common - 1.0 / 18.0) * rest * rest + 1.0 / 24.0 + rest / 3.0
    falling = rest * rest + ALPHA / math.pi * falling_correction
    corrected = left * left * flat + right * right * falling - left * right * M_E * y / E_nu
    return corrected / tree_shape(T, E_nu, tree_left, tree_right)


@njit(cache=True, error_model="numpy")
def bks_couplings(T: float, nu_pdg: float, m_e: float) -> tuple[float, float]:
    """Left and right couplings with electroweak corrections [1], appendix A of the paper.

    The overall sign is that of `couplings`, opposite to the paper's.
    """
    w = math.sqrt(T / (T + 2.0 * m_e))  # 1/x of the paper
    excess = atanh_over_argument_excess(w, math.sqrt(2.0 * m_e / (T + 2.0 * m_e)))
    running = (1.0 / 3.0 + (3.0 - 1.0 / (w * w)) * excess) / 6.0
    kappa = KAPPA_BKS_NUE if abs(nu_pdg) == 12.0 else KAPPA_BKS_NUMU
    right = RHO_BKS * (kappa[0] + kappa[1] * running) * SIN2_THETA_W_BKS
    left = right - 0.5 * RHO_BKS
    if abs(nu_pdg) == 12.0:
        left += 1.0
    if nu_pdg < 0.0:
        return right, left
    return left, right


@njit(cache=True, error_model="numpy")
def bks_qed(T: float, E_nu: float, m_e: float) -> tuple[float, float, float]:
    """QED functions f_-, (1 - z)^2 f_+ and f_+- of appendix B of the paper [1]."""
    z, rest = T / E_nu, (E_nu - T) / E_nu
    momentum = math.sqrt(T) * math.sqrt(T + 2.0 * m_e)
    beta = momentum / (T + m_e)
    # 1 - z - m / (E_e + p), which vanishes at the limit, without cancellation. The logarithm of it
    # diverges there, integrably: at the limit itself, take the value one rounding step below.
    room = 2.0 * E_nu * (E_nu - T) - m_e * T
    room = max(room, ROUNDING * (2.0 * E_nu + m_e) * T)
    soft = math.log(T * room / E_nu / (momentum * E_nu + T * (E_nu + m_e)))
    log_z, log_rest = math.log(z), math.log(rest)
    dilog_z = dilogarithm(z)
    dilog_rest = math.pi**2 / 6.0 - log_z * log_rest - dilog_z
    common = atanh_over_argument_excess(beta, m_e / (T + m_e))
    collinear = 2.0 * soft - log_rest - 0.5 * log_z
    minus = common * (collinear - 5.0 / 12.0) + 0.5 * (dilogarithm(beta) - dilog_z)
    minus -= log_rest * (0.5 * log_rest + 11.0 / 12.0 + 0.5 * z)
    minus += z * (log_z + 0.5 * math.log(2.0 * E_nu / m_e)) - beta * (31.0 / 18.0 + log_z / 12.0)
    minus += z * (z / 24.0 - 11.0 / 12.0)
    rest2, z2_log = rest * rest, z * z * log_z
    plus = common * (rest2 * (collinear - 2.0 / 3.0) - 0.5 * (z2_log + rest))
    plus -= 0.5 * rest2 * (log_rest * log_rest - beta * (dilog_rest + log_z * log_rest))
    plus += log_rest * (0.5 * z2_log + rest / 3.0 * (2.0 * z - 0.5)) + 0.5 * z * z * dilog_rest
    plus -= z * ((1.0 - 2.0 * z) * log_z / 3.0 + rest / 6.0)
    plus -= beta / 12.0 * (log_z + rest * (115.0 - 109.0 * z) / 6.0)
    return minus, plus, 2.0 * common * soft


@njit(cache=True, error_model="numpy")
def bks_shape(T: float, E_nu: float, nu_pdg: float, m_e: float, alpha: float) -> float:
    """dsigma/dT with radiative corrections in units of ``K_SM`` [1], inside phase space.

    Electron mass [GeV] and fine-structure constant [1] are arguments, so that published values can
    be recomputed with the constants that they were made with.
    """
    left, right = bks_couplings(T, nu_pdg, m_e)
    minus, plus, mixed = bks_qed(T, E_nu, m_e)
    loop = alpha / math.pi
    rest = (E_nu - T) / E_nu
    shape = left * left * (1.0 + loop * minus) + right * right * (rest * rest + loop * plus)
    shape -= left * right * m_e * T / E_nu / E_nu * (1.0 + loop * mixed)
    # To first order the soft logarithm can outweigh 1 in the last rounding steps below the limit.
    return max(shape, 0.0)


@quiet
@vectorize(cache=True)
def bks_dsigma_dT(T: float, E_nu: float, nu_pdg: float) -> float:
    """Cross-section of Standard Model neutrino-electron scattering with radiative corrections.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV], without that of radiated photons.
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV]; meant for solar and reactor neutrinos, up to some 20 MeV.
    nu_pdg : array_like of int, broadcast against ``T``
        Neutrino PDG code: 12, 14, 16, negative for antineutrinos.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per electron; 0 above the kinematic limit; NaN for input that is NaN, T
        or E_nu not positive, E_nu infinite, or an unknown code.

    Notes
    -----
    Bahcall, Kamionkowski and Sirlin, Phys. Rev. D 51, 6146 (1995), appendices A and B: couplings
    with rho, kappa(T) and their mixing angle 0.2317, times QED functions of order alpha/pi. G_F,
    alpha and m_e are those of this package, 1.5e-5 above the paper's in the cross-section. The
    coefficients were taken from the implementation in sntools.
    """
    left, _ = couplings(nu_pdg, SIN2_THETA_W_BKS)
    if not (T > 0.0 and 0.0 < E_nu < math.inf) or math.isnan(left):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    return K_SM * bks_shape(T, E_nu, nu_pdg, M_E, ALPHA)


@quiet
@vectorize(cache=True)
def bks_ratio(T: float, E_nu: float, nu_pdg: float, sin2_theta_w: float) -> float:
    """Ratio of `bks_dsigma_dT` to the tree level [1]: scheme "bks"."""
    tree_left, tree_right = couplings(nu_pdg, sin2_theta_w)
    if not (T > 0.0 and 0.0 < E_nu < math.inf) or math.isnan(tree_left):
        return math.nan
    if T > endpoint(E_nu):
        return 0.0
    return bks_shape(T, E_nu, nu_pdg, M_E, ALPHA) / tree_shape(T, E_nu, tree_left, tree_right)


RADIATIVE_SCHEMES = {"none": tree_level_ratio, "sarantakos": sarantakos_ratio, "bks": bks_ratio}


def check_no_double_counting(scheme: str, charge_radius_is_deviation: bool) -> None:
    """Refuse to count the Standard Model charge radius twice.

    Parameters
    ----------
    scheme : str
        Radiative scheme of the prediction, as in `radiative_ratio`.
    charge_radius_is_deviation : bool
        True if the charge radius squared [cm^2] that is added to the couplings is the difference to
        the Standard Model's, False if it is the whole radius.

    Raises
    ------
    ValueError
        For a whole radius on top of a scheme other than "none", and for an unknown scheme.

    Notes
    -----
    The Standard Model radius is the flavour-dependent part of the electroweak corrections: kappa of
    nu_e against kappa of nu_mu in "bks", the effective couplings in "sarantakos" (Giunti and
    Studenikin, Rev. Mod. Phys. 87, 531 (2015)).
    """
    find_scheme(scheme)
    if scheme != "none" and not charge_radius_is_deviation:
        raise ValueError(
            f"radiative scheme {scheme!r} contains the charge radius of the Standard Model: give "
            "the charge radius as the deviation from it, or use scheme 'none'"
        )


def find_scheme(scheme: str) -> Any:
    """Ratio kernel of a radiative scheme, or a ValueError that names the available ones."""
    if scheme not in RADIATIVE_SCHEMES:
        available = ", ".join(RADIATIVE_SCHEMES)
        raise ValueError(f"no radiative scheme {scheme!r}; available: {available}")
    return RADIATIVE_SCHEMES[scheme]


def radiative_ratio(
    T: ArrayLike,
    E_nu: ArrayLike,
    nu_pdg: ArrayLike,
    scheme: str,
    sin2_theta_w: ArrayLike = SIN2_THETA_W_NOVA,
) -> Any:
    """Ratio of the radiatively corrected to the tree-level neutrino-electron cross-section.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV]; for "sarantakos" that of electron and photons, for
        "bks" that of the electron alone.
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    nu_pdg : array_like of int, broadcast against ``T``
        Neutrino PDG code: 12, 14, 16, negative for antineutrinos.
    scheme : str
        "none" for tree level, "sarantakos" for calorimetric measurements at accelerators, "bks"
        for solar and reactor neutrinos.
    sin2_theta_w : array_like of float, optional
        Weak mixing angle of the tree level in the denominator [1].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Ratio [1]; 0 above the kinematic limit, where the cross-section vanishes; NaN for input that
        is NaN, T or E_nu not positive, an unknown code, or a mixing angle outside (0, 1).

    Raises
    ------
    ValueError
        For an unknown scheme.

    Notes
    -----
    "sarantakos": Sarantakos, Sirlin and Marciano, Nucl. Phys. B 217, 84 (1983), leading order in
    m_e/T: for recoils far above the electron mass only. At beam energies +1 % for nu_mu and -2 %
    for nu_e. "bks": see `bks_dsigma_dT`; the same signs at 10 MeV.

    Examples
    --------
    >>> round(float(radiative_ratio(0.6, 2.0, 14, "sarantakos")), 4)
    1.0129
    """
    return find_scheme(scheme)(T, E_nu, nu_pdg, sin2_theta_w)
