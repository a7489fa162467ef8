"""Right-handed neutrinos in the early universe, for Dirac neutrinos with a magnetic moment."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..theory.domain import non_negative, positive

# Photons, electrons and positrons, and three left-handed neutrinos.
G_AT_NEUTRINO_DECOUPLING = 10.75


def extra_neutrinos(g_star: ArrayLike, species: ArrayLike = 3) -> NDArray[np.float64]:
    """Contribution of decoupled right-handed neutrinos to the effective number of neutrinos.

    Parameters
    ----------
    g_star : array_like of float
        Effective relativistic degrees of freedom when they decoupled [1], >= 10.75; 106.75 with all
        of the Standard Model.
    species : array_like of float
        Right-handed neutrinos with their antiparticles that were in equilibrium [1].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Delta N_eff [1].

    Raises
    ------
    ValueError
        For ``g_star`` below 10.75 and a negative number of species.

    Notes
    -----
    N_R (10.75 / g_star)^(4/3): entropy of what annihilates later heats the left-handed ones alone.

    Examples
    --------
    >>> f"{extra_neutrinos(106.75):.3f}"
    '0.141'
    """
    degrees = positive("g_star", g_star, "1")
    if (degrees < G_AT_NEUTRINO_DECOUPLING).any():
        raise ValueError(
            f"g_star = {degrees}; expected at least {G_AT_NEUTRINO_DECOUPLING}, its value when "
            "left-handed neutrinos decouple"
        )
    number = non_negative("species", species, "1")
    return number * (G_AT_NEUTRINO_DECOUPLING / degrees) ** (4.0 / 3.0)
