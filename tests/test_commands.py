"""Every command and every block of Python in README and documentation is carried out.

In one folder that has what the pages call their files. A command that needs a cluster, or takes
long, is only parsed; :data:`ELSEWHERE` says where it is run.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from analysis.cli import COMMANDS, main
from analysis.cli.arguments import parser
from fileset.simulate import simulate
from processors.registry import VARIATIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    p.stem: p.read_text("utf-8") for p in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
}

ELSEWHERE = {
    r"--scheduler|--cluster|--executor dask": "tests/processors/test_cluster.py",
    r"--executor futures": "tests/processors/test_run.py",
    r"--fit|limit nd.json": "tests/analysis/test_limit_model.py",
    r"^nudipole demo": ".ci/run",
}
"""Commands that are parsed here, and where such ones are run."""

QUICKER = {
    r"--workers \d+": "--workers 1",
    r"--events \d+": "--events 8000",
    r'"fc", cl=0.90, toys=20_000, seed=1, workers=2': '"cls_asymptotic", cl=0.90',
}
"""What is changed so that a command that is run takes seconds: fewer processes, no toys."""

NOT_OURS = {
    r"^python3 -m venv .venv && .*pip install -e . && .venv/bin/python run.py demo$": ".ci/run",
    r"^.venv/bin/pip install -e '.\[test\]' && .venv/bin/python -m pytest$": ".ci/run",
    r"^. .venv/bin/activate$": "of the shell",
    r"^pip install pip-audit && pip-audit$": "needs a network",
}
"""Lines of other programs, and where they are run."""


def commands(page):
    """Lines of the blocks for a shell, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def inline(page):
    """Commands between backquotes that leave nothing to be put in, such as a NAME or ``...``."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"`(nudipole [a-z][^`]*)`", text)
    return [" ".join(c.split()) for c in found if not re.search(r"[A-Z{]{2,}|\.\.\.", c)]


def python(page):
    """Blocks of Python that are whole, but no variations: those are files, run by test_docs."""
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    whole = [b for b in blocks if b.startswith(("import ", "from "))]
    return [b for b in whole if not re.search(r"import (variation|normalisation)\b", b)]


OURS = {c for page in PAGES.values() for c in commands(page) if c.startswith("nudipole ")}
HERE = {
    name: [c for c in commands(page) if c in OURS and not any(re.search(p, c) for p in ELSEWHERE)]
    for name, page in PAGES.items()
}
BLOCKS = {name: python(page) for name, page in PAGES.items()}


@pytest.fixture(scope="module")
def home(toy, tmp_path_factory):
    """Folder with what the pages call their files."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(toy.parent, home, dirs_exist_ok=True)
    simulate(home / "mc", sample="nd", events=8000, seed=104)
    text = '[nd_mc]\nfiles = ["mc/*.root"]\n[nd_data]\nfiles = ["data/*.root"]\nis_mc = false\n'
    for name in ("nova_nd.toml", "nd.toml"):
        (home / name).write_text(text, encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGES["tutorial"], re.DOTALL | re.MULTILINE)
    (own,) = [block for block in blocks if "@variation" in block]
    (home / "my_systematics.py").write_text(own, encoding="utf-8")
    return home


def quickly(text):
    """A command or a block as it is run here."""
    for pattern, quick in QUICKER.items():
        text = re.sub(pattern, quick, text)
    return text


def carry_out(command):
    """Exit status of a command in this process."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(quickly(command.partition(" > ")[0]))[1:])
    return stop.value.code or 0


@pytest.fixture
def at_home(home, monkeypatch):
    """Be in that folder; variations of its files are forgotten afterwards."""
    monkeypatch.chdir(home)
    before = dict(VARIATIONS)
    yield home
    VARIATIONS.clear()
    VARIATIONS.update(before)


@pytest.fixture(scope="module")
def done():
    """Commands that have been carried out, so that none is twice."""
    return set()


@pytest.mark.parametrize("name", [name for name in PAGES if HERE[name] or BLOCKS[name]])
def test_commands_and_python_of_a_page_are_carried_out(name, at_home, done, capsys):
    if not (at_home / "nd.zip").exists():
        assert carry_out("nudipole process nd.toml -o nd.zip") == 0
        for copy in ("fhc.zip", "rhc.zip"):
            shutil.copy("nd.zip", copy)
    for command in HERE[name]:
        if command in done:
            continue
        if command.startswith("nudipole simulate"):
            shutil.rmtree(shlex.split(command)[-1], ignore_errors=True)
        assert carry_out(command) == 0, (command, capsys.readouterr().err)
        done.add(command)
    for block in BLOCKS[name]:
        exec(quickly(block), {})


@pytest.mark.parametrize("command", sorted(OURS | {c for p in PAGES.values() for c in inline(p)}))
def test_command_is_understood(command):
    words = shlex.split(command.partition(" > ")[0])[1:]
    # Between the words of a sentence, a verb and its options may be without their objects.
    if command in OURS:
        assert callable(COMMANDS[parser().understood(words).command])
    else:
        options = parser().verbs()[words[0]]._option_string_actions
        assert {word for word in words if word.startswith("-")} <= set(options)


def test_lines_of_other_programs_are_known():
    others = [c for page in PAGES.values() for c in commands(page) if c not in OURS]
    assert [c for c in others if not any(re.search(p, c) for p in NOT_OURS)] == []


def test_where_commands_are_run_instead_exists():
    for place in (*ELSEWHERE.values(), *NOT_OURS.values()):
        assert "/" not in place or (ROOT / place).exists()


def test_benchmarks_that_the_pages_name_exist():
    named = {n for page in PAGES.values() for n in re.findall(r"benchmarks[./](\w+)", page)}
    found = {path.stem for path in (ROOT / "benchmarks").iterdir()}
    assert len(named) > 3
    assert named - found == set()
