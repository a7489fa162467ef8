"""Everything taken from coffea, in one place.

coffea has announced a successor of its ``Runner`` and the split of its NanoEvents into another
package; when they come, this is the only module that changes.
"""

from typing import Any

import awkward as ak
from coffea.nanoevents import BaseSchema, NanoEventsFactory
from coffea.nanoevents.mapping import UprootSourceMapping
from coffea.nanoevents.methods import base
from coffea.nanoevents.schemas.base import listarray_form
from coffea.nanoevents.transforms import counts2offsets_form
from coffea.nanoevents.util import tuple_to_key
from coffea.processor import IterativeExecutor, ProcessorABC, Runner, accumulate

__all__ = [
    "BaseSchema",
    "IterativeExecutor",
    "NanoEventsFactory",
    "ProcessorABC",
    "Runner",
    "UprootSourceMapping",
    "accumulate",
    "counts2offsets_form",
    "listarray_form",
    "nanoevents",
    "tuple_to_key",
]


def nanoevents(records: ak.Array, metadata: dict[str, Any]) -> ak.Array:
    """Records in memory as coffea events, with metadata, as those of a file are."""
    events = ak.with_name(records, "NanoEvents", behavior=base.behavior)
    return ak.with_parameter(events, "metadata", metadata)
