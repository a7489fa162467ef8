"""What an input format consists of."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import ArrayLike

from ..coffea_api import BaseSchema
from ..columns import Expression
from ..errors import InputError
from ..opening import EventFile


class Code(NamedTuple):
    """Truth code of a process: ``events[column] == value``."""

    column: str
    value: int


class Exposure(NamedTuple):
    """Exposure of one file.

    Attributes
    ----------
    pot : float
        Protons on target.
    event_weight : float
        Factor of every event of the file, for samples whose entries are not one event each.
    """

    pot: float
    event_weight: float = 1.0


def total(pot: ArrayLike) -> float:
    """Sum of exposures [POT]; infinite or NaN, but without a warning, if they are no numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sum(pot, dtype=np.float64))


TOLERANCE = 0.01
"""Relative difference that two sources of one exposure may have."""


def agreed(sources: Mapping[str, Exposure]) -> tuple[str, Exposure]:
    """The first of several exposures of one file, if all of them are positive and agree.

    Parameters
    ----------
    sources : mapping of str to Exposure
        Name of the source to what it says; not empty.

    Raises
    ------
    InputError
        Names the sources and what they say.
    """
    for name, exposure in sources.items():
        if not (math.isfinite(exposure.pot) and exposure.pot > 0.0):
            raise InputError(
                f"exposure from {name!r} is {exposure.pot} POT, expected > 0; mend the file, name "
                "another source with 'exposure', or set 'pot'"
            )
    name, first = next(iter(sources.items()))
    for other, exposure in sources.items():
        if abs(exposure.pot - first.pot) > TOLERANCE * first.pot:
            raise InputError(
                f"its exposures disagree by more than 1 %: {name!r} says {first.pot:.6g} POT, "
                f"{other!r} {exposure.pot:.6g}; name the right one with 'exposure', or set 'pot'"
            )
    return name, first


ExposureSource = Callable[[EventFile], Exposure | None]


class Loader(NamedTuple):
    """How a file that is not ROOT is read: as a whole, into memory.

    Attributes
    ----------
    recognise : callable
        First bytes of a file (:data:`fileset.opening.HEAD`) to whether it is one of these.
    load : callable
        Path to an array of records, one per event, and whatever else the file holds by name.
    """

    recognise: Callable[[bytes], bool]
    load: Callable[[str], tuple[ak.Array, Mapping[str, Any]]]


def _any(names: frozenset[str]) -> bool:
    return True


def _no_answer(file: EventFile) -> Any:
    return None


@dataclass(frozen=True)
class Format:
    """How events are laid out in a file and what they provide.

    Attributes
    ----------
    name, title : str
        Key in :data:`fileset.formats.FORMATS` and one line for people.
    columns : mapping of str to callable
        Canonical column name to an expression over the events.
    tree : str
        Name of the event tree in a ROOT file.
    schema : type
        coffea schema that turns the branches of the tree into records.
    matches : callable
        Names of the branches of that tree to whether the tree is of this format; tells formats
        apart whose trees have the same name.
    loader : Loader, optional
        For files that are not ROOT; ``tree`` and ``schema`` are then not used.
    unfold : callable, optional
        Entries of the tree to events, for formats that hold several events per entry.
    exposure_sources : mapping of str to callable
        Name of a source to a function of the open file that returns its :class:`Exposure`, or
        None where the file does not have that source. Two that a file has must agree.
    identity : tuple of str
        Branches, one value per entry, that no two entries of a fileset have in common; the first
        two are run and subrun. Empty where the format has none: duplicates are then found among
        whole files only.
    is_mc : callable
        Whether an open file holds simulation; None where it does not say.
    horn_current : callable
        ``"FHC"`` or ``"RHC"`` of an open file; None where it does not say, ``"mixed"`` for both.
    is_overlay : callable
        Whether simulated events were overlaid on others, so that the exposure in the file is that
        of their hosts; None where it does not say.
    universes : callable
        Number of flux universes per event of an open file; None for none.
    beam_direction : tuple of float, optional
        Unit vector of the beam in the frame of ``direction_x, _y, _z``.
    knobs : callable
        Names of the cross-section knobs of an open file, in the order of the ``knob_*`` tables or
        of ``knob_shifts``; None for none.
    knob_sigmas : tuple of float
        Shifts at which ``knob_shifts`` holds each knob [standard deviations].
    notes : tuple of str
        What a user of this format must know; shown whenever it is read.
    """

    name: str
    title: str
    columns: Mapping[str, Expression]
    tree: str = ""
    schema: type[BaseSchema] = BaseSchema
    matches: Callable[[frozenset[str]], bool] = _any
    loader: Loader | None = None
    unfold: Callable[[ak.Array], ak.Array] | None = None
    exposure_sources: Mapping[str, ExposureSource] = field(default_factory=dict)
    identity: tuple[str, ...] = ()
    is_mc: Callable[[EventFile], bool | None] = _no_answer
    horn_current: Callable[[EventFile], str | None] = _no_answer
    is_overlay: Callable[[EventFile], bool | None] = _no_answer
    universes: Callable[[EventFile], int | None] = _no_answer
    beam_direction: tuple[float, float, float] | None = None
    knobs: Callable[[EventFile], tuple[str, ...] | None] = _no_answer
    knob_sigmas: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
