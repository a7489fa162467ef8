"""Published neutrino fluxes, one TOML table each, with source and per-bin uncertainty.

A flux is piecewise constant in neutrino energy: inside a bin the spectrum is flat, so integrals
over it can be exact. Adding a flux means adding one file to this folder.
"""

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FLAVOURS = {"nue": 12, "nuebar": -12, "numu": 14, "numubar": -14, "nutau": 16, "nutaubar": -16}
"""Flavour name to PDG code."""

# The tables keep the unit of their source; this is where it becomes ours.
PER_CM2_PER_POT = {"neutrinos / m^2 / 1e6 POT, integrated over the bin": 1e-4 * 1e-6}

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Spectrum:
    """Flux of one neutrino flavour, piecewise constant in energy.

    Attributes
    ----------
    edges : ndarray, shape (n + 1,)
        Bin edges in neutrino energy [GeV].
    flux : ndarray, shape (n,)
        Neutrinos per cm^2 per proton on target, integrated over each bin.
    fractional_uncertainty : ndarray, shape (n,)
        One standard deviation, relative to ``flux``.
    """

    edges: NDArray[np.float64]
    flux: NDArray[np.float64]
    fractional_uncertainty: NDArray[np.float64]


@dataclass(frozen=True)
class Flux:
    """Published flux of all flavours at one place.

    Attributes
    ----------
    name, title, source : str
        Table name, description and publication.
    horn_current : str
        ``"FHC"`` (neutrino beam) or ``"RHC"`` (antineutrino beam).
    spectra : dict of int to Spectrum
        Keyed by PDG code (+-12, +-14, +-16); flavours that the source lacks are absent.
    """

    name: str
    title: str
    source: str
    horn_current: str
    spectra: dict[int, Spectrum]


def load_flux(name: str) -> Flux:
    """Read a flux table by name.

    Parameters
    ----------
    name : str
        File name without ``.toml`` in ``fileset/fluxes``, e.g. ``"nova_nd_fhc"``.

    Returns
    -------
    Flux
        Energies in GeV, flux in neutrinos / cm^2 / POT per bin.

    Raises
    ------
    ValueError
        If there is no such table, or its columns do not fit each other.
    """
    path = _FOLDER / f"{name}.toml"
    if not path.is_file():
        known = sorted(p.stem for p in _FOLDER.glob("*.toml"))
        closest = difflib.get_close_matches(name, known, n=3) or known
        raise ValueError(f"no flux {name!r} in fileset/fluxes; closest: {', '.join(closest)}")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    scale = PER_CM2_PER_POT[table["flux_unit"]]
    spectra = {
        FLAVOURS[flavour]: _spectrum(f"{path.name}: spectra.{flavour}", columns, scale)
        for flavour, columns in table["spectra"].items()
    }
    return Flux(name, table["title"], table["source"], table["horn_current"], spectra)


def _spectrum(where: str, columns: dict[str, list[float]], scale: float) -> Spectrum:
    edges, flux, uncertainty = (
        np.asarray(columns[key], dtype=np.float64)
        for key in ("edges", "flux", "fractional_uncertainty")
    )
    if not len(edges) - 1 == len(flux) == len(uncertainty):
        raise ValueError(
            f"{where}: {len(edges)} edges need {len(edges) - 1} values of 'flux' and of "
            f"'fractional_uncertainty', found {len(flux)} and {len(uncertainty)}"
        )
    if not (np.all(np.diff(edges) > 0) and np.all(flux >= 0) and np.all(uncertainty >= 0)):
        raise ValueError(f"{where}: edges must increase, flux and uncertainty must not be negative")
    return Spectrum(edges, flux * scale, uncertainty)
