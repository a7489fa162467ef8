"""Fits of many toys: the minimum, its derivatives, its bound, and reproducible toys."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from analysis.limit.compiling import code4_coefficients, compiled
from analysis.limit.drawing import Hypothesis, expectation_at
from analysis.limit.engine import minimise
from analysis.limit.expectation import rows_at
from analysis.limit.fit import Fitter
from analysis.limit.likelihood import Data, best_factors, curvature, gradient, objective
from analysis.limit.newton import newton
from analysis.limit.toys import Experiment, run, with_workers
from fileset import InputError

from .limit_models import counting, shapes


def bent(**options):
    """Everything at once: code 4p, log-normal factors, Monte Carlo factors, signal changes."""
    model = shapes(signal_systematics=True, mc=0.05, **options)
    parameters = tuple(replace(p, shape="code4p") for p in model.parameters)
    model = replace(model, down=0.6 * model.down, parameters=parameters)
    model = model.with_normalisation("rate", 0.1, ["background"], "lognormal")
    return model.with_normalisation("pot", 0.05, None, "lognormal")


MODELS = {
    "affine": shapes(),
    "bilinear": shapes(signal_systematics=True),
    "mc": shapes(mc=0.2),
    "free": shapes().with_normalisation("rate", 1.0, ["background"], "free"),
    "bent": bent(),
    "sparse": shapes(events=8.0),
}


def toys_of(model, toys, s=1.0, seed=4):
    """Compiled model, data drawn without the code under test, generation point, metric."""
    ready, random = compiled(model), np.random.default_rng(seed)
    point = np.zeros(ready.positions)
    point[0] = s
    mean = model.background + s * model.signal
    factors = np.ones((1, 1))
    if ready.varied:
        factors = 1.0 + ready.relative * random.standard_normal((toys, model.bins))
    n = random.poisson(mean, (toys, model.bins)).astype(float)
    data = Data(n, random.standard_normal((toys, ready.positions)), factors)
    return ready, data, point, np.linalg.inv(curvature(ready, mean, point))


@pytest.mark.parametrize("name", MODELS)
def test_gradient_is_that_of_the_likelihood(name):
    ready, data, point, _ = toys_of(MODELS[name], 1)
    random = np.random.default_rng(1)
    for _ in range(5):
        x = point + 0.4 * random.standard_normal(len(point))
        x[0] = abs(x[0])
        steps = 1e-5 * np.eye(len(x))
        numeric = [
            (objective(ready, data, x[None] + h)[0] - objective(ready, data, x[None] - h)[0]) / 2e-5
            for h in steps
        ]
        found, _ = gradient(ready, data, np.array([0]), x[None])
        assert found[0] == pytest.approx(np.concatenate(numeric), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_every_toy_is_at_the_minimum_of_full_newton_steps(name, fixed):
    ready, data, point, metric = toys_of(MODELS[name], 200)
    fits = minimise(ready, data, np.repeat(point[None], 200, axis=0), metric, fixed=fixed)
    exact = [newton(ready, data.take(np.array([i])), point, fixed=fixed) for i in range(200)]
    assert (fits.points[:, 0] >= 0.0).all()
    assert fits.values == pytest.approx(objective(ready, data, np.array(exact))[0], abs=3e-8)


@pytest.mark.parametrize("name", ["affine", "bent"])
def test_full_newton_steps_find_what_another_minimiser_finds(name):
    ready, data, point, _ = toys_of(MODELS[name], 10, s=0.3)
    bounds = [(0.0, None)] + [(None, None)] * (len(point) - 1)
    for i in range(10):
        own = data.take(np.array([i]))
        other = minimize(
            lambda x, own=own: objective(ready, own, x[None])[0][0],
            point,
            jac=lambda x, own=own: gradient(ready, own, np.array([0]), x[None])[0][0],
            bounds=bounds,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-8, "maxiter": 2000},
        )
        mine = objective(ready, own, newton(ready, own, point, fixed=False)[None])[0][0]
        assert mine == pytest.approx(other.fun, abs=1e-6)


def test_at_the_bound_the_slope_points_outside():
    ready, data, point, metric = toys_of(shapes(), 500, s=0.0)
    fits = minimise(ready, data, np.repeat(point[None], 500, axis=0), metric, fixed=False)
    slope, _ = gradient(ready, data, np.arange(500), fits.points)
    at_bound = fits.points[:, 0] == 0.0
    assert 0.3 < at_bound.mean() < 0.7
    assert (slope[at_bound, 0] >= -1e-3).all()
    assert np.abs(slope[~at_bound]).max() < 2e-2


def test_monte_carlo_factors_agree_with_explicit_ones():
    model = shapes(8, 2, mc=0.3, events=40.0)
    ready, data, point, _ = toys_of(model, 20)
    factors = best_factors(ready, data, np.repeat(point[None], 20, axis=0))
    values, _ = objective(ready, data, np.repeat(point[None], 20, axis=0))

    def explicit(beta):
        nu = beta * model.background + model.signal
        n = data.n
        logs = np.where(n > 0.0, n * np.log(np.where(n > 0.0, n, 1.0) / nu), 0.0)
        terms = nu - n + logs + 0.5 * ((beta - data.factors) / ready.relative) ** 2
        return terms.sum(axis=1) + 0.5 * (data.aux[:, 1:] ** 2).sum(axis=1)

    assert explicit(factors) == pytest.approx(values)
    for shift in (-1e-3, 1e-3):
        assert (explicit(factors + shift) > values).all()


def test_code4_meets_the_exponentials():
    coefficients = code4_coefficients(1.2, 0.9)
    orders = np.arange(1, 7)
    assert 1.0 + coefficients.sum() == pytest.approx(1.2)
    assert 1.0 + (coefficients * (-1.0) ** orders).sum() == pytest.approx(0.9)
    assert (coefficients * orders).sum() == pytest.approx(1.2 * np.log(1.2))


def test_normalisations_multiply_the_samples_they_name():
    model = shapes().with_normalisation("rate", 0.1, ["background"], "lognormal")
    ready = compiled(model)
    point = np.zeros((1, ready.positions))
    point[0, [0, -1]] = 2.0, 2.0
    nu = rows_at(point, ready.how) @ ready.matrix
    assert nu[0] == pytest.approx(1.1**2 * model.background + 2.0 * model.signal)


def experiment(model, s=1.0):
    ready = compiled(model)
    point = np.zeros(ready.positions)
    point[0] = s
    where = Hypothesis(point, np.ones(model.bins))
    return Experiment(ready, where, (s,), point[None], (11, 0))


@pytest.mark.parametrize("name", MODELS)
def test_toys_do_not_depend_on_the_number_of_workers(name):
    made = experiment(MODELS[name])
    one = run(made, 1000)
    three = with_workers(3, lambda mapper: run(made, 1000, mapper))
    assert np.array_equal(one.t, three.t)
    assert np.array_equal(one.best, three.best)
    assert np.array_equal(one.deviance, three.deviance)
    assert one[3:] == three[3:]


def test_toys_are_distributed_as_they_should_be():
    made = experiment(shapes(events=2000.0), s=2.0)
    toys = run(made, 4000)
    # Far from the bound: chi-square with one degree of freedom.
    assert toys.t.mean() == pytest.approx(1.0, abs=0.1)
    assert (toys.t > 2.7055).mean() == pytest.approx(0.1, abs=0.02)
    assert toys.best.mean() == pytest.approx(2.0, abs=0.05)


def test_drawn_counts_have_the_mean_and_variance_of_poisson():
    model = counting(None, [0.01, 0.5, 3.0, 40.0, 900.0, 2e5], 1e-9)
    made = experiment(model, s=0.0)
    from analysis.limit.drawing import drawn

    data = drawn(made.model, made.where, made.prepared()[0], 20000, np.random.default_rng(2))
    pull = (data.n.mean(axis=0) - model.background) / np.sqrt(model.background / 20000)
    assert np.abs(pull).max() < 4.0
    assert data.n.var(axis=0) / model.background == pytest.approx(np.ones(6), abs=0.25)


def test_expectation_below_zero_is_an_error_where_toys_would_be_drawn():
    model = shapes(parameters=1)
    made = experiment(
        replace(model, up=-1.5 * abs(model.up) / 0.01, down=1.5 * abs(model.up) / 0.01)
    )
    point = made.where.point.copy()
    point[1] = 1.0
    with pytest.raises(ArithmeticError, match=r"changes are too large for a straight line"):
        run(replace(made, where=Hypothesis(point, made.where.factors)), 10)


def test_normalisation_that_can_be_negative_needs_a_line():
    model = shapes().with_normalisation("rate", 0.5, ["background"], "lognormal")
    low = model.low.copy()
    low[-1, 0] = -0.2
    with pytest.raises(InputError, match=r"parameter 'rate': normalisation 1.5 and -0.2"):
        compiled(replace(model, low=low))


def test_expectation_at_a_point_is_not_negative():
    ready = compiled(shapes())
    assert (expectation_at(ready, np.full(ready.positions, -30.0)) >= 0.0).all()


def test_toys_do_not_depend_on_the_threads_of_blas():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from limit_models import shapes\n"
        "from analysis.limit.fit import Fitter\n"
        "from analysis.limit.constructions import experiments\n"
        "from analysis.limit.toys import run\n"
        "import numpy as np\n"
        "fit = Fitter.of(shapes(400, 40, events=2000.0))\n"
        "toys = run(experiments(fit, fit.at(np.array([1.0])), 1)[0], 256)\n"
        "print(toys.t.sum().hex(), toys.best.sum().hex())\n"
    )
    folder = str(Path(__file__).parent)
    printed = [
        subprocess.run(
            [sys.executable, "-c", code, folder],
            env=os.environ | {"OPENBLAS_NUM_THREADS": threads},
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert "0x" in printed[0]


def test_monte_carlo_factor_of_a_single_bin_is_that_of_every_data_set():
    plain = counting(25, 23.78, 1.0)
    varied = replace(plain, mc_variance=np.array([[(0.109 * 23.78) ** 2], [0.0]]))
    signals = np.array([0.0, 5.0, 10.0, 40.0])
    explicit = Fitter.of(counting(25, 23.78, 1.0, relative=0.109))
    assert Fitter.of(varied).statistic(signals) == pytest.approx(explicit.statistic(signals))


def test_fit_that_left_its_valley_is_made_again():
    ready, data, point, metric = toys_of(MODELS["bent"], 300, s=0.0)
    fits = minimise(ready, data, np.repeat(point[None], 300, axis=0), 3.0 * metric, fixed=True)
    before = objective(ready, data, np.repeat(point[None], 300, axis=0))[0]
    assert (fits.values <= before + 1e-6).all()


def test_steps_that_creep_go_on_from_where_another_method_ends(monkeypatch):
    model, data, start, _ = toys_of(MODELS["bent"], 1)
    expected = newton(model, data, start, fixed=False)
    monkeypatch.setattr("analysis.limit.newton._STEPS", 2)
    found = newton(model, data, start, fixed=False)
    assert found == pytest.approx(expected, abs=1e-4 * max(1.0, abs(expected).max()))


def test_signal_that_can_vanish_within_its_uncertainty_has_no_limit():
    model = shapes().with_normalisation("signal", 2.0, ["magnetic"], "linear")
    with pytest.raises(InputError, match="its own uncertainties are as large as the signal"):
        model.limit("profile_two_sided", cl=0.9)
