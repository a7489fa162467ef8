"""Standard Model neutrino-electron scattering: precision, integrals, symmetries and edges."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from processors.kernels import constants, couplings, max_recoil_energy, sm_dsigma_dT, sm_sigma

S2W = constants.SIN2_THETA_W
FLAVOURS = [12, -12, 14, -14, 16, -16]
ENERGIES = [1e-6, 3e-4, 5e-3, 2.0, 50.0, 1e3]  # [GeV]: 1 keV to 1 TeV
FRACTIONS = [0.0, 1e-12, 1e-6, 0.01, 0.5, 0.9, 0.999]  # of the kinematic limit


@pytest.fixture(autouse=True)
def thirty_digits():
    with mpmath.workdps(30):
        yield


def exact_dsigma(T, E_nu, nu_pdg):
    """Vector and axial couplings, hence another algebraic form than the kernel's."""
    T, E_nu, mass = mpmath.mpf(T), mpmath.mpf(E_nu), mpmath.mpf(constants.M_E)
    sign = 1 if abs(nu_pdg) == 12 else -1
    vector = mpmath.mpf(sign) / 2 + 2 * mpmath.mpf(S2W)
    axial = mpmath.mpf(sign) / 2 * (1 if nu_pdg > 0 else -1)
    shape = (vector + axial) ** 2 + (vector - axial) ** 2 * (1 - T / E_nu) ** 2
    shape += (axial**2 - vector**2) * mass * T / E_nu**2
    return mpmath.mpf(constants.K_SM) / 4 * shape


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize("E_nu", ENERGIES)
def test_differential_cross_section_has_twelve_digits(nu_pdg, E_nu):
    for T in np.multiply(FRACTIONS, max_recoil_energy(E_nu)):
        exact = float(exact_dsigma(T, E_nu, nu_pdg))
        assert sm_dsigma_dT(T, E_nu, nu_pdg, S2W) == pytest.approx(exact, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (1e-6, 0.5), (0.3, 0.3 + 1e-9), (0.999, 1.0)]
)
def test_window_cross_section_has_twelve_digits(nu_pdg, E_nu, low, high):
    limit = max_recoil_energy(E_nu)
    T_min, T_max = low * limit, high * limit
    exact_limit = 2 * mpmath.mpf(E_nu) ** 2 / (mpmath.mpf(constants.M_E) + 2 * mpmath.mpf(E_nu))
    # A quadratic in T: Simpson's rule is exact and is evaluated with 30 digits.
    ends = mpmath.mpf(T_min), exact_limit if high == 1.0 else mpmath.mpf(T_max)
    points = ends[0], (ends[0] + ends[1]) / 2, ends[1]
    values = [exact_dsigma(T, E_nu, nu_pdg) for T in points]
    exact = float((ends[1] - ends[0]) * (values[0] + 4 * values[1] + values[2]) / 6)
    computed = sm_sigma(T_min, np.inf if high == 1.0 else T_max, E_nu, nu_pdg, S2W)
    assert computed == pytest.approx(exact, rel=1e-12, abs=0.0)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize(
    ("E_nu", "T_min", "T_max"),
    [
        pytest.param(2.0, 0.3, 0.9, id="NOvA"),
        pytest.param(3e-3, 3e-6, 1.0, id="reactor"),
        pytest.param(3e-4, 1e-6, 3e-5, id="solar"),
        pytest.param(1e3, 1.0, 500.0, id="TeV"),
    ],
)
def test_window_cross_section_equals_quadrature(nu_pdg, E_nu, T_min, T_max):
    end = min(T_max, max_recoil_energy(E_nu))
    area, _ = quad(lambda T: sm_dsigma_dT(T, E_nu, nu_pdg, S2W) / constants.K_SM, T_min, end)
    closed = sm_sigma(T_min, T_max, E_nu, nu_pdg, S2W)
    assert closed == pytest.approx(area * constants.K_SM, rel=1e-10, abs=0.0)


@given(
    E_nu=st.floats(1e-6, 1e3),
    cuts=st.lists(st.floats(0.0, 1.2), min_size=3, max_size=3).map(sorted),
    nu_pdg=st.sampled_from(FLAVOURS),
)
def test_windows_add_up(E_nu, cuts, nu_pdg):
    low, middle, high = np.multiply(cuts, max_recoil_energy(E_nu))
    parts = sm_sigma(low, middle, E_nu, nu_pdg, S2W) + sm_sigma(middle, high, E_nu, nu_pdg, S2W)
    total = sm_sigma(0.0, np.inf, E_nu, nu_pdg, S2W)
    assert parts == pytest.approx(sm_sigma(low, high, E_nu, nu_pdg, S2W), abs=1e-13 * total)


@given(E_nu=st.floats(1e-6, 1e3), fraction=st.floats(0.0, 1.0), nu_pdg=st.sampled_from(FLAVOURS))
def test_differential_cross_section_is_positive(E_nu, fraction, nu_pdg):
    assert sm_dsigma_dT(fraction * max_recoil_energy(E_nu), E_nu, nu_pdg, S2W) > 0.0


@given(E_nu=st.floats(1e-6, 1e3), nu_pdg=st.sampled_from([12, 14, 16]))
def test_neutrino_and_antineutrino_agree_for_a_recoil_at_rest_up_to_swapped_couplings(E_nu, nu_pdg):
    left, right = couplings(nu_pdg, S2W)
    assert couplings(-nu_pdg, S2W) == (right, left)
    # At T = 0 both chiralities contribute fully, so that exchanging them changes nothing.
    at_rest = sm_dsigma_dT(0.0, E_nu, np.array([nu_pdg, -nu_pdg]), S2W)
    assert at_rest[0] == pytest.approx(at_rest[1], rel=1e-14, abs=0.0)


def test_couplings_of_electron_and_muon_neutrinos_differ_in_sign():
    assert couplings(12, 0.25) == (0.75, 0.25)
    assert couplings(14, 0.25) == (-0.25, 0.25)
    assert couplings(16, 0.25) == couplings(14, 0.25)


@pytest.mark.parametrize(("nu_pdg", "slope"), [(14, 1.552e-45), (12, 9.523e-45)])
def test_total_cross_section_grows_linearly_at_high_energy(nu_pdg, slope):
    total = sm_sigma(0.0, np.inf, 1e3, nu_pdg, S2W)
    assert total / (1e3 / constants.MEV) == pytest.approx(slope, rel=5e-4, abs=0.0)


@pytest.mark.parametrize("E_nu", ENERGIES)
def test_cross_section_is_positive_at_the_limit_and_exactly_zero_above(E_nu):
    limit = max_recoil_energy(E_nu)
    above = np.nextafter(limit, np.inf)
    assert sm_dsigma_dT(limit, E_nu, 14, S2W) > 0.0
    assert sm_dsigma_dT(above, E_nu, 14, S2W) == 0.0
    assert sm_sigma(limit, np.inf, E_nu, 14, S2W) == 0.0
    assert sm_sigma(above, np.inf, E_nu, 14, S2W) == 0.0


def test_empty_window_has_no_cross_section():
    assert sm_sigma(0.3, 0.3, 2.0, 14, S2W) == 0.0


@pytest.mark.parametrize(
    "arguments",
    [
        (-1e-9, 2.0, 14, S2W),
        (np.nan, 2.0, 14, S2W),
        (0.5, 0.0, 14, S2W),
        (0.5, -2.0, 14, S2W),
        (0.5, np.nan, 14, S2W),
        (0.5, np.inf, 14, S2W),
        (0.5, 2.0, 13, S2W),
        (0.5, 2.0, 0, S2W),
        (0.5, 2.0, np.nan, S2W),
        (0.5, 2.0, 14, 0.0),
        (0.5, 2.0, 14, 1.0),
        (0.5, 2.0, 14, np.nan),
        (5.0, 2.0, 13, S2W),
    ],
)
def test_unphysical_input_gives_nan(arguments):
    T, *rest = arguments
    assert np.isnan(sm_dsigma_dT(*arguments))
    assert np.isnan(sm_sigma(T, 10.0, *rest))


@pytest.mark.parametrize("window", [(0.9, 0.3), (0.3, np.nan), (np.nan, np.nan)])
def test_inverted_or_undefined_window_gives_nan(window):
    assert np.isnan(sm_sigma(*window, 2.0, 14, S2W))
