"""Coherent scattering off caesium iodide at stopped pions, Standard Model and magnetic moment.

The light of nuclear recoils alone, without arrival times; scattering off electrons, which adds some
percent to the magnetic part, is left out.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from fileset.fluxes import FLAVOURS
from fileset.releases import ScintillationRelease, find_release, read_coherent
from fileset.targets import COMPOSITION_BY_MASS, nuclei_per_tonne
from processors.kernels import cevns_dsigma_dT, magnetic_nucleus_dsigma_dT

from .rows import Experiment
from .sources import load_source

Floats = NDArray[np.float64]

BIN = 4.0
"""Width of the bins of light [photoelectrons]."""

SIN2_THETA_W = 0.2387
"""At these momentum transfers [1]; J. Erler and R. Ferro-Hernandez, arXiv:1712.09146."""

_KG_PER_TONNE, _MEV, _KEV_PER_MEV = 1e3, 1e-3, 1e3
# Recoil energies [GeV], up to that of the end of the muon decay on the lighter nucleus.
_RECOIL = np.linspace(0.25e-6, 50e-6, 400)
_FINE = 16  # parts of a bin of light
_MOMENTS = {
    "effective": ("nue", "numu", "numubar"),
    "nue": ("nue",),
    "numu": ("numu", "numubar"),
}


class CoherentSpectrum(NamedTuple):
    """Events in bins of light.

    Attributes
    ----------
    observed, steady : ndarray, shape (n,)
        Events with beam, and without, which are as many as the steady background with beam.
    beam_neutrons, neutrino_neutrons, weak : ndarray, shape (n,)
        Expected events without a moment, the last from coherent scattering.
    magnetic : ndarray, shape (n,)
        Expected events by a squared moment of one Bohr magneton^2.
    """

    observed: Floats
    steady: Floats
    beam_neutrons: Floats
    neutrino_neutrons: Floats
    weak: Floats
    magnetic: Floats


def coherent_spectrum(experiment: Experiment, releases: Path | None = None) -> CoherentSpectrum:
    """Data and expectation of a row.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``cevns_spectrum``.
    releases : Path, optional
        Folder that holds the folders of data releases.

    Returns
    -------
    CoherentSpectrum
        In bins of ``BIN`` photoelectrons.

    Raises
    ------
    MissingReleaseError
        If the release of the row is not there.
    """
    inputs = experiment.inputs
    release = read_coherent(find_release(inputs["release"], releases))
    edges = np.arange(inputs["light"][0], inputs["light"][1] + 0.5 * BIN, BIN)
    response = _response(inputs, release, edges) * np.gradient(_RECOIL)
    observed, steady = (np.histogram(light, edges)[0].astype(float) for light in release[:2])
    beam, neutrino = (
        events * np.histogram(shape[0], edges, weights=shape[1])[0]
        for (events, _), shape in (
            (inputs["beam_neutrons"], release.beam_neutrons),
            (inputs["neutrino_neutrons"], release.neutrino_neutrons),
        )
    )
    weak = response @ _recoils(inputs, _MOMENTS["effective"], None)
    magnetic = response @ _recoils(inputs, _MOMENTS[inputs["moment"]], 1.0)
    return CoherentSpectrum(observed, steady, beam, neutrino, weak, magnetic)


def _recoils(inputs: Mapping[str, Any], flavours: Collection[str], mu_nu: float | None) -> Floats:
    """Recoils per energy at ``_RECOIL`` [1/GeV], weak ones or those of a moment."""
    nuclei = nuclei_per_tonne(COMPOSITION_BY_MASS["caesium_iodide"])
    flux = load_source(inputs["flux"])
    total = np.zeros_like(_RECOIL)
    for name in flavours:
        spectrum = flux.spectra[FLAVOURS[name]]
        lines = np.array([[line.energy, line.flux] for line in spectrum.lines]).reshape(-1, 2).T
        middle = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
        E_nu = np.concatenate([middle, lines[0]])[:, None]
        passing = np.concatenate([spectrum.flux, lines[1]]) * inputs["acceptance"][name]
        for (Z, A), number in nuclei.items():
            if mu_nu is None:
                dsigma = cevns_dsigma_dT(_RECOIL, E_nu, Z, A - Z, SIN2_THETA_W)
            else:
                dsigma = magnetic_nucleus_dsigma_dT(_RECOIL, E_nu, Z, A - Z, mu_nu)
            total += number * (passing @ dsigma)
    return total * inputs["mass"] / _KG_PER_TONNE * inputs["exposure"]


def _response(inputs: Mapping[str, Any], release: ScintillationRelease, edges: Floats) -> Floats:
    """Chance of a recoil of ``_RECOIL`` to be found in each bin, shape (bins, recoils)."""
    recoil = _RECOIL / _MEV
    light = np.polynomial.polynomial.polyval(recoil, [0.0, *release.quenching])  # [MeV]
    mean = inputs["light_yield"] * light * _KEV_PER_MEV
    shape = 1.0 + inputs["resolution"] * mean
    width = BIN / _FINE
    x = np.arange(edges[0] + 0.5 * width, edges[-1], width)[:, None]
    a, b, c, d = release.efficiency
    efficiency = np.maximum(a / (1.0 + np.exp(-b * (x - c))) + d, 0.0)
    found = efficiency * gamma.pdf(x, shape, scale=mean / shape) * width
    return np.asarray(found.reshape(len(edges) - 1, _FINE, -1).sum(axis=1))
