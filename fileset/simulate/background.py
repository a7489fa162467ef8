"""Everything that is not elastic scattering on electrons, as far as a toy needs it.

The simulated sample emulates a *reduced* file: slices with a forward, shower-like leading prong,
as real analyses prepare them. A row below says how often an interaction survives that reduction and
how its leading prong is distributed. All numbers in the rows are assumptions, tuned so that the
sample has about 20,000 slices at 3.62e20 protons on target and a tight electron selection ends
with a background of the order of the signal. Do not use them as predictions.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.constants import physical_constants

from ..fluxes import Flux
from . import detector
from .signal import FLAVOURS, M_E
from .truth import MAX_PRIMARIES, Cells, Interactions, flux_bins, join

CC_NEUTRINO, CC_ANTINEUTRINO = 0.7e-38, 0.35e-38
"""Inclusive charged-current cross-section over energy [cm^2/GeV per nucleon]; rounded averages."""

NC_OVER_CC = 0.31
"""Neutral over charged current; rounded average."""

E_NU_MIN = 0.4
"""Neutrinos below this energy [GeV] make no shower that passes the reduction; assumption."""

POT_PER_SPILL = 2.5e13
"""Protons on target of one beam spill; typical of the exposure 3.62e20."""

COSMIC_PER_SPILL = 1e-4
"""Cosmic-like slices per spill that pass the reduction; assumption."""


@dataclass(frozen=True)
class Background:
    """One kind of background slice; every number is an assumption.

    Attributes
    ----------
    name : str
        Category.
    why : str
        What it looks like in the detector.
    parents : tuple of int
        Neutrino flavours (PDG codes); empty for slices without a neutrino.
    is_cc : bool
        Charged current.
    share : float
        Fraction of the inclusive cross-section of that current.
    kept : float
        Fraction of the interactions that pass the reduction.
    mode, inttype : int
        Truth codes (nusimdata).
    shower_pdg, mother_pdg : int
        Particle behind the leading prong, and its mother (0: primary).
    energy_share : tuple of float
        Parameters a, b of the beta distribution of shower energy over neutrino energy.
    ttheta2 : float
        Mean of 2 T (1 - cos theta), about T theta^2, of the exponential distribution [GeV].
    hadronic : float
        Mean visible energy outside the leading prong [GeV], exponential.
    """

    name: str
    why: str
    parents: tuple[int, ...]
    is_cc: bool
    share: float
    kept: float
    mode: int
    inttype: int
    shower_pdg: int
    mother_pdg: int
    energy_share: tuple[float, float]
    ttheta2: float
    hadronic: float


BACKGROUNDS = (
    Background(
        "numu_cc",
        "short muon taken for a shower",
        (14, -14), True, 0.90, 3.0e-4, 0, 1001, 13, 0, (2.0, 3.0), 0.10, 0.10,
    ),
    Background(
        "numu_cc_pi0",
        "pi0 with merged photons, muon short or hidden in the shower",
        (14, -14), True, 0.10, 2.0e-3, 1, 1004, 22, 111, (2.0, 4.0), 0.08, 0.15,
    ),
    Background(
        "nc_pi0",
        "pi0 with merged or lost photon, recoil below threshold",
        (14, -14, 12, -12), False, 0.12, 1.6e-2, 1, 1006, 22, 111, (1.5, 3.5), 0.04, 0.06,
    ),
    Background(
        "nc_coherent",
        "coherent pi0: forward, nothing at the vertex",
        (14, -14, 12, -12), False, 0.02, 3.0e-2, 3, 1096, 22, 111, (2.0, 3.5), 0.015, 0.004,
    ),
    Background(
        "nue_cc",
        "beam electron neutrino with little hadronic energy",
        (12, -12), True, 0.90, 2.0e-2, 0, 1001, 11, 0, (1.2, 3.0), 0.02, 0.04,
    ),
    Background(
        "numu_mec",
        "two-nucleon knock-out, short muon taken for a shower",
        (14, -14), True, 0.10, 6.0e-4, 10, 1100, 13, 0, (2.5, 2.5), 0.10, 0.08,
    ),
    Background(
        "nue_mec",
        "electron neutrino on a nucleon pair: electron and soft nucleons",
        (12, -12), True, 0.10, 5.0e-2, 10, 1100, 11, 0, (1.2, 3.0), 0.02, 0.03,
    ),
    Background(
        "cosmic",
        "cosmic ray in the spill window; real slices have no truth for it",
        (), False, 0.0, 0.0, 0, 0, 13, 0, (1.0, 1.0), 10.0, 0.05,
    ),
)  # fmt: skip
"""One row per background, in the order of ``CATEGORIES[1:]``."""

CATEGORIES = ("nuone", *(row.name for row in BACKGROUNDS))
"""Kinds of slices: elastic scattering on electrons first, then the backgrounds."""

COSMIC_ENERGY = 1.0
"""Mean energy of the leading prong of a cosmic-like slice [GeV], exponential; assumption."""

FIRST_PROCESS = 10
"""Process code of the first background row in ``Cells``; signal codes are lower."""


_MASSES = {
    11: M_E,
    13: physical_constants["muon mass energy equivalent in MeV"][0] * 1e-3,
    111: 0.1349768,  # Particle Data Group 2024
    2212: physical_constants["proton mass energy equivalent in MeV"][0] * 1e-3,
}
"""Masses of the primaries [GeV], CODATA where it has them; neutrinos have none."""


class _Table(NamedTuple):
    """Columns of ``BACKGROUNDS`` that are looked up per slice."""

    is_cc: NDArray[np.bool_]
    mode: NDArray[np.int64]
    inttype: NDArray[np.int64]
    shower_pdg: NDArray[np.int64]
    mother_pdg: NDArray[np.int64]
    energy_share: NDArray[np.float64]
    ttheta2: NDArray[np.float64]
    hadronic: NDArray[np.float64]


_TABLE = _Table._make(
    np.array([getattr(row, name) for row in BACKGROUNDS]) for name in _Table._fields
)


def background_cells(flux: Flux) -> Cells:
    """Rates of the backgrounds.

    Parameters
    ----------
    flux : Flux
        Published flux, flat inside its bins.

    Returns
    -------
    Cells
        Every row, flavour and bin: flux x cross-section x nucleons x fraction kept; slices per
        proton on target.
    """
    return join(
        [
            _neutrino_cells(flux, row, FIRST_PROCESS + i)
            if row.parents
            else _cosmic_cell(FIRST_PROCESS + i)
            for i, row in enumerate(BACKGROUNDS)
        ]
    )


def _neutrino_cells(flux: Flux, row: Background, process: int) -> Cells:
    bins, density = flux_bins(flux, [pdg for pdg in FLAVOURS if pdg in row.parents])
    low = np.minimum(np.maximum(bins.low, E_NU_MIN), bins.high)
    per_energy = np.where(bins.nu_pdg > 0, CC_NEUTRINO, CC_ANTINEUTRINO)
    per_energy *= row.share * (1.0 if row.is_cc else NC_OVER_CC)
    energy_integral = 0.5 * (bins.high**2 - low**2)
    nucleons = detector.ACTIVE_MASS_TONNE * detector.NUCLEONS_PER_TONNE
    rate = row.kept * nucleons * density * per_energy * energy_integral
    return bins._replace(process=np.full_like(bins.process, process), low=low, rate=rate)


def _cosmic_cell(process: int) -> Cells:
    none, zero = np.array([-1]), np.zeros(1)
    rate = np.array([COSMIC_PER_SPILL / POT_PER_SPILL])
    return Cells(np.array([process]), np.array([0]), none, zero, zero, rate)


def generate_background(rng: np.random.Generator, cells: Cells) -> Interactions:
    """Generate one background slice per cell.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    cells : Cells
        Cell of every event, as drawn from ``background_cells``.

    Returns
    -------
    Interactions
        Leading prong and visible rest; primaries are a lepton, the parent of the shower if that is
        another particle, and a proton. They do not conserve momentum.
    """
    n = len(cells.low)
    row = cells.process - FIRST_PROCESS
    table = _Table._make(column[row] for column in _TABLE)
    # The cross-section is proportional to the energy: inverse of its integral over the bin.
    u = rng.random(n)
    E_nu = np.sqrt((1.0 - u) * cells.low**2 + u * cells.high**2)
    share = rng.beta(table.energy_share[:, 0], table.energy_share[:, 1])
    is_neutrino = cells.nu_pdg != 0
    energy = np.where(is_neutrino, E_nu * share, rng.exponential(COSMIC_ENERGY, n))
    energy = np.maximum(energy, 0.01)
    direction = _direction(rng, energy, table.ttheta2)
    hadronic = rng.exponential(table.hadronic)
    hadronic = np.where(is_neutrino, np.minimum(hadronic, E_nu - E_nu * share), hadronic)
    pdg, momentum = _primaries(cells.nu_pdg, table, E_nu, energy, direction)
    target_Z, target_A = detector.target_nuclei(rng, n, by_electrons=False)
    return Interactions(
        category=row + 1,
        nu_pdg=cells.nu_pdg,
        flux_bin=cells.flux_bin,
        mode=table.mode,
        inttype=table.inttype,
        is_cc=table.is_cc.astype(np.int64),
        target_Z=target_Z,
        target_A=target_A,
        neutrino_energy=E_nu,
        vertex=detector.uniform_vertices(rng, n),
        shower_pdg=_with_sign(table.shower_pdg, cells.nu_pdg),
        shower_mother=table.mother_pdg,
        shower_energy=energy,
        shower_direction=direction,
        hadronic_energy=hadronic,
        primary_pdg=pdg,
        primary_momentum=momentum,
    )


def _with_sign(pdg: NDArray[np.int64], nu_pdg: NDArray[np.int64]) -> NDArray[np.int64]:
    """Antineutrinos make positive leptons; photons have no sign."""
    return np.where((pdg < 20) & (nu_pdg < 0), -pdg, pdg)


def _direction(
    rng: np.random.Generator, energy: NDArray[np.float64], ttheta2: NDArray[np.float64]
) -> NDArray[np.float64]:
    one_minus_cos = 0.5 * rng.exponential(ttheta2) / energy
    # What the exponential puts beyond the backward direction is isotropic.
    beyond = one_minus_cos > 2.0
    one_minus_cos[beyond] = rng.uniform(0.0, 2.0, int(beyond.sum()))
    across = np.sqrt(one_minus_cos * (2.0 - one_minus_cos))
    azimuth = rng.uniform(0.0, 2.0 * np.pi, len(energy))
    return detector.about_beam(1.0 - one_minus_cos, across, azimuth)


def _primaries(
    nu_pdg: NDArray[np.int64],
    table: _Table,
    E_nu: NDArray[np.float64],
    energy: NDArray[np.float64],
    direction: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Outgoing particles; the leading prong has its direction, the others go with the beam."""
    n = len(E_nu)
    lepton = np.where(table.is_cc, nu_pdg - np.sign(nu_pdg), nu_pdg)
    from_lepton = table.mother_pdg == 0
    pdg = np.zeros((n, MAX_PRIMARIES), np.int64)
    pdg[:, 0] = lepton
    pdg[:, 1] = np.where(from_lepton, 0, table.mother_pdg)
    pdg[:, 2] = np.where(table.mode == 3, 0, 2212)
    rest = np.maximum(E_nu - energy, 0.0)
    kinetic = np.zeros((n, MAX_PRIMARIES))
    kinetic[:, 0] = np.where(from_lepton, energy, 0.9 * rest)
    kinetic[:, 1] = energy
    kinetic[:, 2] = np.where(from_lepton, rest, 0.1 * rest)
    mass = np.select([np.abs(pdg) == code for code in _MASSES], list(_MASSES.values()), 0.0)
    total = kinetic + mass
    momentum = np.empty((n, MAX_PRIMARIES, 4))
    along = np.broadcast_to(detector.BEAM_DIRECTION, (n, 3))
    first = np.where(from_lepton[:, None], direction, along)
    size = np.sqrt(kinetic * (kinetic + 2.0 * mass))
    momentum[..., :3] = size[..., None] * np.stack([first, direction, along], axis=1)
    momentum[..., 3] = total
    return pdg, momentum
