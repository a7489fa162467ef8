"""What a run has done so far, and what it cost: for a line of progress and for the provenance."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fileset.plan import Chunk

from .work import Outcome

SLOWEST = 5
"""Files that a summary names."""


@dataclass
class Tally:
    """Counts of a run, as its chunks come.

    Attributes
    ----------
    chunks : int
        Planned.
    done, failed, resumed : int
        Of these, with a result, without one, and with one from a checkpoint.
    events : int
        Entries that were processed, in chunks that were not resumed.
    bytes_read : int
        By workers, code included where they are new, where the system counts that. What comes over
        a network may not be in it.
    dataset : str
        Of the last chunk.
    pot : Counter
        Exposure by dataset of the chunks that are done [POT].
    seconds : Counter
        Time of workers by file [s].
    """

    chunks: int = 0
    done: int = 0
    failed: int = 0
    resumed: int = 0
    events: int = 0
    bytes_read: int = 0
    dataset: str = ""
    pot: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    stages: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def stage(self, name: str) -> None:
        """End a stage of the run, which began with the end of the last one."""
        now = time.perf_counter()
        self.stages[name] = self.stages.get(name, 0.0) + now - self._since
        self._since = now

    def add(self, chunk: Chunk, outcome: Outcome) -> None:
        """Count a chunk that is done."""
        self.dataset = chunk.dataset
        if outcome.failed:
            self.failed += 1
        else:
            self.done += 1
            self.pot[chunk.dataset] += chunk.pot  # type: ignore[assignment]
            self.resumed += outcome.resumed
            self.events += 0 if outcome.resumed else chunk.stop - chunk.start
        self.bytes_read += outcome.bytes_read
        self.seconds[chunk.path] += outcome.seconds  # type: ignore[assignment]

    @property
    def rate(self) -> float:
        """Events per second of the stage that is going on."""
        return self.events / max(time.perf_counter() - self._since, 1e-9)

    def line(self) -> str:
        """What to show while it goes on, in a few words.

        >>> Tally(done=3, chunks=4, failed=1, dataset="nd", pot=Counter(nd=2e18)).line()
        'nd, 2e+18 POT so far, 0 events/s, 1 failed'
        """
        pot = self.pot[self.dataset]
        parts = [self.dataset, f"{pot:.3g} POT so far", f"{self.rate:,.0f} events/s"]
        parts += [f"{self.resumed} resumed"] if self.resumed else []
        return ", ".join([*parts, f"{self.failed} failed"])

    def summary(self, plan: Sequence[Chunk]) -> dict[str, Any]:
        """What a run was, as plain JSON values; times in seconds."""
        process = self.stages.get("process", 0.0)
        return {
            "fileset": digest(plan),
            "files": len({chunk.file for chunk in plan}),
            "chunks": {"planned": len(plan), "resumed": self.resumed, "failed": self.failed},
            "seconds": {name: round(spent, 3) for name, spent in self.stages.items()},
            "events_per_second": round(self.events / process) if process else 0,
            "bytes_read": self.bytes_read,
            "slowest_files": [[p, round(s, 3)] for p, s in self.seconds.most_common(SLOWEST)],
        }


def digest(plan: Sequence[Chunk]) -> str:
    """What identifies the files of a plan and their description, wherever they are."""
    files = sorted({(chunk.dataset, chunk.uuid or chunk.path) for chunk in plan})
    metadata = {chunk.dataset: chunk.metadata for chunk in plan}
    told = {
        name: {k: v for k, v in values.items() if k != "timeout"}
        for name, values in metadata.items()
    }
    text = json.dumps([files, told], sort_keys=True)
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()}"
