"""The input: simulated slices, mixed so that the wanted fraction survives, with new weights."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from fileset.atomic import renamed_when_complete
from fileset.simulate import caf, simulate

from . import job, physics

MIXTURES = {"nue": {"nuone": 0.9, "background": 0.1}, "nd": {"nd": 1.0}}
"""Sample to the simulated samples that it is made of."""

SURVIVING = {"nue": 0.235, "nd": 1e-4}
"""Fraction of the slices that the selection keeps."""

ENTRIES_PER_BASKET = {job.FEW_UNIVERSES: 50_000, job.MANY_UNIVERSES: 10_000}
"""ROOT flushes at a number of bytes, here about 50 MB: the longer the rows, the fewer of them."""

POOL = 1.6
"""Simulated slices per slice of the file: enough of both kinds to choose from."""

NO_WEIGHT_FRACTION = 1e-3

_GENIE, _PPFX = "rec.mc.nu.rwgt.genie", "rec.mc.nu.rwgt.ppfx"

Branches = dict[str, Any]
"""Branch or group of branches to array."""


def compression(codec: str) -> uproot.compression.Compression | None:
    known = {
        "zstd": uproot.ZSTD(1),
        "lz4": uproot.LZ4(1),
        "zlib": uproot.ZLIB(1),
        "lzma": uproot.LZMA(1),
        "none": None,
    }
    return known[codec]


def entries_per_basket(events: int, universes: int) -> int:
    """At least ten baskets in small files too, an even number for two threads."""
    return max(min(ENTRIES_PER_BASKET[universes], -(-events // 10)), 1)


def make_file(
    folder: Path,
    sample: str,
    events: int,
    universes: int,
    codec: str = "zstd",
    *,
    branches: int = 0,
    cluster: int = 0,
) -> Path:
    """Write a file unless it is there.

    Parameters
    ----------
    folder : Path
    sample : str
        One of ``MIXTURES``.
    events, universes : int
    codec : str
        One of ``job.CODECS``.
    branches : int
        Keep the branches that are needed and add others up to this number; 0 for all simulated.
    cluster : int
        Entries per basket; 0 for :func:`entries_per_basket`.

    Returns
    -------
    Path
    """
    cluster = cluster or entries_per_basket(events, universes)
    name = f"{sample}_{events}_{universes}u_{codec}_{cluster}"
    path = folder / (f"{name}_{branches}b.root" if branches else f"{name}.root")
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with (
        renamed_when_complete(path) as partial,
        uproot.recreate(partial, compression=compression(codec)) as file,
    ):
        sizes = [min(cluster, events - start) for start in range(0, events, cluster)]
        for number, size in enumerate(sizes):
            block = _block(sample, size, universes, number)
            if branches:
                block = _reduced(block, branches)
            if not number:
                tree = _make_tree(file, job.TREE, block)
            tree.extend(block)
        spills = caf.spill_tree(_spills(len(sizes)))
        # Assigning a dictionary would make an RNTuple, which has no names with dots.
        _make_tree(file, caf.SPILL_TREE, spills).extend(spills)
    return path


def _make_tree(file: Any, tree: str, block: Branches) -> Any:
    types = {
        name: array.type.content if isinstance(array, ak.Array) else array.dtype
        for name, array in block.items()
    }
    return file.mktree(tree, types, counter_name="n{}".format, field_name="{}.{}".format)


def _spills(n: int) -> dict[str, NDArray[np.generic]]:
    one = np.ones(n)
    return {
        "run": one,
        "subrun": np.arange(n),
        "evt": one,
        "spillpot": 1e18 * one,
        "isFHC": one,
        "isRHC": 0 * one,
    }


def _block(sample: str, size: int, universes: int, number: int) -> Branches:
    """Slices of one basket."""
    rng = np.random.default_rng([number, universes, size])
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for name, share in MIXTURES[sample].items():
            # Every block has a run of its own: the simulation counts runs by seed.
            path = simulate(
                folder, sample=name, events=int(POOL * share * size) + 100, seed=1 + number
            )
            parts.append(_read(path[0]))
    pool = {name: ak.concatenate([part[name] for part in parts]) for name in parts[0]}
    kept = _survive(pool)
    n_pass = round(SURVIVING[sample] * size)
    passing, failing = (rng.permutation(np.flatnonzero(mask)) for mask in (kept, ~kept))
    if len(passing) < n_pass or len(failing) < size - n_pass:
        raise RuntimeError(f"{len(passing)} of {len(kept)} simulated slices survive: too few")
    chosen = rng.permutation(np.concatenate([passing[:n_pass], failing[: size - n_pass]]))
    block = {name: array[chosen] for name, array in pool.items()}
    return _weighted(rng, block, universes)


def _read(path: Path) -> Branches:
    """All branches but the weights, groups of them as lists of records."""
    with uproot.open(path) as file:
        tree = file[caf.TREE]
        block = {f"rec.{name}": tree[f"rec.{name}"].array() for name in caf.SLICE}
        for group, types in caf.JAGGED.items():
            if group not in (_GENIE, _PPFX):
                members = {name: tree[f"{group}.{name}"].array() for name in types}
                block[group] = ak.zip(members)
    return block


def _column(block: Branches, name: str) -> ak.Array:
    if name in block:
        return block[name]
    group = max((group for group in block if name.startswith(f"{group}.")), key=len)
    return block[group][name.removeprefix(f"{group}.")]


def _survive(block: Branches) -> NDArray[np.bool_]:
    columns = {key: _column(block, name) for key, name in job.SELECTION_BRANCHES.items()}
    return physics.select(columns).keep


def _weighted(rng: np.random.Generator, block: Branches, universes: int) -> Branches:
    """Add weights, every one different: a codec finds as little in them as in those of PPFX."""
    counts = ak.to_numpy(ak.num(block["rec.mc.nu"]))
    n = int(counts.sum())
    unknown = rng.random(n) < NO_WEIGHT_FRACTION
    values = {
        "rwgt.ppfx.cv": _weights(rng, (n,), 0.05, unknown),
        "rwgt.ppfx.vuniv..length": np.full(n, universes, np.int32),
        "rwgt.genie..length": np.full(n, job.KNOBS, np.int32),
    }
    nu = block["rec.mc.nu"]
    for name, column in values.items():
        nu = ak.with_field(nu, ak.unflatten(column, counts), name)
    never = np.zeros(n, bool)
    vuniv = _weights(rng, (n, universes), 0.10, unknown)
    up, down = (_weights(rng, (n, job.KNOBS), 0.10, never) for _ in range(2))
    # In the order of the file: uproot writes the fields of a group as they come.
    nu = nu[list(caf.NEUTRINO)]
    return block | {
        "rec.mc.nu": nu,
        _PPFX: _lists(counts * universes, {"vuniv": vuniv}),
        _GENIE: _lists(counts * job.KNOBS, {"minus1sigma": down, "plus1sigma": up}),
    }


def _weights(
    rng: np.random.Generator, shape: tuple[int, ...], width: float, unknown: NDArray[np.bool_]
) -> NDArray[np.float32]:
    weights = 1.0 + np.float32(width) * rng.standard_normal(shape, dtype=np.float32)
    weights = np.maximum(weights, np.float32(0.02))
    weights[unknown] = 99.0
    return weights


def _lists(counts: NDArray[np.int64], columns: dict[str, NDArray[np.float32]]) -> ak.Array:
    types = dict.fromkeys(columns, "float32")
    return caf.jagged(counts, {name: column.ravel() for name, column in columns.items()}, types)


def _reduced(block: Branches, branches: int) -> Branches:
    """The branches that a reader of these files needs, and others up to a number of them."""
    needed = [*job.SELECTION_BRANCHES.values(), *job.TRUTH_BRANCHES.values()]
    needed += [job.KNOB_UP, job.KNOB_DOWN, job.UNIVERSES, "rec.mc.nu.mode"]
    # Tells that the vertex is no list.
    needed += ["rec.vtx.elastic.IsValid"]
    needed += [f"rec.hdr.{name}" for name in ("run", "subrun", "cycle", "evt", "subevt", "ismc")]
    needed += [f"{list_}..length" for list_ in ("rec.mc.nu.prim", _GENIE, f"{_PPFX}.vuniv")]
    reduced: Branches = {}
    for name, array in block.items():
        if name in needed:
            reduced[name] = array
        elif array.fields:
            reduced[name] = array[[f for f in array.fields if f"{name}.{f}" in needed]]
    counted = sum(1 + len(array.fields) if array.fields else 1 for array in reduced.values())
    n = len(reduced["rec.hdr.run"])
    padding: Iterator[str] = (f"rec.pad.b{k:04d}" for k in range(branches - counted))
    return reduced | {name: np.zeros(n, np.float32) for name in padding}
