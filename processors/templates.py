"""What a run leaves behind: histograms, cut flow, ledger, provenance; one file, no pickle.

The file is a zip archive: each histogram in hist's own UHI serialisation (JSON and ``.npy``), the
rest in ``templates.json``.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uhi.io.zip
from hist import Hist
from hist.axis import StrCategory

from fileset.atomic import renamed_when_complete
from fileset.errors import InputError
from fileset.exposure import Ledger

from .categories import DATA
from .variations import NOMINAL

SCHEMA = 1
_CONTENT = "templates.json"

# What the readers of zip, JSON and arrays raise for a file that is damaged or something else.
_UNREADABLE = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Templates:
    """Result of a run.

    Attributes
    ----------
    histograms : dict of str to Hist
        Axes dataset, category, variation and those of :data:`processors.fill.HISTOGRAMS`; also
        ``cutflow``, ``cutflow_events`` and ``nminusone`` with axes dataset, category, cut.
        Weighted events as simulated, at each dataset's own exposure. A dataset that a variation
        does not touch carries its nominal there.
    ledger : fileset.Ledger
        What is in them, with its exposure.
    datasets : dict of str to dict
        Metadata of each dataset as the processor saw it.
    provenance : dict
        How they were made; plain JSON values.
    """

    histograms: dict[str, Hist]
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

    def prediction(self, pot: float, name: str = "spectrum") -> Hist:
        """Sum of all simulated datasets, each scaled to one exposure.

        Parameters
        ----------
        pot : float
            Exposure to scale to [POT].
        name : str
            Key of :attr:`histograms`.

        Returns
        -------
        Hist
            Axes of that histogram without dataset. Events; ``nuone_magnetic`` in events per
            squared Bohr magneton.

        Raises
        ------
        InputError
            If no dataset is simulation or the exposure is not positive.
        """
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
                content = json.loads(archive.read(_CONTENT))
                if content["schema"] != SCHEMA:
                    raise InputError(
                        f"{path}: templates of schema {content['schema']}, this version reads "
                        f"{SCHEMA}; process again"
                    )
                histograms = {
                    name: Hist(uhi.io.zip.read(archive, name)) for name in content["histograms"]
                }
                ledger = Ledger.from_json(content["ledger"])
                return cls(histograms, ledger, content["datasets"], content["provenance"])
        except FileNotFoundError:
            raise InputError(f"{path}: no such templates file; 'process' writes one") from None
        except InputError:
            raise
        except _UNREADABLE as error:
            raise InputError(f"{path}: not a templates file ({error}); process again") from error


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
    provenance : dict

    Returns
    -------
    Templates
    """
    present = {name: output[name] for name in datasets if name in output}
    first = next(iter(present.values()))
    names = [name for name, value in first.items() if isinstance(value, Hist)]
    histograms = {name: _stack({d: o[name] for d, o in present.items()}) for name in names}
    return Templates(histograms, ledger, datasets, provenance)


def _stack(parts: dict[str, Hist]) -> Hist:
    """Put the histograms of several datasets into one, along a dataset axis."""
    first = next(iter(parts.values()))
    category, *axes = first.axes
    varied = axes[0].name == "variation"
    if varied:
        labels = list(dict.fromkeys(label for p in parts.values() for label in p.axes[1]))
        axes[0] = StrCategory(labels, name="variation")
    dataset = StrCategory(list(parts), name="dataset")
    stacked = Hist(dataset, category, *axes, storage=first.storage_type())
    for position, part in enumerate(parts.values()):
        target, source = stacked.view(flow=True)[position], part.view(flow=True)
        if not varied:
            target[...] = source
            continue
        own = {label: i for i, label in enumerate(part.axes["variation"])}
        columns = np.array([own.get(label, own[NOMINAL]) for label in labels])
        target[:, : len(labels)] = source[:, columns]
    return stacked
