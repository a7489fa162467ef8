"""Branches of files as numpy arrays, at nearly the speed at which they are decompressed.

The one place where entries are read in a hurry. :func:`open_source` gives a :class:`Source`, whose
:meth:`Source.read` reads a range of entries of a branch, or chosen ones of them::

    source = open_source("caf.root", "recTree")
    source.read("rec.hdr.run", 0, 1000)                 # ndarray, one value per entry
    source.read("rec.mc.nu.E", 0, 1000)                 # Jagged(offsets, content)
    source.read("rec.mc.nu.rwgt.ppfx.vuniv", 0, 1000, rows=[3, 17])

Types and values are those of Uproot's own arrays. Of numbers and lists of numbers in a TTree on
disk the baskets are decompressed and decoded here; baskets without a wanted row are not even read.
All else (RNTuples, remote files, strings and objects, baskets inside the tree, lists without a
table of entries, other codecs) is read by Uproot: :func:`encoding` decides.

Files stay open, the last :data:`MAX_FILES` of a process, and with each what was learnt of its
branches; a file that has changed on disk is opened again. Everything may be used by several
threads. What a damaged file makes of a read is an error that :func:`fileset.opening.is_reading`
recognises, or what Uproot would give; codecs without a checksum (zstd, none) let changed values
pass, as everywhere.
"""

import contextlib
import functools
import os
import threading
import weakref
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
import uproot
from numpy.typing import ArrayLike, NDArray
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype

from .basket_bytes import (
    DamagedError,
    UnsupportedError,
    check_lists,
    check_places,
    read_basket,
)
from .basket_values import VECTOR, Encoding, Jagged, Lists, Values, Which
from .errors import InputError
from .memberwise import mend
from .ntuples import check_fields, check_pages
from .remote import TIMEOUT, is_remote, open_root
from .unpacking import check_unpacked

__all__ = ["MAX_FILES", "Jagged", "Source", "encoding", "open_source"]

MAX_FILES = 8
"""Files that a process keeps open."""

Rows = NDArray[np.int64]


class _Branch(NamedTuple):
    """Where the baskets of a branch are and what is in them."""

    encoding: Encoding
    entries: list[int]
    seeks: list[int]
    sizes: list[int]


class Source:
    """The events of a file, open for reading; see :func:`open_source`.

    Parameters
    ----------
    path, tree : str
    timeout : float
        How long a server may be silent [s].

    Attributes
    ----------
    path, tree_name : str
    stamp : tuple of int
        What changes when the file is written again or replaced; empty for a remote one.
    lock : threading.RLock
        Held while Uproot reads.
    forms : dict
        Schema to the form of the events; for :mod:`fileset.virtual`.
    """

    def __init__(self, path: str, tree: str, timeout: float) -> None:
        self.path = path
        self.tree_name = tree
        self.stamp: tuple[int, ...] = ()
        self.lock = threading.RLock()
        self.forms: dict[type, tuple[dict[str, Any], ak.forms.Form]] = {}
        self._timeout = timeout
        self._directory: uproot.ReadOnlyDirectory | None = None
        self._tree: Any = None
        self._branches: dict[str, _Branch | None] = {}
        # Windows cannot read at a place of a file.
        self._file = -1
        if not is_remote(path) and hasattr(os, "pread"):
            self._file = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            self.stamp = _stamp(os.fstat(self._file))

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path, self.tree_name, self._timeout)

    @property
    def directory(self) -> uproot.ReadOnlyDirectory:
        """What Uproot makes of the file."""
        if self._directory is None:
            with self.lock:
                if self._directory is None:
                    directory = open_root(self.path, timeout=self._timeout)
                    if self.stamp and self.stamp != _stamp(Path(self.path).stat()):
                        raise InputError(f"{self.path}: the file was replaced just now; run again")
                    # Open for long: arrays are kept by those who asked for them.
                    directory.file.array_cache = None
                    self._directory = directory
        return self._directory

    @property
    def uuid(self) -> str:
        """ROOT's identifier of the file."""
        return str(self.directory.file.uuid)

    @property
    def tree(self) -> Any:
        """The TTree or RNTuple, for names and types; read through :meth:`read`."""
        # Without the lock where it is known: another thread may be reading for long.
        if self._tree is None:
            with self.lock:
                if self._tree is None:
                    tree = self.directory[self.tree_name]
                    if isinstance(tree, uproot.TTree):
                        mend(tree)
                    else:
                        # Not where a file is known from before and was only planned.
                        check_fields(tree)
                        check_pages(tree)
                    self._tree = tree
        return self._tree

    @property
    def is_ttree(self) -> bool:
        """Whether it is no RNTuple."""
        return isinstance(self.tree, uproot.TTree)

    @property
    def entries(self) -> int:
        """Number of entries."""
        return int(self.tree.num_entries)

    @functools.cached_property
    def largest(self) -> str:
        """The branch with the most bytes in the file; empty if all are read by Uproot."""
        if not self.is_ttree or self._file < 0:
            return ""
        sizes = {
            name: int(branch.member("fZipBytes"))
            for name, branch in self.tree.iteritems(recursive=True)
        }
        by_size = sorted(sizes, key=sizes.__getitem__, reverse=True)
        return next((name for name in by_size if self.is_quick(name)), "")

    def boundaries(self, name: str) -> tuple[int, ...]:
        """Entries at which baskets of a branch begin and the last one ends.

        Ranges between them decompress nothing twice. Empty for a branch that Uproot reads.
        """
        branch = self._branch(name)
        return tuple(branch.entries) if branch else ()

    def read(
        self, name: str, start: int, stop: int, rows: ArrayLike | None = None
    ) -> NDArray[Any] | Jagged | ak.Array:
        """Read a range of entries of a branch.

        Parameters
        ----------
        name : str
            As Uproot's trees take it.
        start, stop : int
            Range of entries.
        rows : array_like of int or bool, optional
            Which of them: numbers in order, counted from ``start``, or a mask of length
            ``stop - start``. All by default.

        Returns
        -------
        ndarray, shape (n, ...)
            For entries of one length, in native byte order.
        Jagged
            For entries that are lists of numbers.
        awkward.Array, length n
            For all else.

        Raises
        ------
        IndexError
            If the tree does not have these entries, or the range not these rows.
        uproot.KeyInFileError
            If there is no such branch.
        DamagedError
            If a basket contradicts itself or the tree; errors of Uproot for what Uproot reads.
        OSError
            If the file cannot be read.
        """
        if not 0 <= start <= stop <= self.entries:
            raise IndexError(f"entries {start}-{stop} of {self.entries} in {self.path}")
        chosen = None if rows is None else _numbers(rows, stop - start)
        try:
            branch = self._branch(name)
            if branch is not None:
                with contextlib.suppress(UnsupportedError):
                    return self._read(name, branch, start, stop, chosen)
            with self.lock:
                array = self.tree[name].array(entry_start=start, entry_stop=stop)
            # Uproot takes them as they are.
            if isinstance(array.layout, ak.contents.ListOffsetArray):
                check_lists(name, np.asarray(array.layout.offsets.data))
        except OSError:
            # A file server may have forgotten the open file: the next one opens it again.
            _forget(self)
            raise
        return _plain(array if chosen is None else array[chosen])

    def is_quick(self, name: str) -> bool:
        """Whether a branch is decoded here and not by Uproot, save where a basket is unusual."""
        return self._branch(name) is not None

    def _branch(self, name: str) -> _Branch | None:
        if name not in self._branches:
            with self.lock:
                found = None if self._file < 0 else _index(self.tree[name], self.entries)
                if found is not None:
                    length = self.stamp[0]
                    check_places(name, found.entries, found.seeks, found.sizes, length)
                self._branches[name] = found
        return self._branches[name]

    def _read(
        self, name: str, branch: _Branch, start: int, stop: int, rows: Rows | None
    ) -> NDArray[Any] | Jagged:
        count = stop - start if rows is None else len(rows)
        collected: Values | Lists
        if branch.encoding.header is None:
            collected = Values(branch.encoding, count)
        else:
            collected = Lists(branch.encoding, count)
        packed = unpacked = 0
        for number, which in _parts(branch.entries, start, stop, rows):
            first, last = branch.entries[number : number + 2]
            place = branch.seeks[number], branch.sizes[number]
            try:
                basket = read_basket(self._file, *place, last - first)
                packed, unpacked = packed + place[1], unpacked + len(basket.data)
                check_unpacked("all baskets until there", packed, unpacked)
                collected.add(basket, which)
            except (DamagedError, InputError) as error:
                where = f"branch {name!r}, basket of entries {first}-{last}"
                raise type(error)(f"{where}: {error}") from error
        return collected.result()


_sources: OrderedDict[tuple[str, str], Source] = OrderedDict()
_sources_lock = threading.Lock()


def open_source(path: str, tree: str, *, timeout: float = TIMEOUT) -> Source:
    """Open the events of a file, or take those that are open.

    Parameters
    ----------
    path, tree : str
        Path or URL, and path of the TTree or RNTuple in the file.
    timeout : float
        See :func:`fileset.remote.open_root`, for remote files; these are opened each time, because
        Uproot closes them at the first error.

    Returns
    -------
    Source
        Nothing of it is read yet but the time of change and size of a file on disk.

    Raises
    ------
    FileNotFoundError
        If there is no such file on disk. Everything else that may be wrong with a file, as for
        :func:`fileset.remote.open_root`, shows at the first use of the source.
    """
    if is_remote(path) or not hasattr(os, "pread"):
        return Source(path, tree, timeout)
    stamp = _stamp(Path(path).stat())
    with _sources_lock:
        found = _sources.get((path, tree))
        if found is None or found.stamp != stamp:
            found = _sources[path, tree] = Source(path, tree, timeout)
        _sources.move_to_end((path, tree))
        while len(_sources) > MAX_FILES:
            # Closed when the last one who uses it is gone.
            _sources.popitem(last=False)
    return found


def encoding(branch: Any) -> Encoding | None:
    """How a branch is stored, if that is one of the simple ways; None for what Uproot must read.

    Parameters
    ----------
    branch : uproot.TBranch or anything else that Uproot finds in a file

    Returns
    -------
    Encoding, optional
    """
    if not isinstance(branch, uproot.TBranch) or branch.embedded_baskets:
        return None
    content, header = branch.interpretation, None
    if type(content) is AsJagged:
        content, header = content.content, content.header_bytes
    if type(content) is not AsDtype or header not in (None, 0, VECTOR):
        return None
    dtype, shape = content.from_dtype.base, content.from_dtype.shape
    same = content.to_dtype == content.from_dtype.newbyteorder("=")
    if not same or dtype.kind not in "biuf" or dtype.itemsize > 8 or 0 in shape:
        return None
    if dtype != dtype.newbyteorder(">") or (header == VECTOR and shape):
        return None
    return Encoding(dtype, shape, header)


def _index(branch: Any, entries: int) -> _Branch | None:
    found = encoding(branch)
    if found is None or branch.num_entries != entries:
        return None
    seeks, sizes = (
        branch.member(name)[: branch.num_baskets].tolist()
        for name in ("fBasketSeek", "fBasketBytes")
    )
    return _Branch(found, [int(entry) for entry in branch.entry_offsets], seeks, sizes)


def _parts(
    entries: list[int], start: int, stop: int, rows: Rows | None
) -> Iterator[tuple[int, Which]]:
    """Numbers of the baskets that have wanted entries, and which of theirs they are."""
    first, last = max(bisect_right(entries, start) - 1, 0), bisect_left(entries, stop)
    if rows is None:
        for number in range(first, last):
            low, high = max(start, entries[number]), min(stop, entries[number + 1])
            if low < high:
                yield number, slice(low - entries[number], high - entries[number])
        return
    wanted = rows + start
    cuts = np.searchsorted(wanted, entries[first : last + 1])
    for number, low, high in zip(range(first, last), cuts[:-1], cuts[1:], strict=True):
        if low < high:
            yield number, wanted[low:high] - entries[number]


def _numbers(rows: ArrayLike, count: int) -> Rows:
    """Rows as numbers in order."""
    found = np.asarray(rows)
    if found.dtype == bool:
        if found.shape != (count,):
            raise IndexError(f"mask of shape {found.shape} for {count} entries")
        return np.flatnonzero(found).astype(np.int64, copy=False)
    if found.size == 0:
        return np.zeros(0, np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise IndexError(f"rows are {found.dtype} of shape {found.shape}, expected integers in one")
    if found[0] < 0 or found[-1] >= count or np.any(found[1:] < found[:-1]):
        raise IndexError(f"rows are not in order, or not all from 0 to {count - 1}")
    return found.astype(np.int64, copy=False)


def _plain(array: ak.Array) -> NDArray[Any] | Jagged | ak.Array:
    """Numbers and lists of numbers as those that are decoded here; all else as it is."""
    layout = array.layout
    if _is_numbers(layout):
        return ak.to_numpy(array)
    if layout.is_list and layout.parameter("__array__") is None and _is_numbers(layout.content):
        lists = layout.to_ListOffsetArray64(True)
        return Jagged(lists.offsets.data, ak.to_numpy(lists.content[: lists.offsets[-1]]))
    return array


def _is_numbers(layout: Any) -> bool:
    return layout.is_numpy or (layout.is_regular and _is_numbers(layout.content))


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_dev,
        status.st_ino,
    )


def _forget(source: Source) -> None:
    with _sources_lock:
        if _sources.get((source.path, source.tree_name)) is source:
            del _sources[source.path, source.tree_name]


def _reopen(path: str, tree: str, timeout: float) -> Source:
    return open_source(path, tree, timeout=timeout)
