"""The notebook of the documentation, and what results look like in one."""

import ast
import html
from dataclasses import replace
from pathlib import Path

import nbclient
import nbformat
import pytest

from analysis.limit import count_limit
from fileset import load_fileset
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "docs/first_limit.ipynb"


def codes(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook with its outputs, by a kernel that finds this checkout."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(PATH, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder))
        patch.setenv("IPYTHONDIR", str(folder))
        patch.setenv("TMPDIR", str(folder))
        client = nbclient.NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
    return notebook


def shown(executed, beginning, kind="text/html"):
    """Output of a kind of the first cell whose last line begins so."""
    cell = next(c for c in codes(executed) if c.source.splitlines()[-1].startswith(beginning))
    return next(o.data[kind] for o in cell.outputs if kind in o.get("data", {}))


def test_notebook_goes_from_a_chunk_to_a_limit(executed):
    assert [o for c in codes(executed) for o in c.outputs if o.output_type == "error"] == []
    assert "tiltUp, tiltDown" in shown(executed, "templates")
    assert "<td>signal</td><td>1</td><td>0</td><td>20000</td>" in shown(
        executed, "templates.ledger"
    )
    assert "<td>mu_nu [Bohr magneton]</td><td>&lt; 1." in shown(executed, "limit")
    assert shown(executed, "stacked", "image/png")


def test_notebook_explores_lazily_with_the_same_result(executed):
    assert "rec.slc.calE" in shown(executed, "lazy.npartitions", "text/plain")
    assert "svg" in shown(executed, "drawn.fill")
    assert shown(executed, "bool(", "text/plain") == "True"


def test_notebook_is_kept_without_outputs_and_imports_nothing_that_is_private():
    notebook = nbformat.read(PATH, as_version=4)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in codes(notebook))
    source = "\n".join(c.source.removeprefix("%matplotlib inline") for c in codes(notebook))
    names = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert "fileset.open_chunk" in names
    assert [name for name in names if "._" in name] == []


@pytest.fixture(scope="module")
def templates(toy):
    return process_fileset(
        {"nd": load_fileset(toy)["nd"]}, NuoneProcessor(variations="flux"), Execution()
    )


def test_what_comes_from_files_is_escaped(templates):
    text = "<b>of & by</b>"
    rows = (
        replace(templates.ledger.rows[0], path=text, missing="gone"),
        *templates.ledger.rows[1:],
    )
    ledger = replace(templates.ledger, rows=rows)
    lost = replace(templates, ledger=ledger, datasets={"nd": templates.datasets["nd"]})
    assert html.escape(text) in ledger._repr_html_()
    assert text not in ledger._repr_html_()
    assert "1 of 2 chunks are missing" in lost._repr_html_()


def test_ledger_in_a_notebook_names_some_of_what_is_missing(templates):
    rows = tuple(replace(templates.ledger.rows[0], missing="gone") for _ in range(8))
    found = replace(templates.ledger, rows=rows)._repr_html_()
    assert (found.count(": gone"), "and 3 more" in found) == (5, True)


def test_limit_of_a_count_says_what_it_means():
    limit = count_limit(25, 23.78, 2.6, cl=0.90, method="fc")
    found = limit._repr_html_()
    assert html.escape(limit.convention) in found
    assert f"to {limit.upper:.4g}" in found
