"""The command; what is measured is said in the package."""

import argparse
import contextlib
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import make_files, measure, overhead, rdataframe, report, rounds
from .job import CODECS, FEW_UNIVERSES, KNOBS, MANY_UNIVERSES, Job, UnavailableError

WARM_UP_EVENTS = 2_000
THREADED_VARIATIONS = 180


def arguments() -> argparse.Namespace:
    everyone = (*measure.IN_PYTHON, *rdataframe.MODES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variations", description="CPU time of one job, by contestant."
    )
    parser.add_argument("--events", type=int, default=500_000, help="slices per file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variations", type=int, nargs="+", default=[1, 20, 180, 1000])
    parser.add_argument("--samples", nargs="+", choices=make_files.MIXTURES, default=["nue", "nd"])
    parser.add_argument("--codec", choices=CODECS, default="zstd")
    parser.add_argument(
        "--threads", type=int, default=2, help="of further rows at 180 variations; 1 for none"
    )
    parser.add_argument("--contestants", nargs="+", choices=everyone, default=everyone)
    parser.add_argument(
        "--stored", action="store_true", help="universes beyond 180 variations are in the file too"
    )
    parser.add_argument("--folder", type=Path, help="make or find the files here, and keep them")
    parser.add_argument("--root-python", default="", help="Python that can import ROOT")
    parser.add_argument("--no-overhead", action="store_true", help="without time per chunk")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    with _folder(options.folder) as folder:
        program, root = _program(options, folder)
        contestants = [n for n in options.contestants if program or n in measure.IN_PYTHON]
        outcome = rounds.run_rounds(
            _jobs(options, folder), contestants, options.rounds, folder, program
        )
        per_chunk = _overhead(options, folder, outcome)
    command = shlex.join(["python", "-m", "benchmarks.variations", *sys.argv[1:]])
    print(report.machine(command, root))
    print(report.tables(outcome))
    print(report.goals(outcome, per_chunk))
    largest = max(outcome.deviations.values(), default=0.0)
    print(
        f"Median of {options.rounds} rounds. Largest relative difference of a bin: {largest:.1e}."
    )
    for name, reason in outcome.left_out.items():
        print(f"\n**Left out: {name}: {reason}**")
    for problem in outcome.wrong:
        print(f"\n**Wrong: {problem}**")
    return 1 if outcome.wrong else 0


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _program(options: argparse.Namespace, folder: Path) -> tuple[Path | None, str]:
    """The compiled contestants, and which ROOT they have or why there are none."""
    if not set(options.contestants) & set(rdataframe.MODES):
        return None, "ROOT not asked for"
    try:
        program, version = rdataframe.build(options.root_python or sys.executable, folder)
    except UnavailableError as reason:
        print(f"RDATAFRAME IS LEFT OUT: {reason}", file=sys.stderr)
        return None, f"**without RDataFrame: {reason}**"
    return program, version


def _jobs(options: argparse.Namespace, folder: Path) -> dict[rounds.Case, tuple[Job, str]]:
    jobs = {}
    cases = [(n, 1) for n in options.variations]
    if options.threads > 1 and THREADED_VARIATIONS in options.variations:
        cases.append((THREADED_VARIATIONS, options.threads))
    for sample in options.samples:
        for variations, threads in cases:
            many = options.stored and variations > 2 * KNOBS + FEW_UNIVERSES
            universes = MANY_UNIVERSES if many else FEW_UNIVERSES
            path = make_files.make_file(folder, sample, options.events, universes, options.codec)
            warm_up = path.with_name(f"other_{path.name}")
            if not warm_up.exists():
                warm_up.hardlink_to(path)
            job = Job(str(path), variations, universes, threads)
            jobs[rounds.Case(sample, variations, threads)] = job, str(warm_up)
    return jobs


def _overhead(
    options: argparse.Namespace, folder: Path, outcome: rounds.Outcome
) -> dict[int, float]:
    if options.no_overhead or "ours" not in options.contestants:
        return {}
    warm_up = make_files.make_file(folder, "nue", WARM_UP_EVENTS, FEW_UNIVERSES)
    found = {}
    for branches in report.CHUNK_MILLISECONDS:
        try:
            found[branches] = overhead.per_chunk(folder, branches, options.rounds, str(warm_up))
        except UnavailableError as reason:
            outcome.left_out["time per chunk"] = str(reason)
        except RuntimeError as error:
            outcome.wrong.append(str(error))
            break
    return found


if __name__ == "__main__":
    sys.exit(main())
