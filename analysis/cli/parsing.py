"""How the command line answers: one line for a mistake, with the neighbours of a misspelt word.

Imports nothing heavy, so that ``-h`` and a typing mistake answer at once.
"""

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from .output import red

EXIT_CODES = """\
exit codes: 0 done; 1 incomplete, interrupted or, for doctor, something is wrong; 2 wrong input"""

_CHOICE = re.compile(r"argument (.+): invalid choice: '?(.*?)'? \(choose from (.+)\)")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Print the line; a word that is none of the choices gets its neighbours."""
        if found := _CHOICE.fullmatch(message):
            name, word, listed = found.groups()
            known = re.findall(r"[\w.-]+", listed)
            message = f"unknown {name} {word!r}; {neighbours(word, known)}"
        self.exit(2, f"{red(f'{self.prog}:')} {message}; see {self.prog} -h\n")

    def understood(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse a command of a verb; an option that the verb has not is answered by its own."""
        arguments, unknown = self.parse_known_args(argv)
        if unknown:
            verb = self.verbs()[arguments.command]
            options = [name for action in verb._actions for name in action.option_strings]
            # '--option=value' is misspelt before the sign.
            word = unknown[0].partition("=")[0]
            if word.startswith("-"):
                verb.error(f"unknown option {word!r}; {neighbours(word, options)}")
            verb.error(f"unknown argument {word!r}")
        return arguments

    def verbs(self) -> dict[str, "Parser"]:
        """Parser of each verb."""
        actions = (a for a in self._actions if isinstance(a, argparse._SubParsersAction))
        return dict(next(actions).choices)


class Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Shows examples as they are, and a default where there is one that says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False):
            return action.help
        return super()._get_help_string(action)


class Version(argparse.Action):
    """Prints the version; it is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print and exit."""
        from importlib.metadata import version

        print(f"nudipole {version('nudipole')}")
        parser.exit(0)


def neighbours(word: str, known: Iterable[str]) -> str:
    """Name what a misspelt word may have been, or all that there is.

    >>> neighbours("limti", ["limit", "table"]), neighbours("x", ["limit", "table"])
    ('closest: limit', 'known: limit, table')
    """
    known = list(known)
    if near := difflib.get_close_matches(word, known, n=3):
        return f"closest: {', '.join(near)}"
    return f"known: {', '.join(known)}"
