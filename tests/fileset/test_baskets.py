"""Branches decoded here against Uproot's own arrays."""

import errno
import gc
import os
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype

from fileset import basket_bytes, baskets
from fileset.baskets import Jagged, encoding, open_source
from fileset.opening import is_reading

DATA = Path(__file__).parent / "data"

CODECS = {
    "zstd": uproot.ZSTD(3),
    "zlib": uproot.ZLIB(1),
    "lz4": uproot.LZ4(1),
    "lzma": uproot.LZMA(1),
    "none": None,
}
LENGTHS = (70, 1, 40, 89)
ENTRIES = sum(LENGTHS)
TYPES = "? i1 u1 i2 u2 i4 u4 i8 u8 f4 f8".split()
SHAPES = {"row": (3,), "matrix": (2, 3)}
LISTS = "? i1 u2 i4 i8 f4 f8".split()


def numbers(rng, dtype, shape):
    """Numbers that use all bytes, and repeat so that every codec finds something to do."""
    values = rng.integers(0, 2**62, 7).astype(np.uint64).view(np.int64)
    if dtype == "?":
        return rng.integers(0, 2, shape).astype(bool)
    found = values[rng.integers(0, 7, shape)]
    return found / 3**40 if dtype.startswith("f") else found.astype(dtype)


def columns(rng, length):
    counts = rng.integers(0, 6, length)
    vector = np.where(counts > 0, 10 + 4 * counts, 10)
    lists = {
        f"list_{t}": ak.unflatten(numbers(rng, t, counts.sum()).astype(t), counts) for t in LISTS
    }
    headers = [
        np.frombuffer(
            np.array([0x40000006 + 4 * n], ">u4").tobytes()
            + b"\0\1"
            + np.array([n], ">u4").tobytes()
            + numbers(rng, "f4", n).astype(">f4").tobytes(),
            np.uint8,
        )
        for n in counts
    ]
    return {
        **{f"flat_{t}": numbers(rng, t, length).astype(t) for t in TYPES},
        **{f"flat_{n}": numbers(rng, "f4", (length, *s)).astype("f4") for n, s in SHAPES.items()},
        **lists,
        "vector": ak.unflatten(np.concatenate(headers), vector),
        "constant": ak.unflatten(np.ones(length, "f4"), np.ones(length, int)),
        "empty": ak.unflatten(np.ones(0, "f4"), np.zeros(length, int)),
    }


def write(path, compression, seed=1):
    rng = np.random.default_rng(seed)
    batches = [columns(rng, length) for length in LENGTHS]
    types = {
        name: array.type.content if isinstance(array, ak.Array) else (array.dtype, array.shape[1:])
        for name, array in batches[0].items()
    }
    types = {n: np.dtype(t) if isinstance(t, tuple) else t for n, t in types.items()}
    with uproot.recreate(path, compression=compression) as file:
        tree = file.mktree("events", types)
        for batch in batches:
            tree.extend(batch)
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file per codec, with four baskets per branch."""
    folder = tmp_path_factory.mktemp("baskets")
    return {name: write(folder / f"{name}.root", codec) for name, codec in CODECS.items()}


def as_vector(tree):
    """Read the branch of bytes as what they are: a header and the elements."""
    tree["vector"]._interpretation = AsJagged(AsDtype(">f4"), header_bytes=10)
    return tree


def by_uproot(path, tree="events"):
    found = uproot.open({path: None}, array_cache=None)[tree]
    return as_vector(found) if "vector" in found else found


def source(path, tree="events"):
    found = open_source(path, tree)
    if "vector" in found.tree:
        as_vector(found.tree)
    return found


def assert_same(found, expected):
    """The same type, lengths and bits as an array of Uproot's."""
    layout = expected.layout
    if layout.is_list and not layout.is_regular:
        assert isinstance(found, Jagged)
        layout = layout.to_ListOffsetArray64(True)
        np.testing.assert_array_equal(found.offsets, layout.offsets.data)
        found, layout = found.content, layout.content[: layout.offsets[-1]]
    else:
        assert isinstance(found, np.ndarray)
    numbers = np.ascontiguousarray(ak.to_numpy(layout))
    assert found.dtype == numbers.dtype
    assert found.shape == numbers.shape
    assert found.tobytes() == numbers.tobytes()


def names(tree):
    return [name for name in tree.keys() if encoding(tree[name]) is not None]


@pytest.mark.parametrize("codec", CODECS)
def test_every_type_and_codec_gives_the_arrays_of_uproot(files, codec):
    tree = by_uproot(files[codec])
    assert names(tree) == tree.keys()
    assert min(tree[name].num_baskets for name in tree.keys()) == len(LENGTHS)
    for name in tree.keys():
        assert_same(source(files[codec]).read(name, 0, ENTRIES), tree[name].array())


def test_every_codec_is_in_the_files(files):
    found = set()
    for path in files.values():
        for block in by_uproot(path)["list_f8"].basket(0).block_compression_info or [("none",)]:
            found.add(block[0])
    assert found == {"ZSTD", "ZLIB", "LZ4", "LZMA", "none"}


@given(
    codec=st.sampled_from(list(CODECS)),
    name=st.sampled_from(["flat_f4", "flat_?", "flat_matrix", "list_i4", "list_f8", "vector"]),
    ends=st.tuples(st.integers(0, ENTRIES), st.integers(0, ENTRIES)),
    data=st.data(),
)
def test_any_rows_of_any_range_are_those_of_uproot(files, codec, name, ends, data):
    start, stop = sorted(ends)
    rows = data.draw(st.lists(st.integers(0, max(stop - start - 1, 0)), max_size=20).map(sorted))
    rows = rows if stop > start else []
    expected = by_uproot(files[codec])[name].array(entry_start=start, entry_stop=stop)
    assert_same(source(files[codec]).read(name, start, stop), expected)
    chosen = expected[np.asarray(rows, np.int64)]
    assert_same(source(files[codec]).read(name, start, stop, rows), chosen)


@pytest.mark.parametrize("name", ["flat_i2", "list_f4", "vector"])
def test_a_mask_chooses_the_rows_that_its_numbers_do(files, name):
    mask = np.random.default_rng(5).random(120) < 0.3
    found = source(files["lz4"]).read(name, 30, 150, mask)
    expected = by_uproot(files["lz4"])[name].array(entry_start=30, entry_stop=150)
    assert_same(found, expected[mask])


def test_baskets_without_a_wanted_row_are_not_read(files, monkeypatch):
    read = []
    monkeypatch.setattr(
        baskets,
        "read_basket",
        lambda *where: read.append(where) or basket_bytes.read_basket(*where),
    )
    source(files["zstd"]).read("list_f4", 0, ENTRIES, [3, 69, 111, 199])
    assert [where[-1] for where in read] == [70, 89]


@pytest.mark.parametrize("codec", CODECS)
def test_baskets_of_several_blocks_are_read(tmp_path, codec):
    # A block has at most 2**24 - 1 bytes.
    values = (np.arange(5_000_000) // 1000).astype("f4")
    with uproot.recreate(tmp_path / "a.root", compression=CODECS[codec]) as file:
        file.mktree("events", {"x": "f4"}).extend({"x": values})
    found = open_source(str(tmp_path / "a.root"), "events").read("x", 0, len(values))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("path", "tree", "layout"),
    [
        ("dune_fd_caf/CICafFile_numu_x_nue.root", "caf", "dune_fd_caf"),
        ("genie_gst/gntp.NuMI_C12_Dilepton_inclusive.gst.root", "gst", "genie_gst"),
        ("gibuu/EventOutput.Pert.00000001.root", "RootTuple", "gibuu"),
        ("nuwro_flattree/NuWro_numu_x_numu_FlatTree_Beam.root", "FlatTree_VARS", None),
    ],
    ids=["dune", "genie", "gibuu", "nuisance"],
)
def test_every_branch_of_files_of_root_is_decoded_here(shared, path, tree, layout):
    path = str(shared / "data/events" / path)
    expected, found = by_uproot(path, tree), source(path, tree)
    assert names(expected) == expected.keys()
    start, stop = 7, expected.num_entries - 11
    rows = np.arange(0, stop - start, 97)
    for name in expected.keys():
        array = expected[name].array(entry_start=start, entry_stop=stop)
        assert_same(found.read(name, start, stop), array)
        assert_same(found.read(name, start, stop, rows), array[rows])


@pytest.mark.parametrize("name", ["split_record", "split_vector"])
def test_numbers_in_split_objects_are_decoded_here(name):
    path = str(DATA / f"{name}.root")
    expected = by_uproot(path, "recTree")
    assert len(names(expected)) > 30
    for branch in names(expected):
        array = expected[branch].array(entry_start=1)
        assert_same(source(path, "recTree").read(branch, 1, expected.num_entries), array)


def test_vectors_are_in_the_file_of_gibuu(shared):
    path = str(shared / "data/events/gibuu/EventOutput.Pert.00000001.root")
    assert encoding(by_uproot(path, "RootTuple")["E"]).header == 10


def test_what_is_not_numbers_is_read_by_uproot():
    path = str(DATA / "split_record.root")
    found = source(path, "recTree")
    assert not found.is_quick("rec/hdr")
    assert found.boundaries("rec/hdr") == ()
    expected = by_uproot(path, "recTree")["rec/hdr"].array()
    assert found.read("rec/hdr", 2, 9, [0, 3]).tolist() == expected[[2, 5]].tolist()


@pytest.fixture
def ntuple(tmp_path):
    """File with an RNTuple of numbers, lists, and lists of lists."""
    path = tmp_path / "ntuple.root"
    records = ak.zip(
        {
            "x": np.arange(3, dtype="f4"),
            "y": ak.values_astype(ak.Array([[1], [], [2, 3]]), "i4"),
            "z": ak.Array([[[1.0], []], [], [[2.0]]]),
        },
        depth_limit=1,
    )
    with uproot.recreate(path) as file:
        file.mkrntuple("ntuple", records.layout.form).extend(records)
    return str(path)


def test_fields_of_an_rntuple_come_as_those_of_a_tree(ntuple):
    found, expected = source(ntuple, "ntuple"), by_uproot(ntuple, "ntuple")
    for name in ("x", "y"):
        assert_same(found.read(name, 0, 3), expected[name].array())
        assert_same(found.read(name, 1, 3, [1]), expected[name].array()[[2]])
    assert found.read("z", 0, 3).tolist() == [[[1.0], []], [], [[2.0]]]


@pytest.mark.parametrize("name", ["flat_matrix", "list_f4"])
def test_a_codec_that_is_not_known_here_is_left_to_uproot(files, name, monkeypatch):
    monkeypatch.delitem(basket_bytes.CODECS, b"ZS")
    expected = by_uproot(files["zstd"])[name].array(entry_start=3)
    assert_same(source(files["zstd"]).read(name, 3, ENTRIES), expected)
    assert_same(source(files["zstd"]).read(name, 3, ENTRIES, [5]), expected[[5]])


def test_lists_without_a_table_are_left_to_uproot(files, monkeypatch):
    def without(*where):
        basket = basket_bytes.read_basket(*where)
        return basket._replace(table=basket.table[:0])

    monkeypatch.setattr(baskets, "read_basket", without)
    found = source(files["zlib"]).read("list_i4", 60, 100)
    assert_same(found, by_uproot(files["zlib"])["list_i4"].array(entry_start=60, entry_stop=100))


def test_baskets_inside_the_tree_are_left_to_uproot(files, monkeypatch):
    branch = by_uproot(files["zstd"])["flat_f4"]
    assert encoding(branch) is not None
    monkeypatch.setattr(branch, "_embedded_baskets", [branch.basket(0)])
    assert encoding(branch) is None


def test_a_remote_file_is_read_by_uproot(files, web):
    url = f"{web(Path(files['zstd']).parent).url}/zstd.root"
    found = source(url)
    assert not found.is_quick("list_f4")
    assert_same(
        found.read("list_f4", 9, 99, [1, 4]), by_uproot(files["zstd"])["list_f4"].array()[[10, 13]]
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([1, 0], "not in order"),
        ([-1], "not all from 0 to 9"),
        ([10], "not all from 0 to 9"),
        ([True] * 9, r"mask of shape \(9,\) for 10 entries"),
        ([[1]], "expected integers in one"),
        ([0.5], "expected integers in one"),
    ],
)
def test_rows_that_are_not_there_are_refused(files, rows, message):
    with pytest.raises(IndexError, match=message) as caught:
        source(files["none"]).read("flat_i4", 5, 15, rows)
    assert not is_reading(caught.value)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (5, 4), (0, ENTRIES + 1)])
def test_entries_that_are_not_there_are_refused(files, start, stop):
    with pytest.raises(IndexError, match=rf"entries {start}-{stop} of {ENTRIES}"):
        source(files["none"]).read("flat_i4", start, stop)


def test_a_branch_that_is_not_there_is_named(files):
    with pytest.raises(uproot.KeyInFileError, match="flat_f5"):
        source(files["none"]).read("flat_f5", 0, 1)


def places(path, name):
    """Where the baskets of a branch are, and how long."""
    branch = by_uproot(path)[name]
    found = (branch.member(m)[: branch.num_baskets] for m in ("fBasketSeek", "fBasketBytes"))
    return np.transpose(list(found)).tolist()


def outcome(path, name):
    """What is read, or the error of it."""
    try:
        return source(path).read(name, 0, ENTRIES)
    except Exception as error:
        return error


@pytest.mark.parametrize("name", ["flat_f8", "list_f4", "vector"])
@pytest.mark.parametrize("codec", CODECS)
def test_a_changed_byte_is_an_error_or_changes_what_uproot_reads_too(files, tmp_path, codec, name):
    content = Path(files[codec]).read_bytes()
    path = tmp_path / "changed.root"
    rng = np.random.default_rng(11)
    outcomes = []
    for seek, size in places(files[codec], name):
        for place in [*rng.integers(seek, seek + 90, 2), *rng.integers(seek, seek + size, 3)]:
            changed = bytearray(content)
            changed[place] ^= 1 << rng.integers(0, 8)
            path.write_bytes(changed)
            outcomes.append(outcome(str(path), name))
            if not isinstance(outcomes[-1], Exception):
                assert_same(outcomes[-1], by_uproot(str(path))[name].array())
    errors = [found for found in outcomes if isinstance(found, Exception)]
    assert errors
    assert all(is_reading(error) for error in errors)


@pytest.mark.parametrize("codec", ["lz4", "zlib", "lzma"])
def test_codecs_with_a_checksum_let_no_changed_value_pass(files, tmp_path, codec):
    content = Path(files[codec]).read_bytes()
    expected = by_uproot(files[codec])["list_f8"].array()
    path = tmp_path / "changed.root"
    outcomes = []
    seek, size = places(files[codec], "list_f8")[0]
    for place in range(seek + size - 40, seek + size):
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        outcomes.append(outcome(str(path), "list_f8"))
    # A few bits of a stream may mean nothing.
    unchanged = [found for found in outcomes if not isinstance(found, basket_bytes.DamagedError)]
    assert len(unchanged) < 3
    for found in unchanged:
        assert_same(found, expected)


def test_a_file_that_was_cut_is_an_error(files, tmp_path):
    path = tmp_path / "cut.root"
    shutil.copy(files["zstd"], path)
    found = source(str(path))
    found.read("flat_f8", 0, ENTRIES)
    os.truncate(path, 5000)
    with pytest.raises(basket_bytes.DamagedError, match="the file ends inside it") as caught:
        found.read("list_f8", 0, ENTRIES)
    assert is_reading(caught.value)


@pytest.mark.parametrize(
    ("entries", "seeks", "sizes", "message"),
    [
        ([0, 1, 2], [5], [5], "1 baskets, 3 boundaries"),
        ([0, 2, 1], [5, 10], [5, 5], "not in order"),
        ([1, 2], [5], [5], "not in order"),
        ([0, 1], [96], [5], "bytes 96-101 of 100"),
        ([0, 1], [-1], [5], "bytes -1-4 of 100"),
    ],
)
def test_baskets_that_cannot_be_where_the_tree_says_are_refused(entries, seeks, sizes, message):
    with pytest.raises(basket_bytes.DamagedError, match=f"branch 'x': .*{message}"):
        basket_bytes.check_places("x", entries, seeks, sizes, 100)


def test_a_second_chunk_opens_nothing(files, monkeypatch):
    first = source(files["zstd"])
    first.read("flat_f4", 0, 50)
    monkeypatch.setattr(baskets, "open_root", pytest.fail)
    assert source(files["zstd"]) is first
    first.read("flat_f4", 50, 100)


def same_time(path, other):
    status = Path(other).stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("way", ["replaced", "written again"])
def test_a_file_that_has_changed_is_opened_again(tmp_path, way):
    path, other = tmp_path / "a.root", tmp_path / "b.root"
    write(path, None, seed=1)
    write(other, None, seed=2)
    before = source(str(path)), source(str(path)).read("flat_f8", 0, ENTRIES)
    same_time(other, path)
    expected = by_uproot(str(other))["flat_f8"].array()
    if way == "replaced":
        other.replace(path)
    else:
        path.write_bytes(other.read_bytes())
        same_time(path, other)
    assert_same(source(str(path)).read("flat_f8", 0, ENTRIES), expected)
    assert before[0].uuid != source(str(path)).uuid
    assert np.any(before[1] != ak.to_numpy(expected))


def test_a_file_that_is_gone_is_missing(tmp_path):
    path = write(tmp_path / "a.root", None)
    source(path).read("flat_i1", 0, 1)
    Path(path).unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.root"):
        open_source(path, "events")


def test_few_files_stay_open_and_no_longer_than_they_are_used(tmp_path):
    paths = [shutil.copy(DATA / "split_record.root", tmp_path / f"{i}.root") for i in range(20)]
    held = open_source(str(paths[0]), "recTree")
    for path in paths:
        open_source(str(path), "recTree").read("hdr.run", 0, 3)
    gc.collect()
    opened = [str(link.resolve()) for link in Path("/proc/self/fd").iterdir()]
    assert sum(str(tmp_path) in name for name in opened) == baskets.MAX_FILES + 1
    assert len(held.read("hdr.run", 0, 5)) == 5


def test_a_source_is_found_again_by_another_process(files):
    found = pickle.loads(pickle.dumps(source(files["lz4"])))
    assert found is source(files["lz4"])


def test_a_file_that_fails_to_be_read_is_opened_again(files, monkeypatch):
    first = source(files["none"])
    monkeypatch.setattr(baskets, "read_basket", fail)
    with pytest.raises(OSError, match="Stale"):
        first.read("flat_i4", 0, 10)
    assert source(files["none"]) is not first


def fail(*where):
    raise OSError(errno.ESTALE, "Stale file handle")


def test_threads_read_different_chunks_of_the_same_files(files):
    baskets._sources.clear()
    jobs = [
        (path, name, start, start + 60)
        for path in files.values()
        for name in ("flat_f8", "list_i4", "list_f8", "vector")
        for start in (0, 35, 90, 140)
    ] * 2
    wait = threading.Barrier(4)

    def read(jobs):
        wait.wait()
        return [source(path).read(name, start, stop) for path, name, start, stop in jobs]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, [jobs[i:] + jobs[:i] for i in (0, 7, 50, 93)]))
    whole = {job[:2]: by_uproot(job[0])[job[1]].array() for job in jobs}
    for shift, found in zip((0, 7, 50, 93), results, strict=True):
        rotated = jobs[shift:] + jobs[:shift]
        for (path, name, start, stop), values in zip(rotated, found, strict=True):
            assert_same(values, whole[path, name][start:stop])
