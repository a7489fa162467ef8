"""A dask cluster: checked before the first chunk, watched to the end.

:mod:`processors.cluster_profile` reads what it is.
"""

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, InvalidStateError
from pathlib import Path
from typing import Any

from fileset.errors import InputError
from fileset.memory import keep_freed_memory

from .cluster_profile import BATCH_CLASSES, Profile
from .work import Done

log = logging.getLogger(__name__)

_LEAST_AHEAD = 50
# Enough tasks to share them out evenly, not so many chunks in one that much is lost with it.
_TASKS_PER_THREAD, _MOST_TOGETHER = 8, 64


def _code() -> str:
    """Version of the package, and a hash of its source: workers may run an older checkout.

    As it is when it is imported: a worker that lives long does not see what was changed since.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    # Blocks of toys come from the last one.
    for package in ("fileset", "processors", "analysis"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    try:
        version = importlib.metadata.version("nudipole")
    except importlib.metadata.PackageNotFoundError:
        version = "not installed"
    return f"{version} (code {digest.hexdigest()[:8]})"


# Under this name dask's own question about versions finds it, on workers of any Python.
__version__ = _code()

_COMPARED = (__name__, "awkward", "coffea", "distributed", "numba", "numpy", "uproot")
_SUBMIT = {"slurm": "sbatch", "htcondor": "condor_submit"}


@contextlib.contextmanager
def open_cluster(profile: Profile) -> Iterator[Executor]:
    """Start a cluster, or connect to one, and see that its workers are like this process.

    Raises
    ------
    InputError
        If it cannot be started, does not answer, gets no worker, or its environment differs.
    """
    # Sets its logging up when it is imported; it would tell of every connection.
    import distributed  # noqa: F401

    if not log.isEnabledFor(logging.DEBUG):
        logging.getLogger("distributed").setLevel(logging.WARNING)
    with contextlib.ExitStack() as stack:
        client = _connect(profile, stack)
        if link := _dashboard(client):
            log.info("dashboard: %s", link)
        _check_workers(client, profile.timeout)
        yield stack.enter_context(DaskExecutor(client, profile.timeout, profile.maximum or 0))


def _connect(profile: Profile, stack: contextlib.ExitStack) -> Any:
    import distributed

    security = _security(profile.tls)
    # A scheduler of our own is in this process: what it can reach, so can the client.
    direct = profile.kind != "scheduler" or None
    address: Any = profile.options.get("address")
    if profile.kind != "scheduler":
        address = stack.enter_context(_start(profile, security))
        if profile.maximum is not None:
            address.adapt(minimum=profile.minimum, maximum=profile.maximum)
        elif profile.kind in BATCH_CLASSES:
            address.scale(profile.workers)
    try:
        client = distributed.Client(
            address, security=security, timeout="10s", direct_to_workers=direct
        )
    except (OSError, ValueError, TypeError) as error:
        secure = "[tls] in a --cluster profile or in dask's configuration names the certificates"
        raise InputError(
            f"no dask scheduler answers at {address}: {error}; "
            + (secure if "tls:" in str(address) else "start one with 'dask scheduler'")
        ) from None
    return stack.enter_context(client)


def _security(tls: dict[str, str]) -> Any:
    import distributed

    if not tls:
        # dask's configuration decides.
        return None
    for path in tls.values():
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file; [tls] of the cluster profile names it")
    roles = ("client", "scheduler", "worker")
    pairs = {f"tls_{role}_{part}": tls[part] for role in roles for part in ("cert", "key")}
    return distributed.Security(tls_ca_file=tls["ca_file"], require_encryption=True, **pairs)


def _start(profile: Profile, security: Any) -> Any:
    """A cluster of our own; its scheduler is in this process."""
    options = dict(profile.options)
    if security is not None:
        options |= {"security": security, "protocol": "tls://"}
    if profile.kind == "local":
        import distributed

        # One process per core takes no turns with others; "auto" is a fair part of the memory.
        return distributed.LocalCluster(
            n_workers=profile.minimum if profile.maximum else profile.workers or os.cpu_count(),
            threads_per_worker=1,
            memory_limit=options.pop("memory", "auto"),
            dashboard_address=profile.dashboard,
            **options,
        )
    try:
        jobqueue = importlib.import_module("dask_jobqueue")
    except ImportError:
        raise InputError(
            f"kind {profile.kind!r} needs dask-jobqueue: pip install 'nudipole[cluster]'"
        ) from None
    # Without it dask only logs that it cannot submit, and there would be no worker.
    if not shutil.which(program := _SUBMIT[profile.kind]):
        raise InputError(f"no {program} here; run this where jobs can be submitted")
    options.setdefault("processes", options.get("cores"))
    options["scheduler_options"] = {"dashboard_address": profile.dashboard}
    try:
        return getattr(jobqueue, BATCH_CLASSES[profile.kind])(**options)
    # Its own words for a key that is missing or makes no sense.
    except (ValueError, TypeError) as error:
        raise InputError(f"{profile.kind} cluster: {error}") from error


def _dashboard(client: Any) -> str:
    """Link to the dashboard; empty if the scheduler has none."""
    with contextlib.suppress(Exception):
        return str(client.dashboard_link or "")
    return ""


def environment() -> tuple[tuple[str, str], ...]:
    """Names and versions that must be the same here and on every worker."""
    from distributed.versions import get_package_info

    return _compared(get_package_info(_COMPARED))


def _compared(found: dict[str, str | None]) -> tuple[tuple[str, str], ...]:
    python = ".".join(str(found["python"]).split(".")[:2])
    versions = {name.replace(__name__, "nudipole"): found.get(name) for name in _COMPARED}
    return ("python", python), *((name, v or "none") for name, v in versions.items())


def _difference(
    where: str, here: tuple[tuple[str, str], ...], there: tuple[tuple[str, str], ...]
) -> str:
    """One line about a worker that is not like the client; empty if it is."""
    pairs = zip(here, there, strict=True)
    found = [f"{name} {has} instead of {own}" for (name, own), (_, has) in pairs if has != own]
    if not found:
        return ""
    return f"{where} has {', '.join(found)}; start it anew in the environment of this command"


def _check_workers(client: Any, timeout: float) -> None:
    """Wait for a worker and compare all that are there with this process."""
    # A cluster that grows with the work must see some.
    probe = client.submit(int, pure=False)
    log.info("waiting for the first worker, for %g s at most", timeout)
    try:
        client.wait_for_workers(1, timeout=timeout)
    except TimeoutError:
        raise InputError(
            f"no worker came within {timeout:g} s; look at the queue and the logs of the workers, "
            "or raise 'timeout' in the cluster profile"
        ) from None
    here = environment()
    # Needs nothing of ours on the workers, nor their Python to be like this one.
    workers = client.get_versions(packages=list(_COMPARED))["workers"]
    found = [
        _difference(f"worker {address}", here, _compared(info["packages"]))
        for address, info in workers.items()
    ]
    if wrong := [line for line in found if line]:
        raise InputError(wrong[0] + (f" ({len(wrong)} workers differ)" if wrong[1:] else ""))
    probe.release()


_preparing = threading.Lock()


@functools.cache
def _prepare(expected: tuple[tuple[str, str], ...]) -> str:
    """Make a worker process ready, once; what is wrong with it, if anything is."""
    import distributed

    worker = distributed.get_worker()
    if problem := _difference(f"worker {worker.address}", expected, environment()):
        return problem
    # What is kept counts as used: a worker near its limit gets no work.
    if limit := worker.memory_manager.memory_limit:
        keep_freed_memory(limit // 8)
    try:
        warm_up()
    # A worker without a place for temporary files may still do its work.
    except Exception:
        log.debug("warm-up failed", exc_info=True)
    return ""


def warm_up() -> None:
    """Compile what a chunk needs, on a handful of simulated events."""
    from fileset import load_fileset, make_plan
    from fileset.simulate import simulate

    from .nuone import NuoneProcessor

    with tempfile.TemporaryDirectory() as folder:
        (path,) = simulate(Path(folder) / "warm_up", events=50, sample="nd", seed=1)
        (chunk,) = make_plan(load_fileset({"nd": {"files": [str(path)]}}))
        NuoneProcessor().summing().process(chunk.open())


def _work(
    expected: tuple[tuple[str, str], ...], fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """Run a task on a worker that is known to be like the client: workers come late, too."""
    with _preparing:
        problem = _prepare(expected)
    if problem:
        raise InputError(problem)
    result = fn(*args, **kwargs)
    if isinstance(result, Done):
        import distributed

        return result._replace(worker=distributed.get_worker().address)
    return result


class KilledWorkerError(BrokenExecutor):
    """Several workers died with a task, which need not have been its fault."""


def _like_a_pool(error: BaseException) -> BaseException:
    """Error that says the same as a pool of processes would."""
    import distributed

    return KilledWorkerError() if isinstance(error, distributed.KilledWorker) else error


class DaskExecutor(Executor):
    """Executor over a dask client that does not wait for ever for workers that are gone.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        How long there may be no worker [s]; then all that is left fails.
    maximum : int
        Workers that there may be later.
    """

    def __init__(self, client: Any, timeout: float, maximum: int = 0) -> None:
        # Not pure: with pure keys dask answers an identical task from an earlier run's results.
        self._inner = client.get_executor(pure=False, retries=2)
        self._client = client
        self._timeout = timeout
        self._maximum = maximum
        self._environment = environment()
        self._pending: dict[Future[Any], Future[Any]] = {}
        self._problem = ""
        self._threads = 0
        self._look()
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._watch_workers, daemon=True)
        self._watch.start()

    @property
    def ahead(self) -> int:
        """Tasks that keep every worker busy: more of them would fill this process with results."""
        return max(_LEAST_AHEAD, 2 * self._threads)

    def together(self, chunks: int) -> int:
        """How many chunks of a plan a worker adds up before it sends the sum."""
        threads = max(self._threads, self._maximum, 1)
        return min(chunks // (_TASKS_PER_THREAD * threads), _MOST_TOGETHER)

    def replace(self, worker: str) -> None:
        """Start a worker anew that has something hanging in it, if it has a nanny to do so."""

        def restart() -> None:
            try:
                self._client.restart_workers([worker], timeout=30)
            # Of one without a nanny, or that is gone.
            except Exception as error:
                log.warning("worker %s is not started anew: %s", worker, error)

        threading.Thread(target=restart, daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Send a task; its future fails, at the latest when no worker is left to do it."""
        if self._problem:
            raise RuntimeError(self._problem)
        inner = self._inner.submit(_work, self._environment, fn, *args, **kwargs)
        future: Future[Any] = Future()
        self._pending[future] = inner
        future.add_done_callback(self._forget)
        inner.add_done_callback(functools.partial(self._hand_over, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop watching, forget what is not done."""
        self._closed.set()
        self._watch.join()
        for future in list(self._pending):
            future.cancel()

    def _forget(self, future: "Future[Any]") -> None:
        # The two must not refer to each other: results would wait for the garbage collector.
        self._pending.pop(future).cancel()

    def _hand_over(self, future: "Future[Any]", inner: "Future[Any]") -> None:
        # Whoever gave up on the future first was right.
        with contextlib.suppress(InvalidStateError):
            if inner.cancelled():
                future.set_exception(CancelledError("the dask scheduler forgot the task"))
            elif (error := inner.exception()) is not None:
                future.set_exception(_like_a_pool(error))
            else:
                future.set_result(inner.result())

    def _watch_workers(self) -> None:
        seen = time.monotonic()
        while not self._closed.wait(min(5.0, self._timeout / 4)):
            problem = self._look()
            # Nothing to do is no reason to have workers.
            if not problem or not self._pending:
                seen = time.monotonic()
            elif time.monotonic() - seen > self._timeout:
                self._give_up(problem)
                return

    def _look(self) -> str:
        """Why nothing is being done; empty if a worker can do something."""
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        # The client tries for a while to connect again.
        except Exception:
            return "no answer of the dask scheduler"
        self._threads = sum(w["nthreads"] for w in workers if w["status"] == "running")
        if self._threads:
            return ""
        if workers:
            return (
                "all dask workers are paused near their memory limit: give them more 'memory' or "
                "take a smaller --chunksize; nothing was done"
            )
        return "no dask worker: look at their logs and start new ones; nothing was done"

    def _give_up(self, problem: str) -> None:
        self._problem = f"{problem} for {self._timeout:g} s"
        for future in list(self._pending):
            with contextlib.suppress(InvalidStateError):
                future.set_exception(RuntimeError(self._problem))
