"""Figures of spectra: expectation by category with its uncertainty, data, ratio."""

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from processors.categories import DATA, LABELS, SIGNAL
from processors.templates import Templates

from ..uncertainty import Floats, Spectrum, poisson_interval, project
from .style import (
    COLOURS,
    HATCH,
    MAGNETIC_COLOUR,
    MOMENT,
    MOMENT_UNIT,
    MU_UNIT,
    exposures,
    hover,
    quotient,
    simulated,
    styled,
    unit,
)


@styled
def stacked(templates: Templates, name: str, axis: str, *, pot: float, mu_nu: float) -> Figure:
    """Draw the expected events by category, the data and their ratio.

    Parameters
    ----------
    templates : Templates
    name : str
        Key of ``templates.histograms``.
    axis : str
        Axis of that histogram; the others are summed over, flow bins included.
    pot : float
        Exposure of the expectation [POT].
    mu_nu : float
        Magnetic moment of the signal that is drawn on top of the Standard Model [Bohr magneton].

    Returns
    -------
    matplotlib.figure.Figure
        Steps for the categories (gid ``category:NAME``), events per width of the narrowest bin.
    """
    spectrum = project(templates, name, axis, pot)
    widths = np.diff(spectrum.edges)
    per_unit = widths.min() / widths
    signal = spectrum.magnetic * mu_nu**2
    figure = Figure(figsize=(5.8, 5.8), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1.0])
    draw_stack(top, spectrum, per_unit)
    _draw_signal(top, spectrum, per_unit, signal, mu_nu)
    draw_points(top, spectrum, per_unit)
    _draw_ratio(bottom, spectrum, signal)
    for axes in (top, bottom):
        hover(axes, "x", spectrum.edges, bin_texts(spectrum, signal))
    top.set_ylim(bottom=0.0)
    top.set_ylabel(f"events / {widths.min():.3g}{unit(spectrum.label)}")
    exposures(top, templates, pot)
    bottom.set_xlabel(spectrum.label)
    bottom.set_xlim(spectrum.occupied)
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=3)
    return figure


@styled
def magnetic_weight(templates: Templates) -> Figure:
    """Draw the mean weight that turns selected SM signal into magnetic signal.

    Parameters
    ----------
    templates : Templates

    Returns
    -------
    matplotlib.figure.Figure
        Ratio of the magnetic template at 1e-9 Bohr magnetons to the SM signal, per bin of
        electron kinetic energy; a gap where there is no signal.
    """
    # The exposure cancels.
    spectrum = project(templates, "spectrum", "recoil_energy", 1.0)
    ratio = quotient(spectrum.magnetic * MU_UNIT**2, spectrum.categories[SIGNAL])
    figure = Figure(figsize=(5.8, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.stairs(ratio, spectrum.edges, color=MAGNETIC_COLOUR, linewidth=2.0, baseline=None)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(spectrum.occupied)
    axes.set_xlabel(spectrum.label)
    axes.set_ylabel("magnetic / SM signal")
    axes.set_title(f"at {MOMENT} = 1 × {MOMENT_UNIT}\nselected events", loc="right")
    simulated(axes, templates.mc_pot)
    return figure


def bin_texts(spectrum: Spectrum, signal: Floats | None = None) -> list[str]:
    """What is in each bin, in words, for a pointer that rests on it."""
    name, _, rest = spectrum.label.partition(" [")
    name = name.replace("$", "").replace(r"\theta", "θ").replace("^2", "²")
    symbol = rest.rstrip("]").replace("$", "").replace("^2", "²")
    texts = []
    for i, (low, high) in enumerate(itertools.pairwise(spectrum.edges)):
        lines = [f"{name} {low:.4g} to {high:.4g} {symbol}".rstrip()]
        if spectrum.observed is not None:
            lines.append(f"data: {spectrum.observed[i]:g}")
        lines.append(f"SM: {spectrum.total[i]:.3g} ± {spectrum.uncertainty[i]:.2g}")
        for category in reversed(COLOURS):
            if category in spectrum.categories and spectrum.categories[category][i]:
                share = spectrum.categories[category][i]
                lines.append(f"{readable_label(category)}: {share:.3g}")
        if signal is not None and signal.any():
            lines.append(f"magnetic: {signal[i]:.3g}")
        texts.append("\n".join(lines))
    return texts


def readable_label(category: str) -> str:
    """Name of a category without mathematics."""
    text = LABELS[category].replace(r"\nu_\mu", "ν_μ").replace(r"\nu_e", "ν_e")
    return text.replace(r"\nu", "ν").replace("$", "")


def draw_stack(
    axes: Axes, spectrum: Spectrum, per_unit: Floats, label: str = "SM uncertainty"
) -> None:
    """Draw the categories on each other, and the uncertainty of their sum."""
    base = np.zeros_like(per_unit)
    for category in [c for c in COLOURS if c != DATA]:
        yields = spectrum.categories.get(category, np.zeros(1))
        if not yields.any():
            continue
        axes.stairs(
            base + yields * per_unit,
            spectrum.edges,
            baseline=base,
            fill=True,
            color=COLOURS[category],
            label=LABELS[category],
            gid=f"category:{category}",
        )
        base = base + yields * per_unit
    axes.stairs(
        (spectrum.total + spectrum.uncertainty) * per_unit,
        spectrum.edges,
        baseline=(spectrum.total - spectrum.uncertainty) * per_unit,
        fill=True,
        **HATCH,
        label=label,
        gid="uncertainty",
    )


def _draw_signal(
    axes: Axes, spectrum: Spectrum, per_unit: Floats, signal: Floats, mu_nu: float
) -> None:
    axes.stairs(
        (spectrum.total + signal) * per_unit,
        spectrum.edges,
        color=MAGNETIC_COLOUR,
        linewidth=1.8,
        baseline=None,
        label=f"SM + magnetic, {MOMENT} = {mu_nu / MU_UNIT:.3g} × {MOMENT_UNIT}",
        gid="signal",
    )


def draw_points(axes: Axes, spectrum: Spectrum, scale: Floats) -> None:
    """Draw data with Poisson errors, times a factor per bin."""
    if spectrum.observed is None:
        return
    # A zero where nothing is expected, outside the selection, is not a measurement.
    n = np.where((spectrum.observed > 0.0) | (spectrum.total > 0.0), spectrum.observed, np.nan)
    lower, upper = poisson_interval(n)
    axes.errorbar(
        0.5 * (spectrum.edges[1:] + spectrum.edges[:-1]),
        n * scale,
        yerr=np.array([n - lower, upper - n]) * scale,
        fmt="o",
        color=COLOURS[DATA],
        markersize=4.0,
        linewidth=1.2,
        label=LABELS[DATA],
        gid="data",
    )


def _draw_ratio(axes: Axes, spectrum: Spectrum, signal: Floats) -> None:
    edges, total = spectrum.edges, spectrum.total
    relative = quotient(spectrum.uncertainty, total)
    axes.stairs(1.0 + relative, edges, baseline=1.0 - relative, fill=True, **HATCH)
    axes.stairs(
        quotient(total + signal, total), edges, color=MAGNETIC_COLOUR, linewidth=1.8, baseline=None
    )
    axes.axhline(1.0, color="#444444", linewidth=0.8)
    axes.set_ylim(0.0, 2.0)
    # A label at either end would touch those of the neighbouring axes.
    axes.set_yticks([0.5, 1.0, 1.5])
    axes.set_ylabel("ratio to SM")
    if spectrum.observed is not None:
        axes.set_ylabel("data / SM")
        draw_points(axes, spectrum, quotient(np.ones_like(total), total))
