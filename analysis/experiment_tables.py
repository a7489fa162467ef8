"""Rows of the tables of published experiments that people read."""

import math
from collections.abc import Iterable

from .experiments import Limit, WorldRow
from .experiments.world import UNLIKE
from .tables import Table


def recomputed_table(limits: Iterable[Limit]) -> Table:
    """Limits of published experiments, recomputed, beside the published ones."""
    rows = [
        (
            limit.experiment,
            limit.bounded,
            limit.method,
            _moment(limit.published),
            _moment(limit.observed),
            "-" if math.isnan(limit.ratio) else f"{limit.ratio:.3f}",
            "-" if limit.signal_events is None else f"{limit.signal_events:.3f}",
            "yes" if limit.verified else f"no: {', '.join(limit.unverified)}",
            limit.convention,
        )
        for limit in limits
    ]
    columns = (
        *("experiment", "bounded", "method", "published [mu_B]", "recomputed [mu_B]", "ratio"),
        *("signal events <", "verified", "convention"),
    )
    return Table("recomputed limits", columns, rows)


def inputs_sentence(limit: Limit) -> str:
    """Level of a recomputed limit, and of counts the signal, in one line."""
    parts = [f"{100 * limit.confidence_level:g} % C.L."] if limit.confidence_level else []
    if limit.yield_per_mu2 is not None:
        parts.append(f"exposure {limit.exposure:.4g}")
        parts.append(f"{limit.yield_per_mu2:.3f} signal events per (1e-9 mu_B)^2")
    if limit.nue_fraction is not None:
        parts.append(f"nu-e fraction {limit.nue_fraction:g} of the expectation")
    return ", ".join(parts)


def world_table(rows: Iterable[WorldRow]) -> Table:
    """Every experiment in one line; the ratio of quantities that are not alike in brackets."""
    lines = []
    for row in rows:
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        unlike = row.ratio is not None and row.reason.startswith(UNLIKE)
        numbers = (
            _moment(row.published),
            _moment(row.recomputed),
            f"({ratio})" if unlike else ratio,
        )
        verified = "yes" if row.verified else "no"
        lines.append((row.bounded, row.id, row.system, *numbers, row.method, verified, row.reason))
    columns = (
        *("bounded", "id", "system", "published [mu_B]", "recomputed [mu_B]", "ratio"),
        *("method", "verified", "reason"),
    )
    title = "published limits on magnetic moments; (ratio): quantities that are not alike"
    return Table(title, columns, lines)


def _moment(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
