"""The doctor finds what would stop a run, and never waits for ever."""

import importlib.metadata
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import doctor
from analysis.cli import main
from analysis.doctor import Check

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(monkeypatch):
    """Function that pretends that a package has a version, or is not there."""
    real = importlib.metadata.version

    def pretend(**versions):
        def version(name):
            found = versions.get(name.replace("-", "_"), real)
            if found is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return real(name) if found is real else found

        monkeypatch.setattr(importlib.metadata, "version", version)

    return pretend


def problems(checks):
    return {check.subject: check.problem for check in checks if check.problem}


def test_environment_of_the_tests_is_in_order():
    declared = doctor.project()
    assert problems(doctor.packages(declared["dependencies"])) == {}
    assert problems([doctor.python(declared["requires-python"]), doctor.kernel_cache()]) == {}


def test_every_dependency_of_the_project_is_looked_at():
    subjects = {check.subject for check in doctor.packages(doctor.project()["dependencies"])}
    assert {"awkward", "coffea", "dask-awkward", "numba", "uproot"} <= subjects


def test_what_is_missing_or_too_old_is_named_with_what_to_do(installed):
    installed(numba=None, dask_awkward="2024.1.0")
    assert problems(doctor.packages(doctor.project()["dependencies"])) == {
        "numba": "not installed: pip install 'numba>=0.63'",
        "dask-awkward": "needs >=2026.2.1: pip install --upgrade dask-awkward",
    }


def test_an_extra_that_is_not_there_is_no_problem_but_one_that_is_too_old_is(installed):
    installed(h5py=None, dask_jobqueue="0.1")
    found = {
        check.subject: check for check in doctor.extras(doctor.project()["optional-dependencies"])
    }
    assert found["extra h5"] == Check("extra h5", "not installed: h5py")
    assert found["extra cluster"].problem.startswith("dask-jobqueue 0.1 needs >=")


def test_installed_metadata_say_the_same_as_the_file_of_the_project(monkeypatch, tmp_path):
    of_the_file = doctor.project()
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    as_installed = doctor.project()
    names = {check.subject for check in doctor.packages(of_the_file["dependencies"])}
    # The environment may be older than the file; what is told of either is of one kind.
    assert {check.subject for check in doctor.packages(as_installed["dependencies"])} <= names
    assert as_installed["version"] == of_the_file["version"]
    assert set(as_installed["optional-dependencies"]) <= set(of_the_file["optional-dependencies"])


def test_an_interpreter_that_is_too_old_is_a_problem():
    assert doctor.python(">=99").problem == "needs Python >=99"


def test_no_place_for_compiled_kernels_is_a_problem(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    beneath = tmp_path / "file" / "nowhere"
    monkeypatch.setattr(doctor, "ROOT", beneath)
    monkeypatch.setenv("HOME", str(beneath))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(beneath))
    assert "set NUMBA_CACHE_DIR to a folder" in doctor.kernel_cache().problem
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert doctor.kernel_cache() == Check("cache of compiled kernels", str(tmp_path / "cache"))


def test_a_check_that_raises_or_does_not_end_is_a_problem():
    def broken():
        raise OSError("disk on fire")

    assert doctor.within(5.0, "disk", broken).problem == "OSError('disk on fire')"
    never = __import__("threading").Event().wait
    assert "no answer within 0.01 s" in doctor.within(0.01, "network", never).problem


def test_a_scheduler_that_accepts_and_is_silent_does_not_stop_the_doctor():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        program = (
            "from analysis import doctor\n"
            f"print(doctor.within(1.0, 's', lambda: doctor.workers_of({address!r}, 1.0)).problem)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    assert "no answer within 1 s" in done.stdout


def test_a_batch_system_is_only_asked(tmp_path, monkeypatch):
    profile = tmp_path / "slurm.toml"
    profile.write_text('kind = "slurm"\nmaximum = 4\ncores = 1\nmemory = "2 GB"\n')
    program = tmp_path / "sinfo"
    program.write_text("#!/bin/sh\necho no controller >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ValueError, match="sinfo says: no controller"):
        doctor.cluster(profile, 10.0)
    program.write_text("#!/bin/sh\necho idle\n")
    assert doctor.cluster(profile, 10.0) == "sinfo answers; no job was submitted"
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="no sinfo here"):
        doctor.cluster(profile, 10.0)


@pytest.mark.parametrize("problem", ["", "it is broken"])
def test_doctor_exits_with_one_if_something_is_wrong(problem, monkeypatch, capsys):
    checks = [Check("this", "1.0"), Check("that", "2.0", problem)]
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: iter(checks))
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit) as stop:
            main(["doctor", *options])
        assert stop.value.code == (1 if problem else 0)
        out, err = capsys.readouterr()
        assert err == ("nudipole: wrong: that\n" if problem else "")
        if options:
            assert [row["problem"] for row in json.loads(out)] == ["", problem]
        else:
            assert "ok     this: 1.0" in out
            assert not problem or "wrong  that: it is broken" in out
