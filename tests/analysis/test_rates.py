"""Expected rates against independent quadrature, closed forms and published totals."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from scipy.integrate import quad

from analysis.rates import Hypothesis, Rate, expected_rate
from fileset.fluxes import Flux, Line, Spectrum, load_flux
from fileset.fluxes.sources import solar_flux, stopped_pion_flux
from fileset.targets import Target
from processors.kernels import constants, max_recoil_energy, min_neutrino_energy, sm_dsigma_dT
from processors.kernels.charge_radius import charge_radius_dsigma_dT
from processors.kernels.millicharge import millicharge_dsigma_dT

WINDOW = (0.3, 0.9)  # [GeV]
POT = 3.62e20
MU = 1e-9  # [Bohr magneton]
MOMENT = Hypothesis(mu_nu=MU)
S2W = constants.SIN2_THETA_W
TONNE = Target("nova", 1.0)
ONE_ELECTRON = 1.0 / TONNE.electrons  # exposure that leaves the cross-section


def flat_flux(edges, nu_pdg=14):
    """One neutrino per cm^2 and POT in every bin."""
    edges = np.asarray(edges, dtype=float)
    ones = np.ones(len(edges) - 1)
    return Flux("flat", "flat", "none", "FHC", {nu_pdg: Spectrum(edges, ones, 0.1 * ones)})


@pytest.fixture(scope="module")
def nova():
    return load_flux("nova_nd_fhc")


def nova_rate(nova, window, hypothesis=MOMENT):
    return expected_rate(nova, TONNE, window, hypothesis, exposure=POT)


def test_nova_events_per_tonne_match_the_published_flux_and_composition(nova):
    rate = nova_rate(nova, WINDOW)
    assert rate.sm_total == pytest.approx(1.584, abs=5e-4)
    assert rate.magnetic_total == pytest.approx(0.286, abs=5e-4)
    assert rate.sm[14] / rate.sm_total == pytest.approx(0.87, abs=5e-3)
    assert rate.magnetic[14] / rate.magnetic_total == pytest.approx(0.92, abs=5e-3)


@pytest.mark.parametrize(
    ("window", "ratio"),
    [((0.1, 0.3), 0.588), ((0.2, 0.9), 0.220), ((0.3, 0.9), 0.180), ((0.5, 5.0), 0.062)],
)
def test_lower_thresholds_raise_the_magnetic_share(nova, window, ratio):
    rate = nova_rate(nova, window)
    assert rate.magnetic_total / rate.sm_total == pytest.approx(ratio, abs=6e-4)


def adaptive_average(dsigma, window, low, high):
    """Average over a flat spectrum by nested adaptive quadrature, split at the thresholds."""

    def windowed(E_nu):
        end = min(window[1], 2.0 * E_nu**2 / (constants.M_E + 2.0 * E_nu))
        return quad(dsigma, window[0], end, args=(E_nu,))[0]

    thresholds = min_neutrino_energy(window)
    points = np.unique(np.clip([low, *thresholds, high], max(low, thresholds[0]), high))
    pieces = itertools.pairwise(points)
    return sum(quad(windowed, *piece)[0] for piece in pieces) / (high - low)


def test_rare_flavour_agrees_with_adaptive_double_quadrature(nova):
    rate = nova_rate(nova, WINDOW)
    targets = TONNE.electrons * POT
    spectrum = nova.spectra[-12]
    bins = list(itertools.pairwise(spectrum.edges))
    # The quadrature's absolute tolerance needs integrands of order one.
    sm_unit, magnetic_unit = constants.K_SM, constants.K_MAGNETIC * MU**2
    sm = [
        adaptive_average(lambda T, E_nu: sm_dsigma_dT(T, E_nu, -12, S2W) / sm_unit, WINDOW, *ends)
        for ends in bins
    ]
    magnetic = [
        adaptive_average(lambda T, E_nu: 1.0 / T - 1.0 / E_nu, WINDOW, *ends) for ends in bins
    ]
    assert rate.sm[-12] == pytest.approx(
        targets * sm_unit * (spectrum.flux @ sm), rel=1e-9, abs=0.0
    )
    expected = targets * magnetic_unit * (spectrum.flux @ magnetic)
    assert rate.magnetic[-12] == pytest.approx(expected, rel=1e-9, abs=0.0)


def test_flat_flux_average_matches_its_closed_form(shared):
    rate = expected_rate(flat_flux([1.0, 3.0]), TONNE, WINDOW, MOMENT, exposure=ONE_ELECTRON)
    low, high = WINDOW
    # K_mag mu^2 [ln(T2/T1) - (T2 - T1) ln(E2/E1) / (E2 - E1)]
    shape = math.log(high / low) - (high - low) * math.log(3.0) / 2.0
    expected = constants.K_MAGNETIC * MU**2 * shape
    assert rate.magnetic_total == pytest.approx(expected, rel=1e-12, abs=0.0)
    vectors = json.loads((shared / "reference" / "vectors.json").read_text(encoding="utf-8"))
    (vector,) = [v for v in vectors["vectors"] if v["id"] == "sm_fluxavg_flat"]
    assert rate.sm_total == pytest.approx(float(vector["value"]), rel=1e-8, abs=0.0)


@pytest.mark.parametrize(
    ("edges", "window"),
    [
        pytest.param([0.0, 20.0], (0.3, 0.9), id="one wide bin"),
        pytest.param([0.0, 0.01], (3e-6, 1e-5), id="reactor"),
        pytest.param([0.2, 0.31, 0.9001, 1.0], (0.3, 0.9), id="kinks inside bins"),
        pytest.param([0.0, 2e3], (0.3, math.inf), id="open window"),
    ],
)
def test_wide_bins_are_integrated_to_ten_digits(edges, window):
    def window_integral(log_energy):
        E_nu = math.exp(log_energy)
        end = min(window[1], 2.0 * E_nu**2 / (constants.M_E + 2.0 * E_nu))
        return E_nu * (math.log(end / window[0]) - (end - window[0]) / E_nu)

    rate = expected_rate(flat_flux(edges), TONNE, window, MOMENT, exposure=ONE_ELECTRON)
    thresholds = min_neutrino_energy([end for end in window if end < math.inf])
    expected = 0.0
    for low, high in itertools.pairwise(edges):
        points = np.unique(np.clip([low, *thresholds, high], max(low, thresholds[0]), high))
        for piece in itertools.pairwise(np.log(points)):
            expected += quad(window_integral, *piece, epsrel=1e-12)[0] / (high - low)
    expected *= constants.K_MAGNETIC * MU**2
    assert rate.magnetic_total == pytest.approx(expected, rel=1e-10, abs=0.0)


def test_total_without_threshold_follows_the_linear_growth_of_the_cross_section():
    rate = expected_rate(flat_flux([0.0, 10.0]), TONNE, (0.0, math.inf), exposure=ONE_ELECTRON)
    assert rate.sm_total == pytest.approx(1.552e-42 * 5.0, rel=1e-3, abs=0.0)
    assert rate.magnetic_total == 0.0


def test_flux_below_threshold_gives_no_events():
    rate = expected_rate(flat_flux([0.0, 0.3]), TONNE, WINDOW, MOMENT, exposure=1.0)
    assert (rate.sm_total, rate.magnetic_total) == (0.0, 0.0)


def test_events_scale_with_exposure_and_with_the_square_of_the_moment(nova):
    one = expected_rate(nova, Target("water", 1.0), WINDOW, MOMENT, exposure=1e20)
    twice = Hypothesis(mu_nu=2.0 * MU)
    other = expected_rate(nova, Target("water", 2.0), WINDOW, twice, exposure=3e20)
    assert other.sm_total == pytest.approx(6.0 * one.sm_total)
    assert other.magnetic_total == pytest.approx(24.0 * one.magnetic_total)


def test_totals_are_sums_over_flavours_and_processes():
    rate = Rate({14: 1.0, -14: 0.5}, {14: 0.25, -14: 0.125}, {14: -0.5}, {14: -0.25})
    assert (rate.sm_total, rate.magnetic_total) == (1.5, 0.375)
    assert (rate.charge_radius_total, rate.millicharge_total) == (-0.5, -0.25)
    assert rate.total == 1.125


def adaptive_rate(dsigma, spectrum, window, nu_pdg, value):
    """Difference to the Standard Model [1e-45 cm^2] by nested adaptive quadrature."""

    def difference(logarithm, E_nu):
        T = math.exp(logarithm)
        extra = dsigma(T, E_nu, nu_pdg, S2W, value) - sm_dsigma_dT(T, E_nu, nu_pdg, S2W)
        return 1e45 * T * extra

    def windowed(E_nu):
        end = min(window[1], float(max_recoil_energy(E_nu)))
        return quad(difference, math.log(window[0]), math.log(end), args=(E_nu,), epsrel=1e-11)[0]

    thresholds = min_neutrino_energy([end for end in window if end < math.inf])
    total = 0.0
    for (low, high), flux in zip(itertools.pairwise(spectrum.edges), spectrum.flux, strict=True):
        points = np.unique(np.clip([low, *thresholds, high], max(low, thresholds[0]), high))
        pieces = [quad(windowed, *piece, epsrel=1e-9)[0] for piece in itertools.pairwise(points)]
        total += flux * sum(pieces) / (high - low)
    return total


@pytest.mark.parametrize(
    ("edges", "window"),
    [
        pytest.param([0.5, 1.0, 4.0], (0.3, 0.9), id="NOvA"),
        pytest.param([0.5, 30.0], (1e-3, math.inf), id="four decades"),
        pytest.param([1e-3, 4e-3, 8e-3], (3e-6, 1e-3), id="reactor"),
    ],
)
@pytest.mark.parametrize("nu_pdg", [12, 14, -14])
@pytest.mark.parametrize("name", ["charge_radius2", "millicharge"])
def test_charge_and_radius_agree_with_adaptive_double_quadrature(edges, window, nu_pdg, name):
    dsigma = {"charge_radius2": charge_radius_dsigma_dT, "millicharge": millicharge_dsigma_dT}[name]
    # Sizes at which new and Standard Model amplitudes are comparable.
    value = {"charge_radius2": 2e-32, "millicharge": -1e-6 * window[0]}[name]
    flux = flat_flux(edges, nu_pdg)
    rate = expected_rate(flux, TONNE, window, Hypothesis(**{name: value}), exposure=ONE_ELECTRON)
    got = {"charge_radius2": rate.charge_radius, "millicharge": rate.millicharge}[name]
    expected = adaptive_rate(dsigma, flux.spectra[nu_pdg], window, nu_pdg, value)
    assert 1e45 * got[nu_pdg] == pytest.approx(expected, rel=1e-7, abs=0.0)


def test_charge_radius_of_a_flavour_equals_a_shift_of_the_weak_mixing_angle(nova):
    # gL and gR each move by sqrt(2) pi alpha / (6 G_F) <r^2>: 0.011898 per 1e-32 cm^2.
    radius = nova_rate(nova, WINDOW, Hypothesis(charge_radius2={14: 1e-32}))
    shifted = nova_rate(nova, WINDOW, Hypothesis(sin2_theta_w=S2W + 0.011898))
    total = radius.sm[14] + radius.charge_radius[14]
    assert total == pytest.approx(shifted.sm[14], rel=1e-4, abs=0.0)
    assert radius.charge_radius[12] == 0.0


def test_properties_per_flavour_touch_their_flavour_alone(nova):
    both = nova_rate(nova, WINDOW)
    muon = nova_rate(nova, WINDOW, Hypothesis(mu_nu={14: MU}))
    assert muon.magnetic == {12: 0.0, -12: 0.0, 14: both.magnetic[14], -14: both.magnetic[-14]}
    assert muon.sm == both.sm
    neutrino = nova_rate(nova, WINDOW, Hypothesis(mu_nu={14: MU, -14: 0.0}))
    assert neutrino.magnetic_total == both.magnetic[14]


def test_line_gives_the_window_cross_section_exactly():
    nothing = np.empty(0)
    line = Spectrum(nothing, nothing, None, (Line(8.62e-4, 2.0), Line(1e-9, 5.0)))
    flux = Flux("line", "line", "none", "", {12: line}, "second")
    rate = expected_rate(flux, TONNE, (3e-4, 5e-4), MOMENT, exposure=ONE_ELECTRON)
    sm, _ = quad(lambda T: 1e45 * sm_dsigma_dT(T, 8.62e-4, 12, S2W), 3e-4, 5e-4)
    assert 1e45 * rate.sm_total == pytest.approx(2.0 * sm, rel=1e-10, abs=0.0)
    magnetic = math.log(5.0 / 3.0) - 2e-4 / 8.62e-4
    expected = 2.0 * constants.K_MAGNETIC * MU**2 * magnetic
    assert rate.magnetic_total == pytest.approx(expected, rel=1e-10, abs=0.0)


@pytest.mark.parametrize(
    ("flux", "target", "window", "exposure", "sm", "magnetic", "tolerance"),
    [
        ("bnb_miniboone_fhc", Target("mineral_oil", 445.0), (0.14, 1.0), 6.46e20, 45.0, 10.7, 2e-3),
        ("dune_nd_fhc", Target("argon", 67.0), (0.03, math.inf), 3.85e21, 3.6e4, 6.4e3, 2e-2),
        # The share of the moment is quoted as 3.4 %.
        ("numi_me_fhc", Target("polystyrene", 5.5), (0.8, math.inf), 1.16e21, 1122, 38.1, 2e-2),
        # 222 and 73 events are in circulation for this row; a direct sum over the digitised points
        # with the closed forms gives these.
        ("bnb_sbnd_fhc", Target("argon", 112.0), (0.03, math.inf), 1e21, 540.3, 255.4, 1e-3),
    ],
)
def test_beam_event_counts_match_independent_ones(
    flux, target, window, exposure, sm, magnetic, tolerance
):
    rate = expected_rate(load_flux(flux), target, window, MOMENT, exposure=exposure)
    assert rate.sm_total == pytest.approx(sm, rel=tolerance, abs=0.0)
    assert rate.magnetic_total == pytest.approx(magnetic, rel=tolerance, abs=0.0)


def test_stopped_pion_ratio_of_muon_to_electron_flavour_is_that_of_lsnd():
    flux = stopped_pion_flux(0.1, 30.0)
    rate = expected_rate(flux, Target("mineral_oil", 1.0), (0.018, 0.05), MOMENT, exposure=1e20)
    ratio = (rate.magnetic[14] + rate.magnetic[-14]) / rate.magnetic[12]
    assert ratio == pytest.approx(2.13344696887, rel=1e-4, abs=0.0)


def test_beryllium_line_gives_the_solar_rate_of_borexino():
    flux = solar_flux(["be7"], survival_probability=0.537)
    upper = {
        pdg: dataclasses.replace(spectrum, lines=spectrum.lines[:1])
        for pdg, spectrum in flux.spectra.items()
    }
    assert {spectrum.lines[0].energy for spectrum in upper.values()} == {0.8619e-3}
    flux = dataclasses.replace(flux, spectra=upper)
    rate = expected_rate(flux, Target("pseudocumene", 100.0), (0.0, math.inf), exposure=86400.0)
    assert rate.sm_total == pytest.approx(47.6, abs=0.1)  # per day and 100 tonnes


@pytest.mark.parametrize("window", [(0.9, 0.3), (0.3, 0.3), (-0.1, 0.9), (math.nan, 0.9)])
def test_impossible_window_is_refused(nova, window):
    with pytest.raises(ValueError, match=r"recoil window .* expected 0 <= T_min < T_max \[GeV\]"):
        nova_rate(nova, window)


@pytest.mark.parametrize("name", ["mu_nu", "millicharge"])
def test_window_from_zero_recoil_is_refused_where_the_cross_section_diverges(nova, name):
    with pytest.raises(ValueError, match=f"cross-section of {name} diverges"):
        nova_rate(nova, (0.0, 0.9), Hypothesis(**{name: 1e-9}))


def test_window_from_zero_recoil_is_meaningful_with_a_charge_radius(nova):
    rate = nova_rate(nova, (0.0, 0.9), Hypothesis(charge_radius2=1e-32))
    assert math.isfinite(rate.charge_radius_total)


@pytest.mark.parametrize("exposure", [0.0, math.nan, math.inf])
def test_impossible_exposure_is_refused(nova, exposure):
    with pytest.raises(ValueError, match=r"exposure = .*; expected a positive number \[POT\]"):
        expected_rate(nova, TONNE, WINDOW, exposure=exposure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mu_nu": -1e-9}, r"mu_nu = -1e-09; expected a moment >= 0 \[Bohr magneton\]"),
        ({"mu_nu": {14: 1e-9, -12: math.nan}}, "mu_nu = nan; expected a moment >= 0"),
        ({"mu_nu": {13: 1e-9}}, r"mu_nu: \[13\] are no neutrinos"),
        ({"charge_radius2": math.inf}, r"charge_radius2 = inf; expected a finite number \[cm\^2\]"),
        ({"millicharge": math.nan}, r"millicharge = nan; expected a finite number \[e\]"),
        ({"sin2_theta_w": 1.0}, "sin2_theta_w = 1.0; expected a value between 0 and 1"),
        ({"charge_radius2": 1e-32, "millicharge": {-14: 1e-12}}, "of neutrino -14 are both set"),
    ],
)
def test_impossible_hypotheses_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Hypothesis(**options)


def test_radius_of_one_flavour_and_charge_of_another_go_together(nova):
    rate = nova_rate(nova, WINDOW, Hypothesis(charge_radius2={12: 1e-32}, millicharge={14: 1e-9}))
    assert rate.charge_radius[12] != 0.0
    assert rate.millicharge[14] != 0.0
