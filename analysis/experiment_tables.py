"""Rows of the tables of published experiments that people read."""

import math
from collections.abc import Iterable, Sequence

from .experiments import BOUNDED, Combined, Limit, Sensitivity, WorldRow
from .experiments.world import UNLIKE
from .tables import Table

_UNITS = {"exposure": " POT", "threshold": " GeV", "background": " of nu-e"}


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


def combined_table(found: Combined) -> Table:
    """Limits of the rows alone and of all together."""
    lines = [
        (name, f"{limit:.3g}", found.likelihoods[name], ", ".join(found.unverified[name]) or "-")
        for name, limit in found.alone.items()
    ]
    lines.append(("together", f"{found.observed:.3g}", "", ""))
    columns = ("experiment", "mu_nu < [mu_B]", "likelihood", "assumed or not verified")
    return Table(f"limits on the {BOUNDED[found.bounded]}", columns, lines)


def nuisances_table(found: Combined) -> Table:
    """Nuisances of a combination: who declares them and where the fit puts them."""
    lines = [
        (name, ", ".join(found.shared.get(name, ())) or "-", f"{pull:+.2f}")
        for name, pull in found.pulls.items()
    ]
    return Table("nuisances", ("nuisance", "declared by", "pull"), lines)


def combination_sentence(found: Combined) -> str:
    """Combined limit with its convention in one line."""
    return (
        f"mu_nu < {found.observed:.3g} mu_B from {', '.join(found.rows)} "
        f"({found.method}: {found.convention})"
    )


def sensitivity_table(system: str, found: Sequence[Sensitivity]) -> Table:
    """Expected limits, one line per exposure or threshold, one column per uncertainty."""
    systematics = list(dict.fromkeys(point.background_syst for point in found))
    lines: dict[tuple[str, str], list[str]] = {}
    for point in found:
        value = f"{point.value:.3g}{_UNITS[point.varied]}"
        line = lines.setdefault((point.varied, value), [f"{point.expected_events}"])
        line.append(f"{point.mu_nu:.3g}")
    columns = (
        *("varied", "value", "events without moment"),
        *(f"mu_nu < at {100 * syst:g} %" for syst in systematics),
    )
    title = f"{system}: expected limits in mu_B, {found[0].convention.partition('; ')[2]}"
    return Table(title, columns, [(*key, *line) for key, line in lines.items()])


def _moment(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
