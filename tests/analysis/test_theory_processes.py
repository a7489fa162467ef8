"""Radiative decay and precession in a magnetic field."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from analysis.theory import (
    decay_rate,
    dipole_from_moment,
    dipole_portal_width,
    lifetime,
    majorana_moments,
    radiative_decay_width,
    spin_flip_probability,
)
from processors.kernels.constants import BOHR_MAGNETON, EV

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
GAMMA = np.stack(
    [
        np.kron(PAULI[2], np.eye(2)),
        *(np.kron(1j * PAULI[1], sigma) for sigma in PAULI),
    ]
)
METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
GAMMA5 = 1j * np.linalg.multi_dot(list(GAMMA))
RIGHT = 0.5 * (np.eye(4) + GAMMA5)


def close(expected, rel=1e-9, abs=0.0):
    """Relative comparison; the usual absolute tolerance would swallow moments and widths."""
    return pytest.approx(expected, rel=rel, abs=abs)


def slash(momentum):
    return np.einsum("a,ab,bij->ij", momentum, METRIC, GAMMA)


def traced_width(mass, vertices):
    """Width of a spin-1/2 particle at rest to a massless one and a photon along z, from traces."""
    photon = 0.5 * mass * np.array([1.0, 0.0, 0.0, 1.0])
    neutrino = 0.5 * mass * np.array([1.0, 0.0, 0.0, -1.0])
    commutators = [[0.5j * (a @ b - b @ a) for b in GAMMA] for a in GAMMA]
    sigma_q = np.einsum("a,ab,bcij->cij", photon, METRIC, np.array(commutators))
    vertex = vertices @ sigma_q
    conjugate = GAMMA[0] @ vertex.conj().swapaxes(-1, -2) @ GAMMA[0]
    parent = slash(np.array([mass, 0, 0, 0])) + mass * np.eye(4)
    traces = np.einsum("ij,ajk,kl,bli->ab", slash(neutrino), vertex, parent, conjugate)
    squared = -np.sum(traces * METRIC).real / 2.0  # summed over photons, averaged over spins
    return squared / (2.0 * mass) / (8.0 * math.pi)


def test_radiative_decay_from_the_traces_of_the_magnetic_vertex():
    traced = traced_width(0.25, 1e-9 * BOHR_MAGNETON * np.eye(4))
    assert radiative_decay_width(0.25, 0.0, 1e-9) == close(traced, rel=1e-12)


def test_radiative_decay_from_the_traces_of_both_vertices():
    # epsilon multiplies -i gamma_5 in the vertex of a transition.
    vertex = BOHR_MAGNETON * (1e-9 * np.eye(4) - 1j * 0.4e-9j * GAMMA5)
    traced = traced_width(0.25, vertex)
    assert radiative_decay_width(0.25, 0.0, 1e-9, 0.4e-9j) == close(traced, rel=1e-12)


def test_dipole_portal_width_from_the_traces_of_one_chirality():
    traced = traced_width(0.25, 1e-9 * BOHR_MAGNETON * RIGHT)
    assert dipole_portal_width(0.25, 1e-9) == close(traced, rel=1e-12)


def test_dipole_portal_width_in_the_coupling_of_its_paper():
    expected = dipole_from_moment(1e-9) ** 2 * 0.1**3 / (4 * math.pi)
    assert dipole_portal_width(0.1, 1e-9) == close(expected, rel=1e-13)
    assert dipole_portal_width(0.1, 1e-9, majorana=True) == close(2 * expected, rel=1e-13)


def test_decay_needs_a_heavier_parent():
    width = radiative_decay_width(EV, [0.0, 1.0 * EV, 2.0 * EV], 1.0)
    assert width[0] > 0.0
    np.testing.assert_array_equal(width[1:], 0.0)


@given(gap=st.floats(1e-12, 1e-6))
def test_nearly_degenerate_decay_releases_twice_the_gap(gap):
    width = radiative_decay_width(1.0, 1.0 - gap, 1.0) / BOHR_MAGNETON**2
    release = 2 * (1.0 - (1.0 - gap))
    assert width == close(release**3 / (8 * math.pi), rel=2e-6)


def test_standard_model_decay_outlives_the_universe():
    mixing = np.linalg.qr(np.vander([1.0, 2.0, 3.0]))[0]
    moments = majorana_moments([0.0, 0.0, 0.05 * EV], mixing)
    width = radiative_decay_width(0.05 * EV, 0.0, *(matrix[0, 2] for matrix in moments))
    assert lifetime(width) > 1e30 * 4e17


def test_rate_and_lifetime_are_reciprocal():
    width = radiative_decay_width(EV, 0.0, [1e-11, 1e-9])
    np.testing.assert_allclose(decay_rate(width) * lifetime(width), 1.0)


def test_decay_refuses_what_is_no_mass():
    with pytest.raises(ValueError, match=r"m_parent = 0\.0; expected a finite number > 0 \[GeV\]"):
        radiative_decay_width(0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"m_daughter = -1\.0; expected a finite number >= 0"):
        radiative_decay_width(1.0, -1.0, 1.0)
    with pytest.raises(ValueError, match=r"m_heavy = nan"):
        dipole_portal_width(math.nan, 1e-9)


def test_what_does_not_decay_has_no_lifetime():
    with pytest.raises(ValueError, match=r"width = 0\.0; expected a finite number > 0 \[GeV\]"):
        lifetime(0.0)


ENERGY = 5.7883818060e-5 * 1e-11 * 10.0  # mu B [eV] of 1e-11 Bohr magnetons in 10 T
METRES = 1.0 / 1.973269804e-7  # [1/eV]


@pytest.mark.parametrize("length", [1e6, 3e7, 1e8, 5e8])
@pytest.mark.parametrize("splitting", [0.0, 1e-15, -2e-14, 1e-12])
def test_precession_is_that_of_the_two_level_hamiltonian(length, splitting):
    hamiltonian = np.array([[0.0, ENERGY], [ENERGY, splitting]])
    flipped = abs(expm(-1j * hamiltonian * length * METRES)[1, 0]) ** 2
    computed = spin_flip_probability(1e-11, 10.0, length, splitting * EV)
    assert computed == close(flipped, rel=1e-6, abs=1e-12)


def test_precession_of_the_spin_of_a_particle_at_rest():
    # H = -mu sigma.B of the Pauli equation; the spin points along z and the field along x.
    flipped = abs(expm(1j * ENERGY * PAULI[0] * 2e7 * METRES)[1, 0]) ** 2
    assert spin_flip_probability(1e-11, 10.0, 2e7) == close(flipped, rel=1e-7)


def test_two_majorana_neutrinos_precess_like_one_dirac_neutrino():
    coupling = ENERGY * np.array([[0, -1j], [1j, 0]])
    zero = np.zeros((2, 2))
    hamiltonian = np.block([[zero, coupling.conj().T], [coupling, zero]])
    born_left = np.array([1, 1j, 0, 0]) / math.sqrt(2)
    final = expm(-1j * hamiltonian * 2e7 * METRES) @ born_left
    flipped = np.sum(abs(final[2:]) ** 2)
    assert spin_flip_probability(1e-11, 10.0, 2e7) == close(flipped, rel=1e-7)


def test_precession_angle_over_a_metre_in_a_tesla():
    assert math.sqrt(spin_flip_probability(1e-11, 1.0, 1.0)) == close(2.93e-9, rel=2e-3)


@given(length=st.floats(0.0, 1e12), splitting=st.floats(-1e-20, 1e-20))
def test_precession_is_a_probability_bounded_by_its_amplitude(length, splitting):
    probability = spin_flip_probability(1e-11, 10.0, length, splitting)
    bound = (2 * ENERGY) ** 2 / ((2 * ENERGY) ** 2 + (splitting / EV) ** 2)
    assert 0.0 <= probability <= bound * (1 + 1e-6)


def test_nothing_precesses_without_field_or_moment():
    np.testing.assert_array_equal(
        spin_flip_probability([0.0, 1e-11, 0.0], [1.0, 0.0, 0.0], 1e9, [0.0, 1e-24, 0.0]), 0.0
    )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((-1e-11, 1.0, 1.0), "mu_nu"),
        ((1e-11, -1.0, 1.0), "field_tesla"),
        ((1e-11, 1.0, math.inf), "length_m"),
        ((1e-11, 1.0, 1.0, math.nan), r"\|splitting\|"),
    ],
)
def test_precession_refuses_values_out_of_range(arguments, name):
    with pytest.raises(ValueError, match=rf"{name} = .*; expected a finite number >= 0"):
        spin_flip_probability(*arguments)
