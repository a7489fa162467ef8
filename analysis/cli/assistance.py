"""Verbs that help to use the others: what is wrong here, and completion in a shell."""

import argparse
from typing import Any

from .arguments import parser
from .output import fail


def doctor(arguments: argparse.Namespace) -> int:
    """Look at everything that a run needs; say what is wrong."""
    from ..doctor import content, examine

    checks = []
    for check in examine(arguments.scheduler, arguments.cluster, timeout=arguments.timeout):
        checks.append(check)
        if not arguments.json:
            state = "wrong" if check.problem else "ok"
            print(f"{state:6} {check.subject}: {check.problem or check.found}", flush=True)
    if arguments.json:
        print(content(checks))
    problems = [check.subject for check in checks if check.problem]
    return fail(f"wrong: {', '.join(problems)}", 1) if problems else 0


def completion(arguments: argparse.Namespace) -> int:
    """Print the script that completes verbs, options, files and names of experiments."""
    from pathlib import Path

    import shtab

    rows = Path(__file__).parents[1].joinpath("experiments").glob("*.toml")
    names = " ".join(sorted(path.stem for path in rows))
    top = parser()
    for verb in top.verbs().values():
        actions: list[Any] = list(verb._actions)
        for action in actions:
            if action.metavar == "DIR":
                action.complete = shtab.DIRECTORY
            elif action.type is Path or action.dest == "fileset":
                action.complete = shtab.FILE
            elif action.dest in ("source", "names", "name"):
                action.complete = {"bash": "_nudipole_rows", "zsh": "_nudipole_rows"}
    preamble: Any = {
        "bash": f'_nudipole_rows() {{ compgen -f -W "{names}" -- "$1"; }}\n',
        "zsh": f'_nudipole_rows() {{ _alternative "rows:row:({names})" "files:file:_files"; }}\n',
    }
    print(shtab.complete(top, arguments.shell, preamble=preamble))
    return 0
