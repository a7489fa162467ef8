"""How systematic variations are declared, found and evaluated; the variations are elsewhere.

A variation is one function under :func:`variation`, in :mod:`processors.variations` or in a file of
a user's own. What it returns says what kind it is: factors on the weight of each event (a pair up
and down, one side alone, or a table of any number), weights that take the place of a nominal one,
factors by cells of the truth, or replaced columns, for which cuts, derived columns and bins are
evaluated again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from fileset.columns import place
from fileset.errors import InputError, closest

from .categories import CATEGORIES
from .columns import Columns, as_columns, provided
from .fill import Block, TruthCells
from .reweight import acceptable

NOMINAL = "nominal"
CATEGORY = "category"
"""Column with the truth category of each event, a position in :data:`.categories.AXIS`."""

Metadata = Mapping[str, Any]
Labels = Callable[[Metadata], list[str]]
Events: TypeAlias = "ak.Array | Columns"


@dataclass(frozen=True)
class Variation:
    """One registered variation.

    Attributes
    ----------
    name : str
    function : callable
        Columns of events to factors, or to replaced columns for a shift.
    uses : tuple of str
        Columns that it needs; a format without one of them does not have the variation.
    labels : callable
        Metadata of a dataset to the bins of the variation axis.
    shift : bool
        Whether the function replaces columns instead of returning factors.
    optional : tuple of str
        Columns that it reads where they are there.
    replaces : str
        Weight column whose place its values take; empty for factors on the whole weight.
    default : bool
        Whether it is made without being asked for by name.
    data : bool
        Whether it is made of recorded events too.
    source : str
        File that it was read from; empty for our own.
    """

    name: str
    function: Callable[[Columns], Any]
    uses: tuple[str, ...]
    labels: Labels
    shift: bool = False
    optional: tuple[str, ...] = ()
    replaces: str = ""
    default: bool = True
    data: bool = False
    source: str = ""


VARIATIONS: dict[str, Variation] = {}
"""Name to variation, in the order in which they were declared."""


def variation(
    *,
    uses: tuple[str, ...],
    shift: bool = False,
    one_sided: bool = False,
    labels: Labels | None = None,
    **more: Any,
) -> Callable[[Callable[[Columns], Any]], Callable[[Columns], Any]]:
    """Register a variation under the name of its function.

    Parameters
    ----------
    uses : tuple of str
        Canonical or derived columns, or branches by their dotted names, that the function reads.
        It is given these columns and no others.
    shift : bool
        The function returns dictionaries of replaced columns instead of factors.
    one_sided : bool
        The function returns one side, ``<name>Up``, instead of a pair; nothing makes up the other.
    labels : callable, optional
        For a table: the label of each of its columns, from the metadata of the dataset.
    **more
        ``optional``, ``replaces``, ``default`` and ``data`` of :class:`Variation`.

    Raises
    ------
    InputError
        If there is one of this name already.
    """

    def register(function: Callable[[Columns], Any]) -> Callable[[Columns], Any]:
        name = function.__name__
        sides = [f"{name}Up"] if one_sided else [f"{name}Up", f"{name}Down"]
        add(Variation(name, function, uses, labels or (lambda _: sides), shift, **more))
        return function

    return register


def normalisation(name: str, sizes: Mapping[str, float], **more: Any) -> None:
    """Register a normalisation by category.

    Parameters
    ----------
    name : str
    sizes : mapping of str to float
        Truth category to its relative uncertainty; other categories stay as they are.
    **more
        As for :func:`variation`.

    Raises
    ------
    InputError
        For an unknown category.
    """
    unknown = sorted(set(sizes) - set(CATEGORIES))
    if unknown:
        raise InputError(
            f"variation {name!r}: no category {unknown[0]!r}; {closest(unknown[0], CATEGORIES)}"
        )
    table = np.array([sizes.get(category, 0.0) for category in CATEGORIES])

    def function(events: Columns) -> TruthCells:
        return TruthCells(events.category, np.column_stack([1.0 + table, 1.0 - table]))

    function.__name__ = name
    variation(uses=(CATEGORY,), **more)(function)


def add(found: Variation) -> None:
    """Add a variation to the registry.

    Raises
    ------
    InputError
        If there is another one of its name.
    """
    found = replace(found, source=_reading.get())
    known = VARIATIONS.get(found.name)
    if known is not None and known.source != found.source:
        raise InputError(
            f"there is a variation {found.name!r} already, in {known.source or 'the package'}; "
            "give the new one another name"
        )
    VARIATIONS[found.name] = found


class VariationFile(NamedTuple):
    """A file of a user's own with variations: what workers must know of it.

    Attributes
    ----------
    path, text : str
    """

    path: str
    text: str


_reading: ContextVar[str] = ContextVar("reading", default="")
_declared: dict[str, str] = {}


def declare(file: VariationFile) -> list[str]:
    """Register the variations of a user's file, once per process and text.

    Returns
    -------
    list of str
        Their names.

    Raises
    ------
    InputError
        If it cannot be run, or declares nothing.
    """
    if _declared.get(file.path) != file.text:
        for name in [n for n, v in VARIATIONS.items() if v.source == file.path]:
            del VARIATIONS[name]
        token = _reading.set(file.path)
        try:
            # The very text that the driver read: a worker need not see its file system.
            exec(compile(file.text, file.path, "exec"), {"__name__": Path(file.path).stem})
        except InputError as error:
            raise InputError(f"{file.path}: {error}") from error
        # It is somebody else's program: anything can go wrong in it.
        except Exception as error:
            raise InputError(f"{file.path}: {type(error).__name__}: {error}; mend it") from error
        finally:
            _reading.reset(token)
        _declared[file.path] = file.text
    names = [name for name, v in VARIATIONS.items() if v.source == file.path]
    if not names:
        raise InputError(f"{file.path}: declares no variation; see docs/systematics.md")
    return names


def read_files(names: str | None) -> tuple[str | None, tuple[VariationFile, ...]]:
    """Take the files out of a comma-separated list of variations and files.

    Returns
    -------
    names : str, optional
        The others; those made by default where there are files only.
    files : tuple of VariationFile

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    parts = [part.strip() for part in (names or "").split(",") if part.strip()]
    files = []
    for path in [part for part in parts if part.endswith(".py")]:
        try:
            files.append(VariationFile(path, Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot read the variations: {error}") from None
    rest = [part for part in parts if not part.endswith(".py")]
    return (",".join(rest) or None), tuple(files)


def find_variations(names: str | None, files: Sequence[VariationFile] = ()) -> list[Variation]:
    """Registered variations by comma-separated names, and those of a user's files.

    Parameters
    ----------
    names : str, optional
        None or ``"all"`` for those made by default, ``"none"`` for none.
    files : sequence of VariationFile
        All variations in them.

    Raises
    ------
    InputError
        For an unknown name, or a file that cannot be run.
    """
    own = [name for file in files for name in declare(file)]
    wanted: dict[str, Variation] = {}
    for name in (names or "all").split(","):
        if name == "all":
            wanted |= {n: v for n, v in VARIATIONS.items() if v.default and not v.source}
        elif name and name != "none":
            if name not in VARIATIONS:
                raise InputError(f"no variation {name!r}; {closest(name, VARIATIONS)}")
            wanted[name] = VARIATIONS[name]
    return list((wanted | {name: VARIATIONS[name] for name in own}).values())


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
        table, size = result.factors, len(result.factors)
    else:
        table, size = _table(result, labels), len(columns)
    if table.shape != (size, len(labels)):
        raise InputError(
            f"{place(columns.metadata)}: variation {variation.name!r} gives an array of shape "
            f"{table.shape}, expected {(size, len(labels))}"
        )
    # One pass over the table: the smallest value is NaN if any is.
    lowest = table.min(initial=1.0)
    if not np.isfinite(lowest) or np.isinf(table.max(initial=1.0)):
        bad = ~np.isfinite(table).all(axis=0)
        raise InputError(
            f"{place(columns.metadata)}: variation {labels[int(np.argmax(bad))]!r} is not finite "
            f"in some of {len(columns)} selected events; mend the file or leave the variation out "
            "(--variations)"
        )
    if lowest < 0.0:
        table = acceptable(columns, variation.name, table, clipped)
    return TruthCells(result.cell, table) if isinstance(result, TruthCells) else table


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
        return variation.function(columns.only((*variation.uses, *variation.optional)))
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
    table = columns[name]
    counts = ak.to_numpy(ak.num(table, axis=1))
    wrong = (counts != 0) & (counts != size)
    if wrong.any():
        raise InputError(
            f"{place(columns.metadata)}: {name!r} has {counts[wrong][0]} values in some events, "
            f"expected {size} as at the beginning of the dataset"
        )
    content = ak.to_numpy(ak.flatten(table, axis=1)).reshape(-1, size)
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
