"""Lists inside the lists of split C++ objects: what uproot does not read of a CAF.

ROOT splits ``std::vector<SRNeutrino> nu`` into one branch per member, but a member that is itself a
``std::vector`` into no further ones. Of such branches uproot reads those with numbers, and not in
every class; objects it refuses, because ROOT writes them member by member: of every list its
length, then the first member of all its elements, then the second, and so on. :func:`mend` gives
these branches an interpretation that decodes them as the streamers in the file say.

An entry begins with the byte count and the version of the collection; with the bit for member-wise
writing, the version of the class of the elements follows, and its checksum if that is 0. Then come
the lists. Members of a base class are written in place, and a ``std::vector`` has one header for
all elements of a list. Inside an object, and in elements that are written one by one, everything
but numbers has a header of its own, by which it can be skipped. As in ``TBufferFile`` and
``TStreamerInfoActions`` of ROOT; checked on files written by it (``tests/fileset/data``).
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import awkward as ak
import numba
import numpy as np
import uproot
from numpy.typing import NDArray

# TVirtualStreamerInfo::EReadWrite. Double32_t without a range is a float in the file.
_NUMBERS = {
    **{1: "i1", 2: "i2", 3: "i4", 4: "i8", 5: "f4", 6: "i4", 8: "f8", 9: "f4"},
    **{11: "u1", 12: "u2", 13: "u4", 14: "u8", 15: "u4", 16: "i8", 17: "u8", 18: "?"},
}
_ARRAY, _BASE, _OBJECTS, _COLLECTIONS = 20, 0, (61, 62), (300, 365, 500)
_PLAIN = {
    **{"char": "i1", "short": "i2", "int": "i4", "long": "i8", "float": "f4", "double": "f8"},
    **{"unsigned char": "u1", "unsigned short": "u2", "unsigned int": "u4", "unsigned long": "u8"},
    **{"Long64_t": "i8", "ULong64_t": "u8", "bool": "?"},
}
# TBranchElement::fType of a member of the elements of an STL collection.
_IN_COLLECTION = 41

# Kinds of steps; with each a number of bytes and a place in the record, -1 for none.
_NUMBER, _OPEN, _CLOSE, _SKIP = range(4)


class _CannotDecodeError(Exception):
    """A member of which the streamers do not tell how long it is."""


class _Leaf(NamedTuple):
    path: tuple[str, ...]
    dtype: np.dtype[Any]


@dataclass
class _Program:
    """Steps through the bytes of an element; ``members`` are the positions where one begins."""

    file: Any
    steps: list[tuple[int, int, int]] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    leaves: list[_Leaf] = field(default_factory=list)
    size: int = 0

    def number(self, path: tuple[str, ...], dtype: np.dtype[Any], length: int = 0) -> None:
        """Keep a number; step over an array of fixed length."""
        if length < 0:
            raise _CannotDecodeError(".".join(path))
        if length:
            self.steps.append((_NUMBER, length * dtype.itemsize, -1))
            return
        self.steps.append((_NUMBER, dtype.itemsize, self.size))
        self.leaves.append(_Leaf(path, dtype))
        self.size += dtype.itemsize

    def member(self, element: Any, path: tuple[str, ...]) -> None:
        kind, where = element.member("fType"), (*path, element.name)
        if kind % _ARRAY in _NUMBERS and kind < 2 * _ARRAY:
            number = np.dtype(_NUMBERS[kind % _ARRAY])
            self.number(where, number, element.member("fArrayLength"))
        elif kind in _OBJECTS:
            self.object(element.typename, where)
        elif kind in _COLLECTIONS:
            self.steps.append((_SKIP, 0, -1))
        elif kind == _BASE and element.name != "TObject":
            self.object(element.name, path)
        else:
            raise _CannotDecodeError(element.name)

    def elements(self, kind: str) -> Any:
        """Members and base classes of a class."""
        streamer = self.file.streamer_named(kind)
        if streamer is None:
            raise _CannotDecodeError(kind)
        return streamer.elements

    def object(self, kind: str, path: tuple[str, ...] = ()) -> None:
        """An object that is written as a whole."""
        elements = self.elements(kind)
        self.steps.append((_OPEN, 0, -1))
        for element in elements:
            try:
                self.member(element, path)
            except _CannotDecodeError:
                # What is behind it is lost, but the object's end is known.
                break
        self.steps.append((_CLOSE, 0, -1))

    def all_members(self, kind: str) -> None:
        """The members of a class, one after the other."""
        for element in self.elements(kind):
            if element.member("fType") == _BASE:
                self.all_members(element.name)
            else:
                self.members.append(len(self.steps))
                self.member(element, ())

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        members = [*(self.members or [0]), len(self.steps)]
        return np.array(self.steps, np.int64).reshape(-1, 3), np.array(members, np.int64)


def _programs(branch: Any) -> tuple[_Program, _Program]:
    """How to read lists that are written member by member, and one element after the other.

    Raises
    ------
    _CannotDecodeError
    """
    file = branch.file
    member = file.streamer_named(str(branch.member("fClassName"))).elements[branch.member("fID")]
    kind = member.typename.removeprefix("vector<").removesuffix(">").strip()
    members, whole = _Program(file), _Program(file)
    if kind in _PLAIN:
        whole.number((), np.dtype(_PLAIN[kind]))
    elif file.streamer_named(kind) is not None:
        members.all_members(kind)
        whole.object(kind)
    if not whole.leaves:
        raise _CannotDecodeError(member.typename)
    return members, whole


def mend(tree: Any) -> dict[str, list[tuple[str, ...]]]:
    """Let the branches of a TTree that hold lists inside lists be read; leave all others.

    Parameters
    ----------
    tree : uproot.TTree

    Returns
    -------
    dict
        Name of each such branch to the paths of the members of its elements, none for numbers.
    """
    members = {}
    for branch in tree.itervalues():
        inside = branch.member("fType", none_if_missing=True) == _IN_COLLECTION
        if inside and branch.member("fStreamerType") in _COLLECTIONS and not branch.branches:
            try:
                interpretation = ListsInLists(branch.name, *_programs(branch))
            except _CannotDecodeError:
                continue
            # Uproot takes another interpretation for one array only, and coffea for none.
            branch._interpretation = interpretation
            members[branch.name] = interpretation.members
    return members


@dataclass(frozen=True)
class _Basket:
    """Lists per entry, elements per list, and the elements."""

    outer: NDArray[np.int64]
    inner: NDArray[np.int64]
    elements: NDArray[np.void]

    def __len__(self) -> int:
        return len(self.outer)


class ListsInLists(uproot.interpretation.Interpretation):
    """Entries that are lists of lists of numbers or records.

    Parameters
    ----------
    name : str
        The branch.
    members, whole : _Program
        How its elements are written.
    """

    def __init__(self, name: str, members: _Program, whole: _Program) -> None:
        self._name = name
        self._leaves = whole.leaves
        self._dtype = np.dtype(
            [(f"f{i}", leaf.dtype.newbyteorder(">")) for i, leaf in enumerate(whole.leaves)]
        )
        self._layouts = (*members.arrays(), *whole.arrays())
        none = np.zeros(0, np.int64)
        self._empty = _Basket(none, none, np.zeros(0, self._dtype))

    def __repr__(self) -> str:
        return f"ListsInLists({self._name!r})"

    @property
    def members(self) -> list[tuple[str, ...]]:
        """Paths of the members of an element; none for a number."""
        return [leaf.path for leaf in self._leaves if leaf.path]

    @property
    def cache_key(self) -> str:
        """Different for every branch."""
        return repr(self)

    @property
    def typename(self) -> str:
        """Shown by uproot."""
        return "std::vector<>[]"

    def awkward_form(self, file: Any, context: Any = None, **options: Any) -> ak.forms.Form:
        """Form of the arrays; neither argument is needed."""
        return self._layout(self._empty).form

    def basket_array(self, data: Any, byte_offsets: Any, *unused: Any) -> _Basket:
        """Decode one basket.

        Raises
        ------
        ValueError
            If its bytes are not as the streamers say.
        """
        data, offsets = np.asarray(data), np.asarray(byte_offsets, np.int64)
        outer = np.zeros(len(offsets) - 1, np.int64)
        # Every list takes at least the four bytes of its length.
        inner = np.zeros(len(data) // 4, np.int64)
        where = data, offsets, *self._layouts, outer, inner
        total = _walk(*where, np.empty((0, 0), np.uint8))
        if total < 0:
            raise ValueError(f"branch {self._name!r}: its bytes are not as the streamers say")
        found = np.empty((total, self._dtype.itemsize), np.uint8)
        _walk(*where, found)
        return _Basket(outer, inner[: outer.sum()], found.view(self._dtype).reshape(total))

    def final_array(
        self,
        basket_arrays: dict[int, _Basket],
        entry_start: int,
        entry_stop: int,
        entry_offsets: list[int],
        library: Any,
        *options: Any,
    ) -> Any:
        """Join baskets and cut them to the entries that were asked for."""
        parts = [self._empty, *(basket_arrays[number] for number in sorted(basket_arrays))]
        outer = np.concatenate([part.outer for part in parts])
        inner = np.concatenate([part.inner for part in parts])
        elements = np.concatenate([part.elements for part in parts])
        entries = slice(entry_start - entry_offsets[0], entry_stop - entry_offsets[0])
        lists = np.append(0, np.cumsum(outer))[[entries.start, entries.stop]]
        items = np.append(0, np.cumsum(inner))[lists]
        cut = _Basket(outer[entries], inner[slice(*lists)], elements[slice(*items)])
        branch, interp_options = options
        return library.finalize(
            self._layout(cut), branch, self, entry_start, entry_stop, interp_options
        )

    def _layout(self, basket: _Basket) -> ak.contents.Content:
        tree: dict[str, Any] = {}
        for name, leaf in zip(self._dtype.names or (), self._leaves, strict=True):
            *above, last = leaf.path or ("",)
            below = tree
            for component in above:
                below = below.setdefault(component, {})
            below[last] = ak.contents.NumpyArray(basket.elements[name].astype(leaf.dtype))
        content = tree[""] if "" in tree else _record(tree, len(basket.elements))
        return _lists(basket.outer, _lists(basket.inner, content))


def _record(tree: dict[str, Any], length: int) -> ak.contents.RecordArray:
    members = [_record(t, length) if isinstance(t, dict) else t for t in tree.values()]
    return ak.contents.RecordArray(members, list(tree), length=length)


def _lists(counts: NDArray[np.int64], content: ak.contents.Content) -> ak.contents.Content:
    offsets = ak.index.Index64(np.append(0, np.cumsum(counts)))
    return ak.contents.ListOffsetArray(offsets, content)


@numba.njit(cache=True, nogil=True, boundscheck=True)
def _integer(data: Any, at: int, size: int) -> int:
    value = 0
    for i in range(size):
        value = value * 256 + data[at + i]
    return value


@numba.njit(cache=True, nogil=True, boundscheck=True)
def _behind(data: Any, at: int) -> int:
    """Position behind something with a byte count."""
    return at + 4 + _integer(data, at, 4) % 0x40000000


@numba.njit(cache=True, nogil=True, boundscheck=True)
def _header(data: Any, at: int) -> int:
    """Position behind a version, and the checksum that follows if it is 0."""
    return at + (6 if _integer(data, at, 2) == 0 else 2)


@numba.njit(cache=True, nogil=True, boundscheck=True)
def _step_through(data: Any, at: int, steps: Any, ends: Any, row: Any) -> int:
    """Write what some steps keep into a row, if it is not empty; position behind them."""
    depth = 0
    for kind, size, place in steps:
        if kind == _NUMBER:
            if place >= 0 and len(row):
                row[place : place + size] = data[at : at + size]
            at += size
        elif kind == _OPEN:
            ends[depth] = _behind(data, at)
            depth += 1
            at = _header(data, at + 4)
        elif kind == _CLOSE:
            depth -= 1
            at = ends[depth]
        else:
            at = _behind(data, at)
    return at


@numba.njit(cache=True, nogil=True, boundscheck=True)
def _read_list(data: Any, at: int, n: int, steps: Any, members: Any, ends: Any, rows: Any) -> int:
    """Go through the elements of one list; position behind them."""
    for member in range(len(members) - 1):
        some = steps[members[member] : members[member + 1]]
        # One header for this member of all elements.
        times = min(n, 1) if some[0, 0] == _SKIP else n
        for i in range(times):
            at = _step_through(data, at, some, ends, rows[i] if len(rows) else rows[0:0].ravel())
    return at


@numba.njit(cache=True, nogil=True, boundscheck=True)
def _walk(
    data: Any,
    offsets: Any,
    steps: Any,
    members: Any,
    whole_steps: Any,
    whole_members: Any,
    outer: Any,
    inner: Any,
    found: Any,
) -> int:
    """Go through a basket; number of elements, or -1 if its bytes do not fit.

    Lengths are written to ``outer`` and ``inner``, elements to ``found`` unless it is empty.
    """
    ends = np.empty(64, np.int64)
    lists, total = 0, 0
    for entry in range(len(outer)):
        at, stop = offsets[entry], offsets[entry + 1]
        outer[entry] = 0
        memberwise = at < stop and _integer(data, at + 4, 2) & 0x4000 != 0
        at = min(at + 6, stop)
        if memberwise:
            at = _header(data, at)
        while at < stop:
            n = _integer(data, at, 4)
            # Every element takes at least a byte.
            if n > stop - at:
                return -1
            rows = found[total : total + n]
            if memberwise:
                at = _read_list(data, at + 4, n, steps, members, ends, rows)
            else:
                at = _read_list(data, at + 4, n, whole_steps, whole_members, ends, rows)
            inner[lists] = n
            outer[entry] += 1
            lists += 1
            total += n
        if at != stop:
            return -1
    return total
