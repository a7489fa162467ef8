"""NOvA Common Analysis File: tree ``recTree``, one entry per slice, spills in ``spillTree``.

Nested records through :class:`NovaCAFSchema`; the leading shower is the first prong's. The
exposure is the sum of ``spillpot`` over spills, never over slices; derived files carry it in the
histogram ``TotalPOT`` instead.
"""

from collections.abc import Callable
from typing import Any

import awkward as ak
import numba
import numpy as np
from numpy.typing import NDArray

from ..basket_values import Jagged
from ..columns import Expression, From, Plain, first, first_list, flattened, not_negative
from ..errors import InputError
from ..opening import EventFile, root_tree
from ..schema import LENGTH, CAFSchema
from .base import Exposure, Format, total

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
    return _alone(events.vtx.elastic)


def _alone(values: ak.Array) -> ak.Array:
    return ak.firsts(values) if values.ndim > 1 else values


def _prong(path: str, make: Callable[[Any], Any] = lambda values: values) -> From:
    """Member of the leading prong, NaN in slices without a prong."""

    def leading(values: Plain) -> NDArray[Any]:
        # The elastic vertex was a list of at most one.
        nested = isinstance(values, Jagged) and isinstance(values.content, Jagged)
        return make(first(first_list(values) if nested else values, np.nan))

    return From(f"vtx.elastic.fuzzyk.png.{path}", make=leading)


def _vertex(axis: str) -> Expression:
    def expression(events: ak.Array) -> NDArray[Any]:
        elastic = _elastic(events)
        position = ak.to_numpy(ak.fill_none(elastic.vtx[axis], np.nan))
        if "IsValid" not in elastic.fields:
            # Where it is a list, there is none without a vertex.
            return position
        return np.where(ak.to_numpy(ak.fill_none(elastic.IsValid, 0)) != 0, position, np.nan)

    return expression


def _truth(missing: float, path: str) -> From:
    """Member of the slice's neutrino, ``missing`` in slices without truth."""
    return From(f"mc.nu.{path}", make=lambda values: first(values, missing))


def _electron_energy(pdg: Plain, energy: Plain) -> NDArray[Any]:
    return _first_electron(*flattened(first_list(pdg)), flattened(first_list(energy)).content)


@numba.njit(cache=True, nogil=True)
def _first_electron(
    offsets: NDArray[np.int64], pdg: NDArray[np.integer], energy: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Energy of the first electron in each list of primaries; NaN where there is none."""
    result = np.full(len(offsets) - 1, np.nan)
    for i in range(len(result)):
        for k in range(offsets[i], offsets[i + 1]):
            if abs(pdg[k]) == 11:
                result[i] = energy[k]
                break
    return result


@numba.njit(cache=True, nogil=True)
def _ppfx(weights: NDArray[np.floating]) -> NDArray[np.floating]:
    """Flux weights of PPFX, 1 where it has none."""
    result = np.empty_like(weights)
    for i in range(len(weights)):
        result[i] = 1.0 if weights[i] > _PPFX_NO_WEIGHT else weights[i]
    return result


def _flux_weight(values: Plain) -> NDArray[Any]:
    return _ppfx(first(values, 1.0))


def _flux_universes(values: Plain) -> Jagged:
    offsets, content = flattened(first_list(values))
    return Jagged(offsets, _ppfx(content))


def _knobs(sigma: str) -> From:
    return From(f"mc.nu.rwgt.genie.{sigma}", make=first_list)


def _wall_distance(events: ak.Array) -> NDArray[Any]:
    walls = events.sel.nuecosrej
    sides = ("top", "bottom", "east", "west")
    return np.min([ak.to_numpy(walls[f"distallpng{side}"]) for side in sides], axis=0)


def _spill_branch(file: EventFile, name: str) -> NDArray[Any] | None:
    """Branch of the spill tree, whatever its prefix; None where the file does not have it."""
    if "spillTree" not in file.objects:
        return None
    spills = root_tree(file.get("spillTree"))
    named = sorted(branch for branch in spills.names if branch.rpartition(".")[2] == name)
    # Not the counter of a list, which has its name behind an 'n'.
    found = next((branch for branch in named if branch[1:] not in named), None)
    return None if found is None else ak.to_numpy(spills.read(found, None))


def spills(file: EventFile) -> Exposure | None:
    """Sum of ``spillpot`` over the spill tree."""
    pot = _spill_branch(file, "spillpot")
    return None if pot is None else Exposure(total(pot))


def total_pot(file: EventFile) -> Exposure | None:
    """Histogram ``TotalPOT`` of derived files."""
    if "TotalPOT" not in file.objects:
        return None
    return Exposure(total(file.get("TotalPOT").values(flow=True)))


def is_simulation(file: EventFile) -> bool | None:
    """Header of the first entry."""
    if "rec.hdr.ismc" not in file.tree.names:
        return None
    return bool(file.tree.read("rec.hdr.ismc", 1)[0])


def horn_current(
    file: EventFile,
    read: Callable[[EventFile, str], NDArray[Any] | None] = _spill_branch,
) -> str | None:
    """Flags ``isFHC`` and ``isRHC`` of the spills, which ``read`` finds in the file."""
    flags = {name: read(file, f"is{name}") for name in ("FHC", "RHC")}
    found = [name for name, values in flags.items() if values is not None and np.any(values != 0)]
    return "mixed" if len(found) > 1 else next(iter(found), None)


# Added to the mode of a neutrino that was overlaid on others.
_OVERLAY = 10_000
# The first of them tell: a sample is overlaid as a whole.
_OVERLAY_ENTRIES = 1000


def is_overlay(file: EventFile) -> bool | None:
    """Whether the first neutrinos were overlaid on simulated spills."""
    if "rec.mc.nu.mode" not in file.tree.names:
        return None
    return bool(ak.any(file.tree.read("rec.mc.nu.mode", _OVERLAY_ENTRIES) >= _OVERLAY, axis=None))


def is_flat(names: frozenset[str]) -> bool:
    """Whether an outer list of a NOvA slice has a companion: everything is flattened."""
    outer = ("rec.mc.nu", "rec.vtx.elastic", "rec.vtx.elastic.fuzzyk.png")
    return any(path + LENGTH in names for path in outer) and not _has_slices(names)


def _is_caf(names: frozenset[str]) -> bool:
    return not is_flat(names) and not _has_slices(names)


def _has_slices(names: frozenset[str]) -> bool:
    # One entry per slice: where slices are a list, the file is SBN's.
    return not names.isdisjoint({"rec.slc" + LENGTH, "rec.slc.reco", "rec.nslc"})


# Lists inside the list of neutrinos, by a branch of each.
_INNER_LISTS = {
    "rec.mc.nu.prim.pdg": "rec.mc.nu.prim",
    "rec.mc.nu.rwgt.genie.plus1sigma": "rec.mc.nu.rwgt.genie",
    "rec.mc.nu.rwgt.ppfx.vuniv": "rec.mc.nu.rwgt.ppfx.vuniv",
}
_UNIVERSES = "rec.mc.nu.rwgt.ppfx.vuniv"
# PPFX makes 100; each one more is one more histogram.
_MOST_UNIVERSES = 10_000


def knobs(file: EventFile) -> tuple[str, ...] | None:
    """Names of the generator's knobs, if their table is there."""
    return KNOBS if "rec.mc.nu.rwgt.genie.plus1sigma" in file.tree.names else None


def universes(file: EventFile) -> int:
    """Largest number of flux universes of a neutrino."""
    names = file.tree.names
    for branch, path in _INNER_LISTS.items():
        # Of a list of lists that a person flattened into one, only the lengths tell them apart.
        if branch in names and path + LENGTH not in names:
            if file.tree.read(branch, 1).ndim < 3:
                raise InputError(
                    f"branch {branch!r} holds the lists of all neutrinos in one, but their "
                    f"lengths, branch {path + LENGTH!r}, are missing; write the file with them"
                )
    if _UNIVERSES not in names:
        return 0
    if _UNIVERSES + LENGTH in names:
        counts = file.tree.read(_UNIVERSES + LENGTH, None)
    else:
        counts = ak.num(file.tree.read(_UNIVERSES, None), axis=2)
    lengths = np.append(ak.to_numpy(ak.flatten(counts, axis=None)), 0)
    if lengths.min() < 0 or lengths.max() > _MOST_UNIVERSES:
        raise InputError(
            f"neutrinos with {lengths.min()} to {lengths.max()} flux universes, expected 0 to "
            f"{_MOST_UNIVERSES}; the file is damaged: copy it again"
        )
    return int(lengths.max())


NOVA_CAF = Format(
    name="nova_caf",
    title="NOvA CAF (trees 'recTree' and 'spillTree')",
    tree="recTree",
    schema=NovaCAFSchema,
    matches=_is_caf,
    columns={
        "run": From("hdr.run"),
        "subrun": From("hdr.subrun"),
        "event": From("hdr.evt"),
        "shower_energy": _prong("shwlid.calE", not_negative),
        "slice_energy": From("slc.calE", make=not_negative),
        "direction_x": _prong("dir.x"),
        "direction_y": _prong("dir.y"),
        "direction_z": _prong("dir.z"),
        "vertex_x": _vertex("x"),
        "vertex_y": _vertex("y"),
        "vertex_z": _vertex("z"),
        "shower_stop_x": _prong("shwlid.stop.x"),
        "shower_stop_y": _prong("shwlid.stop.y"),
        "shower_stop_z": _prong("shwlid.stop.z"),
        "wall_distance": _wall_distance,
        "prong_count": lambda e: ak.fill_none(ak.num(_elastic(e).fuzzyk.png), 0),
        "longest_prong": lambda e: ak.fill_none(ak.max(_elastic(e).fuzzyk.png.len, axis=1), np.nan),
        "plane_count": From("slc.ncontplanes"),
        "cell_count": From("slc.nhit"),
        "shower_gap": _prong("shwlid.gap", not_negative),
        "shower_energy_fraction": _prong("shwlid.lid.shwEFrac"),
        "vertex_energy": _prong("shwlid.lid.vtxgev", not_negative),
        "vertex_activity": lambda e: not_negative(
            ak.fill_none(_elastic(e).prong3dvertexenergyvolume10, np.nan)
        ),
        "nuone_id": From("sel.nuone.nuoneid"),
        "epi0_id": From("sel.nuone.epi0nuoneid"),
        "nue_id": From("sel.nueid.nueid"),
        "electron_id": _prong("cvnpart.electronid"),
        "electron_id_5label": _prong("spprongcvnpart5label.electronid"),
        "nu_pdg": _truth(0, "pdg"),
        "true_neutrino_energy": _truth(np.nan, "E"),
        "true_electron_energy": From("mc.nu.prim.pdg", "mc.nu.prim.p.E", make=_electron_energy),
        "is_cc": _truth(0, "iscc"),
        "mode": _truth(-1, "mode"),
        "interaction_type": _truth(-1, "inttype"),
        "flux_weight": From("mc.nu.rwgt.ppfx.cv", make=_flux_weight),
        "flux_universes": From("mc.nu.rwgt.ppfx.vuniv", make=_flux_universes),
        "knob_minus2": _knobs("minus2sigma"),
        "knob_minus1": _knobs("minus1sigma"),
        "knob_plus1": _knobs("plus1sigma"),
        "knob_plus2": _knobs("plus2sigma"),
    },
    exposure_sources={"spills": spills, "TotalPOT": total_pot},
    identity=("rec.hdr.run", "rec.hdr.subrun", "rec.hdr.evt", "rec.hdr.cycle", "rec.hdr.subevt"),
    is_mc=is_simulation,
    horn_current=horn_current,
    is_overlay=is_overlay,
    universes=universes,
    beam_direction=NUMI_BEAM_DIRECTION,
    knobs=knobs,
)
