"""Selected rows kept on disk, so that a changed variation, binning or hypothesis runs in no time.

A run with a skim folder keeps, per chunk, the columns of the events that any histogram shows for
any shift, and the cut flow of all of them. A later run reads these instead of the event files. What
the rows depend on is the name of their file: content and time of the input, the cuts, the columns,
the weights, the shifts and the code behind them. A changed cut finds no skim and reads the events;
what the rows do not depend on (weight variations, bins, templates) may change freely.

One file per chunk: a header of JSON, then the columns as they are in memory, mapped when they are
used. Not for results: templates have a format of their own.
"""

import functools
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from hist import Hist
from numpy.typing import NDArray

import fileset
from fileset.atomic import renamed_when_complete
from fileset.basket_values import Jagged
from fileset.catalog import Fileset, load_fileset
from fileset.coffea_api import ProcessorABC, accumulate
from fileset.columns import flattened
from fileset.errors import InputError
from fileset.exposure import Ledger, LedgerRow, settle
from fileset.facts import stamp
from fileset.plan import Chunk
from fileset.preprocess import preprocess
from fileset.schema import LENGTH
from fileset.virtual import FileRange

from . import categories, columns, cut_axes, kernels, n_minus_one, reading, reweight, selections
from .categories import AXIS
from .columns import DERIVED
from .filled import Filled, Part
from .fingerprint import OURS, describe, sources
from .histograms import HISTOGRAMS
from .nuone import NuoneProcessor, yields
from .reading import Columns, MissingColumnError
from .registry import NOMINAL, VARIATIONS
from .run import run

_MAGIC = b"nudipole skim 1\n"
_ALIGNED = 64

GROUP = 50_000
"""Rows that are filled at once, at least: those of small chunks together."""


@dataclass(frozen=True)
class Skim:
    """Selected events of one chunk.

    Attributes
    ----------
    counted : dict
        What was made of all events of the chunk, as plain values: cut flow, ledger key, clipped
        weights, flavours of the signal.
    columns : dict of str to ndarray
        Columns of the selected events; a table ``x`` of lists is ``x`` and ``x..length``.
    """

    counted: dict[str, Any]
    columns: dict[str, NDArray[Any]] = field(repr=False)

    @property
    def rows(self) -> int:
        """Number of selected events."""
        return int(self.counted["rows"])

    def save(self, path: Path) -> None:
        """Write to a file; a reader never sees a half-written one."""
        arrays = {name: np.ascontiguousarray(values) for name, values in self.columns.items()}
        places, stop = {}, 0
        for name, values in arrays.items():
            places[name] = stop
            stop += _aligned(values.nbytes)
        described = {n: [v.dtype.str, v.shape, places[n]] for n, v in arrays.items()}
        text = json.dumps({"counted": self.counted, "columns": described}).encode("utf-8")
        begin = _aligned(len(_MAGIC) + 16 + len(text))
        with renamed_when_complete(path) as partial, partial.open("wb") as file:
            file.write(_MAGIC + f"{len(text):15d}\n".encode() + text)
            for name, values in arrays.items():
                file.seek(begin + places[name])
                file.write(values.tobytes())
            file.truncate(begin + stop)

    @classmethod
    def load(cls, path: Path) -> "Skim | None":
        """Read what :meth:`save` wrote; None if there is none, or it is not whole."""
        try:
            with path.open("rb") as file:
                if file.read(len(_MAGIC)) != _MAGIC:
                    return None
                length = int(file.read(16))
                header = json.loads(file.read(length))
                begin = _aligned(len(_MAGIC) + 16 + length)
                content = np.memmap(file, dtype=np.uint8, mode="r")
            return cls(header["counted"], dict(_mapped(header["columns"], content[begin:])))
        # Absent, cut or overwritten: made again from the events.
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _mapped(
    columns: dict[str, Any], content: NDArray[np.uint8]
) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, (dtype, shape, place) in columns.items():
        kind = np.dtype(dtype)
        stop = place + kind.itemsize * math.prod(shape)
        if kind.hasobject or place < 0 or stop > len(content):
            raise ValueError(f"column {name!r} lies outside of the file")
        yield name, content[place:stop].view(kind).reshape(shape)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


class Skimmer(ProcessorABC):
    """Keeps the selected rows of each chunk instead of filling histograms.

    Parameters
    ----------
    processor : NuoneProcessor
    folder : Path
        Which the workers can write to.
    """

    def __init__(self, processor: NuoneProcessor, folder: Path) -> None:
        self.processor = processor
        self.folder = folder
        self.fingerprint = fingerprint(processor)

    def open(self, chunk: Chunk) -> ak.Array | FileRange:
        """As the processor opens it."""
        return self.processor.open(chunk)

    def process(self, events: ak.Array | FileRange) -> dict[str, dict[str, Any]]:
        """Write the skim of a chunk; returns its ledger key."""
        counted, kept = self.processor.selected(events)
        made = {name: counted[name] for name in ("ledger", "clipped", "flavours")}
        flows = {name: _plain(h) for name, h in counted.items() if isinstance(h, Hist)}
        alone = {
            name: [filled.index.tolist(), filled.sums[:, :, 0].tolist()]
            for name, filled in counted.items()
            if isinstance(filled, Filled)
        }
        made |= {"rows": len(kept), "cutflow": flows, "nminusone": alone}
        skim = Skim(made, dict(_stored(kept)))
        metadata = events.metadata
        skim.save(self.folder / f"{_key(self.fingerprint, metadata)}.skim")
        return {metadata["dataset"]: {"ledger": counted["ledger"]}}

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Nothing is left to do."""
        return accumulator


def remembered(
    described: Fileset, folder: Path, *, workers: int = 1, skip_bad_files: bool = False
) -> Fileset:
    """The same fileset with what is known of its files since the last run.

    Looking into a file costs more than filling its selected rows again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fileset.json.gz"
    preprocess(described, path, workers=workers, skip_bad_files=skip_bad_files)
    # Not there where a file is bad: the plan then says which, and why.
    known = load_fileset(path) if path.exists() else {}
    facts = {key: values for dataset in known.values() for key, values in dataset.known.items()}
    return {
        name: replace(
            dataset,
            known={p: f for p in dataset.files if (f := facts.get(str(Path(p).absolute())))},
        )
        for name, dataset in described.items()
    }


def run_skimmed(
    plan: Sequence[Chunk],
    processor: NuoneProcessor,
    executor: Executor,
    folder: Path,
    **options: Any,
) -> tuple[dict[str, Any], Ledger]:
    """As :func:`processors.run.run`, reading event files only where there is no skim of a chunk.

    Parameters
    ----------
    plan, processor, executor
        As there.
    folder : Path
        Of skims; made if there is none, and written to by the workers.
    **options
        As there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint_now = fingerprint(processor)
    paths = [folder / f"{_key(fingerprint_now, _identity(chunk))}.skim" for chunk in plan]
    skims = [
        None if chunk.bad else Skim.load(path) for chunk, path in zip(plan, paths, strict=True)
    ]
    todo = [position for position, skim in enumerate(skims) if skim is None]
    missing: dict[int, LedgerRow] = {}
    if todo:
        skimmer = Skimmer(processor, folder.absolute())
        _, ledger = run([plan[p] for p in todo], skimmer, executor, **options)
        missing = {p: row for p, row in zip(todo, ledger.rows, strict=True) if row.missing}
        for position in todo:
            skims[position] = None if position in missing else Skim.load(paths[position])
    # A file that is skipped is skipped as a whole, whatever is known of its other chunks.
    bad = {plan[p].file: row.missing for p, row in missing.items() if row.skipped}
    lost = {p: row.missing for p, row in missing.items()}
    lost |= {p: bad[chunk.file] for p, chunk in enumerate(plan) if chunk.file in bad}
    skipped = [p for p in lost if plan[p].file in bad]
    output: dict[str, Any] = {}
    for name in dict.fromkeys(chunk.dataset for chunk in plan):
        used = [
            (chunk, skim)
            for position, (chunk, skim) in enumerate(zip(plan, skims, strict=True))
            if chunk.dataset == name and position not in lost and skim is not None
        ]
        if used:
            output[name] = _refilled(processor, used)
    summed = ((name, *key) for name, result in output.items() for key in result["ledger"])
    return output, settle(plan, summed, lost, skipped)


def _refilled(processor: NuoneProcessor, used: Sequence[tuple[Chunk, Skim]]) -> dict[str, Any]:
    """Result of one dataset from its skims, a few at a time."""
    flavours = sorted({code for _, skim in used for code in skim.counted["flavours"]})
    total: dict[str, Any] = {}
    group: list[tuple[Chunk, Skim]] = []
    for chunk, skim in used:
        group.append((chunk, skim))
        if sum(s.rows for _, s in group) >= GROUP or skim is used[-1][1]:
            result = processor.refilled(_columns(group), flavours)
            result["ledger"] = [tuple(k) for _, s in group for k in s.counted["ledger"]]
            for _, s in group:
                result["clipped"].update(s.counted["clipped"])
            cut_flows = [
                _cut_flow(s.counted["cutflow"]) | _alone(s.counted["nminusone"]) for _, s in group
            ]
            result |= accumulate(cut_flows)
            total = accumulate([result], total or None)
            group = []
    return total


def _columns(group: Sequence[tuple[Chunk, Skim]]) -> Columns:
    """Columns of the events of several chunks of one dataset, one behind the other."""
    first = group[0][1].columns
    names = {name for name in first if not name.endswith(LENGTH)}

    def read(name: str) -> Any:
        if name not in first:
            raise MissingColumnError(group[0][0].metadata, name)
        parts = [skim.columns[name] for _, skim in group]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if name + LENGTH not in first:
            return np.asarray(values)
        lengths = np.concatenate([skim.columns[name + LENGTH] for _, skim in group])
        return Jagged(np.concatenate([[0], np.cumsum(lengths)]), np.asarray(values))

    return Columns(sum(skim.rows for _, skim in group), group[0][0].metadata, names, read)


def _stored(kept: Columns) -> Iterator[tuple[str, NDArray[Any]]]:
    """Everything that the events have, so that a new variation finds what it needs."""
    raw = {name for v in VARIATIONS.values() for name in v.uses if "." in name}
    for name in sorted(kept.given | raw):
        try:
            values = kept[name]
        except InputError:
            # The format has it and the file does not; what needs it will say so.
            continue
        if isinstance(values, ak.Array):
            offsets, content = flattened(values)
            yield name, content
            yield name + LENGTH, np.diff(offsets)
        else:
            yield name, values


def fingerprint(processor: NuoneProcessor) -> str:
    """What the selected rows of a chunk depend on, other than the chunk itself."""
    digest = hashlib.sha256(_content(tuple((p, p.stat().st_mtime_ns) for p in _sources())))
    shifted = sorted((v for v in processor.find() if v.shift), key=lambda v: v.name)
    parts = [
        processor.selection,
        processor.radiative,
        processor.cuts(),
        {name: function for name, (function, _, _) in DERIVED.items()},
        {name: histogram.without for name, histogram in HISTOGRAMS.items()},
        {v.name: (v.function, v.uses, v.optional) for v in shifted},
        {name for v in VARIATIONS.values() for name in v.uses if "." in name},
    ]
    met: set[str] = set()
    described = describe(parts, met)
    # Our own files were read: not all of them decide about rows.
    found = sources(frozenset(met)).items()
    own = {n: text for n, text in found if n.partition(".")[0] not in OURS}
    digest.update(repr((described, own)).encode("utf-8"))
    return digest.hexdigest()


@functools.lru_cache(maxsize=1)
def _content(sources: tuple[tuple[Path, int], ...]) -> bytes:
    """Digest of the content of files that were changed at some time."""
    digest = hashlib.sha256()
    for path, _ in sources:
        digest.update(path.read_bytes())
    return digest.digest()


@functools.cache
def _sources() -> tuple[Path, ...]:
    """Files whose code decides about columns, cuts, categories and weights."""
    package = Path(fileset.__file__).parent
    read = [p for p in package.rglob("*.py") if p.parent.name not in ("simulate", "fluxes")]
    modules = (categories, columns, cut_axes, n_minus_one, reading, reweight, selections)
    kernel_files = Path(kernels.__file__).parent.glob("*.py")
    return tuple(sorted([*read, *kernel_files, *(Path(m.__file__ or "") for m in modules)]))


def _identity(chunk: Chunk) -> dict[str, Any]:
    entries = {"entrystart": chunk.start, "entrystop": chunk.stop, "fileuuid": chunk.uuid}
    return chunk.metadata | entries | {"filename": chunk.path}


def _key(fingerprint: str, metadata: dict[str, Any]) -> str:
    """Name of a skim: what it depends on."""
    metadata = {k: metadata[k] for k in metadata if k not in ("timeout",)}
    text = json.dumps([fingerprint, stamp(metadata["filename"]), metadata], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def _plain(histogram: Hist) -> dict[str, Any]:
    view = histogram.view()
    parts = view.dtype.names or ("",)
    return {
        "cuts": list(histogram.axes[1]),
        **{part: (view[part] if part else view).tolist() for part in parts},
    }


def _cut_flow(counted: dict[str, Any]) -> dict[str, Hist]:
    """Cut flow out of its plain values."""
    return {
        name: yields(v["cuts"], np.array(v.get("value", v.get(""))), v.get("variance"))
        for name, v in counted.items()
    }


def _alone(counted: dict[str, Any]) -> dict[str, Filled]:
    """What each cut cuts on, out of its plain values."""
    return {
        name: Filled(
            name,
            (NOMINAL,),
            AXIS,
            np.array(index, dtype=np.int64),
            (Part(0, np.array(sums, dtype=np.float64).reshape(2, len(index), 1)),),
        )
        for name, (index, sums) in counted.items()
    }
