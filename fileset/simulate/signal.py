"""Elastic scattering of neutrinos on electrons: rates and event by event kinematics.

Written independently of the event weights of the analysis, so that a sample generated with a
magnetic moment can check a reweighted one: the cross-sections are in vector and axial form,
integrated numerically, and sampled by acceptance and rejection. Tree level, no radiative
correction, free electrons at rest.

The magnetic cross-section diverges as 1/T, therefore nothing is generated below
``T_MIN_GENERATED``; the Standard Model part has the same threshold.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.constants import physical_constants

from ..catalog import GENERATOR_SIN2_THETA_W as SIN2_THETA_W
from ..fluxes import Flux
from ..targets import ELECTRONS_PER_TONNE
from . import detector
from .truth import MAX_PRIMARIES, Cells, Interactions, flux_bins, join, take

M_E = physical_constants["electron mass energy equivalent in MeV"][0] * 1e-3
"""Electron mass [GeV], CODATA."""

G_F = physical_constants["Fermi coupling constant"][0]
"""Fermi coupling [GeV^-2], CODATA."""

ALPHA = physical_constants["fine-structure constant"][0]
"""Fine-structure constant, CODATA."""

GEV2_CM2 = (physical_constants["reduced Planck constant times c in MeV fm"][0] * 1e-3 * 1e-13) ** 2
"""(hbar c)^2 [GeV^2 cm^2], exact SI; 1 fm = 1e-13 cm."""

T_MIN_GENERATED = 0.05
"""Lowest generated recoil energy [GeV]; the magnetic cross-section has no total."""

FLAVOURS = (12, -12, 14, -14)
"""Neutrinos of the beam at the near detector (PDG codes)."""

STANDARD_MODEL, MAGNETIC = 0, 1
"""Process codes of signal cells."""

ELASTIC_MODE, ELASTIC_INTTYPE = 5, 1098
"""Codes of elastic scattering on electrons in the truth record (nusimdata)."""

# Three nodes integrate the Standard Model exactly: it is a parabola in T.
_NODES_3, _WEIGHTS_3 = np.polynomial.legendre.leggauss(3)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def vector_axial(nu_pdg: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Couplings of a neutrino flavour to the electron.

    Parameters
    ----------
    nu_pdg : ndarray of int
        +-12, +-14 or +-16; antineutrinos have the opposite axial coupling.

    Returns
    -------
    g_V, g_A : ndarray, shape of ``nu_pdg``
        Electron neutrinos have +1/2 from the charged current on top of the neutral current.
    """
    isospin = np.where(np.abs(nu_pdg) == 12, 0.5, -0.5)
    return isospin + 2.0 * SIN2_THETA_W, np.sign(nu_pdg) * isospin


def highest_recoil(E_nu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest electron recoil energy [GeV] for neutrino energies [GeV]."""
    return E_nu / (1.0 + 0.5 * M_E / E_nu)


def lowest_neutrino(T: float) -> float:
    """Smallest neutrino energy [GeV] that gives a recoil energy [GeV]."""
    return 0.5 * (T + math.sqrt(T * (T + 2.0 * M_E)))


def sm_dsigma_dT(
    T: NDArray[np.float64], E_nu: NDArray[np.float64], nu_pdg: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Standard Model cross-section inside the allowed range of recoil energies.

    Parameters
    ----------
    T, E_nu : ndarray
        Recoil and neutrino energy [GeV].
    nu_pdg : ndarray of int
        Flavour.

    Returns
    -------
    ndarray
        dsigma/dT [cm^2/GeV]; the kinematic limit is the caller's business.
    """
    g_V, g_A = vector_axial(nu_pdg)
    y = T / E_nu
    shape = (
        (g_V + g_A) ** 2 + (g_V - g_A) ** 2 * (1.0 - y) ** 2 + (g_A**2 - g_V**2) * M_E * y / E_nu
    )
    return GEV2_CM2 * G_F**2 * M_E / (2.0 * np.pi) * shape


def magnetic_dsigma_dT(T: NDArray[np.float64], E_nu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Magnetic cross-section [cm^2/GeV] of one Bohr magneton; energies in GeV."""
    return GEV2_CM2 * np.pi * ALPHA**2 / M_E**2 * (1.0 / T - 1.0 / E_nu)


def sm_sigma(E_nu: NDArray[np.float64], nu_pdg: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standard Model cross-section above the generation threshold.

    Parameters
    ----------
    E_nu : ndarray, shape (n,)
        Neutrino energy [GeV], above the smallest that reaches the threshold.
    nu_pdg : ndarray of int, shape (n,)
        Flavour.

    Returns
    -------
    ndarray, shape (n,)
        [cm^2], by Gauss-Legendre quadrature in T.
    """
    half = 0.5 * (highest_recoil(E_nu) - T_MIN_GENERATED)
    T = T_MIN_GENERATED + half[:, None] * (1.0 + _NODES_3)
    return half * (sm_dsigma_dT(T, E_nu[:, None], nu_pdg[:, None]) @ _WEIGHTS_3)


def magnetic_sigma(E_nu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Magnetic cross-section of one Bohr magneton above the generation threshold.

    Parameters
    ----------
    E_nu : ndarray, shape (n,)
        Neutrino energy [GeV], above the smallest that reaches the threshold.

    Returns
    -------
    ndarray, shape (n,)
        [cm^2], by Gauss-Legendre quadrature in ln T, where the integrand is smooth.
    """
    half = 0.5 * np.log(highest_recoil(E_nu) / T_MIN_GENERATED)
    T = T_MIN_GENERATED * np.exp(half[:, None] * (1.0 + _NODES))
    return half * ((T * magnetic_dsigma_dT(T, E_nu[:, None])) @ _WEIGHTS)


def _sigma(E_nu: NDArray[np.float64], cells: Cells) -> NDArray[np.float64]:
    sigma = np.empty_like(E_nu)
    magnetic = cells.process == MAGNETIC
    sigma[magnetic] = magnetic_sigma(E_nu[magnetic])
    sigma[~magnetic] = sm_sigma(E_nu[~magnetic], cells.nu_pdg[~magnetic])
    return sigma


def signal_cells(flux: Flux, mu_nu: float) -> Cells:
    """Rates of elastic scattering above the generation threshold.

    Parameters
    ----------
    flux : Flux
        Published flux, flat inside its bins.
    mu_nu : float
        Magnetic moment of every flavour [Bohr magneton].

    Returns
    -------
    Cells
        Standard Model and magnetic part of every flavour and bin: flux x cross-section x electrons,
        integrated over the bin by quadrature; slices per proton on target.
    """
    bins, density = flux_bins(flux, FLAVOURS)
    low = np.maximum(bins.low, lowest_neutrino(T_MIN_GENERATED))
    reached = low < bins.high
    bins, density = take(bins._replace(low=low), reached), density[reached]
    electrons = detector.ACTIVE_MASS_TONNE * ELECTRONS_PER_TONNE["nova"]
    half = 0.5 * (bins.high - bins.low)
    E_nu = bins.low[:, None] + half[:, None] * (1.0 + _NODES)
    parts = []
    for process, strength in ((STANDARD_MODEL, 1.0), (MAGNETIC, mu_nu**2)):
        part = bins._replace(process=np.full_like(bins.process, process))
        wide = take(part, np.repeat(np.arange(len(density)), len(_NODES)))
        sigma = _sigma(E_nu.ravel(), wide).reshape(E_nu.shape)
        parts.append(part._replace(rate=strength * electrons * density * half * (sigma @ _WEIGHTS)))
    return join(parts)


def _neutrino_energies(rng: np.random.Generator, cells: Cells) -> NDArray[np.float64]:
    """Accept and reject: flat in the bin, times the cross-section, which rises with energy."""
    E_nu = np.empty(len(cells.low))
    highest = _sigma(cells.high, cells)
    todo = np.arange(len(E_nu))
    while len(todo):
        some = take(cells, todo)
        E_nu[todo] = rng.uniform(some.low, some.high)
        todo = todo[rng.random(len(todo)) * highest[todo] >= _sigma(E_nu[todo], some)]
    return E_nu


def _recoils(
    rng: np.random.Generator, E_nu: NDArray[np.float64], cells: Cells
) -> NDArray[np.float64]:
    """Accept and reject: flat proposals in T for the Standard Model, flat in ln T for magnetic."""
    T = np.empty_like(E_nu)
    T_max = highest_recoil(E_nu)
    magnetic = cells.process == MAGNETIC
    ends = np.array([np.full_like(T_max, T_MIN_GENERATED), T_max])
    # A convex parabola is largest at one of its ends.
    envelope = sm_dsigma_dT(ends, E_nu, cells.nu_pdg).max(axis=0)
    # The magnetic shape (1 - T/E_nu)/T is the flat proposal in ln T times a falling factor.
    lowest = 1.0 - T_MIN_GENERATED / E_nu
    todo = np.arange(len(T))
    while len(todo):
        x, mag = rng.random(len(todo)), magnetic[todo]
        ratio = T_max[todo] / T_MIN_GENERATED
        T[todo] = T_MIN_GENERATED * np.where(mag, ratio**x, 1.0 + (ratio - 1.0) * x)
        accept = np.where(
            mag,
            (1.0 - T[todo] / E_nu[todo]) / lowest[todo],
            sm_dsigma_dT(T[todo], E_nu[todo], cells.nu_pdg[todo]) / envelope[todo],
        )
        todo = todo[rng.random(len(todo)) >= accept]
    return T


def generate_signal(rng: np.random.Generator, cells: Cells) -> Interactions:
    """Generate one elastic scattering per cell.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    cells : Cells
        Cell of every event, as drawn from ``signal_cells``.

    Returns
    -------
    Interactions
        Exact two-body kinematics about the beam direction; primaries are the outgoing neutrino,
        then the electron.
    """
    n = len(cells.low)
    E_nu = _neutrino_energies(rng, cells)
    T = _recoils(rng, E_nu, cells)
    # Momentum of the electron from energy and momentum conservation, free of cancellations.
    along = T * (1.0 + M_E / E_nu)
    across = np.sqrt(2.0 * M_E * T * np.maximum(1.0 - T / highest_recoil(E_nu), 0.0))
    electron = detector.about_beam(along, across, rng.uniform(0.0, 2.0 * np.pi, n))
    momentum = np.zeros((n, MAX_PRIMARIES, 4))
    momentum[:, 0, :3] = E_nu[:, None] * detector.BEAM_DIRECTION - electron
    momentum[:, 0, 3] = E_nu - T
    momentum[:, 1, :3] = electron
    momentum[:, 1, 3] = T + M_E
    pdg = np.zeros((n, MAX_PRIMARIES), np.int64)
    pdg[:, 0], pdg[:, 1] = cells.nu_pdg, 11
    target_Z, target_A = detector.target_nuclei(rng, n, by_electrons=True)
    return Interactions(
        category=np.zeros(n, np.int64),
        nu_pdg=cells.nu_pdg,
        flux_bin=cells.flux_bin,
        mode=np.full(n, ELASTIC_MODE),
        inttype=np.full(n, ELASTIC_INTTYPE),
        is_cc=np.zeros(n, np.int64),
        target_Z=target_Z,
        target_A=target_A,
        neutrino_energy=E_nu,
        vertex=detector.uniform_vertices(rng, n),
        shower_pdg=pdg[:, 1],
        shower_mother=np.zeros(n, np.int64),
        shower_energy=T,
        shower_direction=electron / np.linalg.norm(electron, axis=1, keepdims=True),
        hadronic_energy=np.zeros(n),
        primary_pdg=pdg,
        primary_momentum=momentum,
    )
