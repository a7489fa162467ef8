"""Tables of an HDF5 file, one group per level of nested records, joined to the records they were.

A group such as ``rec.mc.nu.prim`` has one row per element of that level, in datasets of shape
(N, 1); rows belong together by the numbers of their event and by one column ``<list>_idx`` per list
that they are in, never by their order. A list of plain numbers is a group with the column
``value``. Images and whatever is not a number are left out. A group without rows was never filled,
unless it is a list.

Nothing but names and shapes is read until a column is used; its table is joined and checked then.

The layout is that of NU-CUCIS/ph5concat (README), of HEPonHPC/pandana (``core/core.py``) and of
hepnos/HEPnOS-NOvA-Classes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .identity import Keys, describe, event_keys
from .opening import INSPECTING, readable
from .unpacking import check_unpacked

# Added by ph5concat.
_SEQUENCE = "evt.seq"


class Layout(NamedTuple):
    """Names in files of one kind.

    Attributes
    ----------
    events : tuple of str
        Tables with one row per event; the first that has rows says which events there are. Where
        none has, an event is one that any table mentions.
    keys : tuple of str
        Columns with the numbers of an event, as far as a file has them; they become columns of the
        first of ``events``.
    required : tuple of str
        Those that every table has.
    """

    events: tuple[str, ...]
    keys: tuple[str, ...]
    required: tuple[str, ...]

    @property
    def root(self) -> str:
        """Name that those of all tables of events begin with."""
        return self.events[0].partition(".")[0]

    def is_index(self, column: str) -> bool:
        """Whether a column tells which element of a list a row is in."""
        return column.startswith(f"{self.root}.") and column.endswith("_idx")


class Table(NamedTuple):
    """One group: file, name, datasets with one number per row with their types, and its rows."""

    path: str
    name: str
    columns: Mapping[str, np.dtype[Any]]
    rows: int

    def read(self, column: str) -> NDArray[Any]:
        """Values of a column, shape (rows,)."""
        import h5py

        where = f"{self.path}, {self.name}/{column}"
        with readable(where, INSPECTING), h5py.File(self.path) as file:
            dataset = file[self.name][column]
            check_unpacked(where, Path(self.path).stat().st_size, dataset.nbytes)
            values = dataset[()].reshape(self.rows)
        return values.astype(self.columns[column], copy=False)

    def select(self, columns: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Values of several columns by name; those that it lacks are left out."""
        return {name: self.read(name) for name in columns if name in self.columns}

    def require(self, columns: Sequence[str]) -> None:
        """Refuse a table without some columns."""
        if missing := [name for name in columns if name not in self.columns]:
            raise self.problem(f"lacks the key columns {missing}")

    def problem(self, what: str) -> InputError:
        """Error about this group."""
        return InputError(
            f"group {self.name!r} of {Path(self.path).name} {what}; write the file again from the "
            "CAF"
        )


class _Level(NamedTuple):
    """Elements of a list, or the events.

    Sorted keys, the position of the element that each belongs to, and the first element of each
    element of the level above.
    """

    keys: Keys
    places: NDArray[np.int64]
    offsets: NDArray[np.int64]


class _Record:
    """Tables of a file and how they nest; a level is the name of a list, or empty for events."""

    def __init__(self, tables: Mapping[str, Table], layout: Layout) -> None:
        self.tables, self.layout = tables, layout
        self.keys = [key for key in layout.keys if all(key in t.columns for t in tables.values())]
        columns = {name for table in tables.values() for name in table.columns}
        self.lists = {name.removesuffix("_idx") for name in columns if layout.is_index(name)}
        # Each is made once.
        self.level, self.rows = cache(self._level), cache(self._rows)
        own = next((t for n in layout.events if (t := tables.get(n)) and t.rows), None)
        read = [own.select(layout.keys)] if own else [t.select(self.keys) for t in tables.values()]
        # Tables may have numbers of different types.
        kind = None if own else np.int64
        numbers = {key: np.concatenate([t[key] for t in read], dtype=kind) for key in read[0]}
        keys, once = _unique(event_keys({key: numbers[key] for key in self.keys}), own)
        order = np.sort(once)
        self.numbers = {key: values[order] for key, values in numbers.items()}
        self.top = _Level(keys, np.searchsorted(order, once), np.zeros(0, np.int64))

    def chain(self, name: str) -> list[str]:
        """Lists that a group is in, its own included, outermost first, behind the events."""
        return ["", *sorted(above for above in self.lists if f"{name}.".startswith(f"{above}."))]

    def row_keys(self, table: Table, chain: Sequence[str]) -> Keys:
        names = [*self.keys, *(f"{level}_idx" for level in chain[1:])]
        table.require(names)
        return event_keys(table.select(names))

    def describe(self, table: Table, row: int) -> str:
        return describe(table.select(self.layout.keys), row)

    def locate(self, table: Table, chain: Sequence[str]) -> NDArray[np.int64]:
        """Element of the last level of a chain that each row of a table belongs to."""
        level, wanted = self.level(chain[-1]), self.row_keys(table, chain)
        at = np.searchsorted(level.keys, wanted)
        # Behind the last key, one that is nobody's.
        lost = np.append(level.keys, np.uint64(0))[at] != wanted
        if lost.any():
            first = self.describe(table, int(np.argmax(lost)))
            raise table.problem(
                f"has {lost.sum()} of {table.rows} rows that belong to nothing in the level "
                f"above, the first is {first}"
            )
        return level.places[at]

    def _level(self, name: str) -> _Level:
        if not name:
            return self.top
        *above, _ = chain = self.chain(name)
        own = self.tables.get(name)
        # Where the table of the list itself is left out, those below it tell its elements.
        tables = [own] if own else [t for t in self.tables.values() if f"{name}_idx" in t.columns]
        parents = np.concatenate([self.locate(t, above) for t in tables])
        keys, once = _unique(np.concatenate([self.row_keys(t, chain) for t in tables]), own)
        index = np.concatenate([t.read(f"{name}_idx") for t in tables]).astype(np.int64)[once]
        order = np.lexsort((index, parents[once]))
        counts = np.bincount(parents[once], minlength=len(self.level(above[-1]).keys))
        lists = ak.unflatten(index[order], counts)
        start = lists - ak.local_index(lists)
        # With a gap, the second prong would silently become the leading one. Lists in lists may
        # begin at 0 each, or go on counting from the one before.
        if ak.any(start != ak.firsts(start)) or (not above[-1] and ak.any(start)):
            raise tables[0].problem("lacks elements of its lists: their '_idx' have gaps")
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        return _Level(keys, places, np.append(0, np.cumsum(counts)))

    def offsets(self, level: str) -> NDArray[np.int64]:
        return self.level(level).offsets

    def _rows(self, name: str) -> NDArray[np.int64]:
        """Row of each element of a table's level, -1 where there is none."""
        table, chain = self.tables[name], self.chain(name)
        at, own = self.locate(table, chain), np.arange(table.rows)
        rows = np.full(len(self.level(chain[-1]).keys), -1)
        rows[at] = own
        if len(lost := np.flatnonzero(rows[at] != own)):
            raise table.problem(
                f"has {len(lost)} rows too many, the first for "
                f"{self.describe(table, lost[0])}, and no column '{name}_idx' that tells "
                "which is which"
            )
        return rows

    def column(self, table: Table, name: str) -> NDArray[Any]:
        """Values of a column in the order of the elements; NaN where a table lacks a row."""
        rows, values = self.rows(table.name), table.read(name)
        if (rows >= 0).all():
            return values[rows]
        if values.dtype.kind != "f":
            raise table.problem(
                f"has rows for {table.rows} of {len(rows)} elements, and the integers in {name!r} "
                "have no value that means 'missing'"
            )
        return np.append(values, values.dtype.type(np.nan))[rows]

    def events(self) -> ak.Array:
        """Nested records of virtual columns: a buffer is made when it is first looked at."""
        root, head, hidden = self.layout.root, self.layout.events[0], (*self.layout.keys, _SEQUENCE)
        leaves = {f"{head}.{key}": values.dtype for key, values in self.numbers.items()}
        buffers: dict[str, Callable[[], NDArray[Any]]] = {
            f"{head}.{key}-data": partial(np.asarray, v) for key, v in self.numbers.items()
        }
        buffers |= {f"{name}-offsets": partial(self.offsets, name) for name in self.lists}
        for table in self.tables.values():
            names = [n for n in table.columns if not (n in hidden or self.layout.is_index(n))]
            plain = names == ["value"] and table.name in self.lists
            for name in names if table.rows or len(self.chain(table.name)) > 1 else ():
                path = table.name if plain else f"{table.name}.{name}"
                leaves[path] = table.columns[name]
                buffers[f"{path}-data"] = partial(self.column, table, name)
        below = {path.removeprefix(f"{root}."): dtype for path, dtype in leaves.items()}
        return ak.from_buffers(_form(below, root, self.lists), len(self.top.keys), buffers)


def _unique(keys: Keys, table: Table | None) -> tuple[Keys, NDArray[np.int64]]:
    """Different keys, sorted, and where each one is; those of a table of elements all differ."""
    found, once = np.unique(keys, return_index=True)
    if table and len(found) < len(keys):
        twice = len(keys) - len(found)
        raise table.problem(f"has {twice} of {len(keys)} elements more than once")
    return found, once


def _form(leaves: Mapping[str, Any], path: str, lists: Collection[str]) -> ak.forms.Form:
    """Form of the records below a path, by the dotted names and types of what is in them."""
    below: dict[str, dict[str, Any]] = {}
    for name, dtype in leaves.items():
        head, _, rest = name.partition(".")
        below.setdefault(head, {})[rest] = dtype
    if "" in below:
        form = ak.forms.NumpyForm(leaves[""].name, form_key=path)
    else:
        members = {head: _form(inside, f"{path}.{head}", lists) for head, inside in below.items()}
        form = ak.forms.RecordForm(list(members.values()), list(members))
    return ak.forms.ListOffsetForm("i64", form, form_key=path) if path in lists else form


def read_tables(path: str) -> dict[str, Table]:
    """Look at all groups of a file, without reading them.

    Parameters
    ----------
    path : str

    Returns
    -------
    dict of str to Table
        By name, in the order of the file.

    Raises
    ------
    InputError
        If h5py is missing, or the columns of a group differ in length.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise InputError("h5py is missing, which reads HDF5: pip install 'nudipole[h5]'") from None
    found = {}
    with h5py.File(path) as file:
        for name, group in file.items():
            data = group if isinstance(group, h5py.Group) else {}
            rows = {len(dataset): column for column, dataset in data.items() if dataset.shape}
            numbers = {
                column: dataset.dtype.newbyteorder("=")
                for column, dataset in data.items()
                if dataset.dtype.kind in "biuf" and dataset.shape[1:] in ((), (1,))
            }
            table = Table(path, name, numbers, next(iter(rows), 0))
            if len(rows) > 1:
                lengths = ", ".join(f"{column!r} {length}" for length, column in rows.items())
                raise table.problem(f"has columns of different lengths ({lengths})")
            found[name] = table
    return found


def joined(tables: Mapping[str, Table], layout: Layout) -> ak.Array:
    """Records of events from the tables of their levels.

    Parameters
    ----------
    tables : mapping of str to Table
    layout : Layout

    Returns
    -------
    awkward.Array of records, one per event
        Virtual; a dotted name is a path in it, without the root.

    Raises
    ------
    InputError
        If a table lacks required numbers, or an event is there twice; when a column is used, if
        rows of its table belong to nothing, lack or are too many.
    """
    for table in tables.values():
        table.require(layout.required)
    return _Record(tables, layout).events()
