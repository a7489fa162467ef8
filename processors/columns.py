"""Derived columns: what follows from the canonical ones by kinematics, the same for every format.

A derived column is one function with its unit in the docstring and the columns that it uses in the
decorator; it is added, lazily, wherever those are there.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import awkward as ak
import numba
import numpy as np
from numpy.typing import NDArray

from fileset.columns import Canonical, as_numpy, with_columns
from fileset.formats import FORMATS

from .kernels import constants
from .kernels.compilation import quiet

Column = Callable[[ak.Array], NDArray[np.float64]]

DERIVED: dict[str, tuple[Column, tuple[str, ...], Canonical]] = {}
"""Name to function, columns used, and meaning; in the order of definition, later use earlier."""


def column(
    *, uses: tuple[str, ...], unit: str, dtype: str = "float64"
) -> Callable[[Column], Column]:
    """Register a derived column under the name of its function.

    Parameters
    ----------
    uses : tuple of str
        Canonical or derived columns that the function reads.
    unit : str
    dtype : str
        numpy type of the values.
    """

    def register(function: Column) -> Column:
        meaning = (function.__doc__ or "").partition("\n")[0]
        DERIVED[function.__name__] = (function, uses, Canonical(unit, meaning, dtype))
        return function

    return register


def add_columns(events: ak.Array) -> ak.Array:
    """Add every derived column whose inputs the events have.

    Parameters
    ----------
    events : coffea NanoEvents, length n
        With canonical columns (:func:`fileset.events.canonical`).

    Returns
    -------
    coffea NanoEvents, length n
        A column that the format provides itself is kept as it is.
    """
    canonical = set(events.fields)
    available = set(canonical)
    expressions = {}
    for name, (function, uses, _) in DERIVED.items():
        if name not in canonical and available.issuperset(uses):
            expressions[name] = function
            available.add(name)
    return with_columns(events, expressions, {name: kind for name, (_, _, kind) in DERIVED.items()})


def provided(format_name: str) -> set[str]:
    """Columns that events of a format have, canonical and derived."""
    return with_derived(FORMATS[format_name].columns)


def with_derived(given: Iterable[str]) -> set[str]:
    """Columns that there are and all that can be derived from them."""
    available = set(given)
    for name, (_, uses, _) in DERIVED.items():
        if available.issuperset(uses):
            available.add(name)
    return available


def affected(changed: Iterable[str]) -> set[str]:
    """Columns that change with others: these and all that are derived from them."""
    moved = set(changed)
    for name, (_, uses, _) in DERIVED.items():
        if not moved.isdisjoint(uses):
            moved.add(name)
    return moved


def _values(events: Any, *names: str) -> tuple[NDArray[np.float64], ...]:
    return tuple(as_numpy(events[name]) for name in names)


@quiet
@numba.vectorize(cache=True)
def _angle(x: float, y: float, z: float, a: float, b: float, c: float) -> float:
    """Angle between a vector and a unit vector; NaN for one of length zero or that is NaN."""
    norm = math.sqrt(x * x + y * y + z * z)
    if not norm > 0.0:
        return math.nan
    # From the chord between the unit vectors. Not acos(dot): near 1 it loses half of the digits.
    chord = math.sqrt((x / norm - a) ** 2 + (y / norm - b) ** 2 + (z / norm - c) ** 2)
    return 2.0 * math.asin(min(0.5 * chord, 1.0))


@column(uses=("direction_x", "direction_y", "direction_z"), unit="rad")
def theta(events: ak.Array) -> NDArray[np.float64]:
    """Angle of the leading shower to the beam, from the chord between the unit vectors [rad]."""
    beam = np.asarray(FORMATS[events.metadata["format"]].beam_direction)
    direction = _values(events, "direction_x", "direction_y", "direction_z")
    return _angle(*direction, *(beam / np.linalg.norm(beam)))


@column(uses=("shower_energy", "theta"), unit="GeV rad^2")
def etheta2(events: ak.Array) -> NDArray[np.float64]:
    """Calorimetric shower energy times squared angle to the beam [GeV rad^2]."""
    energy, angle = _values(events, "shower_energy", "theta")
    return energy * angle**2


@column(uses=("shower_energy",), unit="GeV")
def recoil_energy(events: ak.Array) -> NDArray[np.float64]:
    """Kinetic energy of the electron: calorimetric shower energy less the rest energy [GeV]."""
    (energy,) = _values(events, "shower_energy")
    return energy - constants.M_E


@column(uses=("recoil_energy", "theta"), unit="GeV rad^2")
def ttheta2(events: ak.Array) -> NDArray[np.float64]:
    """Electron kinetic energy times squared angle to the beam [GeV rad^2]."""
    energy, angle = _values(events, "recoil_energy", "theta")
    return energy * angle**2


@column(uses=("slice_energy", "shower_energy"), unit="GeV")
def hadronic_energy(events: ak.Array) -> NDArray[np.float64]:
    """Calorimetric energy of the slice outside the leading shower [GeV]."""
    total, shower = _values(events, "slice_energy", "shower_energy")
    return total - shower


@column(uses=("true_electron_energy",), unit="GeV")
def true_recoil_energy(events: ak.Array) -> NDArray[np.float64]:
    """Kinetic energy of the final-state electron, truth [GeV]."""
    (energy,) = _values(events, "true_electron_energy")
    return energy - constants.M_E
