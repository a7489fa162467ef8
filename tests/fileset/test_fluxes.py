"""Flux tables against the files they were made from, published totals, and decay kinematics."""

import dataclasses
import math

import numpy as np
import pytest
import uproot

from analysis.rates import Hypothesis, expected_rate
from fileset import fluxes
from fileset.fluxes import (
    FLAVOURS,
    Flux,
    Line,
    Spectrum,
    add_fluxes,
    available_fluxes,
    load_flux,
)
from fileset.fluxes.sources import (
    ENERGY_PER_FISSION,
    M_MUON,
    SOLAR_COMPONENTS,
    reactor_flux,
    solar_flux,
    stopped_pion_flux,
)
from fileset.targets import Target

FUEL = {"u235": 0.58, "u238": 0.07, "pu239": 0.30, "pu241": 0.05}

# Neutrinos per cm^2 and unit of exposure by flavour. NOvA, 7Be and the solar totals: as published.
# Others: sums of the files of origin, which `test_table_agrees_with_its_file` repeats.
TOTALS = {
    "nova_nd_fhc": {"numu": 1.185e-8, "numubar": 1.00e-9, "nue": 1.60e-10, "nuebar": 2.77e-11},
    "nova_nd_rhc": {"numu": 1.123e-9, "numubar": 9.625e-9, "nue": 3.47e-11, "nuebar": 1.105e-10},
    "numi_le_fhc": {"numu": 2.859e-8, "numubar": 3.254e-9, "nue": 4.235e-10, "nuebar": 5.503e-11},
    "numi_le_rhc": {"numu": 5.066e-9, "numubar": 2.312e-8, "nue": 8.536e-11, "nuebar": 3.272e-10},
    "numi_me_fhc": {"numu": 6.739e-8, "numubar": 2.363e-9, "nue": 6.457e-10, "nuebar": 3.644e-11},
    "numi_me_rhc": {"numu": 3.236e-9, "numubar": 5.130e-8, "nue": 4.884e-11, "nuebar": 4.864e-10},
    "numi_me_fhc_constrained": {"numu": 6.256e-8},
    "bnb_miniboone_fhc": {
        "numu": 5.194e-10,
        "numubar": 3.260e-11,
        "nue": 2.869e-12,
        "nuebar": 2.998e-13,
    },
    "bnb_miniboone_rhc": {
        "numu": 5.423e-11,
        "numubar": 2.928e-10,
        "nue": 6.707e-13,
        "nuebar": 1.266e-12,
    },
    "bnb_sbnd_fhc": {"numu": 1.549e-8, "numubar": 9.918e-10, "nue": 9.275e-11, "nuebar": 8.710e-12},
    "dune_nd_fhc": {"numu": 1.049e-7, "numubar": 7.775e-9, "nue": 1.087e-9, "nuebar": 2.375e-10},
    "dune_nd_rhc": {"numu": 9.276e-9, "numubar": 9.442e-8, "nue": 2.980e-10, "nuebar": 8.969e-10},
    "bnl_wide_band": {"numu": 1.0},
    "charm2_fhc": {"numu": 7.402e-8, "numubar": 4.829e-9},
    "charm2_rhc": {"numu": 6.415e-9, "numubar": 4.950e-8},
    "fpf_flare10": {"numu": 1.7265e10, "numubar": 1.3456e10, "nutau": 7.997e7, "nutaubar": 8.020e7},
    "fpf_fasernu2": {"numu": 2.538e10, "numubar": 1.863e10, "nutau": 8.590e7, "nutaubar": 8.604e7},
    "reactor_u235": {"nuebar": 5.718},
    "reactor_u238": {"nuebar": 6.783},
    "reactor_pu239": {"nuebar": 5.111},
    "reactor_pu241": {"nuebar": 5.906},
    "reactor_u238_capture": {"nuebar": 2.0},
    "solar_pp": {"nue": 5.98e10},
    "solar_be7": {"nue": 4.93e9},
    "solar_pep": {"nue": 1.44e8},
    "solar_b8": {"nue": 5.46e6},
    "solar_hep": {"nue": 7.98e3},
    "solar_n13": {"nue": 2.78e8},
    "solar_o15": {"nue": 2.05e8},
    "solar_f17": {"nue": 5.29e6},
}


# Recoil windows [GeV] of beams (NOvA, MiniBooNE, MINERvA ...) and of low-energy sources.
BEAM_WINDOWS = [(0.03, math.inf), (0.1, 0.3), (0.3, 0.9), (0.14, 1.0), (0.5, 5.0), (0.8, math.inf)]
SOLAR_WINDOWS = [(1e-6, math.inf), (3e-6, 5e-5), (5e-5, 3e-4), (1.9e-4, math.inf)]


def spectrum_of(edges, flux, uncertainty=None, lines=()):
    return Spectrum(np.asarray(edges, float), np.asarray(flux, float), uncertainty, lines)


@pytest.fixture
def write_table(tmp_path, monkeypatch):
    """Function that writes a table, with some text replaced, and loads it."""
    monkeypatch.setattr(fluxes, "_FOLDER", tmp_path)
    text = (
        'title = "t"\nsource = "s"\nuncertainty = "none"\nenergy_unit = "MeV"\n'
        'flux_unit = "neutrinos / m^2 / POT, integrated over the bin"\n'
        "edges = [1, 2, 4]\n[spectra.numu]\nflux = [1, 3]\nlines = [[5, 7]]\n"
    )

    def load(old="", new=""):
        assert old in text
        (tmp_path / "toy.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
        return load_flux("toy")

    return load


def test_every_table_has_an_independent_total():
    assert sorted(TOTALS) == available_fluxes()


@pytest.mark.parametrize("name", TOTALS)
def test_totals_match_the_published_ones(name):
    flux = load_flux(name)
    assert flux.source
    assert flux.uncertainty
    for flavour, total in TOTALS[name].items():
        assert flux.spectra[FLAVOURS[flavour]].total == pytest.approx(total, rel=5e-3, abs=0.0)


def test_nova_mean_energies_and_uncertainties_match_the_release():
    flux = load_flux("nova_nd_fhc")
    for flavour, mean in {"numu": 2.59, "numubar": 2.67, "nue": 4.38, "nuebar": 5.09}.items():
        spectrum = flux.spectra[FLAVOURS[flavour]]
        middle = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
        assert np.average(middle, weights=spectrum.flux) == pytest.approx(mean, abs=0.01)
    for flavour, correlated in {"numu": 0.098, "nue": 0.102}.items():
        spectrum = flux.spectra[FLAVOURS[flavour]]
        average = np.average(spectrum.fractional_uncertainty, weights=spectrum.flux)
        assert average == pytest.approx(correlated, abs=1e-3)


def assert_same_spectrum(spectrum, edges, flux, windows=BEAM_WINDOWS):
    """Same number of neutrinos, and event rates that differ by less than 1e-3."""
    assert spectrum.total == pytest.approx(flux.sum(), rel=1e-4, abs=0.0)
    original = dataclasses.replace(spectrum, edges=edges, flux=np.asarray(flux), lines=())
    for window in windows:
        for mine, theirs in zip(*(rates(s, window) for s in (spectrum, original)), strict=True):
            assert mine == pytest.approx(theirs, rel=1e-3, abs=0.0), window


def rates(spectrum, window):
    # The mixture of couplings of nu_e: both terms of the cross-section count.
    flux = Flux("one", "one", "none", "", {12: spectrum})
    target, moment = Target("water", 1.0), Hypothesis(mu_nu=1e-9)
    rate = expected_rate(flux, target, window, moment, exposure=1.0)
    return rate.sm_total, rate.magnetic_total


def histogram(path, name):
    contents, edges = uproot.open(path)[name].to_numpy()
    numbers = contents * np.diff(edges)
    real = np.diff(edges) > 0.0  # a digitised histogram may repeat an edge
    return np.append(edges[:-1][real], edges[-1]), numbers[real]


def straight_lines(energy, density, parts=8):
    """Bins of a spectrum given by points: every piece of a straight line is cut in parts."""
    edges = np.interp(np.arange((len(energy) - 1) * parts + 1) / parts, range(len(energy)), energy)
    middle = 0.5 * (edges[1:] + edges[:-1])
    return edges, np.interp(middle, energy, density) * np.diff(edges)


class TestAgainstFiles:
    @pytest.mark.parametrize(("mode", "flavour"), [("FHC", "numu"), ("RHC", "nue")])
    def test_minerva_release_in_the_low_energy_beam(self, shared, mode, flavour):
        path = shared / f"data/fluxes/numi_minerva/{flavour}{mode}.txt"
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        flux = np.array(rows[0], float) * 1e-4
        covariance = np.array(rows[2:], float) * 1e-8
        spectrum = load_flux(f"numi_le_{mode.lower()}").spectra[FLAVOURS[flavour]]
        assert_same_spectrum(spectrum, np.linspace(0.0, 100.0, 201), flux)
        first = np.sqrt(np.diag(covariance))[:40] / flux[:40]
        np.testing.assert_allclose(spectrum.fractional_uncertainty[:40], first, rtol=1e-3)
        merged = slice(40, 44)  # 20-22 GeV, the first merged bin
        error = math.sqrt(covariance[merged, merged].sum()) / flux[merged].sum()
        assert spectrum.fractional_uncertainty[40] == pytest.approx(error, rel=1e-3, abs=0.0)

    def test_files_of_the_minerva_release_are_the_low_energy_beam(self, shared):
        release = load_flux("numi_le_fhc").spectra[14]
        path = shared / "data/fluxes/numi_minerva/NUMI_FHC_LE.dat"
        energy, _, numu = np.loadtxt(path, usecols=(0, 1, 2)).T
        density = release.flux / np.diff(release.edges)
        # The other tabulation repeats the release between 1 and 20 GeV.
        inside = (energy > 1.0) & (energy < 20.0)
        mine = density[np.searchsorted(release.edges, energy[inside]) - 1]
        np.testing.assert_allclose(mine, numu[inside], rtol=2e-4)

    @pytest.mark.parametrize("mode", ["FHC", "RHC"])
    def test_darknews_table_of_the_medium_energy_beam(self, shared, mode):
        table = np.loadtxt(shared / f"data/fluxes/numi_minerva/NUMI_{mode}_ME.dat").T
        flux = load_flux(f"numi_me_{mode.lower()}")
        for pdg, column in {12: 1, 14: 2, -12: 4, -14: 5}.items():
            assert_same_spectrum(flux.spectra[pdg], *straight_lines(table[0], table[column]))

    def test_medium_energy_table_agrees_with_the_unconstrained_release(self, shared):
        path = shared / "data/fluxes/numi_minerva/MINERvA_ME_Flux_No_Constraint.root"
        edges, flux = histogram(path, "reweightedflux_rebinned_CV_WithStatErr")
        inside = (edges[:-1] >= 1.0) & (edges[1:] <= 19.0)
        released = 1e-4 * flux[inside].sum()
        spectrum = load_flux("numi_me_fhc").spectra[14]
        mine = spectrum.flux[spectrum.edges[1:] <= 19.0].sum()
        assert mine == pytest.approx(released, rel=1e-2, abs=0.0)

    def test_constrained_medium_energy_flux(self, shared):
        name = "MINERvA_ME_NuMu_Flux_Nuclear_Targets_Constrained.root"
        file = uproot.open(shared / "data/fluxes/numi_minerva" / name)
        contents, edges = file["flux_ch"].to_numpy()
        spectrum = load_flux("numi_me_fhc_constrained").spectra[14]
        assert_same_spectrum(spectrum, edges, 1e-4 * contents * np.diff(edges))
        published = file["flux_ch"].errors() / contents
        np.testing.assert_allclose(spectrum.fractional_uncertainty, published, rtol=1e-3)

    @pytest.mark.parametrize(("file", "mode"), [("pospolarity", "fhc"), ("negpolarity", "rhc")])
    def test_miniboone_release(self, shared, file, mode):
        table = np.loadtxt(shared / f"data/fluxes/bnb/{file}_fluxes.dat", skiprows=9).T
        edges = np.append(table[0], table[1, -1])
        flux = load_flux(f"bnb_miniboone_{mode}")
        for pdg, column in {14: 2, -14: 3, 12: 4, -12: 5}.items():
            assert_same_spectrum(flux.spectra[pdg], edges, table[column])

    def test_sbnd_digitisation(self, shared):
        table = np.loadtxt(shared / "data/fluxes/bnb/sbnd_fhc.dat").T
        flux = load_flux("bnb_sbnd_fhc")
        for pdg, column in {12: 1, 14: 2, -12: 4, -14: 5}.items():
            assert_same_spectrum(flux.spectra[pdg], *straight_lines(table[0], table[column]))

    @pytest.mark.parametrize("mode", ["FHC", "RHC"])
    def test_charm2_digitisation(self, shared, mode):
        path = shared / f"data/fluxes/charm2_nutev_t2k/CHARMII_{mode}.dat"
        energy, *columns = np.loadtxt(path).T[:, 1:]  # the first point is no energy
        flux = load_flux(f"charm2_{mode.lower()}")
        windows = [(3.0, 24.0), (3.0, math.inf)]
        for pdg, column in {14: 1, -14: 4}.items():
            edges, numbers = straight_lines(energy, 1e-4 * columns[column])
            assert_same_spectrum(flux.spectra[pdg], edges, numbers, windows)

    @pytest.mark.parametrize(("file", "mode"), [("neutrino", "fhc"), ("antineutrino", "rhc")])
    def test_dune_release(self, shared, file, mode):
        table = np.loadtxt(shared / f"data/fluxes/dune_nd/flux_dune_{file}_ND_globes.txt").T
        edges = 0.25 * np.arange(table.shape[1] + 1)
        flux = load_flux(f"dune_nd_{mode}")
        for pdg, column in {12: 1, 14: 2, -12: 4, -14: 5}.items():
            assert_same_spectrum(flux.spectra[pdg], edges, 1e-4 * 0.25 * table[column])

    @pytest.mark.parametrize(
        ("file", "name", "area", "column_density"),
        [("FLARE", "fpf_flare10", 1e4, 700 * 1.40), ("FASERv2", "fpf_fasernu2", 2500, 200 * 19.3)],
    )
    def test_forward_physics_fluxes(self, shared, file, name, area, column_density):
        flux = load_flux(name)
        assert flux.exposure_unit == "total"
        for pdg, spectrum in flux.spectra.items():
            energy, number = np.loadtxt(shared / f"data/fluxes/fpf/{file}_{pdg}.txt").T
            middle = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
            np.testing.assert_allclose(middle, energy, rtol=1e-5)
            np.testing.assert_allclose(spectrum.flux, number / area, rtol=1e-4)
        # Length and material, from the charged-current events in the detector: 0.7e-38 cm^2/GeV.
        energy, events = np.loadtxt(shared / f"data/fluxes/fpf/{file}_CCint_14.txt").T
        number = np.loadtxt(shared / f"data/fluxes/fpf/{file}_14.txt")[:, 1]
        sigma = (events / number / energy)[5:15] / (6.022e23 * column_density)
        np.testing.assert_allclose(sigma, 0.68e-38, rtol=0.1)

    def test_two_digitisations_of_the_brookhaven_beam_agree_within_a_tenth(self, shared):
        flux = load_flux("bnl_wide_band")
        assert flux.exposure_unit == "shape"
        folder = shared / "data/fluxes/e734_bnl"
        spectrum = flux.spectra[14]
        edges, numbers = histogram(folder / "BNL_1986_flux-ALTERNATIVE.root", "numu_flux")
        assert_same_spectrum(spectrum, edges, numbers)
        edges, numbers = histogram(folder / "BNL_NuInt02_rescan.root", "numu_flux")
        other = np.interp([1.0, 2.0], edges[1:], np.cumsum(numbers))
        mine = np.interp([1.0, 2.0], spectrum.edges[1:], np.cumsum(spectrum.flux))
        np.testing.assert_allclose(mine, other, rtol=0.0, atol=0.1)

    @pytest.mark.parametrize(
        ("component", "file"),
        [
            ("pp", "pp_neutrino"),
            ("b8", "B8_neutrino_flux"),
            ("hep", "hep_neutrino"),
            ("n13", "N13_neutrino"),
            ("o15", "15O_neutrino"),
            ("f17", "17F_neutrino"),
        ],
    )
    def test_solar_shapes(self, shared, component, file):
        table = np.loadtxt(shared / f"data/fluxes/solar/{file}.txt", usecols=(0, 1))
        energy, density = np.vstack([[0.0, 0.0], table]).T
        spectrum = load_flux(f"solar_{component}").spectra[12]
        shape = dataclasses.replace(spectrum, flux=spectrum.flux / spectrum.total)
        edges, numbers = straight_lines(1e-3 * energy, 1e3 * density)
        assert_same_spectrum(shape, edges, numbers, SOLAR_WINDOWS)

    @pytest.mark.parametrize("isotope", ["u235", "pu239", "pu241", "u238"])
    def test_reactor_spectra(self, shared, isotope):
        folder = shared / "data/fluxes"
        low_file = f"spectraMeV{isotope.capitalize()}.txt"
        low = np.loadtxt(folder / "reactor_lowE" / low_file)
        model = "mueller" if isotope == "u238" else "huber"
        high = np.loadtxt(folder / f"reactor/{model}_{isotope}.txt", delimiter=",")
        high = high[(high[:, 0] >= 2.0) & (high[:, 0] <= 8.0)]
        spectrum = load_flux(f"reactor_{isotope}").spectra[-12]
        edges = 1e3 * spectrum.edges
        density = spectrum.flux / np.diff(edges)
        np.testing.assert_allclose(density[-25:], high[:, 1], rtol=1e-4)
        np.testing.assert_allclose(0.5 * (edges[1:] + edges[:-1])[-25:], high[:, 0])
        below = low[low[:, 0] <= 1.5].T
        assert spectrum.flux[:9].sum() == pytest.approx(
            np.trapezoid(below[1], below[0]), rel=1e-4, abs=0.0
        )
        # The low-energy table and the newer models join at 2 MeV.
        assert high[0, 1] == pytest.approx(np.interp(2.0, *low.T), rel=0.05, abs=0.0)

    def test_stopped_pion_spectra_agree_with_a_table(self, shared):
        energy, nue, numu, _, _, numubar, _ = np.loadtxt(shared / "data/fluxes/dar/stpi.dat").T
        flux = stopped_pion_flux(1.0, 1.0)
        inside = energy < 0.051
        (line,) = flux.spectra[14].lines
        assert abs(energy[numu.argmax()] - line.energy) < 3e-4  # half a bin
        # Relative to the line: the table and the formula have one nu_mu per nu_e.
        for pdg, table in {12: nue, -14: numubar}.items():
            spectrum = flux.spectra[pdg]
            middle = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
            density = spectrum.flux / np.diff(spectrum.edges) / line.flux
            theirs = table / numu.sum() / (energy[1] - energy[0])
            mine = np.interp(energy[inside], middle, density)
            np.testing.assert_allclose(mine, theirs[inside], rtol=0.0, atol=5e-3 * theirs.max())

    def test_table_of_coherent_fits_ends_at_52_mev_instead_of_half_the_muon_mass(self, shared):
        energy, density = np.loadtxt(shared / "data/fluxes/dar/SNS_nuE.dat").T
        x = energy / 52.0
        np.testing.assert_allclose(density, 12.0 * x**2 * (1.0 - x) / 52.0, rtol=1e-9, atol=1e-12)


class TestSources:
    def test_muon_decay_spectra_have_the_means_of_the_michel_distribution(self):
        flux = stopped_pion_flux(1.0, 1.0)
        sphere = 4.0 * math.pi * 100.0**2
        # Mean energies 3/10 and 7/20 of the muon mass.
        for pdg, mean in {12: 0.30, -14: 0.35}.items():
            spectrum = flux.spectra[pdg]
            middle = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
            assert spectrum.total == pytest.approx(1.0 / sphere, rel=1e-12, abs=0.0)
            average = np.average(middle, weights=spectrum.flux)
            assert average == pytest.approx(mean * M_MUON, rel=1e-5, abs=0.0)

    def test_pion_decay_gives_a_line_at_29_79_mev(self):
        spectrum = stopped_pion_flux(0.1, 20.0).spectra[14]
        (line,) = spectrum.lines
        assert line.energy == pytest.approx(29.79e-3, abs=5e-6)

    def test_spallation_source_flux_is_that_of_coherent(self):
        # 4.3e7 / cm^2 / s of all flavours at 20 m (arXiv:1803.09183), for 1.4 MW at 1 GeV.
        protons = 1.4e6 / (1e9 * 1.602e-19)
        flux = stopped_pion_flux(0.08, 20.0)
        total = protons * sum(spectrum.total for spectrum in flux.spectra.values())
        assert total == pytest.approx(4.3e7, rel=0.05, abs=0.0)

    @pytest.mark.parametrize(
        ("power", "distance", "published"),
        [pytest.param(3.0, 13.9, 2.7e13, id="GEMMA"), pytest.param(2.9, 28.0, 6.4e12, id="TEXONO")],
    )
    def test_reactor_flux_matches_experiments(self, power, distance, published):
        # 5 % below both: the table under 2 MeV adds up to less than theirs.
        spectrum = reactor_flux(power, distance, FUEL).spectra[-12]
        assert spectrum.total == pytest.approx(published, rel=0.06, abs=0.0)

    def test_reactor_flux_is_power_over_heat_times_neutrinos_per_fission(self):
        flux = reactor_flux(1.0, 10.0, {"u235": 1.0}, captures_per_fission=0.0)
        fissions = 1e9 / (ENERGY_PER_FISSION["u235"] * 1.602176634e-13)
        alone = load_flux("reactor_u235").spectra[-12]
        factor = fissions / (4.0 * math.pi * 1000.0**2)
        assert flux.spectra[-12].total == pytest.approx(alone.total * factor, rel=1e-12, abs=0.0)
        assert flux.exposure_unit == "second"

    def test_nothing_is_extrapolated_beyond_the_reactor_tables(self):
        for isotope in ENERGY_PER_FISSION:
            edges = load_flux(f"reactor_{isotope}").spectra[-12].edges
            assert edges[0] == pytest.approx(7.813e-6)
            assert edges[-1] == pytest.approx(8.125e-3)

    def test_solar_flux_keeps_all_components_and_lines(self):
        spectrum = solar_flux().spectra[12]
        parts = [load_flux(f"solar_{name}").spectra[12] for name in SOLAR_COMPONENTS]
        assert spectrum.total == pytest.approx(
            sum(part.total for part in parts), rel=1e-12, abs=0.0
        )
        energies = sorted(line.energy for line in spectrum.lines)
        assert energies == pytest.approx([0.3843e-3, 0.8619e-3, 1.442e-3])

    def test_solar_luminosity_follows_from_the_total_flux(self):
        # Every four protons release 26.73 MeV and two neutrinos, 8.5e11 MeV / cm^2 / s at Earth.
        total = solar_flux().spectra[12].total
        assert total * 26.73 / 2.0 == pytest.approx(8.5e11, rel=0.04, abs=0.0)

    def test_neutrinos_that_do_not_survive_change_flavour(self):
        flux = solar_flux(["pp", "be7"], survival_probability=lambda E_nu: 0.5 + 1e2 * E_nu)
        whole = solar_flux(["pp", "be7"]).spectra[12]
        for mine, other, full in zip(
            *(f.lines for f in (*flux.spectra.values(), whole)), strict=True
        ):
            assert mine.flux + other.flux == pytest.approx(full.flux)
            assert mine.flux / full.flux == pytest.approx(0.5 + 1e2 * full.energy)
        both = flux.spectra[12].flux + flux.spectra[14].flux
        np.testing.assert_allclose(both, whole.flux, rtol=1e-12)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: reactor_flux(0.0, 10.0, FUEL), "thermal_power = 0.0; expected a positive"),
            (lambda: reactor_flux(1.0, 10.0, {"u236": 1.0}), r"isotopes \['u236'\] do not fission"),
            (lambda: reactor_flux(1.0, 10.0, {"u235": 0.5}), "must be >= 0 and add up to 1"),
            (
                lambda: reactor_flux(1.0, 10.0, FUEL, captures_per_fission=-1),
                "expected a number >=",
            ),
            (lambda: stopped_pion_flux(0.1, math.nan), "distance = nan; expected a positive"),
            (lambda: solar_flux(["cno"]), r"solar components \['cno'\]; known: \('pp'"),
            (lambda: solar_flux([]), "solar components missing"),
            (lambda: solar_flux(survival_probability=1.1), "expected values between 0 and 1"),
        ],
    )
    def test_impossible_sources_are_refused(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


class TestSum:
    def test_sum_adds_densities_on_the_union_of_the_bins(self):
        one = Flux("a", "a", "s", "", {14: spectrum_of([0, 2], [4], np.array([0.1]))})
        two = Flux("b", "b", "s", "", {14: spectrum_of([1, 3], [2], np.array([0.2]))})
        total = add_fluxes("c", [(1.0, one), (10.0, two)], title="c", exposure_unit="POT")
        spectrum = total.spectra[14]
        np.testing.assert_allclose(spectrum.edges, [0, 1, 2, 3])
        np.testing.assert_allclose(spectrum.flux, [2, 12, 10])
        overlap = math.hypot(0.1 * 2, 0.2 * 10) / 12
        np.testing.assert_allclose(spectrum.fractional_uncertainty, [0.1, overlap, 0.2])
        assert total.source == "s"

    def test_sum_has_no_uncertainty_where_a_part_has_none(self):
        one = Flux("a", "a", "s", "", {14: spectrum_of([0, 2], [4], np.array([0.1]))})
        two = Flux("b", "b", "s", "", {14: spectrum_of([1, 3], [2]), 12: spectrum_of([0, 1], [1])})
        total = add_fluxes("c", [(1.0, one), (1.0, two)], title="c", exposure_unit="POT")
        assert total.spectra[14].fractional_uncertainty is None
        assert set(total.spectra) == {12, 14}

    def test_sum_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match="nothing to add"):
            add_fluxes("c", [], title="c", exposure_unit="POT")


class TestLoader:
    def test_units_become_gev_and_cm2(self, write_table):
        flux = write_table()
        spectrum = flux.spectra[14]
        np.testing.assert_allclose(spectrum.edges, [1e-3, 2e-3, 4e-3])
        np.testing.assert_allclose(spectrum.flux, [1e-4, 3e-4])
        assert spectrum.lines == (Line(5e-3, pytest.approx(7e-4)),)
        assert spectrum.fractional_uncertainty is None
        assert spectrum.total == pytest.approx(11e-4)
        assert (flux.exposure_unit, flux.horn_current) == ("POT", "")

    def test_one_uncertainty_stands_for_all_bins_and_lines(self, write_table):
        spectrum = write_table("lines", "fractional_uncertainty = 0.1\nlines").spectra[14]
        np.testing.assert_allclose(spectrum.fractional_uncertainty, [0.1, 0.1])
        assert spectrum.lines[0].fractional_uncertainty == 0.1

    def test_number_through_a_detector_is_divided_by_its_area(self, write_table):
        assert write_table("edges", "area = 50.0\nedges").spectra[14].flux[1] == pytest.approx(6e-6)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('source = "s"\n', "", r"toy.toml: missing or unknown keys \['source'\]"),
            ("lines", "line", r"toy.toml: spectra.numu: missing or unknown keys \['line'\]"),
            ("[1, 3]", "[1, 3, 5]", "3 edges need 2 values of 'flux' .* found 3 and 3"),
            ("[1, 3]", "[1, -3]", "edges must increase, flux and uncertainty must not be negative"),
            ("[1, 2, 4]", "[1, 4, 2]", "edges must increase"),
            ("[[5, 7]]", "[[0, 7]]", "lines need an energy above zero"),
            (
                'energy_unit = "MeV"',
                'energy_unit = "eV"',
                "energy_unit = 'eV'; expected one of GeV, MeV",
            ),
            ("/ POT", "/ pot", "flux_unit = 'neutrinos / m.2 / pot"),
        ],
    )
    def test_wrong_tables_are_refused(self, write_table, old, new, message):
        with pytest.raises(ValueError, match=message):
            write_table(old, new)

    def test_unknown_flux_names_its_neighbours(self):
        with pytest.raises(ValueError, match=r"no flux 'nova_nd' .*closest: nova_nd_"):
            load_flux("nova_nd")
