"""From a fileset to the ranges of entries that a run will read, each once."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import awkward as ak

from .catalog import Dataset, Fileset
from .errors import InputError, closest
from .events import canonical, open_events, open_range
from .files import FileInfo, metadata
from .survey import Progress, inspect_dataset, same_events
from .virtual import FileRange, selected

_MOST_CHUNKS = 10**6

DEFAULT_CHUNKSIZE = 250_000
"""Entries per chunk: large enough that opening the file is cheap beside reading it."""


@dataclass(frozen=True)
class Chunk:
    """One range of entries of one file, and all that a worker must know about it.

    Attributes
    ----------
    dataset, path, tree, uuid : str
    start, stop : int
        Range of entries.
    pot : float
        Share of the file's exposure, by number of entries [POT].
    metadata : dict
        What the processor is told; plain JSON values.
    bad : str
        Why the whole file is skipped; empty otherwise. Its range is then empty.
    """

    dataset: str
    path: str
    tree: str
    uuid: str
    start: int
    stop: int
    pot: float
    metadata: dict[str, Any]
    bad: str = ""

    @property
    def file(self) -> tuple[str, str]:
        """Dataset and path: what is skipped as a whole."""
        return self.dataset, self.path

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Identity in the ledger: dataset, file uuid, entry range."""
        return self.dataset, self.uuid, self.start, self.stop

    def open(self) -> ak.Array:
        """Open the chunk as coffea events; see :func:`fileset.events.open_events`."""
        return open_events(*self._place)

    def open_range(self) -> ak.Array | FileRange:
        """Open the chunk for :func:`processors.reading.read_columns`, which needs no events."""
        return open_range(*self._place)

    @property
    def _place(self) -> tuple[str, str, int, int, dict[str, Any]]:
        known = {**self.metadata, "fileuuid": self.uuid}
        return self.path, self.tree, self.start, self.stop, known


def recorded_events(chunk: Chunk) -> tuple[ak.Array, set[str]]:
    """No event of a chunk, and the branches that are asked for while one works on them.

    Returns
    -------
    coffea NanoEvents, length 0
        As of :meth:`Chunk.open`; nothing is read.
    set of str
        Filled as branches are touched; it stays empty for a file that is read as a whole.
    """
    touched: set[str] = set()
    known = {**chunk.metadata, "fileuuid": chunk.uuid}
    events = open_range(
        chunk.path, chunk.tree, chunk.start, chunk.start, known, touched=touched.add
    )
    return selected(events, None), touched


def make_plan(
    fileset: Fileset,
    *,
    chunksize: int = DEFAULT_CHUNKSIZE,
    max_chunks: int | None = None,
    skip_bad_files: bool = False,
    verify: bool = False,
    workers: int = 1,
    progress: Progress = lambda path, found: None,
) -> list[Chunk]:
    """Cut every file of a fileset into chunks.

    Parameters
    ----------
    fileset : dict of str to Dataset
    chunksize : int
        Largest number of entries per chunk; ranges end on the file's own boundaries where it has
        some within reach.
    max_chunks : int, optional
        Stop after this many chunks of each dataset; its exposure is that of these chunks.
    skip_bad_files : bool
        Plan without files that cannot be used; each is in the plan as an empty chunk that says
        why, so that the ledger knows it. Those that preprocessing skipped always are.
    verify : bool
        Compare the content of every file with the checksum that preprocessing kept.
    workers : int
        Processes that look into many files.
    progress : callable
        See :data:`fileset.survey.Progress`.

    Returns
    -------
    list of Chunk
        In a fixed order: datasets, files and entries as described.

    Raises
    ------
    InputError
        If a file cannot be used, a number is not positive, or there are too many chunks.
    """
    if chunksize < 1 or (max_chunks is not None and max_chunks < 1):
        raise InputError(f"chunksize {chunksize} and max_chunks {max_chunks} must be positive")
    plan: list[Chunk] = []
    owners: dict[str, str] = {}
    recorded: list[tuple[Dataset, FileInfo]] = []
    for dataset in fileset.values():
        found = inspect_dataset(
            dataset,
            skip_bad_files=skip_bad_files,
            checksum="verify" if verify else "",
            workers=workers,
            progress=progress,
        )
        for info in found.infos:
            if owners.setdefault(info.uuid, dataset.name) != dataset.name:
                raise InputError(
                    f"datasets {owners[info.uuid]!r} and {dataset.name!r} both hold {info.path}: "
                    "its events would count twice; list it once"
                )
        recorded += [(dataset, i) for i in found.infos if not i.is_mc and dataset.check_duplicates]
        chunks = (
            Chunk(
                dataset.name,
                info.path,
                info.tree,
                info.uuid,
                start,
                stop,
                info.pot * (stop - start) / info.entries,
                metadata(dataset, info),
            )
            for info in found.infos
            for start, stop in ranges(info, chunksize)
        )
        plan.extend(itertools.islice(chunks, max_chunks or _MOST_CHUNKS + 1))
        if len(plan) > _MOST_CHUNKS:
            raise InputError(
                f"more than {_MOST_CHUNKS} chunks of up to {chunksize} entries; take a larger "
                "chunksize, or preprocess the files again"
            )
        # Alike in everything that the processor is told.
        told = metadata(dataset, found.infos[0])
        plan.extend(
            Chunk(dataset.name, path, "", "", 0, 0, 0.0, told, bad)
            for path, bad in (dataset.skipped | found.bad).items()
        )
    # Simulated events may share their numbers between datasets, recorded ones may not.
    names = {info.path: dataset.name for dataset, info in recorded}
    for path, why in same_events(recorded).items():
        raise InputError(f"dataset {names[path]!r}, {path}: {why}")
    return plan


def open_chunk(
    fileset: Fileset, dataset: str, chunk: int = 0, *, chunksize: int = DEFAULT_CHUNKSIZE
) -> ak.Array:
    """Open one chunk of a dataset, with its canonical columns, as a run would.

    Parameters
    ----------
    fileset : dict of str to Dataset
        From :func:`fileset.load_fileset`.
    dataset : str
        Name of the dataset.
    chunk : int
        Number of the chunk in the dataset.
    chunksize : int
        As in :func:`make_plan`.

    Returns
    -------
    coffea NanoEvents
        Nested records of the format and lazy canonical columns; nothing is read yet.

    Raises
    ------
    InputError
        If there is no such dataset or chunk.
    """
    if dataset not in fileset:
        raise InputError(f"no dataset {dataset!r} in the fileset; {closest(dataset, fileset)}")
    plan = [c for c in make_plan({dataset: fileset[dataset]}, chunksize=chunksize) if not c.bad]
    if not 0 <= chunk < len(plan):
        raise InputError(f"dataset {dataset!r} has chunks 0 to {len(plan) - 1}, asked for {chunk}")
    return canonical(plan[chunk].open())


def ranges(info: FileInfo, chunksize: int) -> Iterator[tuple[int, int]]:
    """Entry ranges of a file; cutting inside a basket would decompress it twice."""
    start = 0
    while start < info.entries:
        limit = min(start + chunksize, info.entries)
        stop = max((b for b in info.boundaries if start < b <= limit), default=limit)
        yield start, stop
        start = stop
