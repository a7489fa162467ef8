"""A plain coffea processor: NanoEvents, one fill per variation."""

from collections.abc import Callable
from typing import Any

import awkward as ak
import hist
import numpy as np
from coffea.nanoevents import BaseSchema
from coffea.processor import IterativeExecutor, ProcessorABC, Runner

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

# coffea's own default; it also falls on the ends of the baskets.
CHUNK = 100_000


class Processor(ProcessorABC):
    def __init__(self, job: Job) -> None:
        self.job = job

    def process(self, events: ak.Array) -> dict[str, Any]:
        histogram = hist.Hist(
            hist.axis.StrCategory(self.job.labels, name="variation"),
            hist.axis.Integer(0, len(CATEGORIES), name="category"),
            hist.axis.Regular(BINS, 0.0, T_MAX, name="recoil"),
            hist.axis.Regular(BINS, 0.0, TTHETA2_MAX, name="ttheta2"),
            storage=hist.storage.Weight(),
        )
        keep, recoil, ttheta2 = select({k: events[name] for k, name in SELECTION_BRANCHES.items()})
        events = events[keep]
        if len(events):
            truth = {key: events[name] for key, name in TRUTH_BRANCHES.items()}
            found = weigh(truth)
            row, weight = found.row, found.weight
            bins = {"category": found.category, "recoil": recoil[row], "ttheta2": ttheta2[row]}
            histogram.fill(variation="nominal", **bins, weight=weight)
            columns = factors(self.job, events.__getitem__, found)
            for label, factor in zip(self.job.labels[1:], columns, strict=True):
                histogram.fill(variation=label, **bins, weight=weight * factor[row])
        return {"spectrum": histogram}

    def postprocess(self, accumulator: Any) -> Any:
        return accumulator


def prepare(job: Job) -> Work:
    def work() -> Callable[[], Result]:
        spectrum = run(job)
        return lambda: _result(spectrum)

    return work


def run(job: Job) -> hist.Hist:
    runner = Runner(
        executor=IterativeExecutor(status=False),
        schema=BaseSchema,
        chunksize=CHUNK,
        metadata_cache={},
    )
    return runner({"events": {"files": {job.path: TREE}}}, Processor(job))["spectrum"]


def _result(spectrum: hist.Hist) -> Result:
    view = spectrum.view()
    return Result(np.ascontiguousarray(view["value"]), np.ascontiguousarray(view["variance"]))
