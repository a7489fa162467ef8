"""The ledger: which entries of which file are in a result, and the exposure that they stand for.

Templates are meaningless without it. Every chunk that a run plans is a row; a chunk that is not
in the sum is a row with the reason. The exposure of a result is the sum over the rows that are.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .html import html_table
from .plan import Chunk

# Missing chunks that a notebook lists.
_SHOWN = 5


@dataclass(frozen=True)
class LedgerRow:
    """One planned chunk.

    Attributes
    ----------
    dataset, path, uuid : str
    start, stop : int
        Range of entries.
    pot : float
        Exposure of the range [POT].
    missing : str
        Why it is not in the sum; empty if it is.
    skipped : bool
        Whether it is missing because its file is bad and bad files were to be skipped.
    """

    dataset: str
    path: str
    uuid: str
    start: int
    stop: int
    pot: float
    missing: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class Ledger:
    """All planned chunks of a run."""

    rows: tuple[LedgerRow, ...]

    @property
    def missing(self) -> list[LedgerRow]:
        """Rows that are not in the sum."""
        return [row for row in self.rows if row.missing]

    def pot(self, dataset: str) -> float:
        """Exposure of a dataset that is in the sum [POT]."""
        return sum(r.pot for r in self.rows if r.dataset == dataset and not r.missing)

    def entries(self, dataset: str) -> int:
        """Entries of a dataset that are in the sum."""
        return sum(r.stop - r.start for r in self.rows if r.dataset == dataset and not r.missing)

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets, in the order of the plan."""
        return list(dict.fromkeys(row.dataset for row in self.rows))

    def _repr_html_(self) -> str:
        rows = [
            (
                name,
                sum(r.dataset == name for r in self.rows),
                sum(r.dataset == name for r in self.missing),
                self.entries(name),
                f"{self.pot(name):.4g}",
            )
            for name in self.datasets
        ]
        lines = [f"{r.path}, entries {r.start}-{r.stop}: {r.missing}" for r in self.missing]
        more = [f"and {len(lines) - _SHOWN} more"] if lines[_SHOWN:] else []
        columns = ("dataset", "chunks", "missing", "entries", "POT")
        return html_table("ledger", columns, rows, "; ".join([*lines[:_SHOWN], *more]))

    def to_json(self) -> list[dict[str, Any]]:
        """Rows as plain values."""
        return [asdict(row) for row in self.rows]

    @classmethod
    def from_json(cls, rows: Iterable[dict[str, Any]]) -> "Ledger":
        """Inverse of :meth:`to_json`."""
        return cls(tuple(LedgerRow(**row) for row in rows))


def settle(
    plan: Iterable[Chunk],
    summed: Iterable[tuple[str, str, int, int]],
    lost: Mapping[int, str],
    skipped: Collection[int] = (),
) -> Ledger:
    """Compare what was planned with what is in the sum.

    Parameters
    ----------
    plan : iterable of Chunk
    summed : iterable of (dataset, uuid, start, stop)
        As reported from inside the sum, by the processor itself.
    lost : dict of int to str
        Position in the plan to the reason why a chunk is not in the sum.
    skipped : collection of int
        Those of them whose file was skipped.

    Returns
    -------
    Ledger

    Raises
    ------
    RuntimeError
        If an entry is in the sum twice, or one that was not planned, or a chunk is gone without
        a reason: the sum is wrong and nothing may be made of it.
    """
    counts: dict[tuple[str, str, int, int], int] = {}
    for key in summed:
        counts[key] = counts.get(key, 0) + 1
    rows = []
    for position, chunk in enumerate(plan):
        times = counts.pop(chunk.key, 0)
        reason = lost.get(position, "")
        if times + bool(reason) != 1:
            raise RuntimeError(
                f"the sum is wrong: {chunk.path}, entries {chunk.start}-{chunk.stop}, is in it "
                f"{times} times ({reason or 'no failure reported'})"
            )
        rows.append(
            LedgerRow(
                *(chunk.dataset, chunk.path, chunk.uuid, chunk.start, chunk.stop, chunk.pot),
                reason,
                position in skipped,
            )
        )
    if counts:
        raise RuntimeError(f"the sum is wrong: it holds entries that were not planned: {counts}")
    return Ledger(tuple(rows))
