"""NOvA h5-CAF: the records of a NOvA CAF as tables in an HDF5 file, one group per level.

:mod:`fileset.tables_h5` joins them to the records of :mod:`.nova_caf`, whose columns apply as they
are. One event is one row of ``rec.hdr``, or of ``rec.slc`` without it; of a file with neither, such
as a fragment, one slice that any table mentions.

Names: HEPonHPC/pandana (``nova/utils/index.py``, ``nova/H5Utils/compare_h5_caf.py``) and
hepnos/HEPnOS-NOvA-Classes.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..identity import event_keys
from ..opening import EventFile
from ..tables_h5 import Layout, joined, read_tables
from . import nova_caf
from .base import Exposure, Loader, total

MAGIC = b"\x89HDF\r\n\x1a\n"

# Productions differ in the third and fourth of the numbers of a slice.
_LAYOUT = Layout(
    events=("rec.hdr", "rec.slc"),
    keys=("run", "subrun", "cycle", "batch", "evt", "subevt"),
    required=("run", "subrun", "evt", "subevt"),
)
# Columns by which two rows of ``spill`` are recognised as one spill.
_SPILL = (*_LAYOUT.keys, "spilltimesec", "spilltimensec", "spillpot")


def load(path: str) -> tuple[ak.Array, dict[str, Any]]:
    """Slices as records, virtual, and the tables outside them by name.

    Parameters
    ----------
    path : str

    Returns
    -------
    events : awkward.Array of records, one per slice
        As :class:`.nova_caf.NovaCAFSchema` makes them; ``hdr`` always has the numbers.
    objects : dict of str to Table
        Such as ``spill``.

    Raises
    ------
    InputError
        If h5py is missing or the groups are not the tables of a CAF.
    """
    groups = read_tables(path)
    tables = {name: table for name, table in groups.items() if name.startswith("rec.")}
    if not tables:
        raise InputError(
            "no group begins with 'rec.', as those of an h5-CAF do; the file holds "
            f"{', '.join(groups) or 'nothing'}; check 'format'"
        )
    return joined(tables, _LAYOUT), {n: t for n, t in groups.items() if n not in tables}


def _spill(file: EventFile, column: str) -> NDArray[Any] | None:
    found = "spill" in file.objects and column in file.get("spill").columns
    return file.get("spill").read(column) if found else None


def _spills(file: EventFile) -> Exposure | None:
    """Sum of ``spillpot``, each spill once."""
    pot = _spill(file, "spillpot")
    if pot is None:
        return None
    once = np.unique(event_keys(file.get("spill").select(_SPILL)), return_index=True)[1]
    return Exposure(total(pot[once]))


NOVA_H5 = replace(
    nova_caf.NOVA_CAF,
    name="nova_h5",
    title="NOvA h5-CAF (HDF5, groups 'rec.*' and 'spill')",
    tree="",
    loader=Loader(recognise=lambda head: head.startswith(MAGIC), load=load),
    exposure_sources={"spills": _spills},
    identity=tuple(f"rec.hdr.{k}" for k in ("run", "subrun", "evt", "subevt", "cycle", "batch")),
    horn_current=partial(nova_caf.horn_current, read=_spill),
)
