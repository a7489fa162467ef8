"""What is inside the files of a dataset: entries, exposure, boundaries, and what is wrong.

The only module that opens event files. A file that cannot be right is refused here, before any
of its events is counted.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import uproot

from .catalog import Dataset
from .coffea_api import NanoEventsFactory
from .columns import CANONICAL, with_columns
from .errors import InputError, closest
from .formats import FORMATS, SIGNAL_CODES, Format
from .formats.base import Exposure


@dataclass(frozen=True)
class FileInfo:
    """Content of one event file.

    Attributes
    ----------
    path, tree, uuid : str
        Where it is, its event tree and ROOT's identifier of the file.
    format : str
        Key of :data:`fileset.formats.FORMATS`.
    is_mc : bool
    entries : int
    size : int
        Compressed size of the tree [bytes].
    exposure_source : str
        Where ``pot`` comes from.
    pot : float
        Protons on target.
    event_weight : float
        Factor of every event of the file.
    universes : int
        Flux universes per event, 0 where the format has none.
    boundaries : tuple of int
        Entries at which the file can be cut without decompressing anything twice.
    """

    path: str
    tree: str
    uuid: str
    format: str
    is_mc: bool
    entries: int
    size: int
    exposure_source: str
    pot: float
    event_weight: float
    universes: int
    boundaries: tuple[int, ...]


def inspect_dataset(dataset: Dataset) -> list[FileInfo]:
    """Look into every file of a dataset.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    list of FileInfo
        In the order of the description. An explicit ``pot`` is shared by number of entries.

    Raises
    ------
    InputError
        For the first file that is missing, not ROOT, without the tree, empty or without exposure,
        and for a file that is there twice.
    """
    infos = [inspect_file(dataset, path) for path in dataset.files]
    seen: dict[str, str] = {}
    for info in infos:
        if info.uuid in seen:
            raise InputError(
                f"dataset {dataset.name!r}: {info.path} and {seen[info.uuid]} are one file "
                f"(uuid {info.uuid}); list it once"
            )
        seen[info.uuid] = info.path
    for key, what in (
        ("format", "formats"),
        ("is_mc", "data and simulation"),
        ("event_weight", "event weights"),
        ("universes", "numbers of flux universes"),
    ):
        values = {getattr(info, key) for info in infos}
        if len(values) > 1:
            raise InputError(
                f"dataset {dataset.name!r}: its files mix {what} ({key} = "
                f"{', '.join(map(str, sorted(values)))}); describe them as separate datasets"
            )
    if dataset.pot is None:
        return infos
    total = sum(info.entries for info in infos)
    return [
        replace(info, pot=dataset.pot * info.entries / total, exposure_source="explicit")
        for info in infos
    ]


def survey(dataset: Dataset) -> tuple[list[FileInfo], list[str]]:
    """Look into every file of a dataset and collect what is wrong instead of stopping at it.

    Returns
    -------
    infos : list of FileInfo
        The files that can be used.
    problems : list of str
        One line per file that cannot, or why the files do not go together.
    """
    try:
        return inspect_dataset(dataset), []
    except InputError as error:
        infos, problems = [], []
        for path in dataset.files:
            try:
                infos.append(inspect_file(dataset, path))
            except InputError as problem:
                problems.append(str(problem))
        return infos, problems or [str(error)]


def inspect_file(dataset: Dataset, path: str) -> FileInfo:
    """Look into one file of a dataset; see :func:`inspect_dataset`."""
    where = f"dataset {dataset.name!r}, {path}"
    try:
        with _open(path, where) as file:
            _complete(file, where)
            return _describe(dataset, path, file, where)
    except InputError:
        raise
    except uproot.KeyInFileError as error:
        raise InputError(
            f"{where}: no branch {error.key!r} in {error.object_path}; set 'tree' or 'format'"
        ) from error
    except (ValueError, OSError, ImportError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{where}: cannot be read as a ROOT file: {reason}; check that it is complete"
        ) from error


def _open(path: str, where: str) -> uproot.ReadOnlyDirectory:
    try:
        # As a dictionary, or a colon in the path would begin the name of an object.
        return uproot.open({path: None})
    except FileNotFoundError:
        raise InputError(f"{where}: no such file; check the path in the description") from None


def _complete(file: uproot.ReadOnlyDirectory, where: str) -> None:
    """Refuse a file that is shorter than it says: its first entries would still be readable."""
    expected, found = file.file.fEND, file.file.source.num_bytes
    if found is not None and found < expected:
        raise InputError(
            f"{where}: the file is truncated, {found} of {expected} bytes; copy it again"
        )


def _describe(dataset: Dataset, path: str, file: uproot.ReadOnlyDirectory, where: str) -> FileInfo:
    layout = _format(dataset, file, where)
    tree_name = dataset.files[path] or layout.tree
    tree = _tree(file, tree_name, where)
    exposure_source, exposure = _exposure(dataset, layout, file, where)
    try:
        universes = layout.universes(tree)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return FileInfo(
        path=path,
        tree=tree_name,
        uuid=str(file.file.uuid),
        format=layout.name,
        is_mc=dataset.is_mc if dataset.is_mc is not None else layout.is_mc(tree),
        entries=tree.num_entries,
        size=tree.compressed_bytes,
        exposure_source=exposure_source,
        pot=exposure.pot,
        event_weight=exposure.event_weight,
        universes=universes,
        boundaries=tuple(int(b) for b in tree.branches[0].entry_offsets),
    )


def _format(dataset: Dataset, file: uproot.ReadOnlyDirectory, where: str) -> Format:
    if dataset.format:
        return FORMATS[dataset.format]
    trees = {name.rsplit("/", 1)[-1] for name in file.keys(cycle=False)}
    found = [layout for layout in FORMATS.values() if layout.tree in trees]
    if len(found) != 1:
        raise InputError(
            f"{where}: cannot tell the format from its content ({_content(file)}); "
            f"set format = one of {', '.join(FORMATS)}"
        )
    return found[0]


def _tree(file: uproot.ReadOnlyDirectory, name: str, where: str) -> uproot.TTree:
    try:
        tree = file[name]
    except uproot.KeyInFileError:
        raise InputError(
            f"{where}: no tree {name!r} in the file; it holds {_content(file)}; set 'tree'"
        ) from None
    if not isinstance(tree, uproot.TTree):
        raise InputError(f"{where}: {name!r} is a {tree.classname}, not a TTree; set 'tree'")
    if tree.num_entries == 0:
        raise InputError(f"{where}: tree {name!r} has no entries; remove the file from the dataset")
    return tree


def _content(file: uproot.ReadOnlyDirectory) -> str:
    classes = file.classnames(cycle=False)
    return ", ".join(f"{name} ({kind})" for name, kind in classes.items()) or "nothing"


def _exposure(
    dataset: Dataset, layout: Format, file: uproot.ReadOnlyDirectory, where: str
) -> tuple[str, Exposure]:
    sources = dict(layout.exposure_sources)
    if dataset.exposure:
        if dataset.exposure not in sources:
            raise InputError(
                f"{where}: format {layout.name} has no exposure source {dataset.exposure!r}; "
                f"{closest(dataset.exposure, sources)}; or set 'pot'"
            )
        sources = {dataset.exposure: sources[dataset.exposure]}
    for name, read in sources.items():
        exposure = read(file)
        if exposure is None:
            continue
        if dataset.pot is None and not (math.isfinite(exposure.pot) and exposure.pot > 0.0):
            raise InputError(
                f"{where}: exposure from {name!r} is {exposure.pot} POT, expected > 0; mend the "
                "file or set 'pot' in the description"
            )
        if not (math.isfinite(exposure.event_weight) and exposure.event_weight > 0.0):
            raise InputError(
                f"{where}: event weight from {name!r} is {exposure.event_weight}, expected > 0; "
                "mend the file"
            )
        return name, exposure
    if dataset.pot is None:
        raise InputError(
            f"{where}: no exposure found (looked for {', '.join(sources)}); set 'pot' in the "
            "description"
        )
    return "explicit", Exposure(dataset.pot)


def metadata(dataset: Dataset, info: FileInfo) -> dict[str, Any]:
    """What the processor is told about a file of a dataset, as plain JSON values."""
    code = SIGNAL_CODES[info.format]
    return {
        "dataset": dataset.name,
        "format": info.format,
        "is_mc": info.is_mc,
        "horn_current": dataset.horn_current,
        "signal_column": code.column,
        "signal_code": code.value if dataset.signal_code is None else dataset.signal_code,
        "sin2_theta_w": dataset.sin2_theta_w,
        "weight": dataset.weight,
        "event_weight": info.event_weight,
        "universes": info.universes,
    }


def open_events(path: str, tree: str, start: int, stop: int, metadata: dict[str, Any]) -> ak.Array:
    """Open a range of entries as coffea events, without reading them.

    Parameters
    ----------
    path, tree : str
    start, stop : int
        Range of entries.
    metadata : dict
        As from :func:`metadata`, with the ``fileuuid`` that was planned.

    Returns
    -------
    coffea NanoEvents, length stop - start
        Nested records of the format's schema, virtual: a branch is read when it is first used.

    Raises
    ------
    InputError
        If the file is not the one that was planned.
    """
    where = f"dataset {metadata['dataset']!r}, {path}"
    file = _open(path, where)
    if str(file.file.uuid) != metadata["fileuuid"]:
        raise InputError(f"{where}: the file was replaced after the run was planned; run again")
    factory = NanoEventsFactory.from_root(
        file,
        treepath=tree,
        schemaclass=FORMATS[metadata["format"]].schema,
        entry_start=start,
        entry_stop=stop,
        metadata=metadata | {"filename": path, "entrystart": start, "entrystop": stop},
    )
    return factory.events()


def canonical(events: ak.Array) -> ak.Array:
    """Add the canonical columns that the events' format provides.

    Parameters
    ----------
    events : coffea NanoEvents, length n
        With ``events.metadata["format"]``.

    Returns
    -------
    coffea NanoEvents, length n
        With the columns of :data:`fileset.columns.CANONICAL`, lazy, and ``generator_weight`` if
        the dataset names a weight branch.
    """
    layout = FORMATS[events.metadata["format"]]
    expressions = dict(layout.columns)
    if branch := events.metadata.get("weight"):
        path = tuple(branch.removeprefix(getattr(layout.schema, "prefix", "")).split("."))
        expressions["generator_weight"] = lambda e: e[path]
    return with_columns(events, expressions, CANONICAL)
