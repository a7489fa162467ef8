"""All variations in one pass: the histograms that a run fills and the kernel that fills them.

The bin of an event is found once; then one row of the table ``[bin, variation]`` is updated. Only
bins with events in them are kept (:class:`Filled`); as an ordinary ``hist`` object with a
``variation`` axis the result is the same as one ``hist.fill`` per variation would give.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import hist
import numba
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from .categories import AXIS
from .columns import Columns
from .hypotheses import TEMPLATES

Floats = NDArray[np.float64]

LABELS = (*AXIS, *TEMPLATES)
"""All bins that the category axis of a spectrum can have, in their order."""

# Rows whose tables are expanded together, and that are written together.
_ROWS, _TOGETHER = 512, 8


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


class Table(NamedTuple):
    """Sums per cell of the truth, to which the factors of all variations are applied at the end.

    Attributes
    ----------
    first : int
        Position on the variation axis of the first of k variations.
    sums : ndarray, shape (2, u, cells)
        Sums of weights and of their squares.
    factors : ndarray, shape (cells, k)
    """

    first: int
    sums: Floats
    factors: NDArray[np.floating]

    def expand(self, target: Floats) -> None:
        """Add the sums to those of each variation, shape (2, u, variations)."""
        columns = slice(self.first, self.first + self.factors.shape[1])
        powers = (self.factors, self.factors**2)
        for part, sums, factors in zip(target, self.sums, powers, strict=True):
            part[:, columns] += sums @ factors


def _same_tables(some: Sequence[Table], others: Sequence[Table]) -> bool:
    """Whether sums per cell may be added before factors are applied to them."""
    return len(some) == len(others) and all(
        one.first == other.first and np.array_equal(one.factors, other.factors)
        for one, other in zip(some, others, strict=True)
    )


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
        Sums of weights and of their squares, without what is in tables.
    tables : tuple of Table
    """

    histogram: str
    variations: tuple[str, ...]
    categories: tuple[str, ...]
    index: NDArray[np.int64]
    sums: Floats
    tables: tuple[Table, ...] = ()

    def __add__(self, other: "Filled") -> "Filled":
        tables = tuple(table._replace(sums=table.sums.copy()) for table in self.tables)
        return replace(self, sums=self.sums.copy(), tables=tables).__iadd__(other)

    def __iadd__(self, other: "Filled") -> "Filled":
        if (self.histogram, self.variations) != (other.histogram, other.variations):
            raise ValueError(
                f"cannot add {other.histogram} of {len(other.variations)} variations to "
                f"{self.histogram} of {len(self.variations)}: they were filled differently"
            )
        categories = tuple(
            label for label in LABELS if label in {*self.categories, *other.categories}
        )
        target, added = self, other
        if not _same_tables(self.tables, other.tables):
            target, added = self.expanded(), other.expanded()
        index = target.index
        if not np.array_equal(index, added.index):
            index = np.union1d(index, added.index)
            target = target._spread(index)
        place = np.searchsorted(index, added.index)
        whole = len(place) == len(index)
        for mine, its in zip(target._arrays(), added._arrays(), strict=True):
            for one, more in zip(mine, its, strict=True):
                # With numbers of rows it takes several times as long.
                if whole:
                    one += more
                else:
                    one[place] += more
        return replace(target, categories=categories, index=index)

    def expanded(self) -> "Filled":
        """The same sums without tables."""
        if not self.tables:
            return self
        sums = self.sums.copy()
        for table in self.tables:
            table.expand(sums)
        return replace(self, sums=sums, tables=())

    def _arrays(self) -> list[Floats]:
        return [self.sums, *(table.sums for table in self.tables)]

    def _spread(self, index: NDArray[np.int64]) -> "Filled":
        """The same sums among more bins."""
        place = np.searchsorted(index, self.index)

        def spread(sums: Floats) -> Floats:
            larger = np.zeros((2, len(index), sums.shape[2]))
            larger[:, place] = sums
            return larger

        tables = tuple(table._replace(sums=spread(table.sums)) for table in self.tables)
        return replace(self, index=index, sums=spread(self.sums), tables=tables)

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
        category, cell = np.divmod(self.index, HISTOGRAMS[self.histogram].size)
        places = {label: position for position, label in enumerate(categories)}
        row = np.array([places[LABELS[c]] for c in category], dtype=np.int64)
        bins = np.unravel_index(cell, view.shape[2:])
        own = {label: position for position, label in enumerate(self.variations)}
        chosen = np.array([own.get(label, 0) for label in variations], dtype=np.int64)
        # Places in memory, where values and variances take turns; the first axis moves fastest.
        size = view["value"].itemsize
        axis, step, *strides = (stride // size for stride in view.strides)
        place = row * axis + sum(part * stride for part, stride in zip(bins, strides, strict=True))
        length = sum((n - 1) * s // size for n, s in zip(view.shape, view.strides, strict=True)) + 2
        flat = as_strided(np.asarray(view["value"]), (length,), (size,))
        order = np.argsort(place)
        for rows in np.array_split(order, len(order) // _ROWS + 1):
            some = replace(
                self,
                index=self.index[rows],
                sums=self.sums[:, rows],
                tables=tuple(t._replace(sums=t.sums[:, rows]) for t in self.tables),
            )
            _write(some.expanded().sums, chosen, place[rows], step, flat)


@numba.njit(cache=True, nogil=True)
def _write(
    sums: Floats,
    chosen: NDArray[np.int64],
    place: NDArray[np.int64],
    step: int,
    target: Floats,
) -> None:
    """Write chosen columns of sums, shape (2, rows, v), ``step`` apart from the place of a row."""
    for first in range(0, len(place), _TOGETHER):
        # Rows that are neighbours in memory, to which it is then written once.
        last = min(first + _TOGETHER, len(place))
        for v in range(len(chosen)):
            for row in range(first, last):
                target[place[row] + v * step] = sums[0, row, chosen[v]]
                target[place[row] + v * step + 1] = sums[1, row, chosen[v]]


def labelled(labels: Iterable[str], name: str) -> hist.axis.StrCategory:
    """Axis of these labels and no others: without a bin for those, which would only take memory."""
    return hist.axis.StrCategory(list(labels), name=name, overflow=False)


def empty(
    histogram: Histogram, variations: Sequence[str], categories: Sequence[str] = AXIS
) -> hist.Hist:
    """Histogram with axes category, variation and its own, weighted storage."""
    return hist.Hist(
        # A chunk has the templates of the flavours in it; the sum has those of all chunks.
        hist.axis.StrCategory(list(categories), name="category", growth=True),
        labelled(variations, "variation"),
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
        labelled(parts, "dataset"),
        labelled(categories, "category"),
        labelled(variations, "variation"),
        *HISTOGRAMS[first.histogram].axes,
        storage=hist.storage.Weight(),
    )
    for view, part in zip(target.view(flow=True), parts.values(), strict=False):
        part.put(view, categories, variations)
    return target


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
        self._sums = np.zeros((2, len(self._index), len(variations)))
        self._tables: dict[int, Table] = {}
        position = np.cumsum(filled) - 1
        for label, (kept, cell) in placed.items():
            weight = shown[label].entries.weight[kept]
            for target, w in zip(self._sums, (weight, weight**2), strict=True):
                column = np.bincount(position[cell], w, len(self._index))
                target[:, self._variations.index(label)] = column
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
        if not isinstance(block, TruthCells):
            _accumulate(position, weight, row, np.ascontiguousarray(block), self._sums, first)
            return
        table = self._tables.get(first)
        if table is None or not np.array_equal(table.factors, block.factors):
            if table is not None:
                table.expand(self._sums)
            sums = np.zeros((2, len(self._index), len(block.factors)))
            table = self._tables[first] = Table(first, sums, block.factors)
        _count(position, weight, block.cell[row], table.sums)

    def result(self) -> Filled:
        """What has been filled so far."""
        tables = tuple(self._tables.values())
        return Filled(
            self._name, self._variations, self._categories, self._index, self._sums, tables
        )


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
    first: int,
) -> None:
    """Add weights and their squares to columns ``first, ...`` of sums, shape (2, bins, k)."""
    stop = first + factors.shape[1]
    for i in range(position.size):
        w = weight[i]
        factor = factors[row[i]]
        # As slices of one length they are added several at a time.
        value = sums[0, position[i], first:stop]
        square = sums[1, position[i], first:stop]
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
