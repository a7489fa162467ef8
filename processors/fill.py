"""All variations in one pass: the kernel that fills histograms.

The bin of an event is found once; then one row of the table ``[bin, variation]`` is updated. As an
ordinary ``hist`` object with a ``variation`` axis the result is the same as one ``hist.fill`` per
variation would give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .filled import Filled, Floats, Part
from .histograms import HISTOGRAMS, LABELS, Histogram
from .reading import Columns


@dataclass(frozen=True)
class Entries:
    """Events as the histograms see them.

    Attributes
    ----------
    row : ndarray of int, shape (m,)
        Event of each entry, in ascending order; an event may enter more than once, in different
        categories.
    category : ndarray of int, shape (m,)
        Position in :data:`LABELS`.
    weight : ndarray, shape (m,)
        Nominal weight.
    without : dict of str to ndarray, shapes (m,)
        Name of a weight column to the nominal weight without it, for variations that take its
        place.
    """

    row: NDArray[np.int64]
    category: NDArray[np.int64]
    weight: Floats
    without: dict[str, Floats] = field(default_factory=dict)


class TruthCells(NamedTuple):
    """Factors that depend on few cells of the truth, such as flavour and energy of the neutrino.

    Attributes
    ----------
    cell : ndarray of int, shape (n,)
        Cell of each event.
    factors : ndarray, shape (cells, k)
        Factors of each cell for each of k variations.
    """

    cell: NDArray[np.int64]
    factors: NDArray[np.floating]


Block = NDArray[np.floating] | TruthCells
"""Factors of n events for k variations, as they are or by cells of the truth."""


class Shown(NamedTuple):
    """What a histogram shows of a chunk for the nominal or a shift.

    Attributes
    ----------
    columns : Columns
        n events, for the axes.
    entries : Entries
        m entries of these events.
    mask : ndarray of bool, shape (n,)
        Events that the histogram shows.
    """

    columns: Columns
    entries: Entries
    mask: NDArray[np.bool_]


class Filling:
    """A histogram while it is filled.

    Parameters
    ----------
    histogram : str
        Key of :data:`HISTOGRAMS`.
    variations : sequence of str
        Bins of the variation axis.
    categories : sequence of str
        Bins of the category axis.
    shown : mapping of str to Shown
        Bin of the variation axis to what it is filled with: the nominal, which comes first, and
        every shift. Variations of the weight are added to the events of the nominal.
    """

    def __init__(
        self,
        histogram: str,
        variations: Sequence[str],
        categories: Sequence[str],
        shown: Mapping[str, Shown],
    ) -> None:
        self._name = histogram
        self._variations = tuple(variations)
        self._categories = tuple(categories)
        size = HISTOGRAMS[histogram].size
        filled = np.zeros(len(LABELS) * size, dtype=bool)
        placed = {label: _placed(HISTOGRAMS[histogram], part) for label, part in shown.items()}
        for _, cell in placed.values():
            filled[cell] = True
        self._index = np.flatnonzero(filled)
        # By their first variation; of one that is made again, what was there is kept behind.
        self._parts: dict[int, Part] = {}
        self._ended: list[Part] = []
        position = np.cumsum(filled) - 1
        for label, (kept, cell) in placed.items():
            weight = shown[label].entries.weight[kept]
            first = self._variations.index(label)
            part = self._part(first, 1, None)
            for target, w in zip(part.sums, (weight, weight**2), strict=True):
                target[:, 0] = np.bincount(position[cell], w, len(self._index))
        kept, cell = placed[self._variations[0]]
        entries = shown[self._variations[0]].entries
        self._row = entries.row[kept]
        self._position = position[cell]
        self._weights = {"": entries.weight[kept]}
        self._weights |= {name: weight[kept] for name, weight in entries.without.items()}

    def add(self, first: int, block: Block, replaces: str = "", start: int = 0) -> None:
        """Fill events into variations of their weight.

        Parameters
        ----------
        first : int
            Position on the variation axis of the first of k variations.
        block : Block
            Factors of some of the events for these variations.
        replaces : str
            Weight that they replace; empty if they multiply.
        start : int
            The first of these events; they are neighbours.
        """
        stop = start + len(block.cell if isinstance(block, TruthCells) else block)
        chosen = slice(*np.searchsorted(self._row, (start, stop)))
        weight, position = self._weights[replaces][chosen], self._position[chosen]
        row = self._row[chosen] - start
        if isinstance(block, TruthCells):
            part = self._part(first, len(block.factors), block.factors)
            _count(position, weight, block.cell[row], part.sums)
        else:
            part = self._part(first, block.shape[1], None)
            _accumulate(position, weight, row, np.ascontiguousarray(block), part.sums)

    def _part(self, first: int, columns: int, factors: NDArray[np.floating] | None) -> Part:
        """Where to add factors of some variations, by themselves or by cell."""
        part = self._parts.get(first)
        if part is not None and part.is_like(part._replace(factors=factors)):
            return part
        if part is not None:
            self._ended.append(part)
        sums = np.zeros((2, len(self._index), columns))
        self._parts[first] = Part(first, sums, factors)
        return self._parts[first]

    def result(self) -> Filled:
        """What has been filled so far."""
        parts = (*self._parts.values(), *self._ended)
        return Filled(self._name, self._variations, self._categories, self._index, parts)


def _placed(histogram: Histogram, shown: Shown) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Entries that a histogram shows, and their bins: category, then the flattened axes."""
    columns, entries, mask = shown
    kept = np.flatnonzero(mask[entries.row])
    bins = histogram.bins(columns)[entries.row[kept]]
    return kept, entries.category[kept] * histogram.size + bins


@numba.njit(cache=True, nogil=True)
def _accumulate(
    position: NDArray[np.int64],
    weight: Floats,
    row: NDArray[np.int64],
    factors: NDArray[np.floating],
    sums: Floats,
) -> None:
    """Add weights and their squares to sums of each variation, shape (2, bins, k)."""
    for i in range(position.size):
        w = weight[i]
        factor = factors[row[i]]
        value, square = sums[0, position[i]], sums[1, position[i]]
        for v in range(factors.shape[1]):
            x = w * factor[v]
            value[v] += x
            square[v] += x * x


@numba.njit(cache=True, nogil=True)
def _count(
    position: NDArray[np.int64], weight: Floats, cell: NDArray[np.int64], sums: Floats
) -> None:
    """Add weights and their squares to their cells of sums, shape (2, bins, cells)."""
    for i in range(position.size):
        w = weight[i]
        sums[0, position[i], cell[i]] += w
        sums[1, position[i], cell[i]] += w * w
