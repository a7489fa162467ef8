"""Magnetic-moment scattering: precision, integrals, scaling and edges."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from processors.kernels import (
    constants,
    magnetic_dsigma_dT,
    magnetic_over_sm,
    magnetic_sigma,
    max_recoil_energy,
    sm_dsigma_dT,
)

MU = 1e-9  # [Bohr magneton]
S2W = constants.SIN2_THETA_W
FLAVOURS = [12, -12, 14, -14, 16, -16]
ENERGIES = [1e-6, 3e-4, 5e-3, 2.0, 50.0, 1e3]  # [GeV]: 1 keV to 1 TeV
FRACTIONS = [1e-12, 1e-6, 0.01, 0.5, 0.9, 0.999]  # of the kinematic limit


@pytest.fixture(autouse=True)
def thirty_digits():
    with mpmath.workdps(30):
        yield


def exact_integral(T_min, T_max, E_nu):
    """ln(T_max/T_min) - (T_max - T_min)/E_nu with 30 digits, times the prefactor."""
    T_min, T_max, E_nu = mpmath.mpf(T_min), mpmath.mpf(T_max), mpmath.mpf(E_nu)
    integral = mpmath.log(T_max / T_min) - (T_max - T_min) / E_nu
    return float(mpmath.mpf(constants.K_MAGNETIC) * mpmath.mpf(MU) ** 2 * integral)


@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_differential_cross_section_has_twelve_digits(E_nu, fraction):
    T = fraction * max_recoil_energy(E_nu)
    shape = 1 / mpmath.mpf(T) - 1 / mpmath.mpf(E_nu)
    exact = float(mpmath.mpf(constants.K_MAGNETIC) * mpmath.mpf(MU) ** 2 * shape)
    assert magnetic_dsigma_dT(T, E_nu, MU) == pytest.approx(exact, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize(
    ("low", "high"), [(1e-9, 0.5), (0.3, 0.9), (0.3, 0.3 + 1e-9), (0.99, 0.995)]
)
def test_window_cross_section_has_twelve_digits(E_nu, low, high):
    T_min, T_max = np.multiply((low, high), max_recoil_energy(E_nu))
    exact = exact_integral(T_min, T_max, E_nu)
    assert magnetic_sigma(T_min, T_max, E_nu, MU) == pytest.approx(exact, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize("low", [1e-9, 0.01, 0.5, 0.9, 0.999])
def test_clipped_window_has_twelve_digits(E_nu, low):
    T_min = low * max_recoil_energy(E_nu)
    limit = 2 * mpmath.mpf(E_nu) ** 2 / (mpmath.mpf(constants.M_E) + 2 * mpmath.mpf(E_nu))
    exact = exact_integral(T_min, limit, E_nu)
    assert magnetic_sigma(T_min, np.inf, E_nu, MU) == pytest.approx(exact, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("z", [0.0999, 0.1, 0.1001])
@pytest.mark.parametrize("E_nu", [1e-6, 2.0, 1e3])
def test_narrow_and_wide_forms_meet_at_the_switch(z, E_nu):
    T_max = 0.9 * max_recoil_energy(E_nu)
    T_min = T_max * (1.0 - z) / (1.0 + z)
    exact = exact_integral(T_min, T_max, E_nu)
    assert magnetic_sigma(T_min, T_max, E_nu, MU) == pytest.approx(exact, rel=1e-13, abs=0.0)


@pytest.mark.parametrize(
    ("E_nu", "T_min", "T_max"),
    [
        pytest.param(2.0, 0.3, 0.9, id="NOvA"),
        pytest.param(3e-3, 3e-6, 1.0, id="reactor"),
        pytest.param(3e-4, 1e-6, 3e-5, id="solar"),
        pytest.param(1e3, 1.0, 500.0, id="TeV"),
    ],
)
def test_window_cross_section_equals_quadrature(E_nu, T_min, T_max):
    end = min(T_max, max_recoil_energy(E_nu))
    # Over ln T, where the integrand is smooth, and in units in which it is of order one.
    area, _ = quad(
        lambda x: np.exp(x) * magnetic_dsigma_dT(np.exp(x), E_nu, 1.0) / constants.K_MAGNETIC,
        np.log(T_min),
        np.log(end),
    )
    closed = magnetic_sigma(T_min, T_max, E_nu, MU)
    assert closed == pytest.approx(area * constants.K_MAGNETIC * MU**2, rel=1e-9, abs=0.0)


@given(E_nu=st.floats(1e-6, 1e3), fraction=st.floats(1e-6, 1.0))
def test_cross_section_is_quadratic_in_the_moment(E_nu, fraction):
    T = fraction * max_recoil_energy(E_nu)
    single, triple = magnetic_dsigma_dT(T, E_nu, np.array([MU, 3.0 * MU]))
    assert triple == pytest.approx(9.0 * single, rel=1e-13, abs=0.0)
    single, triple = magnetic_sigma(0.5 * T, T, E_nu, np.array([MU, 3.0 * MU]))
    assert triple == pytest.approx(9.0 * single, rel=1e-13, abs=0.0)


@given(
    E_nu=st.floats(1e-6, 1e3),
    cuts=st.lists(st.floats(1e-6, 1.2), min_size=3, max_size=3).map(sorted),
)
def test_windows_add_up(E_nu, cuts):
    low, middle, high = np.multiply(cuts, max_recoil_energy(E_nu))
    parts = magnetic_sigma(low, middle, E_nu, MU) + magnetic_sigma(middle, high, E_nu, MU)
    scale = magnetic_sigma(1e-6 * max_recoil_energy(E_nu), np.inf, E_nu, MU)
    assert parts == pytest.approx(magnetic_sigma(low, high, E_nu, MU), abs=1e-13 * scale)


@given(E_nu=st.floats(1e-6, 1e3), fraction=st.floats(1e-9, 1.0), nu_pdg=st.sampled_from(FLAVOURS))
def test_ratio_is_that_of_the_two_cross_sections(E_nu, fraction, nu_pdg):
    T = fraction * max_recoil_energy(E_nu)
    ratio = magnetic_dsigma_dT(T, E_nu, 1.0) / sm_dsigma_dT(T, E_nu, nu_pdg, S2W)
    assert magnetic_over_sm(T, E_nu, nu_pdg, S2W) == pytest.approx(ratio, rel=1e-13)


def test_no_moment_gives_no_cross_section():
    assert magnetic_dsigma_dT(0.5, 2.0, 0.0) == 0.0
    assert magnetic_sigma(0.3, 0.9, 2.0, 0.0) == 0.0


@pytest.mark.parametrize("E_nu", ENERGIES)
def test_cross_section_is_positive_at_the_limit_and_exactly_zero_above(E_nu):
    limit = max_recoil_energy(E_nu)
    above = np.nextafter(limit, np.inf)
    assert magnetic_dsigma_dT(limit, E_nu, MU) > 0.0
    assert magnetic_dsigma_dT(above, E_nu, MU) == 0.0
    assert magnetic_over_sm(above, E_nu, 14, S2W) == 0.0
    assert magnetic_sigma(limit, np.inf, E_nu, MU) == 0.0


@pytest.mark.parametrize(
    ("T", "E_nu", "mu_nu"),
    [
        (0.0, 2.0, MU),
        (-0.5, 2.0, MU),
        (np.nan, 2.0, MU),
        (0.5, 0.0, MU),
        (0.5, -2.0, MU),
        (0.5, np.nan, MU),
        (0.5, np.inf, MU),
        (0.5, 2.0, -MU),
        (0.5, 2.0, np.nan),
        (0.5, 2.0, np.inf),
        (5.0, 2.0, -MU),
    ],
)
def test_unphysical_input_gives_nan(T, E_nu, mu_nu):
    assert np.isnan(magnetic_dsigma_dT(T, E_nu, mu_nu))
    assert np.isnan(magnetic_sigma(T, 10.0, E_nu, mu_nu))


@pytest.mark.parametrize("window", [(0.9, 0.3), (0.3, np.nan), (0.0, 0.9)])
def test_inverted_undefined_or_divergent_window_gives_nan(window):
    assert np.isnan(magnetic_sigma(*window, 2.0, MU))


@pytest.mark.parametrize(
    "arguments",
    [(0.0, 2.0, 14, S2W), (0.5, 0.0, 14, S2W), (0.5, 2.0, 13, S2W), (0.5, 2.0, 14, 1.0)],
)
def test_ratio_of_unphysical_input_is_nan(arguments):
    assert np.isnan(magnetic_over_sm(*arguments))
