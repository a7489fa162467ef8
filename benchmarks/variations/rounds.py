"""Rounds that rotate through the contestants, and the comparison of their results."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from . import compare, measure
from .job import Job, UnavailableError


class Case(NamedTuple):
    """What is measured for every contestant: a column of the tables."""

    sample: str
    variations: int
    threads: int


@dataclass
class Outcome:
    """What came of all rounds.

    Attributes
    ----------
    costs : dict
        Case and contestant to the cost of each round.
    deviations : dict
        Case to the largest relative difference of any bin between two contestants.
    left_out : dict of str to str
        Contestants that could not do something, with the reason.
    wrong : list of str
        Failures and results that differ.
    """

    costs: dict[tuple[Case, str], list[measure.Cost]] = field(default_factory=dict)
    deviations: dict[Case, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def run_rounds(
    jobs: dict[Case, tuple[Job, str]],
    contestants: Sequence[str],
    rounds: int,
    folder: Path,
    program: Path | None,
) -> Outcome:
    """Measure every contestant in every case.

    Parameters
    ----------
    jobs : dict of Case to (Job, str)
        Job and file for the warm-up.
    contestants : sequence of str
    rounds : int
    folder : Path
        For the results.
    program : Path, optional
        The compiled contestants.
    """
    outcome = Outcome()
    failed: set[str] = set()
    for number in range(rounds):
        for case, (job, warm_up) in jobs.items():
            found: dict[str, Path] = {}
            for name in _order([n for n in contestants if n not in failed], number, case.threads):
                output = folder / f"{name}.sums"
                output.unlink(missing_ok=True)
                try:
                    cost = measure.run(name, job, warm_up, output, program)
                except UnavailableError as reason:
                    outcome.left_out[f"{name}, {case.threads} threads"] = str(reason)
                    continue
                except RuntimeError as error:
                    # Not tried again: it would fail in every case and round.
                    failed.add(name)
                    outcome.wrong.append(str(error))
                    continue
                _say(f"round {number + 1}, {case}: {name} {cost.cpu:.2f} CPU s")
                outcome.costs.setdefault((case, name), []).append(cost)
                if output.exists():
                    found[name] = output
            _compare(outcome, case, job, found)
    return outcome


def _order(contestants: Sequence[str], number: int, threads: int) -> Iterator[str]:
    able = [n for n in contestants if threads == 1 or n in measure.THREADED]
    first = number % max(len(able), 1)
    yield from able[first:]
    yield from able[:first]


def _compare(outcome: Outcome, case: Case, job: Job, found: dict[str, Path]) -> None:
    if not found:
        return
    reference = "uproot" if "uproot" in found else min(found)
    for name, path in found.items():
        largest = compare.deviation(job, path, found[reference])
        outcome.deviations[case] = max(outcome.deviations.get(case, 0.0), largest)
        if not largest <= compare.TOLERANCE:
            what = compare.where(job, path, found[reference])
            outcome.wrong.append(f"{case}: {name} is not {reference}: {what}")
    for path in found.values():
        path.unlink()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
