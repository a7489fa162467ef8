"""Columns of events as numpy arrays, each read or computed when it is first used."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from fileset.basket_values import Jagged
from fileset.coffea_api import nanoevents
from fileset.columns import (
    CANONICAL,
    Expression,
    From,
    Plain,
    describe,
    evaluate,
    listed,
    place,
    typed,
)
from fileset.errors import InputError
from fileset.events import canonical_expressions
from fileset.virtual import FileRange, Values, basket_cuts, selected

from .columns import DERIVED, affected, with_derived


class MissingColumnError(InputError):
    """A column that the format of the events does not provide.

    Attributes
    ----------
    column : str
    """

    def __init__(self, metadata: Mapping[str, Any], column: str) -> None:
        self.column = column
        super().__init__(
            f"{place(metadata)}: no column {column!r}, which format {metadata.get('format')!r} "
            "does not provide"
        )


class Columns:
    """Columns of n events as numpy arrays, each read or computed when it is first used.

    What selections, weights and variations work on: operations on these are many times faster than
    on awkward arrays, which cost about a millisecond each whatever their length.

    ``columns.name`` and ``columns["name"]`` give a column: canonical, derived, or any branch of the
    file by its dotted name. One value per event is an array of shape (n,); a table of lists stays
    an awkward array. ``columns[rows]`` gives a subset, by numbers or by a mask, which reads what it
    needs of those events only.

    Attributes
    ----------
    metadata : dict
        Of the dataset, and of the chunk where they come from one.
    fields : frozenset of str
        Canonical and derived columns that can be had.
    moved : frozenset of str
        Columns that are not those of the file: replaced, or derived from such.
    """

    def __init__(
        self,
        length: int,
        metadata: Mapping[str, Any],
        fields: Iterable[str],
        read: Callable[[str], Any],
        *,
        shared: Iterable[str] = (),
        anything: bool = False,
    ) -> None:
        self._length = length
        # Derived columns that are read as if they were given.
        self._shared = frozenset(shared)
        self._anything = anything
        self._read = read
        self._known: dict[str, Any] = {}
        self.metadata = metadata
        self.moved: frozenset[str] = frozenset()
        self.given = frozenset(fields)
        self.fields = frozenset(with_derived(self.given))

    def __len__(self) -> int:
        return self._length

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, wanted: str | NDArray[Any]) -> Any:
        if not isinstance(wanted, str):
            return self._subset(np.asarray(wanted))
        values = self.raw(wanted)
        return listed(values) if isinstance(values, Jagged) else values

    def raw(self, wanted: str) -> Plain:
        """A column, with tables of lists in numpy arrays where they are known as such."""
        if wanted not in self._known:
            if wanted in self.given or wanted in self._shared:
                values = self._read(wanted)
            elif wanted in self.fields:
                values = DERIVED[wanted][0](self)
            elif (wanted in DERIVED or wanted in CANONICAL) and not self._anything:
                raise MissingColumnError(self.metadata, self._lacking(wanted))
            else:
                values = self._read(wanted)
            self._known[wanted] = _known(values)
        return self._known[wanted]

    def _lacking(self, name: str) -> str:
        """Canonical column at the root of one that cannot be had."""
        while name in DERIVED and (lacking := set(DERIVED[name][1]) - self.fields):
            name = min(lacking)
        return name

    def _subset(self, rows: NDArray[Any]) -> "Columns":
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Columns(len(rows), self.metadata, self.given, _Some(self, rows))

    def neighbours(self, size: int) -> Iterator[NDArray[np.int64]]:
        """Cut the events into parts of at least so many, to be read one after the other.

        Yields
        ------
        ndarray of int
            Numbers of neighbours. Of events of a file, no basket is in two parts, so that nothing
            is decompressed twice.
        """
        start = 0
        for stop in [*self._cuts(size), len(self)]:
            if stop - start >= size or (stop == len(self) and stop > start):
                yield np.arange(start, stop)
                start = int(stop)

    def _cuts(self, size: int) -> NDArray[np.int64]:
        """Where events may be cut."""
        cuts = getattr(self._read, "cuts", None)
        return cuts(size) if cuts else np.arange(0, len(self), size)

    def only(self, names: Iterable[str]) -> "Columns":
        """The same events with some of their columns; reading another one is refused."""
        allowed = frozenset(names)

        def read(name: str) -> Any:
            if name not in allowed:
                raise InputError(
                    f"{place(self.metadata)}: it reads {name!r}, which its uses = "
                    f"({', '.join(map(repr, sorted(allowed)))}) do not declare; add it there"
                )
            return self.raw(name)

        return Columns(len(self), self.metadata, allowed & self.fields, read, anything=True)

    def nanoevents(self) -> ak.Array:
        """The columns, without those derived from them, as events that coffea's methods work on.

        Returns
        -------
        coffea NanoEvents, length n
            All of them are read.
        """
        names = sorted(self.given)
        contents = [ak.to_layout(self[name]) for name in names]
        # Not a zip, which of no columns would not know the number of events.
        records = ak.contents.RecordArray(contents, names, length=len(self))
        return nanoevents(ak.Array(records), dict(self.metadata))

    @property
    def touched(self) -> frozenset[str]:
        """Columns that have been read or computed so far."""
        return frozenset(self._known)

    def replaced(self, values: Mapping[str, Any]) -> "Columns":
        """The same events with other values; what is derived from them follows.

        Parameters
        ----------
        values : mapping of str to array_like, shape (n,)
            Canonical or derived columns.
        """
        moved = affected(frozenset(values)) - (self.given - values.keys())

        # What is derived and does not depend on them is the same.
        given = self.given | values.keys()
        read, shared = _Replaced(self, values), self.fields - moved
        changed = Columns(len(self), self.metadata, given, read, shared=shared)
        changed.moved = frozenset(moved)
        return changed


class _Some:
    """Reads columns of some events of others."""

    def __init__(self, columns: Columns, rows: NDArray[np.int64]) -> None:
        self._columns = columns
        self._rows = rows

    def __call__(self, name: str) -> Any:
        # What is known of all events is not read again.
        if self._late is None or name in self._columns.touched:
            return self._columns[name][self._chosen]
        return self._late(name)

    @functools.cached_property
    def _chosen(self) -> NDArray[np.int64] | slice:
        """Neighbours as a slice, which makes no copy."""
        rows = self._rows
        if len(rows) and rows[-1] - rows[0] + 1 == len(rows) and np.all(rows[1:] > rows[:-1]):
            return slice(int(rows[0]), int(rows[-1]) + 1)
        return rows

    @functools.cached_property
    def _late(self) -> Callable[[str], Any] | None:
        subset = getattr(self._columns._read, "subset", None)
        return subset(self._rows) if subset else None

    def subset(self, rows: NDArray[np.int64]) -> "_Some":
        return _Some(self._columns, self._rows[rows])

    def cuts(self, size: int) -> NDArray[np.int64]:
        return np.searchsorted(self._rows, self._columns._cuts(size))


class _Replaced:
    """Reads columns some of which have other values."""

    def __init__(self, columns: Columns, values: Mapping[str, Any]) -> None:
        self._columns = columns
        self._values = values

    def __call__(self, name: str) -> Any:
        return self._values[name] if name in self._values else self._columns.raw(name)

    def subset(self, rows: NDArray[np.int64]) -> "_Replaced":
        some = {name: np.asarray(values)[rows] for name, values in self._values.items()}
        return _Replaced(self._columns[rows], some)

    def cuts(self, size: int) -> NDArray[np.int64]:
        return self._columns._cuts(size)


class _FromFile:
    """Reads columns of events of a chunk, through the expressions of their format."""

    def __init__(self, events: ak.Array | FileRange, expressions: Mapping[str, Expression]) -> None:
        self._all = events
        self._expressions = expressions
        self._rows: NDArray[np.int64] | None = None
        self._values = Values(events)

    def __call__(self, name: str) -> Any:
        expression = self._expressions.get(name) or From(name)
        if isinstance(expression, From):
            values = self._values.at(expression.paths)
            if values is not None:
                length = len(self._all if self._rows is None else self._rows)
                made, kind = expression.make(*values), CANONICAL.get(name)
                return typed(made, name, kind, length, describe(self._all))
        return evaluate(self._events, name, expression, CANONICAL.get(name))

    @functools.cached_property
    def _events(self) -> ak.Array:
        return selected(self._all, self._rows)

    def subset(self, rows: NDArray[np.int64]) -> "_FromFile":
        some = _FromFile(self._all, self._expressions)
        some._rows, some._values = rows, self._values.of(rows)
        return some

    def cuts(self, size: int) -> NDArray[np.int64]:
        found = basket_cuts(self._all)
        return np.arange(0, len(self._all), size) if found is None else found


def read_columns(events: ak.Array | FileRange) -> Columns:
    """Columns of the events of a file, by the names that every format shares.

    Parameters
    ----------
    events : coffea NanoEvents or FileRange
        As opened by :mod:`fileset`, or by coffea with the schema of the format.
    """
    events, expressions = canonical_expressions(events)
    return Columns(len(events), events.metadata, expressions, _FromFile(events, expressions))


def as_columns(events: ak.Array | Columns) -> Columns:
    """Columns of events that have them as their fields already."""
    if isinstance(events, Columns):
        return events
    return Columns(len(events), events.metadata, events.fields, _FromFile(events, {}))


def _known(values: Any) -> Plain:
    """One value per event as a numpy array; anything else as it is."""
    if isinstance(values, ak.Array) and values.ndim == 1 and not values.fields:
        return ak.to_numpy(values)
    return values if isinstance(values, ak.Array | Jagged) else np.asarray(values)
