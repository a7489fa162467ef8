"""From a configuration to files: exposure, spills, batches of slices.

Exposure is carried by the spill tree, or by a histogram in a layout without one. In the samples
``nd``, ``data`` and ``background`` it is that of the beam. In ``nuone`` it is the *effective*
exposure of the generated scatterings, their number over flux x cross-section x electrons (real
overlay files carry the exposure of the host spills instead, which says nothing about the overlaid
events).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..fluxes import Flux, load_flux
from ..formats.nova_caf import KNOBS
from . import caf
from .background import (
    CATEGORIES,
    FIRST_PROCESS,
    POT_PER_SPILL,
    background_cells,
    generate_background,
)
from .reconstruct import reconstruct
from .signal import generate_signal, signal_cells
from .truth import Cells, Interactions, draw, join, shuffled, take
from .weights import (
    UNIVERSES,
    central_values,
    knob_weights,
    universe_table,
    universe_weights,
)
from .writer import find_layout, write

SAMPLES = ("nuone", "background", "nd", "data")
"""Signal only, everything else, natural mixture, natural mixture without truth."""

HORN_CURRENTS = {"FHC": "nova_nd_fhc", "RHC": "nova_nd_rhc"}
"""Horn current to name of the flux table."""

BATCH = 50_000
"""Slices that are generated and written at once; bounds memory. Part of what a seed means."""

MAX_SPILLS = 20_000
"""Spills per file at most; with a larger exposure every spill stands for several."""

SPILL_SPREAD = 0.02
"""Relative spread of the protons per spill; assumption."""

PILE_UP = 5.0
"""Mean number of further neutrinos in the spill; assumption."""

_RUNS_PER_SAMPLE = 10_000_000


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate; give either ``events`` or ``pot``.

    Attributes
    ----------
    sample : str
        One of ``SAMPLES``.
    seed : int
        Not negative. Same seed and configuration, same files.
    files : int
        Number of files.
    events : int or None
        Exact number of slices; the exposure follows from the rate.
    pot : float or None
        Exposure [protons on target]; the number of slices is Poisson distributed.
    mu_nu : float
        Magnetic moment of every flavour [Bohr magneton].
    horn_current : str
        ``"FHC"`` or ``"RHC"``.
    layout : str
        One of ``LAYOUTS`` of ``writer``; the events are the same in all of them.
    container : str
        ``"ttree"`` or ``"rntuple"``.
    """

    sample: str = "nd"
    seed: int = 1
    files: int = 1
    events: int | None = None
    pot: float | None = None
    mu_nu: float = 0.0
    horn_current: str = "FHC"
    layout: str = "nova_caf"
    container: str = "ttree"

    def __post_init__(self) -> None:
        find_layout(self.layout, self.container)
        if self.sample not in SAMPLES:
            raise ValueError(f"unknown sample {self.sample!r}; expected one of {list(SAMPLES)}")
        if self.horn_current not in HORN_CURRENTS:
            known = list(HORN_CURRENTS)
            raise ValueError(f"unknown horn_current {self.horn_current!r}; expected one of {known}")
        if (self.events is None) == (self.pot is None):
            raise ValueError(
                f"events={self.events}, pot={self.pot}: give exactly one, the other follows"
            )
        if self.files < 1:
            raise ValueError(f"files={self.files}: expected at least 1")
        if self.events is not None and self.events < self.files:
            raise ValueError(f"events={self.events}: expected at least one per file ({self.files})")
        if self.pot is not None and not 0.0 < self.pot < np.inf:
            raise ValueError(f"pot={self.pot}: expected protons on target above 0")
        if not 0.0 <= self.mu_nu < np.inf:
            raise ValueError(f"mu_nu={self.mu_nu}: expected Bohr magnetons, 0 or above")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: expected 0 or above")

    @property
    def stem(self) -> str:
        """Beginning of the file names."""
        moment = f"_mu{self.mu_nu:g}" if self.mu_nu > 0.0 else ""
        return f"{self.sample}{moment}_{self.horn_current.lower()}"

    @property
    def is_fhc(self) -> bool:
        """Whether the horns focus positive particles."""
        return self.horn_current == "FHC"

    @property
    def stream(self) -> int:
        """Number of sample and horn current: independent random numbers, distinct runs."""
        return len(SAMPLES) * list(HORN_CURRENTS).index(self.horn_current) + SAMPLES.index(
            self.sample
        )

    @property
    def run(self) -> int:
        """Run number; differs between samples, horn currents and seeds below ten million."""
        return _RUNS_PER_SAMPLE * (1 + self.stream) + self.seed % _RUNS_PER_SAMPLE


class _Source(NamedTuple):
    """What all files of a sample share."""

    config: SimulationConfig
    cells: Cells
    universes: NDArray[np.float32]


def _cells(config: SimulationConfig, flux: Flux) -> Cells:
    parts = []
    if config.sample != "background":
        parts.append(signal_cells(flux, config.mu_nu))
    if config.sample != "nuone":
        parts.append(background_cells(flux))
    return join(parts)


def expected_slices(config: SimulationConfig, pot: float) -> dict[str, float]:
    """Mean number of slices per category.

    Parameters
    ----------
    config : SimulationConfig
        Sample, moment and horn current; its own exposure is not used.
    pot : float
        Exposure [protons on target].

    Returns
    -------
    dict of str to float
        Keyed by category; elastic scattering above ``signal.T_MIN_GENERATED`` only.
    """
    cells = _cells(config, load_flux(HORN_CURRENTS[config.horn_current]))
    category = np.maximum(cells.process - FIRST_PROCESS + 1, 0)
    sums = np.bincount(category, weights=cells.rate * pot, minlength=len(CATEGORIES))
    return dict(zip(CATEGORIES, sums.tolist(), strict=True))


def simulate(
    out: str | Path,
    *,
    events: int | None = None,
    pot: float | None = None,
    seed: int = 1,
    files: int = 1,
    sample: str = "nd",
    mu_nu: float = 0.0,
    horn_current: str = "FHC",
    layout: str = "nova_caf",
    container: str = "ttree",
    overwrite: bool = False,
) -> list[Path]:
    """Write a simulated sample.

    More than six arguments, because this is ``SimulationConfig`` spelled out for the notebook.

    Parameters
    ----------
    out : str or pathlib.Path
        Folder for the files; made if absent.
    events, pot, seed, files, sample, mu_nu, horn_current, layout, container
        See ``SimulationConfig``.
    overwrite : bool
        Replace files of the same sample, moment and horn current in this folder, all of them.

    Returns
    -------
    list of pathlib.Path
        ``<sample>[_mu<moment>]_<horn current>_<number>.root``. In the NOvA layouts each has the
        trees ``recTree`` (one entry per slice) and ``spillTree`` (one per spill, with the
        exposure), in ``dune_fd_caf`` the tree ``caf`` and the histogram ``norm``.

    Raises
    ------
    ValueError
        If the configuration makes no sense.
    FileExistsError
        If the sample is already in the folder and ``overwrite`` is false.
    """
    config = SimulationConfig(
        sample, seed, files, events, pot, mu_nu, horn_current, layout, container
    )
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is not a folder; give a folder for the simulated files")
    old = sorted(folder.glob(f"{config.stem}_[0-9][0-9][0-9][0-9].root"))
    if old and not overwrite:
        raise FileExistsError(f"{old[0]} exists; give another folder or allow to overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    flux = load_flux(HORN_CURRENTS[horn_current])
    source = _Source(config, _cells(config, flux), universe_table(flux))
    seeds = np.random.SeedSequence((seed, config.stream)).spawn(files)
    paths = [folder / f"{config.stem}_{index:04d}.root" for index in range(files)]
    for index, path in enumerate(paths):
        _write_file(path, source, index, seeds[index])
    # Only now: a failure must not cost the previous sample. Left-overs would double the exposure.
    for path in set(old) - set(paths):
        path.unlink()
    return paths


def _write_file(path: Path, source: _Source, index: int, seed: np.random.SeedSequence) -> None:
    config, rng = source.config, np.random.default_rng(seed.spawn(1)[0])
    n, pot = _size(rng, source, index)
    spills = _spills(rng, config, index, pot)
    # More slices where the beam was stronger; they are written in the order of their spills.
    slices = rng.multinomial(n, spills["spillpot"] / spills["spillpot"].sum())
    layout = find_layout(config.layout, config.container)
    write(path, layout, config.container, _batches(source, index, seed, slices), spills)


def _size(rng: np.random.Generator, source: _Source, index: int) -> tuple[int, float]:
    """Slices and exposure of one file."""
    config, rate = source.config, float(source.cells.rate.sum())
    if config.pot is not None:
        pot = config.pot / config.files
        return int(rng.poisson(rate * pot)), pot
    n, rest = divmod(config.events or 0, config.files)
    n += index < rest
    return n, n / rate


def _spills(
    rng: np.random.Generator, config: SimulationConfig, subrun: int, pot: float
) -> dict[str, NDArray[np.generic]]:
    n = int(np.clip(np.rint(pot / POT_PER_SPILL), 1, MAX_SPILLS))
    strength = np.clip(1.0 + SPILL_SPREAD * rng.standard_normal(n), 0.5, 1.5)
    return {
        "run": np.full(n, config.run),
        "subrun": np.full(n, subrun),
        "evt": np.arange(1, n + 1),
        "spillpot": pot * (strength / strength.sum()),
        "isFHC": np.full(n, config.is_fhc),
        "isRHC": np.full(n, not config.is_fhc),
    }


def _batches(
    source: _Source, index: int, seed: np.random.SeedSequence, slices: NDArray[np.int64]
) -> Iterator[caf.Batch]:
    reached = np.cumsum(slices)
    for start in range(0, int(reached[-1]), BATCH):
        entry = np.arange(start, min(start + BATCH, reached[-1]))
        spill = np.searchsorted(reached, entry, side="right")
        header = {
            "hdr.run": np.full(len(entry), source.config.run),
            "hdr.subrun": np.full(len(entry), index),
            "hdr.cycle": np.zeros(len(entry), np.int64),
            "hdr.evt": spill + 1,
            "hdr.subevt": entry - (reached - slices)[spill],
        }
        yield _batch(np.random.default_rng(seed.spawn(1)[0]), source, header, start)


def _batch(
    rng: np.random.Generator, source: _Source, header: dict[str, NDArray[np.int64]], first: int
) -> caf.Batch:
    n = len(header["hdr.evt"])
    is_mc = source.config.sample != "data"
    cells = draw(rng, source.cells, n)
    is_background = cells.process >= FIRST_PROCESS
    events = shuffled(
        rng,
        [
            generate_signal(rng, take(cells, ~is_background)),
            generate_background(rng, take(cells, is_background)),
        ],
    )
    slices = reconstruct(rng, events, truth=is_mc)
    has_truth = is_mc & (events.nu_pdg != 0)
    pile_up = rng.poisson(PILE_UP, n) if is_mc else np.zeros(n, np.int64)
    values = {
        **header,
        **slices.values,
        "hdr.ismc": np.full(n, is_mc),
        "mc.nnu": has_truth,
        "mc.nallnus": has_truth + pile_up,
    }
    groups = _truth_groups(rng, source, events, has_truth)
    groups["rec.vtx.elastic.fuzzyk.png"] = (slices.prong_counts, slices.prongs)
    return caf.make_batch(values, groups, first=first, is_fhc=source.config.is_fhc)


def _truth_groups(
    rng: np.random.Generator,
    source: _Source,
    events: Interactions,
    has_truth: NDArray[np.bool_],
) -> dict[str, caf.Group]:
    true = Interactions._make(column[has_truth] for column in events)
    one = has_truth.astype(np.int64)
    filled = true.primary_pdg != 0
    momentum = true.primary_momentum[filled]
    primaries = {"pdg": true.primary_pdg[filled]}
    primaries |= {f"p.{name}": momentum[:, i] for i, name in enumerate(("px", "py", "pz", "E"))}
    n_primaries = np.zeros(len(one), np.int64)
    n_primaries[has_truth] = filled.sum(axis=1)
    universes = universe_weights(source.universes, true.nu_pdg, true.flux_bin)
    knobs = knob_weights(true.category, true.shower_energy / true.neutrino_energy)
    return {
        "rec.mc.nu": (one, _neutrino_columns(rng, true, filled.sum(axis=1))),
        "rec.mc.nu.prim": (n_primaries, primaries),
        "rec.mc.nu.rwgt.ppfx": (one * UNIVERSES, {"vuniv": universes.ravel()}),
        "rec.mc.nu.rwgt.genie": (one * len(KNOBS), {k: v.ravel() for k, v in knobs.items()}),
    }


def _neutrino_columns(
    rng: np.random.Generator, true: Interactions, n_primaries: NDArray[np.int64]
) -> caf.Columns:
    n = len(true.nu_pdg)
    columns: dict[str, NDArray[np.generic]] = {
        "E": true.neutrino_energy,
        "pdg": true.nu_pdg,
        "pdgorig": true.nu_pdg,
        "mode": true.mode,
        "inttype": true.inttype,
        "tgtZ": true.target_Z,
        "tgtA": true.target_A,
        "iscc": true.is_cc,
        "isvtxcont": np.ones(n),
        "eff": rng.beta(20.0, 2.0, n),
        "rwgt.ppfx.cv": central_values(rng, n),
    }
    columns |= {f"vtx.{axis}": true.vertex[:, i] for i, axis in enumerate("xyz")}
    # One neutrino per slice, so the content of every deeper list begins at 0.
    columns["prim..length"] = n_primaries
    columns["rwgt.ppfx.vuniv..length"] = np.full(n, UNIVERSES)
    columns["rwgt.genie..length"] = np.full(n, len(KNOBS))
    for name in ("prim", "rwgt.ppfx.vuniv", "rwgt.genie"):
        columns[f"{name}..idx"] = np.zeros(n)
    return columns
