"""Truth categories: what a selected event really is, first match wins."""

from collections.abc import Callable

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .reading import Columns, as_columns

DATA = "data"
SIGNAL = "nuone"


def _has_code(columns: Columns, process: str) -> NDArray[np.bool_]:
    """Whether one of the codes that mark a process in this format is set."""
    marked = np.zeros(len(columns), dtype=bool)
    for column, value in columns.metadata["codes"][process]:
        marked |= columns[column] == value
    return marked


def _is_nuone(columns: Columns) -> NDArray[np.bool_]:
    signal = _has_code(columns, SIGNAL)
    if "lepton_pdg" in columns.fields:
        # Inelastic nu-e -> mu shares the code of elastic scattering in some generators.
        signal = signal & (np.abs(columns.lepton_pdg) != 13)
    return signal


CATEGORIES: dict[str, Callable[[Columns], NDArray[np.bool_]]] = {
    SIGNAL: _is_nuone,
    "cosmic": lambda e: e.nu_pdg == 0,
    "nue_cc": lambda e: (np.abs(e.nu_pdg) == 12) & e.is_cc,
    "mec": lambda e: _has_code(e, "mec"),
    "numu_cc": lambda e: (np.abs(e.nu_pdg) == 14) & e.is_cc,
    "nc": lambda e: ~e.is_cc,
    "other": lambda e: np.ones(len(e), dtype=bool),
}

LABELS = {
    DATA: "data",
    SIGNAL: r"$\nu$-on-$e$ (SM)",
    "cosmic": "cosmic-like",
    "nue_cc": r"$\nu_e$ CC",
    "mec": "MEC",
    "numu_cc": r"$\nu_\mu$ CC",
    "nc": "NC",
    "other": "other",
}
"""Category to its name in figures."""

AXIS = (*CATEGORIES, DATA)
"""Bins of the category axis; in spectra the signal templates of a dataset follow."""


def categorise(events: ak.Array | Columns) -> NDArray[np.int64]:
    """Category of each event.

    Parameters
    ----------
    events : coffea NanoEvents or Columns, length n

    Returns
    -------
    ndarray of int, shape (n,)
        Position in :data:`AXIS`.
    """
    if not events.metadata["is_mc"]:
        return np.full(len(events), AXIS.index(DATA))
    columns = as_columns(events)
    category = np.full(len(events), -1)
    # The first match is written last.
    for position, matches in reversed(list(enumerate(CATEGORIES.values()))):
        np.copyto(category, position, where=matches(columns))
    return category
