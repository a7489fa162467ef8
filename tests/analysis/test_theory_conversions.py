"""Units, normalisations, charge radii and bounds from naturalness."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.theory import (
    CONVENTIONS,
    DIRAC_BOUND,
    MAJORANA_BOUND,
    MOMENT_UNITS,
    convert_charge_radius,
    convert_moment,
    dipole_from_moment,
    majorana_bound,
    mass_from_moment,
    moment_from_dipole,
    moment_from_mass,
    sm_charge_radius,
)
from processors.kernels import constants


def close(expected, rel=1e-9, abs=0.0):
    """Relative comparison; the usual absolute tolerance would swallow moments and widths."""
    return pytest.approx(expected, rel=rel, abs=abs)


def test_bohr_magneton_in_the_units_of_codata():
    assert convert_moment(1.0, "mu_B", "eV/T") == close(5.7883818060e-5, rel=1e-9)


def test_units_that_follow_from_the_speed_of_light():
    assert 1.0 / constants.SECOND == close(6.582119569e-25, rel=1e-9)
    assert constants.TESLA / constants.EV**2 == close(195.35278, rel=5e-8)


@given(value=st.floats(1e-30, 1e30), names=st.permutations(sorted(MOMENT_UNITS)))
def test_units_of_moments_invert_each_other(value, names):
    there = convert_moment(value, names[0], names[1])
    assert convert_moment(there, names[1], names[0]) == close(value, rel=1e-14)


def test_dipole_coupling_gives_the_prefactor_of_its_own_paper():
    # 4 alpha d^2 in the cross-section of Magill et al., alpha mu^2 in ours.
    ours = constants.K_MAGNETIC * moment_from_dipole(3e-7) ** 2
    assert ours == close(4 * constants.ALPHA * 3e-7**2 * constants.GEV2_TO_CM2, rel=1e-13)


def test_dipole_coupling_there_and_back():
    np.testing.assert_allclose(dipole_from_moment(moment_from_dipole([1e-6, 1e-9])), [1e-6, 1e-9])


def test_unknown_unit_is_refused():
    with pytest.raises(ValueError, match=r"unit 'muB' is unknown; expected one of \['GeV\^-1', "):
        convert_moment(1.0, "muB", "eV/T")


@pytest.mark.parametrize(
    ("flavour", "published"), [("nue", -0.83e-32), ("numu", -0.48e-32), ("nutau", -0.30e-32)]
)
def test_sm_charge_radii_are_those_of_the_literature(flavour, published):
    assert sm_charge_radius(flavour) == close(published, abs=0.005e-32)


@pytest.mark.parametrize(
    ("flavour", "published"), [("nue", 4.1e-33), ("numu", 2.4e-33), ("nutau", 1.5e-33)]
)
def test_sm_charge_radii_in_the_convention_of_bernabeu(flavour, published):
    theirs = convert_charge_radius(sm_charge_radius(flavour), "giunti_studenikin", "bernabeu")
    assert theirs == close(published, abs=0.06e-33)


def test_texono_interval_doubles_in_our_convention():
    ours = convert_charge_radius([-2.1e-32, 3.3e-32], "vogel_engel")
    np.testing.assert_allclose(ours, [-4.2e-32, 6.6e-32])


def test_charge_radius_of_vogel_and_engel_shifts_the_mixing_angle():
    # Their shift of sin^2(theta_W), sqrt(2) pi alpha <r^2> / (3 G_F), is our shift of g_V over 2.
    shift = math.sqrt(2) * math.pi * constants.ALPHA / (3 * constants.G_F * constants.GEV2_TO_CM2)
    ours = convert_charge_radius(1e-32, "vogel_engel", "giunti_studenikin")
    assert shift * ours / 2 == close(shift * 1e-32, rel=1e-14)
    assert shift * 1e-32 == close(0.023796, rel=1e-4)


@pytest.mark.parametrize("source", CONVENTIONS)
@pytest.mark.parametrize("target", CONVENTIONS)
def test_conventions_invert_each_other(source, target):
    there = convert_charge_radius(1e-32, source, target)
    assert convert_charge_radius(there, target, source) == close(1e-32)


def test_unknown_convention_is_refused():
    with pytest.raises(ValueError, match=r"charge-radius convention 'pdg' is unknown; expected"):
        convert_charge_radius(1e-32, "pdg")


def test_unknown_flavour_of_the_charge_radius_is_refused():
    with pytest.raises(ValueError, match=r"flavour 'e' is unknown; expected one of \['nue', "):
        sm_charge_radius("e")


def test_naive_mass_of_a_moment():
    assert mass_from_moment(1e-18, 1e3) * 1e9 == close(0.98, abs=0.005)


@given(mu=st.floats(1e-20, 1e-8), scale=st.floats(1.0, 1e6))
def test_naive_mass_and_moment_invert_each_other(mu, scale):
    assert moment_from_mass(mass_from_moment(mu, scale), scale) == close(mu)


def test_dirac_bound_is_stronger_than_any_experiment():
    assert DIRAC_BOUND.moment < 1e-2 * 6.3e-12  # XENONnT


@pytest.mark.parametrize("flavours", [("nue", "numu"), ("numu", "nutau"), ("nutau", "nue")])
def test_majorana_bound_is_weaker_than_experiments_at_one_tev_only(flavours):
    at_tev, at_pev = majorana_bound(0.3e-9, [1e3, 1e6], flavours=flavours)
    assert at_tev > 1e-9 > 6.3e-12 > at_pev


def test_majorana_bound_does_not_know_the_order_of_flavours():
    bounds = [majorana_bound(1e-9, 1e3, flavours=f) for f in (("nue", "numu"), ("numu", "nue"))]
    assert bounds[0] == bounds[1] == close(4e-9 * (1.77686 / 0.10565) ** 2, rel=1e-3)


@pytest.mark.parametrize("bound", [DIRAC_BOUND, MAJORANA_BOUND])
def test_bounds_from_memory_say_so(bound):
    assert bound.status == "unverified"
    assert "hep-ph/0" in bound.source


@pytest.mark.parametrize("flavours", [("nue", "nue"), ("e", "mu")])
def test_majorana_bound_needs_two_flavours(flavours):
    with pytest.raises(ValueError, match=r"flavours .*; expected two different of \['nue', "):
        majorana_bound(1e-9, 1e3, flavours=flavours)


def test_a_scale_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"scale = 0\.0; expected a finite number > 0 \[GeV\]"):
        moment_from_mass(1e-9, 0.0)
