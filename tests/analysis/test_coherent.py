"""Coherent scattering at stopped pions: events, response, and the limit of the COHERENT release."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from analysis.experiments import EXPERIMENTS, combine, recompute
from analysis.experiments.coherent import coherent_spectrum
from fileset import InputError
from fileset.releases import read_coherent
from processors.kernels import cevns_dsigma_dT, magnetic_nucleus_dsigma_dT

ROW = EXPERIMENTS["coherent"]


def changed(**inputs):
    return replace(ROW, inputs={**ROW.inputs, **inputs})


@pytest.fixture(scope="module")
def releases(shared):
    return shared / "data/limits"


@pytest.fixture(scope="module")
def found(releases):
    return coherent_spectrum(ROW, releases)


def test_release_holds_the_events_with_and_without_beam(releases, found):
    release = read_coherent(releases / "coherent_csi_2020")
    assert (len(release.coincident), len(release.anticoincident)) == (5142, 4890)
    assert (found.observed.sum(), found.steady.sum()) == (1567, 1291)
    assert release.efficiency == pytest.approx([1.32045, 0.285979, 10.8646, -0.333322])


def test_events_of_the_standard_model_are_the_published_ones(found):
    assert found.weak.sum() == pytest.approx(341.0, rel=0.03)
    assert found.beam_neutrons.sum() == pytest.approx(18.4, rel=0.01)
    assert found.neutrino_neutrons.sum() == pytest.approx(5.6, rel=0.01)


@pytest.mark.parametrize("kind", ["weak", "magnetic"])
def test_all_recoils_together_are_the_integral_of_the_cross_section(releases, tmp_path, kind):
    # All light is found: no efficiency, all bins, prompt nu_mu alone; from the first recoil bin on.
    folder = tmp_path / "coherent_csi_2020"
    folder.mkdir()
    for file in (releases / "coherent_csi_2020").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "effCoefficients.txt").write_text("0 1 0 1\n0 1 0 1\n", encoding="utf-8")
    acceptance = {"nue": 1e-12, "numu": 1.0, "numubar": 1e-12}
    row = changed(light=(0.0, 200.0), acceptance=acceptance)
    E_nu, passing = 29.79e-3, 0.0848 / (4.0 * math.pi * 1930.0**2)
    nuclei = 14.6e3 / 259.81 * 6.02214076e23

    def sigma(Z, N):
        def weak(T):
            return float(cevns_dsigma_dT(T, E_nu, Z, N, 0.2387))

        def magnetic(T):
            return float(magnetic_nucleus_dsigma_dT(T, E_nu, Z, N, 1.0))

        return quad({"weak": weak, "magnetic": magnetic}[kind], 0.1877e-6, 50e-6, limit=200)[0]

    expected = nuclei * passing * 3.198e23 * (sigma(55, 78) + sigma(53, 74))
    events = getattr(coherent_spectrum(row, tmp_path), kind).sum()
    assert events == pytest.approx(expected, rel=0.03)


def test_flavours_share_the_magnetic_events(releases):
    parts = {
        moment: coherent_spectrum(changed(moment=moment), releases).magnetic
        for moment in ("nue", "numu", "effective")
    }
    np.testing.assert_allclose(parts["nue"] + parts["numu"], parts["effective"], rtol=1e-12)
    assert parts["numu"].sum() > 2.0 * parts["nue"].sum()


def test_limit_grows_with_the_uncertainty_of_coherent_scattering(releases):
    limits = [
        recompute(changed(normalisation_syst=syst), releases=releases).observed
        for syst in (0.03, 0.127, 0.3)
    ]
    assert limits == sorted(limits)


def test_combination_with_a_beam_shares_the_flavour(releases):
    both = combine(["coherent", "lsnd"], releases=releases)
    assert both.alone["coherent"] == pytest.approx(recompute("coherent").observed, rel=1e-6)
    assert both.observed < 1.01 * both.alone["lsnd"]


def test_release_without_its_files_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"dataBeamOnC\.txt: not a table of the release"):
        read_coherent(tmp_path)
