"""Every real file beside the project opens, and says what it lacks where it lacks something."""

import pytest

from fileset import InputError, load_fileset
from fileset.survey import survey
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset

# File to its format, entries, and whether it holds its exposure.
FILES = {
    "dune_fd_caf/CICafFile_numu_x_nue.root": ("dune_fd_caf", 2000, True),
    "genie_gst/gntp.NuMI_C12_Dilepton_inclusive.gst.root": ("genie_gst", 182, False),
    "gibuu/EventOutput.Pert.00000001.root": ("gibuu", 4755, False),
    "nuwro_flattree/NuWro_numu_x_numu_FlatTree_Beam.root": ("nuisance_flattree", 49996, False),
    "nova_h5/sample_r11981_s06": ("nova_h5", 2464, False),
    "nova_h5/sample_r11981_s07": ("nova_h5", 8342, False),
    "nue_es_sntools/sample_outfile.kin": ("nuance_kin", 1416, False),
    "nue_es_sntools/sntools_es_juno_1kpc_seed7.kin": ("nuance_kin", 800, False),
}
# What a file needs to be described with, to be processed as far as it goes.
OPTIONS = {
    "genie_gst": {"perfect_detector": True},
    "gibuu": {"perfect_detector": True, "weight": "weight", "negative_weights": "keep"},
    "nuisance_flattree": {"perfect_detector": True},
    "nuance_kin": {"perfect_detector": True},
    "nova_h5": {"is_mc": False},
}


def described(shared, name, **options):
    return load_fileset({"x": {"files": [str(shared / "data/events" / name)], **options}})


def test_every_file_is_in_the_table(shared):
    found = {
        str(path.relative_to(shared / "data/events"))
        for path in (shared / "data/events").rglob("*")
        if path.is_file() and path.suffix not in (".md", ".metadata", ".job")
    }
    # Finished spectra are no events; see test_cafana_spectrum.
    assert found - {"nova_cafana_spectra/spectra.root"} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_file_is_recognised_and_missing_exposure_is_said(shared, name):
    layout, entries, exposed = FILES[name]
    found = survey(described(shared, name)["x"])
    if exposed:
        assert [(info.format, info.entries) for info in found.infos] == [(layout, entries)]
        return
    (reason,) = found.bad.values()
    assert "no exposure found" in reason
    assert reason.endswith(f"set 'pot' in the description; it is {layout} with {entries} entries")


@pytest.mark.parametrize("name", [n for n in FILES if FILES[n][0] != "nova_h5"])
def test_file_is_processed_with_all_its_entries(shared, name):
    layout, entries, exposed = FILES[name]
    options = OPTIONS.get(layout, {}) | ({} if exposed else {"pot": 1e20})
    templates = process_fileset(described(shared, name, **options), NuoneProcessor(), Execution())
    assert templates.ledger.entries("x") == entries
    assert templates.histograms["cutflow_events"]["x", :, "all"].sum() == entries


def test_fragment_without_reconstruction_says_what_is_missing(shared):
    fileset = described(shared, "nova_h5/sample_r11981_s06", pot=1e18, is_mc=False)
    with pytest.raises(
        InputError, match=r"column '\w+' needs the branch '\w+', which the file lac"
    ):
        process_fileset(fileset, NuoneProcessor(), Execution())


@pytest.mark.parametrize(
    "name", [n for n in FILES if FILES[n][0] in ("genie_gst", "nuance_kin", "nuisance_flattree")]
)
def test_output_of_a_generator_is_refused_without_a_detector_and_says_how_to_have_one(shared, name):
    with pytest.raises(
        InputError, match=r"needs the column 'shower_energy'.*perfect_detector = tr"
    ):
        process_fileset(described(shared, name, pot=1e20), NuoneProcessor(), Execution())
