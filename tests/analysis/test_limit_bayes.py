"""Averages over nuisance parameters: exact counts, quadrature, and what they say of their error."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate

from analysis.limit import LimitModel, count_limit
from analysis.limit.bayes import marginal
from analysis.limit.compiling import compiled
from analysis.limit.constructions import Effort
from analysis.limit.fit import Fitter
from analysis.limit.likelihood import Data, objective

from .limit_models import counting, shapes
from .test_limit_fit import folded


@pytest.mark.parametrize("method", ["bayes_s", "bayes_mu"])
@pytest.mark.parametrize(
    ("n", "b", "relative"), [(25, 23.78, 0.109), (0, 3.0, 0.3), (3, 3.0, 0.3), (60, 20.0, 0.1)]
)
def test_limit_of_a_count_is_the_exact_one(n, b, relative, method):
    exact = count_limit(n, b, relative * b, cl=0.9, method=method).upper
    found = counting(n, b, 1.0, relative=relative).limit(method, cl=0.9, expected=0)
    assert 0.0 < found.upper_error < 2e-3 * exact
    assert found.upper == pytest.approx(exact, abs=5.0 * found.upper_error + 1e-5 * exact)


def test_without_nuisance_parameters_nothing_is_sampled():
    found = counting(5, 3.0, 1.0).limit("bayes_s", cl=0.9, expected=0)
    assert found.upper == pytest.approx(6.437134695832608, rel=1e-5)
    assert found.upper_error == 0.0


def quadrature(model, s, points=161, reach=6.5):
    """Average over two nuisance parameters on a grid."""
    ready, fit = compiled(model), Fitter.of(model)
    axis = np.linspace(-reach, reach, points)
    a, b = np.meshgrid(axis, axis)
    where = np.stack([np.full(a.size, s), a.ravel(), b.ravel()], axis=1)
    copies = Data(np.repeat(fit.data.n, a.size, axis=0), np.zeros_like(where), np.ones((1, 1)))
    values, negative = objective(ready, copies, where)
    density = np.where(negative, 0.0, np.exp(-values)).reshape(a.shape)
    return integrate.simpson(integrate.simpson(density, x=axis), x=axis)


@pytest.mark.parametrize(
    "model",
    [shapes(6, 2, events=40.0), shapes(6, 2, events=40.0, signal_systematics=True), folded()],
    ids=["affine", "bilinear", "two minima"],
)
def test_average_is_that_of_quadrature(model):
    signals = np.array([0.0, 1.0, 4.0])
    found = marginal(Fitter.of(model), signals, Effort(20_000, 0, 1)).logs
    exact = np.log([quadrature(model, s) for s in signals])
    assert found - found[0] == pytest.approx(exact - exact[0], abs=0.02)


def test_monte_carlo_factors_are_averaged():
    # One bin, one factor with a normal constraint: that is a nuisance parameter.
    plain = counting(25, 23.78, 1.0)
    varied = replace(plain, mc_variance=np.array([[(0.109 * 23.78) ** 2], [0.0]]))
    explicit = counting(25, 23.78, 1.0, relative=0.109)
    uppers = [m.limit("bayes_s", cl=0.9, expected=0).upper for m in (varied, explicit)]
    assert uppers[0] == pytest.approx(uppers[1], rel=2e-3)


def test_error_shrinks_with_the_draws_and_holds_what_it_says():
    model = shapes(10, 4, events=60.0)
    few = [model.limit("bayes_s", cl=0.9, toys=400, expected=0, seed=s) for s in range(8)]
    spread = np.std([one.upper for one in few], ddof=1)
    assert 0.3 < spread / np.mean([one.upper_error for one in few]) < 3.0
    many = model.limit("bayes_s", cl=0.9, toys=40_000, expected=0)
    assert many.upper_error < 0.3 * np.mean([one.upper_error for one in few])


def test_expected_limits_surround_that_of_typical_data():
    found = shapes(20, 3).asimov().limit("bayes_s", cl=0.9, expected=500)
    band = found.expected
    assert band.minus_two_sigma < band.minus_one_sigma < found.upper < band.plus_one_sigma
    assert found.upper == pytest.approx(band.median, rel=0.1)
    assert found.expected_toys == 500


def test_flat_in_s_is_close_to_cls_and_says_what_it_is():
    model = LimitModel.counted("a", observed=25, background=23.78, signal=2.0, uncertainty=0.1)
    bayes, cls = (model.limit(m, cl=0.9, expected=0) for m in ("bayes_s", "cls_asymptotic"))
    assert bayes.upper == pytest.approx(cls.upper, rel=0.06)
    assert "prior flat in s" in bayes.convention
    assert bayes.convention.startswith("90 % CL")
    assert bayes.mu_nu == pytest.approx(1e-9 * math.sqrt(bayes.upper))
