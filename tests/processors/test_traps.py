"""Traps that runs of plain coffea, dask and loky were seen to fall into, each shown avoided.

Here are those that have no better place; the page of the cluster (docs/cluster.md) lists all, with
the tests of the others.
"""

import re
import shutil
import sys
from pathlib import Path

import awkward as ak
import cloudpickle
import pytest

from analysis.cli import main
from fileset import InputError, load_fileset, make_plan
from fileset.coffea_api import ProcessorABC
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.executors import InProcess, open_executor
from processors.run import run
from processors.templates import Templates

# Workers of other processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

TESTS = Path(__file__).parents[1]


class Sum(ProcessorABC):
    """Adds up the run numbers, times a factor; fails as long as there is a file."""

    def __init__(self, factor=1, broken=None):
        self.factor = factor
        self.broken = broken and str(broken)

    def process(self, events):
        if self.broken and Path(self.broken).exists():
            raise ValueError("no good")
        key = tuple(events.metadata[n] for n in ("fileuuid", "entrystart", "entrystop"))
        return {"nd": {"sum": self.factor * int(ak.sum(events.hdr.run)), "ledger": [key]}}

    def postprocess(self, accumulator):
        return accumulator


def plan_of(path, **options):
    return make_plan(load_fileset({"nd": {"files": [str(path)], **options}}), chunksize=1)


@pytest.mark.parametrize("name", ["futures", "dask"])
def test_a_result_or_error_of_an_earlier_run_does_not_come_back(write_caf, tmp_path, name):
    plan, broken = plan_of(write_caf(entries=4)), tmp_path / "broken"
    broken.touch()
    with open_executor(name, workers=1) as executor:
        # Word for word the same task, before and after what made it fail was mended.
        _, ledger = run(plan, Sum(broken=broken), executor)
        assert {row.missing for row in ledger.missing} == {"ValueError: no good"}
        broken.unlink()
        sums = [run(plan, Sum(broken=broken), executor)[0]["nd"]["sum"] for _ in range(2)]
        assert sums == [6, 6]
        assert run(plan, Sum(factor=10), executor)[0]["nd"]["sum"] == 60


def test_an_exposure_that_is_edited_counts_in_the_same_session(write_caf):
    path = write_caf(entries=4)
    for pot in (1e18, 5e18):
        _, ledger = run(plan_of(path, pot=pot), Sum(), InProcess())
        assert ledger.pot("nd") == pytest.approx(pot)


def test_a_file_that_has_grown_is_read_to_its_new_end_in_the_same_session(write_caf):
    for entries in (2, 4):
        plan = plan_of(write_caf(entries=entries))
        assert run(plan, Sum(), InProcess())[0]["nd"]["sum"] == sum(range(entries))


def test_a_file_that_was_replaced_is_not_read_under_the_old_plan(write_caf):
    plan = plan_of(write_caf(entries=4))
    write_caf(entries=5)
    with pytest.raises(InputError, match="the file was replaced after the run was planned"):
        run(plan, Sum(), InProcess())


@pytest.mark.parametrize("way", ["again", "dot", "symlink", "hard link", "copy"])
def test_the_same_events_twice_are_refused(write_caf, tmp_path, way):
    path, other = write_caf(entries=4), tmp_path / "other.root"
    if way == "again":
        other = path
    elif way == "dot":
        other = f"{path.parent}/./{path.name}"
    elif way == "symlink":
        other.symlink_to(path)
    elif way == "hard link":
        other.hardlink_to(path)
    else:
        shutil.copy(path, other)
    with pytest.raises(InputError, match=re.escape(path.name)):
        make_plan(load_fileset({"nd": {"files": [str(path), str(other)]}}))


@pytest.mark.parametrize("executor", ["iterative", "futures", "dask-awkward"])
def test_names_that_are_not_ascii_change_nothing(tmp_path, executor):
    (plain,) = simulate(tmp_path / "plain", sample="nuone", events=500, seed=5)
    strange = tmp_path / "Bündel ν" / "größe-µ.root"
    strange.parent.mkdir()
    shutil.copy(plain, strange)
    found = []
    for path in (plain, strange):
        output = tmp_path / f"{Path(path).stem}-ü.zip"
        options = ["--executor", executor, "--variations", "flux", "--workers", "1"]
        with pytest.raises(SystemExit, match="0"):
            main(["process", str(path), "-o", str(output), *options])
        found.append(Templates.load(output))
    one, other = ({n: h.view(flow=True).tobytes() for n, h in t.histograms.items()} for t in found)
    assert one == other
    assert found[1].ledger.rows[0].path == str(strange)


class Keeping(Sum):
    """Keeps its sum on itself, as processors must not."""

    def __init__(self):
        super().__init__()
        self.total = {"nd": {"sum": 0, "ledger": []}}

    def process(self, events):
        ((_, result),) = super().process(events).items()
        self.total["nd"]["sum"] += result["sum"]
        self.total["nd"]["ledger"] += result["ledger"]
        return self.total


@pytest.mark.parametrize("name", ["iterative", "threads"])
def test_a_processor_that_keeps_its_sum_on_itself_is_refused(write_caf, name):
    with (
        open_executor(name, workers=1) as executor,
        pytest.raises(RuntimeError, match="the sum is wrong"),
    ):
        run(plan_of(write_caf(entries=4)), Keeping(), executor)


def test_chunks_that_are_all_lost_are_no_error_of_their_own(write_caf, tmp_path):
    plan = plan_of(write_caf(entries=20))
    output, ledger = run(plan, Sum(broken=tmp_path), InProcess())
    assert output == {}
    assert {row.missing for row in ledger.missing} == {"ValueError: no good"}


def test_threads_may_compile_the_first_kernel_together(toy):
    plan = make_plan({"nd": load_fileset(toy)["nd"]}, chunksize=300)
    with open_executor("threads", workers=4) as executor:
        _, ledger = run(plan, NuoneProcessor(variations="none"), executor)
    assert ledger.missing == []


def test_every_trap_on_the_page_has_the_test_that_it_names():
    page = (TESTS.parent / "docs/cluster.md").read_text(encoding="utf-8")
    section = page[page.index("## Traps") :]
    files = {path.name: path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py")}
    names = re.findall(r"`(?:tests/\w+/)?(test_\w+\.py)`", section)
    assert len(names) > 12
    assert [name for name in names if name not in files] == []
    tests = re.findall(r"`(test_\w+?)(?:\.\.\.)?`", section)
    assert [t for t in tests if not any(f"def {t}" in text for text in files.values())] == []
