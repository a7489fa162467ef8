"""Bayesian upper limits: the likelihood averaged over the nuisance parameters, by sampling.

At every s, nuisance parameters are drawn from normal distributions around the best ones there, with
the curvature of the likelihood (Laplace), and weighted with the ratio of likelihood and density:
importance sampling, so that the shape of these distributions does not matter but for the number of
draws. A parameter with two minima has a distribution at each. The Monte Carlo factors of the bins,
independent of each other, are averaged by Laplace's formula.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.integrate import cumulative_simpson
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

from .branches import turned
from .constructions import QUANTILES, Effort, Outcome, counts, no_band, null_experiment, span
from .count_expectation import ExpectedLimits
from .engine import minimise
from .expectation import Expectation, product
from .fit import Fitter
from .likelihood import Data, curvature, expectation, objective
from .model import Floats
from .newton import second_derivatives
from .result import Curve

PRIORS: dict[str, Callable[[Floats], Floats]] = {
    "s": lambda moment: 2.0 * moment,
    "mu": np.ones_like,
}
"""Prior, flat in what the name says, to its density along the moment."""

_NODES, _FINE, _BATCHES = 41, 2001, 20
_FAR = 30.0
# Some draws from far out, so that no weight is large.
_WIDTHS = np.array([1.0, 1.0, 1.0, 1.0, 1.3])
_LEAST, _NOTHING = 50.0, 5.0
_CHUNK = 2000


class Marginal(NamedTuple):
    """Logarithm of the averaged likelihood along s.

    Attributes
    ----------
    logs : ndarray, shape (n,)
    batches : ndarray, shape (batches, n)
        The same from each part of the draws.
    effective : float
        Smallest effective number of draws of all s.
    """

    logs: Floats
    batches: Floats
    effective: float


def bayes(fit: Fitter, cl: float, effort: Effort, *, prior: str) -> Outcome:
    """Bayesian upper limit.

    Parameters
    ----------
    fit : Fitter
    cl : float
        Credibility.
    effort : Effort
        Its toys are draws of the nuisance parameters at each s.
    prior : {"s", "mu"}
        What it is flat in, from 0 on.

    Returns
    -------
    Outcome
        Expected limits are of toys without a moment, whose averaged likelihood is the profiled one
        times the ratio of the two in data without fluctuations.
    """
    low, high = span(fit, _FAR)
    moments = np.linspace(math.sqrt(low), math.sqrt(high), _NODES)
    found = marginal(fit, moments**2, effort)
    upper = float(_uppers(moments, found.logs[:, None], cl, prior)[0])
    parts = _uppers(moments, found.batches.T, cl, prior)
    error = float(parts.std(ddof=1) / math.sqrt(len(parts))) if len(parts) > 1 else 0.0
    expected, made = None, (0, 0, 0)
    if effort.expected:
        expected, made = _expected(fit, cl, effort, prior)
    tail = 1.0 - _posterior(moments, found.logs[:, None], prior)[1][:, 0]
    fine = np.linspace(moments[0], moments[-1], _FINE)
    p = np.interp(moments, fine, tail)
    nothing = np.full(_NODES, np.nan)
    statistic = 2.0 * (found.logs.max() - found.logs)
    curve = Curve(moments**2, statistic, nothing, p, np.zeros(_NODES), no_band(_NODES))
    return Outcome(((0.0, upper),), error, expected, curve, *made)


def marginal(fit: Fitter, signals: Floats, effort: Effort) -> Marginal:
    """Average the likelihood over the nuisance parameters at each s.

    Raises
    ------
    ArithmeticError
        If the draws are so unlike the likelihood that few of them count.
    """
    points = fit.at(signals)
    if fit.model.positions == 1:
        logs = -_values(fit.model, fit.data, points)
        return Marginal(logs, logs[None], math.inf)
    draws = max(effort.toys // _BATCHES, 1) * _BATCHES
    random = np.random.default_rng(np.random.SeedSequence(effort.seed, spawn_key=(20_000,)))
    # The same for all s: their errors go the same way, and the curve is smooth.
    normal = random.standard_normal((draws, fit.model.positions - 1))
    weights = np.array(list(effort.mapper(_Weights(fit, normal), points)))
    logs = logsumexp(weights, axis=1) - math.log(draws)
    effective = np.exp(2.0 * logsumexp(weights, axis=1) - logsumexp(2.0 * weights, axis=1))
    # Where there is no posterior, no draws are needed.
    effective[logs < logs.max() - _NOTHING] = draws
    if effective.min() < _LEAST:
        raise ArithmeticError(
            f"only {effective.min():.0f} of {draws} draws of the nuisance parameters count at "
            f"s = {signals[effective.argmin()]:.3g}; take more --toys"
        )
    batches = weights.reshape(len(signals), _BATCHES, -1)
    return Marginal(logs, logsumexp(batches, axis=2).T, float(effective.min()))


class _Weights(NamedTuple):
    """Logarithm of likelihood over density of each draw, at one s."""

    fit: Fitter
    normal: Floats

    def __call__(self, point: Floats) -> Floats:
        model, data = self.fit.model, self.fit.data
        modes = [point, *self._others(point)]
        shapes = [_Normal(mode[1:], _spread(model, data, mode)) for mode in modes]
        theta, weights = self._drawn(point[0], shapes)
        if len(shapes) > 1:
            return weights
        return self._drawn(point[0], [shapes[0].adapted(theta, weights)])[1]

    def _drawn(self, s: float, shapes: list["_Normal"]) -> tuple[Floats, Floats]:
        """Draws from equal parts of some distributions, and their weights."""
        own = np.arange(len(self.normal))
        theta = np.empty_like(self.normal)
        for i, shape in enumerate(shapes):
            mine = own[own % len(shapes) == i]
            width = _WIDTHS[mine // len(shapes) % len(_WIDTHS)][:, None]
            theta[mine] = shape.mean + width * product(self.normal[mine], shape.spread.T)
        density = [
            math.log((_WIDTHS == width).mean() / len(shapes)) + shape.log_density(theta, width)
            for shape in shapes
            for width in np.unique(_WIDTHS)
        ]
        where = np.concatenate([np.full((len(theta), 1), s), theta], axis=1)
        values = _values(self.fit.model, self.fit.data, where)
        return theta, -values - logsumexp(density, axis=0)

    def _others(self, point: Floats) -> list[Floats]:
        model, data = self.fit.model, self.fit.data
        fisher = curvature(model, data.n[0], point) + 1e-9 * np.eye(len(point))
        metric = np.asarray(np.linalg.inv(fisher), dtype=float)
        return [
            minimise(model, data, other, metric, fixed=True).points[0]
            for other in turned(model, point[None])
            if np.isfinite(objective(model, data, other)[0][0])
        ]


def _spread(model: Expectation, data: Data, point: Floats) -> Floats:
    """Matrix that turns normal numbers into nuisance parameters around a best point."""
    hessian = second_derivatives(model, data, point)[1:, 1:]
    if not np.linalg.eigvalsh(hessian).min() > 0.0:
        hessian = curvature(model, data.n[0], point)[1:, 1:]
    return np.asarray(np.linalg.cholesky(np.linalg.inv(hessian)))


class _Normal(NamedTuple):
    """Normal distribution of the nuisance parameters."""

    mean: Floats
    spread: Floats

    def standard(self, theta: Floats) -> Floats:
        """Parameters as independent standard normal numbers."""
        return product(theta - self.mean, np.asarray(np.linalg.inv(self.spread).T, dtype=float))

    def log_density(self, theta: Floats, width: float) -> Floats:
        """Without the powers of 2 pi, which the constraints have too."""
        z = self.standard(theta) / width
        scale = len(self.mean) * math.log(width) + np.log(np.diag(self.spread)).sum()
        return np.asarray(-0.5 * (z**2).sum(axis=1) - scale)

    def adapted(self, theta: Floats, weights: Floats) -> "_Normal":
        """Distribution with the mean and widths of weighted draws."""
        heavy = logsumexp(weights) - 0.5 * math.log(len(weights))
        # A single draw must not decide.
        w = np.exp(np.minimum(weights, heavy) - heavy)
        w /= w.sum()
        z = self.standard(theta)
        shift = w @ z
        width = np.sqrt(np.clip(w @ (z - shift) ** 2, 0.5, 2.0))
        return _Normal(self.mean + self.spread @ shift, self.spread * width)


def _values(model: Expectation, data: Data, points: Floats) -> Floats:
    """-ln L with the Monte Carlo factors averaged; infinite where a bin expects less than 0."""
    result = np.empty(len(points))
    for first in range(0, len(points), _CHUNK):
        some = points[first : first + _CHUNK]
        copies = data.take(np.zeros(len(some), dtype=np.int64))
        values, negative = objective(model, copies, some)
        alone = some.copy()
        alone[:, 0] = 0.0
        background, rest = model.parts(alone)
        # A background below nothing is no background, whatever the signal adds to it.
        negative |= (background + rest < 0.0).any(axis=1)
        if model.varied:
            nu = np.where(negative[:, None], 1.0, expectation(model, copies, some))
            ratio = model.relative * background / np.maximum(nu, np.finfo(float).tiny)
            values = values + 0.5 * np.log1p(data.n * ratio**2).sum(axis=1)
        result[first : first + _CHUNK] = np.where(negative, np.inf, values)
    return result


def _posterior(moments: Floats, logs: Floats, prior: str) -> tuple[Floats, Floats]:
    """Moments, finely, and the posterior probability below each: shapes (m,), (m, curves)."""
    fine = np.linspace(moments[0], moments[-1], _FINE)
    smooth = CubicSpline(moments, logs)(fine)
    density = np.exp(smooth - smooth.max(axis=0)) * PRIORS[prior](fine)[:, None]
    below = cumulative_simpson(density, x=fine, axis=0, initial=0.0)
    return fine, below / below[-1]


def _uppers(moments: Floats, logs: Floats, cl: float, prior: str) -> Floats:
    """Upper limits on s from curves of shape (moments, curves)."""
    fine, below = _posterior(moments, logs, prior)
    return np.array([np.interp(cl, column, fine) for column in below.T]) ** 2


def _expected(
    fit: Fitter, cl: float, effort: Effort, prior: str
) -> tuple[ExpectedLimits, tuple[int, int, int]]:
    null = fit.asimov()
    moments = np.linspace(0.0, math.sqrt(span(null, _FAR)[1]), _NODES)
    points = null.at(moments**2)
    ratio = marginal(null, moments**2, effort).logs + 0.5 * null.statistic(moments**2, points)
    made = effort.run([null_experiment(fit, points, effort.seed)], effort.expected)
    uppers = _uppers(moments, ratio[:, None] - 0.5 * made[0].t, cl, prior)
    return ExpectedLimits(*map(float, np.quantile(uppers, QUANTILES))), counts(made)
