"""The file of a model, ``.npz`` or ``.json``: plain arrays and one JSON text, no pickle."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fileset.unpacking import parsed, read_text

from ..array_file import check_schema, read, refusing, write
from .model import BinnedModel, Channel, Model, Parameter, Sample

SCHEMA = 1

_CONTENT = "nudipole_model"
_ARRAYS = ("nominal", "mc_variance", "up", "down", "high", "low", "observed")


def save(model: BinnedModel, path: str | Path) -> None:
    """Write a model; a reader never sees half of it.

    Raises
    ------
    InputError
        For a name that ends in neither ``.npz`` nor ``.json``.
    """
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
    write(path, _CONTENT, content, arrays)


def load(kind: type[Model], path: str | Path) -> Model:
    """Read what :func:`save` wrote, as a kind of model.

    Raises
    ------
    InputError
        If the file is missing, of another version, or not what it should be.
    """
    with refusing(path, "model", "LimitModel.save") as path:
        content, arrays = read(path, _CONTENT)
        check_schema(content, SCHEMA, "model")
        parameters = tuple(Parameter(**p) for p in content["parameters"])
        if not parameters:
            # Of no parameter at all, JSON keeps no number of rows.
            samples, bins = arrays["nominal"].shape
            arrays |= dict.fromkeys(("up", "down"), np.zeros((0, samples, bins)))
            arrays |= dict.fromkeys(("high", "low"), np.ones((0, samples)))
        result = kind(
            channels=tuple(Channel(**c) for c in content["channels"]),
            samples=tuple(Sample(**s) for s in content["samples"]),
            parameters=parameters,
            **{key: content[key] for key in ("pot", "unit", "origin")},
            **arrays,
        )
    return result


def workspace_in(path: str | Path) -> tuple[dict[str, Any], str] | None:
    """Content and sha256 of a file that is a workspace of pyhf, and no model of ours."""
    path = Path(path)
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        text = read_text(path)
        content = parsed(text)
    except ValueError:
        return None
    found = isinstance(content, dict) and "channels" in content and "measurements" in content
    return (content, hashlib.sha256(text.encode("utf-8")).hexdigest()) if found else None
