"""Combinations: what has one name is one, and published likelihoods come back as they were."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.limit import LimitModel, count_limit
from analysis.limit.fit import Fitter
from fileset import InputError

from .limit_models import counting, shapes


def count(channel, n, b, k, relative=0.1, **options):
    return LimitModel.counted(
        channel, observed=n, background=b, signal=k, uncertainty=relative, **options
    )


def test_count_as_a_model_has_the_limit_of_the_count():
    model = count("nova", 25, 23.78, 2.0, 0.109)
    exact = count_limit(25, 23.78, 0.109 * 23.78, cl=0.9, method="profile_two_sided")
    found = model.limit("profile_two_sided", cl=0.9, expected=0)
    assert 2.0 * found.upper == pytest.approx(exact.upper, rel=1e-6)


def test_two_experiments_of_one_kind_are_one_with_twice_the_exposure():
    parts = [count(name, n, 10.0, 1.0, parameter="flux") for name, n in (("a", 12.0), ("b", 9.0))]
    ends = [
        LimitModel.combine(parts).limit("cls_asymptotic", cl=0.9).upper,
        count("both", 21.0, 20.0, 2.0, parameter="flux").limit("cls_asymptotic", cl=0.9).upper,
    ]
    assert ends[0] == pytest.approx(ends[1], rel=1e-6)


def test_a_name_correlates_and_another_name_does_not():
    a, b = count("a", 25, 23.78, 3.5), count("b", 12, 12.4, 1.8)
    apart = LimitModel.combine([a, b])
    one = LimitModel.combine(
        [
            a.renamed(parameters={"a background": "flux"}),
            b.renamed(parameters={"b background": "flux"}),
        ]
    )
    assert [p.name for p in apart.parameters] == ["a background", "b background"]
    assert [p.name for p in one.parameters] == ["flux"]
    uppers = [m.limit("profile_one_sided", cl=0.9, expected=0).upper for m in (apart, one)]
    assert uppers[1] > 1.02 * uppers[0]


def test_combination_is_stronger_than_its_parts_and_knows_their_names():
    parts = [count("a", 25, 23.78, 3.5), count("b", 12, 12.4, 1.8)]
    both = LimitModel.combine(parts)
    assert [c.name for c in both.channels] == ["a", "b"]
    upper = both.limit("cls_asymptotic", cl=0.9).expected.median
    assert upper < min(p.limit("cls_asymptotic", cl=0.9).expected.median for p in parts)


def test_signals_in_other_units_are_brought_to_one():
    a = count("a", 25, 23.78, 3.5)
    b = count("b", 12, 12.4, 1.8)
    other = replace(b.in_unit(1e-11), origin="")
    assert other.signal == pytest.approx(1.8e-4)
    ends = [
        LimitModel.combine([a, second]).limit("cls_asymptotic", cl=0.9).mu_nu
        for second in (b, other)
    ]
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_channels_are_masked_by_name():
    parts = [count("signal", 25, 23.78, 3.5), count("sideband", 240, 237.8, 1e-9)]
    both = LimitModel.combine(parts)
    alone = both.only(["signal"])
    found = [m.limit("cls_asymptotic", cl=0.9).upper for m in (parts[0], alone)]
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    with pytest.raises(InputError, match=r"no channel 'sidebnd'; closest: sideband"):
        both.only(["sidebnd"])


def test_sideband_with_the_same_normalisation_constrains_it():
    signal = count("signal", 25, 23.78, 3.5, np.inf, parameter="rate")
    band = count("sideband", 2378, 2378.0, 1e-9, np.inf, parameter="rate")
    both = LimitModel.combine([signal, band])
    width = Fitter.of(both.asimov()).width
    # On and off with a ratio of 100.
    assert width == pytest.approx(np.sqrt(23.78 * 1.01) / 3.5, rel=1e-3)


def test_samples_with_other_normalisations_are_kept_apart():
    fhc = shapes().with_normalisation("rate", 0.1, ["background"], "lognormal")
    rhc = shapes().with_normalisation("rate", 0.2, ["background"], "lognormal")
    both = LimitModel.combine([fhc, rhc.renamed(channels={"nd": "rhc"})])
    assert [s.name for s in both.samples] == ["background@nd", "magnetic", "background@rhc"]
    assert both.high[both.parameters.index(both.parameters[-1])].tolist() == [1.1, 1.0, 1.2]


def test_straight_parameter_joins_one_with_two_sides():
    a = shapes()
    bent = replace(a, down=0.5 * a.down).renamed(channels={"nd": "rhc"})
    bent = replace(bent, parameters=tuple(replace(p, shape="code4p") for p in bent.parameters))
    assert {p.shape for p in LimitModel.combine([a, bent]).parameters} == {"code4p"}


def test_nothing_to_rename_is_said():
    with pytest.raises(InputError, match=r"no parameter 'p9'; known: p0"):
        shapes().renamed(parameters={"p9": "flux"})
    with pytest.raises(InputError, match=r"no model to combine"):
        LimitModel.combine([])


@pytest.mark.parametrize("best", [-0.7, 0.0, 2.5])
def test_published_value_has_the_parabola_of_its_error(best):
    model = LimitModel.gaussian("other", best, 1.3)
    s = np.array([0.0, 1.0, 3.0])
    parabola = ((s - best) / 1.3) ** 2
    lowest = (max(best, 0.0) - best) ** 2 / 1.3**2
    assert Fitter.of(model).statistic(s) == pytest.approx(parabola - lowest, abs=2e-3)


def test_published_curve_of_a_count_gives_its_limit():
    model = counting(25, 23.78, 3.5)
    fit, s = Fitter.of(model), np.linspace(0.0, 6.0, 13)
    again = LimitModel.from_scan("other", s, fit.statistic(s) + 5.0)
    assert Fitter.of(again).statistic(s) == pytest.approx(fit.statistic(s), abs=1e-4)


def test_curve_that_no_count_has_is_refused():
    s = np.linspace(0.0, 6.0, 13)
    with pytest.raises(InputError, match=r"other: no count has this curve"):
        LimitModel.from_scan("other", s, 3.0 * np.sin(3.0 * s))
    with pytest.raises(InputError, match=r"expected 4 or more"):
        LimitModel.from_scan("other", s[:3], s[:3])
    with pytest.raises(InputError, match=r"an error > 0"):
        LimitModel.gaussian("other", 1.0, 0.0)
