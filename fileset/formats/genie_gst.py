"""GENIE summary ntuple: one flat tree ``gst``, one entry per generated event.

Written by ``gntpc -f gst``. Branch definitions: GENIE-MC/Generator, ``src/Apps/gNtpConv.cxx``
(``ConvertToGST``). Truth only. The primary lepton (``fspl, El, pxl, pyl, pzl``) of nu-e elastic
scattering is the electron for every flavour (``Interaction::FSPrimLeptonPdg``), and El its TOTAL
energy. Muon and tau neutrinos scatter on electrons as ``nc``, electron neutrinos as neither ``cc``
nor ``nc`` (``NuEInteractionListGenerator``). Inverse muon decay has flags of its own and is not
in ``nuel``. ``weight = "wght"`` applies GENIE's event weight, which is 1 unless a channel or a
region of phase space was biased.
"""

from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..coffea_api import BaseSchema
from ..columns import opening_angle
from .base import Format

# GENIE's vertices are in metres.
_CM_PER_M = 100.0
# nn, np and pp: Framework/ParticleData/PDGCodes.h
_NUCLEON_PAIRS = (2000000200, 2000000201, 2000000202)


def _is_electron(events: ak.Array) -> NDArray[np.bool_]:
    return np.abs(np.asarray(events.fspl)) == 11


def _electron_energy(events: ak.Array) -> NDArray[Any]:
    return np.where(_is_electron(events), np.asarray(events.El), np.nan)


def _electron_theta(events: ak.Array) -> NDArray[Any]:
    # Not 'cthl': its arc cosine loses half of the digits at small angles.
    angle = opening_angle(
        [events.pxl, events.pyl, events.pzl], [events.pxv, events.pyv, events.pzv]
    )
    return np.where(_is_electron(events), angle, np.nan)


def _is_mec(events: ak.Array) -> Any:
    if "mec" in events.fields:
        return events.mec
    # Older files tell by the struck pair of nucleons alone.
    return np.isin(np.asarray(events.hitnuc), _NUCLEON_PAIRS)


GENIE_GST = Format(
    name="genie_gst",
    title="GENIE summary ntuple (tree 'gst')",
    tree="gst",
    schema=BaseSchema,
    matches=frozenset({"neu", "fspl", "nuel", "El"}).issubset,
    columns={
        "vertex_x": lambda e: _CM_PER_M * e.vtxx,
        "vertex_y": lambda e: _CM_PER_M * e.vtxy,
        "vertex_z": lambda e: _CM_PER_M * e.vtxz,
        "nu_pdg": lambda e: e.neu,
        "true_neutrino_energy": lambda e: e.Ev,
        "true_electron_energy": _electron_energy,
        "true_electron_theta": _electron_theta,
        "is_cc": lambda e: e.cc,
        "is_nuone": lambda e: e.nuel,
        "is_mec": _is_mec,
        "lepton_pdg": lambda e: e.fspl,
    },
    is_mc=lambda file: True,
    notes=(
        "the file does not hold its exposure: set 'pot'",
        "generated without a detector geometry, all vertices are at the origin",
    ),
)
