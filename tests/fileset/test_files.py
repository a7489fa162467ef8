import json
import shutil
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, make_plan, open_chunk
from fileset.survey import inspect_dataset


def inspect(*paths, **options):
    fileset = load_fileset({"nd": {"files": list(map(str, paths)), **options}})
    return inspect_dataset(fileset["nd"]).infos


def test_a_good_file_is_described_by_its_content(write_caf):
    path = write_caf(entries=3, spillpot=[1e18, 2e18])
    (info,) = inspect(path)
    with uproot.open(path) as file:
        uuid, size = str(file.file.uuid), file["recTree"].compressed_bytes
    assert (info.path, info.uuid, info.size) == (str(path), uuid, size)
    assert (info.tree, info.format, info.is_mc, info.entries) == ("recTree", "nova_caf", True, 3)
    assert (info.pot, info.exposure_source, info.event_weight) == (3e18, "spills", 1.0)


def test_pseudo_data_are_recognised_as_data(toy):
    assert [info.is_mc for info in inspect(toy.parent / "data/data_fhc_0000.root")] == [False]


def test_description_overrules_what_the_file_says_about_simulation(write_caf):
    assert [info.is_mc for info in inspect(write_caf(), is_mc=False)] == [False]


def test_number_of_flux_universes_comes_from_the_content(toy, write_caf):
    simulated = toy.parent / "signal/nuone_fhc_0000.root"
    assert [inspect(path)[0].universes for path in (simulated, write_caf())] == [100, 0]


def test_exposure_of_simulated_file_is_the_sum_over_spills(toy):
    path = toy.parent / "signal/nuone_fhc_0000.root"
    with uproot.open(path) as file:
        expected = np.sum(file["spillTree/spill.spillpot"].array(library="np"))
    assert inspect(path)[0].pot == pytest.approx(expected, rel=1e-14, abs=0.0)


def test_total_pot_is_used_where_there_are_no_spills(write_caf):
    (info,) = inspect(write_caf(spillpot=None, total_pot=5e18))
    assert (info.pot, info.exposure_source) == (5e18, "TotalPOT")


def test_exposures_that_disagree_are_refused_unless_the_description_decides(write_caf):
    path = write_caf(spillpot=[1e18], total_pot=5e18)
    with pytest.raises(InputError, match=r"'spills' says 1e\+18 POT, 'TotalPOT' 5e\+18; name the"):
        inspect(path)
    assert inspect(path, exposure="spills")[0].pot == 1e18
    assert inspect(path, exposure="TotalPOT")[0].pot == 5e18
    assert inspect(path, pot=7e18)[0].pot == 7e18


def test_explicit_exposure_is_shared_by_number_of_entries(write_caf):
    paths = [write_caf("a.root", entries=1), write_caf("b.root", entries=3)]
    infos = inspect(*paths, pot=8e20)
    assert [(i.pot, i.exposure_source) for i in infos] == [(2e20, "explicit"), (6e20, "explicit")]


def test_explicit_exposure_rescues_a_file_with_a_bad_one(write_caf):
    assert inspect(write_caf(spillpot=[0.0]), pot=1e20)[0].pot == 1e20
    assert inspect(write_caf(spillpot=None), pot=1e20)[0].pot == 1e20


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"entries": 0}, "tree 'recTree' has no entries; remove the file"),
        ({"spillpot": [0.0]}, r"exposure from 'spills' is 0\.0 POT, expected > 0"),
        ({"spillpot": [-1e18]}, r"exposure from 'spills' is -1e\+18 POT, expected > 0"),
        ({"spillpot": [1e18, np.nan]}, "exposure from 'spills' is nan POT, expected > 0"),
        ({"spillpot": None, "total_pot": 0.0}, r"exposure from 'TotalPOT' is 0\.0 POT"),
        ({"spillpot": None}, r"no exposure found \(looked for spills, TotalPOT\); set 'pot'"),
        ({"tree": "recThree"}, r"cannot tell the format .*recThree \(TTree\).*set format"),
    ],
    ids=str,
)
def test_file_that_cannot_be_right_is_refused(write_caf, made, message):
    path = write_caf(**made)
    with pytest.raises(InputError, match=rf"dataset 'nd', {path}: .*{message}"):
        inspect(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"dataset 'nd', .*absent\.root: no such file"):
        inspect(tmp_path / "absent.root")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"the file is empty \(0 bytes\); copy it again"),
        (b"root of all evil" * 64, r"cannot be read \(\w+Error: .*\); check that it is complete"),
        (b"\x00" * 2000, "not a ROOT file, nor of another known format: it begins with b"),
    ],
    ids=["empty", "root in name only", "zeros"],
)
def test_file_that_is_not_root_is_refused(tmp_path, content, message):
    path = tmp_path / "a.root"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.root: {message}"):
        inspect(path)


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused_wherever_it_is_cut(toy, tmp_path, kept):
    content = (toy.parent / "signal/nuone_fhc_0000.root").read_bytes()
    path = tmp_path / "a.root"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=rf"truncated, \d+ of {len(content)} bytes; copy it"):
        inspect(path)


def test_wrong_tree_is_refused_with_what_the_file_holds(write_caf):
    path = write_caf()
    with pytest.raises(InputError, match=r"no tree 'events'.*recTree \(TTree\), spillTree"):
        inspect(path, tree="events")


def test_tree_of_another_kind_does_not_say_what_it_is(write_caf):
    path = write_caf()
    with pytest.raises(InputError, match=r"does not say whether it is simulation; set 'is_mc'"):
        inspect(path, tree="spillTree")


def test_object_that_is_not_a_tree_is_refused(write_caf):
    path = write_caf(total_pot=1e18)
    with pytest.raises(
        InputError, match=r"'TotalPOT' is a TH1D, not a TTree or RNTuple; set 'tree'"
    ):
        inspect(path, tree="TotalPOT")


def test_rntuple_with_dots_in_its_names_is_refused(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file["recTree"] = {"rec.hdr.ismc": np.ones(3, "i1")}
    with pytest.raises(
        InputError, match=r"'recTree' has a field with dots .*'rec\.hdr\.ismc'.*write"
    ):
        inspect(tmp_path / "a.root")


def test_tree_name_belongs_in_tree_and_not_behind_a_colon(write_caf):
    with pytest.raises(InputError, match=r"a\.root:recTree: no such file"):
        inspect(f"{write_caf()}:recTree")


def test_unknown_exposure_source_is_refused_with_neighbours(write_caf):
    with pytest.raises(InputError, match="no exposure source 'spill'; closest: spills"):
        inspect(write_caf(), exposure="spill")


def test_same_file_under_two_names_is_refused(write_caf, tmp_path):
    path = write_caf()
    shutil.copy(path, tmp_path / "copy.root")
    with pytest.raises(
        InputError, match=rf"{path}: this and .*copy\.root are one file .*list it once"
    ):
        inspect(tmp_path / "copy.root", path)


def test_data_and_simulation_in_one_dataset_are_refused(toy):
    folder = toy.parent
    with pytest.raises(
        InputError,
        match=r"mix data and simulation \(is_mc: False in .*data_fhc_0000\.root, True in",
    ):
        inspect(folder / "data/data_fhc_0000.root", folder / "signal/nuone_fhc_0000.root")


def test_two_formats_in_one_dataset_are_refused(write_caf, dune_file):
    with pytest.raises(InputError, match=r"mix formats \(format: nova_caf in .*, dune_fd_caf in"):
        inspect(write_caf(), dune_file)


@pytest.mark.parametrize("norm", [[0.0, 1e21], [np.nan, 1e21]])
def test_event_weight_that_would_erase_or_poison_the_sum_is_refused(tmp_path, norm):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("caf", {"run": "int32"}).extend({"run": np.arange(3)})
        file["norm"] = np.array(norm), np.arange(3.0)
    with pytest.raises(InputError, match=r"event weight from 'norm' is (0\.0|nan), expected > 0"):
        inspect(tmp_path / "a.root")


def test_missing_branch_is_named_with_column_and_dataset_when_it_is_used(write_caf):
    fileset = load_fileset({"nd": {"files": [str(write_caf())]}})
    events = open_chunk(fileset, "nd")
    with pytest.raises(
        InputError, match=r"dataset 'nd', .*column 'slice_energy' needs the branch 'slc', which"
    ):
        ak.sum(events.slice_energy)


def test_file_that_was_replaced_after_planning_is_refused(write_caf):
    path = write_caf(entries=3)
    (chunk,) = make_plan(load_fileset({"nd": {"files": [str(path)]}}))
    write_caf(entries=3)
    with pytest.raises(InputError, match=r"a\.root: the file was replaced after the run was pla"):
        chunk.open()


def test_file_that_was_deleted_after_planning_is_named(write_caf):
    path = write_caf()
    (chunk,) = make_plan(load_fileset({"nd": {"files": [str(path)]}}))
    path.unlink()
    with pytest.raises(InputError, match=r"a\.root: no such file"):
        chunk.open()


def test_connection_error_at_opening_stays_one_so_that_it_can_be_retried(write_caf, monkeypatch):
    (chunk,) = make_plan(load_fileset({"nd": {"files": [str(write_caf())]}}))

    def refuse(*args, **kwargs):
        raise ConnectionResetError("by peer")

    monkeypatch.setattr(uproot, "open", refuse)
    with pytest.raises(ConnectionResetError, match="by peer"):
        chunk.open()


def test_metadata_that_the_processor_sees_are_plain_json(toy):
    for chunk in make_plan(load_fileset(toy)):
        assert json.loads(json.dumps(chunk.metadata)) == chunk.metadata


def test_description_reaches_the_processor(write_caf):
    options = {"horn_current": "RHC", "weight": "w", "sin2_theta_w": 0.23, "timeout": 3.0}
    code = {"signal_column": "mode", "signal_code": 10005}
    fileset = load_fileset({"nd": {"files": [str(write_caf())], **options, **code}})
    metadata = open_chunk(fileset, "nd").metadata
    assert {name: metadata[name] for name in options} == options
    assert (metadata["dataset"], metadata["codes"]["nuone"]) == ("nd", [["mode", 10005]])
    assert (metadata["entrystart"], metadata["entrystop"]) == (0, 3)


@pytest.mark.parametrize("name", ["rec.my.weight", "my.weight"])
def test_weight_branch_of_the_dataset_becomes_a_column(write_caf, name):
    weights = [0.5, 2.0, 1.0]
    path = write_caf(branches={"rec.my.weight": np.array(weights)})
    fileset = load_fileset({"nd": {"files": [str(path)], "weight": name}})
    assert open_chunk(fileset, "nd").generator_weight.tolist() == weights
    plain = {"nd": replace(fileset["nd"], weight="")}
    assert "generator_weight" not in open_chunk(plain, "nd").fields


def test_weight_branch_that_is_not_there_is_refused(write_caf):
    fileset = load_fileset({"nd": {"files": [str(write_caf())], "weight": "rec.wieght"}})
    with pytest.raises(
        InputError, match="'generator_weight' needs the branch 'wieght', which the file lacks"
    ):
        ak.sum(open_chunk(fileset, "nd").generator_weight)


def test_file_name_may_hold_any_letter_blank_and_colon(write_caf):
    (info,) = inspect(write_caf("b\u00fcndel 1:2.root", entries=2))
    assert info.entries == 2
