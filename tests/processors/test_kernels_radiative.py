"""Radiative corrections as ratios to the tree level."""

import mpmath
import numpy as np
import pytest

from processors.kernels import RADIATIVE_SCHEMES, constants, max_recoil_energy, radiative_ratio

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
    with pytest.raises(ValueError, match="no radiative scheme 'bks'; available: none, sarantakos"):
        radiative_ratio(0.6, 2.0, 14, "bks")
