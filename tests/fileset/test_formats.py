import awkward as ak
import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, make_plan, open_chunk
from fileset.columns import CANONICAL
from fileset.formats import FORMATS, MEC_CODES, SIGNAL_CODES
from fileset.formats.nova_caf import NUMI_BEAM_DIRECTION
from fileset.survey import inspect_dataset
from processors import NuoneProcessor
from processors.columns import add_columns
from processors.pipeline import Execution, process_fileset
from processors.selections import NOTE_WINDOW, SELECTIONS, select

PNG = "vtx.elastic.fuzzyk.png."

# Canonical column of the leading prong to its branch.
PRONG = {
    "direction_x": "dir.x",
    "direction_y": "dir.y",
    "direction_z": "dir.z",
    "shower_energy": "shwlid.calE",
    "shower_stop_x": "shwlid.stop.x",
    "shower_stop_y": "shwlid.stop.y",
    "shower_stop_z": "shwlid.stop.z",
    "shower_gap": "shwlid.gap",
    "shower_energy_fraction": "shwlid.lid.shwEFrac",
    "vertex_energy": "shwlid.lid.vtxgev",
    "electron_id": "cvnpart.electronid",
    "electron_id_5label": "spprongcvnpart5label.electronid",
}
SLICE = {
    "run": "hdr.run",
    "subrun": "hdr.subrun",
    "event": "hdr.evt",
    "plane_count": "slc.ncontplanes",
    "cell_count": "slc.nhit",
    "slice_energy": "slc.calE",
    "vertex_activity": "vtx.elastic.prong3dvertexenergyvolume10",
    "nuone_id": "sel.nuone.nuoneid",
    "epi0_id": "sel.nuone.epi0nuoneid",
    "nue_id": "sel.nueid.nueid",
}
TRUTH = {
    "nu_pdg": ("pdg", 0),
    "true_neutrino_energy": ("E", np.nan),
    "is_cc": ("iscc", 0),
    "mode": ("mode", -1),
    "interaction_type": ("inttype", -1),
}
WEIGHTS = {
    "flux_universes": "rwgt.ppfx.vuniv",
    "knob_minus2": "rwgt.genie.minus2sigma",
    "knob_minus1": "rwgt.genie.minus1sigma",
    "knob_plus1": "rwgt.genie.plus1sigma",
    "knob_plus2": "rwgt.genie.plus2sigma",
}


@pytest.fixture(scope="module")
def nova(toy):
    return open_chunk(load_fileset(toy), "nd")


@pytest.fixture(scope="module")
def branches(nova):
    """Branch name to its content, read by uproot alone."""
    with uproot.open(nova.metadata["filename"]) as file:
        tree = file["recTree"]
        return {name: tree[name].array() for name in tree.keys() if name.startswith("rec.")}


def leading(array, missing):
    """First of each list, without awkward's help."""
    return np.array([row[0] if row else missing for row in array.tolist()])


def or_nan(values):
    """A negative value is a sentinel."""
    values = np.asarray(values, float)
    return np.where(values < 0, np.nan, values)


# Columns in which a negative value means "missing".
POSITIVE = {"shower_energy", "shower_gap", "vertex_activity", "vertex_energy"}


@pytest.mark.parametrize(("column", "branch"), PRONG.items())
def test_nova_leading_shower_is_the_first_prong(nova, branches, column, branch):
    expected = leading(branches[f"rec.{PNG}{branch}"], np.nan)
    expected = or_nan(expected) if column in POSITIVE else expected
    np.testing.assert_array_equal(nova[column], expected)
    assert np.isfinite(expected).sum() > 100


@pytest.mark.parametrize(("column", "branch"), SLICE.items())
def test_nova_slice_columns_are_the_branches(nova, branches, column, branch):
    expected = branches[f"rec.{branch}"]
    expected = or_nan(expected) if column in POSITIVE else expected
    np.testing.assert_array_equal(nova[column], expected)


@pytest.mark.parametrize(("column", "branch"), TRUTH.items())
def test_nova_truth_is_the_first_neutrino_or_the_documented_sentinel(
    nova, branches, column, branch
):
    name, missing = branch
    np.testing.assert_array_equal(nova[column], leading(branches[f"rec.mc.nu.{name}"], missing))
    assert np.count_nonzero(nova.nu_pdg == 0) > 0


@pytest.mark.parametrize(("column", "branch"), WEIGHTS.items())
def test_nova_weight_tables_have_a_row_per_neutrino_and_none_without(
    nova, branches, column, branch
):
    assert nova[column].tolist() == branches[f"rec.mc.nu.{branch}"].tolist()
    assert set(ak.num(nova[column]).tolist()) == {0, 100 if column == "flux_universes" else 6}


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_nova_vertex_is_the_elastic_one_where_it_is_valid(nova, branches, axis):
    valid = branches["rec.vtx.elastic.IsValid"] != 0
    expected = np.where(valid, branches[f"rec.vtx.elastic.vtx.{axis}"], np.nan)
    np.testing.assert_array_equal(nova[f"vertex_{axis}"], expected)


def test_nova_wall_distance_is_the_smallest_of_the_four_sides(nova, branches):
    sides = ("top", "bottom", "east", "west")
    rows = zip(*(branches[f"rec.sel.nuecosrej.distallpng{s}"].tolist() for s in sides), strict=True)
    assert nova.wall_distance.tolist() == [min(row) for row in rows]


def test_nova_prongs_are_counted_and_the_longest_found(nova, branches):
    lengths = branches[f"rec.{PNG}len"].tolist()
    assert nova.prong_count.tolist() == [len(row) for row in lengths]
    np.testing.assert_array_equal(nova.longest_prong, [max(r, default=np.nan) for r in lengths])


def test_nova_true_electron_energy_is_the_total_energy_of_the_primary_electron(nova, branches):
    pdg, energy = (branches[f"rec.mc.nu.prim.{name}"].tolist() for name in ("pdg", "p.E"))
    electrons = [
        [e for code, e in zip(*pair, strict=True) if abs(code) == 11]
        for pair in zip(pdg, energy, strict=True)
    ]
    expected = [row[0] if row else np.nan for row in electrons]
    np.testing.assert_array_equal(nova.true_electron_energy, expected)


def test_flux_weight_that_means_no_weight_counts_as_one(nova, branches):
    raw = leading(branches["rec.mc.nu.rwgt.ppfx.cv"], 1.0)
    assert raw.max() > 90
    np.testing.assert_array_equal(nova.flux_weight, np.where(raw > 90, 1.0, raw))


def test_every_column_has_its_documented_type(nova):
    for name in FORMATS["nova_caf"].columns:
        kind = ak.type(nova[name]).content
        primitive = kind.content.primitive if CANONICAL[name].table else kind.primitive
        assert (name, primitive) == (name, CANONICAL[name].dtype)


@pytest.mark.parametrize("layout", FORMATS.values(), ids=lambda layout: layout.name)
def test_every_format_speaks_canonical_names_and_provides_its_codes(layout):
    assert set(layout.columns) <= set(CANONICAL)
    for code in (*SIGNAL_CODES[layout.name], *MEC_CODES.get(layout.name, ())):
        assert code.column in layout.columns


def test_numi_beam_is_a_unit_vector_that_points_downwards():
    assert np.linalg.norm(NUMI_BEAM_DIRECTION) == pytest.approx(1.0, abs=1e-7)
    assert np.degrees(np.arcsin(NUMI_BEAM_DIRECTION[1])) == pytest.approx(-3.54, abs=0.01)


FULL = {
    "rec.slc.calE": [1.0, -5.0],
    "rec.vtx.elastic.IsValid": [1, 0],
    "rec.vtx.elastic.vtx.x": [10.0, 20.0],
    "rec.vtx.elastic.prong3dvertexenergyvolume10": [0.01, 0.02],
    f"rec.{PNG}len": [[90.0, 120.0], []],
    f"rec.{PNG}shwlid.calE": [[0.75, 0.1], []],
    f"rec.{PNG}shwlid.gap": [[-1.0, 3.0], []],
    f"rec.{PNG}dir.z": [[0.5, 1.0], []],
    "rec.mc.nu.pdg": [[14, -14], []],
    "rec.mc.nu.iscc": [[1, 0], []],
    "rec.mc.nu.mode": [[0, 1], []],
    "rec.mc.nu.rwgt.ppfx.cv": [[0.9, 99.0], []],
    "rec.mc.nu.prim..length": [[2, 1], []],
    "rec.mc.nu.prim.pdg": [[13, 2212, -11], []],
    "rec.mc.nu.prim.p.E": [[1.0, 2.0, 3.0], []],
}
# A slice with everything, then one with nothing: no vertex, no prong, no truth.
EXPECTED = {
    "slice_energy": [1.0, np.nan],
    "vertex_x": [10.0, np.nan],
    "prong_count": [2, 0],
    "longest_prong": [120.0, np.nan],
    "shower_energy": [0.75, np.nan],
    "shower_gap": [np.nan, np.nan],
    "direction_z": [0.5, np.nan],
    "nu_pdg": [14, 0],
    "is_cc": [True, False],
    "mode": [0, -1],
    "flux_weight": [0.9, 1.0],
    "true_electron_energy": [np.nan, np.nan],
}


def single(path, **options):
    return open_chunk(load_fileset({"nd": {"files": [str(path)], **options}}), "nd")


@pytest.mark.parametrize("column", EXPECTED)
def test_missing_values_are_as_documented(write_caf, column):
    events = single(write_caf(entries=2, branches=FULL))
    np.testing.assert_array_equal(events[column], EXPECTED[column])


@pytest.mark.parametrize("column", [*EXPECTED, "vertex_activity"])
def test_older_production_with_a_list_of_vertices_gives_the_same(write_caf, column):
    old = dict(FULL)
    for name in FULL:
        if name.startswith("rec.vtx.elastic.") and PNG not in name:
            old[name] = [[FULL[name][0]], []]
    old[f"rec.{PNG.removesuffix('.')}..length"] = [[2], []]
    events = single(write_caf(entries=2, branches=old))
    expected = {**EXPECTED, "vertex_activity": [0.01, np.nan]}
    np.testing.assert_allclose(events[column], expected[column])


@pytest.fixture(scope="module")
def dune_fileset(dune_file):
    return load_fileset({"fd": {"files": [str(dune_file)]}})


@pytest.fixture(scope="module")
def dune(dune_fileset):
    return open_chunk(dune_fileset, "fd")


def test_dune_file_is_recognised_with_its_exposure_and_event_weight(dune_fileset):
    (info,) = inspect_dataset(dune_fileset["fd"]).infos
    assert (info.format, info.entries, info.is_mc) == ("dune_fd_caf", 2000, True)
    assert (info.exposure_source, info.pot) == ("norm", 1e21)
    assert info.event_weight == pytest.approx(1.9284505550908e-04, rel=1e-13, abs=0.0)


def test_dune_has_one_event_of_neutrino_electron_scattering(dune):
    assert np.count_nonzero(dune["mode"] == 5) == 1


def test_dune_electron_of_that_event_takes_its_share_of_the_neutrino_energy(dune):
    event = dune[np.asarray(dune["mode"] == 5)]
    expected = event.Ev * (1 - event.Y)
    assert event.true_electron_energy.tolist() == pytest.approx(expected.tolist())
    # The released file says so itself, for all events.
    np.testing.assert_allclose(dune.true_electron_energy, dune.LepE, rtol=1e-12)


@pytest.mark.parametrize(
    ("column", "branch"),
    [
        ("shower_energy", "RecoLepEnNue"),
        ("theta", "RecoLepAngNue"),
        ("nue_id", "cvnnue"),
        ("nu_pdg", "nuPDG"),
        ("true_neutrino_energy", "Ev"),
        ("vertex_x", "vtx_x"),
        ("lepton_pdg", "LepPDG"),
        ("is_cc", "isCC"),
    ],
)
def test_dune_columns_are_the_branches(dune, dune_file, column, branch):
    with uproot.open(dune_file) as file:
        expected = file["caf"][branch].array(library="np")
    np.testing.assert_array_equal(dune[column], expected)


def test_dune_event_without_an_angle_fails_the_window(dune):
    passed = select(add_columns(dune), NOTE_WINDOW)
    missing = np.isnan(ak.to_numpy(dune.theta))
    assert missing.sum() > 100
    assert not passed["ttheta2"][missing].any()


def test_dune_events_are_counted_with_the_event_weight_of_the_file(dune):
    output = NuoneProcessor().process(dune)["fd"]
    cutflow = output["cutflow"][:, "all"]
    total = sum(cutflow[name].value for name in cutflow.axes[0])
    assert output["cutflow_events"]["nuone", "all"] == 1
    assert total == pytest.approx(2000 * 1.9284505550908e-04, rel=1e-12, abs=0.0)


def test_dune_zero_weight_is_refused_when_a_dataset_asks_for_it(dune_file):
    fileset = load_fileset({"fd": {"files": [str(dune_file)], "weight": "weight"}})
    message = r"dataset 'fd': the weight from branch 'weight' is 0 in all 2000 events; .*remove"
    with pytest.raises(InputError, match=message):
        process_fileset(fileset, NuoneProcessor(), Execution(chunksize=700))


@pytest.mark.parametrize(
    ("selection", "column"),
    [("event_cvn", "longest_prong"), ("single_particle_cvn", "prong_count")],
)
def test_nova_selection_is_refused_on_dune_by_the_column_it_lacks(dune, selection, column):
    message = rf"needs the column '{column}', which format 'dune_fd_caf' does not provide"
    with pytest.raises(InputError, match=message):
        NuoneProcessor(selection).process(dune)


def test_notes_of_a_format_say_what_a_user_must_know():
    notes = " ".join(FORMATS["dune_fd_caf"].notes)
    assert all(word in notes for word in ("'weight' is not used", "'norm'", "wgt_"))


def test_chunks_of_both_formats_can_be_in_one_plan(toy, dune_file):
    fileset = load_fileset(toy) | load_fileset({"fd": {"files": [str(dune_file)]}})
    assert {c.metadata["format"] for c in make_plan(fileset)} == {"nova_caf", "dune_fd_caf"}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_every_selection_can_be_made_on_nova_columns(nova, selection):
    output = NuoneProcessor(selection, "none").process(nova)["nd"]
    assert list(output["cutflow"].axes["cut"]) == ["all", *SELECTIONS[selection]]


def _int32(values):
    return ak.values_astype(ak.Array(values), "int32")


def test_lists_inside_lists_without_their_lengths_are_refused(write_caf):
    branches = {
        "rec.mc.nu.E": [[1.0], [2.0], []],
        "rec.mc.nu.prim.pdg": _int32([[11, 14], [11, 14], []]),
    }
    fileset = load_fileset({"mc": {"files": [str(write_caf("short.root", branches=branches))]}})
    with pytest.raises(InputError, match=r"short\.root: branch 'rec\.mc\.nu\.prim\.pdg' .*lengths"):
        make_plan(fileset)


def test_universe_without_a_weight_counts_as_one(write_caf):
    branches = {
        "rec.mc.nu.E": [[1.0], [], [2.0]],
        "rec.mc.nu.rwgt.ppfx.cv": [[1.0], [], [1.0]],
        "rec.mc.nu.rwgt.ppfx.vuniv": [[0.5, 99.0], [], [91.0, 2.0]],
        "rec.mc.nu.rwgt.ppfx.vuniv..length": _int32([[2], [], [2]]),
    }
    fileset = load_fileset({"mc": {"files": [str(write_caf(branches=branches))]}})
    assert open_chunk(fileset, "mc").flux_universes.to_list() == [[0.5, 1.0], [], [1.0, 2.0]]


def test_weight_branch_with_a_list_per_event_is_refused(write_caf):
    path = write_caf(branches={"rec.weights": [[1.0, 2.0], [], [1.0]]})
    fileset = load_fileset({"mc": {"files": [str(path)], "weight": "rec.weights"}})
    with pytest.raises(InputError, match="'generator_weight' is not one float64 per event"):
        np.asarray(open_chunk(fileset, "mc").generator_weight)
