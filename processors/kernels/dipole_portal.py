"""Up-scattering of a neutrino into a heavy neutral lepton N by a transition magnetic moment.

The moment has the normalisation of the diagonal one, L = (mu/2) nubar sigma_ab N F^ab + h.c.; with
L = d nubar_L sigma_ab N F^ab, as in Magill et al., Phys. Rev. D 98, 115015 (2018), it is mu = 2 d.
Target of spin 1/2, free and at rest, without structure: multiply by the square of a nuclear form
factor. For the elastic case on nuclei of spin 0 see `cevns`.
"""

import math
from typing import Any

from numba import njit, vectorize
from numpy.typing import ArrayLike

from .compilation import quiet
from .constants import K_MAGNETIC


@njit(cache=True, error_model="numpy")
def heaviest(E_nu: float, m_target: float) -> float:
    """Largest mass of N [GeV], scalar form of `dipole_max_mass`; sqrt(s) - m would cancel."""
    return 2.0 * E_nu * m_target / (math.sqrt(m_target * (m_target + 2.0 * E_nu)) + m_target)


@njit(cache=True, error_model="numpy")
def recoil_range(E_nu: float, m_N: float, m_target: float) -> tuple[float, float]:
    """Ends of the recoil range [GeV], scalar form of `dipole_recoil_range`.

    Roots of m (2 E + m) T^2 - [2 m E^2 - M^2 (E + m)] T + M^4 / 4. The bracket and the discriminant
    cancel near threshold; with the distance to it, D = s - (m + M)^2, they are of positive terms,
    E D + m M (2 E - M) and E^2 D (D + 4 m M). The product of the roots gives the lower one.
    """
    if not (0.0 < E_nu < math.inf and 0.0 <= m_N < math.inf and 0.0 < m_target < math.inf):
        return math.nan, math.nan
    spare = heaviest(E_nu, m_target) - m_N
    if spare < 0.0:
        return math.nan, math.nan
    distance = spare * (spare + 2.0 * (m_N + m_target))
    leading = m_target * (2.0 * E_nu + m_target)
    bracket = E_nu * distance + m_target * m_N * (2.0 * E_nu - m_N)
    root = E_nu * math.sqrt(distance * (distance + 4.0 * m_target * m_N))
    upper = 0.5 * (bracket + root) / leading
    square = m_N * m_N
    # At threshold the two roots are one, but may round to the wrong order.
    return min(0.25 * square * square / leading / upper, upper), upper


@quiet
@vectorize(cache=True)
def dipole_max_mass(E_nu: float, m_target: float) -> float:
    """Largest mass of the heavy lepton that a neutrino can up-scatter into.

    Parameters
    ----------
    E_nu : array_like of float
        Neutrino energy [GeV], positive and finite.
    m_target : array_like of float, broadcast against ``E_nu``
        Mass of the target particle [GeV], positive and finite.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        sqrt(m (m + 2 E_nu)) - m [GeV]; NaN for input that is NaN, infinite or not positive.

    Examples
    --------
    >>> f"{dipole_max_mass(2.0, 0.511e-3):.4f}"  # on electrons, at NOvA
    '0.0447'
    """
    if not (0.0 < E_nu < math.inf and 0.0 < m_target < math.inf):
        return math.nan
    return heaviest(E_nu, m_target)


@quiet
@vectorize(cache=True)
def lowest_recoil(E_nu: float, m_N: float, m_target: float) -> float:
    """Lower end [GeV] of `dipole_recoil_range`."""
    return recoil_range(E_nu, m_N, m_target)[0]


@quiet
@vectorize(cache=True)
def highest_recoil(E_nu: float, m_N: float, m_target: float) -> float:
    """Upper end [GeV] of `dipole_recoil_range`."""
    return recoil_range(E_nu, m_N, m_target)[1]


def dipole_recoil_range(E_nu: ArrayLike, m_N: ArrayLike, m_target: ArrayLike) -> tuple[Any, Any]:
    """Smallest and largest recoil energy of the target.

    Parameters
    ----------
    E_nu : array_like of float
        Neutrino energy [GeV].
    m_N : array_like of float, broadcast against ``E_nu``
        Mass of the heavy lepton [GeV], not negative.
    m_target : array_like of float, broadcast against ``E_nu``
        Mass of the target particle [GeV].

    Returns
    -------
    tuple of two ndarray, broadcast shape of the arguments
        (T_low, T_high) [GeV]; both NaN below threshold, that is for a mass above
        `dipole_max_mass`, and for input that is NaN, infinite, m_N < 0, or an energy or target mass
        that is not positive.

    Notes
    -----
    Solutions of two-body kinematics for a recoil along the beam. T_low = 0 for a massless N.
    """
    return lowest_recoil(E_nu, m_N, m_target), highest_recoil(E_nu, m_N, m_target)


@quiet
@vectorize(cache=True)
def dipole_upscatter_dsigma_dT(
    T: float, E_nu: float, m_N: float, mu_tr: float, m_target: float, Z: float
) -> float:
    """Cross-section of up-scattering into a heavy neutral lepton per unit of recoil energy.

    Parameters
    ----------
    T : array_like of float
        Kinetic (recoil) energy of the target [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    m_N : array_like of float, broadcast against ``T``
        Mass of the heavy lepton [GeV].
    mu_tr : array_like of float, broadcast against ``T``
        Transition magnetic moment [Bohr magneton].
    m_target : array_like of float, broadcast against ``T``
        Mass of the target particle [GeV]: the electron's, or a nucleus'.
    Z : array_like of float, broadcast against ``T``
        Charge of the target particle in units of e [1]: 1 for an electron.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per target particle, with form factor 1; 0 outside the range of
        `dipole_recoil_range` and below threshold; NaN for input that is NaN, T, E_nu, m_target or Z
        not positive and finite, a mass or moment of N negative or infinite.

    Notes
    -----
    alpha mu^2 Z^2 times
    [1/T - 1/E - M^2/(2 E T m) (1 - T/(2 E) + m/(2 E)) + M^4 (T - m)/(8 E^2 T^2 m^2)],
    from the trace of the amplitude for a left-handed neutrino (compare Magill et al., Phys. Rev. D
    98, 115015 (2018), with mu = 2 d). Evaluated as
    [4 m A (T_high - T) (T - T_low) + T (2 m^2 + M^2) (2 m T + M^2)] / (8 E^2 m^2 T^2), where
    A = m (2 E + m): the terms of the first form cancel at both ends of the range.
    """
    if not (0.0 < T < math.inf and 0.0 < E_nu < math.inf and 0.0 < m_target < math.inf):
        return math.nan
    if not (0.0 <= m_N < math.inf and 0.0 <= mu_tr < math.inf and 0.0 < Z < math.inf):
        return math.nan
    low, high = recoil_range(E_nu, m_N, m_target)
    # Written so that NaN, no range at all, counts as outside.
    if not low <= T <= high:
        return 0.0
    leading = m_target * (2.0 * E_nu + m_target)
    square = m_N * m_N
    inside = 4.0 * m_target * leading * (high - T) * (T - low) / T
    edge = (2.0 * m_target * m_target + square) * (2.0 * m_target * T + square)
    scale = Z * mu_tr / (E_nu * m_target)
    return 0.125 * K_MAGNETIC * scale * scale * (inside + edge) / T
