"""The same processor as a lazy dask-awkward graph, one partition per chunk.

For those who work with dask-awkward, and as a cross-check: the branches that a run reads are found
by dask-awkward's own column projection, and read by uproot. All of the graph is computed at once,
and a file that cannot be read costs all of it: :mod:`processors.run` on another executor loses less
and is faster.
"""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import awkward as ak
import dask
import dask_awkward as dak

from fileset.catalog import Fileset
from fileset.coffea_api import NanoEventsFactory
from fileset.errors import InputError, closest
from fileset.formats import FORMATS
from fileset.opening import damage
from fileset.plan import DEFAULT_CHUNKSIZE, Chunk, make_plan

from .checkpoints import decode, encode
from .executors import open_executor
from .nuone import NuoneProcessor
from .tracing import trace
from .work import Done, Outcome, attempt


def lazy_outcomes(plan: Sequence[Chunk], processor: NuoneProcessor) -> dak.Array:
    """Graph of what becomes of each chunk of one dataset.

    Parameters
    ----------
    plan : sequence of Chunk
        Of one dataset, in the order of its files.
    processor : NuoneProcessor

    Returns
    -------
    dask_awkward.Array, one partition of length 1 per chunk
        Outcomes as text of :func:`processors.checkpoints.encode`; nothing is read yet.

    Raises
    ------
    InputError
        For a format whose files are read as a whole.
    """
    branches = {branch for traced in trace(processor, plan[0]) for branch in traced.branches}
    positions = dak.from_lists([[position] for position in range(len(plan))])
    partition = _Partition(tuple(plan), processor, frozenset(branches))
    # A token of its own: dask would answer an equal graph from an earlier result.
    return dak.map_partitions(partition, _events(plan), positions, token=uuid.uuid4().hex)


def lazy_events(fileset: Fileset, dataset: str, *, chunksize: int = DEFAULT_CHUNKSIZE) -> dak.Array:
    """Events of a whole dataset as a lazy dask-awkward array, to explore.

    Parameters
    ----------
    fileset : dict of str to Dataset
    dataset : str
    chunksize : int
        As in :func:`fileset.make_plan`.

    Returns
    -------
    dask_awkward.Array, one partition per chunk
        Nested records of the file, without named columns. What is computed from it reads the
        branches that it needs; it has no ledger: for a result, run the processor.

    Raises
    ------
    InputError
        If there is no such dataset, a file cannot be used, or it is of a format whose files are
        read as a whole.
    """
    if dataset not in fileset:
        raise InputError(f"no dataset {dataset!r} in the fileset; {closest(dataset, fileset)}")
    plan = make_plan({dataset: fileset[dataset]}, chunksize=chunksize)
    return _events([chunk for chunk in plan if not chunk.bad])


def _events(plan: Sequence[Chunk]) -> dak.Array:
    first = plan[0]
    layout = FORMATS[first.metadata["format"]]
    if layout.loader is not None:
        raise InputError(
            f"dataset {first.dataset!r}: format {layout.name!r} is no tree that dask-awkward could "
            "read; take another --executor"
        )
    files: dict[str, Any] = {}
    for chunk in plan:
        entry = files.setdefault(chunk.path, {"object_path": chunk.tree, "steps": []})
        entry["steps"].append([chunk.start, chunk.stop])
    factory = NanoEventsFactory.from_root(
        files, schemaclass=layout.schema, metadata={"dataset": first.dataset}, mode="dask"
    )
    return factory.events()


@dataclass(frozen=True)
class _Partition:
    """What is made of a partition, or said of its columns when there are only types."""

    plan: tuple[Chunk, ...]
    processor: NuoneProcessor
    branches: frozenset[str]

    def __call__(self, events: ak.Array, position: ak.Array) -> ak.Array:
        if ak.backend(events) == "typetracer":
            ak.typetracer.touch_data(position)
            prefix = getattr(FORMATS[self.plan[0].metadata["format"]].schema, "prefix", "")
            # The lengths of a list come with its content.
            for branch in [b for b in self.branches if not b.endswith("..length")]:
                ak.typetracer.touch_data(_of_branch(events, branch.removeprefix(prefix)))
            return ak.Array(ak.Array([b""]).layout.to_typetracer(forget_length=True))
        chunk = self.plan[int(position[0])]
        known: dict[str, Any] = {"fileuuid": chunk.uuid, "filename": chunk.path}
        known |= {"entrystart": chunk.start, "entrystop": chunk.stop}
        told = ak.with_parameter(events, "metadata", chunk.metadata | known)
        return ak.Array([encode(tuple(attempt(self.processor, chunk, lambda: told)))])


def _of_branch(events: ak.Array, branch: str) -> ak.Array:
    """Values of a branch, or everything where the schema has no field of its name."""
    values = events
    for name in branch.split("."):
        if name not in values.fields:
            return events
        values = values[name]
    return values


class LazyGraph(Executor):
    """Computes the graphs of a whole plan when the first chunk is asked for.

    Parameters
    ----------
    plan : sequence of Chunk
    """

    def __init__(self, plan: Sequence[Chunk]) -> None:
        self.plan = [chunk for chunk in plan if not chunk.bad]
        self.outcomes: dict[tuple[str, str, int, int], Outcome] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Give what became of a chunk; arguments are those of :func:`.work.process_branch`."""
        processor, (chunk,), *_ = args
        if not self.outcomes:
            self._compute(processor)
        bad = Outcome(unreadable=chunk.bad)
        outcome = bad if chunk.bad else self.outcomes[chunk.key]
        future: Future[Any] = Future()
        future.set_result(Done([outcome._replace(output=None)], outcome.output))
        return future

    def _compute(self, processor: NuoneProcessor) -> None:
        parts = {name: [c for c in self.plan if c.dataset == name] for name in _names(self.plan)}
        try:
            computed = dask.compute(*(lazy_outcomes(part, processor) for part in parts.values()))
        except InputError:
            raise
        # Any kind of error that a damaged file causes in the readers.
        except Exception as error:
            raise InputError(
                f"dask-awkward: {damage(error)}; it gives all or nothing, another --executor says "
                "which file it is and can do without it"
            ) from error
        for part, texts in zip(parts.values(), computed, strict=True):
            for chunk, text in zip(part, texts, strict=True):
                self.outcomes[chunk.key] = Outcome(*decode(bytes(text)))


def _names(plan: Sequence[Chunk]) -> list[str]:
    return list(dict.fromkeys(chunk.dataset for chunk in plan))


@contextlib.contextmanager
def open_lazy(
    plan: Sequence[Chunk], *, workers: int | None, scheduler: str | None
) -> Iterator[LazyGraph]:
    """Executor for a plan, on threads of this process or on a running dask scheduler."""
    if scheduler is not None:
        # Its client is what dask then computes with.
        with open_executor("dask", scheduler=scheduler):
            yield LazyGraph(plan)
        return
    with dask.config.set(scheduler="threads", num_workers=workers or os.cpu_count() or 1):
        yield LazyGraph(plan)
