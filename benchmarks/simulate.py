"""Slices per minute of the toy near detector, with writing: ``python benchmarks/simulate.py``."""

import argparse
import tempfile
import time
from pathlib import Path

from fileset.simulate import SAMPLES, simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{'sample':12s} {'CPU s':>8s} {'wall s':>8s} {'slices / CPU minute':>20s}")
    for sample in SAMPLES:
        timings = []
        for round_number in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as folder:
                cpu, wall = time.process_time(), time.perf_counter()
                simulate(
                    Path(folder), sample=sample, events=arguments.events, seed=round_number + 1
                )
                timings.append((time.process_time() - cpu, time.perf_counter() - wall))
        cpu, wall = sorted(timings)[len(timings) // 2]
        print(f"{sample:12s} {cpu:8.2f} {wall:8.2f} {60 * arguments.events / cpu:20.3g}")


if __name__ == "__main__":
    main()
