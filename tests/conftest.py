"""Fixtures shared by the whole suite."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents.methods import base
from hypothesis import settings

from fileset import InputError
from fileset.simulate import simulate
from processors.registry import VARIATIONS, Variation, find_variations, read_files

# No time limit, which a busy machine breaks, and the same examples in every run.
settings.register_profile("nudipole", deadline=None, derandomize=True)
settings.load_profile("nudipole")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--variations", help="file of your own whose variations are tested like ours")


def pytest_configure(config: pytest.Config) -> None:
    """Read the user's file before the tests are made of what is registered."""
    try:
        find_variations("none", read_files(config.getoption("--variations"))[1])
    except InputError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def registered() -> dict[str, Variation]:
    """The variations that are there before the first test."""
    return dict(VARIATIONS)


@pytest.fixture(autouse=True)
def registry(registered: dict[str, Variation]) -> Iterator[dict[str, Variation]]:
    """The registry, in which there is nothing of other tests nor of fixtures that are shared."""
    VARIATIONS.clear()
    VARIATIONS.update(registered)
    yield VARIATIONS
    VARIATIONS.clear()
    VARIATIONS.update(registered)


TOY = """\
[signal]
files = ["signal/*.root"]
horn_current = "FHC"

[nd]
format = "nova_caf"
files = ["nd/*.root"]
is_mc = true

[nd_data]
files = ["data/*.root"]
is_mc = false
"""


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference data beside the checkout; skips, loudly, where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data not found at {SHARED}: vectors and real files are NOT tested")
    return SHARED


@pytest.fixture(scope="session")
def dune_file(shared: Path) -> Path:
    """Real DUNE far-detector CAF with 2000 events."""
    return shared / "data/events/dune_fd_caf/CICafFile_numu_x_nue.root"


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Description of a small simulated near detector: signal, two mixed files, pseudo-data."""
    folder = tmp_path_factory.mktemp("toy")
    simulate(folder / "signal", sample="nuone", events=1500, seed=101)
    simulate(folder / "nd", sample="nd", events=3000, seed=102, files=2)
    simulate(folder / "data", sample="data", events=800, seed=103)
    description = folder / "toy.toml"
    description.write_text(TOY, encoding="utf-8")
    return description


@pytest.fixture
def write_caf(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a minimal NOvA file: headers, optional branches, spills, POT."""

    def write(
        name: str = "a.root",
        *,
        entries: int = 3,
        spillpot: Sequence[float] | None = (1e18, 2e18),
        total_pot: float | None = None,
        branches: Mapping[str, Any] | None = None,
        tree: str = "recTree",
    ) -> Path:
        header = {"rec.hdr.ismc": np.ones(entries, "i1"), "rec.hdr.run": np.arange(entries)}
        content = {k: ak.Array(v) for k, v in {**header, **(branches or {})}.items()}
        path = tmp_path / name
        with uproot.recreate(path) as file:
            writable = file.mktree(tree, {k: v.type.content for k, v in content.items()})
            if entries:
                writable.extend(content)
            if spillpot is not None:
                spills = {"spill.spillpot": np.asarray(spillpot, float)}
                file.mktree("spillTree", {"spill.spillpot": "float64"}).extend(spills)
            if total_pot is not None:
                file["TotalPOT"] = np.array([total_pot]), np.array([0.0, 1.0])
        return path

    return write


@pytest.fixture(scope="session")
def make_events() -> Callable[..., ak.Array]:
    """Function that makes events of the canonical columns and metadata that it is given."""

    def make(columns: Mapping[str, Any], **metadata: Any) -> ak.Array:
        known = {
            "dataset": "hand_made",
            "format": "nova_caf",
            "is_mc": True,
            "codes": {"nuone": [["interaction_type", 1098]], "mec": [["mode", 10]]},
            "sin2_theta_w": 0.231295,
            "weight": "",
            "event_weight": 1.0,
            "universes": 0,
        }
        arrays = {name: ak.Array(values) for name, values in columns.items()}
        events = ak.zip(arrays, depth_limit=1, with_name="NanoEvents", behavior=base.behavior)
        return ak.with_parameter(events, "metadata", known | metadata)

    return make
