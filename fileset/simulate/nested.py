"""The NOvA file as one nested record: for RNTuples, which hold lists of any depth.

Dots are forbidden in the names of their fields (ROOT, ``EnsureValidNameForRNTuple``), so that a
dotted name is a path through records here. Lists are lists; their lengths need no columns.
"""

from collections.abc import Mapping

import awkward as ak
from awkward.contents import Content, NumpyArray, RecordArray

from .caf import JAGGED, SPILL, Batch, Columns, Tree, lists, typed

_PRONG, _NEUTRINO = list(JAGGED)[:2]
_INNER = {
    "prim": "rec.mc.nu.prim",
    "rwgt.ppfx.vuniv": "rec.mc.nu.rwgt.ppfx",
    "rwgt.genie": "rec.mc.nu.rwgt.genie",
}
"""Lists inside the list of neutrinos: path in the neutrino to group of columns."""


def slice_tree(batch: Batch) -> Tree:
    """Slices as records.

    Parameters
    ----------
    batch : Batch
        n slices.

    Returns
    -------
    dict
        The one field ``rec``, an array of length n.
    """
    n = len(batch.values["hdr.run"])
    members = _leaves(batch.values)
    counts, prongs = batch.groups[_PRONG]
    members[_PRONG.removeprefix("rec.")] = lists(counts, _record(_leaves(prongs), counts.sum()))
    counts, _ = batch.groups[_NEUTRINO]
    neutrinos = _record(_neutrino_members(batch), counts.sum())
    members[_NEUTRINO.removeprefix("rec.")] = lists(counts, neutrinos)
    return {"rec": ak.Array(_record(members, n))}


def spill_tree(spills: Columns) -> Tree:
    """Spills as records.

    Parameters
    ----------
    spills : mapping of str to ndarray, shape (m,)
        Exactly the columns of ``caf.SPILL``.

    Returns
    -------
    dict
        The one field ``spill``, an array of length m.
    """
    return {"spill": ak.Array(_record(_leaves(typed(spills, SPILL)), len(spills["run"])))}


def _neutrino_members(batch: Batch) -> dict[str, Content]:
    columns = batch.groups[_NEUTRINO][1]
    members = {name: leaf for name, leaf in _leaves(columns).items() if ".." not in name}
    for path, group in _INNER.items():
        counts, content = columns[f"{path}..length"], batch.groups[group][1]
        leaves = _leaves(content)
        is_record = list(leaves) != [path.rpartition(".")[2]]
        inner = _record(leaves, counts.sum()) if is_record else next(iter(leaves.values()))
        members[path] = lists(counts, inner)
    return members


def _leaves(columns: Columns) -> dict[str, Content]:
    return {name: NumpyArray(column) for name, column in columns.items()}


def _record(members: Mapping[str, Content], length: int) -> Content:
    """Records of ``length``; members whose names have their first component in common share one."""
    heads: dict[str, dict[str, Content]] = {}
    for name, content in members.items():
        head, _, rest = name.partition(".")
        heads.setdefault(head, {})[rest] = content
    contents = [below[""] if "" in below else _record(below, length) for below in heads.values()]
    return RecordArray(contents, list(heads), length=int(length))
