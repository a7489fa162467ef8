"""Matrices of magnetic and electric moments."""

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.theory import (
    NUFIT52_NORMAL,
    dirac_moment,
    dirac_moments,
    majorana_matrix,
    majorana_moments,
    moment_matrix,
    pmns_matrix,
    split_moments,
    to_flavour_basis,
    to_mass_basis,
)
from processors.kernels.constants import EV, G_F, M_E

MASSES = np.array([0.01, 0.0132, 0.051]) * EV
WITH_PHASES = replace(NUFIT52_NORMAL, alpha21=0.7, alpha31=2.1)
U = pmns_matrix(WITH_PHASES)
REAL = replace(NUFIT52_NORMAL, delta=0.0)


def close(expected, rel=1e-9, abs=0.0):
    """Relative comparison; the usual absolute tolerance would swallow moments and widths."""
    return pytest.approx(expected, rel=rel, abs=abs)


def random_matrix(seed):
    generator = np.random.default_rng(seed)
    return 1e-11 * (generator.normal(size=(3, 3)) + 1j * generator.normal(size=(3, 3)))


def adjoint(matrix):
    return matrix.conj().T


def test_dirac_moment_does_not_know_the_charge_in_bohr_magnetons():
    expected = 3 * G_F * M_E * EV / (4 * math.sqrt(2) * math.pi**2)
    assert dirac_moment(EV) == close(expected, rel=1e-13)


def test_diagonal_of_the_dirac_moments_is_the_moment_of_the_mass():
    magnetic, electric = dirac_moments(MASSES, U)
    np.testing.assert_allclose(np.diag(magnetic), dirac_moment(MASSES), rtol=2.5e-4)
    np.testing.assert_array_equal(np.diag(electric), 0.0)


def test_transition_moments_are_suppressed_by_the_tau_mass():
    quarter = replace(REAL, theta12=0.0, theta23=0.0, theta13=math.pi / 4)
    magnetic, electric = dirac_moments([0.0, 0.0, EV], pmns_matrix(quarter))
    # Half of the published 3.9e-23 Bohr magnetons per eV, as |U*_tau1 U_tau3| = 1/2.
    assert abs(magnetic[0, 2]) == close(3.9e-23 / 2, rel=5e-3)
    assert abs(electric[0, 2]) == close(abs(magnetic[0, 2]), rel=1e-12)


def test_no_transitions_without_mixing():
    magnetic, electric = dirac_moments(MASSES, np.eye(3))
    np.testing.assert_array_equal(magnetic, np.diag(np.diag(magnetic)))
    np.testing.assert_array_equal(electric, 0.0)


def test_electric_transitions_need_a_mass_difference():
    np.testing.assert_array_equal(dirac_moments(np.full(3, EV), U).electric, 0.0)


def test_dirac_moments_are_hermitian():
    for matrix in dirac_moments(MASSES, U):
        np.testing.assert_allclose(matrix, adjoint(matrix), atol=1e-33)


def test_helicity_flips_on_the_mass_of_the_final_state():
    lam = moment_matrix(*dirac_moments(MASSES, U))
    per_mass = lam / MASSES[:, np.newaxis]
    np.testing.assert_allclose(per_mass, adjoint(per_mass), rtol=1e-9)


def test_majorana_moments_are_antisymmetric_and_imaginary():
    for matrix in majorana_moments(MASSES, U):
        np.testing.assert_allclose(matrix, -matrix.T, atol=1e-40)
        assert abs(matrix.imag).max() > 1e-26
        np.testing.assert_allclose(matrix.real, 0.0, atol=1e-38)


def test_equal_cp_parities_leave_twice_the_electric_moment():
    dirac = dirac_moments(MASSES, pmns_matrix(REAL))
    majorana = majorana_moments(MASSES, pmns_matrix(REAL))
    np.testing.assert_array_equal(majorana.magnetic, 0.0)
    np.testing.assert_allclose(majorana.electric, 2.0 * dirac.electric, rtol=1e-12)


def test_opposite_cp_parities_leave_twice_the_magnetic_moment():
    mixing = pmns_matrix(replace(REAL, alpha21=math.pi))
    dirac, majorana = dirac_moments(MASSES, mixing), majorana_moments(MASSES, mixing)
    assert abs(majorana.magnetic[0, 1]) == close(2 * abs(dirac.magnetic[0, 1]), rel=1e-12)
    assert abs(majorana.electric[0, 1]) < 1e-12 * abs(majorana.magnetic[0, 1])
    assert abs(majorana.magnetic[0, 2]) < 1e-12 * abs(majorana.electric[0, 2])


def test_any_matrix_splits_into_magnetic_and_electric():
    lam = random_matrix(1)
    parts = split_moments(lam)
    for matrix in parts:
        np.testing.assert_allclose(matrix, adjoint(matrix), rtol=1e-14)
    np.testing.assert_allclose(moment_matrix(*parts), lam, rtol=1e-12)


def test_electric_moments_enter_with_minus_i():
    electric = np.diag([1e-11, 0.0, 0.0])
    assert moment_matrix(np.zeros((3, 3)), electric)[0, 0] == -1e-11j


def test_split_of_a_majorana_matrix_is_imaginary_and_passes_the_check():
    parts = split_moments(majorana_matrix([1e-11 + 3e-12j, -2e-11, 7e-12j]))
    assert not any(matrix.real.any() for matrix in parts)
    assert moment_matrix(*parts, majorana=True)[0, 1] == close(7e-12j)


def test_majorana_matrix_is_a_cross_product():
    components = np.array([1e-11 + 3e-12j, -2e-11 + 5e-12j, 7e-12 + 1.1e-11j])
    state = np.array([0.2, 0.5j, -0.7])
    np.testing.assert_allclose(
        majorana_matrix(components) @ state, np.cross(state, components), rtol=1e-13
    )


def test_majorana_matrices_of_a_scan():
    assert majorana_matrix(np.ones((5, 2, 3))).shape == (5, 2, 3, 3)


@pytest.mark.parametrize("majorana", [False, True])
def test_there_and_back_between_the_bases(majorana):
    lam = majorana_matrix([1e-11, 2e-11j, -3e-11]) if majorana else random_matrix(2)
    flavour = to_flavour_basis(lam, U, majorana=majorana)
    assert np.linalg.norm(flavour) == close(np.linalg.norm(lam), rel=1e-13)
    np.testing.assert_allclose(to_mass_basis(flavour, U, majorana=majorana), lam, atol=1e-25)


def test_flavour_matrix_of_majorana_neutrinos_stays_antisymmetric():
    flavour = to_flavour_basis(majorana_matrix([1e-11, 2e-11j, -3e-11]), U, majorana=True)
    np.testing.assert_allclose(flavour, -flavour.T, atol=1e-25)


def test_flavour_matrix_of_dirac_neutrinos_stays_hermitian():
    magnetic = split_moments(random_matrix(3)).magnetic
    flavour = to_flavour_basis(magnetic, U)
    np.testing.assert_allclose(flavour, adjoint(flavour), atol=1e-25)


def test_one_flavour_moment_in_the_mass_basis():
    lam = to_mass_basis(np.diag([0.0, 1e-11, 0.0]), U)
    np.testing.assert_allclose(lam, 1e-11 * np.outer(U[1].conj(), U[1]), rtol=1e-13)


def test_a_magnetic_matrix_that_is_not_hermitian_is_refused():
    message = r"magnetic is not Hermitian: element \[0, 1\] is \(2e-11\+0j\); expected conj"
    with pytest.raises(ValueError, match=message):
        moment_matrix([[1e-11, 2e-11], [0.0, 1e-11]])


def test_an_electric_matrix_that_is_not_hermitian_is_refused():
    with pytest.raises(ValueError, match=r"electric is not Hermitian"):
        moment_matrix(np.eye(2), [[0, 1j], [1j, 0]])


def test_a_diagonal_majorana_moment_is_refused():
    message = r"magnetic of Majorana neutrinos is not antisymmetric: element \[0, 0\] is"
    with pytest.raises(ValueError, match=message):
        moment_matrix(1e-11 * np.eye(3), majorana=True)


@pytest.mark.parametrize("convert", [to_flavour_basis, to_mass_basis])
def test_a_symmetric_matrix_of_majorana_neutrinos_is_refused(convert):
    with pytest.raises(ValueError, match=r"lam of Majorana neutrinos is not antisymmetric"):
        convert(np.ones((3, 3)), U, majorana=True)


@pytest.mark.parametrize("lam", [1e-11, [1e-11, 1e-11], np.ones((3, 2))])
def test_a_matrix_that_is_not_square_is_refused(lam):
    with pytest.raises(ValueError, match=r"lam has shape .*; expected \(\.\.\., n, n\)"):
        split_moments(lam)


def test_a_matrix_with_holes_is_refused():
    with pytest.raises(ValueError, match=r"lam = \(nan\+0j\); expected finite elements"):
        split_moments([[math.nan, 0.0], [0.0, 0.0]])


def test_a_matrix_needs_three_components():
    with pytest.raises(ValueError, match=r"components has shape \(2,\); expected \(\.\.\., 3\)"):
        majorana_matrix([1e-11, 2e-11])


@pytest.mark.parametrize("mass", [-0.1, math.nan, math.inf])
def test_masses_out_of_range_are_refused(mass):
    with pytest.raises(ValueError, match=r"m_nu = .*; expected a finite number >= 0 \[GeV\]"):
        dirac_moment([0.0, mass])


def test_masses_and_mixing_belong_together():
    with pytest.raises(ValueError, match=r"masses of shape \(2,\) with a mixing matrix of shape"):
        dirac_moments([0.0, EV], U)
