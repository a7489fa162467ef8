"""The same simulated events through every layout and container that can hold them."""

import numpy as np
import pytest

from fileset import load_fileset
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset

LAYOUTS = {
    "flat CAF": ("nova_flat_caf", "ttree"),
    "RNTuple": ("nova_caf", "rntuple"),
    "DUNE": ("dune_fd_caf", "ttree"),
    "DUNE RNTuple": ("dune_fd_caf", "rntuple"),
}
HISTOGRAMS = ("spectrum", "etheta2", "cutflow", "cutflow_events", "nminusone")
# DUNE files have neither flux universes nor our knobs.
VARIATIONS = "flux,calibration,angle"


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """One dataset per layout of the same 3000 slices."""
    folder = tmp_path_factory.mktemp("layouts")
    description = {}
    for name, (layout, container) in {"CAF": ("nova_caf", "ttree"), **LAYOUTS}.items():
        (path,) = simulate(
            folder / name, sample="nd", events=3000, seed=11, layout=layout, container=container
        )
        description[name] = {"files": [str(path)]}
        if layout == "dune_fd_caf":
            description[name]["weight"] = "weight"
    return process_fileset(
        load_fileset(description), NuoneProcessor(variations=VARIATIONS), Execution()
    )


def test_every_file_is_recognised(templates):
    found = {name: metadata["format"] for name, metadata in templates.datasets.items()}
    assert found == {"CAF": "nova_caf", **{name: layout for name, (layout, _) in LAYOUTS.items()}}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("histogram", HISTOGRAMS)
def test_same_events_give_the_same_histograms(templates, name, histogram):
    expected = templates.histograms[histogram]["CAF", ...].view(flow=True)
    found = templates.histograms[histogram][name, ...].view(flow=True)
    for part in expected.dtype.names or (...,):
        np.testing.assert_allclose(found[part], expected[part], rtol=1e-12, atol=0.0)
        assert np.count_nonzero(expected[part]) > 10


@pytest.mark.parametrize("name", LAYOUTS)
def test_same_events_have_the_same_exposure(templates, name):
    assert templates.ledger.pot(name) == pytest.approx(templates.ledger.pot("CAF"), rel=1e-12)
