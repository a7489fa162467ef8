"""From a plan to a sum with nothing lost: submit, account, reduce in order.

Every chunk either enters the sum once or is in the ledger with the reason. Chunks are added in the
order of the plan, whatever the order in which they finish, so that the sum is the same to the last
bit for any executor and any number of workers.
"""

import logging
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from pathlib import Path
from typing import Any

from fileset.coffea_api import ProcessorABC
from fileset.errors import InputError
from fileset.exposure import Ledger, settle
from fileset.opening import reason
from fileset.plan import Chunk

from .checkpoints import Checkpoints
from .executors import Pool
from .fingerprint import files_of
from .reduction import Reduction
from .work import Done, Outcome, process_branch

log = logging.getLogger(__name__)

PENDING = 1000
"""Tasks submitted ahead: enough to keep a large cluster busy."""
INTERRUPTED = "not processed: the run was interrupted"
_LISTENING = 0.2

Progress = Callable[[Chunk, Outcome], None]
"""Told of each chunk that is done."""


def run(
    plan: Sequence[Chunk],
    processor: ProcessorABC,
    executor: Executor,
    *,
    skip_bad_files: bool = False,
    progress: Progress = lambda chunk, outcome: None,
    resume: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    timeout: float | None = None,
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
    timeout : float, optional
        Longest time for one chunk [s]; one that takes longer is lost.

    Returns
    -------
    output : dict
        Sum of the chunks' outputs, in the order of :mod:`processors.reduction`, histograms as
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
    # What is smaller to send and to add than histograms, where a processor can give it.
    summing = getattr(processor, "summing", lambda: processor)()
    if isinstance(executor, Pool):
        executor.prepare(files_of(summing))
    kept = Checkpoints.of(summing, resume) if resume else None
    reduction = Reduction(plan, skip_bad_files)
    tasks = _Tasks(plan, summing, executor, reduction, kept, (skip_bad_files, timeout))
    lost: dict[int, str] = {}
    bad: dict[int, str] = {}
    met: set[int] = set()
    for branch, done in tasks.results(stop):
        for position, outcome in zip(branch, done.outcomes, strict=True):
            progress(plan[position], outcome)
            if outcome.refused and not skip_bad_files:
                raise InputError(outcome.refused)
            if outcome.failed:
                lost[position] = outcome.lost or outcome.refused or outcome.unreadable
            if outcome.bad:
                bad[position] = lost[position]
        met.update(branch)
        reduction.add(branch, done.output, any(outcome.bad for outcome in done.outcomes))
    lost |= dict.fromkeys(set(range(len(plan))) - met, INTERRUPTED)
    skipped: set[int] = set()
    # Or skipped before, when the file was preprocessed.
    left = (position for position in bad if skip_bad_files or plan[position].bad)
    for position in sorted(left, reverse=True):
        chunks = reduction.file_of(position)[1]
        lost |= dict.fromkeys(chunks, bad[position])
        skipped.update(chunks)
    _check_left(plan, lost, skipped)
    if kept is not None and not lost:
        kept.clean()
    total = summing.postprocess(reduction.total() or {})
    summed = ((name, *key) for name, result in total.items() for key in result["ledger"])
    return total, settle(plan, summed, lost, skipped)


def _check_left(plan: Sequence[Chunk], lost: dict[int, str], skipped: set[int]) -> None:
    """Refuse a sum without a dataset that was planned: it would pass for an empty one."""
    left = {chunk.dataset for position, chunk in enumerate(plan) if position not in skipped}
    for position in sorted(skipped):
        if (name := plan[position].dataset) not in left:
            raise InputError(f"dataset {name!r}: no file can be used; the first: {lost[position]}")


class _Tasks:
    """Branches of a plan as tasks of an executor."""

    def __init__(
        self,
        plan: Sequence[Chunk],
        processor: ProcessorABC,
        executor: Executor,
        reduction: Reduction,
        checkpoints: Checkpoints | None,
        options: tuple[bool, float | None],
    ) -> None:
        self.plan = plan
        self.processor = processor
        self.executor = executor
        self.reduction = reduction
        self.checkpoints = checkpoints
        self.options = options
        self.pending: dict[Future[Done], range] = {}
        self.done: queue.SimpleQueue[Future[Done]] = queue.SimpleQueue()
        self.places: dict[int, Path | None] = {}
        self.todo = deque([range(len(plan))] if plan else [])
        # Chunks to be tried a second time, with no other beside them.
        self.alone: deque[range] = deque()
        self.tried: set[int] = set()

    def results(self, stop: Callable[[], bool]) -> Iterator[tuple[range, Done]]:
        """Branches as they are done, each once."""
        try:
            while (self.todo or self.alone or self.pending) and not (stop() and self.done.empty()):
                self._fill()
                for future in _finished(self.done):
                    branch = self.pending.pop(future)
                    done = self._result(future, branch)
                    if done is not None:
                        yield branch, done
        finally:
            for future in self.pending:
                future.cancel()
            if self.pending and stop():
                self.executor.shutdown(wait=False)

    def _fill(self) -> None:
        """Submit as much as keeps the executor busy."""
        ahead = getattr(self.executor, "ahead", PENDING)
        while self.todo and not self.alone and len(self.pending) < ahead and self.done.empty():
            self._submit(self._next())
        if self.alone and not self.pending:
            self._submit(self.alone.popleft())

    def _next(self) -> range:
        """The next branch to process."""
        left = self.todo.popleft()
        # What is to be kept comes one by one.
        together = getattr(self.executor, "together", None) if self.checkpoints is None else None
        size = min(len(left), together(len(self.plan)) if together else 1)
        branch = self.reduction.branch(left.start, size)
        if branch.stop < left.stop:
            self.todo.appendleft(range(branch.stop, left.stop))
        return branch

    def _submit(self, branch: range) -> None:
        chunks = [self.plan[position] for position in branch]
        self.places[branch.start], output = self._kept(chunks)
        if output is not None:
            future: Future[Done] = Future()
            future.set_result(Done([Outcome(resumed=True)], output))
        else:
            future = _submitted(self.executor, self.processor, chunks, *self.options)
        self.pending[future] = branch
        future.add_done_callback(self.done.put)

    def _kept(self, chunks: list[Chunk]) -> tuple[Path | None, dict[str, Any] | None]:
        """Where the result of a chunk is to be kept, or the one that was kept before."""
        if self.checkpoints is None or chunks[0].bad:
            return None, None
        try:
            # Before it is read: what replaces the file meanwhile does not count.
            place = self.checkpoints.path(chunks[0])
        except OSError:
            return None, None
        output = self.checkpoints.load(place)
        return (place, None) if output is None else (None, output)

    def _result(self, future: "Future[Done]", branch: range) -> Done | None:
        """What became of a branch; None if it is to be tried again in another way."""
        done = _done(future)
        place = self.places.pop(branch.start)
        if any(outcome.hung for outcome in done.outcomes) and hasattr(self.executor, "replace"):
            self.executor.replace(done.worker)
        complete = len(done.outcomes) == len(branch)
        if len(branch) > 1 and not complete and not any(o.refused for o in done.outcomes):
            # One of them is to blame: which one shows when each is on its own.
            self.todo.extendleft(range(p, p + 1) for p in reversed(branch))
            return None
        if done.outcomes[0].alone and branch.start not in self.tried:
            self.tried.add(branch.start)
            self.alone.append(branch)
            return None
        if self.checkpoints is not None and place is not None and done.output is not None:
            _keep(self.checkpoints, place, done.output)
        return done


def _finished(done: "queue.SimpleQueue[Future[Done]]") -> "Iterator[Future[Done]]":
    """Those that are finished, after a moment of waiting."""
    try:
        yield done.get(timeout=_LISTENING)
        while True:
            yield done.get_nowait()
    except queue.Empty:
        return


def _submitted(executor: Executor, *task: Any) -> "Future[Done]":
    try:
        return executor.submit(process_branch, *task)
    # A pool that takes no more work; the chunks are lost, the account goes on.
    except RuntimeError as error:
        future: Future[Done] = Future()
        future.set_result(Done([Outcome(lost=f"{type(error).__name__}: {error}")]))
        return future


def _done(future: "Future[Done]") -> Done:
    # Set where not only a chunk failed but its worker is gone.
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
    return Done([Outcome(lost=text, alone=died)])


def _keep(checkpoints: Checkpoints, place: Path, output: dict[str, Any]) -> None:
    """Keep a result; a folder that takes no more costs no result."""
    try:
        checkpoints.save(place, output)
    except OSError as error:
        log.warning("%s: cannot be kept (%s)", place, error.strerror or error)
