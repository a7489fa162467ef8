"""Helicity flip of Dirac neutrinos in the core of a supernova: right-handed ones escape at once.

One zone of uniform density and temperature, electron neutrinos, protons as targets. An estimate to
a factor of a few, not a simulation; whether SN 1987A cooled as the argument needs is disputed, and
so is every bound from it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from processors.kernels.constants import ALPHA, GEV2_TO_CM2, K_MAGNETIC, SECOND

from ..theory.domain import non_negative, positive
from .matter import CM, ERG, charge_density, fermi_momentum

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)
_TAIL = 30.0  # temperatures beyond the chemical potential: exp(-30) is left out


def screening2(
    temperature: ArrayLike, density: ArrayLike, electron_fraction: ArrayLike
) -> NDArray[np.float64]:
    """Square of the momentum below which charges screen each other.

    Parameters
    ----------
    temperature : array_like of float
        [GeV], > 0.
    density : array_like of float
        [g/cm^3], > 0.
    electron_fraction : array_like of float
        Protons per nucleon [1].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        [GeV^2].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    Debye screening by protons that are not degenerate, 4 pi alpha n_p / T, plus Thomas-Fermi
    screening by relativistic degenerate electrons, 4 alpha p_F^2 / pi (Raffelt 1996, ch. 6).
    """
    protons = charge_density(density, electron_fraction)
    debye = 4.0 * np.pi * ALPHA * protons / positive("temperature", temperature, "GeV")
    return debye + 4.0 * ALPHA / np.pi * fermi_momentum(protons) ** 2


def flip_cross_section(x: ArrayLike) -> NDArray[np.float64]:
    """Cross-section of a helicity flip on a screened charge by a moment of one Bohr magneton.

    Parameters
    ----------
    x : array_like of float
        Largest over screened momentum transfer, squared [1], >= 0.

    Returns
    -------
    ndarray, shape of ``x``
        pi alpha^2 / m_e^2 [ln(1 + x) - x / (1 + x)] [GeV^-2].
    """
    transfer = np.asarray(x, dtype=np.float64)
    return K_MAGNETIC / GEV2_TO_CM2 * (np.log1p(transfer) - transfer / (1.0 + transfer))


def helicity_flip_luminosity(
    mu_nu: ArrayLike,
    *,
    temperature: float,
    density: float,
    electron_fraction: float,
    neutrino_potential: float,
    radius: float,
) -> NDArray[np.float64]:
    """Power that right-handed neutrinos carry out of a core.

    Parameters
    ----------
    mu_nu : array_like of float
        Moment of Dirac electron neutrinos [Bohr magneton], >= 0.
    temperature : float
        [GeV].
    density : float
        [g/cm^3].
    electron_fraction : float
        Protons per nucleon [1].
    neutrino_potential : float
        Chemical potential of the trapped electron neutrinos [GeV].
    radius : float
        Of the core [cm].

    Returns
    -------
    ndarray, shape of ``mu_nu``
        [erg/s].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    Volume x integral d^3p / (2 pi)^3 f(E) E Gamma(E), with the rate Gamma = n_p sigma on protons at
    rest, sigma = pi alpha^2 mu^2 / m_e^2 [ln(1 + x) - x / (1 + x)] and x = 4 E^2 / k^2 screened at
    `screening2`. Electrons, whose recoil is Pauli-blocked, and other flavours are left out.
    """
    moment = non_negative("mu_nu", mu_nu, "Bohr magneton")
    T = positive("temperature", temperature, "GeV")
    potential = positive("neutrino_potential", neutrino_potential, "GeV")
    half = 0.5 * (potential + _TAIL * T)
    E_nu = half * (1.0 + _NODES)
    x = 4.0 * E_nu**2 / screening2(T, density, electron_fraction)
    sigma = flip_cross_section(x)
    occupied = expit((potential - E_nu) / T)
    energy = np.sum(half * _WEIGHTS * E_nu**3 * occupied * sigma) / (2.0 * np.pi**2)
    volume = 4.0 / 3.0 * np.pi * (positive("radius", radius, "cm") * CM) ** 3
    power = charge_density(density, electron_fraction) * energy * volume  # [GeV^2]
    return moment**2 * power * SECOND / ERG


def allowed_helicity_flip(luminosity: ArrayLike, **core: float) -> NDArray[np.float64]:
    """Moment at which right-handed neutrinos carry a given power out of a core.

    Parameters
    ----------
    luminosity : array_like of float
        Largest allowed power [erg/s], > 0.
    **core : float
        Temperature and so on, as in `helicity_flip_luminosity`.

    Returns
    -------
    ndarray, shape of ``luminosity``
        Moment [Bohr magneton]. Valid while the right-handed neutrinos escape freely.

    Raises
    ------
    ValueError
        For values out of range.
    """
    return np.sqrt(
        positive("luminosity", luminosity, "erg/s") / helicity_flip_luminosity(1.0, **core)
    )
