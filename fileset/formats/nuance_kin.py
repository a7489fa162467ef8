"""NUANCE tracker text (``.kin``), as written by sntools: interactions as tracks.

:mod:`fileset.tracker_text` reads it: positions in cm, TOTAL energies in MeV, and the flag of a
track -1 for the initial, 0 for the final state, -2 in between.

Code 98 is nu-e elastic scattering, -98 that of antineutrinos in sntools, 99 inverse muon decay.
Converters from GENIE and particle guns write 0 for everything: their nu-e events are not
recognised. Other codes belong to their writers (sntools: 1001001 is inverse beta decay), so whether
a current was charged is taken from the leptons instead.
"""

from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..columns import first, opening_angle
from ..tracker_text import load, recognise
from .base import Format, Loader

_GEV_PER_MEV = 1e-3


def _neutrino(events: ak.Array) -> ak.Array:
    pdg = abs(events.track.pdg)
    neutrinos = (pdg == 12) | (pdg == 14) | (pdg == 16)
    return events.track[(events.track.flag == -1) & neutrinos]


def _final(events: ak.Array) -> ak.Array:
    return events.track[events.track.flag == 0]


def _electron(events: ak.Array) -> ak.Array:
    """Final electrons and positrons, the one of the highest energy first."""
    final = _final(events)
    electrons = final[abs(final.pdg) == 11]
    return electrons[ak.argsort(electrons.energy, ascending=False, stable=True)]


def _lepton_pdg(events: ak.Array) -> NDArray[Any]:
    pdg = _final(events).pdg
    return first(pdg[(abs(pdg) >= 11) & (abs(pdg) <= 16)], 0)


def _is_cc(events: ak.Array) -> NDArray[np.bool_]:
    neutrino = first(_neutrino(events).pdg, 0)
    partner = ak.any(_final(events).pdg == neutrino - np.sign(neutrino), axis=1)
    # The electron that an electron neutrino struck was there before.
    elastic = np.abs(np.asarray(events.nuance)) == 98
    return ak.to_numpy(partner) & (neutrino != 0) & ~elastic


def _electron_theta(events: ak.Array) -> NDArray[np.float64]:
    electron, neutrino = _electron(events), _neutrino(events)
    return opening_angle(
        [first(electron[axis], np.nan) for axis in "xyz"],
        [first(neutrino[axis], np.nan) for axis in "xyz"],
    )


NUANCE_KIN = Format(
    name="nuance_kin",
    title="NUANCE tracker text (.kin)",
    loader=Loader(recognise, load),
    columns={
        "vertex_x": lambda e: e.vertex.x,
        "vertex_y": lambda e: e.vertex.y,
        "vertex_z": lambda e: e.vertex.z,
        "nu_pdg": lambda e: first(_neutrino(e).pdg, 0),
        "true_neutrino_energy": lambda e: _GEV_PER_MEV * first(_neutrino(e).energy, np.nan),
        "true_electron_energy": lambda e: _GEV_PER_MEV * first(_electron(e).energy, np.nan),
        "true_electron_theta": _electron_theta,
        "is_cc": _is_cc,
        "mode": lambda e: e.nuance,
        "lepton_pdg": _lepton_pdg,
    },
    is_mc=lambda file: True,
    notes=("the file does not hold its exposure: set 'pot'",),
)
