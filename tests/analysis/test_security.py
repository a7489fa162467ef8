"""What is in files is never trusted: no code, no markup, no control of a terminal, no way out."""

import ast
import io
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hist import Hist
from hist.axis import Regular, StrCategory
from hist.storage import Weight

from analysis.cli.output import fail, print_table, print_templates
from analysis.report import write_report
from analysis.tables import Table
from fileset import InputError, load_fileset
from fileset.exposure import Ledger, LedgerRow
from processors import NuoneProcessor
from processors.categories import AXIS
from processors.pipeline import Execution, process_fileset
from processors.templates import Templates

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [p for n in ("fileset", "processors", "analysis") for p in (ROOT / n).rglob("*.py")]
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
CLEAR = "\x1b[2J\x1b]0;title\x07"
POT = 3.62e20


def called(path, name):
    """Calls of a function or method of that name in a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [n for n in nodes if name in (getattr(n.func, "id", ""), getattr(n.func, "attr", ""))]


def hostile(axis="../../x", text=SCRIPT):
    """Templates whose every name is an attack."""
    shape = Regular(4, 0.0, 2.0, name=axis, label=text)
    variations = StrCategory(["nominal", f"{text}Up", f"{text}Down"], name="variation")
    datasets = StrCategory([text, "recorded"], name="dataset")
    categories = StrCategory([*AXIS, "magnetic_numu"], name="category")
    spectrum = Hist(datasets, categories, variations, shape, storage=Weight())
    for category, value in {"nuone": 5.0, "nc": 2.0, "magnetic_numu": 1e18}.items():
        cell = spectrum.axes["category"].index(category)
        for i, factor in enumerate((1.0, 1.1, 0.9)):
            spectrum.view()["value"][0, cell, i] = factor * value
            spectrum.view()["variance"][0, cell, i] = value
    spectrum.view()["value"][1, AXIS.index("data"), 0] = 7.0
    kinds = {
        name: {"is_mc": name == text, "format": "nova_caf", "horn_current": text}
        for name in datasets
    }
    rows = [LedgerRow(name, f"{text}.root", text, 0, 10, POT) for name in datasets]
    lost = LedgerRow(text, text, text, 10, 20, 0.0, missing=text)
    provenance = {"selection": text, text: text}
    return Templates({"spectrum": spectrum}, Ledger((*rows, lost)), kinds, provenance)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_numpy_is_never_asked_to_unpickle_and_nothing_is_evaluated(path):
    for call in (*called(path, "load"), *called(path, "save"), *called(path, "savez")):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        allowed = given.get("allow_pickle", ast.Constant(False))
        assert isinstance(allowed, ast.Constant)
        assert allowed.value is False
    assert called(path, "eval") == []
    # Variation files of the user are code: the one thing that is run.
    assert called(path, "exec") == [] or path.name == "registry.py"


def test_templates_with_a_pickle_in_them_are_refused(tmp_path, monkeypatch):
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    hostile("energy", "plain").save(good)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"run": "me"}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickled.getvalue() if name.endswith(".npy") else old.read(name))
    assert Templates.load(good).datasets.keys() == {"plain", "recorded"}
    with pytest.raises(InputError, match=r"bad\.zip: not a templates file.*allow_pickle"):
        Templates.load(bad)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside") / "a" / "b"
    return write_report(hostile(), folder, confidence_level=0.9)


class Elements(HTMLParser):
    """Names of all elements and attributes, as a browser would find them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words = set(), set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.words += data


def test_no_name_becomes_markup_of_the_page(page):
    found = Elements(page.read_text(encoding="utf-8"))
    assert found.tags.isdisjoint({"script", "img", "iframe", "object", "link", "base"})
    assert not [name for name in found.attributes if name.startswith("on")]
    assert SCRIPT in found.words


def test_no_name_leads_a_figure_out_of_the_folder(page):
    outside = page.parents[2]
    files = [path for path in outside.rglob("*") if path.is_file()]
    assert {path.parent for path in files} == {page.parent}
    assert page.parent / ".._.._x.png" in files


def test_members_of_an_archive_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile().save(tmp_path / "t.zip")
    with zipfile.ZipFile(tmp_path / "t.zip", "a") as archive:
        archive.writestr("../escaped.txt", "x")
    Templates.load(tmp_path / "t.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["t.zip"]
    assert not (tmp_path.parent / "escaped.txt").exists()


def test_no_name_steers_the_terminal(capsys):
    print_table(Table(CLEAR, ("column",), [[CLEAR]]))
    print_templates(hostile("energy", CLEAR), POT)
    fail(CLEAR, 2)
    printed = "".join(capsys.readouterr())
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", printed)
    assert "\\x1b[2J" in printed


def test_markup_of_tables_is_text(capsys):
    print_table(Table("t", ("column",), [["[red]x[/red] [link=file:///etc]y[/link]"]]))
    assert "[red]x[/red] [link=file:///etc]y[/link]" in capsys.readouterr().out


@pytest.mark.parametrize("keep", ["resume", "skim"])
@pytest.mark.parametrize("dataset", ["../../up", "/absolute"])
def test_a_name_of_a_dataset_is_no_path(dataset, keep, toy, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    described = {dataset: {"files": [str(path) for path in (toy.parent / "signal").glob("*.root")]}}
    processor = NuoneProcessor(variations="none")
    execution = Execution(**{keep: Path("kept")})
    templates = process_fileset(load_fileset(described), processor, execution)
    templates.save("t.zip")
    assert list(Templates.load("t.zip").datasets) == [dataset]
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert {path.name for path in Path().iterdir()} == {"kept", "t.zip"}
