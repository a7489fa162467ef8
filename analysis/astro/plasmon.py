"""Plasmon decay into neutrinos, the energy loss by which stars bound moments and charges.

Widths of one plasmon, for transverse and longitudinal ones alike, and the energy loss of transverse
ones in one zone; not that of a star, and without the wave-function renormalisation.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import N_A
from scipy.integrate import quad

from processors.kernels.constants import (
    ALPHA,
    BOHR_MAGNETON,
    FM_TO_CM,
    G_F,
    HBAR_C,
    M_E,
    SECOND,
    SIN2_THETA_W,
)

from ..theory.domain import fraction, non_negative, positive

ERG = 1e3 / 1.602176634  # [GeV], exact in the SI of 2019

# Brightness of the tip of the red-giant branch, Viaux et al., arXiv:1308.4627, from memory.
TIP_STATUS = "unverified"
"""Status of the coefficients of `tip_of_red_giant_branch`."""


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
    nucleons = positive("density", density, "g/cm^3") * N_A
    electrons = nucleons * fraction("electron_fraction", electron_fraction)
    n_e = electrons * (HBAR_C * FM_TO_CM) ** 3
    fermi_energy = np.hypot(np.cbrt(3.0 * np.pi**2 * n_e), M_E)
    return np.sqrt(4.0 * np.pi * ALPHA * n_e / fermi_energy)


def magnetic_width(
    frequency: ArrayLike, effective_mass: ArrayLike, mu_nu: ArrayLike
) -> NDArray[np.float64]:
    """Width of the decay of a plasmon through a magnetic moment.

    Parameters
    ----------
    frequency : array_like of float
        Energy omega of the plasmon [GeV], > 0.
    effective_mass : array_like of float
        sqrt(omega^2 - k^2) [GeV], at most omega; the plasma frequency for a plasmon at rest.
    mu_nu : array_like of float
        Effective moment of stars [Bohr magneton], see `analysis.theory.stellar_moment`.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Width [GeV].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    mu^2 / (24 pi) (omega^2 - k^2)^2 / omega (Raffelt 1996).
    """
    omega, mass = _plasmon(frequency, effective_mass)
    moment = BOHR_MAGNETON * non_negative("mu_nu", mu_nu, "Bohr magneton")
    return moment**2 / (24.0 * np.pi) * mass**4 / omega


def millicharge_width(
    frequency: ArrayLike, effective_mass: ArrayLike, millicharge: ArrayLike
) -> NDArray[np.float64]:
    """Width of the decay of a plasmon through a charge of one Dirac neutrino.

    Parameters
    ----------
    frequency : array_like of float
        Energy omega of the plasmon [GeV], > 0.
    effective_mass : array_like of float
        sqrt(omega^2 - k^2) [GeV], at most omega.
    millicharge : array_like of float
        Charge of the neutrino [e], of either sign.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Width [GeV].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    q^2 alpha / 3 (omega^2 - k^2) / omega (Raffelt 1996).
    """
    omega, mass = _plasmon(frequency, effective_mass)
    charge = non_negative("|millicharge|", np.abs(millicharge), "e")
    return charge**2 * ALPHA / 3.0 * mass**2 / omega


def sm_width(
    frequency: ArrayLike, effective_mass: ArrayLike, sin2_theta_w: ArrayLike = SIN2_THETA_W
) -> NDArray[np.float64]:
    """Width of the decay of a plasmon into all neutrinos in the Standard Model.

    Parameters
    ----------
    frequency : array_like of float
        Energy omega of the plasmon [GeV], > 0.
    effective_mass : array_like of float
        sqrt(omega^2 - k^2) [GeV], at most omega.
    sin2_theta_w : array_like of float
        Weak mixing angle [1].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Width [GeV].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    C_V^2 G_F^2 / (48 pi^2 alpha) (omega^2 - k^2)^3 / omega with C_V^2 = (1/2 + 2 s2)^2 +
    2 (1/2 - 2 s2)^2 summed over flavours (Raffelt 1996). The axial current is neglected.
    """
    omega, mass = _plasmon(frequency, effective_mass)
    return _vector(sin2_theta_w) * G_F**2 / (48.0 * np.pi**2 * ALPHA) * mass**6 / omega


def magnetic_over_sm(
    effective_mass: ArrayLike, mu_nu: ArrayLike, sin2_theta_w: ArrayLike = SIN2_THETA_W
) -> NDArray[np.float64]:
    """Plasmon decay through a magnetic moment, relative to the Standard Model.

    Parameters
    ----------
    effective_mass : array_like of float
        sqrt(omega^2 - k^2) [GeV], > 0, for an estimate the plasma frequency.
    mu_nu : array_like of float
        Effective moment of stars [Bohr magneton].
    sin2_theta_w : array_like of float
        Weak mixing angle [1].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Ratio of widths [1]: 2 pi alpha mu^2 / (C_V^2 G_F^2 (omega^2 - k^2)).

    Raises
    ------
    ValueError
        For values out of range.

    Examples
    --------
    >>> f"{magnetic_over_sm(10e-6, 1e-12):.3f}"  # 10 keV; Raffelt has 0.318
    '0.318'
    """
    mass = positive("effective_mass", effective_mass, "GeV")
    moment = BOHR_MAGNETON * non_negative("mu_nu", mu_nu, "Bohr magneton")
    return 2.0 * np.pi * ALPHA * (moment / (G_F * mass)) ** 2 / _vector(sin2_theta_w)


def millicharge_over_sm(
    effective_mass: ArrayLike, millicharge: ArrayLike, sin2_theta_w: ArrayLike = SIN2_THETA_W
) -> NDArray[np.float64]:
    """Plasmon decay through a neutrino charge, relative to the Standard Model.

    Parameters
    ----------
    effective_mass : array_like of float
        sqrt(omega^2 - k^2) [GeV], > 0, for an estimate the plasma frequency.
    millicharge : array_like of float
        Charge of one Dirac neutrino [e].
    sin2_theta_w : array_like of float
        Weak mixing angle [1].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Ratio of widths [1]: (4 pi alpha q)^2 / (C_V^2 G_F^2 (omega^2 - k^2)^2).

    Raises
    ------
    ValueError
        For values out of range.

    Examples
    --------
    >>> f"{millicharge_over_sm(10e-6, 1e-14):.3f}"  # 10 keV; Raffelt has 0.664
    '0.665'
    """
    mass = positive("effective_mass", effective_mass, "GeV")
    charge = non_negative("|millicharge|", np.abs(millicharge), "e")
    return (4.0 * np.pi * ALPHA * charge / (G_F * mass**2)) ** 2 / _vector(sin2_theta_w)


def plasmon_energy_loss(
    mu_nu: float, *, temperature: float, density: float, electron_fraction: float
) -> tuple[float, float]:
    """Energy that decays of transverse plasmons take out of matter.

    Parameters
    ----------
    mu_nu : float
        Effective moment of stars [Bohr magneton], >= 0.
    temperature : float
        [GeV], > 0.
    density : float
        [g/cm^3], > 0.
    electron_fraction : float
        Electrons per nucleon [1].

    Returns
    -------
    tuple of float
        Loss by the moment, and in the Standard Model [erg / g / s].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    2 / (2 pi^2) integral k^2 dk omega Gamma / (exp(omega / T) - 1) with omega^2 = k^2 + omega_P^2:
    both polarisations with the mass of a plasmon at rest, no longitudinal plasmons. The two are
    then in the ratio of `magnetic_over_sm` at the plasma frequency (Raffelt 1996, ch. 6).
    """
    T = float(positive("temperature", temperature, "GeV"))
    mass = float(plasma_frequency(density, electron_fraction))

    def occupied(k: float) -> float:
        return k * k / np.expm1(np.hypot(k, mass) / T)

    number = quad(occupied, 0.0, 40.0 * T, points=[T])[0] / np.pi**2
    # omega times the width does not depend on omega.
    widths = magnetic_width(mass, mass, mu_nu), sm_width(mass, mass)
    per_volume = [number * mass * float(width) for width in widths]  # [GeV^5]
    volume = (HBAR_C * FM_TO_CM) ** 3  # [GeV^3 cm^3]
    magnetic, sm = (loss / volume * SECOND / ERG / density for loss in per_volume)
    return magnetic, sm


def tip_of_red_giant_branch(mu_nu: ArrayLike) -> NDArray[np.float64]:
    """Absolute I-band magnitude at the tip of the red-giant branch with a neutrino moment.

    Parameters
    ----------
    mu_nu : array_like of float
        Effective moment of stars [Bohr magneton], >= 0, valid to about 1e-11.

    Returns
    -------
    ndarray, shape of ``mu_nu``
        Magnitude [mag]; smaller is brighter. The coefficients are unverified (``TIP_STATUS``).

    Raises
    ------
    ValueError
        For a moment that is negative or not finite.

    Notes
    -----
    -4.03 - 0.23 [sqrt(m^2 + 0.80^2) - 0.80 - 0.18 m^1.5] with m = mu / 1e-12 mu_B, a fit to
    models of the globular cluster M5 (Viaux et al., arXiv:1308.4627).
    """
    moment = non_negative("mu_nu", mu_nu, "Bohr magneton") / 1e-12
    return -4.03 - 0.23 * (np.hypot(moment, 0.80) - 0.80 - 0.18 * moment**1.5)


def _plasmon(
    frequency: ArrayLike, effective_mass: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    omega = positive("frequency", frequency, "GeV")
    mass = non_negative("effective_mass", effective_mass, "GeV")
    if (mass > omega).any():
        raise ValueError(
            f"effective_mass {mass} exceeds the frequency {omega}; expected sqrt(omega^2 - k^2)"
        )
    return omega, mass


def _vector(sin2_theta_w: ArrayLike) -> NDArray[np.float64]:
    """Squared vector coupling of electrons to neutrinos, summed over the three flavours."""
    s2 = fraction("sin2_theta_w", sin2_theta_w)
    return (0.5 + 2.0 * s2) ** 2 + 2.0 * (0.5 - 2.0 * s2) ** 2
