"""Where chunks are processed: in this process, in threads, in a loky pool, or on a dask cluster.

All four are ``concurrent.futures`` executors. They differ in where a chunk runs, in nothing else:
planning, accounting and the order of the sum are :mod:`processors.run`'s.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from fileset.errors import InputError, closest


class InProcess(Executor):
    """Executor that runs a task when it is submitted, in this process."""

    ahead = 1

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run the task now and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


_imported: dict[str, str] = {}


class Pool(Executor):
    """Executor of processes that stay for the next run, and are replaced when one of them dies.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # A worker that dies takes along all that was submitted: no more than keeps others busy.
        self.ahead = 2 * workers

    def prepare(self, code: str) -> None:
        """Begin with new processes if those that there are may have imported other code.

        Parameters
        ----------
        code : str
            Digest of the source that the tasks to come are made of.
        """
        if _imported.setdefault("code", code) != code:
            self.shutdown(wait=False)
            _imported["code"] = code

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run the task in a process that is free."""
        return self._pool().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, whatever they are doing if nobody waits for it."""
        self._pool().shutdown(wait, kill_workers=not wait)

    def _pool(self) -> Any:
        import loky

        return loky.get_reusable_executor(self.workers, timeout=600, initializer=_leave_interrupts)


def _leave_interrupts() -> None:
    """Ctrl-C at a terminal reaches all its processes: what to do is decided by one of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _iterative(workers: int, scheduler: str | None) -> Iterator[Executor]:
    yield InProcess()


@contextlib.contextmanager
def _threads(workers: int, scheduler: str | None) -> Iterator[Executor]:
    # Decompression and the fill let other threads run; what is between them takes turns.
    with ThreadPoolExecutor(max_workers=workers) as pool:
        yield pool


@contextlib.contextmanager
def _futures(workers: int, scheduler: str | None) -> Iterator[Executor]:
    yield Pool(workers)


@contextlib.contextmanager
def _dask(workers: int, scheduler: str | None) -> Iterator[Executor]:
    import distributed

    with contextlib.ExitStack() as stack:
        if scheduler is None:
            cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None
            )
            client = distributed.Client(stack.enter_context(cluster))
        else:
            try:
                client = distributed.Client(scheduler, timeout="10s")
            except (OSError, ValueError) as error:
                raise InputError(
                    f"no dask scheduler answers at {scheduler}: {error}; start one with "
                    "'dask scheduler' or leave --scheduler out"
                ) from None
        # Not pure: with pure keys dask answers an identical task from an earlier run's results.
        yield stack.enter_context(client).get_executor(pure=False, retries=2)


EXECUTORS = {
    "iterative": _iterative,
    "threads": _threads,
    "futures": _futures,
    "dask": _dask,
}
"""Name to a context manager of (workers, scheduler) that yields an executor."""


def open_executor(
    name: str, *, workers: int | None = None, scheduler: str | None = None
) -> contextlib.AbstractContextManager[Executor]:
    """Start, or connect to, the place where chunks are processed.

    Parameters
    ----------
    name : str
        Key of :data:`EXECUTORS`.
    workers : int, optional
        Processes to start; the number of cores by default. Not used with ``scheduler``.
    scheduler : str, optional
        Address of a running dask scheduler.

    Returns
    -------
    context manager of concurrent.futures.Executor

    Raises
    ------
    InputError
        For an unknown name, or a scheduler that does not answer.
    """
    if name not in EXECUTORS:
        raise InputError(f"no executor {name!r}; {closest(name, EXECUTORS)}")
    if scheduler is not None and name != "dask":
        raise InputError(f"--scheduler needs the dask executor, not {name!r}")
    return EXECUTORS[name](workers or os.cpu_count() or 1, scheduler)
