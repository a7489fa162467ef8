"""Plasmon decay into neutrinos, the energy loss by which stars bound moments and charges.

Widths of one plasmon, for transverse and longitudinal ones alike, and their ratios; without the
wave-function renormalisation.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processors.kernels.constants import ALPHA, BOHR_MAGNETON, G_F, SIN2_THETA_W

from ..theory.domain import fraction, non_negative, positive


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
