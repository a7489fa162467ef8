"""How systematic variations are declared, found and evaluated; the variations are elsewhere.

A variation is one function under :func:`variation`, in :mod:`processors.variations` or in a file of
a user's own. What it returns says what kind it is: factors on the weight of each event (a pair up
and down, one side alone, or a table of any number), weights that take the place of a nominal one,
factors by cells of the truth, or replaced columns, for which cuts, derived columns and bins are
evaluated again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import awkward as ak
import numpy as np

from fileset.errors import InputError, closest

from .categories import CATEGORIES
from .fill import TruthCells
from .reading import Columns

NOMINAL = "nominal"
CATEGORY = "category"
"""Column with the truth category of each event, a position in :data:`.categories.AXIS`."""

Metadata = Mapping[str, Any]
Labels = Callable[[Metadata], list[str]]
Events: TypeAlias = "ak.Array | Columns"


@dataclass(frozen=True)
class Variation:
    """One registered variation.

    Attributes
    ----------
    name : str
    function : callable
        Columns of events to factors, or to replaced columns for a shift.
    uses : tuple of str
        Columns that it needs; a format without one of them does not have the variation.
    labels : callable
        Metadata of a dataset to the bins of the variation axis.
    shift : bool
        Whether the function replaces columns instead of returning factors.
    optional : tuple of str
        Columns that it reads where they are there.
    replaces : str
        Weight column whose place its values take; empty for factors on the whole weight.
    default : bool
        Whether it is made without being asked for by name.
    data : bool
        Whether it is made of recorded events too.
    source : str
        File that it was read from; empty for our own.
    """

    name: str
    function: Callable[[Columns], Any]
    uses: tuple[str, ...]
    labels: Labels
    shift: bool = False
    optional: tuple[str, ...] = ()
    replaces: str = ""
    default: bool = True
    data: bool = False
    source: str = ""


VARIATIONS: dict[str, Variation] = {}
"""Name to variation, in the order in which they were declared."""


def variation(
    *,
    uses: tuple[str, ...],
    shift: bool = False,
    one_sided: bool = False,
    labels: Labels | None = None,
    **more: Any,
) -> Callable[[Callable[[Columns], Any]], Callable[[Columns], Any]]:
    """Register a variation under the name of its function.

    Parameters
    ----------
    uses : tuple of str
        Canonical or derived columns, or branches by their dotted names, that the function reads.
        It is given these columns and no others.
    shift : bool
        The function returns dictionaries of replaced columns instead of factors.
    one_sided : bool
        The function returns one side, ``<name>Up``, instead of a pair; nothing makes up the other.
    labels : callable, optional
        For a table: the label of each of its columns, from the metadata of the dataset.
    **more
        ``optional``, ``replaces``, ``default`` and ``data`` of :class:`Variation`.

    Raises
    ------
    InputError
        If there is one of this name already.
    """

    def register(function: Callable[[Columns], Any]) -> Callable[[Columns], Any]:
        name = function.__name__
        sides = [f"{name}Up"] if one_sided else [f"{name}Up", f"{name}Down"]
        add(Variation(name, function, uses, labels or (lambda _: sides), shift, **more))
        return function

    return register


def normalisation(name: str, sizes: Mapping[str, float], **more: Any) -> None:
    """Register a normalisation by category.

    Parameters
    ----------
    name : str
    sizes : mapping of str to float
        Truth category to its relative uncertainty; other categories stay as they are.
    **more
        As for :func:`variation`.

    Raises
    ------
    InputError
        For an unknown category.
    """
    unknown = sorted(set(sizes) - set(CATEGORIES))
    if unknown:
        raise InputError(
            f"variation {name!r}: no category {unknown[0]!r}; {closest(unknown[0], CATEGORIES)}"
        )
    table = np.array([sizes.get(category, 0.0) for category in CATEGORIES])

    def function(events: Columns) -> TruthCells:
        """Normalisation by category."""
        return TruthCells(events.category, np.column_stack([1.0 + table, 1.0 - table]))

    function.__name__ = name
    variation(uses=(CATEGORY,), **more)(function)


def add(found: Variation) -> None:
    """Add a variation to the registry.

    Raises
    ------
    InputError
        If there is another one of its name.
    """
    found = replace(found, source=_reading.get())
    known = VARIATIONS.get(found.name)
    if known is not None and known.source != found.source:
        raise InputError(
            f"there is a variation {found.name!r} already, in {known.source or 'the package'}; "
            "give the new one another name"
        )
    VARIATIONS[found.name] = found


class VariationFile(NamedTuple):
    """A file of a user's own with variations: what workers must know of it.

    Attributes
    ----------
    path, text : str
    """

    path: str
    text: str


_reading: ContextVar[str] = ContextVar("reading", default="")
_declared: dict[str, str] = {}


def declare(file: VariationFile) -> list[str]:
    """Register the variations of a user's file, once per process and text.

    Returns
    -------
    list of str
        Their names.

    Raises
    ------
    InputError
        If it cannot be run, or declares nothing.
    """
    names = [name for name, v in VARIATIONS.items() if v.source == file.path]
    if _declared.get(file.path) != file.text or not names:
        for name in names:
            del VARIATIONS[name]
        token = _reading.set(file.path)
        try:
            # The very text that the driver read: a worker need not see its file system.
            exec(compile(file.text, file.path, "exec"), {"__name__": Path(file.path).stem})
        except InputError as error:
            raise InputError(f"{file.path}: {error}") from error
        # It is somebody else's program: anything can go wrong in it.
        except Exception as error:
            raise InputError(f"{file.path}: {type(error).__name__}: {error}; mend it") from error
        finally:
            _reading.reset(token)
        _declared[file.path] = file.text
    names = [name for name, v in VARIATIONS.items() if v.source == file.path]
    if not names:
        raise InputError(f"{file.path}: declares no variation; see docs/systematics.md")
    return names


def read_files(names: str | None) -> tuple[str | None, tuple[VariationFile, ...]]:
    """Take the files out of a comma-separated list of variations and files.

    Returns
    -------
    names : str, optional
        The others; those made by default where there are files only.
    files : tuple of VariationFile

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    parts = [part.strip() for part in (names or "").split(",") if part.strip()]
    files = []
    for path in [part for part in parts if part.endswith(".py")]:
        try:
            files.append(VariationFile(path, Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot read the variations: {error}") from None
    rest = [part for part in parts if not part.endswith(".py")]
    return (",".join(rest) or None), tuple(files)


def find_variations(names: str | None, files: Sequence[VariationFile] = ()) -> list[Variation]:
    """Registered variations by comma-separated names, and those of a user's files.

    Parameters
    ----------
    names : str, optional
        None or ``"all"`` for those made by default, ``"none"`` for none.
    files : sequence of VariationFile
        All variations in them.

    Raises
    ------
    InputError
        For an unknown name, or a file that cannot be run.
    """
    own = [name for file in files for name in declare(file)]
    wanted: dict[str, Variation] = {}
    for name in (names or "all").split(","):
        if name == "all":
            wanted |= {n: v for n, v in VARIATIONS.items() if v.default and not v.source}
        elif name and name != "none":
            if name not in VARIATIONS:
                raise InputError(f"no variation {name!r}; {closest(name, VARIATIONS)}")
            wanted[name] = VARIATIONS[name]
    return list((wanted | {name: VARIATIONS[name] for name in own}).values())
