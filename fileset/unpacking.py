"""Ceilings for what comes packed or nested: a small file must not take all memory, nor all time.

For whatever is from outside: archives, JSON, TOML, and what is compressed inside event files.
"""

import gzip
import io
import json
import os
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import Any

from .errors import InputError

RATIO = 200
"""Largest ratio of sizes, unpacked to packed, of what is large: zeros alone reach 1000 and more."""

ALWAYS = 2**30
"""What is not larger than this is unpacked at any ratio [bytes]."""

MOST_TEXT = 2**30
"""Largest JSON or TOML [bytes]."""


def most(packed: int) -> int:
    """Largest size of what is unpacked from some bytes [bytes]."""
    return max(ALWAYS, RATIO * packed)


def check_unpacked(what: str, packed: int, unpacked: int) -> None:
    """Refuse what would take more memory than its size makes plausible, or than there is.

    Parameters
    ----------
    what : str
        For the message.
    packed, unpacked : int
        Sizes [bytes].

    Raises
    ------
    InputError
    """
    if unpacked > most(packed):
        raise InputError(
            f"{what} has {packed} bytes that unpack to {unpacked}, more than {RATIO} times as many "
            f"and than {ALWAYS}; if that is not damage, write it in smaller parts"
        )
    if unpacked > (memory := _memory()):
        raise InputError(
            f"{what} unpacks to {unpacked} bytes, this machine has {memory}; take a larger one"
        )


def _memory() -> float:
    """Memory of this machine [bytes]; infinite where the system does not say."""
    names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    if not set(names).issubset(getattr(os, "sysconf_names", ())):
        return float("inf")
    pages, size = map(os.sysconf, names)
    return pages * size


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse a zip archive with too much in it; :func:`check_unpacked`, of all of its members.

    Raises
    ------
    InputError
    """
    members = archive.infolist()
    # Members may lie over each other: what the directory says of them counts, and is kept to.
    packed = min(sum(member.compress_size for member in members), _length(archive.fp))
    check_unpacked("the archive", packed, sum(member.file_size for member in members))


def _length(file: Any) -> int:
    """Size of an open file [bytes]."""
    place = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(place)
    return int(size)


def parsed(text: str | bytes, kind: str = "JSON") -> Any:
    """Content of JSON or TOML.

    Raises
    ------
    ValueError
        If it is not valid, or nested deeper than it can be read.
    """
    try:
        if kind == "TOML":
            return tomllib.loads(text if isinstance(text, str) else text.decode("utf-8"))
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists or tables nested too deep") from None


def read_text(path: Path) -> str:
    """Text of a file, unpacked if its name ends in ``.gz``.

    Raises
    ------
    ValueError
        If it is not gzip or UTF-8, or larger than :data:`MOST_TEXT`.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        opened: Any = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        try:
            raw = opened.read(MOST_TEXT + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(str(error)) from None
    if len(raw) > MOST_TEXT:
        raise ValueError(f"more than {MOST_TEXT} bytes of text")
    return raw.decode("utf-8")


def read_json(path: Path) -> Any:
    """Content of a JSON file; errors of :func:`read_text` and :func:`parsed`."""
    return parsed(read_text(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Content of a TOML file; errors of :func:`read_text` and :func:`parsed`."""
    content: dict[str, Any] = parsed(read_text(path), "TOML")
    return content
