"""Official data releases that are read where they lie and never copied: XENONnT and COHERENT.

A release is a folder; which one is said by an argument, by the variable ``NUDIPOLE_DATA``, or it
is looked for in ``shared/data/limits`` beside the checkout.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

Floats = NDArray[np.float64]
VARIABLE = "NUDIPOLE_DATA"
"""Environment variable with the folder that holds the folders of releases."""

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "limits"


class MissingReleaseError(InputError):
    """A release is not there: what needs it is skipped, and says so."""


class RecoilSpectrum(NamedTuple):
    """Counts of an electron-recoil spectrum with what is expected without a moment.

    Attributes
    ----------
    edges : ndarray, shape (n + 1,)
        Bins of reconstructed energy [keV].
    counts : ndarray of float, shape (n,)
        Observed events.
    background : ndarray, shape (n,)
        Fitted background, solar neutrinos included [events].
    efficiency : ndarray, shape (2, m)
        Energies [keV] and efficiencies [1].
    """

    edges: Floats
    counts: Floats
    background: Floats
    efficiency: Floats


def find_release(name: str, folder: Path | None = None) -> Path:
    """Folder of a release.

    Parameters
    ----------
    name : str
        Name of its folder, e.g. ``"xenonnt_2022"``.
    folder : Path, optional
        Where the folders of releases are.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    MissingReleaseError
        If it is not there; the message says where it was looked for.
    """
    home = folder or Path(os.environ.get(VARIABLE) or _BESIDE)
    if not (home / name).is_dir():
        raise MissingReleaseError(
            f"no data release {name} in {home}; fetch it from its authors, then name the folder "
            f"that holds it with 'table --data' or {VARIABLE}"
        )
    return home / name


def read_xenonnt(folder: Path, exposure: float, window: tuple[float, float]) -> RecoilSpectrum:
    """Events of the XENONnT release of 2022 in the bins of its background model.

    Parameters
    ----------
    folder : Path
        Holds ``bkg_model.txt``, ``data_unbinned_1to30kev.txt`` and ``efficiency.txt``.
    exposure : float
        [tonne year], by which the background rate is multiplied.
    window : tuple of float
        Reconstructed energies to keep [keV].

    Returns
    -------
    RecoilSpectrum
        In bins of 0.1 keV, finer than the resolution.

    Raises
    ------
    InputError
        For a file that is missing or not a table of the release.
    """
    energy, rate = _columns(folder / "bkg_model.txt", 2)
    (events,) = _columns(folder / "data_unbinned_1to30kev.txt", 1)
    width = energy[1] - energy[0]
    kept = (energy > window[0]) & (energy < window[1])
    edges = np.append(energy[kept] - 0.5 * width, energy[kept][-1] + 0.5 * width)
    return RecoilSpectrum(
        edges,
        np.histogram(events, edges)[0].astype(float),
        rate[kept] * width * exposure,
        _columns(folder / "efficiency.txt", 2),
    )


class ScintillationRelease(NamedTuple):
    """Release of COHERENT on caesium iodide.

    Attributes
    ----------
    coincident, anticoincident : ndarray, shape (n,) and (m,)
        Light of the events with and without beam [photoelectrons].
    beam_neutrons, neutrino_neutrons : ndarray, shape (2, k)
        Middles of bins of one photoelectron, and the part of the background in them [1].
    efficiency : ndarray, shape (4,)
        a, b, c, d of ``a / (1 + exp(-b (x - c))) + d`` at x photoelectrons.
    quenching : ndarray, shape (4,)
        Coefficients of the powers 1 to 4 of the recoil energy [MeV] in the light [MeV].
    """

    coincident: Floats
    anticoincident: Floats
    beam_neutrons: Floats
    neutrino_neutrons: Floats
    efficiency: Floats
    quenching: Floats


def read_coherent(folder: Path) -> ScintillationRelease:
    """Read the release of COHERENT of 2020.

    Parameters
    ----------
    folder : Path
        Holds ``dataBeamOnC.txt``, ``dataBeamOnAC.txt``, ``brnPE.txt``, ``ninPE.txt``,
        ``effCoefficients.txt`` and ``scintRespCoefficients.txt``.

    Returns
    -------
    ScintillationRelease
        With the nominal efficiency and quenching.

    Raises
    ------
    InputError
        For a file that is missing or not a table of the release.
    """
    return ScintillationRelease(
        _columns(folder / "dataBeamOnC.txt", 2)[0],
        _columns(folder / "dataBeamOnAC.txt", 2)[0],
        _columns(folder / "brnPE.txt", 2),
        _columns(folder / "ninPE.txt", 2),
        _columns(folder / "effCoefficients.txt", 4)[:, 0],
        _columns(folder / "scintRespCoefficients.txt", 4)[:, 0],
    )


def _columns(path: Path, number: int) -> Floats:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = (line.partition("#")[0].split() for line in lines)
        table = np.array([row for row in rows if row], dtype=float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a table of the release: {error}") from error
    if table.shape[1:] != (number,) or len(table) < 2 or not np.isfinite(table).all():
        raise InputError(
            f"{path}: table of shape {table.shape}; expected {number} columns of finite numbers"
        )
    return table.T
