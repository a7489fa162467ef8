"""Read and check the rows: one TOML file per experiment."""

import difflib
import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

STATUSES = ("quoted", "assumed", "unverified")
"""Status of an input: read in the source; our choice; from memory or at second hand."""

_FOLDER = Path(__file__).parent
_TEXTS = ("title", "flavour", "flux", "source", "notes")
_WITHOUT_STATUS = ("name", "title", "flavour", "source", "notes", "status")
# Allowed range of every number, both ends included.
_TINY = 5e-324
_RANGES = {
    "n_obs": (0.0, math.inf),
    "n_bkg": (_TINY, math.inf),
    "background_syst": (0.0, math.inf),
    "nue_fraction": (_TINY, 1.0),
    "pot": (_TINY, math.inf),
    "pot_mc": (_TINY, math.inf),
    "ttheta2_max": (_TINY, math.inf),
    "confidence_level": (_TINY, 0.999999),
    "published_limit": (_TINY, math.inf),
}


@dataclass(frozen=True)
class Experiment:
    """Published inputs of a counting experiment.

    Attributes
    ----------
    name : str
        File name without ``.toml``.
    title, flavour, flux, source, notes : str
        Description; flavour bounded; table in ``fileset/fluxes``; publication; what to know.
    n_obs : int
        Observed events.
    n_bkg : float
        Events expected from the Standard Model.
    background_syst : float
        Uncertainty of ``n_bkg`` [relative].
    nue_fraction : float
        Part of ``n_bkg`` that is neutrino-electron scattering [1].
    pot, pot_mc : float
        Protons on target of data and of simulation.
    recoil_energy : tuple of float
        Window in electron recoil energy [GeV].
    ttheta2_max : float
        Largest T theta^2 [GeV rad^2].
    confidence_level : float
        Level of ``published_limit``.
    published_limit : float
        Published upper limit [Bohr magneton].
    status : dict of str to str
        For every input one of `STATUSES`.
    """

    name: str
    title: str
    flavour: str
    flux: str
    n_obs: int
    n_bkg: float
    background_syst: float
    nue_fraction: float
    pot: float
    pot_mc: float
    recoil_energy: tuple[float, float]
    ttheta2_max: float
    confidence_level: float
    published_limit: float
    source: str
    notes: str
    status: dict[str, str]

    @property
    def unverified(self) -> tuple[str, ...]:
        """Inputs that were not read in the source."""
        return tuple(key for key, status in self.status.items() if status != "quoted")


def load_experiments(folder: Path) -> dict[str, Experiment]:
    """Read all rows of a folder.

    Parameters
    ----------
    folder : Path
        Folder with one ``.toml`` file per experiment.

    Returns
    -------
    dict of str to Experiment
        By file name without suffix, in alphabetical order.

    Raises
    ------
    ValueError
        For a file that is not TOML, has unknown or missing keys, or impossible values; the message
        names the file and the keys.
    """
    return {path.stem: _load(path) for path in sorted(folder.glob("*.toml"))}


def _load(path: Path) -> Experiment:
    try:
        row = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{_where(path)}: not valid TOML: {error}") from error
    names = {field.name for field in fields(Experiment)} - {"name"}
    _require_keys(_where(path), row, names)
    for key in _TEXTS:
        if not (isinstance(row[key], str) and row[key].strip()):
            raise ValueError(f"{_where(path)}: {key} = {row[key]!r}; expected a text")
    for key, (low, high) in _RANGES.items():
        row[key] = _number(f"{_where(path)}: {key}", row[key], low, high)
    if row["n_obs"] != int(row["n_obs"]):
        raise ValueError(f"{_where(path)}: n_obs = {row['n_obs']}; expected a whole number")
    row["n_obs"] = int(row["n_obs"])
    row["recoil_energy"] = _window(f"{_where(path)}: recoil_energy", row["recoil_energy"])
    _check_status(f"{_where(path)}: [status]", row["status"], names - set(_WITHOUT_STATUS))
    return Experiment(name=path.stem, **row)


def _where(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"


def _require_keys(where: str, table: dict[str, Any], allowed: set[str]) -> None:
    wrong = sorted(set(table) ^ allowed)
    if wrong:
        raise ValueError(
            f"{where}: missing or unknown keys {wrong}; expected exactly {sorted(allowed)}"
        )


def _number(where: str, value: object, low: float, high: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{where} = {value!r}; expected a number")
    if not (low <= value <= high and math.isfinite(value)):
        positive = "positive" if low > 0.0 else "not negative"
        below = f" and at most {high:g}" if high < math.inf else ""
        raise ValueError(f"{where} = {value!r}; expected a finite number, {positive}{below}")
    return float(value)


def _window(where: str, ends: object) -> tuple[float, float]:
    if not (isinstance(ends, list) and len(ends) == 2):
        raise ValueError(f"{where} = {ends!r}; expected [lowest, highest] in GeV")
    low, high = (_number(where, end, _TINY, math.inf) for end in ends)
    if not low < high:
        raise ValueError(f"{where} = {ends!r}; expected the lower end first, in GeV")
    return low, high


def _check_status(where: str, status: object, inputs: set[str]) -> None:
    if not isinstance(status, dict):
        raise ValueError(f"{where} = {status!r}; expected a table with one status per input")
    _require_keys(where, status, inputs)
    for key, value in status.items():
        if value not in STATUSES:
            raise ValueError(f"{where}: {key} = {value!r}; expected one of {', '.join(STATUSES)}")


EXPERIMENTS = load_experiments(_FOLDER)
"""Experiments of this folder by name."""


def find_experiment(name: str) -> Experiment:
    """Look up an experiment by name.

    Parameters
    ----------
    name : str
        Key of `EXPERIMENTS`.

    Returns
    -------
    Experiment
        The row.

    Raises
    ------
    ValueError
        If there is none of that name; the message names the closest ones.
    """
    if name not in EXPERIMENTS:
        closest = difflib.get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.4) or EXPERIMENTS
        raise ValueError(
            f"no experiment {name!r} in analysis/experiments; closest: {', '.join(closest)}"
        )
    return EXPERIMENTS[name]
