"""What has been filled, before it is an ordinary histogram: only bins with events in them.

Smaller to send, to add and to keep than a ``hist`` object with a bin for everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import hist
import numba
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from .cut_axes import histogram_of
from .histograms import LABELS, empty, labelled

Floats = NDArray[np.float64]

# Rows that are written together, and those among them that are neighbours in memory.
_ROWS, _TOGETHER = 512, 8


class Part(NamedTuple):
    """Sums for some neighbours on the variation axis.

    Attributes
    ----------
    first : int
        Position on the variation axis of the first of k variations.
    sums : ndarray, shape (2, u, k) or (2, u, cells)
        Sums of weights and of their squares in each filled bin, by variation or, where there are
        factors, by cell of the truth.
    factors : ndarray, shape (cells, k), optional
        Factors of each cell for each variation.
    """

    first: int
    sums: Floats
    factors: NDArray[np.floating] | None = None

    def is_like(self, other: "Part") -> bool:
        """Whether the sums of both may be added as they are."""
        alike = self.first == other.first and self.sums.shape[2] == other.sums.shape[2]
        if self.factors is None or other.factors is None:
            return alike and self.factors is other.factors
        return alike and np.array_equal(self.factors, other.factors)

    def add_to(self, target: Floats, rows: NDArray[np.int64] | slice = slice(None)) -> None:
        """Add the sums in some bins to those of all variations, shape (2, rows, v)."""
        if self.factors is None:
            target[:, :, self.first : self.first + self.sums.shape[2]] += self.sums[:, rows]
            return
        columns = slice(self.first, self.first + self.factors.shape[1])
        factors = self.factors.astype(np.float64)
        for one, sums, powers in zip(target, self.sums, (factors, factors**2), strict=True):
            _multiply(sums[rows], powers, one[:, columns])

    def expanded(self) -> "Part":
        """The same sums by variation."""
        if self.factors is None:
            return self
        sums = np.zeros((2, self.sums.shape[1], self.factors.shape[1]))
        self._replace(first=0).add_to(sums)
        return Part(self.first, sums)

    def spread(self, place: NDArray[np.int64], size: int) -> "Part":
        """The same sums at their places among more bins."""
        larger = np.zeros((2, size, self.sums.shape[2]))
        larger[:, place] = self.sums
        return self._replace(sums=larger)


def _add_part(parts: list[Part], part: Part, place: NDArray[np.int64], size: int) -> None:
    """Add a part, whose bins have these places, to the one like it among parts of that size."""
    known = [one for one in parts if one.first == part.first]
    if known and not any(map(part.is_like, known)):
        # Another table than before: what it makes is added, not the table.
        part = part.expanded()
    target = next(filter(part.is_like, known), None)
    if target is None:
        parts.append(part.spread(place, size))
    else:
        _add(part.sums, place, target.sums)


@dataclass(frozen=True)
class Filled:
    """A histogram of which only the filled bins are kept.

    Attributes
    ----------
    histogram : str
        Name that :func:`.cut_axes.histogram_of` knows.
    variations : tuple of str
        Bins of the variation axis.
    categories : tuple of str
        Bins of the category axis, filled or not.
    index : ndarray of int, shape (u,)
        Filled bins in ascending order: category in :data:`.histograms.LABELS`, then the flattened
        axes.
    parts : tuple of Part
        What was filled; it adds up to :attr:`sums`.
    """

    histogram: str
    variations: tuple[str, ...]
    categories: tuple[str, ...]
    index: NDArray[np.int64]
    parts: tuple[Part, ...]

    @property
    def sums(self) -> Floats:
        """Sums of weights and of their squares by variation, shape (2, u, v)."""
        return self._dense(slice(None))

    def __add__(self, other: "Filled") -> "Filled":
        copied = tuple(part._replace(sums=part.sums.copy()) for part in self.parts)
        return replace(self, parts=copied).__iadd__(other)

    def __iadd__(self, other: "Filled") -> "Filled":
        if (self.histogram, self.variations) != (other.histogram, other.variations):
            raise ValueError(
                f"cannot add {other.histogram} of {len(other.variations)} variations to "
                f"{self.histogram} of {len(self.variations)}: they were filled differently"
            )
        known = {*self.categories, *other.categories}
        categories = tuple(label for label in LABELS if label in known)
        index, parts = self.index, list(self.parts)
        if not np.isin(other.index, index, assume_unique=True).all():
            index = np.union1d(self.index, other.index)
            place = np.searchsorted(index, self.index)
            parts = [part.spread(place, len(index)) for part in parts]
        place = np.searchsorted(index, other.index)
        for part in other.parts:
            _add_part(parts, part, place, len(index))
        return replace(self, categories=categories, index=index, parts=tuple(parts))

    def _dense(self, rows: NDArray[np.int64] | slice) -> Floats:
        """Sums by variation in some of the bins."""
        sums = np.zeros((2, len(self.index[rows]), len(self.variations)))
        for part in self.parts:
            part.add_to(sums, rows)
        return sums

    def to_hist(self) -> hist.Hist:
        """Histogram with axes category, variation and its own, weighted storage."""
        target = empty(histogram_of(self.histogram), self.variations, self.categories)
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
        category, cell = np.divmod(self.index, histogram_of(self.histogram).size)
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
            _write(self._dense(rows), chosen, place[rows], step, flat)


@numba.njit(cache=True, nogil=True)
def _multiply(sums: Floats, factors: Floats, target: Floats) -> None:
    """Add the matrix product of sums by cell and factors; most cells of a bin are empty."""
    for row in range(len(sums)):
        for cell in range(len(factors)):
            weight = sums[row, cell]
            if weight == 0.0:
                continue
            aim, factor = target[row], factors[cell]
            for v in range(len(factor)):
                aim[v] += weight * factor[v]


@numba.njit(cache=True, nogil=True)
def _add(sums: Floats, place: NDArray[np.int64], target: Floats) -> None:
    """Add rows of sums to their places in others; shapes (2, rows, k)."""
    for power in range(2):
        for row in range(len(place)):
            source, aim = sums[power, row], target[power, place[row]]
            for v in range(len(source)):
                aim[v] += source[v]


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
        *histogram_of(first.histogram).axes,
        storage=hist.storage.Weight(),
    )
    for view, part in zip(target.view(flow=True), parts.values(), strict=False):
        part.put(view, categories, variations)
    return target
