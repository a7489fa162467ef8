"""Radiative decay of neutrinos in vacuum, light and heavy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processors.kernels.constants import BOHR_MAGNETON, SECOND

from .domain import non_negative, positive


def radiative_decay_width(
    m_parent: ArrayLike,
    m_daughter: ArrayLike,
    magnetic: ArrayLike,
    electric: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Width of the decay of a neutrino into a lighter one and a photon.

    Parameters
    ----------
    m_parent, m_daughter : array_like of float
        Neutrino masses [GeV], the first > 0, the second >= 0.
    magnetic, electric : array_like of complex
        Transition moments mu and epsilon between the two states [Bohr magneton].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Width [GeV]; 0 for a daughter that is not lighter.

    Raises
    ------
    ValueError
        For masses out of range and moments that are not finite.

    Notes
    -----
    (|mu|^2 + |epsilon|^2) / (8 pi) ((m_j^2 - m_i^2) / m_j)^3 (Raffelt 1996); for Majorana neutrinos
    with their own moments, which are up to twice the Dirac ones.

    Examples
    --------
    >>> f"{decay_rate(radiative_decay_width(1e-9, 0.0, 1.0)):.2f} per second"
    '5.31 per second'
    """
    heavy = positive("m_parent", m_parent, "GeV")
    light = non_negative("m_daughter", m_daughter, "GeV")
    mu = non_negative("|magnetic|", np.abs(magnetic), "Bohr magneton")
    epsilon = non_negative("|electric|", np.abs(electric), "Bohr magneton")
    # Factored: the masses may be closer to each other than the rounding of their squares.
    release = np.maximum((heavy - light) * (heavy + light) / heavy, 0.0)
    return BOHR_MAGNETON**2 * (mu**2 + epsilon**2) / (8.0 * np.pi) * release**3


def dipole_portal_width(
    m_heavy: ArrayLike, mu_nu: ArrayLike, *, majorana: bool = False
) -> NDArray[np.float64]:
    """Width of the decay of a heavy neutral lepton into a massless neutrino and a photon.

    Parameters
    ----------
    m_heavy : array_like of float
        Mass of the heavy neutral lepton [GeV], > 0.
    mu_nu : array_like of float
        Moment mu of L = (mu / 2) nubar_L sigma F N + h.c. [Bohr magneton], >= 0.
    majorana : bool
        The heavy lepton is its own antiparticle and decays to neutrino and antineutrino.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Width [GeV]: mu^2 M^3 / (16 pi), twice that for Majorana.

    Raises
    ------
    ValueError
        For a mass or moment out of range.

    Notes
    -----
    d^2 M^3 / (4 pi) with mu = 2 d (Magill et al., arXiv:1803.03262). Half of
    `radiative_decay_width` because one helicity of the neutrino takes part.
    """
    mass = positive("m_heavy", m_heavy, "GeV")
    moment = BOHR_MAGNETON * non_negative("mu_nu", mu_nu, "Bohr magneton")
    channels = 2.0 if majorana else 1.0
    return channels * moment**2 * mass**3 / (16.0 * np.pi)


def decay_rate(width: ArrayLike) -> NDArray[np.float64]:
    """Decays per second of proper time.

    Parameters
    ----------
    width : array_like of float
        Width [GeV], >= 0.

    Returns
    -------
    ndarray, shape of ``width``
        Rate [1/s].

    Raises
    ------
    ValueError
        For a width that is negative or not finite.
    """
    return non_negative("width", width, "GeV") * SECOND


def lifetime(width: ArrayLike) -> NDArray[np.float64]:
    """Mean proper lifetime.

    Parameters
    ----------
    width : array_like of float
        Width [GeV], > 0.

    Returns
    -------
    ndarray, shape of ``width``
        Lifetime [s].

    Raises
    ------
    ValueError
        For a width that is not finite or not above zero.
    """
    return 1.0 / (positive("width", width, "GeV") * SECOND)
