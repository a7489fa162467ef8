"""Variations in a user's own file, outside the package: they go wherever ours go."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.cli import main
from analysis.systematics import Systematics
from processors.templates import Templates

ROOT = Path(__file__).resolve().parents[1]

OWN = '''
import numpy as np
from processors import variation


def flat(events, factor):
    return np.full(len(events), factor)


@variation(uses=())
def my_pair(events):
    """20 % up, 5 % down."""
    return flat(events, 1.2), flat(events, 0.95)


@variation(uses=(), one_sided=True)
def my_loss(events):
    """40 % lost."""
    return flat(events, 0.6)


@variation(uses=(), labels=lambda _: [f"my_universes_{i:03d}" for i in range(4)])
def my_universes(events):
    """Plus and minus 30 %, twice."""
    return np.tile([1.3, 0.7, 1.3, 0.7], (len(events), 1))


@variation(uses=("shower_energy",), shift=True)
def my_shift(events):
    """Energies 50 % up or down."""
    energy = events.shower_energy
    return {"shower_energy": 1.5 * energy}, {"shower_energy": 0.5 * energy}
'''

SIZES = {"my_pair": 0.2, "my_loss": 0.4, "my_universes": 0.3}
KINDS = {"my_pair": "pair", "my_loss": "one_sided", "my_universes": "universes", "my_shift": "pair"}


def nudipole(*arguments: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert not stop.value.code


@pytest.fixture(scope="module")
def folder(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the file of variations and what came of it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_systs.py").write_text(OWN, encoding="utf-8")
    nudipole(
        *("process", toy, "-o", folder / "nd.zip"),
        *("--variations", f"flux,{folder / 'my_systs.py'}", "--skim", folder / "skim"),
    )
    return folder


def test_histograms_have_them(folder: Path) -> None:
    templates = Templates.load(folder / "nd.zip")
    yields = templates.prediction(1e20).project("variation")
    total = {name: yields[name].value / yields["nominal"].value for name in templates.variations}
    assert total["my_pairUp"] == pytest.approx(1.2)
    assert total["my_pairDown"] == pytest.approx(0.95)
    assert total["my_lossUp"] == pytest.approx(0.6)
    assert total["my_universes_003"] == pytest.approx(0.7)
    assert "my_lossDown" not in total
    assert total["my_shiftUp"] != pytest.approx(1.0)
    # The file is a part of what the result was made with.
    (path,) = templates.provenance["variation_files"]
    assert path == str(folder / "my_systs.py")


def test_covariance_has_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nudipole("covariance", folder / "nd.zip", "--out", folder / "nd.npz", "--json")
    rows = {row["source"]: row for row in json.loads(capsys.readouterr().out)["sources"]}
    assert {name: rows[name]["kind"] for name in KINDS} == KINDS
    # A pair enters with the root mean square of its sides.
    sizes = SIZES | {"my_pair": np.hypot(0.2, 0.05) / np.sqrt(2.0)}
    assert {name: rows[name]["total"] for name in SIZES} == pytest.approx(sizes)
    assert rows["my_shift"]["shape"] > 0.1
    found = Systematics.load(folder / "nd.npz")
    up = {n.source: up for n, up in zip(found.nuisances, found.up, strict=True)}
    for name, size in SIZES.items():
        assert np.abs(up[name]) == pytest.approx(size * np.abs(found.nominal), abs=1e-9)
    assert up["my_shift"].any()


def test_limit_counts_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nudipole("limit", folder / "nd.zip", "--method", "cls", "--json")
    count = json.loads(capsys.readouterr().out)["count"]
    assert count["sources"].keys() == KINDS.keys() | {"flux", "mc_statistics"}
    relative = {name: count["sources"][name] / count["n_bkg"] for name in SIZES}
    assert relative == pytest.approx(SIZES)


def test_report_ranks_them_and_draws_their_effect(folder: Path) -> None:
    nudipole("report", folder / "nd.zip", "--out", folder / "page")
    html = (folder / "page" / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert re.search(r" my pair ± [\d.,]+ 20\.0 % \+20\.0 % −5\.0 % 0\.0 % ", text)
    assert re.search(r" my loss ± [\d.,]+ 40\.0 % −40\.0 % – 0\.0 % ", text)
    assert re.search(r" my universes ± [\d.,]+ 30\.0 % – – 0\.0 % ", text)
    assert re.search(r" my shift ± [\d.,]+ [\d.]+ % [+−][\d.]+ % [+−][\d.]+ % [\d.]+ % ", text)
    ranked = sorted(SIZES, key=lambda name: -SIZES[name])
    positions = [text.index(f" {name.replace('_', ' ')} ± ") for name in ranked]
    assert positions == sorted(positions)
    assert (folder / "page" / "sources.png").read_bytes().startswith(b"\x89PNG")


def test_tests_of_ours_find_what_is_wrong_with_them(folder: Path, tmp_path: Path) -> None:
    bad = """

@variation(uses=("nu_pdg",))
def reads_more(events):
    \"\"\"Reads what it does not declare.\"\"\"
    return 0.0 * events.run + 1.1, flat(events, 0.9)


@variation(uses=("true_neutrino_energy",))
def not_a_number(events):
    \"\"\"Cosmic rays have no neutrino.\"\"\"
    return 1.0 + 0.1 * events.true_neutrino_energy, 1.0 - 0.1 * events.true_neutrino_energy


@variation(uses=())
def same_side(events):
    \"\"\"Both sides up.\"\"\"
    return flat(events, 1.1), flat(events, 1.2)
"""
    path = tmp_path / "bad.py"
    path.write_text(OWN + bad, encoding="utf-8")
    module = ROOT / "tests" / "processors" / "test_variations.py"
    command = [sys.executable, "-m", "pytest", "-n0", "-q", module, "--variations", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    failed = re.findall(r"^FAILED \S+::\w+\[(?:(\w+?)(?:-\d+)?)\]", done.stdout, flags=re.MULTILINE)
    assert set(failed) == {"reads_more", "not_a_number", "same_side"}, done.stdout
    assert "test_weights_have_one_finite_row_per_event" in done.stdout
