"""Detector response of the toy: prongs, showers, classifier scores.

Resolutions are assumptions, not measurements: shower energy 10 %/sqrt(E) and 3 % added in
quadrature, each projected angle 25 mrad/sqrt(E), E in GeV. ``rec.sel.nueid.nueid`` is a name of
ours.

What could not be reconstructed is negative: ``SENTINEL``, or ``NOWHERE`` for positions.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import detector
from .background import CATEGORIES
from .scores import KINDS, prong_scores, slice_scores
from .signal import M_E
from .truth import Interactions

ENERGY_STOCHASTIC, ENERGY_CONSTANT = 0.10, 0.03
"""Relative energy resolution at 1 GeV and its constant part; assumption."""

ANGLE_STOCHASTIC = 0.025
"""Resolution of each projected angle at 1 GeV [rad]; assumption."""

VERTEX_RESOLUTION = 2.0
"""Resolution of each vertex coordinate [cm]; assumption."""

RADIATION_LENGTH = 40.0
"""In the active volume [cm]."""

CRITICAL_ENERGY = 0.08
"""Energy where showers stop to multiply [GeV]; sets their length."""

MUON_LOSS = 0.0021
"""Energy loss of a muon [GeV/cm]."""

MAX_PRONGS = 3
"""Prongs per slice at most; the leading one is first."""

SENTINEL = -5.0
"""Value of a quantity that was not reconstructed."""

NOWHERE = -9999.0
"""Coordinate of a point that was not reconstructed."""

Columns = dict[str, NDArray[np.generic]]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Response:
    """What one category leaves near its vertex; every number is an assumption.

    Attributes
    ----------
    gap : float
        Mean distance from vertex to shower start [cm], exponential.
    vertex_energy : float
        Mean energy at the vertex outside prongs [GeV], exponential.
    """

    gap: float
    vertex_energy: float


RESPONSES = {
    "nuone": Response(4.0, 0.006),
    "numu_cc": Response(4.0, 0.030),
    "numu_cc_pi0": Response(20.0, 0.030),
    "nc_pi0": Response(18.0, 0.012),
    "nc_coherent": Response(18.0, 0.006),
    "nue_cc": Response(5.0, 0.020),
    "numu_mec": Response(4.0, 0.025),
    "nue_mec": Response(5.0, 0.018),
    "cosmic": Response(5.0, 0.010),
}
"""Response of every category."""

_GAP = np.array([RESPONSES[name].gap for name in CATEGORIES])
_VERTEX_ENERGY = np.array([RESPONSES[name].vertex_energy for name in CATEGORIES])


class Slices(NamedTuple):
    """Reconstructed slices in the names of ``caf``.

    Attributes
    ----------
    values : dict of str to ndarray, shape (n,)
        Columns of ``caf.SLICE`` that reconstruction fills.
    prong_counts : ndarray of int, shape (n,)
        Prongs per slice.
    prongs : dict of str to ndarray, shape (sum of counts,)
        Columns of ``caf.PRONG``.
    """

    values: Columns
    prong_counts: NDArray[np.int64]
    prongs: Columns


class _Particles(NamedTuple):
    """True particles behind the prong slots, arrays of shape (n, MAX_PRONGS, ...)."""

    kind: NDArray[np.int64]
    pdg: NDArray[np.int64]
    mother: NDArray[np.int64]
    energy: Array
    mass: Array
    direction: Array


class _Prongs(NamedTuple):
    """Reconstructed prong slots, arrays of shape (n, MAX_PRONGS, ...)."""

    energy: Array
    direction: Array
    length: Array
    gap: Array
    start: Array
    stop: Array


def reconstruct(rng: np.random.Generator, events: Interactions, *, truth: bool) -> Slices:
    """Reconstruct slices.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of random numbers.
    events : Interactions
        What happened.
    truth : bool
        Whether prongs of neutrino interactions know their true particle.

    Returns
    -------
    Slices
        In the order of the input.
    """
    counts = _prong_counts(rng, events)
    exists = np.arange(MAX_PRONGS) < counts[:, None]
    particles = _particles(rng, events)
    vertex = events.vertex + VERTEX_RESOLUTION * rng.standard_normal(events.vertex.shape)
    gap_scale = _GAP[events.category]
    prongs = _track(rng, particles, vertex, gap_scale)
    vertex_energy = rng.exponential(_VERTEX_ENERGY[events.category])
    slice_energy = _slice_energy(rng, events, exists, prongs) + vertex_energy
    values = _slice_columns(rng, events, counts, prongs, slice_energy)
    values |= _vertex_columns(rng, counts, vertex, vertex_energy)
    values |= _wall_distances(exists, prongs)
    known = truth & (events.nu_pdg != 0)
    columns = _prong_columns(rng, particles, prongs, slice_energy, vertex_energy)
    columns |= _truth_columns(particles, known)
    flat = {name: column[exists] for name, column in columns.items()}
    missed = rng.random(len(flat["calE"])) < 0.005
    for name in ("shwlid.calE", "shwlid.shwE", "shwlid.lid.shwEFrac"):
        flat[name][missed] = SENTINEL
    found = np.zeros(exists.shape, bool)
    found[exists] = ~missed
    values["vtx.elastic.fuzzyk.nshwlid"] = found.sum(axis=1)
    return Slices(values, counts, flat)


def _prong_counts(rng: np.random.Generator, events: Interactions) -> NDArray[np.int64]:
    """Soft showers may have no prong; hadrons above about 0.1 GeV make further ones."""
    n = len(events.category)
    none = rng.random(n) < 0.01 + 0.3 * np.exp(-events.shower_energy / 0.1)
    split = rng.random(n) < 0.03
    second = rng.random(n) < 1.0 - np.exp(-events.hadronic_energy / 0.1)
    third = rng.random(n) < 1.0 - np.exp(-events.hadronic_energy / 0.4)
    return np.where(none, 0, 1 + (second | split) + (second & third))


def _particles(rng: np.random.Generator, events: Interactions) -> _Particles:
    n = len(events.category)
    shape = (n, MAX_PRONGS)
    kind = np.full(shape, KINDS.index("hadron"))
    lead = np.abs(events.shower_pdg)
    kind[:, 0] = np.select([lead == 11, lead == 22], [0, 1], 2)
    pdg = np.where(rng.random(shape) < 0.6, 2212, 211)
    pdg[:, 0] = events.shower_pdg
    mother = np.zeros(shape, np.int64)
    mother[:, 0] = events.shower_mother
    energy = np.empty(shape)
    energy[:, 0] = events.shower_energy
    rest = np.minimum(events.hadronic_energy + 0.01, 0.9 * events.shower_energy)
    share = rng.uniform(0.5, 0.9, n)
    energy[:, 1], energy[:, 2] = rest * share, rest * (1.0 - share)
    mass = np.where(pdg == 2212, 0.938, 0.140)
    mass[:, 0] = np.select([lead == 11, lead == 22], [M_E, 0.0], 0.106)
    direction = rng.standard_normal((n, MAX_PRONGS, 3))
    # Hadrons go forward on average.
    direction += 1.5 * detector.BEAM_DIRECTION
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    direction[:, 0] = events.shower_direction
    return _Particles(kind, pdg, mother, energy, mass, direction)


def _track(
    rng: np.random.Generator, particles: _Particles, vertex: Array, gap_scale: Array
) -> _Prongs:
    """Smear energy and direction, and stop at the walls; what leaks out is not seen."""
    true, shape = particles.energy, particles.energy.shape
    resolution = np.hypot(ENERGY_STOCHASTIC / np.sqrt(true), ENERGY_CONSTANT)
    seen = np.maximum(1.0 + resolution * rng.standard_normal(shape), 0.05)
    first, second = detector.basis_around(particles.direction)
    kick = ANGLE_STOCHASTIC / np.sqrt(true) * rng.standard_normal((2, *shape))
    direction = particles.direction + kick[0, ..., None] * first + kick[1, ..., None] * second
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    gap = rng.exponential(np.broadcast_to(gap_scale[:, None], shape))
    start = vertex[:, None, :] + gap[..., None] * direction
    start = np.clip(start, detector.WALLS_LOW, detector.WALLS_HIGH)
    full = _range(particles) * np.exp(0.15 * rng.standard_normal(shape))
    length = np.minimum(full, _to_wall(start, direction))
    # Most of a shower is in its first half, hence the square; assumption.
    leak = (1.0 - length / full) ** 2
    stop = start + length[..., None] * direction
    return _Prongs(true * seen * (1.0 - leak), direction, length, gap, start, stop)


def _range(particles: _Particles) -> Array:
    shower = RADIATION_LENGTH * (4.0 + np.log1p(particles.energy / CRITICAL_ENERGY))
    track = particles.energy / MUON_LOSS
    return np.where(particles.kind < 2, shower, np.where(particles.kind == 2, track, 0.3 * track))


def _to_wall(start: Array, direction: Array) -> Array:
    wall = np.where(direction > 0.0, detector.WALLS_HIGH, detector.WALLS_LOW)
    component = np.where(np.abs(direction) > 1e-9, direction, 1e-9)
    return np.maximum(((wall - start) / component).min(axis=-1), 0.1)


def _slice_energy(
    rng: np.random.Generator, events: Interactions, exists: NDArray[np.bool_], prongs: _Prongs
) -> Array:
    """All prongs, hadrons that made no prong, and noise."""
    in_prongs = np.where(exists, prongs.energy, 0.0).sum(axis=1)
    unclustered = np.where(exists[:, 1], 0.1, 1.0) * events.hadronic_energy
    lost_shower = np.where(exists[:, 0], 0.0, prongs.energy[:, 0])
    return in_prongs + unclustered + lost_shower + rng.exponential(0.004, len(in_prongs))


def _slice_columns(
    rng: np.random.Generator,
    events: Interactions,
    counts: NDArray[np.int64],
    prongs: _Prongs,
    slice_energy: Array,
) -> Columns:
    scores = slice_scores(rng, events.category, events.shower_energy)
    found = counts > 0
    exists = np.arange(MAX_PRONGS) < counts[:, None]
    length = np.where(exists, prongs.length, -1.0)
    planes = _planes(prongs).max(axis=1)
    return {
        "slc.calE": slice_energy,
        "slc.nhit": 4 + rng.poisson(60.0 * slice_energy),
        "slc.ncontplanes": planes + 1,
        "vtx.elastic.fuzzyk.npng": counts,
        "vtx.elastic.fuzzyk.npng2d": rng.poisson(0.2, len(counts)),
        "vtx.elastic.fuzzyk.longestidx": np.where(found, length.argmax(axis=1), -1),
        "sel.nuone.nuoneid": np.where(found, scores.nuoneid, SENTINEL),
        "sel.nuone.epi0nuoneid": np.where(found, scores.epi0nuoneid, SENTINEL),
        # From -1 to 1, unlike the others.
        "sel.nueid.nueid": np.where(found, 2.0 * scores.nueid - 1.0, SENTINEL),
    }


def _planes(prongs: _Prongs) -> NDArray[np.int64]:
    return 1 + (prongs.length * np.abs(prongs.direction[..., 2]) / detector.PLANE_PITCH).astype(int)


def _vertex_columns(
    rng: np.random.Generator, counts: NDArray[np.int64], vertex: Array, vertex_energy: Array
) -> Columns:
    valid = counts > 0
    in_volume = vertex_energy + rng.gamma(2.0, 0.0025, len(counts))
    columns: Columns = {
        f"vtx.elastic.vtx.{axis}": np.where(valid, vertex[:, i], NOWHERE)
        for i, axis in enumerate("xyz")
    }
    columns["vtx.elastic.IsValid"] = valid
    columns["vtx.elastic.prong3dvertexenergyvolume10"] = np.where(valid, in_volume, SENTINEL)
    return columns


def _wall_distances(exists: NDArray[np.bool_], prongs: _Prongs) -> Columns:
    """Smallest distance of any prong to each wall; x grows to the west, y up, z downstream."""
    points = np.concatenate([prongs.start, prongs.stop], axis=1)
    used = np.concatenate([exists, exists], axis=1)[..., None]
    above = np.where(used, points - detector.WALLS_LOW, np.inf).min(axis=1)
    below = np.where(used, detector.WALLS_HIGH - points, np.inf).min(axis=1)
    distances = {"east": above[:, 0], "west": below[:, 0], "bottom": above[:, 1]}
    distances |= {"top": below[:, 1], "front": above[:, 2], "back": below[:, 2]}
    return {
        f"sel.nuecosrej.distallpng{wall}": np.where(exists[:, 0], distance, SENTINEL)
        for wall, distance in distances.items()
    }


def _prong_columns(
    rng: np.random.Generator,
    particles: _Particles,
    prongs: _Prongs,
    slice_energy: Array,
    vertex_energy: Array,
) -> dict[str, NDArray[np.generic]]:
    shape = prongs.energy.shape
    columns: dict[str, NDArray[np.generic]] = {
        "len": prongs.length + prongs.gap,
        "calE": prongs.energy * (1.0 - np.minimum(rng.exponential(0.03, shape), 0.5)),
        "nplane": _planes(prongs),
        "shwlid.calE": prongs.energy,
        "shwlid.shwE": prongs.energy * (1.0 + 0.02 * rng.standard_normal(shape)),
        "shwlid.len": prongs.length,
        "shwlid.gap": prongs.gap,
        "shwlid.width": np.where(particles.kind < 2, 4.0, 2.0) + rng.exponential(0.5, shape),
        "shwlid.nhit": 2 + rng.poisson(55.0 * prongs.energy),
        "shwlid.lid.shwEFrac": prongs.energy / slice_energy[:, None],
        "shwlid.lid.vtxgev": np.broadcast_to(vertex_energy[:, None], shape),
        "shwlid.lid.gap": prongs.gap,
        "shwlid.lid.epi0llt": rng.normal(np.where(particles.kind == 0, 0.3, -0.1), 0.25),
    }
    for name, points in (("dir", prongs.direction), ("shwlid.start", prongs.start)):
        columns |= {f"{name}.{axis}": points[..., i] for i, axis in enumerate("xyz")}
    columns |= {f"shwlid.stop.{axis}": prongs.stop[..., i] for i, axis in enumerate("xyz")}
    return columns | prong_scores(rng, particles.kind, particles.energy)


def _truth_columns(
    particles: _Particles, known: NDArray[np.bool_]
) -> dict[str, NDArray[np.generic]]:
    show = known[:, None]
    return {
        "truth.pdg": np.where(show, particles.pdg, 0),
        "truth.motherpdg": np.where(show, particles.mother, 0),
        "truth.p.E": np.where(show, particles.energy + particles.mass, SENTINEL),
    }
