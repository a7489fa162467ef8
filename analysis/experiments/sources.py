"""Flux of a row, and the recoil spectrum that a moment makes in its target."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fileset.fluxes import Flux, load_flux
from fileset.fluxes.sources import reactor_flux, solar_flux, stopped_pion_flux
from fileset.targets import Target
from processors.kernels import ionised_electrons
from processors.kernels.constants import KEV

from ..rates import Hypothesis, expected_rate

DAY = 86400.0  # [s]
YEAR = 365.25 * DAY  # [s], Julian
_ATOMIC_NUMBER = {"xenon": 54, "germanium": 32}


def load_source(flux: str | Mapping[str, Any]) -> Flux:
    """Flux that a row names.

    Parameters
    ----------
    flux : str or mapping
        Table of ``fileset/fluxes``, or the parameters of a reactor, of stopped pions or of the Sun.

    Returns
    -------
    Flux
        Per cm^2 and unit of exposure.

    Raises
    ------
    ValueError
        For an unknown table or impossible parameters.
    """
    if isinstance(flux, str):
        return load_flux(flux)
    if flux["source"] == "reactor":
        return reactor_flux(flux["thermal_power"], flux["distance"], flux["fission_fractions"])
    if flux["source"] == "stopped_pion":
        return stopped_pion_flux(flux["pions"], flux["distance"])
    return solar_flux(flux["components"], survival_probability=flux["survival"])


def magnetic_spectrum(
    flux: Flux, material: str, edges: NDArray[np.float64]
) -> dict[int, NDArray[np.float64]]:
    """Recoils by a moment of one Bohr magneton, per tonne and second.

    Parameters
    ----------
    flux : Flux
        Per second.
    material : str
        ``"xenon"`` or ``"germanium"``; its electrons are bound in steps.
    edges : ndarray, shape (n + 1,)
        Bins of true recoil energy [keV].

    Returns
    -------
    dict of int to ndarray, shape (n,)
        By PDG code: events in each bin.
    """
    unit, tonne = Hypothesis(mu_nu=1.0), Target(material, 1.0)
    bound = ionised_electrons(0.5 * (edges[1:] + edges[:-1]) * KEV, material)
    bound = bound / _ATOMIC_NUMBER[material]
    rates = [
        expected_rate(flux, tonne, (low * KEV, high * KEV), unit, exposure=1.0).magnetic
        for low, high in pairwise(edges)
    ]
    return {pdg: bound * np.array([rate[pdg] for rate in rates]) for pdg in flux.spectra}
