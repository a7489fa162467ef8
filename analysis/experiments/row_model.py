"""A row as a model of `analysis.limit`, to be combined with others and given to any method there.

Counts and spectra keep their likelihood. What is Gaussian in mu^2 becomes one bin with so many
events that nobody can tell. A number without a likelihood, such as a formula for stars or a bound
that theory finds natural, is refused.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fileset.errors import InputError

from ..limit import Channel, LimitModel, Parameter, Sample
from ..limit.count_likelihood import profile_threshold
from ..limit.model import MOMENT_UNIT
from . import coherent, counting, relation, spectrum, spectrum_fit
from .outcome import PROFILE, Outcome
from .rows import Experiment, find_experiment

Floats = NDArray[np.float64]

EXPECTED = ("expected_count", "on_off")
"""Methods without data: what is seen is what is expected without a moment."""

_OWN = " background"
_SOLAR_UNIT = 1e-11

# Events of a bin whose Poisson distribution is as good as normal.
_MANY = 1e10


class _Bins(NamedTuple):
    """What is expected in the bins of a row, and what was seen.

    ``shift`` is the change of the expectation by a relative change of 1, in the unit in which the
    row gives its uncertainty; ``own`` is what its nuisances leave of that: infinite if free.
    ``details`` are further parameters of the row, changes of background and signal; ``variance``
    is that of a background that was itself counted.
    """

    background: Floats
    signal: Floats  # of a squared moment of one Bohr magneton^2
    observed: Floats
    shift: Floats
    own: float
    details: Mapping[str, tuple[Floats, Floats]] = MappingProxyType({})
    variance: Floats | None = None


def row_model(
    name: str | Experiment,
    *,
    unit: float | None = None,
    factor: float = 1.0,
    nue_fraction: float | None = None,
    releases: Path | None = None,
) -> LimitModel:
    """Model of one row with its data; of a sensitivity without.

    Parameters
    ----------
    name : str or Experiment
        Row of a method in `LIKELIHOODS`.
    unit : float, optional
        Moment at s = 1 [Bohr magneton]; about that of the limit if absent.
    factor : float
        Squared moment of the row over that of the model [1].
    nue_fraction : float, optional
        As in `analysis.experiments.recompute`.
    releases : Path, optional
        Folder that holds the folders of data releases.

    Returns
    -------
    LimitModel
        One channel; parameters by the names of the nuisances of the row, and one of its own for
        what they leave of its uncertainty.

    Raises
    ------
    InputError
        For a row without likelihood, and nuisances larger than the uncertainty they are part of.
    MissingReleaseError
        If the release of the row is not there.
    """
    experiment = find_experiment(name)
    if experiment.method not in LIKELIHOODS:
        raise InputError(
            f"{experiment.name} has no likelihood to combine: its method is {experiment.method}; "
            f"rows of {', '.join(LIKELIHOODS)} have one"
        )
    if nue_fraction is not None:
        experiment = _with_fraction(experiment, nue_fraction)
    unit = unit or (_SOLAR_UNIT if experiment.bounded == "solar effective" else MOMENT_UNIT)
    bins = LIKELIHOODS[experiment.method][0](experiment, releases)
    scale = unit**2 * factor
    signal = bins.signal * scale
    nothing = np.zeros_like(signal)
    changes = {
        name: (nuisance.background * bins.shift, nuisance.signal * signal)
        for name, nuisance in experiment.nuisances.items()
    }
    free = math.isinf(bins.own)
    if bins.own > 0.0:
        changes[f"{experiment.name}{_OWN}"] = (bins.shift * (1.0 if free else bins.own), nothing)
    for name, (background, magnetic) in bins.details.items():
        changes[f"{experiment.name}: {name}"] = (background, magnetic * scale)
    up = np.array([*changes.values()]).reshape(len(changes), 2, len(signal))
    parameters = tuple(
        Parameter(name, constraint="free" if free and name.endswith(_OWN) else "normal")
        for name in changes
    )
    return LimitModel(
        channels=(Channel(experiment.name, len(signal)),),
        samples=(Sample(f"{experiment.name} background"), Sample("magnetic", signal=True)),
        parameters=parameters,
        nominal=np.array([bins.background, signal]),
        mc_variance=np.array([nothing if bins.variance is None else bins.variance, nothing]),
        up=up,
        down=-up,
        high=np.ones((len(changes), 2)),
        low=np.ones((len(changes), 2)),
        observed=None if experiment.method in EXPECTED else bins.observed,
        unit=unit,
        pot=experiment.inputs.get("pot", 0.0),
        origin=experiment.source,
    )


def _with_fraction(experiment: Experiment, nue_fraction: float) -> Experiment:
    if experiment.method != "counting":
        raise InputError(f"nue_fraction: {experiment.name} is no published count; leave it out")
    return replace(experiment, inputs={**experiment.inputs, "nue_fraction": nue_fraction})


def own_uncertainty(experiment: Experiment) -> float:
    """Uncertainty of the expectation without a moment that no nuisance of the row explains.

    Parameters
    ----------
    experiment : Experiment
        Any row.

    Returns
    -------
    float
        Relative; 0 where there is none.

    Raises
    ------
    ValueError
        If the nuisances are more than the whole.
    """
    inputs = experiment.inputs
    total = math.hypot(*inputs.get("uncertainties", [inputs.get("background_syst", 0.0)]))
    shared = math.hypot(*(n.background for n in experiment.nuisances.values()))
    if shared > total * (1.0 + 1e-9):
        raise InputError(
            f"{experiment.name}: its nuisances move the expectation by {shared:g}, as part of an "
            f"uncertainty of {total:g}; make them smaller or the uncertainty larger"
        )
    return math.sqrt(max(total**2 - shared**2, 0.0))


def _counting(row: Experiment, _: Any) -> _Bins:
    background = np.array([row.inputs["n_bkg"]])
    signal = np.array([counting.signal_yield(row) / counting.MU_REFERENCE**2])
    observed = np.array([float(row.inputs["n_obs"])])
    return _Bins(background, signal, observed, background, own_uncertainty(row))


def _expected_count(row: Experiment, _: Any) -> _Bins:
    without, magnetic = (np.array([events]) for events in counting.expected_total(row))
    signal = magnetic / counting.MU_REFERENCE**2
    return _Bins(without, signal, without, without, own_uncertainty(row))


def _rate_ratio(row: Experiment, _: Any) -> _Bins:
    own, per_mu2 = own_uncertainty(row), relation.magnetic_over_sm(row)
    if own == 0.0:
        raise InputError(f"{row.name}: nothing of its uncertainty is its own; leave some to it")
    return _gaussian((row.inputs["ratio"] - 1.0) / per_mu2, own / per_mu2, 1.0 / per_mu2)


def _published_bound(row: Experiment, _: Any) -> _Bins:
    own_uncertainty(row)
    outcome = {"relation": relation.relation, "solar_flavour": relation.solar_flavour}
    threshold = profile_threshold(row.confidence_level or 0.90, sides=1)
    return _gaussian(0.0, outcome[row.method](row).observed ** 2 / math.sqrt(threshold))


def _on_off(row: Experiment, _: Any) -> _Bins:
    own_uncertainty(row)
    return _gaussian(0.0, spectrum.on_off_sigma(row))


def _gaussian(estimate: float, sigma: float, per_shift: float = 0.0) -> _Bins:
    """Bin with the likelihood of a squared moment, which a shift of the expectation moves too."""
    slope = math.sqrt(_MANY) / sigma
    return _Bins(
        background=np.array([_MANY]),
        signal=np.array([slope]),
        observed=np.array([_MANY + slope * estimate]),
        shift=np.array([slope * per_shift]),
        own=0.0,
    )


def _spectrum(row: Experiment, releases: Path | None) -> _Bins:
    fit = spectrum.spectrum_fit(row, releases)
    free = row.inputs["background_syst"] == 0.0
    own = math.inf if free else own_uncertainty(row)
    if free and any(nuisance.background for nuisance in row.nuisances.values()):
        raise InputError(f"{row.name}: its background is free; its nuisances act on the signal")
    signal = fit.signal / spectrum_fit.MU2_REFERENCE
    return _Bins(fit.background, signal, fit.counts, fit.background, own)


def _cevns(row: Experiment, releases: Path | None) -> _Bins:
    own_uncertainty(row)
    found = coherent.coherent_spectrum(row, releases)
    nothing = np.zeros_like(found.steady)
    neutrons = {
        name: (row.inputs[name][1] * getattr(found, name), nothing)
        for name in ("beam_neutrons", "neutrino_neutrons")
    }
    syst = row.inputs["normalisation_syst"]
    return _Bins(
        background=found.steady + found.beam_neutrons + found.neutrino_neutrons + found.weak,
        signal=found.magnetic,
        observed=found.observed,
        shift=nothing,
        own=0.0,
        details={**neutrons, "normalisation": (syst * found.weak, syst * found.magnetic)},
        variance=found.steady,
    )


def model_outcome(experiment: Experiment, cl: float, releases: Path | None = None) -> Outcome:
    """Limit of a row from its model, for likelihoods that have no other form."""
    limit = row_model(experiment, unit=1e-9, releases=releases).limit(PROFILE, cl=cl, expected=0)
    return Outcome(limit.mu_nu, PROFILE, limit.convention)


LIKELIHOODS: dict[str, tuple[Callable[[Experiment, Path | None], _Bins], str]] = {
    "counting": (_counting, "count"),
    "expected_count": (_expected_count, "count, the expectation is seen"),
    "rate_ratio": (_rate_ratio, "Gaussian in mu^2"),
    "relation": (_published_bound, "published bound as a Gaussian about zero"),
    "solar_flavour": (_published_bound, "published bound as a Gaussian about zero"),
    "on_off": (_on_off, "Gaussian in mu^2 about zero"),
    "xenon_spectrum": (_spectrum, "binned spectrum"),
    "cevns_spectrum": (_cevns, "binned spectrum of light"),
}
"""What makes the likelihood of a method, and what it is in words."""
