"""Figures of systematic uncertainties: correlations between bins, and sources ranked."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from processors.categories import LABELS

from ..covariance import correlation as correlation_matrix
from ..limit.impacts import ParameterImpact
from ..limit.template_count import TemplateCount
from ..systematics import Systematics
from ..uncertainty import Impact
from .style import exposure_label, hover, literal, readable, rows_edges, source_name, styled

_SIDES = {"up": ("one standard deviation up", "#0072b2"), "down": ("down", "#e69f00")}
_SPREAD = "#8fbcdd"
_SHOWN_SOURCES = 30


@styled
def correlation(systematics: Systematics) -> Figure:
    """Draw the correlations between all bins of all samples, statistics left out.

    Parameters
    ----------
    systematics : Systematics

    Returns
    -------
    matplotlib.figure.Figure
        One square per pair of bins, from -1 to 1; lines between samples. Bins in which no sample
        varies are left out, others are in order, the last axis fastest; grey where one does not.
    """
    layout = systematics.layout
    matrix = systematics.covariance()
    varies = (np.diag(matrix) > 0.0).reshape(len(layout.samples), layout.bins)
    bins = np.flatnonzero(varies.any(axis=0) | ~varies.any())
    rows = (layout.bins * np.arange(len(layout.samples))[:, None] + bins).ravel()
    shown = correlation_matrix(matrix[np.ix_(rows, rows)])
    still = ~varies.ravel()[rows]
    shown[still], shown[:, still] = np.nan, np.nan
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(shown, cmap="RdBu_r", vmin=-1.0, vmax=1.0, interpolation="nearest")
    axes.set_facecolor("#bbbbbb")
    for end in range(len(bins), len(rows), len(bins)):
        axes.axhline(end - 0.5, color="#444444", linewidth=0.7)
        axes.axvline(end - 0.5, color="#444444", linewidth=0.7)
    centres = len(bins) * (np.arange(len(layout.samples)) + 0.5) - 0.5
    names = [LABELS.get(s, literal(readable(s))) for s in layout.samples]
    axes.set_xticks(centres, names, rotation=45.0, ha="right", rotation_mode="anchor")
    axes.set_yticks(centres, names)
    axes.tick_params(which="both", length=0.0)
    axes.set_title(exposure_label(systematics.pot), loc="right", fontsize=9.5)
    axes.set_title(f"{len(bins)} bins of {', '.join(layout.axes)}", loc="left", fontsize=9.5)
    figure.colorbar(drawn, ax=axes, label="correlation")
    return figure


@styled
def impacts(found: Sequence[Impact], count: TemplateCount) -> Figure:
    """Draw what every source does to the expected events, and to their shape.

    Parameters
    ----------
    found : sequence of Impact
        The largest first; beyond thirty, the smaller ones are left out.
    count : TemplateCount
        Expectation that they are relative to.

    Returns
    -------
    matplotlib.figure.Figure
        Left, in percent of the expectation: both sides of a pair (gid ``up:NAME``, ``down:NAME``),
        the one side that there is, the spread of universes on both sides (gid ``spread:NAME``).
        Right, if there are bins, in percent: what is left of the change when the number of events
        is fixed.
    """
    ranked = found[:_SHOWN_SOURCES]
    figure = Figure(figsize=(6.4, 1.6 + 0.26 * len(ranked)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2.2, 1.0])
    unit = 100.0 / count.n_bkg if count.n_bkg > 0.0 else 0.0
    for row, impact in enumerate(ranked):
        _draw_impact(left, row, impact, unit)
        if impact.shape is not None:
            right.barh(row, 100.0 * impact.shape, 0.6, color="#777777", gid=f"shape:{impact.name}")
    # A bar that begins the axis would look cut off.
    half = 1.1 * unit * ranked[0].size or 1.0
    left.set_xlim(-half, half)
    left.axvline(0.0, color="#444444", linewidth=0.8)
    left.set_yticks(range(len(ranked)), [literal(source_name(i.name)) for i in ranked])
    left.set_ylim(len(ranked) - 0.5, -0.5)
    left.set_xlabel("change of the SM events [%]")
    right.set_xlabel("of the shape [%]")
    right.set_xlim(left=0.0)
    for axes in (left, right):
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    texts = [_impact_text(impact, unit) for impact in ranked]
    hover(left, "y", rows_edges(len(ranked)), texts)
    left_out = f"the largest of {len(found)} sources" if len(found) > len(ranked) else ""
    left.set_title(left_out, loc="left", fontsize=9.5)
    right.set_title(f"at {exposure_label(count.pot)}", loc="right", fontsize=9.5)
    handles, labels = left.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    order = sorted(unique, key=lambda label: label == "spread")
    figure.legend([unique[x] for x in order], order, loc="outside lower center", ncols=3)
    return figure


def _draw_impact(axes: Axes, row: int, impact: Impact, unit: float) -> None:
    """Bars of one source, its sides one above the other: they may point the same way."""
    sides = {side: getattr(impact, side) for side in _SIDES if getattr(impact, side) is not None}
    height = 0.7 / max(len(sides), 1)
    for number, (side, change) in enumerate(sides.items()):
        centre = row + height * (number - 0.5 * (len(sides) - 1))
        label, colour = _SIDES[side]
        gid = f"{side}:{impact.name}"
        axes.barh(centre, unit * change, height, color=colour, label=label, gid=gid)
    if not sides:
        half, gid = unit * impact.size, f"spread:{impact.name}"
        axes.barh(row, 2.0 * half, 0.6, left=-half, color=_SPREAD, label="spread", gid=gid)


def _impact_text(impact: Impact, unit: float) -> str:
    """What a source does, in words."""
    lines = [source_name(impact.name)]
    for side in _SIDES:
        change = getattr(impact, side)
        lines += [] if change is None else [f"{side}: {unit * change:+.2g} %"]
    return "\n".join([*lines, f"in quadrature: {unit * impact.size:.2g} %"])


@styled
def pulls(found: Sequence[ParameterImpact], upper: float) -> Figure:
    """Draw where a fit leaves the nuisance parameters, and what each does to the fitted signal.

    Parameters
    ----------
    found : sequence of ParameterImpact
        The largest impact first; beyond thirty, the others are left out.
    upper : float
        Upper limit that the impacts are relative to [(mu / unit)^2].

    Returns
    -------
    matplotlib.figure.Figure
        Left: pull with its error after the fit (gid ``pull:NAME``), the constraint behind it.
        Right: change of the best signal in percent of the limit, with the parameter one standard
        deviation after the fit higher (gid ``impact:NAME``).
    """
    shown = found[:_SHOWN_SOURCES]
    figure = Figure(figsize=(6.4, 1.4 + 0.27 * len(shown)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.axvspan(-1.0, 1.0, color="#d5e5f2", lw=0)
    for row, one in enumerate(shown):
        change = 100.0 * one.impact / upper
        gid, colour = f"impact:{one.name}", _SIDES["up"][1]
        left.errorbar(
            one.pull, row, xerr=one.error, fmt="o", color="#000000", ms=4, gid=f"pull:{one.name}"
        )
        right.barh(row, change, 0.6, color=colour, gid=gid)
    texts = [
        f"{one.name}\n{one.pull:+.2f} ± {one.error:.2f}\n"
        f"{100.0 * one.impact / upper:+.1f} % of the limit"
        for one in shown
    ]
    reach = max([2.0, *(abs(one.pull) + 1.2 * one.error for one in shown)])
    left.set_xlim(-reach, reach)
    right.axvline(0.0, color="#444444", linewidth=0.8)
    widest = 1.1 * max([abs(one.impact) for one in shown], default=0.0) * 100.0 / upper
    right.set_xlim(-widest or -1.0, widest or 1.0)
    left.set_yticks(range(len(shown)), [literal(source_name(one.name)) for one in shown])
    left.set_ylim(len(shown) - 0.5, -0.5)
    left.set_xlabel("pull [standard deviations]")
    right.set_xlabel("impact on the signal [% of limit]")
    for axes in (left, right):
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        hover(axes, "y", rows_edges(len(shown)), texts)
    return figure
