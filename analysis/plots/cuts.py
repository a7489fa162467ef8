"""Figures of a selection: what is left after each cut, and what each cut removes."""

import numpy as np
from matplotlib.figure import Figure

from processors.categories import DATA, LABELS
from processors.templates import Templates

from .style import COLOURS, exposures, readable, styled


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
    axes.set_yticks(rows, [readable(cut) for cut in cuts])
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_ylim(len(cuts) - 0.5, -0.5)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    exposures(axes, templates, pot)
    figure.legend(loc="outside lower center", ncols=4)
    return figure
