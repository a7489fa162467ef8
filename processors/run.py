"""From a plan to a sum with nothing lost: submit, account, reduce in order.

Every chunk either enters the sum once or is in the ledger with the reason. Chunks are added in the
order of the plan, whatever the order in which they finish, so that the sum is the same to the last
bit for any executor and any number of workers.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from typing import Any, NamedTuple

from fileset.coffea_api import ProcessorABC, accumulate
from fileset.errors import InputError, printable
from fileset.exposure import Ledger, settle
from fileset.opening import damage, is_reading, origin, reason
from fileset.plan import Chunk
from fileset.remote import is_transient

from .executors import InProcess

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a chunk is tried when a network or a file server, which may recover, is to blame."""
PENDING = 1000
"""Chunks submitted ahead: enough to keep a large cluster busy."""


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
    """

    output: dict[str, Any] | None = None
    refused: str = ""
    unreadable: str = ""
    lost: str = ""

    @property
    def bad(self) -> bool:
        """Whether it is the file that is to blame."""
        return bool(self.refused or self.unreadable)


def process_chunk(processor: ProcessorABC, chunk: Chunk) -> Outcome:
    """Open and process one chunk; runs on the worker, where errors can still be told apart."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return Outcome(output=processor.process(chunk.open()))
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
            return Outcome(lost=reason(error))
    raise AssertionError("unreachable")


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
    progress: Callable[[Chunk], None] = lambda chunk: None,
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
        Called with each chunk that is done.

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
    # What is smaller to send and to add than histograms, where a processor can give it.
    summing = getattr(processor, "summing", lambda: processor)()
    stream = _in_order(_outcomes(plan, summing, executor), plan, progress)
    for _, group in itertools.groupby(stream, key=lambda item: plan[item[0]].file):
        chunks = {}
        for position, outcome in group:
            if outcome.refused and not skip_bad_files:
                raise InputError(outcome.refused)
            chunks[position] = outcome
        bad = next((o.refused or o.unreadable for o in chunks.values() if o.bad), "")
        if bad and skip_bad_files:
            lost |= dict.fromkeys(chunks, bad)
            skipped |= chunks.keys()
            continue
        lost |= {p: why for p, o in chunks.items() if (why := o.lost or o.unreadable)}
        outputs = [o.output for o in chunks.values() if o.output is not None]
        if outputs:
            total = accumulate([accumulate(outputs)], total)
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
    outcomes: Iterable[tuple[int, Outcome]],
    plan: Sequence[Chunk],
    progress: Callable[[Chunk], None],
) -> Iterator[tuple[int, Outcome]]:
    """Outcomes in the order of the plan, each as soon as all those before it are there."""
    done: dict[int, Outcome] = {}
    following = 0
    for position, outcome in outcomes:
        done[position] = outcome
        progress(plan[position])
        while following in done:
            yield following, done.pop(following)
            following += 1


def _outcomes(
    plan: Sequence[Chunk], processor: ProcessorABC, executor: Executor
) -> Iterator[tuple[int, Outcome]]:
    """Outcomes as they come, each with its position in the plan."""
    todo = iter(enumerate(plan))
    ahead = 1 if isinstance(executor, InProcess) else getattr(executor, "ahead", PENDING)
    pending: dict[Future[Outcome], int] = {}
    try:
        while True:
            for position, chunk in itertools.islice(todo, ahead - len(pending)):
                pending[_submit(executor, processor, chunk)] = position
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                yield pending.pop(future), _outcome(future)
    finally:
        for future in pending:
            future.cancel()


def _submit(executor: Executor, processor: ProcessorABC, chunk: Chunk) -> "Future[Outcome]":
    future: Future[Outcome] = Future()
    if chunk.bad:
        future.set_result(Outcome(unreadable=chunk.bad))
        return future
    try:
        return executor.submit(process_chunk, processor, chunk)
    # A pool whose worker died takes no more work; the chunk is lost, the account goes on.
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
    return Outcome(lost=f"{type(error).__name__}: {error}") if error else future.result()
