"""What an RNTuple says about itself, compared before Uproot follows it.

Uproot compares the checksums of header and footer when it has read them, however many items a
list claims, and those of the page lists not at all; it follows the parents of a field wherever
they lead, and takes memory for as many elements as a page claims to have.

Source: root-project/root, ``tree/ntuple/doc/BinaryFormatSpecification.md``: each of these parts is
an envelope, of numbers, strings and frames, the frames of which are records or lists.
"""

import struct
from typing import Any, NamedTuple

import numpy as np
import xxhash

from .errors import InputError
from .unpacking import check_unpacked

_CHECKSUM = 8
# What is compressed comes in blocks, each behind a header.
_LARGEST_BLOCK, _SMALLEST_BLOCK = 2**24, 10

_STRING = struct.Struct("<I")
# A list has a negative length; how many items it has, a record does not say.
_FRAME = struct.Struct("<qI")
# Number of elements, length and place.
_SMALLEST_PAGE = 16
# The first version with linked attribute sets, the last list of a footer.
_WITH_SETS = (1, 0, 1, 0)


class _Locator(NamedTuple):
    offset: int
    num_bytes: int


class _Envelope(NamedTuple):
    """What stands where: bytes in front of the strings, how many these are, and the lists.

    Of a list, how many levels of lists are inside it, above those of pages and the records.
    """

    name: str
    start: int
    strings: int
    lists: tuple[int, ...]


_HEADER = _Envelope("header", 16, 3, (1, 1, 1, 1))
# The first four of its lists extend those of the header.
_FOOTER = _Envelope("footer", 32, 0, (1, 1, 1, 1, 1))
_PAGE_LIST = _Envelope("page list", 16, 0, (1, 2))


def check_fields(ntuple: Any) -> None:
    """Refuse a header or footer that is not what was written, and fields inside each other.

    The path of such a field would never end.

    Parameters
    ----------
    ntuple : uproot RNTuple

    Raises
    ------
    InputError
    """
    version = tuple(ntuple.member(f"fVersion{n}") for n in ("Epoch", "Major", "Minor", "Patch"))
    sets = (1,) if version >= _WITH_SETS else ()
    for envelope in (_HEADER, _FOOTER._replace(lists=_FOOTER.lists + sets)):
        part = envelope.name.title()
        locator = _Locator(ntuple.member(f"fSeek{part}"), ntuple.member(f"fNBytes{part}"))
        _check_envelope(ntuple, envelope, locator, ntuple.member(f"fLen{part}"))
    parents = np.array([record.parent_field_id for record in ntuple.field_records], dtype=np.int64)
    if np.any(parents >= len(parents)):
        raise _damaged(ntuple, f"a field is inside field {parents.max()} of {len(parents)}")
    above = parents
    # Each round doubles the steps that are taken.
    for _ in range(len(parents).bit_length()):
        above = above[above]
    # A field at the top is its own parent.
    if np.any(parents[above] != above):
        raise _damaged(ntuple, "its fields are inside each other")


def check_pages(ntuple: Any) -> None:
    """Refuse page lists that are not what was written, or that cannot be right.

    Parameters
    ----------
    ntuple : uproot RNTuple

    Raises
    ------
    InputError
    """
    links = [group.page_list_link for group in ntuple.footer.cluster_group_records]
    if len({link.locator.offset for link in links}) < len(links):
        raise _damaged(ntuple, "its groups of clusters have one page list")
    for link in links:
        _check_envelope(ntuple, _PAGE_LIST, link.locator, link.env_uncomp_size)
    clusters, pages = ntuple.cluster_summaries, ntuple.page_link_list
    if len(clusters) != len(pages):
        raise _damaged(ntuple, f"it has {len(clusters)} clusters and pages of {len(pages)}")
    bits = [record.nbits for record in ntuple.column_records]
    unpacked = [0] * len(bits)
    for cluster, columns in zip(clusters, pages, strict=True):
        found = [_elements(ntuple, *column) for column in zip(columns, bits, strict=False)]
        unpacked = [n + e * b // 8 for n, e, b in zip(unpacked, found, bits, strict=False)]
        counts = set(found)
        if cluster.num_entries and cluster.num_entries not in counts:
            raise _damaged(ntuple, f"no column has the {cluster.num_entries} entries of a cluster")
    # Many pages may be one place in the file.
    size = int(ntuple.file.source.num_bytes or ntuple.file.fEND)
    check_unpacked("the largest column of it", size, max(unpacked, default=0))


def _check_envelope(ntuple: Any, envelope: _Envelope, locator: Any, length: int) -> None:
    """Compare the checksum at the end of a part, and step over its lists; ``length`` unpacked."""
    if not locator.num_bytes <= length <= _most(locator.num_bytes):
        raise _damaged(ntuple, f"its {envelope.name} has {locator.num_bytes} bytes of {length}")
    chunk, cursor = ntuple.read_locator(locator, length)
    found = chunk.get(cursor.index, cursor.index + length, cursor, {})
    content, checksum = found[:-_CHECKSUM], found[-_CHECKSUM:]
    if xxhash.xxh3_64_intdigest(content) != int.from_bytes(checksum, "little"):
        raise _damaged(ntuple, f"the checksum of its {envelope.name} is wrong")
    try:
        _check_lists(memoryview(content), envelope)
    except (struct.error, IndexError):
        what = f"the lists in its {envelope.name} are longer than it is"
        raise _damaged(ntuple, what) from None


def _most(packed: int) -> int:
    """Largest size of what is packed into some bytes."""
    return max(packed, packed // _SMALLEST_BLOCK * _LARGEST_BLOCK)


def _check_lists(content: memoryview, envelope: _Envelope) -> None:
    """Raise an error if a list of an envelope does not end within it, or an item within a list."""
    at = envelope.start
    for _ in range(envelope.strings):
        at += _STRING.size + _STRING.unpack_from(content, at)[0]
    for levels in envelope.lists:
        at = _behind(content, at, len(content), levels)


def _behind(content: memoryview, at: int, stop: int, levels: int) -> int:
    """Position behind a frame, and so behind all that is in it."""
    size, items = _FRAME.unpack_from(content, at)
    end, at = at + abs(size), at + _FRAME.size
    is_list = size < 0
    room = items * _SMALLEST_PAGE if is_list and levels == 0 else 0
    if not at + room <= end <= stop:
        raise IndexError
    for _ in range(items if is_list and levels else 0):
        at = _behind(content, at, end, levels - 1)
    return end


def _elements(ntuple: Any, column: Any, bits: int) -> int:
    """Elements of a column in a cluster."""
    for page in column.pages:
        packed = page.locator.num_bytes
        if page.num_elements * bits // 8 > _most(packed):
            raise _damaged(ntuple, f"a page of {packed} bytes claims {page.num_elements} elements")
    return sum(page.num_elements for page in column.pages)


def _damaged(ntuple: Any, what: str) -> InputError:
    # The name of the key: its own is in the header, which may be what is damaged.
    name = ntuple.parent.fName
    return InputError(f"RNTuple {name!r}: {what}; the file is damaged: copy it again")
