"""What an input format consists of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import uproot

from ..coffea_api import BaseSchema
from ..columns import Expression


class SignalCode(NamedTuple):
    """Truth code of neutrino-electron elastic scattering: ``events[column] == value``."""

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


@dataclass(frozen=True)
class Format:
    """How events are laid out in a file and what they provide.

    Attributes
    ----------
    name, title : str
        Key in :data:`fileset.formats.FORMATS` and one line for people.
    tree : str
        Name of the event tree.
    schema : type
        coffea schema that turns branches into records.
    columns : mapping of str to callable
        Canonical column name to an expression over the events of the schema.
    exposure_sources : mapping of str to callable
        Name of a source to a function of the open file that returns its :class:`Exposure`, or
        None where the file does not have that source; the first one found is used.
    is_mc : callable
        Whether an event tree holds simulation.
    universes : callable
        Number of flux universes per event of an event tree.
    beam_direction : tuple of float, optional
        Unit vector of the beam in the frame of ``direction_x, _y, _z``.
    knobs : tuple of str
        Names of the cross-section knobs, in the order of the ``knob_*`` tables.
    notes : tuple of str
        What a user of this format must know; shown whenever it is read.
    """

    name: str
    title: str
    tree: str
    schema: type[BaseSchema]
    columns: Mapping[str, Expression]
    exposure_sources: Mapping[str, Callable[[uproot.ReadOnlyDirectory], Exposure | None]]
    is_mc: Callable[[uproot.TTree], bool]
    universes: Callable[[uproot.TTree], int] = lambda tree: 0
    beam_direction: tuple[float, float, float] | None = None
    knobs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
