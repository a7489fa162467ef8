"""Classifier scores of the toy.

Scores are logit-normal: a bell in ln(p / (1 - p)). Electrons are high; photons, muons and hadrons
lower; all better at high energy. The centres are assumptions, tuned so that published cut values
keep about half of the signal; they do not describe the classifiers of any experiment.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .background import CATEGORIES
from .caf import CVN_LABELS


class Centres(NamedTuple):
    """Centres of the logits of the slice scores at 1 GeV; assumptions."""

    nuoneid: float
    epi0nuoneid: float
    nueid: float


class SliceScores(NamedTuple):
    """Scores between 0 and 1, arrays of shape (n,)."""

    nuoneid: NDArray[np.float64]
    epi0nuoneid: NDArray[np.float64]
    nueid: NDArray[np.float64]


CENTRES = {
    "nuone": Centres(1.6, 3.8, 1.5),
    "numu_cc": Centres(-3.0, 0.5, -2.5),
    "numu_cc_pi0": Centres(-1.5, 1.0, -1.5),
    "nc_pi0": Centres(0.2, 2.4, 0.2),
    "nc_coherent": Centres(1.0, 2.8, 0.8),
    "nue_cc": Centres(1.0, 3.4, 1.0),
    "numu_mec": Centres(-2.5, 0.5, -2.5),
    "nue_mec": Centres(1.0, 3.4, 1.0),
    "cosmic": Centres(-2.5, 0.0, -2.5),
}
"""Centres of every category."""

SCORE_WIDTH = 1.3
"""Width of the logits of the slice scores; assumption."""

SCORE_PER_LOG_ENERGY = 0.5
"""Shift of the logits of the slice scores per unit of ln(E/GeV); assumption."""

KINDS = ("electron", "photon", "muon", "hadron")
"""What a prong can be for the prong classifiers."""

_CENTRES = np.array([CENTRES[name] for name in CATEGORIES])

_LOGITS = np.array(
    [
        # electron photon muon pizero proton pion neutron other
        [5.0, 0.5, -2.0, -0.5, -3.0, -2.0, -3.0, -2.0],
        [3.5, 2.5, -2.0, 1.5, -3.0, -1.5, -2.0, -2.0],
        [-2.0, -2.0, 4.5, -3.0, -1.5, 1.5, -3.0, -2.0],
        [-2.0, -1.0, 0.0, -1.5, 3.0, 2.0, 0.0, -1.0],
    ]
)
"""Mean logit of the eight-label prong classifier per kind at 1 GeV; assumption."""

_FIVE_PDG = np.array([11, 22, 13, 2212, 211])
_FIVE = [CVN_LABELS.index(label) for label in ("electron", "photon", "muon", "proton", "pion")]


def slice_scores(
    rng: np.random.Generator, category: NDArray[np.int64], energy: NDArray[np.float64]
) -> SliceScores:
    """Scores of slices.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    category : ndarray of int, shape (n,)
        Index into ``CATEGORIES``.
    energy : ndarray, shape (n,)
        True energy of the leading prong [GeV].

    Returns
    -------
    SliceScores
        Logit-normal around ``CENTRES``.
    """
    logits = _CENTRES[category].T + SCORE_PER_LOG_ENERGY * np.log(energy)
    logits += SCORE_WIDTH * rng.standard_normal(logits.shape)
    return SliceScores(*(1.0 / (1.0 + np.exp(-logits))))


def prong_scores(
    rng: np.random.Generator, kind: NDArray[np.int64], energy: NDArray[np.float64]
) -> dict[str, NDArray[np.generic]]:
    """Scores of prongs, in the names of ``caf.PRONG``.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    kind : ndarray of int, any shape
        Index into ``KINDS``.
    energy : ndarray, shape of ``kind``
        True energy of the particle [GeV].

    Returns
    -------
    dict of str to ndarray, shape of ``kind``
        Softmax of Gaussian logits, hence the eight labels add up to 1; so do the five labels, of
        which photon and proton are not written.
    """
    sharpness = np.clip(energy, 0.05, 2.0)[..., None] ** 0.3
    logits = _LOGITS[kind] * sharpness + rng.standard_normal((*kind.shape, len(CVN_LABELS)))
    eight = _softmax(logits)
    five = _softmax(logits[..., _FIVE] + 0.5 * rng.standard_normal((*kind.shape, len(_FIVE))))
    columns: dict[str, NDArray[np.generic]] = {
        f"cvnpart.{label}id": eight[..., i] for i, label in enumerate(CVN_LABELS)
    }
    prefix = "spprongcvnpart5label"
    columns[f"{prefix}.pdgmax"] = _FIVE_PDG[five.argmax(axis=-1)]
    for pdg, label in ((11, "electron"), (13, "muon"), (211, "pion")):
        columns[f"{prefix}.{label}id"] = five[..., list(_FIVE_PDG).index(pdg)]
    return columns


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    scores = np.exp(logits)
    return scores / scores.sum(axis=-1, keepdims=True)
