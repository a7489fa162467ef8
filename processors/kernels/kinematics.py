"""Two-body kinematics of a neutrino scattering elastically off an electron at rest.

Energies in GeV, angles in radians. The relations are exact: use them instead of the small-angle
approximation T theta^2 = 2 m_e (1 - T/E_nu), which is 0.2 % off at 2 GeV and 50 % off at 5 MeV.
Not for bound electrons below about a keV, and not for nuclei.
"""

import math

from numba import njit, vectorize

from .compilation import quiet
from .constants import M_E


@njit(cache=True, error_model="numpy")
def endpoint(E_nu: float) -> float:
    """Largest recoil energy [GeV], scalar form of `max_recoil_energy` for use inside kernels."""
    return 2.0 * E_nu * E_nu / (M_E + 2.0 * E_nu)


@njit(cache=True, error_model="numpy")
def room_below_endpoint(T: float, E_nu: float) -> float:
    """``endpoint(E_nu) - T`` [GeV] without the cancellation of that subtraction.

    ``E_nu - T`` is exact for floats within a factor of two, so that only the last electron mass
    below the endpoint loses digits.
    """
    return (2.0 * E_nu * (E_nu - T) - M_E * T) / (2.0 * E_nu + M_E)


@njit(cache=True, error_model="numpy")
def clip_window(T_min: float, T_max: float, E_nu: float) -> tuple[float, float, float]:
    """Part of a recoil window below the kinematic limit, for ``T_min`` below that limit.

    Returns its upper end ``T_top``, its width, and ``E_nu - T_top`` [GeV]; at the limit the two
    differences come from their closed forms, because subtracting loses all digits at high energy.
    """
    limit = endpoint(E_nu)
    if T_max < limit:
        return T_max, T_max - T_min, E_nu - T_max
    width = max(room_below_endpoint(T_min, E_nu), 0.0)
    return limit, width, M_E * E_nu / (M_E + 2.0 * E_nu)


@quiet
@vectorize(cache=True)
def max_recoil_energy(E_nu: float) -> float:
    """Kinematic limit of the electron recoil energy.

    Parameters
    ----------
    E_nu : array_like of float
        Neutrino energy [GeV], positive and finite.

    Returns
    -------
    ndarray, shape of ``E_nu``
        2 E_nu^2 / (m_e + 2 E_nu) [GeV]; NaN for input that is NaN, infinite or not positive.
    """
    if not 0.0 < E_nu < math.inf:
        return math.nan
    return endpoint(E_nu)


@quiet
@vectorize(cache=True)
def min_neutrino_energy(T: float) -> float:
    """Smallest neutrino energy that can give a recoil.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV], not negative and finite.

    Returns
    -------
    ndarray, shape of ``T``
        (T + sqrt(T^2 + 2 m_e T)) / 2 [GeV]; NaN for input that is NaN, infinite or negative.
    """
    if not 0.0 <= T < math.inf:
        return math.nan
    return 0.5 * (T + math.sqrt(T) * math.sqrt(T + 2.0 * M_E))


@njit(cache=True, error_model="numpy")
def scalar_cos_theta(T: float, E_nu: float) -> float:
    """Cosine of the recoil angle [1], scalar form of `recoil_cos_theta` for use inside kernels."""
    if not (T >= 0.0 and 0.0 < E_nu < math.inf and T <= endpoint(E_nu)):
        return math.nan
    # At the endpoint rounding may exceed 1 by one unit in the last place.
    return min((E_nu + M_E) / E_nu * math.sqrt(T / (T + 2.0 * M_E)), 1.0)


@njit(cache=True, error_model="numpy")
def scalar_theta(T: float, E_nu: float) -> float:
    """Recoil angle [rad], scalar form of `recoil_theta` for use inside kernels.

    sin^2 = m_e (2 E_nu + m_e) (T_max - T) / (E_nu^2 (T + 2 m_e)): with the arc cosine alone,
    angles of milliradians and below would lose most of their digits.
    """
    cosine = scalar_cos_theta(T, E_nu)
    if math.isnan(cosine):
        return math.nan
    room = max(room_below_endpoint(T, E_nu), 0.0)
    sine2 = M_E * (2.0 * E_nu + M_E) / (E_nu * E_nu) * room / (T + 2.0 * M_E)
    return math.atan2(math.sqrt(sine2), cosine)


@quiet
@vectorize(cache=True)
def recoil_cos_theta(T: float, E_nu: float) -> float:
    """Cosine of the angle between the recoil electron and the neutrino.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        (1 + m_e/E_nu) sqrt(T / (T + 2 m_e)) [1], between 0 and 1; NaN above the kinematic limit,
        where no such angle exists, for input that is NaN, T < 0, and E_nu not positive and finite.
    """
    return scalar_cos_theta(T, E_nu)


@quiet
@vectorize(cache=True)
def recoil_theta(T: float, E_nu: float) -> float:
    """Angle between the recoil electron and the neutrino.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Angle [rad] between 0 and pi/2; NaN above the kinematic limit, where no such angle exists,
        for input that is NaN, T < 0, and E_nu not positive and finite.

    Notes
    -----
    Relative accuracy 1e-12 up to 0.999 of the kinematic limit, and for beam neutrinos up to ten
    electron masses below it.
    """
    return scalar_theta(T, E_nu)


@quiet
@vectorize(cache=True)
def ttheta2(T: float, E_nu: float) -> float:
    """Recoil energy times squared recoil angle, exact.

    Parameters
    ----------
    T : array_like of float
        Electron kinetic (recoil) energy [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        T theta^2 [GeV rad^2]; NaN where `recoil_theta` is NaN.

    Notes
    -----
    Close to 2 m_e (1 - T/E_nu) at beam energies, hence below 2 m_e = 1.02e-3 GeV rad^2 there.

    Examples
    --------
    >>> f"{ttheta2(0.5, 2.0):.6e}"
    '7.652927e-04'
    """
    theta = scalar_theta(T, E_nu)
    return T * theta * theta
