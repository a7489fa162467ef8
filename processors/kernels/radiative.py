"""Radiative corrections to neutrino-electron scattering, as ratios to the tree level.

For event weights: GENIE and `sm_dsigma_dT` are tree level. Never apply a ratio to events generated
with couplings that already contain corrections.
"""

import math
from typing import Any

from numba import vectorize
from numpy.typing import ArrayLike

from .compilation import quiet
from .constants import (
    ALPHA,
    G_LEFT_SARANTAKOS_NUE,
    G_LEFT_SARANTAKOS_NUMU,
    G_RIGHT_SARANTAKOS,
    M_E,
    SIN2_THETA_W_NOVA,
)
from .kinematics import endpoint
from .neutrino_electron import couplings, tree_shape


@quiet
@vectorize(["float64(float64, float64, float64, float64)"], cache=True)
def tree_level_ratio(T: float, E_nu: float, nu_pdg: float, sin2_theta_w: float) -> float:
    """Ratio of the tree level to itself [1]: scheme "none" of `radiative_ratio`."""
    left, _ = couplings(nu_pdg, sin2_theta_w)
    if not (T > 0.0 and 0.0 < E_nu < math.inf) or math.isnan(left):
        return math.nan
    return 1.0 if T <= endpoint(E_nu) else 0.0


@quiet
@vectorize(["float64(float64, float64, float64, float64)"], cache=True)
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


RADIATIVE_SCHEMES = {"none": tree_level_ratio, "sarantakos": sarantakos_ratio}


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
        Electron kinetic (recoil) energy [GeV]; for "sarantakos" that of electron and photons.
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    nu_pdg : array_like of int, broadcast against ``T``
        Neutrino PDG code: 12, 14, 16, negative for antineutrinos.
    scheme : str
        "none" for tree level, or "sarantakos" for calorimetric measurements at accelerators.
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
    Sarantakos, Sirlin and Marciano, Nucl. Phys. B 217, 84 (1983), leading order in m_e/T: for
    recoils far above the electron mass only. At beam energies +1 % for nu_mu and -2 % for nu_e.

    Examples
    --------
    >>> round(float(radiative_ratio(0.6, 2.0, 14, "sarantakos")), 4)
    1.0129
    """
    if scheme not in RADIATIVE_SCHEMES:
        available = ", ".join(RADIATIVE_SCHEMES)
        raise ValueError(f"no radiative scheme {scheme!r}; available: {available}")
    return RADIATIVE_SCHEMES[scheme](T, E_nu, nu_pdg, sin2_theta_w)
