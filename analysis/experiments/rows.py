"""Read and check the rows: one TOML file per experiment."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fileset.unpacking import read_toml

from .inputs import INPUTS, Check, Nuisance, checked, choice, nuisances, number, require_keys, text

STATUSES = ("quoted", "assumed", "unverified")
"""Status of a number: read in the source; our choice; from memory or at second hand."""

KINDS = ("upper_limit", "interval", "sensitivity", "prediction", "theory_bound", "none")
"""What the published number is; ``none``: there is no published number."""

BOUNDED = {
    "nue": "flavour nu_e",
    "nuebar": "flavour anti-nu_e",
    "numu": "flavour nu_mu",
    "nutau": "flavour nu_tau",
    "solar effective": "effective moment of solar neutrinos, a mixture of flavours",
    "Majorana transition": "transition moment of Majorana neutrinos in the mass basis",
    "stellar": "sum over all pairs of states, Dirac or Majorana",
    "Dirac": "Dirac neutrinos only: needs right-handed states",
    "theory": "what a model predicts or finds natural",
}
"""Which combination of moments a number bounds; numbers of different kinds are not alike."""

_FOLDER = Path(__file__).parent
_CHECKS: dict[str, Check] = {
    "system": text,
    "bounded": choice(*BOUNDED),
    "kind": choice(*KINDS),
    "convention": text,
    "method": choice(*INPUTS),
    "reason": text,
    "source": text,
}
_OPTIONAL: dict[str, Check] = {
    "published": number(),
    "published_low": number(),
    "confidence_level": number(5e-324, 0.999999),
    "tolerance": number(),
    "unlike": text,
    "notes": text,
    "data": text,
    "disputed": text,
}


@dataclass(frozen=True)
class Experiment:
    """Published number and inputs of one experiment.

    Attributes
    ----------
    name : str
        File name without ``.toml``.
    system, source : str
        Experiment in words; publication.
    bounded : str
        Key of `BOUNDED`.
    kind : str
        One of `KINDS`.
    convention : str
        How the published number was made: sides and method, or that it is not known.
    method : str
        Likelihood, a key of `analysis.experiments.inputs.INPUTS`; ``quoted``: not recomputed.
    reason : str
        Why the recomputed number differs, or what is missing to recompute it.
    published : float or None
        Published number, of a range the weaker end [Bohr magneton].
    published_low : float or None
        Stronger end of a published range or lower end of an interval [Bohr magneton].
    confidence_level : float or None
        Level of ``published``; None where there is none.
    tolerance : float or None
        Largest difference of the ratio recomputed / published from 1 that is understood; may be
        None where the two are ``unlike``.
    unlike : str
        Why recomputed and published number are not the same quantity; empty if they are.
    notes : str
        What else to know.
    data : str
        Name of the data behind the row, the same for rows that would count twice; empty if no
        other row has them.
    disputed : str
        What recent work holds against the bound, and which; empty if nothing.
    inputs : dict of str to object
        Numbers that the likelihood needs.
    nuisances : dict of str to Nuisance
        Parts of the uncertainties that other rows may share, by name.
    status : dict of str to str
        For ``published``, every input and every nuisance one of `STATUSES`.
    """

    name: str
    system: str
    bounded: str
    kind: str
    convention: str
    method: str
    reason: str
    source: str
    published: float | None = None
    published_low: float | None = None
    confidence_level: float | None = None
    tolerance: float | None = None
    unlike: str = ""
    notes: str = ""
    data: str = ""
    disputed: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    nuisances: Mapping[str, Nuisance] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)

    @property
    def unverified(self) -> tuple[str, ...]:
        """Numbers that were not read in the source."""
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
    return {path.stem: load_experiment(path) for path in sorted(folder.glob("*.toml"))}


def load_experiment(path: Path) -> Experiment:
    """Read one row, anywhere.

    Parameters
    ----------
    path : Path
        Its ``.toml`` file.

    Returns
    -------
    Experiment
        Its name is that of the file without suffix.

    Raises
    ------
    ValueError
        As `load_experiments`.
    """
    where = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
    try:
        table = read_toml(path)
    except OSError as error:
        raise ValueError(f"{path}: no row there: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{where}: not valid TOML: {error}") from error
    tables = {"inputs", "nuisances", "status"}
    require_keys(where, table, set(_CHECKS), set(_OPTIONAL) | tables)
    checks = _CHECKS | _OPTIONAL
    row = {key: checks[key](f"{where}: {key}", table[key]) for key in table if key not in tables}
    _check_published(where, row)
    for key in tables:
        if not isinstance(table.setdefault(key, {}), dict):
            raise ValueError(f"{where}: [{key}] = {table[key]!r}; expected a table of that name")
    row["inputs"] = checked(f"{where}: inputs", table["inputs"], INPUTS[row["method"]])
    row["nuisances"] = nuisances(f"{where}: nuisances", table["nuisances"], set(row["inputs"]))
    expected = set(row["inputs"]) | set(row["nuisances"]) | ({"published"} & set(row))
    require_keys(f"{where}: [status]", table["status"], expected, set())
    known = choice(*STATUSES)
    status = {key: known(f"{where}: [status]: {key}", s) for key, s in table["status"].items()}
    return Experiment(name=path.stem, **row, status=status)


def _check_published(where: str, row: Mapping[str, Any]) -> None:
    if ("published" in row) != (row["kind"] != "none"):
        raise ValueError(
            f"{where}: kind = {row['kind']!r} {'with' if 'published' in row else 'without'} a "
            "published number; kind = 'none' is for rows that have none"
        )
    if not row.get("published_low", 0.0) < row.get("published", math.inf):
        raise ValueError(
            f"{where}: published_low = {row['published_low']}; expected less than published"
        )
    recomputed = "published" in row and row["method"] != "quoted"
    if ("tolerance" in row) > recomputed or ("tolerance" in row or "unlike" in row) < recomputed:
        raise ValueError(
            f"{where}: tolerance is needed where a published number is recomputed that is not "
            "unlike, and makes no sense where none is"
        )


EXPERIMENTS = load_experiments(_FOLDER)
"""Experiments of this folder by name."""


def find_experiment(name: str | Experiment) -> Experiment:
    """Look up an experiment by name, or read a row of one's own.

    Parameters
    ----------
    name : str or Experiment
        Key of `EXPERIMENTS`, or the path of a file ending in ``.toml``; a row is given back.

    Returns
    -------
    Experiment
        The row.

    Raises
    ------
    ValueError
        If there is none of that name; the message names the closest ones. For a file as in
        `load_experiments`.
    """
    if isinstance(name, Experiment):
        return name
    if name.endswith(".toml"):
        return load_experiment(Path(name))
    if name not in EXPERIMENTS:
        closest = difflib.get_close_matches(name, EXPERIMENTS, n=3, cutoff=0.4) or EXPERIMENTS
        raise ValueError(
            f"no experiment {name!r} in analysis/experiments; closest: {', '.join(closest)}"
        )
    return EXPERIMENTS[name]


def published_limits(bounded: str) -> dict[str, float]:
    """Published upper limits on one combination of moments.

    Parameters
    ----------
    bounded : str
        Key of `BOUNDED`.

    Returns
    -------
    dict of str to float
        By name of the row, the strongest first [Bohr magneton].
    """
    rows = [r for r in EXPERIMENTS.values() if r.bounded == bounded and r.kind == "upper_limit"]
    limits = {row.name: row.published for row in rows if row.published}
    return dict(sorted(limits.items(), key=lambda pair: pair[1]))
