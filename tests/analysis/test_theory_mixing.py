"""Mixing of three neutrinos."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from analysis.theory import (
    NUFIT52_NORMAL,
    OSCILLATION_PHASE,
    Mixing,
    oscillation_phases,
    pmns_matrix,
)

angle = st.floats(0.0, math.pi / 2)
phase = st.floats(-10.0, 10.0)
mixings = st.builds(Mixing, angle, angle, angle, phase, *[st.just(1e-3)] * 2, phase, phase)


@given(mixings)
def test_the_mixing_matrix_is_unitary(mixing):
    pmns = pmns_matrix(mixing)
    np.testing.assert_allclose(pmns @ pmns.conj().T, np.eye(3), atol=1e-14)


@given(mixings)
def test_the_corner_elements_are_the_angles(mixing):
    pmns = abs(pmns_matrix(mixing)) ** 2
    assert pmns[0, 2] == pytest.approx(math.sin(mixing.theta13) ** 2, abs=1e-14)
    assert pmns[0, 1] * math.cos(mixing.theta12) ** 2 == pytest.approx(
        pmns[0, 0] * math.sin(mixing.theta12) ** 2, abs=1e-14
    )
    assert pmns[1, 2] * math.cos(mixing.theta23) ** 2 == pytest.approx(
        pmns[2, 2] * math.sin(mixing.theta23) ** 2, abs=1e-14
    )


def test_cp_violation_has_the_sign_of_sin_delta():
    pmns = pmns_matrix(NUFIT52_NORMAL)
    jarlskog = (pmns[0, 0] * pmns[1, 1] * pmns[0, 1].conj() * pmns[1, 0].conj()).imag
    sines = [math.sin(2 * getattr(NUFIT52_NORMAL, f"theta{pair}")) for pair in (12, 13, 23)]
    expected = math.prod(sines) * math.cos(NUFIT52_NORMAL.theta13) / 8
    assert jarlskog == pytest.approx(expected * math.sin(NUFIT52_NORMAL.delta), rel=1e-12, abs=0.0)


def test_electron_row_carries_the_dirac_phase_on_its_third_element():
    assert np.angle(pmns_matrix(NUFIT52_NORMAL)[0, 2]) == pytest.approx(math.radians(360 - 197))


def test_majorana_phases_turn_columns():
    turned = pmns_matrix(replace(NUFIT52_NORMAL, alpha21=0.4, alpha31=-1.1))
    ratio = turned / pmns_matrix(NUFIT52_NORMAL)
    np.testing.assert_allclose(ratio, np.exp([[0, 0.2j, -0.55j]] * 3), rtol=1e-13)


def test_phase_of_a_splitting_from_the_constants():
    assert pytest.approx(2.533865, rel=2e-7, abs=0.0) == OSCILLATION_PHASE


def test_nova_near_detector_sees_phases_of_three_thousandths():
    phases = oscillation_phases(NUFIT52_NORMAL, 1.0 / 2.0)
    assert phases[0] == 0.0
    assert phases[1:] == pytest.approx([9.39e-5, 3.18e-3], rel=2e-3, abs=0.0)


def test_phases_give_the_textbook_survival_probability():
    two_flavours = replace(NUFIT52_NORMAL, theta13=0.0, theta12=0.0)
    pmns = pmns_matrix(two_flavours)[1]
    amplitude = np.sum(abs(pmns) ** 2 * np.exp(-1j * oscillation_phases(two_flavours, 300.0)))
    depth = math.sin(2 * two_flavours.theta23) ** 2
    # With theta12 = 0 the second mass state is the other half of nu_mu.
    argument = 1.2669325 * (two_flavours.dm31 - two_flavours.dm21) * 300.0
    assert abs(amplitude) ** 2 == pytest.approx(
        1 - depth * math.sin(argument) ** 2, rel=1e-6, abs=0.0
    )


def test_phases_are_those_of_the_hamiltonian():
    pmns = pmns_matrix(NUFIT52_NORMAL)
    splittings = np.diag([0.0, NUFIT52_NORMAL.dm21, NUFIT52_NORMAL.dm31])
    evolution = expm(-1j * OSCILLATION_PHASE * 400.0 * pmns @ splittings @ pmns.conj().T)
    phases = oscillation_phases(NUFIT52_NORMAL, 400.0)
    np.testing.assert_allclose(pmns * np.exp(-1j * phases) @ pmns.conj().T, evolution, atol=1e-13)


def test_phases_of_many_distances():
    assert oscillation_phases(NUFIT52_NORMAL, np.ones((4, 2))).shape == (4, 2, 3)


def test_angles_in_degrees_are_refused():
    with pytest.raises(ValueError, match=r"theta12 = 33\.4; expected an angle .* math\.radians"):
        replace(NUFIT52_NORMAL, theta12=33.4)


@pytest.mark.parametrize("name", ["theta12", "delta", "dm31", "alpha21"])
def test_parameters_that_are_not_numbers_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} = nan is not finite"):
        replace(NUFIT52_NORMAL, **{name: math.nan})


@pytest.mark.parametrize("l_over_e", [-1.0, math.inf, math.nan])
def test_distances_out_of_range_are_refused(l_over_e):
    with pytest.raises(ValueError, match=r"l_over_e = .*; expected a finite number >= 0 \[km/GeV"):
        oscillation_phases(NUFIT52_NORMAL, [1.0, l_over_e])
