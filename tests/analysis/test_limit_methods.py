"""Limits from a model: closed forms, published vectors, coverage, and what is refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from analysis.limit import combine, count_limit
from analysis.limit.compiling import compiled
from analysis.limit.constructions import last_crossing
from analysis.limit.drawing import expectation_at
from analysis.limit.engine import minimise
from analysis.limit.fit import Fitter, crossing
from analysis.limit.likelihood import Data, curvature
from analysis.limit.methods import METHODS
from fileset import InputError

from .limit_models import counting, shapes

NOTE = counting(25, 23.78, 1.0, relative=0.109)


@pytest.fixture(scope="module")
def vectors(shared):
    entries = json.loads((shared / "reference" / "statistics_vectors.json").read_text())["vectors"]
    return {entry["id"]: entry for entry in entries}


def norm_sys(n, b, rel):
    """Background with pyhf's normsys of 1 + rel and 1 - rel."""
    model = counting(n, b, 1.0, factor=rel)
    return replace(model, low=np.where(model.high != 1.0, 1.0 - rel, 1.0))


def test_statistic_of_the_note_is_that_of_pyhf(vectors):
    for name, model in (("histosys", NOTE), ("normsys", norm_sys(25, 23.78, 0.109))):
        expected = vectors[f"pyhf.biao_{name}_t5"]["expected"]
        assert Fitter.of(model).statistic(np.array([5.0]))[0] == pytest.approx(expected, rel=1e-5)


def test_asymptotic_cls_and_its_bands_are_those_of_pyhf(vectors):
    expected = vectors["pyhf.biao_histosys_ul90"]["expected"]
    found = NOTE.limit("cls_asymptotic", cl=0.9)
    assert [found.upper, *found.expected] == pytest.approx(expected, rel=1e-5)


def test_asymptotic_cls_of_two_sided_shapes_is_that_of_pyhf(vectors):
    given = vectors["pyhf.corr_ul90"]
    inputs = given["inputs"]
    model = counting(inputs["obs"], inputs["bkg"], inputs["signal"], relative=0.1)
    up, down = model.up.copy(), model.down.copy()
    up[0, 0] = np.subtract(inputs["up"], inputs["bkg"])
    down[0, 0] = np.subtract(inputs["dn"], inputs["bkg"])
    parameter = replace(model.parameters[0], shape="code4p")
    found = replace(model, up=up, down=down, parameters=(parameter,)).limit(
        "cls_asymptotic", cl=0.9
    )
    assert [found.upper, *found.expected] == pytest.approx(given["expected"], rel=1e-4)


def test_combination_of_two_horn_currents(vectors):
    for name in ("1.642", "6.635"):
        given = vectors[f"combo.fhc_rhc_{name}"]
        inputs = given["inputs"]
        parts = [
            counting(n, b, k, relative=rel)
            for n, b, k, rel in zip(
                inputs["n"], inputs["b"], inputs["yield_per_unit_s"], inputs["rel"], strict=True
            )
        ]
        rhc = replace(parts[1], channels=(replace(parts[1].channels[0], name="rhc"),))
        fit = Fitter.of(combine([parts[0], rhc]))
        up = crossing(
            lambda s, fit=fit, t=inputs["up"]: fit.statistic(s) - t,
            fit.best[0],
            fit.reach(inputs["up"]),
        )
        assert [up, math.sqrt(up)] == pytest.approx(given["expected"], rel=1e-6)


@pytest.mark.parametrize("group", ["dchi2", "prof"])
def test_threshold_on_the_profile_likelihood_of_a_count(vectors, group):
    for given in (v for v in vectors.values() if v["group"] == group):
        inputs, up = given["inputs"], given["inputs"]["up"]
        relative = inputs["sigma_b"] / inputs["b"] if group == "prof" else None
        fit = Fitter.of(counting(inputs["n"], inputs["b"] or 1e-12, 1.0, relative=relative))
        end = crossing(lambda s: fit.statistic(s) - up, fit.best[0], fit.reach(up))  # noqa: B023
        assert end == pytest.approx(given["expected"], rel=1e-6)


@pytest.mark.parametrize("method", ["profile_one_sided", "profile_two_sided"])
@pytest.mark.parametrize("n", [12, 25, 40])
def test_profile_limit_of_a_count_is_the_exact_one(method, n):
    exact = count_limit(n, 23.78, 0.109 * 23.78, cl=0.9, method=method)
    found = counting(n, 23.78, 1.0, relative=0.109).limit(method, cl=0.9, expected=0)
    assert [found.lower, found.upper] == pytest.approx([exact.lower, exact.upper], rel=1e-6)


@pytest.mark.parametrize(("method", "exact"), [("fc", 11.265), ("cls", 10.837)])
def test_construction_of_a_count_agrees_with_exact_sums(method, exact):
    found = NOTE.limit(method, cl=0.9, toys=4000, expected=0)
    assert found.upper == pytest.approx(exact, abs=4.0 * found.upper_error)
    assert 0.0 < found.upper_error < 0.5


def test_interval_of_a_clear_signal_has_two_ends():
    found = shapes(events=2000.0).asimov(8.0).limit("fc", cl=0.9, toys=1000, expected=0)
    sigma = Fitter.of(shapes(events=2000.0).asimov(8.0)).width
    assert found.lower == pytest.approx(8.0 - 1.645 * sigma, abs=0.15 * sigma)
    assert found.upper == pytest.approx(8.0 + 1.645 * sigma, abs=0.15 * sigma)


@pytest.mark.parametrize("method", METHODS)
def test_other_level_gives_another_limit_and_says_so(method):
    found = {cl: shapes().limit(method, cl=cl, toys=400, expected=0) for cl in (0.9, 0.95)}
    assert found[0.95].upper > found[0.9].upper
    assert found[0.95].convention.startswith("95 % CL")
    assert found[0.9].confidence_level == 0.9


@pytest.mark.parametrize("method", METHODS)
def test_limit_is_reproduced_to_the_last_bit(method):
    one, two = (shapes().limit(method, cl=0.9, toys=600, expected=100, workers=w) for w in (1, 3))
    assert (one.upper, one.expected) == (two.upper, two.expected)
    assert one.expected.minus_two_sigma < one.expected.median < one.expected.plus_two_sigma


@pytest.mark.parametrize("method", ["fc", "cls", "profile_one_sided", "profile_two_sided"])
def test_typical_data_have_a_typical_limit(method):
    found = shapes().asimov().limit(method, cl=0.9, toys=1000, expected=500)
    assert found.upper == pytest.approx(found.expected.median, rel=0.15)
    assert found.mu_nu == pytest.approx(1e-9 * math.sqrt(found.upper))
    assert found.expected_mu_nu.median == pytest.approx(1e-9 * math.sqrt(found.expected.median))


@pytest.mark.parametrize("method", ["cls_asymptotic", "profile_one_sided"])
def test_order_of_channels_and_parameters_does_not_matter(method):
    a = shapes(20, 3)
    b = replace(shapes(30, 3, seed=5), channels=(replace(a.channels[0], name="rhc", bins=30),))
    turned = [1, 2, 0]
    parts = {
        name: getattr(b, name)[turned]
        for name in ("parameters", "up", "down")
        if name != "parameters"
    }
    b_turned = replace(b, parameters=tuple(b.parameters[i] for i in turned), **parts)
    one, two = combine([a, b]), combine([b_turned, a])
    ends = [model.limit(method, cl=0.9, expected=0).upper for model in (one, two)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-7)


def test_merging_bins_of_one_proportion_changes_nothing():
    fine = counting([11, 14], [10.0, 13.78], [1.0, 1.378], relative=0.1)
    coarse = counting(25, 23.78, 2.378, relative=0.1)
    ends = [model.limit("profile_two_sided", cl=0.9, expected=0).upper for model in (fine, coarse)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-8)


def test_signal_twice_as_strong_halves_the_limit():
    model = shapes()
    strong = replace(model, nominal=model.nominal * np.array([[1.0], [2.0]]))
    one, two = (m.limit("fc", cl=0.9, toys=400, expected=0).upper for m in (model, strong))
    assert one == pytest.approx(2.0 * two, rel=1e-6)


def test_discovery_of_the_note():
    found = NOTE.discovery(toys=0)
    assert (found.statistic, found.p_value) == pytest.approx((0.0479, 0.4134), abs=1e-4)
    assert found.p_value == pytest.approx(ndtr(-math.sqrt(found.statistic)))


def intervals_cover(s, method, toys=400):
    """Fraction of experiments at s whose interval of the profile statistic holds s."""
    model = shapes(30, 4, events=200.0)
    ready = compiled(model)
    point = np.zeros(ready.positions)
    point[0] = s
    random = np.random.default_rng(8)
    n = random.poisson(model.background + s * model.signal, (toys, model.bins)).astype(float)
    aux = point + random.standard_normal((toys, ready.positions))
    data = Data(n, aux, np.ones((1, 1)))
    metric = np.linalg.inv(curvature(ready, expectation_at(ready, point), point))
    start = np.repeat(point[None], toys, axis=0)
    fixed = minimise(ready, data, start, metric, fixed=True)
    free = minimise(ready, data, fixed.points, metric, fixed=False)
    t = 2.0 * (fixed.values - free.values)
    # The critical value that this very construction gives, from the median experiment.
    found = model.asimov(s).limit(method, cl=0.9, toys=2000, expected=0)
    critical = np.interp(s, found.curve.s, found.curve.critical)
    return np.mean(t <= critical)


@pytest.mark.parametrize("s", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_feldman_cousins_covers(s):
    assert intervals_cover(s, "fc") > 0.9 - 3.0 * math.sqrt(0.09 / 400) - 0.01


def test_fixed_threshold_covers_too_little_or_too_much():
    assert intervals_cover(0.0, "profile_two_sided") > 0.92
    assert intervals_cover(5.0, "profile_one_sided") < 0.9


def test_last_crossing_is_between_the_signals():
    signals = np.array([0.0, 1.0, 2.0, 3.0])
    excess = np.array([[-1.0, 1.0, -1.0], [-0.5, 1.0, 0.2], [0.5, 1.0, -0.1], [2.0, 1.0, 0.1]])
    assert last_crossing(signals, excess) == pytest.approx([1.5, 0.0, 2.5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "feldman"}, r"no method 'feldman' for a model"),
        ({"method": "fc", "cl": 90}, r"confidence level 90, expected"),
        ({"method": "fc", "toys": 100}, r"90 % needs at least 200 toys"),
    ],
)
def test_impossible_request_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        shapes().limit(**({"cl": 0.9} | options))


def test_data_are_needed():
    with pytest.raises(InputError, match=r"the model has no data"):
        shapes().with_data(None).limit("fc", cl=0.9)


def test_parameter_that_changes_nothing_and_is_free_is_refused():
    model = shapes().with_normalisation("a", 1.0, ["background"], "free")
    with pytest.raises(InputError, match=r"cannot be told apart"):
        model.with_normalisation("b", 1.0, ["background"], "free").limit("fc", cl=0.9)


@pytest.mark.parametrize("signal_systematics", [False, True])
def test_impact_is_the_change_of_a_fit_with_the_parameter_moved(signal_systematics):
    model = shapes(events=2000.0, signal_systematics=signal_systematics).asimov(5.0)
    fit = Fitter.of(model)
    for found in model.impacts()[:3]:
        j = [p.name for p in model.parameters].index(found.name)
        # A parameter held away from its best value: measured there, very precisely.
        ends = []
        for side in (-0.1, 0.1):
            held = replace(fit.model, constrained=fit.model.constrained.copy())
            held.constrained[j + 1] = 1e8
            aux = fit.data.aux.copy()
            aux[0, j + 1] = found.pull + side * found.error
            ends.append(Fitter(held, fit.data._replace(aux=aux)).best[0])
        assert (ends[1] - ends[0]) / 0.2 == pytest.approx(found.impact, rel=0.02, abs=1e-3)
        assert found.pull == pytest.approx(0.0, abs=1e-5)
        assert 0.0 < found.error <= 1.0 + 1e-9
