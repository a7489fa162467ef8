"""Rows of the table as models: a fit of their counts or spectra, alone or with other models."""

from pathlib import Path

import numpy as np

from fileset.errors import InputError

from ..limit import LimitModel
from .counting import MU_REFERENCE, expected_events, signal_yield
from .rows import Experiment, find_experiment
from .spectrum import MU2_REFERENCE, spectrum_fit

MODELLED = ("counting", "expected_count", "xenon_spectrum")
"""Methods of rows that have a likelihood of counts."""


def row_model(
    name: str, *, nue_fraction: float | None = None, releases: Path | None = None
) -> LimitModel:
    """Make a model of a row.

    Parameters
    ----------
    name : str
        Of the row; the channel is named after it.
    nue_fraction, releases
        As in :func:`.recompute.recompute`.

    Returns
    -------
    LimitModel
        Its uncertainty is one of the normalisation of the background, ``"<name> background"``.

    Raises
    ------
    InputError
        For an unknown row, and one without counts.
    """
    row = find_experiment(name)
    if row.method not in MODELLED:
        known = ", ".join(MODELLED)
        raise InputError(
            f"{name} has no counts to fit, its method is {row.method!r} (of {known} one could "
            "make a model); limit without --fit recomputes it"
        )
    if nue_fraction is not None and row.method != "counting":
        raise InputError(f"nue_fraction: {name} is no published count; leave it out")
    if row.method == "xenon_spectrum":
        return _spectrum(row, releases)
    inputs = row.inputs
    if row.method == "counting":
        return LimitModel.counted(
            name,
            observed=inputs["n_obs"],
            background=inputs["n_bkg"],
            signal=signal_yield(row, nue_fraction=nue_fraction),
            uncertainty=inputs["background_syst"],
            unit=MU_REFERENCE,
            pot=inputs["pot"],
        )
    rate = expected_events(row)
    return LimitModel.counted(
        name,
        background=rate.sm_total * inputs["efficiency"] * (1.0 + inputs["background_ratio"]),
        signal=rate.magnetic_total * inputs["efficiency"],
        uncertainty=inputs["background_syst"],
        unit=MU_REFERENCE,
        pot=inputs["exposure"],
    )


def _spectrum(row: Experiment, releases: Path | None) -> LimitModel:
    fit = spectrum_fit(row, releases)
    return LimitModel.counted(
        row.name,
        observed=fit.counts,
        background=fit.background,
        signal=fit.signal,
        uncertainty=fit.background_syst or np.inf,
        unit=MU2_REFERENCE**0.5,
    )
