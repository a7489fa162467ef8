"""One count out of templates: all selected events in one bin, and a limit on the moment from it.

The simplest use of a run's result, and a cross-check of any fit to its shape. The background is
everything the Standard Model predicts, nu-e scattering included; the signal is the magnetic
template, events per squared Bohr magneton. The signal has no uncertainty here.
"""

import math
from dataclasses import dataclass

from fileset.errors import InputError
from processors.hypotheses import coefficients
from processors.templates import Templates
from processors.variations import NOMINAL

from ..shifts import STANDARD_MODEL, shifts
from .count_expectation import expected_limits
from .counting import METHODS, CountLimit, count_limit


@dataclass(frozen=True)
class TemplateCount:
    """Ingredients of a counting experiment, from templates.

    Attributes
    ----------
    n_obs : int or None
        Observed events; None without data.
    n_bkg, sigma_bkg : float
        Expected SM events and their uncertainty [events].
    sources : dict of str to float
        Contribution of each source to ``sigma_bkg`` [events], added in quadrature.
    signal_per_mu2 : float
        Signal events per squared Bohr magneton.
    pot : float
        Exposure of data and expectation [POT].
    mc_pot : dict of str to float
        Exposure of each simulated dataset behind the expectation [POT].
    missing : int
        Chunks of the plan that are not in the templates; their exposure is not counted either.
    """

    n_obs: int | None
    n_bkg: float
    sigma_bkg: float
    sources: dict[str, float]
    signal_per_mu2: float
    pot: float
    mc_pot: dict[str, float]
    missing: int = 0

    def mu_nu(self, signal_events: float) -> float:
        """Magnetic moment [Bohr magneton] that gives a number of signal events."""
        return math.sqrt(max(signal_events, 0.0) / self.signal_per_mu2)


@dataclass(frozen=True)
class MomentLimit:
    """Limit on the effective magnetic moment.

    Attributes
    ----------
    mu_nu : float or None
        Observed upper limit [Bohr magneton]; None without data.
    expected : tuple of float
        Expected upper limits at -2, -1, 0, 1, 2 standard deviations [Bohr magneton].
    count : CountLimit or None
        The interval on signal events behind ``mu_nu``.
    method, convention : str
    confidence_level : float
    """

    mu_nu: float | None
    expected: tuple[float, ...]
    count: CountLimit | None
    method: str
    convention: str
    confidence_level: float


def template_count(templates: Templates, pot: float | None = None) -> TemplateCount:
    """Count the selected events of a run.

    Parameters
    ----------
    templates : Templates
    pot : float, optional
        Exposure [POT]; that of the data by default, and required without data.

    Returns
    -------
    TemplateCount

    Raises
    ------
    InputError
        Without simulation, without signal in it, or without an exposure.
    """
    if pot is not None and templates.data_pot:
        raise InputError(
            f"the templates hold data at {templates.data_pot:.4g} POT; --pot is for templates "
            "without data"
        )
    exposure = pot or templates.data_pot
    # Everything that was selected counts, in the bins or beyond them.
    unit = templates.signal(exposure, coefficients(mu_nu=1.0))
    signal = float(unit[{"variation": NOMINAL}].sum(flow=True).value)
    if not signal > 0.0:
        raise InputError(
            "no nu-e scattering with truth among the selected events: no signal; "
            "loosen the selection or add a signal sample"
        )
    found = shifts(templates, exposure, axes=[], samples=STANDARD_MODEL)
    sources = {name: float(source.size[0]) for name, source in found.systematic.items()}
    sources["mc_statistics"] = math.sqrt(found.mc_variance[0])
    data = templates.data()
    return TemplateCount(
        n_obs=None if data is None else round(data.view(flow=True)["value"].sum()),
        n_bkg=float(found.nominal[0]),
        sigma_bkg=math.hypot(*sources.values()),
        sources=sources,
        signal_per_mu2=signal,
        pot=exposure,
        mc_pot=templates.mc_pot,
        missing=len(templates.ledger.missing),
    )


def moment_limits(
    count: TemplateCount, *, cl: float, method: str = "all", expected: bool = True
) -> dict[str, MomentLimit]:
    """Turn a count into limits on the effective magnetic moment.

    Parameters
    ----------
    count : TemplateCount
    cl : float
        Confidence level.
    method : str
        See :func:`analysis.limit.count_limit`; ``"all"`` for every stable method.
    expected : bool
        Whether to compute the expected limits too.

    Returns
    -------
    dict of str to MomentLimit
        Keyed by method.
    """
    limits = {}
    for name in METHODS if method == "all" else (method,):
        observed = None
        if count.n_obs is not None:
            observed = count_limit(count.n_obs, count.n_bkg, count.sigma_bkg, cl=cl, method=name)
        # The convention of a count without surprise; a deficit would add a remark of its own.
        reference = observed or count_limit(
            math.ceil(count.n_bkg), count.n_bkg, count.sigma_bkg, cl=cl, method=name
        )
        band: tuple[float, ...] = ()
        if expected or observed is None:
            band = expected_limits(count.n_bkg, count.sigma_bkg, cl=cl, method=name)
        limits[name] = MomentLimit(
            mu_nu=None if observed is None else count.mu_nu(observed.upper),
            expected=tuple(count.mu_nu(s) for s in band),
            count=observed,
            method=name,
            convention=reference.convention,
            confidence_level=cl,
        )
    return limits
