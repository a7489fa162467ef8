"""One chunk, from a new Python to named columns: ``python -m benchmarks.open_chunk`` (seconds).

The file has 300 branches: the simulated near detector's and as many more numbers and lists as are
missing. Every round is a process of its own: imports, description, plan, chunk, the first look at a
column, and the whole processor on it.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from fileset.simulate import simulate

from .variations.report import machine, markdown

ROUND = """\
import json, sys, time
def now():
    return time.perf_counter(), time.process_time()
times = {"": now()}
from fileset import load_fileset, open_chunk
from processors import NuoneProcessor
from processors.columns import add_columns
times["imports"] = now()
events = open_chunk(load_fileset({"nd": {"files": [sys.argv[1]]}}), "nd")
times["open_chunk"] = now()
columns = add_columns(events)
columns.recoil_energy, columns.ttheta2
times["two columns"] = now()
NuoneProcessor().process(events)
times["the processor, all variations"] = now()
made = list(times.items())
spent = {}
for (_, before), (name, after) in zip(made, made[1:]):
    spent[name] = [end - begin for begin, end in zip(before, after)]
print(json.dumps({"events": len(events), "spent": spent}))
"""


def write(folder: Path, events: int, branches: int) -> str:
    """Simulated file with more branches than it needs."""
    (path,) = simulate(folder / "simulated", sample="nd", events=events, seed=1)
    random = np.random.default_rng(1)
    with uproot.open(path) as source, uproot.recreate(folder / "wide.root") as target:
        for name, tree in ((n, source[n]) for n in source.keys(cycle=False)):
            if not hasattr(tree, "arrays"):
                target[name] = tree
                continue
            content = {branch: tree[branch].array() for branch in tree.keys()}
            if "rec.hdr.run" in content:
                content |= more(random, events, branches - len(content))
            kinds = {branch: values.type.content for branch, values in content.items()}
            target.mktree(name, kinds).extend(content)
    return str(folder / "wide.root")


def more(random: np.random.Generator, events: int, branches: int) -> dict[str, ak.Array]:
    """Branches of numbers, every fourth one of lists."""
    counts = random.poisson(2.0, events)
    return {
        f"rec.more.v{number:03d}": ak.Array(random.random(events, dtype="f4"))
        if number % 4
        else ak.unflatten(random.random(counts.sum(), dtype="f4"), counts)
        for number in range(branches)
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.open_chunk", description=__doc__)
    parser.add_argument("--events", type=int, default=250_000)
    parser.add_argument("--branches", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", help="of your own")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.file or write(Path(folder), arguments.events, arguments.branches)
        command = [sys.executable, "-c", ROUND, file]
        rounds = [json.loads(subprocess.check_output(command)) for _ in range(arguments.rounds)]
    print(machine(shlex.join(["python", "-m", "benchmarks.open_chunk", *sys.argv[1:]])))
    rows = []
    for name in rounds[0]["spent"]:
        clocks = zip(*(r["spent"][name] for r in rounds), strict=True)
        rows.append([name, *(f"{statistics.median(clock):.2f}" for clock in clocks)])
    print(markdown([f"{rounds[0]['events']} events", "wall s", "CPU s"], rows))


if __name__ == "__main__":
    main()
