"""Bins of what may be cut on, for the distributions with one cut left out.

Apart from :mod:`processors.histograms`: these are filled as the events are read, those again from
what is kept of them.
"""

import functools

import hist

from fileset.columns import CANONICAL

from .columns import DERIVED
from .histograms import HISTOGRAMS, Histogram

N_MINUS_ONE = "nminusone."
"""What the names of the histograms of a cut begin with: ``nminusone.CUT.COLUMN``."""

_SCORE = (52, 0.0, 1.04)
_SIDE = (40, -200.0, 200.0)
CUT_ON: dict[str, tuple[int, float, float]] = {
    "longest_prong": (40, 0.0, 1600.0),
    "plane_count": (48, 0.0, 240.0),
    "cell_count": (60, 0.0, 1200.0),
    "vertex_x": _SIDE,
    "vertex_y": _SIDE,
    "vertex_z": (52, 0.0, 1300.0),
    "shower_stop_x": _SIDE,
    "shower_stop_y": _SIDE,
    "shower_stop_z": (56, 0.0, 1400.0),
    "shower_energy_fraction": _SCORE,
    "vertex_energy": (50, 0.0, 0.1),
    "vertex_activity": (50, 0.0, 0.15),
    "hadronic_energy": (50, 0.0, 0.25),
    "shower_gap": (50, 0.0, 100.0),
    "shower_energy": (50, 0.0, 10.0),
    "recoil_energy": (50, 0.0, 5.0),
    "wall_distance": (50, 0.0, 100.0),
    "prong_count": (8, -0.5, 7.5),
    "nuone_id": _SCORE,
    "epi0_id": _SCORE,
    "electron_id": _SCORE,
    "electron_id_5label": _SCORE,
    "nue_id": (57, -0.1, 1.04),
    "etheta2": (50, 0.0, 0.05),
    "ttheta2": (50, 0.0, 0.05),
}
"""Bins and range of what may be cut on, in its unit; a score of 1 lies inside."""


def histogram_of(name: str) -> Histogram:
    """What to fill, by name: of :data:`HISTOGRAMS`, or of a cut that alone is left out."""
    return _of_cut(name) if name.startswith(N_MINUS_ONE) else HISTOGRAMS[name]


@functools.cache
def _of_cut(name: str) -> Histogram:
    column = name.rpartition(".")[2]
    bins, low, high = CUT_ON[column]
    return Histogram((hist.axis.Regular(bins, low, high, name=column, label=_label(column)),))


def n_minus_one_name(cut: str, column: str) -> str | None:
    """Name of the histogram of what a cut cuts on; None for a column without bins of its own."""
    return f"{N_MINUS_ONE}{cut}.{column}" if column in CUT_ON else None


def _label(column: str) -> str:
    """Name of a column in figures, with its unit."""
    known = {axis.name: axis.label for each in HISTOGRAMS.values() for axis in each.axes}
    meanings = CANONICAL | {name: meaning for name, (_, _, meaning) in DERIVED.items()}
    unit = meanings[column].unit
    words = column.replace("_", " ")
    return known.get(column, words if unit == "1" else f"{words} [{unit}]")
