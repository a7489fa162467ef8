"""The same slices in the flat tree of the DUNE far-detector CAF, as far as it can hold them.

One entry per slice, names and types as in the released file. Reconstructed quantities are doubles
made from the values that the NOvA layouts store, so that the three layouts agree. Prongs after the
first, classifiers other than one, hadrons and flux universes have no place here and are left out.

Missing numbers are NaN, as the angles in the released file are; integers are 0, ``mode`` -1.
"""

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from ..formats.nova_caf import KNOBS
from . import detector
from .caf import Batch, Columns, Group, Tree, lists, typed
from .flat import Histogram
from .signal import ELASTIC_MODE
from .weights import NO_WEIGHT_ABOVE, all_shifts

TREE = "caf"

Array = NDArray[np.float64]

BRANCHES = {
    **dict.fromkeys("run subrun event isFD isFHC isCC nuPDG".split(), "int32"),
    **dict.fromkeys("NuMomX NuMomY NuMomZ Ev".split(), "float64"),
    **dict.fromkeys("mode LepPDG".split(), "int32"),
    **dict.fromkeys("LepMomX LepMomY LepMomZ LepE LepNuAngle Y".split(), "float64"),
    **dict.fromkeys("vtx_x vtx_y vtx_z cvnnue weight".split(), "float64"),
    **dict.fromkeys("RecoLepEnNue RecoLepAngNue".split(), "float64"),
    **{f"{knob}_nshifts": "int32" for knob in KNOBS},
    **{f"{knob}_cvwgt": "float64" for knob in KNOBS},
}
"""Branches with one value per slice, and their types in the released file."""


def slice_tree(batch: Batch) -> Tree:
    """Branches of the tree ``caf``.

    Parameters
    ----------
    batch : Batch
        n slices.

    Returns
    -------
    dict
        Branch name to array of length n; the knobs ``wgt_*`` are lists, at -3 to 3 standard
        deviations.
    """
    columns = _header(batch) | _truth(batch) | _reconstructed(batch)
    n = len(columns["run"])
    knobs = _knobs(batch, n)
    shifts = knobs.shape[2]
    columns |= {f"{knob}_nshifts": np.full(n, shifts) for knob in KNOBS}
    columns |= {f"{knob}_cvwgt": np.ones(n) for knob in KNOBS}
    tree: Tree = dict(typed(columns, BRANCHES))
    for i, knob in enumerate(KNOBS):
        content = ak.contents.NumpyArray(np.ascontiguousarray(knobs[:, i]).reshape(-1))
        tree[f"wgt_{knob}"] = ak.Array(lists(np.full(n, shifts), content))
    return tree


def counter(branch: str) -> str:
    """Name of the branch that says how many values a knob has per entry."""
    return f"{branch.removeprefix('wgt_')}_nshifts"


def histograms(spills: Columns) -> dict[str, Histogram]:
    """Exposure of a file.

    Parameters
    ----------
    spills : mapping of str to ndarray, shape (m,)
        Columns of ``caf.SPILL``.

    Returns
    -------
    dict of str to (contents, edges)
        ``norm`` with the ten bins of the released file; the first holds the weight of every
        event, the second the protons on target, the others nothing.
    """
    contents = np.zeros(10)
    contents[:2] = 1.0, spills["spillpot"].sum()
    return {"norm": (contents, np.arange(11.0))}


def _header(batch: Batch) -> dict[str, NDArray[np.generic]]:
    run = batch.values["hdr.run"]
    return {
        "run": run,
        "subrun": batch.values["hdr.subrun"],
        # Not the number of the spill: the slices of one spill could then not be told apart.
        "event": batch.first + 1 + np.arange(len(run)),
        "isFD": np.zeros(len(run)),
        "isFHC": np.full(len(run), batch.is_fhc),
    }


def _truth(batch: Batch) -> dict[str, NDArray[np.generic]]:
    neutrino, primaries = batch.groups["rec.mc.nu"], batch.groups["rec.mc.nu.prim"]
    energy, mode = _first(neutrino, "E", np.nan), _first(neutrino, "mode", -1.0)
    # The neutrino comes first in elastic scattering, then the electron; else the lepton does.
    lepton = {
        name: _first(primaries, name, np.nan, skip=mode == ELASTIC_MODE)
        for name in ("p.px", "p.py", "p.pz", "p.E")
    }
    momentum = np.stack([lepton[f"p.p{axis}"] for axis in "xyz"], axis=1)
    weight = _first(neutrino, "rwgt.ppfx.cv", 1.0)
    columns: dict[str, NDArray[np.generic]] = {
        "isCC": _first(neutrino, "iscc", 0.0),
        "nuPDG": _first(neutrino, "pdg", 0.0),
        "Ev": energy,
        "mode": mode,
        "LepPDG": _first(primaries, "pdg", 0.0, skip=mode == ELASTIC_MODE),
        "LepE": lepton["p.E"],
        "LepNuAngle": _angle_to_beam(momentum),
        "Y": 1.0 - lepton["p.E"] / energy,
        "weight": np.where(weight > NO_WEIGHT_ABOVE, 1.0, weight),
    }
    for i, axis in enumerate("XYZ"):
        columns[f"NuMom{axis}"] = energy * detector.BEAM_DIRECTION[i]
        columns[f"LepMom{axis}"] = momentum[:, i]
    return columns


def _reconstructed(batch: Batch) -> dict[str, NDArray[np.generic]]:
    prongs, values = batch.groups["rec.vtx.elastic.fuzzyk.png"], batch.values
    energy = _first(prongs, "shwlid.calE", np.nan)
    direction = np.stack([_first(prongs, f"dir.{axis}", np.nan) for axis in "xyz"], axis=1)
    columns: dict[str, NDArray[np.generic]] = {
        "cvnnue": values["sel.nueid.nueid"],
        "RecoLepEnNue": np.where(energy >= 0.0, energy, np.nan),
        "RecoLepAngNue": _angle_to_beam(direction),
    }
    for axis in "xyz":
        vertex = values[f"vtx.elastic.vtx.{axis}"].astype(np.float64)
        columns[f"vtx_{axis}"] = np.where(values["vtx.elastic.IsValid"] != 0, vertex, np.nan)
    return columns


def _first(
    group: Group, name: str, missing: float, *, skip: NDArray[np.bool_] | None = None
) -> Array:
    """Column of the first record of each slice, of the second where ``skip``, as doubles."""
    counts, columns = group
    rows = np.cumsum(counts) - counts
    if skip is not None:
        rows = rows + skip
    values = np.full(len(counts), missing)
    values[counts > 0] = columns[name][rows[counts > 0]]
    return values


def _angle_to_beam(vectors: Array) -> Array:
    """Angle of vectors of any length [rad]; exact for small angles, which its cosine is not."""
    across = np.linalg.norm(np.cross(vectors, detector.BEAM_DIRECTION), axis=1)
    return np.arctan2(across, vectors @ detector.BEAM_DIRECTION)


def _knobs(batch: Batch, n: int) -> Array:
    """Weights of all knobs and shifts, shape (n, knobs, shifts); 1 without a true neutrino."""
    counts, columns = batch.groups["rec.mc.nu.rwgt.genie"]
    known = all_shifts({name: w.reshape(-1, len(KNOBS)) for name, w in columns.items()})
    weights = np.ones((n, *known.shape[1:]))
    weights[counts > 0] = known
    return weights
