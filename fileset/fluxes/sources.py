"""Fluxes of sources that radiate evenly: reactors, the Sun, and pions that decay at rest.

Built from the tables of this folder or from the formula of the decay. Oscillations enter only where
a survival probability is given.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import Flux, Line, Spectrum, add_fluxes, load_flux

M_MUON = 0.1056583755  # [GeV], PDG 2024
M_PION = 0.13957039  # charged pion [GeV], PDG 2024
CM_PER_M = 100.0
JOULE_PER_MEV = 1.602176634e-13  # exact in the SI of 2019

# Energy released per fission [MeV]: V. Kopeikin et al., Phys. Atom. Nucl. 67, 1892 (2004),
# hep-ph/0410100.
ENERGY_PER_FISSION = {"u235": 201.92, "u238": 205.52, "pu239": 209.99, "pu241": 213.60}
"""Fissile isotopes, and the heat of one fission [MeV]."""

CAPTURES_PER_FISSION = 0.6
"""Neutron captures on U238 per fission; H. T. Wong et al., Phys. Rev. D 75, 012001 (2007)."""

SOLAR_COMPONENTS = ("pp", "be7", "pep", "b8", "hep", "n13", "o15", "f17")
"""Solar neutrinos by the reaction that makes them, tables ``solar_*``."""

_SOLID_ANGLE = 4.0 * math.pi


def reactor_flux(
    thermal_power: float,
    distance: float,
    fission_fractions: Mapping[str, float],
    *,
    captures_per_fission: float = CAPTURES_PER_FISSION,
) -> Flux:
    """Antineutrinos of a power reactor at a given distance.

    Parameters
    ----------
    thermal_power : float
        [GW], thermal.
    distance : float
        From the core, taken as a point [m].
    fission_fractions : mapping of str to float
        Part of the fissions [1] by isotope of ``ENERGY_PER_FISSION``; they add up to 1.
    captures_per_fission : float
        Neutron captures on U238 per fission [1]; each makes two antineutrinos below 1.3 MeV.

    Returns
    -------
    Flux
        Antineutrinos / cm^2 / second per bin, from 0.0078 to 8.125 MeV.

    Raises
    ------
    ValueError
        For power or distance not positive, an unknown isotope, fractions that are negative or do
        not add up to 1 within 1 %, or negative captures.

    Notes
    -----
    Fissions per second are the power over the mean energy per fission. Equilibrium: no off-time, no
    spent fuel.

    Examples
    --------
    >>> fuel = {"u235": 0.58, "u238": 0.07, "pu239": 0.30, "pu241": 0.05}
    >>> f"{reactor_flux(3.0, 13.9, fuel).spectra[-12].total:.1e} / cm^2 / s"
    '2.6e+13 / cm^2 / s'
    """
    _require_positive(thermal_power=thermal_power, distance=distance)
    unknown = sorted(set(fission_fractions) - set(ENERGY_PER_FISSION))
    if unknown:
        raise ValueError(f"isotopes {unknown} do not fission here; known: {[*ENERGY_PER_FISSION]}")
    values = fission_fractions.values()
    if min(values, default=-1.0) < 0.0 or abs(math.fsum(values) - 1.0) > 0.01:
        raise ValueError(
            f"fission fractions {dict(fission_fractions)} must be >= 0 and add up to 1"
        )
    if not 0.0 <= captures_per_fission < math.inf:
        raise ValueError(f"captures_per_fission = {captures_per_fission}; expected a number >= 0")
    heat = math.fsum(f * ENERGY_PER_FISSION[isotope] for isotope, f in fission_fractions.items())
    fissions = thermal_power * 1e9 / (heat * JOULE_PER_MEV)  # [1/s]
    per_area = fissions / _sphere(distance)
    parts = [(f * per_area, load_flux(f"reactor_{i}")) for i, f in fission_fractions.items()]
    parts.append((captures_per_fission * per_area, load_flux("reactor_u238_capture")))
    title = f"Reactor of {thermal_power:g} GW at {distance:g} m"
    return add_fluxes("reactor", parts, title=title, exposure_unit="second")


def solar_flux(
    components: Sequence[str] = SOLAR_COMPONENTS,
    *,
    survival_probability: float | Callable[[NDArray[np.float64]], NDArray[np.float64]] = 1.0,
) -> Flux:
    """Solar neutrinos at Earth.

    Parameters
    ----------
    components : sequence of str
        Some of ``SOLAR_COMPONENTS``; all if absent.
    survival_probability : float or function
        Probability [1] that a nu_e arrives as nu_e, or a function from energies [GeV] to it, which
        is evaluated in the middle of each bin. It hardly depends on the component.

    Returns
    -------
    Flux
        Neutrinos / cm^2 / second per bin, and lines. What does not survive is counted as nu_mu,
        which scatters off electrons as nu_tau does.

    Raises
    ------
    ValueError
        For an unknown component or none, and a probability outside 0 to 1.
    """
    unknown = sorted(set(components) - set(SOLAR_COMPONENTS))
    if unknown or not components:
        raise ValueError(f"solar components {unknown or 'missing'}; known: {SOLAR_COMPONENTS}")
    parts = [(1.0, load_flux(f"solar_{name}")) for name in components]
    title = f"Solar neutrinos at Earth: {', '.join(components)}"
    flux = add_fluxes("solar", parts, title=title, exposure_unit="second")
    spectrum = flux.spectra[12]
    middle = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
    energies = np.concatenate([middle, [line.energy for line in spectrum.lines]])
    if callable(survival_probability):
        survival = np.asarray(survival_probability(energies), dtype=np.float64)
    else:
        survival = np.full(len(energies), survival_probability)
    if not np.all((survival >= 0.0) & (survival <= 1.0)):
        raise ValueError(f"survival probabilities {survival}; expected values between 0 and 1")
    if np.all(survival == 1.0):
        return flux
    spectra = {12: _scaled(spectrum, survival), 14: _scaled(spectrum, 1.0 - survival)}
    return replace(flux, spectra=spectra)


def stopped_pion_flux(pions: float, distance: float, *, bins: int = 400) -> Flux:
    """Neutrinos of positive pions, and then muons, that decay at rest.

    Parameters
    ----------
    pions : float
        Stopped positive pions per proton on target.
    distance : float
        From the target, taken as a point [m].
    bins : int
        Equal bins of the muon decay spectra.

    Returns
    -------
    Flux
        Neutrinos / cm^2 / POT: nu_e and anti-nu_mu up to 52.8 MeV, nu_mu of 29.79 MeV.

    Raises
    ------
    ValueError
        For pions, distance or bins not positive.

    Notes
    -----
    With x = 2 E_nu / m_mu: dN/dx = 12 x^2 (1 - x) for nu_e and 2 x^2 (3 - 2 x) for anti-nu_mu, each
    bin from their integrals, exact but for terms (m_e / m_mu)^2; nu_mu at
    (m_pi^2 - m_mu^2) / (2 m_pi). Negative pions and decays in flight are left out.
    """
    _require_positive(pions=pions, distance=distance, bins=bins)
    per_area = pions / _sphere(distance)
    x = np.linspace(0.0, 1.0, bins + 1)
    edges = 0.5 * M_MUON * x
    nothing = np.empty(0)
    line = Line((M_PION**2 - M_MUON**2) / (2.0 * M_PION), per_area)
    spectra = {
        12: Spectrum(edges, per_area * np.diff(x**3 * (4.0 - 3.0 * x))),
        14: Spectrum(nothing, nothing, None, (line,)),
        -14: Spectrum(edges, per_area * np.diff(x**3 * (2.0 - x))),
    }
    return Flux(
        name="stopped_pion",
        title=f"Pions at rest, {pions:g} per proton, at {distance:g} m",
        source="muon decay at tree level and two-body pion decay; masses PDG 2024",
        horn_current="",
        spectra=spectra,
        uncertainty="that of the number of pions, typically 10 %; the shapes are exact",
    )


def _scaled(spectrum: Spectrum, factors: NDArray[np.float64]) -> Spectrum:
    """Spectrum times factors, first those of the bins, then those of the lines."""
    n = len(spectrum.flux)
    lines = [
        line._replace(flux=float(factor) * line.flux)
        for line, factor in zip(spectrum.lines, factors[n:], strict=True)
    ]
    return replace(spectrum, flux=spectrum.flux * factors[:n], lines=tuple(lines))


def _sphere(distance: float) -> float:
    """Area of a sphere [cm^2] with this radius [m]."""
    return _SOLID_ANGLE * (distance * CM_PER_M) ** 2


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} = {value}; expected a positive number")
