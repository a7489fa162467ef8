"""Coherent elastic scattering of neutrinos on nuclei: Standard Model, magnetic moment, form factor.

Per nucleus, free and at rest, of mass (Z + N) u; the flavour does not matter at tree level. For
recoils of keV: not for inelastic scattering, and not for momentum transfers beyond the nuclear
radius, where a Helm form factor means little.
"""

import math

from numba import njit, vectorize

from .compilation import quiet
from .constants import ATOMIC_MASS_UNIT, G_F, GEV2_TO_CM2, HBAR_C, K_MAGNETIC

HELM_SURFACE = 0.9  # s [fm], surface thickness; Lewin and Smith, Astropart. Phys. 6, 87 (1996)
HELM_DIFFUSENESS = 0.52  # a [fm], same source
HELM_RADIUS = (1.23, -0.60)  # c = 1.23 A^(1/3) - 0.60 [fm], same source


@njit(cache=True, error_model="numpy")
def nuclear_mass(Z: float, N: float) -> float:
    """Mass of a nucleus [GeV], A u; NaN for negative numbers of nucleons, or none at all."""
    if not (0.0 <= Z < math.inf and 0.0 <= N < math.inf and Z + N > 0.0):
        return math.nan
    return (Z + N) * ATOMIC_MASS_UNIT


@njit(cache=True, error_model="numpy")
def bessel_ratio(x: float) -> float:
    """3 j_1(x) / x for x >= 0 [1]."""
    if x >= 1.0:
        return 3.0 * (math.sin(x) - x * math.cos(x)) / x / x / x
    # Sine and cosine cancel towards 0. Ratio of successive terms: -x^2 / ((2 k) (2 k + 3)).
    x2 = x * x
    tail = 1.0 - x2 / 130.0 * (1.0 - x2 / 180.0 * (1.0 - x2 / 238.0 * (1.0 - x2 / 304.0)))
    return 1.0 - x2 / 10.0 * (1.0 - x2 / 28.0 * (1.0 - x2 / 54.0 * (1.0 - x2 / 88.0 * tail)))


@njit(cache=True, error_model="numpy")
def helm(q: float, A: float) -> float:
    """Helm form factor [1], scalar form of `helm_form_factor` for use inside kernels."""
    core = HELM_RADIUS[0] * A ** (1.0 / 3.0) + HELM_RADIUS[1]
    smearing = 7.0 / 3.0 * (math.pi * HELM_DIFFUSENESS) ** 2 - 5.0 * HELM_SURFACE**2
    radius = math.sqrt(core * core + smearing)
    thickness = q * HELM_SURFACE
    return bessel_ratio(q * radius) * math.exp(-0.5 * thickness * thickness)


@njit(cache=True, error_model="numpy")
def form_factor_at(T: float, mass: float, A: float) -> float:
    """Helm form factor [1] at the momentum transfer q = sqrt(2 M T) of a nuclear recoil."""
    return helm(math.sqrt(2.0 * mass * T) / HBAR_C, A)


@quiet
@vectorize(cache=True)
def helm_form_factor(q: float, A: float) -> float:
    """Helm form factor of a nucleus, not squared.

    Parameters
    ----------
    q : array_like of float
        Momentum transfer [1/fm], not negative and finite.
    A : array_like of float, broadcast against ``q``
        Mass number [1], positive and finite.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        F(q) [1]: 1 at rest, negative beyond the first zero; NaN for input that is NaN or outside
        the domain.

    Notes
    -----
    3 j_1(q R) / (q R) exp(-q^2 s^2 / 2), R^2 = c^2 + 7/3 pi^2 a^2 - 5 s^2, c = 1.23 A^(1/3) - 0.60
    fm, a = 0.52 fm, s = 0.9 fm (Helm, Phys. Rev. 104, 1466 (1956); parameters of Lewin and Smith,
    Astropart. Phys. 6, 87 (1996)).

    Examples
    --------
    >>> round(float(helm_form_factor(0.25, 131)), 6)
    0.782602
    """
    if not (0.0 <= q < math.inf and 0.0 < A < math.inf):
        return math.nan
    return helm(q, A)


@quiet
@vectorize(cache=True)
def max_nuclear_recoil(E_nu: float, Z: float, N: float) -> float:
    """Kinematic limit of the recoil energy of a nucleus.

    Parameters
    ----------
    E_nu : array_like of float
        Neutrino energy [GeV], positive and finite.
    Z, N : array_like of float, broadcast against ``E_nu``
        Numbers of protons and of neutrons [1]; averages over isotopes may be fractions.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        2 E_nu^2 / (M + 2 E_nu) [GeV], with M = (Z + N) u; NaN for input that is NaN, an energy not
        positive and finite, negative or infinite numbers, or no nucleon at all.
    """
    if not 0.0 < E_nu < math.inf:
        return math.nan
    return 2.0 * E_nu * E_nu / (nuclear_mass(Z, N) + 2.0 * E_nu)


@quiet
@vectorize(cache=True)
def cevns_dsigma_dT(T: float, E_nu: float, Z: float, N: float, sin2_theta_w: float) -> float:
    """Cross-section of coherent elastic neutrino-nucleus scattering in the Standard Model.

    Parameters
    ----------
    T : array_like of float
        Kinetic (recoil) energy of the nucleus [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    Z, N : array_like of float, broadcast against ``T``
        Numbers of protons and of neutrons [1]; averages over isotopes may be fractions.
    sin2_theta_w : array_like of float, broadcast against ``T``
        Weak mixing angle [1]; about 0.2387 at these momentum transfers.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per nucleus, the same for all flavours; 0 at the kinematic limit and
        above; NaN for input that is NaN, T < 0, a mixing angle outside (0, 1), or as in
        `max_nuclear_recoil`.

    Notes
    -----
    G_F^2 M / (4 pi) [N - (1 - 4 sin2_theta_w) Z]^2 F^2 (1 - T/E_nu - M T / (2 E_nu^2)), exact for
    spin 0 at tree level, with the Helm form factor at q^2 = 2 M T (Freedman, Phys. Rev. D 9, 1389
    (1974)). Most codes drop T/E_nu.
    """
    mass = nuclear_mass(Z, N)
    if not (T >= 0.0 and 0.0 < E_nu < math.inf and 0.0 < sin2_theta_w < 1.0) or math.isnan(mass):
        return math.nan
    # E_nu - T is exact close to the limit of high energies, where 1 - T/E_nu would lose digits.
    room = 2.0 * E_nu * (E_nu - T) - mass * T
    if not room > 0.0:
        return 0.0
    weak = (N - (1.0 - 4.0 * sin2_theta_w) * Z) * form_factor_at(T, mass, Z + N)
    kinematic = 0.5 * room / E_nu / E_nu
    return G_F * G_F * mass / (4.0 * math.pi) * GEV2_TO_CM2 * weak * weak * kinematic


@njit(cache=True, error_model="numpy")
def magnetic_point(T: float, E_nu: float, Z: float, N: float, mu_nu: float) -> float:
    """K_mag mu^2 Z^2 F^2 [cm^2]: the magnetic cross-section on a nucleus less its kinematic factor.

    0 above the kinematic limit; NaN for unphysical input.
    """
    mass = nuclear_mass(Z, N)
    if not (T > 0.0 and 0.0 < E_nu < math.inf and 0.0 <= mu_nu < math.inf) or math.isnan(mass):
        return math.nan
    if T > 2.0 * E_nu * E_nu / (mass + 2.0 * E_nu):
        return 0.0
    amplitude = mu_nu * Z * form_factor_at(T, mass, Z + N)
    return K_MAGNETIC * amplitude * amplitude


@quiet
@vectorize(cache=True)
def magnetic_nucleus_dsigma_dT(T: float, E_nu: float, Z: float, N: float, mu_nu: float) -> float:
    """Magnetic-moment part of the neutrino-nucleus cross-section.

    Parameters
    ----------
    T : array_like of float
        Kinetic (recoil) energy of the nucleus [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    Z, N : array_like of float, broadcast against ``T``
        Numbers of protons and of neutrons [1]; averages over isotopes may be fractions.
    mu_nu : array_like of float, broadcast against ``T``
        Effective magnetic moment [Bohr magneton].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per nucleus; 0 above the kinematic limit; NaN for input that is NaN, T
        not positive, a moment negative or infinite, or as in `max_nuclear_recoil`.

    Notes
    -----
    pi alpha^2 / m_e^2 mu_nu^2 Z^2 F^2 (1/T - 1/E_nu), with the Helm form factor; adds to the
    Standard Model without interference. Without the term T / (4 E_nu^2) of a nucleus of spin 0,
    below 3e-6 of the rest for stopped pions: see `magnetic_nucleus_spin0_dsigma_dT` (Vogel and
    Engel, Phys. Rev. D 39, 3378 (1989)).
    """
    point = magnetic_point(T, E_nu, Z, N, mu_nu)
    if not point > 0.0:
        return point
    return point * ((E_nu - T) / E_nu / T)


@quiet
@vectorize(cache=True)
def magnetic_nucleus_spin0_dsigma_dT(
    T: float, E_nu: float, Z: float, N: float, mu_nu: float
) -> float:
    """Magnetic-moment part of the cross-section on a nucleus without spin, all terms kept.

    Parameters
    ----------
    T : array_like of float
        Kinetic (recoil) energy of the nucleus [GeV].
    E_nu : array_like of float, broadcast against ``T``
        Neutrino energy [GeV].
    Z, N : array_like of float, broadcast against ``T``
        Numbers of protons and of neutrons [1]; averages over isotopes may be fractions.
    mu_nu : array_like of float, broadcast against ``T``
        Effective magnetic moment [Bohr magneton].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        dsigma/dT [cm^2/GeV] per nucleus; 0 and NaN as in `magnetic_nucleus_dsigma_dT`.

    Notes
    -----
    As `magnetic_nucleus_dsigma_dT` with 1/T - 1/E_nu + T / (4 E_nu^2) = (1 - T / (2 E_nu))^2 / T
    (Vogel and Engel, Phys. Rev. D 39, 3378 (1989)).
    """
    point = magnetic_point(T, E_nu, Z, N, mu_nu)
    if not point > 0.0:
        return point
    flat = 1.0 - 0.5 * T / E_nu
    return point * (flat * flat / T)
