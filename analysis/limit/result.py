"""A limit from a model: the number, and everything that is needed to know what it means."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from fileset.html import html_table

from .count_expectation import ExpectedLimits
from .model import Floats


class Curve(NamedTuple):
    """What a limit was read from, along s.

    Attributes
    ----------
    s : ndarray, shape (n,)
        Tested signals [(mu / unit)^2].
    statistic : ndarray, shape (n,)
        -2 Delta ln L of the data.
    critical : ndarray, shape (n,)
        What it may be at the confidence level; NaN where the method has none.
    p_value, p_error : ndarray, shape (n,)
        Probability of a larger statistic, or CLs, and its Monte Carlo error; for Bayesian limits
        the posterior probability of a larger s.
    band : ndarray, shape (5, n), or (0, n) where it was not asked for
        ``p_value`` of experiments without a moment at -2, -1, 0, 1, 2 standard deviations.
    """

    s: Floats
    statistic: Floats
    critical: Floats
    p_value: Floats
    p_error: Floats
    band: Floats


@dataclass(frozen=True)
class ModelLimit:
    """Interval on s = (mu / unit)^2, and on the moment.

    Attributes
    ----------
    lower, upper : float
        Outermost ends of the accepted signals.
    intervals : tuple of (float, float)
        All accepted signals; more than one where the set has a gap.
    best : float
        s at the minimum, >= 0.
    upper_error : float
        Monte Carlo error of ``upper``; 0 without toys.
    expected : ExpectedLimits or None
        Upper limits on s without a moment.
    method, convention : str
        Name, and what it means in words.
    confidence_level : float
    toys, expected_toys, seed : int
        Toys, or draws of nuisance parameters, per tested signal and for what is expected, 0 for
        none, and the seed they were made with.
    fits, fallback, negative : int
        Fits of toys; those by full Newton steps or again from a lower place; those that ended where
        a bin expects less than 0.
    curve : Curve
    unit : float
        Moment at s = 1 [Bohr magneton].
    pot : float
        Exposure [POT]; 0 where it is not known.
    affine : bool
        Whether the expectation is linear in all parameters.
    origin : str
        Of the model.
    """

    lower: float
    upper: float
    intervals: tuple[tuple[float, float], ...]
    best: float
    upper_error: float
    expected: ExpectedLimits | None
    method: str
    convention: str
    confidence_level: float
    toys: int
    expected_toys: int
    seed: int
    fits: int
    fallback: int
    negative: int
    curve: Curve
    unit: float
    pot: float
    affine: bool
    origin: str

    @property
    def mu_nu(self) -> float:
        """Upper limit on the moment [Bohr magneton]."""
        return self.moment(self.upper)

    @property
    def expected_mu_nu(self) -> ExpectedLimits | None:
        """Expected upper limits on the moment [Bohr magneton]."""
        return None if self.expected is None else ExpectedLimits(*map(self.moment, self.expected))

    @property
    def mu_nu_error(self) -> float:
        """Monte Carlo error of :attr:`mu_nu` [Bohr magneton]."""
        return self.unit * self.upper_error / (2.0 * math.sqrt(self.upper)) if self.upper else 0.0

    def _repr_html_(self) -> str:
        rows = [
            ("mu_nu [Bohr magneton]", f"< {self.mu_nu:.4g}"),
            ("confidence level", self.confidence_level),
            ("method", self.method),
            ("convention", self.convention),
            ("best fit of mu_nu", f"{self.moment(self.best):.4g}"),
            ("exposure [POT]", f"{self.pot:.4g}"),
        ]
        if self.expected_mu_nu is not None:
            rows.insert(1, ("expected without a moment", f"< {self.expected_mu_nu.median:.4g}"))
        return html_table("limit on the magnetic moment", ("", ""), rows)

    def moment(self, s: float) -> float:
        """Moment [Bohr magneton] of a value of s."""
        return self.unit * math.sqrt(s)
