"""One contestant and job per process: ``-m benchmarks.variations.measure NAME JOB OUTPUT``."""

# Before numpy, as in every process of this package: see fileset/memory.py.
import fileset  # noqa: F401  isort: skip

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import rdataframe
from .job import Job, Result, UnavailableError, Work

IN_PYTHON = {
    "ours": "ours",
    "ours_again": "ours_again",
    "coffea": "coffea_plain",
    "uproot": "uproot_plain",
    "codec": "codec",
}
"""Contestant to module; ``prepare(job)`` returns what is timed."""

OURS = ("ours", "ours_again")

THREADED = ("ours", "codec", *rdataframe.MODES)
"""Contestants that can use more than one thread."""

NOT_AVAILABLE = 3
"""Exit code of this module for a contestant that cannot do the job."""


class Cost(NamedTuple):
    """What one run took.

    Attributes
    ----------
    cpu : float
        User and system time of all threads [s].
    wall : float
        [s].
    peak : float
        Largest resident memory of the process [MB].
    """

    cpu: float
    wall: float
    peak: float


def run(name: str, job: Job, warm_up: str, output: Path, program: Path | None) -> Cost:
    """Run a contestant in a process of its own.

    Parameters
    ----------
    name : str
        Key of ``IN_PYTHON`` or of ``rdataframe.MODES``.
    job : Job
    warm_up : str
        File for the first, untimed run.
    output : Path
        Where the sums go: float64, values then squares.
    program : Path, optional
        The compiled one.

    Raises
    ------
    UnavailableError
        If the contestant cannot do this job.
    RuntimeError
        If it failed.
    """
    if name in rdataframe.MODES:
        if program is None:
            raise UnavailableError("no ROOT")
        command = rdataframe.command(program, name, job, warm_up, output)
    else:
        told = json.dumps({**asdict(job), "warm_up": warm_up})
        command = [sys.executable, "-m", f"{__package__}.measure", name, told, str(output)]
    # Where a machine has no huge pages to give, as ours, asking for them costs the more.
    environment = os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"}
    if name not in OURS:
        # Others have the memory that their users have: fileset/memory.py.
        environment["NUDIPOLE_KEEP_MEMORY"] = "0"
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode == NOT_AVAILABLE:
        raise UnavailableError(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
        raise RuntimeError(f"{name} failed on {job}: {done.stderr.strip().splitlines()[-1]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Cost(found["cpu"], found["wall"], found["peak_kb"] / 1e3)


def timed(
    prepare: Callable[[Job], Work], job: Job, warm_up: str
) -> tuple[dict[str, float], Result | None]:
    """Time a contestant after a warm-up, in this process."""
    prepare(job.on(warm_up))()
    work = prepare(job)
    cpu, wall = time.process_time(), time.perf_counter()
    collect = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu, "wall": wall, "peak_kb": peak_kilobytes()}, collect()


def peak_kilobytes() -> int:
    """Largest resident memory of this process; not ``ru_maxrss``, which exec inherits."""
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform.startswith("linux") else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0])


def main(name: str, told: str, output: str) -> int:
    options = json.loads(told)
    warm_up = options.pop("warm_up")
    module = importlib.import_module(f".{IN_PYTHON[name]}", __package__)
    try:
        cost, result = timed(module.prepare, Job(**options), warm_up)
    except UnavailableError as reason:
        print(reason, file=sys.stderr)
        return NOT_AVAILABLE
    if result is not None:
        np.concatenate([result.values.ravel(), result.squares.ravel()]).tofile(output)
    print(json.dumps(cost))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
