"""One limit from several rows: the product of their likelihoods, with the nuisances they share.

A nuisance parameter is shared by the rows that declare it by the same name. Rows that bound unlike
quantities do not combine unless the theory converts one into the other; nor do rows made of the
same data, nor sensitivities with observed limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..limit import LimitModel
from ..limit.fit import Fitter
from ..theory import flavour_limits
from .row_model import EXPECTED, LIKELIHOODS, row_model
from .rows import BOUNDED, Experiment, find_experiment

SURVIVAL = 0.55
"""Probability that a solar nu_e arrives as nu_e [1], where a row does not say."""

SIN2_THETA23 = 0.57
"""Squared sine of theta23 [1]: which part of the other solar neutrinos is nu_tau."""

_UNIT = 1e-10  # moment in which the fits count [Bohr magneton]


@dataclass(frozen=True)
class Combined:
    """Upper limit of several rows together.

    Attributes
    ----------
    rows : tuple of str
        Names of the rows.
    bounded : str
        What is bounded, a key of `analysis.experiments.rows.BOUNDED`.
    observed, confidence_level : float
        Upper limit [Bohr magneton] and its level.
    best_fit : float
        Squared moment of the best physical fit [Bohr magneton^2].
    alone : dict of str to float
        Limit of each row alone by the same method, after conversion [Bohr magneton].
    likelihoods : dict of str to str
        What the likelihood of each row is, and how it was converted.
    pulls : dict of str to float
        Nuisances at the best fit [standard deviations].
    shared : dict of str to tuple of str
        Rows of every nuisance that they declare.
    method, convention : str
        Statistical method by name and in words.
    unverified : dict of str to tuple of str
        Numbers of each row that were assumed or not verified.
    """

    rows: tuple[str, ...]
    bounded: str
    observed: float
    confidence_level: float
    best_fit: float
    alone: dict[str, float]
    likelihoods: dict[str, str]
    pulls: dict[str, float]
    shared: dict[str, tuple[str, ...]]
    method: str
    convention: str
    unverified: dict[str, tuple[str, ...]]


def combine(
    names: Sequence[str],
    *,
    bounded: str | None = None,
    confidence_level: float = 0.90,
    method: str = "profile_one_sided",
    sin2_theta23: float = SIN2_THETA23,
    releases: Path | None = None,
    **options: Any,
) -> Combined:
    """Combine rows into one limit.

    Parameters
    ----------
    names : sequence of str
        Rows, at least one.
    bounded : str, optional
        Quantity to convert all rows to, a key of `BOUNDED`; that of the first row if absent.
    confidence_level : float
        Between 0 and 1.
    method : str
        One of `analysis.limit.methods.METHODS`.
    sin2_theta23 : float
        For conversions of solar neutrinos [1].
    releases : Path, optional
        Folder that holds the folders of data releases.
    **options
        Toys, seed and so on of `analysis.limit.methods.limit`.

    Returns
    -------
    Combined
        With the limits of the rows alone beside it.

    Raises
    ------
    ValueError
        For unknown rows, rows without likelihood, unlike quantities, data that would count twice,
        and sensitivities mixed with observed limits.

    Examples
    --------
    >>> both = combine(["e734", "lsnd"])
    >>> f"{both.alone['e734']:.2g} and {both.alone['lsnd']:.2g}: {both.observed:.2g}"
    '9.7e-10 and 6.8e-10: 6.4e-10'
    """
    rows = _chosen(names)
    target = bounded or rows[0].bounded
    if target not in BOUNDED:
        raise ValueError(f"bounded = {target!r}; expected one of {', '.join(BOUNDED)}")
    factors = [_conversion(row, target, sin2_theta23) for row in rows]
    models = [
        _with_data(row_model(row, unit=_UNIT, factor=factor, releases=releases))
        for row, factor in zip(rows, factors, strict=True)
    ]
    options = {"cl": confidence_level, "expected": 0} | options
    alone = [model.limit(method, **options).mu_nu for model in models]
    joint = LimitModel.combine(models)
    limit = joint.limit(method, **options)
    seen = "expected, no moment is seen: " if rows[0].method in EXPECTED else ""
    named = list(dict.fromkeys(name for row in rows for name in row.nuisances))
    return Combined(
        rows=tuple(row.name for row in rows),
        bounded=target,
        observed=limit.mu_nu,
        confidence_level=confidence_level,
        best_fit=limit.best * limit.unit**2,
        alone=dict(zip((row.name for row in rows), alone, strict=True)),
        likelihoods={r.name: _likelihood(r, f, target) for r, f in zip(rows, factors, strict=True)},
        pulls=dict(zip((p.name for p in joint.parameters), _pulls(joint), strict=True)),
        shared={name: tuple(row.name for row in rows if name in row.nuisances) for name in named},
        method=limit.method,
        convention=f"{seen}{limit.convention}",
        unverified={row.name: row.unverified for row in rows},
    )


def _with_data(model: LimitModel) -> LimitModel:
    """Give a sensitivity the expectation as data, in whole events as the table does."""
    return model if model.observed is not None else model.with_data(np.round(model.background))


def _pulls(model: LimitModel) -> list[float]:
    return [float(theta) for theta in Fitter.of(model).best[1:]]


def _chosen(names: Sequence[str]) -> list[Experiment]:
    rows = [find_experiment(name) for name in names]
    if not rows:
        raise ValueError("nothing to combine; name at least one row")
    seen: dict[str, str] = {}
    for row in rows:
        data = row.data or row.name
        if data in seen:
            raise ValueError(
                f"{row.name} and {seen[data]} are made of the same data ({data}), which would "
                "count twice; leave one out"
            )
        seen[data] = row.name
    expected = [row.name for row in rows if row.method in EXPECTED]
    observed = [row.name for row in rows if row.method not in EXPECTED]
    if expected and observed:
        raise ValueError(
            f"sensitivities without data ({', '.join(expected)}) and observed limits "
            f"({', '.join(observed)}) do not combine; choose rows of one kind"
        )
    return rows


def _conversion(row: Experiment, target: str, sin2_theta23: float) -> float:
    """Squared moment of the row over that of the target, all other moments zero."""
    pair = {row.bounded, target}
    # Near the source an antineutrino has the moment of its neutrino.
    if len(pair) == 1 or pair == {"nue", "nuebar"}:
        return 1.0
    flavour = "nue" if target == "nuebar" else target
    if row.bounded != "solar effective" or flavour not in ("nue", "numu", "nutau"):
        raise ValueError(
            f"{row.name} bounds the {BOUNDED[row.bounded]}, not the {BOUNDED[target]}: unlike "
            "quantities do not combine; solar limits convert to a flavour, others do not"
        )
    flux = row.inputs.get("flux")
    survival = flux.get("survival", SURVIVAL) if isinstance(flux, dict) else SURVIVAL
    limits = flavour_limits(1.0, survival=survival, sin2_theta23=sin2_theta23)
    return float(getattr(limits, flavour)) ** -2


def _likelihood(row: Experiment, factor: float, target: str) -> str:
    text = LIKELIHOODS[row.method][1]
    if row.bounded == target:
        return text
    return f"{text}; mu^2 ({row.bounded}) = {factor:.3g} mu^2 ({target}), other moments zero"
