"""DUNE far-detector CAF: one flat tree ``caf``, one entry per event, histogram ``norm``.

What it lacks: prongs, vertex activity and NOvA's classifiers, so the NOvA selections are refused
by name on it; the calorimetric window of the technical note is not. The branch ``weight`` is 0 in
every event of the released file and is therefore used only if a dataset asks for it. The knob
arrays ``wgt_*`` are the column ``knob_shifts``, relative to their central values
(``<knob>_cvwgt``), which are not part of the nominal weight.
"""

from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..coffea_api import BaseSchema
from ..columns import describe, not_negative
from ..errors import InputError
from ..opening import EventFile
from .base import Exposure, Format


def _electron_energy(events: ak.Array) -> NDArray[Any]:
    # The same as 'LepE' in the released file; some productions put the neutrino energy there for
    # neutral currents.
    return np.asarray((1.0 - events.Y) * events.Ev)


def _norm(file: EventFile) -> Exposure | None:
    """Histogram ``norm``: first bin the weight of every event, second bin the POT of the file."""
    if "norm" not in file.objects:
        return None
    bins = file.get("norm").values()
    return Exposure(float(bins[1]), float(bins[0])) if len(bins) > 1 else None


_SHIFTS = 7
"""Shifts of every knob, -3 to 3 standard deviations."""


def _knobs(file: EventFile) -> tuple[str, ...]:
    """Knobs whose arrays are in the file, in alphabetical order."""
    names = file.tree.names
    found = (name.removeprefix("wgt_") for name in names if name.startswith("wgt_"))
    return tuple(sorted(knob for knob in found if f"{knob}_nshifts" in names))


def _knob_shifts(events: ak.Array) -> ak.Array:
    """All shifts of the first knob, of the second and so on."""
    tables = [_shifts(events, knob) for knob in events.metadata["knobs"]]
    return ak.from_numpy(np.concatenate([np.zeros((len(events), 0), np.float32), *tables], axis=1))


def _shifts(events: ak.Array, knob: str) -> NDArray[np.float32]:
    values = events[f"wgt_{knob}"]
    if values.ndim != 2 or np.any(np.asarray(ak.num(values)) != _SHIFTS):
        raise InputError(
            f"{describe(events)}: branch 'wgt_{knob}' lacks {_SHIFTS} shifts per event; mend "
            "the file, or leave the variation out"
        )
    # What is too large is refused as a weight.
    with np.errstate(over="ignore"):
        return ak.to_numpy(values).astype(np.float32)


def _horn_current(file: EventFile) -> str | None:
    """Branch ``isFHC``: 1 or 0; the released file holds 999 for "not known"."""
    if "isFHC" not in file.tree.names:
        return None
    known = {1: "FHC", 0: "RHC"}
    flags = np.unique(ak.to_numpy(file.tree.read("isFHC", None)))
    found = {name for flag, name in known.items() if flag in flags}
    return "mixed" if len(found) > 1 else next(iter(found), None)


DUNE_FD_CAF = Format(
    name="dune_fd_caf",
    title="DUNE far-detector CAF (tree 'caf')",
    tree="caf",
    schema=BaseSchema,
    columns={
        "run": lambda e: e.run,
        "subrun": lambda e: e.subrun,
        "event": lambda e: e.event,
        "shower_energy": lambda e: not_negative(e.RecoLepEnNue),
        "theta": lambda e: e.RecoLepAngNue,
        "vertex_x": lambda e: e.vtx_x,
        "vertex_y": lambda e: e.vtx_y,
        "vertex_z": lambda e: e.vtx_z,
        "nue_id": lambda e: e.cvnnue,
        "nu_pdg": lambda e: e.nuPDG,
        "true_neutrino_energy": lambda e: e.Ev,
        "true_electron_energy": _electron_energy,
        "is_cc": lambda e: e.isCC != 0,
        "mode": lambda e: e.mode,
        "lepton_pdg": lambda e: e.LepPDG,
        "knob_shifts": _knob_shifts,
    },
    exposure_sources={"norm": _norm},
    # Ten interactions share each event number in the released file: their truth tells them apart.
    identity=("run", "subrun", "event", "Ev", "vtx_x", "vtx_y"),
    is_mc=lambda file: True,
    horn_current=_horn_current,
    knobs=_knobs,
    knob_sigmas=tuple(range(-(_SHIFTS // 2), _SHIFTS // 2 + 1)),
    notes=(
        "branch 'weight' is not used (it is 0 in every event of the released file); a dataset that "
        'sets weight = "weight" uses it',
        "every event carries the weight in the first bin of 'norm'; the second bin is the POT",
        "the knob arrays 'wgt_*' are made only on demand (--variations all,knobs): some weights of "
        "the released file are negative",
    ),
)
