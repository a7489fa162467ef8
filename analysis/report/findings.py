"""What a report is about, computed once: count, limits, fit, sources, comparison."""

from dataclasses import dataclass

import numpy as np

from fileset.errors import InputError
from processors.templates import Templates

from ..covariance import Floats
from ..experiments import WorldRow, world_rows
from ..limit import LimitModel
from ..limit.impacts import ParameterImpact
from ..limit.result import ModelLimit
from ..limit.template_count import MomentLimit, TemplateCount, moment_limits, template_count
from ..plots import FIT
from ..shifts import STANDARD_MODEL, shifts, with_magnetic
from ..systematics import Systematics, systematics
from ..uncertainty import Impact, impacts

HEADLINE = "fc"
"""Method of the limit at the head of the page."""

TOY = "toy"
"""Key of the provenance that says, if true, that the input is simulated, data included."""

OURS = "this result"
"""Name of the row of this result among those of other experiments."""

_QUICK = ("profile_two_sided", "profile_one_sided")
_WITH_TOYS = ("fc", "cls", *_QUICK)
_EXPECTED = 400
"""Toys behind the expected limits of a fit, where no number of toys is asked for."""


@dataclass(frozen=True)
class Fit:
    """A fit of the spectrum with its nuisance parameters.

    Attributes
    ----------
    model : LimitModel
        With data, or the expectation in their place.
    limits : dict of str to ModelLimit
        By method.
    impacts : tuple of ParameterImpact
    is_data : bool
    """

    model: LimitModel
    limits: dict[str, ModelLimit]
    impacts: tuple[ParameterImpact, ...]
    is_data: bool


@dataclass(frozen=True)
class Covariance:
    """Covariance of the Standard Model expectation between bins of one axis.

    Attributes
    ----------
    edges : ndarray, shape (n, 2)
        Ends of the bins in which something is expected.
    label : str
        Name of the axis with its unit.
    expected : ndarray, shape (n,)
    matrix : ndarray, shape (n, n)
        Systematic and of Monte Carlo statistics [events^2].
    """

    edges: Floats
    label: str
    expected: Floats
    matrix: Floats


@dataclass(frozen=True)
class Findings:
    """Everything that is computed for a report.

    Attributes
    ----------
    templates : Templates
    count : TemplateCount
    limits : dict of str to MomentLimit
        By method; those from a fit begin with :data:`analysis.plots.FIT`.
    sources : list of Impact
    correlated : Systematics
        Of all categories and of the magnetic signal.
    covariance : Covariance
    fit : Fit or None
    no_fit : str
        Why there is no fit.
    world : list of WorldRow
        Other experiments, and this result.
    """

    templates: Templates
    count: TemplateCount
    limits: dict[str, MomentLimit]
    sources: list[Impact]
    correlated: Systematics
    covariance: Covariance
    fit: Fit | None
    no_fit: str
    world: list[WorldRow]

    @property
    def best(self) -> MomentLimit:
        """Limit at the head of the page."""
        return self.limits[HEADLINE]

    @property
    def drawn(self) -> tuple[str, float]:
        """Kind and value of the limit at which the signal is drawn [Bohr magneton]."""
        if self.best.mu_nu is None:
            return "expected", self.best.expected[2]
        return "observed", self.best.mu_nu


def find(templates: Templates, *, cl: float, pot: float | None, toys: int) -> Findings:
    """Compute everything that a report shows.

    Parameters
    ----------
    templates : Templates
    cl : float
        Confidence level.
    pot : float, optional
        Exposure [POT]; that of the data by default.
    toys : int
        Toys per tested signal of the methods that need them; 0 does without these methods.
    """
    count = template_count(templates, pot)
    limits = moment_limits(count, cl=cl, method="all")
    fit, no_fit = None, ""
    try:
        fit = _fitted(templates, pot, cl, toys)
    except (InputError, ArithmeticError) as error:
        no_fit = str(error)
    # Fewer bins than parameters, and nothing that tells them apart.
    except np.linalg.LinAlgError as error:
        no_fit = f"its bins do not determine the parameters ({error})"
    if fit is not None:
        limits |= {f"{FIT}{m}": _as_moment(found, fit.is_data) for m, found in fit.limits.items()}
    axis = templates.hist.axes.name[3]
    shown = shifts(templates, count.pot, axes=[axis], samples=with_magnetic(templates))
    return Findings(
        templates=templates,
        count=count,
        limits=limits,
        sources=impacts(templates, count.pot),
        correlated=systematics(shown),
        covariance=_covariance(templates, count.pot, axis),
        fit=fit,
        no_fit=no_fit,
        world=[*world_rows(), _own_row(templates, limits[HEADLINE])],
    )


def _fitted(templates: Templates, pot: float | None, cl: float, toys: int) -> Fit:
    model = LimitModel.from_templates(templates, pot=pot, axes=[templates.hist.axes.name[3]])
    if model.bins < 2:
        raise InputError("all its bins together are one, which the count is about")
    is_data = model.observed is not None
    fitted = model if is_data else model.asimov()
    methods = _WITH_TOYS if toys else _QUICK
    options = {"toys": toys} if toys else {"expected": _EXPECTED}
    limits = {method: fitted.limit(method, cl=cl, **options) for method in methods}
    return Fit(fitted, limits, fitted.impacts(), is_data)


def _as_moment(found: ModelLimit, is_data: bool) -> MomentLimit:
    return MomentLimit(
        mu_nu=found.mu_nu if is_data else None,
        expected=tuple(found.expected_mu_nu or ()),
        count=None,
        method=f"{FIT}{found.method}",
        convention=found.convention,
        confidence_level=found.confidence_level,
    )


def _covariance(templates: Templates, pot: float, axis: str) -> Covariance:
    found = shifts(templates, pot, axes=[axis], samples=STANDARD_MODEL)
    matrix = systematics(found).covariance() + np.diag(found.mc_variance)
    edges = found.layout.axes[axis]
    filled = np.flatnonzero(found.nominal > 0.0)
    return Covariance(
        edges=np.stack([edges[:-1], edges[1:]], axis=1)[filled],
        label=found.layout.titles[axis],
        expected=found.nominal[filled],
        matrix=matrix[np.ix_(filled, filled)],
    )


def _own_row(templates: Templates, best: MomentLimit) -> WorldRow:
    """Our own result as a row of the table; nobody has published it."""
    toy = ", simulated toy" if templates.provenance.get(TOY) else ""
    expected = "" if best.mu_nu is not None else "expected without data; "
    return WorldRow(
        id=OURS,
        system=f"▸ {OURS}{toy}",
        bounded="numu",
        published=None,
        recomputed=best.mu_nu if best.mu_nu is not None else best.expected[2],
        ratio=None,
        method=best.method,
        convention=f"{expected}{best.convention}",
        verified=True,
        reason="one moment for all flavours of the beam, which are mostly muon neutrinos",
    )
