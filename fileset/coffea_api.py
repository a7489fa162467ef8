"""Everything taken from coffea, in one place.

coffea has announced a successor of its ``Runner`` and the split of its NanoEvents into another
package; when they come, this is the only module that changes.
"""

from coffea.nanoevents import BaseSchema, NanoEventsFactory
from coffea.nanoevents.schemas.base import listarray_form
from coffea.nanoevents.transforms import counts2offsets_form
from coffea.processor import IterativeExecutor, ProcessorABC, Runner, accumulate

__all__ = [
    "BaseSchema",
    "IterativeExecutor",
    "NanoEventsFactory",
    "ProcessorABC",
    "Runner",
    "accumulate",
    "counts2offsets_form",
    "listarray_form",
]
