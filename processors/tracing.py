"""Which branches a run reads, found without reading any of them.

Cuts, categories, weights and variations are asked for their columns, each column for its branches,
with events of which there are none: what is touched is recorded, and nothing is decompressed.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from fileset.plan import Chunk, recorded_events

from .categories import categorise
from .columns import DERIVED
from .evaluation import available, factors, shifts
from .histograms import HISTOGRAMS
from .nuone import NuoneProcessor
from .reading import Columns, read_columns
from .registry import CATEGORY, Variation
from .reweight import nominal_weights
from .selections import Selection, select

TRUTH = ("true_recoil_energy", "true_neutrino_energy", "nu_pdg")
"""Columns that signal templates and radiative corrections are made of."""


@dataclass(frozen=True)
class Traced:
    """One column that a run reads.

    Attributes
    ----------
    column : str
        Canonical column, or a branch by its name.
    branches : tuple of str
        What it is made of.
    uses : tuple of str
        What reads it: ``selection``, ``category``, ``weight``, ``axes``, ``templates`` or the
        name of a variation.
    all_events : bool
        Whether it is read for all events, or only where some histogram shows them.
    """

    column: str
    branches: tuple[str, ...]
    uses: tuple[str, ...]
    all_events: bool


def trace(processor: NuoneProcessor, chunk: Chunk) -> list[Traced]:
    """Find the columns and branches that a run reads of a dataset.

    Parameters
    ----------
    processor : NuoneProcessor
    chunk : Chunk
        Any chunk of the dataset.

    Returns
    -------
    list of Traced
        Columns for all events first, then those of the selected ones.

    Raises
    ------
    InputError
        As the run would: a cut that needs a column which the format lacks, a missing branch.
    """
    uses: dict[str, list[str]] = {}
    everywhere: set[str] = set()
    for stage, (ask, of_all) in _stages(processor, chunk.metadata["is_mc"]).items():
        columns = read_columns(recorded_events(chunk)[0])
        ask(columns)
        for name in sorted(columns.touched - DERIVED.keys() | columns.touched & columns.given):
            uses.setdefault(name, []).append(stage)
            if of_all:
                everywhere.add(name)
    found = [
        Traced(name, _branches(chunk, name), tuple(stages), name in everywhere)
        for name, stages in uses.items()
    ]
    return sorted(found, key=lambda traced: (not traced.all_events, traced.column))


def _stages(
    processor: NuoneProcessor, is_mc: bool
) -> dict[str, tuple[Callable[[Columns], Any], bool]]:
    """What asks events for columns, and whether it asks all of them."""
    selection = processor.cuts()
    stages: dict[str, tuple[Callable[[Columns], Any], bool]] = {
        "selection": (lambda c: select(c, selection), True),
        "category": (categorise, True),
        "weight": (nominal_weights, True),
        "axes": (lambda c: [c[a.name] for h in HISTOGRAMS.values() for a in h.axes], False),
    }
    if is_mc:
        late = processor.radiative == "none"
        stages["templates"] = (lambda c: [c[name] for name in TRUTH if name in c.fields], not late)
    for variation in processor.find():
        stages[variation.name] = (functools.partial(_vary, variation, selection), variation.shift)
    return stages


def _vary(variation: Variation, selection: Selection, columns: Columns) -> None:
    """Evaluate a variation as a run would, if it would."""
    if not available([variation], columns):
        return
    with_category = columns.replaced({CATEGORY: np.zeros(len(columns), dtype=np.int64)})
    if not variation.shift:
        factors(with_category, variation)
        return
    for moved in shifts(with_category, variation).values():
        select(moved, selection)


def _branches(chunk: Chunk, column: str) -> tuple[str, ...]:
    events, touched = recorded_events(chunk)
    values = read_columns(events)[column]
    if isinstance(values, ak.Array):
        # The content of a table without rows would not be looked at.
        ak.materialize(values)
    return tuple(sorted(touched))
