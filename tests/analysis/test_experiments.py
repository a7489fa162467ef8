"""Rows of published experiments, and their limits recomputed from these rows."""

import json
import math
from pathlib import Path

import pytest

import analysis.experiments
from analysis.experiments import (
    EXPERIMENTS,
    find_experiment,
    load_experiments,
    recompute,
    recompute_all,
    signal_yield,
)
from analysis.limit import METHODS

ROW = Path(analysis.experiments.__file__).parent / "nova_biao.toml"

# Signal events at 90 % for 25 observed, 23.78 +- 10.9 % expected: independent exact computations.
SIGNAL_EVENTS = {
    "fc": 11.265,
    "classical": 9.687,
    "cls": 11.260,
    "bayes_s": 11.260,
    "bayes_mu": 8.467,
    "profile_one_sided": 8.890,
    "profile_two_sided": 11.239,
}


@pytest.fixture
def edited_row(tmp_path):
    """Folder with the row of NOvA after replacing a piece of its text."""

    def edit(old, new):
        text = ROW.read_text(encoding="utf-8")
        assert old in text
        (tmp_path / "edited.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
        return tmp_path

    return edit


def test_nova_row_holds_the_numbers_of_the_technical_note():
    row = EXPERIMENTS["nova_biao"]
    inputs = row.inputs
    assert (inputs["n_obs"], inputs["n_bkg"], inputs["background_syst"]) == (25, 23.78, 0.109)
    assert (inputs["pot"], inputs["pot_mc"]) == (3.62e20, 6.74e23)
    assert (inputs["recoil_energy"], inputs["ttheta2_max"]) == ((0.3, 0.9), 0.003)
    assert (row.published, row.confidence_level) == (1.58e-9, 0.90)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_row_names_its_source_and_its_unverified_inputs(name):
    row = EXPERIMENTS[name]
    assert row.name == name
    assert row.source
    numbers = {*row.inputs, *row.nuisances, *({"published"} if row.published else ())}
    assert set(row.status) == numbers
    assert set(row.unverified) <= numbers


def test_part_of_the_expectation_that_is_signal_like_counts_as_assumed():
    assert set(EXPERIMENTS["nova_biao"].unverified) == {
        *("nue_fraction", "flux", "numi_hadron_production")
    }


def test_yield_is_the_expectation_times_the_flux_averaged_magnetic_ratio():
    row = EXPERIMENTS["nova_biao"]
    assert signal_yield(row) == pytest.approx(4.29, abs=5e-3)
    assert signal_yield(row) / row.inputs["n_bkg"] == pytest.approx(0.1804, abs=5e-5)
    assert signal_yield(row, nue_fraction=0.5) == pytest.approx(0.5 * signal_yield(row))


@pytest.mark.parametrize("method", METHODS)
def test_recomputed_moment_follows_from_the_independent_signal_limit(method):
    limit = recompute("nova_biao", confidence_level=0.90, method=method)
    assert limit.signal_events == pytest.approx(SIGNAL_EVENTS[method], abs=1.5e-3)
    expected = 1e-9 * math.sqrt(SIGNAL_EVENTS[method] / 4.2888)
    assert limit.observed == pytest.approx(expected, rel=2e-4, abs=0.0)
    assert limit.ratio == pytest.approx(expected / 1.58e-9, rel=2e-4, abs=0.0)


def test_headline_methods_come_within_three_per_cent_of_the_published_limit():
    limits = recompute_all("nova_biao")
    assert list(limits) == list(METHODS)
    assert limits["fc"].observed == pytest.approx(1.62e-9, abs=5e-12)
    assert limits["cls"].observed == pytest.approx(1.62e-9, abs=5e-12)
    assert min(limit.ratio for limit in limits.values()) > 0.88
    assert max(limit.ratio for limit in limits.values()) < 1.03


def test_moment_scales_with_the_root_of_the_signal_events(shared):
    vectors = json.loads((shared / "reference" / "vectors.json").read_text(encoding="utf-8"))
    (vector,) = [v for v in vectors["vectors"] if v["id"] == "cnt_mu_scaling"]
    events, reference = float(vector["inputs"]["s_up"]), float(vector["inputs"]["s_ref"])
    assert signal_yield(EXPERIMENTS["nova_biao"]) == pytest.approx(reference, rel=1e-5, abs=0.0)
    limit = recompute("nova_biao")
    scaled = limit.observed * math.sqrt(events / limit.signal_events)
    assert scaled == pytest.approx(float(vector["value"]), rel=1e-5, abs=0.0)


def test_smaller_signal_like_part_weakens_the_limit_by_its_root():
    full, quarter = recompute("nova_biao"), recompute("nova_biao", nue_fraction=0.25)
    assert quarter.observed == pytest.approx(2.0 * full.observed, rel=1e-9, abs=0.0)
    assert (full.nue_fraction, quarter.nue_fraction) == (1.0, 0.25)


def test_limit_states_convention_exposure_and_what_is_not_verified():
    limit = recompute("nova_biao", method="profile_one_sided")
    assert limit.method == "profile_one_sided"
    assert "90 % CL one-sided" in limit.convention
    assert limit.exposure == 3.62e20
    assert limit.published == 1.58e-9
    assert not limit.verified
    assert "nue_fraction" in limit.unverified
    assert "assumption" in limit.notes


def test_ratio_to_a_limit_at_another_level_is_not_given():
    limit = recompute("nova_biao", confidence_level=0.95, method="cls")
    assert limit.observed > recompute("nova_biao", confidence_level=0.90, method="cls").observed
    assert math.isnan(limit.ratio)


def test_unknown_experiment_names_the_closest():
    with pytest.raises(
        ValueError, match="no experiment 'nova_biau' in analysis/experiments; closest: nova_biao"
    ):
        find_experiment("nova_biau")


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="no counting method 'feldman'"):
        recompute("nova_biao", method="feldman")


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1, math.nan])
def test_impossible_signal_like_part_is_refused(fraction):
    with pytest.raises(ValueError, match=r"nue_fraction = .*; expected a number above 0"):
        recompute("nova_biao", nue_fraction=fraction)


def test_verified_row_says_so(edited_row):
    folder = edited_row('nue_fraction = "assumed"', 'nue_fraction = "quoted"')
    assert load_experiments(folder)["edited"].unverified == ("flux", "numi_hadron_production")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_bkg = 23.78", "n_bgk = 23.78", r"inputs: missing or unknown keys \['n_bgk', 'n_bkg'\]"),
        ('system = "NOvA', 'sistem = "NOvA', r"missing or unknown keys \['sistem', 'system'\]"),
        ('source = "Meas', 'quelle = "Meas', r"missing or unknown keys \['quelle', 'source'\]"),
        ('source = "Measurement', 'source = " "  # ', "source = ' '; expected a text"),
        ('bounded = "numu"', 'bounded = "muon"', "bounded = 'muon'; expected one of nue, nuebar"),
        ('kind = "upper_limit"', 'kind = "none"', "kind = 'none' with a published number"),
        ('method = "counting"', 'method = "count"', "method = 'count'; expected one of quoted"),
        (
            'method = "counting"',
            'method = "quoted"',
            "tolerance is needed where a published number",
        ),
        (
            "published = 1.58e-9 ",
            "published_low = 2e-9\npublished = 1e-9 ",
            "published_low = 2e-09",
        ),
        ("[inputs]", "inputs = 3\n[input]", r"missing or unknown keys \['input'\]"),
        ('pot = "quoted"\n', "", r"\[status\]: missing or unknown keys \['pot'\]"),
        ('pot = "quoted"', 'pot = "sure"', r"\[status\]: pot = 'sure'; expected one of quoted"),
        ("[status]", "[[status]]", r"\[status\] = .*; expected a table of that name"),
        ("n_obs = 25", 'n_obs = "25"', "n_obs = '25'; expected a number"),
        ("n_obs = 25", "n_obs = true", "n_obs = True; expected a number"),
        ("n_obs = 25", "n_obs = 25.5", "n_obs = 25.5; expected a whole number"),
        ("n_obs = 25", "n_obs = -1", "n_obs = -1; expected a finite number, not negative"),
        ("pot = 3.62e20", "pot = 0", "pot = 0; expected a finite number, positive"),
        ("pot = 3.62e20", "pot = inf", "pot = inf; expected a finite number, positive"),
        ("n_bkg = 23.78", "n_bkg = nan", "n_bkg = nan; expected a finite number, positive"),
        ("nue_fraction = 1.0", "nue_fraction = 1.5", "nue_fraction = 1.5; .* at most 1"),
        ("confidence_level = 0.90", "confidence_level = 90", "confidence_level = 90; expected"),
        ("[0.3, 0.9]", "[0.9, 0.3]", "recoil_energy = .*; expected the lower end first"),
        ("[0.3, 0.9]", "[0.3]", r"recoil_energy = \[0.3\]; expected \[lowest, highest\]"),
        ("[0.3, 0.9]", "[0, 0.9]", "recoil_energy = 0; expected a finite number, positive"),
        ('"nova_nd_fhc"', '" "', "flux = ' '; expected a text"),
        ("n_obs = 25", "n_obs = ", "edited.toml: not valid TOML"),
    ],
)
def test_faulty_row_is_refused_by_file_and_key(edited_row, old, new, message):
    with pytest.raises(ValueError, match=rf"edited\.toml.*{message}|{message}") as caught:
        load_experiments(edited_row(old, new))
    assert "edited.toml" in str(caught.value)
