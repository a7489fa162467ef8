"""Files that appear only when they are complete."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def renamed_when_complete(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it if all goes well, remove it if not.

    Parameters
    ----------
    path : pathlib.Path
        Final name; a file that has it already is replaced.

    Yields
    ------
    pathlib.Path
        Write here.
    """
    # A name of its own: another run may be writing the same file.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
