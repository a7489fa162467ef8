"""What a worker does: open and process chunks, tell what went wrong, add up what did not."""

import functools
import logging
import operator
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, NamedTuple

from fileset.coffea_api import ProcessorABC
from fileset.errors import InputError, printable
from fileset.opening import damage, is_reading, origin, reason
from fileset.plan import Chunk
from fileset.remote import is_transient

from .reduction import Reduction

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a chunk is tried when a network or a file server, which may recover, is to blame."""


class Outcome(NamedTuple):
    """What became of a chunk: its output, or why there is none.

    Attributes
    ----------
    output : dict, optional
        None, too, once it is part of a sum.
    refused : str
        The input is wrong and the run must stop, or do without the file.
    unreadable : str
        The file is damaged or out of reach: the chunk is lost, and with it what others made of it.
    lost : str
        The chunk failed for any other reason; others need not.
    alone : bool
        Whether it may have been for want of memory, and is worth a second try with no other beside.
    seconds : float
        Time that a worker took for it.
    bytes_read : int
        What the worker read meanwhile, its own code included, where the system counts that.
    resumed : bool
        Whether it comes from a checkpoint.
    hung : bool
        Whether it was given up, and what it does may go on for ever.
    """

    output: dict[str, Any] | None = None
    refused: str = ""
    unreadable: str = ""
    lost: str = ""
    alone: bool = False
    seconds: float = 0.0
    bytes_read: int = 0
    resumed: bool = False
    hung: bool = False

    @property
    def failed(self) -> bool:
        """Whether it is not in the sum."""
        return bool(self.refused or self.unreadable or self.lost)

    @property
    def bad(self) -> bool:
        """Whether it is the file that is to blame."""
        return bool(self.refused or self.unreadable)


class Done(NamedTuple):
    """What became of the chunks of a branch of the sum.

    Attributes
    ----------
    outcomes : list of Outcome
        Of each chunk, in the order of the plan, without its output.
    output : dict, optional
        Sum of what they gave.
    worker : str
        Identifies the process, for what must end it.
    """

    outcomes: list[Outcome]
    output: dict[str, Any] | None = None
    worker: int | str = 0


def process_branch(
    processor: ProcessorABC, chunks: Sequence[Chunk], skip_bad_files: bool, timeout: float | None
) -> Done:
    """Process chunks and add them up; runs on the worker, where errors can still be told apart.

    Parameters
    ----------
    processor : ProcessorABC
    chunks : sequence of Chunk
        A branch of the plan: :meth:`processors.reduction.Reduction.branch`.
    skip_bad_files : bool
    timeout : float, optional
        Longest time for one chunk [s].

    Returns
    -------
    Done
        Without the last ones where one must be refused, or tried again alone.
    """
    reduction = Reduction(chunks, skip_bad_files)
    outcomes: list[Outcome] = []
    for position, chunk in enumerate(chunks):
        outcome = process_chunk(processor, chunk, timeout)
        outcomes.append(outcome._replace(output=None))
        if outcome.alone or (outcome.refused and not skip_bad_files):
            break
        reduction.add(range(position, position + 1), outcome.output, outcome.bad)
    return Done(outcomes, reduction.total(), os.getpid())


def process_chunk(processor: ProcessorABC, chunk: Chunk, timeout: float | None = None) -> Outcome:
    """Open and process one chunk, for no longer than it may take."""
    if chunk.bad:
        return Outcome(unreadable=chunk.bad)
    begin = time.perf_counter()

    def work() -> Outcome:
        before = _bytes_read()
        # Cheaper for a small chunk, where a processor does without coffea's events.
        opened = getattr(processor, "open", operator.methodcaller("open"))
        outcome = attempt(processor, chunk, functools.partial(opened, chunk))
        return outcome._replace(bytes_read=_bytes_read() - before)

    hung = Outcome(
        lost=f"gave nothing within {timeout or 0:g} s: a file or server that hangs, a function "
        "that does not end, or raise --chunk-timeout",
        hung=True,
    )
    return within(timeout, work, hung)._replace(seconds=time.perf_counter() - begin)


def within(timeout: float | None, work: Callable[[], Outcome], late: Outcome) -> Outcome:
    """Result of some work, or another one when it takes too long, which leaves it to itself.

    Nothing can end a thread that waits for the system; it ends with its process.
    """
    if not timeout:
        return work()
    future: Future[Outcome] = Future()

    def deliver() -> None:
        try:
            future.set_result(work())
        # An interrupt, too, is for the one who waits.
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=deliver, daemon=True).start()
    done, _ = wait([future], timeout)
    return future.result() if done else late


def _bytes_read() -> int:
    """What this thread has read until now [bytes]; 0 where the system does not count it."""
    try:
        counts = Path("/proc/thread-self/io").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(counts.partition("rchar:")[2].split()[0])


def attempt(processor: ProcessorABC, chunk: Chunk, opened: Callable[[], Any]) -> Outcome:
    """Process a chunk as often as it is worth it, and tell what went wrong."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return Outcome(output=processor.process(opened()))
        except InputError as error:
            # A server that does not answer has been asked often enough already.
            if is_transient(error):
                return Outcome(unreadable=str(error))
            # What asks for values that cannot be read may blame their kind.
            cause = origin(error)
            if not isinstance(cause, InputError) and is_reading(cause):
                return Outcome(unreadable=damage(cause))
            return Outcome(refused=_refusal(error, chunk))
        # Any other failure, in a library or in a user's function, costs this chunk and is
        # reported; the run goes on and then says what is missing.
        except Exception as error:
            log.debug("chunk failed", exc_info=True)
            if is_transient(error) and attempt < ATTEMPTS:
                time.sleep(0.5 * 2**attempt)
                continue
            if is_transient(error):
                return Outcome(unreadable=f"{reason(error)} ({ATTEMPTS} attempts)")
            if is_reading(error):
                return Outcome(unreadable=damage(error))
            return Outcome(lost=_failure(error), alone=isinstance(error, MemoryError))
    raise AssertionError("unreachable")


def _failure(error: Exception) -> str:
    """One line with what those that it passed have noted: where it was, and in which variation."""
    if isinstance(error, MemoryError):
        return f"{reason(error)}; take a smaller --chunksize or fewer --workers"
    notes = (printable(note) for note in getattr(error, "__notes__", ()))
    return ", ".join([reason(error), *notes])


def _refusal(error: InputError, chunk: Chunk) -> str:
    """One line that names the file."""
    # What follows the line is awkward's, about the operation that met the error.
    line = printable(str(error).partition("\n")[0])
    return line if chunk.path in line else f"dataset {chunk.dataset!r}, {chunk.path}: {line}"
