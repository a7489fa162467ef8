"""The same processor under coffea's own ``Runner``: a cross-check, and a way in for its users.

``Runner`` keeps no account of what it read, so the ledger is made afterwards from the keys that
every chunk leaves in the sum, and refused if they do not tile the files exactly.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fileset.coffea_api import IterativeExecutor, ProcessorABC, Runner
from fileset.errors import InputError
from fileset.exposure import Ledger, settle
from fileset.formats import FORMATS
from fileset.plan import Chunk


def coffea_fileset(plan: Sequence[Chunk]) -> dict[str, dict[str, Any]]:
    """Files and metadata of a plan as coffea's own fileset dictionary."""
    fileset: dict[str, dict[str, Any]] = {}
    for chunk in plan:
        if not chunk.path.isascii():
            raise InputError(
                f"{chunk.path}: coffea's Runner takes ASCII file names only; leave out --engine"
            )
        # coffea adds the name of the dataset itself and refuses it in the metadata.
        metadata = {k: v for k, v in chunk.metadata.items() if k != "dataset"}
        entry = fileset.setdefault(chunk.dataset, {"files": {}, "metadata": metadata})
        entry["files"][chunk.path] = chunk.tree
    return fileset


def run_stock(
    plan: Sequence[Chunk], processor: ProcessorABC, *, chunksize: int
) -> tuple[dict[str, Any], Ledger]:
    """Process the files of a plan with coffea's ``Runner``, in this process.

    Parameters
    ----------
    plan : sequence of Chunk
        Whole files; one chunk per file.
    processor : coffea ProcessorABC
    chunksize : int
        Entries per chunk; ``Runner`` cuts a file into equal parts.

    Returns
    -------
    output : dict
        Sum over chunks.
    ledger : Ledger
    """
    output: dict[str, Any] = {}
    bad = [chunk for chunk in plan if chunk.bad]
    plan = [chunk for chunk in plan if not chunk.bad]
    for name in dict.fromkeys(chunk.metadata["format"] for chunk in plan):
        runner = Runner(
            executor=IterativeExecutor(status=False),
            schema=FORMATS[name].schema,
            chunksize=chunksize,
            # coffea's own cache would answer with the metadata of an earlier run.
            metadata_cache={},
        )
        part = [chunk for chunk in plan if chunk.metadata["format"] == name]
        output |= runner(coffea_fileset(part), processor)
    reasons = {position: chunk.bad for position, chunk in enumerate(bad)}
    return output, settle([*bad, *_cut_alike(plan, output)], _keys(output), reasons, reasons)


def _keys(output: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    return [(name, *key) for name, result in output.items() for key in result["ledger"]]


def _cut_alike(plan: Sequence[Chunk], output: dict[str, Any]) -> list[Chunk]:
    """The plan cut where coffea cut: equal parts, as found in the sum."""
    cut = []
    for chunk in plan:
        stops = {stop for name, uuid, _, stop in _keys(output) if (name, uuid) == chunk.key[:2]}
        start = chunk.start
        for stop in sorted(stops | {chunk.stop}):
            share = chunk.pot * (stop - start) / (chunk.stop - chunk.start)
            cut.append(replace(chunk, start=start, stop=stop, pot=share))
            start = stop
    return cut
