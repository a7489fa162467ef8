import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from fileset import InputError, load_fileset, make_plan, open_chunk
from fileset import files as looking
from fileset import plan as planning
from fileset.coffea_api import IterativeExecutor, ProcessorABC, Runner
from fileset.formats import FORMATS
from fileset.preprocess import preprocess
from processors import NuoneProcessor
from processors.executors import InProcess
from processors.pipeline import Execution, process_fileset
from processors.run import run

SUFFIXES = pytest.mark.parametrize("suffix", [".json", ".json.gz"])


@pytest.fixture
def made(write_caf, tmp_path):
    """Function that writes files of different runs and describes them as one dataset."""

    def make(*names, **options):
        paths = [
            write_caf(
                name,
                entries=i + 1,
                branches={"rec.hdr.run": np.full(i + 1, i), "rec.w": np.ones(i + 1)},
            )
            for i, name in enumerate(names)
        ]
        return load_fileset({"nd": {"files": list(map(str, paths)), **options}})

    return make


@pytest.fixture
def looked_into(monkeypatch):
    """Names of the files that are opened to look into them."""
    seen, look = [], looking.facts

    def watch(dataset, path):
        seen.append(Path(path).name)
        return look(dataset, path)

    monkeypatch.setattr(looking, "facts", watch)
    return seen


def content(path):
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


OPTIONS = {
    "weight": "rec.w",
    "signal_code": 10005,
    "horn_current": "RHC",
    "exposure": "spills",
    "negative_weights": "clip",
    "sin2_theta_w": 0.2387,
    "check_duplicates": False,
    "timeout": 5,
}


@SUFFIXES
@pytest.mark.parametrize("options", [{}, OPTIONS, {"pot": 7e20, "is_mc": False}], ids=len)
def test_what_was_written_gives_the_same_plan_as_the_description(made, tmp_path, suffix, options):
    described = made("a.root", "b.root", **options)
    target = tmp_path / f"nd{suffix}"
    preprocess(described, target)
    assert make_plan(load_fileset(target), chunksize=1) == make_plan(described, chunksize=1)


def test_result_of_the_preprocessing_is_that_of_a_plan(made, tmp_path):
    described = made("a.root", "b.root")
    found = preprocess(described, tmp_path / "nd.json")
    assert [info.pot for info in found["nd"].infos] == [chunk.pot for chunk in make_plan(described)]


def test_relative_paths_hold_wherever_the_result_is_read(made, tmp_path, monkeypatch):
    made("a.root")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    preprocess(load_fileset("*.root"), Path("elsewhere/nd.json"))
    monkeypatch.chdir("/")
    (dataset,) = load_fileset(tmp_path / "elsewhere/nd.json").values()
    assert list(dataset.files) == [str(tmp_path / "a.root")]
    assert [chunk.path for chunk in make_plan({"nd": dataset})] == [str(tmp_path / "a.root")]


@pytest.fixture(scope="module")
def processed(toy, tmp_path_factory):
    """Preprocessed toy and the histograms of a run over its description."""
    path = tmp_path_factory.mktemp("preprocessed") / "toy.json.gz"
    described = load_fileset(toy)
    preprocess(described, path)
    templates = process_fileset(described, NuoneProcessor(variations="flux"), Execution())
    return content(path), templates


def test_coffeas_own_description_takes_it_as_it_stands(processed):
    from coffea.dataset_tools import DataGroupSpec

    written, templates = processed
    spec = DataGroupSpec(written)
    entries = {n: sum(f.num_entries for f in d.files.values()) for n, d in spec.items()}
    assert entries == {name: templates.ledger.entries(name) for name in templates.ledger.datasets}
    assert load_fileset(json.loads(spec.model_dump_json())) == load_fileset(written)


def test_coffeas_runner_takes_it_as_it_stands_and_gives_the_same_histograms(processed):
    written, templates = processed
    runner = Runner(
        executor=IterativeExecutor(status=False),
        schema=FORMATS["nova_caf"].schema,
        metadata_cache={},
    )
    output = runner(written, NuoneProcessor(variations="flux"))
    for name, result in output.items():
        expected = templates.hist[name, "nuone" if name != "nd_data" else "data", ...]
        found = result["spectrum"]["nuone" if name != "nd_data" else "data", ...]
        bins = found.axes["variation"].size
        np.testing.assert_allclose(
            found.view(flow=True)[:bins]["value"],
            expected.view(flow=True)[:bins]["value"],
            rtol=1e-12,
        )
        assert found.sum(flow=True).value > 0.0


@SUFFIXES
def test_files_that_did_not_change_are_not_opened_again(made, tmp_path, monkeypatch, suffix):
    described = made("a.root", "b.root")
    target = tmp_path / f"nd{suffix}"
    preprocess(described, target)
    plan = make_plan(described)
    monkeypatch.setattr(looking, "facts", None)
    assert make_plan(load_fileset(target)) == plan
    first = target.read_bytes()
    preprocess(described, target)
    preprocess(load_fileset(target), target)
    assert target.read_bytes() == first


def test_files_that_changed_are_looked_into_again(made, tmp_path, looked_into):
    described = made("size.root", "time.root", "same.root")
    target = tmp_path / "nd.json"
    preprocess(described, target)
    size, time = tmp_path / "size.root", tmp_path / "time.root"
    modified = size.stat().st_mtime_ns
    size.write_bytes(size.read_bytes() + b"\0")
    os.utime(size, ns=(modified, modified))
    os.utime(time, ns=(modified, modified - 1))
    looked_into.clear()
    make_plan(load_fileset(target))
    assert looked_into == ["size.root", "time.root"]


def test_file_that_was_added_to_the_description_is_the_only_one_that_is_opened(
    made, tmp_path, looked_into
):
    described = made("a.root", "b.root", "c.root")
    target = tmp_path / "nd.json"
    two = dict(list(described["nd"].files.items())[:2])
    preprocess({"nd": replace(described["nd"], files=two)}, target)
    looked_into.clear()
    preprocess(described, target)
    assert (looked_into, len(content(target)["nd"]["files"])) == (["c.root"], 3)


class Interrupting:
    """Progress that ends like the keyboard after a number of files."""

    def __init__(self, after):
        self.left = after

    def __call__(self, path, found):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt("enough")


@pytest.fixture
def interrupted(made, tmp_path, looked_into):
    """Description of four files, after a run that was interrupted behind the second."""
    described = made("a.root", "b.root", "c.root", "d.root")
    with pytest.raises(KeyboardInterrupt, match="enough"):
        preprocess(described, tmp_path / "nd.json", progress=Interrupting(2))
    looked_into.clear()
    return described


def test_interrupted_run_leaves_what_it_found_and_no_result(interrupted, tmp_path):
    assert not (tmp_path / "nd.json").exists()
    lines = (tmp_path / "nd.json.part").read_text().splitlines()
    assert [json.loads(line)["path"][-6:] for line in lines] == ["a.root", "b.root"]


def test_next_run_goes_on_where_the_interrupted_one_ended(interrupted, tmp_path, looked_into):
    preprocess(interrupted, tmp_path / "nd.json")
    assert looked_into == ["c.root", "d.root"]
    assert not (tmp_path / "nd.json.part").exists()
    assert make_plan(load_fileset(tmp_path / "nd.json")) == make_plan(interrupted)


@pytest.mark.parametrize("end", [b'{"path": "', b"\0\0\0", b"\xff\xfe", b"null\n", b"{}"])
def test_damaged_end_of_the_notes_is_ignored(interrupted, tmp_path, looked_into, end):
    notes = tmp_path / "nd.json.part"
    notes.write_bytes(notes.read_bytes() + end)
    with pytest.raises(KeyboardInterrupt, match="enough"):
        preprocess(interrupted, tmp_path / "nd.json", progress=Interrupting(3))
    preprocess(interrupted, tmp_path / "nd.json")
    assert looked_into == ["c.root", "d.root"]


def test_facts_of_another_version_are_looked_for_again(made, tmp_path, looked_into):
    described = made("a.root", "b.root")
    target = tmp_path / "nd.json"
    preprocess(described, target)
    written = content(target)
    next(iter(written["nd"]["nudipole"].values()))["colour"] = "blue"
    target.write_text(json.dumps(written))
    looked_into.clear()
    make_plan(load_fileset(target))
    assert looked_into == ["a.root"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("entries", "3"),
        ("entries", -1),
        ("entries", True),
        ("boundaries", [0, None]),
        ("exposures", [1.0]),
        ("exposures", {"spills": ["x", 1.0]}),
        ("subruns", [[1]]),
        ("format", "neither"),
        ("simulated", 1),
        ("knobs", 7),
    ],
)
def test_facts_that_nobody_wrote_are_looked_for_again(made, tmp_path, looked_into, name, value):
    described, target = made("a.root"), tmp_path / "nd.json"
    preprocess(described, target)
    written = content(target)
    next(iter(written["nd"]["nudipole"].values()))[name] = value
    looked_into.clear()
    assert make_plan(load_fileset(written)) == make_plan(described)
    assert looked_into == ["a.root"] * 2


@pytest.mark.parametrize("facts", [7, None, {"a.root": 7}, [1]])
def test_key_that_is_not_ours_is_passed_over(made, facts):
    described = made("a.root")
    entry = {"files": list(described["nd"].files), "nudipole": facts}
    assert make_plan(load_fileset({"nd": entry})) == make_plan(described)


def test_more_chunks_than_anybody_can_process_are_refused(made, tmp_path, monkeypatch):
    target = tmp_path / "nd.json"
    preprocess(made("a.root"), target)
    written = content(target)
    next(iter(written["nd"]["nudipole"].values()))["entries"] = 10**15
    monkeypatch.setattr(planning, "_MOST_CHUNKS", 10)
    with pytest.raises(
        InputError, match=r"^more than 10 chunks of up to 250000 entries; take a la"
    ):
        make_plan(load_fileset(written))


@pytest.fixture
def one_bad(made, tmp_path):
    """Function that describes three files of which the second is truncated."""

    def make(**options):
        described = made("a.root", "b.root", "c.root", **options)
        os.truncate(tmp_path / "b.root", 1500)
        return described

    return make


def test_bad_file_keeps_the_result_from_being_written(one_bad, tmp_path):
    found = preprocess(one_bad(), tmp_path / "nd.json")
    (reason,) = found["nd"].bad.values()
    assert reason.startswith(f"dataset 'nd', {tmp_path}/b.root: the file is truncated, 1500 of")
    assert not (tmp_path / "nd.json").exists()


def test_bad_file_that_is_skipped_is_left_out_of_the_result(one_bad, tmp_path):
    preprocess(one_bad(), tmp_path / "nd.json", skip_bad_files=True)
    assert not (tmp_path / "nd.json.part").exists()
    plan = [chunk for chunk in make_plan(load_fileset(tmp_path / "nd.json")) if not chunk.bad]
    assert [(Path(c.path).name, c.pot) for c in plan] == [("a.root", 3e18), ("c.root", 3e18)]
    assert list(content(tmp_path / "nd.json")["nd"]["files"]) == [chunk.path for chunk in plan]


class Counting(ProcessorABC):
    """Only says what it has seen."""

    def process(self, events):
        key = tuple(events.metadata[name] for name in ("fileuuid", "entrystart", "entrystop"))
        return {"nd": {"ledger": [key]}}

    def postprocess(self, accumulator):
        return accumulator


def test_runs_report_a_file_that_preprocessing_skipped(one_bad, tmp_path):
    preprocess(one_bad(), tmp_path / "nd.json", skip_bad_files=True)
    # Written again from what is there, it is not forgotten.
    preprocess(load_fileset(tmp_path / "nd.json"), tmp_path / "again.json.gz")
    described = load_fileset(tmp_path / "again.json.gz")
    _, ledger = run(make_plan(described), Counting(), InProcess())
    reason = f"dataset 'nd', {tmp_path}/b.root: the file is truncated, 1500 of"
    assert [(row.path, row.skipped, row.missing[: len(reason)]) for row in ledger.missing] == [
        (str(tmp_path / "b.root"), True, reason)
    ]
    assert ledger.pot("nd") == pytest.approx(6e18)
    assert ak.sum(open_chunk(described, "nd", 1).hdr.ismc) == 3
    with pytest.raises(InputError, match="dataset 'nd' has chunks 0 to 1, asked for 2"):
        open_chunk(described, "nd", 2)


def test_skipped_file_that_is_added_again_by_hand_is_used(one_bad, made, tmp_path):
    target = tmp_path / "nd.json"
    preprocess(one_bad(), target, skip_bad_files=True)
    made("b.root")
    written = content(target)
    written["nd"]["files"][str(tmp_path / "b.root")] = ""
    assert not any(chunk.bad for chunk in make_plan(load_fileset(written)))


def test_dataset_of_nothing_but_bad_files_is_not_left_out_without_a_word(made, tmp_path):
    described = made("a.root", "b.root")["nd"]
    os.truncate(tmp_path / "b.root", 1500)
    parts = {
        name: replace(described, name=name, files={f: ""})
        for name, f in zip("ab", described.files, strict=True)
    }
    with pytest.raises(
        InputError, match=r"dataset 'b': no file can be used; the first: .*b.root: "
    ):
        preprocess(parts, tmp_path / "nd.json", skip_bad_files=True)
    assert not (tmp_path / "nd.json").exists()


def test_mended_file_is_looked_into_when_the_run_is_repeated(one_bad, tmp_path, looked_into):
    whole = one_bad()
    preprocess(whole, tmp_path / "nd.json")
    (tmp_path / "b.root").write_bytes((tmp_path / "a.root").read_bytes())
    looked_into.clear()
    found = preprocess(whole, tmp_path / "nd.json")
    assert looked_into == ["b.root"]
    assert "are one file" in next(iter(found["nd"].bad.values()))


def test_explicit_exposure_without_a_skipped_file_is_that_of_the_others(one_bad, made, tmp_path):
    target = tmp_path / "nd.json"
    preprocess(made("a.root", "b.root", "c.root"), target)
    preprocess(one_bad(pot=6e20), target, skip_bad_files=True)
    # 1 + 2 + 3 entries in all.
    assert [c.pot for c in make_plan(load_fileset(target))] == pytest.approx([1e20, 3e20, 0.0])


def test_explicit_exposure_is_not_guessed_where_the_skipped_file_is_not_known(one_bad, tmp_path):
    target = tmp_path / "nd.json"
    with pytest.raises(InputError, match=r"'nd': pot = 6e\+20 is that of all files, .*b\.root"):
        preprocess(one_bad(pot=6e20), target, skip_bad_files=True)
    assert not target.exists()


def test_files_that_do_not_go_together_are_refused(made, write_caf, tmp_path):
    data = write_caf("data.root", branches={"rec.hdr.ismc": np.zeros(3, "i1")})
    described = made("a.root")["nd"]
    mixed = replace(described, files=described.files | {str(data): ""})
    with pytest.raises(InputError, match="mix data and simulation"):
        preprocess({"nd": mixed}, tmp_path / "nd.json", skip_bad_files=True)
    assert not (tmp_path / "nd.json").exists()


@SUFFIXES
@pytest.mark.parametrize("name", ["two words.root", "run[12].root", "bündel-ν.root", "a'\"b.root"])
def test_any_file_name_survives(made, tmp_path, suffix, name):
    described = made(name)
    target = tmp_path / f"nd{suffix}"
    preprocess(described, target)
    assert [chunk.path for chunk in make_plan(load_fileset(target))] == [str(tmp_path / name)]


def test_same_fileset_gives_the_same_bytes(made, tmp_path):
    described = made("a.root", "b.root")
    results = []
    for name in ("one.json.gz", "two.json.gz"):
        preprocess(described, tmp_path / name)
        results.append((tmp_path / name).read_bytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("key", "value", "attribute"),
    [("horn_current", "RHC", "horn_current"), ("weight", "rec.w", "weight")],
)
def test_metadata_that_a_person_changes_are_honoured(
    made, tmp_path, monkeypatch, key, value, attribute
):
    target = tmp_path / "nd.json"
    preprocess(made("a.root", horn_current="FHC"), target)
    monkeypatch.setattr(looking, "facts", None)
    written = content(target)
    written["nd"]["metadata"][key] = value
    (chunk,) = make_plan(load_fileset(written))
    assert chunk.metadata[attribute] == value


def test_exposure_that_a_person_changes_is_honoured(made, tmp_path, monkeypatch):
    target = tmp_path / "nd.json"
    preprocess(made("a.root", "b.root"), target)
    monkeypatch.setattr(looking, "facts", None)
    written = content(target)
    written["nd"]["metadata"]["pot"] = 9e20
    assert [chunk.pot for chunk in make_plan(load_fileset(written))] == [3e20, 6e20]


def test_change_that_the_file_contradicts_is_refused(made, tmp_path):
    target = tmp_path / "nd.json"
    preprocess(made("a.root", is_mc=False), target)
    written = content(target)
    written["nd"]["metadata"]["exposure"] = "TotalPOT"
    with pytest.raises(InputError, match=r"a\.root: no exposure found \(looked for TotalPOT\)"):
        make_plan(load_fileset(written))


@pytest.mark.parametrize("name", ["nd.toml", "nd", "nd.gz", "json"])
def test_result_has_a_name_by_which_it_is_read(made, tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}: preprocessing writes \.json or \.json\.gz"):
        preprocess(made("a.root"), tmp_path / name)


def test_file_that_is_no_result_of_ours_is_not_replaced(made, tmp_path):
    target = tmp_path / "nd.json"
    target.write_text('{"answer": 42}')
    with pytest.raises(InputError, match=r"nd\.json: dataset 'answer': missing key 'files'"):
        preprocess(made("a.root"), target)
    assert target.read_text() == '{"answer": 42}'
