"""From a plan to a sum with nothing lost: submit, account, reduce in order.

Every chunk either enters the sum once or is in the ledger with the reason. Chunks are added in the
order of the plan, whatever the order in which they finish, so that the sum is the same to the last
bit for any executor and any number of workers.
"""

import itertools
import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak

from fileset.coffea_api import ProcessorABC, accumulate
from fileset.errors import InputError, printable
from fileset.exposure import Ledger, settle
from fileset.opening import damage, is_reading, origin, reason
from fileset.plan import Chunk
from fileset.remote import is_transient

from .checkpoints import Checkpoints
from .executors import Pool
from .fingerprint import files_of

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a chunk is tried when a network or a file server, which may recover, is to blame."""
PENDING = 1000
"""Chunks submitted ahead: enough to keep a large cluster busy."""
INTERRUPTED = "not processed: the run was interrupted"
_LISTENING = 0.2


class Outcome(NamedTuple):
    """What became of a chunk: its output, or why there is none.

    Attributes
    ----------
    output : dict, optional
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
    """

    output: dict[str, Any] | None = None
    refused: str = ""
    unreadable: str = ""
    lost: str = ""
    alone: bool = False
    seconds: float = 0.0
    bytes_read: int = 0
    resumed: bool = False

    @property
    def bad(self) -> bool:
        """Whether it is the file that is to blame."""
        return bool(self.refused or self.unreadable)


Progress = Callable[[Chunk, Outcome], None]
"""Told of each chunk that is done."""


def process_chunk(processor: ProcessorABC, chunk: Chunk) -> Outcome:
    """Open and process one chunk; runs on the worker, where errors can still be told apart."""
    begin, before = time.perf_counter(), _bytes_read()
    outcome = attempt(processor, chunk, chunk.open)
    seconds = time.perf_counter() - begin
    return outcome._replace(seconds=seconds, bytes_read=_bytes_read() - before)


def _bytes_read() -> int:
    """What this thread has read until now [bytes]; 0 where the system does not count it."""
    try:
        counts = Path("/proc/thread-self/io").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(counts.partition("rchar:")[2].split()[0])


def attempt(processor: ProcessorABC, chunk: Chunk, opened: Callable[[], ak.Array]) -> Outcome:
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


def run(
    plan: Sequence[Chunk],
    processor: ProcessorABC,
    executor: Executor,
    *,
    skip_bad_files: bool = False,
    progress: Progress = lambda chunk, outcome: None,
    resume: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[dict[str, Any], Ledger]:
    """Process every chunk of a plan and add the results up.

    Parameters
    ----------
    plan : sequence of Chunk
        From :func:`fileset.make_plan`.
    processor : coffea ProcessorABC
    executor : concurrent.futures.Executor
        From :func:`processors.executors.open_executor`.
    skip_bad_files : bool
        Do without a file that turns out to be wrong or unreadable, all of it: what its other
        chunks gave is not used either.
    progress : callable
        Called with each chunk that is done and what became of it.
    resume : Path, optional
        Folder of :mod:`processors.checkpoints`: chunks that are there are not processed again,
        others are kept there.
    stop : callable
        Asked now and then; once it says yes, what is not done is left, and missing in the ledger.

    Returns
    -------
    output : dict
        Sum of the chunks' outputs, in the order of the plan, histograms as
        :class:`processors.filled.Filled` where the processor gives them so.
    ledger : fileset.Ledger
        What is in the sum; ``ledger.missing`` what is not, with the reason.

    Raises
    ------
    InputError
        If a chunk was refused because its input is wrong, or all files of a dataset were skipped.
    RuntimeError
        If the sum is inconsistent, which no input should be able to cause.
    """
    total: dict[str, Any] | None = None
    lost: dict[int, str] = {}
    skipped: set[int] = set()
    met: set[int] = set()
    # What is smaller to send and to add than histograms, where a processor can give it.
    summing = getattr(processor, "summing", lambda: processor)()
    if isinstance(executor, Pool):
        executor.prepare(files_of(summing))
    kept = Checkpoints.of(summing, resume) if resume else None
    stream = _in_order(_outcomes(plan, summing, executor, kept, stop), plan, progress)
    for _, group in itertools.groupby(stream, key=lambda item: plan[item[0]].file):
        chunks = {}
        for position, outcome in group:
            if outcome.refused and not skip_bad_files:
                raise InputError(outcome.refused)
            chunks[position] = outcome
        met |= chunks.keys()
        bad = next((o.refused or o.unreadable for o in chunks.values() if o.bad), "")
        # Or skipped before, when the file was preprocessed.
        if bad and (skip_bad_files or any(plan[position].bad for position in chunks)):
            lost |= dict.fromkeys(chunks, bad)
            skipped |= chunks.keys()
            continue
        lost |= {p: why for p, o in chunks.items() if (why := o.lost or o.unreadable)}
        outputs = [o.output for o in chunks.values() if o.output is not None]
        if outputs:
            total = accumulate([accumulate(outputs)], total)
    lost |= dict.fromkeys(set(range(len(plan))) - met, INTERRUPTED)
    _check_left(plan, lost, skipped)
    total = summing.postprocess(total or {})
    summed = ((name, *key) for name, result in total.items() for key in result["ledger"])
    return total, settle(plan, summed, lost, skipped)


def _check_left(plan: Sequence[Chunk], lost: dict[int, str], skipped: set[int]) -> None:
    """Refuse a sum without a dataset that was planned: it would pass for an empty one."""
    left = {chunk.dataset for position, chunk in enumerate(plan) if position not in skipped}
    for position in sorted(skipped):
        if (name := plan[position].dataset) not in left:
            raise InputError(f"dataset {name!r}: no file can be used; the first: {lost[position]}")


def _in_order(
    outcomes: Iterable[tuple[int, Outcome]], plan: Sequence[Chunk], progress: Progress
) -> Iterator[tuple[int, Outcome]]:
    """Outcomes in the order of the plan, each as soon as all those before it are there."""
    done: dict[int, Outcome] = {}
    following = 0
    for position, outcome in outcomes:
        done[position] = outcome
        progress(plan[position], outcome)
        while following in done:
            yield following, done.pop(following)
            following += 1
    # Of a run that was interrupted, what was done out of turn.
    yield from sorted(done.items())


def _outcomes(
    plan: Sequence[Chunk],
    processor: ProcessorABC,
    executor: Executor,
    checkpoints: Checkpoints | None,
    stop: Callable[[], bool],
) -> Iterator[tuple[int, Outcome]]:
    """Outcomes as they come, each with its position in the plan."""
    todo = deque(range(len(plan)))
    ahead = getattr(executor, "ahead", PENDING)
    pending: dict[Future[Outcome], int] = {}
    done: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
    places: dict[int, Path | None] = {}
    # Chunks to be tried a second time, with no other beside them.
    again: deque[int] = deque()
    tried: set[int] = set()

    def submit(position: int) -> None:
        places[position], output = _kept(checkpoints, plan[position])
        future = _submit(executor, processor, plan[position], output)
        pending[future] = position
        future.add_done_callback(done.put)

    try:
        while (todo or again or pending) and not (stop() and done.empty()):
            while todo and not again and len(pending) < ahead and done.empty():
                submit(todo.popleft())
            if again and not pending:
                submit(again.popleft())
            for future in _finished(done):
                position, outcome = pending.pop(future), _outcome(future)
                if outcome.alone and position not in tried:
                    tried.add(position)
                    again.append(position)
                else:
                    _keep(checkpoints, places.pop(position), outcome)
                    yield position, outcome
    finally:
        for future in pending:
            future.cancel()
        if pending and stop():
            executor.shutdown(wait=False)


def _finished(done: "queue.SimpleQueue[Future[Outcome]]") -> Iterator["Future[Outcome]"]:
    """Those that are finished, after a moment of waiting."""
    try:
        yield done.get(timeout=_LISTENING)
        while True:
            yield done.get_nowait()
    except queue.Empty:
        return


def _submit(
    executor: Executor, processor: ProcessorABC, chunk: Chunk, output: dict[str, Any] | None
) -> "Future[Outcome]":
    future: Future[Outcome] = Future()
    if chunk.bad or output is not None:
        future.set_result(Outcome(output, unreadable=chunk.bad, resumed=output is not None))
        return future
    try:
        return executor.submit(process_chunk, processor, chunk)
    # A pool that takes no more work; the chunk is lost, the account goes on.
    except RuntimeError as error:
        future.set_result(Outcome(lost=f"{type(error).__name__}: {error}"))
        return future


def _outcome(future: "Future[Outcome]") -> Outcome:
    # Set where not only the chunk failed but its worker is gone.
    error: BaseException | None
    try:
        error = future.exception()
    except CancelledError as cancelled:
        error = cancelled
    # Where it was to run is not as it must be: no chunk is to blame.
    if isinstance(error, InputError):
        raise error
    if error is None:
        return future.result()
    died = isinstance(error, BrokenExecutor)
    # The first time, it is tried again: this is said of the second.
    where = "its worker died twice, also with no other chunk beside it; killed for memory? "
    text = f"{where}take a smaller --chunksize ({type(error).__name__})" if died else reason(error)
    return Outcome(lost=text, alone=died)


def _kept(
    checkpoints: Checkpoints | None, chunk: Chunk
) -> tuple[Path | None, dict[str, Any] | None]:
    """Where the result of a chunk is to be kept, or the one that was kept before."""
    if checkpoints is None or chunk.bad:
        return None, None
    try:
        # Before it is read: what replaces the file meanwhile does not count.
        place = checkpoints.path(chunk)
    except OSError:
        return None, None
    output = checkpoints.load(place)
    return (place, None) if output is None else (None, output)


def _keep(checkpoints: Checkpoints | None, place: Path | None, outcome: Outcome) -> None:
    """Keep a result; a folder that takes no more costs no result."""
    if checkpoints is None or place is None or outcome.output is None:
        return
    try:
        checkpoints.save(place, outcome.output)
    except OSError as error:
        log.warning("%s: cannot be kept (%s)", place, error.strerror or error)
