"""The order of a sum: a tree whose shape depends on the plan alone.

Sums of floating-point numbers depend on their order. Here the chunks of a file are added, then the
files, always up to :data:`RADIX` neighbours at a time, then up to as many of these sums, and so on.
So every branch of the tree may be added where its chunks are processed, by one worker, and the
result is the same to the last bit however the tree was cut. What comes out of turn waits for its
neighbours alone and not for all before it: a chunk that takes long holds nothing up.
"""

import bisect
from collections.abc import Sequence
from typing import Any

from fileset.coffea_api import accumulate
from fileset.plan import Chunk

RADIX = 8
"""Neighbours that are added first."""


class Sum:
    """Sum of a fixed number of terms, which may come in any order and partly added already.

    Attributes
    ----------
    value
        The sum, once the last term is there. A term that is missing is None.
    """

    def __init__(self, terms: int) -> None:
        self.value: Any = None
        self._terms = terms
        self._top = level_of(terms)
        self._nodes: dict[tuple[int, int], _Node] = {}

    def add(self, level: int, index: int, value: Any) -> bool:
        """Take one branch: the sum of the ``index``-th ``RADIX**level`` terms.

        Returns
        -------
        bool
            Whether nothing is missing now.
        """
        while level < self._top:
            level, index, place = level + 1, *divmod(index, RADIX)
            node = self._nodes.setdefault((level, index), _Node())
            node.add(place, value)
            branches = -(-self._terms // RADIX ** (level - 1))
            if node.folded < min(RADIX, branches - RADIX * index):
                return False
            value = self._nodes.pop((level, index)).value
        self.value = value
        return True

    def partial(self) -> Any:
        """Sum of what is there so far; nothing can be added any more."""
        while self._nodes:
            level, index = min(self._nodes)
            value = self._nodes.pop((level, index)).all()
            if level < self._top:
                parent = self._nodes.setdefault((level + 1, index // RADIX), _Node())
                parent.add(index % RADIX, value)
            else:
                self.value = value
        return self.value


class _Node:
    """Neighbours that are added in their order, each as soon as those before it are there."""

    def __init__(self) -> None:
        self.value: Any = None
        self.folded = 0
        self._own = False
        self._waiting: dict[int, Any] = {}

    def add(self, place: int, value: Any) -> None:
        self._waiting[place] = value
        while self.folded in self._waiting:
            self._fold(self._waiting.pop(self.folded))
            self.folded += 1

    def all(self) -> Any:
        """Sum of all that came, without what is missing between."""
        for place in sorted(self._waiting):
            self._fold(self._waiting.pop(place))
        return self.value

    def _fold(self, value: Any) -> None:
        # What somebody else made is not changed, a sum of our own is.
        if self._own:
            self.value = accumulate([value], self.value)
        else:
            self._own = self.value is not None and value is not None
            self.value = accumulate([self.value, value])


def level_of(terms: int) -> int:
    """How often neighbours are to be added until one sum is left."""
    level = 0
    while RADIX**level < terms:
        level += 1
    return level


class Reduction:
    """Sum over the chunks of a plan: within each file, then over the files.

    Parameters
    ----------
    plan : sequence of Chunk
        Chunks of a file one behind the other.
    skip_bad_files : bool
        Do without all of a file of which some chunk is bad.
    """

    def __init__(self, plan: Sequence[Chunk], skip_bad_files: bool = False) -> None:
        starts = [p for p, c in enumerate(plan) if p == 0 or c.file != plan[p - 1].file]
        self._edges = [*starts, len(plan)]
        self._skip = skip_bad_files
        self._sum = Sum(len(starts))
        self._within: dict[int, Sum] = {}
        self._bad: set[int] = set()

    def file_of(self, position: int) -> tuple[int, range]:
        """Number of the file that a chunk is of, and positions of all its chunks."""
        file = bisect.bisect_right(self._edges, position) - 1
        return file, range(self._edges[file], self._edges[file + 1])

    def branch(self, position: int, size: int) -> range:
        """Positions of the largest branch of the tree that begins with a chunk.

        Parameters
        ----------
        position : int
        size : int
            Largest number of chunks; a branch has at least one.
        """
        file, chunks = self.file_of(position)
        if position > chunks.start or len(chunks) > size:
            place, step = position - chunks.start, 1
            while step * RADIX <= size and place % (step * RADIX) == 0:
                step *= RADIX
            return range(position, min(position + step, chunks.stop))
        stop, step = chunks.stop, 1
        while file % (step * RADIX) == 0 and stop < self._edges[-1]:
            step *= RADIX
            end = self._edges[min(file + step, len(self._edges) - 1)]
            if end - position > size:
                break
            stop = end
        return range(position, stop)

    def add(self, branch: range, output: Any, bad: bool = False) -> None:
        """Take the sum of a branch, or that one of its chunks is bad.

        Parameters
        ----------
        branch : range
            From :meth:`branch`.
        output : dict, optional
        bad : bool
            Whether the file of one of its chunks is to blame.
        """
        file, chunks = self.file_of(branch.start)
        if bad and self._skip and branch.stop <= chunks.stop:
            self._bad.add(file)
        if branch.start == chunks.start and branch.stop >= chunks.stop:
            files = self.file_of(branch.stop - 1)[0] + 1 - file
            self._add_files(file, files, output)
            return
        within = self._within.setdefault(file, Sum(len(chunks)))
        level = level_of(len(branch))
        if within.add(level, (branch.start - chunks.start) // RADIX**level, output):
            self._add_files(file, 1, self._within.pop(file).value)

    def _add_files(self, file: int, files: int, output: Any) -> None:
        level = level_of(files)
        self._sum.add(level, file // RADIX**level, None if file in self._bad else output)

    def total(self) -> Any:
        """Sum of what is there; None if there is nothing."""
        for file in sorted(self._within):
            self._add_files(file, 1, self._within.pop(file).partial())
        return self._sum.partial()
