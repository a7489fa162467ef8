"""Plasmon decay and the early universe."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.constants import N_A

from analysis.astro import (
    TIP_STATUS,
    extra_neutrinos,
    magnetic_over_sm,
    magnetic_width,
    millicharge_over_sm,
    millicharge_width,
    plasma_frequency,
    sm_width,
    tip_of_red_giant_branch,
)
from processors.kernels.constants import ALPHA, BOHR_MAGNETON, ELEMENTARY_CHARGE, KEV, M_E

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
GAMMA = np.stack(
    [
        np.kron(PAULI[2], np.eye(2)),
        *(np.kron(1j * PAULI[1], sigma) for sigma in PAULI),
    ]
)
METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
MASS = 18.0 * KEV


def close(expected, rel=1e-9, abs=0.0):
    """Relative comparison; the usual absolute tolerance would swallow moments and widths."""
    return pytest.approx(expected, rel=rel, abs=abs)


def slash(momentum):
    return np.einsum("a,ab,bij->ij", momentum, METRIC, GAMMA)


def traced_width(vertex):
    """Width of a plasmon at rest to a massless Dirac pair along z, from traces of the vertex."""
    momenta = 0.5 * MASS * np.array([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, -1.0]])
    conjugate = GAMMA[0] @ vertex.conj().swapaxes(-1, -2) @ GAMMA[0]
    first, second = slash(momenta[0]), slash(momenta[1])
    traces = np.einsum("ij,ajk,kl,bli->ab", first, vertex, second, conjugate)
    squared = -np.sum(traces * METRIC).real / 3.0  # averaged over three polarisations
    return squared / (2.0 * MASS) / (8.0 * math.pi)


def test_magnetic_width_from_traces():
    sigma = np.array([[0.5j * (a @ b - b @ a) for b in GAMMA] for a in GAMMA])
    vertex = 1e-12 * BOHR_MAGNETON * MASS * sigma[0]
    assert magnetic_width(MASS, MASS, 1e-12) == close(traced_width(vertex), rel=1e-12)


def test_millicharge_width_from_traces():
    vertex = 1e-14 * ELEMENTARY_CHARGE * GAMMA
    assert millicharge_width(MASS, MASS, 1e-14) == close(traced_width(vertex), rel=1e-12)


@given(mass=st.floats(1.0, 100.0), energy=st.floats(1.0, 10.0), s2=st.floats(0.0, 1.0))
def test_ratios_are_those_of_the_widths(mass, energy, s2):
    mass, omega = mass * KEV, mass * energy * KEV
    sm = sm_width(omega, mass, s2)
    magnetic, charge = magnetic_width(omega, mass, 3e-12), millicharge_width(omega, mass, -2e-14)
    assert magnetic_over_sm(mass, 3e-12, s2) == close(magnetic / sm, rel=1e-12)
    assert millicharge_over_sm(mass, -2e-14, s2) == close(charge / sm, rel=1e-12)


def test_ratios_have_the_coefficients_of_raffelt():
    assert magnetic_over_sm(10 * KEV, 1e-12) == close(0.318, rel=2e-3)
    assert millicharge_over_sm(10 * KEV, 1e-14) == close(0.664, rel=2e-3)


def test_vector_coupling_is_that_of_one_charged_and_three_neutral_currents():
    # At s2 = 1/4 the muon and tau flavours decouple and electrons have g_V = 1.
    assert sm_width(MASS, MASS, 0.25) / sm_width(MASS, MASS, 0.0) == close(4.0 / 3.0)


def test_motion_dilates_the_lifetime():
    assert magnetic_width(2 * MASS, MASS, 1e-12) == close(magnetic_width(MASS, MASS, 1e-12) / 2)


def test_plasma_frequency_of_a_thin_gas_is_the_classical_one():
    electrons = 1e-3 * N_A * (1.973269804e-14) ** 3
    classical = math.sqrt(4 * math.pi * ALPHA * electrons / M_E)
    assert plasma_frequency(1e-3, 1.0) == close(classical, rel=1e-4)


def test_plasma_frequency_of_a_dense_gas_is_the_relativistic_one():
    electrons = 1e13 * N_A * (1.973269804e-14) ** 3
    fermi = (3 * math.pi**2 * electrons) ** (1 / 3)
    relativistic = fermi * math.sqrt(4 * ALPHA / (3 * math.pi))
    assert plasma_frequency(1e13, 1.0) == close(relativistic, rel=1e-3)


def test_red_giants_brighten_with_the_moment():
    magnitudes = tip_of_red_giant_branch(np.linspace(0.0, 1e-11, 50))
    assert magnitudes[0] == close(-4.03)
    assert (np.diff(magnitudes) < 0.0).all()
    assert TIP_STATUS == "unverified"


def test_extra_neutrinos_of_the_full_standard_model():
    assert extra_neutrinos(106.75) == close(3 * 0.047, abs=5e-4)


def test_neutrinos_that_decouple_together_count_one_each():
    np.testing.assert_array_equal(extra_neutrinos(10.75, [0, 1, 3]), [0.0, 1.0, 3.0])


def test_a_plasmon_beyond_its_own_energy_is_refused():
    for width in (magnetic_width, millicharge_width):
        with pytest.raises(ValueError, match=r"effective_mass .* exceeds the frequency"):
            width(10 * KEV, 11 * KEV, 1e-12)
    with pytest.raises(ValueError, match=r"effective_mass .* exceeds the frequency"):
        sm_width(10 * KEV, [9 * KEV, 11 * KEV])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plasma_frequency(-1.0, 0.5), r"density = -1\.0; expected a finite number > 0"),
        (lambda: plasma_frequency(1e6, 50.0), r"electron_fraction = 50\.0; .* from 0 to 1"),
        (lambda: magnetic_over_sm(0.0, 1e-12), r"effective_mass = 0\.0; expected .* > 0 \[GeV\]"),
        (lambda: magnetic_width(MASS, MASS, -1.0), r"mu_nu = -1\.0; expected .* >= 0"),
        (lambda: sm_width(MASS, MASS, 1.5), r"sin2_theta_w = 1\.5; .* from 0 to 1"),
        (lambda: extra_neutrinos(3.36), r"g_star = 3\.36; expected at least 10\.75"),
        (lambda: extra_neutrinos(106.75, -1), r"species = -1\.0; expected .* >= 0"),
        (lambda: tip_of_red_giant_branch(math.nan), r"mu_nu = nan; expected .* >= 0"),
    ],
)
def test_values_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
