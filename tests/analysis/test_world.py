"""The table of all experiments: what is there, how far from the published numbers, and why."""

import csv
import json
import logging
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.cli import main
from analysis.experiment_tables import world_table
from analysis.experiments import BOUNDED, EXPERIMENTS, recompute, recompute_all, world_rows
from analysis.experiments.counting import expected_count
from analysis.experiments.world import UNLIKE
from analysis.world_plots import comparison
from fileset.releases import MissingReleaseError, find_release

ROOT = Path(__file__).resolve().parents[2]
KEYS = [
    *("id", "system", "bounded", "published", "recomputed", "ratio"),
    *("method", "convention", "verified", "reason"),
]


@pytest.fixture(scope="module")
def table():
    return {row.id: row for row in world_rows()}


def skip_without_release(row):
    if "no data release" in row.reason:
        pytest.skip(f"{row.id} is NOT tested: {row.reason.partition(';')[0]}")


def test_every_published_limit_of_the_reference_list_has_a_row(shared):
    with (shared / "reference/published_limits.csv").open(encoding="utf-8") as file:
        known = {row["id"] for row in csv.DictReader(file)}
    assert known <= set(EXPERIMENTS)


def test_table_is_grouped_by_what_is_bounded(table):
    bounded = [row.bounded for row in table.values()]
    assert bounded == sorted(bounded)
    assert set(bounded) == set(BOUNDED)


@pytest.mark.parametrize("name", [n for n, row in EXPERIMENTS.items() if row.tolerance])
def test_recomputed_number_is_within_the_tolerance_of_its_row(table, name):
    skip_without_release(table[name])
    assert abs(table[name].ratio - 1.0) <= EXPERIMENTS[name].tolerance


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_row_says_why_and_by_which_convention(table, name):
    row = table[name]
    assert row.reason
    assert row.convention.startswith("published: ")
    skip_without_release(row)
    assert (row.recomputed is None) == (row.method == "quoted")
    assert (row.recomputed is None) == ("recomputed: " not in row.convention)
    assert (row.ratio is None) == (row.published is None or row.recomputed is None)


@pytest.mark.parametrize("name", [n for n, row in EXPERIMENTS.items() if row.unlike])
def test_ratio_of_unlike_quantities_is_marked(table, name):
    assert table[name].reason.startswith(UNLIKE)
    (line,) = world_table([table[name]]).rows
    assert line[5].startswith("(")


def test_every_row_of_the_technical_note_is_recomputed_or_names_what_is_missing(table, shared):
    with (shared / "reference/published_limits.csv").open(encoding="utf-8") as file:
        named = [row["id"] for row in csv.DictReader(file) if row["named_in_note"] == "yes"]
    assert len(named) > 15
    for name in named:
        skip_without_release(table[name])
        assert table[name].recomputed or "missing" in table[name].reason, name
    quoted = [row for row in table.values() if row.method == "quoted" and row.bounded != "theory"]
    # A search for dark matter has no moment to recompute.
    assert [r.id for r in quoted if "missing" not in r.reason] == ["nova_ldm"]


def test_rows_with_numbers_from_memory_are_not_verified(table):
    assert not table["lsnd"].verified
    assert "assumed or not verified: bound" in table["lsnd"].reason
    assert table["gninenko_sk"].verified
    assert not table["nova_ldm"].verified  # no number at all


@pytest.mark.parametrize("name", ["rg_viaux", "rg_capozzi", "sn_ayala", "sn_km"])
def test_bound_that_recent_work_disputes_says_so(table, name):
    assert f"disputed: {EXPERIMENTS[name].disputed}" in table[name].reason
    assert " †*" in [t.get_text()[-3:] for t in comparison([table[name]]).axes[0].get_yticklabels()]


def test_command_warns_of_a_disputed_bound(caplog, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["limit", "rg_viaux"])
    assert "rg_viaux is disputed: with all stellar physics varied, arXiv:2307.13050" in caplog.text


def test_labels_of_the_technical_note_are_put_right():
    assert EXPERIMENTS["gemma"].bounded == "nuebar"
    assert EXPERIMENTS["borexino"].bounded == "solar effective"


@pytest.mark.parametrize("name", ["lsnd", "lsnd_e"])
def test_lsnd_bounds_one_combination_of_two_flavours(name):
    e, mu = recompute("lsnd_e").observed, recompute("lsnd").observed
    assert (e / mu) ** 2 == pytest.approx(2.4)
    assert "nue^2 + 2.4 mu_numu^2 < 1.1e-18" in recompute(name).convention


def test_flavours_of_borexino_follow_from_its_effective_moment():
    limits = [recompute(f"borexino_{flavour}").observed for flavour in ("e", "mu", "tau")]
    assert limits == pytest.approx([3.82e-11, 5.82e-11, 5.82e-11], rel=2e-3)


def test_sensitivity_of_a_count_scales_as_the_fourth_root_of_the_exposure():
    row = EXPERIMENTS["sbnd"]
    limits = []
    for factor in (1.0, 1e4):
        inputs = {"background_syst": 0.0, "exposure": factor * row.inputs["exposure"]}
        changed = replace(row, inputs={**row.inputs, **inputs})
        limits.append(expected_count(changed, 0.90, "profile_one_sided").observed)
    assert limits[0] / limits[1] == pytest.approx(10.0, rel=0.05)


def test_events_without_efficiency_are_those_of_the_reference_toys():
    assert recompute("miniboone").yield_per_mu2 == pytest.approx(10.7, rel=0.02)
    assert recompute("nova_kralik").yield_per_mu2 == pytest.approx(
        0.286 * 51 * 0.29 * 7.044, rel=0.05
    )


def test_row_that_is_only_quoted_says_what_is_missing():
    with pytest.raises(
        ValueError, match="munu is only quoted, not recomputed: missing are the counts"
    ):
        recompute("munu")


def test_likelihood_with_one_convention_refuses_others():
    with pytest.raises(ValueError, match="no method 'cls' for lsnd; its likelihood, relation,"):
        recompute("lsnd", method="cls")
    assert list(recompute_all("lsnd")) == ["relation"]
    with pytest.raises(ValueError, match="nue_fraction: lsnd is no published count"):
        recompute("lsnd", nue_fraction=0.5)


def test_other_level_moves_a_recomputed_limit_and_has_no_ratio():
    limit = recompute("e734", confidence_level=0.95)
    assert limit.observed > recompute("e734").observed
    assert math.isnan(limit.ratio)
    with pytest.raises(ValueError, match="cl = 95 is not a confidence level"):
        recompute("e734", confidence_level=95)


def test_missing_release_is_skipped_loudly(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        (row,) = world_rows(["xenonnt"], releases=tmp_path)
    assert (row.recomputed, row.ratio) == (None, None)
    assert row.reason.startswith(f"not recomputed: no data release xenonnt_2022 in {tmp_path}")
    assert "xenonnt is not recomputed" in caplog.text


def test_release_is_looked_for_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("NUDIPOLE_DATA", str(tmp_path))
    with pytest.raises(MissingReleaseError, match="'table --data' or NUDIPOLE_DATA"):
        find_release("xenonnt_2022")
    (tmp_path / "xenonnt_2022").mkdir()
    assert find_release("xenonnt_2022") == tmp_path / "xenonnt_2022"


def test_command_prints_rows_with_the_agreed_keys(tmp_path):
    command = [sys.executable, "run.py", "table", "lsnd", "xenonnt", "--json", "--data", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    assert [list(row) for row in rows] == [KEYS, KEYS]
    assert [row["id"] for row in rows] == ["lsnd", "xenonnt"]
    assert rows[0]["recomputed"] == pytest.approx(6.77e-10, rel=1e-3)
    assert rows[1]["recomputed"] is None
    assert "xenonnt is not recomputed" in done.stderr


def test_figures_are_written_where_they_are_asked_for(tmp_path, shared):
    figures = [tmp_path / "limits.svg", tmp_path / "flavours.png"]
    options = ["--plot", figures[0], "--flavours", figures[1], "--data", shared / "data/limits"]
    command = [sys.executable, "run.py", "table", "lsnd", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "lsnd" in done.stdout
    assert all(figure.stat().st_size > 5000 for figure in figures)
    command[5] = tmp_path / "absent/limits.svg"
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no such folder" in done.stderr


def test_unknown_row_of_the_table_names_the_closest():
    with pytest.raises(ValueError, match=r"no experiment 'xenonn'.*closest: xenonnt"):
        world_rows(["xenonn"])
