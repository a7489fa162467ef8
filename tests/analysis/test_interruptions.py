"""Runs of the command line that are cut short: nothing passes for a result, and they go on."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import analysis
from analysis.cli import main
from fileset.simulate import simulate
from processors.templates import Templates

ROOT = Path(analysis.__file__).parents[1]
SLOW = """\
import os, time
import numpy as np
from processors import variation

@variation(uses=("nu_pdg",))
def slow(events):
    time.sleep(float(os.environ.get("NAP", "0")))
    return np.full(len(events), 1.1), np.full(len(events), 0.9)
"""
CHUNKS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("interrupted")
    simulate(made / "signal", sample="nuone", events=1000 * CHUNKS, seed=7, files=2)
    (made / "slow.py").write_text(SLOW)
    return made


def command(folder, output, *more):
    options = ("--variations", folder / "slow.py", "--chunksize", 1000, *more)
    return [str(a) for a in ("process", folder / "signal/*.root", "-o", output, *options)]


@pytest.fixture(scope="module")
def clean(folder):
    with pytest.raises(SystemExit, match="0"):
        main(command(folder, folder / "clean.zip"))
    return numbers(folder / "clean.zip")


def numbers(path):
    templates = Templates.load(path)
    views = {name: h.view(flow=True).tobytes() for name, h in templates.histograms.items()}
    return views, templates.ledger


def start(arguments, nap):
    return subprocess.Popen(
        [sys.executable, ROOT / "run.py", *arguments],
        env=os.environ | {"NAP": str(nap), "COLUMNS": "500"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process):
    """Its status, when it has ended by itself."""
    process.communicate(timeout=90)
    return process.returncode


def when_begun(process, kept, chunks=2):
    """Wait until some chunks are done."""
    limit = time.monotonic() + 60
    while len(list(kept.glob("*.chunk"))) < chunks:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.mark.parametrize("executor", ["iterative", "futures"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_result_and_the_run_goes_on(folder, clean, tmp_path, executor, number):
    output, kept = tmp_path / "t.zip", tmp_path / "kept"
    arguments = command(folder, output, "--resume", kept, "--executor", executor, "--workers", 2)
    process = start(arguments, nap=0.5)
    when_begun(process, kept)
    # As from a terminal, or a batch system: to all processes of the run.
    os.killpg(process.pid, number)
    said = process.communicate(timeout=60)[1]
    done = len(list(kept.glob("*.chunk")))
    partial = tmp_path / "t.zip.partial"
    assert not output.exists()
    assert 2 <= done < CHUNKS
    if number == signal.SIGKILL:
        assert (process.returncode, partial.exists()) == (-signal.SIGKILL, False)
    else:
        assert process.returncode == 1
        assert said.rstrip().endswith(
            f"nudipole: interrupted: {done} of {CHUNKS} chunks are done; their sum is in {partial};"
            f" what is done is kept in {kept}: run the same command again to go on from there"
        )
        ledger = Templates.load(partial).ledger
        assert len(ledger.missing) == CHUNKS - done
    with pytest.raises(SystemExit, match="0"):
        main(command(folder, output, "--resume", kept))
    assert numbers(output) == clean
    resumed = Templates.load(output).provenance["run"]["chunks"]
    assert resumed == {"planned": CHUNKS, "resumed": done, "failed": 0}
    assert not partial.exists()


def test_a_second_signal_ends_it_at_once(folder, tmp_path):
    kept = tmp_path / "kept"
    process = start(command(folder, tmp_path / "t.zip", "--resume", kept), nap=3)
    when_begun(process, kept, 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=2.5)[1]
    assert process.returncode == 1
    assert "interrupted; nothing was written, run the command again" in said
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@contextlib.contextmanager
def full_after(size):
    """Have the system refuse to write files larger than this."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("before", [None, b"an older result"])
def test_a_full_disk_leaves_what_was_there_and_the_run_goes_on(
    folder, clean, tmp_path, capsys, before
):
    output, kept = tmp_path / "t.zip", tmp_path / "kept"
    arguments = command(folder, output, "--resume", kept)
    with pytest.raises(SystemExit, match="0"):
        main(command(folder, tmp_path / "first.zip", "--resume", kept))
    (tmp_path / "first.zip").unlink()
    if before:
        output.write_bytes(before)
    size = (folder / "clean.zip").stat().st_size // 2
    with full_after(size), pytest.raises(SystemExit, match="1"):
        main(arguments)
    said = capsys.readouterr().err
    assert f"{output}: cannot be written: File too large" in said
    assert f"kept in {kept}: run the same command again" in said
    assert (output.read_bytes() if before else None) == before
    assert {path.name for path in tmp_path.iterdir()} == {"kept"} | ({"t.zip"} if before else set())
    with pytest.raises(SystemExit, match="0"):
        main(arguments)
    assert numbers(output) == clean
    assert Templates.load(output).provenance["run"]["chunks"]["resumed"] == CHUNKS


def test_two_runs_of_one_command_at_once_both_end_well(folder, clean, tmp_path):
    output, kept = tmp_path / "t.zip", tmp_path / "kept"
    runs = [start(command(folder, output, "--resume", kept), nap=0.05) for _ in range(2)]
    assert [ended(run) for run in runs] == [0, 0]
    assert numbers(output) == clean
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "t.zip"]
