"""Spin and spin-flavour precession of neutrinos in a constant transverse magnetic field.

Two states in a constant field. Not for a field or a matter density that changes along the path.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processors.kernels.constants import BOHR_MAGNETON, METRE, TESLA

from .domain import non_negative


def spin_flip_probability(
    mu_nu: ArrayLike,
    field_tesla: ArrayLike,
    length_m: ArrayLike,
    splitting: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Probability that a left-handed neutrino has become the other state.

    Parameters
    ----------
    mu_nu : array_like of float
        Moment [Bohr magneton]: |lambda_jk| of the transition, for j = k the diagonal Dirac moment.
    field_tesla : array_like of float
        Magnetic field transverse to the path [T], >= 0.
    length_m : array_like of float
        Length of the path [m], >= 0.
    splitting : array_like of float
        Difference of the energies of the two states without field [GeV], of either sign: for two
        masses dm^2 / 2E, plus the difference of their potentials in matter.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Probability [1].

    Raises
    ------
    ValueError
        For a moment, field or length that is negative or not finite, and a splitting that is not
        finite.

    Notes
    -----
    (2 mu B)^2 / ((2 mu B)^2 + D^2) sin^2(sqrt((2 mu B)^2 + D^2) L / 2) (Fujikawa & Shrock 1980).
    The off-diagonal element of the Hamiltonian is mu B, for Majorana neutrinos as well: here the
    moment is always that of scattering. A code with mu B / 2 instead means a moment twice as large.

    Examples
    --------
    >>> f"{spin_flip_probability(1e-11, 10.0, 1e8):.3f}"
    '0.043'
    """
    moment = non_negative("mu_nu", mu_nu, "Bohr magneton") * BOHR_MAGNETON
    field = non_negative("field_tesla", field_tesla, "T") * TESLA
    length = non_negative("length_m", length_m, "m") * METRE
    difference = np.asarray(splitting, dtype=np.float64)
    # The sign drops out: checking the absolute value leaves "finite" as the only condition.
    non_negative("|splitting|", np.abs(difference), "GeV")
    coupling = 2.0 * moment * field
    frequency = np.hypot(coupling, difference)
    with np.errstate(invalid="ignore"):
        amplitude = np.where(frequency > 0.0, coupling / frequency, 0.0)
    return (amplitude * np.sin(0.5 * frequency * length)) ** 2
