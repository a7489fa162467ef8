"""The whole job on a simulated near detector, small enough to watch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fileset import load_fileset
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset
from processors.templates import Templates

SELECTION = "single_particle_cvn+note_window"
DATA_POT = 3.62e20
"""Exposure of the pseudo-data: that of the technical note's result [POT]."""

_FILESET = """\
# Simulated near detector: a toy, see the documentation of fileset/simulate for its assumptions.
[signal]
format = "nova_caf"
files = ["signal/*.root"]
is_mc = true
horn_current = "FHC"

[background]
format = "nova_caf"
files = ["background/*.root"]
is_mc = true
horn_current = "FHC"

[nd_data]
format = "nova_caf"
files = ["nd_data/*.root"]
is_mc = false
horn_current = "FHC"
"""


def make_events(out: Path, events: int, seed: int) -> Path:
    """Simulate signal, background and pseudo-data without a magnetic moment.

    Parameters
    ----------
    out : Path
        Folder; files of an earlier demo in it are replaced.
    events : int
        Simulated slices, a third of them signal; the pseudo-data come in addition.
    seed : int

    Returns
    -------
    Path
        The dataset description.
    """
    signal = events // 3
    simulate(out / "signal", sample="nuone", events=signal, seed=seed, overwrite=True)
    simulate(
        out / "background",
        sample="background",
        events=events - signal,
        seed=seed + 1,
        files=2,
        overwrite=True,
    )
    simulate(out / "nd_data", sample="data", pot=DATA_POT, seed=seed + 2, overwrite=True)
    fileset = out / "fileset.toml"
    fileset.write_text(_FILESET, encoding="utf-8")
    return fileset


def process_events(fileset: Path, execution: Execution, **hooks: Callable[..., Any]) -> Templates:
    """Process what :func:`make_events` wrote, with the selection of the demo.

    ``hooks`` are those of :func:`processors.pipeline.process_fileset`.
    """
    processor = NuoneProcessor(SELECTION)
    templates = process_fileset(load_fileset(fileset), processor, execution, **hooks)
    return replace(templates, provenance=templates.provenance | {"toy": True})
