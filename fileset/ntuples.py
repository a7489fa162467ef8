"""What an RNTuple says about itself, compared before Uproot follows it.

Uproot compares the checksums of header and footer when it has read them, however many items a
damaged list claims, and those of the page lists not at all; it follows the parents of a field
wherever they lead, and takes memory for as many elements as a page claims to have.

Source: root-project/root, ``tree/ntuple/doc/BinaryFormatSpecification.md``.
"""

from typing import Any, NamedTuple

import numpy as np
import xxhash

from .errors import InputError

_CHECKSUM = 8
# What is compressed comes in blocks, each behind a header.
_LARGEST_BLOCK, _SMALLEST_BLOCK = 2**24, 10


class _Locator(NamedTuple):
    offset: int
    num_bytes: int


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
    for part in ("Header", "Footer"):
        locator = _Locator(ntuple.member(f"fSeek{part}"), ntuple.member(f"fNBytes{part}"))
        _check_envelope(ntuple, part.lower(), locator, ntuple.member(f"fLen{part}"))
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
    for group in ntuple.footer.cluster_group_records:
        link = group.page_list_link
        _check_envelope(ntuple, "page list", link.locator, link.env_uncomp_size)
    clusters, pages = ntuple.cluster_summaries, ntuple.page_link_list
    if len(clusters) != len(pages):
        raise _damaged(ntuple, f"it has {len(clusters)} clusters and pages of {len(pages)}")
    bits = [record.nbits for record in ntuple.column_records]
    for cluster, columns in zip(clusters, pages, strict=True):
        counts = {_elements(ntuple, *column) for column in zip(columns, bits, strict=False)}
        if cluster.num_entries and cluster.num_entries not in counts:
            raise _damaged(ntuple, f"no column has the {cluster.num_entries} entries of a cluster")


def _check_envelope(ntuple: Any, what: str, locator: Any, length: int) -> None:
    """Compare the checksum at the end of a part of the description; ``length`` when unpacked."""
    chunk, cursor = ntuple.read_locator(locator, length)
    envelope = bytes(chunk.get(cursor.index, cursor.index + length, cursor, {}))
    content, checksum = envelope[:-_CHECKSUM], envelope[-_CHECKSUM:]
    if xxhash.xxh3_64_intdigest(content) != int.from_bytes(checksum, "little"):
        raise _damaged(ntuple, f"the checksum of its {what} is wrong")


def _elements(ntuple: Any, column: Any, bits: int) -> int:
    """Elements of a column in a cluster."""
    for page in column.pages:
        size, packed = page.num_elements * bits // 8, page.locator.num_bytes
        if size > max(packed, packed // _SMALLEST_BLOCK * _LARGEST_BLOCK):
            raise _damaged(ntuple, f"a page of {packed} bytes claims {page.num_elements} elements")
    return sum(page.num_elements for page in column.pages)


def _damaged(ntuple: Any, what: str) -> InputError:
    # The name of the key: its own is in the header, which may be what is damaged.
    name = ntuple.parent.fName
    return InputError(f"RNTuple {name!r}: {what}; the file is damaged: copy it again")
