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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..identity import Keys, describe, event_keys
from ..opening import INSPECTING, EventFile, readable
from . import nova_caf
from .base import Exposure, Format, Loader

MAGIC = b"\x89HDF\r\n\x1a\n"

_PREFIX = "rec."
_KEYS = ("run", "subrun", "cycle", "batch", "evt", "subevt")
"""Numbers of a slice; productions differ in the third and fourth."""
_REQUIRED = ("run", "subrun", "evt", "subevt")
_SPILL = (*_KEYS, "spilltimesec", "spilltimensec", "spillpot")
"""Columns by which two rows of ``spill`` are recognised as one spill."""
_REWRITE = "write the file again from the CAF"


class Table(NamedTuple):
    """One group.

    Attributes
    ----------
    path, name : str
        File and group.
    columns : mapping of str to numpy.dtype
        Datasets with one number per row, and their types.
    rows : int
    """

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

    def problem(self, what: str) -> InputError:
        """Error about this group."""
        return InputError(f"group {self.name!r} of {Path(self.path).name} {what}; {_REWRITE}")


class Elements(NamedTuple):
    """Elements of one level, in their order.

    Attributes
    ----------
    keys, order : ndarray, shape (n,)
        Sorted keys, and the position of the element that each belongs to.
    offsets : ndarray of int, shape (m + 1,)
        First element of each of the m elements of the level above, and n; unused for slices.
    """

    keys: Keys
    order: NDArray[np.intp]
    offsets: NDArray[np.int64]

    def locate(self, wanted: Keys, table: Table) -> NDArray[np.int64]:
        """Position of the element that each row of a table belongs to.

        Raises
        ------
        InputError
            If a row belongs to none.
        """
        at = np.minimum(np.searchsorted(self.keys, wanted), max(len(self.keys) - 1, 0))
        lost = self.keys[at] != wanted if len(self.keys) else np.ones(len(wanted), bool)
        if lost.any():
            first = describe(table.select(_KEYS), int(np.argmax(lost)))
            raise table.problem(
                f"has {lost.sum()} of {table.rows} rows that belong to nothing in the level "
                f"above, the first is {first}"
            )
        return np.asarray(self.order[at])


def _elements(keys: Keys, offsets: NDArray[np.int64], table: Table) -> Elements:
    order = np.argsort(keys)
    if twice := np.count_nonzero(np.diff(keys[order]) == 0):
        raise table.problem(f"has {twice} of {len(keys)} elements more than once")
    return Elements(keys[order], order, offsets)


@dataclass(frozen=True)
class _Record:
    """Tables of a file and how they nest; a level is the name of a list, or empty for slices."""

    tables: Mapping[str, Table]
    slices: Table
    numbers: Mapping[str, NDArray[Any]]
    lists: frozenset[str]
    keys: tuple[str, ...]
    joined: dict[str, Any] = field(default_factory=dict)

    def chain(self, name: str) -> list[str]:
        """Lists that a group is in, its own included, outermost first, behind the slices."""
        return ["", *sorted(above for above in self.lists if f"{name}.".startswith(f"{above}."))]

    def row_keys(self, table: Table, chain: Sequence[str]) -> Keys:
        names = [*self.keys, *(f"{level}_idx" for level in chain[1:])]
        if missing := [name for name in names if name not in table.columns]:
            raise table.problem(f"lacks the key columns {missing}")
        return event_keys(table.select(names))

    def elements(self, level: str) -> Elements:
        if level not in self.joined:
            self.joined[level] = self._list(level) if level else self._slices()
        found: Elements = self.joined[level]
        return found

    def _slices(self) -> Elements:
        keys = event_keys({name: self.numbers[name] for name in self.keys})
        return _elements(keys, np.zeros(1, np.int64), self.slices)

    def _list(self, level: str) -> Elements:
        """Join a list to the level above."""
        *above, _ = chain = self.chain(level)
        parent = self.elements(above[-1])
        # Where the table of the list itself is left out, those below it tell its elements.
        below = [t for t in self.tables.values() if f"{level}_idx" in t.columns]
        tables = [t for t in below if t.name == level] or below
        parents = np.concatenate([parent.locate(self.row_keys(t, above), t) for t in tables])
        index = np.concatenate([t.read(f"{level}_idx") for t in tables]).astype(np.int64)
        keys = np.concatenate([self.row_keys(t, chain) for t in tables])
        if tables[0].name != level:
            once = np.unique(keys, return_index=True)[1]
            parents, index, keys = parents[once], index[once], keys[once]
        order = np.lexsort((index, parents))
        counts = np.bincount(parents, minlength=len(parent.keys))
        found = _elements(keys[order], np.append(0, np.cumsum(counts)), tables[0])
        _check_complete(index[order], found.offsets, tables[0], from_zero=not above[-1])
        return found

    def offsets(self, level: str) -> NDArray[np.int64]:
        return self.elements(level).offsets

    def rows(self, table: Table) -> NDArray[np.int64]:
        """Row of each element of a table's level, -1 where there is none."""
        if (key := f"rows of {table.name}") not in self.joined:
            chain = self.chain(table.name)
            elements = self.elements(chain[-1])
            at = elements.locate(self.row_keys(table, chain), table)
            rows = np.full(len(elements.keys), -1)
            rows[at] = np.arange(table.rows)
            if len(lost := np.flatnonzero(rows[at] != np.arange(table.rows))):
                raise table.problem(
                    f"has {len(lost)} rows too many, the first for "
                    f"{describe(table.select(_KEYS), lost[0])}, and no column "
                    f"'{table.name}_idx' that tells which is which"
                )
            self.joined[key] = rows
        found: NDArray[np.int64] = self.joined[key]
        return found

    def column(self, table: Table, name: str) -> NDArray[Any]:
        """Values of a column in the order of the elements; NaN where a table lacks a row."""
        rows, values = self.rows(table), table.read(name)
        if (rows >= 0).all():
            return np.asarray(values[rows])
        if values.dtype.kind != "f":
            raise table.problem(
                f"has rows for {table.rows} of {len(rows)} elements, and the integers in {name!r} "
                "have no value that means 'missing'"
            )
        return np.append(values, values.dtype.type(np.nan))[rows]


def _check_complete(
    index: NDArray[np.int64], offsets: NDArray[np.int64], table: Table, *, from_zero: bool
) -> None:
    """Refuse lists with gaps, in which the second prong would silently become the leading one.

    Lists in lists may begin at 0 each, or go on counting from the one before.
    """
    counts = np.diff(offsets)
    start = index - np.arange(len(index)) + np.repeat(offsets[:-1], counts)
    first = start[offsets[:-1][counts > 0]]
    if (start != np.repeat(first, counts[counts > 0])).any() or (from_zero and first.any()):
        raise table.problem("lacks elements of its lists: their '_idx' have gaps")


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
    tables = {name: table for name, table in groups.items() if name.startswith(_PREFIX)}
    if not tables:
        raise InputError(
            f"no group begins with {_PREFIX!r}, as those of an h5-CAF do; the file holds "
            f"{', '.join(groups) or 'nothing'}; check 'format'"
        )
    for table in tables.values():
        if missing := [name for name in _REQUIRED if name not in table.columns]:
            raise table.problem(f"lacks the key columns {missing}")
    keys = tuple(key for key in _KEYS if all(key in t.columns for t in tables.values()))
    indices = {name for t in tables.values() for name in t.columns if _is_index(name)}
    slices, numbers = _slice_numbers(tables, keys)
    lists = frozenset(name.removesuffix("_idx") for name in indices)
    events = _assembled(_Record(tables, slices, numbers, lists, keys))
    return events, {name: table for name, table in groups.items() if name not in tables}


def _is_index(column: str) -> bool:
    return column.startswith(_PREFIX) and column.endswith("_idx")


def _tables(path: str) -> Iterator[Table]:
    try:
        import h5py
    except ModuleNotFoundError:
        raise InputError("h5py is missing, which reads HDF5: pip install 'nudipole[h5]'") from None
    with h5py.File(path) as file:
        for name, group in file.items():
            data = group if isinstance(group, h5py.Group) else {}
            rows = {len(dataset): column for column, dataset in data.items() if dataset.shape}
            table = Table(
                path,
                name,
                {
                    column: dataset.dtype.newbyteorder("=")
                    for column, dataset in data.items()
                    if dataset.dtype.kind in "biuf" and dataset.shape[1:] in ((), (1,))
                },
                next(iter(rows), 0),
            )
            if len(rows) > 1:
                lengths = ", ".join(f"{column!r} {length}" for length, column in rows.items())
                raise table.problem(f"has columns of different lengths ({lengths})")
            yield table


def _slice_numbers(
    tables: Mapping[str, Table], keys: Sequence[str]
) -> tuple[Table, dict[str, NDArray[Any]]]:
    """Numbers of every slice, in the order of the file, and the table that they are from."""
    for name in ("rec.hdr", "rec.slc"):
        if name in tables and tables[name].rows:
            return tables[name], tables[name].select(_KEYS)
    read = [table.select(keys) for table in tables.values()]
    numbers = {key: np.concatenate([t[key].astype(np.int64) for t in read]) for key in keys}
    once = np.sort(np.unique(event_keys(numbers), return_index=True)[1])
    return next(iter(tables.values())), {key: values[once] for key, values in numbers.items()}


def _assembled(record: _Record) -> ak.Array:
    """Nested records of virtual columns: a buffer is made when it is first looked at."""
    lists = {level.removeprefix(_PREFIX): level for level in record.lists}
    buffers: dict[str, Callable[[], NDArray[Any]]] = {
        f"{path}-offsets": partial(record.offsets, level) for path, level in lists.items()
    }
    tree: dict[str, Any] = {}
    for key, values in record.numbers.items():
        buffers[f"hdr.{key}-data"] = partial(np.asarray, values)
        _put(tree, f"hdr.{key}", values.dtype)
    for table in record.tables.values():
        names = [n for n in table.columns if not (n in _KEYS or n == "evt.seq" or _is_index(n))]
        plain = names == ["value"] and table.name in record.lists
        for name in names if table.rows or len(record.chain(table.name)) > 1 else ():
            path = (table.name if plain else f"{table.name}.{name}").removeprefix(_PREFIX)
            buffers[f"{path}-data"] = partial(record.column, table, name)
            _put(tree, path, table.columns[name])
    return ak.from_buffers(_form(tree, "", lists), len(record.numbers["run"]), buffers)


def _put(tree: dict[str, Any], path: str, dtype: np.dtype[Any]) -> None:
    *above, name = path.split(".")
    for component in above:
        tree = tree.setdefault(component, {})
    tree[name] = dtype


def _form(tree: Any, path: str, lists: Mapping[str, str]) -> ak.forms.Form:
    if isinstance(tree, dict):
        members = {name: _form(t, f"{path}.{name}".lstrip("."), lists) for name, t in tree.items()}
        form = ak.forms.RecordForm(list(members.values()), list(members))
    else:
        form = ak.forms.NumpyForm(tree.name, form_key=path)
    return ak.forms.ListOffsetForm("i64", form, form_key=path) if path in lists else form


def _spill(file: EventFile, column: str) -> NDArray[Any] | None:
    if "spill" not in file.objects or column not in file.get("spill").columns:
        return None
    return np.asarray(file.get("spill").read(column))


def spills(file: EventFile) -> Exposure | None:
    """Sum of ``spillpot``, each spill once."""
    pot = _spill(file, "spillpot")
    if pot is None:
        return None
    once = np.unique(event_keys(file.get("spill").select(_SPILL)), return_index=True)[1]
    return Exposure(float(pot[once].sum(dtype=np.float64)))


def horn_current(file: EventFile) -> str | None:
    """Flags ``isFHC`` and ``isRHC`` of the spills."""
    flags = {"FHC": _spill(file, "isFHC"), "RHC": _spill(file, "isRHC")}
    found = [name for name, values in flags.items() if values is not None and np.any(values != 0)]
    return "mixed" if len(found) > 1 else next(iter(found), None)


def _as_caf(file: EventFile) -> EventFile:
    """The file under the names that its branches have in a CAF."""
    tree = replace(
        file.tree,
        names=frozenset(f"{_PREFIX}{name}" for name in file.tree.names),
        read=lambda name, stop: file.tree.read(name.removeprefix(_PREFIX), stop),
    )
    return replace(file, tree=tree)


NOVA_H5 = Format(
    name="nova_h5",
    title="NOvA h5-CAF (HDF5, groups 'rec.*' and 'spill')",
    schema=nova_caf.NovaCAFSchema,
    loader=Loader(recognise=lambda head: head.startswith(MAGIC), load=load),
    columns=nova_caf.NOVA_CAF.columns,
    exposure_sources={"spills": spills},
    identity=tuple(f"hdr.{key}" for key in ("run", "subrun", "evt", "subevt", "cycle", "batch")),
    is_mc=lambda file: nova_caf.is_simulation(_as_caf(file)),
    horn_current=horn_current,
    is_overlay=lambda file: nova_caf.is_overlay(_as_caf(file)),
    universes=lambda file: nova_caf.universes(_as_caf(file)),
    beam_direction=nova_caf.NUMI_BEAM_DIRECTION,
    knobs=lambda file: nova_caf.knobs(_as_caf(file)),
)
