"""Blocks of toys in a file: to go on later, or to join what was made in different places.

A block is known by what it follows from: a hash of model, hypothesis, tested signals and seed, its
number and its size. Files of jobs that made different blocks of one limit (``first_toy``) therefore
add up, and blocks of something else are never taken for them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..array_file import check_schema, read, refusing, write
from .toys import Toys, joined

SCHEMA = 1

_CONTENT = "nudipole_toys"
_COUNTS = ("fallback", "negative", "evaluations")


class ToysFile:
    """Blocks in memory, by the hash of their experiment and their number.

    Parameters
    ----------
    paths : sequence of str or Path
        Files to read, ``.npz`` or ``.json``; together they are one.
    """

    def __init__(self, paths: Sequence[str | Path] = ()) -> None:
        self.blocks: dict[str, dict[int, Toys]] = {}
        self.taken = self.made = 0
        for path in paths:
            for digest, found in _read(path).items():
                self.blocks.setdefault(digest, {}).update(found)

    def get(self, digest: str, number: int, toys: int) -> Toys | None:
        """Give a block, if it is there."""
        block = self.blocks.get(digest, {}).get(number)
        if block is None or len(block.best) != toys:
            return None
        self.taken += 1
        return block

    def add(self, digest: str, number: int, block: Toys) -> None:
        """Keep a block."""
        self.made += 1
        self.blocks.setdefault(digest, {})[number] = block

    def save(self, path: str | Path) -> None:
        """Write all blocks; a reader never sees half of them."""
        content: dict[str, Any] = {"schema": SCHEMA, "experiments": []}
        arrays: dict[str, Any] = {}
        for i, (digest, blocks) in enumerate(sorted(self.blocks.items())):
            numbers = sorted(blocks)
            parts = [blocks[n] for n in numbers]
            whole = joined(parts)
            arrays |= {f"t_{i}": whole.t, f"best_{i}": whole.best, f"deviance_{i}": whole.deviance}
            facts: dict[str, Any] = {n: [getattr(p, n) for p in parts] for n in _COUNTS}
            sizes = [len(p.best) for p in parts]
            content["experiments"].append(
                {"digest": digest, "numbers": numbers, "sizes": sizes} | facts
            )
        write(path, _CONTENT, content, arrays)


def _read(path: str | Path) -> dict[str, dict[int, Toys]]:
    found: dict[str, dict[int, Toys]] = {}
    with refusing(path, "toys", "'limit --fit --keep-toys'") as place:
        content, arrays = read(place, _CONTENT)
        check_schema(content, SCHEMA, "toys")
        for i, facts in enumerate(content["experiments"]):
            ends = np.cumsum(facts["sizes"])
            cut = [arrays[f"{name}_{i}"] for name in ("t", "best", "deviance")]
            if any(array.shape[-1] != ends[-1] for array in cut):
                raise ValueError("a block is not whole")
            rows = zip(*(np.split(array, ends[:-1], axis=-1) for array in cut), strict=True)
            numbers = zip(facts["numbers"], *(facts[name] for name in _COUNTS), strict=True)
            found[facts["digest"]] = {
                number: Toys(*row, *counts)
                for row, (number, *counts) in zip(rows, numbers, strict=True)
            }
    return found
