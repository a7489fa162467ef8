"""From a plan to a sum with nothing lost: submit, account, reduce in order.

Every chunk either enters the sum once or is in the ledger with the reason. Chunks are added in the
order of the plan, whatever the order in which they finish, so that the sum is the same to the last
bit for any executor and any number of workers.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from typing import Any, NamedTuple

from fileset.coffea_api import ProcessorABC, accumulate
from fileset.errors import InputError
from fileset.exposure import Ledger, settle
from fileset.plan import Chunk

from .executors import InProcess

log = logging.getLogger(__name__)

# What a network or a file server may recover from; anything else fails the same way again.
TRANSIENT = (ConnectionError, TimeoutError, BlockingIOError)
ATTEMPTS = 3
PENDING = 1000
"""Chunks submitted ahead: enough to keep a large cluster busy."""


class Outcome(NamedTuple):
    """What became of a chunk: its output, or why there is none.

    Attributes
    ----------
    output : dict, optional
    refused : str
        The input is wrong and the run must stop.
    lost : str
        The chunk failed; others need not.
    """

    output: dict[str, Any] | None = None
    refused: str = ""
    lost: str = ""


def process_chunk(processor: ProcessorABC, chunk: Chunk) -> Outcome:
    """Open and process one chunk; runs on the worker, where errors can still be told apart."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return Outcome(output=processor.process(chunk.open()))
        except InputError as error:
            return Outcome(refused=str(error))
        except TRANSIENT as error:
            if attempt == ATTEMPTS:
                return Outcome(lost=f"{type(error).__name__}: {error} ({ATTEMPTS} attempts)")
            time.sleep(0.5 * 2**attempt)
        # Any other failure, in a library or in a user's function, costs this chunk and is
        # reported; the run goes on and then says what is missing.
        except Exception as error:
            log.debug("chunk failed", exc_info=True)
            return Outcome(lost=f"{type(error).__name__}: {error}")
    raise AssertionError("unreachable")


def run(
    plan: Sequence[Chunk],
    processor: ProcessorABC,
    executor: Executor,
    *,
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
    progress : callable
        Called with each chunk that is done.

    Returns
    -------
    output : dict
        Sum of the chunks' outputs, in the order of the plan.
    ledger : fileset.Ledger
        What is in the sum; ``ledger.missing`` what is not, with the reason.

    Raises
    ------
    InputError
        If a chunk was refused because its input is wrong.
    RuntimeError
        If the sum is inconsistent, which no input should be able to cause.
    """
    total: dict[str, Any] | None = None
    done: dict[int, Outcome] = {}
    lost: dict[int, str] = {}
    following = 0
    for position, outcome in _outcomes(plan, processor, executor):
        if outcome.refused:
            raise InputError(outcome.refused)
        if outcome.lost:
            lost[position] = outcome.lost
        done[position] = outcome
        progress(plan[position])
        while following in done:
            output = done.pop(following).output
            if output is not None:
                total = accumulate([output], total)
            following += 1
    total = processor.postprocess(total or {})
    summed = ((name, *key) for name, result in total.items() for key in result["ledger"])
    return total, settle(plan, summed, lost)


def _outcomes(
    plan: Sequence[Chunk], processor: ProcessorABC, executor: Executor
) -> Iterator[tuple[int, Outcome]]:
    """Outcomes as they come, each with its position in the plan."""
    todo = iter(enumerate(plan))
    ahead = 1 if isinstance(executor, InProcess) else PENDING
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
    try:
        return executor.submit(process_chunk, processor, chunk)
    # A pool whose worker died takes no more work; the chunk is lost, the account goes on.
    except RuntimeError as error:
        future: Future[Outcome] = Future()
        future.set_result(Outcome(lost=f"{type(error).__name__}: {error}"))
        return future


def _outcome(future: "Future[Outcome]") -> Outcome:
    # Set where not only the chunk failed but its worker is gone.
    error: BaseException | None
    try:
        error = future.exception()
    except CancelledError as cancelled:
        error = cancelled
    return Outcome(lost=f"{type(error).__name__}: {error}") if error else future.result()
