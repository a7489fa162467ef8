"""Workspaces: what pyhf computes from one is what we compute, and both ways lose nothing."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.limit import LimitModel, combine
from analysis.limit.fit import Fitter
from analysis.limit.likelihood import objective
from fileset import InputError

from .limit_models import counting, shapes

# pyhf 0.7 uses what jsonschema will remove.
pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")


def two_sided():
    model = shapes(8, 3, events=120.0, signal_systematics=True)
    parameters = tuple(replace(p, shape="code4p") for p in model.parameters)
    return replace(model, down=0.6 * model.down, parameters=parameters)


def two_channels():
    fhc, rhc = shapes(6, 2, events=80.0), shapes(5, 2, events=50.0, seed=4)
    rhc = replace(rhc, channels=(replace(rhc.channels[0], name="rhc"),))
    return combine([fhc, rhc]).with_normalisation("rate", 0.1, ["background"], "lognormal")


MODELS = {
    "affine": shapes(8, 3, events=120.0),
    "bilinear": shapes(8, 3, events=120.0, signal_systematics=True),
    "two_sided": two_sided(),
    "lognormal": counting(25, 23.78, 1.0, factor=0.109),
    "staterror": shapes(8, 3, events=120.0, mc=0.15),
    "free": shapes(8, 2, events=120.0).with_normalisation("rate", 1.0, ["background"], "free"),
    "two_channels": two_channels(),
}


@pytest.mark.parametrize("name", MODELS)
def test_workspace_gives_back_the_likelihood(name):
    model = MODELS[name]
    text = json.dumps(model.to_workspace())
    again = LimitModel.from_workspace(json.loads(text), unit=model.unit)
    assert {p.name: p.constraint for p in again.parameters} == {
        p.name: p.constraint for p in model.parameters
    }
    signals = np.array([0.0, 0.5, 2.0])
    one, two = (Fitter.of(m).statistic(signals) for m in (model, again))
    assert two == pytest.approx(one, abs=1e-7)


def pyhf_model(model):
    pyhf = pytest.importorskip("pyhf", reason="pyhf is not installed: NOT compared with it")
    # minuit, since SLSQP calls a fit converged at 1e-4.
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer(tolerance=1e-3))
    workspace = pyhf.Workspace(model.to_workspace())
    ready = workspace.model()
    return pyhf, ready, workspace.data(ready)


@pytest.mark.parametrize("name", MODELS)
def test_likelihood_is_that_of_pyhf_everywhere(name):
    model = MODELS[name]
    _, ready, data = pyhf_model(model)
    fit = Fitter.of(model)
    random = np.random.default_rng(2)

    def both(point, gammas):
        values = np.array(ready.config.suggested_init(), dtype=float)
        values[ready.config.poi_index] = point[0]
        for j, parameter in enumerate(model.parameters):
            shift = 1.0 if parameter.constraint == "free" else 0.0
            values[ready.config.par_slice(parameter.name)] = point[1 + j] + shift
        for other in ready.config.par_names:
            if other.startswith("staterror"):
                values[ready.config.par_slice("staterror_nd")] = gammas
        ours = objective(fit.model, fit.data, point[None])[0][0]
        return -float(ready.logpdf(values, data)[0]), ours

    def best_gammas(point):
        if not fit.model.varied:
            return np.ones(model.bins)
        from analysis.limit.likelihood import best_factors

        return best_factors(fit.model, fit.data, point[None])[0]

    start = np.zeros(fit.model.positions)
    reference = both(start, best_gammas(start))
    for _ in range(20):
        point = 0.3 * random.standard_normal(fit.model.positions)
        point[0] = abs(point[0])
        found = both(point, best_gammas(point))
        assert found[0] - reference[0] == pytest.approx(found[1] - reference[1], abs=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_statistic_and_cls_are_those_of_pyhf(name):
    model = MODELS[name]
    pyhf, ready, data = pyhf_model(model)
    fit = Fitter.of(model)
    tested = float(fit.best[0] + 1.5 * fit.width)
    bounds = ready.config.suggested_bounds()
    init, fixed = ready.config.suggested_init(), ready.config.suggested_fixed()
    init[ready.config.poi_index] = tested
    theirs = pyhf.infer.test_statistics.tmu_tilde(tested, data, ready, init, bounds, fixed)
    assert fit.statistic(np.array([tested]))[0] == pytest.approx(float(theirs), abs=1e-4)
    limit = model.limit("cls_asymptotic", cl=0.9)
    observed, expected = pyhf.infer.hypotest(
        limit.upper, data, ready, init, bounds, fixed, return_expected_set=True
    )
    assert float(observed) == pytest.approx(0.1, rel=2e-3)
    for ours, n in zip(limit.expected, range(-2, 3), strict=True):
        _, band = pyhf.infer.hypotest(
            ours, data, ready, init, bounds, fixed, return_expected_set=True
        )
        # pyhf counts from the largest limit.
        assert float(band[n + 2]) == pytest.approx(0.1, rel=5e-3)
    assert len(expected) == 5


def workspace_with(place, value):
    workspace = copy.deepcopy(MODELS["staterror"].to_workspace())
    target = workspace
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return workspace


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ("channels", 0, "samples", 0, "modifiers", 0, "type"),
            "shapesys",
            r"sample 'background' has a shapesys and a histosys",
        ),
        (("channels", 0, "samples", 0, "modifiers"), [], r"staterror is not on|not a workspace"),
        (("measurements",), [], r"not a workspace of schema 1.0.0"),
        (
            ("measurements", 0, "config", "parameters", 0, "fixed"),
            True,
            r"parameters s are fixed",
        ),
    ],
)
def test_workspace_that_says_something_else_is_refused(place, value, message):
    workspace = workspace_with(place, value)
    if value == []:
        workspace["channels"][0]["samples"].append(
            {
                "name": "x",
                "data": [1.0] * 8,
                "modifiers": [{"name": "e", "type": "staterror", "data": [0.1] * 8}],
            }
        )
    with pytest.raises(InputError, match=message):
        LimitModel.from_workspace(workspace, unit=1e-9)


def test_what_pyhf_cannot_say_is_refused():
    model = MODELS["two_sided"]
    odd = replace(model, parameters=tuple(replace(p, shape="code0") for p in model.parameters))
    with pytest.raises(InputError, match=r"'p0' has code 0"):
        odd.to_workspace()
    with pytest.raises(InputError, match=r"a workspace needs data"):
        model.with_data(None).to_workspace()
