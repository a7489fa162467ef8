"""Figures of a selection: what is left after each cut, and what each cut removes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from processors.categories import DATA, LABELS
from processors.templates import Templates

from ..uncertainty import Spectrum, project
from .spectra import bin_texts, draw_points, draw_stack, readable_label
from .style import COLOURS, exposure_label, exposures, hover, literal, readable, rows_edges, styled


@styled
def cut_flow(templates: Templates, pot: float) -> Figure:
    """Draw the expected events that survive each cut, by category.

    Parameters
    ----------
    templates : Templates
    pot : float
        Exposure of the expectation [POT].

    Returns
    -------
    matplotlib.figure.Figure
        Cuts from top to bottom, logarithmic events; one line for each category with events.
    """
    flow = templates.prediction(pot, "cutflow")
    yields = dict(zip(flow.axes["category"], flow.values(), strict=True))
    total = sum(yields.values())
    observed = templates.data("cutflow")
    if observed is not None:
        yields[DATA] = observed.values()
    cuts = list(flow.axes["cut"])
    rows = np.arange(len(cuts))
    figure = Figure(figsize=(5.8, 1.5 + 0.26 * len(cuts)), layout="constrained")
    axes = figure.subplots()
    for category in [c for c in COLOURS if c in yields and yields[c].any()]:
        positive = np.where(yields[category] > 0.0, yields[category], np.nan)
        form = "o" if category == DATA else ".-"
        axes.plot(
            positive, rows, form, color=COLOURS[category], label=LABELS[category], markersize=5.0
        )
    axes.plot(total, rows, "--", color="#444444", linewidth=1.0, label="SM total")
    axes.set_xscale("log")
    axes.set_xlabel("events after the cut")
    axes.set_yticks(rows, [literal(readable(cut)) for cut in cuts])
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_ylim(len(cuts) - 0.5, -0.5)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    exposures(axes, templates, pot)
    hover(axes, "y", rows_edges(len(cuts)), _cut_texts(cuts, yields, total))
    figure.legend(loc="outside lower center", ncols=4)
    return figure


@styled
def n_minus_one(
    templates: Templates, name: str, pot: float, *, low: float | None, high: float | None
) -> Figure:
    """Draw what a cut cuts on, of the events that pass all other cuts.

    Parameters
    ----------
    templates : Templates
    name : str
        Key of ``templates.histograms``, ``nminusone.CUT.COLUMN``.
    pot : float
        Exposure of the expectation [POT].
    low, high : float or None
        What the cut asks, in the unit of the axis; None where it has no such end.

    Returns
    -------
    matplotlib.figure.Figure
        Events per bin; grey (gid ``removed``) where the cut removes them.
    """
    axis = templates.histograms[name].axes.name[-1]
    spectrum = project(templates, name, axis, pot)
    figure = Figure(figsize=(4.4, 3.7), layout="constrained")
    axes = figure.subplots()
    ones = np.ones_like(spectrum.total)
    draw_stack(axes, spectrum, ones, label="MC statistics")
    draw_points(axes, spectrum, ones)
    left, right = _shown(spectrum, low, high)
    # A cut on one number lies at the edges of its bin.
    half = 0.5 * (spectrum.edges[1] - spectrum.edges[0]) if low == high else 0.0
    for beyond, end in ((left, low), (right, high)):
        if end is not None:
            end += half if beyond == right else -half
            axes.axvspan(*sorted((end, beyond)), color="#888888", alpha=0.25, lw=0, gid="removed")
            axes.axvline(end, color="#444444", linestyle="--", linewidth=1.1)
    hover(axes, "x", spectrum.edges, bin_texts(spectrum))
    axes.set_xlim(left, right)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(spectrum.label)
    axes.set_ylabel("events")
    kind = "data" if spectrum.observed is not None else "expected at"
    axes.set_title(f"{kind} {exposure_label(pot)}", loc="right", fontsize=9.5)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8.5)
    return figure


def _shown(spectrum: Spectrum, low: float | None, high: float | None) -> tuple[float, float]:
    """Range of the axis with everything in it, and a bin of what is removed on each side."""
    width = spectrum.edges[1] - spectrum.edges[0]
    left, right = spectrum.occupied
    left = left if low is None else min(left, low - width)
    right = right if high is None else max(right, high + width)
    return max(left, float(spectrum.edges[0])), min(right, float(spectrum.edges[-1]))


def _cut_texts(cuts: Sequence[str], yields: Mapping[str, Any], total: Any) -> list[str]:
    """What is left after each cut, in words."""
    texts = []
    for i, cut in enumerate(cuts):
        lines = [readable(cut), f"SM total: {total[i]:.4g}"]
        lines += [f"{readable_label(c)}: {y[i]:.4g}" for c, y in yields.items() if y.any()]
        texts.append("\n".join(lines))
    return texts
