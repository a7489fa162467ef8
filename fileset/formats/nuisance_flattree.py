"""NUISANCE generic flat tree ``FlatTree_VARS`` of any generator, whole or reduced.

Sources: NUISANCEMC/nuisance, ``src/MCStudies/GenericFlux_Vectors.cxx`` (branches, GeV) and
``src/InputHandler`` (modes). People keep only some of the branches; what is derived here needs
``Mode, Enu_true, PDGLep, ELep, CosLep``, and takes ``PDGnu`` and the list of final-state particles
(``pdg, px, py, pz, E``) where they are.

``Mode`` follows NEUT, negative for antineutrinos, and NEUT has no nu-e elastic scattering. From
GENIE it is +-54 (``InteractionModes.h``); in older releases 59 for muon neutrinos (GENIE's
``NeutReactionCode``) and 0, "unknown", for electron neutrinos, whose current is neither charged nor
neutral. From NuWro and NUANCE it is 0 as well. Mode 0 is recognised by its final state: nothing but
an electron and the neutrino. The branch ``cc`` is not used: it counts mode 0 as charged current.

``PDGLep`` is the FASTEST lepton, neutrinos included, so that of a nu-e event it may be the
neutrino; the electron then comes from the list, or is missing. An event of weight ``Weight``
stands for ``fScaleFactor`` cm^2 per nucleon of the flux-averaged cross-section, so the exposure
of a file is ``pot`` = 1 / (fScaleFactor x nucleons x flux [1/cm^2/POT]).
"""

from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..coffea_api import BaseSchema
from ..columns import first, opening_angle
from .base import Format

_NUONE_MODES = (54, -54, 59)
_UNKNOWN_MODE = 0
# Codes of nuclei begin here; what is left of the nucleus is no product of the scattering.
_NUCLEI = 1_000_000_000
_CHARGED_LEPTONS = (11, 13, 15)


def _is_nuone(events: ak.Array) -> NDArray[np.bool_]:
    mode = np.asarray(events.Mode)
    marked = np.isin(mode, _NUONE_MODES)
    if "pdg" not in events.fields or "PDGnu" not in events.fields:
        return marked
    products = events.pdg[events.pdg < _NUCLEI]
    electron, neutrino = ak.any(products == 11, axis=1), ak.any(products == events.PDGnu, axis=1)
    alone = ak.to_numpy((ak.num(products) == 2) & electron & neutrino)
    return marked | ((mode == _UNKNOWN_MODE) & alone)


def _lepton(events: ak.Array) -> NDArray[np.int64]:
    return np.asarray(events.PDGLep, dtype=np.int64)


def _is_cc(events: ak.Array) -> NDArray[np.bool_]:
    return np.isin(np.abs(_lepton(events)), _CHARGED_LEPTONS) & ~_is_nuone(events)


def _nu_pdg(events: ak.Array) -> NDArray[Any]:
    if "PDGnu" in events.fields:
        return np.asarray(events.PDGnu)
    # Both leptons have the same flavour, except where the charged one was there before.
    lepton = _lepton(events)
    charged = np.isin(np.abs(lepton), _CHARGED_LEPTONS)
    return np.where(charged & _is_nuone(events), 0, lepton + np.where(charged, np.sign(lepton), 0))


def _electron_energy(events: ak.Array) -> NDArray[Any]:
    energy = np.where(np.abs(_lepton(events)) == 11, np.asarray(events.ELep), np.nan)
    if "pdg" not in events.fields:
        return energy
    return np.where(_is_nuone(events), first(events.E[events.pdg == 11], np.nan), energy)


def _electron_theta(events: ak.Array) -> NDArray[Any]:
    cosine = np.asarray(events.CosLep, dtype=np.float64)
    sine = np.sqrt(np.maximum((1.0 - cosine) * (1.0 + cosine), 0.0))
    angle = np.where(np.abs(_lepton(events)) == 11, np.arctan2(sine, cosine), np.nan)
    if "pdg" not in events.fields:
        return angle
    momentum = [ak.values_astype(events[name], "float64") for name in ("px", "py", "pz")]
    electron = [first(p[events.pdg == 11], np.nan) for p in momentum]
    # The struck electron was at rest: the products carry the momentum of the neutrino.
    neutrino = [ak.sum(p[events.pdg < _NUCLEI], axis=1) for p in momentum]
    return np.where(_is_nuone(events), opening_angle(electron, neutrino), angle)


NUISANCE_FLATTREE = Format(
    name="nuisance_flattree",
    title="NUISANCE flat tree (tree 'FlatTree_VARS')",
    tree="FlatTree_VARS",
    schema=BaseSchema,
    matches=frozenset({"Mode", "Enu_true", "PDGLep"}).issubset,
    columns={
        "nu_pdg": _nu_pdg,
        "true_neutrino_energy": lambda e: e.Enu_true,
        "true_electron_energy": _electron_energy,
        "true_electron_theta": _electron_theta,
        "is_cc": _is_cc,
        "mode": lambda e: e.Mode,
        "is_nuone": _is_nuone,
        "lepton_pdg": _lepton,
    },
    is_mc=lambda file: True,
    notes=(
        "the file does not hold its exposure: set 'pot' = 1 / (fScaleFactor x nucleons x flux "
        "[1/cm^2/POT])",
        'events are weighted only with weight = "Weight"; GiBUU\'s mean nothing without',
        "without the branches 'pdg' and 'PDGnu', nu-e scattering of mode 0 is not recognised",
    ),
)
