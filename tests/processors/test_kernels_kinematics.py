"""Two-body kinematics: precision, edges and consistency with momentum conservation."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.kernels import (
    constants,
    max_recoil_energy,
    min_neutrino_energy,
    recoil_cos_theta,
    recoil_theta,
    ttheta2,
)

ENERGIES = [1e-6, 3e-4, 5e-3, 2.0, 50.0, 500.0, 1e3]  # [GeV]: 1 keV to 1 TeV
FRACTIONS = [1e-12, 1e-6, 0.01, 0.5, 0.9, 0.999]  # of the kinematic limit


@pytest.fixture(autouse=True)
def thirty_digits():
    with mpmath.workdps(30):
        yield


def exact_angle(T, E_nu):
    """Angle from the momentum triangle: neutrino in, neutrino and electron out."""
    T, E_nu, mass = mpmath.mpf(T), mpmath.mpf(E_nu), mpmath.mpf(constants.M_E)
    momentum = mpmath.sqrt(T * (T + 2 * mass))
    return mpmath.acos((E_nu**2 + momentum**2 - (E_nu - T) ** 2) / (2 * E_nu * momentum))


@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_angle_closes_the_momentum_triangle_to_twelve_digits(E_nu, fraction):
    T = fraction * max_recoil_energy(E_nu)
    angle = exact_angle(T, E_nu)
    assert recoil_theta(T, E_nu) == pytest.approx(float(angle), rel=1e-12, abs=0.0)
    assert recoil_cos_theta(T, E_nu) == pytest.approx(float(mpmath.cos(angle)), rel=1e-12, abs=0.0)
    assert ttheta2(T, E_nu) == pytest.approx(float(T * angle**2), rel=2e-12, abs=0.0)


@pytest.mark.parametrize("E_nu", [2.0, 50.0, 1e3])
def test_angle_keeps_its_digits_ten_electron_masses_below_the_limit(E_nu):
    T = E_nu - 10.0 * constants.M_E
    with mpmath.workdps(50):
        angle = exact_angle(T, E_nu)
    assert recoil_theta(T, E_nu) == pytest.approx(float(angle), rel=1e-14, abs=0.0)


@pytest.mark.parametrize("E_nu", ENERGIES)
def test_limit_and_threshold_have_fifteen_digits(E_nu):
    energy, mass = mpmath.mpf(E_nu), mpmath.mpf(constants.M_E)
    limit = 2 * energy**2 / (mass + 2 * energy)
    threshold = (energy + mpmath.sqrt(energy**2 + 2 * mass * energy)) / 2
    assert max_recoil_energy(E_nu) == pytest.approx(float(limit), rel=1e-15, abs=0.0)
    assert min_neutrino_energy(E_nu) == pytest.approx(float(threshold), rel=1e-15, abs=0.0)


@given(E_nu=st.floats(1e-6, 1e3))
def test_threshold_inverts_the_kinematic_limit(E_nu):
    assert min_neutrino_energy(max_recoil_energy(E_nu)) == pytest.approx(E_nu, rel=1e-14, abs=0.0)


@given(E_nu=st.floats(1e-6, 1e3), fraction=st.floats(0.0, 1.0))
def test_electron_goes_forward_and_cosine_agrees_with_angle(E_nu, fraction):
    T = fraction * max_recoil_energy(E_nu)
    assert 0.0 <= recoil_theta(T, E_nu) <= np.pi / 2
    assert np.cos(recoil_theta(T, E_nu)) == pytest.approx(recoil_cos_theta(T, E_nu), abs=1e-15)


@pytest.mark.parametrize("E_nu", ENERGIES)
def test_electron_is_collinear_at_the_limit_and_perpendicular_at_rest(E_nu):
    limit = max_recoil_energy(E_nu)
    assert recoil_cos_theta(limit, E_nu) == pytest.approx(1.0, abs=1e-15)
    # An angle is the square root of a rounding error there, seen in units of sqrt(m_e/E_nu).
    assert recoil_theta(limit, E_nu) < 1e-7
    assert recoil_theta(0.0, E_nu) == np.pi / 2
    assert ttheta2(0.0, E_nu) == 0.0


@given(E_nu=st.floats(0.5, 100.0), fraction=st.floats(0.0, 1.0))
def test_ttheta2_of_beam_neutrinos_stays_below_two_electron_masses(E_nu, fraction):
    assert ttheta2(fraction * max_recoil_energy(E_nu), E_nu) <= 2.0 * constants.M_E


@pytest.mark.parametrize("angle", [recoil_cos_theta, recoil_theta, ttheta2])
def test_no_angle_exists_above_the_limit(angle):
    assert np.isnan(angle(np.nextafter(max_recoil_energy(2.0), 2.0), 2.0))


@pytest.mark.parametrize("angle", [recoil_cos_theta, recoil_theta, ttheta2])
@pytest.mark.parametrize(
    ("T", "E_nu"),
    [(-1e-9, 2.0), (0.5, 0.0), (0.5, -2.0), (0.5, np.inf), (np.nan, 2.0), (0.5, np.nan)],
)
def test_angle_of_unphysical_input_is_nan(angle, T, E_nu):
    assert np.isnan(angle(T, E_nu))


@pytest.mark.parametrize("E_nu", [0.0, -1.0, np.nan, np.inf])
def test_limit_of_unphysical_neutrino_energy_is_nan(E_nu):
    assert np.isnan(max_recoil_energy(E_nu))


@pytest.mark.parametrize("T", [-1e-9, np.nan, np.inf])
def test_threshold_of_unphysical_recoil_is_nan(T):
    assert np.isnan(min_neutrino_energy(T))


def test_threshold_of_no_recoil_is_zero():
    assert min_neutrino_energy(0.0) == 0.0
