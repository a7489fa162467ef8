"""Expected neutrino-electron events in a recoil window, from flux, target and hypothesis.

For true energies and full efficiency: detector response and selection belong to the processors.
Free electrons at tree level; not below about a keV in heavy atoms, where binding matters.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fileset.fluxes import Flux, Spectrum
from fileset.targets import Target
from processors.kernels import (
    magnetic_sigma,
    max_recoil_energy,
    min_neutrino_energy,
    sm_sigma,
)
from processors.kernels.charge_radius import charge_radius_dsigma_dT
from processors.kernels.constants import M_E, SIN2_THETA_W
from processors.kernels.millicharge import millicharge_dsigma_dT

PerFlavour = float | Mapping[int, float]
"""One value for all flavours, or values by PDG code."""

Floats = NDArray[np.float64]

# Exact to rounding for the window cross-sections on an interval of one octave in energy.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
# In ln T the millicharge integrand falls as exp(-ln T): 40 nodes reach 1e-12 over ten decades.
_LOG_NODES, _LOG_WEIGHTS = np.polynomial.legendre.leggauss(40)
# With a charge radius the cross-section is quadratic in T, for which two nodes are exact.
_TWO_NODES, _TWO_WEIGHTS = np.polynomial.legendre.leggauss(2)

_PARAMETERS = {
    "mu_nu": "a moment >= 0 [Bohr magneton]",
    "charge_radius2": "a finite number [cm^2]",
    "millicharge": "a finite number [e]",
}


@dataclass(frozen=True)
class Hypothesis:
    """Electromagnetic properties of the neutrino, and the weak mixing angle.

    Attributes
    ----------
    mu_nu : float or mapping of int to float
        Effective magnetic moment [Bohr magneton].
    charge_radius2 : float or mapping of int to float
        Charge radius squared <r^2>, in addition to that of the Standard Model [cm^2].
    millicharge : float or mapping of int to float
        Electric charge of the neutrino [e].
    sin2_theta_w : float
        Weak mixing angle [1].

    Raises
    ------
    ValueError
        For values out of range, codes that are no neutrino, and a flavour with both a charge
        radius and a millicharge: these interfere with each other.

    Notes
    -----
    A mapping goes by PDG code: a flavour that is absent has 0, an antineutrino that is absent the
    value of its neutrino. Charge and charge radius of an antineutrino are given as those of the
    neutrino.

    Examples
    --------
    >>> only_muon = Hypothesis(mu_nu={14: 1e-9})
    >>> only_muon.value("mu_nu", -14), only_muon.value("mu_nu", 12)
    (1e-09, 0.0)
    """

    mu_nu: PerFlavour = 0.0
    charge_radius2: PerFlavour = 0.0
    millicharge: PerFlavour = 0.0
    sin2_theta_w: float = SIN2_THETA_W

    def __post_init__(self) -> None:
        for name, expected in _PARAMETERS.items():
            parameter = getattr(self, name)
            values = parameter if isinstance(parameter, Mapping) else {14: parameter}
            wrong = [pdg for pdg in values if abs(pdg) not in (12, 14, 16)]
            if wrong:
                raise ValueError(f"{name}: {wrong} are no neutrinos; expected +-12, +-14, +-16")
            for value in values.values():
                if not math.isfinite(value) or (name == "mu_nu" and value < 0.0):
                    raise ValueError(f"{name} = {value}; expected {expected}")
        if not 0.0 < self.sin2_theta_w < 1.0:
            raise ValueError(
                f"sin2_theta_w = {self.sin2_theta_w}; expected a value between 0 and 1"
            )
        for pdg in (12, -12, 14, -14, 16, -16):
            if self.value("charge_radius2", pdg) and self.value("millicharge", pdg):
                raise ValueError(
                    f"charge_radius2 and millicharge of neutrino {pdg} are both set; they "
                    "interfere with each other: set one of them"
                )

    def value(self, name: str, nu_pdg: int) -> float:
        """Value of one parameter for one neutrino.

        Parameters
        ----------
        name : str
            ``"mu_nu"``, ``"charge_radius2"`` or ``"millicharge"``.
        nu_pdg : int
            Neutrino PDG code.

        Returns
        -------
        float
            In the unit of the parameter.
        """
        parameter: PerFlavour = getattr(self, name)
        if isinstance(parameter, Mapping):
            return parameter.get(nu_pdg, parameter.get(abs(nu_pdg), 0.0))
        return parameter


STANDARD_MODEL = Hypothesis()
"""No electromagnetic properties."""


@dataclass(frozen=True)
class Rate:
    """Expected neutrino-electron events in a recoil window.

    Attributes
    ----------
    sm : dict of int to float
        Standard Model events by neutrino PDG code.
    magnetic, charge_radius, millicharge : dict of int to float
        Events that each property adds to them; with a charge or a charge radius possibly negative,
        because these interfere with the Standard Model.
    """

    sm: dict[int, float]
    magnetic: dict[int, float] = field(default_factory=dict)
    charge_radius: dict[int, float] = field(default_factory=dict)
    millicharge: dict[int, float] = field(default_factory=dict)

    @property
    def sm_total(self) -> float:
        """Standard Model events of all flavours."""
        return math.fsum(self.sm.values())

    @property
    def magnetic_total(self) -> float:
        """Events of all flavours that the magnetic moment adds."""
        return math.fsum(self.magnetic.values())

    @property
    def charge_radius_total(self) -> float:
        """Events of all flavours that the charge radius adds."""
        return math.fsum(self.charge_radius.values())

    @property
    def millicharge_total(self) -> float:
        """Events of all flavours that the millicharge adds."""
        return math.fsum(self.millicharge.values())

    @property
    def total(self) -> float:
        """Events of all flavours and processes."""
        added = self.magnetic_total + self.charge_radius_total + self.millicharge_total
        return self.sm_total + added


def expected_rate(
    flux: Flux,
    target: Target,
    window: tuple[float, float],
    hypothesis: Hypothesis = STANDARD_MODEL,
    *,
    exposure: float,
) -> Rate:
    """Expected neutrino-electron events per flavour in a window of true recoil energy.

    Parameters
    ----------
    flux : Flux
        Neutrinos per cm^2 and unit of exposure: piecewise constant in energy, and lines.
    target : Target
        Material and mass.
    window : tuple of float
        Lowest and highest recoil energy [GeV]; the highest may be infinite.
    hypothesis : Hypothesis
        Electromagnetic properties and weak mixing angle; the Standard Model if absent.
    exposure : float
        In the ``exposure_unit`` of the flux: protons on target, seconds; 1 for ``"total"``, and
        for a ``"shape"`` the neutrinos per cm^2.

    Returns
    -------
    Rate
        Events by flavour, for the Standard Model and what each property adds.

    Raises
    ------
    ValueError
        For a window that is empty or negative, or that reaches zero recoil with a magnetic moment
        or a millicharge; for an exposure that is not positive.

    Notes
    -----
    Every flux bin is split where a window end becomes kinematically reachable and at octaves of
    the energy; Gauss-Legendre quadrature of the window cross-sections, which are closed forms but
    for the millicharge, is then accurate to 1e-12. Lines are exact.

    Examples
    --------
    >>> from fileset.fluxes import load_flux
    >>> flux, tonne = load_flux("nova_nd_fhc"), Target("nova", 1.0)
    >>> rate = expected_rate(flux, tonne, (0.3, 0.9), Hypothesis(mu_nu=1e-9), exposure=3.62e20)
    >>> f"{rate.sm_total:.3f} + {rate.magnetic_total:.3f} events per tonne"
    '1.584 + 0.286 events per tonne'
    """
    _validate(window, hypothesis, flux, exposure)
    rate = Rate(sm={})
    for nu_pdg, spectrum in flux.spectra.items():
        E_nu, weight = _quadrature(spectrum, window)
        weight = weight * target.electrons * exposure
        sm = sm_sigma(*window, E_nu, nu_pdg, hypothesis.sin2_theta_w)
        rate.sm[nu_pdg] = float(weight @ sm)
        mu_nu, radius2, charge = (hypothesis.value(name, nu_pdg) for name in _PARAMETERS)
        # Without a property nothing diverges: a window from zero recoil is then meaningful.
        none = np.zeros_like(E_nu)
        magnetic = magnetic_sigma(*window, E_nu, mu_nu) if mu_nu else none
        with_radius = _charge_radius_sigma(window, E_nu, nu_pdg, hypothesis) if radius2 else sm
        with_charge = _millicharge_sigma(window, E_nu, nu_pdg, hypothesis) if charge else sm
        rate.magnetic[nu_pdg] = float(weight @ magnetic)
        rate.charge_radius[nu_pdg] = float(weight @ (with_radius - sm))
        rate.millicharge[nu_pdg] = float(weight @ (with_charge - sm))
    return rate


def _charge_radius_sigma(
    window: tuple[float, float], E_nu: Floats, nu_pdg: int, hypothesis: Hypothesis
) -> Floats:
    """Cross-section in the window [cm^2], Standard Model included."""
    low, high = _reached(window, E_nu)
    half = 0.5 * (high - low)
    T = low + half * (1.0 + _TWO_NODES)
    radius2 = hypothesis.value("charge_radius2", nu_pdg)
    dsigma = charge_radius_dsigma_dT(T, E_nu[:, None], nu_pdg, hypothesis.sin2_theta_w, radius2)
    return np.asarray((dsigma * half) @ _TWO_WEIGHTS)


def _millicharge_sigma(
    window: tuple[float, float], E_nu: Floats, nu_pdg: int, hypothesis: Hypothesis
) -> Floats:
    """Cross-section in the window [cm^2], Standard Model included."""
    low, high = _reached(window, E_nu)
    half = 0.5 * np.log(high / low)
    T = low * np.exp(half * (1.0 + _LOG_NODES))
    charge = hypothesis.value("millicharge", nu_pdg)
    dsigma = millicharge_dsigma_dT(T, E_nu[:, None], nu_pdg, hypothesis.sin2_theta_w, charge)
    return np.asarray((dsigma * T * half) @ _LOG_WEIGHTS)


def _reached(window: tuple[float, float], E_nu: Floats) -> tuple[float, Floats]:
    """Lower end of the window, and its upper end or the kinematic limit, shape (n, 1) [GeV]."""
    high = np.clip(max_recoil_energy(E_nu), *window)
    return window[0], high[:, None]


def _quadrature(spectrum: Spectrum, window: tuple[float, float]) -> tuple[Floats, Floats]:
    """Neutrino energies [GeV] and the flux that each stands for."""
    E_nu, weight = _bin_quadrature(spectrum, window)
    energies = np.array([line.energy for line in spectrum.lines])
    fluxes = np.array([line.flux for line in spectrum.lines])
    return np.concatenate([E_nu, energies]), np.concatenate([weight, fluxes])


def _bin_quadrature(spectrum: Spectrum, window: tuple[float, float]) -> tuple[Floats, Floats]:
    edges = spectrum.edges
    kinks = min_neutrino_energy([end for end in window if end < math.inf])
    if len(edges) == 0 or max(edges[0], kinks[0]) >= edges[-1]:
        return np.empty(0), np.empty(0)
    low, high = max(edges[0], kinks[0]), edges[-1]
    start = low if low > 0.0 else M_E
    octaves = start * 2.0 ** np.arange(math.ceil(math.log2(max(high / start, 1.0))))
    points = np.unique(np.concatenate([edges, kinks, octaves, [low]]))
    points = points[(points >= low) & (points <= high)]
    middle, half_width = 0.5 * (points[1:] + points[:-1]), 0.5 * np.diff(points)
    density = (spectrum.flux / np.diff(edges))[np.searchsorted(edges, middle) - 1]
    E_nu = middle[:, None] + half_width[:, None] * _NODES
    weight = (density * half_width)[:, None] * _WEIGHTS
    return E_nu.ravel(), weight.ravel()


def _validate(
    window: tuple[float, float], hypothesis: Hypothesis, flux: Flux, exposure: float
) -> None:
    T_min, T_max = window
    if not 0.0 <= T_min < T_max:
        raise ValueError(f"recoil window {window}; expected 0 <= T_min < T_max [GeV]")
    diverging = [
        name
        for name in ("mu_nu", "millicharge")
        if any(hypothesis.value(name, nu_pdg) for nu_pdg in flux.spectra)
    ]
    if T_min == 0.0 and diverging:
        raise ValueError(
            f"recoil window {window} reaches zero recoil, where the cross-section of "
            f"{' and '.join(diverging)} diverges; expected T_min > 0 [GeV], the detection threshold"
        )
    if not 0.0 < exposure < math.inf:
        unit = flux.exposure_unit
        raise ValueError(f"exposure = {exposure}; expected a positive number [{unit}]")
