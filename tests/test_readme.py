"""The README's commands are the ones that are run."""

import re
from pathlib import Path

import pytest

from analysis.cli.arguments import parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP, TESTS, *_ = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("command", [SETUP, TESTS], ids=["setup", "tests"])
def test_continuous_integration_runs_the_readme_command_word_for_word(command: str) -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert command.strip() in script


def test_each_of_the_two_commands_is_one_line() -> None:
    assert SETUP.strip().count("\n") == 0
    assert TESTS.strip().count("\n") == 0
    assert "run.py demo" in SETUP
    assert "[test]" in TESTS


def test_tests_that_the_physics_page_names_exist() -> None:
    page = (ROOT / "docs" / "physics.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_[\w*]+\.py)(?:::(test_\w+))?`", page)
    assert len(named) > 15
    for pattern, function in named:
        texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob(pattern)]
        assert any(f"def {function}" in text for text in texts), f"{pattern}::{function}"


def test_every_verb_is_in_the_readme() -> None:
    for verb in parser().verbs():
        assert re.search(rf"(nudipole|run\.py) {verb}\b", README), verb
