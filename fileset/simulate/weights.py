"""Flux universes and generator knobs that accompany every true neutrino.

Flux: the published flux *is* the PPFX central value and events are drawn from it, so the central
value weight is exactly 1: samples close without it. A few neutrinos carry ``NO_WEIGHT`` instead,
as in real files; readers treat every value above 90 as 1. Universes are relative to the central
value and are defined for every neutrino.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..fluxes import Flux
from .background import CATEGORIES
from .signal import FLAVOURS

UNIVERSES = 100
"""Number of flux universes."""

UNIVERSE_SEED = 20170
"""Seed of the universes; not that of the sample, because all samples share one beam."""

FLAVOUR_CORRELATION = 0.6
"""Correlation of the flux errors of two flavours at one energy; assumption."""

SMALLEST_WEIGHT = 0.02
"""Floor of a universe weight: a Gaussian of 37 % could turn a flux negative."""

NO_WEIGHT = 99.0
"""Value that marks a neutrino without central value weight."""

NO_WEIGHT_ABOVE = 90.0
"""Readers treat every central value above this as 1."""

NO_WEIGHT_FRACTION = 1e-3
"""Fraction of neutrinos marked with ``NO_WEIGHT``; assumption."""

SHIFTS = {"minus2sigma": -2.0, "minus1sigma": -1.0, "plus1sigma": 1.0, "plus2sigma": 2.0}
"""Rows of the knob table and their shift in standard deviations."""

_RESPONSES = {
    # d ln(weight) / d sigma of a slice with half of the neutrino energy in the shower; assumptions
    "nuone": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "numu_cc": (0.15, 0.05, 0.0, 0.0, 0.02, 0.0),
    "numu_cc_pi0": (0.0, 0.20, 0.0, 0.0, 0.10, 0.0),
    "nc_pi0": (0.0, 0.0, 0.20, 0.0, 0.12, 0.0),
    "nc_coherent": (0.0, 0.0, 0.0, 0.0, 0.0, 0.15),
    "nue_cc": (0.15, 0.06, 0.0, 0.0, 0.02, 0.0),
    "numu_mec": (0.0, 0.0, 0.0, 0.25, 0.01, 0.0),
    "nue_mec": (0.0, 0.0, 0.0, 0.25, 0.01, 0.0),
    "cosmic": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}
_RESPONSE = np.array([_RESPONSES[name] for name in CATEGORIES])


def universe_table(flux: Flux) -> NDArray[np.float32]:
    """Flux weights of all universes, per flavour and flux bin.

    Parameters
    ----------
    flux : Flux
        Published flux with its fractional uncertainty per bin.

    Returns
    -------
    ndarray, shape (number of ``FLAVOURS``, largest number of bins, ``UNIVERSES``)
        Constant inside a flux bin, 1 beyond the last bin of a flavour. The spread over the
        universes is the published uncertainty of the bin; a normalisation turns smoothly into a
        tilt along ln E_nu.
    """
    rng = np.random.default_rng(UNIVERSE_SEED)
    # Columns: common normalisation and tilt, then both again for every flavour.
    modes = _orthonormal(rng, 2 + 2 * len(FLAVOURS))
    bins = max(len(flux.spectra[pdg].flux) for pdg in FLAVOURS)
    table = np.ones((len(FLAVOURS), bins, UNIVERSES), np.float32)
    for i, pdg in enumerate(FLAVOURS):
        spectrum = flux.spectra[pdg]
        mixed = (
            np.sqrt(FLAVOUR_CORRELATION) * modes[:, :2]
            + np.sqrt(1.0 - FLAVOUR_CORRELATION) * modes[:, 2 + 2 * i : 4 + 2 * i]
        )
        centre = 0.5 * (spectrum.edges[:-1] + spectrum.edges[1:])
        phase = 0.5 * np.pi * np.log(centre / centre[0]) / np.log(centre[-1] / centre[0])
        unit = np.outer(np.cos(phase), mixed[:, 0]) + np.outer(np.sin(phase), mixed[:, 1])
        if spectrum.fractional_uncertainty is None:
            raise ValueError(f"flux {flux.name!r} has no uncertainty for {pdg}: no universes of it")
        weights = 1.0 + spectrum.fractional_uncertainty[:, None] * unit
        table[i, : len(centre)] = np.maximum(weights, SMALLEST_WEIGHT)
    return table


def _orthonormal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Columns of mean 0 and variance 1 over the universes, uncorrelated with each other."""
    normal = rng.standard_normal((UNIVERSES, n))
    return np.linalg.qr(normal - normal.mean(axis=0))[0] * np.sqrt(UNIVERSES)


def universe_weights(
    table: NDArray[np.float32], nu_pdg: NDArray[np.int64], flux_bin: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Flux weights of some neutrinos.

    Parameters
    ----------
    table : ndarray
        From ``universe_table``.
    nu_pdg, flux_bin : ndarray of int, shape (n,)
        Flavour and flux bin.

    Returns
    -------
    ndarray, shape (n, ``UNIVERSES``)
        Relative to the central value.
    """
    flavour = np.select([nu_pdg == pdg for pdg in FLAVOURS], range(len(FLAVOURS)))
    return table[flavour, flux_bin]


def central_values(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Central value weights: 1, rarely ``NO_WEIGHT``."""
    return np.where(rng.random(n) < NO_WEIGHT_FRACTION, NO_WEIGHT, 1.0).astype(np.float32)


def knob_weights(
    category: NDArray[np.int64], energy_share: NDArray[np.float64]
) -> dict[str, NDArray[np.float32]]:
    """Generator weights of all knobs and shifts.

    Parameters
    ----------
    category : ndarray of int, shape (n,)
        Index into ``CATEGORIES``.
    energy_share : ndarray, shape (n,)
        Shower energy over neutrino energy; soft showers respond more.

    Returns
    -------
    dict of str to ndarray, shape (n, number of knobs)
        ``exp(response x shift)`` per shift name, hence positive and asymmetric; 1 where a category
        does not respond.
    """
    response = _RESPONSE[category] * (1.5 - energy_share)[:, None]
    return {name: np.exp(response * shift).astype(np.float32) for name, shift in SHIFTS.items()}


def all_shifts(knobs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float64]:
    """Generator weights at every whole standard deviation up to three.

    Parameters
    ----------
    knobs : mapping of str to ndarray, shape (n, number of knobs)
        From ``knob_weights``.

    Returns
    -------
    ndarray, shape (n, number of knobs, 7)
        At -3, -2, ... 3. The responses are exponential, so three is one times two.
    """
    down2, down1, up1, up2 = (np.asarray(knobs[name], np.float64) for name in SHIFTS)
    shifts = (down2 * down1, down2, down1, np.ones_like(up1), up1, up2, up1 * up2)
    return np.stack(shifts, axis=-1)
