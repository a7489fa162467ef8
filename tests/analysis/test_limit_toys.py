"""Blocks of toys: anywhere, in parts and joined, the same to the last bit; what they are for."""

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from analysis.limit import LimitModel
from analysis.limit.constructions import experiments
from analysis.limit.contours import LEVELS, Contribution
from analysis.limit.fit import Fitter
from analysis.limit.toys import run
from analysis.limit.toys_file import ToysFile
from fileset import InputError
from processors.executors import open_executor

from .limit_models import counting, shapes

MODEL = shapes(20, 3)
OPTIONS = {"cl": 0.9, "expected": 256}


def same(one, two):
    assert (one.upper, one.upper_error, one.expected) == (two.upper, two.upper_error, two.expected)
    assert (one.fits, one.fallback) == (two.fits, two.fallback)
    for a, b in zip(one.curve, two.curve, strict=True):
        assert np.array_equal(a, b, equal_nan=True)


@pytest.fixture(scope="module")
def whole():
    return MODEL.limit("fc", toys=1024, **OPTIONS)


def test_dask_cluster_gives_the_same_bits(whole):
    with open_executor("dask", workers=2) as executor:
        same(MODEL.limit("fc", toys=1024, workers=executor, **OPTIONS), whole)
        bayes = MODEL.limit("bayes_s", toys=1024, workers=executor, **OPTIONS)
    same(bayes, MODEL.limit("bayes_s", toys=1024, **OPTIONS))


@pytest.mark.parametrize("ending", ["npz", "json"])
def test_parts_made_in_different_places_are_joined_to_the_whole(whole, tmp_path, ending):
    paths = [tmp_path / f"part{i}.{ending}" for i in range(2)]
    for i, path in enumerate(paths):
        store = ToysFile()
        MODEL.limit("fc", toys=512, first_toy=512 * i, store=store, **OPTIONS)
        store.save(path)
    store = ToysFile(paths)
    same(MODEL.limit("fc", toys=1024, store=store, **OPTIONS), whole)
    assert store.made == 0
    assert store.taken > 0


def test_toys_of_something_else_are_not_taken(tmp_path):
    store = ToysFile()
    MODEL.limit("fc", toys=512, store=store, **OPTIONS)
    store.save(tmp_path / "toys.npz")
    for other, seed in ((shapes(20, 3, seed=2), 1), (MODEL, 2)):
        kept = ToysFile([tmp_path / "toys.npz"])
        other.limit("fc", toys=512, seed=seed, store=kept, **OPTIONS)
        assert kept.taken == 0


def test_other_toys_give_another_limit_within_the_error(whole):
    other = MODEL.limit("fc", toys=1024, first_toy=1024, **OPTIONS)
    assert other.upper != whole.upper
    error = math.hypot(other.upper_error, whole.upper_error)
    assert other.upper == pytest.approx(whole.upper, abs=5.0 * error)


def test_wrong_files_and_numbers_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent.npz: no such toys file"):
        ToysFile([tmp_path / "absent.npz"])
    (tmp_path / "odd.json").write_text("[]")
    with pytest.raises(InputError, match=r"odd.json: not a toys file"):
        ToysFile([tmp_path / "odd.json"])
    with pytest.raises(InputError, match=r"first toy 100, expected a multiple of 256"):
        MODEL.limit("fc", toys=512, first_toy=100, **OPTIONS)


def test_experiments_can_be_sent_to_other_processes():
    fit = Fitter.of(MODEL)
    made = experiments(fit, fit.at(np.array([1.0])), 1)[0]
    with ProcessPoolExecutor(1) as pool:
        assert np.array_equal(run(made, 512, pool.map).t, run(made, 512).t)


def test_goodness_of_fit_is_uniform_and_asymptotic_for_many_events():
    random = np.random.default_rng(6)
    model = shapes(20, 3, events=4000.0)
    found = []
    for _ in range(200):
        truth = model.background + random.standard_normal(3) @ model.up[:, 0]
        found.append(model.with_data(random.poisson(truth)).goodness(toys=0).p_value)
    # Half of them have s at its bound, and one degree of freedom more.
    assert np.mean(found) == pytest.approx(0.47, abs=0.07)
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=0.065)
    one = model.goodness(toys=2000)
    assert one.p_toys == pytest.approx(one.p_value, abs=0.06)
    assert one.degrees == 19


def test_data_unlike_the_model_do_not_fit():
    odd = MODEL.observed.copy()
    odd[::2] *= 3.0
    found = MODEL.with_data(odd).goodness(toys=400)
    assert found.p_value < 1e-4
    assert found.p_toys == 0.0


def test_discovery_by_toys_is_the_asymptotic_one_for_many_events():
    found = shapes(20, 3, events=4000.0).asimov(3.0).discovery(toys=20_000)
    assert found.p_toys == pytest.approx(found.p_value, abs=5.0 * found.p_error + 0.002)
    assert "one-sided" in found.convention


@pytest.mark.parametrize("s", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_feldman_cousins_covers_with_its_construction_made_anew(s):
    found = shapes(12, 2, events=100.0).coverage(s, cl=0.9, experiments=400, toys=400)
    assert found.fraction > 0.9 - 3.0 * found.error
    assert (found.method, found.confidence_level, found.toys) == ("fc", 0.9, 400)


def test_one_sided_threshold_covers_too_little_beyond_the_boundary():
    model = shapes(12, 2, events=100.0)
    options = {"cl": 0.9, "experiments": 4000}
    two = model.coverage(0.0, method="profile_two_sided", **options)
    assert two.fraction > 0.92
    # As an interval: 1.642 holds s = 5 less often than 90 %, from both sides.
    threshold = model.coverage(5.0, method="profile_one_sided", **options)
    assert threshold.fraction == pytest.approx(0.9, abs=0.02)


def test_contour_of_two_alike_is_a_straight_line():
    model = shapes(20, 3)
    signals = np.linspace(0.0, 8.0, 9)
    found = model.contour([(Contribution.of(model), lambda s: s)], signals, signals)
    # Only the sum of the two can matter.
    rows, columns = np.indices(found.statistic.shape)
    for total in (2, 5, 8):
        along = found.statistic[rows + columns == total]
        assert along == pytest.approx(along[0], abs=1e-6)
    assert found.levels == LEVELS
    assert LEVELS["90 %"] == pytest.approx(4.605, abs=1e-3)
    assert LEVELS["68.27 %"] == pytest.approx(2.296, abs=1e-3)
    line = Fitter.of(model).statistic(signals)
    assert found.statistic[0] == pytest.approx(line - line.min(), abs=1e-6)


def test_contour_of_an_interference_has_its_best_point_where_it_was_made():
    model = shapes(20, 2, events=4000.0)
    wave = Contribution.of(model)
    wave = wave._replace(
        nominal=-0.05 * model.background * np.linspace(-1.0, 1.0, 20),
        mc_variance=0.0 * model.background,
    )
    data = model.with_data(model.background + 2.0 * model.signal + 1.5 * wave.nominal)
    values = np.linspace(-3.0, 3.0, 13)
    found = data.contour([(wave, lambda r: r)], values, np.linspace(0.0, 6.0, 13))
    assert found.best == pytest.approx((2.0, 1.5), abs=1e-3)
    with pytest.raises(InputError, match=r"second quantity at -100: nominal is below 0"):
        data.contour([(wave, lambda r: r)], np.array([-100.0, 0.0]), values)
    with pytest.raises(InputError, match=r"at least two values"):
        data.contour([], np.array([1.0]), values)


def test_toy_that_does_not_converge_is_fitted_again_and_counted(monkeypatch):
    fit = Fitter.of(MODEL)
    made = experiments(fit, fit.at(np.array([1.0])), 1)[0]
    plain = run(made, 256)
    monkeypatch.setattr("analysis.limit.engine._EVALUATIONS", 2)
    again = run(made, 256)
    assert plain.fallback == 0
    assert 250 < again.fallback <= 512
    assert again.t == pytest.approx(plain.t, abs=1e-6)


def test_singular_metric_is_said():
    free = counting([25, 30], [23.0, 31.0], [1.0, 2.0], relative=0.1)
    twin = free.with_normalisation("a", 1.0, ["background"], "free")
    with pytest.raises(InputError, match=r"cannot be told apart"):
        twin.with_normalisation("b", 1.0, ["background"], "free").goodness(toys=0)


def test_statistic_below_zero_is_an_error(monkeypatch):
    fit = Fitter.of(MODEL)
    made = experiments(fit, fit.at(np.array([1.0])), 1)[0]
    monkeypatch.setattr(
        "analysis.limit.toys._lowered",
        lambda model, data, free, fits: free._replace(values=free.values + 1.0),
    )
    with pytest.raises(ArithmeticError, match=r"a fit has not found its minimum"):
        run(made, 256)


def test_model_of_another_kind_is_what_was_asked_for():
    class Own(LimitModel):
        pass

    assert type(Own.combine([Own.gaussian("a", 1.0, 1.0), Own.gaussian("b", 2.0, 1.0)])) is Own
    assert replace(MODEL).bins == MODEL.bins
