"""What an RNTuple says about itself, compared before Uproot follows it.

Uproot compares the checksums of anchor, header and footer, but not those of the page lists; it
follows the parents of a field wherever they lead, and takes memory for as many elements as a page
claims to have.

Source: root-project/root, ``tree/ntuple/doc/BinaryFormatSpecification.md``.
"""

from typing import Any

import numpy as np
import xxhash

from .errors import InputError

_CHECKSUM = 8
# What is compressed comes in blocks, each behind a header.
_LARGEST_BLOCK, _SMALLEST_BLOCK = 2**24, 10


def check_fields(ntuple: Any) -> None:
    """Refuse fields that are inside each other, whose path would never end.

    Parameters
    ----------
    ntuple : uproot RNTuple

    Raises
    ------
    InputError
    """
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
        chunk, cursor = ntuple.read_locator(link.locator, link.env_uncomp_size)
        stop = cursor.index + link.env_uncomp_size
        envelope = bytes(chunk.get(cursor.index, stop, cursor, {}))
        content, checksum = envelope[:-_CHECKSUM], envelope[-_CHECKSUM:]
        if xxhash.xxh3_64_intdigest(content) != int.from_bytes(checksum, "little"):
            raise _damaged(ntuple, "the checksum of a page list is wrong")
    clusters, pages = ntuple.cluster_summaries, ntuple.page_link_list
    if len(clusters) != len(pages):
        raise _damaged(ntuple, f"it has {len(clusters)} clusters and pages of {len(pages)}")
    bits = [record.nbits for record in ntuple.column_records]
    for cluster, columns in zip(clusters, pages, strict=True):
        counts = {_elements(ntuple, *column) for column in zip(columns, bits, strict=False)}
        if cluster.num_entries and cluster.num_entries not in counts:
            raise _damaged(ntuple, f"no column has the {cluster.num_entries} entries of a cluster")


def _elements(ntuple: Any, column: Any, bits: int) -> int:
    """Elements of a column in a cluster."""
    for page in column.pages:
        size, packed = page.num_elements * bits // 8, page.locator.num_bytes
        if size > max(packed, packed // _SMALLEST_BLOCK * _LARGEST_BLOCK):
            raise _damaged(ntuple, f"a page of {packed} bytes claims {page.num_elements} elements")
    return sum(page.num_elements for page in column.pages)


def _damaged(ntuple: Any, what: str) -> InputError:
    return InputError(f"RNTuple {ntuple.name!r}: {what}; the file is damaged: copy it again")
