"""Effective moments: what an experiment bounds of the moment matrix, each combination by name.

The same matrix gives different effective moments to an accelerator, a reactor, the Sun and a
star, so that limits on them compare only after this step.

==============================  =====================================================
scattering near the source      one initial flavour, sum over final states
scattering far from the source  the same with phases between the mass states
solar neutrinos                 incoherent mass states, weighted by their probability
plasmon decay in stars          sum over all pairs
==============================  =====================================================
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fileset.fluxes import FLAVOURS

from .domain import antisymmetric_matrix, fraction, non_negative, positive, square_matrix
from .mixing import Mixing, oscillation_phases, pmns_matrix

# Probabilities are quoted to three or four digits.
_NORMALISATION = 2e-3


class FlavourLimits(NamedTuple):
    """Limits on the moments of single flavours, the other two taken as zero.

    Attributes
    ----------
    nue, numu, nutau : ndarray
        Upper limits [Bohr magneton].
    """

    nue: NDArray[np.float64]
    numu: NDArray[np.float64]
    nutau: NDArray[np.float64]


def scattering_moment(lam: ArrayLike, amplitudes: ArrayLike) -> NDArray[np.float64]:
    """Effective moment in scattering of a coherent superposition of states.

    Parameters
    ----------
    lam : array_like of complex, shape (..., n, n)
        Moment matrix, element [j, k] from state k to state j [Bohr magneton].
    amplitudes : array_like of complex, shape (..., n)
        Amplitude of every initial state at the detector [1], in the basis of ``lam``.

    Returns
    -------
    ndarray, shape (...)
        Effective moment [Bohr magneton], the norm of lambda times the amplitudes.

    Raises
    ------
    ValueError
        For a matrix that is not square or not finite, or of another dimension than the amplitudes.
    """
    matrix, state = square_matrix("lam", lam), np.asarray(amplitudes, dtype=np.complex128)
    if state.ndim == 0 or state.shape[-1] != matrix.shape[-1]:
        raise ValueError(
            f"lam of shape {matrix.shape} with amplitudes of shape {state.shape}; "
            "expected (..., n, n) and (..., n)"
        )
    final = np.einsum("...jk,...k->...j", matrix, state)
    return np.asarray(np.linalg.norm(final, axis=-1))[()]


def effective_moment(
    lam: ArrayLike,
    mixing: Mixing,
    flavour: str,
    *,
    l_over_e: ArrayLike = 0.0,
    majorana: bool = False,
) -> NDArray[np.float64]:
    """Effective moment in scattering of neutrinos that were produced with one flavour.

    Parameters
    ----------
    lam : array_like of complex, shape (..., 3, 3)
        Moment matrix of neutrinos in the mass basis [Bohr magneton].
    mixing : Mixing
        Mixing parameters.
    flavour : str
        Flavour at production: ``nue``, ``nuebar``, ``numu``, ``numubar``, ``nutau``, ``nutaubar``.
    l_over_e : array_like of float, shape (...)
        Distance from source to detector over neutrino energy [km/GeV]; 0 near the source.
    majorana : bool
        Require ``lam`` to be antisymmetric. The formula is that of Dirac neutrinos.

    Returns
    -------
    ndarray, shape (...)
        mu_eff [Bohr magneton], to be used in the cross-section of every recoil energy.

    Raises
    ------
    ValueError
        For an unknown flavour, a negative distance, and a matrix that is not 3 x 3 or, of Majorana
        neutrinos, not antisymmetric.

    Notes
    -----
    mu_eff^2 = sum_j |sum_k U*_lk exp(-i dm^2_k1 L / 2E) lambda_jk|^2 (Beacom & Vogel 1999; Giunti &
    Studenikin, arXiv:1403.6344; Kouzakov & Studenikin, arXiv:1703.00401). An antineutrino has U and
    the couplings conjugated, since its vertex is the Hermitian conjugate one: near the source its
    moment is therefore equal, far from it the phases have the other sign. Conjugating U alone is
    the same for a real matrix only.

    Examples
    --------
    >>> from analysis.theory.mixing import NUFIT52_NORMAL
    >>> lam = np.diag([1e-11, 2e-11, 3e-11])
    >>> f"{effective_moment(lam, NUFIT52_NORMAL, 'numu'):.3e}"
    '2.563e-11'
    """
    if flavour not in FLAVOURS:
        raise ValueError(f"flavour {flavour!r} is unknown; expected one of {sorted(FLAVOURS)}")
    if majorana:
        lam = antisymmetric_matrix("lam of Majorana neutrinos", lam)
    row = (abs(FLAVOURS[flavour]) - FLAVOURS["nue"]) // 2
    # Only the norm is needed: conjugating everything but the phases reverses the phases.
    direction = 1.0 if FLAVOURS[flavour] > 0 else -1.0
    phases = direction * oscillation_phases(mixing, l_over_e)
    return scattering_moment(lam, pmns_matrix(mixing)[row].conj() * np.exp(-1j * phases))


def solar_effective_moment(lam: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Effective moment in scattering of solar neutrinos, an incoherent mixture of mass states.

    Parameters
    ----------
    lam : array_like of complex, shape (..., 3, 3)
        Moment matrix in the mass basis [Bohr magneton].
    probabilities : array_like of float, shape (..., 3)
        Probability that a neutrino born as nu_e arrives as mass state k [1], adding up to one.
        Depends on energy.

    Returns
    -------
    ndarray, shape (...)
        Effective moment [Bohr magneton].

    Raises
    ------
    ValueError
        For probabilities out of range or with another sum, and a matrix that is not 3 x 3.

    Notes
    -----
    mu^2 = sum_k P_ek sum_j |lambda_jk|^2 (Beacom & Vogel 1999).
    """
    matrix, weight = square_matrix("lam", lam), fraction("probabilities", probabilities)
    if matrix.shape[-1] != 3 or weight.ndim == 0 or weight.shape[-1] != 3:
        raise ValueError(
            f"lam of shape {matrix.shape} with probabilities of shape {weight.shape}; "
            "expected (..., 3, 3) and (..., 3)"
        )
    total = weight.sum(axis=-1)
    if (np.abs(total - 1.0) > _NORMALISATION).any():
        raise ValueError(f"probabilities {weight} add up to {total}; expected 1")
    return np.sqrt(np.einsum("...k,...jk->...", weight, np.abs(matrix) ** 2))


def solar_flavour_combination(
    mu_nue: ArrayLike,
    mu_numu: ArrayLike,
    mu_nutau: ArrayLike,
    *,
    survival: ArrayLike,
    sin2_theta23: ArrayLike,
) -> NDArray[np.float64]:
    """Effective moment of solar neutrinos from moments of the flavours that arrive.

    Parameters
    ----------
    mu_nue, mu_numu, mu_nutau : array_like of float
        Effective moments of the flavours [Bohr magneton], >= 0.
    survival : array_like of float
        Probability that a solar nu_e arrives as nu_e, P_ee [1].
    sin2_theta23 : array_like of float
        Squared sine of the mixing angle theta23 [1].

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Effective moment [Bohr magneton].

    Raises
    ------
    ValueError
        For negative moments and probabilities out of range.

    Notes
    -----
    mu^2 = P_ee mu_e^2 + (1 - P_ee) (cos^2(theta23) mu_mu^2 + sin^2(theta23) mu_tau^2), as Borexino
    used it (arXiv:1707.09355). Neglects interference between flavours.
    """
    kept, s23 = fraction("survival", survival), fraction("sin2_theta23", sin2_theta23)
    given = {"mu_nue": mu_nue, "mu_numu": mu_numu, "mu_nutau": mu_nutau}
    moments = [non_negative(name, value, "Bohr magneton") for name, value in given.items()]
    square_e, square_mu, square_tau = (moment**2 for moment in moments)
    other = (1.0 - s23) * square_mu + s23 * square_tau
    return np.sqrt(kept * square_e + (1.0 - kept) * other)


def flavour_limits(
    mu_eff: ArrayLike, *, survival: ArrayLike, sin2_theta23: ArrayLike
) -> FlavourLimits:
    """Limits on the moments of single flavours from one on the solar effective moment.

    Parameters
    ----------
    mu_eff : array_like of float
        Upper limit on the solar effective moment [Bohr magneton], >= 0.
    survival : array_like of float
        Probability that a solar nu_e arrives as nu_e, P_ee [1], between 0 and 1, ends excluded.
    sin2_theta23 : array_like of float
        Squared sine of theta23 [1], between 0 and 1, ends excluded.

    Returns
    -------
    FlavourLimits
        Upper limits [Bohr magneton], each with the other two moments zero.

    Raises
    ------
    ValueError
        For a negative limit, and for probabilities that are out of range or leave a flavour out.

    Examples
    --------
    >>> limits = flavour_limits(2.8e-11, survival=0.537, sin2_theta23=0.5)  # Borexino
    >>> f"{limits.nue:.2e} {limits.numu:.2e}"
    '3.82e-11 5.82e-11'
    """
    bound = non_negative("mu_eff", mu_eff, "Bohr magneton")
    kept, s23 = positive("survival", survival, "1"), positive("sin2_theta23", sin2_theta23, "1")
    lost = positive("1 - survival", 1.0 - kept, "1")
    c23 = positive("1 - sin2_theta23", 1.0 - s23, "1")
    return FlavourLimits(
        bound / np.sqrt(kept), bound / np.sqrt(lost * c23), bound / np.sqrt(lost * s23)
    )


def stellar_moment(lam: ArrayLike, *, majorana: bool = False) -> NDArray[np.float64]:
    """Effective moment in plasmon decay, where every pair of states is produced.

    Parameters
    ----------
    lam : array_like of complex, shape (..., n, n)
        Moment matrix in any basis [Bohr magneton].
    majorana : bool
        Pairs jk and kj are the same final state and count once; ``lam`` must be antisymmetric.

    Returns
    -------
    ndarray, shape (...)
        Effective moment [Bohr magneton]: the moment of a single Dirac neutrino with the same
        energy loss.

    Raises
    ------
    ValueError
        For a matrix that is not square or, of Majorana neutrinos, not antisymmetric.

    Notes
    -----
    Dirac: mu^2 = sum_jk (|mu_jk|^2 + |epsilon_jk|^2) = sum_jk |lambda_jk|^2 (Raffelt 1996). Not the
    moment of scattering, which has one initial state; each of those is smaller or equal. Majorana:
    half the sum, so that two degenerate Majorana neutrinos are one Dirac neutrino.
    """
    if majorana:
        matrix = antisymmetric_matrix("lam of Majorana neutrinos", lam)
    else:
        matrix = square_matrix("lam", lam)
    pairs = 0.5 if majorana else 1.0
    return np.sqrt(pairs * np.sum(np.abs(matrix) ** 2, axis=(-1, -2)))
