"""Charge radius: precision, convention, interference and edges."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from processors.kernels import (
    charge_radius_dsigma_dT,
    charge_radius_transition_dsigma_dT,
    constants,
    effective_charge_radius2,
    max_recoil_energy,
    sm_dsigma_dT,
    sm_sigma,
)

S2W = constants.SIN2_THETA_W
R2 = 1e-32  # [cm^2]
# Shift of g_V by R2 as printed with the convention of Giunti and Studenikin, to five digits [1].
PRINTED_SHIFT = 0.023796
FLAVOURS = [12, -12, 14, -14, 16, -16]
ENERGIES = [1e-6, 3e-4, 5e-3, 2.0, 50.0, 1e3]  # [GeV]: 1 keV to 1 TeV
FRACTIONS = [0.0, 1e-12, 1e-6, 0.01, 0.5, 0.9, 0.999]  # of the kinematic limit


@pytest.fixture(autouse=True)
def thirty_digits():
    with mpmath.workdps(30):
        yield


def exact_shift(charge_radius2):
    """Shift of g_V: sqrt(2) pi alpha / (3 G_F) <r^2>, the radius in GeV^-2."""
    radius = mpmath.mpf(charge_radius2) / mpmath.mpf(constants.GEV2_TO_CM2)
    numerator = mpmath.sqrt(2) * mpmath.pi * mpmath.mpf(constants.ALPHA)
    return numerator / (3 * mpmath.mpf(constants.G_F)) * radius


def vector_axial_shape(T, E_nu, vector, axial):
    """[(V + A)^2 + (V - A)^2 (1 - y)^2 + (A^2 - V^2) m T / E^2] / 4."""
    T, E_nu, mass = mpmath.mpf(T), mpmath.mpf(E_nu), mpmath.mpf(constants.M_E)
    shape = (vector + axial) ** 2 + (vector - axial) ** 2 * (1 - T / E_nu) ** 2
    return (shape + (axial**2 - vector**2) * mass * T / E_nu**2) / 4


def exact_dsigma(T, E_nu, nu_pdg, charge_radius2):
    sign = 1 if abs(nu_pdg) == 12 else -1
    vector = mpmath.mpf(sign) / 2 + 2 * mpmath.mpf(S2W) + exact_shift(charge_radius2)
    axial = mpmath.mpf(sign) / 2 * (1 if nu_pdg > 0 else -1)
    return float(mpmath.mpf(constants.K_SM) * vector_axial_shape(T, E_nu, vector, axial))


@pytest.mark.parametrize("charge_radius2", [-4.2e-32, 1e-34, 6.6e-32, 1e-28])
@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize("E_nu", ENERGIES)
def test_cross_section_has_twelve_digits(E_nu, nu_pdg, charge_radius2):
    for T in np.multiply(FRACTIONS, max_recoil_energy(E_nu)):
        exact = exact_dsigma(T, E_nu, nu_pdg, charge_radius2)
        computed = charge_radius_dsigma_dT(T, E_nu, nu_pdg, S2W, charge_radius2)
        assert computed == pytest.approx(exact, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_transition_cross_section_has_twelve_digits(E_nu, fraction):
    T, energy = fraction * max_recoil_energy(E_nu), mpmath.mpf(E_nu)
    mass, radius = mpmath.mpf(constants.M_E), mpmath.mpf(R2)
    shape = 1 + (1 - mpmath.mpf(T) / energy) ** 2 - mass * mpmath.mpf(T) / energy**2
    prefactor = mpmath.pi * mpmath.mpf(constants.ALPHA) ** 2 * mass / 9
    exact = float(prefactor * radius**2 * shape / mpmath.mpf(constants.GEV2_TO_CM2))
    computed = charge_radius_transition_dsigma_dT(T, E_nu, R2)
    assert computed == pytest.approx(exact, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
def test_radius_acts_as_a_shift_of_the_mixing_angle_in_the_convention_of_giunti(nu_pdg):
    shifted = sm_dsigma_dT(0.5, 2.0, nu_pdg, S2W + PRINTED_SHIFT / 2.0)
    assert charge_radius_dsigma_dT(0.5, 2.0, nu_pdg, S2W, R2) == pytest.approx(
        shifted, rel=2e-6, abs=0.0
    )


def test_radius_lowers_muon_neutrinos_and_raises_antineutrinos_at_small_recoil_fraction():
    ratio = charge_radius_dsigma_dT(0.5, 2.0, [14, -14, 12, -12], S2W, R2)
    ratio /= sm_dsigma_dT(0.5, 2.0, [14, -14, 12, -12], S2W)
    assert ratio[0] < 0.98
    assert np.all(ratio[1:] > 1.02)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize(
    ("E_nu", "T_min", "T_max"),
    [
        pytest.param(2.0, 0.3, 0.9, id="NOvA"),
        pytest.param(3e-3, 3e-6, 1.0, id="reactor"),
        pytest.param(3e-4, 1e-6, 3e-5, id="solar"),
    ],
)
def test_quadrature_equals_the_window_at_the_shifted_mixing_angle(nu_pdg, E_nu, T_min, T_max):
    end = min(T_max, max_recoil_energy(E_nu))
    area, _ = quad(
        lambda T: charge_radius_dsigma_dT(T, E_nu, nu_pdg, S2W, R2) / constants.K_SM, T_min, end
    )
    closed = sm_sigma(T_min, T_max, E_nu, nu_pdg, S2W + float(exact_shift(R2)) / 2.0)
    assert area * constants.K_SM == pytest.approx(closed, rel=1e-10, abs=0.0)


@given(
    E_nu=st.floats(1e-6, 1e3),
    fraction=st.floats(0.0, 1.0),
    nu_pdg=st.sampled_from(FLAVOURS),
    r2=st.floats(1e-33, 1e-30),
)
def test_even_part_is_the_standard_model_plus_the_transition_term(E_nu, fraction, nu_pdg, r2):
    T = fraction * max_recoil_energy(E_nu)
    both = charge_radius_dsigma_dT(T, E_nu, nu_pdg, S2W, np.array([r2, -r2]))
    even = sm_dsigma_dT(T, E_nu, nu_pdg, S2W) + charge_radius_transition_dsigma_dT(T, E_nu, r2)
    assert both.mean() == pytest.approx(even, rel=1e-12, abs=0.0)


@given(
    E_nu=st.floats(1e-6, 1e3),
    fraction=st.floats(0.0, 1.0),
    nu_pdg=st.sampled_from(FLAVOURS),
    r2=st.floats(-1e-30, 1e-30),
)
def test_cross_section_is_never_negative(E_nu, fraction, nu_pdg, r2):
    T = fraction * max_recoil_energy(E_nu)
    assert charge_radius_dsigma_dT(T, E_nu, nu_pdg, S2W, r2) >= 0.0


@given(E_nu=st.floats(1e-6, 1e3), fraction=st.floats(0.0, 1.0), nu_pdg=st.sampled_from(FLAVOURS))
def test_no_radius_is_the_standard_model(E_nu, fraction, nu_pdg):
    T = fraction * max_recoil_energy(E_nu)
    tree = sm_dsigma_dT(T, E_nu, nu_pdg, S2W)
    without = charge_radius_dsigma_dT(T, E_nu, nu_pdg, S2W, 0.0)
    assert without == pytest.approx(tree, rel=1e-13, abs=0.0)
    assert charge_radius_transition_dsigma_dT(T, E_nu, 0.0) == 0.0


def test_anapole_enters_as_minus_six_times_itself():
    assert effective_charge_radius2(R2, R2 / 6.0) == pytest.approx(0.0, abs=1e-47)
    combined = effective_charge_radius2([R2, 0.0], [0.0, R2])
    np.testing.assert_allclose(combined, [R2, -6.0 * R2], rtol=1e-15)


@pytest.mark.parametrize("E_nu", ENERGIES)
def test_cross_section_is_positive_at_the_limit_and_exactly_zero_above(E_nu):
    limit = max_recoil_energy(E_nu)
    above = np.nextafter(limit, np.inf)
    assert charge_radius_dsigma_dT(limit, E_nu, 14, S2W, R2) > 0.0
    assert charge_radius_transition_dsigma_dT(limit, E_nu, R2) > 0.0
    assert charge_radius_dsigma_dT(above, E_nu, 14, S2W, R2) == 0.0
    assert charge_radius_transition_dsigma_dT(above, E_nu, R2) == 0.0


@pytest.mark.parametrize(
    ("T", "E_nu", "nu_pdg", "s2w", "r2"),
    [
        (-1e-9, 2.0, 14, S2W, R2),
        (np.nan, 2.0, 14, S2W, R2),
        (0.5, 0.0, 14, S2W, R2),
        (0.5, np.inf, 14, S2W, R2),
        (0.5, 2.0, 13, S2W, R2),
        (0.5, 2.0, 14, 1.0, R2),
        (0.5, 2.0, 14, S2W, np.nan),
        (0.5, 2.0, 14, S2W, -np.inf),
        (5.0, 2.0, 14, S2W, np.inf),
    ],
)
def test_unphysical_input_gives_nan(T, E_nu, nu_pdg, s2w, r2):
    assert np.isnan(charge_radius_dsigma_dT(T, E_nu, nu_pdg, s2w, r2))


@pytest.mark.parametrize(
    ("T", "E_nu", "r2"),
    [(-1e-9, 2.0, R2), (0.5, 0.0, R2), (0.5, 2.0, np.nan), (5.0, 2.0, np.inf), (0.5, np.nan, R2)],
)
def test_transition_of_unphysical_input_is_nan(T, E_nu, r2):
    assert np.isnan(charge_radius_transition_dsigma_dT(T, E_nu, r2))
