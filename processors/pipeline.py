"""A whole run: fileset to templates, with its provenance."""

import datetime
import functools
import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hist import Hist

from fileset.catalog import Fileset
from fileset.errors import InputError
from fileset.exposure import Ledger
from fileset.plan import DEFAULT_CHUNKSIZE, Chunk, make_plan

from .alternatives import check_alternatives
from .evaluation import unavailable
from .executors import open_executor
from .n_minus_one import described
from .nuone import NuoneProcessor
from .run import run
from .skim import remembered, run_skimmed
from .spectra import spectrum_templates
from .stock import run_stock
from .summary import Tally
from .templates import Templates, collect
from .work import Outcome

ENGINES = ("nudipole", "coffea")
LAZY = "dask-awkward"
"""Executor of :mod:`processors.lazy`."""

# Packages whose version can change a number in the result.
_RECORDED = ("nudipole", "awkward", "boost-histogram", "coffea", "hist", "numba", "numpy", "uproot")


@dataclass(frozen=True)
class Execution:
    """How a run is carried out; the result of the chunks in it depends on no choice here.

    Attributes
    ----------
    executor : str
        Key of :data:`processors.executors.EXECUTORS`, or :data:`LAZY`.
    engine : str
        ``"nudipole"``, or ``"coffea"`` for coffea's own Runner in this process.
    workers : int, optional
    scheduler : str, optional
        Address of a running dask scheduler.
    cluster : Path, optional
        Profile of a dask cluster: :mod:`processors.cluster`.
    chunksize : int
        Entries per chunk.
    max_chunks : int, optional
        Chunks per dataset; the exposure is that of these chunks.
    skip_bad_files : bool
        Do without files that are wrong or unreadable, at the exposure of the others.
    verify : bool
        Compare the content of every file with the checksum that preprocessing kept.
    skim : Path, optional
        Folder in which selected rows are kept for the next run: :mod:`processors.skim`.
    resume : Path, optional
        Folder in which the result of each chunk is kept: :mod:`processors.checkpoints`.
    chunk_timeout : float, optional
        Longest time for one chunk [s]; one that takes longer is lost.
    """

    executor: str = "iterative"
    engine: str = "nudipole"
    workers: int | None = None
    scheduler: str | None = None
    cluster: Path | None = None
    chunksize: int = DEFAULT_CHUNKSIZE
    max_chunks: int | None = None
    skip_bad_files: bool = False
    verify: bool = False
    skim: Path | None = None
    resume: Path | None = None
    chunk_timeout: float | None = None


def process_fileset(
    fileset: Fileset,
    processor: NuoneProcessor,
    execution: Execution,
    *,
    planned: Callable[[Sequence[Chunk]], None] = lambda plan: None,
    progress: Callable[[Tally], None] = lambda tally: None,
    stop: Callable[[], bool] = lambda: False,
) -> Templates:
    """Run the processor over a fileset.

    Parameters
    ----------
    fileset : dict of str to Dataset
    processor : NuoneProcessor
    execution : Execution
    planned : callable
        Called with the plan before the first chunk.
    progress : callable
        Called with the counts whenever a chunk is done.
    stop : callable
        Asked now and then; once it says yes, the result is that of the chunks that are done.

    Returns
    -------
    Templates
        Look at ``templates.ledger.missing`` before using them: chunks that failed are not in the
        sum, nor in the exposure.

    Raises
    ------
    InputError
        If any input is wrong, or no chunk at all could be processed.
    KeyboardInterrupt
        If it was stopped before there was anything to show.
    """
    _check(execution)
    tally = Tally()
    plan = _plan(fileset, execution)
    check_alternatives({chunk.dataset: chunk.metadata for chunk in plan})
    planned(plan)
    tally.stage("plan")

    def count(chunk: Chunk, outcome: Outcome) -> None:
        tally.add(chunk, outcome)
        progress(tally)

    output, ledger = _processed(plan, processor, execution, progress=count, stop=stop)
    tally.stage("process")
    if not output and stop():
        raise KeyboardInterrupt
    if not output:
        raise InputError(f"no chunk could be processed; the first: {ledger.missing[0].missing}")
    datasets = {chunk.dataset: chunk.metadata for chunk in plan if chunk.dataset in output}
    for name, result in output.items():
        check_weights(datasets[name], result["cutflow"], result["cutflow_events"])
        lacking = unavailable(processor.find(), datasets[name]["format"])
        datasets[name] = datasets[name] | {"clipped": result["clipped"], "lacking": lacking}
    made = provenance(processor, execution) | {"run": tally.summary(plan)}
    return collect(output, ledger, datasets, made)


def _check(execution: Execution) -> None:
    """Refuse choices that do not go together."""
    if execution.engine not in ENGINES:
        raise InputError(f"no engine {execution.engine!r}; known: {', '.join(ENGINES)}")
    ours = execution.max_chunks or execution.skim or execution.resume
    if execution.engine == "coffea" and (ours or execution.executor != "iterative"):
        raise InputError(
            "--engine coffea runs whole files in this process; leave out --max-chunks, --skim, "
            "--resume and --executor"
        )
    if execution.executor == LAZY and (execution.skim or execution.resume):
        raise InputError(
            f"--executor {LAZY} computes everything at once; leave out --skim and --resume"
        )
    if execution.skim and execution.resume:
        raise InputError(
            "--skim keeps the rows of every chunk and goes on from them by itself; leave --resume "
            "out"
        )


def _plan(fileset: Fileset, execution: Execution) -> list[Chunk]:
    """Chunks to process; whole files for coffea's Runner, which cuts them itself."""
    workers = execution.workers or os.cpu_count() or 1
    skip = execution.skip_bad_files
    if execution.skim is not None:
        fileset = remembered(fileset, execution.skim, workers=workers, skip_bad_files=skip)
    return make_plan(
        fileset,
        chunksize=execution.chunksize if execution.engine == "nudipole" else 2**62,
        max_chunks=execution.max_chunks,
        skip_bad_files=skip,
        verify=execution.verify,
        workers=workers,
    )


def _processed(
    plan: Sequence[Chunk], processor: NuoneProcessor, execution: Execution, **hooks: Any
) -> tuple[dict[str, Any], Ledger]:
    """Sum and ledger of a plan."""
    if execution.engine == "coffea":
        return run_stock(plan, processor, chunksize=execution.chunksize)
    hooks |= {"skip_bad_files": execution.skip_bad_files, "timeout": execution.chunk_timeout}
    if execution.executor == LAZY:
        from .lazy import open_lazy

        with open_lazy(plan, workers=execution.workers, scheduler=execution.scheduler) as graph:
            return run(plan, processor, graph, **hooks)
    with open_executor(
        execution.executor,
        workers=execution.workers,
        scheduler=execution.scheduler,
        cluster=execution.cluster,
    ) as executor:
        if execution.skim is not None:
            return run_skimmed(plan, processor, executor, execution.skim, **hooks)
        return run(plan, processor, executor, resume=execution.resume, **hooks)


def check_weights(metadata: dict[str, Any], weighted: Hist, counted: Hist) -> None:
    """Refuse a dataset in which no event has a weight.

    Parameters
    ----------
    metadata : dict
        Of the dataset.
    weighted, counted : Hist
        Its cut flow, axes category and cut.

    Raises
    ------
    InputError
        A branch of zeros would pass for an experiment without background.
    """
    events = int(counted[:, "all"].sum())
    if events and not weighted[:, "all"].values().any():
        branch = metadata["weight"]
        raise InputError(
            f"dataset {metadata['dataset']!r}: the weight "
            + (f"from branch {branch!r} " if branch else "")
            + f"is 0 in all {events} events; mend the files, or remove 'weight' from the dataset "
            "to count every event once"
        )


def provenance(processor: NuoneProcessor, execution: Execution) -> dict[str, Any]:
    """What a result was made with: settings and versions, as plain JSON values."""
    own = {
        file.path: f"sha256 {hashlib.sha256(file.text.encode()).hexdigest()}"
        for file in processor.files
    }
    return {
        "selection": processor.selection,
        "cuts": described(processor.cuts()),
        "variations": processor.variations or "all",
        **({"variation_files": own} if own else {}),
        "radiative": processor.radiative,
        "executor": execution.executor if execution.engine == "nudipole" else "coffea Runner",
        "chunksize": execution.chunksize,
        "options": {name: _plain(value) for name, value in vars(execution).items()},
        **_versions(),
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def process_spectra(fileset: Fileset) -> Templates:
    """Make templates of finished spectra; see :func:`processors.spectra.spectrum_templates`."""
    templates = spectrum_templates(fileset)
    return replace(templates, provenance={**templates.provenance, **_versions()})


@functools.cache
def _version(name: str) -> str:
    return importlib.metadata.version(name)


def _versions() -> dict[str, Any]:
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _RECORDED},
    }
