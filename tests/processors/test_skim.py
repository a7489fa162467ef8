"""Selected rows kept on disk: the same results, never stale."""

import shutil

import numpy as np
import pytest

from fileset import load_fileset
from fileset.simulate import simulate
from processors import NuoneProcessor, skim
from processors.histograms import HISTOGRAMS, Histogram
from processors.pipeline import Execution, process_fileset
from processors.selections import SELECTIONS
from processors.skim import Skim

SELECTION = "single_particle_cvn+note_window"


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    folder = tmp_path_factory.mktemp("skimmed")
    simulate(folder / "signal", sample="nuone", events=1200, seed=31, files=2)
    simulate(folder / "nd", sample="nd", events=1500, seed=32)
    simulate(folder / "data", sample="data", events=600, seed=33)
    return {name: {"files": [str(folder / name / "*.root")]} for name in ("signal", "nd", "data")}


@pytest.fixture
def processed(description, tmp_path):
    """Function that runs a processor with a skim folder, and says how many chunks it opened."""

    def run(processor=None, chunksize=500, fileset=None):
        opened = []
        with pytest.MonkeyPatch.context() as patch:
            filled = skim.Skimmer.process
            patch.setattr(
                skim.Skimmer, "process", lambda self, e: (opened.append(1), filled(self, e))[1]
            )
            templates = process_fileset(
                fileset or load_fileset(description),
                processor or NuoneProcessor(SELECTION),
                Execution(skim=tmp_path / "skim", chunksize=chunksize),
            )
        return templates, len(opened)

    return run


def assert_same(one, other):
    assert one.histograms.keys() == other.histograms.keys()
    for name, histogram in one.histograms.items():
        assert histogram.axes == other.histograms[name].axes
        x, y = histogram.view(flow=True), other.histograms[name].view(flow=True)
        for part in x.dtype.names or (...,):
            np.testing.assert_allclose(x[part], y[part], rtol=1e-11, atol=0.0, err_msg=name)


def test_results_are_those_of_the_event_files_ledger_included(processed, description):
    plain = process_fileset(
        load_fileset(description), NuoneProcessor(SELECTION), Execution(chunksize=500)
    )
    first, opened = processed()
    again, none = processed()
    assert (opened, none) == (9, 0)
    for skimmed in (first, again):
        assert_same(skimmed, plain)
        assert skimmed.ledger == plain.ledger


@pytest.mark.parametrize(
    "options",
    [
        {"variations": "none"},
        {"variations": "flux,angle,calibration"},
        {"templates": "magnetic"},
        {"variations": "all,bootstrap"},
    ],
    ids=str,
)
def test_another_weight_variation_or_hypothesis_opens_no_event_file(
    processed, description, options
):
    processed()
    fresh = NuoneProcessor(SELECTION, **options)
    shifts_are_the_same = options.get("variations") != "none"
    skimmed, opened = processed(fresh)
    assert (opened == 0) is shifts_are_the_same
    assert_same(
        skimmed, process_fileset(load_fileset(description), fresh, Execution(chunksize=500))
    )


def test_other_bins_open_no_event_file(processed, monkeypatch):
    processed()
    axes = HISTOGRAMS["spectrum"].axes
    monkeypatch.setitem(HISTOGRAMS, "spectrum", Histogram((axes[0],)))
    templates, opened = processed()
    assert opened == 0
    assert templates.hist.axes.name[-1] == "recoil_energy"


@pytest.mark.parametrize(
    "processor", [NuoneProcessor("note_window"), NuoneProcessor(SELECTION, radiative="sarantakos")]
)
def test_another_selection_or_radiative_scheme_opens_them(processed, processor):
    _, every = processed()
    assert processed(processor)[1] == every


def test_a_cut_changed_in_memory_opens_them(processed, monkeypatch):
    _, every = processed()
    changed = SELECTIONS["note_window"] | {"recoil_energy": lambda e: e.recoil_energy > 0.4}
    monkeypatch.setitem(SELECTIONS, "note_window", changed)
    assert processed()[1] == every


def test_a_cut_value_changed_in_memory_opens_them(processed, monkeypatch):
    def above(threshold):
        return {"recoil_energy": lambda e: e.recoil_energy > threshold}

    for threshold, every in ((0.4, 9), (0.5, 9), (0.4, 0)):
        monkeypatch.setitem(SELECTIONS, "note_window", above(threshold))
        assert processed(NuoneProcessor("note_window", "none"))[1] == every


def test_a_table_that_a_cut_looks_up_opens_them_when_it_is_changed(processed, monkeypatch):
    limits = {"lowest": 0.4}
    cut = {"recoil_energy": lambda e: e.recoil_energy > limits["lowest"]}
    monkeypatch.setitem(SELECTIONS, "note_window", cut)
    for limits["lowest"], every in ((0.4, 9), (0.5, 9), (0.4, 0)):
        assert processed(NuoneProcessor("note_window", "none"))[1] == every


def test_a_run_that_is_stopped_goes_on_from_its_skims(processed, description, tmp_path):
    left = iter([False] * 5)
    partial = process_fileset(
        load_fileset(description),
        NuoneProcessor(SELECTION),
        Execution(skim=tmp_path / "skim", chunksize=500),
        stop=lambda: next(left, True),
    )
    missing = len(partial.ledger.missing)
    whole, opened = processed()
    assert 0 < missing == opened < 9
    plain = Execution(chunksize=500)
    assert_same(whole, process_fileset(load_fileset(description), NuoneProcessor(SELECTION), plain))


def test_changed_code_opens_them(processed, monkeypatch, tmp_path):
    _, every = processed()
    source = tmp_path / "columns.py"
    source.write_text("changed", encoding="utf-8")
    sources = skim._sources()
    monkeypatch.setattr(skim, "_sources", lambda: (*sources, source))
    assert processed()[1] == every


def test_a_replaced_file_alone_is_opened_again(processed, description, tmp_path):
    own = tmp_path / "own"
    simulate(own, sample="nuone", events=1000, seed=41, files=2)
    fileset = {"signal": {"files": [str(own / "*.root")]}}
    before, opened = processed(fileset=load_fileset(fileset))
    assert opened == 2
    simulate(tmp_path / "other", sample="nuone", events=700, seed=42)
    shutil.copy(tmp_path / "other/nuone_fhc_0000.root", own / "nuone_fhc_0001.root")
    after, opened = processed(fileset=load_fileset(fileset))
    assert opened == 2
    assert after.ledger.entries("signal") == 500 + 700
    assert before.ledger.entries("signal") == 1000


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-100], lambda b: b"", lambda b: b"x" + b[1:], lambda b: b[:30] + b"{" + b[31:]],
    ids=["cut", "empty", "magic", "header"],
)
def test_a_damaged_skim_is_made_again(processed, tmp_path, damage):
    good, _ = processed()
    (largest, *_) = sorted((tmp_path / "skim").glob("*.skim"), key=lambda p: -p.stat().st_size)
    largest.write_bytes(damage(largest.read_bytes()))
    again, opened = processed()
    assert opened == 1
    assert_same(again, good)


def test_a_file_that_lacks_branches_of_its_format_is_kept_without_them(write_caf, processed):
    png = "rec.vtx.elastic.fuzzyk.png."
    beam = dict(zip("xyz", (-8.42393199e-4, -6.17395015e-2, 9.98091942e-1), strict=True))
    branches = {f"{png}dir.{axis}": [[value]] * 3 for axis, value in beam.items()}
    branches |= {f"{png}shwlid.calE": [[0.5], [0.6], [0.7]], "rec.mc.nu.pdg": [[14], [14], [14]]}
    branches |= {f"rec.mc.nu.{name}": [[1], [1], [1]] for name in ("iscc", "mode", "inttype")}
    branches["rec.mc.nu.rwgt.ppfx.cv"] = [[1.0], [1.0], [1.0]]
    fileset = load_fileset({"nd": {"files": [str(write_caf(branches=branches))]}})
    processor = NuoneProcessor("note_window", "flux")
    for opened in (1, 0):
        templates, found = processed(processor, fileset=fileset)
        assert found == opened
        assert templates.hist["nd", "numu_cc", "nominal", ...].sum(flow=True).value == 3.0


def test_columns_come_back_as_they_were(tmp_path):
    columns = {"a": np.arange(3), "b": np.array([0.5, np.nan, 1.0], "f4"), "e": np.empty((0, 4))}
    Skim({"rows": 3}, columns).save(tmp_path / "x.skim")
    back = Skim.load(tmp_path / "x.skim")
    assert back.rows == 3
    for name, values in columns.items():
        assert back.columns[name].dtype == values.dtype
        np.testing.assert_array_equal(back.columns[name], values)


def test_there_is_none_where_there_is_none(tmp_path):
    assert Skim.load(tmp_path / "absent.skim") is None
