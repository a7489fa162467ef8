"""Changes of hand-made templates, and the covariances that they give, against sums by hand."""

import itertools

import numpy as np
import pytest
from hist import Hist
from hist.axis import Regular, StrCategory
from hist.storage import Weight

from analysis.covariance import (
    correlation,
    covariance,
    ratios,
    relative_size,
    statistical_covariance,
    total_covariance,
)
from analysis.limit.template_count import template_count
from analysis.shifts import UNITS, default_samples, digest, shifts
from analysis.systematics import systematics
from analysis.uncertainty import impacts
from fileset.errors import InputError
from fileset.exposure import Ledger, LedgerRow
from processors.categories import AXIS
from processors.hypotheses import coefficients
from processors.templates import Templates, collect

POT = 1e20
BINS = (*AXIS, "magnetic_nue", "magnetic_numu", "charge_radius_numu")
SHAPE = (3, 2)
RNG = np.random.default_rng(7)
NC = RNG.uniform(20.0, 60.0, SHAPE)
NUONE = RNG.uniform(5.0, 20.0, SHAPE)
MAGNETIC = 1e17 * RNG.uniform(1.0, 30.0, SHAPE)


def spectrum(variations, relative_variance=0.1):
    """Histogram from yields by variation and category; the variance is in proportion."""
    histogram = Hist(
        StrCategory(BINS, name="category", growth=True),
        StrCategory(list(variations), name="variation"),
        Regular(3, 0.0, 3.0, name="recoil_energy", label="T [GeV]"),
        Regular(2, 0.0, 0.01, name="ttheta2"),
        storage=Weight(),
    )
    view = histogram.view()
    for column, yields in enumerate(variations.values()):
        for category, values in yields.items():
            row = view[BINS.index(category), column]
            row["value"], row["variance"] = values, relative_variance * np.asarray(values) ** 2
    return histogram


def make(datasets, **metadata):
    """Templates of datasets: name to exposure and yields by variation."""
    parts = {name: {"spectrum": spectrum(variations)} for name, (_, variations) in datasets.items()}
    rows = [LedgerRow(n, f"{n}.root", n, 0, 10, pot) for n, (pot, _) in datasets.items()]
    known = {name: {"is_mc": True} | metadata.get(name, {}) for name in datasets}
    return collect(parts, Ledger(tuple(rows)), known, {"selection": "any"})


def one(variations, **metadata):
    """Templates of one dataset at the exposure of the tests."""
    return make({"nd": (POT, variations)}, nd=metadata)


def scaled(yields, factor):
    return {category: factor * np.asarray(values) for category, values in yields.items()}


def with_universes(factors, yields, name="ppfx"):
    labels = {f"{name}_{i:03d}": scaled(yields, factor) for i, factor in enumerate(factors)}
    return {"nominal": yields} | labels


YIELDS = {"nc": NC, "nuone": NUONE, "magnetic_numu": MAGNETIC}
PAIR = {
    "nominal": YIELDS,
    "kUp": scaled(YIELDS, 1.2),
    "kDown": scaled(YIELDS, 0.9),
}


def test_rows_say_what_they_are():
    layout = shifts(one(PAIR), POT).layout
    assert list(layout.samples) == ["nuone", "nc", "magnetic_numu"]
    assert layout.labels[1] == "nuone: 0 <= recoil_energy < 1, 0.005 <= ttheta2 < 0.01"
    assert len(layout.labels) == layout.size == 18
    assert layout.titles == {"recoil_energy": "T [GeV]", "ttheta2": "ttheta2"}
    assert layout.standard == ["nuone", "nc"]
    assert shifts(one(PAIR), POT, axes=[]).layout.labels == ["nuone", "nc", "magnetic_numu"]


def test_every_category_and_template_with_events_is_a_sample():
    assert default_samples(one(PAIR)) == {
        "nuone": {"nuone": 1.0},
        "nc": {"nc": 1.0},
        "magnetic_numu": {"magnetic_numu": 1e-9**2},
    }


def test_templates_are_in_units_that_make_them_comparable():
    found = shifts(one(PAIR), POT)
    assert found.nominal[12:] == pytest.approx(MAGNETIC.ravel() * 1e-18)
    assert UNITS["charge_radius_squared_nue"] == pytest.approx(1e-64)


def test_samples_can_be_sums_at_coefficients_of_the_callers_choice():
    samples = {"sm": {"nc": 1.0, "nuone": 1.0}, "signal": coefficients(mu_nu=2e-9)}
    found = shifts(one(PAIR), POT, samples=samples)
    assert found.nominal[:6] == pytest.approx((NC + NUONE).ravel())
    assert found.nominal[6:] == pytest.approx(4e-18 * MAGNETIC.ravel())


def test_exposure_scales_events_linearly_and_their_covariance_quadratically():
    small, large = shifts(one(PAIR), POT), shifts(one(PAIR), 3.0 * POT)
    assert large.nominal == pytest.approx(3.0 * small.nominal)
    assert large.mc_variance == pytest.approx(9.0 * small.mc_variance)
    assert total_covariance(large) == pytest.approx(9.0 * total_covariance(small))


def test_datasets_are_scaled_to_one_exposure_before_they_are_added_and_divided():
    signal = {"nominal": {"nuone": 4.0 * NUONE}, "kUp": {"nuone": 4.4 * NUONE}}
    back = {"nominal": {"nuone": NUONE, "nc": NC}, "kUp": {"nuone": 1.3 * NUONE, "nc": NC}}
    templates = make({"signal": (4.0 * POT, signal), "nd": (POT, back)})
    found = shifts(templates, POT)
    assert found.nominal[:6] == pytest.approx(2.0 * NUONE.ravel())
    assert ratios(found, "k")[0, :6] == pytest.approx(np.full(6, 1.2))
    assert ratios(found, "k")[0, 6:] == pytest.approx(np.ones(6))


def test_ratio_to_nothing_is_not_a_number():
    empty = np.where(np.arange(6).reshape(SHAPE) == 2, 0.0, NC)
    found = shifts(one({"nominal": {"nc": empty}, "kUp": {"nc": NC}}), POT)
    assert np.flatnonzero(np.isnan(ratios(found, "k")[0])).tolist() == [2]


def test_merging_bins_is_adding_rows_and_columns():
    universes = [RNG.uniform(0.8, 1.2, SHAPE) for _ in range(5)]
    templates = one(with_universes(universes, {"nc": NC, "nuone": NUONE}))
    fine = shifts(templates, POT)
    merging = np.kron(np.eye(6), np.ones(2))
    coarse = shifts(templates, POT, axes=["recoil_energy"])
    expected = merging @ total_covariance(fine) @ merging.T
    assert total_covariance(coarse) == pytest.approx(expected)
    both = shifts(templates, POT, samples={"all": {"nc": 1.0, "nuone": 1.0}})
    merging = np.kron(np.ones(2), np.eye(6))
    assert total_covariance(both) == pytest.approx(merging @ total_covariance(fine) @ merging.T)


def test_events_beyond_an_axis_that_is_summed_over_count():
    templates = one(PAIR)
    templates.histograms["spectrum"].view(flow=True)["value"][0, 5, :3, 1, -1] += 7.0
    before, after = (shifts(t, POT, axes=["recoil_energy"]) for t in (one(PAIR), templates))
    assert (after.nominal - before.nominal).tolist() == pytest.approx([0, 0, 0, 7, 0, 0, 0, 0, 0])


def test_uncertainty_of_a_bin_is_that_of_figures():
    factors = [RNG.uniform(0.8, 1.2, SHAPE) for _ in range(4)]
    variations = with_universes(factors, {"nc": NC}) | {
        "kUp": {"nc": 1.1 * NC},
        "kDown": {"nc": 0.9 * NC},
    }
    found = shifts(one(variations), POT)
    spread = np.sqrt(np.mean((np.array(factors) - 1.0) ** 2, axis=0))
    for name, expected in {"ppfx": spread * NC, "k": 0.1 * NC}.items():
        source = found.sources[name]
        assert np.sqrt(np.diag(covariance(source))) == pytest.approx(expected.ravel())
        assert source.size == pytest.approx(expected.ravel())


def test_size_is_the_larger_side_or_the_only_one():
    sides = {"kUp": 1.1, "kDown": 0.8, "k_2sigmaUp": 9.0, "lightDown": 0.7}
    variations = {"nominal": {"nc": NC}} | {k: {"nc": f * NC} for k, f in sides.items()}
    sources = shifts(one(variations), POT).sources
    assert sources["k"].size == pytest.approx(0.2 * NC.ravel())
    assert sources["light"].size == pytest.approx(0.3 * NC.ravel())


def test_impacts_rank_all_that_was_selected_and_say_what_is_left_for_the_shape():
    slope = np.array([[0.8], [1.0], [1.2]])
    variations = {"nominal": {"nc": NC}, "tiltUp": {"nc": slope * NC}, "kUp": {"nc": 1.3 * NC}}
    templates = one(variations)
    beyond = templates.histograms["spectrum"].view(flow=True)["value"][0, 5, :3]
    beyond[:, -1, 0] = 100.0, 150.0, 100.0
    first, second, statistics = impacts(templates, POT)
    change = ((slope - 1.0) * NC).sum()
    assert (first.name, first.down) == ("k", None)
    assert first.up == first.size == pytest.approx(0.3 * NC.sum())
    assert first.shape == pytest.approx(0.0, abs=1e-12)
    assert second.up == pytest.approx(change + 50.0)
    rows = NC.sum(axis=1)
    relative = slope.ravel() - 1.0 - change / rows.sum()
    assert second.shape == pytest.approx(np.sqrt((rows * relative**2).sum() / rows.sum()))
    assert statistics.name == "mc_statistics"


def test_a_label_that_is_no_side_is_refused_wherever_it_would_be_lost():
    variations = {"nominal": YIELDS, "gibuu": scaled(YIELDS, 1.2)}
    with pytest.raises(InputError, match="'gibuu' is neither a side nor a universe; name it"):
        template_count(one(variations), POT)


def test_pair_keeps_both_sides():
    source = shifts(one(PAIR), POT, samples={"nc": {"nc": 1.0}}).sources["k"]
    up, down = 0.2 * NC.ravel(), -0.1 * NC.ravel()
    assert (source.kind, source.sides) == ("pair", ("Up", "Down"))
    assert source.members == pytest.approx(np.array([up, down]))
    assert covariance(source) == pytest.approx(0.5 * (np.outer(up, up) + np.outer(down, down)))


def test_pair_is_symmetrised_where_that_is_asked_for():
    source = shifts(one(PAIR), POT, samples={"nc": {"nc": 1.0}}).sources["k"]
    half = 0.15 * NC.ravel()
    assert source.symmetric == pytest.approx(half)
    assert covariance(source, symmetrise=True) == pytest.approx(np.outer(half, half))


def test_sides_that_go_the_same_way_do_not_cancel():
    variations = {"nominal": {"nc": NC}, "kUp": {"nc": 0.8 * NC}, "kDown": {"nc": 0.8 * NC}}
    source = shifts(one(variations), POT).sources["k"]
    assert np.diag(covariance(source)) == pytest.approx(0.04 * NC.ravel() ** 2)
    assert not source.symmetric.any()


SIDE = {"nominal": {"nc": NC}, "lightDown": {"nc": 0.7 * NC}}


@pytest.mark.parametrize(
    "templates",
    [
        pytest.param(one(SIDE), id="no-other-bin"),
        pytest.param(
            one(SIDE | {"lightUp": {"nc": NC}}, one_sided=["lightUp"]), id="nominal-stands-for-it"
        ),
    ],
)
def test_one_side_stays_one_side_and_counts_with_its_square_once(templates):
    source = shifts(templates, POT).sources["light"]
    assert (source.kind, source.sides) == ("one_sided", ("Down",))
    assert source.members == pytest.approx(-0.3 * NC.reshape(1, -1))
    assert covariance(source) == pytest.approx(0.09 * np.outer(NC, NC))
    assert source.symmetric == pytest.approx(0.3 * NC.ravel())


def test_other_datasets_do_not_make_up_a_side():
    sides = {"nominal": {"nc": NC}, "lightUp": {"nc": NC}, "lightDown": {"nc": 0.7 * NC}}
    still = {"nominal": {"nuone": NUONE}}
    datasets = {"nd": (POT, sides), "signal": (2.0 * POT, still)}
    found = shifts(make(datasets, nd={"one_sided": ["lightUp"]}), POT)
    assert found.sources["light"].kind == "one_sided"


def test_source_with_one_side_here_and_two_there_is_refused():
    side = {"nominal": {"nc": NC}, "lightUp": {"nc": 1.1 * NC}, "lightDown": {"nc": NC}}
    pair = {"nominal": {"nc": NC}, "lightUp": {"nc": 1.1 * NC}, "lightDown": {"nc": 0.9 * NC}}
    datasets = {"nd": (POT, side), "signal": (POT, pair)}
    message = r"'lightDown' is in dataset 'signal' and not in 'nd', where 'light' has one side only"
    with pytest.raises(InputError, match=message):
        shifts(make(datasets, nd={"one_sided": ["lightDown"]}), POT)


KNOB = {
    "kUp": {"nc": 1.2 * NC},
    "kDown": {"nc": 0.9 * NC},
    "k_2sigmaUp": {"nc": 1.5 * NC},
    "k_2sigmaDown": {"nc": 0.7 * NC},
}


def test_two_standard_deviations_of_a_knob_are_no_second_uncertainty():
    found = shifts(one({"nominal": {"nc": NC}} | KNOB), POT)
    alone = shifts(one({"nominal": {"nc": NC}} | dict(itertools.islice(KNOB.items(), 2))), POT)
    assert list(found.sources) == ["k"]
    assert total_covariance(found) == pytest.approx(total_covariance(alone))
    knots = {sigma: change[0] / NC[0, 0] for sigma, change in found.sources["k"].knots.items()}
    assert knots == pytest.approx({1: 0.2, -1: -0.1, 2: 0.5, -2: -0.3})


def test_knob_known_at_two_standard_deviations_only_is_halved():
    beyond = {"nominal": {"nc": NC}} | dict(itertools.islice(KNOB.items(), 2, None))
    source = shifts(one(beyond), POT).sources["k"]
    assert source.members == pytest.approx(np.outer([0.25, -0.15], NC))


def test_more_than_a_thousand_universes_all_count():
    factors = RNG.normal(1.0, 0.1, 1200)
    found = shifts(one(with_universes(factors, {"nc": NC})), POT)
    assert found.sources["ppfx"].members.shape == (1200, 6)
    expected = np.mean((factors - 1.0) ** 2) * np.outer(NC, NC)
    assert total_covariance(found) == pytest.approx(expected)


def test_spread_of_universes_is_about_the_nominal_and_not_their_mean():
    found = shifts(one(with_universes([1.1, 1.1], {"nc": NC})), POT)
    assert total_covariance(found) == pytest.approx(0.01 * np.outer(NC, NC))


def test_flux_correlates_the_signal_with_the_background_and_not_with_cosmics():
    cosmic = {"cosmic": np.full(SHAPE, 3.0)}
    variations = {
        "nominal": YIELDS | cosmic,
        "fluxUp": scaled(YIELDS, 1.1) | cosmic,
        "fluxDown": scaled(YIELDS, 0.9) | cosmic,
    }
    found = shifts(one(variations), POT)
    matrix = correlation(total_covariance(found)).reshape(4, 6, 4, 6)
    names = list(found.layout.samples)
    signal, background, rest = (names.index(n) for n in ("magnetic_numu", "nc", "cosmic"))
    assert matrix[signal, :, background] == pytest.approx(np.ones((6, 6)))
    assert not matrix[signal, :, rest].any()


def test_normalisation_stands_in_for_universes_dataset_by_dataset():
    pair = {"fluxUp": {"nc": 1.1 * NC}, "fluxDown": {"nc": 0.9 * NC}}
    with_ppfx = with_universes([1.05, 0.95], {"nc": NC}) | pair
    without = {"nominal": {"nc": NC}} | pair
    both = shifts(make({"nd": (POT, with_ppfx), "other": (POT, without)}), POT)
    assert both.sources["flux"].members == pytest.approx(np.outer([0.1, -0.1], NC))
    assert both.sources["ppfx"].members == pytest.approx(np.outer([0.05, -0.05], NC))
    assert list(shifts(one(with_ppfx), POT).sources) == ["ppfx"]


def test_replicas_are_statistics_and_no_systematic():
    yields = {"nc": NC, "magnetic_numu": MAGNETIC}
    factors = [1.0 + 0.2 * RNG.normal(size=SHAPE) for _ in range(50)]
    found = shifts(one(with_universes(factors, yields, "bootstrap")), POT)
    assert found.sources["bootstrap"].kind == "replicas"
    assert not total_covariance(found).any()
    assert not systematics(found).nuisances
    # The same events in two samples.
    matrix = correlation(statistical_covariance(found))
    assert np.diag(matrix[:6, 6:]) == pytest.approx(np.ones(6))


def test_statistics_without_replicas_are_a_diagonal_of_sums_of_squared_weights():
    found = shifts(one(PAIR), POT, samples={"nc": {"nc": 1.0}})
    assert statistical_covariance(found) == pytest.approx(np.diag(0.1 * NC.ravel() ** 2))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param({"nc": 1.0, "nue_cc": 1.0}, 3.0**2 + 4.0**2, id="categories"),
        pytest.param({"magnetic_nue": 1.0, "magnetic_numu": 1.0}, 5.0**2 + 6.0**2, id="flavours"),
        pytest.param(
            {"magnetic_numu": 1.0, "charge_radius_numu": -2.0}, (6.0 + 14.0) ** 2, id="one-flavour"
        ),
        pytest.param({"nuone": 1.0, "magnetic_numu": 2.0}, (2.0 + 12.0) ** 2, id="with-its-signal"),
    ],
)
def test_variance_of_sums_is_at_its_largest_where_events_are_shared(parts, expected):
    deviations = {
        **{"nuone": 2.0, "nc": 3.0, "nue_cc": 4.0},
        **{"magnetic_nue": 5.0, "magnetic_numu": 6.0, "charge_radius_numu": 7.0},
    }
    yields = {label: np.full(SHAPE, d / np.sqrt(0.1)) for label, d in deviations.items()}
    found = shifts(one({"nominal": yields}), POT, samples={"sum": parts})
    assert found.mc_variance == pytest.approx(np.full(6, expected))


def test_size_of_nothing_is_not_a_number():
    found = shifts(one(PAIR), POT, samples={"nc": {"nc": 1.0}, "none": {"mec": 1.0}})
    assert np.isnan(relative_size(found, found.sources["k"], ["none"])).all()


def test_origin_is_that_of_the_templates_and_survives_their_file(tmp_path):
    templates = one(PAIR)
    templates.save(tmp_path / "t.zip")
    assert digest(Templates.load(tmp_path / "t.zip")) == digest(templates)
    assert shifts(templates, POT).origin == digest(templates)
    assert digest(make({"nd": (2.0 * POT, PAIR)})) != digest(templates)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pot": 0.0}, r"exposure 0\.0 POT, expected > 0; give --pot"),
        ({"pot": float("nan")}, "exposure nan POT"),
        ({"name": "spectra"}, "no histogram 'spectra' with variations; closest: spectrum"),
        ({"axes": ["energy"]}, "axis 'energy', expected each once, of recoil_energy, ttheta2"),
        ({"axes": ["ttheta2", "ttheta2"]}, "axis 'ttheta2', expected each once"),
        ({"samples": {"a": {"ncc": 1.0}}}, "sample 'a': no 'ncc'; closest: nc"),
        (
            {"samples": {"a": {"nc": 1.0}, "b": {"nc": 1.0}}},
            "category 'nc' is in samples 'a' and 'b': its events would count twice",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        shifts(one(PAIR), **({"pot": POT} | options))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("tune", "variation 'tune' is neither a side nor a universe; name it tuneUp"),
        ("k_000", "source 'k' has sides and universes, which would count one uncertainty twice"),
    ],
)
def test_variations_that_are_no_source_are_refused(label, message):
    with pytest.raises(InputError, match=message):
        shifts(one(PAIR | {label: YIELDS}), POT)


def test_variation_that_is_not_finite_is_refused():
    broken = {"nominal": YIELDS, "kUp": scaled(YIELDS, np.nan)}
    with pytest.raises(InputError, match="dataset 'nd': variation 'kUp' is not finite"):
        shifts(one(broken), POT)


def test_datasets_with_different_universes_are_refused():
    datasets = {"nd": (POT, PAIR), "signal": (POT, PAIR)}
    metadata = {"nd": {"universes": 100}, "signal": {"universes": 50}}
    with pytest.raises(InputError, match=r"'nd' has 100 flux universes, 'signal' has 50"):
        shifts(make(datasets, **metadata), POT)


def test_templates_without_simulation_are_refused():
    templates = make({"nd": (POT, PAIR)}, nd={"is_mc": False})
    with pytest.raises(InputError, match="no simulated dataset in the templates"):
        shifts(templates, POT)


def test_universes_cannot_be_symmetrised():
    found = shifts(one(with_universes([1.1], {"nc": NC})), POT)
    with pytest.raises(InputError, match="source 'ppfx' has universes, no sides"):
        covariance(found.sources["ppfx"], symmetrise=True)
