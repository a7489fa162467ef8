"""Systematics that coffea's ``add_systematic`` made, as what a variation returns."""

from typing import Any

import awkward as ak
import numpy as np

from fileset.errors import InputError

from .reading import Columns
from .registry import Variation

SIDES = ["up", "down"]


def sides(result: Any, events: Columns, variation: Variation) -> Any:
    """Take a systematic of coffea apart.

    Parameters
    ----------
    result : object
        What the function of a variation returned, such as ``record.systematics.drift`` of a record
        from :meth:`processors.reading.Columns.nanoevents`.
    events : Columns, length n
        What it was given.
    variation : Variation

    Returns
    -------
    tuple or object
        Up and down: dictionaries of the columns that differ for a shift, otherwise factors of
        shape (n,). Anything that is no such systematic, as it is.

    Raises
    ------
    InputError
        If it varies columns and the variation is not a shift, or the other way round.
    """
    if not isinstance(result, ak.Array) or result.fields != SIDES:
        return result
    factors = [n for n in result["up"].fields if n.startswith("weight_") and n not in events.given]
    if bool(factors) is variation.shift:
        what, remedy = ("weights", "leave out") if factors else ("columns", "declare it with")
        raise InputError(f"it gives a systematic of coffea that varies {what}; {remedy} shift=True")
    if factors:
        return tuple(ak.to_numpy(result[side, factors[-1]]) for side in SIDES)
    return tuple(_changed(result[side], events) for side in SIDES)


def _changed(side: ak.Array, events: Columns) -> dict[str, Any]:
    """Columns that differ: what is derived must follow them and not stay as it was read."""
    columns = {name: ak.to_numpy(side[name]) for name in side.fields if name in events.given}
    return {
        name: values
        for name, values in columns.items()
        if not np.array_equal(values, events[name], equal_nan=True)
    }
