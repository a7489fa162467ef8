"""How large a moment can be before the mass that comes with it has to be tuned away.

Arguments about orders of magnitude, not limits from data: compare, never combine.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processors.kernels.constants import EV, M_E, M_MU, M_TAU, TEV

from .domain import non_negative, positive

_LEPTON_MASS = {"nue": M_E, "numu": M_MU, "nutau": M_TAU}


@dataclass(frozen=True)
class Bound:
    """Bound from naturalness as its authors quote it.

    Attributes
    ----------
    moment : float
        Bound or its coefficient [Bohr magneton].
    status : str
        ``read`` in the source or ``unverified``.
    source : str
        Reference, with the assumption.
    """

    moment: float
    status: Literal["read", "unverified"]
    source: str


DIRAC_BOUND = Bound(
    1e-14,
    "unverified",
    "Bell et al., hep-ph/0504134: Dirac neutrinos, masses below about 1 eV, physics above 1 TeV; "
    "hep-ph/0610388 quotes 1e-15",
)
"""Bound for Dirac neutrinos; its abstract was read without the number."""

MAJORANA_BOUND = Bound(
    4e-9,
    "unverified",
    "Bell et al., hep-ph/0606248: Majorana neutrinos, mass matrix element 1 eV, physics at 1 TeV",
)
"""Coefficient of `majorana_bound`; that it is weaker than limits at 1 TeV was read."""


def mass_from_moment(mu_nu: ArrayLike, scale: ArrayLike) -> NDArray[np.float64]:
    """Neutrino mass that a magnetic moment brings along without cancellation.

    Parameters
    ----------
    mu_nu : array_like of float
        Magnetic moment [Bohr magneton], >= 0.
    scale : array_like of float
        Energy scale of the physics that makes the moment [GeV], > 0.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Mass [GeV].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    scale^2 / (2 m_e) (mu / mu_B): the loop with the photon removed (hep-ph/0606248, section 1).

    Examples
    --------
    >>> f"{mass_from_moment(1e-18, 1e3) * 1e9:.2f} eV"
    '0.98 eV'
    """
    moment = non_negative("mu_nu", mu_nu, "Bohr magneton")
    return positive("scale", scale, "GeV") ** 2 / (2.0 * M_E) * moment


def moment_from_mass(m_nu: ArrayLike, scale: ArrayLike) -> NDArray[np.float64]:
    """Largest moment that needs no cancellation in a given neutrino mass.

    Parameters
    ----------
    m_nu : array_like of float
        Neutrino mass [GeV], >= 0.
    scale : array_like of float
        Energy scale of the physics that makes the moment [GeV], > 0.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Magnetic moment [Bohr magneton], the inverse of `mass_from_moment`.

    Raises
    ------
    ValueError
        For values out of range.
    """
    return non_negative("m_nu", m_nu, "GeV") * 2.0 * M_E / positive("scale", scale, "GeV") ** 2


def majorana_bound(
    mass_element: ArrayLike, scale: ArrayLike, *, flavours: tuple[str, str]
) -> NDArray[np.float64]:
    """Largest natural transition moment of Majorana neutrinos between two flavours.

    Parameters
    ----------
    mass_element : array_like of float
        Element of the neutrino mass matrix between the two flavours [GeV], absolute value.
    scale : array_like of float
        Energy scale of the physics that makes the moment [GeV], > 0.
    flavours : tuple of str
        Two different of ``nue``, ``numu``, ``nutau``.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Transition moment [Bohr magneton]; its coefficient is unverified, see ``MAJORANA_BOUND``.

    Raises
    ------
    ValueError
        For values out of range, for an unknown flavour and for twice the same.

    Notes
    -----
    4e-9 mu_B (m_ab / eV) (TeV / scale)^2 m_tau^2 / |m_a^2 - m_b^2|. The moment is antisymmetric in
    flavour and the mass symmetric, so the loop is suppressed by Yukawa couplings.

    Examples
    --------
    >>> f"{majorana_bound(1e-9, 1e3, flavours=('numu', 'nutau')):.1e}"
    '4.0e-09'
    """
    first, second = flavours
    if first == second or not {first, second} <= set(_LEPTON_MASS):
        raise ValueError(f"flavours {flavours}; expected two different of {sorted(_LEPTON_MASS)}")
    mass = non_negative("mass_element", mass_element, "GeV")
    energy = positive("scale", scale, "GeV")
    hierarchy = M_TAU**2 / abs(_LEPTON_MASS[first] ** 2 - _LEPTON_MASS[second] ** 2)
    return MAJORANA_BOUND.moment * (mass / EV) * (TEV / energy) ** 2 * hierarchy
