"""Selection and weights in numpy, as the contestants without an analysis framework do them."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from fileset.catalog import GENERATOR_SIN2_THETA_W
from fileset.formats.nova_caf import NUMI_BEAM_DIRECTION
from processors.kernels import magnetic_over_sm, radiative_ratio
from processors.kernels.constants import M_E

from .job import (
    CELL_WIDTH,
    ENERGY_CELLS,
    FLAVOURS,
    NO_WEIGHT,
    NUONE_INTTYPE,
    TABLE,
    TTHETA2_MAX,
    UNIVERSES,
    Job,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Selected(NamedTuple):
    """Slices of a chunk after the selection.

    Attributes
    ----------
    keep : ndarray of bool, shape (n,)
    recoil, ttheta2 : ndarray, shape (count of ``keep``,)
        [GeV], [GeV rad^2].
    """

    keep: Bools
    recoil: Floats
    ttheta2: Floats


class Entries(NamedTuple):
    """What is filled: one entry per selected slice, then one per selected signal slice.

    Attributes
    ----------
    row : ndarray of int, shape (m,)
        Selected slice.
    category : ndarray of int, shape (m,)
    weight : ndarray, shape (m,)
        Nominal.
    cv : ndarray, shape (number of selected slices,)
        Central value of the flux.
    cell : ndarray of int, shape (number of selected slices,)
        Cell of flavour and energy, -1 without a neutrino.
    """

    row: NDArray[np.int64]
    category: NDArray[np.int64]
    weight: Floats
    cv: Floats
    cell: NDArray[np.int64]


def first(values: ak.Array, missing: float) -> Floats:
    return ak.to_numpy(ak.fill_none(ak.firsts(values), missing)).astype(np.float64)


def select(columns: Mapping[str, ak.Array]) -> Selected:
    """Apply the cuts to the columns of ``SELECTION_BRANCHES``."""
    energy = first(columns["energy"], np.nan)
    x, y, z = (first(columns[f"dir_{axis}"], np.nan) for axis in "xyz")
    norm = np.sqrt(x * x + y * y + z * z)
    beam = np.array(NUMI_BEAM_DIRECTION)
    beam /= np.sqrt(beam @ beam)
    chord = np.sqrt(
        (x / norm - beam[0]) ** 2 + (y / norm - beam[1]) ** 2 + (z / norm - beam[2]) ** 2
    )
    theta = 2.0 * np.arcsin(np.minimum(0.5 * chord, 1.0))
    recoil = energy - M_E
    ttheta2 = recoil * theta**2
    keep = (energy > 0.5) & (energy < 5.0) & (ttheta2 < TTHETA2_MAX)
    keep &= first(columns["electron_id"], np.nan) > 0.5
    # Of float32, the cut would be rounded to float32 too.
    keep &= ak.to_numpy(columns["nuone_id"]).astype(np.float64) > 0.73
    keep &= ak.to_numpy(columns["epi0_id"]).astype(np.float64) > 0.92
    return Selected(keep, recoil[keep], ttheta2[keep])


def weigh(columns: Mapping[str, ak.Array]) -> Entries:
    """Categories and nominal weights from the columns of ``TRUTH_BRANCHES``, selected slices."""
    pdg = first(columns["pdg"], 0)
    is_cc = first(columns["is_cc"], 0) != 0
    signal = first(columns["inttype"], -1) == NUONE_INTTYPE
    cv = first(columns["cv"], 1.0)
    cv[cv > NO_WEIGHT] = 1.0
    flavour = np.abs(pdg)
    category = np.select(
        [signal, pdg == 0, (flavour == 12) & is_cc, (flavour == 14) & is_cc], [0, 5, 2, 3], 4
    )
    electron = np.abs(columns["primary_pdg"]) == 11
    recoil = first(columns["primary_E"][electron], np.nan)[signal] - M_E
    energy = first(columns["E_nu"], np.nan)
    truth = recoil, energy[signal], pdg[signal]
    weight = cv.copy()
    weight[signal] *= radiative_ratio(*truth, "sarantakos", GENERATOR_SIN2_THETA_W)
    template = cv[signal] * magnetic_over_sm(*truth, GENERATOR_SIN2_THETA_W)
    again = np.flatnonzero(signal)
    return Entries(
        np.concatenate([np.arange(len(pdg)), again]),
        np.concatenate([category, np.ones_like(again)]),
        np.concatenate([weight, template]),
        cv,
        cells(pdg, energy),
    )


def cells(pdg: Floats, energy: Floats) -> NDArray[np.int64]:
    """Cell of flavour and energy of each slice, -1 without a neutrino."""
    flavour = np.select([pdg == code for code in FLAVOURS], range(len(FLAVOURS)), -1)
    step = np.where(flavour < 0, 0.0, np.minimum(energy / CELL_WIDTH, ENERGY_CELLS - 1))
    return np.where(flavour < 0, -1, flavour * ENERGY_CELLS + step.astype(np.int64))


def factors(job: Job, read: Callable[[str], ak.Array], entries: Entries) -> Iterator[Floats]:
    """Factor of each selected slice, variation by variation.

    Parameters
    ----------
    job : Job
    read : callable
        Branch to the lists of the n selected slices.
    entries : Entries

    Yields
    ------
    ndarray, shape (n,)
    """
    n = len(entries.cv)
    weights = {}
    for branch, size in job.sizes.items():
        lists = read(branch)
        there = ak.to_numpy(ak.num(lists)) > 0
        weights[branch] = np.ones((n, size), np.float32)
        weights[branch][there] = ak.to_numpy(ak.flatten(lists)).reshape(-1, size)
    # The last row is for cell -1.
    table = np.vstack([job.table(), np.ones(job.tabled)])
    for branch, k in job.columns:
        if branch == TABLE:
            yield table[entries.cell, k]
            continue
        column = weights[branch][:, k].astype(np.float64)
        if branch == UNIVERSES:
            # Slices without a neutrino have a central value of 1 too.
            column = np.where(column > NO_WEIGHT, 1.0, column) / entries.cv
        yield column
