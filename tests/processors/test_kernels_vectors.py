"""Kernels against independent 30-digit reference values."""

import json
import math

import numpy as np
import pytest
from scipy.constants import c, e, hbar

from fileset.catalog import GENERATOR_SIN2_THETA_W
from processors import kernels
from processors.kernels import constants, radiative

PDG = {"nue": 12, "nuebar": -12, "numu": 14, "numubar": -14, "nutau": 16, "nutaubar": -16}
TESLA = 195.35278  # [eV^2], Heaviside-Lorentz


def number(inputs, key):
    return float(inputs[key])


def energies(inputs):
    return number(inputs, "T_GeV"), number(inputs, "E_GeV")


def sm_dsigma(inputs):
    flavour = PDG[inputs["flavour"]]
    return kernels.sm_dsigma_dT(*energies(inputs), flavour, number(inputs, "sin2thW"))


def sm_window(inputs):
    window = number(inputs, "T1_GeV"), float(inputs.get("T2_GeV", math.inf))
    flavour = PDG[inputs["flavour"]]
    return kernels.sm_sigma(*window, number(inputs, "E_GeV"), flavour, number(inputs, "sin2thW"))


def magnetic_window(inputs):
    window = number(inputs, "T1_GeV"), float(inputs.get("T2_GeV", math.inf))
    return kernels.magnetic_sigma(*window, number(inputs, "E_GeV"), number(inputs, "mu_muB"))


def magnetic_dsigma(inputs):
    return kernels.magnetic_dsigma_dT(*energies(inputs), number(inputs, "mu_muB"))


def magnetic_weight(inputs):
    flavour = PDG[inputs["flavour"]]
    ratio = kernels.magnetic_over_sm(*energies(inputs), flavour, number(inputs, "sin2thW"))
    return 1.0 + number(inputs, "mu_muB") ** 2 * ratio


def radiative_weight(inputs):
    return kernels.radiative_ratio(*energies(inputs), PDG[inputs["flavour"]], "sarantakos")


def charge_radius(inputs):
    arguments = PDG[inputs["flavour"]], number(inputs, "sin2thW"), number(inputs, "r2_cm2")
    return kernels.charge_radius_dsigma_dT(*energies(inputs), *arguments)


def charge_radius_transition(inputs):
    radius = number(inputs, "r2_cm2")
    return kernels.charge_radius_transition_dsigma_dT(*energies(inputs), radius)


def millicharge(inputs):
    arguments = PDG[inputs["flavour"]], number(inputs, "sin2thW"), number(inputs, "q_e")
    return kernels.millicharge_dsigma_dT(*energies(inputs), *arguments)


def pure_millicharge(inputs):
    # The part even in the charge, of neutrinos so fast that T/E_nu does not matter.
    T, charge = number(inputs, "T_GeV"), number(inputs, "q_e") * np.array([1.0, -1.0, 0.0])
    plus, minus, none = kernels.millicharge_dsigma_dT(T, 1e6, 14, constants.SIN2_THETA_W, charge)
    return (plus + minus) / 2.0 - none


def bks(inputs):
    # With the constants of the paper and per MeV, as the vectors are.
    m_e, alpha, g_f = 0.5109989e-3, 1.0 / 137.036, 1.16637e-5
    T, E_nu = number(inputs, "T_MeV") * constants.MEV, number(inputs, "E_MeV") * constants.MEV
    scale = 2.0 * g_f**2 * m_e / math.pi * constants.GEV2_TO_CM2 * constants.MEV
    return scale * radiative.bks_shape(T, E_nu, PDG[inputs["flavour"]], m_e, alpha)


def dipole(inputs):
    arguments = number(inputs, "M_N_GeV"), number(inputs, "mu_muB"), constants.M_E, 1
    return kernels.dipole_upscatter_dsigma_dT(*energies(inputs), *arguments)


def nucleus(inputs):
    return (*energies(inputs), int(inputs["Z"]), int(inputs["A"]) - int(inputs["Z"]))


def cevns(inputs):
    return kernels.cevns_dsigma_dT(*nucleus(inputs), number(inputs, "sin2thW"))


def magnetic_nucleus(inputs):
    return kernels.magnetic_nucleus_dsigma_dT(*nucleus(inputs), number(inputs, "mu_muB"))


def magnetic_nucleus_spin0(inputs):
    return kernels.magnetic_nucleus_spin0_dsigma_dT(*nucleus(inputs), number(inputs, "mu_muB"))


def helm(inputs):
    return kernels.helm_form_factor(number(inputs, "q_fm_inv"), number(inputs, "A"))


def xenon_electrons(inputs):
    return kernels.ionised_electrons(number(inputs, "T_keV") * constants.KEV, "xenon")


def limit(inputs):
    return kernels.max_recoil_energy(number(inputs, "E_GeV"))


def threshold(inputs):
    return kernels.min_neutrino_energy(number(inputs, "T_GeV"))


def exact_ttheta2(inputs):
    return kernels.ttheta2(*energies(inputs))


def cosine(inputs):
    return kernels.recoil_cos_theta(*energies(inputs))


VECTORS = {
    "const_muB_GeVinv": lambda _: constants.BOHR_MAGNETON,
    "const_muB_eV_per_T": lambda _: constants.BOHR_MAGNETON * 1e-9 * TESLA,
    "const_K_mag": lambda _: constants.K_MAGNETIC,
    "const_K_SM": lambda _: constants.K_SM,
    "const_hbarc2": lambda _: constants.GEV2_TO_CM2,
    "const_genie_s2w": lambda _: GENERATOR_SIN2_THETA_W,
    **dict.fromkeys([f"kin_Tmax_{i}" for i in (1, 2, 3, 4, 6, 7)], limit),
    **dict.fromkeys([f"kin_Emin_{i}" for i in (3, 4, 5)], threshold),
    **dict.fromkeys([f"kin_Ttheta2_{i}" for i in (0, 1, 2, 3)], exact_ttheta2),
    **dict.fromkeys([f"kin_costheta_{i}" for i in (2, 3, 4)], cosine),
    "sm_dsdT_nuebar_1": sm_dsigma,
    "sm_dsdT_numu_1": sm_dsigma,
    "sm_dsdT_numubar_0": sm_dsigma,
    "sm_dsdT_nutau_0": sm_dsigma,
    "sm_dsdT_nutaubar_1": sm_dsigma,
    **dict.fromkeys([f"mm_dsdT_{i}" for i in (1, 2, 4, 5)], magnetic_dsigma),
    **dict.fromkeys([f"weight_mm_over_sm_{i}" for i in (0, 1, 2, 3, 4)], magnetic_weight),
    "sm_tot_numu": sm_window,
    "sm_tot_numubar": sm_window,
    "sm_int_nue_nova": sm_window,
    "sm_int_nuebar_nova": sm_window,
    "mm_int_nova": magnetic_window,
    "mm_tot_threshold": magnetic_window,
    **dict.fromkeys([f"rad_weight_{i}" for i in (0, 1, 2)], radiative_weight),
    **dict.fromkeys([f"cr_dsdT_{i}" for i in (0, 2)], charge_radius),
    "cr_transition_dsdT": charge_radius_transition,
    "q_dsdT_2": millicharge,
    "q_pure_lowT": pure_millicharge,
    **dict.fromkeys([f"bks_dsdT_{i}" for i in (1, 3, 4)], bks),
    "dipole_e_0": dipole,
    **dict.fromkeys([f"cevns_sm_{i}" for i in (1, 2, 3)], cevns),
    "cevns_mm_0": magnetic_nucleus,
    "cevns_mm_spin0": magnetic_nucleus_spin0,
    **dict.fromkeys([f"helm_{i}" for i in (0, 1)], helm),
    **dict.fromkeys([f"xe_Zeff_{i}" for i in (0, 1, 4, 5, 6)], xenon_electrons),
}


@pytest.fixture(scope="module")
def vectors(shared):
    text = (shared / "reference" / "vectors.json").read_text(encoding="utf-8")
    return {vector["id"]: vector for vector in json.loads(text)["vectors"]}


@pytest.mark.parametrize("identifier", VECTORS)
def test_kernel_reproduces_the_reference_vector(vectors, identifier):
    vector = vectors[identifier]
    computed = VECTORS[identifier](vector["inputs"])
    assert computed == pytest.approx(float(vector["value"]), rel=float(vector["rtol"]), abs=0.0)


def test_hbar_c_has_twelve_digits_of_its_exact_value():
    gev_fm = hbar * c / e * 1e-9 * 1e15
    assert constants.HBAR_C == pytest.approx(gev_fm, rel=1e-12)


def test_every_vector_of_these_kinds_is_covered(vectors):
    scattering = ("const_", "kin_", "sm_", "mm_", "weight_", "rad_weight_", "bks_", "cr_", "q_")
    ours = (*scattering, "dipole_e_", "cevns_", "helm_", "xe_")
    # Checked below, with the rates or with the theory: an inverse relation, approximations, a flux
    # average, and the charge radii that the Standard Model predicts.
    elsewhere = {
        "cr_SM_e",
        "cr_SM_tau",
        "kin_T_from_cos_0",
        "kin_Ttheta2_approx_0",
        "kin_Ttheta2_approx_1",
        "sm_fluxavg_flat",
    }
    assert {name for name in vectors if name.startswith(ours)} - elsewhere <= set(VECTORS)


def test_angle_inverts_the_recoil_energy_of_a_given_angle(vectors):
    vector = vectors["kin_T_from_cos_0"]
    E_nu, cosine = number(vector["inputs"], "E_GeV"), number(vector["inputs"], "cos")
    assert kernels.recoil_cos_theta(float(vector["value"]), E_nu) == pytest.approx(
        cosine, rel=1e-12
    )


@pytest.mark.parametrize("index", [0, 1])
def test_small_angle_approximation_is_close_to_but_not_the_exact_value(vectors, index):
    vector = vectors[f"kin_Ttheta2_approx_{index}"]
    T, E_nu = energies(vector["inputs"])
    approximation = 2.0 * constants.M_E * (1.0 - T / E_nu)
    assert approximation == pytest.approx(float(vector["value"]), rel=float(vector["rtol"]))
    assert approximation / kernels.ttheta2(T, E_nu) - 1.0 == pytest.approx(2e-3, rel=0.5)


def test_flat_flux_average_from_the_window_cross_section(vectors):
    vector = vectors["sm_fluxavg_flat"]
    inputs = vector["inputs"]
    low, high = number(inputs, "E1_GeV"), number(inputs, "E2_GeV")
    nodes, weights = np.polynomial.legendre.leggauss(40)
    E_nu = 0.5 * (low + high) + 0.5 * (high - low) * nodes
    window = number(inputs, "T1_GeV"), number(inputs, "T2_GeV")
    sigma = kernels.sm_sigma(*window, E_nu, PDG[inputs["flavour"]], number(inputs, "sin2thW"))
    average = float(weights @ sigma) / 2.0
    assert average == pytest.approx(float(vector["value"]), rel=float(vector["rtol"]), abs=0.0)


def test_stopped_muon_magnetic_event_ratio(vectors):
    vector = vectors["dar_ratio_numu"]
    window = number(vector["inputs"], "T1_GeV"), number(vector["inputs"], "T2_GeV")
    muon, pion = 0.1056583755, 0.13957039  # masses [GeV]
    end = (muon**2 - constants.M_E**2) / (2.0 * muon)
    line = (pion**2 - muon**2) / (2.0 * pion)
    start = kernels.min_neutrino_energy(window[0])
    nodes, weights = np.polynomial.legendre.leggauss(80)
    E_nu = 0.5 * (start + end) + 0.5 * (end - start) * nodes
    x = E_nu / end
    sigma = kernels.magnetic_sigma(*window, E_nu, 1.0) * weights * 0.5 * (end - start) / end
    numubar = float(np.sum(sigma * 2.0 * x**2 * (3.0 - 2.0 * x)))
    nue = float(np.sum(sigma * 12.0 * x**2 * (1.0 - x)))
    ratio = (numubar + kernels.magnetic_sigma(*window, line, 1.0)) / nue
    assert ratio == pytest.approx(float(vector["value"]), rel=float(vector["rtol"]))
