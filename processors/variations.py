"""Systematic variations as columns; adding one means adding one function to this module.

A *weight* variation returns the factor of each event for an upward and a downward fluctuation of
one standard deviation; a *table* variation returns one factor per event and label (flux universes,
cross-section knobs, replicas); a *shift* returns replaced columns, for which cuts, derived columns
and bins are evaluated again. ``flux`` gives the bins ``fluxUp`` and ``fluxDown`` of the variation
axis. How they are declared and evaluated:
:mod:`processors.registry` and :mod:`processors.evaluation`; in a file of your own the
same decorator does, see ``docs/systematics.md``.
"""

import numpy as np
from numpy.typing import NDArray

from fileset.formats import FORMATS
from fileset.identity import event_keys, mixed

from .evaluation import at_sigmas, rows
from .reading import Columns
from .registry import NOMINAL, VARIATIONS, Metadata, normalisation, variation

CALORIMETRIC = ("shower_energy", "slice_energy", "vertex_energy", "vertex_activity")
"""Columns that an energy scale moves."""

REPLICAS = 100
"""Bootstrap replicas of each event."""

KNOB_SIGMAS = (1.0, -1.0, 2.0, -2.0)
"""Shifts of the cross-section knobs on the variation axis [standard deviations]."""

_SIDES = {1.0: "Up", -1.0: "Down", 2.0: "_2sigmaUp", -2.0: "_2sigmaDown"}

# Cumulative probabilities of a Poisson distribution of mean 1, until rounding ends them.
_POISSON = np.cumsum(np.exp(-1.0) / np.cumprod([1.0, *range(1, 19)]))


def _universe_labels(metadata: Metadata) -> list[str]:
    return [f"ppfx_{i:03d}" for i in range(metadata.get("universes", 0))]


def _knob_labels(metadata: Metadata) -> list[str]:
    return [f"{knob}{_SIDES[sigma]}" for sigma in KNOB_SIGMAS for knob in metadata.get("knobs", ())]


@variation(uses=("nu_pdg",))
def flux(events: Columns) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beam-flux normalisation, 10 % [relative], of everything but cosmics.

    Source: flux-weighted uncertainty of the NOvA 2017 release (``fileset/fluxes``): 9.8 % for
    numu, 10.2 % for nue, rounded.
    """
    beam = events.nu_pdg != 0
    return np.where(beam, 1.10, 1.0), np.where(beam, 0.90, 1.0)


@variation(uses=("flux_universes",), replaces="flux_weight", labels=_universe_labels)
def ppfx(events: Columns) -> NDArray[np.floating]:
    """Hadron-production universes of the flux, in place of the central value."""
    return rows(events, "flux_universes", events.metadata["universes"])


@variation(
    uses=("knob_plus1", "knob_minus1", "knob_plus2", "knob_minus2"),
    labels=_knob_labels,
)
def genie(events: Columns) -> NDArray[np.floating]:
    """Cross-section knobs of the generator at +-1 and +-2 standard deviations."""
    size = len(events.metadata["knobs"])
    names = ("knob_plus1", "knob_minus1", "knob_plus2", "knob_minus2")
    return np.hstack([rows(events, name, size) for name in names])


@variation(uses=("knob_shifts",), labels=_knob_labels, default=False)
def knobs(events: Columns) -> NDArray[np.floating]:
    """Cross-section knobs that a file stores at shifts of its own, at +-1 and +-2.

    Not made by default: some of the released DUNE weights are negative.
    """
    layout = FORMATS[events.metadata["format"]]
    names, stored = events.metadata["knobs"], layout.knob_sigmas
    table = rows(events, "knob_shifts", len(names) * len(stored))
    shifted = at_sigmas(stored, table.reshape(len(table), len(names), len(stored)), KNOB_SIGMAS)
    return np.moveaxis(shifted, -1, 1).reshape(len(table), len(names) * len(KNOB_SIGMAS))


@variation(uses=("shower_energy",), optional=CALORIMETRIC, shift=True)
def calibration(events: Columns) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Calorimetric energy scale of the detector, 5 % [relative].

    Every calorimetric column that the format has moves together. An assumption: no source for its
    size.
    """
    present = [name for name in CALORIMETRIC if name in events.fields]
    up, down = ({name: s * events[name] for name in present} for s in (1.05, 0.95))
    return up, down


@variation(uses=("theta",), shift=True)
def angle(events: Columns) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Scale of the shower's angle to the beam, 5 % [relative].

    An assumption: no source for its size.
    """
    return {"theta": 1.05 * events.theta}, {"theta": 0.95 * events.theta}


@variation(
    uses=("run", "subrun", "event"),
    labels=lambda metadata: [f"bootstrap_{i:03d}" for i in range(REPLICAS)],
    data=True,
    default=False,
)
def bootstrap(events: Columns) -> NDArray[np.floating]:
    """Poisson replicas of the events, for the statistical correlation of bins and samples.

    All slices of an event get the same number, whatever the file, chunk or dataset that they are
    read from: samples that share events stay correlated.
    """
    keys = event_keys({name: events[name] for name in ("run", "subrun", "event")})
    replicas = np.arange(1, REPLICAS + 1, dtype=np.uint64)
    uniform = mixed(keys[:, None] ^ mixed(replicas)) / 2.0**64
    return np.searchsorted(_POISSON, uniform).astype(np.float32)


__all__ = ["NOMINAL", "VARIATIONS", "normalisation", "variation"]
