"""Open ranges of entries as coffea events, and give them their canonical columns."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak

from .baskets import open_source
from .coffea_api import nanoevents
from .columns import CANONICAL, Expression, describe, with_columns
from .errors import InputError
from .formats import FORMATS
from .formats.base import Loader
from .opening import content_uuid, readable
from .virtual import FileRange, Followed, selected


def open_events(path: str, tree: str, start: int, stop: int, metadata: dict[str, Any]) -> ak.Array:
    """Open a range of entries as coffea events, without reading them.

    Parameters
    ----------
    path, tree, start, stop, metadata
        As for :func:`open_range`.

    Returns
    -------
    coffea NanoEvents, length stop - start
        Nested records of the format's schema, virtual: a branch is read when it is first used.
    """
    return selected(open_range(path, tree, start, stop, metadata), None)


def open_range(
    path: str,
    tree: str,
    start: int,
    stop: int,
    metadata: dict[str, Any],
    *,
    touched: Callable[[str], object] | None = None,
) -> ak.Array | FileRange:
    """Open a range of entries, without making coffea's events of them where that can wait.

    Parameters
    ----------
    path, tree : str
    start, stop : int
        Range of entries.
    metadata : dict
        As from :func:`fileset.files.metadata`, with the ``fileuuid`` that was planned.
    touched : callable, optional
        Called with the name of each branch when it is read.

    Returns
    -------
    FileRange, or coffea NanoEvents for a format whose files are read as a whole

    Raises
    ------
    InputError
        If the file is not the one that was planned.
    """
    where = f"dataset {metadata['dataset']!r}, {path}"
    layout = FORMATS[metadata["format"]]
    known = metadata | {"filename": path, "entrystart": start, "entrystop": stop}
    if layout.loader is not None:
        with readable(where):
            events, uuid = _load(layout.loader, path, Path(path).stat().st_mtime_ns)
        _check_uuid(uuid, metadata, where)
        return nanoevents(events[start:stop], known)
    with readable(where):
        try:
            source = open_source(path, tree, timeout=metadata["timeout"])
            uuid = source.uuid
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise InputError(f"{where}: {reason}") from error.__cause__
    _check_uuid(uuid, metadata, where)
    with readable(where):
        followed = source if touched is None else Followed(source, touched)
        return FileRange(followed, layout.schema, start, min(stop, source.entries), known)


@functools.lru_cache(maxsize=1)
def _load(loader: Loader, path: str, modified: int) -> tuple[ak.Array, str]:
    """Events of a file that is read as a whole; the last one is kept for its next chunk."""
    return loader.load(path)[0], content_uuid(path)


def _check_uuid(found: str, metadata: dict[str, Any], where: str) -> None:
    if found != metadata["fileuuid"]:
        raise InputError(f"{where}: the file was replaced after the run was planned; run again")


PERFECT_DETECTOR = {
    "shower_energy": "true_electron_energy",
    "theta": "true_electron_theta",
}
"""Reconstruction without error, for generator output; only where a dataset asks for it."""


def canonical(events: ak.Array) -> ak.Array:
    """Add the canonical columns that the events' format provides.

    Parameters
    ----------
    events : coffea NanoEvents, length n
        With ``events.metadata["format"]``.

    Returns
    -------
    coffea NanoEvents, length n
        One event each, with the columns of :data:`fileset.columns.CANONICAL`, lazy, and
        ``generator_weight`` if the dataset names a weight branch. Longer than ``events`` for a
        format that holds several events per entry.
    """
    return with_columns(*canonical_expressions(events), CANONICAL)


def canonical_expressions(
    events: ak.Array | FileRange,
) -> tuple[ak.Array | FileRange, dict[str, Expression]]:
    """Events one by one, and what each canonical column is over them.

    Raises
    ------
    InputError
        If the dataset asks for a perfect detector and the format lacks the truth for it, or how
        many events an entry holds cannot be read.
    """
    layout = FORMATS[events.metadata["format"]]
    if layout.unfold is not None:
        # How many events an entry holds has to be read.
        with readable(describe(events)):
            events = layout.unfold(selected(events, None))
    expressions = dict(layout.columns)
    if branch := events.metadata.get("weight"):
        path = tuple(branch.removeprefix(getattr(layout.schema, "prefix", "")).split("."))
        expressions["generator_weight"] = lambda e: e[path]
    if events.metadata.get("perfect_detector"):
        for name, truth in PERFECT_DETECTOR.items():
            if truth not in layout.columns:
                raise InputError(
                    f"{describe(events)}: perfect_detector needs the column {truth!r}, which "
                    f"format {layout.name!r} does not provide; leave it out"
                )
            expressions[name] = layout.columns[truth]
    return events, expressions
