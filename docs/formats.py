"""Write the tables of the input formats into ``inputs.md``: ``python docs/formats.py``."""

import re
from collections.abc import Sequence
from pathlib import Path

from fileset.columns import CANONICAL
from fileset.formats import FORMATS, MEC_CODES, SIGNAL_CODES, Code
from processors.columns import DERIVED, provided

PAGE = Path(__file__).parent / "inputs.md"


def formats_table() -> str:
    """What each format is, where its exposure comes from and how it marks a process."""
    rows = [
        (
            f"`{layout.name}`",
            layout.title,
            ", ".join(f"`{name}`" for name in layout.exposure_sources) or "`pot` only",
            ", ".join(name.rpartition(".")[2] for name in layout.identity) or "nothing",
            _codes(SIGNAL_CODES[layout.name]),
            _codes(MEC_CODES.get(layout.name, ())),
        )
        for layout in FORMATS.values()
    ]
    return _markdown(("format", "what", "exposure", "event is known by", "ν-on-e", "MEC"), rows)


def columns_table() -> str:
    """Which format provides which column, canonical or derived."""
    names = {
        **{n: c.unit for n, c in CANONICAL.items()},
        **{n: d[2].unit for n, d in DERIVED.items()},
    }
    columns = {layout: provided(layout) for layout in FORMATS}
    rows = [
        (
            f"`{name}`",
            unit.replace("^2", "²"),
            *("●" if name in c else "" for c in columns.values()),
        )
        for name, unit in names.items()
        if any(name in c for c in columns.values())
    ]
    return _markdown(("column", "unit", *(f"`{layout}`" for layout in FORMATS)), rows)


def written(page: str) -> str:
    """The page with the tables of today between its markers."""
    for name, table in (("formats", formats_table()), ("columns", columns_table())):
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
        page = re.sub(pattern, rf"\g<1>\n{table}\n\g<2>", page, flags=re.DOTALL)
    return page


def _codes(codes: Sequence[Code]) -> str:
    return ", ".join(f"`{code.column} == {code.value}`" for code in codes) or "not marked"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
