"""The NOvA file in the convention of flat CAFs: one list or number per branch, none hidden.

The branches are those of the nested layout, which flattens inner lists in the same way; what
differs are the counters. As in cafana/SRProxy (``FlatBasicTypes.h``), the class behind the files
of SBN and DUNE:

* a list of the record has ``X..length``, one number per entry, and neither ``X..idx`` nor
  ``X..totarraysize``;
* a list inside a list has ``X..length`` and ``X..idx`` per element of the outer list, and
  ``X..totarraysize`` per entry. ``X..idx`` counts from the beginning of the entry;
* all three are 32-bit integers, truth values are 8-bit integers, enumerations 16-bit ones.

A program that makes such files copies the histograms ``TotalPOT`` and ``TotalEvents``, one bin
each (SBNSoftware/sbndcode, ``FlattenCAF``); the events counted there are spills, not slices.
"""

import numpy as np
from numpy.typing import NDArray

from .caf import Columns

Histogram = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Contents and edges of the bins."""

_COUNTERS = {
    "rec.vtx.elastic.fuzzyk.png": "rec.vtx.elastic.fuzzyk.png..length",
    "rec.mc.nu": "rec.mc.nu..length",
    "rec.mc.nu.prim": "rec.mc.nu.prim..totarraysize",
    # The list is 'vuniv'; 'ppfx' is a record around it.
    "rec.mc.nu.rwgt.ppfx": "rec.mc.nu.rwgt.ppfx.vuniv..totarraysize",
    "rec.mc.nu.rwgt.genie": "rec.mc.nu.rwgt.genie..totarraysize",
}


def counter(group: str) -> str:
    """Name of the branch that says how many values a group of branches has per entry."""
    return _COUNTERS[group]


def histograms(spills: Columns) -> dict[str, Histogram]:
    """Exposure and number of spills of a file.

    Parameters
    ----------
    spills : mapping of str to ndarray, shape (m,)
        Columns of ``caf.SPILL``.

    Returns
    -------
    dict of str to (contents, edges)
        One bin from 0 to 1 each.
    """
    edges = np.array([0.0, 1.0])
    pot = spills["spillpot"].sum()
    return {
        "TotalPOT": (np.array([pot], np.float64), edges),
        "TotalEvents": (np.array([len(spills["spillpot"])], np.float64), edges),
    }
