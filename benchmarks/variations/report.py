"""Markdown of what was measured, and whether it is what we hold ourselves to."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .measure import Cost
from .rounds import Case, Outcome

NAMES = {
    "codec": "read and decompress the touched baskets, nothing else",
    "ours": "nudipole",
    "ours_again": "nudipole, from the rows that a first run kept",
    "uproot": "bare uproot, one boost-histogram per variation",
    "coffea": "plain coffea processor, one fill per variation",
    "rdf_fused": "RDataFrame, C++, hand-written fused action",
    "rdf_vary": "RDataFrame, C++, `Vary`",
}
"""In the order of the table."""

PACKAGES = ("numpy", "numba", "awkward", "uproot", "cramjam", "coffea", "hist", "boost-histogram")


class Goal(NamedTuple):
    """What our CPU time should be, relative to another contestant's.

    Attributes
    ----------
    sample : str
    variations : int
    other : str
    limit : float
        Largest ratio ours / other for the codec, smallest other / ours for everybody else.
    """

    sample: str
    variations: int
    other: str
    limit: float


GOALS = (
    Goal("nue", 180, "codec", 1.5),
    Goal("nd", 180, "codec", 1.3),
    Goal("nue", 180, "coffea", 4.0),
    Goal("nd", 180, "coffea", 3.0),
    Goal("nue", 180, "rdf_vary", 4.5),
    Goal("nd", 180, "rdf_vary", 2.5),
    Goal("nue", 1000, "rdf_vary", 30.0),
    Goal("nue", 180, "rdf_fused", 1.5),
    Goal("nd", 180, "rdf_fused", 1.5),
)
MANY_VARIATIONS = 0.35  # 180 to 1000 variations add at most this
PEAK_MEGABYTES = 450.0  # with two threads
AGAIN = 50.0  # first run over one from its rows
SPEED_UP = 1.8  # of two threads, wall time
CHUNK_MILLISECONDS = {51: 10.0, 1000: 30.0}  # branches in the file to time per chunk

Costs = Mapping[tuple[Case, str], Sequence[Cost]]


def machine(command: str, root: str = "") -> str:
    """What it ran on and with."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    lines = [
        f"Command: `{command}`",
        f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}; load {load}",
        f"Python {platform.python_version()}, {versions}" + (f"; {root}" if root else ""),
    ]
    return "  \n".join(lines) + "\n"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def tables(outcome: Outcome) -> str:
    """CPU seconds, memory and threads."""
    parts = [
        f"CPU seconds, sample `{sample}` (times ours)\n\n{_table(outcome.costs, cases)}"
        for sample, cases in _single(outcome.costs).items()
    ]
    parts += [f"Peak memory [MB]\n\n{_memory(outcome.costs)}"]
    threaded = [case for case, _ in outcome.costs if case.threads > 1]
    for case in dict.fromkeys(threaded):
        title = f"{case.threads} threads, sample `{case.sample}`, {case.variations} variations"
        parts.append(f"{title}\n\n{_threads(outcome.costs, case)}")
    return "\n".join(parts)


def _single(costs: Costs) -> dict[str, list[Case]]:
    samples: dict[str, list[Case]] = {}
    for case in dict.fromkeys(case for case, _ in costs if case.threads == 1):
        samples.setdefault(case.sample, []).append(case)
    return samples


def _cpu(costs: Costs, case: Case, name: str) -> float | None:
    found = costs.get((case, name))
    return median(cost.cpu for cost in found) if found else None


def _table(costs: Costs, cases: Sequence[Case]) -> str:
    rows = []
    for name, title in NAMES.items():
        cells = []
        for case in cases:
            cpu, ours = _cpu(costs, case, name), _cpu(costs, case, "ours")
            ratio = f" ({cpu / ours:.2f})" if cpu and ours and name != "ours" else ""
            cells.append("" if cpu is None else f"{cpu:.2f}{ratio}")
        if any(cells):
            rows.append([title, *cells])
    return markdown(["variations", *(str(case.variations) for case in cases)], rows)


def _memory(costs: Costs) -> str:
    cases = list(dict.fromkeys(case for case, _ in costs))
    titles = [f"{c.sample} {c.variations}" + " 2t" * (c.threads > 1) for c in cases]
    rows = []
    for name, title in NAMES.items():
        cells = [costs.get((case, name)) for case in cases]
        if any(cells):
            rows.append(
                [title, *(f"{median(c.peak for c in cell):.0f}" if cell else "" for cell in cells)]
            )
    return markdown(["contestant", *titles], rows)


def _threads(costs: Costs, case: Case) -> str:
    rows = []
    for name, title in NAMES.items():
        one, two = costs.get((case._replace(threads=1), name)), costs.get((case, name))
        if one and two:
            before, after = (median(cost.wall for cost in found) for found in (one, two))
            cpu = median(cost.cpu for cost in two)
            rows.append(
                [title, f"{before:.2f}", f"{after:.2f}", f"{before / after:.2f}", f"{cpu:.2f}"]
            )
    return markdown(["contestant", "wall s, one", "wall s", "speed-up", "CPU s"], rows)


def goals(outcome: Outcome, per_chunk: Mapping[int, float]) -> str:
    """Every goal that was measured, and whether it is met."""
    rows = [[what, f"{found:.2f}", limit, "yes" if met else "**NO**"]
            for what, found, limit, met in _goals(outcome.costs, per_chunk)]  # fmt: skip
    return markdown(["goal", "measured", "limit", "met"], rows)


Row = tuple[str, float, str, bool]


def _goals(costs: Costs, per_chunk: Mapping[int, float]) -> Iterator[Row]:
    yield from _against_others(costs)
    for sample in dict.fromkeys(case.sample for case, _ in costs):
        yield from _of_ours(costs, sample)
    for (case, name), found in costs.items():
        if name == "ours" and case.threads > 1:
            what = f"{case.sample}, {case.variations} variations, {case.threads} threads, "
            peak = median(cost.peak for cost in found)
            yield _at_most(f"{what}peak MB", peak, PEAK_MEGABYTES)
            one = costs[case._replace(threads=1), name]
            gain = median(c.wall for c in one) / median(c.wall for c in found)
            yield _at_least(f"{what}speed-up", gain, SPEED_UP)
    for branches, value in per_chunk.items():
        limit = CHUNK_MILLISECONDS[branches]
        yield _at_most(f"CPU ms per chunk, {branches} branches", value, limit)


def _against_others(costs: Costs) -> Iterator[Row]:
    for sample, variations, other, limit in GOALS:
        case = Case(sample, variations, 1)
        ours, theirs = _cpu(costs, case, "ours"), _cpu(costs, case, other)
        if ours and theirs and other == "codec":
            yield _at_most(f"{sample}, {variations} variations, ours / codec", ours / theirs, limit)
        elif ours and theirs:
            what = f"{sample}, {variations} variations, {other} / ours"
            yield _at_least(what, theirs / ours, limit)


def _of_ours(costs: Costs, sample: str) -> Iterator[Row]:
    few, many = (_cpu(costs, Case(sample, n, 1), "ours") for n in (180, 1000))
    if few and many:
        what = f"{sample}, 180 to 1000 variations add"
        yield _at_most(what, many / few - 1.0, MANY_VARIATIONS)
    again = _cpu(costs, Case(sample, 180, 1), "ours_again")
    if few and again:
        yield _at_least(f"{sample}, 180 variations, first run / again", few / again, AGAIN)


def _at_most(what: str, value: float, limit: float) -> Row:
    return what, value, f"<= {limit}", value <= limit


def _at_least(what: str, value: float, limit: float) -> Row:
    return what, value, f">= {limit}", value >= limit


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with aligned columns."""
    lines = [header, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    text = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
            for line in lines]  # fmt: skip
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([text[0], rule, *text[1:]]) + "\n"
