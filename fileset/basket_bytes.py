"""Read and decompress a basket of a TTree.

For :mod:`fileset.baskets`, which decides what is read this way; use that. Whatever in a basket
contradicts itself, or what the tree says of it, raises :class:`DamagedError`.

Sources: root-project/root, ``tree/tree/src/TBasket.cxx`` (``Streamer``, ``WriteBuffer``) and
``io/io/src/TKey.cxx`` for what stands where, ``core/zip/src/RZip.cxx`` and
``core/lz4/src/ZipLZ4.cxx`` for compressed blocks.
"""

import itertools
import lzma
import os
import struct
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import cramjam
import numpy as np
import xxhash
from numpy.typing import NDArray

from .unpacking import check_unpacked

try:
    # Intel's ISA-L takes little more than half the time.
    from isal.isal_zlib import decompressobj as inflating
except ImportError:
    from zlib import decompressobj as inflating

Bytes = NDArray[np.uint8]


class DamagedError(ValueError):
    """A basket that contradicts itself or what the tree says of it."""


class UnsupportedError(Exception):
    """A basket that is read in another way; nothing is wrong with it."""


class Basket(NamedTuple):
    """Content of a basket, valid until the same thread reads the next one.

    Attributes
    ----------
    entries : int
    data : ndarray of uint8
        Values of all its entries, one after the other.
    table : ndarray of uint8
        Where each entry begins and the last one ends, as four big-endian bytes each; empty if all
        have the same length.
    key : int
        What all numbers in the table are too large by: the length of the key [bytes].
    """

    entries: int
    data: Bytes
    table: Bytes
    key: int


_scratch = threading.local()

# Version, length and so on of a key, and at its end what a basket adds; one flag follows it.
_KEY = struct.Struct(">ihiIhh")
_END = struct.Struct(">ii")
_CLASS = b"\x07TBasket"
# Place of the class name behind two places in the file, which are long in files over 2 GB.
_SHORT, _LONG, _LONG_KEYS = 26, 34, 1000

_LARGE = 2**20

BLOCK_HEADER = 9
"""Length of what precedes a compressed block [bytes]."""
_CHECKSUM = 8


def read_basket(file: int, seek: int, size: int, entries: int) -> Basket:
    """Read and decompress one basket.

    Parameters
    ----------
    file : int
        Descriptor of the open file.
    seek, size : int
        Where the basket is and how long [bytes].
    entries : int
        How many entries the tree says it has.

    Returns
    -------
    Basket

    Raises
    ------
    DamagedError
        If it is not there, or not what it says.
    UnsupportedError
        If its compression is not one of the four that ROOT writes today.
    InputError
        If it would unpack to far more than it has bytes.
    OSError
        If the file cannot be read.
    """
    packed = _read(file, seek, size)
    key, full, last, found = _header(packed)
    if found != entries:
        raise DamagedError(f"it has {found} entries, the tree says {entries}")
    plain = packed[key:] if size - key == full else _decompress(packed[key:].data, full)
    border = last - key
    # How many, and where each entry begins and the last one ends.
    if full not in (border, border + 4 * (entries + 2)):
        raise DamagedError(f"it ends {full - border} bytes behind its {entries} entries")
    table = plain[border + 4 :]
    if full != border:
        if int.from_bytes(plain[border : border + 4].data, "big") != entries + 1:
            raise DamagedError("its table of entries has another length than it says")
        # ROOT leaves this one undefined.
        table[-4:] = np.frombuffer(last.to_bytes(4, "big"), np.uint8)
    return Basket(entries, plain[:border], table, key)


def _read(file: int, seek: int, size: int) -> Bytes:
    packed = _buffer("packed", size)
    done = 0
    while done < size:
        more = _read_at(file, packed[done:], seek + done)
        if not more:
            raise DamagedError("the file ends inside it")
        done += more
    return packed


if hasattr(os, "preadv"):

    def _read_at(file: int, target: Bytes, place: int) -> int:
        return os.preadv(file, [target.data], place)

else:
    # macOS before 11 has only the one that makes a copy.
    def _read_at(file: int, target: Bytes, place: int) -> int:
        found = os.pread(file, len(target), place)
        target[: len(found)] = np.frombuffer(found, np.uint8)
        return len(found)


def _header(packed: Bytes) -> tuple[int, int, int, int]:
    """Length of the key, of the content decompressed, where its values end, and its entries."""
    if len(packed) < _LONG + len(_CLASS):
        raise DamagedError(f"it is {len(packed)} bytes long, shorter than a key")
    size, version, full, _, key, _ = _KEY.unpack_from(packed.data)
    place = _LONG if version > _LONG_KEYS else _SHORT
    if size != len(packed) or packed[place : place + len(_CLASS)].data != _CLASS:
        raise DamagedError("there is no basket where the tree says")
    if not place + len(_CLASS) + _END.size < key <= size:
        raise DamagedError(f"its key is {key} bytes long")
    entries, last = _END.unpack_from(packed.data, key - _END.size - 1)
    if not (0 <= last - key <= full):
        raise DamagedError(f"its values end at byte {last - key} of {full}")
    return key, full, last, entries


def _buffer(name: str, size: int) -> Bytes:
    """Memory that this thread uses again and again."""
    found = getattr(_scratch, name, None)
    if found is None or len(found) < size:
        found = np.empty(size, np.uint8)
        setattr(_scratch, name, found)
    return found[:size]


def _decompress(packed: memoryview, full: int) -> Bytes:
    """Content of all compressed blocks of a basket."""
    # Before memory is taken for it.
    if full > (len(packed) // BLOCK_HEADER + 1) << 24:
        raise DamagedError(f"its {len(packed)} bytes cannot have been {full}")
    check_unpacked("a basket", len(packed), full)
    plain = _buffer("plain", full)
    read = filled = 0
    while read < len(packed):
        start = read + BLOCK_HEADER
        head = bytes(packed[read:start])
        read = start + int.from_bytes(head[3:6], "little")
        target = plain[filled : filled + int.from_bytes(head[6:9], "little")]
        filled += int.from_bytes(head[6:9], "little")
        if read > len(packed) or filled > full:
            break
        _decompress_block(head[:2], packed[start:read], target)
    if read != len(packed) or filled != full:
        raise DamagedError(f"its compressed blocks have {filled} bytes, its key says {full}")
    return plain


def _decompress_block(name: bytes, packed: memoryview, plain: Bytes) -> None:
    codec = CODECS.get(name)
    if codec is None:
        raise UnsupportedError(f"codec {name!r}")
    try:
        done = codec(packed, plain)
    except DamagedError:
        raise
    # Every library has its own.
    except Exception as error:
        raise DamagedError(f"it cannot be decompressed: {error}") from error
    if done != len(plain):
        raise DamagedError(f"a block of it has {done} bytes, {len(plain)} expected")


Codec = Callable[[memoryview, Bytes], int]


def _zstd(packed: memoryview, plain: Bytes) -> int:
    return cramjam.zstd.decompress_into(packed, plain.data)


def _lz4(packed: memoryview, plain: Bytes) -> int:
    expected = int.from_bytes(packed[:_CHECKSUM], "big")
    if xxhash.xxh64_intdigest(packed[_CHECKSUM:]) != expected:
        raise DamagedError("its checksum is wrong")
    return cramjam.lz4.decompress_block_into(packed[_CHECKSUM:], plain.data)


def _copied(decompressor: Callable[[], Any]) -> Codec:
    """Codec from what makes objects that decompress, and stop where there is no room for more."""

    def codec(packed: memoryview, plain: Bytes) -> int:
        stream = decompressor()
        found = stream.decompress(packed, len(plain) + 1)
        if not stream.eof and len(found) <= len(plain):
            raise DamagedError("a block of it has no end")
        if len(found) == len(plain):
            plain[:] = np.frombuffer(found, np.uint8)
        return len(found)

    return codec


CODECS: dict[bytes, Codec] = {
    b"ZS": _zstd,
    b"L4": _lz4,
    b"ZL": _copied(inflating),
    b"XZ": _copied(lzma.LZMADecompressor),
}
"""What decompresses a block into as much memory as it says that it needs, by its first bytes."""


def check_lists(name: str, offsets: NDArray[Any]) -> None:
    """Refuse lists that end before they begin: with them awkward reads and writes anywhere.

    Parameters
    ----------
    name : str
        Name of the branch, for the message.
    offsets : ndarray of int, shape (n + 1,)
        Where each list begins and the last one ends.

    Raises
    ------
    DamagedError
    """
    if np.any(offsets[:1] < 0) or np.any(offsets[1:] < offsets[:-1]):
        raise DamagedError(f"branch {name!r}: some of its lists end before they begin")


def check_element(name: str, size: int, total: int) -> None:
    """Refuse an element that is larger than all of its branch, for which awkward takes memory.

    Parameters
    ----------
    name : str
        Name of the branch, for the message.
    size : int
        Length of an entry, or of an element of a list, in numbers of one branch [bytes].
    total : int
        Length of the branch when unpacked [bytes].

    Raises
    ------
    DamagedError
    """
    # Those of lists that are all empty may be larger, but hardly as large as that.
    if size > max(total, _LARGE):
        raise DamagedError(f"branch {name!r}: an element of {size} bytes, in {total} bytes")


def check_places(
    name: str, entries: list[int], seeks: list[int], sizes: list[int], length: int
) -> None:
    """Refuse baskets that cannot be where the tree says.

    Parameters
    ----------
    name : str
        Name of the branch, for the message.
    entries : list of int
        First entry of each basket, and where the last one ends.
    seeks, sizes : list of int
        Where each basket is and how long [bytes].
    length : int
        Length of the file [bytes].

    Raises
    ------
    DamagedError
    """
    if not len(entries) == len(seeks) + 1 == len(sizes) + 1:
        raise DamagedError(f"branch {name!r}: {len(seeks)} baskets, {len(entries)} boundaries")
    if entries[0] != 0 or any(b < a for a, b in itertools.pairwise(entries)):
        raise DamagedError(f"branch {name!r}: the entries of its baskets are not in order")
    if sum(sizes) > length:
        raise DamagedError(f"branch {name!r}: {sum(sizes)} bytes of baskets, in a file of {length}")
    for seek, size in zip(seeks, sizes, strict=True):
        if seek < 0 or size < 0 or seek + size > length:
            end = seek + size
            raise DamagedError(f"branch {name!r}: a basket at bytes {seek}-{end} of {length}")
