"""The command line: verbs in the order of the flow.

Results go to stdout, progress and logs to stderr. Exit code 2 with one line: the input is wrong.
Exit code 1: the work is incomplete, and the message says what is missing. A traceback, also with
exit code 1, is a fault of the program.
"""

import importlib.util
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .arguments import parser
from .assistance import completion, doctor
from .events import columns, demo, files, process, simulate
from .limits import combine, limit, sensitivity, table
from .output import fail
from .results import covariance, report, show
from .watching import interrupt, on_signals

PACKAGES = ("fileset", "processors", "analysis")
COMMANDS = {
    command.__name__: command
    for command in (
        *(demo, simulate, files, columns, process, show, covariance),
        *(report, limit, table, combine, sensitivity, doctor, completion),
    )
}


class ShadowedPackageError(ImportError):
    """One of our package names belongs to somebody else here."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exits with a status."""
    try:
        check_packages()
        arguments = parser().understood(argv)
        logging.basicConfig(level="DEBUG" if arguments.verbose else "WARNING", stream=sys.stderr)
        if not arguments.verbose:
            # Where the dashboard is, and what is waited for.
            logging.getLogger("processors.cluster").setLevel("INFO")
        with on_signals(interrupt, signal.SIGTERM):
            status = COMMANDS[arguments.command](arguments)
    except KeyboardInterrupt:
        sys.exit(fail("interrupted; nothing was written, run the command again", 1))
    except BrokenPipeError:
        sys.exit(0)
    except MemoryError as error:
        sys.exit(fail(f"not enough memory ({' '.join(str(error).split())})", 1))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in PACKAGES:
            raise
        sys.exit(fail(f"{error}; 'nudipole doctor' says what is missing", 2))
    # InputError and its relatives from libraries: the input is wrong, the line says how.
    except (ValueError, ArithmeticError, FileExistsError, ShadowedPackageError) as error:
        if "-v" in sys.argv or "--verbose" in sys.argv:
            raise
        sys.exit(fail(" ".join(str(error).split()), 2))
    sys.exit(status or 0)


def check_packages() -> None:
    """Refuse to run with somebody else's ``processors``: the three names are generic.

    Raises
    ------
    ShadowedPackageError
        If a package does not lie beside this one.
    """
    home = Path(__file__).resolve().parents[2]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != home / name:
            raise ShadowedPackageError(
                f"'import {name}' gives {found}, expected {home / name}; install nudipole in a "
                "virtual environment of its own"
            )
