"""GiBUU ``RootTuple``: one entry per event, weighted; neutrino-nucleus interactions only.

GiBUU has no neutrino-electron scattering, so its files are background and have no signal code.
Sources: GiBUU ``code/inputOutput/EventOutput.f90`` (``Root_write_additionalInfo``) and
``code/init/neutrino/initNeutrino.f90`` (codes, weight); NUISANCEMC/nuisance,
``src/InputHandler/GiBUUNativeInputHandler.cxx``, agrees. Energies are GeV.

``process_ID`` is +-2 for charged and +-3 for neutral currents, negative for antineutrinos; +-1 is
electron scattering. ``flavor_ID`` is 1, 2, 3 for e, mu, tau. ``evType`` is 1 for quasi-elastic,
2 the Delta, 3-31 higher resonances, 32 and 33 one-pion background, 34 DIS, 35 and 36 scattering
on two nucleons, 37 two-pion background.

Events are thrown like the flux and weighted with the cross-section: without ``weight = "weight"``
every distribution is wrong. The weights of one run (one file) add up to the flux-averaged
cross-section per nucleon in 1e-38 cm^2, so an event stands for weight x 1e-38 cm^2 x nucleons x
flux [1/cm^2] interactions and a file has the exposure ``pot`` = 1e38 / (nucleons x flux
[1/cm^2/POT]); the ``numRuns`` files of one setting together have that many times it. Interference
makes some weights of ``evType`` 32 and 33 negative.
"""

from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..coffea_api import BaseSchema
from ..columns import describe, opening_angle
from ..errors import InputError
from .base import Format


def _nu_pdg(events: ak.Array) -> NDArray[Any]:
    process, flavour = np.asarray(events.process_ID), np.asarray(events.flavor_ID)
    if np.any(np.abs(process) == 1):
        raise InputError(
            f"{describe(events)}: process_ID +-1 is electron scattering, expected +-2 or +-3 for "
            "neutrinos; remove the file from the dataset"
        )
    return np.sign(process) * (10 + 2 * flavour)


def _is_cc(events: ak.Array) -> NDArray[np.bool_]:
    return np.abs(np.asarray(events.process_ID)) == 2


def _lepton_pdg(events: ak.Array) -> NDArray[Any]:
    neutrino = _nu_pdg(events)
    return np.where(_is_cc(events), neutrino - np.sign(neutrino), neutrino)


def _is_electron(events: ak.Array) -> NDArray[np.bool_]:
    return np.abs(_lepton_pdg(events)) == 11


def _electron_energy(events: ak.Array) -> NDArray[Any]:
    return np.where(_is_electron(events), np.asarray(events.lepOut_E), np.nan)


def _electron_theta(events: ak.Array) -> NDArray[Any]:
    angle = opening_angle(
        [events.lepOut_Px, events.lepOut_Py, events.lepOut_Pz],
        [events.lepIn_Px, events.lepIn_Py, events.lepIn_Pz],
    )
    return np.where(_is_electron(events), angle, np.nan)


GIBUU = Format(
    name="gibuu",
    title="GiBUU events (tree 'RootTuple')",
    tree="RootTuple",
    schema=BaseSchema,
    matches=frozenset({"weight", "evType", "lepIn_E", "lepOut_E"}).issubset,
    columns={
        "nu_pdg": _nu_pdg,
        "true_neutrino_energy": lambda e: e.lepIn_E,
        "true_electron_energy": _electron_energy,
        "true_electron_theta": _electron_theta,
        "is_cc": _is_cc,
        "mode": lambda e: e.evType,
        "lepton_pdg": _lepton_pdg,
    },
    is_mc=lambda file: True,
    notes=(
        'events mean nothing without weight = "weight", of which some are negative: see '
        "'negative_weights'",
        "the file does not hold its exposure: set 'pot' = number of files x 1e38 / (nucleons x "
        "flux [1/cm^2/POT])",
        "GiBUU has no neutrino-electron scattering: background only",
    ),
)
