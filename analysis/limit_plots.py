"""Figures of a limit from a model: what it was read from, and the spectrum before and after a fit.

Every function takes results and returns a matplotlib ``Figure``; nothing is computed here that is
not in them.
"""

from typing import Any

import numpy as np

from .limit.fit import Fitter
from .limit.likelihood import expectation
from .limit.limit_model import LimitModel
from .limit.model import Floats
from .limit.result import ModelLimit
from .plots import canvas, styled

_BLUE, _RED, _GREY = "#0072b2", "#b3005e", "#777777"
_BANDS = (("expected ±2σ", 0, 4, "#d5e5f2"), ("expected ±1σ", 1, 3, "#8fbcdd"))
_MOMENT_LABEL = r"$\mu_\nu$ [$10^{-9}\,\mu_\mathrm{B}$]"
_THRESHOLDS = {"90 %": 2.7055, "99 %": 6.6349}


@styled
def curves(limit: ModelLimit) -> Any:
    """Draw the statistic with its critical value and the p-value or CLs, along the moment.

    Parameters
    ----------
    limit : ModelLimit

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = canvas(5.8, 6.2)
    top, bottom = figure.subplots(2, 1, sharex=True)
    curve = limit.curve
    moment = np.sqrt(curve.s) * limit.unit / 1e-9
    observed = limit.mu_nu / 1e-9
    top.plot(moment, curve.statistic, color=_BLUE, label="data")
    if np.isfinite(curve.critical).any():
        label = f"critical at {100 * limit.confidence_level:g} %"
        top.plot(moment, curve.critical, "s-", color=_RED, markersize=3, label=label)
    for name, threshold in _THRESHOLDS.items():
        top.axhline(threshold, color=_GREY, linestyle=":", linewidth=1.0)
        # Clipped, since a line beyond the curves would make the figure as high as it is.
        label = f" {name}, χ²"
        top.text(0.02, threshold, label, color=_GREY, fontsize=8.5, va="bottom", clip_on=True)
    bottom.fill_between(
        moment,
        np.maximum(curve.p_value - curve.p_error, 1e-6),
        curve.p_value + curve.p_error,
        color=_BLUE,
        alpha=0.25,
        linewidth=0.0,
    )
    name = "CLs" if limit.method.startswith("cls") else "p-value"
    bottom.plot(moment, curve.p_value, "o-", color=_BLUE, markersize=3, label="data")
    alpha = 1.0 - limit.confidence_level
    bottom.axhline(alpha, color=_RED, linewidth=1.0, label=f"{alpha:.3g}")
    band = limit.expected_mu_nu
    if band is not None:
        for label, low, high, colour in _BANDS:
            bottom.axvspan(band[low] / 1e-9, band[high] / 1e-9, color=colour, label=label, zorder=0)
        bottom.axvline(band.median / 1e-9, color="black", linestyle="--", label="expected")
    for axes in (top, bottom):
        axes.axvline(observed, color=_RED, linestyle="-.", linewidth=1.0)
    right = 1.5 * observed
    if band is not None:
        right = max(right, 1.1 * band.plus_two_sigma / 1e-9)
    right = min(right, float(moment.max()))
    top.set_xlim(0.0, right)
    shown = moment <= right
    top.set_ylim(0.0, 1.05 * float(curve.statistic[shown].max()))
    bottom.set_ylim(0.3 * alpha, 1.5)
    bottom.set_yscale("log")
    top.set_ylabel("−2 Δ ln L")
    bottom.set_ylabel(name)
    bottom.set_xlabel(_MOMENT_LABEL)
    level = 100 * limit.confidence_level
    top.set_title(f"{limit.method}: {observed:.3g} at {level:g} % CL", loc="right")
    top.legend(loc="upper left")
    bottom.legend(loc="lower left", ncols=2)
    return figure


@styled
def spectrum(model: LimitModel, limit: ModelLimit) -> Any:
    """Draw data, the expectation before and after the fit, and the signal at the limit, per bin.

    Parameters
    ----------
    model : LimitModel
        With data.
    limit : ModelLimit
        From it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fit = Fitter.of(model)
    null = fit.at(np.zeros(1))
    after = expectation(fit.model, fit.data, null)[0]
    edges = np.arange(model.bins + 1)
    figure = canvas(5.8, 5.0)
    axes = figure.subplots()

    def steps(values: Floats, **style: Any) -> None:
        axes.stairs(values, edges, **style)

    steps(model.background, color=_GREY, linestyle="--", label="before the fit")
    steps(after, color=_BLUE, linewidth=1.6, label="fitted, no moment")
    label = f"with {limit.mu_nu:.3g} μB, the limit"
    at_limit = fit.at(np.array([limit.upper]))
    steps(expectation(fit.model, fit.data, at_limit)[0], color=_RED, label=label)
    data = fit.data.n[0]
    middle = edges[:-1] + 0.5
    axes.errorbar(middle, data, np.sqrt(data), fmt="o", color="black", markersize=4, label="data")
    first = 0
    for channel in model.channels:
        if first:
            axes.axvline(first, color=_GREY, linewidth=0.8)
        place = axes.get_xaxis_transform()
        axes.text(first + 0.1, 0.01, channel.name, transform=place, va="bottom")
        first += channel.bins
    axes.set_xlim(0, model.bins)
    axes.set_ylim(0.0, 1.45 * max(float(data.max()), float(after.max())))
    axes.set_xlabel("bin of the fit")
    axes.set_ylabel("events")
    axes.legend(loc="upper right", ncols=2)
    return figure
