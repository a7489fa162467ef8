"""Right-handed neutrinos from supernovae and the early universe, and tips of red giants."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import kn

from analysis.astro import (
    allowed_helicity_flip,
    degrees_of_freedom,
    extra_neutrinos,
    helicity_flip_luminosity,
    magnetic_over_sm,
    plasma_frequency,
    plasmon_energy_loss,
    thermalisation_moment,
    tip_of_red_giant_branch,
)
from analysis.astro.supernova import screening2
from analysis.astro.thermal import flip_rate
from analysis.experiments import EXPERIMENTS, recompute
from analysis.experiments.stars import red_giant_tip

PLASMA = {"temperature": 8.6e-6, "density": 2e5, "electron_fraction": 0.5}
CORE = {
    "temperature": 0.03,
    "density": 8e14,
    "electron_fraction": 0.3,
    "neutrino_potential": 0.16,
    "radius": 1e6,
}


@given(mu=st.floats(1e-15, 1e-9), factor=st.floats(0.1, 10.0))
def test_luminosity_is_quadratic_in_the_moment_and_cubic_in_the_radius(mu, factor):
    one = helicity_flip_luminosity(mu, **CORE)
    wider = CORE | {"radius": factor * CORE["radius"]}
    assert helicity_flip_luminosity(factor * mu, **CORE) == pytest.approx(factor**2 * one)
    assert helicity_flip_luminosity(mu, **wider) == pytest.approx(factor**3 * one)


def test_luminosity_agrees_with_numbers_put_in_by_hand():
    # CGS and MeV: n_p sigma c E, with pi alpha^2 / m_e^2 = 2.4947e-25 cm^2.
    T, potential = 30.0, 160.0
    protons = 8e14 * 0.3 * 6.02214076e23
    k2 = 1e6 * screening2(0.03, 8e14, 0.3)

    def power(E_nu):
        x = 4.0 * E_nu**2 / k2
        sigma = 2.494672e-25 * (math.log1p(x) - x / (1.0 + x))
        states = E_nu**2 / (2.0 * np.pi**2) / (math.exp((E_nu - potential) / T) + 1.0)
        return states / 1.973269804e-11**3 * E_nu * 1.602176634e-6 * protons * sigma * 2.99792458e10

    total = quad(power, 0.0, 1500.0, limit=200)[0] * 4.0 / 3.0 * np.pi * 1e18
    assert helicity_flip_luminosity(1.0, **CORE) == pytest.approx(total, rel=1e-5)


def test_screening_of_protons_and_electrons_adds_up():
    # 1.106e-3 GeV^3 of protons: 4 pi alpha n / T plus 4 alpha p_F^2 / pi.
    n = 8e14 * 0.3 * 6.02214076e23 * 1.973269804e-14**3
    expected = 4 * np.pi / 137.036 * n / 0.03 + 4 / 137.036 / np.pi * (3 * np.pi**2 * n) ** (2 / 3)
    assert screening2(0.03, 8e14, 0.3) == pytest.approx(expected, rel=1e-6)


def test_allowed_moment_carries_the_allowed_luminosity():
    mu = allowed_helicity_flip(1e53, **CORE)
    assert helicity_flip_luminosity(mu, **CORE) == pytest.approx(1e53)


@pytest.mark.parametrize("temperature", [0.03, 0.06])
def test_hotter_cores_come_within_the_published_range(temperature):
    mu = allowed_helicity_flip(1e53, **CORE | {"temperature": temperature})
    assert 0.8e-12 < mu < 4e-12


@pytest.mark.parametrize("name", CORE)
def test_impossible_core_is_refused(name):
    with pytest.raises(ValueError, match=name):
        helicity_flip_luminosity(1e-12, **CORE | {name: -1.0})


@pytest.mark.parametrize(("temperature", "expected"), [(1e4, 106.75), (0.01, 10.75)])
def test_degrees_of_freedom_count_what_is_light(temperature, expected):
    assert degrees_of_freedom(temperature) == pytest.approx(expected, rel=1e-3)


def test_degrees_of_freedom_grow_with_temperature():
    values = [degrees_of_freedom(T) for T in np.geomspace(1e-3, 1e3, 30)]
    assert values == sorted(values)


def test_flip_rate_per_temperature_cubed_is_a_number_of_charges_and_a_logarithm():
    # At 10 GeV all but the top quark: sum Q^2 N_c = 3 + 3 (2 x 4 + 3) / 9.
    squares = 3 + 11 / 3
    x = 19.845 / (4 * np.pi / 137.036 / 3 * squares)
    number = 4 * squares * 0.75 * 1.2020569 / np.pi**2 * 640.68
    expected = number * (math.log1p(x) - x / (1 + x)) * 1e3
    assert flip_rate(10.0) == pytest.approx(expected, rel=1e-3)


def test_earlier_decoupling_asks_for_a_smaller_moment():
    moments = [thermalisation_moment(extra) for extra in (0.28, 0.2, 0.17, 0.15)]
    assert moments == sorted(moments, reverse=True)
    assert 1e-12 < moments[-1] < 4e-12


@pytest.mark.parametrize("extra", [0.14, 3.1])
def test_number_of_neutrinos_that_no_decoupling_gives_is_refused(extra):
    with pytest.raises(ValueError, match="no decoupling fits"):
        thermalisation_moment(extra)


def test_smallest_contribution_is_that_of_all_degrees_of_freedom():
    assert extra_neutrinos(degrees_of_freedom(1e4)) == pytest.approx(0.141, abs=1e-3)


def test_tip_limit_has_the_brightness_that_its_convention_states():
    limit = recompute("rg_viaux")
    brightest = float(limit.convention.rsplit(" ", 1)[1])
    assert tip_of_red_giant_branch(limit.observed) == pytest.approx(brightest, abs=5e-3)


@pytest.mark.parametrize("observed", [-3.0, -6.0])
def test_tip_that_no_moment_explains_is_refused(observed):
    row = EXPERIMENTS["rg_viaux"]
    row = replace(row, inputs={**row.inputs, "observed": observed})
    with pytest.raises(ValueError, match=r"rg_viaux: tip at .* is not between"):
        red_giant_tip(row, 0.68)


def test_radiative_decay_follows_the_known_coefficient():
    # 5.3 / s (mu / mu_B)^2 (m / eV)^3
    assert recompute("radiative_solar").observed == pytest.approx((5.31 * 7e9) ** -0.5, rel=2e-3)


def test_plasmon_losses_are_in_the_ratio_of_their_widths():
    magnetic, sm = plasmon_energy_loss(2e-12, **PLASMA)
    ratio = magnetic_over_sm(plasma_frequency(2e5, 0.5), 2e-12)
    assert magnetic / sm == pytest.approx(float(ratio))


def test_plasmon_loss_is_the_series_of_boltzmann_terms():
    # integral k^2 / (exp(omega / T) - 1) = sum_n m^2 T / n K_2(n m / T)
    T, m = PLASMA["temperature"], float(plasma_frequency(2e5, 0.5))
    series = sum(m**2 * T / n * kn(2, n * m / T) for n in range(1, 60))
    width = (1e-12 * 296.304) ** 2 * m**3 / (24.0 * np.pi)
    gev5 = series / np.pi**2 * m * width
    expected = gev5 * 1.602176634e-3 / 1.973269804e-14**3 / 6.582119569e-25 / 2e5
    assert plasmon_energy_loss(1e-12, **PLASMA)[0] == pytest.approx(expected, rel=1e-5)


def test_loss_of_the_standard_model_in_a_core_is_a_few_erg_per_gram_and_second():
    # Raffelt 1996: about 4 with longitudinal plasmons, 8.6 keV of plasma frequency.
    assert 2.0 < plasmon_energy_loss(0.0, **PLASMA)[1] < 5.0


def test_emission_limit_is_where_the_losses_are_equal():
    magnetic, sm = plasmon_energy_loss(recompute("rg_raffelt").observed, **PLASMA)
    assert magnetic == pytest.approx(sm)
