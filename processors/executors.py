"""Where chunks are processed: in this process, in threads, in a loky pool, or on a dask cluster.

All four are ``concurrent.futures`` executors. They differ in where a chunk runs, in nothing else:
planning, accounting and the order of the sum are :mod:`processors.run`'s.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fileset.errors import InputError, closest

from .cluster import open_cluster, warm_up
from .cluster_profile import Profile, load_profile

log = logging.getLogger(__name__)


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

    def replace(self, worker: int) -> None:
        """End a process that will never be free; what others had begun is done again."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, whatever they are doing if nobody waits for it."""
        self._pool().shutdown(wait, kill_workers=not wait)

    def _pool(self) -> Any:
        import loky

        return loky.get_reusable_executor(self.workers, timeout=600, initializer=_begin)


def _begin() -> None:
    """Make a process ready: no chunk is to wait, or be given up, for kernels that are compiled."""
    # Ctrl-C at a terminal reaches all its processes: what to do is decided by one of them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        warm_up()
    # One without a place for temporary files may still do its work.
    except Exception:
        log.debug("warm-up failed", exc_info=True)


@contextlib.contextmanager
def _iterative(workers: int, profile: Profile | None) -> Iterator[Executor]:
    yield InProcess()


@contextlib.contextmanager
def _threads(workers: int, profile: Profile | None) -> Iterator[Executor]:
    # Decompression and the fill let other threads run; what is between them takes turns.
    with ThreadPoolExecutor(max_workers=workers) as pool:
        yield pool


@contextlib.contextmanager
def _futures(workers: int, profile: Profile | None) -> Iterator[Executor]:
    yield Pool(workers)


def _dask(workers: int, profile: Profile | None) -> contextlib.AbstractContextManager[Executor]:
    return open_cluster(profile or Profile(workers=workers))


EXECUTORS = {
    "iterative": _iterative,
    "threads": _threads,
    "futures": _futures,
    "dask": _dask,
}
"""Name to a context manager of (workers, profile of a cluster) that yields an executor."""


def open_executor(
    name: str,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: Path | None = None,
) -> contextlib.AbstractContextManager[Executor]:
    """Start, or connect to, the place where chunks are processed.

    Parameters
    ----------
    name : str
        Key of :data:`EXECUTORS`.
    workers : int, optional
        Processes to start; the number of cores by default. Not used with the two others.
    scheduler : str, optional
        Address of a running dask scheduler.
    cluster : Path, optional
        Profile of a dask cluster to start or connect to: :mod:`processors.cluster`.

    Returns
    -------
    context manager of concurrent.futures.Executor

    Raises
    ------
    InputError
        For an unknown name, a bad profile, or a scheduler that does not answer.
    """
    if name not in EXECUTORS:
        raise InputError(f"no executor {name!r}; {closest(name, EXECUTORS)}")
    if (scheduler is not None or cluster is not None) and name != "dask":
        raise InputError(f"--scheduler and --cluster need the dask executor, not {name!r}")
    if scheduler is not None and cluster is not None:
        raise InputError("--scheduler and --cluster: give one of them; a profile has an 'address'")
    profile = load_profile(cluster) if cluster is not None else None
    if scheduler is not None:
        profile = Profile(kind="scheduler", options={"address": scheduler})
    return EXECUTORS[name](workers or os.cpu_count() or 1, profile)
