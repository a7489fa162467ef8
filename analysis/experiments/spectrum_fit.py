"""Fit of a moment and of the normalisation of one background to a binned spectrum."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import xlogy

from ..limit.count_likelihood import profile_threshold

Floats = NDArray[np.float64]

MU2_REFERENCE = 1e-22
"""Squared moment to which signals refer [Bohr magneton^2]."""


class SpectrumFit(NamedTuple):
    """Counts with what is expected of background and moment.

    Attributes
    ----------
    counts, background, signal : ndarray, shape (n,)
        Observed events, expected ones without a moment, and those of ``MU2_REFERENCE``.
    background_syst : float
        Uncertainty of the normalisation of the background [relative]; 0: free.
    """

    counts: Floats
    background: Floats
    signal: Floats
    background_syst: float

    def deviance(self, mu2: float) -> float:
        """-2 ln L with the best normalisation of the background, up to a constant.

        Parameters
        ----------
        mu2 : float
            Squared moment [1e-22 Bohr magneton^2], >= 0.
        """
        scale = brentq(lambda b: self._slope(b, mu2), 1e-3, 1e3)
        expected = scale * self.background + mu2 * self.signal
        pull = (scale - 1.0) / self.background_syst if self.background_syst else 0.0
        return float(2.0 * np.sum(expected - xlogy(self.counts, expected)) + pull**2)

    def _slope(self, scale: float, mu2: float) -> float:
        """Derivative of -ln L by the normalisation; increases with it."""
        expected = scale * self.background + mu2 * self.signal
        ratio = np.divide(self.counts, expected, out=np.zeros_like(expected), where=expected > 0.0)
        pull = (scale - 1.0) / self.background_syst**2 if self.background_syst else 0.0
        return float(np.sum(self.background * (1.0 - ratio)) + pull)

    def best(self) -> float:
        """Best physical squared moment [1e-22 Bohr magneton^2], >= 0."""
        high = 1.0
        while self.deviance(high) < self.deviance(0.5 * high):
            high *= 2.0
        found = minimize_scalar(self.deviance, bounds=(0.0, high), method="bounded")
        return float(found.x) if found.fun < self.deviance(0.0) else 0.0

    def delta(self, mu2: ArrayLike) -> Floats:
        """-2 Delta ln L from the best physical fit.

        Parameters
        ----------
        mu2 : array_like of float
            Squared moments [1e-22 Bohr magneton^2], >= 0.

        Returns
        -------
        ndarray, shape of ``mu2``
            [1], >= 0.
        """
        lowest = self.deviance(self.best())
        return np.vectorize(self.deviance, otypes=[float])(mu2) - lowest

    def upper(self, cl: float) -> float:
        """Largest squared moment within the one-sided threshold [1e-22 Bohr magneton^2]."""
        return self.ends(profile_threshold(cl, sides=1))[1]

    def ends(self, threshold: float) -> tuple[float, float]:
        """Squared moments within a threshold on -2 Delta ln L [1e-22 Bohr magneton^2]."""
        best = self.best()
        level = self.deviance(best) + threshold

        def above(mu2: float) -> float:
            return self.deviance(mu2) - level

        high = max(2.0 * best, 1.0)
        while above(high) < 0.0:
            high *= 2.0
        low = float(brentq(above, 0.0, best)) if above(0.0) > 0.0 else 0.0
        return low, float(brentq(above, best, high))
