"""Matrices of magnetic and electric dipole moments, Dirac and Majorana, in the mass basis or not.

All couplings sit in one complex matrix lambda = mu - i epsilon [Bohr magneton]: element [j, k]
turns a left-handed neutrino k into state j of the other helicity. For Majorana neutrinos that
state is an antineutrino, and lambda is antisymmetric. What an experiment sees of the matrix is in
``effective``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processors.kernels.constants import (
    BOHR_MAGNETON,
    ELEMENTARY_CHARGE,
    G_F,
    M_E,
    M_MU,
    M_TAU,
    M_W,
)

from .domain import antisymmetric_matrix, hermitian_matrix, non_negative, square_matrix

# Per mass of the neutrino [Bohr magneton / GeV]: 3.2e-19 for 1 eV.
_LOOP = 3.0 * ELEMENTARY_CHARGE * G_F / (8.0 * np.sqrt(2.0) * np.pi**2) / BOHR_MAGNETON
_LEPTON_MASSES = np.array([M_E, M_MU, M_TAU])
_LEVI_CIVITA = np.zeros((3, 3, 3))
_LEVI_CIVITA[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1.0
_LEVI_CIVITA[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = -1.0


class Moments(NamedTuple):
    """Dipole moments as two matrices, element [j, k] for the transition from k to j.

    Attributes
    ----------
    magnetic, electric : ndarray, shape (..., n, n)
        Hermitian matrices mu and epsilon [Bohr magneton]; for Majorana neutrinos also
        antisymmetric, that is imaginary.
    """

    magnetic: NDArray[np.complex128]
    electric: NDArray[np.complex128]


def moment_matrix(
    magnetic: ArrayLike, electric: ArrayLike | None = None, *, majorana: bool = False
) -> NDArray[np.complex128]:
    """Moment matrix from magnetic and electric dipole moments.

    Parameters
    ----------
    magnetic : array_like of complex, shape (..., n, n)
        Hermitian matrix of magnetic moments [Bohr magneton].
    electric : array_like of complex, shape (..., n, n), optional
        Hermitian matrix of electric moments [Bohr magneton].
    majorana : bool
        Require both to be antisymmetric.

    Returns
    -------
    ndarray, shape (..., n, n)
        lambda = mu - i epsilon [Bohr magneton].

    Raises
    ------
    ValueError
        For a matrix that is not Hermitian or, of Majorana neutrinos, not antisymmetric.

    Examples
    --------
    >>> moment_matrix([[0, 2e-11j], [-2e-11j, 0]], majorana=True)[0, 1]
    np.complex128(2e-11j)
    """
    mu = hermitian_matrix("magnetic", magnetic)
    epsilon = hermitian_matrix("electric", np.zeros_like(mu) if electric is None else electric)
    if majorana:
        mu = antisymmetric_matrix("magnetic of Majorana neutrinos", mu)
        epsilon = antisymmetric_matrix("electric of Majorana neutrinos", epsilon)
    return mu - 1j * epsilon


def split_moments(lam: ArrayLike) -> Moments:
    """Magnetic and electric dipole moments of a moment matrix.

    Parameters
    ----------
    lam : array_like of complex, shape (..., n, n)
        Moment matrix lambda = mu - i epsilon, any complex matrix [Bohr magneton].

    Returns
    -------
    Moments
        Hermitian mu and epsilon [Bohr magneton].

    Raises
    ------
    ValueError
        For a matrix that is not square or not finite.
    """
    matrix = square_matrix("lam", lam)
    adjoint = matrix.conj().swapaxes(-1, -2)
    return Moments(0.5 * (matrix + adjoint), 0.5j * (matrix - adjoint))


def dirac_moment(m_nu: ArrayLike) -> NDArray[np.float64]:
    """Diagonal magnetic moment of a Dirac neutrino in the minimally extended Standard Model.

    Parameters
    ----------
    m_nu : array_like of float
        Neutrino mass [GeV], >= 0.

    Returns
    -------
    ndarray, shape of ``m_nu``
        Magnetic moment [Bohr magneton].

    Raises
    ------
    ValueError
        For a mass that is negative or not finite.

    Notes
    -----
    3 e G_F m / (8 sqrt(2) pi^2) (Fujikawa & Shrock 1980), to leading order in the squared ratio
    of charged-lepton and W masses.

    Examples
    --------
    >>> f"{dirac_moment(1e-9):.3e}"  # 1 eV
    '3.203e-19'
    """
    return _LOOP * non_negative("m_nu", m_nu, "GeV")


def dirac_moments(masses: ArrayLike, pmns: ArrayLike) -> Moments:
    """Moments of Dirac neutrinos in the minimally extended Standard Model, transitions included.

    Parameters
    ----------
    masses : array_like of float, shape (3,)
        Neutrino masses [GeV], >= 0.
    pmns : array_like of complex, shape (3, 3)
        Mixing matrix [1].

    Returns
    -------
    Moments
        Magnetic and electric moments in the mass basis [Bohr magneton].

    Raises
    ------
    ValueError
        For masses that are negative or of another number, and for a matrix of another shape.

    Notes
    -----
    (mu, -i epsilon)_kj = 3 e G_F / (16 sqrt(2) pi^2) (m_k +- m_j) [delta_kj - F_kj / 2] with
    F_kj = sum_l U*_lk U_lj m_l^2 / m_W^2 (Pal & Wolfenstein 1982; Giunti & Studenikin,
    arXiv:1403.6344). Unitarity leaves the transitions F alone: at most 3.9e-23 per eV.
    """
    m = non_negative("masses", masses, "GeV")
    mixing = square_matrix("pmns", pmns)
    if m.shape != (3,) or mixing.shape != (3, 3):
        raise ValueError(
            f"masses of shape {m.shape} with a mixing matrix of shape {mixing.shape}; "
            "expected (3,) and (3, 3)"
        )
    suppression = (mixing.conj().T * (_LEPTON_MASSES / M_W) ** 2) @ mixing
    loop = 0.5 * _LOOP * (np.eye(3) - 0.5 * suppression)
    # Element [k, j] leads from j to k: the mass of the final state is that of the row.
    final, initial = m[:, np.newaxis], m[np.newaxis, :]
    return Moments((final + initial) * loop, 1j * (final - initial) * loop)


def majorana_moments(masses: ArrayLike, pmns: ArrayLike) -> Moments:
    """Moments of Majorana neutrinos in the minimally extended Standard Model.

    Parameters
    ----------
    masses : array_like of float, shape (3,)
        Neutrino masses [GeV], >= 0.
    pmns : array_like of complex, shape (3, 3)
        Mixing matrix with its Majorana phases [1].

    Returns
    -------
    Moments
        Imaginary antisymmetric magnetic and electric moments in the mass basis [Bohr magneton].

    Raises
    ------
    ValueError
        For masses that are negative or of another number, and for a matrix of another shape.

    Notes
    -----
    The Dirac moments minus their transpose: a Majorana field meets the vertex from both sides.
    With conserved CP one of the two is zero and the other twice the Dirac one (Shrock 1982).
    """
    magnetic, electric = dirac_moments(masses, pmns)
    return Moments(magnetic - magnetic.T, electric - electric.T)


def majorana_matrix(components: ArrayLike) -> NDArray[np.complex128]:
    """Moment matrix of three Majorana neutrinos from its three independent elements.

    Parameters
    ----------
    components : array_like of complex, shape (..., 3)
        Lambda_1, Lambda_2, Lambda_3 [Bohr magneton].

    Returns
    -------
    ndarray, shape (..., 3, 3)
        Antisymmetric lambda_jk = eps_jki Lambda_i [Bohr magneton], for instance
        lambda_12 = Lambda_3.

    Raises
    ------
    ValueError
        Unless the last axis has three finite numbers.

    Examples
    --------
    >>> majorana_matrix([1e-11, 2e-11, 3e-11])[0].real
    array([ 0.e+00,  3.e-11, -2.e-11])
    """
    vector = np.asarray(components, dtype=np.complex128)
    if vector.ndim == 0 or vector.shape[-1] != 3:
        raise ValueError(f"components has shape {vector.shape}; expected (..., 3)")
    return square_matrix("components", np.einsum("jki,...i->...jk", _LEVI_CIVITA, vector))


def to_flavour_basis(
    lam: ArrayLike, pmns: ArrayLike, *, majorana: bool = False
) -> NDArray[np.complex128]:
    """Moment matrix in the flavour basis from that in the mass basis.

    Parameters
    ----------
    lam : array_like of complex, shape (..., 3, 3)
        Moment matrix in the mass basis [Bohr magneton].
    pmns : array_like of complex, shape (3, 3)
        Mixing matrix U [1].
    majorana : bool
        Final states are antineutrinos: U* lambda U^dagger instead of U lambda U^dagger.

    Returns
    -------
    ndarray, shape (..., 3, 3)
        Moment matrix, rows and columns e, mu, tau [Bohr magneton].

    Raises
    ------
    ValueError
        For a matrix that is not square, not finite or, of Majorana neutrinos, not antisymmetric.

    Notes
    -----
    Right-handed Dirac neutrinos have no weak interaction and hence no flavour; they are rotated
    by U as well, a choice that no cross-section depends on.
    """
    mixing = square_matrix("pmns", pmns)
    left = mixing.conj() if majorana else mixing
    return left @ _matrix_of(lam, majorana) @ mixing.conj().T


def to_mass_basis(
    lam: ArrayLike, pmns: ArrayLike, *, majorana: bool = False
) -> NDArray[np.complex128]:
    """Moment matrix in the mass basis from that in the flavour basis.

    Parameters
    ----------
    lam : array_like of complex, shape (..., 3, 3)
        Moment matrix, rows and columns e, mu, tau [Bohr magneton].
    pmns : array_like of complex, shape (3, 3)
        Mixing matrix U [1].
    majorana : bool
        Final states are antineutrinos: U^T lambda U instead of U^dagger lambda U.

    Returns
    -------
    ndarray, shape (..., 3, 3)
        Moment matrix in the mass basis [Bohr magneton].

    Raises
    ------
    ValueError
        For a matrix that is not square, not finite or, of Majorana neutrinos, not antisymmetric.
    """
    mixing = square_matrix("pmns", pmns)
    left = mixing.T if majorana else mixing.conj().T
    return left @ _matrix_of(lam, majorana) @ mixing


def _matrix_of(lam: ArrayLike, majorana: bool) -> NDArray[np.complex128]:
    if majorana:
        return antisymmetric_matrix("lam of Majorana neutrinos", lam)
    return square_matrix("lam", lam)
