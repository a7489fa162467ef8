"""Bookkeeping of the run layer: ``python -m benchmarks.scale`` (time per chunk, memory, bytes).

No file is opened: 1,000 files of 20 chunks that stand for themselves, and a processor that gives
its ledger key and nothing else, in this process and over a dask scheduler and two workers, all
processes of their own. What is left is what planning, sending, accounting and adding up cost. With
``--templates`` every chunk gives what a real one gives: histograms of 25,000 simulated slices.
Bytes are those of the loopback interface, of all who use it at that time.
"""

import argparse
import contextlib
import functools
import json
import os
import pickle
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil

from fileset import Chunk, load_fileset, make_plan
from fileset.coffea_api import ProcessorABC
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.executors import open_executor
from processors.run import run

from .variations.report import machine, markdown

EVENTS = 25_000


class Standing(Chunk):
    """A chunk of a file that is not there."""

    def open(self) -> Any:
        metadata = {"fileuuid": self.uuid, "entrystart": self.start, "entrystop": self.stop}
        return SimpleNamespace(metadata=self.metadata | metadata)


class Trivial(ProcessorABC):
    """Gives the key of a chunk, and with ``content`` what a file of pickled results holds."""

    def __init__(self, content: str = "") -> None:
        self.content = content

    def process(self, events: Any) -> dict[str, Any]:
        key = tuple(events.metadata[k] for k in ("fileuuid", "entrystart", "entrystop"))
        result = pickle.loads(_read(self.content)) if self.content else {}
        return {events.metadata["dataset"]: result | {"ledger": [key]}}

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        return accumulator


@functools.cache
def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def a_chunk(folder: Path) -> Chunk:
    """A real chunk, to take metadata and results from."""
    simulate(folder / "nd", sample="nd", events=EVENTS, seed=1)
    return make_plan(load_fileset({"nd": {"files": [f"{folder}/nd/*.root"]}}))[0]


def plan_of(chunk: Chunk, files: int, chunks: int) -> list[Chunk]:
    """Chunks that differ in file and range."""
    common = {f.name: getattr(chunk, f.name) for f in fields(chunk)}
    return [
        Standing(
            **common
            | {
                "path": f"/a/folder/of/usual/length/nd_{file:05d}.root",
                "uuid": f"{file:08d}-0000-0000-0000-000000000000",
                "start": 250_000 * number,
                "stop": 250_000 * (number + 1),
            }
        )
        for file in range(files)
        for number in range(chunks)
    ]


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, psutil.Process]]:
    """Address and process of a scheduler with workers, none of them this process."""
    file = folder / "scheduler.json"
    common = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    options = [
        ["scheduler", "--port", "0"],
        *[["worker", "--no-nanny", "--nthreads", "1"]] * workers,
    ]
    with (folder / "log").open("ab") as log:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *more, *common],
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
                stdout=log,
                stderr=log,
            )
            for kind, *more in options
        ]
    try:
        while not file.exists():
            time.sleep(0.1)
        yield (
            json.loads(file.read_text(encoding="utf-8"))["address"],
            psutil.Process(started[0].pid),
        )
    finally:
        for process in started:
            process.kill()
            process.wait()


def peak(process: psutil.Process) -> float:
    """Largest resident memory of a process so far [MB]."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def timed(
    title: str, count: int, job: Callable[[], Any], scheduler: psutil.Process | None
) -> list[str]:
    """One row of the table."""
    own = psutil.Process()
    # Forgets the largest memory so far.
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before, sent, others = own.memory_info().rss / 1e6, _sent(), _state(scheduler)
    wall, cpu = time.perf_counter(), time.process_time()
    job()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    row = [title, f"{count:,}", f"{wall:.1f}", *(f"{1e3 * t / count:.2f}" for t in (wall, cpu))]
    row += [f"{before:.0f} + {peak(own) - before:.0f}"]
    if not (scheduler and others):
        return [*row, "", "", ""]
    used = _state(scheduler).seconds - others.seconds
    return [
        *(*row, f"{1e3 * used / count:.2f}"),
        f"{others.megabytes:.0f} + {peak(scheduler) - others.megabytes:.0f}",
        f"{(_sent() - sent) / count / 1e3:.1f}",
    ]


class State(NamedTuple):
    """Of the scheduler: CPU time so far, memory now."""

    seconds: float
    megabytes: float


def _state(scheduler: psutil.Process | None) -> State | None:
    if scheduler is None:
        return None
    times = scheduler.cpu_times()
    return State(times.user + times.system, scheduler.memory_info().rss / 1e6)


def _sent() -> int:
    return psutil.net_io_counters(pernic=True)["lo"].bytes_sent


def measure(folder: Path, arguments: argparse.Namespace, own: Any) -> Iterator[list[str]]:
    """Rows of the table; the run itself checks that every chunk is in the sum once."""
    chunk = a_chunk(folder)
    plan = own.plan_of(chunk, arguments.files, arguments.chunks)
    processor = own.Trivial()
    if arguments.templates:
        (result,) = NuoneProcessor().summing().process(chunk.open()).values()
        content = folder / "result.pickle"
        content.write_bytes(pickle.dumps(result))
        processor = own.Trivial(str(content))
    print(f"task {len(pickle.dumps((processor, plan[0])))} bytes", file=sys.stderr)
    with open_executor("iterative") as executor:
        yield timed("in this process", len(plan), lambda: run(plan, processor, executor), None)
    with (
        cluster(folder, arguments.workers) as (address, scheduler),
        open_executor("dask", scheduler=address) as executor,
    ):
        # Workers warm up.
        run(plan[:100], processor, executor)
        for together in (1, arguments.together or executor.together(len(plan))):
            executor.together = lambda chunks, size=together: size
            title = f"dask, {arguments.workers} workers, {together} chunks a task"
            yield timed(title, len(plan), lambda: run(plan, processor, executor), scheduler)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument("--chunks", type=int, default=20, help="per file")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--together", type=int, help="chunks that a worker adds up")
    parser.add_argument("--templates", action="store_true", help="results of the usual size")
    arguments = parser.parse_args()
    # Under their own name, so that tasks refer to the classes and do not hold them.
    from . import scale

    with tempfile.TemporaryDirectory() as name:
        rows = list(measure(Path(name), arguments, scale))
    print(machine(shlex.join(["python", "-m", "benchmarks.scale", *sys.argv[1:]])))
    head = ["run", "chunks", "wall s", "ms per chunk", "CPU ms of this process", "MB before + more"]
    theirs = ["CPU ms of the scheduler", "scheduler MB", "kB per chunk"]
    print(markdown([*head, *theirs], rows))


if __name__ == "__main__":
    main()
