"""Look into all files of a dataset, on all cores, and check that they go together."""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace

import numpy as np

from .catalog import Dataset
from .errors import InputError
from .facts import event_numbers
from .files import FileInfo, inspect_file
from .formats import CAFANA_SPECTRUM
from .formats.cafana_spectrum import open_spectra
from .identity import describe, event_keys
from .opening import reason

Progress = Callable[[str, FileInfo | str], None]
"""Called with the path of each file that is done, and what was found or what is wrong."""

_PARALLEL = 32
"""Files from which on several processes are worth their start."""


@dataclass(frozen=True)
class Survey:
    """What was found in the files of a dataset.

    Attributes
    ----------
    infos : list of FileInfo
        Files that can be used, in the order of the description.
    bad : dict of str to str
        Path of every other file to the reason, one line.
    """

    infos: list[FileInfo]
    bad: dict[str, str]


def inspect_dataset(
    dataset: Dataset,
    *,
    skip_bad_files: bool = False,
    checksum: str = "",
    workers: int = 1,
    progress: Progress = lambda path, found: None,
) -> Survey:
    """Look into every file of a dataset and decide which are used.

    Parameters
    ----------
    dataset : Dataset
    skip_bad_files : bool
        Go on without a file that cannot be used, at the exposure of the others.
    checksum : str
        See :func:`fileset.files.inspect_file`.
    workers : int
        Processes to use for many files.
    progress : callable
        See :data:`Progress`.

    Returns
    -------
    Survey
        An explicit ``pot`` is shared by number of entries.

    Raises
    ------
    InputError
        For the first file that cannot be used, unless they are skipped; if the files do not go
        together, such as data and simulation; if none is left; or if a bad file had a share of an
        explicit ``pot`` that is not known.
    """
    found = survey(dataset, checksum=checksum, workers=workers, progress=progress)
    if found.bad and not skip_bad_files:
        raise InputError(next(iter(found.bad.values())))
    check_left(dataset, found)
    check_alike(dataset, found.infos)
    return replace(found, infos=share(dataset, found))


def survey(
    dataset: Dataset,
    *,
    checksum: str = "",
    workers: int = 1,
    progress: Progress = lambda path, found: None,
) -> Survey:
    """Look into every file of a dataset and collect what is wrong with single files."""
    infos, bad = [], {}
    for path, result in _inspected(dataset, checksum, workers):
        if isinstance(result, FileInfo):
            infos.append(result)
        else:
            bad[path] = result
        progress(path, result)
    repeated = _same_file(infos)
    if dataset.check_duplicates:
        repeated |= same_events([(dataset, i) for i in infos if i.path not in repeated])
    bad |= {path: f"dataset {dataset.name!r}, {path}: {why}" for path, why in repeated.items()}
    return Survey([info for info in infos if info.path not in repeated], bad)


def check_left(dataset: Dataset, found: Survey) -> None:
    """Refuse a dataset of which no file can be used: without it, others would pass for all.

    Raises
    ------
    InputError
        With what is wrong with the first file.
    """
    if not found.infos:
        raise InputError(
            f"dataset {dataset.name!r}: no file can be used; the first: "
            f"{next(iter(found.bad.values()))}"
        )


def check_alike(dataset: Dataset, infos: Sequence[FileInfo]) -> None:
    """Refuse files that do not belong into one dataset.

    Raises
    ------
    InputError
        Names what they mix and, of each kind, the first file.
    """
    for key, what in (
        ("format", "formats"),
        ("is_mc", "data and simulation"),
        ("horn_current", "horn currents"),
        ("event_weight", "event weights"),
        ("universes", "numbers of flux universes"),
        ("knobs", "cross-section knobs"),
    ):
        first: dict[object, str] = {}
        for info in infos:
            first.setdefault(getattr(info, key), info.path)
        if len(first) > 1:
            kinds = ", ".join(f"{value or repr(value)} in {path}" for value, path in first.items())
            raise InputError(
                f"dataset {dataset.name!r}: its files mix {what} ({key}: {kinds}); describe them "
                "as separate datasets"
            )


def _inspected(
    dataset: Dataset, checksum: str, workers: int
) -> Iterator[tuple[str, FileInfo | str]]:
    """Each file with what was found, or with what is wrong; in the order of the description."""
    tasks = [
        replace(dataset, files={path: tree}, known={p: k for p in (path,) if (k := known.get(p))})
        for known in (dataset.known,)
        for path, tree in dataset.files.items()
    ]
    look = functools.partial(_outcome, checksum=checksum)
    if workers > 1 and (checksum or sum(not task.known for task in tasks) >= _PARALLEL):
        # Loaded only here: a notebook with one file does not need a pool.
        import loky

        pool = loky.get_reusable_executor(max_workers=workers, timeout=600)
        try:
            yield from zip(dataset.files, pool.map(look, tasks, chunksize=8), strict=True)
        except BrokenExecutor as error:
            raise InputError(
                f"dataset {dataset.name!r}: a process that looked into its files died "
                f"({reason(error)}); look again with one worker to see at which file"
            ) from error
    else:
        yield from zip(dataset.files, map(look, tasks), strict=True)


def _outcome(dataset: Dataset, checksum: str) -> FileInfo | str:
    """Look into the only file of a dataset."""
    path = next(iter(dataset.files))
    try:
        return inspect_file(dataset, path, checksum)
    except InputError as error:
        return str(error)
    except (ConnectionError, TimeoutError) as error:
        return f"dataset {dataset.name!r}, {path}: {reason(error)}; try again later"


def _same_file(infos: Sequence[FileInfo]) -> dict[str, str]:
    """Path of each file that was there before, by its identifier, to the reason."""
    seen: dict[str, str] = {}
    repeated = {}
    for info in infos:
        if info.uuid in seen:
            repeated[info.path] = (
                f"this and {seen[info.uuid]} are one file (uuid {info.uuid}); list it once"
            )
        seen.setdefault(info.uuid, info.path)
    return repeated


def same_events(files: Sequence[tuple[Dataset, FileInfo]]) -> dict[str, str]:
    """Path of each file with events of an earlier one, by their numbers, to the reason."""
    by_subrun = defaultdict(list)
    for position, (_, info) in enumerate(files):
        for subrun in info.subruns:
            by_subrun[subrun].append(position)
    # Only these need to be read again: a subrun in one file has its events there once.
    suspects = sorted({p for group in by_subrun.values() if len(group) > 1 for p in group})
    if not suspects:
        return {}
    columns = {p: event_numbers(files[p][0], files[p][1].path) for p in suspects}
    keys = {position: event_keys(values) for position, values in columns.items()}
    owner = np.concatenate([np.full(len(k), position) for position, k in keys.items()])
    row = np.concatenate([np.arange(len(k)) for k in keys.values()])
    joined = np.concatenate(list(keys.values()))
    order = np.argsort(joined, kind="stable")
    again = np.flatnonzero(joined[order][1:] == joined[order][:-1]) + 1
    repeated: dict[str, str] = {}
    for later in np.unique(owner[order[again]]):
        mine = again[owner[order[again]] == later]
        here, before = order[mine[0]], order[mine[0] - 1]
        repeated[files[later][1].path] = (
            f"{len(mine)} of its events are also in {files[owner[before]][1].path}, the first is "
            f"{describe(columns[later], int(row[here]))}; remove one of the files, or set "
            "check_duplicates = false if the numbers mean nothing"
        )
    return repeated


def share(dataset: Dataset, found: Survey) -> list[FileInfo]:
    """Share an explicit exposure by entries, those of bad files included.

    Parameters
    ----------
    dataset : Dataset
    found : Survey
        What is in its files.

    Returns
    -------
    list of FileInfo
        The usable files, with their part of ``dataset.pot``; as they are without one.

    Raises
    ------
    InputError
        If the number of entries of a bad file is not known.
    """
    if dataset.pot is None:
        return found.infos
    total = sum(info.entries for info in found.infos)
    for path in found.bad:
        entries = dataset.known.get(path, {}).get("entries")
        if not isinstance(entries, int):
            raise InputError(
                f"dataset {dataset.name!r}: pot = {dataset.pot} is that of all files, but "
                f"the share of {path}, which is skipped, is not known; remove the file from the "
                "description and give the exposure of the others"
            )
        total += entries
    return [replace(info, pot=dataset.pot * info.entries / total) for info in found.infos]


def is_spectra(dataset: Dataset) -> bool:
    """Whether a dataset is finished spectra instead of events; looks into its first file."""
    if dataset.format:
        return dataset.format == CAFANA_SPECTRUM
    try:
        return bool(open_spectra(next(iter(dataset.files)), timeout=dataset.timeout).kinds)
    except InputError:
        # Not a ROOT file, or one that cannot be read: nothing about spectra.
        return False
