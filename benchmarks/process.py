"""CPU time of processing, per chunk size and set of variations: ``python benchmarks/process.py``.

Rounds rotate through the cases, so that a drift of the machine hits all of them alike.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from fileset import load_fileset
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset

CASES = {
    "nominal only, 250k chunks": ("none", 250_000),
    "all variations, 250k chunks": (None, 250_000),
    "all variations, 50k chunks": (None, 50_000),
    "all variations, 10k chunks": (None, 10_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sample", default="nuone")
    parser.add_argument("--selection", default="event_cvn")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), sample=arguments.sample, events=arguments.events, seed=1)
        fileset = load_fileset(f"{folder}/*.root")
        timings: dict[str, list[float]] = {name: [] for name in CASES}
        for round_number in range(arguments.rounds + 1):
            for name, (variations, chunksize) in CASES.items():
                processor = NuoneProcessor(arguments.selection, variations)
                start = time.process_time()
                process_fileset(fileset, processor, Execution(chunksize=chunksize))
                # The first round compiles and warms up.
                if round_number:
                    timings[name].append(time.process_time() - start)
    print(f"{arguments.events} slices of {arguments.sample!r}, selection {arguments.selection}")
    for name, values in timings.items():
        print(
            f"{name:30s} {median(values):6.2f} CPU s  {arguments.events / median(values):10.3g} /s"
        )


if __name__ == "__main__":
    main()
