"""Look into thousands of files once and keep what was found, as JSON that coffea reads.

The files of a dataset are listed as coffea's own preprocessing lists them (tree, entries, uuid,
steps); what coffea has no place for (exposure, kind, runs) stands beside them under a key that it
passes over. Reading it again costs one look at size and time of each file on disk; a file that has
changed is looked into again.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TextIO

from .atomic import renamed_when_complete
from .catalog import KNOWN, NOT_OPTIONS, SKIPPED, Dataset, Fileset, load_fileset
from .errors import InputError
from .facts import Facts
from .files import FileInfo, metadata
from .plan import DEFAULT_CHUNKSIZE, ranges
from .remote import is_remote
from .survey import Progress, Survey, check_alike, check_left, share, survey

_FACTS = tuple(f.name for f in fields(Facts))


def preprocess(
    fileset: Fileset,
    path: str | Path,
    *,
    workers: int = 1,
    skip_bad_files: bool = False,
    checksums: bool = False,
    progress: Progress = lambda path, found: None,
) -> dict[str, Survey]:
    """Look into all files of a fileset and write what was found.

    Parameters
    ----------
    fileset : dict of str to Dataset
    path : str or Path
        File to write, ``.json`` or ``.json.gz``; what an earlier one knows is used, and so is what
        an interrupted run left in ``<path>.part``.
    workers : int
        Processes to use.
    skip_bad_files : bool
        Write without files that cannot be used, but with what is wrong with them: runs report it.
    checksums : bool
        Keep a checksum of the content of every file, which sees what no codec sees.
    progress : callable
        See :data:`fileset.survey.Progress`.

    Returns
    -------
    dict of str to Survey
        Per dataset; the file is not written where one has a bad file, unless they are skipped.

    Raises
    ------
    InputError
        If the files of a dataset do not go together, all of them are bad and to be skipped, or
        ``path`` has another suffix.
    """
    target = Path(path)
    if not target.name.endswith((".json", ".json.gz")):
        raise InputError(f"{target}: preprocessing writes .json or .json.gz; name it so")
    fileset = {name: _absolute(dataset) for name, dataset in fileset.items()}
    journal = target.with_name(f"{target.name}.part")
    known = _remembered(target, journal)
    found = {}
    with journal.open("a", encoding="utf-8") as notes:
        if notes.tell():
            # The last line may have been cut.
            notes.write("\n")
        for name, dataset in fileset.items():
            knowing = replace(dataset, known=known | dataset.known)
            with _noting(notes, progress) as note:
                found[name] = survey(
                    knowing, checksum="make" if checksums else "", workers=workers, progress=note
                )
            check_alike(dataset, found[name].infos)
            if skip_bad_files:
                check_left(dataset, found[name])
                fileset[name] = _remaining(knowing, found[name])
    if skip_bad_files or not any(result.bad for result in found.values()):
        write(target, fileset, found)
        journal.unlink()
    return found


def write(target: Path, fileset: Fileset, found: Mapping[str, Survey]) -> None:
    """Write what was found in the usable files of a fileset."""
    content = {
        name: _entry(fileset[name], result.infos, fileset[name].skipped | result.bad)
        for name, result in found.items()
    }
    text = json.dumps(content, separators=(",", ":"), allow_nan=True)
    with renamed_when_complete(target) as partial:
        if target.suffix == ".gz":
            # No time in it: the same fileset gives the same file.
            partial.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))
        else:
            partial.write_text(text, encoding="utf-8")


def _remaining(dataset: Dataset, found: Survey) -> Dataset:
    """The dataset without its bad files: an explicit exposure is that of the others."""
    if dataset.pot is None or not found.bad:
        return dataset
    return replace(dataset, pot=sum(info.pot for info in share(dataset, found)))


def _entry(dataset: Dataset, infos: list[FileInfo], skipped: Mapping[str, str]) -> dict[str, Any]:
    """One dataset of coffea's JSON, with why files of it were left out."""
    default = Dataset("", {})
    options = {
        f.name: value
        for f in fields(Dataset)
        if f.name not in NOT_OPTIONS
        and (value := getattr(dataset, f.name)) != getattr(default, f.name)
    }
    told = metadata(dataset, infos[0])
    # coffea adds the name itself and refuses it here.
    del told["dataset"]
    trees = {info.tree for info in infos}
    return {
        # What coffea's Runner asks for, although each file says it too.
        **({"treename": trees.pop()} if len(trees) == 1 else {}),
        "files": {
            info.path: {
                "object_path": info.tree,
                "steps": [list(step) for step in ranges(info, DEFAULT_CHUNKSIZE)],
                "num_entries": info.entries,
                "uuid": info.uuid,
            }
            for info in infos
        },
        "metadata": told | options,
        KNOWN: {info.path: _facts(info) for info in infos}
        | {path: {SKIPPED: why} for path, why in skipped.items()},
    }


def _facts(info: FileInfo) -> dict[str, Any]:
    values = asdict(info)
    return {name: values[name] for name in _FACTS}


def _absolute(dataset: Dataset) -> Dataset:
    """The same files by paths that hold wherever the JSON is read from."""
    files = {
        path if is_remote(path) else str(Path(path).absolute()): tree
        for path, tree in dataset.files.items()
    }
    return replace(dataset, files=files)


def _remembered(target: Path, journal: Path) -> dict[str, dict[str, Any]]:
    """Path to facts from an earlier result and from an interrupted run."""
    known: dict[str, dict[str, Any]] = {}
    if target.exists():
        for dataset in load_fileset(target).values():
            known |= dataset.known
    if journal.exists():
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = json.loads(line)
                known[values["path"]] = values
            except (ValueError, TypeError, KeyError):
                # The last line of an interrupted run.
                continue
    return known


@contextmanager
def _noting(notes: TextIO, progress: Progress) -> Iterator[Progress]:
    """Progress that also keeps what was found, line by line, for a run that is interrupted."""

    def note(path: str, found: FileInfo | str) -> None:
        if isinstance(found, FileInfo):
            notes.write(json.dumps(_facts(found)) + "\n")
            notes.flush()
        progress(path, found)

    yield note
