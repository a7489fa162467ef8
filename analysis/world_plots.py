"""Figures of published experiments: all limits, one spectrum by flavour, and sensitivities."""

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from .experiments import BOUNDED, EXPERIMENTS, FlavourCurves, Sensitivity, WorldRow
from .experiments.world import DISPUTED, EXPECTED, UNLIKE
from .plots import Figure, styled

_PUBLISHED: dict[str, Any] = {"color": "#000000", "marker": "|", "markersize": 9, "linestyle": ""}
_RECOMPUTED: dict[str, Any] = {"color": "#b3005e", "marker": "o", "markersize": 5, "linestyle": ""}
_CURVES = {
    "effective": ("effective", "#000000"),
    "nue": (r"$\nu_e$", "#0072b2"),
    "numu": (r"$\nu_\mu$", "#b3005e"),
    "nutau": (r"$\nu_\tau$", "#009e73"),
}
_LEVELS = {"90 %": 2.706, "99 %": 6.635}
_AXES = {
    "exposure": "exposure / POT",
    "threshold": "lowest recoil energy / GeV",
    "background": r"other background / $\nu e$ scattering",
}
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#b3005e")
_MU_UNIT = 1e-9
_MOMENT_LABEL = r"magnetic moment / $\mu_\mathrm{B}$"


@styled
def comparison(rows: Sequence[WorldRow]) -> Figure:
    """Draw published and recomputed limits, grouped by what they bound.

    Parameters
    ----------
    rows : sequence of WorldRow
        Of `world_rows`; those without any number are left out.

    Returns
    -------
    Figure
        One line per experiment on a logarithmic axis; a recomputed number that is not alike the
        published one is open. What theory expects is left out.

    Raises
    ------
    ValueError
        If no row has a limit.
    """
    shown = [r for r in rows if (r.published or r.recomputed) and r.bounded != "theory"]
    if not shown:
        raise ValueError("no row has a limit to draw; choose others or leave the names out")
    groups = [bounded for bounded in BOUNDED if any(row.bounded == bounded for row in shown)]
    labels: list[str] = []
    figure = Figure(figsize=(9.0, 1.4 + 0.24 * (len(shown) + len(groups))), layout="constrained")
    axes = figure.subplots()
    for group in groups:
        axes.axhspan(len(labels) - 0.5, len(labels) + 0.5, color="#e8e8e8", linewidth=0.0)
        labels.append(BOUNDED[group])
        members = [row for row in shown if row.bounded == group]
        for row in sorted(members, key=lambda row: -(row.published or row.recomputed or 0.0)):
            _draw_row(axes, len(labels), row)
            marks = f"{'†' if DISPUTED in row.reason else ''}{'' if row.verified else '*'}"
            labels.append(f"{row.system} {marks}".strip())
    axes.set_xscale("log")
    axes.set_xlabel(_MOMENT_LABEL)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() in BOUNDED.values() else "normal")
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", which="both", left=False, right=False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.plot([], [], label="published", **_PUBLISHED)
    axes.plot([], [], label="recomputed", **_RECOMPUTED)
    axes.plot([], [], label="another quantity", **_RECOMPUTED | {"fillstyle": "none"})
    axes.plot([], [], label="sensitivity without data", **_RECOMPUTED | {"marker": "v"})
    axes.plot([], [], " ", label="* assumed or not verified numbers")
    axes.plot([], [], " ", label="† disputed by recent work")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def flavour_limits(curves: FlavourCurves) -> Figure:
    """Draw how a fit gets worse with the moment of each flavour, the others zero.

    Parameters
    ----------
    curves : FlavourCurves
        Of `flavour_curves`.

    Returns
    -------
    Figure
        Delta chi-square with the two-sided levels of 90 % and 99 % for one parameter.
    """
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    unit = 1e-11
    for moment, delta in curves.delta.items():
        label, colour = _CURVES[moment]
        axes.plot(curves.mu_nu / unit, delta, color=colour, label=label)
    for level, threshold in _LEVELS.items():
        axes.axhline(threshold, color="#777777", linestyle="--", linewidth=0.9)
        axes.text(
            0.01,
            threshold + 0.1,
            f"{level} C.L. ({threshold:.2f})",
            fontsize=9,
            transform=_across(axes),
        )
    axes.set_xlim(0.0, curves.mu_nu[-1] / unit)
    axes.set_ylim(0.0, 10.0)
    axes.set_xlabel(r"magnetic moment / $10^{-11}\,\mu_\mathrm{B}$")
    axes.set_ylabel(r"$\Delta\chi^2 = -2\,\Delta\ln L$")
    axes.set_title(f"{curves.system}: one moment at a time, the others zero")
    figure.legend(loc="outside lower center", ncols=len(curves.delta))
    return figure


@styled
def sensitivity(
    system: str, found: Sequence[Sensitivity], published: Mapping[str, float] = MappingProxyType({})
) -> Figure:
    """Draw expected limits against exposure, threshold and background.

    Parameters
    ----------
    system : str
        Experiment in words.
    found : sequence of Sensitivity
        Of `sensitivity_scan`.
    published : mapping of str to float, optional
        Limits of others [Bohr magneton], drawn where they are on the axis.

    Returns
    -------
    Figure
        One panel for each quantity that was varied, one curve for each uncertainty.
    """
    varied = [name for name in _AXES if any(point.varied == name for point in found)]
    figure = Figure(figsize=(1.0 + 4.0 * len(varied), 4.8), layout="constrained")
    panels = figure.subplots(1, len(varied), sharey=True, squeeze=False)[0]
    systematics = list(dict.fromkeys(point.background_syst for point in found))
    for axes, name in zip(panels, varied, strict=True):
        for syst, colour in zip(systematics, itertools.cycle(_COLOURS)):
            points = [p for p in found if p.varied == name and p.background_syst == syst]
            values = [point.value for point in points]
            limits = [point.mu_nu / _MU_UNIT for point in points]
            axes.plot(values, limits, color=colour, marker="o", label=f"{100 * syst:g} %")
        axes.set_xlabel(_AXES[name])
        if name == "exposure":
            axes.set_xscale("log")
    panels[0].set_ylabel(r"expected limit on $\mu_\nu$ / $10^{-9}\,\mu_\mathrm{B}$")
    panels[0].set_ylim(bottom=0.0)
    _draw_published(panels, {name: value / _MU_UNIT for name, value in published.items()})
    handles, labels = panels[0].get_legend_handles_labels()
    level = 100 * found[0].confidence_level
    title = f"{level:g} % C.L., systematic of the expectation"
    figure.legend(handles, labels, title=title, loc="outside lower center", ncols=len(systematics))
    figure.suptitle(system)
    return figure


def _draw_published(panels: Sequence[Any], published: Mapping[str, float]) -> None:
    """Lines of published limits that lie on the axis, named in the last panel."""
    top = panels[0].get_ylim()[1]
    shown = [(name, value) for name, value in published.items() if 0.1 * top < value < 0.95 * top]
    for axes in panels:
        for _, value in shown:
            axes.axhline(value, color="#888888", linestyle=":", linewidth=1.0, zorder=0)
    for place, (name, value) in enumerate(shown):
        panels[-1].text(
            0.99 if place % 2 else 0.72,
            value,
            name,
            fontsize=8,
            color="#555555",
            ha="right",
            va="bottom",
            transform=_across(panels[-1]),
        )


def _across(axes: Any) -> Any:
    """Coordinates: across the axes, and the value of the data upwards."""
    return axes.get_yaxis_transform()


def _draw_row(axes: Any, line: int, row: WorldRow) -> None:
    values = [value for value in (row.published, row.recomputed) if value]
    axes.plot(values, np.full(len(values), line), color="#bbbbbb", linewidth=1.0, zorder=1)
    if row.published:
        axes.plot(row.published, line, **_PUBLISHED)
        low = EXPERIMENTS[row.id].published_low if row.id in EXPERIMENTS else None
        if low:
            axes.plot([low, row.published], [line, line], **_PUBLISHED | {"linestyle": "-"})
    if row.recomputed:
        fill = "none" if row.reason.startswith(UNLIKE) else "full"
        marker = "v" if EXPECTED in row.convention else "o"
        axes.plot(row.recomputed, line, **_RECOMPUTED | {"marker": marker, "fillstyle": fill})
