"""Recompute the limit of an experiment from its published inputs.

For counting experiments: the signal yield comes from flux and cross-section, relative to the
expected Standard Model events. Not a substitute for an analysis of events.
"""

import math
from dataclasses import dataclass

from fileset.fluxes import load_flux
from fileset.targets import Target

from ..limit import METHODS, CountLimit, count_limit
from ..rates import Hypothesis, expected_rate
from .rows import Experiment, find_experiment

MU_REFERENCE = 1e-9
"""Moment to which signal yields refer [Bohr magneton]."""


@dataclass(frozen=True)
class Limit:
    """Upper limit on the magnetic moment, recomputed from published inputs.

    Attributes
    ----------
    experiment : str
        Name of the row.
    observed : float
        Upper limit [Bohr magneton].
    signal_events : float
        Upper limit on the signal [events].
    yield_per_mu2 : float
        Signal events per (1e-9 Bohr magneton)^2.
    nue_fraction : float
        Part of the expectation taken as neutrino-electron scattering [1].
    exposure : float
        Protons on target of the data.
    confidence_level : float
        Level of ``observed``.
    method, convention : str
        Name of the statistical method, and the method in words.
    published : float
        Published upper limit [Bohr magneton].
    published_confidence_level : float
        Level of ``published``.
    unverified : tuple of str
        Inputs that were assumed or not verified.
    source, notes : str
        Publication of the inputs; what to know about them.
    """

    experiment: str
    observed: float
    signal_events: float
    yield_per_mu2: float
    nue_fraction: float
    exposure: float
    confidence_level: float
    method: str
    convention: str
    published: float
    published_confidence_level: float
    unverified: tuple[str, ...]
    source: str
    notes: str

    @property
    def ratio(self) -> float:
        """``observed / published`` [1]; NaN if their confidence levels differ."""
        if not math.isclose(self.confidence_level, self.published_confidence_level):
            return math.nan
        return self.observed / self.published

    @property
    def verified(self) -> bool:
        """Whether every input was read in the source."""
        return not self.unverified


def signal_yield(experiment: Experiment, *, nue_fraction: float | None = None) -> float:
    """Signal events per (1e-9 Bohr magneton)^2 of a counting experiment.

    Parameters
    ----------
    experiment : Experiment
        Row with flux, window and expectation.
    nue_fraction : float, optional
        Part of the expectation that is neutrino-electron scattering [1]; that of the row if absent.

    Returns
    -------
    float
        Expected neutrino-electron events, times the ratio of magnetic to Standard Model rate over
        the flux of all flavours: target and an efficiency that does not depend on the recoil energy
        cancel.

    Raises
    ------
    ValueError
        For a fraction that is not between 0 (excluded) and 1.
    """
    fraction = experiment.nue_fraction if nue_fraction is None else nue_fraction
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"nue_fraction = {fraction}; expected a number above 0 and at most 1")
    rate = expected_rate(
        load_flux(experiment.flux),
        Target("nova", 1.0),  # any: free electrons cancel
        experiment.recoil_energy,
        Hypothesis(mu_nu=MU_REFERENCE),
        exposure=experiment.pot,
    )
    return experiment.n_bkg * fraction * rate.magnetic_total / rate.sm_total


def recompute(
    name: str,
    *,
    confidence_level: float = 0.90,
    method: str = "fc",
    nue_fraction: float | None = None,
) -> Limit:
    """Recompute the limit of an experiment with one statistical method.

    Parameters
    ----------
    name : str
        Key of `EXPERIMENTS`.
    confidence_level : float
        Between 0 and 1.
    method : str
        One of `analysis.limit.METHODS`.
    nue_fraction : float, optional
        Part of the expectation that is neutrino-electron scattering [1]; that of the row if absent.

    Returns
    -------
    Limit
        With the published number beside it; nothing is tuned to that number.

    Raises
    ------
    ValueError
        For an unknown experiment or method, and for numbers out of range.

    Examples
    --------
    >>> limit = recompute("nova_biao", method="cls")
    >>> f"{limit.observed:.2e} Bohr magneton, {limit.ratio:.2f} of the published limit"
    '1.62e-09 Bohr magneton, 1.03 of the published limit'
    """
    experiment = find_experiment(name)
    events = signal_yield(experiment, nue_fraction=nue_fraction)
    sigma_bkg = experiment.background_syst * experiment.n_bkg
    count = count_limit(
        experiment.n_obs, experiment.n_bkg, sigma_bkg, cl=confidence_level, method=method
    )
    return _limit(experiment, count, events, nue_fraction)


def recompute_all(
    name: str, *, confidence_level: float = 0.90, nue_fraction: float | None = None
) -> dict[str, Limit]:
    """Recompute the limit of an experiment with every statistical method.

    Parameters
    ----------
    name, confidence_level, nue_fraction
        As in `recompute`.

    Returns
    -------
    dict of str to Limit
        By method, in the order of `analysis.limit.METHODS`.
    """
    return {
        method: recompute(
            name, confidence_level=confidence_level, method=method, nue_fraction=nue_fraction
        )
        for method in METHODS
    }


def _limit(
    experiment: Experiment, count: CountLimit, events: float, nue_fraction: float | None
) -> Limit:
    return Limit(
        experiment=experiment.name,
        observed=MU_REFERENCE * math.sqrt(count.upper / events),
        signal_events=count.upper,
        yield_per_mu2=events,
        nue_fraction=experiment.nue_fraction if nue_fraction is None else nue_fraction,
        exposure=experiment.pot,
        confidence_level=count.confidence_level,
        method=count.method,
        convention=count.convention,
        published=experiment.published_limit,
        published_confidence_level=experiment.confidence_level,
        unverified=experiment.unverified,
        source=experiment.source,
        notes=experiment.notes,
    )
