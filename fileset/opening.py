"""Open event files of every container: ROOT trees and RNTuples, and files loaded as a whole.

What is wrong with the bytes of a file becomes one line here.
"""

import contextlib
import hashlib
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import uproot

from .errors import InputError

HEAD = 512
"""Bytes from the beginning of a file by which its container is recognised."""

_READERS = ("uproot.", "coffea.nanoevents.mapping", "fsspec.", "h5py.")

ROOT_MAGIC = b"root"


@dataclass(frozen=True)
class Tree:
    """The events of a file: a TTree, an RNTuple or records in memory.

    Attributes
    ----------
    entries : int
    names : frozenset of str
        Dotted names of all branches, such as ``rec.hdr.run``, parents of split objects included.
    read : callable
        Name of a branch, and how many entries from the first (None: all), to its values.
    size : int
        Compressed size [bytes].
    boundaries : tuple of int
        Entries at which it can be cut without decompressing anything twice.
    """

    entries: int
    names: frozenset[str]
    read: Callable[[str, int | None], ak.Array] = field(repr=False)
    size: int
    boundaries: tuple[int, ...]


@dataclass(frozen=True)
class EventFile:
    """An open file, as the functions of a format see it.

    Attributes
    ----------
    tree : Tree
        Its events.
    objects : frozenset of str
        Names of what else is in it.
    get : callable
        Name to object.
    """

    tree: Tree
    objects: frozenset[str]
    get: Callable[[str], Any] = field(repr=False)


@contextlib.contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn whatever a damaged file makes a library raise into one line about the file.

    Raises
    ------
    InputError
    """
    try:
        yield
    except (InputError, ConnectionError, TimeoutError):
        raise
    except FileNotFoundError:
        raise InputError(f"{where}: no such file; check the path in the description") from None
    # Damaged bytes reach every corner of the readers, which then raise anything at all.
    except Exception as error:
        if not (isinstance(error, OSError) or is_reading(error)):
            raise
        lines = str(error).strip(" ,:\n").splitlines()
        reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise InputError(
            f"{where}: cannot be read ({reason}); check that it is complete or copy it again"
        ) from error


def is_reading(error: BaseException) -> bool:
    """Whether an error arose while a file was read, and not in what was made of its content."""
    found: BaseException | None = error
    while found is not None:
        frames = (
            frame.f_globals.get("__name__", "")
            for frame, _ in traceback.walk_tb(found.__traceback__)
        )
        if any(name.startswith(_READERS) for name in frames):
            return True
        found = found.__cause__ or found.__context__
    return False


def head(path: str) -> bytes:
    """First bytes of a file on disk."""
    with Path(path).open("rb") as file:
        return file.read(HEAD)


def check_complete(directory: uproot.ReadOnlyDirectory) -> None:
    """Refuse a ROOT file that is shorter than it says: its first entries are still readable.

    Raises
    ------
    InputError
    """
    expected, found = directory.file.fEND, directory.file.source.num_bytes
    if found is not None and found < expected:
        raise InputError(f"the file is truncated, {found} of {expected} bytes; copy it again")


def names_of(content: Any) -> frozenset[str]:
    """Dotted names of the branches of a TTree or of the fields of an RNTuple."""
    options = {"full_paths": False} if isinstance(content, uproot.TTree) else {}
    return frozenset(content.keys(recursive=True, **options))


def root_tree(content: Any) -> Tree:
    """Events of a TTree or an RNTuple."""
    if not isinstance(content, uproot.TTree):
        dotted = next((name for name in content.keys(recursive=False) if "." in name), None)
        if dotted:
            raise InputError(
                f"RNTuple {content.name!r} has a field with dots in its name, {dotted!r}, which "
                "ROOT does not allow and nothing reads back; write a TTree (uproot: mktree), or "
                "nested fields"
            )
        starts = (int(cluster.num_first_entry) for cluster in content.cluster_summaries)
        return Tree(
            entries=int(content.num_entries),
            names=names_of(content),
            read=lambda name, stop: content[name].array(entry_stop=stop),
            # An RNTuple does not say; files seldom hold anything else.
            size=int(content.file.source.num_bytes or 0),
            boundaries=(*starts, int(content.num_entries)),
        )
    leaves = [branch for branch in content.itervalues() if branch.num_baskets]
    offsets = [frozenset(map(int, branch.entry_offsets)) for branch in leaves]
    return Tree(
        entries=int(content.num_entries),
        names=names_of(content),
        read=lambda name, stop: content[name].array(entry_stop=stop),
        size=int(content.compressed_bytes),
        boundaries=tuple(sorted(frozenset.intersection(*offsets))) if offsets else (0,),
    )


def loaded_tree(path: str, events: ak.Array) -> Tree:
    """Events of a file that was read as a whole."""
    return Tree(
        entries=len(events),
        names=frozenset(_dotted(events)),
        read=lambda name, stop: events[tuple(name.split("."))][:stop],
        size=Path(path).stat().st_size,
        boundaries=(0, len(events)),
    )


def content_uuid(path: str) -> str:
    """Identifier of a file that carries none: a digest of its content."""
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return str(uuid.UUID(bytes=digest[:16]))


def _dotted(records: ak.Array) -> Iterator[str]:
    for name in records.fields:
        yield name
        yield from (f"{name}.{member}" for member in _dotted(records[name]))
