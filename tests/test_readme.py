"""The README's commands are the ones that are run."""

import re
import shlex
from pathlib import Path

import pytest

from analysis.cli import COMMANDS
from analysis.cli.arguments import parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP, TESTS, *OTHERS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
LINES = [
    line.partition("#")[0].strip()
    for block in OTHERS
    for line in block.splitlines()
    if line.startswith("nudipole")
]


@pytest.mark.parametrize("command", [SETUP, TESTS], ids=["setup", "tests"])
def test_continuous_integration_runs_the_readme_command_word_for_word(command: str) -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert command.strip() in script


def test_each_of_the_two_commands_is_one_line() -> None:
    assert SETUP.strip().count("\n") == 0
    assert TESTS.strip().count("\n") == 0
    assert "run.py demo" in SETUP
    assert "[test]" in TESTS


@pytest.mark.parametrize("command", LINES)
def test_readme_command_is_understood_by_the_command_line(command: str) -> None:
    arguments = parser().parse_args(shlex.split(command)[1:])
    assert callable(COMMANDS[arguments.command])


def test_tests_that_the_physics_page_names_exist() -> None:
    page = (ROOT / "docs" / "physics.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_[\w*]+\.py)(?:::(test_\w+))?`", page)
    assert len(named) > 15
    for pattern, function in named:
        texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob(pattern)]
        assert any(f"def {function}" in text for text in texts), f"{pattern}::{function}"


def test_every_verb_is_in_the_readme() -> None:
    verbs = next(a for a in parser()._actions if a.dest == "==SUPPRESS==" or a.choices)
    for verb in verbs.choices or ():
        assert re.search(rf"(nudipole|run\.py) {verb}\b", README), verb
