"""The histograms that a run fills: their axes, and the cuts that each leaves out."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import hist
import numpy as np
from numpy.typing import NDArray

from .categories import AXIS
from .hypotheses import TEMPLATES
from .reading import Columns

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
