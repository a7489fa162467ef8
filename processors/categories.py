"""Truth categories: what a selected event really is, first match wins."""

from collections.abc import Callable

import awkward as ak
import numpy as np
from numpy.typing import NDArray

DATA = "data"
SIGNAL = "nuone"
MAGNETIC = "nuone_magnetic"
"""Not a category of events but of weights: the signal at unit magnetic moment."""


def _is_nuone(events: ak.Array) -> NDArray[np.bool_]:
    signal = ak.to_numpy(events[events.metadata["signal_column"]] == events.metadata["signal_code"])
    if "lepton_pdg" in events.fields:
        # Inelastic nu-e -> mu shares the code of elastic scattering in some generators.
        signal = signal & (np.abs(ak.to_numpy(events.lepton_pdg)) != 13)
    return signal


CATEGORIES: dict[str, Callable[[ak.Array], NDArray[np.bool_]]] = {
    SIGNAL: _is_nuone,
    "cosmic": lambda e: ak.to_numpy(e.nu_pdg == 0),
    "nue_cc": lambda e: ak.to_numpy((np.abs(e.nu_pdg) == 12) & e.is_cc),
    "mec": lambda e: ak.to_numpy(e["mode"] == 10),
    "numu_cc": lambda e: ak.to_numpy((np.abs(e.nu_pdg) == 14) & e.is_cc),
    "nc": lambda e: ak.to_numpy(~e.is_cc),
    "other": lambda e: np.ones(len(e), dtype=bool),
}

LABELS = {
    DATA: "data",
    SIGNAL: r"$\nu$-on-$e$ (SM)",
    MAGNETIC: r"$\nu$-on-$e$ (magnetic, per $\mu_\mathrm{B}^2$)",
    "cosmic": "cosmic-like",
    "nue_cc": r"$\nu_e$ CC",
    "mec": "MEC",
    "numu_cc": r"$\nu_\mu$ CC",
    "nc": "NC",
    "other": "other",
}
"""Category to its name in figures."""

AXIS = (*CATEGORIES, MAGNETIC, DATA)
"""Bins of the category axis of every histogram."""


def categorise(events: ak.Array) -> NDArray[np.int64]:
    """Category of each event.

    Parameters
    ----------
    events : coffea NanoEvents, length n

    Returns
    -------
    ndarray of int, shape (n,)
        Position in :data:`AXIS`.
    """
    if not events.metadata["is_mc"]:
        return np.full(len(events), AXIS.index(DATA))
    category = np.full(len(events), -1)
    for position, matches in enumerate(CATEGORIES.values()):
        category[(category < 0) & matches(events)] = position
    return category
