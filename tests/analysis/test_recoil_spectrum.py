"""Fits of recoil spectra: response, likelihood, flavours, and spectra with a reactor on and off."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

import analysis.experiments
from analysis.experiments import EXPERIMENTS, load_experiments, recompute
from analysis.experiments.outcome import gaussian_limit
from analysis.experiments.sources import load_source, magnetic_spectrum
from analysis.experiments.spectrum import flavour_shares, on_off, spectrum_fit
from analysis.experiments.spectrum_fit import SpectrumFit
from analysis.limit.count_likelihood import profile_threshold
from fileset import InputError
from fileset.releases import read_xenonnt
from processors.kernels.constants import K_MAGNETIC

XENONNT = EXPERIMENTS["xenonnt"]


@pytest.fixture(scope="module")
def releases(shared):
    return shared / "data/limits"


@pytest.fixture
def toy():
    """Flat background and a falling signal, without fluctuations."""
    background, signal = np.full(20, 50.0), 100.0 / np.arange(1.0, 21.0)
    return SpectrumFit(background + 0.3 * signal, background, signal, 0.0)


def test_release_holds_the_published_events(releases):
    spectrum = read_xenonnt(releases / "xenonnt_2022", 1.16, (1.0, 30.0))
    assert spectrum.counts.sum() == 433
    assert spectrum.background.sum() == pytest.approx(426.5, abs=0.1)
    assert len(spectrum.counts) == 290


def test_xenonnt_comes_within_its_tolerance_of_the_published_limit(releases):
    limit = recompute("xenonnt", releases=releases)
    assert limit.observed == pytest.approx(6.4e-12, rel=0.15)
    assert "-2 Delta ln L = 1.642" in limit.convention
    assert "normalisation free" in limit.convention


def test_independent_limit_of_xenonnt_follows_with_its_choices(releases):
    # 6.14e-12 and 7.60e-12 at 2.706: bins of 1 keV, pp and 7Be, efficiency at the true energy.
    flux = {**XENONNT.inputs["flux"], "components": ("pp", "be7", "pep")}
    changed = {**XENONNT.inputs, "flux": flux, "efficiency_of": "true"}
    fit = spectrum_fit(replace(XENONNT, inputs=changed), releases)
    coarse = SpectrumFit(*(values.reshape(-1, 10).sum(axis=1) for values in fit[:3]), 0.0)
    limits = [1e-11 * math.sqrt(coarse.upper(cl)) for cl in (0.90, 0.95)]
    assert limits == pytest.approx([6.14e-12, 7.60e-12], abs=1.5e-14)


def test_xenon1t_has_the_published_counts_and_interval():
    row = EXPERIMENTS["xenon1t"]
    counts, background = (row.inputs["spectrum"][key][:6] for key in ("counts", "background"))
    assert sum(counts) == 285  # from 1 to 7 keV
    assert sum(background) == pytest.approx(232, abs=1.5)
    fit = spectrum_fit(row)
    low, high = (1e-11 * math.sqrt(end) for end in fit.ends(profile_threshold(0.90, sides=2)))
    assert low == pytest.approx(row.published_low, rel=row.tolerance)
    assert high == pytest.approx(row.published, rel=row.tolerance)
    assert f"interval from {low:.2g} to {high:.2g}" in recompute("xenon1t").convention


def test_signal_of_xenonnt_is_that_of_the_formula_integrated_by_hand(releases):
    # pp neutrinos alone near 10 keV: 52 free electrons of xenon, far from thresholds and edges.
    row = replace(
        XENONNT,
        inputs={
            **XENONNT.inputs,
            "flux": {"source": "solar", "components": ("pp",), "survival": 1.0},
            "moment": "nue",
            "recoil_energy": (10e-6, 11e-6),
        },
    )
    fit = spectrum_fit(row, releases)
    pp = load_source(row.inputs["flux"]).spectra[12]
    mean_inverse = np.sum(pp.flux / (0.5 * (pp.edges[1:] + pp.edges[:-1]))) / pp.total
    electrons = 52 * 1e6 / 131.29 * 6.02214076e23
    per_second = electrons * pp.total * K_MAGNETIC * (math.log(1.1) - 1e-6 * mean_inverse)
    efficiency = np.loadtxt(releases / "xenonnt_2022/efficiency.txt").T
    expected = 1e-22 * per_second * 1.16 * 3.15576e7 * np.interp(10.5, *efficiency)
    assert fit.signal.sum() == pytest.approx(expected, rel=0.03)


def test_flavours_add_up_to_the_effective_moment(releases):
    effective, *flavours = (
        spectrum_fit(XENONNT, releases, moment).signal
        for moment in ("effective", "nue", "numu", "nutau")
    )
    np.testing.assert_allclose(sum(flavours), effective, rtol=1e-12)
    assert flavours[2].sum() / flavours[1].sum() == pytest.approx(0.57 / 0.43)


def test_one_flavour_has_a_part_of_the_flux():
    assert flavour_shares("effective", 0.6) == {"nue": 1.0, "numu": 1.0}
    assert flavour_shares("nue", 0.6) == {"nue": 1.0, "numu": 0.0}
    assert flavour_shares("nutau", 0.6) == {"nue": 0.0, "numu": 0.6}


def test_electrons_of_an_inner_shell_take_no_part_below_its_binding_energy():
    flux = load_source({"source": "solar", "components": ("be7",), "survival": 1.0})
    below, above = (
        magnetic_spectrum(flux, "xenon", np.array([T, T + 0.01]))[12][0] * T for T in (4.7, 5.6)
    )
    assert above / below == pytest.approx(52 / 44, rel=2e-3)


def test_fit_finds_a_signal_that_is_there(toy):
    assert toy.best() == pytest.approx(0.3, abs=1e-4)
    assert toy.delta(toy.best()) == pytest.approx(0.0, abs=1e-9)


def test_profile_over_the_background_equals_a_fit_of_both(toy):
    fit = toy._replace(background_syst=0.05)

    def deviance(x):
        expected = x[0] * fit.background + 0.8 * fit.signal
        constraint = ((x[0] - 1.0) / 0.05) ** 2
        return 2.0 * np.sum(expected - fit.counts * np.log(expected)) + constraint

    both = minimize(deviance, [1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    assert fit.deviance(0.8) == pytest.approx(both.fun, abs=1e-7)


def test_limit_lies_on_the_one_sided_threshold(toy):
    assert toy.delta(toy.upper(0.90)) == pytest.approx(1.642, abs=1e-3)
    assert toy.upper(0.99) > toy.upper(0.90) > toy.best()


def test_constrained_background_gives_a_stronger_limit(toy):
    free = toy._replace(counts=toy.background)
    assert free._replace(background_syst=0.01).upper(0.90) < free.upper(0.90)


def test_deficit_is_a_fit_without_signal(toy):
    fit = toy._replace(counts=np.round(toy.background - 0.1 * toy.signal))
    assert fit.best() == 0.0
    assert fit.upper(0.90) > 0.0


def test_gaussian_limit_below_zero_stays_positive_and_shrinks():
    limits = [gaussian_limit(estimate, 1.0, 0.90)[0] for estimate in (1.0, 0.0, -1.0, -5.0)]
    assert limits == pytest.approx([2.2816, 1.2816, 0.6255, 0.1616], abs=1e-4)


def test_on_off_limit_falls_with_the_fourth_root_of_the_live_time():
    row = EXPERIMENTS["gemma"]
    hours = {key: 16.0 * row.inputs[key] for key in ("hours_on", "hours_off")}
    longer = replace(row, inputs={**row.inputs, **hours})
    ratio = on_off(row, 0.90).observed / on_off(longer, 0.90).observed
    assert ratio == pytest.approx(2.0, rel=1e-9)


@pytest.mark.parametrize("content", ["", "1 2 3\n4 5 6\n", "1 nan\n2 3\n", "a b\n"])
def test_file_that_is_no_table_of_the_release_is_refused(tmp_path, content):
    (tmp_path / "bkg_model.txt").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"bkg_model\.txt: (not a )?table of"):
        read_xenonnt(tmp_path, 1.0, (1.0, 30.0))


def test_release_without_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"bkg_model\.txt: not a table of the release"):
        read_xenonnt(tmp_path, 1.0, (1.0, 30.0))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("counts = [0, ", "counts = [", r"inputs\.spectrum\.counts: 19 values for 20 bins"),
        ("[[0.5, 0.009], ", "[[0.5], ", r"inputs\.spectrum\.efficiency = .*; expected pairs"),
        ('"pp", ', "3, ", r"inputs\.flux\.components = 3; expected a text"),
        ('source = "solar"', 'source = "moon"', r"inputs\.flux = .*; expected the name of a table"),
        ('efficiency_of = "true"', 'efficiency_of = "x"', "efficiency_of = 'x'; expected one of"),
        ("resolution = [0.323, 0.0]", "resolution = 0.3", "resolution = 0.3; expected a list"),
    ],
)
def test_faulty_spectrum_is_refused_by_file_and_key(tmp_path, old, new, message):
    row = (Path(analysis.experiments.__file__).parent / "lz.toml").read_text(encoding="utf-8")
    assert old in row
    (tmp_path / "edited.toml").write_text(row.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"edited\.toml.*{message}"):
        load_experiments(tmp_path)
