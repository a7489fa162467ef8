"""NOvA h5-CAF: the records of a NOvA CAF as tables in an HDF5 file, one group per level.

A group such as ``rec.mc.nu.prim`` has one row per element of that level, in datasets of shape
(N, 1); rows belong together by the numbers of their slice and by one column ``<list>_idx`` per list
that they are in, never by their order. They are joined to the records of :mod:`.nova_caf`, whose
columns apply as they are. One event is one row of ``rec.hdr``, or of ``rec.slc`` without it; of a
file with neither, such as a fragment, one slice that any table mentions.

Nothing but names and shapes is read until a column is used; its table is joined and checked then.
Images and whatever is not a number are left out. A list of plain numbers is a group with the
column ``value``. A group without rows was never filled, unless it is a list.

The layout is that of NU-CUCIS/ph5concat (README), of HEPonHPC/pandana (``core/core.py``,
``nova/utils/index.py``, ``nova/H5Utils/compare_h5_caf.py``) and of hepnos/HEPnOS-NOvA-Classes.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..identity import Keys, describe, event_keys
from ..opening import INSPECTING, EventFile, readable
from . import nova_caf
from .base import Exposure, Loader, total

MAGIC = b"\x89HDF\r\n\x1a\n"

# Numbers of a slice; productions differ in the third and fourth.
_KEYS = ("run", "subrun", "cycle", "batch", "evt", "subevt")
_SLICES = ("rec.hdr", "rec.slc")
_REQUIRED = ("run", "subrun", "evt", "subevt")
# Columns by which two rows of ``spill`` are recognised as one spill.
_SPILL = (*_KEYS, "spilltimesec", "spilltimensec", "spillpot")


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
            values = file[self.name][column][()].reshape(self.rows)
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
    """Elements of a list, or the slices.

    Sorted keys, the position of the element that each belongs to, and the first element of each
    element of the level above.
    """

    keys: Keys
    places: NDArray[np.int64]
    offsets: NDArray[np.int64]


class _Record:
    """Tables of a file and how they nest; a level is the name of a list, or empty for slices."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables
        self.keys = [key for key in _KEYS if all(key in t.columns for t in tables.values())]
        columns = {name for table in tables.values() for name in table.columns}
        self.lists = {name.removesuffix("_idx") for name in columns if _is_index(name)}
        # Each is made once.
        self.level, self.rows = cache(self._level), cache(self._rows)
        own = next((t for n in _SLICES if (t := tables.get(n)) and t.rows), None)
        read = [own.select(_KEYS)] if own else [t.select(self.keys) for t in tables.values()]
        # Tables may have numbers of different types.
        kind = None if own else np.int64
        numbers = {key: np.concatenate([t[key] for t in read], dtype=kind) for key in read[0]}
        keys, once = _unique(event_keys({key: numbers[key] for key in self.keys}), own)
        order = np.sort(once)
        self.numbers = {key: values[order] for key, values in numbers.items()}
        self.slices = _Level(keys, np.searchsorted(order, once), np.zeros(0, np.int64))

    def chain(self, name: str) -> list[str]:
        """Lists that a group is in, its own included, outermost first, behind the slices."""
        return ["", *sorted(above for above in self.lists if f"{name}.".startswith(f"{above}."))]

    def row_keys(self, table: Table, chain: Sequence[str]) -> Keys:
        names = [*self.keys, *(f"{level}_idx" for level in chain[1:])]
        table.require(names)
        return event_keys(table.select(names))

    def locate(self, table: Table, chain: Sequence[str]) -> NDArray[np.int64]:
        """Element of the last level of a chain that each row of a table belongs to."""
        level, wanted = self.level(chain[-1]), self.row_keys(table, chain)
        at = np.searchsorted(level.keys, wanted)
        # Behind the last key, one that is nobody's.
        lost = np.append(level.keys, np.uint64(0))[at] != wanted
        if lost.any():
            first = describe(table.select(_KEYS), int(np.argmax(lost)))
            raise table.problem(
                f"has {lost.sum()} of {table.rows} rows that belong to nothing in the level "
                f"above, the first is {first}"
            )
        return level.places[at]

    def _level(self, name: str) -> _Level:
        if not name:
            return self.slices
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
                f"{describe(table.select(_KEYS), lost[0])}, and no column '{name}_idx' that tells "
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
        leaves = {f"hdr.{key}": values.dtype for key, values in self.numbers.items()}
        buffers: dict[str, Callable[[], NDArray[Any]]] = {
            f"rec.hdr.{key}-data": partial(np.asarray, v) for key, v in self.numbers.items()
        }
        for level in self.lists:
            buffers[f"{level}-offsets"] = partial(self.offsets, level)
        for table in self.tables.values():
            names = [n for n in table.columns if not (n in _KEYS or n == "evt.seq" or _is_index(n))]
            plain = names == ["value"] and table.name in self.lists
            for name in names if table.rows or len(self.chain(table.name)) > 1 else ():
                path = table.name if plain else f"{table.name}.{name}"
                leaves[path.removeprefix("rec.")] = table.columns[name]
                buffers[f"{path}-data"] = partial(self.column, table, name)
        return ak.from_buffers(_form(leaves, "rec", self.lists), len(self.numbers["run"]), buffers)


def _is_index(column: str) -> bool:
    return column.startswith("rec.") and column.endswith("_idx")


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


def load(path: str) -> tuple[ak.Array, dict[str, Any]]:
    """Slices as records, virtual, and the tables outside them by name.

    Parameters
    ----------
    path : str

    Returns
    -------
    events : awkward.Array of records, one per slice
        As :class:`.nova_caf.NovaCAFSchema` makes them; ``hdr`` always has the numbers.
    objects : dict of str to Table
        Such as ``spill``.

    Raises
    ------
    InputError
        If h5py is missing or the groups are not the tables of a CAF.
    """
    groups = {table.name: table for table in _tables(path)}
    tables = {name: table for name, table in groups.items() if name.startswith("rec.")}
    if not tables:
        raise InputError(
            "no group begins with 'rec.', as those of an h5-CAF do; the file holds "
            f"{', '.join(groups) or 'nothing'}; check 'format'"
        )
    for table in tables.values():
        table.require(_REQUIRED)
    return _Record(tables).events(), {n: t for n, t in groups.items() if n not in tables}


def _tables(path: str) -> Iterator[Table]:
    try:
        import h5py
    except ModuleNotFoundError:
        raise InputError("h5py is missing, which reads HDF5: pip install 'nudipole[h5]'") from None
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
            yield table


def _spill(file: EventFile, column: str) -> NDArray[Any] | None:
    found = "spill" in file.objects and column in file.get("spill").columns
    return file.get("spill").read(column) if found else None


def _spills(file: EventFile) -> Exposure | None:
    """Sum of ``spillpot``, each spill once."""
    pot = _spill(file, "spillpot")
    if pot is None:
        return None
    once = np.unique(event_keys(file.get("spill").select(_SPILL)), return_index=True)[1]
    return Exposure(total(pot[once]))


NOVA_H5 = replace(
    nova_caf.NOVA_CAF,
    name="nova_h5",
    title="NOvA h5-CAF (HDF5, groups 'rec.*' and 'spill')",
    tree="",
    loader=Loader(recognise=lambda head: head.startswith(MAGIC), load=load),
    exposure_sources={"spills": _spills},
    identity=tuple(f"rec.hdr.{k}" for k in ("run", "subrun", "evt", "subevt", "cycle", "batch")),
    horn_current=partial(nova_caf.horn_current, read=_spill),
)
