"""What verbs print: tables, templates, a line for what went wrong."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from processors.templates import Templates

    from ..tables import Table


def print_table(table: "Table") -> None:
    """Print a table, as wide as the terminal or wide enough for names and paths."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    # Wide when not on a terminal: a pipe must not cut names and paths.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    drawn = RichTable(
        *table.columns,
        title=harmless(table.title),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
    )
    for row in table.rows:
        drawn.add_row(*map(harmless, row))
    console.print(drawn, markup=False)


def print_templates(templates: "Templates", pot: float | None) -> None:
    """Print cut flow, ledger, yields at an exposure [POT] and notes."""
    from ..tables import cutflow_table, ledger_table, notes, variations_line, yields_table

    # Finished spectra have no cut flow.
    for dataset in templates.datasets if "cutflow" in templates.histograms else ():
        print_table(cutflow_table(templates, dataset))
    print_table(ledger_table(templates))
    if pot and templates.simulated:
        print_table(yields_table(templates, pot))
    print(harmless(variations_line(templates.variations)))
    for note in notes(templates):
        print(harmless(f"note: {note}"))


def incomplete(templates: "Templates") -> bool:
    """Say what is missing; whether there is more than was to be skipped."""
    # Of a file that is skipped, all chunks say the same: the last one is enough.
    rows = {(row.path, -1 if row.skipped else row.start): row for row in templates.ledger.missing}
    for row in rows.values():
        where = f"dataset {row.dataset!r}, {row.path}, entries {row.start}-{row.stop}: "
        # A reason that concerns the whole file says itself which.
        where = "" if row.missing.startswith("dataset ") else where
        state = "skipped" if row.skipped else "missing"
        print(harmless(f"{state}: {where}{row.missing}"), file=sys.stderr)
    missing = [row for row in templates.ledger.missing if not row.skipped]
    if missing:
        fail(
            f"{len(missing)} of {len(templates.ledger.rows)} chunks are missing; mend or remove "
            "the files and run again, or accept their loss with 'process --allow-missing'",
            1,
        )
    return bool(missing)


def print_skipped(reasons: Iterable[str]) -> None:
    """Say of each file that preprocessing left out why it did."""
    for reason in reasons:
        print(f"skipped: {reason}", file=sys.stderr)


def write_figures(figures: Mapping[Path, Callable[[], Any]]) -> None:
    """Draw each figure into its file, of the kind that the suffix says."""
    from ..plots import image

    for path, draw in figures.items():
        if not path.parent.is_dir():
            raise ValueError(f"{path}: no such folder {path.parent}; make it")
        path.write_bytes(image(draw(), path.suffix[1:]))
        print(f"figure: {path}", file=sys.stderr)


def fail(message: str, status: int) -> int:
    """Print what went wrong as one line; gives the status back."""
    print(f"{red('nudipole:')} {harmless(message)}", file=sys.stderr)
    return status


def red(text: str) -> str:
    """Text for stderr, red where that is a terminal and nobody minds (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not sys.stderr.isatty() else f"\033[31m{text}\033[0m"


def harmless(text: str) -> str:
    r"""Text without what steers a terminal: a name in a file may hold anything.

    >>> harmless("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
