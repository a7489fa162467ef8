"""Mixing of three neutrinos: parameters, the unitary matrix, and phases gathered in vacuum.

Not for matter effects: the Sun enters through probabilities that the caller computed.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processors.kernels.constants import EV, METRE

from .domain import non_negative

# dm^2 L / 2E for dm^2 in eV^2, L in km and E in GeV.
OSCILLATION_PHASE = EV**2 * 1e3 * METRE / 2.0
"""Phase of a squared-mass splitting [rad per eV^2 km/GeV]."""


@dataclass(frozen=True)
class Mixing:
    """Three-neutrino mixing parameters.

    Attributes
    ----------
    theta12, theta13, theta23 : float
        Mixing angles [rad], from 0 to pi/2.
    delta : float
        Dirac phase [rad].
    dm21, dm31 : float
        Squared-mass splittings m_2^2 - m_1^2 and m_3^2 - m_1^2 [eV^2]; ``dm31`` is negative for
        inverted ordering.
    alpha21, alpha31 : float
        Majorana phases [rad]; without effect on Dirac neutrinos.

    Raises
    ------
    ValueError
        For a parameter that is not finite, and for angles out of range.
    """

    theta12: float
    theta13: float
    theta23: float
    delta: float
    dm21: float
    dm31: float
    alpha21: float = 0.0
    alpha31: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not math.isfinite(getattr(self, field.name)):
                raise ValueError(f"{field.name} = {getattr(self, field.name)} is not finite")
        for name in ("theta12", "theta13", "theta23"):
            if not 0.0 <= getattr(self, name) <= 0.5 * math.pi:
                raise ValueError(
                    f"{name} = {getattr(self, name)}; expected an angle from 0 to pi/2 [rad]; "
                    "convert degrees with math.radians"
                )


NUFIT52_NORMAL = Mixing(
    theta12=math.radians(33.41),
    theta13=math.radians(8.54),
    theta23=math.radians(49.1),
    delta=math.radians(197.0),
    dm21=7.41e-5,
    dm31=2.511e-3,
)
"""Best fit of NuFIT 5.2 (2022), normal ordering, without atmospheric data of Super-Kamiokande.

Values as repeated by public oscillation codes; nu-fit.org itself was not read.
"""


def pmns_matrix(mixing: Mixing) -> NDArray[np.complex128]:
    """Mixing matrix of three neutrinos in the standard parametrisation.

    Parameters
    ----------
    mixing : Mixing
        Angles and phases [rad].

    Returns
    -------
    ndarray, shape (3, 3)
        U with rows e, mu, tau and columns 1, 2, 3 [1].

    Notes
    -----
    U = R23 U13(delta) R12 diag(1, exp(i alpha21 / 2), exp(i alpha31 / 2)), with
    U_e3 = sin(theta13) exp(-i delta) (Particle Data Group).

    Examples
    --------
    >>> abs(pmns_matrix(NUFIT52_NORMAL)[0]).round(3)
    array([0.825, 0.545, 0.148])
    """
    angles = np.array([mixing.theta12, mixing.theta13, mixing.theta23])
    s12, s13, s23 = np.sin(angles)
    c12, c13, c23 = np.cos(angles)
    tilted = s13 * np.exp(-1j * mixing.delta)
    first = np.array([[1, 0, 0], [0, c23, s23], [0, -s23, c23]], dtype=np.complex128)
    second = np.array([[c13, 0, tilted], [0, 1, 0], [-tilted.conj(), 0, c13]])
    third = np.array([[c12, s12, 0], [-s12, c12, 0], [0, 0, 1]])
    phases = np.exp(0.5j * np.array([0.0, mixing.alpha21, mixing.alpha31]))
    return first @ second @ third * phases


def oscillation_phases(mixing: Mixing, l_over_e: ArrayLike) -> NDArray[np.float64]:
    """Phases of the three mass states after a distance in vacuum, relative to the first.

    Parameters
    ----------
    mixing : Mixing
        Squared-mass splittings [eV^2].
    l_over_e : array_like of float, shape (...)
        Distance over neutrino energy [km/GeV], >= 0.

    Returns
    -------
    ndarray, shape (..., 3)
        dm^2_k1 L / 2E [rad]; the amplitude of state k is multiplied by exp(-i phase).

    Raises
    ------
    ValueError
        For a negative or infinite ``l_over_e``.

    Examples
    --------
    >>> f"{oscillation_phases(NUFIT52_NORMAL, 810 / 2.0)[2]:.3f}"  # NOvA far detector
    '2.577'
    """
    ratio = non_negative("l_over_e", l_over_e, "km/GeV")
    splittings = np.array([0.0, mixing.dm21, mixing.dm31])
    return OSCILLATION_PHASE * ratio[..., np.newaxis] * splittings
