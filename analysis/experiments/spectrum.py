"""Limits from recoil spectra: flux x cross-section x response, against counts or on minus off.

The moment adds its spectrum to a background whose shape is known and whose normalisation is fitted
with it. Free electrons in steps of binding; not below about a keV.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from fileset.fluxes import FLAVOURS
from fileset.releases import RecoilSpectrum, find_release, read_xenonnt
from processors.kernels.constants import KEV

from ..limit.count_likelihood import profile_threshold
from .outcome import PROFILE, Outcome, gaussian_limit, one_sided
from .rows import Experiment
from .sources import DAY, YEAR, load_source, magnetic_spectrum
from .spectrum_fit import MU2_REFERENCE, SpectrumFit

Floats = NDArray[np.float64]

# Bins of true energy, finer than any resolution here, and how far beyond the window they reach.
_TRUE_WIDTH = 0.1  # [keV]
_BEYOND = 1.5
_MIN_RECOIL = 0.3  # [keV]; steps of binding mean nothing below
_KG_PER_TONNE = 1000.0


def xenon_spectrum(experiment: Experiment, cl: float, releases: Path | None = None) -> Outcome:
    """Limit from the recoil spectrum of a xenon detector.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``xenon_spectrum``.
    cl : float
        Confidence level.
    releases : Path, optional
        Folder that holds the folders of data releases.

    Returns
    -------
    Outcome
        On the moment that the row names.

    Raises
    ------
    MissingReleaseError
        If the release of the row is not there.
    """
    fit = spectrum_fit(experiment, releases)
    syst = experiment.inputs["background_syst"]
    prior = f"known to {100 * syst:g} %" if syst else "free"
    background = f"background shape as published, normalisation {prior}"
    if experiment.kind != "interval":
        upper = math.sqrt(fit.upper(cl) * MU2_REFERENCE)
        return Outcome(upper, PROFILE, f"{one_sided(cl)}; {background}")
    threshold = profile_threshold(cl, sides=2)
    low, high = (math.sqrt(end * MU2_REFERENCE) for end in fit.ends(threshold))
    convention = (
        f"{100 * cl:g} % CL two-sided interval from {low:.2g} to {high:.2g}, "
        f"-2 Delta ln L = {threshold:.3f}; {background}"
    )
    return Outcome(high, "profile_two_sided", convention)


def spectrum_fit(
    experiment: Experiment, releases: Path | None = None, moment: str | None = None
) -> SpectrumFit:
    """Counts, background and signal of a row in its bins.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``xenon_spectrum``.
    releases : Path, optional
        Folder that holds the folders of data releases.
    moment : str, optional
        ``"effective"`` or a flavour; that of the row if absent.

    Returns
    -------
    SpectrumFit
        Ready to be fitted.

    Raises
    ------
    MissingReleaseError
        If the release of the row is not there.
    """
    inputs = experiment.inputs
    low, high = (end / KEV for end in inputs["recoil_energy"])
    spectrum = _spectrum(inputs, (low, high), releases)
    true_edges = np.arange(_MIN_RECOIL, _BEYOND * high, _TRUE_WIDTH)
    rates = magnetic_spectrum(load_source(inputs["flux"]), "xenon", true_edges)
    nothing = np.zeros(len(true_edges) - 1)
    shares = flavour_shares(moment or inputs["moment"], inputs["sin2_theta23"])
    true = np.sum([shares[name] * rates.get(FLAVOURS[name], nothing) for name in shares], axis=0)
    response = _response(inputs, true_edges, spectrum)
    signal = MU2_REFERENCE * inputs["exposure"] * YEAR * (response @ true)
    return SpectrumFit(spectrum.counts, spectrum.background, signal, inputs["background_syst"])


class FlavourCurves(NamedTuple):
    """How a fit gets worse with the moment of each flavour, the others zero.

    Attributes
    ----------
    system : str
        Experiment in words.
    mu_nu : ndarray, shape (n,)
        Moments [Bohr magneton].
    delta : dict of str to ndarray, shape (n,)
        -2 Delta ln L from the best physical fit, for ``"effective"`` and each flavour.
    """

    system: str
    mu_nu: Floats
    delta: dict[str, Floats]


def flavour_curves(
    experiment: Experiment, mu_nu: ArrayLike, releases: Path | None = None
) -> FlavourCurves:
    """Profile likelihoods of the effective moment and of the moment of each flavour.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``xenon_spectrum``.
    mu_nu : array_like of float, shape (n,)
        Moments [Bohr magneton], >= 0.
    releases : Path, optional
        Folder that holds the folders of data releases.

    Returns
    -------
    FlavourCurves
        The normalisation of the background is fitted at every moment.

    Raises
    ------
    ValueError
        For a row of another method.
    MissingReleaseError
        If the release of the row is not there.
    """
    if experiment.method != "xenon_spectrum":
        raise ValueError(
            f"{experiment.name} has no recoil spectrum; its likelihood is {experiment.method}"
        )
    moments = np.asarray(mu_nu, dtype=float)
    delta = {
        moment: spectrum_fit(experiment, releases, moment).delta(moments**2 / MU2_REFERENCE)
        for moment in ("effective", "nue", "numu", "nutau")
    }
    return FlavourCurves(experiment.system, moments, delta)


def flavour_shares(moment: str, sin2_theta23: float) -> dict[str, float]:
    """How much of the solar flux has the moment, by flavour as `solar_flux` has them.

    Parameters
    ----------
    moment : str
        ``"effective"``: all alike; or one flavour alone.
    sin2_theta23 : float
        Squared sine of theta23 [1]: the part of what is not nu_e that is nu_tau.

    Returns
    -------
    dict of str to float
        Parts [1] of the nu_e and of all others, which are kept as numu.
    """
    others = {"effective": 1.0, "numu": 1.0 - sin2_theta23, "nutau": sin2_theta23}
    return {"nue": float(moment in ("effective", "nue")), "numu": others.get(moment, 0.0)}


def on_off(experiment: Experiment, cl: float) -> Outcome:
    """Statistical sensitivity of spectra with a reactor on and off, of which none is public.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``on_off``: mass, live time, and a background that is flat in energy.
    cl : float
        Confidence level.

    Returns
    -------
    Outcome
        Median limit without a moment: the difference is Gaussian in mu^2.
    """
    upper, convention = gaussian_limit(0.0, on_off_sigma(experiment), cl)
    return Outcome(math.sqrt(upper), PROFILE, f"expected: {convention}; statistics only")


def on_off_sigma(experiment: Experiment) -> float:
    """Statistical uncertainty of the squared moment of a row ``on_off`` [Bohr magneton^2]."""
    inputs = experiment.inputs
    low, high = (end / KEV for end in inputs["recoil_energy"])
    width = inputs["bin_width"] / KEV
    edges = np.arange(low, high + 0.5 * width, width)
    rates = magnetic_spectrum(load_source(inputs["flux"]), inputs["target"], edges)
    signal = sum(rates.values()) * DAY / _KG_PER_TONNE  # [1/(kg day)] in each bin
    days_on, days_off = inputs["hours_on"] / 24.0, inputs["hours_off"] / 24.0
    per_day = inputs["background"] * np.diff(edges) / inputs["mass"]  # [1/(kg^2 day)]
    variance = per_day * (1.0 / days_on + 1.0 / days_off)
    return 1.0 / math.sqrt(np.sum(signal**2 / variance))


def _spectrum(inputs: Any, window: tuple[float, float], releases: Path | None) -> RecoilSpectrum:
    given = inputs["spectrum"]
    if "release" in given:
        folder = find_release(given["release"], releases)
        return read_xenonnt(folder, inputs["exposure"], window)
    names = ("edges", "counts", "background", "efficiency")
    edges, counts, background, efficiency = (np.array(given[name]) for name in names)
    kept = (edges[:-1] >= window[0]) & (edges[1:] <= window[1])
    bins = np.append(edges[:-1][kept], edges[1:][kept][-1])
    return RecoilSpectrum(bins, counts[kept], background[kept], efficiency.T)


def _response(inputs: Any, true_edges: Floats, spectrum: RecoilSpectrum) -> Floats:
    """Chance to be found in each bin of reconstructed energy, shape (bins, true bins)."""
    energy = 0.5 * (true_edges[1:] + true_edges[:-1])
    root, linear = inputs["resolution"]
    sigma = root * np.sqrt(energy) + linear * energy
    below = ndtr((spectrum.edges[:, None] - energy) / sigma)
    middle = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
    at = middle[:, None] if inputs["efficiency_of"] == "reconstructed" else energy
    return np.diff(below, axis=0) * np.interp(at, *spectrum.efficiency)
