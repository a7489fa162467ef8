"""Numbers and lists of numbers from the bytes of baskets.

For :mod:`fileset.baskets`; use that.
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .basket_bytes import Basket, Bytes, DamagedError, UnsupportedError

_MANY = 2**27

VECTOR = 10
"""Length of what precedes the elements of a std::vector [bytes]."""


class Encoding(NamedTuple):
    """How the numbers of a branch are stored.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of one number, big-endian.
    shape : tuple of int
        Shape of what each entry, or each element of a list, consists of; empty for one number.
    header : int, optional
        Length of what precedes the list of an entry [bytes]; None for entries of one length.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    header: int | None = None


class Jagged(NamedTuple):
    """A list of numbers per entry.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n + 1,)
        List ``i`` is ``content[offsets[i]:offsets[i + 1]]``; the first one is 0.
    content : ndarray, shape (offsets[-1], ...), or Jagged
        Jagged for lists of lists.
    """

    offsets: NDArray[np.int64]
    content: Any


Which = slice | NDArray[np.int64]
"""Entries of a basket: neighbours, or their numbers in order."""


class Values:
    """Entries of one length, to which baskets are added one after the other.

    Parameters
    ----------
    encoding : Encoding
    count : int
        How many entries there will be.
    """

    def __init__(self, encoding: Encoding, count: int) -> None:
        self._stored = np.dtype((encoding.dtype, encoding.shape))
        self._values = np.empty((count, *encoding.shape), encoding.dtype.newbyteorder("="))
        self._done = 0

    def add(self, basket: Basket, which: Which) -> None:
        """Add entries of a basket.

        Raises
        ------
        DamagedError
            If they are not of this length.
        """
        if len(basket.data) != basket.entries * self._stored.itemsize:
            raise DamagedError(
                f"it has {len(basket.data)} bytes for {basket.entries} entries of "
                f"{self._stored.itemsize} bytes"
            )
        # Chosen as native numbers, whatever they then mean, which is faster.
        values = basket.data.view(self._values.dtype).reshape(-1, *self._stored.shape)
        chosen = values[which].view(self._stored.base)
        self._values[self._done : self._done + len(chosen)] = chosen
        self._done += len(chosen)

    def result(self) -> NDArray[Any]:
        """All that was added, in native byte order, shape (count, ...)."""
        return self._values


class Lists:
    """Lists of numbers, to which baskets are added one after the other.

    Parameters
    ----------
    encoding : Encoding
    count : int
        How many lists there will be.
    """

    def __init__(self, encoding: Encoding, count: int) -> None:
        self._encoding = encoding
        self._shift = encoding.dtype.itemsize.bit_length() - 1
        self._offsets = np.zeros(count + 1, np.int64)
        # As integers until the end: kernels for four lengths, whatever the types.
        self._content = np.empty(0, f"u{encoding.dtype.itemsize}")
        self._done = 0

    def add(self, basket: Basket, which: Which) -> None:
        """Add lists of a basket.

        Raises
        ------
        DamagedError
            If they are not within it, or of another length than they say.
        UnsupportedError
            If it does not say where each list begins.
        """
        if not len(basket.table):
            raise UnsupportedError("no table of entries")
        if isinstance(which, slice) and self._encoding.header == 0:
            self._add_neighbours(basket, which)
            return
        numbers = np.arange(which.start, which.stop) if isinstance(which, slice) else which
        offsets = self._next(len(numbers))
        starts = np.empty(len(numbers), np.int64)
        header = self._encoding.header or 0
        ordered = _is_ordered(basket.table, basket.key)
        if not (ordered and _find(*basket[1:], header, self._shift, numbers, offsets, starts)):
            raise DamagedError("its lists are not where or what its table says")
        content = self._room(offsets)
        _gather(basket.data, starts, offsets, self._shift, content.view(np.uint8))
        content[:] = content.view(content.dtype.newbyteorder(">"))

    def result(self) -> Jagged:
        """All that was added, in native byte order."""
        stored, shape = self._encoding.dtype, self._encoding.shape
        content = self._content[: self._offsets[-1]].view(stored.newbyteorder("="))
        offsets, left = np.divmod(self._offsets, math.prod(shape)) if shape else (self._offsets, 0)
        if np.any(left):
            raise DamagedError(f"its lists are not of {shape} numbers each")
        return Jagged(offsets, content.reshape(-1, *shape))

    def _add_neighbours(self, basket: Basket, which: slice) -> None:
        offsets = self._next(which.stop - which.start)
        begin = _follow(
            basket.table, basket.key, len(basket.data), which.start, self._shift, offsets
        )
        if begin < 0:
            raise DamagedError("its lists are not where its table says")
        end = begin + ((offsets[-1] - offsets[0]) << self._shift)
        content = self._room(offsets)
        content[:] = basket.data[begin:end].view(content.dtype.newbyteorder(">"))

    def _next(self, count: int) -> NDArray[np.int64]:
        """Offsets of the next lists, the first of which is known."""
        self._done += count
        return self._offsets[self._done - count : self._done + 1]

    def _room(self, offsets: NDArray[np.int64]) -> NDArray[Any]:
        """Place of the last lists, in memory that is enlarged for all to come if need be."""
        if offsets[-1] > len(self._content):
            share = self._done / (len(self._offsets) - 1)
            # Memory that is never filled is never taken from the system.
            expected = offsets[-1] if share == 1.0 else 1.02 * offsets[-1] / share
            # Nor is it always there: the first lists may be longer than those to come.
            expected = min(expected, max(2 * offsets[-1], _MANY))
            length = max(math.ceil(expected), len(self._content) * 3 // 2)
            larger = np.empty(length, self._content.dtype)
            larger[: offsets[0]] = self._content[: offsets[0]]
            self._content = larger
        return self._content[offsets[0] : offsets[-1]]


# Indices without sign spare the test for negative ones, and with it most of the time.
@numba.njit(nogil=True, cache=True)
def _number(data: Bytes, place: int | np.int64) -> np.int64:
    """Four big-endian bytes."""
    i = np.uintp(place)
    return (
        (np.int64(data[i]) << 24)
        | (np.int64(data[i + np.uintp(1)]) << 16)
        | (np.int64(data[i + np.uintp(2)]) << 8)
        | np.int64(data[i + np.uintp(3)])
    )


@numba.njit(nogil=True, cache=True)
def _follow(
    table: Bytes, key: int, border: int, first: int, shift: int, offsets: NDArray[np.int64]
) -> np.int64:
    """Offsets of neighbouring lists behind the first; the byte at which they begin, or -1."""
    begin = before = _number(table, 4 * first) - key
    # Collected instead of tested one by one, which several at a time cannot be.
    signs = lost = np.int64(0)
    base = offsets[0]
    for i in range(len(offsets) - 1):
        after = _number(table, 4 * (first + i + 1)) - key
        signs |= after - before
        lost |= after - begin
        offsets[i + 1] = base + ((after - begin) >> shift)
        before = after
    good = begin >= 0 and before <= border and signs >= 0 and not lost & ((1 << shift) - 1)
    return begin if good else np.int64(-1)


@numba.njit(nogil=True, cache=True)
def _is_ordered(table: Bytes, key: int) -> bool:
    """Whether every entry, wanted or not, begins where the one before it ends."""
    before = np.int64(key)
    signs = np.int64(0)
    for i in range(len(table) // 4):
        after = _number(table, 4 * i)
        signs |= after - before
        before = after
    return bool(signs >= 0)


@numba.njit(nogil=True, cache=True)
def _find(
    data: Bytes,
    table: Bytes,
    key: int,
    header: int,
    shift: int,
    numbers: NDArray[np.int64],
    offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> bool:
    """Offsets of chosen lists behind the first offset, and the bytes at which they begin."""
    part = (1 << shift) - 1
    for i in range(len(numbers)):
        begin = _number(table, 4 * numbers[i]) - key
        end = _number(table, 4 * (numbers[i] + 1)) - key
        size = end - begin - header
        if begin < 0 or end > len(data) or size < 0 or size & part:
            return False
        # A std::vector says how many elements it has, in the last four bytes of its header.
        if header == VECTOR and _number(data, begin + header - 4) != size >> shift:
            return False
        starts[i] = begin + header
        offsets[i + 1] = offsets[i] + (size >> shift)
    return True


@numba.njit(nogil=True, cache=True)
def _gather(
    data: Bytes, starts: NDArray[np.int64], offsets: NDArray[np.int64], shift: int, target: Bytes
) -> None:
    """Copy chosen lists, which lie anywhere in the data, one behind the other."""
    for i in range(len(starts)):
        begin, place = np.uintp(starts[i]), np.uintp((offsets[i] - offsets[0]) << shift)
        for j in range(np.uintp((offsets[i + 1] - offsets[i]) << shift)):
            target[place + j] = data[begin + j]
