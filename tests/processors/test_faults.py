"""What goes wrong in one place costs no more than that, and the rest is what it always is."""

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
import zipfile
from pathlib import Path

import cloudpickle
import numpy as np
import psutil
import pytest

from fileset import InputError, load_fileset, make_plan
from fileset.atomic import renamed_when_complete
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors import run as running
from processors.checkpoints import encode
from processors.executors import EXECUTORS, InProcess, open_executor
from processors.pipeline import Execution, process_fileset
from processors.run import run
from processors.templates import Templates

# Workers of other processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

POOLS = ("iterative", "threads", "futures")


class Faulty(NuoneProcessor):
    """Does something before the second chunk of each file: always, or once for each in a folder."""

    def __init__(self, fault, once=None):
        super().__init__(variations="flux")
        self.fault = fault
        self.once = once and str(once)

    def process(self, events):
        if events.metadata["entrystart"] > 0 and self.first(events.metadata["filename"]):
            self.fault()
        return super().process(events)

    def first(self, path):
        """Whether this chunk was not here yet, in whichever process."""
        if self.once is None:
            return True
        try:
            (Path(self.once) / Path(path).name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def take_memory():
    """Ask for more than any process may have."""
    np.ones(2**57)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two files of which every chunk has selected events."""
    made = tmp_path_factory.mktemp("faults") / "nd"
    simulate(made, sample="nuone", events=3000, seed=301, files=2)
    return made


@pytest.fixture(scope="module")
def plan(folder):
    """Two files of two chunks each."""
    return make_plan(load_fileset({"nd": {"files": [str(folder / "*.root")]}}), chunksize=1000)


def content(output):
    return {name: encode(result) for name, result in output.items()}


@pytest.fixture(scope="module")
def clean(plan):
    """Sum of the chunks that are asked for, when nothing goes wrong."""

    def of(chunks=plan):
        output, ledger = run(chunks, NuoneProcessor(variations="flux"), InProcess())
        return content(output), ledger.pot("nd")

    return of


def result(ran):
    output, ledger = ran
    return content(output), ledger.pot("nd")


@pytest.mark.parametrize("name", POOLS)
def test_an_exception_in_one_chunk_costs_that_chunk(plan, clean, name):
    def fault():
        raise ZeroDivisionError("once")

    with open_executor(name, workers=2) as executor:
        ran = run(plan, Faulty(fault), executor)
    assert [row.missing for row in ran[1].missing] == ["ZeroDivisionError: once"] * 2
    assert result(ran) == clean([chunk for chunk in plan if chunk.start == 0])


def test_an_exception_in_a_variation_says_which_and_where(plan, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from processors import variation\n"
        "@variation(uses=('true_neutrino_energy',))\n"
        "def broken(events):\n    return {}['no such key']\n"
    )
    _, ledger = run(plan, NuoneProcessor(variations=str(path)), InProcess())
    (first, *_) = ledger.missing
    assert first.missing == (
        f"KeyError: 'no such key', in variation 'broken', dataset 'nd', {plan[0].path}, "
        f"entries 0-{plan[0].stop}"
    )


@contextlib.contextmanager
def gone(path):
    """A file that is not there for a while."""
    away = f"{path}.away"
    shutil.move(path, away)
    try:
        yield
    finally:
        shutil.move(away, path)


@pytest.mark.parametrize("name", POOLS)
def test_a_file_that_is_removed_behind_the_plan_costs_its_chunks(plan, clean, name):
    path = plan[-1].path
    with gone(path), open_executor(name, workers=2) as executor:
        ran = run(plan, NuoneProcessor(variations="flux"), executor, skip_bad_files=True)
    assert {row.path for row in ran[1].missing} == {path}
    assert all("no such file" in row.missing for row in ran[1].missing)
    assert result(ran) == clean([chunk for chunk in plan if chunk.path != path])


@pytest.mark.parametrize("name", POOLS)
def test_a_file_that_is_removed_stops_the_run_which_goes_on_when_it_is_back(
    plan, clean, name, tmp_path
):
    processor = NuoneProcessor(variations="flux")
    with open_executor(name, workers=2) as executor:
        with (
            gone(plan[-1].path),
            pytest.raises(InputError, match=r"dataset 'nd', .*nuone_fhc_0001.root: no such file"),
        ):
            run(plan, processor, executor, resume=tmp_path)
        kept = len(list(tmp_path.iterdir()))
        resumed = []
        ran = run(
            plan,
            processor,
            executor,
            resume=tmp_path,
            progress=lambda chunk, outcome: resumed.append(outcome.resumed),
        )
    assert (result(ran), sum(resumed)) == (clean(), kept)
    assert kept or name != "iterative"


@pytest.mark.parametrize("name", POOLS)
def test_a_file_that_is_cut_behind_the_plan_costs_its_chunks(plan, clean, tmp_path, name):
    whole, cut = (shutil.copy(path, tmp_path) for path in dict.fromkeys(c.path for c in plan))
    copied = make_plan(load_fileset({"nd": {"files": [whole, cut]}}), chunksize=1000)
    os.truncate(cut, Path(cut).stat().st_size // 3)
    with open_executor(name, workers=2) as executor:
        ran = run(copied, NuoneProcessor(variations="flux"), executor)
    assert {row.path for row in ran[1].missing} == {str(cut)}
    assert result(ran) == clean([chunk for chunk in plan if chunk.path == plan[0].path])


def test_a_worker_that_is_killed_once_costs_nothing(plan, clean, tmp_path):
    (tmp_path / Path(plan[-1].path).name).touch()
    with open_executor("futures", workers=2) as executor:
        ran = run(plan, Faulty(kill, tmp_path), executor)
    assert (result(ran), ran[1].missing) == (clean(), [])


def test_chunks_that_kill_their_worker_every_time_cost_themselves_alone(plan, clean):
    with open_executor("futures", workers=2) as executor:
        ran = run(plan, Faulty(kill), executor)
    missing = [row.missing for row in ran[1].missing]
    assert len(missing) == 2
    assert all(line.startswith("its worker died twice") for line in missing)
    assert "take a smaller --chunksize" in missing[0]
    assert result(ran) == clean([chunk for chunk in plan if chunk.start == 0])


def test_a_worker_that_is_killed_by_hand_costs_nothing(plan, clean):
    with open_executor("futures", workers=2) as executor:
        victim = executor.submit(os.getpid).result()
        threading.Timer(0.3, os.kill, (victim, signal.SIGKILL)).start()
        ran = run(plan, Faulty(lambda: time.sleep(0.4)), executor)
    assert (result(ran), ran[1].missing) == (clean(), [])


@pytest.mark.parametrize("name", ["threads", "futures"])
def test_a_worker_that_is_out_of_memory_tries_again_alone(plan, clean, tmp_path, name):
    with open_executor(name, workers=2) as executor:
        ran = run(plan, Faulty(take_memory, tmp_path), executor)
    assert (result(ran), ran[1].missing) == (clean(), [])


def test_chunks_that_are_too_large_for_the_memory_say_so(plan, clean):
    with open_executor("futures", workers=2) as executor:
        ran = run(plan, Faulty(take_memory), executor)
    missing = [row.missing for row in ran[1].missing]
    assert len(missing) == 2
    assert missing[0].startswith("MemoryError: Unable to allocate 1.00 EiB")
    assert missing[0].endswith("take a smaller --chunksize or fewer --workers")
    assert result(ran) == clean([chunk for chunk in plan if chunk.start == 0])


@pytest.mark.parametrize("name", POOLS)
def test_a_chunk_that_does_not_end_is_given_up(plan, clean, tmp_path, name):
    (tmp_path / Path(plan[0].path).name).touch()
    with open_executor(name, workers=2) as executor:
        run(plan, NuoneProcessor(variations="flux"), executor)
        ran = run(plan, Faulty(lambda: time.sleep(100), tmp_path), executor, timeout=4.0)
        hung = [chunk for chunk in plan if chunk.file == plan[-1].file and chunk.start > 0]
        assert [(row.path, row.start, row.missing) for row in ran[1].missing] == [
            (
                hung[0].path,
                hung[0].start,
                "gave nothing within 4 s: a file or server that hangs, a function that does not "
                "end, or raise --chunk-timeout",
            )
        ]
        assert result(ran) == clean([chunk for chunk in plan if chunk != hung[0]])
        # What hangs is not in the way of the next run.
        assert result(run(plan, NuoneProcessor(variations="flux"), executor)) == clean()


def test_a_process_in_which_something_hangs_is_ended(plan, tmp_path):
    (tmp_path / Path(plan[0].path).name).touch()
    with open_executor("futures", workers=1) as executor:
        before = executor.submit(os.getpid).result()
        run(plan, Faulty(lambda: time.sleep(100), tmp_path), executor, timeout=4.0)
        deadline = time.monotonic() + 30
        while psutil.pid_exists(before) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not psutil.pid_exists(before)


@contextlib.contextmanager
def pipe_instead_of(path):
    """A file that keeps everybody waiting who opens it, for a while."""
    with gone(path):
        os.mkfifo(path)
        try:
            yield
        finally:
            # Those who wait go on.
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            Path(path).unlink()


@pytest.mark.parametrize("name", POOLS)
def test_a_file_that_hangs_when_it_is_opened_is_given_up(plan, clean, name):
    path = plan[-1].path
    with pipe_instead_of(path), open_executor(name, workers=2) as executor:
        ran = run(plan, NuoneProcessor(variations="flux"), executor, timeout=4.0)
    assert {row.path for row in ran[1].missing} == {path}
    assert all(row.missing.startswith("gave nothing within 4 s") for row in ran[1].missing)
    assert result(ran) == clean([chunk for chunk in plan if chunk.path != path])


def test_a_pipe_is_refused_before_the_run(tmp_path):
    os.mkfifo(tmp_path / "a.root")
    with pytest.raises(InputError, match=r"a\.root: a pipe, not a file"):
        make_plan(load_fileset({"nd": {"files": [str(tmp_path / "a.root")]}}))


def test_what_a_chunk_raises_is_the_same_under_a_time_limit(plan):
    def fault():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, Faulty(fault), InProcess(), timeout=100.0)


def test_what_is_stopped_is_the_sum_of_what_is_done(plan, clean):
    asked = iter([False] * 3)
    ran = run(plan, NuoneProcessor(variations="flux"), InProcess(), stop=lambda: next(asked, True))
    missing = [row.missing for row in ran[1].missing]
    assert 0 < len(missing) < len(plan)
    assert set(missing) == {running.INTERRUPTED}
    assert result(ran) == clean(plan[: -len(missing)])


@pytest.mark.parametrize("name", EXECUTORS)
def test_what_is_stopped_early_is_the_sum_of_what_was_done_until_then(plan, clean, name):
    done = []
    with open_executor(name, workers=1) as executor:
        ran = run(
            plan,
            Faulty(lambda: time.sleep(1.0)),
            executor,
            progress=lambda chunk, outcome: done.append(chunk),
            stop=lambda: bool(done),
        )
    good = [c for c, row in zip(plan, ran[1].rows, strict=True) if not row.missing]
    assert 0 < len(good) < len(plan)
    assert result(ran) == clean(good)


def test_two_runs_that_write_one_file_leave_that_of_one(toy, tmp_path):
    fileset = {"nd_data": load_fileset(toy)["nd_data"]}
    made = [
        process_fileset(fileset, NuoneProcessor(variations=name), Execution())
        for name in ("none", "none")
    ]
    path = tmp_path / "t.zip"
    threads = [threading.Thread(target=one.save, args=(path,)) for one in made for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [p.name for p in tmp_path.iterdir()] == ["t.zip"]
    assert zipfile.ZipFile(path).testzip() is None
    found, expected = Templates.load(path).hist, made[0].hist
    assert found.view(flow=True).tobytes() == expected.view(flow=True).tobytes()


def test_what_two_write_at_once_is_never_mixed(tmp_path):
    path = tmp_path / "x"
    with renamed_when_complete(path) as one, renamed_when_complete(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]
