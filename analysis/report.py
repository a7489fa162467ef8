"""A result as one page that can be mailed: limits, figures and tables, and what they rest on.

The page needs no network, no script and no file beside it; the figures are also written as PNG
files, for slides.
"""

import base64
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from fileset.atomic import renamed_when_complete
from fileset.errors import InputError
from processors.categories import CATEGORIES, LABELS
from processors.templates import Templates
from processors.variations import NOMINAL

from . import plots, tables
from .limit.template_count import MomentLimit, TemplateCount, moment_limits, template_count
from .shifts import SUPERSEDED
from .uncertainty import Impact, impacts

HEADLINE = "fc"
"""Method of the limit at the head of the page."""

TOY = "toy"
"""Key of the provenance that says, if true, that the input is simulated, data included."""

_MU_UNIT = 1e-9
_SYMBOLS = {r"\nu": "ν", r"\mu": "μ", r"\theta": "θ", r"\mathrm{B}": "B", "^2": "²"}


class Plot(NamedTuple):
    """A figure on the page: stem of its file, caption, description for those who cannot see it."""

    name: str
    title: str
    alt: str
    svg: str


def write_report(
    templates: Templates,
    out: str | Path,
    *,
    confidence_level: float,
    pot: float | None = None,
) -> Path:
    """Write ``report.html`` and its figures into a folder.

    Parameters
    ----------
    templates : Templates
    out : str or Path
        Folder; made if there is none. Files of the same names in it are replaced, each as a whole.
    confidence_level : float
        Confidence level of the limits.
    pot : float, optional
        Exposure [POT]; that of the data by default, and required without data.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        Where :func:`analysis.limit.template_count.template_count` does, or if the folder is a file.
    """
    out = Path(out)
    count = template_count(templates, pot)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{out}: is or lies in a file; --out wants a folder") from None
    limits = moment_limits(count, cl=confidence_level, method="all")
    sources = impacts(templates, count.pot)
    figures = _figures(templates, count, limits, sources)
    shown = {}
    for name, (title, alt, draw) in figures.items():
        figure = draw()
        _write(out / f"{name}.png", plots.image(figure))
        shown[name] = Plot(name, title, alt, _data_uri(plots.image(figure, "svg")))
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(figures=shown, **_content(templates, count, limits, sources))
    )
    _write(out / "report.html", page.encode())
    return out / "report.html"


def mathtext(label: str) -> Markup:
    """Label of a figure as HTML: what stands between dollars becomes symbols and subscripts."""

    def convert(match: re.Match[str]) -> str:
        text = match[1]
        for source, symbol in _SYMBOLS.items():
            text = text.replace(source, symbol)
        text = re.sub(r"_(\w)", r"<sub>\1</sub>", text)
        return re.sub(r"\b([a-zA-Z])\b", r"<i>\1</i>", text)

    return Markup(re.sub(r"\$([^$]+)\$", convert, str(escape(label))))


def scientific(value: float) -> Markup:
    """Three digits and a power of ten."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return Markup(f"{mantissa} × 10<sup>{int(exponent)}</sup>".replace("-", "−"))


def moment(value: float | None) -> str:
    """Magnetic moment in units of 1e-9 Bohr magnetons; a dash where there is none."""
    return "–" if value is None else f"{value / _MU_UNIT:.2f}"


def events(value: float) -> str:
    """Expected events, with digits enough to compare."""
    if value >= 100.0:
        return f"{value:,.0f}" if value >= 1000.0 else f"{value:.1f}"
    return f"{value:#.3g}" if value else "0"


def percent(value: float | None, total: float, form: str = ".1f") -> str:
    """Part of a total in percent; a dash where there is none."""
    if value is None or not total > 0.0:
        return "–"
    return f"{100.0 * value / total:{form}} %".replace("-", "−")


def signed(value: float | None, total: float) -> str:
    """Change of a total in percent, with its sign."""
    return percent(value, total, "+.1f")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (scientific, moment, events, mathtext, percent, signed)
    environment.filters |= {function.__name__: function for function in filters}
    return environment


def _content(
    templates: Templates,
    count: TemplateCount,
    limits: Mapping[str, MomentLimit],
    sources: Sequence[Impact],
) -> dict[str, Any]:
    """Everything that the page shows but its figures."""
    ledger = templates.ledger
    return {
        "count": count,
        "limits": limits,
        "best": limits[HEADLINE],
        "methods": plots.METHODS,
        "sidedness": plots.sidedness,
        "missing": ledger.missing,
        "planned": len(ledger.rows),
        "datasets": _dataset_rows(templates, count.pot),
        "yields": _yields(templates, count.pot),
        "cuts": _cut_rows(templates, count.pot) if "cutflow" in templates.histograms else None,
        "spectra": list(_spectra(templates, count, limits)),
        "sources": sources,
        "source_name": plots.source_name,
        "superseded": _superseded(templates, count),
        "provenance": {k: _plain(v) for k, v in templates.provenance.items() if k != TOY},
        "notes": tables.notes(templates)
        if {"variations", "spectra"} & {*templates.provenance}
        else [],
        "toy": templates.provenance.get(TOY, False),
    }


def _dataset_rows(templates: Templates, pot: float) -> list[dict[str, Any]]:
    """Every dataset of the ledger, those that were lost altogether included."""
    rows = []
    for name in templates.ledger.datasets:
        planned = [row for row in templates.ledger.rows if row.dataset == name]
        metadata = templates.datasets.get(name)
        exposure = templates.ledger.pot(name)
        rows.append(
            {
                "name": name,
                "kind": ("simulation" if metadata["is_mc"] else "data") if metadata else "lost",
                "format": metadata.get("format", "") if metadata else "",
                "horn_current": metadata.get("horn_current", "") if metadata else "",
                "files": len({row.path for row in planned}),
                "chunks": len(planned),
                "missing": sum(bool(row.missing) for row in planned),
                "entries": templates.ledger.entries(name),
                "pot": exposure,
                "scale": pot / exposure if name in templates.simulated else None,
            }
        )
    return rows


def _yields(templates: Templates, pot: float) -> list[dict[str, Any]]:
    """Selected events of each category of the expectation; categories without any left out."""
    prediction = templates.prediction(pot)[{"variation": NOMINAL}].project("category")
    rows = []
    for name, value, variance in zip(
        prediction.axes[0], prediction.values(), np.asarray(prediction.variances()), strict=True
    ):
        if value:
            rows.append({"label": LABELS[name], "events": value, "error": variance**0.5})
    return rows


def _cut_rows(templates: Templates, pot: float) -> dict[str, Any]:
    """Cut flow: raw simulated events, then expected ones by category, then data."""
    flow = templates.prediction(pot, "cutflow")
    raw = templates.histograms["cutflow_events"]
    observed = templates.data("cutflow")
    yields = {c: flow[{"category": c}].values() for c in CATEGORIES}
    counts = sum(
        raw[{"dataset": d, "category": c}] for d in templates.simulated for c in CATEGORIES
    )
    total = sum(yields.values())
    present = {c: y for c, y in yields.items() if y.any()}
    rows = [
        {
            "name": plots.readable(cut),
            "raw": counts.values()[i],
            "categories": [y[i] for y in present.values()],
            "total": total[i],
            "kept": total[i] / total[0] if total[0] else 0.0,
            "data": None if observed is None else observed.values()[i],
        }
        for i, cut in enumerate(flow.axes["cut"])
    ]
    return {"labels": [LABELS[c] for c in present], "rows": rows}


def _superseded(templates: Templates, count: TemplateCount) -> dict[str, str]:
    """Sources that are in the templates but not in the sum, and what stands in their place."""
    return {
        name: by
        for name, by in SUPERSEDED.items()
        if by in count.sources and f"{name}Up" in templates.variations
    }


def _figures(
    templates: Templates,
    count: TemplateCount,
    limits: Mapping[str, MomentLimit],
    sources: Sequence[Impact],
) -> dict[str, tuple[str, str, Callable[[], plots.Figure]]]:
    """Stem of the file to caption, description and how to draw it."""
    kind, mu_nu = _drawn(limits)
    figures = {
        "limits": (
            "Limits by method",
            f"Upper limits on the magnetic moment, one row per method: {kind} limit for "
            f"{plots.METHODS[HEADLINE]} {mu_nu:.3g} Bohr magnetons, with expected bands.",
            lambda: plots.limits(limits, pot=count.pot, mc_pot=count.mc_pot),
        ),
        **_spectra(templates, count, limits),
        "sources": (
            "Effect of each source",
            "Change of the expected events by one standard deviation of each source, the largest "
            "first, and of their shape; the numbers are in the table.",
            lambda: plots.impacts(sources, count),
        ),
    }
    if "cutflow" in templates.histograms:
        figures["cutflow"] = (
            "Events after each cut",
            f"Expected events after each of the cuts, by category, at {count.pot:.3g} POT; "
            "the numbers are in the table.",
            lambda: plots.cut_flow(templates, count.pot),
        )
    if "recoil_energy" in templates.hist.axes.name:
        figures["weights"] = (
            "Weight of the magnetic signal",
            "Ratio of the magnetic signal at 1e-9 Bohr magnetons to the Standard Model signal "
            "against electron kinetic energy; it rises towards low energy.",
            lambda: plots.magnetic_weight(templates),
        )
    return figures


def _drawn(limits: Mapping[str, MomentLimit]) -> tuple[str, float]:
    """Kind and value of the limit at which the signal is drawn [Bohr magneton]."""
    best = limits[HEADLINE]
    if best.mu_nu is None:
        return "expected", best.expected[2]
    return "observed", best.mu_nu


def _spectra(
    templates: Templates, count: TemplateCount, limits: Mapping[str, MomentLimit]
) -> dict[str, tuple[str, str, Callable[[], plots.Figure]]]:
    """Figures of all axes but those that repeat another: as :func:`_figures`."""
    kind, mu_nu = _drawn(limits)
    shown = "stacked by category with its uncertainty" + (
        "" if count.n_obs is None else " and data"
    )
    captions = {
        "etheta2": ("Eθ² before the cut on it", "E theta squared"),
        "recoil_energy": ("Electron kinetic energy of the selected events", "kinetic energy T"),
    }
    wanted = [("etheta2", "etheta2"), ("spectrum", "recoil_energy")]
    if "etheta2" not in templates.histograms:
        wanted = [("spectrum", axis) for axis in templates.hist.axes.name[3:]]
    return {
        axis: (
            captions.get(axis, (templates.histograms[name].axes[axis].label, ""))[0],
            f"Expected events against {captions.get(axis, ('', axis))[1]}, {shown}; the line adds "
            f"the magnetic signal at the {kind} limit.",
            functools.partial(plots.stacked, templates, name, axis, pot=count.pot, mu_nu=mu_nu),
        )
        for name, axis in wanted
    }


def _plain(value: Any) -> str:
    """Value of the provenance in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(v) for v in value)
    return str(value)


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _write(path: Path, content: bytes) -> None:
    with renamed_when_complete(path) as partial:
        partial.write_bytes(content)
