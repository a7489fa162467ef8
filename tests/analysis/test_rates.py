"""Expected rates against independent quadrature, closed forms and published totals."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy.integrate import quad

from analysis.rates import Rate, expected_rate
from fileset.fluxes import Flux, Spectrum, load_flux
from fileset.targets import COMPOSITION_BY_MASS, ELECTRONS_PER_TONNE, electrons_per_tonne
from processors.kernels import constants, min_neutrino_energy, sm_dsigma_dT

WINDOW = (0.3, 0.9)  # [GeV]
POT = 3.62e20
MU = 1e-9  # [Bohr magneton]
S2W = constants.SIN2_THETA_W


def flat_flux(edges, nu_pdg=14):
    """One neutrino per cm^2 and POT in every bin."""
    edges = np.asarray(edges, dtype=float)
    ones = np.ones(len(edges) - 1)
    return Flux("flat", "flat", "none", "FHC", {nu_pdg: Spectrum(edges, ones, 0.1 * ones)})


@pytest.fixture(scope="module")
def nova():
    return load_flux("nova_nd_fhc")


def nova_rate(nova, window, **options):
    return expected_rate(
        nova, window, electrons=ELECTRONS_PER_TONNE["nova"], pot=POT, mu_nu=MU, **options
    )


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
    targets = ELECTRONS_PER_TONNE["nova"] * POT
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
    assert rate.sm[-12] == pytest.approx(targets * sm_unit * (spectrum.flux @ sm), rel=1e-9)
    expected = targets * magnetic_unit * (spectrum.flux @ magnetic)
    assert rate.magnetic[-12] == pytest.approx(expected, rel=1e-9)


def test_flat_flux_average_matches_its_closed_form(shared):
    rate = expected_rate(flat_flux([1.0, 3.0]), WINDOW, electrons=1.0, pot=1.0, mu_nu=MU)
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

    rate = expected_rate(flat_flux(edges), window, electrons=1.0, pot=1.0, mu_nu=MU)
    thresholds = min_neutrino_energy([end for end in window if end < math.inf])
    expected = 0.0
    for low, high in itertools.pairwise(edges):
        points = np.unique(np.clip([low, *thresholds, high], max(low, thresholds[0]), high))
        for piece in itertools.pairwise(np.log(points)):
            expected += quad(window_integral, *piece, epsrel=1e-12)[0] / (high - low)
    expected *= constants.K_MAGNETIC * MU**2
    assert rate.magnetic_total == pytest.approx(expected, rel=1e-10, abs=0.0)


def test_total_without_threshold_follows_the_linear_growth_of_the_cross_section():
    rate = expected_rate(flat_flux([0.0, 10.0]), (0.0, math.inf), electrons=1.0, pot=1.0)
    assert rate.sm_total == pytest.approx(1.552e-42 * 5.0, rel=1e-3, abs=0.0)
    assert rate.magnetic_total == 0.0


def test_flux_below_threshold_gives_no_events():
    rate = expected_rate(flat_flux([0.0, 0.3]), WINDOW, electrons=1.0, pot=1.0, mu_nu=MU)
    assert (rate.sm_total, rate.magnetic_total) == (0.0, 0.0)


def test_events_scale_with_exposure_and_with_the_square_of_the_moment(nova):
    one = expected_rate(nova, WINDOW, electrons=1e29, pot=1e20, mu_nu=MU)
    other = expected_rate(nova, WINDOW, electrons=2e29, pot=3e20, mu_nu=2.0 * MU)
    assert other.sm_total == pytest.approx(6.0 * one.sm_total)
    assert other.magnetic_total == pytest.approx(24.0 * one.magnetic_total)


def test_totals_are_sums_over_flavours():
    rate = Rate(sm={14: 1.0, -14: 0.5}, magnetic={14: 0.25, -14: 0.125})
    assert (rate.sm_total, rate.magnetic_total) == (1.5, 0.375)


@pytest.mark.parametrize("window", [(0.9, 0.3), (0.3, 0.3), (-0.1, 0.9), (math.nan, 0.9)])
def test_impossible_window_is_refused(nova, window):
    with pytest.raises(ValueError, match=r"recoil window .* expected 0 <= T_min < T_max \[GeV\]"):
        nova_rate(nova, window)


def test_window_from_zero_recoil_is_refused_with_a_moment(nova):
    with pytest.raises(ValueError, match="magnetic cross-section diverges"):
        nova_rate(nova, (0.0, 0.9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"electrons": 0.0}, "electrons = 0.0"),
        ({"pot": math.nan}, "pot = nan"),
        ({"mu_nu": -1e-9}, "mu_nu = -1e-09; expected a moment >= 0"),
        ({"sin2_theta_w": 1.0}, "sin2_theta_w = 1.0; expected a value between 0 and 1"),
    ],
)
def test_impossible_parameters_are_refused(nova, options, message):
    with pytest.raises(ValueError, match=message):
        expected_rate(nova, WINDOW, **{"electrons": 1.0, "pot": 1.0, **options})


def test_nova_electron_density_matches_its_published_composition():
    assert ELECTRONS_PER_TONNE["nova"] == pytest.approx(3.2956e29, rel=1e-4)
    assert sum(COMPOSITION_BY_MASS["nova"].values()) == pytest.approx(1.0, abs=3e-3)


def test_unknown_element_is_named():
    with pytest.raises(ValueError, match=r"elements \['Xx'\] have no atomic weight here; known"):
        electrons_per_tonne({"H": 0.1, "Xx": 0.9})


@pytest.mark.parametrize("composition", [{"H": 0.2, "O": 0.9}, {"H": -0.1}])
def test_impossible_mass_fractions_are_refused(composition):
    with pytest.raises(ValueError, match="add up to at most 1"):
        electrons_per_tonne(composition)
