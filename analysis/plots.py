"""Figures of results: every function takes one and returns a matplotlib ``Figure``.

Nothing here knows physics: yields are scaled, summed and divided, not computed. The only module
that imports matplotlib, and only its object interface: no display and no state between figures.
"""

import functools
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from processors.categories import DATA, LABELS, SIGNAL
from processors.templates import Templates

from .covariance import correlation as correlation_matrix
from .limit.template_count import MomentLimit, TemplateCount
from .systematics import Systematics
from .uncertainty import Floats, Impact, Spectrum, poisson_interval, project

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_MAGNETIC_COLOUR = "#b3005e"

COLOURS = {
    "other": "#bbbbbb",
    "cosmic": "#777777",
    "nc": "#e69f00",
    "mec": "#f0e442",
    "numu_cc": "#009e73",
    "nue_cc": "#56b4e9",
    SIGNAL: "#0072b2",
    DATA: "#000000",
}
"""Colour of each category (after Okabe & Ito), in the order of the stack, lowest first."""

METHODS = {
    "fc": "Feldman-Cousins",
    "classical": "Neyman",
    "cls": "CLs",
    "bayes_s": r"Bayes, flat in $\mu_\nu^2$",
    "bayes_mu": r"Bayes, flat in $\mu_\nu$",
    "profile_one_sided": "profile likelihood",
    "profile_two_sided": "profile likelihood",
}
"""Method of a limit to its name in figures."""

_MU_UNIT = 1e-9
_MOMENT = r"$\mu_\nu$"
_MOMENT_UNIT = r"$10^{-9}\,\mu_\mathrm{B}$"

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": 12.0,
    "axes.titlesize": 11.0,
    "axes.linewidth": 0.9,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xtick.top": True,
    "ytick.right": True,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 160,
    "svg.hashsalt": "nudipole",
}
_HATCH: dict[str, Any] = {
    "facecolor": "none",
    "edgecolor": "#444444",
    "hatch": "/////",
    "linewidth": 0.0,
}
_SIDES = {"up": ("one standard deviation up", "#0072b2"), "down": ("down", "#e69f00")}
_SPREAD = "#8fbcdd"
_SHOWN_SOURCES = 30
_BANDS = {"expected ±2σ": (0, 4, "#d5e5f2"), "expected ±1σ": (1, 3, "#8fbcdd")}


def styled(draw: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Draw with the style of this module and leave the caller's settings alone."""

    @functools.wraps(draw)
    def wrapper(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        # The caller's settings would otherwise decide how our figures look.
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]  # names are known at run time
            return draw(*args, **kwargs)

    return wrapper


def canvas(width: float, height: float) -> Figure:
    """Empty figure [inches]: for the modules that draw without knowing matplotlib."""
    return Figure(figsize=(width, height), layout="constrained")


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
    _draw_stack(top, spectrum, per_unit)
    _draw_signal(top, spectrum, per_unit, signal, mu_nu)
    _points(top, spectrum, per_unit)
    _draw_ratio(bottom, spectrum, signal)
    top.set_ylim(bottom=0.0)
    top.set_ylabel(f"events / {widths.min():.3g}{_unit(spectrum.label)}")
    _exposures(top, templates, pot)
    bottom.set_xlabel(spectrum.label)
    bottom.set_xlim(spectrum.occupied)
    handles, labels = top.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=3)
    return figure


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
    _exposures(axes, templates, pot)
    figure.legend(loc="outside lower center", ncols=4)
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
    ratio = _ratio(spectrum.magnetic * _MU_UNIT**2, spectrum.categories[SIGNAL])
    figure = Figure(figsize=(5.8, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.stairs(ratio, spectrum.edges, color=_MAGNETIC_COLOUR, linewidth=2.0, baseline=None)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(spectrum.occupied)
    axes.set_xlabel(spectrum.label)
    axes.set_ylabel("magnetic / SM signal")
    axes.set_title(f"at {_MOMENT} = 1 × {_MOMENT_UNIT}\nselected events", loc="right")
    _simulated(axes, templates.mc_pot)
    return figure


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
        axes.axvline(value / _MU_UNIT, color="#b3005e", linestyle=style, label=label)
    names = [f"{METHODS.get(m, m)}\n{sidedness(limit)}" for m, limit in limits.items()]
    axes.set_yticks(range(len(limits)), names)
    axes.tick_params(axis="y", which="both", left=False, right=False)
    axes.set_ylim(len(limits) - 0.5, -0.5)
    axes.set_xlim(left=0.0)
    axes.set_xlabel(f"upper limit on {_MOMENT} [{_MOMENT_UNIT}]")
    levels = sorted({f"{100 * limit.confidence_level:g} %" for limit in limits.values()})
    observed = any(limit.mu_nu is not None for limit in limits.values())
    kind = "data" if observed else "expected at"
    axes.set_title(
        f"{kind} {exposure_label(pot)}\n{', '.join(levels)} CL", loc="right", fontsize=9.5
    )
    _simulated(axes, mc_pot)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    order = sorted(unique, key=lambda label: label not in _BANDS)
    figure.legend([unique[x] for x in order], order, loc="outside lower center", ncols=3)
    return figure


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
    names = [LABELS.get(sample, readable(sample)) for sample in layout.samples]
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
    left.set_yticks(range(len(ranked)), [source_name(impact.name) for impact in ranked])
    left.set_ylim(len(ranked) - 0.5, -0.5)
    left.set_xlabel("change of the SM events [%]")
    right.set_xlabel("of the shape [%]")
    right.set_xlim(left=0.0)
    for axes in (left, right):
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    left_out = f"the largest of {len(found)} sources" if len(found) > len(ranked) else ""
    left.set_title(left_out, loc="left", fontsize=9.5)
    right.set_title(f"at {exposure_label(count.pot)}", loc="right", fontsize=9.5)
    handles, labels = left.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    order = sorted(unique, key=lambda label: label == "spread")
    figure.legend([unique[x] for x in order], order, loc="outside lower center", ncols=3)
    return figure


def source_name(name: str) -> str:
    """Name of a source in words."""
    return "MC statistics" if name == "mc_statistics" else name.replace("_", " ")


@styled
def image(figure: Figure, kind: str = "png") -> bytes:
    """Render a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    kind : str
        ``"png"`` or ``"svg"``.

    Returns
    -------
    bytes
        Content of the image file; no date in it.
    """
    stream = io.BytesIO()
    # Neither a date nor the address of a vocabulary belongs into the picture.
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type")) if kind == "svg" else None
    figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()


def exposure_label(pot: float) -> str:
    """Exposure for a figure, with its unit."""
    return f"{scientific(pot)} POT"


def _exposures(axes: Axes, templates: Templates, pot: float) -> None:
    """Exposure of the data, or that of the expectation, and that of the simulation behind it."""
    kind = "data" if templates.data_pot else "expected at"
    axes.set_title(f"{kind} {exposure_label(pot)}", loc="right", fontsize=9.5)
    _simulated(axes, templates.mc_pot)


def _simulated(axes: Axes, mc_pot: Mapping[str, float]) -> None:
    """Exposure of the simulation, from the smallest dataset to the largest."""
    ends = sorted({min(mc_pot.values()), max(mc_pot.values())})
    text = " to ".join(scientific(end) for end in ends)
    axes.set_title(f"MC {text} POT", loc="left", fontsize=9.5)


def scientific(value: float) -> str:
    """Three digits and a power of ten, as mathtext."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return rf"{mantissa} × $10^{{{int(exponent)}}}$"


def sidedness(limit: MomentLimit) -> str:
    """Whether a limit is the end of a two-sided interval or one-sided."""
    return "two-sided" if "two-sided" in limit.convention else "one-sided"


def readable(cut: str) -> str:
    """Name of a cut in words."""
    return "all events" if cut == "all" else cut.replace("_", " ").replace(".", ": ")


def _draw_stack(axes: Axes, spectrum: Spectrum, per_unit: Floats) -> None:
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
        **_HATCH,
        label="SM uncertainty",
        gid="uncertainty",
    )


def _draw_signal(
    axes: Axes, spectrum: Spectrum, per_unit: Floats, signal: Floats, mu_nu: float
) -> None:
    axes.stairs(
        (spectrum.total + signal) * per_unit,
        spectrum.edges,
        color=_MAGNETIC_COLOUR,
        linewidth=1.8,
        baseline=None,
        label=f"SM + magnetic, {_MOMENT} = {mu_nu / _MU_UNIT:.3g} × {_MOMENT_UNIT}",
        gid="signal",
    )


def _points(axes: Axes, spectrum: Spectrum, scale: Floats) -> None:
    """Data with Poisson errors, times a factor per bin."""
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
    relative = _ratio(spectrum.uncertainty, total)
    axes.stairs(1.0 + relative, edges, baseline=1.0 - relative, fill=True, **_HATCH)
    axes.stairs(
        _ratio(total + signal, total), edges, color=_MAGNETIC_COLOUR, linewidth=1.8, baseline=None
    )
    axes.axhline(1.0, color="#444444", linewidth=0.8)
    axes.set_ylim(0.0, 2.0)
    # A label at either end would touch those of the neighbouring axes.
    axes.set_yticks([0.5, 1.0, 1.5])
    axes.set_ylabel("ratio to SM")
    if spectrum.observed is not None:
        axes.set_ylabel("data / SM")
        _points(axes, spectrum, _ratio(np.ones_like(total), total))


def _draw_limit(axes: Axes, row: int, limit: MomentLimit) -> None:
    expected = np.asarray(limit.expected) / _MU_UNIT
    if len(expected):
        for label, (low, high, colour) in _BANDS.items():
            width = expected[high] - expected[low]
            axes.barh(row, width, 0.56, left=expected[low], color=colour, label=label)
        axes.plot(
            [expected[2]] * 2, [row - 0.28, row + 0.28], color="#12436d", label="expected median"
        )
    if limit.mu_nu is not None:
        axes.plot(limit.mu_nu / _MU_UNIT, row, "o", color="#000000", label="observed")


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


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient; NaN where there is nothing to divide by."""
    known = denominator > 0.0
    return np.where(known, numerator / np.where(known, denominator, 1.0), np.nan)


def _unit(label: str) -> str:
    """Unit in the square brackets of an axis label, with a space before it."""
    match = re.search(r"\[(.+)\]", label)
    return f" {match[1]}" if match else ""
