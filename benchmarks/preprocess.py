"""Looking into many files: ``python -m benchmarks.preprocess`` (times, and the size of the JSON).

The files are small copies of one, each with a uuid and a run of its own, so that what is measured
is the cost per file. Cold with one and two processes, then what an interrupted run left to do, then
with nothing changed. "Cold" is about what is known of the files; they are in the page cache.
"""

import argparse
import contextlib
import gzip
import json
import shlex
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import uproot
from coffea.dataset_tools import DataGroupSpec

from fileset import load_fileset
from fileset.files import FileInfo
from fileset.preprocess import preprocess
from fileset.simulate.caf import SPILL_TREE, TREE

from .variations.make_files import make_file
from .variations.report import machine, markdown

EVENTS = 20


def copies(folder: Path, count: int) -> None:
    """Make files that differ in their uuid and run."""
    with tempfile.TemporaryDirectory() as place:
        # Not compressed, so that a run is found where the directory says.
        template = make_file(Path(place), "nue", EVENTS, 100, "none", cluster=EVENTS)
        content = bytearray(template.read_bytes())
        with uproot.open(template) as file:
            known = file.file.uuid.bytes
            runs = [
                _content(file[TREE]["rec.hdr.run"]),
                _content(file[SPILL_TREE]["spill.run"]),
            ]
    places = [at for at in range(len(content)) if content.startswith(known, at)]
    for number in range(count):
        own = uuid.uuid4().bytes
        for at in places:
            content[at : at + len(own)] = own
        for part in runs:
            content[part] = np.full((part.stop - part.start) // 4, number + 1, ">i4").tobytes()
        (folder / f"nd_{number:05d}.root").write_bytes(content)


def _content(branch: uproot.TBranch) -> slice:
    """Where the values of a branch of one basket are in its file."""
    key = branch.basket_key(0)
    start = int(key.fSeekKey) + int(key.fKeylen)
    return slice(start, start + int(key.fObjlen))


class Interrupted(Exception):  # noqa: N818 - not an error
    """Half of the files are done."""


def interrupt_after(count: int) -> Callable[[str, FileInfo | str], None]:
    done = iter(range(1, count + 1))

    def progress(path: str, found: FileInfo | str) -> None:
        if next(done) == count:
            raise Interrupted

    return progress


def measure(folder: Path, count: int, processes: Sequence[int]) -> Iterator[list[str]]:
    """Rows of the table, and the checks that every one found all files."""
    fileset = load_fileset(f"{folder}/*.root")
    (dataset,) = fileset

    def timed(title: str, target: Path, workers: int) -> list[str]:
        cpu, wall = time.process_time(), time.perf_counter()
        found = preprocess(fileset, target, workers=workers)[dataset]
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if found.bad or len(found.infos) != count:
            raise RuntimeError(f"{len(found.infos)} of {count} files: {found.bad}")
        per_file = f"{1e3 * wall / count:.2f}"
        return [title, str(workers), f"{wall:.2f}", f"{cpu:.2f}", per_file]

    for workers in processes:
        yield timed("cold", folder / f"cold{workers}.json.gz", workers)
    target = folder / "resumed.json.gz"
    with contextlib.suppress(Interrupted):
        preprocess(fileset, target, progress=interrupt_after(count // 2))
    yield timed("resumed at half", target, 1)
    yield timed("nothing changed", target, 1)


def size(path: Path) -> str:
    """What coffea reads from the result, and how large it is."""
    spec = DataGroupSpec(json.loads(gzip.decompress(path.read_bytes())))
    theirs = sum(len(dataset.files) for dataset in spec.values())
    ours = sum(len(dataset.files) for dataset in load_fileset(path).values())
    kilobytes = path.stat().st_size / 1e3
    return f"{path.name}: {kilobytes:.0f} kB; {ours} files for us, {theirs} for DataGroupSpec"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preprocess", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="of a cold run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copies(folder, arguments.files)
        rows = list(measure(folder, arguments.files, arguments.processes))
        found = size(folder / "resumed.json.gz")
    print(machine(shlex.join(["python", "-m", "benchmarks.preprocess", *sys.argv[1:]])))
    print(f"{arguments.files} files\n")
    print(markdown(["run", "processes", "wall s", "CPU s of this one", "ms per file"], rows))
    print(found)


if __name__ == "__main__":
    main()
