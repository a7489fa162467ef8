import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoEventsFactory

from fileset import InputError, load_fileset, open_chunk
from fileset.columns import CANONICAL
from fileset.events import canonical
from fileset.formats.sbn_flat_caf import SBN_FLAT_CAF
from fileset.schema import CAFSchema
from fileset.survey import inspect_dataset
from processors import NuoneProcessor
from processors.columns import add_columns

NAME = "sbn_flat_caf"
NAN = np.nan
PFP = "rec.slc.reco.pfp."
TRUTH = "rec.slc.truth."

# Readouts with two, no and two slices: nu-e elastic with two showers; a cosmic ray without any
# particle; nue CC whose first particle has no shower; numu on two nucleons, without a shower.
BRANCHES = {
    "rec.hdr.run": [7, 7, 8],
    "rec.hdr.subrun": [1, 2, 1],
    "rec.hdr.evt": [11, 12, 13],
    "rec.hdr.ismc": [1, 1, 1],
    "rec.hdr.husk": [0, 1, 0],
    "rec.hdr.pot": [1e18, 2e18, 5e18],
    "rec.hdr.first_in_subrun": [1, 1, 0],
    "rec.slc..length": [2, 0, 2],
    "rec.slc.vertex.x": [[10.0, NAN], [], [30.0, 40.0]],
    "rec.slc.vertex.y": [[-1.0, NAN], [], [-3.0, -4.0]],
    "rec.slc.vertex.z": [[100.0, NAN], [], [300.0, 400.0]],
    f"{PFP}.length": [[2, 0], [], [2, 1]],
    f"{PFP}.idx": [[0, 2], [], [0, 2]],
    f"{PFP}.totarraysize": [2, 0, 3],
    f"{PFP}shw.bestplane_energy": [[0.125, 0.5], [], [-5.0, 1.5, -5.0]],
    f"{PFP}shw.conversion_gap": [[9.0, 0.5], [], [-5.0, 2.5, -5.0]],
    f"{PFP}shw.dir.x": [[1.0, 0.03], [], [-5.0, 0.0, -5.0]],
    f"{PFP}shw.dir.y": [[0.0, 0.04], [], [-5.0, 0.6, -5.0]],
    f"{PFP}shw.dir.z": [[0.0, 0.99875], [], [-5.0, 0.8, -5.0]],
    f"{PFP}shw.end.x": [[1.0, 2.0], [], [-5.0, 4.0, -5.0]],
    f"{PFP}shw.end.y": [[5.0, 6.0], [], [-5.0, 8.0, -5.0]],
    f"{PFP}shw.end.z": [[9.0, 10.0], [], [-5.0, 12.0, -5.0]],
    f"{PFP}shw.razzle.electronScore": [[0.25, 0.75], [], [-5.0, -5.0, -5.0]],
    f"{TRUTH}pdg": [[14, -1], [], [12, 14]],
    f"{TRUTH}E": [[2.0, NAN], [], [1.5, 0.75]],
    f"{TRUTH}iscc": [[0, 0], [], [1, 1]],
    f"{TRUTH}genie_mode": [[5, -1], [], [0, 10]],
    f"{TRUTH}genie_inttype": [[1098, -1], [], [1001, 1100]],
    f"{TRUTH}momentum.x": [[0.0, NAN], [], [0.0, 0.0]],
    f"{TRUTH}momentum.y": [[0.0, NAN], [], [1.5, 0.0]],
    f"{TRUTH}momentum.z": [[2.0, NAN], [], [0.0, 0.75]],
    f"{TRUTH}prim..length": [[2, 0], [], [2, 1]],
    f"{TRUTH}prim.pdg": [[11, 14], [], [2212, 11, 13]],
    f"{TRUTH}prim.genE": [[0.625, 1.375], [], [1.0, 1.25, 0.5]],
    f"{TRUTH}prim.genp.x": [[3e-4, 0.0], [], [0.0, 0.0, 0.0]],
    f"{TRUTH}prim.genp.y": [[4e-4, 0.0], [], [0.0, 1.0, 0.0]],
    f"{TRUTH}prim.genp.z": [[0.5, 1.0], [], [0.5, 1.0, 0.5]],
    f"{TRUTH}wgt..length": [[1, 0], [], [0, 2]],
    f"{TRUTH}wgt.univ..length": [[2], [], [1, 0]],
    f"{TRUTH}wgt.univ": [[0.5, 1.5], [], [2.0]],
    "rec.mc.nu..length": [1, 0, 2],
    "rec.mc.nu.E": [[2.0], [], [1.5, 0.75]],
}

COLUMNS = {
    "run": [7, 7, 8, 8],
    "subrun": [1, 1, 1, 1],
    "event": [11, 11, 13, 13],
    "shower_energy": [0.5, NAN, 1.5, NAN],
    "direction_x": [0.03, NAN, 0.0, NAN],
    "direction_y": [0.04, NAN, 0.6, NAN],
    "direction_z": [0.99875, NAN, 0.8, NAN],
    "vertex_x": [10.0, NAN, 30.0, 40.0],
    "vertex_y": [-1.0, NAN, -3.0, -4.0],
    "vertex_z": [100.0, NAN, 300.0, 400.0],
    "shower_stop_x": [2.0, NAN, 4.0, NAN],
    "shower_stop_y": [6.0, NAN, 8.0, NAN],
    "shower_stop_z": [10.0, NAN, 12.0, NAN],
    "shower_gap": [0.5, NAN, 2.5, NAN],
    "shower_energy_fraction": [0.8, NAN, 1.0, NAN],
    "electron_id": [0.75, NAN, NAN, NAN],
    "nu_pdg": [14, 0, 12, 14],
    "true_neutrino_energy": [2.0, NAN, 1.5, 0.75],
    "true_electron_energy": [0.625, NAN, 1.25, NAN],
    "true_electron_theta": [1e-3, NAN, np.pi / 4, NAN],
    "is_cc": [False, False, True, True],
    "mode": [5, -1, 0, 10],
    "interaction_type": [1098, -1, 1001, 1100],
}


def typed(values):
    """Types of a flat CAF: 32 bits each."""
    array = ak.Array(values)
    integers = np.issubdtype(ak.to_numpy(ak.flatten(array, axis=None)).dtype, np.integer)
    return ak.values_astype(array, "int32" if integers else "float32")


@pytest.fixture
def write(tmp_path):
    def write_file(changes=None, total_pot=3e18):
        branches = {k: v for k, v in (BRANCHES | (changes or {})).items() if v is not None}
        content = {name: typed(values) for name, values in branches.items()}
        path = tmp_path / "events.flat.caf.root"
        with uproot.recreate(path) as file:
            types = {name: array.type.content for name, array in content.items()}
            file.mktree("recTree", types).extend(content)
            if total_pot is not None:
                file["TotalPOT"] = np.array([total_pot]), np.array([0.0, 1.0])
        return path

    return write_file


def described(path, **options):
    return load_fileset({"mc": {"files": [str(path)], "format": NAME, **options}})


def test_slices_of_a_readout_are_events_with_their_canonical_columns(write):
    events = open_chunk(described(write()), "mc")
    assert set(COLUMNS) == set(SBN_FLAT_CAF.columns)
    for name, expected in COLUMNS.items():
        np.testing.assert_allclose(events[name], expected, rtol=1e-6, err_msg=name)
        assert (name, ak.type(events[name]).content.primitive) == (name, CANONICAL[name].dtype)


def test_angle_is_to_the_axis_of_the_booster_beam(write):
    events = add_columns(open_chunk(described(write()), "mc"))
    expected = [np.arctan2(0.05, 0.99875), NAN, np.arctan2(0.6, 0.8), NAN]
    np.testing.assert_allclose(events.theta, expected, rtol=1e-6)


def test_weights_and_neutrinos_of_the_readout_stay_readable_per_slice(write):
    events = open_chunk(described(write()), "mc")
    assert events.slc.truth.wgt.univ.tolist() == [[[0.5, 1.5]], [], [], [[2.0], []]]
    assert events.mc.nu.E.tolist() == [[2.0], [2.0], [1.5, 0.75], [1.5, 0.75]]


def test_weight_branch_of_a_slice_or_of_its_readout_counts_per_slice(write):
    path = write({f"{TRUTH}genweight": [[0.5, 1.0], [], [1.5, 2.0]], "rec.hdr.w": [3.0, 4.0, 5.0]})
    slices = open_chunk(described(path, weight=f"{TRUTH}genweight"), "mc")
    readouts = open_chunk(described(path, weight="rec.hdr.w"), "mc")
    assert slices.generator_weight.tolist() == [0.5, 1.0, 1.5, 2.0]
    assert readouts.generator_weight.tolist() == [3.0, 3.0, 5.0, 5.0]


def test_column_reads_its_branches_alone(write):
    log = []
    metadata = {"format": NAME, "dataset": "mc"}
    with uproot.open(write()) as file:
        factory = NanoEventsFactory.from_root(
            file, treepath="recTree", schemaclass=CAFSchema, access_log=log, metadata=metadata
        )
        events = canonical(factory.events())
        assert {access.branch for access in log} == {"rec.slc..length"}
        assert events.metadata == metadata
        events.shower_gap.tolist()
    assert {access.branch for access in log} == {
        "rec.slc..length",
        f"{PFP}.length",
        f"{PFP}shw.bestplane_energy",
        f"{PFP}shw.conversion_gap",
    }


def test_processor_finds_the_signal_among_slices(write):
    output = NuoneProcessor(variations="none").process(open_chunk(described(write()), "mc"))["mc"]
    counts = output["cutflow_events"]
    found = {name: counts[name, "all"] for name in ("nuone", "cosmic", "nue_cc", "mec", "numu_cc")}
    assert found == {"nuone": 1, "cosmic": 1, "nue_cc": 1, "mec": 1, "numu_cc": 0}
    assert counts["nuone", "ttheta2"] == 1


def test_file_without_any_slice_gives_no_events(write):
    lists = {k: v for k, v in BRANCHES.items() if k.startswith(("rec.slc", "rec.mc"))}
    empty = {k: typed(v)[:, :0] if np.iterable(v[0]) else [0, 0, 0] for k, v in lists.items()}
    events = open_chunk(described(write(empty)), "mc")
    assert len(events) == 0
    assert events.shower_energy.tolist() == events.true_electron_theta.tolist() == []
    output = NuoneProcessor(variations="none").process(events)["mc"]
    assert output["cutflow_events"]["nuone", "all"] == 0


def test_showers_may_be_a_list_of_their_own(write):
    moved = {name: None for name in BRANCHES if name.startswith(PFP)}
    moved |= {
        name.replace("reco.pfp.shw", "reco.shw").replace("reco.pfp", "reco.shw"): BRANCHES[name]
        for name in [*moved]
    }
    events = open_chunk(described(write(moved)), "mc")
    np.testing.assert_array_equal(events.shower_energy, COLUMNS["shower_energy"])


def test_exposure_is_that_of_first_readouts_and_of_the_histogram(write):
    (info,) = inspect_dataset(described(write())["mc"]).infos
    assert info.exposures == {"TotalPOT": (3e18, 1.0), "subruns": (pytest.approx(3e18), 1.0)}
    assert (info.entries, info.is_mc, info.horn_current) == (3, True, "")
    assert info.subruns == ((7, 1), (7, 2), (8, 1))


def test_exposures_that_disagree_are_refused_with_both(write):
    with pytest.raises(InputError, match=r"'TotalPOT' says 4e\+18 POT, 'subruns' 3e\+18"):
        inspect_dataset(described(write(total_pot=4e18))["mc"])


def test_repeated_readouts_are_refused(write):
    with pytest.raises(InputError, match=r"more than once .* run 7, subrun 1, evt 11"):
        inspect_dataset(
            described(write({"rec.hdr.evt": [11, 11, 13], "rec.hdr.subrun": [1] * 3}))["mc"]
        )


def test_slices_in_a_list_tell_the_format_from_nova(write):
    with uproot.open(write()) as file:
        assert SBN_FLAT_CAF.matches(frozenset(file["recTree"].keys()))
    assert not SBN_FLAT_CAF.matches(frozenset({"rec.slc.calE", "rec.mc.nu..length"}))


def test_file_of_another_format_is_refused_by_name(write):
    changes = {name: None for name in BRANCHES if name.startswith("rec.slc")}
    path = write(changes | {"rec.slc.calE": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match=r"elements of 'slc', which the file does not have as a "):
        open_chunk(described(path), "mc")


def test_nested_fields_of_an_rntuple_are_the_same_slices(tmp_path):
    def particle(energy):
        return {"shw": {"bestplane_energy": energy, "dir": {"z": 1.0}}}

    readouts = [
        {"slc": [{"reco": {"pfp": [particle(0.25), particle(0.5)]}}, {"reco": {"pfp": []}}]},
        {"slc": []},
    ]
    header = {"run": 7, "subrun": 1, "ismc": True, "pot": 1e18, "first_in_subrun": True}
    rec = [{"hdr": header | {"evt": i}, **readout} for i, readout in enumerate(readouts)]
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        file["recTree"] = {"rec": ak.Array(rec)}
        assert SBN_FLAT_CAF.matches(frozenset({"rec.slc", "rec.slc.reco", "rec.slc.reco.pfp"}))
    events = open_chunk(described(path), "mc")
    np.testing.assert_array_equal(events.shower_energy, [0.5, NAN])
    assert events.event.tolist() == [0, 0]
