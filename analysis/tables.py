"""Rows of the tables that people read: plain values out of results, ready to print or to encode."""

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from fileset.catalog import Fileset
from fileset.files import FileInfo
from fileset.formats import CAFANA_SPECTRUM, FORMATS
from fileset.formats.cafana_spectrum import Spectrum
from processors.categories import AXIS, CATEGORIES, DATA
from processors.hypotheses import coefficients
from processors.registry import NOMINAL
from processors.templates import Templates
from processors.tracing import Traced

from .covariance import Shifts, relative_size
from .limit.template_count import MomentLimit, TemplateCount
from .systematics import Systematics


@dataclass(frozen=True)
class Table:
    """A title, column names and rows of text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


SHOWN_FILES = 50
"""Rows of the table of files; beyond, one row stands for a dataset."""


def files_table(fileset: Fileset, infos: Mapping[str, Sequence[FileInfo]]) -> Table:
    """What would be read: one row per file, or per dataset where there are many files."""
    if sum(map(len, infos.values())) > SHOWN_FILES:
        return _datasets_table(infos)
    rows = [
        (
            name,
            info.path,
            info.format,
            "MC" if info.is_mc else "data",
            info.horn_current or "unknown",
            f"{info.entries}",
            f"{info.pot:.4g} ({info.exposure_source})",
            f"{info.event_weight:.4g}",
            f"{info.size / 1e6:.1f}",
        )
        for name, files in infos.items()
        for info in files
    ]
    columns = (
        *("dataset", "file", "format", "kind", "horn", "entries"),
        *("POT (source)", "event weight", "MB"),
    )
    return Table("files", columns, rows)


def _datasets_table(infos: Mapping[str, Sequence[FileInfo]]) -> Table:
    rows = [
        (
            name,
            f"{len(files)}",
            *(_one_of(getattr(info, key) for info in files) for key in ("format", "horn_current")),
            _one_of("MC" if info.is_mc else "data" for info in files),
            f"{sum(info.entries for info in files)}",
            f"{sum(info.pot for info in files):.6g}",
            _one_of(info.exposure_source for info in files),
            f"{sum(info.size for info in files) / 1e6:.1f}",
        )
        for name, files in infos.items()
    ]
    columns = (
        *("dataset", "files", "format", "horn", "kind", "entries"),
        *("POT", "source", "MB"),
    )
    return Table("files by dataset (--json lists each)", columns, rows)


def _one_of(values: Iterable[str]) -> str:
    return ", ".join(sorted({value or "unknown" for value in values}))


def spectra_rows(spectra: Mapping[tuple[str, str], Sequence[Spectrum]]) -> list[dict[str, Any]]:
    """What finished spectra hold, by dataset and file: one row each, as plain values."""
    return [
        {
            "dataset": name,
            "file": path,
            "spectrum": spectrum.name,
            "axes": [
                f"{label or '?'}: {len(edges) - 1} x {edges[0]:g} to {edges[-1]:g}"
                for label, edges in zip(spectrum.labels, spectrum.edges, strict=True)
            ],
            "pot": spectrum.pot,
            "livetime": spectrum.livetime,
            "total": spectrum.total,
            "entries": spectrum.entries,
            "universes": len(spectrum.universes),
        }
        for (name, path), found in spectra.items()
        for spectrum in found
    ]


def spectra_table(spectra: Mapping[tuple[str, str], Sequence[Spectrum]]) -> Table:
    """What finished spectra hold: one row each."""
    rows = [
        (
            *(row["dataset"], row["file"], row["spectrum"], ", ".join(row["axes"])),
            *(f"{row[key]:.5g}" for key in ("pot", "livetime", "total", "entries")),
            f"{row['universes']}",
        )
        for row in spectra_rows(spectra)
    ]
    columns = (
        *("dataset", "file", "spectrum", "axes", "POT", "livetime [s]"),
        *("sum", "effective entries", "universes"),
    )
    return Table("spectra", columns, rows)


# What is known of a dataset of which no chunk is left.
_LOST = {"is_mc": None, "format": "?"}


def ledger_table(templates: Templates) -> Table:
    """Exposure of each dataset, as far as it is in the sum."""
    ledger = templates.ledger
    known = templates.provenance.get("alternatives", {}) | templates.datasets
    rows = [
        (
            name,
            {True: "MC", False: "data", None: "?"}[metadata["is_mc"]],
            metadata["format"],
            f"{sum(r.dataset == name and not r.missing for r in ledger.rows)}",
            f"{sum(r.dataset == name and bool(r.missing) for r in ledger.rows)}",
            f"{ledger.entries(name)}",
            f"{ledger.pot(name):.4g}",
        )
        for name in ledger.datasets
        for metadata in [known.get(name, _LOST)]
    ]
    columns = ("dataset", "kind", "format", "chunks", "missing", "entries", "POT")
    return Table("ledger", columns, rows)


def columns_table(dataset: str, traced: Sequence[Traced]) -> Table:
    """What a run reads of a dataset, one row per column."""
    rows = [
        (
            column.column,
            "all" if column.all_events else "selected",
            ", ".join(column.uses),
            ", ".join(column.branches),
        )
        for column in traced
    ]
    branches = {branch for column in traced for branch in column.branches}
    title = f"{len(branches)} branches that a run reads of {dataset!r}"
    return Table(title, ("column", "of events", "for", "branches"), rows)


def notes(templates: Templates) -> list[str]:
    """What a reader of the tables must know: peculiarities of formats, variations not made."""
    lines = [*_missing_notes(templates), *_alternative_notes(templates)]
    for name, metadata in templates.datasets.items():
        layout = metadata["format"]
        lines += [
            f"{name}: nothing is {label!r}, the nominal stands for it"
            for label in metadata.get("one_sided", ())
        ]
        if layout == CAFANA_SPECTRUM:
            continue
        lines += [f"{name} ({layout}): {text}" for text in FORMATS[layout].notes]
        lines += [
            f"{name}: {n} negative values of {what!r} were set to 0 (negative_weights = clip)"
            for what, n in metadata.get("clipped", {}).items()
        ]
        if not metadata["is_mc"]:
            continue
        lines += [
            f"{name} ({layout}): no variation {variation!r}, the format lacks {', '.join(columns)}"
            for variation, columns in metadata.get("lacking", {}).items()
        ]
    return lines


def variations_line(labels: Iterable[str]) -> str:
    """Bins of the variation axis in one line, universes by the first and the last."""
    parts = []
    for _, found in itertools.groupby(labels, lambda label: re.sub(r"_\d{3,}$", "", label)):
        first, *more = found
        parts.append(f"{first} to {more[-1]}" if more else first)
    return f"variations: {', '.join(parts)}"


def _alternative_notes(templates: Templates) -> list[str]:
    """What became of datasets that are variations of others."""
    lines = []
    for name, facts in templates.provenance.get("alternatives", {}).items():
        # A reference is no variation.
        if facts["label"] != NOMINAL:
            how = f" by its difference from {facts['reference']}" if facts["reference"] else ""
            lines.append(
                f"{name}: {facts['label']!r} of {facts['base']}{how}, from {facts['pot']:.4g} POT"
            )
        if facts["untouched"]:
            lines.append(
                f"{name}: no events of {', '.join(facts['untouched'])}, the nominal stands for them"
            )
    return lines


def _missing_notes(templates: Templates) -> list[str]:
    """What is not in the result, by dataset."""
    lines = []
    for name in templates.ledger.datasets:
        rows = [row for row in templates.ledger.missing if row.dataset == name]
        for word, kind in (("skipped", True), ("missing", False)):
            paths = list(dict.fromkeys(row.path for row in rows if row.skipped is kind))
            if paths:
                total = len({row.path for row in templates.ledger.rows if row.dataset == name})
                lines.append(
                    f"{name}: {word} in {len(paths)} of {total} files, exposure is that of the "
                    f"rest, {templates.ledger.pot(name):.4g} POT; the first: {paths[0]}"
                )
    return lines


def cutflow_table(templates: Templates, dataset: str) -> Table:
    """Events of one dataset after each cut, by category: raw counts, then weighted in total.

    The last column is the weighted total with this cut left out and all others applied (N-1).
    """
    raw = templates.histograms["cutflow_events"][dataset, ...]
    weighted = templates.cutflow[dataset, ...].view()["value"]
    left_out = templates.histograms["nminusone"][dataset, ...].view()["value"]
    present = [i for i in range(len(AXIS)) if raw.view()[i].any()]
    rows = [
        (
            cut,
            *(f"{raw.view()[i, c]:d}" for i in present),
            f"{raw.view()[:, c].sum():d}",
            f"{weighted[:, c].sum():.5g}",
            # The first row is before any cut.
            f"{left_out[:, c - 1].sum():.5g}" if c else "",
        )
        for c, cut in enumerate(raw.axes["cut"])
    ]
    columns = ("cut", *(AXIS[i] for i in present), "all events", "weighted", "N-1")
    return Table(f"cut flow of {dataset!r}, events as simulated or recorded", columns, rows)


def yields_table(templates: Templates, pot: float) -> Table:
    """Selected events by category at one exposure, with statistical uncertainty."""
    prediction = templates.prediction(pot)[:, "nominal", ...]
    sums = {name: prediction[name, ...].sum(flow=True) for name in CATEGORIES}
    magnetic = templates.signal(pot, coefficients(mu_nu=1e-9))["nominal", ...].sum(flow=True)
    sums["magnetic, per (1e-9 mu_B)^2"] = magnetic
    rows = [(name, f"{s.value:.4g}", f"{s.variance**0.5:.2g}") for name, s in sums.items()]
    data = templates.data()
    if data is not None:
        rows.append((DATA, f"{data.sum(flow=True).value:.0f}", ""))
    return Table(f"selected events at {pot:.4g} POT", ("category", "events", "MC stat."), rows)


def source_rows(found: Shifts, result: Systematics) -> list[dict[str, Any]]:
    """How large every source of variation is: one row each, as plain values."""
    layout = found.layout
    signal = [name for name in layout.samples if name not in layout.standard]
    parameters = Counter(nuisance.source for nuisance in result.nuisances)
    rows = []
    for name, source in found.sources.items():
        total, shape = relative_size(found, source, layout.standard)
        sizes = {"total": total, "shape": shape, "signal": relative_size(found, source, signal)[0]}
        row = {
            "source": name,
            "kind": source.kind,
            "sides": list(source.sides),
            "members": len(source.members),
            # Where there are no events there is no size.
            **{key: size if math.isfinite(size) else None for key, size in sizes.items()},
            "parameters": parameters[name],
        }
        rows.append(row)
    return rows


def sources_table(found: Shifts, result: Systematics) -> Table:
    """How large every source of variation is, relative to the Standard Model and to the signal."""
    rows = [
        (
            row["source"],
            row["kind"].replace("_", " "),
            ", ".join(row["sides"]) or f"{row['members']}",
            *(_percent(row[key]) for key in ("total", "shape", "signal")),
            f"{row['parameters'] or '-'}",
        )
        for row in source_rows(found, result)
    ]
    events, variance = (
        found.layout.summed(values, found.layout.standard).sum()
        for values in (found.nominal, found.mc_variance)
    )
    size = math.sqrt(variance) / events if events > 0.0 else None
    rows.append(("MC statistics", "", "", _percent(size), "", "", ""))
    title = f"sources of uncertainty at {found.pot:.4g} POT, {events:.5g} SM events in the bins"
    columns = (
        *("source", "kind", "sides or number", "SM total [%]", "SM shape [%]"),
        *("signal total [%]", "parameters"),
    )
    return Table(title, columns, rows)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100.0 * fraction:.3g}"


def limits_table(limits: Iterable[MomentLimit]) -> Table:
    """Limits by method, observed and expected."""
    rows = [
        (
            limit.method,
            "-" if limit.mu_nu is None else f"{limit.mu_nu:.3g}",
            f"{limit.expected[2]:.3g}" if limit.expected else "-",
            f"{limit.expected[1]:.3g} to {limit.expected[3]:.3g}" if limit.expected else "-",
            limit.convention,
        )
        for limit in limits
    ]
    columns = ("method", "mu_nu < [mu_B]", "expected", "+-1 sigma", "convention")
    return Table("upper limits on the effective magnetic moment", columns, rows)


def count_sentence(count: TemplateCount) -> str:
    """Inputs of a counting limit in one line."""
    observed = "no data" if count.n_obs is None else f"{count.n_obs} observed"
    simulated = ", ".join(f"{name} {pot:.4g}" for name, pot in count.mc_pot.items())
    missing = f"; {count.missing} chunks are not in the result" if count.missing else ""
    return (
        f"exposure {count.pot:.4g} POT (simulation {simulated} POT): {observed}, "
        f"{count.n_bkg:.2f} +- {count.sigma_bkg:.2f} expected, "
        f"{count.signal_per_mu2 * 1e-18:.3f} signal events per (1e-9 mu_B)^2{missing}"
    )


def headline(limit: MomentLimit) -> str:
    """A limit in one line, with its convention."""
    convention = f"{limit.method}: {limit.convention}"
    expected = f"{limit.expected[2]:.3g}" if limit.expected else ""
    if limit.mu_nu is None:
        return f"mu_nu < {expected} mu_B expected without signal ({convention})"
    return f"mu_nu < {limit.mu_nu:.3g} mu_B, expected {expected} ({convention})"


def encode(value: Any) -> str:
    """JSON of a result: dataclasses become objects."""
    return json.dumps(value, default=_plain, indent=1)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.item()
