"""Real schedulers and workers, each a process of its own on this machine."""

import contextlib
import gc
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import weakref
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import distributed
import pytest
import trustme

from analysis import doctor
from analysis.cli import main
from fileset import InputError, load_fileset, make_plan
from processors import NuoneProcessor
from processors.cluster import (
    COMMON,
    KINDS,
    DaskExecutor,
    Profile,
    _start,
    load_profile,
    open_cluster,
)
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


class Processes:
    """Scheduler and workers that a test starts; all end with it."""

    def __init__(self, folder, *tls):
        self.folder, self.tls = folder, tls
        self.running = []
        self.file = folder / "scheduler.json"
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
                env=os.environ | {"PYTHONPATH": str(path)},
                stdout=log,
                stderr=log,
            )
        self.running.append(process)
        return process

    def worker(self, *options, **more):
        return self.start(
            "worker", "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard",
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
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


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
