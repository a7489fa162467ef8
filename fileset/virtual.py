"""Entries of a file as coffea events whose branches are read by :mod:`fileset.baskets`.

The same as from coffea's ``NanoEventsFactory.from_root``, at a fraction of the cost: for a second
chunk the file is open and the form of its events known, and a branch is decoded once, not once for
the lengths of its lists and once for their content. coffea's own way stays as it is.
"""

import copy
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .basket_bytes import check_element, check_lists
from .baskets import Jagged, Source
from .coffea_api import BaseSchema, NanoEventsFactory, UprootSourceMapping, tuple_to_key

# What is asked for, by the end of coffea's key for it.
_VALUES = ("!load",)
_CONTENT = ("!load", "!content")
_OFFSETS = ("!load", "!offsets")
_OFFSETS_LABEL = quote(",!offsets")
# Of lists inside others, whose lengths are a branch.
_COUNTED = ("!load", "!content", "!counts2offsets", "!skip", "!offsets")


@functools.lru_cache(maxsize=10_000)
def _nodes(form_key: str) -> tuple[str, ...]:
    """Branch of a form and what is asked for of it."""
    return tuple(unquote(form_key).split(","))


@dataclass(frozen=True, eq=False)
class FileRange:
    """A range of entries of a file, of which coffea's events are made only when somebody asks.

    To make them takes as long as all the rest of a small chunk of a file with many branches.

    Attributes
    ----------
    source : Source
    schema : type
        coffea schema.
    start, stop : int
        Range of entries, which the file has.
    metadata : dict
        What ``events.metadata`` would be.
    """

    source: "Source | Followed"
    schema: type[BaseSchema]
    start: int
    stop: int
    metadata: dict[str, Any]

    def __len__(self) -> int:
        return self.stop - self.start

    def events(self, rows: NDArray[np.int64] | None = None) -> ak.Array:
        """All of the entries, or some in ascending order; see :func:`source_events`."""
        return source_events(self.source, self.schema, self.start, self.stop, self.metadata, rows)


def source_events(
    source: "Source | Followed",
    schema: type[BaseSchema],
    start: int,
    stop: int,
    metadata: dict[str, Any],
    rows: NDArray[np.int64] | None = None,
) -> ak.Array:
    """Make events of a range of entries, without reading them.

    Parameters
    ----------
    source : Source
    schema : type
        coffea schema.
    start, stop : int
        Range of entries; those that the file does not have are left out.
    metadata : dict
        For ``events.metadata``.
    rows : ndarray of int, optional
        Entries of the range to take, in ascending order, counted from its start; only of these are
        branches decoded.

    Returns
    -------
    coffea NanoEvents
        Virtual: a branch is read when it is first used.
    """
    stop = min(stop, source.entries)
    length = stop - start if rows is None else len(rows)
    key = (source.uuid, source.tree.object_path, f"0-{length}")
    known, form = _form(source, schema)
    parameters = known["parameters"] | {"metadata": metadata}
    prepared = _Prepared(schema, form.copy(parameters=parameters))
    mapping = SourceMapping(source, start, stop, rows)
    events = NanoEventsFactory(prepared, mapping, tuple_to_key(key), "virtual").events()
    # What coffea's tools expect there; to make a form of it costs as much as to read a small file.
    events.attrs["@form"] = known | {"parameters": parameters}
    return events


class Followed:
    """A source whose branches somebody wants to know of when they are read.

    Parameters
    ----------
    source : Source
    touched : callable
        Called with the name of each.
    """

    def __init__(self, source: Source, touched: Callable[[str], object]) -> None:
        self._source = source
        self._touched = touched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def is_quick(self, name: str) -> bool:
        """As of the source; asked before every read."""
        self._touched(name)
        return self._source.is_quick(name)


def range_of(events: ak.Array | FileRange) -> FileRange | None:
    """Where events come from, to read branches of theirs without coffea.

    Parameters
    ----------
    events : coffea NanoEvents or FileRange
        The events of a chunk as they were opened: of others made of them nobody knows the rows.

    Returns
    -------
    FileRange, optional
        None for events that were not opened by :mod:`fileset`, or not from a ROOT file.
    """
    if isinstance(events, FileRange):
        return events
    factory = events.attrs.get("@events_factory")
    mapping = getattr(factory, "_mapping", None)
    if not isinstance(mapping, SourceMapping) or factory.events() is not events:
        return None
    if mapping.rows is not None:
        return None
    schema = factory._schema.schema
    return FileRange(mapping.source, schema, mapping.start, mapping.stop, events.metadata)


def basket_cuts(events: ak.Array | FileRange) -> NDArray[np.int64] | None:
    """Where the events of a chunk can be cut without cutting through a large basket.

    Parameters
    ----------
    events : coffea NanoEvents or FileRange
        As for :func:`range_of`.

    Returns
    -------
    ndarray of int, optional
        Entries at which the baskets of the largest branch begin; None for events that are not
        from baskets.
    """
    found = range_of(events)
    if found is None or not (largest := found.source.largest):
        return None
    borders = np.asarray(found.source.boundaries(largest), dtype=np.int64)
    return borders[(borders >= found.start) & (borders <= found.stop)] - found.start


def selected(events: ak.Array | FileRange, rows: NDArray[np.int64] | None) -> ak.Array:
    """Some of the events of a chunk; of those of a file, only these are read from then on.

    Parameters
    ----------
    events : coffea NanoEvents or FileRange, length n
    rows : ndarray of int, optional
        In ascending order; all by default.

    Returns
    -------
    coffea NanoEvents, length of ``rows``
    """
    if isinstance(events, FileRange):
        return events.events(rows)
    found = None if rows is None else range_of(events)
    if found is None:
        return events if rows is None else events[rows]
    return found.events(rows)


class Values:
    """Values at some places of the events of a file, without making arrays of all the rest.

    Parameters
    ----------
    events : coffea NanoEvents or FileRange, length n
        As for :func:`range_of`.
    """

    def __init__(self, events: ak.Array | FileRange) -> None:
        self._mapping: SourceMapping | None = None
        if (found := range_of(events)) is not None:
            self._mapping = SourceMapping(found.source, found.start, found.stop)
            self._form = _form(found.source, found.schema)[1]

    def of(self, rows: NDArray[np.int64]) -> "Values":
        """The same of some of the events, by their numbers in ascending order."""
        some = copy.copy(self)
        if self._mapping is not None:
            some._mapping = self._mapping.of(rows)
        return some

    def at(self, paths: Sequence[str]) -> list[NDArray[Any] | Jagged] | None:
        """Values of fields by their dotted names.

        Returns
        -------
        list of ndarray or Jagged, optional
            As ``events[rows]`` has them there, in numpy arrays; None where that is not known
            beforehand: for events that are not from a file, and fields that are not plain numbers
            and lists.
        """
        if self._mapping is None:
            return None
        length = len(self._mapping)
        try:
            return [self._mapping.content(self._form, p.split("."), length) for p in paths]
        except _NotPlainError:
            return None


class _NotPlainError(Exception):
    """A form that is not read at sight."""


class SourceMapping(UprootSourceMapping):
    """Buffers of coffea events from a :class:`fileset.baskets.Source`.

    Parameters
    ----------
    source : Source
    start, stop : int
        Range of entries.
    rows : ndarray of int, optional
        Those of them to take.
    """

    def __init__(
        self,
        source: "Source | Followed",
        start: int,
        stop: int,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        length = stop - start if rows is None else len(rows)
        super().__init__(None, 0, length, cache={}, use_ak_forth=True, virtual=True)
        self.source, self.start, self.stop, self.rows = source, start, stop, rows
        # awkward asks for the lengths of lists before their content.
        self._content: tuple[str, NDArray[Any]] | None = None
        self._array: tuple[str, ak.Array] | None = None
        # Offsets by the key of a form: of lists of the entries (True), and of those inside others.
        self._lists: dict[bool, dict[str, NDArray[Any]]] = {True: {}, False: {}}

    def of(self, rows: NDArray[np.int64]) -> "SourceMapping":
        """The same of some of its entries, by their numbers in ascending order."""
        some = SourceMapping(self.source, self.start, self.stop, rows)
        # What is known of the lists of all entries need not be read again.
        for key, offsets in self._lists[True].items():
            lengths = (offsets[1:] - offsets[:-1])[rows]
            some._lists[True][key] = np.concatenate([[0], np.cumsum(lengths)])
        return some

    def content(
        self, form: ak.forms.Form, path: Sequence[str], length: int, *, outer: bool = True
    ) -> NDArray[Any] | Jagged:
        """Array of a form, of one field of each record in it; ``outer`` for that of the entries."""
        if form.is_record and path and path[0] in form.fields:
            return self.content(form.content(path[0]), path[1:], length, outer=outer)
        if form.parameter("__array__") is not None:
            # Strings, for example.
            raise _NotPlainError
        if isinstance(form, ak.forms.ListOffsetForm):
            known = self._lists[outer]
            if form.form_key not in known:
                # Members of a list share them.
                known[form.form_key] = self._values(form, "offsets")[: length + 1]
            offsets = known[form.form_key]
            return Jagged(offsets, self.content(form.content, path, int(offsets[-1]), outer=False))
        if not form.is_numpy or path:
            raise _NotPlainError
        values = self._values(form, "data")
        if values.dtype != ak.types.numpytype.primitive_to_dtype(form.primitive):
            raise _NotPlainError
        size = math.prod(form.inner_shape)
        return values[: length * size].reshape(length, *form.inner_shape)

    def _values(self, form: ak.forms.Form, attribute: str) -> NDArray[Any]:
        name, *nodes = _nodes(form.form_key)
        if attribute == "offsets":
            nodes.append("!offsets")
        if tuple(nodes) == _COUNTED and self.source.is_quick(name):
            counts = self.source.read(name, self.start, self.stop, self.rows)
            content = counts.content if isinstance(counts, Jagged) else counts
            offsets = np.concatenate([[0], np.cumsum(content, dtype=np.int64)])
            check_lists(name, offsets)
            return offsets
        suffix = _OFFSETS_LABEL if attribute == "offsets" else ""
        return self._asked(name, tuple(nodes), f"{self._place}/{attribute}/{form.form_key}{suffix}")

    @functools.cached_property
    def _place(self) -> str:
        return tuple_to_key((self.source.uuid, self.source.tree.object_path, f"0-{len(self)}"))

    def __getitem__(self, key: str) -> Callable[[], NDArray[Any]]:
        return functools.partial(self._buffer, key)

    def _buffer(self, key: str) -> NDArray[Any]:
        name, *nodes = self.interpret_key(key)[-1]
        return self._asked(name, tuple(nodes), key)

    def _asked(self, name: str, asked: tuple[str, ...], key: str) -> NDArray[Any]:
        """Buffer of a branch, by what is asked for and by coffea's key for it."""
        if asked not in (_VALUES, _CONTENT, _OFFSETS) or not self.source.is_quick(name):
            # Through coffea's chain of transformations.
            buffer = np.asarray(super().__getitem__(key)())
            if asked[-1:] == ("!offsets",):
                check_lists(name, buffer)
            return buffer
        kept = self._content
        if kept is not None and (name, asked) == (kept[0], _CONTENT):
            # awkward keeps it from here on.
            self._content = None
            return kept[1]
        values = self.source.read(name, self.start, self.stop, self.rows)
        if not isinstance(values, Jagged):
            return np.reshape(values, -1)
        if asked == _CONTENT:
            return values.content
        self._content = name, values.content
        return values.offsets

    def _column_source(self, uuid: str, path_in_source: str) -> Any:
        return self.source.tree

    def get_column_handle(self, columnsource: Any, name: str, allow_missing: bool) -> str | None:
        """Name of a branch, or None for one that may be missing and is."""
        return None if allow_missing and name not in columnsource else name

    def extract_column(
        self,
        columnhandle: str | None,
        start: int,
        stop: int,
        allow_missing: bool,
        use_ak_forth: bool = True,
    ) -> ak.Array:
        """Values of a branch as coffea's transformations take them."""
        kept, name = self._array, columnhandle
        if kept is not None and kept[0] == name:
            return kept[1]
        if name is not None and self.source.is_quick(name) and not allow_missing:
            array = _as_awkward(self.source.read(name, self.start, self.stop, self.rows))
        else:
            branch = None if name is None else self.source.tree[name]
            with self.source.lock:
                array = super().extract_column(
                    branch, self.start, self.stop, allow_missing, use_ak_forth
                )
            # Packed, since the transformations ask for the offsets of lists.
            array = array if self.rows is None else ak.to_packed(array[self.rows])
        if name is not None:
            self._array = name, array
        return array


def _as_awkward(values: Any) -> ak.Array:
    if not isinstance(values, Jagged):
        return ak.from_numpy(values, regulararray=True)
    content = ak.from_numpy(values.content, regulararray=True, highlevel=False)
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(values.offsets), content))


class _Prepared(NamedTuple):
    """A schema whose form is known."""

    schema: type[BaseSchema]
    form: ak.forms.Form

    def behavior(self) -> Any:
        return self.schema.behavior()


def _is_readable(branch: Any) -> bool:
    """Whether a branch is none of the objects that were split, nor one that nobody can read."""
    kind = branch.interpretation
    content = getattr(kind, "content", kind)
    if hasattr(content, "from_dtype"):
        check_element(branch.name, content.from_dtype.itemsize, branch.uncompressed_bytes)
    return not branch.branches and not isinstance(kind, Exception)


def _typenames(tree: Any, options: dict[str, Any]) -> dict[str, str]:
    """As ``tree.typenames()``, which fails at a branch that nobody can read."""
    return {name: branch.typename for name, branch in tree.iteritems(recursive=True, **options)}


def _form(
    source: "Source | Followed", schema: type[BaseSchema]
) -> tuple[dict[str, Any], ak.forms.Form]:
    """Form of the events of a file, as coffea and as awkward have it; made once."""
    if schema not in source.forms:
        with source.lock:
            options = {"filter_branch": _is_readable} if source.is_ttree else {}
            base = UprootSourceMapping._extract_base_form(source.tree, options)
            base["typenames"] = _typenames(source.tree, options)
            form = schema(base).form
            source.forms[schema] = form, ak.forms.from_dict(form)
    return source.forms[schema]
