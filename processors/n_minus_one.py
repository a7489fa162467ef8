"""Distribution of what each cut cuts on, of the events that pass all other cuts (N-1).

What a cut compares is asked of the cut itself, so that nobody writes it down twice.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .categories import AXIS
from .cut_axes import histogram_of, n_minus_one_name
from .filled import Filled, Floats, Part
from .reading import Columns
from .registry import NOMINAL
from .selections import Predicate, Selection

_NEITHER = -2


class Window(NamedTuple):
    """What a cut asks of one column: a value between two ends, of which one may be infinite."""

    column: str
    low: float
    high: float


class _Asked:
    """A column that notes what it is compared with; all else fails."""

    def __init__(self, column: str, low: float = -math.inf, high: float = math.inf) -> None:
        self.window = Window(column, low, high)

    def __lt__(self, value: float) -> "_Asked":
        return _Asked(self.window.column, high=float(value))

    def __gt__(self, value: float) -> "_Asked":
        return _Asked(self.window.column, low=float(value))

    def __eq__(self, value: object) -> "_Asked":  # type: ignore[override]  # as arrays do
        return _Asked(self.window.column, float(str(value)), float(str(value)))

    __le__ = __lt__
    __ge__ = __gt__
    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: "_Asked") -> "_Asked":
        (column, low, high), (another, *ends) = self.window, other.window
        if column != another:
            raise TypeError("a cut on two columns")
        return _Asked(column, max(low, ends[0]), min(high, ends[1]))


class _Probe:
    """Events of which every column is a :class:`_Asked`."""

    def __getattr__(self, column: str) -> _Asked:
        return _Asked(column)

    __getitem__ = __getattr__


def window(predicate: Predicate) -> Window | None:
    """What a cut asks, if it asks one column to lie between two values; None for other cuts."""
    try:
        return predicate(_Probe()).window
    # Whatever a user's own cut does with what it takes for an array.
    except Exception:
        return None


def windows(selection: Selection) -> dict[str, Window]:
    """Cuts of a selection that :func:`window` understands and that have a histogram."""
    found = {cut: window(predicate) for cut, predicate in selection.items()}
    return {cut: w for cut, w in found.items() if w and n_minus_one_name(cut, w.column)}


def described(selection: Selection) -> dict[str, dict[str, Any]]:
    """The same as plain JSON values, an infinite end as None."""
    return {
        cut: {
            "column": found.column,
            "low": found.low if math.isfinite(found.low) else None,
            "high": found.high if math.isfinite(found.high) else None,
        }
        for cut, found in windows(selection).items()
    }


def n_minus_one(
    columns: Columns,
    weight: NDArray[np.float64],
    passed: Mapping[str, NDArray[np.bool_]],
    selection: Selection,
) -> dict[str, Filled]:
    """Fill, for each cut, what it cuts on of the events that pass all the others.

    Parameters
    ----------
    columns : Columns, length n
        With their category.
    weight : ndarray, shape (n,)
        Nominal weights.
    passed : mapping of str to ndarray of bool, shape (n,)
        One mask per cut.
    selection : dict of str to predicate
        The cuts.

    Returns
    -------
    dict of str to Filled
        Named ``nminusone.CUT.COLUMN``, with the nominal alone on the variation axis.
    """
    cuts = list(passed)
    failed = _only_failed(np.stack(list(passed.values())))
    rows = np.flatnonzero(failed != _NEITHER)
    failed, weight, category = failed[rows], weight[rows], columns.category[rows]
    filled = {}
    for cut, found in windows(selection).items():
        name = f"{n_minus_one_name(cut, found.column)}"
        histogram = histogram_of(name)
        (axis,) = histogram.axes
        # Of boost-histogram, -1 is the underflow, which comes first here.
        bins = axis.index(np.asarray(columns[found.column])[rows]) + 1
        sums = np.zeros((3, len(AXIS) * histogram.size))
        _add(failed, cuts.index(cut), category * histogram.size + bins, weight, sums)
        index = np.flatnonzero(sums[2])
        filled[name] = Filled(name, (NOMINAL,), AXIS, index, (Part(0, sums[:2, index, None]),))
    return filled


@numba.njit(cache=True, nogil=True)
def _only_failed(masks: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Position of the cut that alone an event fails: -1 if it fails none, -2 if several."""
    cuts, n = masks.shape
    result = np.full(n, -1, dtype=np.int16)
    for i in range(n):
        for cut in range(cuts):
            if not masks[cut, i]:
                if result[i] >= 0:
                    result[i] = -2
                    break
                result[i] = cut
    return result


@numba.njit(cache=True, nogil=True)
def _add(
    failed: NDArray[np.int16], cut: int, cell: NDArray[np.int64], weight: Floats, sums: Floats
) -> None:
    """Add weights, their squares and numbers of events that fail none or this one of the cuts."""
    for i in range(len(failed)):
        if failed[i] < 0 or failed[i] == cut:
            sums[0, cell[i]] += weight[i]
            sums[1, cell[i]] += weight[i] * weight[i]
            sums[2, cell[i]] += 1.0
