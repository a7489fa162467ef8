"""Tables and sentences of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from processors.categories import CATEGORIES, LABELS
from processors.cut_axes import N_MINUS_ONE
from processors.templates import Templates
from processors.variations import NOMINAL

from .. import plots, tables
from ..experiments import BOUNDED, WorldRow
from ..limit.template_count import TemplateCount
from ..limit_tables import model_sentence
from ..shifts import SUPERSEDED
from .findings import OURS, TOY, Findings
from .words import mathtext, plain

_SHOWN_BINS = 12
_IN_TABLES = (TOY, "cuts")


def content(found: Findings) -> dict[str, Any]:
    """Everything that the page shows but its figures."""
    templates, count = found.templates, found.count
    ledger = templates.ledger
    has_cuts = "cutflow" in templates.histograms
    return {
        "found": found,
        "count": count,
        "limits": found.limits,
        "best": found.best,
        "method_name": plots.method_name,
        "sidedness": plots.sidedness,
        "source_name": plots.source_name,
        "missing": ledger.missing,
        "planned": len(ledger.rows),
        "datasets": _dataset_rows(templates, count.pot),
        "yields": _yields(templates, count.pot),
        "cuts": _cut_rows(templates, count.pot) if has_cuts else None,
        "fit_words": model_sentence(found.fit.model) if found.fit else "",
        "superseded": _superseded(templates, count),
        "covariance": found.covariance if len(found.covariance.edges) <= _SHOWN_BINS else None,
        "world": _world(found.world),
        "ours": OURS,
        "provenance": {
            name: plain(value)
            for name, value in templates.provenance.items()
            if name not in _IN_TABLES
        },
        "warnings": _warnings(found),
        "toy": templates.provenance.get(TOY, False),
    }


def _warnings(found: Findings) -> list[str]:
    """What a reader must know before the numbers; missing chunks are listed apart."""
    templates = found.templates
    lines = []
    if templates.provenance.get(TOY):
        lines.append(
            "The input is a toy: simulated events of a simplified near detector, data included. "
            "No number here is a measurement."
        )
    if found.no_fit:
        lines.append(f"The spectrum was not fitted: {found.no_fit}")
    if found.fit is not None and any(limit.negative for limit in found.fit.limits.values()):
        lines.append("Some fits of toys ended where a bin expects less than nothing.")
    if {"variations", "spectra"} & {*templates.provenance}:
        lines += tables.notes(templates)
    return lines


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
    asked = _asked(templates)
    rows = [
        {
            "name": plots.readable(cut),
            "asked": asked.get(cut, ""),
            "raw": counts.values()[i],
            "categories": [y[i] for y in present.values()],
            "total": total[i],
            "kept": total[i] / total[0] if total[0] else 0.0,
            "data": None if observed is None else observed.values()[i],
        }
        for i, cut in enumerate(flow.axes["cut"])
    ]
    return {"labels": [LABELS[c] for c in present], "rows": rows, "asked": bool(asked)}


def _asked(templates: Templates) -> dict[str, str]:
    """What each cut asks, in words, where it is known."""
    found: dict[str, str] = {}
    for cut, window in templates.provenance.get("cuts", {}).items():
        name = f"{N_MINUS_ONE}{cut}.{window['column']}"
        if name in templates.histograms:
            _, _, unit = templates.histograms[name].axes[-1].label.partition("[")
            found[cut] = mathtext(f"{_range(window)} {unit.rstrip(']')}")
    return found


def _range(window: Mapping[str, Any]) -> str:
    low, high = window["low"], window["high"]
    if low is None:
        text = f"< {high:g}"
    elif high is None:
        text = f"> {low:g}"
    elif low == high:
        text = f"= {low:g}"
    else:
        text = f"{low:g} to {high:g}"
    return text.replace("-", "−")


def _world(rows: Sequence[WorldRow]) -> list[tuple[str, list[WorldRow]]]:
    """Rows by what they bound."""
    grouped = ((words, [row for row in rows if row.bounded == n]) for n, words in BOUNDED.items())
    return [(words, part) for words, part in grouped if part]


def _superseded(templates: Templates, count: TemplateCount) -> dict[str, str]:
    """Sources that are in the templates but not in the sum, and what stands in their place."""
    return {
        name: by
        for name, by in SUPERSEDED.items()
        if by in count.sources and f"{name}Up" in templates.variations
    }
