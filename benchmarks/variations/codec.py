"""The limit: read and decompress the baskets that the job touches, and do nothing with them.

All baskets of the columns of the selection; of truth and weights those with a surviving slice.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, NamedTuple

import cramjam
import numpy as np
import uproot
from numpy.typing import NDArray

from .job import SELECTION_BRANCHES, TREE, TRUTH_BRANCHES, Job, Work
from .physics import select

# Two letters of the codec, a version, three bytes each of compressed and uncompressed size.
_BLOCK_HEADER = 9
_CHECKSUM = 8
_CODECS: dict[bytes, Callable[[Any, Any], int]] = {
    b"ZS": cramjam.zstd.decompress_into,
    b"L4": lambda raw, made: cramjam.lz4.decompress_block_into(raw[_CHECKSUM:], made),
    b"ZL": cramjam.zlib.decompress_into,
    b"XZ": cramjam.xz.decompress_into,
}


class Basket(NamedTuple):
    """Where the content of a basket is in the file: position and sizes in bytes."""

    seek: int
    compressed: int
    size: int


def prepare(job: Job) -> Work:
    # Large ones first, so that threads end together.
    baskets = sorted(touched(job), key=lambda basket: -basket.size)
    largest = max(b.compressed for b in baskets), max(b.size for b in baskets)
    # Fresh memory would cost as much as the codec.
    free: SimpleQueue[list[memoryview]] = SimpleQueue()
    for _ in range(job.threads):
        free.put([memoryview(bytearray(size)) for size in largest])

    def work() -> Callable[[], None]:
        descriptor = os.open(job.path, os.O_RDONLY)
        try:
            if job.threads == 1:
                for basket in baskets:
                    _decompress(descriptor, basket, free)
            else:
                with ThreadPoolExecutor(job.threads) as pool:
                    list(pool.map(lambda basket: _decompress(descriptor, basket, free), baskets))
        finally:
            os.close(descriptor)
        return lambda: None

    return work


def touched(job: Job) -> list[Basket]:
    """Baskets that the job needs, in the order of the file."""
    with uproot.open(job.path) as file:
        tree = file[TREE]
        keep = select({k: tree[name].array() for k, name in SELECTION_BRANCHES.items()}).keep
        rows = np.flatnonzero(keep)
        found = []
        for name in SELECTION_BRANCHES.values():
            found += list(_baskets(tree[name], None))
        for name in (*TRUTH_BRANCHES.values(), *job.sizes):
            found += list(_baskets(tree[name], rows))
    return found


def _baskets(branch: uproot.TBranch, rows: NDArray[np.int64] | None) -> Iterator[Basket]:
    """All baskets of a branch, or those with at least one of some entries."""
    edges = branch.entry_offsets
    for number in range(branch.num_baskets):
        if rows is not None:
            first, stop = np.searchsorted(rows, edges[number : number + 2])
            if first == stop:
                continue
        key = branch.basket_key(number)
        content = int(key.fSeekKey) + int(key.fKeylen)
        yield Basket(content, int(key.fNbytes) - int(key.fKeylen), int(key.fObjlen))


def _decompress(descriptor: int, basket: Basket, free: "SimpleQueue[list[memoryview]]") -> None:
    scratch = free.get()
    try:
        raw, made = (b[:size] for b, size in zip(scratch, basket[1:], strict=True))
        if os.preadv(descriptor, [raw], basket.seek) != basket.compressed:
            raise OSError(f"basket at {basket.seek} ends too early")
        if basket.compressed != basket.size:
            _blocks(raw, made)
    finally:
        free.put(scratch)


def _blocks(raw: memoryview, made: memoryview) -> None:
    position = done = 0
    while position < len(raw):
        header = bytes(raw[position : position + _BLOCK_HEADER])
        packed, size = (int.from_bytes(header[k : k + 3], "little") for k in (3, 6))
        position += _BLOCK_HEADER
        _CODECS[header[:2]](raw[position : position + packed], made[done : done + size])
        position += packed
        done += size
    if done != len(made):
        raise OSError(f"{done} bytes in a basket of {len(made)}")
