"""DUNE flat CAF (near and far detector, prototypes): tree ``cafTree``, one entry per readout.

One event here is one reconstructed interaction (``ixn``): of ``common.ixn.dlp`` near the beam, of
``common.ixn.pandora`` in the far detectors, whose files fill that list only. What belongs to the
readout is repeated for each of its interactions. The truth (``truth``) is the neutrino in ``mc.nu``
with the largest ``truthOverlap`` among those that ``ixn.truth`` counts. Names, units and sentinels:
DUNE/duneanaobj, ``StandardRecord/*.h``; lists: cafana/SRProxy, ``FlatBasicTypes.h``.

The electron is the primary particle with |pdg| 11 and the largest ``E`` [GeV], which is kinetic
(DUNE/ND_CAFMaker, ``MLNDLArRecoBranchFiller.cxx``). Its direction is that of ``p``; far detectors
do not fill it, there it is that of the shower with the largest energy (``ixn.dir.heshw``).

Modes are GENIE's ScatteringType (``SREnums.h``), in which 7 is elastic scattering on electrons and
5 is coherent. Far detectors store the numbers of SIMB under that name (DUNE/dunereco, CAFMaker
casts ``MCNeutrino::Mode()``), in which 5 is scattering on electrons, elastic or not: they are
translated, and ``lepton_pdg`` tells the inelastic ones.
"""

from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..columns import Expression, first, opening_angle
from ..opening import EventFile, root_tree
from ..schema import LENGTH, CAFSchema, unfold
from .base import Exposure, Format

_FAR = ("fd_hd", "fd_vd", "pd_hd")
_NEAR = ("nd_lar", "nd_gar", "tms", "sand")
_NUMI = ("lar2x2", "minerva")
_DETECTORS = (*_NEAR, *_NUMI, *_FAR)

# LBNF points down by 0.101 rad at Fermilab, and up by as much where it comes to the far detector
# with horizontal drift (DUNE/dunesim, EventGenerator/GENIE/genie_dune.fcl: 'BeamDirection').
_DIP = 0.101
# NuMI, in the frame of MINERvA (MinervaUnits::numi_beam_angle_rad).
_NUMI_DIP = 0.05887
_BEAMS = {
    **dict.fromkeys(_NEAR, (0.0, -np.sin(_DIP), np.cos(_DIP))),
    **dict.fromkeys(_NUMI, (0.0, -np.sin(_NUMI_DIP), np.cos(_NUMI_DIP))),
    "fd_hd": (0.0, np.sin(_DIP), np.cos(_DIP)),
}
"""Direction of the beam in the frame of each detector; of the others it is not known to us."""

# simb::MCNeutrino (nusimdata) to GENIE's ScatteringType; the last two are interaction types that
# nutools puts there.
_SIMB = {0: 1, 1: 4, 2: 3, 3: 5, 4: 11, 5: 7, 6: 14, 7: 12, 8: 13, 9: 9, 10: 10, 11: 6}
_SIMB |= {1098: 7, 1099: 8}
_UNKNOWN_MODE = -100

_MISSING_VERTEX = -999.0

# Names of the lists in a TTree and in an RNTuple.
_INTERACTIONS = [
    f"rec.common.ixn.{name}{suffix}" for name in ("dlp", "pandora") for suffix in (LENGTH, "")
]


def _enabled(events: ak.Array, *detectors: str) -> NDArray[np.bool_]:
    """Events that one of the detectors has data in."""
    enabled = np.zeros(len(events), dtype=bool)
    for name in {*detectors} & {*(events.meta.fields if "meta" in events.fields else ())}:
        enabled |= ak.to_numpy(events.meta[name].enabled) != 0
    return enabled


def _list_name(events: ak.Array, held: list[str]) -> str:
    """Which reconstruction counts: that of the detector, or the other where a file lacks it."""
    wanted = ("pandora", "dlp") if _enabled(events, *_FAR).any() else ("dlp", "pandora")
    return next((name for name in wanted if name in held), wanted[0])


def _unfold(events: ak.Array) -> ak.Array:
    try:
        held = events["common", "ixn"].fields
    except IndexError:
        held = []
    name = _list_name(events, held)
    unfolded = unfold(events, f"common.ixn.{name}", "ixn")
    has_truth = "nu" in (events.mc.fields if "mc" in events.fields else ())
    if unfolded is events or not has_truth or "truthOverlap" not in unfolded.ixn.fields:
        # Without the field, a column that needs the truth says that the file lacks it.
        return unfolded
    return ak.with_field(unfolded, _matched(events, events.common.ixn[name]), "truth")


def _matched(events: ak.Array, interactions: ak.Array) -> ak.Array:
    """True interaction of each reconstructed one, None where there is none; read when used."""
    best = ak.argmax(interactions.truthOverlap, axis=2, keepdims=True)
    local = ak.flatten(ak.firsts(interactions.truth[best], axis=2))
    local = ak.to_numpy(ak.fill_none(local, -1)).astype(np.int64)
    counts = ak.to_numpy(ak.num(events.mc.nu))
    entry = np.repeat(np.arange(len(events)), ak.to_numpy(ak.num(interactions)))
    # An index behind the last neutrino means that it was not found.
    known = (local >= 0) & (local < counts[entry])
    index = np.where(known, (np.cumsum(counts) - counts)[entry] + local, -1)
    content = ak.flatten(events.mc.nu).layout
    return ak.Array(ak.contents.IndexedOptionArray(ak.index.Index64(index), content))


def _electron(*path: str) -> Expression:
    """Member of the electron candidate, NaN in interactions without one."""

    def expression(events: ak.Array) -> NDArray[Any]:
        part = events.ixn.part
        particles = part[_list_name(events, part.fields)]
        electrons = particles[(particles.primary != 0) & (np.abs(particles.pdg) == 11)]
        electrons = electrons[electrons.E > 0.0]
        return first(electrons[path][ak.argmax(electrons.E, axis=1, keepdims=True)], np.nan)

    return expression


def _direction(events: ak.Array) -> NDArray[np.float64]:
    """Direction of the electron candidate, shape (3, n)."""
    direction = np.stack([_electron("p", axis)(events) for axis in "xyz"]).astype(np.float64)
    if "dir" in events.ixn.fields:
        shower = np.stack([ak.to_numpy(events.ixn.dir.heshw[axis]) for axis in "xyz"])
        without = np.isfinite(_electron("E")(events)) & ~np.isfinite(direction).all(axis=0)
        direction = np.where(without, shower, direction)
    norm = np.sqrt(np.sum(direction**2, axis=0))
    return np.divide(direction, norm, out=np.full_like(direction, np.nan), where=norm > 0.0)


def _theta(events: ak.Array) -> NDArray[np.float64]:
    beam = np.full((3, len(events)), np.nan)
    for name, direction in _BEAMS.items():
        beam[:, _enabled(events, name)] = np.reshape(direction, (3, 1))
    return opening_angle(_direction(events), beam)


def _vertex(axis: str) -> Expression:
    def expression(events: ak.Array) -> NDArray[Any]:
        vertex = ak.to_numpy(events.ixn.vtx[axis])
        return np.where(np.isfinite(vertex) & (vertex != _MISSING_VERTEX), vertex, np.nan)

    return expression


def _true(missing: float, *path: str) -> Expression:
    """Member of the true interaction, ``missing`` where there is none."""
    return lambda events: ak.to_numpy(ak.fill_none(events.truth[path], missing))


def _mode(events: ak.Array) -> NDArray[Any]:
    mode = _true(-1, "mode")(events)
    far = _enabled(events, *_FAR) & ~ak.to_numpy(ak.is_none(events.truth.mode))
    translated = [_SIMB.get(int(value), _UNKNOWN_MODE) for value in mode[far]]
    mode = mode.astype(np.int64)
    mode[far] = translated
    return mode


def _primary(pdgs: tuple[int, ...], missing: float, *path: str) -> Expression:
    """Member of the first true primary particle of these kinds."""

    def expression(events: ak.Array) -> NDArray[Any]:
        prim = ak.fill_none(events.truth.prim[path], [], axis=0)
        pdg = np.abs(ak.fill_none(events.truth.prim.pdg, [], axis=0))
        wanted = np.isin(ak.to_numpy(ak.flatten(pdg)), pdgs)
        return first(prim[ak.unflatten(wanted, ak.num(pdg))], missing)

    return expression


def _electron_theta(events: ak.Array) -> NDArray[np.float64]:
    electron = [_primary((11,), np.nan, "p", axis)(events) for axis in ("px", "py", "pz")]
    return opening_angle(electron, [_true(np.nan, "momentum", axis)(events) for axis in "xyz"])


def _lepton_pdg(events: ak.Array) -> NDArray[Any]:
    # A neutrino may stand before the muon of inelastic scattering on electrons.
    pdg: NDArray[Any] = np.array(_primary((11, 13, 15), 0, "pdg")(events))
    neutral = pdg == 0
    pdg[neutral] = np.asarray(_primary((12, 14, 16), 0, "pdg")(events))[neutral]
    return pdg


def _number(name: str) -> Expression:
    """Number from the header of the first detector with data."""

    def expression(events: ak.Array) -> NDArray[Any]:
        numbers = np.zeros(len(events), dtype=np.int64)
        for detector in reversed(_DETECTORS):
            enabled = _enabled(events, detector)
            if enabled.any():
                numbers[enabled] = ak.to_numpy(events.meta[detector][name])[enabled]
        return numbers

    return expression


def _pulses(file: EventFile) -> Exposure | None:
    """Sum of ``beam.pulsepot`` [POT] over readouts; None where no pulse was filled in."""
    if "rec.beam.pulsepot" not in file.tree.names:
        return None
    pot = ak.to_numpy(file.tree.read("rec.beam.pulsepot", None)).astype(np.float64)
    return _filled(float(np.nansum(pot)))


def _meta(file: EventFile) -> Exposure | None:
    """Sum of ``pot`` over the tree ``meta``, a row per original file; None where not filled in."""
    name = next((name for name in file.objects if name.rpartition("/")[2] == "meta"), None)
    tree = None if name is None else root_tree(file.get(name))
    if tree is None or "pot" not in tree.names:
        return None
    return _filled(float(np.nansum(ak.to_numpy(tree.read("pot", None)))))


def _filled(pot: float) -> Exposure | None:
    return Exposure(pot) if pot != 0.0 else None


def _is_simulation(file: EventFile) -> bool | None:
    # Near-detector files leave the flag to chance; only simulation has true neutrinos.
    truth = "rec.mc.nu" + LENGTH
    if truth in file.tree.names and np.any(file.tree.read(truth, None)):
        return True
    if "rec.beam.ismc" not in file.tree.names:
        return None
    return bool(file.tree.read("rec.beam.ismc", 1)[0])


def _horn_current(file: EventFile) -> str | None:
    """Sign of ``beam.hornI`` [kA]; NaN in simulation, near 0 with the horns off."""
    if "rec.beam.hornI" not in file.tree.names:
        return None
    current = ak.to_numpy(file.tree.read("rec.beam.hornI", None))
    signs = {"FHC": current >= 1.0, "RHC": current <= -1.0}
    found = [name for name, values in signs.items() if np.any(values)]
    return "mixed" if len(found) > 1 else next(iter(found), None)


DUNE_FLAT_CAF = Format(
    name="dune_flat_caf",
    title="DUNE flat CAF (tree 'cafTree', interactions in 'rec.common.ixn')",
    tree="cafTree",
    schema=CAFSchema,
    matches=lambda names: not names.isdisjoint(_INTERACTIONS),
    unfold=_unfold,
    columns={
        "run": _number("run"),
        "subrun": _number("subrun"),
        "event": _number("event"),
        "shower_energy": _electron("E"),
        "direction_x": lambda e: _direction(e)[0],
        "direction_y": lambda e: _direction(e)[1],
        "direction_z": lambda e: _direction(e)[2],
        "theta": _theta,
        "vertex_x": _vertex("x"),
        "vertex_y": _vertex("y"),
        "vertex_z": _vertex("z"),
        "shower_stop_x": _electron("end", "x"),
        "shower_stop_y": _electron("end", "y"),
        "shower_stop_z": _electron("end", "z"),
        "nue_id": lambda e: e.ixn.nuhyp.cvn.nue,
        "nu_pdg": _true(0, "pdg"),
        "true_neutrino_energy": _true(np.nan, "E"),
        "true_electron_energy": _primary((11,), np.nan, "p", "E"),
        "true_electron_theta": _electron_theta,
        "is_cc": lambda e: _true(0, "iscc")(e) != 0,
        "mode": _mode,
        "lepton_pdg": _lepton_pdg,
    },
    exposure_sources={"pulses": _pulses, "meta": _meta},
    identity=tuple(
        f"rec.meta.{detector}.{name}"
        for detector in ("nd_lar", "sand", "lar2x2", "fd_hd", "fd_vd", "pd_hd")
        for name in ("run", "subrun", "event")
    ),
    is_mc=_is_simulation,
    horn_current=_horn_current,
    notes=(
        "one event is one reconstructed interaction; its electron is the primary particle with "
        "|pdg| 11 and the largest energy",
        "angles are to the beam of each detector; that of the vertical-drift far detector and of "
        "ProtoDUNE is not known here, theta is NaN there",
        "modes of the far detectors are translated from SIMB's numbers",
    ),
)
