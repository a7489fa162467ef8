"""Nuclei: Helm form factor, coherent scattering, magnetic moment, limits and edges."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from processors.kernels import (
    cevns_dsigma_dT,
    constants,
    helm_form_factor,
    magnetic_dsigma_dT,
    magnetic_nucleus_dsigma_dT,
    magnetic_nucleus_spin0_dsigma_dT,
    max_nuclear_recoil,
    max_recoil_energy,
)
from processors.kernels.cevns import bessel_ratio

S2W = constants.SIN2_THETA_W
MU = 1e-10  # [Bohr magneton]
NUCLEI = [(6, 6), (18, 22), (32, 41), (54, 77), (55, 78)]
ENERGIES = [1e-6, 1e-4, 5e-3, 0.03, 0.05]  # [GeV]: 1 keV to the end of stopped-muon spectra
FRACTIONS = [1e-9, 1e-3, 0.3, 0.9, 0.999]  # of the kinematic limit
MAGNETIC = [magnetic_nucleus_dsigma_dT, magnetic_nucleus_spin0_dsigma_dT]


@pytest.fixture(autouse=True)
def thirty_digits():
    with mpmath.workdps(30):
        yield


def exact_form_factor(q, A):
    """Bessel function of order 3/2 and radii in fm."""
    q, third = mpmath.mpf(q), mpmath.cbrt(mpmath.mpf(A))
    core = mpmath.mpf("1.23") * third - mpmath.mpf("0.60")
    diffuse = 7 * (mpmath.pi * mpmath.mpf("0.52")) ** 2 / 3
    x = q * mpmath.sqrt(core**2 + diffuse - 5 * mpmath.mpf("0.9") ** 2)
    sphere = 3 * mpmath.sqrt(mpmath.pi / (2 * x)) * mpmath.besselj(1.5, x) / x
    return sphere * mpmath.exp(-((q * mpmath.mpf("0.9")) ** 2) / 2)


def exact_parts(T, E_nu, Z, N):
    """Mass, form factor and T, E_nu in 30 digits."""
    T, E_nu = mpmath.mpf(T), mpmath.mpf(E_nu)
    mass = (Z + N) * mpmath.mpf(constants.ATOMIC_MASS_UNIT)
    q = mpmath.sqrt(2 * mass * T) / mpmath.mpf(constants.HBAR_C)
    return mass, exact_form_factor(q, Z + N), T, E_nu


@pytest.mark.parametrize("A", [1, 12, 40, 131, 208])
@pytest.mark.parametrize("q", [1e-9, 1e-3, 0.05, 0.25, 0.5, 1.7])
def test_form_factor_has_twelve_digits(q, A):
    exact = float(exact_form_factor(q, A))
    # Near the zeros of the Bessel function only an absolute precision makes sense.
    assert helm_form_factor(q, A) == pytest.approx(exact, rel=1e-12, abs=1e-16)


@pytest.mark.parametrize("x", [1e-3, 0.3, np.nextafter(1.0, 0.0), 1.0, np.nextafter(1.0, 2.0)])
def test_series_and_closed_form_of_the_bessel_function_meet_at_the_switch(x):
    y = mpmath.mpf(x)
    exact = float(3 * (mpmath.sin(y) - y * mpmath.cos(y)) / y**3)
    assert bessel_ratio(x) == pytest.approx(exact, rel=2e-15, abs=0.0)


def test_form_factor_is_one_at_rest_and_changes_sign_beyond_the_first_zero():
    assert helm_form_factor(0.0, 131) == 1.0
    radius = 5.84  # [fm]; the Bessel function vanishes at 4.493 and 7.725
    signs = np.sign(helm_form_factor(np.array([4.4, 4.6, 7.6, 7.8]) / radius, 131))
    assert signs.tolist() == [1.0, -1.0, -1.0, 1.0]


@pytest.mark.parametrize(("q", "A"), [(-0.1, 40), (np.nan, 40), (np.inf, 40), (0.1, 0), (0.1, -4)])
def test_form_factor_of_unphysical_input_is_nan(q, A):
    assert np.isnan(helm_form_factor(q, A))


@pytest.mark.parametrize(("Z", "N"), NUCLEI)
@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_standard_model_has_eleven_digits(E_nu, fraction, Z, N):
    T = fraction * max_nuclear_recoil(E_nu, Z, N)
    mass, form, recoil, energy = exact_parts(T, E_nu, Z, N)
    weak = N - (1 - 4 * mpmath.mpf(S2W)) * Z
    shape = 1 - recoil / energy - mass * recoil / (2 * energy**2)
    prefactor = mpmath.mpf(constants.G_F) ** 2 * mass / (4 * mpmath.pi)
    exact = prefactor * (weak * form) ** 2 * shape * mpmath.mpf(constants.GEV2_TO_CM2)
    assert cevns_dsigma_dT(T, E_nu, Z, N, S2W) == pytest.approx(float(exact), rel=1e-11, abs=0.0)


@pytest.mark.parametrize(("Z", "N"), NUCLEI)
@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_magnetic_moment_has_twelve_digits(E_nu, fraction, Z, N):
    T = fraction * max_nuclear_recoil(E_nu, Z, N)
    _, form, recoil, energy = exact_parts(T, E_nu, Z, N)
    scale = mpmath.mpf(constants.K_MAGNETIC) * (mpmath.mpf(MU) * Z * form) ** 2
    exact = scale * (1 / recoil - 1 / energy)
    extra = scale * recoil / (4 * energy**2)
    computed = [kernel(T, E_nu, Z, N, MU) for kernel in MAGNETIC]
    assert computed[0] == pytest.approx(float(exact), rel=1e-12, abs=0.0)
    assert computed[1] == pytest.approx(float(exact + extra), rel=1e-12, abs=0.0)


def test_dropped_spin_term_is_below_3e_6_for_stopped_pions():
    T = max_nuclear_recoil(0.05, 18, 22) * np.linspace(0.01, 1.0, 50)
    ratio = MAGNETIC[1](T, 0.05, 18, 22, MU) / MAGNETIC[0](T, 0.05, 18, 22, MU)
    assert np.all(ratio > 1.0)
    assert ratio.max() - 1.0 < 3e-6


@pytest.mark.parametrize(("Z", "N"), NUCLEI)
def test_total_cross_section_at_low_energy_is_that_of_a_point(Z, N):
    E_nu, limit = 1e-4, max_nuclear_recoil(1e-4, Z, N)
    total, _ = quad(lambda x: limit * cevns_dsigma_dT(x * limit, E_nu, Z, N, S2W) * 1e50, 0.0, 1.0)
    weak = N - (1.0 - 4.0 * S2W) * Z
    # A triangle between T = 0 and the limit of 2 E^2 / M.
    point = constants.G_F**2 * weak**2 * E_nu**2 / (4.0 * np.pi) * constants.GEV2_TO_CM2
    assert total / 1e50 == pytest.approx(point, rel=2e-5, abs=0.0)


def test_protons_hardly_count_and_neutrons_enter_squared():
    assert cevns_dsigma_dT(0.0, 0.01, 40, 0, 0.25) == 0.0
    one, two = cevns_dsigma_dT(0.0, 0.01, [20, 0], [20, 40], 0.25)
    assert two == pytest.approx(4.0 * one, rel=1e-14, abs=0.0)


@given(E_nu=st.floats(1e-6, 1.0))
def test_nucleus_of_an_electron_mass_has_the_limit_of_an_electron(E_nu):
    equal = constants.M_E / constants.ATOMIC_MASS_UNIT
    assert max_nuclear_recoil(E_nu, 0.0, equal) == pytest.approx(
        max_recoil_energy(E_nu), rel=1e-14, abs=0.0
    )


def test_light_pointlike_charge_scatters_magnetically_as_an_electron():
    equal = constants.M_E / constants.ATOMIC_MASS_UNIT
    T, E_nu = 1e-9, 3e-4
    computed = magnetic_nucleus_dsigma_dT(T, E_nu, equal, 0.0, MU) / equal**2
    assert computed == pytest.approx(magnetic_dsigma_dT(T, E_nu, MU), rel=1e-6, abs=0.0)


@pytest.mark.parametrize(("Z", "N"), NUCLEI)
@pytest.mark.parametrize("E_nu", ENERGIES)
def test_cross_sections_are_exactly_zero_above_the_limit(E_nu, Z, N):
    limit = max_nuclear_recoil(E_nu, Z, N)
    above = limit * (1.0 + 1e-14)
    assert cevns_dsigma_dT(0.999 * limit, E_nu, Z, N, S2W) > 0.0
    assert cevns_dsigma_dT(above, E_nu, Z, N, S2W) == 0.0
    assert [kernel(limit, E_nu, Z, N, MU) > 0.0 for kernel in MAGNETIC] == [True, True]
    assert [kernel(above, E_nu, Z, N, MU) for kernel in MAGNETIC] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("T", "E_nu", "Z", "N"),
    [
        (-1e-9, 0.03, 18, 22),
        (np.nan, 0.03, 18, 22),
        (1e-5, 0.0, 18, 22),
        (1e-5, np.inf, 18, 22),
        (1e-5, 0.03, -1, 22),
        (1e-5, 0.03, 18, np.nan),
        (1e-5, 0.03, 0, 0),
        (1.0, 0.03, 18, np.inf),
    ],
)
def test_unphysical_input_gives_nan(T, E_nu, Z, N):
    assert np.isnan(cevns_dsigma_dT(T, E_nu, Z, N, S2W))
    assert np.all(np.isnan([kernel(T, E_nu, Z, N, MU) for kernel in MAGNETIC]))


@pytest.mark.parametrize(("E_nu", "Z", "N"), [(0.0, 18, 22), (np.nan, 18, 22), (0.03, 18, -22)])
def test_limit_of_unphysical_input_is_nan(E_nu, Z, N):
    assert np.isnan(max_nuclear_recoil(E_nu, Z, N))


def test_unphysical_mixing_angle_moment_or_divergent_recoil_gives_nan():
    assert np.isnan(cevns_dsigma_dT(1e-5, 0.03, 18, 22, 1.0))
    for kernel in MAGNETIC:
        assert np.isnan(kernel(0.0, 0.03, 18, 22, MU))
        assert np.isnan(kernel(1e-5, 0.03, 18, 22, -MU))
        assert np.isnan(kernel(1e-5, 0.03, 18, 22, np.inf))
