"""Runs that go on where another one stopped: the same result, never of other code or input."""

import os
import resource
import shutil
import time
from dataclasses import replace

import hist
import numpy as np
import pytest

from fileset import InputError, load_fileset, make_plan
from fileset.simulate import simulate
from processors import NuoneProcessor, checkpoints
from processors.checkpoints import KEPT_DAYS, code_of, decode, encode
from processors.executors import EXECUTORS, InProcess, open_executor
from processors.filled import Filled
from processors.pipeline import Execution, process_fileset
from processors.registry import VARIATIONS
from processors.run import run
from processors.selections import SELECTIONS
from processors.work import Outcome

VARIATIONS_MADE = "flux,genie,calibration"


@pytest.fixture(scope="module")
def processor():
    return NuoneProcessor(variations=VARIATIONS_MADE)


@pytest.fixture(scope="module")
def plan(toy):
    """Eight chunks of three datasets, some cut inside baskets."""
    return make_plan(load_fileset(toy), chunksize=700)


def content(output):
    """Every number of every result, to the last bit."""
    return {name: encode(result) for name, result in output.items()}


@pytest.fixture(scope="module")
def clean(plan, processor):
    output, ledger = run(plan, processor, InProcess())
    return content(output), ledger


@pytest.fixture
def resumed(plan, processor, tmp_path):
    """Function that runs with a folder, and says what became of each chunk."""

    def go(executor=None, made=processor, chunks=plan, **options):
        outcomes = {}
        output, ledger = run(
            chunks,
            made,
            executor or InProcess(),
            resume=tmp_path / "kept",
            progress=lambda chunk, outcome: outcomes.update({chunk.key: outcome}),
            **options,
        )
        return (content(output), ledger), outcomes

    return go


def afresh(outcomes):
    return sum(not outcome.resumed for outcome in outcomes.values())


def stop_after(chunks):
    """Answers yes from some question on."""
    left = iter([False] * chunks)
    return lambda: next(left, True)


def test_everything_that_is_kept_comes_back_bit_by_bit(plan, processor):
    output = processor.summing().process(plan[0].open())
    back = decode(encode(output))
    assert encode(back) == encode(output)
    (result,), (again,) = output.values(), back.values()
    assert {name: type(v) for name, v in result.items()} == {n: type(v) for n, v in again.items()}
    assert result["cutflow"] == again["cutflow"]
    assert result["cutflow"].axes == again["cutflow"].axes
    for name, filled in result.items():
        if isinstance(filled, Filled):
            assert filled.sums.tobytes() == again[name].sums.tobytes()


def test_kinds_of_values_come_back_as_they_were():
    array = np.asfortranarray(np.arange(6.0, dtype="f4").reshape(2, 3))
    value = {"a": [1, 2.5, None, True, "x"], ("k", 1): (array, array), "s": {3}, "n": np.float32(1)}
    back = decode(encode(value))
    assert back.keys() == value.keys()
    assert (back["a"], back["s"], back["n"]) == (value["a"], value["s"], value["n"])
    one, other = back["k", 1]
    assert one is other
    assert (one.dtype, one.flags.f_contiguous) == (array.dtype, True)


def test_what_has_no_form_on_disk_is_refused():
    with pytest.raises(InputError, match=r"--resume keeps numbers, text, arrays .* not object"):
        encode({"nd": object()})
    with pytest.raises(InputError, match="not ndarray"):
        encode(np.array([object()]))


def test_a_second_run_processes_nothing_and_gives_the_same(resumed, clean):
    first, outcomes = resumed()
    again, second = resumed()
    assert (afresh(outcomes), afresh(second)) == (len(outcomes), 0)
    assert first == again == clean


@pytest.mark.parametrize("name", EXECUTORS)
def test_what_was_interrupted_goes_on_with_any_executor(resumed, clean, plan, name):
    partial, outcomes = resumed(stop=stop_after(3))
    assert 0 < len(outcomes) < len(plan)
    assert partial != clean
    with open_executor(name, workers=2) as executor:
        whole, second = resumed(executor)
    assert afresh(second) == len(plan) - len(outcomes)
    assert whole == clean


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b"",
        lambda b: b[:20],
        lambda b: b[:-1],
        lambda b: b + b"\0",
        lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:],
        lambda b: bytes([b[0] ^ 1]) + b[1:],
    ],
    ids=["empty", "digest", "cut", "longer", "bit", "first"],
)
def test_a_damaged_checkpoint_is_made_again(resumed, clean, tmp_path, caplog, damage):
    resumed()
    path = sorted((tmp_path / "kept").glob("*.chunk"))[0]
    good = path.read_bytes()
    path.write_bytes(damage(good))
    again, outcomes = resumed()
    assert (afresh(outcomes), again) == (1, clean)
    assert f"{path} is damaged" in caplog.text
    assert path.read_bytes() == good


def test_a_checkpoint_under_another_name_is_none(resumed, clean, tmp_path):
    resumed()
    one, other = sorted((tmp_path / "kept").glob("*.chunk"))[:2]
    shutil.copy(one, other)
    again, outcomes = resumed()
    assert (afresh(outcomes), again) == (1, clean)


def test_nothing_but_checkpoints_is_left_in_the_folder(resumed, plan, tmp_path):
    resumed()
    assert [p.suffix for p in (tmp_path / "kept").iterdir()] == [".chunk"] * len(plan)


def test_what_no_run_has_used_for_long_is_removed_when_a_run_is_complete(resumed, plan, tmp_path):
    resumed()
    made = sorted((tmp_path / "kept").iterdir())
    other, own = tmp_path / "kept/other.chunk", tmp_path / "kept/own notes.txt"
    for path in (other, own):
        path.touch()
    long_ago = time.time() - 86_400 * (KEPT_DAYS + 1)
    for path in (tmp_path / "kept").iterdir():
        os.utime(path, (long_ago, long_ago))
    resumed(stop=stop_after(3))
    assert other.exists()
    _, outcomes = resumed()
    assert afresh(outcomes) == 0
    assert sorted((tmp_path / "kept").iterdir()) == sorted([*made, own])


def test_what_another_run_may_need_is_left(resumed, plan, tmp_path):
    resumed(made=NuoneProcessor(variations="flux"))
    before = set((tmp_path / "kept").iterdir())
    resumed()
    assert before < set((tmp_path / "kept").iterdir())


def test_a_chunk_that_fails_is_not_kept(resumed, clean, plan):
    class Failing(NuoneProcessor):
        broken = True

        def process(self, events):
            if self.broken and events.metadata["entrystart"] > 0:
                raise ValueError("no good")
            return super().process(events)

    _, outcomes = resumed(made=Failing(variations=VARIATIONS_MADE))
    failed = sum(outcome.failed for outcome in outcomes.values())
    again, second = resumed(made=Failing(variations=VARIATIONS_MADE))
    assert 0 < failed == afresh(second) < len(plan)
    assert [row.missing for row in again[1].missing] == ["ValueError: no good"] * failed


def test_a_disk_that_takes_no_more_costs_no_result(resumed, clean, tmp_path, caplog):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    try:
        output, _ = resumed()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert output == clean
    assert "cannot be kept (File too large)" in caplog.text
    assert list((tmp_path / "kept").iterdir()) == []
    again, outcomes = resumed()
    assert (again, afresh(outcomes)) == (clean, len(outcomes))


def test_a_folder_that_cannot_be_made_is_refused(plan, processor, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--resume .*file: cannot be made \(File exists\)"):
        run(plan, processor, InProcess(), resume=tmp_path / "file")


def test_a_replaced_file_alone_is_processed_again(resumed, tmp_path, processor):
    for name, seed in (("own", 41), ("other", 42)):
        simulate(tmp_path / name, sample="nuone", events=1000, seed=seed, files=2)
    fileset = load_fileset({"signal": {"files": [str(tmp_path / "own/*.root")]}})
    resumed(chunks=make_plan(fileset))
    path = tmp_path / "own/nuone_fhc_0001.root"
    shutil.copy(tmp_path / "other/nuone_fhc_0001.root", path)
    plan = make_plan(fileset)
    (output, _), outcomes = resumed(chunks=plan)
    assert [key[1] for key, o in outcomes.items() if not o.resumed] == [plan[1].uuid]
    assert output == content(run(plan, processor, InProcess())[0])


def test_a_file_that_is_touched_is_processed_again(plan, tmp_path):
    path = tmp_path / "a.root"
    shutil.copy(plan[0].path, path)
    chunk = replace(plan[0], path=str(path))
    before = checkpoints.identity("code", chunk)
    os.utime(path, ns=(1, 1))
    assert checkpoints.identity("code", chunk) != before


@pytest.mark.parametrize(
    "change",
    [
        {"start": 1},
        {"stop": 2},
        {"uuid": "other"},
        {"tree": "other"},
        {"dataset": "other"},
        {"metadata": {"weight": "rec.other"}},
    ],
    ids=str,
)
def test_another_chunk_or_description_has_another_checkpoint(plan, change):
    other = replace(plan[0], **change)
    assert checkpoints.identity("code", other) != checkpoints.identity("code", plan[0])


def test_the_patience_with_a_server_does_not_matter(plan):
    other = replace(plan[0], metadata=plan[0].metadata | {"timeout": 1.0})
    assert checkpoints.identity("code", other) == checkpoints.identity("code", plan[0])


@pytest.mark.parametrize(
    "processor",
    [
        NuoneProcessor("event_cvn", VARIATIONS_MADE),
        NuoneProcessor(variations="flux,genie"),
        NuoneProcessor(variations=VARIATIONS_MADE, radiative="sarantakos"),
        NuoneProcessor(variations=VARIATIONS_MADE, templates="magnetic"),
    ],
    ids=["selection", "variations", "radiative", "templates"],
)
def test_other_settings_find_no_checkpoint(processor):
    assert code_of(processor) != code_of(NuoneProcessor(variations=VARIATIONS_MADE))


def test_a_cut_that_is_changed_in_memory_is_processed_again(resumed, monkeypatch, plan):
    resumed()
    changed = SELECTIONS["note_window"] | {"recoil_energy": lambda e: e.recoil_energy > 0.4}
    monkeypatch.setitem(SELECTIONS, "note_window", changed)
    _, outcomes = resumed()
    assert afresh(outcomes) == len(plan)


def test_a_variation_that_is_changed_in_memory_is_processed_again(resumed, monkeypatch, plan):
    resumed()
    flux = VARIATIONS["flux"]
    changed = replace(flux, function=lambda events: flux.function(events)[::-1])
    monkeypatch.setitem(VARIATIONS, "flux", changed)
    assert afresh(resumed()[1]) == len(plan)


def test_a_file_of_variations_that_is_edited_is_processed_again(resumed, plan, tmp_path):
    path = tmp_path / "mine.py"
    text = (
        "import numpy as np\nfrom processors import variation\n"
        "@variation(uses=('true_neutrino_energy',))\n"
        "def mine(events):\n"
        "    one = np.ones(len(events))\n"
        "    return SIZE * one, one / SIZE\n"
    )
    found = []
    for size in ("1.1", "1.2", "1.1"):
        path.write_text(text.replace("SIZE", size))
        found.append(afresh(resumed(made=NuoneProcessor(variations=str(path)))[1]))
    assert found == [len(plan), len(plan), 0]


def test_templates_and_exposure_are_those_of_a_whole_run(toy, tmp_path):
    fileset, processor = load_fileset(toy), NuoneProcessor(variations="flux")
    plain = process_fileset(fileset, processor, Execution(chunksize=700))
    execution = Execution(chunksize=700, resume=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        process_fileset(fileset, processor, execution, stop=lambda: True)
    partial = process_fileset(fileset, processor, execution, stop=stop_after(4))
    assert len(partial.ledger.missing) > 0
    whole = process_fileset(fileset, processor, execution)
    assert whole.provenance["run"]["chunks"]["resumed"] > 0
    assert whole.ledger == plain.ledger
    for name, histogram in plain.histograms.items():
        again = whole.histograms[name]
        assert again.axes == histogram.axes
        assert again.view(flow=True).tobytes() == histogram.view(flow=True).tobytes()


@pytest.mark.parametrize("other", [{"skim": "kept"}, {"engine": "coffea"}], ids=str)
def test_with_what_resumes_by_itself_or_cannot_it_is_refused(toy, tmp_path, other):
    execution = Execution(resume=tmp_path, **other)
    with pytest.raises(InputError, match="leave"):
        process_fileset(load_fileset(toy), NuoneProcessor(variations="none"), execution)


def test_histogram_of_a_users_own_comes_back():
    axes = (hist.axis.StrCategory(["a"], name="c", growth=True), hist.axis.Regular(3, 0, 1))
    own = hist.Hist(*axes, storage=hist.storage.Weight()).fill(["b"], [0.5], weight=0.1)
    back = decode(encode(own))
    assert back == own
    assert back.axes == own.axes
    assert Outcome(output={"own": back}).bad is False
