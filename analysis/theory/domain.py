"""Checks of what enters the formulas of this package: one line that says which number is wrong.

For arguments of theory functions alone. Kernels answer unphysical input with NaN instead, since
one bad event must not stop a file.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = TypeVar("Array", NDArray[np.float64], NDArray[np.complex128])

# Relative to the largest element: above the rounding of a few matrix products, below any physics.
_SYMMETRY = 1e-9


def positive(name: str, values: ArrayLike, unit: str) -> NDArray[np.float64]:
    """Return values as an array of numbers above zero.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like of float
        Finite numbers > 0.
    unit : str
        Their unit, for the message.

    Returns
    -------
    ndarray
        The values in double precision.

    Raises
    ------
    ValueError
        For a value that is not finite or not above zero.
    """
    array = np.asarray(values, dtype=np.float64)
    return _allow(name, array, array > 0.0, f"a finite number > 0 [{unit}]")


def non_negative(name: str, values: ArrayLike, unit: str) -> NDArray[np.float64]:
    """Return values as an array of numbers that are zero or above.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like of float
        Finite numbers >= 0.
    unit : str
        Their unit, for the message.

    Returns
    -------
    ndarray
        The values in double precision.

    Raises
    ------
    ValueError
        For a value that is not finite or below zero.
    """
    array = np.asarray(values, dtype=np.float64)
    return _allow(name, array, array >= 0.0, f"a finite number >= 0 [{unit}]")


def fraction(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return values as an array of numbers from zero to one.

    Parameters
    ----------
    name : str
        What the values are, for the message.
    values : array_like of float
        Numbers from 0 to 1 [1].

    Returns
    -------
    ndarray
        The values in double precision.

    Raises
    ------
    ValueError
        For a value outside.
    """
    array = np.asarray(values, dtype=np.float64)
    return _allow(name, array, (array >= 0.0) & (array <= 1.0), "a number from 0 to 1")


def square_matrix(name: str, values: ArrayLike) -> NDArray[np.complex128]:
    """Return values as one square complex matrix, or a stack of them.

    Parameters
    ----------
    name : str
        What the matrix is, for the message.
    values : array_like of complex, shape (..., n, n)
        Finite elements, any unit.

    Returns
    -------
    ndarray
        The matrix in double precision.

    Raises
    ------
    ValueError
        For another shape, and for elements that are not finite.
    """
    array = np.asarray(values, dtype=np.complex128)
    if array.ndim < 2 or array.shape[-1] != array.shape[-2]:
        raise ValueError(f"{name} has shape {array.shape}; expected (..., n, n), a square matrix")
    return _allow(name, array, np.ones(array.shape, dtype=bool), "finite elements")


def hermitian_matrix(name: str, values: ArrayLike) -> NDArray[np.complex128]:
    """Return values as a Hermitian matrix, or a stack of them.

    Parameters
    ----------
    name : str
        What the matrix is, for the message.
    values : array_like of complex, shape (..., n, n)
        Matrix equal to its conjugate transpose to 1e-9 of its largest element, any unit.

    Returns
    -------
    ndarray
        The matrix in double precision.

    Raises
    ------
    ValueError
        For a matrix that is not square, not finite or not Hermitian.
    """
    matrix = square_matrix(name, values)
    partner = matrix.conj().swapaxes(-1, -2)
    return _same(name, matrix, partner, "Hermitian", "conj(element [k, j])")


def antisymmetric_matrix(name: str, values: ArrayLike) -> NDArray[np.complex128]:
    """Return values as an antisymmetric matrix, or a stack of them.

    Parameters
    ----------
    name : str
        What the matrix is, for the message.
    values : array_like of complex, shape (..., n, n)
        Matrix equal to minus its transpose to 1e-9 of its largest element, any unit.

    Returns
    -------
    ndarray
        The matrix in double precision.

    Raises
    ------
    ValueError
        For a matrix that is not square, not finite or not antisymmetric.
    """
    matrix = square_matrix(name, values)
    return _same(name, matrix, -matrix.swapaxes(-1, -2), "antisymmetric", "-(element [k, j])")


def _allow(name: str, array: Array, allowed: NDArray[np.bool_], expected: str) -> Array:
    refused = ~(allowed & np.isfinite(array))
    if refused.any():
        raise ValueError(f"{name} = {array[refused][0]}; expected {expected}")
    return array


def _same(
    name: str,
    matrix: NDArray[np.complex128],
    partner: NDArray[np.complex128],
    kind: str,
    relation: str,
) -> NDArray[np.complex128]:
    scale = np.abs(matrix).max(axis=(-1, -2), keepdims=True, initial=0.0)
    wrong = np.argwhere(np.abs(matrix - partner) > _SYMMETRY * scale)
    if wrong.size:
        j, k = wrong[0][-2:]
        raise ValueError(
            f"{name} is not {kind}: element [{j}, {k}] is {matrix[tuple(wrong[0])]}; expected "
            f"{relation}, {partner[tuple(wrong[0])]}"
        )
    return matrix
