"""Geometry, targets and beam of the simulated near detector.

A box of active scintillator with the published size, mass and composition. It is not a
description of the real detector: no muon catcher, no dead channels, no rock.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.constants import N_A

from ..formats.nova_caf import NUMI_BEAM_DIRECTION
from ..targets import ATOMS, COMPOSITION_BY_MASS, GRAM_PER_TONNE

WALLS_LOW = np.array([-195.0, -195.0, 0.0])
"""Lower corner (x, y, z) of the active volume [cm]; NOvA near detector, 3.9 x 3.9 x 12.7 m^3."""

WALLS_HIGH = np.array([195.0, 195.0, 1270.0])
"""Upper corner (x, y, z) of the active volume [cm]."""

ACTIVE_MASS_TONNE = 193.0
"""Mass of the active volume [tonne]; near-detector card of the public generator DarkNews."""

NUCLEONS_PER_TONNE = N_A * GRAM_PER_TONNE
"""Target nucleons per tonne, one gram per mole of nucleons."""

BEAM_DIRECTION: NDArray[np.float64] = np.array(NUMI_BEAM_DIRECTION) / math.hypot(
    *NUMI_BEAM_DIRECTION
)
"""Unit vector of the neutrino beam in detector coordinates (not the detector z axis)."""

PLANE_PITCH = 6.6
"""Thickness of one detector plane along z [cm]."""


def uniform_vertices(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Interaction points, uniform in the active volume.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    n : int
        Number of points.

    Returns
    -------
    ndarray, shape (n, 3)
        x, y, z [cm].
    """
    return rng.uniform(WALLS_LOW, WALLS_HIGH, size=(n, 3))


def target_nuclei(
    rng: np.random.Generator, n: int, *, by_electrons: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Atoms that were hit, drawn in proportion to their electrons or to their nucleons.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    n : int
        Number of atoms.
    by_electrons : bool
        Weigh elements by electrons (elastic scattering on electrons) instead of by mass.

    Returns
    -------
    tuple of two ndarray, shape (n,)
        Atomic number and rounded atomic weight.
    """
    composition = COMPOSITION_BY_MASS["nova"]
    Z, weight = np.array([ATOMS[element] for element in composition]).T
    fraction = np.array(list(composition.values()))
    share = fraction * Z / weight if by_electrons else fraction
    index = rng.choice(len(share), size=n, p=share / share.sum())
    return Z[index].astype(np.int32), np.rint(weight).astype(np.int32)[index]


def basis_around(axis: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two unit vectors that are orthogonal to an axis and to each other.

    Parameters
    ----------
    axis : ndarray, shape (..., 3)
        Unit vectors.

    Returns
    -------
    tuple of two ndarray, shape (..., 3)
        Right-handed basis (first, second, axis).
    """
    # The detector axis with the smallest component can never be parallel to the vector.
    helper = np.eye(3)[np.abs(axis).argmin(axis=-1)]
    first = np.cross(helper, axis)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    return first, np.cross(axis, first)


def about_beam(
    along: NDArray[np.float64], across: NDArray[np.float64], azimuth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Vectors in detector coordinates from their components relative to the beam.

    Parameters
    ----------
    along, across : ndarray, shape (n,)
        Component parallel to the beam and size of the transverse component, any one unit.
    azimuth : ndarray, shape (n,)
        Angle around the beam [rad].

    Returns
    -------
    ndarray, shape (n, 3)
        x, y, z in the unit of the components.
    """
    first, second = basis_around(BEAM_DIRECTION)
    return (
        along[:, None] * BEAM_DIRECTION
        + (across * np.cos(azimuth))[:, None] * first
        + (across * np.sin(azimuth))[:, None] * second
    )
