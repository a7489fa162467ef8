"""How many electrons of an atom a recoil energy can set free: step functions of the binding energy.

Multiplies a cross-section per free electron. Good to some percent well above a shell; just below a
step, and under about a keV in heavy atoms, many-body calculations differ by tens of percent. The
recoil energy here is the whole energy transfer, binding energy included.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit, vectorize
from numpy.typing import ArrayLike, NDArray

from .compilation import quiet
from .constants import EV

BINDING_MODELS = ("steps", "free")


class Shells(NamedTuple):
    """Binding energies of an element with the number of electrons at each, outermost first."""

    Z: int
    """Atomic number [1]."""
    electrons: dict[float, int]
    """Electrons [1] by binding energy [eV]."""
    source: str
    unverified: str
    """What could not be compared with the source; empty if nothing."""

    def steps(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Binding energies [GeV] and the number of electrons up to and including each [1]."""
        energies = np.array(list(self.electrons)) * EV
        return energies, np.cumsum(list(self.electrons.values()), dtype=float)


SHELLS = {
    "xenon": Shells(
        Z=54,
        electrons={
            12.0: 4,
            13.4: 2,
            27.5: 2,
            71.7: 6,
            73.8: 4,
            162.8: 4,
            175.6: 2,
            229.4: 2,
            649.9: 6,
            708.1: 4,
            961.2: 4,
            1024.8: 2,
            1170.5: 2,
            4835.6: 4,
            5161.5: 2,
            5509.8: 2,
            34759.0: 2,
        },
        source="Chen, Chi, Liu and Wu, Phys. Lett. B 774, 656 (2017), as tabulated in SNuDD",
        unverified="",
    ),
    "germanium": Shells(
        Z=32,
        electrons={
            7.9: 4,
            29.2: 6,
            29.8: 4,
            120.8: 4,
            124.9: 2,
            180.1: 2,
            1217.0: 4,
            1248.1: 2,
            1414.6: 2,
            11103.1: 2,
        },
        source="X-ray Data Booklet (2009), table 1-1, after Bearden and Burr (1967)",
        unverified="4s and 4p together at the first ionisation energy, 7.9 eV",
    ),
    "argon": Shells(
        Z=18,
        electrons={15.7: 4, 15.9: 2, 29.3: 2, 248.4: 4, 250.6: 2, 326.3: 2, 3205.9: 2},
        source="X-ray Data Booklet (2009), table 1-1, after Bearden and Burr (1967)",
        unverified="compared with a copy of the table only",
    ),
}
"""Shells by element, for display too: show ``unverified`` wherever they are used."""

XENON_STEPS, XENON_ELECTRONS = SHELLS["xenon"].steps()
GERMANIUM_STEPS, GERMANIUM_ELECTRONS = SHELLS["germanium"].steps()
ARGON_STEPS, ARGON_ELECTRONS = SHELLS["argon"].steps()


@njit(cache=True, error_model="numpy")
def electrons_below(T: float, steps: NDArray[np.float64], electrons: NDArray[np.float64]) -> float:
    """Electrons [1] bound by less than ``T``; a recoil exactly at a step does not release it."""
    released = 0.0
    for step, total in zip(steps, electrons):  # noqa: B905 - numba has no strict zip
        if T > step:
            released = total
    return released


@quiet
@vectorize(cache=True)
def released_electrons(T: float, Z: float) -> float:
    """Electrons of an atom bound by less than a recoil energy, by atomic number.

    Parameters
    ----------
    T : array_like of float
        Energy transfer [GeV], not negative and finite.
    Z : array_like of int, broadcast against ``T``
        Atomic number [1]: 18, 32 or 54.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Electrons per atom [1], from 0 to ``Z``; NaN for input that is NaN or outside the domain,
        and for an element without table.

    Notes
    -----
    Sum of n_i theta(T - B_i) over the shells i of `SHELLS`, where the sources are.
    """
    if not 0.0 <= T < math.inf:
        return math.nan
    if Z == 54.0:
        return electrons_below(T, XENON_STEPS, XENON_ELECTRONS)
    if Z == 32.0:
        return electrons_below(T, GERMANIUM_STEPS, GERMANIUM_ELECTRONS)
    if Z == 18.0:
        return electrons_below(T, ARGON_STEPS, ARGON_ELECTRONS)
    return math.nan


def ionised_electrons(T: ArrayLike, element: str, binding: str = "steps") -> Any:
    """Effective number of electrons of an atom that a recoil energy can set free.

    Parameters
    ----------
    T : array_like of float
        Energy transfer [GeV], not negative and finite.
    element : str
        "xenon", "germanium" or "argon".
    binding : str, optional
        "steps" for the shells in `SHELLS`, or "free" to count all electrons at any T > 0.

    Returns
    -------
    ndarray, shape of ``T``
        Electrons per atom [1]: factor of the cross-section per free electron; NaN for input that is
        NaN, negative or infinite.

    Raises
    ------
    ValueError
        For an element without table, or an unknown binding model.

    Notes
    -----
    Sum of n_i theta(T - B_i). Xenon: Chen, Chi, Liu and Wu, Phys. Lett. B 774, 656 (2017).
    Germanium and argon: X-ray Data Booklet, table 1-1, of which the value for the valence electrons
    of germanium is unverified and the others were compared with copies only.

    Examples
    --------
    >>> float(ionised_electrons(5e-6, "xenon"))
    48.0
    """
    if element not in SHELLS:
        raise ValueError(f"no binding energies of {element!r}; available: {', '.join(SHELLS)}")
    if binding not in BINDING_MODELS:
        available = ", ".join(BINDING_MODELS)
        raise ValueError(f"no binding model {binding!r}; available: {available}")
    Z = SHELLS[element].Z
    released = released_electrons(T, Z)
    if binding == "steps":
        return released
    return np.where(np.isnan(released), np.nan, np.where(np.asarray(T) > 0.0, float(Z), 0.0))
