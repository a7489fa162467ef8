"""Events that are in a fileset twice: found by their numbers, not by the names of their files."""

from collections.abc import Mapping

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .formats.base import Format
from .opening import EventFile

Keys = NDArray[np.uint64]
Subruns = tuple[tuple[int, int], ...]

# Run, subrun, event; some productions lack the numbers behind them.
_REQUIRED = 3


def numbers(layout: Format, file: EventFile) -> tuple[Subruns, str]:
    """Look at the numbers of all events of a file.

    Parameters
    ----------
    layout : Format
    file : EventFile

    Returns
    -------
    subruns : tuple of (int, int)
        Runs and subruns in the file; empty where format or file give events no identity.
    twice : str
        What is in the file more than once; empty if nothing is.
    """
    columns = identity(layout, file)
    if not columns:
        return (), ""
    keys = event_keys(columns)
    order = np.argsort(keys, kind="stable")
    repeated = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    twice = ""
    if len(repeated):
        # The stable order puts the repetition behind the event.
        event = describe(columns, int(order[repeated[0] + 1]))
        twice = f"{len(repeated)} of {len(keys)} events, the first is {event}"
    run, subrun = (column.astype(np.int64) for column in list(columns.values())[:2])
    pairs = np.unique(np.stack([run, subrun], axis=1), axis=0)
    return tuple((int(r), int(s)) for r, s in pairs), twice


def identity(layout: Format, file: EventFile) -> dict[str, NDArray[np.generic]]:
    """Branches that identify an event: values by name; none if the file lacks one of them."""
    names = file.tree.names
    if not layout.identity or not names.issuperset(layout.identity[:_REQUIRED]):
        return {}
    return {n: ak.to_numpy(file.tree.read(n, None)) for n in layout.identity if n in names}


def event_keys(columns: Mapping[str, NDArray[np.generic]]) -> Keys:
    """One number per event from the numbers that identify it; equal if and only if they are.

    Different events get the same key with a probability of 2**-64 per pair.
    """
    keys = np.zeros(len(next(iter(columns.values()))), np.uint64)
    for column in columns.values():
        bits = column.astype(np.float64 if column.dtype.kind == "f" else np.int64)
        # Adding 0 makes one zero of the two of floating point.
        keys = mixed(keys ^ mixed((bits + 0).view(np.uint64)))
    return keys


def mixed(keys: Keys) -> Keys:
    """Bijection of 64-bit numbers that spreads neighbours (finaliser of SplitMix64)."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def describe(columns: Mapping[str, NDArray[np.generic]], row: int) -> str:
    """An event by its numbers, for messages."""
    return ", ".join(f"{name.rpartition('.')[2]} {values[row]}" for name, values in columns.items())
