"""The description of a dask cluster: a small TOML file.

``kind`` and what is needed for it, in the names of dask's own classes, so that their documentation
holds (docs/cluster.md has examples). Keys that are not known are refused.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fileset.errors import InputError, closest
from fileset.unpacking import read_toml

_BATCH = (
    *("cores", "processes", "memory", "interface", "python", "job_extra_directives"),
    *("job_script_prologue", "job_directives_skip", "job_name"),
    *("worker_extra_args", "local_directory", "log_directory", "death_timeout", "host"),
)
KINDS: dict[str, tuple[str, ...]] = {
    "local": ("memory", "local_directory"),
    "scheduler": ("address",),
    "slurm": (*_BATCH, "queue", "account", "walltime", "job_cpu", "job_mem"),
    "htcondor": (*_BATCH, "disk", "submit_command_extra", "cancel_command_extra"),
}
"""Kind of a cluster to the keys of its own."""
COMMON = ("kind", "workers", "minimum", "maximum", "timeout", "dashboard", "tls")
"""Keys of every kind."""
_TLS = ("ca_file", "cert", "key")
BATCH_CLASSES = {"slurm": "SLURMCluster", "htcondor": "HTCondorCluster"}
"""Kind of a batch system to its class in dask-jobqueue."""


@dataclass(frozen=True)
class Profile:
    """What a cluster is.

    Attributes
    ----------
    kind : str
        Key of :data:`KINDS`.
    workers : int, optional
        Worker processes, if their number is fixed.
    minimum, maximum : int
        Worker processes between which the cluster grows and shrinks with the work.
    timeout : float
        Longest time without any worker [s], at the start and later.
    dashboard : str
        Where dask's dashboard listens, such as ``":8787"``; any free port by default.
    tls : dict
        Paths ``ca_file``, ``cert`` and ``key``; dask's own configuration if it is empty.
    options : dict
        Keys of the kind.
    """

    kind: str = "local"
    workers: int | None = None
    minimum: int = 0
    maximum: int | None = None
    timeout: float = 300.0
    dashboard: str = ":0"
    tls: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def load_profile(path: Path) -> Profile:
    """Read the description of a cluster.

    Raises
    ------
    InputError
        If it cannot be read, or a key is unknown, missing or of the wrong type.
    """
    try:
        content = read_toml(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot read the cluster profile: {error}") from None
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"{path}: 'kind' is {kind!r}; {closest(str(kind), KINDS)}")
    for key, value in content.items():
        _check_key(path, kind, key, value)
    if kind == "scheduler" and not content.get("address"):
        raise InputError(f"{path}: a scheduler needs its 'address', such as tls://host:8786")
    if kind in BATCH_CLASSES and not (content.get("workers") or content.get("maximum")):
        raise InputError(f"{path}: say how many 'workers', or 'maximum' to grow to")
    tls = content.get("tls", {})
    if missing := [key for key in _TLS if tls and key not in tls]:
        raise InputError(f"{path}: [tls] lacks {missing[0]!r}; it needs {', '.join(_TLS)}")
    common = {key: content[key] for key in COMMON if key in content}
    # As seen from the profile, wherever the command is run.
    common["tls"] = {k: str(path.parent / Path(v).expanduser()) for k, v in tls.items()}
    return Profile(**common, options={k: content[k] for k in KINDS[kind] if k in content})


def _check_key(path: Path, kind: str, key: str, value: Any) -> None:
    known = (*COMMON, *KINDS[kind])
    if key not in known:
        raise InputError(f"{path}: no key {key!r} for {kind!r}; {closest(key, known)}")
    wanted: dict[str, Any] = {"timeout": int | float, "tls": dict, "dashboard": str}
    wanted |= dict.fromkeys(("workers", "minimum", "maximum"), int)
    if key in wanted and not isinstance(value, wanted[key]):
        raise InputError(f"{path}: {key!r} is {value!r}; see docs/cluster.md")
    if isinstance(value, int | float) and value < 0:
        raise InputError(f"{path}: {key!r} is {value!r}; it cannot be negative")
    if key == "tls" and (unknown := set(value) - set(_TLS)):
        name = min(unknown)
        raise InputError(f"{path}: no key {name!r} in [tls]; {closest(name, _TLS)}")
