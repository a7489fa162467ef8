"""The files of a dataset as it uses them: what they say, what it says, and what is wrong.

A file that cannot be right is refused here, before any of its events is counted.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from .catalog import Dataset
from .errors import InputError, closest, printable
from .facts import Facts, facts, stamp
from .formats import FORMATS, MEC_CODES, SIGNAL_CODES, Code
from .formats.base import Exposure, agreed
from .opening import INSPECTING, readable
from .remote import retry, sha256


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
    with readable(where, INSPECTING):
        try:
            if checksum == "verify":
                _verify(dataset, path)
            found = remembered(dataset, path) or retry(lambda: facts(dataset, path), path)
            if checksum == "make" and not found.checksum:
                found = replace(found, checksum=sha256(path, timeout=dataset.timeout))
            return decide(dataset, found)
        except InputError as error:
            reason = printable(str(error).removeprefix(f"{path}: "))
            raise InputError(f"{where}: {reason}") from error.__cause__


def _verify(dataset: Dataset, path: str) -> None:
    known = dataset.known.get(path, {}).get("checksum")
    if not (known and isinstance(known, str)):
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
    except (TypeError, ValueError):
        # Written by another version, or changed by hand.
        return None
    found = replace(found, path=path)
    same = dataset.format in ("", found.format) and dataset.files[path] in ("", found.tree)
    return found if same and found.stamp == stamp(path) else None


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
        weight = exposure.event_weight
        # Variances are sums of its square.
        if not (weight > 0.0 and math.isfinite(weight * weight)):
            raise InputError(
                f"event weight from {name!r} is {weight}, expected > 0 and finite; mend the file"
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
        looked = f"looked for {', '.join(wanted)}" if wanted else "its format holds none"
        raise InputError(
            f"no exposure found ({looked}); set 'pot' in the description; it is {found.format} "
            f"with {found.entries} entries"
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
