"""What a chunk costs however few entries it has: many small chunks against one large one."""

from dataclasses import replace
from pathlib import Path
from statistics import median

from . import make_files, measure
from .job import FEW_UNIVERSES, Job

CHUNKS = 20
ENTRIES = 1_000
"""Per chunk, and per basket."""

VARIATIONS = 180


def per_chunk(folder: Path, branches: int, rounds: int, warm_up: str) -> float:
    """CPU time per chunk beyond what its entries cost [ms].

    Parameters
    ----------
    folder : Path
    branches : int
        In the file; most are not used.
    rounds : int
    warm_up : str
        File for the first, untimed run.
    """
    path = make_files.make_file(
        folder, "nue", CHUNKS * ENTRIES, FEW_UNIVERSES, branches=branches, cluster=ENTRIES
    )
    whole = Job(str(path), VARIATIONS, FEW_UNIVERSES, chunk=CHUNKS * ENTRIES)
    sums = folder / "overhead.sums"
    costs: dict[int, list[float]] = {whole.chunk: [], ENTRIES: []}
    for _ in range(rounds):
        for chunk, found in costs.items():
            job = replace(whole, chunk=chunk)
            found.append(measure.run("ours", job, warm_up, sums, None).cpu)
    sums.unlink()
    return 1e3 * (median(costs[ENTRIES]) - median(costs[whole.chunk])) / (CHUNKS - 1)
