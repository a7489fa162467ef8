"""What variations make of events: factors on their weights, or replaced columns."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from fileset.columns import flattened, place
from fileset.errors import InputError

from .coffea_systematics import sides
from .columns import provided
from .fill import Block, TruthCells
from .reading import Columns, as_columns
from .registry import CATEGORY, Variation
from .reweight import acceptable

Events: TypeAlias = "ak.Array | Columns"


def unavailable(variations: Iterable[Variation], format_name: str) -> dict[str, list[str]]:
    """Variations that events of a format cannot have, with the columns that they lack."""
    columns = provided(format_name) | {CATEGORY}
    lacking = {v.name: sorted(_named(v.uses) - columns) for v in variations}
    return {name: missing for name, missing in lacking.items() if missing}


def available(variations: Iterable[Variation], columns: Columns) -> list[Variation]:
    """Variations that events can have, weights before shifts.

    A variation that these files have no table for, such as universes, has no labels.
    """
    metadata = columns.metadata
    fields = columns.fields | {CATEGORY}
    found = [
        v
        for v in variations
        if (metadata["is_mc"] or v.data) and _named(v.uses) <= fields and v.labels(metadata)
    ]
    return sorted(found, key=lambda v: v.shift)


def _named(uses: Iterable[str]) -> set[str]:
    """Those of the columns that are not branches of some file."""
    return {name for name in uses if "." not in name}


def factors(events: Events, variation: Variation, clipped: Counter[str] | None = None) -> Block:
    """Evaluate a variation that is not a shift.

    Parameters
    ----------
    events : coffea NanoEvents or Columns, length n
    variation : Variation
    clipped : Counter, optional
        See :func:`processors.reweight.acceptable`.

    Returns
    -------
    ndarray, shape (n, number of labels), or TruthCells
        Factors on the nominal weight, or on what is left of it without the weight that the
        variation replaces.

    Raises
    ------
    InputError
        If a factor is not finite, or negative and that is not allowed, or their number is not
        what the labels say; if the function reads what it does not declare.
    """
    columns = as_columns(events)
    labels = variation.labels(columns.metadata)
    result = _called(columns, variation)
    table: NDArray[np.floating]
    if isinstance(result, TruthCells):
        result = _checked_cells(result, columns, variation)
        table, size = result.factors, len(result.factors)
    else:
        table, size = _table(result, labels), len(columns)
    if table.shape != (size, len(labels)):
        raise InputError(
            f"{place(columns.metadata)}: variation {variation.name!r} gives an array of shape "
            f"{table.shape}, expected {(size, len(labels))}"
        )
    if _is_ordinary(table):
        return result if isinstance(result, TruthCells) else table
    bad = ~np.isfinite(table).all(axis=0)
    if bad.any():
        raise InputError(
            f"{place(columns.metadata)}: variation {labels[int(np.argmax(bad))]!r} is not finite "
            f"in some of {len(columns)} selected events; give 1 where the truth that it reads is "
            "missing (nan), mend the file or leave the variation out (--variations)"
        )
    table = acceptable(columns, variation.name, table, clipped)
    return TruthCells(result.cell, table) if isinstance(result, TruthCells) else table


def _checked_cells(cells: TruthCells, columns: Columns, variation: Variation) -> TruthCells:
    """Cells of the truth, if there is one of the table for each event."""
    cell, table = np.asarray(cells.cell), np.asarray(cells.factors)
    where = f"{place(columns.metadata)}: variation {variation.name!r}"
    if cell.shape != (len(columns),) or cell.dtype.kind not in "iu":
        raise InputError(
            f"{where} gives cells of shape {cell.shape} and type {cell.dtype}, expected one "
            f"integer for each of {len(columns)} events"
        )
    if len(cell) and not 0 <= cell.min() <= cell.max() < len(table):
        raise InputError(
            f"{where} gives cells from {cell.min()} to {cell.max()}, expected 0 to "
            f"{len(table) - 1}; add one with factors 1 for events that have no other"
        )
    return TruthCells(cell.astype(np.int64, copy=False), table)


def _is_ordinary(table: NDArray[np.floating]) -> bool:
    """Whether all factors are known at a glance to be finite and not negative."""
    if table.dtype.kind != "f" or table.itemsize > 8 or not (table.size and table.dtype.isnative):
        return False
    # As integers, negative numbers are the largest, and then those that are not finite.
    integers = f"u{table.itemsize}"
    infinity = np.array(np.inf, table.dtype).view(integers)
    return bool(table.view(integers).max() < infinity)


def shifts(events: Events, variation: Variation) -> dict[str, Columns]:
    """Evaluate a shift.

    Parameters
    ----------
    events : coffea NanoEvents or Columns, length n
    variation : Variation

    Returns
    -------
    dict of str to Columns, length n
        Label to the events with their columns replaced; what is derived from them follows.

    Raises
    ------
    InputError
        If the function returns another number of sides than its labels, columns of another
        length, or columns that nothing is derived from and nothing uses.
    """
    columns = as_columns(events)
    labels = variation.labels(columns.metadata)
    result = _called(columns, variation)
    sides = result if isinstance(result, tuple) else (result,)
    if len(sides) != len(labels) or not all(isinstance(side, Mapping) for side in sides):
        raise InputError(
            f"variation {variation.name!r}: a shift returns {len(labels)} dictionaries of columns, "
            f"one per label ({', '.join(labels)})"
        )
    for values in sides:
        for name, column in values.items():
            if name not in columns.fields or len(column) != len(columns):
                raise InputError(
                    f"{place(columns.metadata)}: variation {variation.name!r} replaces {name!r} "
                    f"with {len(column)} values, expected a column of {len(columns)} events"
                )
    return {label: columns.replaced(values) for label, values in zip(labels, sides, strict=True)}


def _called(columns: Columns, variation: Variation) -> Any:
    """Result of the function of a variation, which sees the columns that it declares."""
    try:
        events = columns.only((*variation.uses, *variation.optional))
        return sides(variation.function(events), events, variation)
    except InputError as error:
        raise InputError(f"variation {variation.name!r}: {error}") from error
    except Exception as error:
        error.add_note(f"in variation {variation.name!r}, {place(columns.metadata)}")
        raise


def _table(result: Any, labels: Sequence[str]) -> NDArray[np.floating]:
    """Factors as a matrix: a pair of columns, one column, a matrix, or coffea's ``Weights``."""
    if hasattr(result, "variations") and hasattr(result, "weight"):
        nominal = result.weight()
        return np.column_stack([result.weight(modifier=label) / nominal for label in labels])
    if isinstance(result, tuple):
        # Of awkward arrays, column_stack would make another awkward array.
        return np.column_stack([np.asarray(column, dtype=np.float64) for column in result])
    table: NDArray[np.floating] = np.asarray(result)
    # As uproot may have read them.
    table = table.astype(table.dtype.newbyteorder("="), copy=False)
    return table[:, None] if table.ndim == 1 else table


def rows(events: Events, name: str, size: int) -> NDArray[np.floating]:
    """Read a table column as a matrix; events without a row, such as cosmics, get ones.

    Parameters
    ----------
    events : coffea NanoEvents or Columns, length n
    name : str
        Table column.
    size : int
        Expected length of every row.

    Returns
    -------
    ndarray, shape (n, size)
        In the precision of the column.

    Raises
    ------
    InputError
        If a row has another length.
    """
    columns = as_columns(events)
    offsets, content = flattened(columns.raw(name))
    counts = np.diff(offsets)
    wrong = (counts != 0) & (counts != size)
    if wrong.any():
        raise InputError(
            f"{place(columns.metadata)}: {name!r} has {counts[wrong][0]} values in some events, "
            f"expected {size} as at the beginning of the dataset"
        )
    content = content.reshape(-1, size)
    if len(content) == len(columns):
        return content
    matrix = np.ones((len(columns), size), dtype=content.dtype)
    matrix[counts == size] = content
    return matrix


def at_sigmas(
    stored: Sequence[float], values: NDArray[np.floating], wanted: Sequence[float]
) -> NDArray[np.floating]:
    """Factors of a knob between the shifts at which they are stored.

    Parameters
    ----------
    stored : sequence of float, length s
        Shifts in standard deviations, in any order; 0, where the factor is 1, need not be there.
    values : ndarray, shape (..., s)
        Factors at these shifts.
    wanted : sequence of float, length w
        Shifts to interpolate to.

    Returns
    -------
    ndarray, shape (..., w)
        Linear between neighbours, and beyond the last with the slope of the last two; a stored
        shift gives what is stored.
    """
    points = np.asarray(stored, dtype=np.float64)
    if 0.0 not in points:
        points = np.append(points, 0.0)
        values = np.concatenate([values, np.ones_like(values[..., :1])], axis=-1)
    order = np.argsort(points)
    points, values = points[order], values[..., order]
    right = np.clip(np.searchsorted(points, wanted), 1, len(points) - 1)
    share = (np.asarray(wanted) - points[right - 1]) / (points[right] - points[right - 1])
    between = values[..., right - 1] * (1.0 - share) + values[..., right] * share
    return np.asarray(between, dtype=values.dtype)
