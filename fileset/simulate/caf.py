"""Names and types of everything that is written, and the writer.

Names follow the NOvA common analysis file. Prongs and neutrinos are one level of jaggedness;
deeper levels are flattened as in a flat file: ``X..length`` and ``X..idx`` per parent, the content
of ``X`` beside them. Branches of one group share a counter branch (``nrec.mc.nu`` and so on), made
by uproot. ``sel.nueid.nueid`` is a name of ours; the score itself is used by published selections.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from ..atomic import renamed_when_complete

TREE, SPILL_TREE = "recTree", "spillTree"

Columns = Mapping[str, NDArray[np.generic]]
Tree = dict[str, object]


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

SPILL = {**_typed("int32", "run subrun evt"), **_typed("float64", "spillpot")}
"""Branches of the spill tree, without ``spill.``."""


def branch_names() -> list[str]:
    """Names of all branches of the slice tree, without counters.

    Returns
    -------
    list of str
        In the order in which they are written.
    """
    names = [f"rec.{name}" for name in SLICE]
    return names + [f"{group}.{name}" for group, types in JAGGED.items() for name in types]


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
    if content.keys() != types.keys():
        difference = sorted(content.keys() ^ types.keys())
        raise ValueError(f"columns {difference} are not both declared and filled; see caf.py")
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    columns = [
        ak.contents.NumpyArray(np.ascontiguousarray(content[name], dtype))
        for name, dtype in types.items()
    ]
    record = ak.contents.RecordArray(columns, list(types), length=int(offsets[-1]))
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), record))


def slice_batch(values: Columns, groups: Mapping[str, tuple[NDArray[np.int64], Columns]]) -> Tree:
    """One batch of slices in the form the writer takes.

    Parameters
    ----------
    values : mapping of str to ndarray, shape (n,)
        Exactly the columns of ``SLICE``.
    groups : mapping of str to (counts, columns)
        Exactly the groups of ``JAGGED``.

    Returns
    -------
    dict
        Branch or group name to array.

    Raises
    ------
    ValueError
        If columns are missing or unknown.
    """
    if values.keys() != SLICE.keys():
        difference = sorted(values.keys() ^ SLICE.keys())
        raise ValueError(f"columns {difference} are not both declared and filled; see caf.py")
    flat: Tree = {
        f"rec.{name}": np.asarray(values[name]).astype(dtype, copy=False)
        for name, dtype in SLICE.items()
    }
    return flat | {name: jagged(*groups[name], types) for name, types in JAGGED.items()}


def _empty(types: Mapping[str, str]) -> ak.types.Type:
    no_content = {name: np.empty(0, dtype) for name, dtype in types.items()}
    return jagged(np.zeros(0, np.int64), no_content, types).type.content


def write(path: Path, batches: Iterable[Tree], spills: Columns) -> None:
    """Write one file with a slice tree and a spill tree.

    Parameters
    ----------
    path : pathlib.Path
        File to make; appears only when it is complete.
    batches : iterable of dict
        From ``slice_batch``; written one at a time, so memory holds one batch.
    spills : mapping of str to ndarray, shape (m,)
        Exactly the columns of ``SPILL``.
    """
    slice_types: Tree = {f"rec.{name}": dtype for name, dtype in SLICE.items()}
    slice_types |= {name: _empty(types) for name, types in JAGGED.items()}
    with (
        renamed_when_complete(path) as partial,
        uproot.recreate(partial, compression=uproot.ZSTD(1)) as file,
    ):
        tree = file.mktree(TREE, slice_types, title="slices", field_name="{}.{}".format)
        for batch in batches:
            tree.extend(batch)
        spill_tree = file.mktree(
            SPILL_TREE, {f"spill.{name}": dtype for name, dtype in SPILL.items()}, title="spills"
        )
        spill_tree.extend(
            {f"spill.{name}": spills[name].astype(dtype) for name, dtype in SPILL.items()}
        )
