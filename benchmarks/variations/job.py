"""What is to be done: names, bins, order of the variations. The job is defined in the package."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TREE = "recTree"
KNOBS = 40
FEW_UNIVERSES, MANY_UNIVERSES = 100, 920
BINS = 50
T_MAX, TTHETA2_MAX = 5.0, 0.005
CATEGORIES = ("signal", "magnetic", "nue_cc", "numu_cc", "nc", "cosmic")
NUONE_INTTYPE = 1098
NO_WEIGHT = 90.0
FLAVOURS = (12, -12, 14, -14)
ENERGY_CELLS, CELL_WIDTH = 20, 0.5
CODECS = ("zstd", "lz4", "zlib", "lzma", "none")

_PRONG = "rec.vtx.elastic.fuzzyk.png"
_NU = "rec.mc.nu"

SELECTION_BRANCHES = {
    "energy": f"{_PRONG}.shwlid.calE",
    "dir_x": f"{_PRONG}.dir.x",
    "dir_y": f"{_PRONG}.dir.y",
    "dir_z": f"{_PRONG}.dir.z",
    "electron_id": f"{_PRONG}.cvnpart.electronid",
    "nuone_id": "rec.sel.nuone.nuoneid",
    "epi0_id": "rec.sel.nuone.epi0nuoneid",
}
TRUTH_BRANCHES = {
    "E_nu": f"{_NU}.E",
    "pdg": f"{_NU}.pdg",
    "is_cc": f"{_NU}.iscc",
    "inttype": f"{_NU}.inttype",
    "cv": f"{_NU}.rwgt.ppfx.cv",
    "primary_pdg": f"{_NU}.prim.pdg",
    "primary_E": f"{_NU}.prim.p.E",
}
KNOB_UP = f"{_NU}.rwgt.genie.plus1sigma"
KNOB_DOWN = f"{_NU}.rwgt.genie.minus1sigma"
UNIVERSES = f"{_NU}.rwgt.ppfx.vuniv"
TABLE = "table"


@dataclass(frozen=True)
class Job:
    """One piece of work, and how it may be done.

    Attributes
    ----------
    path : str
        Input file.
    variations : int
    universes : int
        Flux universes per neutrino in the file.
    threads : int
    chunk : int
        Entries per chunk; 0 for what the contestant finds best.
    """

    path: str
    variations: int
    universes: int
    threads: int = 1
    chunk: int = 0

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Variations with the nominal, categories, bins of T and of T theta^2."""
        return 1 + self.variations, len(CATEGORIES), BINS, BINS

    @property
    def tabled(self) -> int:
        """Variations that depend on flavour and energy alone."""
        return max(self.variations - 2 * KNOBS - self.universes, 0)

    @property
    def columns(self) -> list[tuple[str, int]]:
        """Weight branch, or ``TABLE``, and position in it of each variation."""
        found = [(branch, k) for k in range(KNOBS) for branch in (KNOB_UP, KNOB_DOWN)]
        found += [(UNIVERSES, u) for u in range(self.universes)]
        found += [(TABLE, t) for t in range(self.tabled)]
        return found[: self.variations]

    @property
    def labels(self) -> list[str]:
        """Nominal and variations, in the order of the result."""
        short = {KNOB_UP: "up", KNOB_DOWN: "down", UNIVERSES: "universe", TABLE: "table"}
        return ["nominal", *(f"{short[branch]}{k:03d}" for branch, k in self.columns)]

    @property
    def sizes(self) -> dict[str, int]:
        """Weight branches that are needed, and their values per neutrino."""
        sizes = {KNOB_UP: KNOBS, KNOB_DOWN: KNOBS, UNIVERSES: self.universes}
        needed = {branch for branch, _ in self.columns}
        return {branch: size for branch, size in sizes.items() if branch in needed}

    def table(self) -> NDArray[np.float64]:
        """Factors of these, one row per cell: flavour after flavour, energy after energy."""
        cells = len(FLAVOURS) * ENERGY_CELLS
        return 1.0 + 0.1 * np.sin(np.outer(np.arange(1, cells + 1), np.arange(1, self.tabled + 1)))

    def on(self, path: str) -> "Job":
        """The same job on another file."""
        return replace(self, path=path)


class Result(NamedTuple):
    """Sums of weights and of their squares, of :attr:`Job.shape`."""

    values: NDArray[np.float64]
    squares: NDArray[np.float64]


Work = Callable[[], Callable[[], Result | None]]
"""What is timed; what it returns puts the sums into the order of the result, and is not timed."""


class UnavailableError(RuntimeError):
    """A contestant cannot do the job as it is asked for; its row is left out, loudly."""
