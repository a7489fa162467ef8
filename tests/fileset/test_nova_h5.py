import sys

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, make_plan, open_chunk
from fileset.formats.nova_h5 import NOVA_H5, load
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.histograms import HISTOGRAMS

KEYS = ("run", "subrun", "cycle", "evt", "subevt")
PNG, NU = "rec.vtx.elastic.fuzzyk.png", "rec.mc.nu"
# Lists, and for those in slices a branch of one value per element.
OUTER = {PNG: f"{PNG}.len", NU: f"{NU}.E"}
INNER = {f"{NU}.prim", f"{NU}.rwgt.genie", f"{NU}.rwgt.ppfx.vuniv"}
GROUPS = {
    *OUTER,
    *INNER,
    *("rec.hdr", "rec.slc", "rec.vtx.elastic", "rec.vtx.elastic.fuzzyk", "rec.mc"),
    *("rec.sel.nuone", "rec.sel.nueid", "rec.sel.nuecosrej", f"{NU}.rwgt.ppfx"),
    *(f"{PNG}.{name}" for name in ("shwlid", "shwlid.lid", "cvnpart", "spprongcvnpart5label")),
    f"{PNG}.truth",
}


def write(path, tables, rng=None):
    """Groups of columns of shape (N, 1), the rows of each group shuffled."""
    with h5py.File(path, "w") as file:
        for group, columns in tables.items():
            rows = len(next(iter(columns.values())))
            order = slice(None) if rng is None or group == "rec.hdr" else rng.permutation(rows)
            for name, values in columns.items():
                file[f"{group}/{name}"] = np.asarray(values)[order].reshape(-1, 1)
    return path


def tables_of(root):
    """Content of a simulated CAF, read by uproot alone, as the tables of an h5-CAF."""
    with uproot.open(root) as file:
        branches = {n: b.array() for n, b in file["recTree"].items() if n.startswith("rec.")}
        spill = {n.removeprefix("spill."): b.array() for n, b in file["spillTree"].items()}
    tables = {"spill": spill}
    for name, values in branches.items():
        if ".." not in name:
            group = max((g for g in GROUPS if f"{name}.".startswith(f"{g}.")), key=len)
            column = name.removeprefix(group).removeprefix(".") or "value"
            table = tables.setdefault(group, rows_of(group, branches))
            table[column] = ak.to_numpy(ak.flatten(values, axis=None))
    return tables


def rows_of(group, branches):
    """Key columns of the rows of a group."""
    keys = {key: ak.to_numpy(branches[f"rec.hdr.{key}"]) for key in KEYS}
    outer = next((name for name in OUTER if f"{group}.".startswith(f"{name}.")), None)
    if outer is None:
        return keys
    repeated = {key: np.repeat(v, ak.num(branches[OUTER[outer]])) for key, v in keys.items()}
    repeated[f"{outer}_idx"] = ak.flatten(ak.local_index(branches[OUTER[outer]]))
    if group not in INNER:
        return repeated
    counts = ak.to_numpy(ak.flatten(branches[f"{group}..length"]))
    again = {key: np.repeat(values, counts) for key, values in repeated.items()}
    return again | {f"{group}_idx": np.concatenate([np.arange(n) for n in counts])}


@pytest.fixture(scope="module")
def caf(tmp_path_factory):
    """The same slices as a CAF, read by uproot, and as tables with shuffled rows."""
    folder = tmp_path_factory.mktemp("h5")
    simulate(folder, sample="nd", events=400, seed=31)
    root = next(folder.glob("*.root"))
    write(folder / "same.h5", tables_of(root), np.random.default_rng(7))
    (folder / "all.toml").write_text(
        f'[caf]\nfiles = ["{root.name}"]\n[tables]\nfiles = ["same.h5"]\n'
    )
    return load_fileset(folder / "all.toml")


def small(**changes):
    """Two slices, the first with two neutrinos of one and two particles; the second with none."""
    keys = {"run": [1, 1], "subrun": [2, 2], "evt": [7, 8], "subevt": [1, 1]}
    first = {key: values[:1] for key, values in keys.items()}
    nus = {key: values * 2 for key, values in first.items()}
    prims = {key: values * 3 for key, values in first.items()}
    tables = {
        "rec.hdr": keys | {"ismc": [1, 1]},
        "rec.slc": keys | {"calE": np.array([0.5, 0.25], "f4"), "nhit": [4, 5]},
        "rec.mc.nu": nus | {"rec.mc.nu_idx": [1, 0], "E": [1.5, 2.5]},
        "rec.mc.nu.prim": prims
        | {"rec.mc.nu_idx": [1, 0, 1], "rec.mc.nu.prim_idx": [1, 0, 0], "pdg": [22, 14, 11]},
        "spill": {"run": [1, 1], "subrun": [2, 2], "evt": [7, 8], "spillpot": [1e13, 2e13]},
    }
    for group, columns in changes.items():
        name = group.replace("__", ".")
        tables[name] = {k: v for k, v in (tables[name] | columns).items() if v is not None}
    return tables


@pytest.fixture
def load_small(tmp_path):
    return lambda **changes: load(str(write(tmp_path / "small.h5", small(**changes))))


@pytest.mark.parametrize("column", sorted(NOVA_H5.columns))
def test_every_column_is_that_of_the_caf_whatever_the_order_of_the_rows(caf, column):
    expected, found = open_chunk(caf, "caf")[column], open_chunk(caf, "tables")[column]
    assert ak.array_equal(found, expected, equal_nan=True)
    assert ak.count(expected) > 0


def test_a_file_is_recognised_with_the_exposure_of_its_spills_and_its_facts(caf):
    expected, found = make_plan(caf)
    assert (found.pot, found.stop) == (pytest.approx(expected.pot, rel=1e-12), expected.stop)
    events = open_chunk(caf, "tables")
    assert events.metadata["format"] == "nova_h5"
    for key in ("is_mc", "horn_current", "universes"):
        assert events.metadata[key] == open_chunk(caf, "caf").metadata[key]


def test_a_run_over_tables_gives_the_histograms_of_the_run_over_the_caf(caf):
    expected, found = (NuoneProcessor().process(chunk.open()) for chunk in make_plan(caf))
    for name in HISTOGRAMS:
        assert found["tables"][name] == expected["caf"][name]
        assert np.any(found["tables"][name].values(flow=True) > 0)


def test_lists_in_lists_are_joined_by_all_their_indices(load_small):
    events, _ = load_small()
    assert events.mc.nu.E.tolist() == [[2.5, 1.5], []]
    assert events.mc.nu.prim.pdg.tolist() == [[[14], [11, 22]], []]
    assert events.hdr.evt.tolist() == [7, 8]


def test_indices_of_inner_lists_may_go_on_counting(load_small):
    events, _ = load_small(rec__mc__nu__prim={"rec.mc.nu.prim_idx": [2, 0, 1]})
    assert events.mc.nu.prim.pdg.tolist() == [[[14], [11, 22]], []]


def test_nothing_is_read_before_it_is_used(tmp_path):
    path = write(tmp_path / "a.h5", small())
    events, _ = load(str(path))
    path.unlink()
    with pytest.raises(InputError, match=r"a\.h5, rec\.\S+: no such file"):
        ak.materialize(events.slc.calE)


def test_column_that_has_changed_its_length_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", small())
    events, _ = load(str(path))
    write(path, small(rec__slc={"calE": [0.5, 0.25, 0.125]}))
    with pytest.raises(InputError, match=r"a\.h5, rec\.slc/calE: cannot be read \(ValueError"):
        ak.materialize(events.slc.calE)


def test_rows_that_lack_leave_numbers_missing(load_small):
    events, _ = load_small(
        rec__slc={"run": [1], "subrun": [2], "evt": [8], "subevt": [1], "calE": [0.25]}
        | {"nhit": [5]}
    )
    assert np.array_equal(ak.to_numpy(events.slc.calE), [np.nan, 0.25], equal_nan=True)
    with pytest.raises(InputError, match=r"'rec\.slc'.* rows for 1 of 2 .* 'nhit'"):
        ak.materialize(events.slc.nhit)


def test_a_spill_that_is_there_twice_counts_once(load_small, tmp_path):
    spill = {"run": [1] * 3, "subrun": [2] * 3, "evt": [7, 8, 7], "spillpot": [1e13, 2e13, 1e13]}
    write(tmp_path / "a.h5", small(spill=spill))
    (tmp_path / "a.toml").write_text('[a]\nfiles = ["a.h5"]\nhorn_current = "FHC"\n')
    assert make_plan(load_fileset(tmp_path / "a.toml"))[0].pot == 3e13


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rec__slc": {"subevt": None}}, r"'rec\.slc' .* lacks the key columns \['subevt'\]"),
        ({"rec__slc": {"nhit": [1]}}, r"'rec\.slc' .* different lengths \('subrun' 2, 'nhit' 1\)"),
    ],
)
def test_groups_that_are_no_tables_of_slices_are_refused(load_small, changes, message):
    with pytest.raises(InputError, match=message):
        load_small(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evt": [7, 9]}, r"'rec\.mc\.nu' .* 1 of 2 rows .* the first is .* evt 9, subevt 1"),
        ({"rec.mc.nu_idx": [1, 1]}, r"'rec\.mc\.nu' .* 1 of 2 elements more than once"),
        ({"rec.mc.nu_idx": [2, 0]}, r"'rec\.mc\.nu' .* gaps"),
        ({"rec.mc.nu_idx": [2, 1]}, r"'rec\.mc\.nu' .* gaps"),
    ],
)
def test_rows_that_do_not_fit_are_refused_when_they_are_used(load_small, changes, message):
    events, _ = load_small(rec__mc__nu=changes)
    with pytest.raises(InputError, match=message):
        ak.materialize(events["mc", "nu", "E"])


def test_a_table_without_index_must_not_repeat_a_slice(load_small):
    events, _ = load_small(rec__slc={"evt": [7, 7]})
    with pytest.raises(InputError, match=r"1 rows too many, .* evt 7.* no column 'rec\.slc_idx'"):
        ak.materialize(events.slc.calE)


def test_slices_that_are_there_twice_are_refused(tmp_path):
    write(tmp_path / "a.h5", small(rec__hdr={"evt": [7, 7]}))
    (tmp_path / "a.toml").write_text('[a]\nfiles = ["a.h5"]\n')
    with pytest.raises(InputError, match=r"'rec\.hdr' of a\.h5 has 1 of 2 elements more than once"):
        make_plan(load_fileset(tmp_path / "a.toml"))


def test_a_truncated_file_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", small())
    path.write_bytes(path.read_bytes()[:-100])
    (tmp_path / "a.toml").write_text('[a]\nfiles = ["a.h5"]\n')
    with pytest.raises(InputError, match=r"a\.h5: cannot be read \(OSError.*truncated"):
        make_plan(load_fileset(tmp_path / "a.toml"))


def test_other_hdf5_files_are_refused_with_what_they_hold(tmp_path):
    path = write(tmp_path / "a.h5", {"table_1": {"x": [1.0]}})
    with pytest.raises(InputError, match=r"no group begins with 'rec\.'.* holds table_1"):
        load(str(path))


def test_a_file_without_slices_is_refused(tmp_path):
    keys = {key: np.zeros(0, "u4") for key in ("run", "subrun", "evt", "subevt")}
    write(tmp_path / "a.h5", {"rec.hdr": keys})
    (tmp_path / "a.toml").write_text('[a]\nfiles = ["a.h5"]\n')
    with pytest.raises(InputError, match=r"has no entries"):
        make_plan(load_fileset(tmp_path / "a.toml"))


def test_without_h5py_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", small())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"pip install 'nudipole\[h5\]'"):
        load(str(path))


FRAGMENT = "data/events/nova_h5/sample_r11981_s06"


def test_events_of_a_real_fragment_are_its_slices(shared):
    with h5py.File(shared / FRAGMENT) as file:
        maps = file["rec.training.cvnmaps"]
        rows = {tuple(row) for group in (maps, file["rec.me.trkkalman"]) for row in numbers(group)}
        expected, calls = numbers(maps), maps["hitfracx"][:, 0]
    events, objects = load(str(shared / FRAGMENT))
    found = np.stack([ak.to_numpy(events.hdr[k]) for k in ("run", "subrun", "evt", "subevt")], 1)
    assert len(events) == len(rows) == 2464
    assert {tuple(row) for row in found} == rows
    of_slice = dict(zip(map(tuple, found), events.training.cvnmaps.hitfracx, strict=True))
    assert [of_slice[tuple(row)] for row in expected] == calls.tolist()
    assert np.isnan(list(of_slice.values())).sum() == 9
    assert objects["spill"].rows == 1706


def numbers(group):
    return np.stack([group[k][:, 0] for k in ("run", "subrun", "evt", "subevt")], axis=1)


def test_tracks_of_a_real_fragment_lack_the_index_of_their_list(shared):
    events, _ = load(str(shared / FRAGMENT))
    with pytest.raises(InputError, match=r"7 rows too many.*'rec\.me\.trkkalman_idx'"):
        ak.materialize(events.me.trkkalman.meanpos.x)


def test_a_real_fragment_has_no_exposure(shared, tmp_path):
    (tmp_path / "a.toml").write_text(f'[a]\nfiles = ["{shared / FRAGMENT}"]\nis_mc = false\n')
    with pytest.raises(InputError, match=r"no exposure found \(looked for spills\); set 'pot'"):
        make_plan(load_fileset(tmp_path / "a.toml"))
