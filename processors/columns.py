"""Derived columns: what follows from the canonical ones by kinematics, the same for every format.

A derived column is one function with its unit in the docstring and the columns that it uses in the
decorator; it is added, lazily, wherever those are there.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import awkward as ak
import numba
import numpy as np
from numpy.typing import NDArray

from fileset.coffea_api import nanoevents
from fileset.columns import (
    CANONICAL,
    Canonical,
    Expression,
    From,
    describe,
    evaluate,
    place,
    typed,
    with_columns,
)
from fileset.errors import InputError
from fileset.events import canonical_expressions
from fileset.formats import FORMATS
from fileset.virtual import Values, basket_cuts, selected

from .kernels import constants
from .kernels.compilation import quiet

Column = Callable[[ak.Array], NDArray[np.float64]]

DERIVED: dict[str, tuple[Column, tuple[str, ...], Canonical]] = {}
"""Name to function, columns used, and meaning; in the order of definition, later use earlier."""


def column(
    *, uses: tuple[str, ...], unit: str, dtype: str = "float64"
) -> Callable[[Column], Column]:
    """Register a derived column under the name of its function.

    Parameters
    ----------
    uses : tuple of str
        Canonical or derived columns that the function reads.
    unit : str
    dtype : str
        numpy type of the values.
    """

    def register(function: Column) -> Column:
        meaning = (function.__doc__ or "").partition("\n")[0]
        DERIVED[function.__name__] = (function, uses, Canonical(unit, meaning, dtype))
        return function

    return register


def add_columns(events: ak.Array) -> ak.Array:
    """Add every derived column whose inputs the events have.

    Parameters
    ----------
    events : coffea NanoEvents, length n
        With canonical columns (:func:`fileset.events.canonical`).

    Returns
    -------
    coffea NanoEvents, length n
        A column that the format provides itself is kept as it is.
    """
    canonical = set(events.fields)
    available = set(canonical)
    expressions = {}
    for name, (function, uses, _) in DERIVED.items():
        if name not in canonical and available.issuperset(uses):
            expressions[name] = function
            available.add(name)
    return with_columns(events, expressions, {name: kind for name, (_, _, kind) in DERIVED.items()})


def provided(format_name: str) -> set[str]:
    """Columns that events of a format have, canonical and derived."""
    return _with_derived(frozenset(FORMATS[format_name].columns))


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
        self.fields = frozenset(_with_derived(self.given))

    def __len__(self) -> int:
        return self._length

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, wanted: str | NDArray[Any]) -> Any:
        if not isinstance(wanted, str):
            return self._subset(np.asarray(wanted))
        if wanted not in self._known:
            if wanted in self.given or wanted in self._shared:
                values = self._read(wanted)
            elif wanted in self.fields:
                values = DERIVED[wanted][0](self)
            elif (wanted in DERIVED or wanted in CANONICAL) and not self._anything:
                raise MissingColumnError(self.metadata, self._lacking(wanted))
            else:
                values = self._read(wanted)
            self._known[wanted] = _plain(values)
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
            return self[name]

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
        moved = _affected(frozenset(values)) - (self.given - values.keys())

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
        return self._values[name] if name in self._values else self._columns[name]

    def subset(self, rows: NDArray[np.int64]) -> "_Replaced":
        some = {name: np.asarray(values)[rows] for name, values in self._values.items()}
        return _Replaced(self._columns[rows], some)

    def cuts(self, size: int) -> NDArray[np.int64]:
        return self._columns._cuts(size)


class _FromFile:
    """Reads columns of events of a chunk, through the expressions of their format."""

    def __init__(self, events: ak.Array, expressions: Mapping[str, Expression]) -> None:
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
        return self._all if self._rows is None else selected(self._all, self._rows)

    def subset(self, rows: NDArray[np.int64]) -> "_FromFile":
        some = _FromFile(self._all, self._expressions)
        some._rows, some._values = rows, self._values.of(rows)
        return some

    def cuts(self, size: int) -> NDArray[np.int64]:
        found = basket_cuts(self._all)
        return np.arange(0, len(self._all), size) if found is None else found


def read_columns(events: ak.Array) -> Columns:
    """Columns of the events of a file, by the names that every format shares.

    Parameters
    ----------
    events : coffea NanoEvents
        As opened by :mod:`fileset`, or by coffea with the schema of the format.
    """
    events, expressions = canonical_expressions(events)
    return Columns(len(events), events.metadata, expressions, _FromFile(events, expressions))


def as_columns(events: ak.Array | Columns) -> Columns:
    """Columns of events that have them as their fields already."""
    if isinstance(events, Columns):
        return events
    return Columns(len(events), events.metadata, events.fields, _FromFile(events, {}))


def _plain(values: Any) -> Any:
    """One value per event as a numpy array; anything else as it is."""
    if isinstance(values, ak.Array) and values.ndim == 1 and not values.fields:
        return ak.to_numpy(values)
    return values if isinstance(values, ak.Array) else np.asarray(values)


def _with_derived(given: frozenset[str]) -> set[str]:
    available = set(given)
    for name, (_, uses, _) in DERIVED.items():
        if available.issuperset(uses):
            available.add(name)
    return available


def _affected(changed: frozenset[str]) -> set[str]:
    """Columns that change with others: these and all that are derived from them."""
    moved = set(changed)
    for name, (_, uses, _) in DERIVED.items():
        if not moved.isdisjoint(uses):
            moved.add(name)
    return moved


def _values(events: Any, *names: str) -> tuple[NDArray[np.float64], ...]:
    return tuple(ak.to_numpy(events[name]) for name in names)


@quiet
@numba.vectorize(cache=True)
def _angle(x: float, y: float, z: float, a: float, b: float, c: float) -> float:
    """Angle between a vector and a unit vector; NaN for one of length zero or that is NaN."""
    norm = math.sqrt(x * x + y * y + z * z)
    if not norm > 0.0:
        return math.nan
    # From the chord between the unit vectors. Not acos(dot): near 1 it loses half of the digits.
    chord = math.sqrt((x / norm - a) ** 2 + (y / norm - b) ** 2 + (z / norm - c) ** 2)
    return 2.0 * math.asin(min(0.5 * chord, 1.0))


@column(uses=("direction_x", "direction_y", "direction_z"), unit="rad")
def theta(events: ak.Array) -> NDArray[np.float64]:
    """Angle of the leading shower to the beam, from the chord between the unit vectors [rad]."""
    beam = np.asarray(FORMATS[events.metadata["format"]].beam_direction)
    direction = _values(events, "direction_x", "direction_y", "direction_z")
    return _angle(*direction, *(beam / np.linalg.norm(beam)))


@column(uses=("shower_energy", "theta"), unit="GeV rad^2")
def etheta2(events: ak.Array) -> NDArray[np.float64]:
    """Calorimetric shower energy times squared angle to the beam [GeV rad^2]."""
    energy, angle = _values(events, "shower_energy", "theta")
    return energy * angle**2


@column(uses=("shower_energy",), unit="GeV")
def recoil_energy(events: ak.Array) -> NDArray[np.float64]:
    """Kinetic energy of the electron: calorimetric shower energy less the rest energy [GeV]."""
    (energy,) = _values(events, "shower_energy")
    return energy - constants.M_E


@column(uses=("recoil_energy", "theta"), unit="GeV rad^2")
def ttheta2(events: ak.Array) -> NDArray[np.float64]:
    """Electron kinetic energy times squared angle to the beam [GeV rad^2]."""
    energy, angle = _values(events, "recoil_energy", "theta")
    return energy * angle**2


@column(uses=("slice_energy", "shower_energy"), unit="GeV")
def hadronic_energy(events: ak.Array) -> NDArray[np.float64]:
    """Calorimetric energy of the slice outside the leading shower [GeV]."""
    total, shower = _values(events, "slice_energy", "shower_energy")
    return total - shower


@column(uses=("true_electron_energy",), unit="GeV")
def true_recoil_energy(events: ak.Array) -> NDArray[np.float64]:
    """Kinetic energy of the final-state electron, truth [GeV]."""
    (energy,) = _values(events, "true_electron_energy")
    return energy - constants.M_E
