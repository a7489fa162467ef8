"""Effective moments of scattering, of the Sun and of stars."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from analysis.theory import (
    NUFIT52_NORMAL,
    OSCILLATION_PHASE,
    effective_moment,
    flavour_limits,
    majorana_matrix,
    pmns_matrix,
    scattering_moment,
    solar_effective_moment,
    solar_flavour_combination,
    stellar_moment,
    to_flavour_basis,
)

MIXING = replace(NUFIT52_NORMAL, alpha21=0.7, alpha31=2.1)
U = pmns_matrix(MIXING)
FAR = 810.0 / 2.0  # [km/GeV], NOvA far detector
ROWS = {"nue": 0, "numu": 1, "nutau": 2}
DIRAC = 1e-11 * np.array([[1, 2 + 1j, -1j], [0.5, -2, 1.5j], [3, 0.1 - 2j, 0.4j]])
MAJORANA = majorana_matrix([1e-11 + 3e-12j, -2e-11 + 5e-12j, 7e-12 + 1.1e-11j])
BOTH = [pytest.param(DIRAC, False, id="Dirac"), pytest.param(MAJORANA, True, id="Majorana")]


def close(expected, rel=1e-9, abs=0.0):
    """Relative comparison; the usual absolute tolerance would swallow moments and widths."""
    return pytest.approx(expected, rel=rel, abs=abs)


@pytest.mark.parametrize("flavour", ROWS)
@pytest.mark.parametrize(("lam", "majorana"), BOTH)
def test_effective_moment_is_a_column_of_the_flavour_matrix(lam, majorana, flavour):
    column = to_flavour_basis(lam, U, majorana=majorana)[:, ROWS[flavour]]
    mu = effective_moment(lam, MIXING, flavour, majorana=majorana)
    assert mu == close(np.linalg.norm(column), rel=1e-13)


@pytest.mark.parametrize("flavour", ROWS)
@pytest.mark.parametrize(("lam", "majorana"), BOTH)
def test_far_moment_follows_from_evolution_in_the_flavour_basis(lam, majorana, flavour):
    squares = np.diag([0.0, MIXING.dm21, MIXING.dm31])
    hamiltonian = OSCILLATION_PHASE * FAR * U @ squares @ U.conj().T
    vertex = to_flavour_basis(lam, U, majorana=majorana)
    neutrino = vertex @ expm(-1j * hamiltonian)[:, ROWS[flavour]]
    # The Hermitian conjugate vertex and the conjugate Hamiltonian.
    antineutrino = vertex.conj() @ expm(-1j * hamiltonian.conj())[:, ROWS[flavour]]
    expected = np.linalg.norm(neutrino), np.linalg.norm(antineutrino)
    for name, value in zip((flavour, f"{flavour}bar"), expected, strict=True):
        assert effective_moment(lam, MIXING, name, l_over_e=FAR) == close(value, rel=1e-12)


@pytest.mark.parametrize("flavour", ROWS)
@pytest.mark.parametrize(("lam", "majorana"), BOTH)
def test_neutrino_and_antineutrino_agree_near_the_source_and_differ_far_away(
    lam, majorana, flavour
):
    near = [effective_moment(lam, MIXING, name) for name in (flavour, f"{flavour}bar")]
    far = [effective_moment(lam, MIXING, n, l_over_e=FAR) for n in (flavour, f"{flavour}bar")]
    assert near[0] == close(near[1], rel=1e-14)
    assert abs(far[0] / far[1] - 1) > 5e-3


def test_real_couplings_of_antineutrinos_see_the_conjugate_mixing_matrix():
    lam = DIRAC.real
    phases = np.exp(-1j * OSCILLATION_PHASE * FAR * np.array([0, MIXING.dm21, MIXING.dm31]))
    expected = scattering_moment(lam, U[1] * phases)
    assert effective_moment(lam, MIXING, "numubar", l_over_e=FAR) == close(expected, rel=1e-13)


def test_the_conjugate_mixing_matrix_alone_breaks_the_agreement_near_the_source():
    conjugate = replace(MIXING, delta=-MIXING.delta, alpha21=-0.7, alpha31=-2.1)
    np.testing.assert_allclose(pmns_matrix(conjugate), U.conj(), rtol=1e-14)
    ratio = effective_moment(DIRAC, conjugate, "numu") / effective_moment(DIRAC, MIXING, "numu")
    assert abs(ratio - 1) > 0.1


@given(l_over_e=st.floats(0.0, 1e6), flavour=st.sampled_from([*ROWS, "nuebar", "numubar"]))
def test_diagonal_dirac_moments_do_not_depend_on_the_distance(l_over_e, flavour):
    lam = np.diag([1e-11, 2e-11, 3e-11])
    near = effective_moment(lam, MIXING, flavour)
    assert effective_moment(lam, MIXING, flavour, l_over_e=l_over_e) == close(near)


@pytest.mark.parametrize(("lam", "majorana"), BOTH)
def test_transition_moments_depend_on_the_distance(lam, majorana):
    near, far = effective_moment(lam, MIXING, "numu", l_over_e=[0.0, FAR], majorana=majorana)
    assert abs(far / near - 1) > 0.02


@pytest.mark.parametrize("flavour", ROWS)
@pytest.mark.parametrize(("lam", "majorana"), BOTH)
def test_the_nova_near_detector_is_at_zero_distance(lam, majorana, flavour):
    near, there = effective_moment(lam, MIXING, flavour, l_over_e=[0.0, 0.5], majorana=majorana)
    assert there == close(near, rel=4e-3)


@given(l_over_e=st.floats(0.0, 1e4))
def test_the_three_flavours_share_the_whole_matrix(l_over_e):
    squares = [effective_moment(DIRAC, MIXING, name, l_over_e=l_over_e) ** 2 for name in ROWS]
    assert sum(squares) == close(stellar_moment(DIRAC) ** 2, rel=1e-12)


@pytest.mark.parametrize("flavour", ROWS)
@pytest.mark.parametrize(("lam", "majorana"), BOTH)
def test_stars_see_another_moment_than_scattering(lam, majorana, flavour):
    star = stellar_moment(lam, majorana=majorana)
    assert star > 1.002 * effective_moment(lam, MIXING, flavour, majorana=majorana)


def test_a_universal_moment_is_seen_three_times_in_stars():
    lam = 1e-11 * np.eye(3)
    assert effective_moment(lam, MIXING, "nue", l_over_e=FAR) == close(1e-11)
    assert solar_effective_moment(lam, [0.66, 0.318, 0.022]) == close(1e-11)
    assert stellar_moment(lam) == close(math.sqrt(3.0) * 1e-11)


def test_stars_see_magnetic_and_electric_moments_alike():
    mu, epsilon = 2e-11 * np.eye(2), 1e-11 * np.array([[0, 1j], [-1j, 0]])
    expected = math.sqrt(2 * 2e-11**2 + 2 * 1e-11**2)
    assert stellar_moment(mu - 1j * epsilon) == close(expected, rel=1e-14)


def test_two_degenerate_majorana_neutrinos_are_one_dirac_neutrino():
    lam, born_left = 1e-11 * np.array([[0, -1j], [1j, 0]]), np.array([1, 1j]) / math.sqrt(2)
    assert scattering_moment(lam, born_left) == close(1e-11, rel=1e-14)
    assert stellar_moment(lam, majorana=True) == close(1e-11, rel=1e-14)


def test_arrays_of_matrices_and_distances_broadcast():
    stack = np.stack([DIRAC, MAJORANA])[:, np.newaxis]
    mu = effective_moment(stack, MIXING, "numu", l_over_e=[0.0, 1.0, FAR])
    assert mu.shape == (2, 3)
    assert mu[1, 2] == effective_moment(MAJORANA, MIXING, "numu", l_over_e=FAR)
    assert solar_effective_moment(stack, [[1, 0, 0]] * 3).shape == (2, 3)
    assert stellar_moment(stack).shape == (2, 1)


def test_solar_majorana_moment_in_its_components():
    first, second, third = [abs(MAJORANA[j, k]) ** 2 for j, k in ((1, 2), (0, 2), (0, 1))]
    weight = np.array([0.5, 0.3, 0.2])
    pairs = np.array([second + third, first + third, first + second])
    assert solar_effective_moment(MAJORANA, weight) ** 2 == close(weight @ pairs, rel=1e-13)


@pytest.mark.parametrize(("lam", "majorana"), BOTH)
def test_solar_moment_is_the_average_over_distances(lam, majorana):
    l_over_e = np.random.default_rng(7).uniform(0.0, 1e9, 20000)
    square = np.mean(effective_moment(lam, MIXING, "nue", l_over_e=l_over_e) ** 2)
    incoherent = solar_effective_moment(lam, abs(U[0]) ** 2)
    assert math.sqrt(square) == close(incoherent, rel=0.01)


def test_the_sun_has_no_interference_between_mass_states():
    lam = 1e-11 * np.outer([1.0, 0.0, 0.0], U[0].conj())
    assert solar_effective_moment(lam, [0.0, 1.0, 0.0]) == close(1e-11 * abs(U[0, 1]))
    coherent = abs(np.sum(U[0].conj() ** 2))
    assert effective_moment(lam, MIXING, "nue") == close(1e-11 * coherent)
    assert solar_effective_moment(lam, abs(U[0]) ** 2) == close(
        1e-11 * math.sqrt(np.sum(abs(U[0]) ** 4))
    )


def test_solar_limits_on_flavours_give_back_the_limit():
    limits = flavour_limits(2.8e-11, survival=0.537, sin2_theta23=0.45)
    for single in np.diag(limits):
        combined = solar_flavour_combination(*single, survival=0.537, sin2_theta23=0.45)
        assert combined == close(2.8e-11, rel=1e-13)


def test_solar_limits_are_those_that_borexino_quotes():
    limits = flavour_limits(2.8e-11, survival=0.537, sin2_theta23=0.5)
    assert limits == close((3.9e-11, 5.8e-11, 5.8e-11), rel=0.03)


def test_equal_flavour_moments_need_no_survival_probability():
    mu = solar_flavour_combination(
        *[2e-11] * 3, survival=np.linspace(0, 1, 5), sin2_theta23=[[0.3], [0.6]]
    )
    np.testing.assert_allclose(mu, np.full((2, 5), 2e-11), rtol=1e-14)


def test_unknown_flavour_is_refused():
    with pytest.raises(ValueError, match=r"flavour 'mu' is unknown; expected one of \['nue', "):
        effective_moment(DIRAC, MIXING, "mu")


def test_a_dirac_matrix_is_refused_as_majorana():
    for call in (stellar_moment, lambda lam, **o: effective_moment(lam, MIXING, "nue", **o)):
        with pytest.raises(ValueError, match=r"lam of Majorana neutrinos is not antisymmetric"):
            call(DIRAC, majorana=True)


def test_two_flavours_do_not_fit_three():
    with pytest.raises(ValueError, match=r"lam of shape \(2, 2\) with amplitudes of shape \(3,\)"):
        effective_moment(np.eye(2), MIXING, "nue")
    with pytest.raises(ValueError, match=r"\(2, 2\) with probabilities of shape \(3,\)"):
        solar_effective_moment(np.eye(2), [1, 0, 0])


def test_probabilities_must_add_up():
    with pytest.raises(ValueError, match=r"probabilities .* add up to 0\.9; expected 1"):
        solar_effective_moment(DIRAC, [0.6, 0.2, 0.1])


def test_probabilities_beyond_one_are_refused():
    with pytest.raises(ValueError, match=r"probabilities = 1\.2; expected a number from 0 to 1"):
        solar_effective_moment(DIRAC, [1.2, -0.2, 0.0])


@pytest.mark.parametrize(
    ("survival", "sin2_theta23", "name"),
    [(0, 0.5, "survival"), (1, 0.5, "1 - survival"), (0.5, 1, "1 - sin2_theta23")],
)
def test_a_flavour_that_does_not_arrive_has_no_limit(survival, sin2_theta23, name):
    with pytest.raises(ValueError, match=rf"{name} = 0\.0; expected a finite number > 0"):
        flavour_limits(1e-11, survival=survival, sin2_theta23=sin2_theta23)


def test_a_negative_moment_is_refused():
    with pytest.raises(ValueError, match=r"mu_numu = -1e-11; expected a finite number >= 0"):
        solar_flavour_combination(0.0, -1e-11, 0.0, survival=0.5, sin2_theta23=0.5)
