"""Recompute the limit of an experiment from its published inputs, by the likelihood of its row."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..limit import METHODS
from . import counting, relation, spectrum, stars
from .outcome import Outcome
from .row_model import model_outcome
from .rows import Experiment, find_experiment

# By method of the row. Counts choose among statistical methods: the first is that of the table.
_COUNTS = {"counting": "fc", "expected_count": "cls"}
_LIKELIHOODS: dict[str, Callable[[Experiment, float, Path | None], Outcome]] = {
    "relation": lambda row, cl, _: relation.relation(row),
    "solar_flavour": lambda row, cl, _: relation.solar_flavour(row),
    "rate_ratio": lambda row, cl, _: relation.rate_ratio(row, cl),
    "on_off": lambda row, cl, _: spectrum.on_off(row, cl),
    "xenon_spectrum": spectrum.xenon_spectrum,
    "cevns_spectrum": model_outcome,
    "red_giant_tip": lambda row, cl, _: stars.red_giant_tip(row, cl),
    "plasmon_emission": lambda row, cl, _: stars.plasmon_emission(row),
    "supernova": lambda row, cl, _: stars.supernova(row),
    "thermalisation": lambda row, cl, _: stars.thermalisation(row),
    "radiative_decay": lambda row, cl, _: stars.radiative_decay(row),
    "dirac_moment": lambda row, cl, _: stars.dirac(row),
}
# Their numbers have the level of the publication, or none.
_AT_PUBLISHED_LEVEL = (
    *("relation", "solar_flavour", "plasmon_emission", "supernova", "thermalisation"),
    *("radiative_decay", "dirac_moment"),
)


@dataclass(frozen=True)
class Limit:
    """Upper limit on the magnetic moment, recomputed from published inputs.

    Attributes
    ----------
    experiment, bounded : str
        Name of the row; which combination of moments is bounded.
    observed : float
        Upper limit [Bohr magneton].
    confidence_level : float or None
        Level of ``observed``; None for numbers without one.
    method, convention : str
        Name of the statistical method, and the method in words.
    published : float or None
        Published number [Bohr magneton].
    published_confidence_level : float or None
        Level of ``published``.
    unverified : tuple of str
        Numbers of the row that were assumed or not verified.
    source, notes, reason, disputed : str
        Publication of the inputs; what to know about them; why the numbers differ; what recent
        work holds against the bound.
    signal_events, yield_per_mu2, nue_fraction, exposure, n_obs : float or None
        Of counts: upper limit on the signal [events], signal events per (1e-9 Bohr magneton)^2,
        part of the expectation taken as neutrino-electron scattering [1], protons on target,
        observed events, or those that a sensitivity takes as seen.
    """

    experiment: str
    bounded: str
    observed: float
    confidence_level: float | None
    method: str
    convention: str
    published: float | None
    published_confidence_level: float | None
    unverified: tuple[str, ...]
    source: str
    notes: str
    reason: str
    disputed: str = ""
    signal_events: float | None = None
    yield_per_mu2: float | None = None
    nue_fraction: float | None = None
    exposure: float | None = None
    n_obs: int | None = None

    @property
    def ratio(self) -> float:
        """``observed / published`` [1]; NaN without a published number of the same level."""
        levels = self.confidence_level or 0.0, self.published_confidence_level or 0.0
        if self.published is None or not math.isclose(*levels):
            return math.nan
        return self.observed / self.published

    @property
    def verified(self) -> bool:
        """Whether every number was read in its source."""
        return not self.unverified


def recompute(
    name: str | Experiment,
    *,
    confidence_level: float | None = None,
    method: str | None = None,
    nue_fraction: float | None = None,
    releases: Path | None = None,
) -> Limit:
    """Recompute the limit of an experiment with one statistical method.

    Parameters
    ----------
    name : str or Experiment
        Key of `EXPERIMENTS`, the path of a row of one's own, or a row.
    confidence_level : float, optional
        Between 0 and 1; that of the publication if absent, or 0.90.
    method : str, optional
        Of counts one of `analysis.limit.METHODS`; by default "fc", of sensitivities "cls". The
        other likelihoods have one convention.
    nue_fraction : float, optional
        Of a published count, the part of the expectation that is neutrino-electron scattering [1];
        that of the row if absent.
    releases : Path, optional
        Folder that holds the folders of data releases.

    Returns
    -------
    Limit
        With the published number beside it; nothing is tuned to that number.

    Raises
    ------
    ValueError
        For an unknown experiment or method, numbers out of range, and a row that is only quoted.

    Examples
    --------
    >>> limit = recompute("nova_biao", method="cls")
    >>> f"{limit.observed:.2e} Bohr magneton, {limit.ratio:.2f} of the published limit"
    '1.62e-09 Bohr magneton, 1.03 of the published limit'
    """
    row = find_experiment(name)
    fixed = row.method in _AT_PUBLISHED_LEVEL
    cl = row.confidence_level or 0.90
    if confidence_level is not None and not fixed:
        cl = confidence_level
    outcome = _outcome(row, _checked_level(cl), method, nue_fraction, releases)
    return Limit(
        experiment=row.name,
        bounded=row.bounded,
        confidence_level=row.confidence_level if fixed else cl,
        published=row.published,
        published_confidence_level=row.confidence_level,
        unverified=row.unverified,
        source=row.source,
        notes=row.notes,
        reason=row.reason,
        disputed=row.disputed,
        **outcome._asdict(),
    )


def recompute_all(
    name: str,
    *,
    confidence_level: float | None = None,
    nue_fraction: float | None = None,
    releases: Path | None = None,
) -> dict[str, Limit]:
    """Recompute the limit of an experiment with every statistical method that it has.

    Parameters
    ----------
    name, confidence_level, nue_fraction, releases
        As in `recompute`.

    Returns
    -------
    dict of str to Limit
        By method, for counts in the order of `analysis.limit.METHODS`.
    """
    methods = METHODS if find_experiment(name).method in _COUNTS else (None,)
    options: dict[str, Any] = {"nue_fraction": nue_fraction, "releases": releases}
    limits = [
        recompute(name, confidence_level=confidence_level, method=m, **options) for m in methods
    ]
    return {limit.method: limit for limit in limits}


def _outcome(
    row: Experiment, cl: float, method: str | None, fraction: float | None, releases: Path | None
) -> Outcome:
    if row.method == "quoted":
        raise ValueError(f"{row.name} is only quoted, {row.reason}")
    if fraction is not None and row.method != "counting":
        raise ValueError(f"nue_fraction: {row.name} is no published count; leave it out")
    if row.method == "counting":
        return counting.counting(row, cl, method or _COUNTS[row.method], nue_fraction=fraction)
    if row.method == "expected_count":
        return counting.expected_count(row, cl, method or _COUNTS[row.method])
    outcome = _LIKELIHOODS[row.method](row, cl, releases)
    if method not in (None, outcome.method):
        raise ValueError(
            f"no method {method!r} for {row.name}; its likelihood, {row.method}, has only "
            f"{outcome.method}"
        )
    return outcome


def _checked_level(cl: float) -> float:
    if not 0.0 < cl < 1.0:
        raise ValueError(
            f"cl = {cl} is not a confidence level; expected 0 < cl < 1, e.g. 0.90 for 90 %"
        )
    return cl
