"""Figures of a limit from a model: what it was read from, and what the fit did.

Every function takes results and returns a matplotlib ``Figure``; nothing is computed here that is
not in them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .limit.contours import Contour
from .limit.fit import Fitter
from .limit.impacts import ParameterImpact
from .limit.likelihood import expectation
from .limit.limit_model import LimitModel
from .limit.model import Floats
from .limit.result import ModelLimit
from .plots import canvas, styled

_BLUE, _RED, _GREY = "#0072b2", "#b3005e", "#777777"
_BANDS = (("expected ±2σ", 0, 4, "#d5e5f2"), ("expected ±1σ", 1, 3, "#8fbcdd"))
_MOMENT_LABEL = r"$\mu_\nu$ [$10^{-9}\,\mu_\mathrm{B}$]"
_LINES = {"68.27 %": "#8fbcdd", "90 %": _BLUE, "99 %": _RED}
_SHOWN = 20
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
    name = _probability(limit)
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


def _probability(limit: ModelLimit) -> str:
    if limit.method.startswith("bayes"):
        return "posterior above"
    return "CLs" if limit.method.startswith("cls") else "p-value"


@styled
def band(limit: ModelLimit) -> Any:
    """Draw p-value or CLs of the data over the band of experiments without a moment.

    Parameters
    ----------
    limit : ModelLimit
        With the band in its curve.

    Returns
    -------
    matplotlib.figure.Figure
    """
    curve = limit.curve
    moment = np.sqrt(curve.s) * limit.unit / 1e-9
    figure = canvas(5.8, 4.6)
    axes = figure.subplots()
    for label, low, high, colour in _BANDS:
        axes.fill_between(
            moment, curve.band[low], curve.band[high], color=colour, label=label, linewidth=0.0
        )
    axes.plot(moment, curve.band[2], color="black", linestyle="--", label="expected")
    axes.plot(moment, curve.p_value, "o-", color=_BLUE, markersize=3, label="data")
    alpha = 1.0 - limit.confidence_level
    axes.axhline(alpha, color=_RED, linewidth=1.0, label=f"{alpha:.3g}")
    axes.axvline(limit.mu_nu / 1e-9, color=_RED, linestyle="-.", linewidth=1.0)
    inside = moment[curve.band[4] > 0.2 * alpha]
    axes.set_xlim(0.0, max(float(inside.max()), 1.2 * limit.mu_nu / 1e-9))
    axes.set_ylim(0.1 * alpha, 1.6)
    axes.set_yscale("log")
    axes.set_xlabel(_MOMENT_LABEL)
    axes.set_ylabel(_probability(limit))
    level = 100 * limit.confidence_level
    axes.set_title(f"{limit.method}: {limit.mu_nu / 1e-9:.3g} at {level:g} % CL", loc="right")
    axes.legend(loc="lower left", ncols=2)
    return figure


@styled
def delta_chi2(model: LimitModel) -> Any:
    """Draw -2 Delta ln L along the moment with the lines of 90 and 99 %.

    Parameters
    ----------
    model : LimitModel
        With data.

    Returns
    -------
    matplotlib.figure.Figure
        With both the data and the expectation without a moment.
    """
    fit = Fitter.of(model)
    null = fit.asimov()
    top = 1.4 * max(_THRESHOLDS.values())
    s = np.linspace(0.0, np.sqrt(max(fit.reach(top), null.reach(top))), 81) ** 2
    moment = np.sqrt(s) * model.unit / 1e-9
    figure = canvas(5.8, 4.2)
    axes = figure.subplots()
    axes.plot(moment, null.statistic(s), color="black", linestyle="--", label="expected, no moment")
    axes.plot(moment, fit.statistic(s), color=_BLUE, linewidth=1.6, label="data")
    for name, threshold in _THRESHOLDS.items():
        axes.axhline(threshold, color=_RED, linewidth=1.0, linestyle=":")
        axes.text(0.01 * moment[-1], threshold, f"{name}, {threshold:.2f}", color=_RED, va="bottom")
    axes.set_xlim(0.0, float(moment[-1]))
    axes.set_ylim(0.0, top)
    axes.set_xlabel(_MOMENT_LABEL)
    axes.set_ylabel("−2 Δ ln L")
    axes.legend(loc="lower right")
    return figure


@styled
def pulls(found: Sequence[ParameterImpact]) -> Any:
    """Draw pulls of the nuisance parameters and their impacts on s, the largest first.

    Parameters
    ----------
    found : sequence of ParameterImpact
        As :meth:`.LimitModel.impacts` orders them; the first 20 are drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = found[:_SHOWN]
    places = np.arange(len(shown))[::-1]
    figure = canvas(6.6, 1.6 + 0.26 * len(shown))
    left, right = figure.subplots(1, 2, sharey=True)
    left.axvspan(-1.0, 1.0, color=_BANDS[0][3], zorder=0)
    left.axvline(0.0, color=_GREY, linewidth=0.8)
    values = [one.pull for one in shown]
    errors = [one.error for one in shown]
    left.errorbar(values, places, xerr=errors, fmt="o", color="black", markersize=4)
    reach = max(1.5, max(abs(v) + e for v, e in zip(values, errors, strict=True)))
    left.set_xlim(-1.1 * reach, 1.1 * reach)
    left.set_yticks(places, [one.name for one in shown], fontsize=9)
    left.tick_params(axis="y", which="both", length=0)
    left.set_ylim(-0.6, len(shown) - 0.4)
    left.set_xlabel("pull [σ]")
    impacts = np.array([one.impact for one in shown])
    right.barh(places, impacts, 0.6, color=_BLUE, label="parameter +1σ")
    right.barh(places, -impacts, 0.6, edgecolor=_RED, facecolor="none", label="parameter −1σ")
    right.axvline(0.0, color=_GREY, linewidth=0.8)
    right.set_xlim(*(np.array([-1.25, 1.25]) * max(float(np.abs(impacts).max()), 1e-12)))
    right.set_xlabel("change of s")
    handles = right.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=2, fontsize=9)
    return figure


@styled
def contours(found: Contour, first: str, second: str) -> Any:
    """Draw the lines of a confidence level in s and another quantity.

    Parameters
    ----------
    found : Contour
    first, second : str
        Labels.

    Returns
    -------
    matplotlib.figure.Figure
        Lines at the values of chi-square with two degrees of freedom, their names on them.
    """
    figure = canvas(5.8, 5.0)
    axes = figure.subplots()
    levels = {value: name for name, value in found.levels.items() if name in _LINES}
    drawn = axes.contour(
        found.s,
        found.values,
        found.statistic,
        sorted(levels),
        colors=[_LINES[levels[value]] for value in sorted(levels)],
    )
    axes.clabel(drawn, fmt=levels, fontsize=9)
    axes.plot(*found.best, "*", color="black", markersize=10, label="best", clip_on=False)
    # As far as the last line goes.
    inside = found.statistic <= 1.1 * max(levels)
    columns, rows = inside.any(axis=0), inside.any(axis=1)
    axes.set_xlim(0.0, 1.1 * float(found.s[columns].max()))
    low, high = float(found.values[rows].min()), float(found.values[rows].max())
    margin = 0.1 * (high - low)
    axes.set_ylim(low - (margin if low < 0.0 else 0.0), high + margin)
    axes.set_xlabel(first)
    axes.set_ylabel(second)
    axes.legend(loc="upper right")
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
