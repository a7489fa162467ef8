"""What a run leaves behind: histograms, cut flow, ledger, provenance; one file, no pickle.

The file is a zip archive: each histogram in hist's own UHI serialisation (JSON and ``.npy``), the
rest in ``templates.json``.
"""

import functools
import json
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uhi.io.zip
from hist import Hist
from hist.axis import StrCategory

from fileset.atomic import renamed_when_complete
from fileset.errors import InputError, closest
from fileset.exposure import Ledger
from fileset.formats import CAFANA_SPECTRUM, FORMATS
from fileset.html import html_table
from fileset.unpacking import check_archive, parsed

from .alternatives import merge_alternatives
from .categories import CATEGORIES, DATA, SIGNAL
from .filled import Filled, finished, stacked
from .histograms import LABELS, labelled
from .hypotheses import TEMPLATES
from .variations import NOMINAL

SCHEMA = 1
# Characters of a line in a notebook.
_LONG = 300
_CONTENT = "templates.json"

# What the readers of zip, JSON and arrays raise for a file that is damaged or something else.
_UNREADABLE = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    SyntaxError,
    MemoryError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class LateHistograms(Mapping[str, Hist]):
    """Histograms that are made when they are first looked at: all their bins take much memory.

    Parameters
    ----------
    makers : mapping of str to callable
        Name to what makes the histogram.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Hist]]) -> None:
        self._makers = makers
        self._made: dict[str, Hist] = {}

    def __getitem__(self, name: str) -> Hist:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True)
class Templates:
    """Result of a run.

    Attributes
    ----------
    histograms : mapping of str to Hist
        Axes dataset, category, variation and those of
        :data:`processors.histograms.HISTOGRAMS`; also ``cutflow``, ``cutflow_events`` and
        ``nminusone`` with axes dataset, category, cut; and ``nminusone.CUT.COLUMN``, what a cut
        cuts on of the events that pass all others, with the nominal alone as variation.
        Category holds truth categories, then signal templates per unit of their coefficient.
        Weighted events as simulated, at each dataset's own exposure. A dataset that a variation
        does not touch carries its nominal there.
    ledger : fileset.Ledger
        What is in them, with its exposure.
    datasets : dict of str to dict
        Metadata of each dataset as the processor saw it.
    provenance : dict
        How they were made; plain JSON values.
    """

    histograms: Mapping[str, Hist]
    ledger: Ledger
    datasets: dict[str, dict[str, Any]]
    provenance: dict[str, Any]

    @property
    def hist(self) -> Hist:
        """Axes dataset, category, variation, recoil_energy, ttheta2."""
        return self.histograms["spectrum"]

    @property
    def cutflow(self) -> Hist:
        """Weighted yields after each cut: axes dataset, category, cut."""
        return self.histograms["cutflow"]

    def _repr_html_(self) -> str:
        shown = self.histograms.get("cutflow")
        rows = []
        for name, metadata in self.datasets.items():
            kind, events = "MC" if metadata["is_mc"] else "data", []
            if shown is not None:
                cuts = shown[name, :, :].project("cut").values()
                events = [f"{value:.5g}" for value in (cuts[0], cuts[-1])]
            pot = f"{self.ledger.pot(name):.4g}"
            rows.append([name, kind, pot, *events])
        columns = ["dataset", "kind", "POT", *(["all events", "selected"] if shown else [])]
        made = f"{len(self.variations)} variations: {', '.join(self.variations)}"
        note = made if len(made) < _LONG else f"{made[:_LONG]}..."
        if missing := len(self.ledger.missing):
            note = f"{missing} of {len(self.ledger.rows)} chunks are missing. {note}"
        return html_table("templates, weighted events at their own exposure", columns, rows, note)

    @property
    def variations(self) -> list[str]:
        """Bins of the variation axis."""
        return list(self.hist.axes["variation"])

    @property
    def simulated(self) -> list[str]:
        """Names of the datasets that are simulation."""
        return [name for name, metadata in self.datasets.items() if metadata["is_mc"]]

    @property
    def data_pot(self) -> float:
        """Exposure of the data; 0 without data [POT]."""
        return sum(self.ledger.pot(name) for name in self.datasets if name not in self.simulated)

    @property
    def mc_pot(self) -> dict[str, float]:
        """Exposure of each simulated dataset that is in the sum [POT]."""
        return {name: self.ledger.pot(name) for name in self.simulated}

    def prediction(self, pot: float, name: str = "spectrum") -> Hist:
        """Standard Model: sum of all simulated datasets, each scaled to one exposure.

        Parameters
        ----------
        pot : float
            Exposure to scale to [POT].
        name : str
            Key of :attr:`histograms`.

        Returns
        -------
        Hist
            Axes of that histogram without dataset; category holds truth categories only. Events.

        Raises
        ------
        InputError
            If no dataset is simulation or the exposure is not positive.
        """
        scaled = self._scaled(pot, name)
        axis = labelled(CATEGORIES, "category")
        expected = Hist(axis, *list(scaled.axes)[1:], storage=scaled.storage_type())
        # They come first on the axis; slicing would move the templates to the overflow bin.
        expected.view(flow=True)[: axis.size] = scaled.view(flow=True)[: axis.size]
        return expected

    def signal(self, pot: float, coefficients: Mapping[str, float], name: str = "spectrum") -> Hist:
        """What a hypothesis adds to the Standard Model.

        Parameters
        ----------
        pot : float
            Exposure to scale to [POT].
        coefficients : mapping of str to float
            Template to coefficient, from :func:`processors.hypotheses.coefficients`.
        name : str
            Key of :attr:`histograms` with a variation axis.

        Returns
        -------
        Hist
            Axes of that histogram without dataset and category. Events; negative where a property
            interferes destructively. A flavour that the simulation does not have adds nothing.

        Raises
        ------
        InputError
            As :meth:`prediction`, and for an unknown template.
        """
        scaled = self._scaled(pot, name)
        present = set(scaled.axes["category"])
        total = scaled[{"category": SIGNAL}] * 0.0
        for label, value in coefficients.items():
            if label not in TEMPLATES:
                raise InputError(f"no signal template {label!r}; {closest(label, TEMPLATES)}")
            if label in present:
                total = total + scaled[{"category": label}] * value
        return total

    def _scaled(self, pot: float, name: str) -> Hist:
        if not pot > 0.0:
            raise InputError(
                f"exposure {pot} POT, expected > 0; give --pot where there are no data"
            )
        if not self.simulated:
            raise InputError("no simulated dataset in the templates; process one with is_mc = true")
        parts = [
            self.histograms[name][dataset, ...] * (pot / self.ledger.pot(dataset))
            for dataset in self.simulated
        ]
        return sum(parts[1:], parts[0])

    def data(self, name: str = "spectrum") -> Hist | None:
        """Observed events: axes of a histogram without dataset, category and variation.

        Returns
        -------
        Hist or None
            None without data.
        """
        observed = [d for d in self.datasets if d not in self.simulated]
        if not observed:
            return None
        target = self.histograms[name]
        last = {"variation": NOMINAL} if "variation" in target.axes.name else {}
        parts = [target[{"dataset": d, "category": DATA, **last}] for d in observed]
        return sum(parts[1:], parts[0])

    def save(self, path: str | Path) -> None:
        """Write to a file; a reader never sees a half-written one.

        Parameters
        ----------
        path : str or Path
        """
        content = {
            "schema": SCHEMA,
            "histograms": list(self.histograms),
            "ledger": self.ledger.to_json(),
            "datasets": self.datasets,
            "provenance": self.provenance,
        }
        with (
            renamed_when_complete(Path(path)) as partial,
            zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            for name, histogram in self.histograms.items():
                uhi.io.zip.write(archive, name, histogram)
            archive.writestr(_CONTENT, json.dumps(content, indent=1))

    @classmethod
    def load(cls, path: str | Path) -> "Templates":
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is missing or is not a templates file of this version.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                check_archive(archive)
                content = parsed(archive.read(_CONTENT))
                if content["schema"] != SCHEMA:
                    raise InputError(
                        f"{path}: templates of schema {content['schema']}, this version reads "
                        f"{SCHEMA}; process again"
                    )
                histograms = {
                    name: Hist(uhi.io.zip.read(archive, name)) for name in content["histograms"]
                }
                ledger = Ledger.from_json(content["ledger"])
                _check_formats(content["datasets"])
                return cls(histograms, ledger, content["datasets"], content["provenance"])
        except FileNotFoundError:
            raise InputError(f"{path}: no such templates file; 'process' writes one") from None
        except InputError as error:
            text = str(error)
            raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from error
        except _UNREADABLE as error:
            raise InputError(f"{path}: not a templates file ({error}); process again") from error


def _check_formats(datasets: Mapping[str, Mapping[str, Any]]) -> None:
    known = {*FORMATS, CAFANA_SPECTRUM}
    for name, metadata in datasets.items():
        if (found := metadata.get("format")) is not None and found not in known:
            raise InputError(
                f"dataset {name!r} is of format {found!r}, which this version does not know; "
                "process again"
            )


def collect(
    output: Mapping[str, Mapping[str, Any]],
    ledger: Ledger,
    datasets: dict[str, dict[str, Any]],
    provenance: dict[str, Any],
) -> Templates:
    """Make templates from the sum of a run.

    Parameters
    ----------
    output : mapping
        Dataset name to histograms, as summed by :func:`processors.run.run` or coffea's Runner.
    ledger : fileset.Ledger
    datasets : dict of str to dict
        Alternatives among them become variations of their base, and a part of the provenance.
    provenance : dict

    Returns
    -------
    Templates

    Raises
    ------
    InputError
        If an alternative does not go with its base.
    """
    present: dict[str, Mapping[str, Any]] = {n: output[n] for n in datasets if n in output}
    if any(datasets[name].get("alternative_to") for name in present):
        pots = {name: ledger.pot(name) for name in present}
        merged = merge_alternatives(finished(present), pots, datasets)
        provenance = provenance | {"alternatives": merged.alternatives}
        present, datasets = {**merged.output}, merged.datasets
    first = next(iter(present.values()))
    names = [name for name, value in first.items() if isinstance(value, Hist | Filled)]
    parts = {name: {d: o[name] for d, o in present.items()} for name in names}
    histograms = {name: functools.partial(_stack, part) for name, part in parts.items()}
    return Templates(LateHistograms(histograms), ledger, datasets, provenance)


def _stack(parts: dict[str, Any]) -> Hist:
    """Put the histograms of several datasets into one, along a dataset axis."""
    first = next(iter(parts.values()))
    if isinstance(first, Filled):
        return stacked(parts)
    named = [_union(parts, axis.name) for axis in first.axes[:2]]
    named[0] = labelled(sorted(named[0], key=LABELS.index), "category")
    dataset = labelled(parts, "dataset")
    result = Hist(dataset, *named, *first.axes[2:], storage=first.storage_type())
    categories, labels = (list(axis) for axis in named)
    for position, part in enumerate(parts.values()):
        rows = [categories.index(category) for category in part.axes[0]]
        own = {label: i for i, label in enumerate(part.axes[1])}
        # A variation that a dataset does not have leaves it as it is.
        columns = [own[label] if label in own else own[NOMINAL] for label in labels]
        source = part.view(flow=True)[: len(rows)][:, columns]
        result.view(flow=True)[position, rows, : len(labels)] = source
    return result


def _union(parts: dict[str, Hist], axis: str) -> StrCategory:
    """Labels of all parts, in the order of their first appearance."""
    labels = dict.fromkeys(label for part in parts.values() for label in part.axes[axis])
    return labelled(labels, axis)
