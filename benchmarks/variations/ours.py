"""This package, through what a person would use: the processor, on a preprocessed fileset."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from fileset import load_fileset
from fileset.preprocess import preprocess
from processors import SELECTIONS, NuoneProcessor, variation
from processors.evaluation import rows
from processors.executors import EXECUTORS
from processors.fill import TruthCells
from processors.histograms import HISTOGRAMS, Histogram
from processors.pipeline import Execution, process_fileset
from processors.reading import Columns

from .job import (
    BINS,
    CATEGORIES,
    ENERGY_CELLS,
    FLAVOURS,
    KNOB_DOWN,
    KNOB_UP,
    KNOBS,
    T_MAX,
    TABLE,
    TTHETA2_MAX,
    UNIVERSES,
    Job,
    Result,
    UnavailableError,
    Work,
)
from .physics import cells

SELECTION = {
    "shower_energy": lambda e: (e.shower_energy > 0.5) & (e.shower_energy < 5.0),
    "ttheta2": lambda e: e.ttheta2 < TTHETA2_MAX,
    "electron_id": lambda e: e.electron_id > 0.5,
    "nuone_id": lambda e: e.nuone_id > 0.73,
    "epi0_id": lambda e: e.epi0_id > 0.92,
}

SPECTRUM = Histogram(
    (
        hist.axis.Regular(BINS, 0.0, T_MAX, name="recoil_energy"),
        hist.axis.Regular(BINS, 0.0, TTHETA2_MAX, name="ttheta2"),
    )
)

OF_OURS = {
    "nuone": "signal",
    "magnetic_nue": "magnetic",
    "magnetic_numu": "magnetic",
    "nue_cc": "nue_cc",
    "numu_cc": "numu_cc",
    # Of the simulated file: MEC of numu only, and nothing that is none of these.
    "mec": "numu_cc",
    "nc": "nc",
    "cosmic": "cosmic",
}
"""Our category to that of the job."""

NAMES = {
    KNOB_UP: "benchmark_up",
    KNOB_DOWN: "benchmark_down",
    UNIVERSES: "benchmark_universes",
    TABLE: "benchmark_table",
}
"""Weight branch of the job to our variation."""


def prepare(job: Job, skim: Path | None = None) -> Work:
    """Describe the job to the processor, and look into the file once.

    Parameters
    ----------
    job : Job
    skim : Path, optional
        Folder with the selected rows of an earlier run, or for those of this one.
    """
    SELECTIONS["benchmark"] = SELECTION
    HISTOGRAMS.clear()
    HISTOGRAMS["spectrum"] = SPECTRUM
    names = _declare(job)
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "files.json"
        for survey in preprocess(load_fileset(job.path), known).values():
            for reason in survey.bad.values():
                raise RuntimeError(reason)
        fileset = load_fileset(known)
    processor = NuoneProcessor("benchmark", ",".join(names) or "none", "sarantakos", "magnetic")
    execution = replace(_execution(job), skim=skim)

    def work() -> Callable[[], Result]:
        spectrum = process_fileset(fileset, processor, execution).hist
        return lambda: _result(job, spectrum)

    return work


def _execution(job: Job) -> Execution:
    execution = Execution(chunksize=job.chunk) if job.chunk else Execution()
    if job.threads == 1:
        return execution
    if "threads" not in EXECUTORS:
        raise UnavailableError(f"no executor of threads among {', '.join(EXECUTORS)}")
    return replace(execution, executor="threads", workers=job.threads)


def _declare(job: Job) -> list[str]:
    """Register the variations of the job, labelled as there."""
    labels: dict[str, list[str]] = {name: [] for name in NAMES.values()}
    for (branch, _), label in zip(job.columns, job.labels[1:], strict=True):
        labels[NAMES[branch]].append(label)
    table = np.vstack([job.table(), np.ones(job.tabled)])

    def declared(name: str, **options: Any) -> Any:
        return variation(labels=lambda metadata: labels[name], default=False, **options)

    @declared("benchmark_up", uses=("knob_plus1",))
    def benchmark_up(events: Columns) -> NDArray[np.floating]:
        return rows(events, "knob_plus1", KNOBS)[:, : len(labels["benchmark_up"])]

    @declared("benchmark_down", uses=("knob_minus1",))
    def benchmark_down(events: Columns) -> NDArray[np.floating]:
        return rows(events, "knob_minus1", KNOBS)[:, : len(labels["benchmark_down"])]

    @declared("benchmark_universes", uses=("flux_universes",), replaces="flux_weight")
    def benchmark_universes(events: Columns) -> NDArray[np.floating]:
        universes = rows(events, "flux_universes", job.universes)
        return universes[:, : len(labels["benchmark_universes"])]

    @declared("benchmark_table", uses=("nu_pdg", "true_neutrino_energy"))
    def benchmark_table(events: Columns) -> TruthCells:
        cell = cells(events.nu_pdg, events.true_neutrino_energy)
        return TruthCells(np.where(cell < 0, len(FLAVOURS) * ENERGY_CELLS, cell), table)

    return [name for name, found in labels.items() if found]


def _result(job: Job, spectrum: hist.Hist) -> Result:
    """Sums in the order of the job; axes dataset, category, variation, T, T theta^2."""
    view = spectrum.view()[0]
    found = Result(np.zeros(job.shape), np.zeros(job.shape))
    labels = list(spectrum.axes["variation"])
    order = [labels.index(label) for label in job.labels]
    for position, ours in enumerate(spectrum.axes["category"]):
        if ours in OF_OURS:
            category = CATEGORIES.index(OF_OURS[ours])
            found.values[:, category] += view[position]["value"][order]
            found.squares[:, category] += view[position]["variance"][order]
    return found
