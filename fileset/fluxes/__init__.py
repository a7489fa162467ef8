"""Published neutrino fluxes: one TOML table each, and sources that follow from a formula.

A flux is piecewise constant in neutrino energy, plus lines: inside a bin the spectrum is flat, so
integrals over it can be exact. Adding a table means adding one file to this folder; the file says
where the numbers come from and how uncertain they are, or that its source does not say. Reactors,
the Sun and pions at rest are in `sources`.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

FLAVOURS = {"nue": 12, "nuebar": -12, "numu": 14, "numubar": -14, "nutau": 16, "nutaubar": -16}
"""Flavour name to PDG code."""

# The tables keep the unit of their source; this is where it becomes ours. Second entry: the unit of
# the exposure with which the flux is multiplied. "total": the flux is that of a whole data set.
FLUX_UNITS = {
    "neutrinos / m^2 / 1e6 POT, integrated over the bin": (1e-4 * 1e-6, "POT"),
    "neutrinos / m^2 / POT, integrated over the bin": (1e-4, "POT"),
    "neutrinos / cm^2 / POT, integrated over the bin": (1.0, "POT"),
    "neutrinos / cm^2 / second, integrated over the bin": (1.0, "second"),
    "neutrinos / fission, integrated over the bin": (1.0, "fission"),
    "neutrinos / capture, integrated over the bin": (1.0, "capture"),
    "neutrinos through the detector, integrated over the bin": (1.0, "total"),
    "part of the neutrinos, integrated over the bin": (1.0, "shape"),
}
ENERGY_UNITS = {"GeV": 1.0, "MeV": 1e-3}

_FOLDER = Path(__file__).parent
_REQUIRED = {"title", "flux_unit", "energy_unit", "source", "uncertainty", "spectra"}
_OPTIONAL = {"horn_current", "edges", "area"}
_T = TypeVar("_T")
_COLUMNS = {"edges", "flux", "fractional_uncertainty", "lines"}


class Line(NamedTuple):
    """Neutrinos of one energy.

    Attributes
    ----------
    energy : float
        Neutrino energy [GeV].
    flux : float
        Neutrinos per cm^2 and unit of exposure.
    fractional_uncertainty : float or None
        One standard deviation, relative to ``flux``; None where the source gives none.
    """

    energy: float
    flux: float
    fractional_uncertainty: float | None = None


@dataclass(frozen=True)
class Spectrum:
    """Flux of one neutrino flavour: piecewise constant in energy, plus lines.

    Attributes
    ----------
    edges : ndarray, shape (n + 1,)
        Bin edges in neutrino energy [GeV]; empty for a spectrum of lines alone.
    flux : ndarray, shape (n,)
        Neutrinos per cm^2 and unit of exposure of the `Flux`, integrated over each bin.
    fractional_uncertainty : ndarray, shape (n,), or None
        One standard deviation, relative to ``flux``; None where the source gives none.
    lines : tuple of Line
        Monoenergetic neutrinos.
    """

    edges: NDArray[np.float64]
    flux: NDArray[np.float64]
    fractional_uncertainty: NDArray[np.float64] | None = None
    lines: tuple[Line, ...] = ()

    @property
    def total(self) -> float:
        """Neutrinos of all energies per cm^2 and unit of exposure."""
        return float(self.flux.sum()) + sum(line.flux for line in self.lines)


@dataclass(frozen=True)
class Flux:
    """Published flux of all flavours at one place.

    Attributes
    ----------
    name, title, source : str
        Table name, description and publication.
    horn_current : str
        ``"FHC"`` (neutrino beam) or ``"RHC"`` (antineutrino beam); empty without horns.
    spectra : dict of int to Spectrum
        Keyed by PDG code (+-12, +-14, +-16); flavours that the source lacks are absent.
    exposure_unit : str
        What the flux is multiplied with: ``"POT"`` (protons on target), ``"second"``, ``"total"``
        (nothing: it is that of a whole data set). Without area, hence per source, not per cm^2:
        ``"fission"`` and ``"capture"``. ``"shape"``: all flavours add up to 1.
    uncertainty : str
        How uncertain it is, in words, or that the source does not say.
    """

    name: str
    title: str
    source: str
    horn_current: str
    spectra: dict[int, Spectrum]
    exposure_unit: str = "POT"
    uncertainty: str = ""


def load_flux(name: str) -> Flux:
    """Read a flux table by name.

    Parameters
    ----------
    name : str
        File name without ``.toml`` in ``fileset/fluxes``, e.g. ``"nova_nd_fhc"``.

    Returns
    -------
    Flux
        Energies in GeV, flux per bin in neutrinos / cm^2 / unit of exposure.

    Raises
    ------
    ValueError
        If there is no such table, a key or unit is missing or unknown, or columns do not fit.
    """
    path = _FOLDER / f"{name}.toml"
    if not path.is_file():
        known = available_fluxes()
        closest = difflib.get_close_matches(name, known, n=3) or known
        raise ValueError(f"no flux {name!r} in fileset/fluxes; closest: {', '.join(closest)}")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    _require_keys(path.name, table, _REQUIRED, _OPTIONAL)
    per_area, exposure_unit = _unit(path.name, table, "flux_unit", FLUX_UNITS)
    scales = per_area / table.get("area", 1.0), _unit(path.name, table, "energy_unit", ENERGY_UNITS)
    shared = {"edges": table["edges"]} if "edges" in table else {}
    spectra = {
        FLAVOURS[flavour]: _spectrum(f"{path.name}: spectra.{flavour}", shared | columns, *scales)
        for flavour, columns in table["spectra"].items()
    }
    return Flux(
        name=name,
        title=table["title"],
        source=table["source"],
        horn_current=table.get("horn_current", ""),
        spectra=spectra,
        exposure_unit=exposure_unit,
        uncertainty=table["uncertainty"],
    )


def available_fluxes() -> list[str]:
    """Names of all tables that `load_flux` can read, in alphabetical order."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def add_fluxes(
    name: str,
    parts: Sequence[tuple[float, Flux]],
    *,
    title: str,
    exposure_unit: str,
) -> Flux:
    """Sum of fluxes with factors, exact for piecewise-constant spectra.

    Parameters
    ----------
    name, title : str
        Of the sum.
    parts : sequence of (float, Flux)
        Factor, in units of the sum's exposure over the part's, and flux; at least one.
    exposure_unit : str
        That of the sum.

    Returns
    -------
    Flux
        On the union of all bin edges, with all lines. Uncertainties of the parts are taken as
        independent of each other; None for a flavour of which any part has none.

    Raises
    ------
    ValueError
        If there is nothing to add.
    """
    if not parts:
        raise ValueError(f"flux {name!r}: nothing to add; expected at least one part")
    fluxes = [flux for _, flux in parts]
    flavours = dict.fromkeys(pdg for flux in fluxes for pdg in flux.spectra)
    spectra = {
        pdg: _sum([(k, flux.spectra[pdg]) for k, flux in parts if pdg in flux.spectra])
        for pdg in flavours
    }
    texts = (dict.fromkeys(f.source for f in fluxes), dict.fromkeys(f.uncertainty for f in fluxes))
    source, uncertainty = ("; ".join(text) for text in texts)
    return Flux(name, title, source, "", spectra, exposure_unit, uncertainty)


def _sum(parts: Sequence[tuple[float, Spectrum]]) -> Spectrum:
    edges = np.unique(np.concatenate([spectrum.edges for _, spectrum in parts]))
    fluxes = [factor * _rebinned(spectrum, edges) for factor, spectrum in parts]
    flux = np.sum(fluxes, axis=0)
    lines = tuple(line._replace(flux=factor * line.flux) for factor, s in parts for line in s.lines)
    uncertainties = [s.fractional_uncertainty for _, s in parts if len(s.flux)]
    if any(uncertainty is None for uncertainty in uncertainties):
        return Spectrum(edges, flux, None, lines)
    errors = [
        factor * _rebinned(replace(s, flux=s.flux * s.fractional_uncertainty), edges)
        for factor, s in parts
        if s.fractional_uncertainty is not None
    ]
    error = np.sqrt(np.sum(np.square(errors), axis=0))
    return Spectrum(edges, flux, error / np.where(flux > 0.0, flux, 1.0), lines)


def _rebinned(spectrum: Spectrum, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flux in finer bins, whose edges include those of the spectrum."""
    if len(spectrum.flux) == 0:
        return np.zeros(max(len(edges) - 1, 0))
    density = np.concatenate([[0.0], spectrum.flux / np.diff(spectrum.edges), [0.0]])
    middle = 0.5 * (edges[1:] + edges[:-1])
    return density[np.searchsorted(spectrum.edges, middle)] * np.diff(edges)


def _spectrum(where: str, columns: Mapping[str, Any], scale: float, energy: float) -> Spectrum:
    _require_keys(where, columns, set(), _COLUMNS)
    edges = np.asarray(columns.get("edges", []), dtype=np.float64)
    flux = np.asarray(columns.get("flux", []), dtype=np.float64)
    given = columns.get("fractional_uncertainty")
    # One number is a normalisation uncertainty, common to all bins and lines.
    common = given if isinstance(given, float) else None
    values = np.full(len(flux), common) if common is not None else given
    uncertainty = None if values is None else np.asarray(values, dtype=np.float64)
    lines = tuple(Line(E * energy, value * scale, common) for E, value in columns.get("lines", []))
    spectrum = Spectrum(edges * energy, flux * scale, uncertainty, lines)
    _validate(where, spectrum)
    return spectrum


def _validate(where: str, spectrum: Spectrum) -> None:
    edges, flux, lines = spectrum.edges, spectrum.flux, spectrum.lines
    uncertainty = spectrum.fractional_uncertainty
    if uncertainty is None:
        uncertainty = np.zeros(len(flux))
    bins = max(len(edges) - 1, 0)
    if not bins == len(flux) == len(uncertainty):
        raise ValueError(
            f"{where}: {len(edges)} edges need {bins} values of 'flux' and of "
            f"'fractional_uncertainty', found {len(flux)} and {len(uncertainty)}"
        )
    if not (np.all(np.diff(edges) > 0) and np.all(flux >= 0) and np.all(uncertainty >= 0)):
        raise ValueError(f"{where}: edges must increase, flux and uncertainty must not be negative")
    if not all(line.energy > 0 and line.flux >= 0 for line in lines):
        raise ValueError(f"{where}: lines need an energy above zero and a flux not negative")


def _unit(where: str, table: Mapping[str, Any], key: str, units: Mapping[str, _T]) -> _T:
    if table[key] not in units:
        raise ValueError(f"{where}: {key} = {table[key]!r}; expected one of {', '.join(units)}")
    return units[table[key]]


def _require_keys(
    where: str, table: Mapping[str, Any], required: set[str], optional: set[str]
) -> None:
    wrong = sorted((required - set(table)) | (set(table) - required - optional))
    if wrong:
        raise ValueError(
            f"{where}: missing or unknown keys {wrong}; required {sorted(required)}, "
            f"optional {sorted(optional)}"
        )
