"""Named columns: lazy fields of the events record, and the list of the canonical ones.

A *canonical* column means the same in every input format. A format maps the names below to
expressions over its own branches (``fileset/formats``); everything after that, selections,
weights, variations, sees these names only. A column that a format lacks is absent, never invented.

Columns are lazy: nothing is read until a column is used, and of a selected subset only when the
subset is. Missing values are NaN, so that every comparison with them is false and a cut fails.
"""

import difflib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .basket_values import Jagged
from .errors import InputError, closest


@dataclass(frozen=True)
class Canonical:
    """Meaning of a canonical column.

    Attributes
    ----------
    unit : str
        Unit of the values; ``"1"`` for numbers without one.
    meaning : str
        What it is, in one phrase.
    dtype : str
        numpy type of the values.
    table : bool
        Whether each event has a list of values instead of one; the list is empty where the event
        has none.
    """

    unit: str
    meaning: str
    dtype: str = "float64"
    table: bool = False


CANONICAL: dict[str, Canonical] = {
    # identity
    "run": Canonical("1", "run number", "int64"),
    "subrun": Canonical("1", "subrun number", "int64"),
    "event": Canonical("1", "event number", "int64"),
    # reconstruction
    "shower_energy": Canonical("GeV", "calorimetric energy of the leading shower"),
    "slice_energy": Canonical("GeV", "calorimetric energy of the whole slice"),
    "direction_x": Canonical("1", "x of the leading shower's unit direction, detector frame"),
    "direction_y": Canonical("1", "y of the leading shower's unit direction, detector frame"),
    "direction_z": Canonical("1", "z of the leading shower's unit direction, detector frame"),
    "theta": Canonical("rad", "angle of the leading shower to the beam"),
    "vertex_x": Canonical("cm", "x of the vertex, detector frame"),
    "vertex_y": Canonical("cm", "y of the vertex, detector frame"),
    "vertex_z": Canonical("cm", "z of the vertex, detector frame"),
    "shower_stop_x": Canonical("cm", "x of the leading shower's end"),
    "shower_stop_y": Canonical("cm", "y of the leading shower's end"),
    "shower_stop_z": Canonical("cm", "z of the leading shower's end"),
    "wall_distance": Canonical("cm", "smallest distance of any prong to the side walls"),
    "prong_count": Canonical("1", "number of three-dimensional prongs", "int64"),
    "longest_prong": Canonical("cm", "length of the longest prong"),
    "plane_count": Canonical("1", "contiguous planes of the slice", "int64"),
    "cell_count": Canonical("1", "cells hit in the slice", "int64"),
    "shower_gap": Canonical("cm", "gap between vertex and start of the leading shower"),
    "shower_energy_fraction": Canonical("1", "energy of the leading shower over all showers"),
    "vertex_energy": Canonical("GeV", "energy around the vertex that is not the leading shower's"),
    "vertex_activity": Canonical("GeV", "energy within 10 cm of the vertex"),
    "nuone_id": Canonical("1", "nu-e elastic classifier score of the event"),
    "epi0_id": Canonical("1", "electron against neutral pion classifier score of the event"),
    "nue_id": Canonical("1", "electron-neutrino classifier score of the event"),
    "electron_id": Canonical("1", "electron score of the leading prong"),
    "electron_id_5label": Canonical("1", "electron score of the leading prong, five-label network"),
    # truth
    "nu_pdg": Canonical("1", "PDG code of the neutrino, 0 without truth", "int64"),
    "true_neutrino_energy": Canonical("GeV", "neutrino energy"),
    "true_electron_energy": Canonical("GeV", "TOTAL energy of the final-state electron"),
    "true_electron_theta": Canonical("rad", "angle of the final-state electron to the neutrino"),
    "is_cc": Canonical("1", "charged-current interaction", "bool"),
    "mode": Canonical("1", "interaction mode of the format's generator, -1 without truth", "int64"),
    "interaction_type": Canonical("1", "generator's interaction type, -1 without truth", "int64"),
    "is_nuone": Canonical("1", "generator's own flag of nu-e elastic scattering", "bool"),
    "is_mec": Canonical("1", "generator's own flag of scattering on two nucleons", "bool"),
    "lepton_pdg": Canonical("1", "PDG code of the final-state lepton, 0 without truth", "int64"),
    # weights
    "generator_weight": Canonical("1", "weight of the event from the branch the dataset names"),
    "flux_weight": Canonical("1", "central-value flux correction"),
    "flux_universes": Canonical("1", "flux correction per universe", "float32", table=True),
    "knob_minus2": Canonical("1", "cross-section knobs at -2 sigma", "float32", table=True),
    "knob_minus1": Canonical("1", "cross-section knobs at -1 sigma", "float32", table=True),
    "knob_plus1": Canonical("1", "cross-section knobs at +1 sigma", "float32", table=True),
    "knob_plus2": Canonical("1", "cross-section knobs at +2 sigma", "float32", table=True),
    "knob_shifts": Canonical("1", "each knob at each stored shift", "float32", table=True),
}

Expression = Callable[[ak.Array], Any]


class From:
    """Expression that needs the values at some places of the events and nothing else of them.

    Of events of a file, only these are then made into arrays, by :func:`fileset.virtual.values_at`.

    Parameters
    ----------
    *paths : str
        Dotted, without the prefix of the format.
    make : callable, optional
        Function of the values at each, in the form of :func:`plain`; the values themselves by
        default.
    """

    def __init__(self, *paths: str, make: Callable[..., Any] = lambda values: values) -> None:
        self.paths = paths
        self.make = make

    def __call__(self, events: ak.Array) -> Any:
        """The column of these events."""
        return self.make(*(plain(_follow(events, path)) for path in self.paths))


def _follow(events: ak.Array, path: str) -> ak.Array:
    for name in path.split("."):
        events = events[name]
    return events


def with_columns(
    events: ak.Array, expressions: Mapping[str, Expression], kinds: Mapping[str, Canonical]
) -> ak.Array:
    """Add lazy columns to events; each may use those before it.

    Parameters
    ----------
    events : awkward.Array of records, length n
    expressions : mapping of str to callable
        Column name to a function of the events that returns n values, or n lists for a table.
    kinds : mapping of str to Canonical
        Type of each column.

    Returns
    -------
    awkward.Array of records, length n
        A new array; ``events`` is left as it is.
    """
    for name, expression in expressions.items():
        lazy = _lazy_table if kinds[name].table else _lazy
        events = ak.with_field(events, lazy(events, name, expression, kinds[name]), name)
    return events


def _lazy(events: ak.Array, name: str, expression: Expression, kind: Canonical) -> ak.Array:
    """Array of ``len(events)`` values that are computed when they are first looked at."""
    form = ak.forms.NumpyForm(kind.dtype, form_key=name)
    buffers = {f"{name}-data": lambda: evaluate(events, name, expression, kind)}
    return ak.from_buffers(form, len(events), buffers)


def _lazy_table(events: ak.Array, name: str, expression: Expression, kind: Canonical) -> ak.Array:
    """Array of ``len(events)`` lists that are computed when they are first looked at."""

    @functools.cache
    def compute() -> tuple[NDArray[np.int64], NDArray[Any]]:
        offsets, content = evaluate(events, name, expression, kind)
        return offsets, content.astype(kind.dtype, copy=False)

    content = ak.forms.NumpyForm(kind.dtype, form_key=f"{name}-content")
    form = ak.forms.ListOffsetForm("i64", content, form_key=name)
    buffers = {
        f"{name}-offsets": lambda: compute()[0],
        f"{name}-content-data": lambda: compute()[1],
    }
    return ak.from_buffers(form, len(events), buffers)


def evaluate(events: ak.Array, name: str, expression: Expression, kind: Canonical | None) -> Any:
    """Values of a column.

    Parameters
    ----------
    events : awkward.Array of records, length n
    name : str
        The column, for messages.
    expression : callable
        What it is over these events.
    kind : Canonical, optional
        Its type; None for a branch as it is.

    Returns
    -------
    ndarray, shape (n,), or Jagged of n lists for a table

    Raises
    ------
    InputError
        If a branch is missing or the values are not of that type.
    """
    return typed(_call(events, name, expression), name, kind, len(events), describe(events))


def typed(values: Any, name: str, kind: Canonical | None, length: int, where: str) -> Any:
    """Values of a column of so many events, in its type; see :func:`evaluate`."""
    if kind is None:
        return values
    if kind.table:
        return flattened(values)
    try:
        found = np.asarray(values, dtype=kind.dtype)
        return found if found.shape == (length,) else np.broadcast_to(found, (length,))
    except ValueError as error:
        raise InputError(
            f"{where}: column {name!r} is not one {kind.dtype} per event: {error}"
        ) from error


def _call(events: ak.Array, name: str, expression: Expression) -> Any:
    try:
        return expression(events)
    except (AttributeError, ak.errors.FieldNotFoundError) as error:
        if isinstance(error.__cause__, InputError):
            # awkward takes any error while it reads lengths for a field that is not there.
            raise error.__cause__ from None
        missing = missing_name(error)
        raise InputError(
            f"{describe(events)}: column {name!r} needs the branch {missing!r}, which the file "
            f"lacks; {_nearest(missing, events)}; check 'format'"
        ) from error


def missing_name(error: Exception) -> str:
    """Name of the field that a failed look-up asked for.

    >>> missing_name(AttributeError("no field named 'calE'"))
    'calE'
    """
    text = str(error).splitlines()[0]
    return next(iter(text.replace("'", '"').split('"')[1::2]), text)


def _nearest(missing: str, events: ak.Array) -> str:
    """Branches of the file whose last name is like the missing one, for an error message."""
    branches = [".".join(path) for path in _leaves(events) if path[0] not in CANONICAL]
    last = {branch.rpartition(".")[2] for branch in branches}
    near = difflib.get_close_matches(missing.rpartition(".")[2], last, n=3)
    found = [branch for branch in branches if branch.rpartition(".")[2] in near]
    return f"closest: {', '.join(found[:3])}" if found else closest(missing, branches)


def _leaves(records: ak.Array) -> Iterator[tuple[str, ...]]:
    """Paths of all branches."""
    for name in records.fields:
        members = records[name]
        below = _leaves(members) if members.fields else ((),)
        yield from ((name, *path) for path in below)


def describe(events: ak.Array) -> str:
    """Where events come from, for messages: dataset, file and entries, as far as known."""
    return place(getattr(events, "metadata", None) or {})


def place(metadata: Mapping[str, Any]) -> str:
    """Where events with this metadata come from, for messages."""
    where = f"dataset {metadata.get('dataset', '?')!r}"
    if "filename" in metadata:
        where += f", {metadata['filename']}"
    if "entrystart" in metadata:
        where += f", entries {metadata['entrystart']}-{metadata['entrystop']}"
    return where


Plain: TypeAlias = "NDArray[Any] | Jagged | ak.Array"
"""Numbers, lists of numbers or lists of such lists in numpy arrays, many times faster than awkward
ones; anything else as awkward has it."""


def plain(values: Any) -> Plain:
    """Values as numpy arrays, where they are numbers or lists of numbers, of any depth.

    >>> plain(ak.Array([[1.0, 2.0], [], [3.0]]))
    Jagged(offsets=array([0, 2, 2, 3]), content=array([1., 2., 3.]))
    """
    if not isinstance(values, ak.Array):
        return values
    found = _plain_layout(values.layout)
    return values if found is None else found


def _plain_layout(layout: ak.contents.Content) -> NDArray[Any] | Jagged | None:
    if layout.parameter("__array__") is not None:
        return None
    if isinstance(layout, ak.contents.ListOffsetArray):
        lists = layout.to_ListOffsetArray64()
        offsets = ak.to_numpy(lists.offsets.data)
        content = _plain_layout(lists.content[int(offsets[0]) : int(offsets[-1])])
        return None if content is None else Jagged(offsets - offsets[0], content)
    if layout.is_numpy or (layout.is_regular and layout.content.is_numpy):
        return ak.to_numpy(layout)
    return None


def as_numpy(values: Any) -> NDArray[Any]:
    """One value per event as a numpy array; awkward takes a tenth of a millisecond to see one."""
    return values if isinstance(values, np.ndarray) else ak.to_numpy(values)


def listed(values: Plain) -> ak.Array:
    """The inverse of :func:`plain`.

    >>> listed(Jagged(np.array([0, 2, 2, 3]), np.array([1.0, 2.0, 3.0]))).tolist()
    [[1.0, 2.0], [], [3.0]]
    """
    return ak.Array(_listed_layout(values))


def _listed_layout(values: Plain) -> Any:
    if not isinstance(values, Jagged):
        return ak.to_layout(values)
    content = _listed_layout(values.content)
    return ak.contents.ListOffsetArray(ak.index.Index64(values.offsets), content)


def flattened(table: Plain) -> Jagged:
    """Lists of numbers as numpy arrays, without a copy where they stand one behind the other."""
    found = plain(table)
    if isinstance(found, np.ndarray) and found.ndim == 2:
        found = Jagged(np.arange(len(found) + 1) * found.shape[1], found.reshape(-1))
    if not isinstance(found, Jagged) or isinstance(found.content, Jagged):
        # Awkward's own way, which copies.
        found = plain(ak.to_packed(ak.fill_none(table, [], axis=0)))
    if not isinstance(found, Jagged):
        raise TypeError(f"{ak.type(table)} are no lists of numbers")
    return found


def first_list(values: Plain) -> Plain:
    """First list of each list of lists of numbers, an empty one where there is none.

    >>> listed(first_list(ak.Array([[[1, 2], [3]], [], [[4]]]))).tolist()
    [[1, 2], [], [4]]
    """
    outer = plain(values)
    if not isinstance(outer, Jagged) or not isinstance(outer.content, Jagged):
        return ak.fill_none(ak.firsts(values), [], axis=0)
    starts, inner = outer.offsets[:-1], outer.content
    numbers = outer.offsets[1:] - starts
    if np.any(numbers > 1):
        return plain(ak.to_packed(ak.fill_none(ak.firsts(listed(values)), [], axis=0)))
    # At most one each: their content stands as it is, only its lengths are told anew.
    lengths = np.zeros(len(starts), dtype=np.int64)
    lengths[numbers > 0] = inner.offsets[1:] - inner.offsets[:-1]
    return Jagged(np.concatenate([[0], np.cumsum(lengths)]), inner.content)


def first(values: Plain, missing: float) -> NDArray[Any]:
    """First element of each list, ``missing`` where the list is empty.

    >>> first(ak.Array([[1.5, 2.0], []]), -1.0)
    array([ 1.5, -1. ])
    """
    found = plain(values)
    if not isinstance(found, Jagged) or isinstance(found.content, Jagged):
        return ak.to_numpy(ak.fill_none(ak.firsts(values), missing))
    # In numpy, which is many times faster.
    offsets, content = found
    kind = np.result_type(content, type(missing))
    if not len(content):
        return np.full(len(offsets) - 1, missing, dtype=kind)
    starts = offsets[:-1]
    chosen = content.take(starts, mode="clip").astype(kind, copy=False)
    np.copyto(chosen, missing, where=offsets[1:] <= starts)
    return chosen


def not_negative(values: ak.Array) -> NDArray[np.float64]:
    """NaN where a quantity that cannot be negative carries a negative sentinel.

    >>> not_negative(np.array([0.5, -0.1]))
    array([0.5, nan])
    """
    values = np.asarray(values, dtype=np.float64)
    return np.where(values >= 0.0, values, np.nan)


def opening_angle(one: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """Angle between two vectors of any length, accurate for small angles too [rad].

    Parameters
    ----------
    one, other : array_like of float, shape (3, n)

    Returns
    -------
    ndarray, shape (n,)
        Between 0 and pi; NaN where a vector is zero or NaN.

    Examples
    --------
    >>> opening_angle([[1e-9], [0.0], [1.0]], [[0.0], [0.0], [5.0]])
    array([1.e-09])
    """
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    parallel = np.sum(one * other, axis=0)
    normal = np.sqrt(np.sum(np.cross(one, other, axis=0) ** 2, axis=0))
    angle = np.arctan2(normal, parallel)
    # Vectors that are not zero cannot have both products zero.
    return np.where((normal == 0.0) & (parallel == 0.0), np.nan, angle)
