"""What goes in: dataset descriptions, input formats, exposure, fluxes and a toy near detector."""

from .catalog import Dataset, Fileset, load_fileset
from .errors import InputError
from .exposure import Ledger
from .plan import Chunk, make_plan, open_chunk

__all__ = [
    "Chunk",
    "Dataset",
    "Fileset",
    "InputError",
    "Ledger",
    "load_fileset",
    "make_plan",
    "open_chunk",
]
