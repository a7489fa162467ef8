"""Figures of limits from one count, by method."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..limit.template_count import MomentLimit
from .style import (
    MOMENT,
    MOMENT_UNIT,
    MU_UNIT,
    exposure_label,
    hover,
    rows_edges,
    simulated,
    styled,
)

METHODS = {
    "fc": "Feldman-Cousins",
    "classical": "Neyman",
    "cls": "CLs",
    "cls_asymptotic": "CLs, asymptotic",
    "bayes_s": r"Bayes, flat in $\mu_\nu^2$",
    "bayes_mu": r"Bayes, flat in $\mu_\nu$",
    "profile_one_sided": "profile likelihood",
    "profile_two_sided": "profile likelihood",
}
"""Method of a limit to its name in figures."""

FIT = "fit:"
"""What the name of a method begins with that fits the spectrum."""


_BANDS = {"expected ±2σ": (0, 4, "#d5e5f2"), "expected ±1σ": (1, 3, "#8fbcdd")}


@styled
def limits(
    limits: Mapping[str, MomentLimit],
    published: Mapping[str, float] | None = None,
    *,
    pot: float,
    mc_pot: Mapping[str, float],
) -> Figure:
    """Draw the limits on the moment, one row per method.

    Parameters
    ----------
    limits : mapping of str to MomentLimit
        Keyed by method.
    pot : float
        Exposure that they are for, that of the data where there are some [POT].
    mc_pot : mapping of str to float
        Exposure of each simulated dataset behind them [POT].
    published : mapping of str to float, optional
        Names of other results to their limits, drawn as vertical lines [Bohr magneton].

    Returns
    -------
    matplotlib.figure.Figure
        Observed limits with the expected median and bands, in units of 1e-9 Bohr magnetons.
    """
    figure = Figure(figsize=(5.8, 1.9 + 0.5 * len(limits)), layout="constrained")
    axes = figure.subplots()
    for row, limit in enumerate(limits.values()):
        _draw_limit(axes, row, limit)
    for number, (label, value) in enumerate((published or {}).items()):
        style = ("--", ":", "-.")[number % 3]
        axes.axvline(value / MU_UNIT, color="#b3005e", linestyle=style, label=label)
    names = [f"{method_name(m)}\n{sidedness(limit)}" for m, limit in limits.items()]
    axes.set_yticks(range(len(limits)), names)
    axes.tick_params(axis="y", which="both", left=False, right=False)
    axes.set_ylim(len(limits) - 0.5, -0.5)
    axes.set_xlim(left=0.0)
    axes.set_xlabel(f"upper limit on {MOMENT} [{MOMENT_UNIT}]")
    levels = sorted({f"{100 * limit.confidence_level:g} %" for limit in limits.values()})
    observed = any(limit.mu_nu is not None for limit in limits.values())
    kind = "data" if observed else "expected at"
    axes.set_title(
        f"{kind} {exposure_label(pot)}\n{', '.join(levels)} CL", loc="right", fontsize=9.5
    )
    simulated(axes, mc_pot)
    hover(axes, "y", rows_edges(len(limits)), [_limit_text(limit) for limit in limits.values()])
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    order = sorted(unique, key=lambda label: label not in _BANDS)
    figure.legend([unique[x] for x in order], order, loc="outside lower center", ncols=3)
    return figure


def method_name(method: str) -> str:
    """Method of a limit in words; one that begins with ``fit:`` is a fit of the spectrum."""
    name = method.removeprefix(FIT)
    words = METHODS.get(name, name)
    return words if name == method else f"{words}, spectrum"


def _limit_text(limit: MomentLimit) -> str:
    """Limit and expectation in words."""
    lines = [] if limit.mu_nu is None else [f"observed: {limit.mu_nu / MU_UNIT:.3g}e-9 μB"]
    if limit.expected:
        low, middle, high = (f"{mu / MU_UNIT:.3g}" for mu in limit.expected[1:4])
        lines.append(f"expected: {middle}e-9 μB ({low} to {high})")
    return "\n".join([*lines, limit.convention])


def sidedness(limit: MomentLimit) -> str:
    """Whether a limit is the end of a two-sided interval or one-sided."""
    return "two-sided" if "two-sided" in limit.convention else "one-sided"


def _draw_limit(axes: Axes, row: int, limit: MomentLimit) -> None:
    expected = np.asarray(limit.expected) / MU_UNIT
    if len(expected):
        for label, (low, high, colour) in _BANDS.items():
            width = expected[high] - expected[low]
            axes.barh(row, width, 0.56, left=expected[low], color=colour, label=label)
        axes.plot(
            [expected[2]] * 2, [row - 0.28, row + 0.28], color="#12436d", label="expected median"
        )
    if limit.mu_nu is not None:
        axes.plot(limit.mu_nu / MU_UNIT, row, "o", color="#000000", label="observed")
