"""Expected neutrino-electron events in a recoil window, from flux and cross-section.

For true energies and full efficiency: detector response and selection belong to the processors.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fileset.fluxes import Flux, Spectrum
from processors.kernels import magnetic_sigma, min_neutrino_energy, sm_sigma
from processors.kernels.constants import M_E, SIN2_THETA_W

# Exact to rounding for the window cross-sections on an interval of one octave in energy.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True)
class Rate:
    """Expected neutrino-electron events in a recoil window.

    Attributes
    ----------
    sm, magnetic : dict of int to float
        Standard Model events, and events that the magnetic moment adds, by neutrino PDG code.
    """

    sm: dict[int, float]
    magnetic: dict[int, float]

    @property
    def sm_total(self) -> float:
        """Standard Model events of all flavours."""
        return math.fsum(self.sm.values())

    @property
    def magnetic_total(self) -> float:
        """Events of all flavours that the magnetic moment adds."""
        return math.fsum(self.magnetic.values())


def expected_rate(
    flux: Flux,
    window: tuple[float, float],
    *,
    electrons: float,
    pot: float,
    mu_nu: float = 0.0,
    sin2_theta_w: float = SIN2_THETA_W,
) -> Rate:
    """Expected neutrino-electron events per flavour in a window of true recoil energy.

    Parameters
    ----------
    flux : Flux
        Neutrinos per cm^2 and proton on target, piecewise constant in energy.
    window : tuple of float
        Lowest and highest recoil energy [GeV]; the highest may be infinite.
    electrons : float
        Target electrons.
    pot : float
        Protons on target.
    mu_nu : float
        Effective magnetic moment of every flavour [Bohr magneton].
    sin2_theta_w : float
        Weak mixing angle [1].

    Returns
    -------
    Rate
        Events by flavour, Standard Model and magnetic.

    Raises
    ------
    ValueError
        For a window that is empty or negative, or that reaches zero recoil while ``mu_nu`` is not
        zero; for ``electrons`` or ``pot`` not positive; for parameters out of range.

    Notes
    -----
    Every flux bin is split where a window end becomes kinematically reachable and at octaves of
    the energy; Gauss-Legendre quadrature of the closed window cross-sections is then accurate to
    1e-12.

    Examples
    --------
    >>> from fileset.targets import ELECTRONS_PER_TONNE
    >>> from fileset.fluxes import load_flux
    >>> flux, electrons = load_flux("nova_nd_fhc"), ELECTRONS_PER_TONNE["nova"]
    >>> rate = expected_rate(flux, (0.3, 0.9), electrons=electrons, pot=3.62e20, mu_nu=1e-9)
    >>> f"{rate.sm_total:.3f} + {rate.magnetic_total:.3f} events per tonne"
    '1.584 + 0.286 events per tonne'
    """
    _validate_window(window, mu_nu)
    _validate_parameters(electrons, pot, mu_nu, sin2_theta_w)
    sm, magnetic = {}, {}
    for nu_pdg, spectrum in flux.spectra.items():
        E_nu, weight = _quadrature(spectrum, window)
        weight = weight * electrons * pot
        sm[nu_pdg] = float(weight @ sm_sigma(*window, E_nu, nu_pdg, sin2_theta_w))
        # Without a moment there is no divergence: a window from zero recoil is then meaningful.
        added = magnetic_sigma(*window, E_nu, mu_nu) if mu_nu > 0.0 else np.zeros_like(E_nu)
        magnetic[nu_pdg] = float(weight @ added)
    return Rate(sm, magnetic)


def _quadrature(
    spectrum: Spectrum, window: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Neutrino energies [GeV] and the flux [neutrinos / cm^2 / POT] that each stands for."""
    edges = spectrum.edges
    kinks = min_neutrino_energy([end for end in window if end < math.inf])
    low, high = max(edges[0], kinks[0]), edges[-1]
    if low >= high:
        return np.empty(0), np.empty(0)
    start = low if low > 0.0 else M_E
    octaves = start * 2.0 ** np.arange(math.ceil(math.log2(max(high / start, 1.0))))
    points = np.unique(np.concatenate([edges, kinks, octaves, [low]]))
    points = points[(points >= low) & (points <= high)]
    middle, half_width = 0.5 * (points[1:] + points[:-1]), 0.5 * np.diff(points)
    density = (spectrum.flux / np.diff(edges))[np.searchsorted(edges, middle) - 1]
    E_nu = middle[:, None] + half_width[:, None] * _NODES
    weight = (density * half_width)[:, None] * _WEIGHTS
    return E_nu.ravel(), weight.ravel()


def _validate_window(window: tuple[float, float], mu_nu: float) -> None:
    T_min, T_max = window
    if not 0.0 <= T_min < T_max:
        raise ValueError(f"recoil window {window}; expected 0 <= T_min < T_max [GeV]")
    if T_min == 0.0 and mu_nu > 0.0:
        raise ValueError(
            f"recoil window {window} reaches zero recoil, where the magnetic cross-section "
            "diverges; expected T_min > 0 [GeV], the detection threshold"
        )


def _validate_parameters(electrons: float, pot: float, mu_nu: float, sin2_theta_w: float) -> None:
    for name, value in {"electrons": electrons, "pot": pot}.items():
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} = {value} is not an exposure; expected a positive number")
    if not 0.0 <= mu_nu < math.inf:
        raise ValueError(f"mu_nu = {mu_nu}; expected a moment >= 0 [Bohr magneton]")
    if not 0.0 < sin2_theta_w < 1.0:
        raise ValueError(f"sin2_theta_w = {sin2_theta_w}; expected a value between 0 and 1")
