"""Runs that do without bad files: the same as if these had never been described."""

import os
import re
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from analysis.cli import main
from analysis.limit.template_count import template_count
from analysis.tables import count_sentence, ledger_table, notes
from fileset import InputError, load_fileset
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset
from processors.templates import Templates

BASKETS, SIZE = 3, 40
VARIATIONS = "flux,angle"
NAMES = ("first", "truncated", "deleted", "nan", "packed", "last")
GOOD = ("first", "last")
BAD = ("truncated", "deleted", "nan", "packed")


def events(rng, run, start):
    """Branches of one basket: electrons near the selection's edges, signal and background."""
    signal = rng.random(SIZE) < 0.5
    energy = rng.uniform(0.2, 1.0, SIZE)
    prong = {
        "dir.x": rng.normal(0.0, 0.03, SIZE),
        "dir.y": rng.normal(-0.06, 0.03, SIZE),
        "dir.z": np.full(SIZE, 0.998),
        "shwlid.calE": energy,
    }
    neutrino = {
        "pdg": np.full(SIZE, 14, "i4"),
        "iscc": np.zeros(SIZE, "i4"),
        "mode": np.where(signal, 5, 1).astype("i4"),
        "inttype": np.where(signal, 1098, 1006).astype("i4"),
        "E": np.full(SIZE, 3.0),
        "prim..length": np.ones(SIZE, "i4"),
        "prim.pdg": np.full(SIZE, 11, "i4"),
        "prim.p.E": energy,
        "rwgt.ppfx.cv": rng.uniform(0.8, 1.2, SIZE),
    }
    lists = {f"rec.vtx.elastic.fuzzyk.png.{k}": v for k, v in prong.items()}
    lists |= {f"rec.mc.nu.{k}": v for k, v in neutrino.items()}
    numbers = {"run": run, "subrun": 1, "cycle": 0, "evt": np.arange(start, start + SIZE)}
    return (
        {f"rec.hdr.{k}": np.broadcast_to(v, SIZE).astype("i4") for k, v in numbers.items()}
        | {"rec.hdr.ismc": np.ones(SIZE, "i1"), "rec.weight": rng.uniform(0.5, 2.0, SIZE)}
        | {"rec.vtx.elastic.IsValid": np.ones(SIZE, "i1")}
        | {name: ak.unflatten(values, np.ones(SIZE, int)) for name, values in lists.items()}
    )


def write(path, run):
    """A simulated file of several baskets, all cut at the same entries."""
    rng = np.random.default_rng(run)
    baskets = [events(rng, run, i * SIZE) for i in range(BASKETS)]
    if path.stem == "nan":
        baskets[1]["rec.weight"][7] = np.nan
    types = {
        k: v.type.content if isinstance(v, ak.Array) else v.dtype for k, v in baskets[0].items()
    }
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        tree = file.mktree("recTree", types)
        for basket in baskets:
            tree.extend(basket)
        # Not a round number, so that the order of a sum shows in its last bits.
        spills = {"spill.spillpot": np.full(10, 1e18 * (1 + run / 7))}
        file.mktree("spillTree", {"spill.spillpot": "f8"}).extend(spills)


def damage(path):
    """Spoil what is wrong in the file of that name before anybody looks into it."""
    if path.stem == "truncated":
        os.truncate(path, path.stat().st_size - 1)
    if path.stem == "packed":
        with uproot.open(path) as file:
            position = int(file["recTree/rec.mc.nu.inttype"].basket_key(1).data_cursor.index)
        content = bytearray(path.read_bytes())
        content[position : position + 2] = b"QQ"
        path.write_bytes(content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of which some are bad; the one that a test deletes is kept elsewhere."""
    made = tmp_path_factory.mktemp("skipping")
    for run, name in enumerate(NAMES, start=1):
        path = made / f"{name}.root"
        write(path, run)
        damage(path)
    return made


def fileset(folder, names=NAMES):
    paths = [str(folder / f"{name}.root") for name in names]
    return load_fileset({"nd": {"files": paths, "weight": "rec.weight"}})


def process(folder, names=NAMES, *, delete=(), **options):
    """Run over files, some of which go away behind the plan."""
    execution = Execution(chunksize=SIZE, **{"skip_bad_files": True, "workers": 2} | options)
    kept = {path: path.read_bytes() for path in (folder / f"{name}.root" for name in delete)}

    def planned(plan):
        for path in kept:
            path.unlink()

    try:
        processor = NuoneProcessor(variations=VARIATIONS)
        return process_fileset(fileset(folder, names), processor, execution, planned=planned)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


@pytest.fixture(scope="module")
def skipping(folder):
    return process(folder, delete=["deleted"])


@pytest.fixture(scope="module")
def good_alone(folder):
    return process(folder, GOOD, skip_bad_files=False)


def numbers(templates):
    """Every bin of every histogram, to the last bit, and the exposure."""
    histograms = {
        name: ([list(axis) for axis in h.axes], h.view(flow=True).tobytes())
        for name, h in templates.histograms.items()
    }
    return histograms, templates.ledger.pot("nd"), templates.ledger.entries("nd")


def test_the_files_are_worth_a_comparison(good_alone):
    assert good_alone.hist.sum(flow=True).value > 0.0
    assert good_alone.cutflow["nd", "nuone", "ttheta2"].value > 0.0
    assert len(good_alone.ledger.rows) == len(GOOD) * BASKETS


def test_result_is_that_of_the_good_files_to_the_last_bit(skipping, good_alone):
    assert numbers(skipping) == numbers(good_alone)


def test_result_in_processes_is_that_of_the_good_files_to_the_last_bit(folder, good_alone):
    found = process(folder, delete=["deleted"], executor="futures")
    assert numbers(found) == numbers(good_alone)


def test_ledger_says_of_every_bad_file_why_it_is_not_there(skipping, folder):
    reasons = {}
    for row in skipping.ledger.missing:
        assert row.skipped
        reasons.setdefault(row.path, set()).add(row.missing)
    expected = {
        "truncated": r"dataset 'nd', \S+: the file is truncated, \d+ of \d+ bytes; copy it again$",
        "deleted": r"dataset 'nd', \S+: no such file; check the path in the description$",
        "nan": r"dataset 'nd', \S+, entries 40-80: 'generator_weight' is not finite in 1 of 40 va",
        "packed": r"cannot be read \(ValueError: unrecognized compression algorithm: b'QQ'\); it",
    }
    assert set(reasons) == {str(folder / f"{name}.root") for name in BAD}
    for path, (reason,) in reasons.items():
        assert re.match(expected[Path(path).stem], reason)


def test_all_chunks_of_a_bad_file_are_left_out_the_good_ones_too(skipping):
    chunks = {name: [] for name in NAMES}
    for row in skipping.ledger.rows:
        chunks[Path(row.path).stem].append(bool(row.missing))
    whole = {name: [name in BAD] * BASKETS for name in NAMES}
    # What is known to be bad when the run is planned has no chunks.
    assert chunks == whole | {"truncated": [True]}


def test_exposure_is_that_of_the_good_files(skipping):
    expected = sum(1e19 * (1 + (NAMES.index(name) + 1) / 7) for name in GOOD)
    assert skipping.ledger.pot("nd") == pytest.approx(expected, rel=1e-14)


def test_saved_result_keeps_the_mark(skipping, tmp_path):
    skipping.save(tmp_path / "t.zip")
    assert Templates.load(tmp_path / "t.zip").ledger == skipping.ledger


def test_tables_and_sentences_carry_the_mark(skipping, folder):
    (note,) = [line for line in notes(skipping) if "skipped" in line]
    assert note == (
        f"nd: skipped in 4 of 6 files, exposure is that of the rest, "
        f"{skipping.ledger.pot('nd'):.4g} POT; the first: {folder}/deleted.root"
    )
    (row,) = ledger_table(skipping).rows
    assert row[3:6] == ("6", "10", f"{2 * BASKETS * SIZE}")
    assert "; 10 chunks are not in the result" in count_sentence(template_count(skipping, 1e20))


def test_without_skipping_the_first_bad_file_stops_the_run(folder):
    with pytest.raises(InputError, match=r"truncated\.root: the file is truncated"):
        process(folder, skip_bad_files=False)
    with pytest.raises(InputError, match=r"nan\.root, entries 40-80: 'generator_weight' is not fi"):
        process(folder, ("first", "nan"), skip_bad_files=False)


def test_without_skipping_an_unreadable_chunk_costs_itself_alone(folder):
    templates = process(folder, ("first", "packed"), skip_bad_files=False)
    assert [(row.start, row.stop, row.skipped) for row in templates.ledger.missing] == [
        (SIZE, 2 * SIZE, False)
    ]


def test_dataset_that_loses_all_its_files_during_the_run_is_refused(folder):
    bad = replace(fileset(folder, ("nan", "packed"))["nd"], name="bad")
    described = fileset(folder, GOOD) | {"bad": bad}
    message = r"^dataset 'bad': no file can be used; the first: dataset 'bad', \S+nan\.root, entri"
    with pytest.raises(InputError, match=message):
        process_fileset(
            described,
            NuoneProcessor(variations="none"),
            Execution(chunksize=SIZE, skip_bad_files=True),
        )


def test_coffeas_engine_does_without_files_that_are_bad_when_it_is_planned(folder):
    found = process(folder, ("first", "truncated", "last"), engine="coffea")
    (lost,) = found.ledger.missing
    assert (Path(lost.path).name, lost.skipped) == ("truncated.root", True)
    alone = process(folder, GOOD, engine="coffea")
    assert numbers(found) == numbers(alone)


def test_command_line_prints_each_skipped_file_and_succeeds(folder, tmp_path, capsys):
    names = [name for name in NAMES if name != "deleted"]
    paths = ", ".join(f'"{folder}/{name}.root"' for name in names)
    description, output = tmp_path / "nd.toml", tmp_path / "t.zip"
    description.write_text(f'[nd]\nfiles = [{paths}]\nweight = "rec.weight"\n')
    arguments = ("process", description, "-o", output, "--variations", VARIATIONS)
    with pytest.raises(SystemExit) as stop:
        main([*map(str, arguments), "--chunksize", str(SIZE), "--skip-bad-files"])
    printed = capsys.readouterr()
    assert (stop.value.code or 0, "Traceback" in printed.err) == (0, False)
    skipped = [line for line in printed.err.splitlines() if line.startswith("skipped: ")]
    for name in ("truncated", "nan", "packed"):
        assert any(f"{folder}/{name}.root" in line for line in skipped)
    assert not any(f"{folder}/{name}.root" in line for line in skipped for name in GOOD)
    assert "note: nd: skipped in 3 of 5 files, exposure is that of the rest" in printed.out
    assert {row.path for row in Templates.load(output).ledger.missing} == {
        f"{folder}/{name}.root" for name in ("truncated", "nan", "packed")
    }


@pytest.mark.parametrize("skip", [(), ("--skip-bad-files",)], ids=["refuse", "skip"])
def test_command_line_about_a_file_that_is_bad_when_it_is_planned(folder, tmp_path, capsys, skip):
    output = tmp_path / "t.zip"
    files = f"{folder}/[ft]*.root"
    with pytest.raises(SystemExit) as stop:
        main(["process", files, "-o", str(output), "--variations", "none", *skip])
    error = capsys.readouterr().err
    assert ((stop.value.code or 0), output.exists()) == ((0, True) if skip else (2, False))
    start = "skipped: " if skip else "nudipole: "
    where = rf"dataset '\S+', {folder}/truncated\.root: the file is truncated"
    assert re.search(rf"^{start}{where}", error, re.MULTILINE)
