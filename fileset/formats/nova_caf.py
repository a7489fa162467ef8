"""NOvA Common Analysis File: tree ``recTree``, one entry per slice, spills in ``spillTree``.

Nested records through :class:`NovaCAFSchema`; the leading shower is the first prong's. The
exposure is the sum of ``spillpot`` over spills, never over slices; derived files carry it in the
histogram ``TotalPOT`` instead.
"""

from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from ..columns import Expression, first, not_negative
from ..errors import InputError
from ..schema import LENGTH, CAFSchema
from .base import Exposure, Format

NUMI_BEAM_DIRECTION = (-8.42393199e-4, -6.17395015e-2, 9.98091942e-1)
"""NuMI beam in the near-detector frame (not the z axis)."""

KNOBS = ("MaCCQE", "MaCCRES", "MaNCRES", "MECnorm", "FrCEx_pi", "COHnorm")
"""Order of the cross-section knobs in ``mc.nu.rwgt.genie``."""

# PPFX writes values above this for neutrinos that it has no weight for; they count as 1.
_PPFX_NO_WEIGHT = 90.0


class NovaCAFSchema(CAFSchema):
    """Records of a NOvA CAF: ``events.vtx.elastic.fuzzyk.png``, ``events.mc.nu`` and so on."""

    lists = frozenset(
        {
            "vtx.elastic",
            "vtx.elastic.fuzzyk.png",
            "mc.nu",
            "mc.nu.prim",
            "mc.nu.rwgt.genie",
        }
    )


def _elastic(events: ak.Array) -> ak.Array:
    """Elastic vertex of each slice; older productions store a list of at most one."""
    elastic = events.vtx.elastic
    return ak.firsts(elastic) if elastic.ndim > 1 else elastic


def _prong(*path: str) -> Expression:
    """Member of the leading prong, NaN in slices without a prong."""

    def expression(events: ak.Array) -> NDArray[Any]:
        return first(_follow(_elastic(events).fuzzyk.png, path), np.nan)

    return expression


def _vertex(axis: str) -> Expression:
    def expression(events: ak.Array) -> NDArray[Any]:
        elastic = _elastic(events)
        valid = ak.to_numpy(ak.fill_none(elastic.IsValid, 0)) != 0
        return np.where(valid, ak.to_numpy(ak.fill_none(elastic.vtx[axis], np.nan)), np.nan)

    return expression


def _truth(missing: float, *path: str) -> Expression:
    """Member of the slice's neutrino, ``missing`` in slices without truth."""
    return lambda events: first(_follow(events.mc.nu, path), missing)


def _electron_energy(events: ak.Array) -> NDArray[Any]:
    prim = ak.firsts(events.mc.nu).prim
    return ak.to_numpy(ak.fill_none(ak.firsts(prim.p.E[np.abs(prim.pdg) == 11]), np.nan))


def _flux_weight(events: ak.Array) -> NDArray[Any]:
    weight = first(events.mc.nu.rwgt.ppfx.cv, 1.0)
    return np.where(weight > _PPFX_NO_WEIGHT, 1.0, weight)


def _flux_universes(events: ak.Array) -> ak.Array:
    weights = ak.fill_none(ak.firsts(events.mc.nu.rwgt.ppfx.vuniv), [], axis=0)
    # In numpy: comparing nested lists in awkward takes longer than reading them.
    content = ak.to_numpy(ak.flatten(weights))
    content = np.where(content > _PPFX_NO_WEIGHT, content.dtype.type(1.0), content)
    return ak.unflatten(content, ak.num(weights))


def _knobs(sigma: str) -> Expression:
    return lambda events: ak.firsts(events.mc.nu.rwgt.genie[sigma])


def _wall_distance(events: ak.Array) -> NDArray[Any]:
    walls = events.sel.nuecosrej
    sides = ("top", "bottom", "east", "west")
    return np.min([ak.to_numpy(walls[f"distallpng{side}"]) for side in sides], axis=0)


def _follow(record: ak.Array, path: tuple[str, ...]) -> ak.Array:
    for name in path:
        record = record[name]
    return record


def _spills(file: uproot.ReadOnlyDirectory) -> Exposure | None:
    if "spillTree" not in file.keys(cycle=False):
        return None
    tree = file["spillTree"]
    branch = next((name for name in tree.keys() if name.endswith("spillpot")), None)
    return None if branch is None else Exposure(float(tree[branch].array(library="np").sum()))


def _total_pot(file: uproot.ReadOnlyDirectory) -> Exposure | None:
    if "TotalPOT" not in file.keys(cycle=False):
        return None
    return Exposure(float(file["TotalPOT"].values(flow=True).sum()))


def _is_mc(tree: uproot.TTree) -> bool:
    return bool(tree["rec.hdr.ismc"].array(entry_stop=1, library="np")[0])


# Lists inside the list of neutrinos, by a branch of each.
_INNER_LISTS = {
    "rec.mc.nu.prim.pdg": "rec.mc.nu.prim",
    "rec.mc.nu.rwgt.genie.plus1sigma": "rec.mc.nu.rwgt.genie",
    "rec.mc.nu.rwgt.ppfx.vuniv": "rec.mc.nu.rwgt.ppfx.vuniv",
}
_UNIVERSES = "rec.mc.nu.rwgt.ppfx.vuniv"


def _is_flattened(branch: uproot.TBranch) -> bool:
    """Whether lists of lists are stored as one list; a split object keeps them apart."""
    interpretation = branch.interpretation
    return isinstance(interpretation, uproot.AsJagged) and not interpretation.content.inner_shape


def _universes(tree: uproot.TTree) -> int:
    for branch, path in _INNER_LISTS.items():
        if branch in tree and path + LENGTH not in tree and _is_flattened(tree[branch]):
            raise InputError(
                f"branch {branch!r} holds the lists of all neutrinos in one, but their lengths, "
                f"branch {path + LENGTH!r}, are missing; write the file with them"
            )
    if _UNIVERSES not in tree:
        return 0
    if _UNIVERSES + LENGTH in tree:
        counts = tree[_UNIVERSES + LENGTH].array()
    else:
        counts = ak.num(tree[_UNIVERSES].array(), axis=2)
    return int(ak.max(counts, axis=None, initial=0, mask_identity=False))


NOVA_CAF = Format(
    name="nova_caf",
    title="NOvA CAF (trees 'recTree' and 'spillTree')",
    tree="recTree",
    schema=NovaCAFSchema,
    columns={
        "run": lambda e: e.hdr.run,
        "subrun": lambda e: e.hdr.subrun,
        "event": lambda e: e.hdr.evt,
        "shower_energy": lambda e: not_negative(_prong("shwlid", "calE")(e)),
        "slice_energy": lambda e: not_negative(e.slc.calE),
        "direction_x": _prong("dir", "x"),
        "direction_y": _prong("dir", "y"),
        "direction_z": _prong("dir", "z"),
        "vertex_x": _vertex("x"),
        "vertex_y": _vertex("y"),
        "vertex_z": _vertex("z"),
        "shower_stop_x": _prong("shwlid", "stop", "x"),
        "shower_stop_y": _prong("shwlid", "stop", "y"),
        "shower_stop_z": _prong("shwlid", "stop", "z"),
        "wall_distance": _wall_distance,
        "prong_count": lambda e: ak.fill_none(ak.num(_elastic(e).fuzzyk.png), 0),
        "longest_prong": lambda e: ak.fill_none(ak.max(_elastic(e).fuzzyk.png.len, axis=1), np.nan),
        "plane_count": lambda e: e.slc.ncontplanes,
        "cell_count": lambda e: e.slc.nhit,
        "shower_gap": lambda e: not_negative(_prong("shwlid", "gap")(e)),
        "shower_energy_fraction": _prong("shwlid", "lid", "shwEFrac"),
        "vertex_energy": lambda e: not_negative(_prong("shwlid", "lid", "vtxgev")(e)),
        "vertex_activity": lambda e: ak.fill_none(_elastic(e).prong3dvertexenergyvolume10, np.nan),
        "nuone_id": lambda e: e.sel.nuone.nuoneid,
        "epi0_id": lambda e: e.sel.nuone.epi0nuoneid,
        "nue_id": lambda e: e.sel.nueid.nueid,
        "electron_id": _prong("cvnpart", "electronid"),
        "electron_id_5label": _prong("spprongcvnpart5label", "electronid"),
        "nu_pdg": _truth(0, "pdg"),
        "true_neutrino_energy": _truth(np.nan, "E"),
        "true_electron_energy": _electron_energy,
        "is_cc": _truth(0, "iscc"),
        "mode": _truth(-1, "mode"),
        "interaction_type": _truth(-1, "inttype"),
        "flux_weight": _flux_weight,
        "flux_universes": _flux_universes,
        "knob_minus2": _knobs("minus2sigma"),
        "knob_minus1": _knobs("minus1sigma"),
        "knob_plus1": _knobs("plus1sigma"),
        "knob_plus2": _knobs("plus2sigma"),
    },
    exposure_sources={"spills": _spills, "TotalPOT": _total_pot},
    is_mc=_is_mc,
    universes=_universes,
    beam_direction=NUMI_BEAM_DIRECTION,
    knobs=KNOBS,
)
