"""Counting limits against reference vectors, closed forms, quadrature and brute force."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from analysis.limit import METHODS, CountLimit, count_limit, expected_limits, mean_upper_limit
from analysis.limit.count_likelihood import (
    Count,
    conditional_background,
    likelihood_ratio,
    log_probability,
    profile_threshold,
)
from analysis.limit.feldman_cousins import profile_p_value

OTHER_METHODS = ("fc_pole", "cls_asymptotic", "cls_profile", "classical_profile")
NOVA = (25, 23.78, 2.59202)


def upper(*count, method, cl=0.90):
    return count_limit(*count, cl=cl, method=method).upper


def interval(*count, method, cl=0.90):
    limit = count_limit(*count, cl=cl, method=method)
    return [limit.lower, limit.upper]


@pytest.fixture(scope="module")
def vectors(shared):
    """Reference vectors of one group: (inputs, expected value, tolerance as keywords)."""
    entries = json.loads((shared / "reference" / "statistics_vectors.json").read_text())["vectors"]

    def of_group(group):
        chosen = [v for v in entries if v["group"] == group]
        assert chosen, f"no reference vectors in group {group}"
        return [(v["inputs"], v["expected"], {"rel": v["rtol"], "abs": v["atol"]}) for v in chosen]

    return of_group


@pytest.fixture(scope="module")
def vector(shared):
    """One reference vector by name: (expected value, tolerance as keywords)."""
    entries = json.loads((shared / "reference" / "statistics_vectors.json").read_text())["vectors"]
    return {v["id"]: (v["expected"], {"rel": v["rtol"], "abs": v["atol"]}) for v in entries}


def test_thresholds_match_the_vectors(vectors):
    chosen = [v for v in vectors("thr") if v[0].get("ndof", 1) == 1]
    for inputs, expected, tolerance in chosen:
        sides = 2 if "ndof" in inputs else 1
        assert profile_threshold(inputs["cl"], sides=sides) == pytest.approx(expected, **tolerance)


@pytest.mark.parametrize(
    ("group", "method"),
    [
        ("pois_upper", "classical"),
        ("cls_count", "cls"),
        ("cls_count", "bayes_s"),
        ("bayes_flat_mu", "bayes_mu"),
        ("ch_cls", "cls"),
        ("ch_cls", "bayes_s"),
    ],
)
def test_upper_limits_match_the_vectors(vectors, group, method):
    for i, expected, tolerance in vectors(group):
        limit = upper(i["n"], i.get("b", 0), i.get("sigma_b", 0), method=method, cl=i["cl"])
        assert limit == pytest.approx(expected, **tolerance)


@pytest.mark.parametrize("group", ["fc90", "fc0"])
def test_feldman_cousins_intervals_match_the_vectors(vectors, group):
    for i, expected, tolerance in vectors(group):
        assert interval(i["n"], i["b"], method="fc", cl=i["cl"]) == pytest.approx(
            expected, **tolerance
        )


@pytest.mark.parametrize("group", ["dchi2", "prof"])
def test_profile_limits_match_the_vectors(vectors, group):
    for i, expected, tolerance in vectors(group):
        cl = stats.chi2.cdf(i["up"], 1)
        limit = upper(i["n"], i["b"], i.get("sigma_b", 0), method="profile_two_sided", cl=cl)
        assert limit == pytest.approx(expected, **tolerance)


def test_feldman_cousins_sensitivities_match_the_vectors(vectors):
    for i, expected, tolerance in vectors("fcsens"):
        mean = mean_upper_limit(i["b"], cl=i["cl"], method="fc")
        assert mean == pytest.approx(expected, **tolerance)


def test_conditional_background_matches_the_vector(vectors):
    for i, expected, tolerance in vectors("bhathat"):
        background = conditional_background(i["n"], i["b"], i["s"], i["sigma_b"])
        assert background == pytest.approx(expected, **tolerance)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("biao.prof_1.642", "profile_one_sided"),
        ("biao.fc_profile", "fc"),
        ("biao.fc_pole", "fc_pole"),
        ("biao.ch_classical", "classical"),
        ("biao.bayes_s", "bayes_s"),
        ("biao.bayes_mu", "bayes_mu"),
        ("biao.asym_cls", "cls_asymptotic"),
    ],
)
def test_nova_count_matches_the_vectors(vector, name, method):
    expected, tolerance = vector[name]
    assert upper(*NOVA, method=method) == pytest.approx(expected, **tolerance)


def test_nova_identity_of_hybrid_cls_and_flat_prior_matches_the_vector(vector):
    expected, tolerance = vector["biao.identity"]
    both = [upper(*NOVA, method="cls"), upper(*NOVA, method="bayes_s")]
    assert both == pytest.approx(expected, **tolerance)


def test_likelihood_ratios_match_the_vectors(vector):
    expected, tolerance = vector["pyhf.biao_histosys_t5"]
    assert likelihood_ratio(25, 23.78, 5.0, 2.59202) == pytest.approx(expected, **tolerance)
    (q0, _, _), tolerance = vector["q0.biao"]
    assert likelihood_ratio(25, 23.78, 0.0, 0.0) == pytest.approx(q0, **tolerance)


def test_classical_limit_matches_the_thirty_digit_vector(shared):
    entries = json.loads((shared / "reference" / "vectors.json").read_text())["vectors"]
    (value,) = [v["value"] for v in entries if v["id"] == "cnt_classical_nosyst"]
    assert upper(25, 23.78, method="classical") == pytest.approx(float(value), rel=1e-9, abs=0.0)


# Independent computations: statistics of a count of 25 on 23.78, without and with 10.9 %.
@pytest.mark.parametrize(
    ("method", "known", "uncertain"),
    [
        ("fc", 10.735, 11.265),
        ("classical", 8.931, 9.687),
        ("cls", 10.337, 11.260),
        ("bayes_s", 10.337, 11.260),
        ("bayes_mu", 7.713, 8.467),
        ("profile_one_sided", 8.187, 8.890),
        ("profile_two_sided", 10.370, 11.239),
        ("cls_asymptotic", 9.858, 10.745),
        ("cls_profile", 10.337, 10.837),
        ("classical_profile", 8.931, 9.053),
    ],
)
def test_nova_count_reproduces_the_table_of_methods(method, known, uncertain):
    assert upper(25, 23.78, method=method) == pytest.approx(known, abs=6e-4)
    assert upper(*NOVA, method=method) == pytest.approx(uncertain, abs=6e-4)


# Feldman & Cousins 1998, Table IV, b = 3.0 (two printed digits; rows that need no smoothing in b).
@pytest.mark.parametrize(
    ("n_obs", "published"),
    [
        (1, (0.00, 1.88)),
        (2, (0.00, 3.04)),
        (3, (0.00, 4.42)),
        (4, (0.00, 5.60)),
        (5, (0.00, 6.99)),
        (6, (0.15, 8.47)),
        (8, (1.51, 10.99)),
        (10, (2.63, 13.50)),
    ],
)
def test_feldman_cousins_reproduces_its_published_table(n_obs, published):
    assert interval(n_obs, 3.0, method="fc") == pytest.approx(published, abs=0.0051)


def brute_force_feldman_cousins(n_obs, b, cl, signals):
    """Ends of the accepted signals, adding counts in order of likelihood ratio at each of them."""
    n = np.arange(200)
    best = stats.poisson.pmf(n, np.maximum(n, b))
    accepted = []
    for s in signals:
        p = stats.poisson.pmf(n, s + b)
        order = np.argsort(-p / best, kind="stable")
        before = np.cumsum(p[order]) - p[order]
        accepted.append(before[np.flatnonzero(order == n_obs)[0]] < cl)
    return [signals[np.flatnonzero(accepted)[0]], signals[np.flatnonzero(accepted)[-1]]]


@pytest.mark.parametrize("cl", [0.6827, 0.90, 0.99])
@pytest.mark.parametrize(("n_obs", "b"), [(0, 0.7), (1, 4.2), (9, 2.5), (18, 23.78), (40, 23.78)])
def test_feldman_cousins_agrees_with_a_brute_force_scan(n_obs, b, cl):
    step = 0.01
    scan = brute_force_feldman_cousins(n_obs, b, cl, np.arange(0.0, 50.0, step) + step / 2)
    lower, end = interval(n_obs, b, method="fc", cl=cl)
    assert scan[0] - lower == pytest.approx(step / 2, abs=step / 2 + 1e-9)
    assert end - scan[1] == pytest.approx(step / 2, abs=step / 2 + 1e-9)


def test_feldman_cousins_tends_to_the_normal_interval_at_large_counts():
    half_width = 1.6448536 * math.sqrt(10_000)
    expected = [9_000 - half_width, 9_000 + half_width]
    assert interval(10_000, 1_000.0, method="fc") == pytest.approx(expected, abs=1.5)


@pytest.mark.parametrize("n_obs", [0, 1, 17])
def test_classical_limit_is_the_chi_square_closed_form(n_obs):
    expected = stats.chi2.isf(0.05, 2 * (n_obs + 1)) / 2 - 0.4
    assert upper(n_obs, 0.4, method="classical", cl=0.95) == pytest.approx(
        expected, rel=1e-10, abs=0.0
    )


@settings(max_examples=30, deadline=None)
@given(
    n_obs=st.integers(0, 60),
    n_bkg=st.floats(0.0, 50.0),
    relative=st.floats(0.0, 1.5),
    cl=st.floats(0.5, 0.99),
)
def test_cls_is_the_bayesian_limit_with_a_flat_prior(n_obs, n_bkg, relative, cl):
    count = n_obs, n_bkg, relative * n_bkg
    bayes = upper(*count, method="bayes_s", cl=cl)
    assert upper(*count, method="cls", cl=cl) == pytest.approx(bayes, rel=1e-8, abs=0.0)


@pytest.mark.parametrize("background", [(0.0, 0.0), (3.0, 0.0), (900.0, 0.0), (3.0, 0.9), (0.0, 2)])
def test_without_events_bayesian_limits_do_not_depend_on_the_background(background):
    flat = upper(0, *background, method="bayes_s", cl=0.95)
    assert flat == pytest.approx(-math.log(0.05), rel=1e-9, abs=0.0)
    expected = stats.chi2.ppf(0.90, 1) / 2
    assert upper(0, *background, method="bayes_mu") == pytest.approx(expected, rel=1e-9, abs=0.0)


def averaged_by_quadrature(function, n_bkg, sigma):
    """Average over a normal truncated at zero."""
    density = stats.truncnorm(-n_bkg / sigma, np.inf, loc=n_bkg, scale=sigma).pdf
    ends = max(n_bkg - 9 * sigma, 0.0), n_bkg + 9 * sigma
    return integrate.quad(lambda b: density(b) * function(b), *ends, epsabs=1e-13, limit=200)[0]


@pytest.mark.parametrize("count", [NOVA, (3, 3.0, 3.0), (2, 0.0, 1.5), (300, 250.0, 25.0)])
def test_cousins_highland_limit_leaves_one_minus_cl_below(count):
    n_obs, *background = count
    s = upper(*count, method="classical")
    below = averaged_by_quadrature(lambda b: stats.poisson.cdf(n_obs, s + b), *background)
    assert below == pytest.approx(0.10, rel=1e-9, abs=0.0)


@pytest.mark.parametrize("count", [NOVA, (0, 100.0, 20.0), (7, 1.0, 30.0), (50, 20.0, 5.0)])
def test_averaged_probability_agrees_with_adaptive_quadrature(count):
    n_obs, n_bkg, sigma = count
    expected = averaged_by_quadrature(lambda b: stats.poisson.pmf(n_obs, 4.0 + b), n_bkg, sigma)
    assert np.exp(log_probability(n_obs, 4.0, n_bkg, sigma)) == pytest.approx(
        expected, rel=1e-7, abs=0.0
    )


def test_flat_prior_in_the_moment_agrees_with_a_posterior_in_the_moment():
    n_obs, b = 12, 6.5

    def posterior(mu):
        return stats.poisson.pmf(n_obs, mu**2 + b)

    end = math.sqrt(upper(n_obs, b, method="bayes_mu"))
    inside, total = (integrate.quad(posterior, 0.0, x, epsabs=1e-14)[0] for x in (end, 8.0))
    assert inside / total == pytest.approx(0.90, rel=1e-8, abs=0.0)


def minus_two_ln_likelihood(n, aux, s, b, sigma):
    return -2 * stats.poisson.logpmf(n, s + b) - 2 * stats.norm.logpdf(aux, b, sigma)


@pytest.mark.parametrize("count", [NOVA, (45, 23.78, 2.59202), (2, 3.0, 0.9)])
def test_profile_ends_sit_at_the_threshold_of_a_numerical_minimisation(count):
    n_obs, n_bkg, sigma = count

    def profiled(s):
        result = optimize.minimize_scalar(
            lambda b: minus_two_ln_likelihood(n_obs, n_bkg, s, b, sigma),
            bounds=(1e-9, 60.0),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return result.fun

    minimum = min(profiled(s) for s in (0.0, max(n_obs - n_bkg, 0.0)))
    lower, end = interval(*count, method="profile_two_sided")
    assert profiled(end) - minimum == pytest.approx(2.705543, abs=1e-5)
    assert profiled(lower) - minimum < 2.70555


def test_one_sided_profile_limit_is_the_two_sided_one_at_twice_the_exclusion():
    two_sided = upper(*NOVA, method="profile_two_sided", cl=0.80)
    assert upper(*NOVA, method="profile_one_sided", cl=0.90) == pytest.approx(
        two_sided, rel=1e-12, abs=0.0
    )


def test_profile_p_value_agrees_with_a_sum_over_a_grid_of_measurements():
    s, (n_obs, n_bkg, sigma) = 8.0, NOVA
    b = np.linspace(0.0, 80.0, 1601)
    aux = np.linspace(n_bkg - 14.0, n_bkg + 14.0, 281)
    pulls = ((aux[:, None] - b) / sigma) ** 2

    def statistic(n, rows):
        fixed = np.min(rows - 2 * stats.poisson.logpmf(n, s + b), axis=-1)
        signals = np.maximum(n - b, 0.0)
        free = np.min(rows - 2 * stats.poisson.logpmf(n, signals + b), axis=-1)
        return fixed - free

    true_b = float(conditional_background(n_obs, n_bkg, s, sigma))
    observed = statistic(n_obs, ((n_bkg - b) / sigma) ** 2)
    density = stats.norm.pdf(aux, true_b, sigma)
    density /= density.sum()
    expected = sum(
        stats.poisson.pmf(n, s + true_b) * density[statistic(n, pulls) >= observed].sum()
        for n in range(80)
    )
    assert profile_p_value(Count(*NOVA), [s])[0] == pytest.approx(expected, abs=3e-3)


def exact_coverage(s, b, method):
    """Probability that the 90 % limit contains the true signal; both ends count for "fc" only."""
    n = np.arange(int(s + b + 12 * math.sqrt(s + b) + 20))
    ends = np.array([interval(k, b, method=method) for k in n])
    contained = (s <= ends[:, 1]) & ((ends[:, 0] <= s) | (method != "fc"))
    return stats.poisson.pmf(n, s + b) @ contained


@pytest.mark.parametrize(
    ("method", "at_5_on_3", "at_10_on_23_78"),
    [
        ("fc", 0.9234, 0.9134),
        ("cls", 0.9576, 0.9505),
        ("profile_two_sided", 0.9576, 0.9505),
        ("classical", 0.9004, 0.9278),
    ],
)
def test_exact_coverage_is_the_tabulated_one(method, at_5_on_3, at_10_on_23_78):
    assert exact_coverage(5.0, 3.0, method) == pytest.approx(at_5_on_3, abs=5e-5)
    assert exact_coverage(10.0, 23.78, method) == pytest.approx(at_10_on_23_78, abs=5e-5)


@pytest.mark.parametrize("s", [0.2, 0.9, 2.5, 6.1, 14.7])
def test_feldman_cousins_never_undercovers_with_a_known_background(s):
    assert exact_coverage(s, 3.0, "fc") >= 0.90


def test_profile_construction_covers_in_simulated_experiments():
    s, b, sigma = 5.0, 23.78, 2.59202
    rng = np.random.default_rng(20240123)
    experiments = zip(rng.poisson(s + b, 400), rng.normal(b, sigma, 400), strict=True)
    p_values = [profile_p_value(Count(n, aux, sigma), [s])[0] for n, aux in experiments]
    covered = np.mean(np.array(p_values) > 0.10)
    assert covered == pytest.approx(0.90, abs=3 * math.sqrt(0.9 * 0.1 / 400))


@pytest.mark.parametrize("sigma", [0.0, 2.59202])
@pytest.mark.parametrize("method", METHODS + OTHER_METHODS)
def test_a_higher_level_gives_a_higher_limit(method, sigma):
    limits = [upper(25, 23.78, sigma, method=method, cl=cl) for cl in (0.90, 0.95, 0.99)]
    assert np.all(np.diff(limits) > 0.5)


@pytest.mark.parametrize("method", METHODS)
def test_limits_do_not_fall_with_the_count(method):
    limits = [upper(n, 3.0, 0.9, method=method) for n in range(9)]
    assert np.all(np.diff(limits) >= 0.0)


@pytest.mark.parametrize("method", ["classical", "cls", "bayes_mu", "profile_two_sided", "fc_pole"])
def test_a_negligible_uncertainty_changes_nothing(method):
    known = upper(25, 23.78, method=method)
    assert upper(25, 23.78, 1e-5, method=method) == pytest.approx(known, abs=1e-6)


def test_a_varying_measurement_halves_the_weight_of_the_observed_count():
    # At s, counts of 25 are as extreme as the observed one only if their measurement is too.
    s, tiny = 10.0, 1e-4
    p = profile_p_value(Count(25, 23.78, tiny), [s], one_sided=True)[0]
    expected = stats.poisson.cdf(24, s + 23.78) + stats.poisson.pmf(25, s + 23.78) / 2
    assert p == pytest.approx(expected, rel=1e-4, abs=0.0)


def test_a_deficit_leaves_a_classical_limit_of_zero_that_says_so():
    limit = count_limit(10, 23.78, cl=0.90, method="classical")
    assert limit.upper == 0.0
    assert "excludes every s > 0" in limit.convention
    assert stats.poisson.cdf(10, 23.78) < 0.10


@pytest.mark.parametrize("sigma", [0.0, 20.0])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"classical"}))
def test_an_extreme_deficit_leaves_finite_positive_limits(method, sigma):
    assert 0.5 < upper(3, 900.0, sigma, method=method) < 4.0


@pytest.mark.parametrize("method", METHODS)
def test_no_expected_background_but_an_uncertainty_is_a_half_normal(method):
    limit = count_limit(2, 0.0, 1.5, cl=0.90, method=method)
    assert limit.lower < 1.0 < limit.upper < upper(2, 0.0, method="fc") + 0.5


def test_all_methods_come_as_a_dictionary():
    limits = count_limit(25, 23.78, cl=0.90, method="all")
    assert tuple(limits) == METHODS
    assert all(isinstance(limit, CountLimit) for limit in limits.values())


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("fc", "90 % CL two-sided Feldman-Cousins"),
        ("classical", "one-sided upper limit, P\\(N <= n_obs\\) = 1 - CL .*Cousins-Highland"),
        ("cls", "one-sided.* CLs .*averaged over a normal truncated at 0"),
        ("bayes_s", "flat in s "),
        ("bayes_mu", "flat in mu "),
        ("profile_one_sided", "one-sided.*1\\.642"),
        ("profile_two_sided", "two-sided.*2\\.706.*Gaussian constraint"),
    ],
)
def test_the_convention_says_sides_ordering_and_background(method, words):
    limit = count_limit(*NOVA, cl=0.90, method=method)
    assert pytest.approx(0.90) == limit.confidence_level
    assert re.search(words, limit.convention)


def test_a_known_background_is_called_so():
    assert "known exactly" in count_limit(25, 23.78, cl=0.90, method="fc").convention


def test_integral_floats_count_as_counts():
    limit = count_limit(np.float64(25.0), 23.78, cl=0.90, method="cls")
    assert limit.n_obs == 25
    assert isinstance(limit.n_obs, int)


@pytest.mark.parametrize(
    ("count", "cl", "message"),
    [
        ((2.5, 1.0), 0.9, "n_obs = 2.5 .* integer >= 0"),
        ((-1, 1.0), 0.9, "n_obs = -1 .* integer >= 0"),
        ((math.nan, 1.0), 0.9, "n_obs = nan"),
        ((2, -1.0), 0.9, "n_bkg = -1.0 .*>= 0"),
        ((2, math.inf), 0.9, "n_bkg = inf"),
        ((2, 1.0, -0.1), 0.9, "sigma_bkg = -0.1 .*>= 0"),
        ((2, 1.0, math.nan), 0.9, "sigma_bkg = nan"),
        ((2, 1.0), 90, "cl = 90 .*0 < cl < 1"),
        ((2, 1.0), 1.0, "cl = 1.0 "),
    ],
)
def test_impossible_numbers_are_refused(count, cl, message):
    with pytest.raises(ValueError, match=message):
        count_limit(*count, cl=cl, method="fc")


def test_an_unknown_method_is_refused_with_its_neighbour():
    with pytest.raises(ValueError, match="'bayes_nu'; closest: bayes_mu; known: all, fc, "):
        count_limit(2, 1.0, cl=0.9, method="bayes_nu")


def test_the_level_has_no_default():
    with pytest.raises(TypeError, match="cl"):
        count_limit(2, 1.0, method="fc")


# Feldman & Cousins 1998, Table XII: mean limit without signal, for b = 0 and 1.
@pytest.mark.parametrize(("n_bkg", "published"), [(0.0, 2.44), (1.0, 3.28)])
def test_mean_limit_is_the_published_sensitivity(n_bkg, published):
    assert mean_upper_limit(n_bkg, cl=0.90, method="fc") == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize("sigma", [0.0, 5.0])
def test_expected_bands_agree_with_simulated_counts(sigma):
    rng = np.random.default_rng(7)
    background = np.abs(rng.normal(23.78, sigma, 40_000))
    counts = rng.poisson(4.0 + background)
    limits = {n: upper(n, 23.78, sigma, method="bayes_s") for n in set(counts)}
    simulated = np.quantile([limits[n] for n in counts], stats.norm.cdf([-2, -1, 0, 1, 2]))
    expected = expected_limits(23.78, sigma, cl=0.90, method="bayes_s", signal=4.0)
    assert expected == pytest.approx(simulated, abs=0.7)
    assert expected.median == pytest.approx(simulated[2], abs=1e-9)


def test_expected_limits_are_ordered_and_refuse_nonsense():
    assert np.all(np.diff(expected_limits(23.78, 2.59202, cl=0.90, method="cls")) > 0.0)
    with pytest.raises(ValueError, match="signal = -1"):
        expected_limits(23.78, cl=0.90, method="cls", signal=-1.0)
    with pytest.raises(ValueError, match="'all' has no expected limit; choose one of fc"):
        mean_upper_limit(23.78, cl=0.90, method="all")


@pytest.mark.parametrize(
    "method", sorted({*METHODS, *OTHER_METHODS} - {"fc", "fc_pole", "profile_two_sided"})
)
@pytest.mark.parametrize("n", [0, 25, 60])
def test_methods_of_upper_limits_begin_at_no_signal(method, n):
    assert interval(n, *NOVA[1:], method=method)[0] == 0.0
