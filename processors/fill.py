"""All variations in one pass: the histograms that a run fills and the kernel that fills them.

The bin of an event is found once; then one row of the table ``[bin, variation]`` is updated. The
result is an ordinary ``hist`` object with a ``variation`` axis, the same as one ``hist.fill`` per
variation would give.
"""

from dataclasses import dataclass
from typing import NamedTuple

import awkward as ak
import hist
import numba
import numpy as np
from numpy.typing import NDArray

from .categories import AXIS


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
    events : coffea NanoEvents, length n
        For the columns on the axes.
    row : ndarray of int, shape (m,)
        Event of each entry; an event may enter more than once, in different categories.
    category : ndarray of int, shape (m,)
        Position on the category axis.
    weight : ndarray, shape (m,)
        Nominal weight.
    """

    events: ak.Array
    row: NDArray[np.int64]
    category: NDArray[np.int64]
    weight: NDArray[np.float64]

    def subset(self, mask: NDArray[np.bool_]) -> "Entries":
        """Entries of the events that pass a mask of shape (n,)."""
        keep = mask[self.row]
        position = np.cumsum(mask) - 1
        return Entries(
            self.events[mask], position[self.row[keep]], self.category[keep], self.weight[keep]
        )


def empty(histogram: Histogram, labels: list[str]) -> hist.Hist:
    """Histogram with axes category, variation and its own, weighted storage."""
    return hist.Hist(
        hist.axis.StrCategory(AXIS, name="category"),
        hist.axis.StrCategory(labels, name="variation"),
        *histogram.axes,
        storage=hist.storage.Weight(),
    )


def fill(target: hist.Hist, entries: Entries, factors: NDArray[np.float64], first: int) -> None:
    """Add entries to variations ``first, first + 1, ...`` of a histogram, in one pass.

    Parameters
    ----------
    target : hist.Hist
        From :func:`empty`.
    entries : Entries
        m entries of n events.
    factors : ndarray, shape (n, v)
        Factor of each event for each of v variations.
    first : int
        Position of the first of them on the variation axis.
    """
    axes = target.axes[2:]
    shape = tuple(axis.extent for axis in axes)
    bins = np.zeros(len(entries.row), dtype=np.int64)
    for axis in axes:
        values = ak.to_numpy(entries.events[axis.name])
        # Position 0 of each axis is its underflow.
        bins = bins * axis.extent + axis.index(values)[entries.row] + 1
    categories = target.axes[0].size
    size = int(np.prod(shape))
    sums = np.zeros((categories * size, factors.shape[1], 2))
    _accumulate(
        entries.category * size + bins,
        np.ascontiguousarray(entries.weight, dtype=np.float64),
        entries.row,
        np.ascontiguousarray(factors, dtype=np.float64),
        sums,
    )
    sums = np.moveaxis(sums.reshape(categories, *shape, factors.shape[1], 2), -2, 1)
    # The category axis has an overflow bin; the variation axis too: leave both empty.
    view = target.view(flow=True)[:categories, first : first + factors.shape[1]]
    view["value"] += sums[..., 0]
    view["variance"] += sums[..., 1]


@numba.njit(cache=True, nogil=True)
def _accumulate(
    bins: NDArray[np.int64],
    weight: NDArray[np.float64],
    row: NDArray[np.int64],
    factors: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    for i in range(bins.size):
        target = sums[bins[i]]
        factor = factors[row[i]]
        for v in range(factor.size):
            w = weight[i] * factor[v]
            target[v, 0] += w
            target[v, 1] += w * w
