"""Names and types of everything that is simulated, and the layout for TTrees of NOvA.

Names follow the NOvA common analysis file. Prongs and neutrinos are one level of jaggedness;
deeper levels are flattened as in a flat file: ``X..length`` and ``X..idx`` per parent, the content
of ``X`` beside them. Branches of one group share a counter branch (``nrec.mc.nu`` and so on), made
by uproot. ``sel.nueid.nueid`` is a name of ours; the score itself is used by published selections.

Every layout starts from a :class:`Batch`, whose columns have these names and types.
"""

from collections.abc import Mapping
from typing import NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

TREE, SPILL_TREE = "recTree", "spillTree"

Columns = Mapping[str, NDArray[np.generic]]
Group = tuple[NDArray[np.int64], Columns]
"""Records per slice and the columns of all records, one slice after the other."""

Tree = dict[str, ak.Array | NDArray[np.generic]]
"""Branches, or groups of branches, of one batch."""


def _typed(dtype: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), dtype)


def _xyz(*vectors: str) -> str:
    return " ".join(f"{vector}.{axis}" for vector in vectors for axis in "xyz")


SLICE = {
    **_typed("int32", "hdr.run hdr.subrun hdr.cycle hdr.evt hdr.subevt"),
    **_typed("int8", "hdr.ismc vtx.elastic.IsValid"),
    **_typed("int32", "slc.nhit slc.ncontplanes"),
    **_typed("float32", "slc.calE"),
    **_typed("float32", _xyz("vtx.elastic.vtx")),
    **_typed("float32", "vtx.elastic.prong3dvertexenergyvolume10"),
    **_typed("int32", " ".join(f"vtx.elastic.fuzzyk.{n}" for n in ("npng", "npng2d"))),
    **_typed("int32", " ".join(f"vtx.elastic.fuzzyk.{n}" for n in ("nshwlid", "longestidx"))),
    **_typed("float32", "sel.nuone.nuoneid sel.nuone.epi0nuoneid sel.nueid.nueid"),
    **_typed(
        "float32",
        " ".join(
            f"sel.nuecosrej.distallpng{wall}"
            for wall in ("top", "bottom", "east", "west", "front", "back")
        ),
    ),
    **_typed("int32", "mc.nnu mc.nallnus"),
}
"""Branches with one value per slice, without ``rec.``, and their types."""

CVN_LABELS = ("electron", "photon", "muon", "pizero", "proton", "pion", "neutron", "other")
"""Particles of the eight-label prong classifier, in the order of the scores."""

PRONG = {
    **_typed("int32", "nplane shwlid.nhit"),
    **_typed("float32", f"len calE {_xyz('dir', 'shwlid.start', 'shwlid.stop')}"),
    **_typed("float32", "shwlid.calE shwlid.shwE shwlid.len shwlid.gap shwlid.width"),
    **_typed("float32", "shwlid.lid.shwEFrac shwlid.lid.vtxgev shwlid.lid.gap shwlid.lid.epi0llt"),
    **_typed("float32", " ".join(f"cvnpart.{label}id" for label in CVN_LABELS)),
    **_typed("float32", " ".join(f"spprongcvnpart5label.{p}id" for p in ("electron", "muon"))),
    **_typed("float32", "spprongcvnpart5label.pionid"),
    **_typed("int32", "spprongcvnpart5label.pdgmax truth.pdg truth.motherpdg"),
    **_typed("float32", "truth.p.E"),
}
"""Branches with one value per prong, without ``rec.vtx.elastic.fuzzyk.png.``."""

NEUTRINO = {
    **_typed("float64", "E"),
    **_typed("int32", "pdg pdgorig mode inttype tgtZ tgtA"),
    **_typed("int8", "iscc isvtxcont"),
    **_typed("float32", f"eff {_xyz('vtx')} rwgt.ppfx.cv"),
    **_typed("int32", "prim..length prim..idx rwgt.ppfx.vuniv..length rwgt.ppfx.vuniv..idx"),
    **_typed("int32", "rwgt.genie..length rwgt.genie..idx"),
}
"""Branches with one value per true neutrino, without ``rec.mc.nu.``."""

PRIMARY = {**_typed("int32", "pdg"), **_typed("float64", "p.E p.px p.py p.pz")}
"""Branches with one value per outgoing particle, without ``rec.mc.nu.prim.``."""

UNIVERSE = {"vuniv": "float32"}
"""One value per flux universe, without ``rec.mc.nu.rwgt.ppfx.``."""

KNOB = _typed("float32", "minus2sigma minus1sigma plus1sigma plus2sigma")
"""One value per generator knob, without ``rec.mc.nu.rwgt.genie.``."""

JAGGED = {
    "rec.vtx.elastic.fuzzyk.png": PRONG,
    "rec.mc.nu": NEUTRINO,
    "rec.mc.nu.prim": PRIMARY,
    "rec.mc.nu.rwgt.ppfx": UNIVERSE,
    "rec.mc.nu.rwgt.genie": KNOB,
}
"""Groups of branches that share their number of entries per slice."""

SPILL = {
    **_typed("int32", "run subrun evt"),
    **_typed("float64", "spillpot"),
    **_typed("int8", "isFHC isRHC"),
}
"""Branches of the spill tree, without ``spill.``; names of the horn currents as in the columns of
NOvA's own spill record (hepnos/HEPnOS-NOvA-Classes, ``spill.hpp``)."""


class Batch(NamedTuple):
    """Consecutive slices of a file, before a layout makes branches of them.

    Attributes
    ----------
    values : mapping of str to ndarray, shape (n,)
        The columns of ``SLICE``, in its types.
    groups : mapping of str to (counts, columns)
        The groups of ``JAGGED``, in its types.
    first : int
        Slices of the file before these.
    is_fhc : bool
        Forward horn current.
    """

    values: Columns
    groups: Mapping[str, Group]
    first: int
    is_fhc: bool


def branch_names() -> list[str]:
    """Names of all branches of the slice tree, without counters.

    Returns
    -------
    list of str
        In the order in which they are written.
    """
    names = [f"rec.{name}" for name in SLICE]
    return names + [f"{group}.{name}" for group, types in JAGGED.items() for name in types]


def make_batch(values: Columns, groups: Mapping[str, Group], *, first: int, is_fhc: bool) -> Batch:
    """Give columns their types.

    Parameters
    ----------
    values, groups, first, is_fhc
        See :class:`Batch`; exactly the columns and groups that are declared there.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If columns are missing or unknown.
    """
    return Batch(
        typed(values, SLICE),
        {name: (groups[name][0], typed(groups[name][1], JAGGED[name])) for name in JAGGED},
        first,
        is_fhc,
    )


def empty_batch() -> Batch:
    """No slices: what a layout makes of it tells the types of its branches."""
    return make_batch(
        {name: np.empty(0) for name in SLICE},
        {
            group: (np.zeros(0, np.int64), {name: np.empty(0) for name in types})
            for group, types in JAGGED.items()
        },
        first=0,
        is_fhc=True,
    )


def typed(columns: Columns, types: Mapping[str, str]) -> dict[str, NDArray[np.generic]]:
    """Columns in their types and in the order of these.

    Parameters
    ----------
    columns : mapping of str to ndarray
        Exactly the columns named in ``types``.
    types : mapping of str to str
        Column names and numpy types.

    Returns
    -------
    dict of str to ndarray
        Contiguous; not copied if they are so already.

    Raises
    ------
    ValueError
        If columns are missing or unknown.
    """
    if columns.keys() != types.keys():
        difference = sorted(columns.keys() ^ types.keys())
        raise ValueError(f"columns {difference} are not both declared and filled; see caf.py")
    return {name: np.ascontiguousarray(columns[name], dtype) for name, dtype in types.items()}


def lists(counts: NDArray[np.generic], content: ak.contents.Content) -> ak.contents.Content:
    """Cut consecutive elements into lists of given lengths."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return ak.contents.ListOffsetArray(ak.index.Index64(offsets), content)


def jagged(counts: NDArray[np.int64], content: Columns, types: Mapping[str, str]) -> ak.Array:
    """Lists of records from flat columns.

    Parameters
    ----------
    counts : ndarray of int, shape (n,)
        Records per slice.
    content : mapping of str to ndarray, shape (sum of counts,)
        Exactly the columns named in ``types``.
    types : mapping of str to str
        Column names and numpy types, in writing order.

    Returns
    -------
    awkward.Array, length n
        Ready to be written.

    Raises
    ------
    ValueError
        If columns are missing or unknown.
    """
    columns = [ak.contents.NumpyArray(column) for column in typed(content, types).values()]
    record = ak.contents.RecordArray(columns, list(types), length=int(np.sum(counts)))
    return ak.Array(lists(counts, record))


def slice_tree(batch: Batch) -> Tree:
    """Branches of the slice tree.

    Parameters
    ----------
    batch : Batch
        n slices.

    Returns
    -------
    dict
        Branch or group name to array of length n.
    """
    tree: Tree = {f"rec.{name}": column for name, column in batch.values.items()}
    return tree | {name: jagged(*batch.groups[name], types) for name, types in JAGGED.items()}


def spill_tree(spills: Columns) -> Tree:
    """Branches of the spill tree.

    Parameters
    ----------
    spills : mapping of str to ndarray, shape (m,)
        Exactly the columns of ``SPILL``.

    Returns
    -------
    dict
        Branch name to array of length m.
    """
    return {f"spill.{name}": column for name, column in typed(spills, SPILL).items()}
