"""How the command line behaves before it does anything: help, mistakes, completion, colours."""

import os
import pty
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from analysis.cli import COMMANDS, main
from analysis.cli import options as known
from analysis.cli.arguments import parser
from analysis.experiments import EXPERIMENTS
from analysis.limit import counting, methods
from fileset.simulate import sample, writer
from processors.executors import EXECUTORS
from processors.kernels import RADIATIVE_SCHEMES
from processors.pipeline import ENGINES

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "numba", "awkward", "coffea", "dask", "uproot", "matplotlib", "scipy", "rich")
VERBS = parser().verbs()
EXAMPLES = [
    line.removeprefix("example:").strip()
    for verb in VERBS.values()
    for line in (verb.epilog or "").splitlines()
    if "nudipole " in line
]


def output(capsys, *arguments):
    """Exit status, stdout and stderr of the command line in this process."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return stop.value.code or 0, *capsys.readouterr()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-h"],
        ["limit", "-h"],
        ["--version"],
        ["limti"],
        ["process", "x", "--fti"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_help_and_mistakes_answer_before_anything_heavy_is_imported(arguments):
    program = (
        "import sys\nfrom analysis.cli import main\n"
        f"try:\n    main({arguments})\nexcept SystemExit:\n"
        f"    print('imported:', sorted(set(sys.modules) & set({HEAVY})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "imported: []"


def test_names_that_the_command_line_offers_are_those_of_the_library():
    assert known.SAMPLES == tuple(sample.SAMPLES)
    assert known.LAYOUTS == tuple(writer.LAYOUTS)
    assert known.CONTAINERS == tuple(writer.CONTAINERS)
    assert set(known.EXECUTORS) == {*EXECUTORS, "dask-awkward"}
    assert known.ENGINES == tuple(ENGINES)
    assert known.RADIATIVE == tuple(RADIATIVE_SCHEMES)
    assert set(known.METHODS) == set(counting._REGISTRY) | set(methods.METHODS) | {"all"}
    assert known.METHODS[:7] == counting.METHODS


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_of_every_verb_has_an_example(verb, capsys):
    status, out, _ = output(capsys, verb, "-h")
    assert status == 0
    assert re.search(rf"^(example:)? *nudipole {verb}\b", out, flags=re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_help_are_understood(example):
    words = example.partition(" > ")[0].split()[1:]
    assert parser().understood(words).command == words[0]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["limti"], "nudipole: unknown VERB 'limti'; closest: limit; see nudipole -h"),
        (["limit", "nova_biao", "--metod=fc"], "unknown option '--metod'; closest: --method"),
        (["limit", "nova_biao", "fc"], "nudipole limit: unknown argument 'fc'"),
        (["limit", "nova_biao", "--method", "cl"], "closest: cls"),
        (["simulate", "-o", "x", "--events", "1", "--sample", "nuon"], "closest: nuone"),
        (["process", "x", "-o", "y", "--executor", "futurs"], "closest: futures"),
        (["process", "x"], "required: -o/--out/--output; see nudipole process -h"),
        (["completion", "bsh"], "unknown shell 'bsh'; closest: bash"),
    ],
)
def test_a_misspelt_word_is_one_line_with_its_neighbours(arguments, line, capsys):
    status, out, err = output(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert line in err


def test_version_is_that_of_the_distribution(capsys):
    assert output(capsys, "--version") == (0, f"nudipole {version('nudipole')}\n", "")


def test_a_package_that_is_missing_is_a_line_that_names_the_doctor(monkeypatch, capsys):
    monkeypatch.setitem(COMMANDS, "files", lambda _: __import__("no_such_package"))
    status, _, err = output(capsys, "files", "x")
    assert status == 2
    assert err == (
        "nudipole: No module named 'no_such_package'; 'nudipole doctor' says what is missing\n"
    )


COMPLETE = """
source /dev/stdin
COMP_WORDS=("${@}"); COMP_CWORD=$(( $# - 1 )); _shtab_nudipole; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sim"], {"simulate"}),
        (["limit", "nova_"], {name for name in EXPERIMENTS if name.startswith("nova_")}),
        (["limit", "x", "--meth"], {"--method"}),
        (["limit", "x", "--method", "profile_"], {"profile_one_sided", "profile_two_sided"}),
        (["files", "pyproject.t"], {"pyproject.toml"}),
    ],
)
def test_bash_completes_verbs_options_choices_names_and_files(words, found, capsys):
    _, script, _ = output(capsys, "completion", "bash")
    done = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", "nudipole", *words],
        input=script, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == found


def coloured(arguments, **environment):
    """Whether the terminal that a command writes to gets colours."""
    main_end, other = pty.openpty()
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    environment = inherited | {"TERM": "xterm-256color", **environment}
    subprocess.run(command, stdout=other, stderr=other, env=environment, cwd=ROOT, check=False)
    os.close(other)
    text = os.read(main_end, 100_000).decode()
    os.close(main_end)
    assert "nudipole" in text
    return bool(re.search(r"\x1b\[[\d;]*3\d[\d;]*m", text))


def test_errors_are_red_on_a_terminal_alone_and_where_colours_are_wanted():
    assert coloured(["limti"])
    assert not coloured(["limti"], NO_COLOR="1")
    assert not coloured(["limti"], TERM="dumb")
    piped = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "limti"], capture_output=True, text=True, check=False
    )
    assert piped.stderr.startswith("nudipole: ")
    assert "\x1b" not in piped.stderr


def test_exit_codes_are_told_by_the_help(capsys):
    _, out, _ = output(capsys, "-h")
    assert "exit codes: 0 done; 1 incomplete" in out
