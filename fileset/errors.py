"""The one exception that means "your input is wrong, and here is what to do"."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that the user can mend: a missing file, a bad key, a weight that is NaN.

    The message is one line that says what, where, what was expected and what to do. The command
    line shows it without a traceback and exits with 2; a run stops at the first one.
    """


_SHOWN = 20


def printable(text: str) -> str:
    r"""Text as it is, or escaped: a name in a damaged file may hold anything.

    >>> printable("b\u00fcndel"), printable("a\x00b")
    ('bündel', 'a\\x00b')
    """
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def closest(name: str, known: Iterable[str]) -> str:
    """Name the neighbours of a misspelt name, for the end of an error message.

    >>> closest("xenonn", ["nova_biao", "xenonnt"])
    'closest: xenonnt'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        return printable(f"closest: {', '.join(near)}")
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return printable(f"known: {', '.join(known[:_SHOWN])}{more}")
