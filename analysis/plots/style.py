"""How figures look: colours, labels, the canvas, and rendering.

The conventions of the field come with the style of mplhep; only the object interface of matplotlib
is used: no display, and no state between figures.
"""

import functools
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from processors.categories import DATA, SIGNAL
from processors.templates import Templates

from ..uncertainty import Floats

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

MAGNETIC_COLOUR = "#b3005e"

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

MU_UNIT = 1e-9
MOMENT = r"$\mu_\nu$"
MOMENT_UNIT = r"$10^{-9}\,\mu_\mathrm{B}$"

# Its sizes are for figures twice as large; a layout engine of ours places everything.
_UNWANTED = ("figure.autolayout", "figure.figsize", "savefig.bbox", "axes.titlesize")
_STYLE = {name: value for name, value in mplhep.style.DUNE.items() if name not in _UNWANTED} | {
    "font.family": ["TeX Gyre Heros", "DejaVu Sans"],
    "mathtext.cal": "TeX Gyre Heros",
    "mathtext.fallback": "stixsans",
    "font.size": 11.0,
    "axes.labelsize": 12.0,
    "axes.titlesize": 11.0,
    "axes.linewidth": 0.9,
    "axes.unicode_minus": True,
    "axes.xmargin": 0.05,
    "lines.linewidth": 1.5,
    "lines.markersize": 6.0,
    "patch.linewidth": 1.0,
    "legend.fontsize": 9.5,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 160,
    "svg.hashsalt": "nudipole",
}
for _tick in ("xtick", "ytick"):
    _STYLE |= {f"{_tick}.labelsize": 10.5, f"{_tick}.major.size": 6.0, f"{_tick}.minor.size": 3.0}
    _STYLE |= {f"{_tick}.major.pad": 4.0}
HATCH: dict[str, Any] = {
    "facecolor": "none",
    "edgecolor": "#444444",
    "hatch": "/////",
    "linewidth": 0.0,
}


def styled(draw: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Draw with the style of this module and leave the caller's settings alone."""

    @functools.wraps(draw)
    def wrapper(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        # The caller's settings would otherwise decide how our figures look.
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            return draw(*args, **kwargs)

    return wrapper


def canvas(width: float, height: float) -> Figure:
    """Empty figure [inches]: for the modules that draw without knowing matplotlib."""
    return Figure(figsize=(width, height), layout="constrained")


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


# An attribute of SVG does not keep a newline.
NEWLINE, LINE = "\n", "\u2028"

HOVER = "title:"
"""What the gid of something begins with whose rest is shown when a pointer rests on it."""


def hover(axes: Axes, direction: str, edges: Floats, texts: Sequence[str]) -> None:
    """Lay an invisible field over each bin, whose text a page shows when a pointer rests on it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    direction : str
        ``"x"`` for bins of the horizontal axis, ``"y"`` for rows.
    edges : ndarray, shape (n + 1,)
    texts : sequence of str, length n
        Empty for none.
    """
    span = axes.axvspan if direction == "x" else axes.axhspan
    for low, high, text in zip(edges[:-1], edges[1:], texts, strict=True):
        if text:
            gid = f"{HOVER}{text.replace(NEWLINE, LINE)}"
            span(low, high, facecolor="#ffffff", alpha=0.0, zorder=9, gid=gid)


def rows_edges(rows: int) -> Floats:
    """Edges of rows at 0, 1, 2..."""
    return np.arange(rows + 1, dtype=np.float64) - 0.5


def literal(text: str) -> str:
    """Text from a file for a figure, in which a dollar would begin mathematics."""
    return text.replace("$", r"\$")


def exposure_label(pot: float) -> str:
    """Exposure for a figure, with its unit."""
    return f"{scientific(pot)} POT"


def exposures(axes: Axes, templates: Templates, pot: float) -> None:
    """Exposure of the data, or that of the expectation, and that of the simulation behind it."""
    kind = "data" if templates.data_pot else "expected at"
    axes.set_title(f"{kind} {exposure_label(pot)}", loc="right", fontsize=9.5)
    simulated(axes, templates.mc_pot)


def simulated(axes: Axes, mc_pot: Mapping[str, float]) -> None:
    """Exposure of the simulation, from the smallest dataset to the largest."""
    ends = sorted({min(mc_pot.values()), max(mc_pot.values())})
    text = " to ".join(scientific(end) for end in ends)
    axes.set_title(f"MC {text} POT", loc="left", fontsize=9.5)


def scientific(value: float) -> str:
    """Three digits and a power of ten, as mathtext."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return rf"{mantissa} × $10^{{{int(exponent)}}}$"


def readable(cut: str) -> str:
    """Name of a cut in words."""
    return "all events" if cut == "all" else cut.replace("_", " ").replace(".", ": ")


def quotient(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient; NaN where there is nothing to divide by."""
    known = denominator > 0.0
    return np.where(known, numerator / np.where(known, denominator, 1.0), np.nan)


def unit(label: str) -> str:
    """Unit in the square brackets of an axis label, with a space before it."""
    match = re.search(r"\[(.+)\]", label)
    return f" {match[1]}" if match else ""
