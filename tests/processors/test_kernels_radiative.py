"""Radiative corrections as ratios to the tree level."""

import mpmath
import numpy as np
import pytest

from processors.kernels import (
    RADIATIVE_SCHEMES,
    bks_dsigma_dT,
    check_no_double_counting,
    constants,
    max_recoil_energy,
    radiative_ratio,
    sm_dsigma_dT,
)
from processors.kernels.special import dilogarithm

FLAVOURS = [12, -12, 14, -14, 16, -16]


def published_ratio(T, E_nu, nu_pdg):
    """Published form with its inverse powers of 1 - y, in 30 digits."""
    with mpmath.workdps(30):
        T, E_nu, mass = mpmath.mpf(T), mpmath.mpf(E_nu), mpmath.mpf(constants.M_E)
        y, pi = T / E_nu, mpmath.pi
        log = 2 * mpmath.log(2 * E_nu * y / mass) / 3
        flat = mpmath.mpf(23) / 72 - pi**2 / 6 - log - 5 * y / 12 + y**2 / 24
        falling = -mpmath.mpf(1) / 18 - pi**2 / 6 - log
        falling += 1 / (24 * (1 - y) ** 2) + 1 / (3 * (1 - y))
        tree = mpmath.mpf(constants.SIN2_THETA_W_NOVA)
        half = mpmath.mpf(1 if abs(nu_pdg) == 12 else -1) / 2
        effective = mpmath.mpf("0.72764" if abs(nu_pdg) == 12 else "-0.2730")
        pairs = [(effective, mpmath.mpf("0.2334")), (half + tree, tree)]
        if nu_pdg < 0:
            pairs = [(right, left) for left, right in pairs]
        scale = mpmath.mpf(constants.ALPHA) / pi
        shapes = [
            left**2 * (1 + loop * flat)
            + right**2 * (1 - y) ** 2 * (1 + loop * falling)
            - left * right * mass * y / E_nu
            for (left, right), loop in zip(pairs, (scale, 0), strict=True)
        ]
        return float(shapes[0] / shapes[1])


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize(("T", "E_nu"), [(0.6, 2.0), (0.3, 1.0), (4.9, 5.0), (20.0, 300.0)])
def test_sarantakos_scheme_matches_the_published_form(nu_pdg, T, E_nu):
    expected = published_ratio(T, E_nu, nu_pdg)
    assert radiative_ratio(T, E_nu, nu_pdg, "sarantakos") == pytest.approx(expected, rel=1e-12)


def test_correction_raises_muon_and_lowers_electron_neutrinos_at_beam_energies():
    numu, nue = radiative_ratio(0.6, 2.0, [14, 12], "sarantakos")
    assert numu == pytest.approx(1.013, abs=1e-3)
    assert nue == pytest.approx(0.976, abs=1e-3)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
def test_correction_is_finite_at_the_limit(nu_pdg):
    limit = max_recoil_energy(2.0)
    ratios = radiative_ratio([limit, 0.999 * limit], 2.0, nu_pdg, "sarantakos")
    assert np.all(np.isfinite(ratios))


def test_no_scheme_means_unit_ratio_inside_phase_space():
    assert np.all(radiative_ratio([0.1, 0.6, 1.9], 2.0, [[12], [-14]], "none") == 1.0)


def test_mixing_angle_of_the_tree_level_changes_the_denominator_only():
    ratios = [radiative_ratio(0.6, 2.0, 14, "sarantakos", s2w) for s2w in (0.2313, 0.2387)]
    trees = [(s2w - 0.5) ** 2 + s2w**2 * 0.49 for s2w in (0.2313, 0.2387)]
    assert ratios[0] / ratios[1] == pytest.approx(trees[1] / trees[0], rel=1e-4)


@pytest.mark.parametrize("scheme", RADIATIVE_SCHEMES)
def test_ratio_is_zero_above_the_limit_and_nan_for_unphysical_input(scheme):
    assert radiative_ratio(1.99999, 2.0, 14, scheme) == 0.0
    unphysical = [(0.0, 2.0, 14), (np.nan, 2.0, 14), (0.6, 0.0, 14), (0.6, 2.0, 11), (5.0, 2.0, 11)]
    for T, E_nu, nu_pdg in unphysical:
        assert np.isnan(radiative_ratio(T, E_nu, nu_pdg, scheme))
    assert np.isnan(radiative_ratio(0.6, 2.0, 14, scheme, 1.0))


def test_unknown_scheme_names_the_available_ones():
    match = "no radiative scheme 'marciano'; available: none, sarantakos, bks"
    with pytest.raises(ValueError, match=match):
        radiative_ratio(0.6, 2.0, 14, "marciano")
    with pytest.raises(ValueError, match=match):
        check_no_double_counting("marciano", True)


@pytest.mark.parametrize("x", [0.0, 1e-12, 0.1, 0.4999, 0.5, 0.5001, 0.9, 1.0 - 1e-12, 1.0])
def test_dilogarithm_has_fifteen_digits(x):
    with mpmath.workdps(30):
        exact = float(mpmath.polylog(2, mpmath.mpf(x)).real)
    assert dilogarithm(x) == pytest.approx(exact, rel=2e-15, abs=0.0)


def published_bks(T, E_nu, nu_pdg):
    """Formulas of Bahcall, Kamionkowski and Sirlin as printed, in 30 digits, per K_SM."""
    with mpmath.workdps(40):
        T, E_nu, mass = mpmath.mpf(T), mpmath.mpf(E_nu), mpmath.mpf(constants.M_E)
        ln, spence = mpmath.log, lambda a: -mpmath.polylog(2, a).real
        x = mpmath.sqrt(1 + 2 * mass / T)
        i = (mpmath.mpf(1) / 3 + (3 - x**2) * (x / 2 * ln((x + 1) / (x - 1)) - 1)) / 6
        electron = abs(nu_pdg) == 12
        a, b = ("0.9791", "0.0097") if electron else ("0.9970", "-0.00037")
        rho, s2w = mpmath.mpf("1.0126"), mpmath.mpf("0.2317")
        kappa = mpmath.mpf(a) + mpmath.mpf(b) * i
        left, right = rho * (0.5 - kappa * s2w) - (1 if electron else 0), -rho * kappa * s2w
        if nu_pdg < 0:
            left, right = right, left
        energy, z = T + mass, T / E_nu
        length = mpmath.sqrt(energy**2 - mass**2)
        beta, y = length / energy, 1 - z
        head = energy / length * ln((energy + length) / mass) - 1
        soft = ln(1 - z - mass / (energy + length))
        minus = head * (2 * soft - ln(y) - ln(z) / 2 - mpmath.mpf(5) / 12)
        minus += (spence(z) - spence(beta)) / 2 - ln(y) ** 2 / 2
        minus += -(mpmath.mpf(11) / 12 + z / 2) * ln(y) + z * (ln(z) + ln(2 * E_nu / mass) / 2)
        minus += -(mpmath.mpf(31) / 18 + ln(z) / 12) * beta - 11 * z / 12 + z**2 / 24
        plus = head * y**2 * (2 * soft - ln(y) - ln(z) / 2 - mpmath.mpf(2) / 3)
        plus += -head * (z**2 * ln(z) + y) / 2
        plus += -(y**2) / 2 * (ln(y) ** 2 + beta * (spence(y) - ln(z) * ln(y)))
        plus += ln(y) * (z**2 / 2 * ln(z) + y / 3 * (2 * z - 0.5)) - z**2 / 2 * spence(y)
        plus += -z * (1 - 2 * z) / 3 * ln(z) - z * y / 6
        plus += -beta / 12 * (ln(z) + y * (115 - 109 * z) / 6)
        loop = mpmath.mpf(constants.ALPHA) / mpmath.pi
        shape = left**2 * (1 + loop * minus) + right**2 * (y**2 + loop * plus)
        return shape - left * right * mass * z / E_nu * (1 + loop * head * 2 * soft)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize("E_nu", [1e-6, 1e-4, 8.62e-4, 3e-3, 0.01, 0.05])
@pytest.mark.parametrize("fraction", [1e-9, 1e-3, 0.3, 0.9, 0.999])
def test_bks_cross_section_has_eleven_digits(E_nu, fraction, nu_pdg):
    T = fraction * max_recoil_energy(E_nu)
    exact = float(published_bks(T, E_nu, nu_pdg)) * constants.K_SM
    assert bks_dsigma_dT(T, E_nu, nu_pdg) == pytest.approx(exact, rel=1e-11, abs=0.0)
    ratio = exact / sm_dsigma_dT(T, E_nu, nu_pdg, 0.2317)
    assert radiative_ratio(T, E_nu, nu_pdg, "bks", 0.2317) == pytest.approx(ratio, rel=1e-11)


def test_bks_raises_muon_and_lowers_electron_neutrinos_at_ten_mev():
    numu, nue = radiative_ratio(5e-3, 0.01, [14, 12], "bks", 0.2313)
    assert numu == pytest.approx(1.020, abs=1e-3)
    assert nue == pytest.approx(0.975, abs=1e-3)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
def test_bks_is_made_of_its_couplings_alone_for_a_recoil_at_rest(nu_pdg):
    # QED vanishes with the velocity and I(0) = 0: sigma is rho^2 (g_L^2 + g_R^2) of kappa s2w.
    kappa = 0.9791 if abs(nu_pdg) == 12 else 0.9970
    half = 0.5 if abs(nu_pdg) == 12 else -0.5
    left = 1.0126 * (half + kappa * 0.2317) + (1.0 - 1.0126 if half > 0 else 0.0)
    at_rest = left**2 + (1.0126 * kappa * 0.2317) ** 2
    computed = bks_dsigma_dT(1e-18, 1e-2, nu_pdg) / constants.K_SM
    assert computed == pytest.approx(at_rest, rel=1e-5)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
@pytest.mark.parametrize("E_nu", [1e-6, 3e-4, 0.01, 0.05, 2.0, 1e3])
def test_bks_stays_finite_and_not_negative_up_to_the_limit(E_nu, nu_pdg):
    limit = max_recoil_energy(E_nu)
    T = np.array([1e-300, 1e-12 * limit, np.nextafter(limit, 0.0), limit])
    computed = bks_dsigma_dT(T, E_nu, nu_pdg)
    assert np.all(np.isfinite(computed))
    assert np.all(computed >= 0.0)


@pytest.mark.parametrize("nu_pdg", FLAVOURS)
def test_bks_falls_towards_the_limit_where_photons_have_no_room(nu_pdg):
    limit = max_recoil_energy(0.01)
    ratio = radiative_ratio(limit * (1.0 - np.geomspace(1e-2, 1e-12, 11)), 0.01, nu_pdg, "bks")
    assert np.all(np.diff(ratio) < 0.0)
    assert np.all((ratio > 0.5) & (ratio < 1.05))


def test_bks_cross_section_is_zero_above_the_limit_and_nan_for_unphysical_input():
    assert bks_dsigma_dT(0.0099, 0.01, 12) == 0.0
    for arguments in [(0.0, 0.01, 12), (1e-3, np.inf, 12), (1e-3, 0.01, 11), (np.nan, 0.01, 12)]:
        assert np.isnan(bks_dsigma_dT(*arguments))


@pytest.mark.parametrize("scheme", ["sarantakos", "bks"])
def test_whole_charge_radius_on_corrected_couplings_is_refused(scheme):
    check_no_double_counting(scheme, charge_radius_is_deviation=True)
    with pytest.raises(ValueError, match=f"scheme '{scheme}' contains the charge radius of the"):
        check_no_double_counting(scheme, charge_radius_is_deviation=False)


def test_tree_level_takes_either_charge_radius():
    check_no_double_counting("none", charge_radius_is_deviation=True)
    check_no_double_counting("none", charge_radius_is_deviation=False)
