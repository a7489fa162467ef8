"""Open event files of every container: ROOT trees and RNTuples, and files loaded as a whole.

What is wrong with the bytes of a file becomes one line here.
"""

import contextlib
import functools
import hashlib
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from .errors import InputError, printable
from .memberwise import mend
from .ntuples import check_fields, check_pages
from .root_limits import at_most

HEAD = 512
"""Bytes from the beginning of a file by which its container is recognised."""

READERS = ("uproot.", "coffea.nanoevents.mapping", "fsspec.", "h5py.", "fileset.basket_")
"""Beginnings of the names of modules that do nothing but read."""

INSPECTING = (
    *READERS,
    "fileset.formats.",
    "fileset.identity",
    "fileset.memberwise",
    "fileset.tables_h5",
    "fileset.tracker_text",
)
"""Modules that a damaged file breaks anywhere, because they take it for what it should be."""

# Where awkward finds that what was read is not as long as what is around it says.
_ASSEMBLY = ("awkward.operations.ak_from_buffers", "awkward._nplikes.virtual")

ROOT_MAGIC = b"root"

# Class to its versions, as uproot comes.
_BUILT_IN = {
    found: dict(found.known_versions)
    for found in uproot.classes.values()
    if hasattr(found, "known_versions")
}


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
def readable(where: str, readers: tuple[str, ...] = READERS) -> Iterator[None]:
    """Turn whatever a damaged file makes a library raise into one line about the file.

    Parameters
    ----------
    where : str
        Beginning of the line.
    readers : tuple of str
        See :func:`is_reading`.

    Raises
    ------
    InputError
    """
    _forget_classes()
    try:
        yield
    except (InputError, ConnectionError, TimeoutError):
        raise
    except FileNotFoundError:
        raise InputError(f"{where}: no such file; check the path in the description") from None
    # Damaged bytes reach every corner of the readers, which then raise anything at all.
    except Exception as error:
        if not (isinstance(error, OSError) or is_reading(error, readers)):
            raise
        raise InputError(f"{where}: {damage(error)}") from error


def _forget_classes() -> None:
    """Give uproot its own classes back, such as TBranch.

    A file with a damaged version number makes it replace one of them by what that file says about
    it, for all files that are read afterwards in the same process.
    """
    for found, versions in _BUILT_IN.items():
        if found.known_versions != versions:
            found.known_versions.clear()
            found.known_versions.update(versions)


def damage(error: BaseException) -> str:
    """What is wrong with a file and what to do, by the error of reading it."""
    text = reason(error)
    if "compression algorithm" in text:
        return (
            f"cannot be read ({text}); it is damaged, or compressed in a way that is not known "
            "here: copy it again, or write it with ZSTD, LZ4, ZLIB or LZMA"
        )
    return f"cannot be read ({text}); check that it is complete or copy it again"


def reason(error: BaseException) -> str:
    r"""Kind of an error and the line of what it says that tells what is wrong.

    >>> reason(ValueError("no such basket\nin file a.root")), reason(KeyError())
    ('ValueError: no such basket', 'KeyError')
    """
    # Uproot begins with the object that it was reading, if it has begun with one.
    lines = str(error).strip(" ,:\n").rpartition("\n\n")[2].splitlines()
    return printable(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


def origin(error: BaseException) -> BaseException:
    """The error that others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def is_reading(error: BaseException, readers: tuple[str, ...] = READERS) -> bool:
    """Whether an error arose while a file was read, and not in what was made of its content.

    Parameters
    ----------
    error : exception
    readers : tuple of str
        Beginnings of the names of modules in which any error is one of reading.
    """
    found: BaseException | None = error
    while found is not None:
        frames = [
            frame.f_globals.get("__name__", "")
            for frame, _ in traceback.walk_tb(found.__traceback__)
        ]
        if any(name.startswith(readers) for name in frames):
            return True
        if frames and frames[-1] in _ASSEMBLY:
            return True
        hidden = None if found.__suppress_context__ else found.__context__
        found = found.__cause__ or hidden
    return False


def head(path: str) -> bytes:
    """First bytes of a file on disk."""
    # A pipe would never answer, nor tell why.
    if Path(path).is_fifo():
        raise InputError("a pipe, not a file; list files that can be read more than once")
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
    if isinstance(content, uproot.TTree):
        return frozenset(_branches(content))
    check_fields(content)
    return frozenset(content.keys(recursive=True))


def _branches(tree: Any) -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Branches of a TTree by name, each with the member of its values that the name is of.

    Those of a split object begin with its name, which ROOT itself repeats only if it ends in a
    dot: ``rec.hdr.run`` in the branch ``rec.``, but ``hdr.run`` in the branch ``rec``. Only lists
    inside lists have members: ROOT writes them into one branch.
    """
    members = mend(tree)
    found = {}
    for path, branch in tree.items(recursive=True):
        top, inside, _ = path.partition("/")
        prefix = f"{top.removesuffix('.')}."
        name = path.rpartition("/")[2]
        name = name if not inside or name.startswith(prefix) else prefix + name
        for member in ((), *members.get(branch.name, ())):
            found[".".join((name, *member))] = branch, member
    return found


def _read(
    tree: Any, branches: dict[str, tuple[Any, tuple[str, ...]]], name: str, stop: int | None
) -> ak.Array:
    branch, member = branches[name] if name in branches else (tree[name], ())
    with at_most(_length(tree)):
        values = branch.array(entry_stop=stop)
    # Of lists that end before they begin awkward would read and write anywhere.
    if not ak.is_valid(values):
        raise InputError(
            f"branch {name!r} has lists that end before they begin; the file is damaged: copy it "
            "again"
        )
    return values[member] if member else values


def _length(content: Any) -> int:
    """Size of the file that something is in [bytes]."""
    return int(content.file.source.num_bytes or content.file.fEND)


def root_tree(content: Any) -> Tree:
    """Events of a TTree or an RNTuple.

    Raises
    ------
    InputError
        If it cannot be read by column.
    """
    # Of the class: to ask an RNTuple itself is to read its page lists.
    if not hasattr(type(content), "num_entries"):
        raise InputError(
            f"{printable(content.classname)} is no class of events, expected TTree or RNTuple; the "
            "file is damaged: copy it again"
        )
    if not isinstance(content, uproot.TTree):
        names = names_of(content)
        check_pages(content)
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
            names=names,
            read=functools.partial(_read, content, {}),
            # An RNTuple does not say; files seldom hold anything else.
            size=_length(content),
            boundaries=(*starts, int(content.num_entries)),
        )
    _check_split(content)
    branches = _branches(content)
    leaves = [b for b, member in branches.values() if b.num_baskets and not member]
    _check_entries(content, leaves)
    offsets = [frozenset(map(int, branch.entry_offsets)) for branch in leaves]
    return Tree(
        entries=int(content.num_entries),
        names=frozenset(branches),
        read=functools.partial(_read, content, branches),
        size=int(content.compressed_bytes),
        boundaries=tuple(sorted(frozenset.intersection(*offsets))) if offsets else (0,),
    )


def _check_split(tree: Any) -> None:
    """Refuse a TTree of nothing but whole objects, which cannot be read by column."""
    kinds = {
        branch.name: str(branch.member("fClassName"))
        for branch in tree.branches
        if branch.classname == "TBranchElement" and not branch.branches
    }
    whole = [name for name, kind in kinds.items() if tree.file.streamer_named(kind) is not None]
    if whole and len(whole) == len(tree.branches):
        raise InputError(
            f"tree {tree.name!r}: branch {whole[0]!r} holds unsplit objects of class "
            f"{kinds[whole[0]]}, which cannot be read by column; write it with split level 99, or "
            "make a flat file of it"
        )


def _check_entries(tree: Any, leaves: Sequence[Any]) -> None:
    """Refuse a TTree that counts other entries than its branches hold."""
    length = _length(tree)
    for branch in leaves:
        starts = np.asarray(branch.entry_offsets)
        if starts[0] != 0 or np.any(np.diff(starts) < 0):
            raise InputError(
                f"the baskets of branch {branch.name!r} are not in order; the file is damaged: "
                "copy it again"
            )
        if sum(map(int, branch.member("fBasketBytes")[: branch.num_baskets])) > length:
            raise InputError(
                f"the baskets of branch {branch.name!r} are larger than the file; the file is "
                "damaged: copy it again"
            )
    filled = max((int(branch.num_entries) for branch in leaves), default=0)
    if filled != tree.num_entries:
        raise InputError(
            f"tree {tree.name!r} says that it has {tree.num_entries} entries, but its branches "
            f"hold {filled}; the file is damaged or was not closed: copy it again"
        )


def loaded_tree(path: str, events: ak.Array, prefix: str) -> Tree:
    """Events of a file that was read as a whole; all names begin with ``prefix``."""
    return Tree(
        entries=len(events),
        names=frozenset(f"{prefix}{name}" for name in _dotted(events.layout.form)),
        read=lambda name, stop: events[tuple(name.removeprefix(prefix).split("."))][:stop],
        size=Path(path).stat().st_size,
        boundaries=(0, len(events)),
    )


def content_uuid(path: str) -> str:
    """Identifier of a file that carries none: a digest of its content."""
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return str(uuid.UUID(bytes=digest[:16]))


def _dotted(form: ak.forms.Form) -> Iterator[str]:
    # Of the form: of an array, the lengths of virtual lists would be read.
    if not form.is_record:
        yield from _dotted(form.content) if hasattr(form, "content") else ()
        return
    for name, content in zip(form.fields, form.contents, strict=True):
        yield name
        yield from (f"{name}.{member}" for member in _dotted(content))
