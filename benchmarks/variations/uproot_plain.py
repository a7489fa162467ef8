"""uproot, awkward arrays and one boost-histogram per variation: what a short script does."""

from collections.abc import Callable

import boost_histogram as bh
import numpy as np
import uproot

from .job import (
    BINS,
    CATEGORIES,
    SELECTION_BRANCHES,
    T_MAX,
    TREE,
    TRUTH_BRANCHES,
    TTHETA2_MAX,
    Job,
    Result,
    Work,
)
from .physics import factors, select, weigh

CHUNK = 100_000


def prepare(job: Job) -> Work:
    def work() -> Callable[[], Result]:
        histograms = run(job)
        return lambda: _result(histograms)

    return work


def run(job: Job) -> list[bh.Histogram]:
    histograms = [
        bh.Histogram(
            bh.axis.Integer(0, len(CATEGORIES)),
            bh.axis.Regular(BINS, 0.0, T_MAX),
            bh.axis.Regular(BINS, 0.0, TTHETA2_MAX),
            storage=bh.storage.Weight(),
        )
        for _ in job.labels
    ]
    with uproot.open(job.path) as file:
        tree = file[TREE]
        for start in range(0, tree.num_entries, CHUNK):
            _fill(job, tree, start, histograms)
    return histograms


def _result(histograms: list[bh.Histogram]) -> Result:
    views = [histogram.view() for histogram in histograms]
    return Result(
        np.stack([view["value"] for view in views]), np.stack([view["variance"] for view in views])
    )


def _fill(job: Job, tree: uproot.TTree, start: int, histograms: list[bh.Histogram]) -> None:
    entries = {"entry_start": start, "entry_stop": start + CHUNK}
    columns = {key: tree[name].array(**entries) for key, name in SELECTION_BRANCHES.items()}
    keep, recoil, ttheta2 = select(columns)
    if not keep.any():
        return
    truth = {key: tree[name].array(**entries)[keep] for key, name in TRUTH_BRANCHES.items()}
    found = weigh(truth)
    bins = found.category, recoil[found.row], ttheta2[found.row]
    histograms[0].fill(*bins, weight=found.weight)
    varied = factors(job, lambda name: tree[name].array(**entries)[keep], found)
    for histogram, factor in zip(histograms[1:], varied, strict=True):
        histogram.fill(*bins, weight=found.weight * factor[found.row])
