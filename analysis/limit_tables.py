"""Limits from a model in words, rows and JSON, ready to print or to encode."""

import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from .limit.goodness import DataTest
from .limit.impacts import ParameterImpact
from .limit.limit_model import LimitModel
from .limit.result import ModelLimit
from .tables import Table

SCHEMA = 1

SHOWN_PULLS = 10
"""Rows of the table of pulls; JSON has all."""


def fit_table(limits: Sequence[ModelLimit]) -> Table:
    """Limits by method, observed and expected."""
    rows = []
    for limit in limits:
        band = limit.expected_mu_nu
        rows.append(
            (
                limit.method,
                f"{limit.mu_nu:.3g}" + (f" +- {limit.mu_nu_error:.1g}" if limit.toys else ""),
                f"{band.median:.3g}" if band else "-",
                f"{band.minus_one_sigma:.3g} to {band.plus_one_sigma:.3g}" if band else "-",
                limit.convention,
            )
        )
    columns = ("method", "mu_nu < [mu_B]", "expected", "+-1 sigma", "convention")
    return Table("upper limits on the effective magnetic moment, from the spectrum", columns, rows)


def pulls_table(found: Sequence[ParameterImpact]) -> Table:
    """Pulls and impacts of the nuisance parameters, the largest impact first."""
    rows = [
        (one.name, f"{one.pull:+.2f} +- {one.error:.2f}", f"{one.impact:+.3f}")
        for one in found[:SHOWN_PULLS]
    ]
    columns = ("parameter", "after the fit", "change of s [(mu/1e-9 mu_B)^2]")
    return Table("pulls and impacts, the largest first", columns, rows)


def data_test_sentence(name: str, test: DataTest) -> str:
    """Result of a test of the data in one line."""
    toys = ""
    if test.p_toys is not None:
        toys = f", {test.p_toys:.3g} +- {test.p_error:.1g} by {test.toys} toys of seed {test.seed}"
    p = f"p = {test.p_value:.3g} asymptotically{toys} ({test.convention})"
    if name == "goodness":
        return f"goodness of fit: {test.statistic:.2f} with {test.degrees} degrees of freedom, {p}"
    return f"no moment: q0 = {test.statistic:.3g}, {math.sqrt(test.statistic):.2f} sigma, {p}"


def model_sentence(model: LimitModel) -> str:
    """Inputs of a limit from a model in one line."""
    observed = "no data, the expectation in their place"
    if model.observed is not None:
        observed = f"{model.observed.sum():g} observed"
    statistics = ", Monte Carlo statistics" if model.mc_relative.any() else ""
    signal = model.signal.sum() * (1e-9 / model.unit) ** 2
    return (
        f"exposure {model.pot:.4g} POT: {observed}, {model.background.sum():.2f} expected in "
        f"{model.bins} bins with {len(model.parameters)} nuisance parameters{statistics}, "
        f"{signal:.3f} signal events per (1e-9 mu_B)^2"
    )


def fit_sentence(limit: ModelLimit) -> str:
    """One limit with all that it means in one line."""
    pieces = []
    if limit.toys:
        what = "draws" if limit.method.startswith("bayes") else "toys"
        pieces.append(f"{limit.toys} {what} per point, seed {limit.seed}")
    if limit.fits:
        pieces.append(
            f"{limit.fits} fits of toys, {limit.fallback} of them by full Newton steps or again"
        )
    if limit.negative:
        pieces.append(f"{limit.negative} fits ended where a bin expects less than nothing")
    if len(limit.intervals) > 1:
        gaps = ", ".join(f"{a:.4g} to {b:.4g}" for a, b in limit.intervals)
        pieces.append(f"accepted s in pieces: {gaps}")
    band = limit.expected_mu_nu
    expected = f", expected {band.median:.3g}" if band else ""
    error = f" +- {limit.mu_nu_error:.1g} (Monte Carlo)" if limit.toys else ""
    lower = f"{limit.moment(limit.lower):.3g} < " if limit.lower > 0.0 else ""
    details = "".join(f"; {piece}" for piece in pieces)
    return (
        f"{lower}mu_nu < {limit.mu_nu:.3g} mu_B{error}{expected} "
        f"({limit.method}: {limit.convention}{details})"
    )


def fit_content(model: LimitModel, limits: Sequence[ModelLimit], asimov: bool) -> dict[str, Any]:
    """Everything of limits from a model as plain values; numbers that do not exist are null."""
    return {
        "schema": SCHEMA,
        "model": {
            "channels": {channel.name: channel.bins for channel in model.channels},
            "samples": {sample.name: sample.signal for sample in model.samples},
            "parameters": [parameter.name for parameter in model.parameters],
            "background": float(model.background.sum()),
            "signal_per_s": float(model.signal.sum()),
            "observed": None if asimov or model.observed is None else float(model.observed.sum()),
            "pot": model.pot,
            "unit": model.unit,
            "affine": model.affine,
            "origin": model.origin,
        },
        "impacts": [one._asdict() for one in model.impacts()],
        "limits": {limit.method: _content(limit) for limit in limits},
        "versions": {name: version(name) for name in ("nudipole", "numpy", "scipy", "numba")},
    }


def _content(limit: ModelLimit) -> dict[str, Any]:
    names = ("lower", "upper", "upper_error", "intervals", "best", "mu_nu", "mu_nu_error")
    facts = ("convention", "confidence_level", "toys", "expected_toys", "seed")
    counts = ("fits", "fallback", "negative", "unit", "pot")
    content: dict[str, Any] = {name: getattr(limit, name) for name in (*names, *facts, *counts)}
    for name in ("expected", "expected_mu_nu"):
        band = getattr(limit, name)
        content[name] = None if band is None else list(band)
    content["curve"] = {
        name: values.tolist() if np.isfinite(values).all() else None
        for name, values in limit.curve._asdict().items()
    }
    return content
