"""What the documentation says is what the code does."""

import runpy
from pathlib import Path

import pytest

from fileset.formats import FORMATS
from processors.columns import provided

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(DOCS / "formats.py"))


def test_tables_of_the_formats_are_those_of_the_code(generator):
    page = (DOCS / "inputs.md").read_text(encoding="utf-8")
    assert generator["written"](page) == page, "run: python docs/formats.py"


def test_table_of_the_columns_says_what_a_format_provides(generator):
    head, _, *rows = generator["columns_table"]().splitlines()
    names = [cell.strip(" `") for cell in head.split("|")[3:-1]]
    assert names == list(FORMATS)
    for row in rows:
        column, _, *cells = (cell.strip(" `") for cell in row.split("|")[1:-1])
        assert [n for n, c in zip(names, cells, strict=True) if c] == [
            n for n in names if column in provided(n)
        ]


def test_page_of_the_formats_names_each_in_the_table_of_codes(generator):
    table = generator["formats_table"]()
    assert all(f"`{name}`" in table for name in FORMATS)
