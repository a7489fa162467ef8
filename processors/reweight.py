"""Event weights: the nominal one, and the basis from which every hypothesis is made.

The rate of a hypothesis is ``SM + sum of coefficient * template`` (:mod:`processors.hypotheses`),
for a magnetic moment ``SM + mu_nu**2 * unit template``; no value of any property appears before
the limit.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from fileset.columns import place
from fileset.errors import InputError

from . import kernels
from .hypotheses import TEMPLATE_FLAVOURS, Truth, ratios
from .reading import Columns, as_columns

Events: TypeAlias = "ak.Array | Columns"
Floats = NDArray[np.float64]

# Relative precision of truth energies in files: float32, and differences of such.
_TRUTH_PRECISION = 1e-4


WEIGHTS = ("generator_weight", "flux_weight")
"""Columns that the nominal weight is the product of, where events have them."""


def nominal_weights(
    events: Events, clipped: Counter[str] | None = None, *, without: str = ""
) -> Floats:
    """Weight of each event before any hypothesis.

    Parameters
    ----------
    events : coffea NanoEvents or Columns, length n
    clipped : Counter, optional
        See :func:`acceptable`.
    without : str
        Member of :data:`WEIGHTS` to leave out, for a variation that takes its place.

    Returns
    -------
    ndarray, shape (n,)
        Constant weight of the file, times the branch that the dataset names, times the
        central-value flux weight; those that a format does not provide are 1. Data have weight 1.

    Raises
    ------
    InputError
        If a weight is not finite, or negative and that is not allowed.
    """
    events = as_columns(events)
    if not events.metadata["is_mc"]:
        return np.ones(len(events))
    weights = np.full(len(events), events.metadata.get("event_weight", 1.0))
    for name in WEIGHTS:
        if name in events.fields and name != without:
            weights = weights * acceptable(events, name, events[name], clipped)
    return weights


def template_weights(
    events: Events, templates: Sequence[str]
) -> dict[str, tuple[NDArray[np.int64], Floats]]:
    """Weights of nu-e events in the signal templates, relative to their nominal weight.

    Parameters
    ----------
    events : coffea NanoEvents or Columns, length n
        nu-e elastic scattering with truth.
    templates : sequence of str
        Labels of :data:`processors.hypotheses.TEMPLATES`.

    Returns
    -------
    dict of str to (ndarray of int, ndarray), shapes (k,)
        Label to the positions of the events of its flavour and their ratios.

    Raises
    ------
    InputError
        If the truth of an event is missing or cannot be.
    """
    truth = _truth(events)
    found = ratios(truth, {label.rpartition("_")[0] for label in templates})
    for name, ratio in found.items():
        check_finite(events, f"{name} template", ratio)
    flavours = {
        code: np.flatnonzero(np.abs(truth.pdg) == code) for code in {*TEMPLATE_FLAVOURS.values()}
    }
    weights = {}
    for label in templates:
        index = flavours[TEMPLATE_FLAVOURS[label]]
        weights[label] = index, found[label.rpartition("_")[0]][index]
    return weights


def radiative_weight(events: Events, scheme: str) -> Floats:
    """Radiative correction of the SM cross-section of each nu-e event.

    Parameters
    ----------
    events : coffea NanoEvents or Columns, length n
    scheme : str
        See :func:`processors.kernels.radiative_ratio`; ``"none"`` for a generator at tree level
        left as it is.

    Returns
    -------
    ndarray, shape (n,)
    """
    if scheme == "none":
        return np.ones(len(events))
    recoil, neutrino, pdg, mixing = _truth(events)
    ratio = kernels.radiative_ratio(recoil, neutrino, pdg, scheme, mixing)
    check_finite(events, f"radiative weight {scheme!r}", ratio)
    return ratio


def acceptable(
    events: Events, name: str, values: NDArray[Any], clipped: Counter[str] | None = None
) -> NDArray[Any]:
    """Weights or factors as the dataset wants them: finite, and negative only if it says so.

    Parameters
    ----------
    events : coffea NanoEvents
        With ``events.metadata["negative_weights"]``: ``"refuse"``, ``"clip"`` or ``"keep"``.
    name : str
        What they are, for the message and the count.
    values : ndarray
    clipped : Counter, optional
        Counts how many are set to 0.

    Returns
    -------
    ndarray, shape of ``values``

    Raises
    ------
    InputError
        Names the weight and how many values are bad.
    """
    check_finite(events, name, values)
    negative = int(np.count_nonzero(values < 0.0))
    policy = events.metadata.get("negative_weights", "refuse")
    if not negative or policy == "keep":
        return values
    if policy == "refuse":
        raise InputError(
            f"{place(events.metadata)}: {name!r} is negative in {negative} of {values.size} "
            'values; mend the file, or set negative_weights = "clip" or "keep" in the dataset'
        )
    if clipped is not None:
        clipped[name] += negative
    return np.maximum(values, 0.0)


def check_finite(events: Events, name: str, values: NDArray[np.floating]) -> None:
    """Refuse a weight that is NaN or infinite: it would poison a histogram without a word.

    Raises
    ------
    InputError
        Names the weight and how many events have it.
    """
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise InputError(
            f"{place(events.metadata)}: {name!r} is not finite in {bad} of {values.size} values; "
            "mend the file or leave it out of the dataset"
        )


def _truth(events: Events) -> Truth:
    """Truth of nu-e events, inside phase space."""
    events = as_columns(events)
    names = ("true_recoil_energy", "true_neutrino_energy", "nu_pdg")
    recoil, neutrino, pdg = (events[name] for name in names)
    limit = kernels.max_recoil_energy(neutrino)
    beyond = int(np.count_nonzero(recoil > limit * (1.0 + _TRUTH_PRECISION)))
    if beyond:
        raise InputError(
            f"{place(events.metadata)}: the true recoil energy is above the kinematic limit in "
            f"{beyond} of {len(events)} nu-e events; check the signal code and the truth of the "
            "file"
        )
    # Truth stored as float32 may exceed the limit by a rounding step and would get weight 0.
    return Truth(np.minimum(recoil, limit), neutrino, pdg, events.metadata["sin2_theta_w"])
