"""Dataset descriptions: what to read and what it is.

Two spellings of the same thing. TOML, by hand::

    [nd_mc]
    format = "nova_caf"
    files = ["mc/*.root", "root://server//path/file.root"]
    is_mc = true
    horn_current = "FHC"

and coffea's own JSON as it stands, with these keys in ``metadata``. What a dataset *is* comes from
here or from inside its files, never from a substring of its name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .errors import InputError, closest
from .formats import CAFANA_SPECTRUM, FORMATS
from .remote import TIMEOUT, glob
from .unpacking import parsed, read_text

GENERATOR_SIN2_THETA_W = math.sin(0.501716712132) ** 2
"""Weak mixing of the generator, 0.231295: GENIE, ``CommonParam.xml``, WeinbergAngle [rad]."""

HORN_CURRENTS = ("FHC", "RHC")
WEIGHT_POLICIES = ("refuse", "clip", "keep")


@dataclass(frozen=True)
class Dataset:
    """One dataset of a fileset.

    Attributes
    ----------
    name : str
    files : dict of str to str
        Path or URL of each file to the name of its event tree; empty for the format's own.
    format : str
        Key of :data:`fileset.formats.FORMATS`, or ``"cafana_spectrum"`` for finished spectra; empty
        to look into the files.
    is_mc : bool, optional
        Simulation or data; None to look into the files.
    horn_current : str
        ``"FHC"``, ``"RHC"`` or empty where it is not known.
    exposure : str
        Name of the format's exposure source; empty for the first one that a file has.
    pot : float, optional
        Explicit exposure of the whole dataset [POT], instead of what the files say.
    signal_code : int, optional
        Truth code of nu-e elastic scattering, where it differs from the format's.
    weight : str
        Branch with a weight per event; empty to count every event once.
    sin2_theta_w : float
        Weak mixing angle that the generator used for nu-e scattering.
    signal_column : str
        Column that ``signal_code`` is a value of; empty for the format's own.
    negative_weights : str
        What to do with them: ``"refuse"``, ``"clip"`` (to 0, counted in the result) or ``"keep"``.
    overlay : bool
        Whether its simulated events are overlaid on others; then ``pot`` is required, because the
        exposure in the files is that of their hosts.
    check_duplicates : bool
        Whether to refuse an event whose numbers are there twice; false for samples in which they
        mean nothing.
    perfect_detector : bool
        Whether reconstructed energy and angle are the true ones of the electron, for the output of
        a generator.
    timeout : float
        Longest wait for an answer about a remote file [s].
    spectra : dict
        Of finished spectra: category or signal template to what it is made of
        (:mod:`processors.recipes`).
    variations : dict of str to str
        Of finished spectra: new names of variations to those in the files.
    axes : sequence of str
        Of finished spectra: names of their axes, instead of those of their labels.
    alternative_to : str
        Another dataset that this one is a variation of, instead of a prediction of its own.
    variation : str
        Name of that variation, such as ``light_yield_up``; ``nominal`` for a reference of others
        (:mod:`processors.alternatives`).
    known : dict
        Path to what preprocessing found in the file (:class:`fileset.files.Facts`).
    skipped : dict of str to str
        Path of each file that preprocessing left out of ``files``, to the reason.
    """

    name: str
    files: dict[str, str] = field(repr=False)
    format: str = ""
    is_mc: bool | None = None
    horn_current: str = ""
    exposure: str = ""
    pot: float | None = None
    signal_code: int | None = None
    weight: str = ""
    sin2_theta_w: float = GENERATOR_SIN2_THETA_W
    signal_column: str = ""
    negative_weights: str = "refuse"
    overlay: bool = False
    check_duplicates: bool = True
    perfect_detector: bool = False
    timeout: float = TIMEOUT
    spectra: dict[str, Any] = field(default_factory=dict)
    variations: dict[str, str] = field(default_factory=dict)
    axes: Sequence[str] = ()
    alternative_to: str = ""
    variation: str = ""
    known: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)
    skipped: dict[str, str] = field(default_factory=dict, repr=False)


Fileset = dict[str, Dataset]

NOT_OPTIONS = ("name", "files", "known", "skipped")
"""What describes a dataset but is no key of its description."""
_OPTIONS = {f.name: f.type for f in fields(Dataset) if f.name not in NOT_OPTIONS}
KNOWN = "nudipole"
"""Key of a dataset in coffea's JSON under which preprocessing keeps what it found, by path."""
SKIPPED = "skipped"
"""Key of what it found in a file that it left out: the reason."""
# Kept by coffea beside the files of a dataset; ours to read past, not to refuse.
_FOREIGN = ("files", "metadata", "form", "compressed_form", "did", "tree", "treename", KNOWN)


def load_fileset(source: str | Path | Mapping[str, Any]) -> Fileset:
    """Read a dataset description.

    Parameters
    ----------
    source : str, Path or mapping
        A TOML file, a coffea JSON file (plain or as produced by its preprocessing or by ours, also
        with ``.gz``), an event file or a pattern of them (one dataset, described by what is
        inside), or coffea's dict.

    Returns
    -------
    dict of str to Dataset
        Patterns expanded, relative paths resolved against the description's folder.

    Raises
    ------
    InputError
        If the description or a file is missing, or a key is unknown, missing or out of range;
        the message names file and key.
    """
    if isinstance(source, Mapping):
        return _datasets(source, "fileset", Path())
    text = str(source)
    if text.endswith((".toml", ".json", ".json.gz")):
        path = Path(text)
        return _datasets(_read(path), str(path), path.parent)
    name = text.rsplit("/", 1)[-1].partition(".")[0].replace("*", "") or "events"
    return _datasets({name: {"files": [text]}}, text, Path())


def _read(path: Path) -> dict[str, Any]:
    kind = "TOML" if path.suffix == ".toml" else "JSON"
    try:
        content = parsed(read_text(path), kind)
    except ValueError as error:
        raise InputError(f"{path}: not valid {kind}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read the dataset description: {error.strerror}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected datasets by name, found {type(content).__name__}")
    return content


def _datasets(content: Mapping[str, Any], where: str, folder: Path) -> Fileset:
    if not content:
        raise InputError(f"{where}: no dataset in it; add at least one, e.g. [nd_mc]")
    return {name: _dataset(name, entry, where, folder) for name, entry in content.items()}


def _dataset(name: str, entry: Any, where: str, folder: Path) -> Dataset:
    where = f"{where}: dataset {name!r}"
    if not isinstance(entry, Mapping) or not entry.get("files"):
        raise InputError(f"{where}: missing key 'files', a list of paths, patterns or URLs")
    metadata = entry.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise InputError(f"{where}: metadata = {metadata!r}, expected keys and values")
    options = {k: v for k, v in entry.items() if k not in _FOREIGN}
    if options.get("format") == "root":
        # coffea's word for any ROOT file.
        del options["format"]
    options |= {k: v for k, v in metadata.items() if k in _OPTIONS}
    unknown = sorted(k for k in options if k not in _OPTIONS)
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r}; {closest(unknown[0], _OPTIONS)}")
    dataset = Dataset(name, {}, **options)
    _check(dataset, where)
    files = _files(entry, where, folder, dataset.timeout)
    known, skipped = _found(entry.get(KNOWN))
    # Who adds one by hand to the files means it to be used.
    left_out = {path: why for path, why in skipped.items() if path not in files}
    return replace(dataset, files=files, known=known, skipped=left_out)


def _found(content: Any) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What preprocessing kept of files, and why it left out others; what is neither is nothing."""
    found = content.items() if isinstance(content, dict) else ()
    kept = {path: facts for path, facts in found if isinstance(facts, dict)}
    skipped = {path: str(facts[SKIPPED]) for path, facts in kept.items() if SKIPPED in facts}
    return {path: facts for path, facts in kept.items() if path not in skipped}, skipped


def _files(entry: Mapping[str, Any], where: str, folder: Path, timeout: float) -> dict[str, str]:
    """Path to tree, with patterns expanded; coffea allows {path: tree} and {path: {...}}."""
    # The second is coffea's word.
    listed, tree = entry["files"], str(entry.get("tree") or entry.get("treename") or "")
    if isinstance(listed, str):
        listed = [listed]
    if not isinstance(listed, Mapping | list):
        raise InputError(f"{where}: files = {listed!r}, expected a list of paths or URLs")
    pairs = listed.items() if isinstance(listed, Mapping) else ((path, tree) for path in listed)
    files: dict[str, str] = {}
    for pattern, value in pairs:
        named = value.get("object_path") if isinstance(value, Mapping) else value
        if not isinstance(pattern, str) or not isinstance(named, str | None):
            raise InputError(f"{where}: files holds {pattern!r}: {value!r}, expected path and tree")
        for path in _expand(pattern, where, folder, timeout):
            if path in files:
                raise InputError(f"{where}: file listed twice: {path}")
            files[path] = named or tree
    return files


def _expand(pattern: str, where: str, folder: Path, timeout: float) -> list[str]:
    remote = "://" in pattern
    # In a URL '?' begins the query.
    special = any(c in pattern for c in ("*" if remote else "*?["))
    # A file may be called like a pattern.
    if not special or (not remote and (folder / pattern).exists()):
        return [pattern if remote else str(folder / pattern)]
    try:
        found = glob(pattern, timeout=timeout) if remote else _local_files(folder, pattern)
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: cannot list {pattern}: {error}") from None
    if not found:
        place = "" if remote else f" in {folder.resolve()}"
        raise InputError(f"{where}: no file matches {pattern}{place}")
    return found


def _local_files(folder: Path, pattern: str) -> list[str]:
    # pathlib takes relative patterns only.
    anchor = Path(pattern).anchor
    base = Path(anchor) if anchor else folder
    return sorted(str(path) for path in base.glob(pattern.removeprefix(anchor)))


def _check(dataset: Dataset, where: str) -> None:
    """Refuse values that cannot be right, naming the key."""
    for key, allowed in _TYPES.items():
        value = getattr(dataset, key)
        if not isinstance(value, allowed) or (bool not in allowed and isinstance(value, bool)):
            expected = " or ".join(t.__name__ for t in allowed if t is not type(None))
            raise InputError(f"{where}: {key} = {value!r}, expected {expected}")
    _check_format(dataset, where)
    if dataset.horn_current and dataset.horn_current not in HORN_CURRENTS:
        raise InputError(f"{where}: horn_current = {dataset.horn_current!r}, expected FHC or RHC")
    if dataset.negative_weights not in WEIGHT_POLICIES:
        raise InputError(
            f"{where}: negative_weights = {dataset.negative_weights!r}, expected one of "
            f"{', '.join(WEIGHT_POLICIES)}"
        )
    if dataset.pot is not None and not 0.0 < dataset.pot < float("inf"):
        raise InputError(
            f"{where}: pot = {dataset.pot}, expected protons on target > 0; leave the key out to "
            "take the exposure from the files"
        )
    if not 0.0 < dataset.sin2_theta_w < 1.0:
        raise InputError(f"{where}: sin2_theta_w = {dataset.sin2_theta_w}, expected 0 < value < 1")
    if not 0.0 < dataset.timeout < float("inf"):
        raise InputError(f"{where}: timeout = {dataset.timeout}, expected seconds > 0")


def _check_format(dataset: Dataset, where: str) -> None:
    formats = (*FORMATS, CAFANA_SPECTRUM)
    if dataset.format and dataset.format not in formats:
        raise InputError(
            f"{where}: unknown format {dataset.format!r}; {closest(dataset.format, formats)}"
        )
    if dataset.format != CAFANA_SPECTRUM and (
        dataset.spectra or dataset.variations or dataset.axes
    ):
        raise InputError(
            f"{where}: spectra, variations and axes are keys of format {CAFANA_SPECTRUM!r}; set it "
            "or leave them out"
        )


_TYPES: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "is_mc": (bool, type(None)),
    "horn_current": (str,),
    "exposure": (str,),
    "pot": (int, float, type(None)),
    "overlay": (bool,),
    "check_duplicates": (bool,),
    "signal_column": (str,),
    "signal_code": (int, type(None)),
    "weight": (str,),
    "negative_weights": (str,),
    "sin2_theta_w": (float,),
    "perfect_detector": (bool,),
    "timeout": (int, float),
    "spectra": (dict,),
    "variations": (dict,),
    "axes": (list, tuple),
    "alternative_to": (str,),
    "variation": (str,),
}
