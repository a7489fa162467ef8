"""What event files say: entries, exposures, boundaries, numbers of events, before any decision."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
import uproot
from numpy.typing import NDArray

from .catalog import Dataset
from .errors import InputError, closest, printable
from .formats import CAFANA_SPECTRUM, FORMATS, Format
from .identity import identity, numbers
from .opening import (
    ROOT_MAGIC,
    EventFile,
    check_complete,
    content_uuid,
    head,
    loaded_tree,
    names_of,
    root_tree,
)
from .remote import is_remote, open_root
from .root_limits import contents

_TREES = ("TTree", "ROOT::RNTuple")


@dataclass(frozen=True)
class Facts:
    """What one event file says, whatever its description says.

    Attributes
    ----------
    path, tree, uuid : str
        Where it is, its event tree and ROOT's identifier of the file, or a digest of its content.
    format : str
        Key of :data:`fileset.formats.FORMATS`.
    entries : int
    size : int
        Compressed size of the tree [bytes].
    boundaries : tuple of int
        Entries at which the file can be cut without decompressing anything twice.
    universes : int
        Flux universes per event, 0 where the format has none.
    knobs : tuple of str
        Names of its cross-section knobs.
    exposures : dict of str to (float, float)
        Source of exposure to POT and weight of every event.
    simulated, overlaid : bool, optional
        Whether it holds simulation, and whether that is overlaid on other events.
    horn : str, optional
        ``"FHC"``, ``"RHC"`` or ``"mixed"``.
    subruns : tuple of (int, int)
        Runs and subruns in it; empty where its events have no numbers.
    twice : str
        Events that are in it more than once; empty if none.
    stamp : tuple of int
        Size [bytes] and time of change [ns] of the file on disk; empty for a remote one.
    checksum : str
        sha256 of the content; empty where it was not asked for.
    """

    path: str
    tree: str
    uuid: str
    format: str
    entries: int
    size: int
    boundaries: tuple[int, ...]
    universes: int = 0
    knobs: tuple[str, ...] = ()
    exposures: dict[str, tuple[float, float]] = field(default_factory=dict)
    simulated: bool | None = None
    overlaid: bool | None = None
    horn: str | None = None
    subruns: tuple[tuple[int, int], ...] = ()
    twice: str = ""
    stamp: tuple[int, ...] = ()
    checksum: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Facts":
        """Inverse of :func:`dataclasses.asdict` followed by JSON.

        Raises
        ------
        TypeError
            If a value is missing, unknown, or not of its kind.
        """
        pairs = {name: tuple(map(tuple, values.get(name, ()))) for name in ("subruns",)}
        lists = {name: tuple(values.get(name, ())) for name in ("boundaries", "stamp", "knobs")}
        exposures = {name: tuple(v) for name, v in dict(values.get("exposures", {})).items()}
        found = cls(**{**values, **pairs, **lists, "exposures": exposures})
        hints = get_type_hints(cls)
        wrong = [name for name, hint in hints.items() if not _fits(getattr(found, name), hint)]
        if wrong or found.format not in FORMATS or found.entries < 1:
            raise TypeError(f"{wrong or ['format', 'entries']}: not what was written")
        return found


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a kind; only of kinds that :class:`Facts` has."""
    parts = get_args(hint)
    if isinstance(hint, UnionType):
        return any(_fits(value, part) for part in parts)
    if isinstance(value, dict) and get_origin(hint) is dict:
        return all(_fits(key, parts[0]) and _fits(v, parts[1]) for key, v in value.items())
    if isinstance(value, tuple) and get_origin(hint) is tuple:
        kinds = parts[:1] * len(value) if parts[-1] is ... else parts
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    # JSON writes some real numbers without a point.
    return type(value) is hint or (hint is float and type(value) is int)


class _Opened(NamedTuple):
    """An open file and what it turned out to be."""

    layout: Format
    tree: str
    uuid: str
    file: EventFile


def stamp(path: str) -> tuple[int, ...]:
    """Size [bytes] and time of change [ns] of a file on disk; empty for a remote one."""
    if is_remote(path):
        return ()
    status = Path(path).stat()
    return status.st_size, status.st_mtime_ns


def facts(dataset: Dataset, path: str) -> Facts:
    """Open a file and look at it.

    Raises
    ------
    InputError
        If it is missing, damaged, of another format than the dataset says, or empty.
    """
    with _opened(dataset, path) as (layout, tree_name, uuid, file):
        if file.tree.entries == 0:
            raise InputError(f"tree {tree_name!r} has no entries; remove the file from the dataset")
        try:
            sources = {name: read(file) for name, read in layout.exposure_sources.items()}
            subruns, twice = numbers(layout, file)
            return Facts(
                path=path,
                tree=tree_name,
                uuid=uuid,
                format=layout.name,
                entries=file.tree.entries,
                size=file.tree.size,
                boundaries=file.tree.boundaries,
                universes=layout.universes(file) or 0,
                knobs=layout.knobs(file) or (),
                exposures={name: (*found,) for name, found in sources.items() if found},
                simulated=layout.is_mc(file),
                overlaid=layout.is_overlay(file),
                horn=layout.horn_current(file),
                subruns=subruns,
                twice=twice,
                stamp=stamp(path),
            )
        except uproot.KeyInFileError as error:
            # Of an object that is damaged, a member may be missing too.
            if error.keys is None:
                raise
            near = closest(str(error.key), file.tree.names)
            raise InputError(f"no branch {error.key!r} in {tree_name!r}; {near}") from error


def event_numbers(dataset: Dataset, path: str) -> dict[str, NDArray[np.generic]]:
    """What identifies the events of a file: values by branch; empty where nothing does."""
    with _opened(dataset, path) as opened:
        return identity(opened.layout, opened.file)


@contextlib.contextmanager
def _opened(dataset: Dataset, path: str) -> Iterator[_Opened]:
    if is_remote(path) or (first := head(path)).startswith(ROOT_MAGIC):
        with open_root(path, timeout=dataset.timeout) as directory:
            check_complete(directory)
            yield _in_root(dataset, path, directory)
        return
    allowed = [FORMATS[dataset.format]] if dataset.format else FORMATS.values()
    found = [(f, f.loader) for f in allowed if f.loader and f.loader.recognise(first)]
    if not first:
        raise InputError("the file is empty (0 bytes); copy it again")
    if len(found) != 1:
        raise InputError(
            f"not a ROOT file, nor {dataset.format or 'of another known format'}: it begins with "
            f"{first[:8]!r}; check that it is complete and that 'format' is right"
        )
    layout, loader = found[0]
    events, objects = loader.load(path)
    content = loaded_tree(path, events, getattr(layout.schema, "prefix", ""))
    file = EventFile(content, frozenset(objects), objects.__getitem__)
    yield _Opened(layout, "", content_uuid(path), file)


def _in_root(dataset: Dataset, path: str, directory: uproot.ReadOnlyDirectory) -> _Opened:
    classes = contents(directory)
    content = printable(
        ", ".join(f"{name} ({kind})" for name, kind in classes.items()) or "nothing"
    )
    if dataset.format:
        layout = FORMATS[dataset.format]
    else:
        # Several formats call their tree alike.
        names = functools.cache(lambda tree: names_of(directory[tree]))
        found = [f for f in FORMATS.values() if _recognised(f, classes, names)]
        if not found and any(name.endswith("/livetime") for name in classes):
            raise InputError(
                "it holds finished spectra of CAFAna, no events; describe them as datasets with "
                f"format = {CAFANA_SPECTRUM!r} and say in 'spectra' which is which"
            )
        if len(found) != 1:
            raise InputError(
                f"cannot tell the format from its content ({content}); set format = one of "
                f"{', '.join(FORMATS)}"
            )
        layout = found[0]
    wanted = dataset.files[path] or layout.tree
    name = _located(wanted, classes)
    if not name:
        raise InputError(f"no tree {wanted!r} in the file; it holds {content}; set 'tree'")
    if classes[name] not in _TREES:
        raise InputError(f"{wanted!r} is a {classes[name]}, not a TTree or RNTuple; set 'tree'")
    file = EventFile(root_tree(directory[name]), frozenset(classes), directory.__getitem__)
    return _Opened(layout, name, str(directory.file.uuid), file)


def _recognised(
    layout: Format, classes: Mapping[str, str], names: Callable[[str], frozenset[str]]
) -> bool:
    tree = layout.tree and _located(layout.tree, classes)
    return bool(tree) and classes[tree] in _TREES and layout.matches(names(tree))


def _located(tree: str, classes: Mapping[str, str]) -> str:
    """Path of a tree that may lie in a directory of the file; empty where there is not one."""
    if tree in classes:
        return tree
    found = [name for name in classes if name.rpartition("/")[2] == tree]
    return found[0] if len(found) == 1 else ""
