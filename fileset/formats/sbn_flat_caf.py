"""SBN flat CAF (SBND, ICARUS): tree ``recTree``, one entry per readout with a list of slices.

One event here is one slice; what belongs to the readout (``hdr``, ``mc`` and so on) is repeated
for each of its slices. Names, units and sentinels: SBNSoftware/sbnanaobj, ``StandardRecord/*.h``
and ``*.cxx``; lists: cafana/SRProxy, ``FlatBasicTypes.h``.

The leading shower of a slice is that of the particle (``slc.reco.pfp``) with the largest
``shw.bestplane_energy`` [GeV]; Pandora fits a shower to every particle, track-like or not. Missing
energies are negative (-5). The truth of a slice (``slc.truth``) is that of the neutrino its hits
match; slices of cosmic rays have none (pdg -1, energy NaN, codes -1).

The exposure is the histogram ``TotalPOT``, and the sum of ``hdr.pot`` over the first readouts of
subruns (SBNSoftware/sbnana, ``SpectrumLoader.cxx``, which requires the two to agree). A readout
that was filtered out, ``hdr.husk``, keeps its part of the sum and has no slices.
"""

from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..columns import Expression, first, not_negative, opening_angle
from ..opening import EventFile
from ..schema import LENGTH, CAFSchema, unfold
from .base import Exposure, Format, total
from .nova_caf import total_pot

BNB_DIRECTION = (0.0, 0.0, 1.0)
"""Axis of the Booster beam in the frames of SBND and ICARUS."""


def _showers(events: ak.Array) -> ak.Array:
    """Showers of each slice that have an energy; a list of their own in older productions."""
    reco = events.slc.reco
    showers = reco.pfp.shw if "pfp" in reco.fields else reco.shw
    return showers[showers.bestplane_energy > 0.0]


def _leading(*path: str) -> Expression:
    """Member of the shower with the largest energy, NaN in slices without a shower."""

    def expression(events: ak.Array) -> NDArray[Any]:
        showers = _showers(events)
        leading = ak.argmax(showers.bestplane_energy, axis=1, keepdims=True)
        return first(showers[path][leading], np.nan)

    return expression


def _energy_fraction(events: ak.Array) -> NDArray[Any]:
    energy = _showers(events).bestplane_energy
    return ak.to_numpy(ak.fill_none(ak.max(energy, axis=1) / ak.sum(energy, axis=1), np.nan))


def _nu_pdg(events: ak.Array) -> NDArray[Any]:
    pdg = ak.to_numpy(events.slc.truth.pdg)
    return np.where(pdg == -1, 0, pdg)


def _electron(*path: str) -> Expression:
    """Member of the first primary electron or positron; the lepton comes first."""

    def expression(events: ak.Array) -> NDArray[Any]:
        prim = events.slc.truth.prim
        return first(prim[path][np.abs(prim.pdg) == 11], np.nan)

    return expression


def _electron_theta(events: ak.Array) -> NDArray[np.float64]:
    electron = [_electron("genp", axis)(events) for axis in "xyz"]
    return opening_angle(electron, [events.slc.truth.momentum[axis] for axis in "xyz"])


def _subruns(file: EventFile) -> Exposure | None:
    """Sum of ``hdr.pot`` over the first readouts of subruns."""
    if not {"rec.hdr.pot", "rec.hdr.first_in_subrun"} <= file.tree.names:
        return None
    is_first = ak.to_numpy(file.tree.read("rec.hdr.first_in_subrun", None)) != 0
    pot = ak.to_numpy(file.tree.read("rec.hdr.pot", None))
    return Exposure(total(pot[is_first]))


def _is_simulation(file: EventFile) -> bool | None:
    if "rec.hdr.ismc" not in file.tree.names:
        return None
    return bool(file.tree.read("rec.hdr.ismc", 1)[0])


SBN_FLAT_CAF = Format(
    name="sbn_flat_caf",
    title="SBN flat CAF (tree 'recTree', slices in 'rec.slc')",
    tree="recTree",
    schema=CAFSchema,
    # The list itself in a TTree, one of its members in an RNTuple.
    matches=lambda names: not names.isdisjoint({"rec.slc" + LENGTH, "rec.slc.reco"}),
    unfold=lambda events: unfold(events, "slc", "slc"),
    columns={
        "run": lambda e: e.hdr.run,
        "subrun": lambda e: e.hdr.subrun,
        "event": lambda e: e.hdr.evt,
        "shower_energy": _leading("bestplane_energy"),
        "direction_x": _leading("dir", "x"),
        "direction_y": _leading("dir", "y"),
        "direction_z": _leading("dir", "z"),
        "vertex_x": lambda e: e.slc.vertex.x,
        "vertex_y": lambda e: e.slc.vertex.y,
        "vertex_z": lambda e: e.slc.vertex.z,
        "shower_stop_x": _leading("end", "x"),
        "shower_stop_y": _leading("end", "y"),
        "shower_stop_z": _leading("end", "z"),
        "shower_gap": lambda e: not_negative(_leading("conversion_gap")(e)),
        "shower_energy_fraction": _energy_fraction,
        "electron_id": lambda e: not_negative(_leading("razzle", "electronScore")(e)),
        "nu_pdg": _nu_pdg,
        "true_neutrino_energy": lambda e: e.slc.truth.E,
        "true_electron_energy": _electron("genE"),
        "true_electron_theta": _electron_theta,
        "is_cc": lambda e: e.slc.truth.iscc != 0,
        "mode": lambda e: e.slc.truth.genie_mode,
        "interaction_type": lambda e: e.slc.truth.genie_inttype,
    },
    exposure_sources={"TotalPOT": total_pot, "subruns": _subruns},
    identity=("rec.hdr.run", "rec.hdr.subrun", "rec.hdr.evt"),
    is_mc=_is_simulation,
    beam_direction=BNB_DIRECTION,
    notes=(
        "one event is one slice; the leading shower is the one with the largest bestplane_energy",
        "angles are to the z axis, the direction of BNB; NuMI comes to ICARUS at 0.41 rad from it",
        "weights are readable as events.slc.truth.wgt.univ, their names are in 'globalTree'; they "
        "are not yet variations",
    ),
)
