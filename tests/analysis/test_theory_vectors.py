"""Theory and astrophysics against independent 30-digit reference values."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from analysis import astro, theory
from processors.kernels.constants import EV, KEV

FLAVOUR = {"e": "nue", "mu": "numu", "tau": "nutau"}


def number(inputs, *keys):
    values = [float(inputs[key]) for key in keys]
    return values[0] if len(keys) == 1 else values


def plasmon(inputs):
    frequency, plasma = number(inputs, "omega_keV", "omega_p_keV")
    return frequency * KEV, plasma * KEV


def moments(inputs):
    if "mu_diag_muB" in inputs:
        return np.diag([float(text) for text in inputs["mu_diag_muB"]])
    pairs = [inputs[f"Lambda{i}"] for i in (1, 2, 3)]
    return theory.majorana_matrix([float(real) + 1j * float(imag) for real, imag in pairs])


def mixing(inputs):
    angles = {
        name: math.radians(number(inputs, f"{name}_deg"))
        for name in ("theta12", "theta13", "theta23", "delta")
    }
    given = [name for name in ("dm21", "dm31") if f"{name}_eV2" in inputs]
    splittings = {name: number(inputs, f"{name}_eV2") for name in given}
    return replace(theory.NUFIT52_NORMAL, **angles, **splittings)


def effective(inputs):
    return theory.effective_moment(
        moments(inputs),
        mixing(inputs),
        FLAVOUR[inputs["flavour"]],
        l_over_e=float(inputs.get("L_km", 0.0)) / float(inputs.get("E_GeV", 1.0)),
        majorana="Lambda1" in inputs,
    )


def solar(inputs):
    return theory.solar_effective_moment(moments(inputs), number(inputs, "P_e1", "P_e2", "P_e3"))


def flavour_limits(inputs):
    bound, survival, sin2 = number(inputs, "mu_eff_muB", "Pee", "sin2_theta23")
    return theory.flavour_limits(bound, survival=survival, sin2_theta23=sin2)


def radiative_decay(inputs):
    parent, daughter, moment = number(inputs, "m_j_eV", "m_i_eV", "mu_muB")
    return theory.decay_rate(theory.radiative_decay_width(parent * EV, daughter * EV, moment))


def precession(inputs):
    moment, field, length, splitting = number(inputs, "mu_muB", "B_T", "L_m", "Delta_eV")
    return theory.spin_flip_probability(moment, field, length, splitting * EV)


VECTORS = {
    "const_muB_eV_per_T": lambda _: theory.convert_moment(1.0, "mu_B", "eV/T"),
    "const_muB_GeVinv": lambda _: theory.convert_moment(1.0, "mu_B", "GeV^-1"),
    **dict.fromkeys(
        ["cr_SM_e", "cr_SM_tau"], lambda v: theory.sm_charge_radius(FLAVOUR[v["lepton"]])
    ),
    **dict.fromkeys(
        ["dirac_moment_1eV", "dirac_moment_0p05eV"],
        lambda v: theory.dirac_moment(number(v, "m_nu_eV") * EV),
    ),
    **dict.fromkeys([f"mueff_dirac_diag_{i}" for i in ("e", "mu", "tau", "mu_L810")], effective),
    **dict.fromkeys([f"mueff_majorana_{i}" for i in ("e", "tau", "mu_L810", "nova_nd")], effective),
    "musol_majorana": solar,
    "borexino_lim_e": lambda v: flavour_limits(v).nue,
    "borexino_lim_mu": lambda v: flavour_limits(v).numu,
    **dict.fromkeys(["rad_decay_1eV", "rad_decay_2"], radiative_decay),
    "dipole_d_to_mu": lambda v: theory.moment_from_dipole(number(v, "d_GeVinv")),
    "dipole_N_width": lambda v: theory.dipole_portal_width(*number(v, "M_N_GeV", "mu_muB")),
    "sfp_splitting": precession,
    "plasmon_width_mm": lambda v: astro.magnetic_width(*plasmon(v), number(v, "mu_muB")),
    "plasmon_width_q": lambda v: astro.millicharge_width(*plasmon(v), number(v, "q_e")),
    "plasmon_width_SM": lambda v: astro.sm_width(*plasmon(v), number(v, "sin2thW")),
    "plasmon_ratio_q_SM_10keV": lambda v: astro.millicharge_over_sm(
        number(v, "omega_p_keV") * KEV, *number(v, "q_e", "sin2thW")
    ),
    "plasma_freq_RG": lambda v: astro.plasma_frequency(*number(v, "rho_gcc", "Ye")) / KEV,
    "dNeff_3RH": lambda v: astro.extra_neutrinos(*number(v, "gstar", "N_R")),
}


@pytest.fixture(scope="module")
def vectors(shared):
    text = (shared / "reference" / "vectors.json").read_text(encoding="utf-8")
    return {vector["id"]: vector for vector in json.loads(text)["vectors"]}


@pytest.mark.parametrize("identifier", VECTORS)
def test_theory_reproduces_the_reference_vector(vectors, identifier):
    vector = vectors[identifier]
    computed = VECTORS[identifier](vector["inputs"])
    assert computed == pytest.approx(float(vector["value"]), rel=float(vector["rtol"]), abs=0.0)


def test_every_vector_of_these_kinds_is_covered(vectors):
    ours = (
        *("const_muB", "cr_SM_", "dirac_", "majorana_", "mueff_", "musol_", "borexino_"),
        *("rad_decay_", "dipole_d_", "dipole_N_", "sfp_", "plasm", "dNeff_", "natural"),
    )
    assert {name for name in vectors if name.startswith(ours)} <= set(VECTORS)
