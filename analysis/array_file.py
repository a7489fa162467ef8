"""Files of arrays with one JSON text that says what they are, ``.npz`` or ``.json``: no pickle."""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fileset.atomic import renamed_when_complete
from fileset.errors import InputError
from fileset.unpacking import check_archive, parsed, read_json

ENDINGS = (".npz", ".json")

# What the readers of zip, JSON and arrays raise for a file that is damaged or something else.
_UNREADABLE = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    SyntaxError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


def write(
    path: str | Path, key: str, content: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """Write a file; a reader never sees half of it.

    Parameters
    ----------
    path : str or Path
        Its ending says which kind.
    key : str
        Name of the text, and of what the file is.
    content : mapping
        Plain values, for the text.
    arrays : mapping of str to ndarray

    Raises
    ------
    InputError
        For another ending.
    """
    path = checked(path)
    with renamed_when_complete(path) as partial:
        if path.suffix == ".json":
            lists = {name: array.tolist() for name, array in arrays.items()}
            partial.write_text(json.dumps({key: content} | lists, allow_nan=False), "utf-8")
        else:
            text: Any = np.array(json.dumps(content, allow_nan=False))
            with partial.open("wb") as file:
                np.savez_compressed(file, **arrays, **{key: text})


def read(path: Path, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read text and arrays, as float; call it and look at them within :func:`refusing`."""
    if path.suffix == ".json":
        stored = read_json(path)
        content = stored.pop(key)
    else:
        # Of a damaged file that it opened itself, the reader would leave the handle open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            check_archive(archive.zip)
            stored = {name: archive[name] for name in archive.files}
        content = parsed(str(stored.pop(key)[()]))
    return content, {name: np.asarray(array, dtype=float) for name, array in stored.items()}


@contextlib.contextmanager
def refusing(path: str | Path, what: str, maker: str) -> Iterator[Path]:
    """Turn all that a file can have wrong into one line.

    Parameters
    ----------
    path : str or Path
    what : str
        Such as ``"model"``.
    maker : str
        What writes such a file.

    Raises
    ------
    InputError
        If the file is missing or not what it should be.
    """
    path = checked(path)
    try:
        yield path
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what} file; {maker} writes one") from None
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a {what} file ({reason}); make it again") from error


def check_schema(content: Mapping[str, Any], schema: int, what: str) -> None:
    """Refuse a file of another version."""
    if content["schema"] != schema:
        raise InputError(
            f"{what} of schema {content['schema']}, this version reads {schema}; make it again"
        )


def checked(path: str | Path) -> Path:
    """Path of a file whose ending is one of :data:`ENDINGS`."""
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: expected a name ending in .npz or .json; rename it")
    return path
