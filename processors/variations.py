"""Systematic variations as columns; adding one means adding one function to this module.

A *weight* variation returns the factor of each event for an upward and a downward fluctuation of
one standard deviation; a *table* variation returns one factor per event and label (flux universes,
cross-section knobs); a *shift* returns replaced columns, for which cuts, derived columns and bins
are evaluated again. ``flux`` gives the bins ``fluxUp`` and ``fluxDown`` of the variation axis.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from fileset.columns import describe
from fileset.errors import InputError, closest
from fileset.formats import FORMATS

from .columns import provided
from .reweight import acceptable

NOMINAL = "nominal"

Metadata = Mapping[str, Any]
Labels = Callable[[Metadata], list[str]]


@dataclass(frozen=True)
class Variation:
    """One registered variation.

    Attributes
    ----------
    name : str
    function : callable
        Events to factors ``(up, down)`` or a table, or to replaced columns for a shift.
    uses : tuple of str
        Columns that it reads; a format without one of them does not have the variation.
    labels : callable
        Metadata of a dataset to the bins of the variation axis.
    shift : bool
        Whether the function replaces columns instead of returning factors.
    """

    name: str
    function: Callable[[ak.Array], Any]
    uses: tuple[str, ...]
    labels: Labels
    shift: bool = False


CALORIMETRIC = ("shower_energy", "slice_energy", "vertex_energy", "vertex_activity")
"""Columns that an energy scale moves."""

VARIATIONS: dict[str, Variation] = {}


def variation(
    *, uses: tuple[str, ...], shift: bool = False, labels: Labels | None = None
) -> Callable[[Callable[[ak.Array], Any]], Callable[[ak.Array], Any]]:
    """Register a variation under the name of its function.

    Parameters
    ----------
    uses : tuple of str
        Canonical or derived columns that the function reads.
    shift : bool
        The function returns two dictionaries of replaced canonical columns instead of factors.
    labels : callable, optional
        For a table: the label of each of its columns, from the metadata of the dataset.
    """

    def register(function: Callable[[ak.Array], Any]) -> Callable[[ak.Array], Any]:
        name = function.__name__
        pair = [f"{name}Up", f"{name}Down"]
        VARIATIONS[name] = Variation(name, function, uses, labels or (lambda _: pair), shift)
        return function

    return register


def find_variations(names: str | None) -> list[Variation]:
    """Registered variations by comma-separated names; None for all, ``"none"`` for none.

    Raises
    ------
    InputError
        For an unknown name.
    """
    if names is None:
        return list(VARIATIONS.values())
    wanted = [name for name in names.split(",") if name and name != "none"]
    for name in wanted:
        if name not in VARIATIONS:
            raise InputError(f"no variation {name!r}; {closest(name, VARIATIONS)}")
    return [VARIATIONS[name] for name in wanted]


def unavailable(names: str | None, format_name: str) -> dict[str, list[str]]:
    """Variations that events of a format cannot have, with the columns that they lack."""
    columns = provided(format_name)
    lacking = {v.name: sorted(set(v.uses) - columns) for v in find_variations(names)}
    return {name: missing for name, missing in lacking.items() if missing}


def factors(
    events: ak.Array, variation: Variation, clipped: Counter[str] | None = None
) -> NDArray[np.float64]:
    """Evaluate a weight or table variation.

    Parameters
    ----------
    events : coffea NanoEvents, length n
    variation : Variation
        Not a shift.
    clipped : Counter, optional
        See :func:`processors.reweight.acceptable`.

    Returns
    -------
    ndarray, shape (n, number of labels)
        Factor on the nominal weight.

    Raises
    ------
    InputError
        If a factor is not finite, or negative and that is not allowed, or their number is not
        what the labels say.
    """
    labels = variation.labels(events.metadata)
    result = variation.function(events)
    if isinstance(result, tuple):
        # Of awkward arrays, column_stack would make another awkward array.
        result = np.column_stack([np.asarray(column) for column in result])
    table = np.asarray(result)
    if table.shape != (len(events), len(labels)):
        raise InputError(
            f"{describe(events)}: variation {variation.name!r} gives an array of shape "
            f"{table.shape}, expected {(len(events), len(labels))}"
        )
    bad = ~np.isfinite(table).all(axis=0)
    if bad.any():
        label = labels[int(np.argmax(bad))]
        raise InputError(
            f"{describe(events)}: variation {label!r} is not finite in some of {len(events)} "
            f"selected events; mend the file or leave the variation out (--variations)"
        )
    return acceptable(events, variation.name, table, clipped)


def rows(events: ak.Array, name: str, size: int) -> NDArray[np.float64]:
    """Read a table column as a matrix; events without a row, such as cosmics, get ones.

    Parameters
    ----------
    events : coffea NanoEvents, length n
    name : str
        Table column.
    size : int
        Expected length of every row.

    Returns
    -------
    ndarray, shape (n, size)

    Raises
    ------
    InputError
        If a row has another length.
    """
    table = events[name]
    counts = ak.to_numpy(ak.num(table, axis=1))
    wrong = (counts != 0) & (counts != size)
    if wrong.any():
        raise InputError(
            f"{describe(events)}: {name!r} has {counts[wrong][0]} values in some events, expected "
            f"{size} as at the beginning of the dataset"
        )
    matrix = np.ones((len(events), size))
    matrix[counts == size] = ak.to_numpy(ak.flatten(table, axis=1)).reshape(-1, size)
    return matrix


def _universe_labels(metadata: Metadata) -> list[str]:
    return [f"ppfx_{i:03d}" for i in range(metadata.get("universes", 0))]


def _knob_labels(metadata: Metadata) -> list[str]:
    knobs = FORMATS[metadata["format"]].knobs
    sigmas = ("Up", "Down", "_2sigmaUp", "_2sigmaDown")
    return [f"{knob}{sigma}" for sigma in sigmas for knob in knobs]


@variation(uses=("nu_pdg",))
def flux(events: ak.Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beam-flux normalisation, 10 % [relative], of everything but cosmics.

    Source: flux-weighted uncertainty of the NOvA 2017 release (``fileset/fluxes``): 9.8 % for
    numu, 10.2 % for nue, rounded.
    """
    beam = ak.to_numpy(events.nu_pdg != 0)
    return np.where(beam, 1.10, 1.0), np.where(beam, 0.90, 1.0)


@variation(uses=("flux_universes", "flux_weight"), labels=_universe_labels)
def ppfx(events: ak.Array) -> NDArray[np.float64]:
    """Hadron-production universes of the flux, relative to the central value."""
    universes = rows(events, "flux_universes", events.metadata["universes"])
    return universes / ak.to_numpy(events.flux_weight)[:, None]


@variation(
    uses=("knob_plus1", "knob_minus1", "knob_plus2", "knob_minus2"),
    labels=_knob_labels,
)
def genie(events: ak.Array) -> NDArray[np.float64]:
    """Cross-section knobs of the generator at +-1 and +-2 standard deviations."""
    size = len(FORMATS[events.metadata["format"]].knobs)
    names = ("knob_plus1", "knob_minus1", "knob_plus2", "knob_minus2")
    return np.hstack([rows(events, name, size) for name in names])


@variation(uses=("shower_energy",), shift=True)
def calibration(events: ak.Array) -> tuple[dict[str, ak.Array], dict[str, ak.Array]]:
    """Calorimetric energy scale of the detector, 5 % [relative].

    Every calorimetric column that the format has moves together. An assumption: no source for its
    size.
    """
    present = [name for name in CALORIMETRIC if name in events.fields]
    up, down = ({name: s * events[name] for name in present} for s in (1.05, 0.95))
    return up, down


@variation(uses=("theta",), shift=True)
def angle(events: ak.Array) -> tuple[dict[str, ak.Array], dict[str, ak.Array]]:
    """Scale of the shower's angle to the beam, 5 % [relative].

    An assumption: no source for its size.
    """
    return {"theta": 1.05 * events.theta}, {"theta": 0.95 * events.theta}
