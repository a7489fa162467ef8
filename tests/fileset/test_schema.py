import awkward as ak
import dask
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoEventsFactory

from fileset import InputError
from fileset.formats.nova_caf import NovaCAFSchema
from fileset.schema import CAFSchema, unfold
from fileset.simulate import simulate

MODES = ["eager", "virtual", "dask"]

# Three slices: one neutrino with two particles; none; two neutrinos with no and one particle.
SLICES = {
    "rec.slc.calE": [0.5, 0.25, 2.0],
    "rec.mc.nu.E": [[1.5], [], [2.5, 3.5]],
    "rec.mc.nu.p.x": [[1.0], [], [2.0, 3.0]],
    "rec.mc.nu.prim..length": [[2], [], [0, 1]],
    "rec.mc.nu.prim..idx": [[0], [], [0, 0]],
    "rec.mc.nu.prim.pdg": [[11, 14], [], [-13]],
    "rec.mc.nu.prim.p.E": [[0.75, 0.5], [], [3.25]],
    "rec.mc.nu.rwgt.ppfx.vuniv..length": [[3], [], [3, 3]],
    "rec.mc.nu.rwgt.ppfx.vuniv": [[1, 2, 3], [], [4, 5, 6, 7, 8, 9]],
    "rec.mc.nu.prim..totarraysize": [2, 0, 1],
}


def write(path, branches):
    content = {name: ak.Array(values) for name, values in branches.items()}
    with uproot.recreate(path) as file:
        tree = file.mktree("recTree", {name: v.type.content for name, v in content.items()})
        tree.extend(content)
    return path


def write_rntuple(path, batches):
    """One cluster per batch of records."""
    arrays = [ak.Array({"rec": batch}) for batch in batches]
    with uproot.recreate(path) as file:
        ntuple = file.mkrntuple("recTree", arrays[0].layout.form)
        for array in arrays:
            ntuple.extend(array)
    return path


def open_tree(path, mode="virtual", schema=NovaCAFSchema, **options):
    with uproot.open(path) as file:
        factory = NanoEventsFactory.from_root(
            {str(path): "recTree"} if mode == "dask" else file,
            **({} if mode == "dask" else {"treepath": "recTree"}),
            schemaclass=schema,
            mode=mode,
            **options,
        )
        events = factory.events()
        return events if mode == "dask" else ak.materialize(events)


def values(array):
    (computed,) = dask.compute(array, scheduler="sync")
    return ak.to_list(computed)


@pytest.mark.parametrize("mode", MODES)
def test_dotted_names_become_nested_records_in_every_mode(tmp_path, mode):
    events = open_tree(write(tmp_path / "a.root", SLICES), mode)
    assert values(events.slc.calE) == [0.5, 0.25, 2.0]
    assert values(events.mc.nu.E) == [[1.5], [], [2.5, 3.5]]
    assert values(events.mc.nu.p.x) == [[1.0], [], [2.0, 3.0]]
    assert values(events.mc.nu.prim.p.E) == [[[0.75, 0.5]], [], [[], [3.25]]]
    assert values(events.mc.nu.prim.pdg) == [[[11, 14]], [], [[], [-13]]]
    assert values(events.mc.nu.rwgt.ppfx.vuniv) == [[[1, 2, 3]], [], [[4, 5, 6], [7, 8, 9]]]


def test_members_of_one_list_are_one_record_with_its_types(tmp_path):
    events = open_tree(write(tmp_path / "a.root", SLICES))
    assert events.mc.nu[0].tolist() == [
        {
            "E": 1.5,
            "p": {"x": 1.0},
            "prim": [{"pdg": 11, "p": {"E": 0.75}}, {"pdg": 14, "p": {"E": 0.5}}],
            "rwgt": {"ppfx": {"vuniv": [1, 2, 3]}},
        }
    ]
    assert events.mc.nu.prim.pdg.ndim == 3
    assert ak.type(events.mc.nu.prim.pdg).content.content.content.primitive == "int64"


def test_selected_slices_keep_their_inner_lists(tmp_path):
    events = open_tree(write(tmp_path / "a.root", SLICES))
    assert events[np.array([False, True, True])].mc.nu.prim.pdg.tolist() == [[], [[], [-13]]]


def test_a_range_of_entries_has_its_own_inner_lists(tmp_path):
    path = write(tmp_path / "a.root", SLICES)
    events = open_tree(path, entry_start=1, entry_stop=3)
    assert events.mc.nu.prim.pdg.tolist() == [[], [[], [-13]]]


@pytest.mark.parametrize("mode", MODES)
def test_three_levels_of_lists_are_cut_by_the_lengths_of_each(tmp_path, mode):
    class Schema(CAFSchema):
        lists = frozenset({"a", "a.b", "a.b.c"})

    path = write(
        tmp_path / "a.root",
        {
            "rec.a.x": [[1, 2], [], [3]],
            "rec.a.b..length": [[2, 0], [], [1]],
            "rec.a.b.y": [[10, 11], [], [12]],
            "rec.a.b.c..length": [[1, 2], [], [0]],
            "rec.a.b.c.z": [[100, 101, 102], [], []],
        },
    )
    events = open_tree(path, mode, Schema)
    assert values(events.a.b.y) == [[[10, 11], []], [], [[12]]]
    assert values(events.a.b.c.z) == [[[[100], [101, 102]], []], [], [[[]]]]


def test_no_branch_of_bookkeeping_appears_among_the_fields(tmp_path):
    events = open_tree(write(tmp_path / "a.root", SLICES))
    assert events.fields == ["slc", "mc"]
    assert events.mc.nu.prim.fields == ["pdg", "p"]


def test_uproot_counters_of_simulated_files_do_not_appear(toy):
    events = open_tree(toy.parent / "signal/nuone_fhc_0000.root")
    assert events.fields == ["hdr", "vtx", "slc", "sel", "mc"]


def test_real_branches_that_begin_with_n_stay(tmp_path):
    path = write(tmp_path / "a.root", {"rec.slc.nhit": [3, 4], "rec.mc.nu.nprim": [[1], [2]]})
    events = open_tree(path)
    assert events.slc.nhit.tolist() == [3, 4]
    assert events.mc.nu.nprim.tolist() == [[1], [2]]


def test_empty_lists_everywhere_keep_their_nesting(tmp_path):
    empty = ak.values_astype(ak.Array([[], []]), "float64")
    lengths = ak.values_astype(ak.Array([[], []]), "int32")
    path = write(
        tmp_path / "a.root",
        {"rec.mc.nu.E": empty, "rec.mc.nu.prim..length": lengths, "rec.mc.nu.prim.p.E": empty},
    )
    events = open_tree(path)
    assert events.mc.nu.E.tolist() == [[], []]
    assert (events.mc.nu.prim.p.E.tolist(), events.mc.nu.prim.p.E.ndim) == ([[], []], 3)


def test_prefixes_of_split_objects_are_dropped():
    content = {"class": "NumpyArray", "primitive": "float32", "form_key": "k", "parameters": {}}
    form = {
        "class": "RecordArray",
        "fields": ["rec/rec.slc/rec.slc.calE", "rec/rec.hdr/rec.hdr.run"],
        "contents": [content, content],
        "parameters": {},
        "form_key": "",
    }
    schema = NovaCAFSchema(form)
    assert schema.form["fields"] == ["slc", "hdr"]
    assert [record["fields"] for record in schema.form["contents"]] == [["calE"], ["run"]]


def test_elastic_vertex_is_a_record_or_a_list_as_the_file_has_it(tmp_path):
    new = {"rec.vtx.elastic.IsValid": [1, 1], "rec.vtx.elastic.fuzzyk.png.len": [[1.0, 2.0], []]}
    old = {
        "rec.vtx.elastic.IsValid": [[1], []],
        "rec.vtx.elastic.fuzzyk.png..length": [[2], []],
        "rec.vtx.elastic.fuzzyk.png.len": [[1.0, 2.0], []],
    }
    record = open_tree(write(tmp_path / "new.root", new))
    vector = open_tree(write(tmp_path / "old.root", old))
    assert record.vtx.elastic.fuzzyk.png.len.tolist() == [[1.0, 2.0], []]
    assert vector.vtx.elastic.fuzzyk.png.len.tolist() == [[[1.0, 2.0]], []]


# Entries with two, no and one slice; the second slice has no particle. Universes are four deep.
FLAT = {
    "rec.hdr.run": [7, 7, 8],
    "rec.slc..length": [2, 0, 1],
    "rec.slc.charge": [[1.0, 2.0], [], [3.0]],
    "rec.slc.reco.pfp..length": [[2, 0], [], [1]],
    "rec.slc.reco.pfp..idx": [[0, 2], [], [0]],
    "rec.slc.reco.pfp..totarraysize": [2, 0, 1],
    "rec.slc.reco.pfp.shw.dir.x": [[0.5, 0.25], [], [0.75]],
    "rec.slc.reco.pfp.trk.calo..length": [[0, 1], [], [2]],
    "rec.slc.reco.pfp.trk.calo.charge": [[10], [], [11, 12]],
    "rec.slc.reco.pfp.trk.calo.wgt.univ..length": [[2], [], [0, 1]],
    "rec.slc.reco.pfp.trk.calo.wgt.univ": [[20, 21], [], [22]],
}


@pytest.mark.parametrize("mode", MODES)
def test_flat_lists_of_any_depth_are_found_from_their_lengths_alone(tmp_path, mode):
    events = open_tree(write(tmp_path / "a.root", FLAT), mode, CAFSchema)
    assert values(events.hdr.run) == [7, 7, 8]
    assert values(events.slc.charge) == [[1.0, 2.0], [], [3.0]]
    assert values(events.slc.reco.pfp.shw.dir.x) == [[[0.5, 0.25], []], [], [[0.75]]]
    calo = events.slc.reco.pfp.trk.calo
    assert values(calo.charge) == [[[[], [10]], []], [], [[[11, 12]]]]
    assert values(calo.wgt.univ) == [[[[], [[20, 21]]], []], [], [[[[], [22]]]]]


def test_flat_lists_of_a_range_of_entries_are_its_own(tmp_path):
    path = write(tmp_path / "a.root", FLAT)
    events = open_tree(path, schema=CAFSchema, entry_start=1, entry_stop=3)
    assert events.slc.reco.pfp.trk.calo.wgt.univ.tolist() == [[], [[[[], [22]]]]]


def test_one_member_of_a_flat_list_reads_its_branch_and_the_lengths_above_it(tmp_path):
    log = []
    with uproot.open(write(tmp_path / "a.root", FLAT)) as file:
        factory = NanoEventsFactory.from_root(
            file, treepath="recTree", schemaclass=CAFSchema, access_log=log
        )
        factory.events().slc.reco.pfp.shw.dir.x.tolist()
    assert {access.branch for access in log} == {
        "rec.slc..length",
        "rec.slc.reco.pfp..length",
        "rec.slc.reco.pfp.shw.dir.x",
    }


def test_outer_list_of_plain_numbers_is_a_list(tmp_path):
    path = write(tmp_path / "a.root", {"rec.ids..length": [2, 0], "rec.ids": [[4, 5], []]})
    assert open_tree(path, schema=CAFSchema).ids.tolist() == [[4, 5], []]


def test_list_of_lists_of_numbers_has_its_inner_ones_as_elems(tmp_path):
    path = write(
        tmp_path / "a.root",
        {
            "rec.w..length": [2, 0],
            "rec.w.elems..length": [[1, 2], []],
            "rec.w.elems": [[1.0, 2.0, 3.0], []],
        },
    )
    assert open_tree(path, schema=CAFSchema).w.elems.tolist() == [[[1.0], [2.0, 3.0]], []]


def test_fixed_arrays_inside_lists_without_lengths_are_left_out(tmp_path):
    path = write(
        tmp_path / "a.root",
        {
            "rec.slc..length": [1, 2],
            "rec.slc.charge": [[1.0], [2.0, 3.0]],
            "rec.slc.adc..idx": [[0], [0, 17]],
            "rec.slc.adc..totarraysize": [17, 34],
            "rec.slc.adc": [list(range(17)), list(range(34))],
        },
    )
    events = open_tree(path, schema=CAFSchema)
    assert events.slc.tolist() == [[{"charge": 1.0}], [{"charge": 2.0}, {"charge": 3.0}]]


def neutrino(energy, *particles):
    prim = [{"pdg": pdg, "p": {"E": E}} for pdg, E in particles]
    return {"E": energy, "prim": prim, "rwgt": {"ppfx": [[energy, 1.0]]}}


RECORDS = [
    [
        {"hdr": {"run": 7}, "mc": {"nu": [neutrino(1.5, (11, 0.75), (14, 0.5))]}},
        {"hdr": {"run": 7}, "mc": {"nu": []}},
    ],
    [
        {"hdr": {"run": 8}, "mc": {"nu": [neutrino(2.5), neutrino(3.5, (-13, 3.25))]}},
        {"hdr": {"run": 9}, "mc": {"nu": [neutrino(4.5, (22, 0.125))]}},
    ],
]


@pytest.mark.parametrize("mode", ["eager", "virtual"])
@pytest.mark.parametrize("entries", [(0, 4), (1, 3), (3, 4)], ids=str)
def test_nested_fields_of_an_rntuple_are_the_records_of_a_tree(tmp_path, mode, entries):
    path = write_rntuple(tmp_path / "a.root", RECORDS)
    start, stop = entries
    options = {"entry_start": start, "entry_stop": stop}
    events = open_tree(path, mode, CAFSchema, **options)
    expected = ak.Array(RECORDS[0] + RECORDS[1])[start:stop]
    assert events.fields == ["hdr", "mc"]
    assert events.hdr.run.tolist() == expected.hdr.run.tolist()
    assert events.mc.nu.prim.p.E.tolist() == expected.mc.nu.prim.p.E.tolist()
    assert events.mc.tolist() == expected.mc.tolist()


def test_one_leaf_of_an_rntuple_reads_the_smallest_leaves_that_tell_its_lists(tmp_path):
    log = []
    with uproot.open(write_rntuple(tmp_path / "a.root", RECORDS)) as file:
        factory = NanoEventsFactory.from_root(
            file, treepath="recTree", schemaclass=CAFSchema, access_log=log
        )
        factory.events().mc.nu.prim.p.E.tolist()
    assert {access.branch for access in log} == {
        "rec.mc.nu.E",
        "rec.mc.nu.prim.pdg",
        "rec.mc.nu.prim.p.E",
    }


def test_struct_in_one_branch_of_a_tree_loads_as_a_whole():
    leaf = {"class": "NumpyArray", "primitive": "float32", "parameters": {}}
    struct = {
        "class": "RecordArray",
        "fields": ["x", "y"],
        "contents": [
            leaf | {"form_key": "p,!load,x,!item"},
            leaf | {"form_key": "p,!load,y,!item"},
        ],
        "parameters": {},
        "form_key": "",
    }
    form = {"fields": ["rec.p"], "contents": [struct], "typenames": {"rec.p": "struct"}}
    assert CAFSchema(form).form["contents"] == [struct]


def test_elements_of_a_list_become_events_of_which_each_has_its_entry(tmp_path):
    events = open_tree(
        write(tmp_path / "a.root", FLAT), schema=CAFSchema, metadata={"dataset": "x"}
    )
    slices = unfold(events, "slc", "slc")
    assert slices.slc.charge.tolist() == [1.0, 2.0, 3.0]
    assert slices.hdr.run.tolist() == [7, 7, 8]
    assert slices.slc.reco.pfp.trk.calo.wgt.univ.tolist() == [[[], [[20, 21]]], [], [[[], [22]]]]
    assert slices.metadata == {"dataset": "x"}
    assert unfold(slices[slices.hdr.run == 7], "slc", "slc").slc.charge.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("path", ["reco", "slc.none", "hdr", "hdr.run", "hdr.run.x"])
def test_events_cannot_be_elements_of_what_is_no_list(tmp_path, path):
    events = open_tree(write(tmp_path / "a.root", FLAT), schema=CAFSchema)
    with pytest.raises(InputError, match=rf"elements of '{path}', which the file does not have"):
        unfold(events, path, "slc")


@pytest.mark.parametrize(
    ("layout", "container"), [("nova_caf", "rntuple"), ("nova_flat_caf", "ttree")]
)
def test_other_layouts_of_the_same_slices_give_the_same_records(tmp_path, layout, container):
    options = {"sample": "nd", "events": 200, "seed": 5}
    (nested,) = simulate(tmp_path / "nested", **options)
    (other,) = simulate(tmp_path / "other", **options, layout=layout, container=container)
    expected, events = open_tree(nested), open_tree(other, schema=CAFSchema)
    assert set(events.fields) == set(expected.fields)
    assert all(events[name].tolist() == expected[name].tolist() for name in events.fields)
