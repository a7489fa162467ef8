"""Real schedulers and workers, each a process of its own on this machine."""

import contextlib
import gc
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import weakref
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import distributed
import numpy as np
import psutil
import pytest
import trustme

from analysis import doctor
from analysis.cli import main
from fileset import InputError, load_fileset, make_plan
from processors import NuoneProcessor
from processors.cluster import DaskExecutor, _start, open_cluster
from processors.cluster_profile import COMMON, KINDS, Profile, load_profile
from processors.executors import InProcess, open_executor
from processors.filled import finished
from processors.run import run
from processors.templates import Templates

# Workers of other processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROOT = Path(__file__).resolve().parents[2]
MINE = """\
from processors import variation


@variation(uses=("nu_pdg",), one_sided=True)
def mine(events):
    return 1.0 + 0.1 * (events.nu_pdg == 14)
"""


class Slow(NuoneProcessor):
    """Takes so long that there is time to kill its worker."""

    def process(self, events):
        time.sleep(0.1)
        return super().process(events)


class Faulty(NuoneProcessor):
    """Does something before the third chunk."""

    def __init__(self, fault):
        super().__init__(variations="flux")
        self.fault = fault

    def process(self, events):
        if events.metadata["entrystart"] == 500 and "0000" in events.metadata["filename"]:
            self.fault()
        return super().process(events)


def fail():
    raise ValueError("no good")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def take_memory():
    """Fill more and more memory, until somebody ends it."""
    taken = []
    while True:
        taken.append(np.ones(5_000_000))
        time.sleep(0.02)


def hang():
    time.sleep(1000)


class Processes:
    """Scheduler and workers that a test starts; all end with it."""

    def __init__(self, folder, *tls):
        self.folder, self.tls = folder, tls
        self.running = []
        self.file = folder / "scheduler.json"
        # One death is enough to give a task up, for less waiting.
        self.environment = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        if tls:
            options += ["--protocol", "tls"]
        self.start("scheduler", *options)
        deadline = time.monotonic() + 30
        while not self.file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text(encoding="utf-8"))["address"]

    def start(self, kind, *options, path=ROOT):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, *self.tls]
        command += ["--scheduler-file", str(self.file)]
        with (self.folder / f"{kind}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | self.environment | {"PYTHONPATH": str(path)},
                stdout=log,
                stderr=log,
            )
        self.running.append(process)
        return process

    def worker(self, *options, nanny="--no-nanny", **more):
        return self.start(
            "worker", nanny, "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard",
            *options, **more,
        )  # fmt: skip

    def profile(self, timeout):
        path = self.folder / "profile.toml"
        path.write_text(
            f'kind = "scheduler"\naddress = "{self.address}"\ntimeout = {timeout}\n',
            encoding="utf-8",
        )
        return path

    def kill(self):
        for process in self.running:
            # A nanny that is killed would leave its worker behind.
            found = [process.pid, *(c.pid for c in children(process.pid))]
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def children(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


@pytest.fixture
def start(tmp_path):
    """Function that starts a scheduler; ends it and its workers."""
    started = []

    def make(*tls):
        started.append(Processes(tmp_path, *tls))
        return started[-1]

    yield make
    for processes in started:
        processes.kill()


@pytest.fixture(scope="module")
def plan(toy):
    """Twelve chunks."""
    return make_plan({"nd": load_fileset(toy)["nd"]}, chunksize=250)


def content(output):
    """Every number of every histogram, to the last bit."""
    results = finished(output)["nd"]
    return {k: h.view(flow=True).tobytes() for k, h in results.items() if hasattr(h, "view")}


@pytest.fixture(scope="module")
def clean(plan):
    output, ledger = run(plan, NuoneProcessor(variations="flux"), InProcess())
    return content(output), ledger


@pytest.fixture
def certificates(tmp_path):
    """Paths of an authority, a certificate of this machine and its key."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    paths = [tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")]
    authority.cert_pem.write_to_path(paths[0])
    issued.cert_chain_pems[0].write_to_path(paths[1])
    issued.private_key_pem.write_to_path(paths[2])
    return [str(path) for path in paths]


def test_encrypted_cluster_gives_the_same_with_a_variation_of_a_file_that_it_cannot_see(
    start, certificates, toy, tmp_path, capsys
):
    ca, cert, key = certificates
    cluster = start("--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key)
    cluster.worker()
    assert cluster.address.startswith("tls://")
    profile = cluster.profile(timeout=30)
    with profile.open("a", encoding="utf-8") as file:
        file.write('[tls]\nca_file = "ca.pem"\ncert = "cert.pem"\nkey = "key.pem"\n')
    own = tmp_path / "mine.py"
    own.write_text(MINE, encoding="utf-8")
    found = {}
    for where in ([], ["--cluster", str(profile)]):
        out = tmp_path / f"{len(where)}.zip"
        options = ["--variations", f"flux,{own}", "--chunksize", "700", *where]
        with pytest.raises(SystemExit) as stop:
            main(["process", str(toy), "-o", str(out), *options])
        assert stop.value.code == 0, capsys.readouterr().err
        templates = Templates.load(out)
        found[len(where)] = {
            name: h.view(flow=True).tobytes() for name, h in templates.histograms.items()
        }
        assert "mineUp" in templates.variations
    assert found[0] == found[2]
    assert doctor.cluster(profile, 30.0).startswith("the workers answer, with python 3.")
    with (
        pytest.raises(
            InputError, match=r"no dask scheduler answers at tls.*\[tls\] in a --cluster"
        ),
        open_executor("dask", scheduler=cluster.address),
    ):
        pass


def killing(worker):
    """Progress that kills a worker at the first chunk that is done."""

    def kill(chunk, outcome):
        worker.kill()
        worker.wait()

    return kill


def test_worker_that_is_killed_costs_nothing_and_the_last_one_does_not_hang_the_run(
    start, plan, clean
):
    cluster = start()
    workers = [cluster.worker() for _ in range(2)]
    with distributed.Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
    processor = Slow(variations="flux")
    with open_executor("dask", cluster=cluster.profile(timeout=2)) as executor:
        output, ledger = run(plan, processor, executor, progress=killing(workers[0]))
        assert workers[0].poll() is not None
        assert (content(output), ledger) == clean
        begun = time.monotonic()
        output, ledger = run(plan, processor, executor, progress=killing(workers[1]))
        assert time.monotonic() - begun < 20
    assert 0 < len(ledger.missing) < len(plan)
    assert {row.missing for row in ledger.missing} == {
        "RuntimeError: no dask worker: look at their logs and start new ones; "
        "nothing was done for 2 s"
    }
    assert ledger.entries("nd") == int(finished(output)["nd"]["cutflow_events"][:, "all"].sum())


def test_scheduler_that_is_killed_ends_the_run_with_what_is_there(start, plan):
    cluster = start()
    cluster.worker()
    with open_executor("dask", cluster=cluster.profile(timeout=3)) as executor:
        stop = killing(cluster.running[0])
        _, ledger = run(plan, Slow(variations="none"), executor, progress=stop)
    assert 0 < len(ledger.missing) < len(plan)
    assert "dask" in ledger.missing[-1].missing


@pytest.fixture(scope="module")
def without_one(plan):
    """Result without the third chunk."""
    output, _ = run(plan, Faulty(fail), InProcess())
    return content(output)


@pytest.mark.parametrize(
    ("fault", "together"), [(die, 1), (take_memory, 8)], ids=["killed", "memory"]
)
def test_chunk_that_ends_its_worker_every_time_costs_itself_alone(
    start, plan, without_one, monkeypatch, fault, together
):
    monkeypatch.setattr(DaskExecutor, "together", lambda self, chunks: together)
    cluster = start()
    for _ in range(2):
        cluster.worker("--memory-limit", "1GB", nanny="--nanny")
    with open_executor("dask", cluster=cluster.profile(timeout=60)) as executor:
        output, ledger = run(plan, Faulty(fault), executor)
    assert [(row.path, row.start) for row in ledger.missing] == [(plan[2].path, 500)]
    assert ledger.missing[0].missing == (
        "its worker died twice, also with no other chunk beside it; killed for memory? take a "
        "smaller --chunksize (KilledWorkerError)"
    )
    assert content(output) == without_one


def test_all_workers_of_a_node_that_are_killed_cost_nothing(start, plan, clean):
    cluster = start()
    cluster.environment = {}
    workers = [cluster.worker() for _ in range(3)]
    with distributed.Client(cluster.address) as client:
        client.wait_for_workers(3, timeout=60)
    with open_executor("dask", cluster=cluster.profile(timeout=30)) as executor:

        def kill(chunk, outcome):
            for worker in workers[:2]:
                worker.kill()
            for worker in workers[:2]:
                worker.wait()

        output, ledger = run(plan, Slow(variations="flux"), executor, progress=kill)
    assert (content(output), ledger) == clean


def test_run_whose_scheduler_is_killed_goes_on_with_another_one(start, plan, clean, tmp_path):
    processor = Slow(variations="flux")
    cluster = start()
    cluster.worker()
    with open_executor("dask", cluster=cluster.profile(timeout=3)) as executor:
        stop = killing(cluster.running[0])
        _, ledger = run(plan, processor, executor, progress=stop, resume=tmp_path / "kept")
    done = len(plan) - len(ledger.missing)
    assert 0 < done < len(plan)
    cluster.kill()
    cluster.file.unlink()
    cluster = start()
    cluster.worker()
    resumed = []
    with open_executor("dask", cluster=cluster.profile(timeout=30)) as executor:
        output, ledger = run(
            plan,
            processor,
            executor,
            resume=tmp_path / "kept",
            progress=lambda chunk, outcome: resumed.append(outcome.resumed),
        )
    assert (content(output), ledger, sum(resumed)) == (*clean, done)


def test_chunk_that_hangs_is_given_up_and_its_worker_is_started_anew(start, plan, without_one):
    cluster = start()
    cluster.worker(nanny="--nanny")
    with open_executor("dask", cluster=cluster.profile(timeout=60)) as executor:
        run(plan[:1], NuoneProcessor(variations="flux"), executor)
        before = executor.submit(os.getpid).result()
        output, ledger = run(plan, Faulty(hang), executor, timeout=5.0)
        deadline = time.monotonic() + 60
        while psutil.pid_exists(before) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert executor.submit(os.getpid).result() != before
    assert [(row.path, row.start) for row in ledger.missing] == [(plan[2].path, 500)]
    assert ledger.missing[0].missing.startswith("gave nothing within 5 s")
    assert content(output) == without_one


def test_chunk_that_hangs_in_a_worker_without_a_nanny_is_given_up(
    start, plan, without_one, monkeypatch, caplog
):
    monkeypatch.setattr(DaskExecutor, "together", lambda self, chunks: 8)
    cluster = start()
    cluster.worker()
    with open_executor("dask", cluster=cluster.profile(timeout=60)) as executor:
        run(plan[:1], NuoneProcessor(variations="flux"), executor)
        output, ledger = run(plan, Faulty(hang), executor, timeout=5.0)
    assert len(ledger.missing) == 1
    assert content(output) == without_one
    assert "is not started anew" in caplog.text


@pytest.mark.parametrize("together", [8, 64])
def test_workers_add_up_what_they_made(start, plan, clean, monkeypatch, together):
    monkeypatch.setattr(DaskExecutor, "together", lambda self, chunks: together)
    cluster = start()
    for _ in range(2):
        cluster.worker()
    tasks = []
    with open_executor("dask", cluster=cluster.profile(timeout=30)) as executor:
        submit = executor.submit
        executor.submit = lambda *task: tasks.append(task) or submit(*task)
        output, ledger = run(plan, NuoneProcessor(variations="flux"), executor)
    assert (content(output), ledger) == clean
    # Two files of six chunks.
    assert len(tasks) == {8: 2, 64: 1}[together]


@pytest.mark.parametrize(
    ("threads", "maximum", "chunks", "together"),
    [(1, 0, 7, 0), (4, 0, 12, 0), (10, 0, 1000, 12), (0, 50, 4000, 10), (2, 0, 10**5, 64)],
)
def test_tasks_are_many_for_each_thread_that_there_is_or_will_be(
    threads, maximum, chunks, together
):
    worker = {"tcp://a": {"nthreads": threads, "status": "running"}}
    client = SimpleNamespace(
        get_executor=lambda **_: None, scheduler_info=lambda **_: {"workers": worker}
    )
    with DaskExecutor(client, 60.0, maximum) as executor:
        assert executor.together(chunks) == together


def test_scheduler_without_workers_is_given_up(start):
    cluster = start()
    with (
        pytest.raises(InputError, match="no worker came within 1 s; look at the queue"),
        open_executor("dask", cluster=cluster.profile(timeout=1)),
    ):
        pass


def test_worker_of_another_environment_is_refused_before_the_first_chunk(start, tmp_path):
    old = tmp_path / "old"
    for package in ("fileset", "processors"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, old / package, ignore=ignored)
    with (old / "processors/selections.py").open("a", encoding="utf-8") as file:
        file.write("# A cut of yesterday.\n")
    (old / "preload.py").write_text("import numba\n\nnumba.__version__ = '0.1'\n", encoding="utf-8")
    cluster = start()
    cluster.worker("--preload", str(old / "preload.py"), path=old)
    code = r"\d\S+ \(code \w+\)"
    with (
        pytest.raises(InputError) as caught,
        open_executor("dask", cluster=cluster.profile(timeout=30)),
    ):
        pass
    assert re.fullmatch(
        rf"worker tcp\S+ has nudipole {code} instead of {code}, numba 0\.1 instead of \S+; "
        "start it anew in the environment of this command",
        str(caught.value),
    )


def grow_old():
    import numba

    numba.__version__ = "0.1"


def test_worker_of_another_environment_that_comes_late_stops_the_run(start, plan):
    cluster = start()
    cluster.worker()
    with open_executor("dask", cluster=cluster.profile(timeout=30)) as executor:
        with distributed.Client(cluster.address) as client:
            client.run(grow_old)
        with pytest.raises(InputError, match=r"has numba 0\.1 instead of"):
            run(plan, NuoneProcessor(variations="none"), executor, skip_bad_files=True)


def limit_of_memory(dask_worker):
    return dask_worker.memory_manager.memory_limit


def test_cluster_on_this_machine_grows_with_the_work_within_its_memory(
    tmp_path, plan, clean, caplog
):
    caplog.set_level(logging.INFO, "processors.cluster")
    path = tmp_path / "local.toml"
    path.write_text('kind = "local"\nmaximum = 1\nmemory = "1 GB"\n', encoding="utf-8")
    with open_executor("dask", cluster=path) as executor:
        output, ledger = run(plan, NuoneProcessor(variations="flux"), executor)
        (limit,) = distributed.default_client().run(limit_of_memory).values()
    assert (content(output), ledger, limit) == (*clean, 10**9)
    assert "dashboard: http://127.0.0.1:" in caplog.text


def test_result_is_free_as_soon_as_nobody_looks_at_it():
    inner = [Future()]
    client = SimpleNamespace(
        get_executor=lambda **_: SimpleNamespace(submit=lambda *_: inner[0]),
        scheduler_info=lambda **_: {"workers": {"tcp://a": {"nthreads": 40, "status": "running"}}},
    )
    with DaskExecutor(client, timeout=60.0) as executor:
        assert executor.ahead == 80
        future = executor.submit(int)
        inner.pop().set_result({1, 2, 3})
        held = weakref.ref(future.result())
        gc.disable()
        try:
            del future
            assert held() is None
        finally:
            gc.enable()


def test_workers_that_are_all_paused_do_not_hang_the_run():
    paused = {"workers": {"tcp://a": {"nthreads": 1, "status": "paused"}}}
    client = SimpleNamespace(
        get_executor=lambda **_: SimpleNamespace(submit=lambda *_: Future()),
        scheduler_info=lambda **_: paused,
    )
    with DaskExecutor(client, timeout=0.2) as executor:
        error = executor.submit(int).exception(timeout=20)
        with pytest.raises(RuntimeError, match="give them more 'memory'"):
            executor.submit(int)
    assert "all dask workers are paused near their memory limit" in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind = 'slrum'", "'kind' is 'slrum'; closest: slurm"),
        ("workers = 2", "'kind' is None; known: htcondor, local, scheduler, slurm"),
        ("kind = ", "cannot read the cluster profile"),
        ("kind = 'slurm'\nmaximun = 2", "no key 'maximun' for 'slurm'; closest: maximum"),
        ("kind = 'slurm'\ndisk = '1 GB'", "no key 'disk' for 'slurm'"),
        ("kind = 'slurm'\ncores = 1", "say how many 'workers', or 'maximum' to grow to"),
        ("kind = 'scheduler'", "a scheduler needs its 'address'"),
        ("kind = 'local'\nworkers = 'two'", "'workers' is 'two'"),
        ("kind = 'local'\ntimeout = -1", "'timeout' is -1; it cannot be negative"),
        ("kind = 'local'\n[tls]\nca = 'x'", r"no key 'ca' in \[tls\]; known: ca_file, cert, key"),
        ("kind = 'local'\n[tls]\nca_file = 'x'", r"\[tls\] lacks 'cert'"),
    ],
)
def test_profile_that_makes_no_sense_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"bad\.toml: .*{message}") as caught:
        load_profile(path)
    assert "\n" not in str(caught.value)


def test_profile_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"no\.toml: cannot read the cluster profile"):
        load_profile(Path("no.toml"))


def test_certificate_that_is_not_there_is_named(tmp_path):
    tls = dict.fromkeys(("ca_file", "cert", "key"), str(tmp_path / "none.pem"))
    with (
        pytest.raises(InputError, match=r"none\.pem: no such file"),
        open_cluster(Profile(tls=tls)),
    ):
        pass


def test_scheduler_and_profile_together_are_refused(tmp_path):
    with pytest.raises(InputError, match="give one of them"):
        open_executor("dask", scheduler="tcp://x:1", cluster=tmp_path / "p.toml")


@pytest.mark.parametrize("kind", ["slurm", "htcondor"])
def test_batch_system_without_dask_jobqueue_says_what_to_install(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with (
        pytest.raises(InputError, match=rf"'{kind}' needs dask-jobqueue: pip install"),
        open_cluster(Profile(kind=kind, workers=1)),
    ):
        pass


def profiles():
    """Profiles of the documentation by their kind."""
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(kind = \"(\w+)\"\n.*?)```", page, flags=re.DOTALL)
    return {kind: text for text, kind in blocks}


def test_profiles_of_the_documentation_are_read(tmp_path):
    path = tmp_path / "p.toml"
    for kind, text in profiles().items():
        path.write_text(text, encoding="utf-8")
        assert load_profile(path).kind == kind
    assert list(profiles()) == ["scheduler", "slurm", "htcondor"]
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    assert all(
        f"`{key}`" in page
        for key in (*COMMON, *KINDS["local"], *KINDS["scheduler"])
        if key != "tls"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "slurm",
            ["#SBATCH -p short", "#SBATCH --cpus-per-task=4", "--nworkers 4", "--lifetime 55m"],
        ),
        ("htcondor", ["RequestMemory", '+JobFlavour = "longlunch"', "/cvmfs/path/to/environment"]),
    ],
)
def test_jobs_of_the_documented_profiles(tmp_path, monkeypatch, kind, expected):
    pytest.importorskip("dask_jobqueue", reason="batch systems are NOT tested")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda program: program)
    path = tmp_path / "p.toml"
    # There is no such network here.
    path.write_text(profiles()[kind].replace('"ib0"', '"lo"'), encoding="utf-8")
    with _start(load_profile(path), None) as cluster:
        script = cluster.job_script()
    assert [line for line in expected if line not in script] == []


CONDOR_SUBMIT = """\
#!{python}
# Starts a described job on this machine, instead of condor_submit.
import os, re, subprocess, sys
from pathlib import Path
folder = Path(__file__).parent
text = Path(sys.argv[-1]).read_text()
said = dict(re.findall(r"^(\\S+) = (.*)$", text, re.MULTILINE))
# HTCondor's own quoting: all in double quotes, an argument with blanks in single ones.
line = said["Arguments"].removeprefix('"').removesuffix('"').replace('""', '"')
quoted = re.findall(r"'((?:[^']|'')*)'|(\\S+)", line)
arguments = [a.replace("''", "'") if a else b for a, b in quoted]
number = len(list(folder.glob("job*"))) + 1
log = (folder / f"job{{number}}").open("w")
options = dict(stdout=log, stderr=log, start_new_session=True)
job = subprocess.Popen([said["Executable"], *arguments], **options)
(folder / f"pid{{number}}.0").write_text(str(job.pid))
print(f"Submitting job(s).\\n1 job(s) submitted to cluster {{number}}.")
"""
CONDOR_RM = """\
#!{python}
import os, signal, sys
from pathlib import Path
for job in sys.argv[1:]:
    pid = int((Path(__file__).parent / f"pid{{job}}").read_text())
    os.killpg(pid, signal.SIGKILL)
    print(f"Job {{job}} marked for removal")
"""


@pytest.fixture
def condor(tmp_path, monkeypatch):
    """Folder of programs that stand in for those of HTCondor: no daemon is installable here."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("condor_submit", CONDOR_SUBMIT), ("condor_rm", CONDOR_RM)):
        path = folder / name
        path.write_text(text.format(python=sys.executable), encoding="utf-8")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield folder
    for pid in folder.glob("pid*"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(pid.read_text()), signal.SIGKILL)


def test_run_goes_through_jobs_of_htcondor_as_dask_jobqueue_describes_them(
    condor, tmp_path, plan, clean
):
    pytest.importorskip("dask_jobqueue", reason="batch systems are NOT tested")
    path = tmp_path / "htcondor.toml"
    path.write_text(
        f'kind = "htcondor"\nworkers = 2\ncores = 1\nmemory = "1 GB"\ndisk = "1 GB"\n'
        f'python = "{sys.executable}"\ninterface = "lo"\ntimeout = 60\n'
        f"job_script_prologue = [\"cd '{tmp_path}'\"]\n",
        encoding="utf-8",
    )
    with open_executor("dask", cluster=path) as executor:
        output, ledger = run(plan, NuoneProcessor(variations="flux"), executor)
    assert (content(output), ledger) == clean
    jobs = [int(pid.read_text()) for pid in condor.glob("pid*")]
    assert len(jobs) == 2
    deadline = time.monotonic() + 30
    while any(map(running, jobs)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(running, jobs))


def running(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_machine_without_the_batch_system_is_refused_at_once(monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="batch systems are NOT tested")
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(InputError, match="no condor_submit here; run this where"),
        open_cluster(Profile(kind="htcondor", maximum=1)),
    ):
        pass


@pytest.mark.parametrize("kind", ["slurm", "htcondor"])
def test_every_key_of_a_batch_profile_is_one_that_dask_jobqueue_knows(kind):
    jobqueue = pytest.importorskip("dask_jobqueue", reason="batch systems are NOT tested")
    job = {"slurm": jobqueue.SLURMCluster, "htcondor": jobqueue.HTCondorCluster}[kind].job_cls
    known = {
        name
        for cls in (*job.__mro__, jobqueue.JobQueueCluster)
        for name in getattr(cls.__init__, "__code__", grow_old.__code__).co_varnames
    }
    assert set(KINDS[kind]) <= known
