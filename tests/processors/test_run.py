import importlib
import os
import pickle
import random
import sys
from concurrent.futures import BrokenExecutor, Executor, Future

import awkward as ak
import cloudpickle
import hist
import numpy as np
import pytest

from fileset import InputError, load_fileset, make_plan
from fileset.coffea_api import ProcessorABC
from processors import SELECTIONS, NuoneProcessor, variation, work
from processors.executors import EXECUTORS, InProcess, open_executor
from processors.filled import finished
from processors.pipeline import Execution, process_fileset
from processors.run import run

# Workers of other processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

CHUNKS = 6


class Counter(ProcessorABC):
    """Sums the run numbers of its events; ``at`` the chunk that starts there, ``fault`` happens."""

    def __init__(self, fault=None, at=2):
        self.fault = fault
        self.at = at

    def process(self, events):
        metadata = events.metadata
        if self.fault is not None and metadata["entrystart"] == self.at:
            self.fault()
        key = (metadata["fileuuid"], metadata["entrystart"], metadata["entrystop"])
        return {metadata["dataset"]: {"sum": int(ak.sum(events.hdr.run)), "ledger": [key]}}

    def postprocess(self, accumulator):
        return accumulator


class OutOfOrder(Executor):
    """Runs its tasks in random order when it has all of them."""

    def __init__(self, tasks, seed):
        self.tasks = tasks
        self.random = random.Random(seed)
        self.waiting = []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.waiting.append((future, fn, args, kwargs))
        if len(self.waiting) == self.tasks:
            self.random.shuffle(self.waiting)
            for waiting, function, given, named in self.waiting:
                waiting.set_result(function(*given, **named))
        return future


def raiser(error):
    def fault():
        raise error

    return fault


@pytest.fixture
def plan(write_caf):
    """Six chunks of one entry each; their run numbers are 0 to 5."""
    path = write_caf(entries=CHUNKS, spillpot=[6e18])
    return make_plan(load_fileset({"nd": {"files": [str(path)]}}), chunksize=1)


def content(output, name="nd"):
    """Every number of every histogram, to the last bit."""
    results = finished(output)[name]
    histograms = {k: v for k, v in results.items() if isinstance(v, hist.Hist)}
    return {k: h.view(flow=True).tobytes() for k, h in histograms.items()}


@pytest.fixture(scope="module")
def toy_plan(toy):
    """Five chunks of the mixed sample, with cuts inside baskets."""
    return make_plan({"nd": load_fileset(toy)["nd"]}, chunksize=700)


@pytest.fixture(scope="module")
def processor():
    return NuoneProcessor(variations="flux,genie,calibration")


@pytest.fixture(scope="module")
def in_process(toy_plan, processor):
    output, ledger = run(toy_plan, processor, InProcess())
    return content(output), ledger


def test_every_chunk_is_summed_once_and_accounted(plan):
    output, ledger = run(plan, Counter(), InProcess())
    assert output["nd"]["sum"] == 0 + 1 + 2 + 3 + 4 + 5
    assert [(row.start, row.stop, row.missing) for row in ledger.rows] == [
        (i, i + 1, "") for i in range(CHUNKS)
    ]
    assert (ledger.entries("nd"), ledger.pot("nd")) == (6, pytest.approx(6e18))


def test_progress_hears_of_every_chunk(plan):
    seen = []
    run(plan, Counter(raiser(KeyError("no"))), InProcess(), progress=lambda c, _: seen.append(c))
    assert seen == plan


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_of_completion_does_not_change_a_bit(toy_plan, processor, in_process, seed):
    output, ledger = run(toy_plan, processor, OutOfOrder(len(toy_plan), seed))
    assert (content(output), ledger) == in_process


def test_threads_give_the_same_to_the_last_bit(toy_plan, processor, in_process):
    with open_executor("threads", workers=4) as executor:
        for _ in range(3):
            output, ledger = run(toy_plan, processor, executor)
            assert (content(output), ledger) == in_process


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_loky_workers_give_the_same_to_the_last_bit(toy_plan, processor, in_process, workers):
    with open_executor("futures", workers=workers) as executor:
        output, ledger = run(toy_plan, processor, executor)
    assert (content(output), ledger) == in_process


def test_workers_that_stay_do_not_run_the_code_of_before(plan, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = tmp_path / "edited_between_runs.py"
    text = (
        "from fileset.coffea_api import ProcessorABC\n"
        "class Own(ProcessorABC):\n"
        "    def process(self, events):\n"
        "        m = events.metadata\n"
        "        key = (m['fileuuid'], m['entrystart'], m['entrystop'])\n"
        "        return {m['dataset']: {'n': EACH * len(events), 'ledger': [key]}}\n"
        "    def postprocess(self, accumulator):\n"
        "        return accumulator\n"
    )
    found = []
    for each in ("1", "10", "10"):
        source.write_text(text.replace("EACH", each), encoding="utf-8")
        module = importlib.import_module("edited_between_runs")
        module = importlib.reload(module)
        with open_executor("futures", workers=2) as executor:
            output, _ = run(plan, module.Own(), executor)
        found.append(output["nd"]["n"])
    assert found == [CHUNKS, 10 * CHUNKS, 10 * CHUNKS]


@pytest.mark.parametrize("name", ["futures", "dask"])
def test_cuts_and_variations_that_were_made_in_memory_are_those_of_the_workers(
    toy_plan, name, monkeypatch
):
    plain = NuoneProcessor(variations="flux")
    cuts = {"recoil_energy": lambda e: e.recoil_energy > 0.4}
    with open_executor(name, workers=1) as executor:
        with monkeypatch.context() as patch:
            patch.setitem(SELECTIONS, "mine", cuts)
            patch.setitem(SELECTIONS, "note_window", SELECTIONS["note_window"] | cuts)

            @variation(uses=("nu_pdg",), one_sided=True)
            def tilt(events):
                return 1.0 + 0.3 * (events.nu_pdg == 14)

            made = NuoneProcessor("mine+note_window", "flux,tilt")
            here, there = (run(toy_plan, made, where)[0] for where in (InProcess(), executor))
        assert "tiltUp" in list(finished(there)["nd"]["spectrum"].axes["variation"])
        assert content(there) == content(here)
        # They do not stay there.
        assert content(run(toy_plan, plain, executor)[0]) == content(
            run(toy_plan, plain, InProcess())[0]
        )


def test_processor_of_the_package_travels_without_its_functions():
    assert len(pickle.dumps(NuoneProcessor("event_cvn+note_window"))) < 400


def test_dask_workers_give_the_same_to_the_last_bit(toy_plan, processor, in_process):
    with open_executor("dask", workers=2) as executor:
        output, ledger = run(toy_plan, processor, executor)
    assert (content(output), ledger) == in_process


def test_failing_chunk_is_in_the_ledger_and_not_in_the_exposure(plan):
    output, ledger = run(plan, Counter(raiser(KeyError("bad luck"))), InProcess())
    assert output["nd"]["sum"] == 0 + 1 + 3 + 4 + 5
    assert [(row.start, row.missing) for row in ledger.missing] == [(2, "KeyError: 'bad luck'")]
    assert (ledger.entries("nd"), ledger.pot("nd")) == (5, pytest.approx(5e18))


def test_run_in_which_everything_fails_has_no_output_and_no_exposure(plan):
    chunk = plan[2:3]
    output, ledger = run(chunk, Counter(raiser(OSError("disk"))), InProcess())
    assert (output, ledger.pot("nd"), ledger.missing[0].missing) == ({}, 0.0, "OSError: disk")


def test_wrong_input_stops_the_run_with_its_own_message(plan):
    message = "mend the file"
    with pytest.raises(InputError, match=message):
        run(plan, Counter(raiser(InputError(message))), InProcess())


def test_wrong_input_stops_the_run_in_workers_too(plan):
    with open_executor("futures", workers=2) as executor, pytest.raises(InputError, match="mend"):
        run(plan, Counter(raiser(InputError("mend the file"))), executor)


def test_user_interrupt_is_not_swallowed(plan):
    with pytest.raises(KeyboardInterrupt):
        run(plan, Counter(raiser(KeyboardInterrupt())), InProcess())


def test_worker_that_dies_leaves_missing_chunks_and_a_right_sum(plan):
    with open_executor("futures", workers=2) as executor:
        output, ledger = run(plan, Counter(lambda: os._exit(1)), executor)
    missing = {row.start for row in ledger.missing}
    assert 2 in missing
    expected = sum(i for i in range(CHUNKS) if i not in missing)
    assert output.get("nd", {"sum": 0})["sum"] == expected
    assert ledger.pot("nd") == pytest.approx((CHUNKS - len(missing)) * 1e18)


class Broken(InProcess):
    """Takes two tasks and then no more, like a pool after the death of a worker."""

    def __init__(self):
        self.left = 2

    def submit(self, fn, /, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise BrokenExecutor("a worker died")
        return super().submit(fn, *args, **kwargs)


def test_pool_that_takes_no_more_work_loses_the_chunks_that_were_not_submitted(plan):
    output, ledger = run(plan, Counter(), Broken())
    assert output["nd"]["sum"] == 0 + 1
    assert [row.start for row in ledger.missing] == [2, 3, 4, 5]
    assert ledger.missing[0].missing == "BrokenExecutor: a worker died"


def test_cancelled_task_is_a_missing_chunk(plan):
    class Cancelling(InProcess):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    _, ledger = run(plan[:1], Counter(), Cancelling())
    assert [row.missing for row in ledger.missing] == ["CancelledError"]


class Flaky:
    """Fails a given number of times."""

    def __init__(self, error, times):
        self.error, self.times = error, times

    def __call__(self, *args, **kwargs):
        self.times -= 1
        if self.times >= 0:
            raise self.error


@pytest.fixture
def no_waiting(monkeypatch):
    naps = []
    monkeypatch.setattr(work.time, "sleep", naps.append)
    return naps


@pytest.mark.parametrize("error", [ConnectionResetError("peer"), TimeoutError("slow")], ids=repr)
def test_transient_error_is_retried_until_it_passes(plan, no_waiting, error):
    output, ledger = run(plan, Counter(Flaky(error, 2)), InProcess())
    assert (output["nd"]["sum"], ledger.missing, len(no_waiting)) == (15, [], 2)


def test_transient_error_that_stays_costs_the_chunk(plan, no_waiting):
    _, ledger = run(plan, Counter(Flaky(ConnectionError("down"), 99)), InProcess())
    assert [row.missing for row in ledger.missing] == ["ConnectionError: down (3 attempts)"]


def test_deterministic_error_is_not_retried(plan, no_waiting):
    fault = Flaky(ZeroDivisionError("once"), 1)
    _, ledger = run(plan, Counter(fault), InProcess())
    assert (len(ledger.missing), fault.times, no_waiting) == (1, 0, [])


def test_chunk_that_is_reported_twice_is_refused(plan):
    class Twice(Counter):
        def process(self, events):
            output = super().process(events)
            output["nd"]["ledger"] *= 2
            return output

    with pytest.raises(RuntimeError, match=r"the sum is wrong: .* is in it 2 times"):
        run(plan, Twice(), InProcess())


def test_chunk_that_vanishes_from_the_sum_is_refused(plan):
    class Forgetful(Counter):
        def process(self, events):
            return {} if events.metadata["entrystart"] == 1 else super().process(events)

    with pytest.raises(RuntimeError, match=r"entries 1-2, is in it 0 times \(no failure"):
        run(plan, Forgetful(), InProcess())


def test_file_that_is_cut_after_planning_costs_its_chunks_alone(toy, tmp_path):
    source = toy.parent / "nd/nd_fhc_0000.root"
    good, bad = tmp_path / "good.root", toy.parent / "nd/nd_fhc_0001.root"
    good.write_bytes(source.read_bytes())
    copy = tmp_path / "bad.root"
    copy.write_bytes(bad.read_bytes())
    fileset = load_fileset({"nd": {"files": [str(good), str(copy)]}})
    plan = make_plan(fileset)
    os.truncate(copy, copy.stat().st_size // 2)
    output, ledger = run(plan, NuoneProcessor(variations="none"), InProcess())
    assert [row.path for row in ledger.missing] == [str(copy)]
    assert output["nd"]["cutflow_events"]["numu_cc", "all"] > 0
    assert ledger.pot("nd") == pytest.approx(plan[0].pot)


def test_a_limited_run_is_normalised_to_what_it_read(toy):
    execution = Execution(chunksize=500, max_chunks=1)
    fileset = load_fileset(toy)
    templates = process_fileset(fileset, NuoneProcessor(variations="none"), execution)
    full = {c.dataset: c for c in make_plan(fileset)}
    assert templates.ledger.entries("signal") == 500
    assert templates.ledger.pot("signal") == pytest.approx(full["signal"].pot / 3)


def test_executors_finish_what_they_were_given(plan):
    with open_executor("iterative") as executor:
        assert executor.submit(divmod, 7, 2).result() == (3, 1)
        assert isinstance(executor.submit(divmod, 7, 0).exception(), ZeroDivisionError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "futurs"}, "no executor 'futurs'; closest: futures"),
        ({"name": "futures", "scheduler": "tcp://x:1"}, "--cluster need the dask executor"),
    ],
)
def test_executor_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        open_executor(**options)


def test_dask_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr("distributed.Client", Flaky(OSError("timed out"), 1))
    with (
        pytest.raises(InputError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:1"),
        open_executor("dask", scheduler="tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        (Execution(engine="cofea"), "no engine 'cofea'; known: nudipole, coffea"),
        (Execution(engine="coffea", max_chunks=1), "--engine coffea runs whole files"),
        (Execution(engine="coffea", executor="dask"), "--engine coffea runs whole files"),
        (Execution(executor="pool"), "no executor 'pool'; known: dask, futures, iterative, thr"),
        (Execution(chunksize=0), "chunksize 0 .* must be positive"),
    ],
)
def test_execution_that_makes_no_sense_is_refused(toy, execution, message):
    with pytest.raises(InputError, match=message):
        process_fileset(load_fileset(toy), NuoneProcessor(variations="none"), execution)


def test_run_without_a_single_good_chunk_is_refused_with_the_reason(toy, monkeypatch):
    def broken(self, events):
        raise ValueError("no good")

    monkeypatch.setattr(NuoneProcessor, "process", broken)
    with pytest.raises(InputError, match="no chunk could be processed; the first: ValueError: no"):
        process_fileset(load_fileset(toy), NuoneProcessor(), Execution())


def test_a_derived_processor_with_a_process_of_its_own_is_what_runs(toy):
    class Own(NuoneProcessor):
        def process(self, events):
            return {
                events.metadata["dataset"]: {"n": len(events.hdr[...]), "ledger": [key_of(events)]}
            }

        def postprocess(self, accumulator):
            return accumulator

    def key_of(events):
        return tuple(events.metadata[k] for k in ("fileuuid", "entrystart", "entrystop"))

    output, _ = run(make_plan(load_fileset(toy)), Own(), InProcess())
    assert {name: result["n"] for name, result in output.items()} == {
        "signal": 1500,
        "nd": 3000,
        "nd_data": 800,
    }


def test_provenance_says_what_the_result_was_made_with(toy):
    fileset = {"nd_data": load_fileset(toy)["nd_data"]}
    processor = NuoneProcessor("event_cvn", "none", "sarantakos")
    provenance = process_fileset(fileset, processor, Execution()).provenance
    assert (provenance["selection"], provenance["variations"]) == ("event_cvn", "none")
    assert (provenance["radiative"], provenance["executor"]) == ("sarantakos", "iterative")
    assert provenance["versions"]["numpy"] == np.__version__


def test_every_executor_has_a_name_in_the_interface():
    assert list(EXECUTORS) == ["iterative", "threads", "futures", "dask"]


def test_file_name_that_coffeas_runner_cannot_take_is_refused(write_caf):
    fileset = load_fileset({"nd": {"files": [str(write_caf("b\u00fcndel.root"))]}})
    with pytest.raises(InputError, match=r"b\u00fcndel\.root: coffea's Runner takes ASCII"):
        process_fileset(fileset, NuoneProcessor(), Execution(engine="coffea"))
