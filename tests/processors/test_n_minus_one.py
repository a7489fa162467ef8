"""Distributions with one cut left out, against the cuts themselves and a direct count."""

import numpy as np
import pytest

from fileset import load_fileset, make_plan
from processors import SELECTIONS, NuoneProcessor
from processors.n_minus_one import Window, described, window, windows
from processors.reading import read_columns
from processors.selections import find_selection, select
from processors.skim import Skim, Skimmer

SELECTION = "single_particle_cvn+note_window"


@pytest.fixture(scope="module")
def chunk(toy):
    return next(c for c in make_plan(load_fileset(toy)) if c.dataset == "signal")


@pytest.fixture(scope="module")
def output(chunk):
    return NuoneProcessor(SELECTION, "none").process(chunk.open())["signal"]


@pytest.mark.parametrize("name", SELECTIONS)
def test_every_cut_of_ours_is_understood_and_has_a_histogram(name):
    assert list(windows(SELECTIONS[name])) == list(SELECTIONS[name])


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (lambda e: e.cell_count < 600, Window("cell_count", -np.inf, 600.0)),
        (lambda e: (e["theta"] >= 1) & (e.theta < 2), Window("theta", 1.0, 2.0)),
        (lambda e: e.prong_count == 1, Window("prong_count", 1.0, 1.0)),
        (lambda e: (e.vertex_x > 1.0) & (e.vertex_y > 1.0), None),
        (lambda e: np.abs(e.vertex_x) < 3.0, None),
    ],
)
def test_a_cut_tells_what_it_asks(predicate, expected):
    assert window(predicate) == expected


def test_open_ends_are_plain_values():
    cuts = described({"ttheta2": lambda e: e.ttheta2 < 0.003})
    assert cuts == {"ttheta2": {"column": "ttheta2", "low": None, "high": 0.003}}


def test_events_that_pass_all_other_cuts_are_counted_in_their_bins(chunk, output):
    columns = read_columns(chunk.open())
    passed = select(columns, find_selection(SELECTION))
    others = np.all([mask for cut, mask in passed.items() if cut != "electron_id"], axis=0)
    histogram = output["nminusone.electron_id.electron_id"]
    expected, _ = np.histogram(columns.electron_id[others], histogram.axes[2].edges)
    assert expected.sum() > passed["electron_id"][others].sum() > 0
    counted = histogram[:, "nominal", :].values().sum(axis=0)
    np.testing.assert_allclose(counted, expected)


def test_all_of_them_hold_the_yields_with_a_cut_left_out(output):
    cuts = list(output["nminusone"].axes["cut"])
    names = [name for name in output if name.startswith("nminusone.")]
    assert len(names) == len(cuts)
    for cut, name in zip(cuts, names, strict=True):
        assert name.startswith(f"nminusone.{cut}.")
        view = output[name].view(flow=True)
        for part in ("value", "variance"):
            sums = view[part][: len(output["nminusone"].axes[0]), 0].sum(axis=1)
            np.testing.assert_allclose(sums, output["nminusone"][:, cut].view()[part])


def test_they_outlive_a_skim(chunk, output, tmp_path):
    skimmer = Skimmer(NuoneProcessor(SELECTION, "none"), tmp_path)
    skimmer.process(chunk.open())
    (path,) = tmp_path.glob("*.skim")
    index, sums = Skim.load(path).counted["nminusone"]["nminusone.electron_id.electron_id"]
    view = output["nminusone.electron_id.electron_id"].view(flow=True)["value"]
    assert len(index) > 0
    assert sum(sums[0]) == pytest.approx(view.sum())
