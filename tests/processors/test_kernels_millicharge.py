"""Millicharge: precision, sign of the interference, low-recoil limit and edges."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from processors.kernels import constants, max_recoil_energy, millicharge_dsigma_dT, sm_dsigma_dT

S2W = constants.SIN2_THETA_W
FLAVOURS = [12, -12, 14, -14, 16, -16]
ENERGIES = [1e-6, 3e-4, 5e-3, 2.0, 50.0, 1e3]  # [GeV]: 1 keV to 1 TeV
FRACTIONS = [1e-12, 1e-6, 0.01, 0.5, 0.9, 0.999]  # of the kinematic limit


@pytest.fixture(autouse=True)
def thirty_digits():
    with mpmath.workdps(30):
        yield


def exact_dsigma(T, E_nu, nu_pdg, millicharge):
    """Vector and axial couplings, the photon in the vector one."""
    T, E_nu, mass = mpmath.mpf(T), mpmath.mpf(E_nu), mpmath.mpf(constants.M_E)
    photon = mpmath.sqrt(2) * mpmath.pi * mpmath.mpf(constants.ALPHA) / mpmath.mpf(constants.G_F)
    sign = mpmath.mpf(1 if abs(nu_pdg) == 12 else -1)
    vector = sign / 2 + 2 * mpmath.mpf(S2W) - photon * mpmath.mpf(millicharge) / (mass * T)
    axial = sign / 2 * (1 if nu_pdg > 0 else -1)
    shape = (vector + axial) ** 2 + (vector - axial) ** 2 * (1 - T / E_nu) ** 2
    shape += (axial**2 - vector**2) * mass * T / E_nu**2
    return float(mpmath.mpf(constants.K_SM) / 4 * shape)


@pytest.mark.parametrize("millicharge", [-1e-9, 1e-15, 3e-13, 1e-6])
@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize("E_nu", ENERGIES)
def test_cross_section_has_twelve_digits(E_nu, nu_pdg, millicharge):
    for T in np.multiply(FRACTIONS, max_recoil_energy(E_nu)):
        exact = exact_dsigma(T, E_nu, nu_pdg, millicharge)
        computed = millicharge_dsigma_dT(T, E_nu, nu_pdg, S2W, millicharge)
        assert computed == pytest.approx(exact, rel=1e-12, abs=0.0)


def test_positive_charge_lowers_and_negative_charge_raises_electron_neutrinos_at_three_kev():
    tree = sm_dsigma_dT(3e-6, 3e-4, 12, S2W)
    positive, negative = millicharge_dsigma_dT(3e-6, 3e-4, 12, S2W, [1e-13, -1e-13])
    assert positive < 0.95 * tree
    assert negative > 1.05 * tree


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
def test_pure_term_tends_to_the_rutherford_form_at_low_recoil(nu_pdg):
    T, E_nu, charge = 3e-6, 2.0, 1e-8
    rutherford = 2.0 * np.pi * constants.ALPHA**2 * charge**2 / (constants.M_E * T**2)
    computed = millicharge_dsigma_dT(T, E_nu, nu_pdg, S2W, np.array([charge, -charge])).mean()
    assert computed == pytest.approx(rutherford * constants.GEV2_TO_CM2, rel=1e-5, abs=0.0)


@given(
    E_nu=st.floats(1e-6, 1e3),
    fraction=st.floats(1e-9, 1.0),
    nu_pdg=st.sampled_from(FLAVOURS),
    charge=st.floats(1e-16, 1e-8),
)
def test_dependence_on_the_charge_is_quadratic(E_nu, fraction, nu_pdg, charge):
    T = fraction * max_recoil_energy(E_nu)
    values = millicharge_dsigma_dT(T, E_nu, nu_pdg, S2W, charge * np.array([-3, -1, 0, 1, 3]))
    odd, even = values - values[::-1], values + values[::-1] - 2.0 * values[2]
    assert odd[4] == pytest.approx(3.0 * odd[3], abs=1e-12 * values.max())
    assert even[4] == pytest.approx(9.0 * even[3], abs=1e-12 * values.max())


@given(
    E_nu=st.floats(1e-6, 1e3),
    fraction=st.floats(1e-9, 1.0),
    nu_pdg=st.sampled_from(FLAVOURS),
    charge=st.floats(-1e-6, 1e-6),
)
def test_cross_section_is_never_negative(E_nu, fraction, nu_pdg, charge):
    T = fraction * max_recoil_energy(E_nu)
    assert millicharge_dsigma_dT(T, E_nu, nu_pdg, S2W, charge) >= 0.0


@pytest.mark.parametrize("nu_pdg", [12, -14])
def test_quadrature_equals_the_closed_form_of_the_charge_terms(nu_pdg):
    E_nu, low, high, charge = 3e-3, 3e-6, 1e-3, 1e-11
    flipped = np.array([charge, -charge])

    def pure(T):
        with_charge = millicharge_dsigma_dT(T, E_nu, nu_pdg, S2W, flipped).mean()
        return (with_charge - sm_dsigma_dT(T, E_nu, nu_pdg, S2W)) / constants.K_SM

    area, _ = quad(lambda x: np.exp(x) * pure(np.exp(x)), np.log(low), np.log(high), epsrel=1e-10)
    # Integral of shift^2 [1 + (1 - T/E)^2 - m T/E^2] / T^2.
    shift = np.sqrt(0.5) * np.pi * constants.ALPHA * charge / (constants.G_F * constants.M_E)
    slope = 2.0 / E_nu + constants.M_E / E_nu**2
    closed = 2.0 * (1 / low - 1 / high) - slope * np.log(high / low) + (high - low) / E_nu**2
    assert area == pytest.approx(shift**2 * closed, rel=1e-9, abs=0.0)


@given(E_nu=st.floats(1e-6, 1e3), fraction=st.floats(1e-9, 1.0), nu_pdg=st.sampled_from(FLAVOURS))
def test_no_charge_is_the_standard_model(E_nu, fraction, nu_pdg):
    T = fraction * max_recoil_energy(E_nu)
    tree = sm_dsigma_dT(T, E_nu, nu_pdg, S2W)
    neutral = millicharge_dsigma_dT(T, E_nu, nu_pdg, S2W, 0.0)
    assert neutral == pytest.approx(tree, rel=1e-13, abs=0.0)


@pytest.mark.parametrize("E_nu", ENERGIES)
def test_cross_section_is_positive_at_the_limit_and_exactly_zero_above(E_nu):
    limit = max_recoil_energy(E_nu)
    assert millicharge_dsigma_dT(limit, E_nu, 14, S2W, 1e-12) > 0.0
    assert millicharge_dsigma_dT(np.nextafter(limit, np.inf), E_nu, 14, S2W, 1e-12) == 0.0


@pytest.mark.parametrize(
    "arguments",
    [
        (0.0, 2.0, 14, S2W, 1e-12),
        (-1e-9, 2.0, 14, S2W, 1e-12),
        (np.nan, 2.0, 14, S2W, 1e-12),
        (0.5, -2.0, 14, S2W, 1e-12),
        (0.5, np.inf, 14, S2W, 1e-12),
        (0.5, 2.0, 11, S2W, 1e-12),
        (0.5, 2.0, 14, 0.0, 1e-12),
        (0.5, 2.0, 14, S2W, np.nan),
        (5.0, 2.0, 14, S2W, np.inf),
    ],
)
def test_unphysical_input_gives_nan(arguments):
    assert np.isnan(millicharge_dsigma_dT(*arguments))
