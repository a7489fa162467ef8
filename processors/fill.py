"""All variations in one pass: the histograms that a run fills and the kernel that fills them.

The bin of an event is found once; then one row of the table ``[bin, variation]`` is updated. Only
bins with events in them are kept (:class:`Filled`); as an ordinary ``hist`` object with a
``variation`` axis the result is the same as one ``hist.fill`` per variation would give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import hist
import numba
import numpy as np
from numpy.typing import NDArray

from .categories import AXIS
from .columns import Columns
from .hypotheses import TEMPLATES

Floats = NDArray[np.float64]

LABELS = (*AXIS, *TEMPLATES)
"""All bins that the category axis of a spectrum can have, in their order."""


class Histogram(NamedTuple):
    """What to fill.

    Attributes
    ----------
    axes : tuple of hist axes
        Named after columns.
    without : tuple of str
        Cuts that are left out, whichever selection they come from, so that the histogram shows
        what they cut on and their sideband.
    """

    axes: tuple[hist.axis.Regular | hist.axis.Variable, ...]
    without: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of bins of one category and variation, flow bins included."""
        return int(np.prod([axis.extent for axis in self.axes]))

    def bins(self, columns: Columns) -> NDArray[np.int64]:
        """Flattened bin of each event, flow bins included."""
        bins = np.zeros(len(columns), dtype=np.int64)
        for axis in self.axes:
            # Position 0 of each axis is its underflow.
            bins = bins * axis.extent + axis.index(columns[axis.name]) + 1
        return bins


HISTOGRAMS: dict[str, Histogram] = {
    "spectrum": Histogram(
        (
            hist.axis.Variable(
                [*np.linspace(0.0, 1.0, 11).round(2), 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5],
                name="recoil_energy",
                label="electron kinetic energy T [GeV]",
            ),
            hist.axis.Regular(20, 0.0, 0.01, name="ttheta2", label=r"$T\theta^2$ [GeV rad$^2$]"),
        )
    ),
    "etheta2": Histogram(
        (hist.axis.Regular(50, 0.0, 0.05, name="etheta2", label=r"$E\theta^2$ [GeV rad$^2$]"),),
        without=("etheta2", "ttheta2"),
    ),
}


@dataclass(frozen=True)
class Entries:
    """Events as the histograms see them.

    Attributes
    ----------
    row : ndarray of int, shape (m,)
        Event of each entry; an event may enter more than once, in different categories.
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


@dataclass(frozen=True)
class Filled:
    """A histogram of which only the filled bins are kept.

    Attributes
    ----------
    histogram : str
        Key of :data:`HISTOGRAMS`.
    variations : tuple of str
        Bins of the variation axis.
    categories : tuple of str
        Bins of the category axis, filled or not.
    index : ndarray of int, shape (u,)
        Filled bins in ascending order: category in :data:`LABELS`, then the flattened axes.
    sums : ndarray, shape (2, u, v)
        Sums of weights and of their squares.
    """

    histogram: str
    variations: tuple[str, ...]
    categories: tuple[str, ...]
    index: NDArray[np.int64]
    sums: Floats

    def __add__(self, other: "Filled") -> "Filled":
        if (self.histogram, self.variations) != (other.histogram, other.variations):
            raise ValueError(
                f"cannot add {other.histogram} of {len(other.variations)} variations to "
                f"{self.histogram} of {len(self.variations)}: they were filled differently"
            )
        categories = tuple(
            label for label in LABELS if label in {*self.categories, *other.categories}
        )
        if np.array_equal(self.index, other.index):
            return replace(self, categories=categories, sums=self.sums + other.sums)
        index = np.union1d(self.index, other.index)
        sums = np.zeros((2, len(index), len(self.variations)))
        for part in (self, other):
            sums[:, np.searchsorted(index, part.index)] += part.sums
        return replace(self, categories=categories, index=index, sums=sums)

    def to_hist(self) -> hist.Hist:
        """Histogram with axes category, variation and its own, weighted storage."""
        target = empty(HISTOGRAMS[self.histogram], self.variations, self.categories)
        self.put(target.view(flow=True), self.categories, self.variations)
        return target

    def put(self, view: NDArray[Any], categories: Sequence[str], variations: Sequence[str]) -> None:
        """Write the filled bins into a view, flow bins included, of a larger histogram.

        Parameters
        ----------
        view : ndarray, axes category, variation and those of the histogram
        categories, variations : sequence of str
            Its bins on the first two axes; a variation that is not here is the nominal.
        """
        axes = HISTOGRAMS[self.histogram].axes
        category, cell = np.divmod(self.index, HISTOGRAMS[self.histogram].size)
        places = {label: position for position, label in enumerate(categories)}
        row = np.array([places[LABELS[c]] for c in category], dtype=np.int64)
        bins = np.unravel_index(cell, [axis.extent for axis in axes])
        own = {label: position for position, label in enumerate(self.variations)}
        chosen = np.array([own.get(label, 0) for label in variations], dtype=np.int64)
        target = (row[:, None], np.arange(len(variations)), *(part[:, None] for part in bins))
        for name, sums in zip(("value", "variance"), self.sums, strict=True):
            view[name][target] = sums[:, chosen]


def empty(
    histogram: Histogram, variations: Sequence[str], categories: Sequence[str] = AXIS
) -> hist.Hist:
    """Histogram with axes category, variation and its own, weighted storage."""
    return hist.Hist(
        # A chunk has the templates of the flavours in it; the sum has those of all chunks.
        hist.axis.StrCategory(list(categories), name="category", growth=True),
        hist.axis.StrCategory(list(variations), name="variation"),
        *histogram.axes,
        storage=hist.storage.Weight(),
    )


def finished(output: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Results with ordinary histograms, their categories in order."""
    return {dataset: {n: _finished(v) for n, v in r.items()} for dataset, r in output.items()}


def _finished(value: Any) -> Any:
    if isinstance(value, Filled):
        return value.to_hist()
    spectrum = isinstance(value, hist.Hist) and value.axes[1].name == "variation"
    return in_order(value) if spectrum else value


def in_order(histogram: hist.Hist) -> hist.Hist:
    """The same histogram with its categories in the order of :data:`LABELS`.

    A sum of histograms has its templates in the order in which chunks brought them.
    """
    found = list(histogram.axes[0])
    ordered = sorted(found, key=LABELS.index)
    result = hist.Hist(
        hist.axis.StrCategory(ordered, name="category", growth=True),
        *list(histogram.axes)[1:],
        storage=histogram.storage_type(),
    )
    result.view(flow=True)[...] = histogram.view(flow=True)[[found.index(c) for c in ordered]]
    return result


def stacked(parts: Mapping[str, Filled]) -> hist.Hist:
    """Histograms of several datasets as one, with a dataset axis in front.

    Parameters
    ----------
    parts : mapping of str to Filled
        Of one histogram; not empty.

    Returns
    -------
    hist.Hist
        Only filled bins are touched. A dataset without a variation has its nominal there.
    """
    first = next(iter(parts.values()))
    found = {label for part in parts.values() for label in part.categories}
    categories = [label for label in LABELS if label in found]
    variations = list(dict.fromkeys(v for part in parts.values() for v in part.variations))
    target = hist.Hist(
        hist.axis.StrCategory(list(parts), name="dataset"),
        hist.axis.StrCategory(categories, name="category"),
        hist.axis.StrCategory(variations, name="variation"),
        *HISTOGRAMS[first.histogram].axes,
        storage=hist.storage.Weight(),
    )
    for view, part in zip(target.view(flow=True), parts.values(), strict=False):
        part.put(view, categories, variations)
    return target


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
    """

    def __init__(
        self, histogram: str, variations: Sequence[str], categories: Sequence[str]
    ) -> None:
        self._name = histogram
        self._variations = tuple(variations)
        self._categories = tuple(categories)
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]] = []

    def add(
        self,
        columns: Columns,
        entries: Entries,
        shown: NDArray[np.bool_],
        blocks: Mapping[int, tuple[Block | None, str]],
    ) -> None:
        """Fill entries into variations.

        Parameters
        ----------
        columns : Columns
            n events, for the axes.
        entries : Entries
            m entries of these events.
        shown : ndarray of bool, shape (n,)
            Events that the histogram shows.
        blocks : mapping of int to (Block, str)
            Position on the variation axis to the factors of the n events for the variations from
            there on (None: one variation, all factors 1), and the weight that they replace (empty:
            none, they multiply).
        """
        histogram = HISTOGRAMS[self._name]
        kept = np.flatnonzero(shown[entries.row])
        row = entries.row[kept]
        cell = entries.category[kept] * histogram.size + histogram.bins(columns)[row]
        filled = np.zeros(len(LABELS) * histogram.size, dtype=bool)
        filled[cell] = True
        index = np.flatnonzero(filled)
        position = (np.cumsum(filled) - 1)[cell]
        variations = [first + np.arange(_width(block)) for first, (block, _) in blocks.items()]
        sums = np.zeros((2, len(index), sum(map(len, variations))))
        place = 0
        for block, replaces in blocks.values():
            weight = (entries.without[replaces] if replaces else entries.weight)[kept]
            _sum(sums, place, position, weight, row, block)
            place += _width(block)
        self._parts.append((index, np.concatenate(variations), sums))

    def result(self) -> Filled:
        """What has been filled so far."""
        parts = self._parts
        if len(parts) == 1 and np.array_equal(parts[0][1], np.arange(len(self._variations))):
            index, _, sums = parts[0]
            return Filled(self._name, self._variations, self._categories, index, sums)
        nothing = np.empty(0, dtype=np.int64)
        index = np.unique(np.concatenate([nothing, *(part[0] for part in parts)]))
        sums = np.zeros((2, len(index), len(self._variations)))
        for found, variations, values in parts:
            # Within a part every bin is there once.
            sums[:, np.searchsorted(index, found)[:, None], variations] += values
        return Filled(self._name, self._variations, self._categories, index, sums)


def _width(block: Block | None) -> int:
    """Number of variations of a block."""
    if block is None:
        return 1
    return (block.factors if isinstance(block, TruthCells) else block).shape[1]


def _sum(
    sums: Floats,
    first: int,
    position: NDArray[np.int64],
    weight: Floats,
    row: NDArray[np.int64],
    block: Block | None,
) -> None:
    """Add weights and their squares to columns ``first, ...`` of sums, shape (2, bins, k)."""
    size = sums.shape[1]
    if block is None:
        for target, w in zip(sums, (weight, weight**2), strict=True):
            target[:, first] += np.bincount(position, w, size)
    elif isinstance(block, TruthCells):
        cells, k = block.factors.shape
        joint = position * cells + block.cell[row]
        powers = ((weight, block.factors), (weight**2, block.factors**2))
        for target, (w, f) in zip(sums, powers, strict=True):
            counts = np.bincount(joint, w, size * cells).reshape(-1, cells)
            target[:, first : first + k] += counts @ f
    else:
        _accumulate(position, weight, row, np.ascontiguousarray(block), sums, first)


@numba.njit(cache=True, nogil=True)
def _accumulate(
    position: NDArray[np.int64],
    weight: Floats,
    row: NDArray[np.int64],
    factors: NDArray[np.floating],
    sums: Floats,
    first: int,
) -> None:
    for i in range(position.size):
        w = weight[i]
        factor = factors[row[i]]
        value = sums[0, position[i]]
        square = sums[1, position[i]]
        for v in range(factor.size):
            x = w * factor[v]
            value[first + v] += x
            square[first + v] += x * x
