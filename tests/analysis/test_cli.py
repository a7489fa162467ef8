"""The command line as a person uses it: what is printed where, and the exit status."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import analysis.cli
from analysis.cli import ShadowedPackageError, check_packages, main
from analysis.systematics import Systematics

ROOT = Path(__file__).resolve().parents[2]


def nudipole(*arguments: object) -> int:
    """Exit status of the command line, in this process."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    assert nudipole("demo", "--out", out, "--events", 6000) == 0
    return out


@pytest.fixture(scope="module")
def fileset(demo: Path) -> Path:
    return demo / "fileset.toml"


def test_demo_leaves_templates_figures_and_a_page(demo: Path) -> None:
    names = {path.name for path in demo.iterdir()}
    assert {"templates.zip", "report.html", "fileset.toml"} <= names
    for figure in ("etheta2", "recoil_energy", "cutflow", "weights", "limits", "sources"):
        assert (demo / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_limit_is_printed_with_level_convention_and_exposure(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nudipole("limit", demo / "templates.zip", "--method", "fc", "--cl", 0.9) == 0
    text = capsys.readouterr().out
    assert "mu_nu < " in text
    assert "90 % CL" in text
    assert "two-sided Feldman-Cousins" in text
    assert "3.62e+20 POT" in text


def test_limit_json_agrees_with_the_text_and_honours_the_level(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {}
    for level in (0.90, 0.95):
        arguments = ("limit", demo / "templates.zip", "--cl", level, "--method", "cls", "--json")
        assert nudipole(*arguments) == 0
        content = json.loads(capsys.readouterr().out)
        limit = content["limits"]["cls"]
        assert limit["confidence_level"] == level
        expected = math.sqrt(limit["count"]["upper"] / content["count"]["signal_per_mu2"])
        assert limit["mu_nu"] == pytest.approx(expected, rel=1e-9, abs=0.0)
        values[level] = limit["mu_nu"]
    assert values[0.95] > values[0.90]


def test_sources_are_printed_kept_and_drawn(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, drawn = tmp_path / "s.npz", tmp_path / "s.svg"
    arguments = ("covariance", demo / "templates.zip", "--axes", "recoil_energy")
    assert nudipole(*arguments, "--out", kept, "--plot", drawn) == 0
    text = capsys.readouterr().out
    assert "sources of uncertainty at 3.62e+20 POT" in text
    assert "ppfx" in text
    found = Systematics.load(kept)
    assert found.pot == pytest.approx(3.62e20)
    assert found.nuisances[0].name == "ppfx_pc00"
    assert drawn.read_bytes().startswith(b"<?xml")


def test_sources_of_json_are_those_that_the_limit_counts(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nudipole("limit", demo / "templates.zip", "--method", "cls", "--json") == 0
    count = json.loads(capsys.readouterr().out)["count"]
    # All events in one bin, but those beyond the axes.
    assert nudipole("covariance", demo / "templates.zip", "--axes", "ttheta2", "--json") == 0
    rows = {row["source"]: row for row in json.loads(capsys.readouterr().out)["sources"]}
    assert rows.keys() == count["sources"].keys() - {"mc_statistics"}
    assert rows["ppfx"]["total"] == pytest.approx(count["sources"]["ppfx"] / count["n_bkg"])


def test_published_count_is_recomputed(capsys: pytest.CaptureFixture[str]) -> None:
    assert nudipole("limit", "nova_biao", "--method", "fc", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["observed"] == pytest.approx(1.62e-9, rel=0.01, abs=0.0)
    assert "nue_fraction" in row["unverified"]


def test_files_shows_entries_and_exposure(
    fileset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nudipole("files", fileset, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    infos = content["files"]
    assert content["problems"] == []
    assert {"signal", "background", "nd_data"} == set(infos)
    assert infos["nd_data"][0]["pot"] == pytest.approx(3.62e20)
    assert sum(info["entries"] for info in infos["background"]) == 4000


def test_files_lists_every_problem_and_still_shows_the_good_files(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.root").write_text("not a ROOT file")
    good = next((demo / "signal").glob("*.root"))
    description = tmp_path / "mixed.toml"
    description.write_text(f'[mc]\nfiles = ["{good}", "text.root", "absent.root"]\n')
    assert nudipole("files", description) == 2
    captured = capsys.readouterr()
    assert "2000" in captured.out
    problems = captured.err.splitlines()
    assert len(problems) == 2
    assert "text.root" in problems[0]
    assert "absent.root: no such file" in problems[1]


def test_cut_flow_shows_yields_with_one_cut_left_out(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nudipole("show", demo / "templates.zip") == 0
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines() if line.split()]
    flow = [row for row in rows if row[0] in ("recoil_energy", "ttheta2")]
    assert "N-1" in text
    # The last cut of the list: leaving it out gives what the cut before it left.
    before, last = flow[:2]
    assert float(last[-1]) == pytest.approx(float(before[-2]))


def test_process_and_show_print_the_cut_flow(
    fileset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    templates = tmp_path / "t.zip"
    assert nudipole("process", fileset, "-o", templates, "--selection", "event_cvn") == 0
    text = capsys.readouterr()
    assert "nuone_id" in text.out
    assert "processing" not in text.out
    assert nudipole("show", templates, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["cuts"][0] == "all"
    signal = content["cutflow_events"]["signal"]["nuone"]
    assert signal[0] == 2000
    assert signal == sorted(signal, reverse=True)


def test_max_chunks_scales_the_exposure(
    fileset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exposure = {}
    for name, options in {"all": (), "some": ("--max-chunks", 1, "--chunksize", 500)}.items():
        path = tmp_path / f"{name}.zip"
        assert nudipole("process", fileset, "-o", path, "--variations", "none", *options) == 0
        capsys.readouterr()
        assert nudipole("show", path, "--json") == 0
        exposure[name] = json.loads(capsys.readouterr().out)["pot"]["nd_data"]
    assert 0.0 < exposure["some"] < exposure["all"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("limit", "nova_bioa"), "closest: nova_biao"),
        (("limit", "nova_biao", "--method", "feldman"), "--method"),
        (("limit", "absent.zip"), "no such templates file"),
        (("files", "absent.toml"), "cannot read the dataset description"),
        (("process", "absent.root", "-o", "t.zip"), "no such file"),
        (("process", "absent.root", "-o", "nowhere/t.zip"), "no such folder"),
        (("process", "absent.root", "-o", "t.zip", "--selection", "event"), "event_cvn"),
        (("process", "absent.root", "-o", "t.zip", "--variations", "fluxx"), "closest: flux"),
        (("simulate", "--events", "0", "--out", "sim"), "events"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_two(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nudipole(*arguments) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if re.match(r"nudipole[\w ]*: ", line)]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in captured.err
    assert not list(tmp_path.glob("*.zip"))


def test_a_lost_chunk_is_named_and_the_exit_code_is_one(
    fileset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from processors import NuoneProcessor

    whole = NuoneProcessor.process

    def fragile(self: NuoneProcessor, events: object) -> object:
        if events.metadata["dataset"] == "signal":  # type: ignore[attr-defined]
            raise RuntimeError("disk on fire")
        return whole(self, events)

    monkeypatch.setattr(NuoneProcessor, "process", fragile)
    output = tmp_path / "t.zip"
    assert nudipole("process", fileset, "-o", output) == 1
    error = capsys.readouterr().err
    assert "disk on fire" in error
    assert "1 of 4 chunks are missing" in error
    assert not output.exists()
    assert nudipole("process", fileset, "-o", output, "--allow-missing") == 0
    assert output.exists()


def test_dune_file_is_processed_and_its_weights_are_explained(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shared / "data" / "events" / "dune_fd_caf" / "CICafFile_numu_x_nue.root"
    assert nudipole("process", path, "-o", tmp_path / "dune.zip") == 0
    text = capsys.readouterr().out
    assert "ttheta2" in text
    assert "2000" in text
    assert "1e+21" in text
    assert "branch 'weight' is not used" in text
    assert "no variation 'ppfx'" in text


def test_packages_of_another_distribution_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alien = tmp_path / "analysis" / "cli" / "__init__.py"
    monkeypatch.setattr(analysis.cli, "__file__", str(alien))
    with pytest.raises(ShadowedPackageError, match="virtual environment of its own"):
        check_packages()


def test_run_py_is_the_same_command_line() -> None:
    arguments = [sys.executable, str(ROOT / "run.py"), "limit", "nova_biao", "--method", "cls"]
    result = subprocess.run(
        arguments, capture_output=True, text=True, env=os.environ, check=True, cwd=ROOT
    )
    assert "recomputed limits" in result.stdout
    assert result.stderr == ""
