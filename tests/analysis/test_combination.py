"""Rows combined into one limit: shared nuisances, refusals, conversions, and rows of one's own."""

import json
import math
import re
from pathlib import Path

import pytest
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.stats import norm, poisson

import analysis.experiments
from analysis.cli import main
from analysis.experiments import (
    EXPERIMENTS,
    combine,
    find_experiment,
    recompute,
    row_model,
    world_rows,
)
from analysis.experiments.row_model import EXPECTED, LIKELIHOODS

ROWS = Path(analysis.experiments.__file__).parent
NOVA = (ROWS / "nova_biao.toml").read_text(encoding="utf-8")
OWN = "numi_hadron_production"
OBSERVED = [
    name
    for name, row in EXPERIMENTS.items()
    if row.method in ("rate_ratio", "xenon_spectrum", "cevns_spectrum") and row.kind != "interval"
]


@pytest.fixture
def count(tmp_path):
    """Write a counting row: events, expectation, its uncertainty, and the part that is shared."""

    def write(name, n_obs, n_bkg, syst, shared=None):
        text = NOVA.replace("n_obs = 25", f"n_obs = {n_obs}")
        text = text.replace("n_bkg = 23.78", f"n_bkg = {n_bkg}")
        text = text.replace("background_syst = 0.109", f"background_syst = {syst}")
        before, _, rest = text.partition("[nuisances]")
        _, after, rest = rest.partition("\n\n#")
        if shared:
            before += f"[nuisances]\nflux_of_all = {{ background = {shared} }}"
            rest = rest.replace(f"{OWN} =", "flux_of_all =")
        else:
            rest = rest.replace(f'{OWN} = "assumed"\n', "")
        path = tmp_path / f"{name}.toml"
        path.write_text(before + after + rest, encoding="utf-8")
        return str(path)

    return write


def events_per_mu2(n_bkg):
    return 4.2888 / 23.78 * n_bkg / 1e-18


def limit_of(deviance):
    """One-sided limit on the moment by a plain search, from -2 ln L of the squared moment."""
    found = minimize_scalar(lambda t: deviance(t * 1e-18), bounds=(0.0, 4.0), method="bounded")
    best, lowest = min((0.0, deviance(0.0)), (found.x, found.fun), key=lambda pair: pair[1])
    level = lowest + norm.ppf(0.90) ** 2
    return 1e-9 * math.sqrt(brentq(lambda t: deviance(t * 1e-18) - level, best, 9.0, xtol=1e-7))


def test_two_counts_without_uncertainty_are_one_of_twice_the_exposure(count):
    both = combine([count("a", 27, 23.0, 0), count("b", 31, 23.0, 0)])
    twice = combine([count("c", 58, 46.0, 0)])
    assert both.observed == pytest.approx(twice.observed, rel=1e-6, abs=0.0)


def test_two_counts_that_share_all_uncertainty_are_one_of_twice_the_exposure(count):
    both = combine([count("a", 27, 23.0, 0.1, 0.1), count("b", 31, 23.0, 0.1, 0.1)])
    twice = combine([count("c", 58, 46.0, 0.1, 0.1)])
    assert both.observed == pytest.approx(twice.observed, rel=1e-6, abs=0.0)
    assert both.shared == {"flux_of_all": ("a", "b")}
    assert both.pulls == pytest.approx(twice.pulls, rel=1e-5)


@pytest.mark.parametrize("shared", [0.0, 0.06, 0.1])
def test_shared_and_own_uncertainties_equal_a_direct_calculation(count, shared):
    seen, expected, own = (24, 30), (23.0, 28.0), math.sqrt(0.1**2 - shared**2)
    rows = [count(n, *c, 0.1, shared) for n, *c in zip("ab", seen, expected, strict=True)]

    def at(theta, mu2):
        total = float(theta @ theta)
        for i, (n, b) in enumerate(zip(seen, expected, strict=True)):
            mean = b * (1.0 + shared * theta[2] + own * theta[i]) + events_per_mu2(b) * mu2
            total -= 2.0 * poisson.logpmf(n, mean)
        return total

    def deviance(mu2):
        return minimize(at, [0.0, 0.0, 0.0], args=(mu2,), method="BFGS").fun

    assert combine(rows).observed == pytest.approx(limit_of(deviance), rel=1e-4, abs=0.0)


def test_shared_uncertainty_of_backgrounds_weakens_the_combined_limit(count):
    alone = combine([count("a", 23, 23.0, 0.2), count("b", 23, 23.0, 0.2)])
    shared = combine([count("a", 23, 23.0, 0.2, 0.2), count("b", 23, 23.0, 0.2, 0.2)])
    # Each limit is the same; together, only uncertainties that are independent average out.
    assert shared.alone == pytest.approx(alone.alone, rel=1e-6, abs=0.0)
    assert shared.observed > 1.05 * alone.observed


def test_more_exposure_with_a_shared_uncertainty_helps_less_than_without(count):
    one = combine([count("a", 2300, 2300.0, 0.1, 0.1)]).observed
    two = combine([count("a", 2300, 2300.0, 0.1, 0.1), count("b", 2300, 2300.0, 0.1, 0.1)]).observed
    assert 1.0 < one / two < 1.02


@pytest.mark.parametrize("name", OBSERVED)
def test_row_alone_has_the_limit_of_its_own_likelihood(shared, name):
    alone = combine([name], confidence_level=0.90, releases=shared / "data/limits")
    own = recompute(name, confidence_level=0.90, releases=shared / "data/limits")
    # Up to an uncertainty of the signal that the row alone does not have.
    assert alone.observed == pytest.approx(own.observed, rel=2e-3, abs=0.0)


def test_count_alone_has_the_profile_limit_of_the_counting_experiment():
    expected = recompute("nova_biao", method="profile_one_sided").observed
    assert combine(["nova_biao"]).observed == pytest.approx(expected, rel=1e-6, abs=0.0)


def test_published_bound_comes_back_at_its_level():
    assert combine(["lsnd"]).observed == pytest.approx(recompute("lsnd").observed, rel=1e-4)


@pytest.mark.parametrize("name", [n for n, r in EXPERIMENTS.items() if r.method in EXPECTED])
def test_sensitivity_alone_comes_back(name):
    row = EXPERIMENTS[name]
    method = "profile_one_sided" if row.method == "expected_count" else None
    expected = recompute(name, confidence_level=0.90, method=method).observed
    assert combine([name]).observed == pytest.approx(expected, rel=1e-4, abs=0.0)
    assert combine([name]).convention.startswith("expected, no moment is seen")


def test_every_row_with_a_likelihood_has_nuisances_that_fit_its_uncertainty(shared):
    for name, row in EXPERIMENTS.items():
        if row.method in LIKELIHOODS:
            model = row_model(row, unit=1e-10, releases=shared / "data/limits")
            assert {p.name for p in model.parameters} >= set(row.nuisances), name


def test_solar_limit_converts_to_the_flavour_that_the_same_data_give(shared):
    converted = combine(["xenonnt"], bounded="numu", releases=shared / "data/limits")
    fitted = combine(["khan_xnt_mu"], releases=shared / "data/limits")
    assert converted.observed == pytest.approx(fitted.observed, rel=1e-6, abs=0.0)
    assert "mu^2 (solar effective) = 0.194 mu^2 (numu)" in converted.likelihoods["xenonnt"]


def test_toys_raise_the_limit_of_xenonnt_to_what_its_row_says(shared):
    found = combine(["xenonnt"], method="fc", toys=1000, releases=shared / "data/limits")
    assert found.observed == pytest.approx(6.3e-12, rel=0.03, abs=0.0)
    assert "gives 6.3e-12" in EXPERIMENTS["xenonnt"].reason
    assert "Feldman-Cousins" in found.convention


def test_antineutrinos_at_a_reactor_have_the_moment_of_neutrinos():
    found = combine(["texono_csi", "lsnd_e"])
    assert found.bounded == "nuebar"
    assert found.observed < min(found.alone.values()) * 1.02


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["lsnd", "borexino"], {"bounded": "nutau"}, "lsnd bounds the flavour nu_mu, not the flav"),
        (["borexino", "lsnd"], {}, "lsnd bounds the flavour nu_mu, not the effective moment of so"),
        (["lsnd", "borexino"], {"bounded": "Dirac"}, "unlike quantities do not combine"),
        (["lsnd"], {"bounded": "muon"}, "bounded = 'muon'; expected one of nue, nuebar"),
        (["xenonnt", "khan_xnt"], {}, r"made of the same data \(XENONnT SR0\), which would count"),
        (["lsnd", "lsnd"], {}, "lsnd and lsnd are made of the same data"),
        (["lsnd", "sbnd"], {}, r"sensitivities without data \(sbnd\) and observed limits \(lsnd\)"),
        (["sn_ayala"], {}, "sn_ayala has no likelihood to combine: its method is supernova"),
        (["munu"], {}, "munu has no likelihood to combine: its method is quoted"),
        ([], {}, "nothing to combine"),
        (["lsnb"], {}, "no experiment 'lsnb'.*closest: lsnd"),
    ],
)
def test_rows_that_do_not_combine_are_refused(names, options, message):
    with pytest.raises(ValueError, match=message):
        combine(names, **options)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{ background = 0.098 }", "0.098", "numi_hadron_production = 0.098; expected background"),
        ("{ background = ", "{ effect = ", r"unknown keys \['effect'\]"),
        ("{ background = 0.098 }", "{ background = 0 }", "expected a finite number, positive"),
        (f"{OWN} = {{", "n_obs = {", r"nuisances: \['n_obs'\] are names of inputs"),
        (f'{OWN} = "assumed"', "", rf"\[status\]: missing or unknown keys \['{OWN}'\]"),
        ("background = 0.098", "background = 0.2", "move the expectation by 0.2, as part of an un"),
    ],
)
def test_faulty_nuisances_are_refused(tmp_path, old, new, message):
    path = tmp_path / "edited.toml"
    assert old in NOVA
    path.write_text(NOVA.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        combine([str(path)])


def test_row_of_ones_own_is_read_where_it_lies(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(NOVA.replace("n_obs = 25", "n_obs = 20"), encoding="utf-8")
    assert find_experiment(str(path)).name == "mine"
    for command in (["limit", str(path), "--json"], ["table", str(path), "lsnd", "--json"]):
        with pytest.raises(SystemExit, match="0"):
            main(command)
        assert "mine" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"absent\.toml: no row there: No such file"):
        find_experiment(str(tmp_path / "absent.toml"))


def test_spectrum_nobody_planned_for_is_one_file_with_its_table(tmp_path):
    def hundredfold(column):
        numbers = [100.0 * float(number) for number in column[2].split(",")]
        return f"{column[1]} = {numbers}"

    row = (ROWS / "lz.toml").read_text(encoding="utf-8")
    text = re.sub(r"(counts|background) = \[([^]]*)\]", hundredfold, row)
    path = tmp_path / "future_xenon.toml"
    path.write_text(text.replace("exposure = 0.9", "exposure = 90.0"), encoding="utf-8")
    (found,) = world_rows([str(path)])
    assert (found.id, found.method) == ("future_xenon", "xenon_spectrum")
    # With the same fluctuations in every bin mu^2 shrinks at least as fast as their errors.
    assert found.recomputed < recompute("lz").observed / 2.5


def test_command_prints_the_limit_with_its_convention(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["combine", "nova_biao", "minerva", "e734"])
    out = capsys.readouterr().out
    found = combine(["nova_biao", "minerva", "e734"])
    assert f"mu_nu < {found.observed:.3g} mu_B from nova_biao, minerva, e734" in out
    assert "90 % CL one-sided upper limit" in out
    assert f"{OWN}   nova_biao, minerva" in out
    with pytest.raises(SystemExit, match="0"):
        main(["combine", "nova_biao", "minerva", "e734", "--json"])
    assert json.loads(capsys.readouterr().out)["observed"] == found.observed


def test_other_methods_and_levels_reach_the_fit():
    two = combine(["e734", "lsnd"], method="profile_two_sided", confidence_level=0.95)
    assert two.observed > combine(["e734", "lsnd"]).observed
    assert "95 % CL two-sided" in two.convention
