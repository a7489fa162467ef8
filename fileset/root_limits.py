"""Ceilings on what Uproot reads in a ROOT file, whoever asks it: objects, directories, memory.

Imported for its effect, in every process that opens such files: where Uproot lets others look
before it reads keys and compressed blocks, what cannot be right is refused.
"""

import contextlib
import math
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import uproot

from .basket_bytes import BLOCK_HEADER, CODECS, Bytes, Codec, DamagedError
from .errors import InputError
from .unpacking import check_unpacked, most

# Numbers, and the lengths of three names.
_SMALLEST_KEY = 26 + 3
_DEEPEST = 100


def contents(directory: uproot.ReadOnlyDirectory) -> dict[str, str]:
    """Names and classes of all objects of a file, those in directories of it by their paths.

    Parameters
    ----------
    directory : uproot.ReadOnlyDirectory

    Returns
    -------
    dict of str to str
        Names without cycle; of several cycles the class of the first in the file.

    Raises
    ------
    InputError
        If directories list each other's content, again and again.
    """
    found: dict[str, str] = {}
    todo, room = [("", directory)], int(directory.file.fEND) // _SMALLEST_KEY
    while todo:
        above, folder = todo.pop()
        listed = folder.classnames(recursive=False, cycle=True)
        room -= len(listed)
        if room < 0:
            raise InputError(
                "its directories list more objects than the file has room for; the file is "
                "damaged: copy it again"
            )
        for name, kind in listed.items():
            found.setdefault(above + name.rpartition(";")[0], kind)
        inside = [n for n, kind in listed.items() if kind in ("TDirectory", "TDirectoryFile")]
        todo += [(f"{above}{n.rpartition(';')[0]}/", folder[n]) for n in reversed(inside)]
    return found


def _check_keys(
    directory: Any, *, keys_chunk: Any, keys_cursor: Any, num_keys: int, **_: Any
) -> None:
    """Refuse more keys than a directory has room for, and directories inside each other."""
    if directory.fSeekKeys < 0:
        raise InputError(
            f"a directory lists its objects at byte {directory.fSeekKeys}; the file is damaged: "
            "copy it again"
        )
    room = (keys_chunk.stop - keys_cursor.index) // _SMALLEST_KEY
    if num_keys > room:
        raise InputError(
            f"a directory claims {num_keys} objects, with room for {room}; the file is damaged: "
            "copy it again"
        )
    if len(directory.path) > _DEEPEST:
        raise InputError(
            f"directories more than {_DEEPEST} deep; if that is not damage, write the file with "
            "fewer"
        )
    # Keys are between directories, the file above all of them.
    above = directory.parent
    while above is not None:
        if getattr(above, "fSeekKeys", None) == directory.fSeekKeys:
            raise InputError(
                f"directory {'/'.join(directory.path)!r} is inside itself; the file is damaged: "
                "copy it again"
            )
        above = getattr(above, "parent", None)


class _Left(threading.local):
    """What may still be unpacked in this thread [bytes]."""

    bytes: float = math.inf


_left = _Left()


@contextlib.contextmanager
def at_most(packed: int) -> Iterator[None]:
    """Refuse to unpack more, all together, than a file of some bytes may hold.

    Raises
    ------
    InputError
    """
    before, _left.bytes = _left.bytes, most(packed)
    try:
        yield
    finally:
        _left.bytes = before


def _check_blocks(
    *,
    chunk: Any,
    cursor: Any,
    compressed_bytes: int,
    uncompressed_bytes: int,
    num_blocks: int,
    **_: Any,
) -> None:
    """Refuse compressed blocks with less than is expected, for which uproot takes memory."""
    at, found = cursor.index, 0
    stop = at + (0 if num_blocks else compressed_bytes - BLOCK_HEADER)
    while at <= stop and found < uncompressed_bytes:
        header = chunk.get(at, at + BLOCK_HEADER, cursor, {})
        at += BLOCK_HEADER + int.from_bytes(header[3:6], "little")
        found += int.from_bytes(header[6:9], "little")
    if num_blocks:
        return
    if found < uncompressed_bytes:
        raise DamagedError(
            f"its compressed blocks have {found} bytes, its key says {uncompressed_bytes}"
        )
    check_unpacked("an object in it", compressed_bytes, uncompressed_bytes)
    _left.bytes -= uncompressed_bytes
    if _left.bytes < 0:
        raise InputError(
            "it unpacks to far more than it has bytes; if that is not damage, write it in smaller "
            "files"
        )


class _Described(threading.local):
    """Files whose descriptions of classes this thread is reading."""

    def __init__(self) -> None:
        self.files: weakref.WeakSet[Any] = weakref.WeakSet()


_described = _Described()


def _begin_streamers(file: Any, **_: Any) -> None:
    """Refuse descriptions of classes that can only be read with what they describe.

    Uproot would begin with them again, until it is too deep for Python.
    """
    if file in _described.files:
        raise DamagedError("its descriptions of classes are of a class that only they describe")
    _described.files.add(file)


def _end_streamers(file: Any, **_: Any) -> None:
    _described.files.discard(file)


def _bounded(codec: Codec) -> Any:
    """A decoder for uproot that does not unpack more than a block says."""

    def decompress(data: Bytes, uncompressed_bytes: int) -> memoryview:
        plain = np.empty(uncompressed_bytes, np.uint8)
        if (done := codec(data.data, plain)) != len(plain):
            raise DamagedError(f"a block of it has {done} bytes, {len(plain)} expected")
        return plain.data

    return decompress


uproot.ReadOnlyDirectory.hook_before_keys = _check_keys
uproot.ReadOnlyFile.hook_before_interpret_streamers = _begin_streamers
uproot.ReadOnlyFile.hook_after_interpret_streamers = _end_streamers
# Before the first of the blocks, and before each of the others.
uproot.compression.decompress.hook_before_block = _check_blocks
# Uproot's own take memory for whatever is inside; there is no other place to tell it.
for _name, _codec in (("ZLIB", b"ZL"), ("LZMA", b"XZ"), ("ZSTD", b"ZS")):
    if _decoder := getattr(uproot.compression, f"_decompress_{_name}", None):
        _decoder.decompress = _bounded(CODECS[_codec])
