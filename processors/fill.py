"""All variations in one pass: the histograms that a run fills and the kernel that fills them.

The bin of an event is found once; then one row of the table ``[bin, variation]`` is updated. The
result is an ordinary ``hist`` object with a ``variation`` axis, the same as one ``hist.fill`` per
variation would give.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import awkward as ak
import hist
import numba
import numpy as np
from numpy.typing import NDArray

from .categories import AXIS
from .hypotheses import TEMPLATES

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
        Position in ``labels``.
    weight : ndarray, shape (m,)
        Nominal weight.
    labels : tuple of str
        Bins of the category axis: truth categories, then signal templates.
    """

    events: ak.Array
    row: NDArray[np.int64]
    category: NDArray[np.int64]
    weight: NDArray[np.float64]
    labels: tuple[str, ...] = AXIS

    def subset(self, mask: NDArray[np.bool_]) -> "Entries":
        """Entries of the events that pass a mask of shape (n,)."""
        keep = mask[self.row]
        position = np.cumsum(mask) - 1
        return replace(
            self,
            events=self.events[mask],
            row=position[self.row[keep]],
            category=self.category[keep],
            weight=self.weight[keep],
        )


def empty(
    histogram: Histogram, variations: list[str], categories: tuple[str, ...] = AXIS
) -> hist.Hist:
    """Histogram with axes category, variation and its own, weighted storage."""
    return hist.Hist(
        # A chunk has the templates of the flavours in it; the sum has those of all chunks.
        hist.axis.StrCategory(categories, name="category", growth=True),
        hist.axis.StrCategory(variations, name="variation"),
        *histogram.axes,
        storage=hist.storage.Weight(),
    )


def in_order(histogram: hist.Hist) -> hist.Hist:
    """The same histogram with its categories in the order of :data:`LABELS`.

    A sum has its templates in the order in which chunks brought them.
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

    Raises
    ------
    ValueError
        If the entries have other categories than the histogram.
    """
    if tuple(target.axes[0]) != entries.labels:
        raise ValueError(
            f"entries of categories {entries.labels} in a histogram of {tuple(target.axes[0])}"
        )
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
    # The variation axis has an overflow bin: leave it empty.
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
