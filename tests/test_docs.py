"""What the documentation says is what the code does."""

import re
import runpy
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.cli import main
from analysis.experiments import EXPERIMENTS, load_experiments
from analysis.experiments.inputs import INPUTS
from fileset.formats import FORMATS
from processors.columns import provided
from processors.registry import VARIATIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"
SYSTEMATICS = (DOCS / "systematics.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")


def examples(page):
    """Variations on a page: name to the file that declares it."""
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    name = re.compile(r"^(?:def |normalisation\(\")(\w+)", flags=re.MULTILINE)
    return {
        name.search(b)[1]: b for b in blocks if re.search(r"import (variation|normalisation)", b)
    }


@pytest.fixture
def workplace(toy, tmp_path, monkeypatch):
    """Current folder with the simulated near detector, described in ``nd.toml``."""
    shutil.copytree(toy.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / toy.name).rename(tmp_path / "nd.toml")
    monkeypatch.chdir(tmp_path)
    before = dict(VARIATIONS)
    yield tmp_path
    VARIATIONS.clear()
    VARIATIONS.update(before)


def run(command):
    """Carry out a line as it is printed in the documentation."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(command)[1:])
    assert not stop.value.code, command


@pytest.mark.parametrize("page", [SYSTEMATICS, README], ids=["systematics", "readme"])
def test_every_example_of_a_variation_is_a_whole_file_that_works(workplace, capsys, page):
    found = examples(page)
    for name, text in found.items():
        (workplace / f"{name}.py").write_text(text, encoding="utf-8")
    files = ",".join(f"{name}.py" for name in found)
    run(f"nudipole process nd.toml -o nd.zip --variations none,{files}")
    printed = capsys.readouterr().out
    assert [name for name in found if not re.search(rf" {name}(Up|_000)", printed)] == []


def test_worked_example_is_carried_out_as_it_is_printed(workplace, capsys):
    drift = examples(SYSTEMATICS)["calibration_drift"]
    section = SYSTEMATICS[SYSTEMATICS.index("## Worked example") :]
    commands = {c.split()[1]: c for c in re.findall(r"`(nudipole [^`]+)`", section)}
    assert [*commands] == ["process", "show", "covariance", "limit", "report"]

    def printed(verb):
        run(commands[verb])
        return capsys.readouterr().out

    def sizes():
        row = r"calibration_drift +pair +Up, Down +(\S+) +(\S+)"
        return [float(size) for size in re.search(row, printed("covariance")).groups()]

    (workplace / "my_systematics.py").write_text(drift, encoding="utf-8")
    printed("process")
    assert "calibration_driftUp, calibration_driftDown" in printed("show")
    _, shape = sizes()
    assert "mu_nu < " in printed("limit")
    assert printed("report").strip() == "page/report.html"
    assert "calibration drift" in (workplace / "page/report.html").read_text(encoding="utf-8")
    assert (workplace / "page/sources.png").is_file()
    larger = drift.replace("1.02", "1.03").replace("0.98", "0.97")
    (workplace / "my_systematics.py").write_text(larger, encoding="utf-8")
    printed("process")
    assert sizes()[1] > shape > 0.0


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(DOCS / "formats.py"))


def test_tables_of_the_formats_are_those_of_the_code(generator):
    page = (DOCS / "inputs.md").read_text(encoding="utf-8")
    assert generator["written"](page) == page, "run: python docs/formats.py"


def test_table_of_the_experiments_is_that_of_their_rows():
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    written = runpy.run_path(str(DOCS / "experiments.py"))["written"]
    assert written(page) == page, "run: python docs/experiments.py"


def test_example_of_an_experiment_is_the_row_of_its_name(tmp_path):
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    *_, example = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "krasnoyarsk.toml").write_text(example, encoding="utf-8")
    row = load_experiments(tmp_path)["krasnoyarsk"]
    shortened = {"reason": row.reason, "source": row.source}
    assert row == replace(EXPERIMENTS["krasnoyarsk"], **shortened)


def test_every_likelihood_is_on_the_page_of_the_experiments():
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    assert [method for method in INPUTS if f"| `{method}` | " not in page] == []


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
