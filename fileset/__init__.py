"""What goes in: dataset descriptions, input formats, exposure, fluxes and a toy near detector."""

from .memory import keep_freed_memory

# Before numpy is imported; see there.
keep_freed_memory()

from .catalog import Dataset, Fileset, load_fileset  # noqa: E402
from .errors import InputError  # noqa: E402
from .exposure import Ledger  # noqa: E402
from .plan import Chunk, make_plan, open_chunk  # noqa: E402

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
