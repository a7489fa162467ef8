"""What is inside the files of a dataset: entries, exposure, boundaries, and what is wrong.

A file that cannot be right is refused here, before any of its events is counted.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import uproot
from numpy.typing import NDArray

from .catalog import Dataset
from .errors import InputError, closest
from .formats import CAFANA_SPECTRUM, FORMATS, MEC_CODES, SIGNAL_CODES, Code, Format
from .formats.base import Exposure, agreed
from .identity import identity, numbers
from .opening import (
    READERS,
    ROOT_MAGIC,
    EventFile,
    check_complete,
    content_uuid,
    head,
    loaded_tree,
    names_of,
    printable,
    readable,
    root_tree,
)
from .remote import is_remote, open_root, retry, sha256

_TREES = ("TTree", "ROOT::RNTuple")
# A damaged file breaks the functions of its format anywhere, which take it for what it should be.
_INSPECTING = (*READERS, "fileset.formats.", "fileset.identity")


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
            If a value is missing or unknown.
        """
        pairs = {name: tuple(map(tuple, values.get(name, ()))) for name in ("subruns",)}
        lists = {name: tuple(values.get(name, ())) for name in ("boundaries", "stamp", "knobs")}
        exposures = {name: tuple(v) for name, v in values.get("exposures", {}).items()}
        return cls(**{**values, **pairs, **lists, "exposures": exposures})


@dataclass(frozen=True)
class FileInfo(Facts):
    """One event file as its dataset uses it.

    Attributes
    ----------
    is_mc : bool
    horn_current : str
        ``"FHC"``, ``"RHC"`` or empty where neither file nor description says.
    exposure_source : str
        Where ``pot`` comes from.
    pot : float
        Protons on target.
    event_weight : float
        Factor of every event of the file.
    """

    is_mc: bool = False
    horn_current: str = ""
    exposure_source: str = ""
    pot: float = math.nan
    event_weight: float = 1.0


class _Opened(NamedTuple):
    """An open file and what it turned out to be."""

    layout: Format
    tree: str
    uuid: str
    file: EventFile


def inspect_file(dataset: Dataset, path: str, checksum: str = "") -> FileInfo:
    """Look into one file of a dataset, or remember what was found in it before.

    Parameters
    ----------
    dataset : Dataset
    path : str
    checksum : str
        ``"make"`` to keep one of the content, ``"verify"`` to compare with the one that was kept.

    Raises
    ------
    InputError
        If it is missing, damaged, of another format, without the tree, empty, without exposure or
        with two that disagree, holds an event twice, or is not what the dataset says; or if its
        content is not what it was.
    """
    where = f"dataset {dataset.name!r}, {path}"
    with readable(where, _INSPECTING):
        try:
            if checksum == "verify":
                _verify(dataset, path)
            found = remembered(dataset, path) or retry(lambda: facts(dataset, path), path)
            if checksum == "make" and not found.checksum:
                found = replace(found, checksum=sha256(path, timeout=dataset.timeout))
            return decide(dataset, found)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise InputError(f"{where}: {reason}") from error.__cause__


def _verify(dataset: Dataset, path: str) -> None:
    known = dataset.known.get(path, {}).get("checksum")
    if not known:
        raise InputError(
            "no checksum of it is known; make some with 'files --preprocess FILE --checksums' and "
            "process that file"
        )
    found = sha256(path, timeout=dataset.timeout)
    if found != known:
        raise InputError(
            f"its content has changed since it was preprocessed (sha256 {found[:12]}..., expected "
            f"{known[:12]}...); copy it again"
        )


def remembered(dataset: Dataset, path: str) -> Facts | None:
    """What the description knows of a file, unless the file has changed since."""
    known = dataset.known.get(path)
    if known is None:
        return None
    try:
        found = Facts.from_json(known)
    except TypeError:
        # Written by another version.
        return None
    same = dataset.format in ("", found.format) and dataset.files[path] in ("", found.tree)
    return found if same and found.stamp == stamp(path) else None


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
    file = EventFile(loaded_tree(path, events), frozenset(objects), objects.__getitem__)
    yield _Opened(layout, "", content_uuid(path), file)


def _in_root(dataset: Dataset, path: str, directory: uproot.ReadOnlyDirectory) -> _Opened:
    classes = directory.classnames(cycle=False)
    content = printable(
        ", ".join(f"{name} ({kind})" for name, kind in classes.items()) or "nothing"
    )
    if dataset.format:
        layout = FORMATS[dataset.format]
    else:
        found = [f for f in FORMATS.values() if _recognised(f, directory, classes)]
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
    layout: Format, directory: uproot.ReadOnlyDirectory, classes: Mapping[str, str]
) -> bool:
    name = layout.tree and _located(layout.tree, classes)
    return bool(name) and classes[name] in _TREES and layout.matches(names_of(directory[name]))


def _located(tree: str, classes: Mapping[str, str]) -> str:
    """Path of a tree that may lie in a directory of the file; empty where there is not one."""
    if tree in classes:
        return tree
    found = [name for name in classes if name.rpartition("/")[2] == tree]
    return found[0] if len(found) == 1 else ""


def decide(dataset: Dataset, found: Facts) -> FileInfo:
    """Bring together what a file says and what its description says.

    Raises
    ------
    InputError
        If they contradict each other, or something that must be known is not.
    """
    if found.twice and dataset.check_duplicates:
        raise InputError(
            f"events are in the file more than once ({found.twice}); remove the copies, or set "
            "check_duplicates = false if the numbers mean nothing"
        )
    source, exposure = _exposure(dataset, found)
    return FileInfo(
        **{f.name: getattr(found, f.name) for f in fields(found)},
        is_mc=_is_mc(dataset, found),
        horn_current=_horn_current(dataset, found),
        exposure_source=source,
        pot=exposure.pot,
        event_weight=exposure.event_weight,
    )


def _is_mc(dataset: Dataset, found: Facts) -> bool:
    if dataset.is_mc is None:
        if found.simulated is None:
            raise InputError("the file does not say whether it is simulation; set 'is_mc'")
        return found.simulated
    if dataset.is_mc and found.simulated is False:
        raise InputError("is_mc = true, but the file holds data; set is_mc = false or leave it out")
    return dataset.is_mc


def _horn_current(dataset: Dataset, found: Facts) -> str:
    if found.horn == "mixed":
        raise InputError(
            "the file mixes horn currents FHC and RHC, whose fluxes differ; separate them"
        )
    if found.horn and dataset.horn_current not in ("", found.horn):
        raise InputError(
            f"horn_current = {dataset.horn_current!r}, but the file was taken with {found.horn}; "
            "mend the description"
        )
    return found.horn or dataset.horn_current


def _exposure(dataset: Dataset, found: Facts) -> tuple[str, Exposure]:
    """The description's own exposure, or that of the source it names, or of any the file has."""
    known = FORMATS[found.format].exposure_sources
    if dataset.exposure and dataset.exposure not in known:
        raise InputError(
            f"format {found.format} has no exposure source {dataset.exposure!r}; "
            f"{closest(dataset.exposure, known)}; or set 'pot'"
        )
    wanted = (dataset.exposure,) if dataset.exposure else tuple(known)
    sources = {name: Exposure(*found.exposures[name]) for name in wanted if name in found.exposures}
    for name, exposure in sources.items():
        if not (math.isfinite(exposure.event_weight) and exposure.event_weight > 0.0):
            raise InputError(
                f"event weight from {name!r} is {exposure.event_weight}, expected > 0; mend the "
                "file"
            )
    if dataset.pot is not None:
        event_weight = next((e.event_weight for e in sources.values()), 1.0)
        return "explicit", Exposure(dataset.pot, event_weight)
    if dataset.overlay or found.overlaid:
        raise InputError(
            "its simulated events are overlaid on others: the exposure in the file is that of "
            "their hosts; set 'pot' to that of the overlaid events"
        )
    if not sources:
        raise InputError(
            f"no exposure found (looked for {', '.join(wanted) or 'none, the format has none'}); "
            "set 'pot' in the description"
        )
    return agreed(sources)


def metadata(dataset: Dataset, info: FileInfo) -> dict[str, Any]:
    """What the processor is told about a file of a dataset, as plain JSON values."""
    signal = SIGNAL_CODES[info.format]
    if dataset.signal_code is not None:
        column = dataset.signal_column or (signal[0].column if signal else "mode")
        signal = (Code(column, dataset.signal_code),)
    return {
        "dataset": dataset.name,
        "format": info.format,
        "is_mc": info.is_mc,
        "horn_current": info.horn_current,
        "alternative_to": dataset.alternative_to,
        "variation": dataset.variation,
        "codes": {
            "nuone": [list(code) for code in signal],
            "mec": [list(code) for code in MEC_CODES.get(info.format, ())],
        },
        "sin2_theta_w": dataset.sin2_theta_w,
        "weight": dataset.weight,
        "negative_weights": dataset.negative_weights,
        "perfect_detector": dataset.perfect_detector,
        "event_weight": info.event_weight,
        "universes": info.universes,
        "knobs": list(info.knobs),
        "timeout": dataset.timeout,
    }
