"""Dense matter: its charges, and how they move."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import N_A

from processors.kernels.constants import ALPHA, FM_TO_CM, HBAR_C, M_E

from ..theory.domain import fraction, positive

CM = 1.0 / (HBAR_C * FM_TO_CM)  # centimetre [GeV^-1]
ERG = 1e3 / 1.602176634  # [GeV], exact in the SI of 2019


def charge_density(density: ArrayLike, electron_fraction: ArrayLike) -> NDArray[np.float64]:
    """Electrons, or protons, per volume.

    Parameters
    ----------
    density : array_like of float
        Mass density [g/cm^3], > 0.
    electron_fraction : array_like of float
        Electrons per nucleon Y_e [1], from 0 to 1.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        [GeV^3].

    Raises
    ------
    ValueError
        For values out of range.
    """
    nucleons = positive("density", density, "g/cm^3") * N_A
    return nucleons * fraction("electron_fraction", electron_fraction) / CM**3


def fermi_momentum(number: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest momentum of that many electrons per volume [GeV^3] without temperature [GeV]."""
    return np.cbrt(3.0 * np.pi**2 * number)


def plasma_frequency(density: ArrayLike, electron_fraction: ArrayLike) -> NDArray[np.float64]:
    """Plasma frequency of a cold, degenerate electron gas, as in the core of a red giant.

    Parameters
    ----------
    density : array_like of float
        Mass density [g/cm^3], > 0.
    electron_fraction : array_like of float
        Electrons per nucleon Y_e [1], from 0 to 1.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Plasma frequency [GeV].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    omega_P^2 = 4 pi alpha n_e / E_F with the Fermi energy E_F = sqrt(p_F^2 + m_e^2) and
    p_F^3 = 3 pi^2 n_e (Raffelt 1996). Not for the Sun, which is not degenerate.

    Examples
    --------
    >>> f"{plasma_frequency(1e6, 0.5) * 1e6:.1f} keV"
    '18.0 keV'
    """
    n_e = charge_density(density, electron_fraction)
    fermi_energy = np.hypot(fermi_momentum(n_e), M_E)
    return np.sqrt(4.0 * np.pi * ALPHA * n_e / fermi_energy)
