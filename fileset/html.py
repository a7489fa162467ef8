"""Tables for notebooks, in which results show themselves."""

import html
from collections.abc import Iterable, Sequence


def html_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], note: str = ""
) -> str:
    """Table as HTML; every text is escaped, because names come from files.

    Parameters
    ----------
    title : str
    columns : sequence of str
    rows : iterable of sequence
        Values, one for each column.
    note : str
        Below the table.
    """
    head = _row("th", columns)
    body = "".join(_row("td", row) for row in rows)
    below = f"<p>{html.escape(note)}</p>" if note else ""
    return f"<table><caption>{html.escape(title)}</caption>{head}{body}</table>{below}"


def _row(tag: str, values: Sequence[object]) -> str:
    cells = "".join(f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values)
    return f"<tr>{cells}</tr>"
