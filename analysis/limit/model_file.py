"""The file of a model, ``.npz`` or ``.json``: plain arrays and one JSON text, no pickle."""

import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fileset.atomic import renamed_when_complete
from fileset.errors import InputError
from fileset.unpacking import check_archive, parsed, read_json

from .model import BinnedModel, Channel, Model, Parameter, Sample

SCHEMA = 1

_CONTENT = "nudipole_model"
_ARRAYS = ("nominal", "mc_variance", "up", "down", "high", "low", "observed")
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


def save(model: BinnedModel, path: str | Path) -> None:
    """Write a model; a reader never sees half of it.

    Raises
    ------
    InputError
        For a name that ends in neither ``.npz`` nor ``.json``.
    """
    path = Path(path)
    _check_ending(path)
    content = {
        "schema": SCHEMA,
        "pot": model.pot,
        "unit": model.unit,
        "origin": model.origin,
        "channels": [asdict(channel) for channel in model.channels],
        "samples": [asdict(sample) for sample in model.samples],
        "parameters": [asdict(parameter) for parameter in model.parameters],
    }
    arrays = {n: getattr(model, n) for n in _ARRAYS if getattr(model, n) is not None}
    with renamed_when_complete(path) as partial:
        if path.suffix == ".json":
            lists = {name: array.tolist() for name, array in arrays.items()}
            partial.write_text(json.dumps({_CONTENT: content} | lists, allow_nan=False), "utf-8")
        else:
            text: Any = np.array(json.dumps(content, allow_nan=False))
            with partial.open("wb") as file:
                np.savez_compressed(file, **arrays, **{_CONTENT: text})


def load(kind: type[Model], path: str | Path) -> Model:
    """Read what :func:`save` wrote, as a kind of model.

    Raises
    ------
    InputError
        If the file is missing, of another version, or not what it should be.
    """
    path = Path(path)
    _check_ending(path)
    try:
        content, arrays = _read(path)
        if content["schema"] != SCHEMA:
            raise InputError(
                f"{path}: model of schema {content['schema']}, this version reads {SCHEMA}; make "
                "it again"
            )
        parameters = tuple(Parameter(**p) for p in content["parameters"])
        if not parameters:
            # Of no parameter at all, JSON keeps no number of rows.
            samples, bins = arrays["nominal"].shape
            arrays |= dict.fromkeys(("up", "down"), np.zeros((0, samples, bins)))
            arrays |= dict.fromkeys(("high", "low"), np.ones((0, samples)))
        return kind(
            channels=tuple(Channel(**c) for c in content["channels"]),
            samples=tuple(Sample(**s) for s in content["samples"]),
            parameters=parameters,
            **{key: content[key] for key in ("pot", "unit", "origin")},
            **arrays,
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such model file; LimitModel.save writes one") from None
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a model file ({reason}); make it again") from error


def workspace_in(path: str | Path) -> dict[str, Any] | None:
    """Content of a file that is a workspace of pyhf, and no model of ours."""
    path = Path(path)
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        content = read_json(path)
    except ValueError:
        return None
    found = isinstance(content, dict) and "channels" in content and "measurements" in content
    return content if found else None


def _check_ending(path: Path) -> None:
    if path.suffix not in (".npz", ".json"):
        raise InputError(f"{path}: expected a name ending in .npz or .json; rename it")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    if path.suffix == ".json":
        stored = read_json(path)
        content = stored.pop(_CONTENT)
    else:
        # Of a damaged file that it opened itself, the reader would leave the handle open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            check_archive(archive.zip)
            stored = {name: archive[name] for name in archive.files}
        content = parsed(str(stored.pop(_CONTENT)[()]))
    return content, {name: np.asarray(stored[name], dtype=float) for name in stored}
