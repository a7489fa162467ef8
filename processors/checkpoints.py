"""Results of chunks kept on disk, so that a run that was cut short goes on where it stopped.

A checkpoint is found by what its content depends on: the code, the settings of the processor, the
file with its time of change, and the range of entries. Whatever of these changes, no old chunk is
found and the chunk is processed. The process that adds the results up writes them, one file per
chunk as it comes: so it works with workers that share no disk, and one writer needs no locks.

One file: a digest, then JSON with the arrays behind it. Nothing is pickled.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from boost_histogram.serialization import from_uhi, to_uhi
from hist import Hist

from fileset.atomic import renamed_when_complete
from fileset.coffea_api import ProcessorABC
from fileset.errors import InputError
from fileset.facts import stamp
from fileset.plan import Chunk

from .columns import DERIVED
from .cut_axes import CUT_ON
from .filled import Filled, Part
from .fingerprint import fingerprint
from .histograms import HISTOGRAMS
from .nuone import NuoneProcessor

log = logging.getLogger(__name__)

KEPT_DAYS = 30
"""How long a checkpoint is kept that no run has used."""

_FORMAT = b"nudipole checkpoint 1"


@dataclass(frozen=True)
class Checkpoints:
    """Results of chunks of one processor in a folder.

    Attributes
    ----------
    folder : Path
    fingerprint : str
        Of the processor: :func:`code_of`.
    """

    folder: Path
    fingerprint: str

    @classmethod
    def of(cls, processor: ProcessorABC, folder: Path) -> "Checkpoints":
        """Checkpoints of a processor in a folder, which is made if there is none.

        Raises
        ------
        InputError
            If it cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--resume {folder}: cannot be made ({error.strerror})") from None
        return cls(folder, code_of(processor))

    def path(self, chunk: Chunk) -> Path:
        """Where the result of a chunk is, or will be.

        Raises
        ------
        OSError
            If the file of the chunk is gone.
        """
        return self.folder / f"{identity(self.fingerprint, chunk)}.chunk"

    def save(self, path: Path, output: Mapping[str, Any]) -> None:
        """Keep the result of a chunk; a reader never sees a half-written one.

        Raises
        ------
        OSError
            If it cannot be written.
        InputError
            If it holds something that has no form on disk.
        """
        content = encode(output)
        with renamed_when_complete(path) as partial:
            partial.write_bytes(_digest(path, content) + content)

    def load(self, path: Path) -> dict[str, Any] | None:
        """Read what :meth:`save` kept; None if there is none, or it is damaged."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        size = hashlib.sha256().digest_size
        if content[:size] != _digest(path, content[size:]):
            log.warning("%s is damaged; its chunk is processed again", path)
            return None
        output: dict[str, Any] = decode(content[size:])
        with contextlib.suppress(OSError):
            os.utime(path)
        return output

    def clean(self) -> None:
        """Remove what no run has made or used for :data:`KEPT_DAYS`.

        Others that are not of this run are left alone: another run may go on from them.
        """
        oldest = time.time() - 86_400 * KEPT_DAYS
        for path in self.folder.glob("*.chunk"):
            # Another run may do the same.
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _digest(path: Path, content: bytes) -> bytes:
    return hashlib.sha256(_FORMAT + path.stem.encode() + content).digest()


def identity(code: str, chunk: Chunk) -> str:
    """Digest of what the result of a chunk depends on."""
    # How long a server may take does not change what it sends.
    metadata = {k: v for k, v in chunk.metadata.items() if k != "timeout"}
    parts = [code, chunk.path, stamp(chunk.path), chunk.tree, chunk.key, metadata]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


def code_of(processor: ProcessorABC) -> str:
    """Digest of everything but the input that decides about what a processor makes of a chunk."""
    values = [type(processor).__mro__[:-1], vars(processor)]
    if isinstance(processor, NuoneProcessor):
        values += [processor.cuts(), processor.find(), DERIVED, HISTOGRAMS]
        values += [CUT_ON]
    return fingerprint(*values, modules=[__name__])


_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "Part": Part._make,
    "Filled": lambda parts: Filled(*parts),
    "dict": dict,
    "Counter": lambda items: Counter(dict(items)),
    "Hist": lambda parts: Hist(from_uhi(parts[0])),
    "value": lambda parts: parts[0][()],
}
"""Name of a kind to what makes one of its parts."""


def encode(output: Any) -> bytes:
    """Result of a chunk as bytes: ``.npy`` arrays behind JSON.

    Raises
    ------
    InputError
        If it holds something else than numbers, text, arrays, histograms and containers of them.
    """
    arrays: dict[int, tuple[int, Any]] = {}
    text = json.dumps(_packed(output, arrays)).encode()
    file = io.BytesIO()
    file.write(f"{len(text)}\n".encode() + text)
    for _, array in arrays.values():
        np.save(file, array, allow_pickle=False)
    return file.getvalue()


def decode(content: bytes) -> Any:
    """Inverse of :func:`encode`."""
    file = io.BytesIO(content)
    tree = json.loads(file.read(int(file.readline())))
    arrays = []
    while file.tell() < len(content):
        arrays.append(np.load(file, allow_pickle=False))
    return _unpacked(tree, arrays)


def _packed(value: Any, arrays: dict[int, tuple[int, Any]]) -> Any:
    """Plain values as they are; an array as its number; the rest as its kind and its parts."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        # An array that several histograms share is kept once.
        return arrays.setdefault(id(value), (len(arrays), value))[0:1]
    kind, parts = type(value).__name__, None
    if isinstance(value, Hist):
        parts = [to_uhi(value)]
    elif isinstance(value, Filled):
        parts = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, np.generic):
        kind, parts = "value", [np.asarray(value)]
    elif type(value) in (list, tuple, set, Part):
        parts = list(value)
    elif type(value) in (dict, Counter):
        parts = list(value.items())
    if parts is None:
        raise InputError(
            f"--resume keeps numbers, text, arrays and histograms, not {type(value).__name__}; "
            "have the processor return these, or leave --resume out"
        )
    return [kind, *(_packed(part, arrays) for part in parts)]


def _unpacked(tree: Any, arrays: list[Any]) -> Any:
    if not isinstance(tree, list):
        return tree
    kind, *parts = tree
    if isinstance(kind, int):
        return arrays[kind]
    return _CONTAINERS[kind]([_unpacked(part, arrays) for part in parts])
