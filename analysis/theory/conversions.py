"""One moment in the units and normalisations that papers use.

Everywhere else a moment is in Bohr magnetons and normalised as in L = (mu / 2) nubar sigma F nu.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processors.kernels.constants import BOHR_MAGNETON, EV, TESLA

MOMENT_UNITS = {
    "mu_B": 1.0,
    "GeV^-1": BOHR_MAGNETON,
    "eV/T": BOHR_MAGNETON * TESLA / EV,
}
"""Bohr magneton in each unit; inverse GeV are those of Heaviside and Lorentz, hbar = c = 1."""


def convert_moment(value: ArrayLike, source: str, target: str) -> NDArray[np.float64]:
    """Magnetic or electric moment in another unit.

    Parameters
    ----------
    value : array_like of float
        Moment in the unit ``source``.
    source, target : str
        Names of units: ``mu_B``, ``GeV^-1``, ``eV/T``.

    Returns
    -------
    ndarray, shape of ``value``
        Moment in the unit ``target``.

    Raises
    ------
    ValueError
        For an unknown unit.

    Examples
    --------
    >>> f"{convert_moment(1.0, 'mu_B', 'eV/T'):.5e}"
    '5.78838e-05'
    """
    for unit in (source, target):
        if unit not in MOMENT_UNITS:
            raise ValueError(f"unit {unit!r} is unknown; expected one of {sorted(MOMENT_UNITS)}")
    return np.asarray(value, dtype=np.float64) * (MOMENT_UNITS[target] / MOMENT_UNITS[source])


def moment_from_dipole(d: ArrayLike) -> NDArray[np.float64]:
    """Magnetic moment from the coupling of the dipole portal.

    Parameters
    ----------
    d : array_like of float
        Coupling d of L = d nubar sigma F N + h.c. [GeV^-1].

    Returns
    -------
    ndarray, shape of ``d``
        Moment mu = 2 d of L = (mu / 2) nubar sigma F N + h.c. [Bohr magneton].

    Notes
    -----
    The first Lagrangian is that of Magill et al., arXiv:1803.03262.

    Examples
    --------
    >>> f"{moment_from_dipole(1e-6):.3e}"
    '6.750e-09'
    """
    return convert_moment(2.0 * np.asarray(d, dtype=np.float64), "GeV^-1", "mu_B")


def dipole_from_moment(mu_nu: ArrayLike) -> NDArray[np.float64]:
    """Coupling of the dipole portal from the magnetic moment.

    Parameters
    ----------
    mu_nu : array_like of float
        Transition moment [Bohr magneton].

    Returns
    -------
    ndarray, shape of ``mu_nu``
        d = mu / 2 [GeV^-1], the inverse of `moment_from_dipole`.
    """
    return 0.5 * convert_moment(mu_nu, "mu_B", "GeV^-1")
