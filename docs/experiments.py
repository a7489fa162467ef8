"""Write the table of published experiments into its page: ``python docs/experiments.py``."""

import re
from pathlib import Path

from analysis.experiments import EXPERIMENTS, Experiment

PAGE = Path(__file__).parent / "experiments.md"


def experiments_table() -> str:
    """Where the numbers of every row come from, one line each."""
    rows = sorted(EXPERIMENTS.values(), key=lambda row: (row.bounded, row.name))
    head = (
        "row",
        "bounded",
        "published (μ_B)",
        "method",
        "source of the numbers",
        "not read there",
    )
    cells = [
        (
            f"`{row.name}`",
            row.bounded,
            _published(row),
            f"`{row.method}`",
            row.source,
            ", ".join(row.unverified) or ("" if row.status else "no number"),
        )
        for row in rows
    ]
    lines = (head, tuple("---" for _ in head), *cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def written(page: str) -> str:
    """The page with the table of today between its markers."""
    pattern = r"(<!-- experiments -->\n).*?(<!-- end of experiments -->)"
    return re.sub(pattern, rf"\g<1>\n{experiments_table()}\n\g<2>", page, flags=re.DOTALL)


def _published(row: Experiment) -> str:
    if row.published is None:
        return "none"
    level = f", {100 * row.confidence_level:g} %" if row.confidence_level else ""
    low = f"{row.published_low:.3g} to " if row.published_low else ""
    return f"{low}{row.published:.3g}{level}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
