"""Tracker text, as written by NUANCE and sntools and read by WCSim: interactions as tracks.

Between ``$ begin`` and ``$ end`` of an event stand one or more interactions, each a ``$ vertex x y
z t`` under the ``$ nuance <code>`` in force, with its ``$ track pdg energy dx dy dz flag``.
``$ info`` and lines that begin with ``#`` mean nothing here.

Format: WCSim/WCSim, ``doc/Nuance_MC_Format.md``; writer: SNEWS2/sntools, ``src/sntools/event.py``.
"""

import math
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from .errors import InputError, closest


class _Keyword(NamedTuple):
    """What it may follow (empty: the beginning of the file), its values, and which are integers."""

    after: tuple[str, ...]
    values: int = 0
    integers: tuple[int, ...] = ()


_OUTSIDE, _INSIDE = ("", "end", "stop"), ("vertex", "track", "info")
_KEYWORDS = {
    "begin": _Keyword(_OUTSIDE),
    "nuance": _Keyword(("begin", "nuance", *_INSIDE), 1, (0,)),
    "vertex": _Keyword(("nuance", *_INSIDE), 4),
    "track": _Keyword(_INSIDE, 6, (0, 5)),
    "info": _Keyword(_INSIDE),
    "end": _Keyword(_INSIDE),
    # More may follow: such files can be written one behind the other.
    "stop": _Keyword(_OUTSIDE),
}
# Codes of particles and interactions have 32 bits.
_LARGEST = 2**31

# First words of sntools' comment, which may be longer than the part that is recognised.
_SNTOOLS = b"# Generated on "
_MARK = b"\xef\xbb\xbf"


def recognise(head: bytes) -> bool:
    """Whether a file begins with an event, after comments."""
    lines = [line.strip() for line in head.removeprefix(_MARK).splitlines()]
    written = [line for line in lines if line and not line.startswith(b"#")]
    if not written:
        return any(line.startswith(_SNTOOLS) for line in lines)
    return written[0].startswith(b"$") and written[0][1:].split() == [b"begin"]


def load(path: str) -> tuple[ak.Array, dict[str, Any]]:
    """Read a whole file.

    Returns
    -------
    awkward.Array of records, length n
        One interaction each, in the units of the file: ``nuance``; ``vertex`` with ``x, y, z, t``;
        ``track``, a list with ``pdg, energy, x, y, z, flag``.
    dict
        Empty: there is nothing else in such a file.

    Raises
    ------
    InputError
        With the number of the line, if the text is damaged or of another format.
    """
    # Whatever a comment holds is not worth a refusal.
    with Path(path).open(encoding="utf-8-sig", errors="replace") as file:
        codes, counts, vertices, tracks = _parse(file)
    if not len(codes):
        raise InputError("there are no events in it; remove the file from the dataset")
    vertex = dict(zip("xyzt", vertices.T, strict=True))
    track = dict(zip(("pdg", "energy", "x", "y", "z", "flag"), tracks.T, strict=True))
    track |= {name: track[name].astype(np.int64) for name in ("pdg", "flag")}
    interactions = {
        "nuance": codes,
        "vertex": ak.zip(vertex),
        "track": ak.unflatten(ak.zip(track), counts),
    }
    return ak.zip(interactions, depth_limit=1), {}


def _parse(lines: Iterable[str]) -> tuple[NDArray[Any], ...]:
    """Code and number of tracks of each interaction; its vertex; all tracks."""
    codes, counts, vertices, tracks = array("q"), array("q"), array("d"), array("d")
    keyword, code, begin = "", 0, 0
    for number, text in enumerate(map(str.strip, lines), 1):
        if not text or text[0] == "#":
            continue
        try:
            keyword, values = _statement(text, keyword)
        except ValueError as error:
            raise InputError(
                f"line {number}, {text[:60]!r}: {error}; the text is damaged or of another format, "
                "write it again"
            ) from None
        if keyword == "begin":
            begin = number
        elif keyword == "nuance":
            code = int(values[0])
        elif keyword == "vertex":
            codes.append(code)
            counts.append(0)
            vertices.extend(values)
        elif keyword == "track":
            counts[-1] += 1
            tracks.extend(values)
    if keyword not in _OUTSIDE:
        raise InputError(
            f"the event in line {begin} has no '$ end'; the file is cut, copy it again"
        )
    return (
        np.asarray(codes),
        np.asarray(counts),
        np.reshape(vertices, (-1, _KEYWORDS["vertex"].values)),
        np.reshape(tracks, (-1, _KEYWORDS["track"].values)),
    )


def _statement(text: str, previous: str) -> tuple[str, list[float]]:
    """Keyword and values of a line, given the keyword before it; what is wrong as ValueError."""
    keyword, *words = (text[1:].split() if text[0] == "$" else ()) or ("",)
    known = _KEYWORDS.get(keyword)
    if known is None:
        raise InputError(f"no keyword {f'$ {keyword}'!r}; {closest(keyword, _KEYWORDS)}")
    if previous not in known.after:
        where = f"behind '$ {previous}'" if previous else "at the beginning of the file"
        raise InputError(f"'$ {keyword}' cannot stand {where}")
    if keyword == "info":
        return keyword, []
    if len(words) != known.values:
        raise InputError(f"{len(words)} values, expected {known.values}")
    values = [float(word) for word in words]
    for position in known.integers:
        values[position] = int(words[position])
        if abs(values[position]) >= _LARGEST:
            raise InputError(f"{words[position][:20]} is no code")
    if not math.isfinite(sum(values)):
        raise InputError("a value is not finite")
    return keyword, values
