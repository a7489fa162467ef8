"""Dipole portal: precision, kinematic range, explicit trace, limits and edges."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from processors.kernels import (
    constants,
    dipole_max_mass,
    dipole_recoil_range,
    dipole_upscatter_dsigma_dT,
    magnetic_dsigma_dT,
    max_recoil_energy,
)

MU = 1e-9  # [Bohr magneton]
M_E = constants.M_E
TARGETS = [pytest.param(M_E, id="electron"), pytest.param(12 * 0.9315, id="carbon")]
ENERGIES = [1e-6, 3e-4, 5e-3, 2.0, 50.0, 1e3]  # [GeV]: 1 keV to 1 TeV
MASSES = [1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999]  # of the largest
FRACTIONS = [1e-9, 1e-3, 0.1, 0.5, 0.9, 0.999]  # of the recoil range


@pytest.fixture(autouse=True)
def sixty_digits():
    # Half of them cancel in the published form at the lower end of the range.
    with mpmath.workdps(60):
        yield


def exact_range(E_nu, m_N, m_target):
    """Recoil of the target boosted from the centre of mass, forwards and backwards."""
    E_nu, heavy, mass = mpmath.mpf(E_nu), mpmath.mpf(m_N), mpmath.mpf(m_target)
    s = mass**2 + 2 * mass * E_nu
    energy = (s + mass**2 - heavy**2) / (2 * mpmath.sqrt(s))
    momentum = mpmath.sqrt(energy**2 - mass**2)
    gamma, boost = (E_nu + mass) / mpmath.sqrt(s), E_nu / mpmath.sqrt(s)
    return tuple(gamma * energy + sign * boost * momentum - mass for sign in (-1, 1))


def published_dsigma(T, E_nu, m_N, m_target):
    T, energy, heavy, mass = (mpmath.mpf(value) for value in (T, E_nu, m_N, m_target))
    slow = 1 - T / (2 * energy) + mass / (2 * energy)
    bracket = 1 / T - 1 / energy - heavy**2 / (2 * energy * T * mass) * slow
    bracket += heavy**4 * (T - mass) / (8 * (energy * T * mass) ** 2)
    return float(mpmath.mpf(constants.K_MAGNETIC) * mpmath.mpf(MU) ** 2 * bracket)


@pytest.mark.parametrize("m_target", TARGETS)
@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize("share", MASSES)
def test_recoil_range_has_twelve_digits(E_nu, share, m_target):
    m_N = share * dipole_max_mass(E_nu, m_target)
    exact = exact_range(E_nu, m_N, m_target)
    low, high = dipole_recoil_range(E_nu, m_N, m_target)
    assert low == pytest.approx(float(exact[0]), rel=1e-12, abs=0.0)
    assert high == pytest.approx(float(exact[1]), rel=1e-12, abs=0.0)


@pytest.mark.parametrize("m_target", TARGETS)
@pytest.mark.parametrize("E_nu", ENERGIES)
@pytest.mark.parametrize("share", MASSES)
def test_cross_section_has_eleven_digits(E_nu, share, m_target):
    m_N = share * dipole_max_mass(E_nu, m_target)
    low, high = dipole_recoil_range(E_nu, m_N, m_target)
    for T in low + np.multiply(FRACTIONS, high - low):
        exact = published_dsigma(T, E_nu, m_N, m_target)
        computed = dipole_upscatter_dsigma_dT(T, E_nu, m_N, MU, m_target, 1)
        assert computed == pytest.approx(exact, rel=1e-11, abs=0.0)


def gamma_matrices():
    """Dirac matrices with upper indices, shape (4, 4, 4)."""
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    space = [np.kron([[0, 1], [-1, 0]], sigma) for sigma in pauli]
    return np.array([np.kron([[1, 0], [0, -1]], np.eye(2)), *space])


def trace_dsigma(T, E_nu, m_N, m_target):
    """Cross-section [GeV^-3] at mu = e = 1 from the traces of the tree-level amplitude."""
    gamma, metric = gamma_matrices(), np.diag([1.0, -1.0, -1.0, -1.0])
    momentum = np.sqrt(T * (T + 2.0 * m_target))
    cosine = (T * (E_nu + m_target) + m_N**2 / 2.0) / (E_nu * momentum)
    k = np.array([E_nu, 0.0, 0.0, E_nu])
    p = np.array([m_target, 0.0, 0.0, 0.0])
    sine = np.sqrt(1.0 - cosine**2)
    p_out = np.array([T + m_target, momentum * sine, 0.0, momentum * cosine])
    q = p_out - p

    def slash(vector):
        return np.einsum("a,aij->ij", metric @ vector, gamma)

    left = 0.5 * (np.eye(4) - 1j * gamma[0] @ gamma[1] @ gamma[2] @ gamma[3])
    # sigma^ab q_b = i/2 [gamma^a, qslash], and its Dirac conjugate.
    vertex = 0.5j * (gamma @ slash(q) - slash(q) @ gamma)
    conjugate = gamma[0] @ vertex.conj().transpose(0, 2, 1) @ gamma[0]
    heavy = slash(k - q) + m_N * np.eye(4)
    neutrino = left @ slash(k)
    lepton = np.einsum("ij,ajk,kl,bli->ab", heavy, vertex, neutrino, conjugate)
    out, at_rest = slash(p_out) + m_target * np.eye(4), slash(p) + m_target * np.eye(4)
    target = np.einsum("ij,ajk,kl,bli->ab", out, gamma, at_rest, gamma) / 2.0
    squared = np.einsum("ab,ac,bd,cd->", lepton, metric, metric, target).real
    transfer = 2.0 * m_target * T
    return squared / transfer**2 / (32.0 * np.pi * m_target * E_nu**2)


@pytest.mark.parametrize(
    ("E_nu", "share", "fraction", "m_target"),
    [
        (2.0, 0.2, 0.3, M_E),
        (5e-3, 0.7, 0.6, M_E),
        (3e-4, 0.0, 0.8, M_E),
        (2.0, 0.4, 0.1, 12 * 0.9315),
        (50.0, 0.9, 0.5, 12 * 0.9315),
    ],
)
def test_cross_section_equals_the_trace_of_the_amplitude(E_nu, share, fraction, m_target):
    m_N = share * dipole_max_mass(E_nu, m_target)
    low, high = dipole_recoil_range(E_nu, m_N, m_target)
    T = low + fraction * (high - low)
    coupling = 4.0 * np.pi * constants.ALPHA * (MU * constants.BOHR_MAGNETON) ** 2
    expected = trace_dsigma(T, E_nu, m_N, m_target) * coupling * constants.GEV2_TO_CM2
    computed = dipole_upscatter_dsigma_dT(T, E_nu, m_N, MU, m_target, 1)
    assert computed == pytest.approx(expected, rel=1e-9, abs=0.0)


@given(E_nu=st.floats(1e-6, 1e3), fraction=st.floats(1e-9, 0.999))
def test_massless_state_on_electrons_scatters_as_the_diagonal_moment(E_nu, fraction):
    T = fraction * max_recoil_energy(E_nu)
    elastic = magnetic_dsigma_dT(T, E_nu, MU)
    computed = dipole_upscatter_dsigma_dT(T, E_nu, 0.0, MU, M_E, 1)
    assert computed == pytest.approx(elastic, rel=1e-12, abs=0.0)


@given(E_nu=st.floats(1e-6, 1e3))
def test_range_of_a_massless_state_is_the_elastic_one(E_nu):
    low, high = dipole_recoil_range(E_nu, 0.0, M_E)
    assert low == 0.0
    assert high == pytest.approx(max_recoil_energy(E_nu), rel=1e-14, abs=0.0)


@pytest.mark.parametrize("m_target", TARGETS)
def test_quadrature_equals_the_antiderivative(m_target):
    E_nu = 2.0
    m_N = 0.3 * dipole_max_mass(E_nu, m_target)
    low, high = dipole_recoil_range(E_nu, m_N, m_target)
    area, _ = quad(
        lambda x: np.exp(x) * dipole_upscatter_dsigma_dT(np.exp(x), E_nu, m_N, 1.0, m_target, 1),
        np.log(low),
        np.log(high),
        epsabs=0.0,
        epsrel=1e-11,
    )
    a, b = m_N**2 / (2.0 * E_nu * m_target), m_N**4 / (8.0 * E_nu**2 * m_target)
    closed = (1.0 - a * (1.0 + m_target / (2.0 * E_nu)) + b / m_target) * np.log(high / low)
    closed += (a / (2.0 * E_nu) - 1.0 / E_nu) * (high - low) + b * (1.0 / high - 1.0 / low)
    assert area == pytest.approx(constants.K_MAGNETIC * closed, rel=1e-9, abs=0.0)


def test_heaviest_state_on_electrons_at_nova_is_45_mev():
    assert dipole_max_mass(2.0, M_E) == pytest.approx(44.7e-3, rel=1e-3)


@given(E_nu=st.floats(1e-6, 1e3), m_target=st.sampled_from([M_E, 11.18]))
def test_threshold_energy_inverts_the_largest_mass(E_nu, m_target):
    mass = dipole_max_mass(E_nu, m_target)
    assert mass + mass**2 / (2.0 * m_target) == pytest.approx(E_nu, rel=1e-13, abs=0.0)


@given(
    E_nu=st.floats(1e-6, 1e3),
    share=st.floats(0.0, 1.0),
    fraction=st.floats(1e-9, 1.0),
    m_target=st.sampled_from([M_E, 11.18]),
)
def test_cross_section_is_positive_inside_the_range(E_nu, share, fraction, m_target):
    m_N = share * dipole_max_mass(E_nu, m_target)
    low, high = dipole_recoil_range(E_nu, m_N, m_target)
    T = min(low + fraction * (high - low), high)
    assert 0.0 <= low <= high
    assert dipole_upscatter_dsigma_dT(T, E_nu, m_N, MU, m_target, 1) > 0.0


def test_moment_and_charge_enter_squared():
    T, E_nu, m_N, m_target = 1e-3, 2.0, 0.1, 11.18
    reference = dipole_upscatter_dsigma_dT(T, E_nu, m_N, MU, m_target, 1)
    scaled = dipole_upscatter_dsigma_dT(T, E_nu, m_N, 3.0 * MU, m_target, 6)
    assert scaled == pytest.approx(9.0 * 36.0 * reference, rel=1e-13, abs=0.0)


def test_cross_section_is_exactly_zero_outside_the_range():
    low, high = dipole_recoil_range(2.0, 0.01, M_E)
    outside = np.array([0.5 * low, np.nextafter(low, 0.0), np.nextafter(high, 3.0), 1.99])
    assert np.all(dipole_upscatter_dsigma_dT(outside, 2.0, 0.01, MU, M_E, 1) == 0.0)


def test_below_threshold_there_is_no_range_and_no_cross_section():
    assert np.all(np.isnan(dipole_recoil_range(2.0, 0.045, M_E)))
    assert dipole_upscatter_dsigma_dT(0.5, 2.0, 0.045, MU, M_E, 1) == 0.0


@pytest.mark.parametrize(
    ("E_nu", "m_N", "m_target"),
    [
        (0.0, 0.01, M_E),
        (np.inf, 0.01, M_E),
        (np.nan, 0.01, M_E),
        (2.0, -0.01, M_E),
        (2.0, np.nan, M_E),
        (2.0, 0.01, 0.0),
        (2.0, 0.01, np.inf),
    ],
)
def test_unphysical_energy_or_mass_gives_nan(E_nu, m_N, m_target):
    assert np.all(np.isnan(dipole_recoil_range(E_nu, m_N, m_target)))
    assert np.isnan(dipole_upscatter_dsigma_dT(0.5, E_nu, m_N, MU, m_target, 1))


@pytest.mark.parametrize(("E_nu", "m_target"), [(0.0, M_E), (2.0, -M_E), (np.nan, M_E)])
def test_largest_mass_of_unphysical_input_is_nan(E_nu, m_target):
    assert np.isnan(dipole_max_mass(E_nu, m_target))


@pytest.mark.parametrize(
    ("T", "mu_tr", "Z"),
    [(0.0, MU, 1), (-0.5, MU, 1), (np.nan, MU, 1), (0.5, -MU, 1), (0.5, np.inf, 1), (0.5, MU, 0)],
)
def test_unphysical_recoil_moment_or_charge_gives_nan(T, mu_tr, Z):
    assert np.isnan(dipole_upscatter_dsigma_dT(T, 2.0, 0.01, mu_tr, M_E, Z))
