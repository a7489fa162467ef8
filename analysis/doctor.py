"""Whether all that a run needs is here: Python, packages, caches, and a cluster if one is named.

Only looks; it installs nothing, and starts no jobs of a batch system. Imports nothing that may be
what is missing.
"""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
_ASKED = {"slurm": ("sinfo",), "htcondor": ("condor_status", "-total")}


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes
    ----------
    subject : str
        What.
    found : str
        As it is here.
    problem : str
        What is wrong and what to do; empty if nothing is.
    """

    subject: str
    found: str
    problem: str = ""


def examine(
    scheduler: str | None = None, profile: Path | None = None, *, timeout: float = 120.0
) -> Iterator[Check]:
    """Look at everything, one after the other.

    Parameters
    ----------
    scheduler : str, optional
        Address of a dask scheduler.
    profile : Path, optional
        Description of a cluster, as for ``process --cluster``.
    timeout : float
        Longest wait for one check [s]; what takes longer is a problem.

    Yields
    ------
    Check
        In the order in which one would mend them.
    """
    declared = project()
    yield Check("nudipole", f"{declared['version']} in {ROOT}")
    yield python(declared["requires-python"])
    yield from packages(declared["dependencies"])
    yield from extras(declared["optional-dependencies"])
    yield Check("machine", f"{platform.system()}, {os.cpu_count()} cores")
    yield writable("temporary files", [Path(tempfile.gettempdir())], "set TMPDIR")
    yield kernel_cache()
    yield within(timeout, "a small run", small_run)
    if scheduler:
        yield within(timeout, f"scheduler {scheduler}", lambda: workers_of(scheduler, timeout))
    if profile:
        yield within(timeout, f"cluster {profile}", lambda: cluster(profile, timeout))


def project() -> Mapping[str, Any]:
    """What the project says of itself: in its own file, where it lies here, or as installed."""
    path = ROOT / "pyproject.toml"
    if path.is_file():
        table = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        return {"optional-dependencies": {}, **table}
    found = importlib.metadata.metadata("nudipole")
    listed = [Requirement(text) for text in importlib.metadata.requires("nudipole") or ()]
    names = found.get_all("Provides-Extra") or []
    optional = {
        name: [r for r in listed if r.marker and r.marker.evaluate({"extra": name})]
        for name in names
    }
    return {
        "version": found["Version"],
        "requires-python": found["Requires-Python"],
        "dependencies": [r for r in listed if not r.marker or "extra" not in str(r.marker)],
        "optional-dependencies": optional,
    }


def python(wanted: str) -> Check:
    """Compare the interpreter with what the project needs."""
    has = platform.python_version()
    problem = "" if SpecifierSet(wanted).contains(has) else f"needs Python {wanted}"
    return Check("Python", f"{has} in {sys.prefix}", problem)


def packages(wanted: Iterable[str | Requirement]) -> Iterator[Check]:
    """Compare what is installed with what the project needs."""
    for requirement in map(Requirement, map(str, wanted)):
        has = _installed(requirement.name)
        problem = ""
        if has is None:
            problem = f"not installed: pip install '{requirement.name}{requirement.specifier}'"
        elif not requirement.specifier.contains(has, prereleases=True):
            problem = f"needs {requirement.specifier}: pip install --upgrade {requirement.name}"
        yield Check(requirement.name, has or "", problem)


def extras(wanted: Mapping[str, Iterable[str | Requirement]]) -> Iterator[Check]:
    """Say which extras are there; one that is not is no problem, one that is too old is."""
    for name, listed in wanted.items():
        # An extra may name others of our own.
        others = [r for r in map(Requirement, map(str, listed)) if r.name != "nudipole"]
        found = list(packages(map(str, others)))
        missing = [check.subject for check in found if not check.found]
        state = f"not installed: {', '.join(missing)}" if missing else "installed"
        old = [f"{c.subject} {c.found} {c.problem}" for c in found if c.found and c.problem]
        yield Check(f"extra {name}", state, "; ".join(old))


def kernel_cache() -> Check:
    """Look for the first folder, in numba's order, in which compiled kernels can be kept."""
    folders = [Path(folder)] if (folder := os.environ.get("NUMBA_CACHE_DIR")) else []
    folders += [ROOT / "processors" / "kernels" / "__pycache__", Path.home() / ".cache" / "numba"]
    return writable("cache of compiled kernels", folders, "set NUMBA_CACHE_DIR")


def writable(subject: str, folders: Iterable[Path], advice: str) -> Check:
    """Find the first folder in which a file can be written."""
    reasons = []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return Check(subject, str(folder))
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror}")
    return Check(subject, "nowhere", f"{'; '.join(reasons)}; {advice} to a folder for it")


def small_run() -> str:
    """Simulate some events, write, read and process them."""
    from processors.cluster import warm_up

    warm_up()
    return "50 simulated events were written, read and processed"


def workers_of(address: str, timeout: float) -> str:
    """Connect to a scheduler and compare its workers with this process."""
    from processors.cluster_profile import Profile

    return _opened(Profile("scheduler", timeout=timeout, options={"address": address}))


def cluster(path: Path, timeout: float) -> str:
    """Connect to a cluster, or start one worker of a local one; only ask a batch system."""
    from processors.cluster_profile import load_profile

    profile = load_profile(path)
    if profile.kind == "local":
        profile = replace(profile, workers=1, maximum=None)
    if profile.kind not in _ASKED:
        return _opened(replace(profile, timeout=timeout))
    if _installed("dask-jobqueue") is None:
        raise ValueError("dask-jobqueue is missing: pip install 'nudipole[cluster]'")
    program, *options = _ASKED[profile.kind]
    if not (found := shutil.which(program)):
        raise ValueError(f"no {program} here; run this where jobs can be submitted")
    answer = subprocess.run(
        [found, *options], capture_output=True, text=True, timeout=timeout, check=False
    )
    if answer.returncode:
        raise ValueError(f"{program} says: {answer.stderr.strip() or answer.stdout.strip()}")
    return f"{program} answers; no job was submitted"


def within(seconds: float, subject: str, check: Callable[[], str]) -> Check:
    """Carry out a check for some time at most; what it raises is the problem."""
    answer: list[Check] = []

    def run() -> None:
        try:
            answer.append(Check(subject, check()))
        # Whatever it is, it is what is wrong here.
        except Exception as error:
            told = str(error) if isinstance(error, ValueError) else f"{error!r}"
            answer.append(Check(subject, "", " ".join(told.split())))

    # Not waited for at the end of the program, either.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    late = Check(subject, "", f"no answer within {seconds:g} s; --timeout waits longer")
    return answer[0] if answer else late


def content(checks: Iterable[Check]) -> str:
    """All checks as JSON."""
    return json.dumps([check._asdict() for check in checks], indent=1)


def _opened(profile: Any) -> str:
    from processors.cluster import environment, open_cluster

    with open_cluster(profile):
        versions = ", ".join(" ".join(pair) for pair in environment())
        return f"the workers answer, with {versions}, as here"


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
