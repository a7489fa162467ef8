"""Containers for what is generated: where events come from, and what happened in them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..fluxes import Flux

MAX_PRIMARIES = 3
"""Slots for outgoing particles per interaction; an empty slot has PDG code 0."""


class Cells(NamedTuple):
    """Sources of events: one entry per process, flavour and flux bin.

    Attributes
    ----------
    process : ndarray of int, shape (n,)
        What is generated; the codes belong to the module that made the cells.
    nu_pdg : ndarray of int, shape (n,)
        Neutrino flavour; 0 where there is no neutrino.
    flux_bin : ndarray of int, shape (n,)
        Index of the bin in the spectrum of this flavour; -1 where there is no neutrino.
    low, high : ndarray, shape (n,)
        Range of neutrino energy inside the bin [GeV].
    rate : ndarray, shape (n,)
        Expected slices per proton on target.
    """

    process: NDArray[np.int64]
    nu_pdg: NDArray[np.int64]
    flux_bin: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rate: NDArray[np.float64]


class Interactions(NamedTuple):
    """Truth of n slices, column by column.

    Attributes
    ----------
    category : ndarray of int, shape (n,)
        Index into ``CATEGORIES`` of ``background``.
    nu_pdg, flux_bin, mode, inttype, is_cc, target_Z, target_A : ndarray of int, shape (n,)
        Flavour, flux bin, interaction codes and nucleus; ``nu_pdg`` 0 means no true neutrino.
    neutrino_energy : ndarray, shape (n,)
        [GeV].
    vertex : ndarray, shape (n, 3)
        [cm].
    shower_pdg, shower_mother : ndarray of int, shape (n,)
        Particle behind the leading prong and the one it comes from (0: none).
    shower_energy : ndarray, shape (n,)
        Kinetic energy of that particle [GeV].
    shower_direction : ndarray, shape (n, 3)
        Unit vector in detector coordinates.
    hadronic_energy : ndarray, shape (n,)
        Visible energy outside the leading prong [GeV].
    primary_pdg : ndarray of int, shape (n, MAX_PRIMARIES)
        Outgoing particles; 0 in empty slots.
    primary_momentum : ndarray, shape (n, MAX_PRIMARIES, 4)
        px, py, pz and total energy [GeV].
    """

    category: NDArray[np.int64]
    nu_pdg: NDArray[np.int64]
    flux_bin: NDArray[np.int64]
    mode: NDArray[np.int64]
    inttype: NDArray[np.int64]
    is_cc: NDArray[np.int64]
    target_Z: NDArray[np.int32]
    target_A: NDArray[np.int32]
    neutrino_energy: NDArray[np.float64]
    vertex: NDArray[np.float64]
    shower_pdg: NDArray[np.int64]
    shower_mother: NDArray[np.int64]
    shower_energy: NDArray[np.float64]
    shower_direction: NDArray[np.float64]
    hadronic_energy: NDArray[np.float64]
    primary_pdg: NDArray[np.int64]
    primary_momentum: NDArray[np.float64]


def flux_bins(flux: Flux, flavours: Sequence[int]) -> tuple[Cells, NDArray[np.float64]]:
    """Flatten the spectra of some flavours into one list of bins.

    Parameters
    ----------
    flux : Flux
        Published flux.
    flavours : sequence of int
        PDG codes; a flavour that the flux lacks contributes nothing.

    Returns
    -------
    cells : Cells
        One per flavour and bin, with process 0 and rate 0.
    density : ndarray, shape (n,)
        Neutrinos per cm^2, proton on target and GeV in each bin.
    """
    parts = [(pdg, flux.spectra[pdg]) for pdg in flavours if pdg in flux.spectra]
    nu_pdg = np.concatenate([np.full(len(s.flux), pdg) for pdg, s in parts])
    index = np.concatenate([np.arange(len(s.flux)) for _, s in parts])
    low = np.concatenate([s.edges[:-1] for _, s in parts])
    high = np.concatenate([s.edges[1:] for _, s in parts])
    density = np.concatenate([s.flux for _, s in parts]) / (high - low)
    return Cells(np.zeros_like(index), nu_pdg, index, low, high, np.zeros_like(low)), density


def join(parts: Sequence[Cells]) -> Cells:
    """Join lists of cells, leaving out those with no rate.

    Parameters
    ----------
    parts : sequence of Cells
        At least one.

    Returns
    -------
    Cells
        All cells with a rate above zero, in order.
    """
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    keep = columns[-1] > 0.0
    return Cells._make(column[keep] for column in columns)


def draw(rng: np.random.Generator, cells: Cells, n: int) -> Cells:
    """Pick the cell of every event, in proportion to the rates.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    cells : Cells
        Sources of events.
    n : int
        Number of events.

    Returns
    -------
    Cells
        n entries, one per event, repetitions included.
    """
    cumulative = np.cumsum(cells.rate)
    index = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    return take(cells, np.minimum(index, len(cumulative) - 1))


def take(cells: Cells, index: NDArray[np.generic]) -> Cells:
    """Select cells by index or mask.

    Parameters
    ----------
    cells : Cells
        Sources of events.
    index : ndarray of int or bool
        Which to keep.

    Returns
    -------
    Cells
        The selected entries.
    """
    return Cells._make(column[index] for column in cells)


def shuffled(rng: np.random.Generator, parts: Sequence[Interactions]) -> Interactions:
    """Join interactions of several origins and put them in random order.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    parts : sequence of Interactions
        At least one.

    Returns
    -------
    Interactions
        Every input interaction once.
    """
    order = rng.permutation(sum(len(part.category) for part in parts))
    return Interactions._make(np.concatenate(column)[order] for column in zip(*parts, strict=True))
