"""Small files made to take all memory or all time: each is refused before it does."""

import gzip
import io
import struct
import zipfile

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from analysis.limit import LimitModel
from analysis.systematics import Systematics
from fileset import InputError, load_fileset, make_plan, unpacking
from fileset.basket_bytes import DamagedError
from fileset.formats.cafana_spectrum import open_spectra
from fileset.root_limits import contents
from processors.cluster_profile import load_profile
from processors.templates import Templates

from .helpers import overwrite
from .test_forged_files import AGAIN, described, field, forge, inspect, refused

ZEROS, EACH = 100_000, 1000
FAR_MORE = r"\d+ bytes that unpack to \d+, more than 200 times as many and than 1000; if that is"


@pytest.fixture
def low(monkeypatch):
    """A ceiling that a file of a test can reach."""
    monkeypatch.setattr(unpacking, "ALWAYS", 1000)


def write_zeros(path, compression):
    """A NOvA file of slices without content, whose numbers take next to no room."""
    branches = {f"rec.hdr.{name}": np.zeros(ZEROS, "i4") for name in ("run", "subrun", "ismc")}
    branches["rec.hdr.evt"] = np.arange(ZEROS)
    with uproot.recreate(path, compression=compression) as file:
        file.mktree("recTree", {n: v.dtype for n, v in branches.items()}).extend(branches)
    return path


def layered(path, layers):
    """A file in which both directories of each layer list those of the next: 2**layers paths."""
    with uproot.recreate(path) as file:
        for layer in range(layers):
            for side in "ab":
                file[f"layer{layer}/{side}/name"] = "value"
    with uproot.open(path) as file:
        lists = [file[f"layer{n}"] for n in range(layers)]
        places = [(folder.fNbytesKeys, folder.fSeekKeys) for folder in lists]
        sides = [[int(folder.key(s).data_cursor.index) for s in "ab"] for folder in lists]
    # Behind a version and two dates: bytes of its keys; their place comes last.
    for starts, (size, place) in zip(sides[:-1], places[1:], strict=True):
        for start in starts:
            overwrite(path, start + 10, struct.pack(">i", size))
            overwrite(path, start + 26, struct.pack(">i", place))
    return path


def test_directories_that_share_their_content_again_and_again_are_refused(tmp_path):
    path = layered(tmp_path / "a.root", 30)
    line = r"its directories list more objects than the file has room for; the file is damaged"
    with refused(path, line):
        inspect(path)
    with pytest.raises(InputError, match=line):
        open_spectra(str(path))


def test_directories_nested_too_deep_are_refused(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file["/".join("d" * 102)] = "value"
    with refused(path, r"directories more than 100 deep; if that is not damage, write the file wi"):
        inspect(path)


def test_contents_are_those_that_uproot_lists(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        for name in ("one/two/a", "one/two/a", "one/b", "three/c", "d"):
            file[name] = name
    with uproot.open(path) as file:
        found = contents(file)
        assert found == file.classnames(cycle=False)


# Uproot would read keys in circles, as many as it claims; a fuzzer that follows the code found it.
def test_directory_in_front_of_the_file_is_refused(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file["name"] = "value"
    with uproot.open(path) as file:
        size, place = (struct.pack(">i", n) for n in (file.fNbytesKeys, file.fSeekKeys))
    start, stop = (path.read_bytes().index(number, 100, 300) for number in (size, place))
    # Three numbers are between them.
    assert stop - start == 16
    overwrite(path, start, struct.pack(">i", 2**30))
    overwrite(path, stop, struct.pack(">i", -(2**29)))
    with refused(path, rf"a directory lists its objects at byte -{2**29}; {AGAIN}"):
        inspect(path)


# Uproot would begin with them again and again; a fuzzer that follows the code found it.
def test_descriptions_of_classes_that_need_themselves_are_refused(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=None) as file:
        file.mktree("recTree", {"rec.hdr.ismc": "int8"}).extend({"rec.hdr.ismc": np.ones(3, "i1")})
    data = path.read_bytes()
    assert b"TStreamerBase\0" in data
    path.write_bytes(data.replace(b"TStreamerBase\0", b"TStreamerBasf\0"))
    with uproot.open(path) as file, pytest.raises(DamagedError, match="of a class that only they"):
        _ = file.file.streamers


CODECS = pytest.mark.parametrize(
    "codec", [uproot.ZSTD(5), uproot.LZMA(5), uproot.ZLIB(9), uproot.LZ4(4)], ids=repr
)


@CODECS
def test_baskets_that_unpack_to_far_more_than_they_are_are_refused(tmp_path, monkeypatch, codec):
    path = write_zeros(tmp_path / "a.root", codec)
    (chunk,) = make_plan(described(path))
    monkeypatch.setattr(unpacking, "ALWAYS", 1000)
    with refused(path, rf"an object in it has {FAR_MORE}"):
        inspect(path)
    # What was planned before does not pass either.
    with pytest.raises(
        InputError, match=rf"branch 'rec.hdr.run', basket .*: a basket has {FAR_MORE}"
    ):
        ak.sum(chunk.open().hdr.run)


def test_baskets_that_are_large_together_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:
        names = [f"rec.hdr.{name}" for name in ("run", "subrun", "evt", "ismc")]
        tree = file.mktree("recTree", dict.fromkeys(names, "int64"))
        for _ in range(100):
            tree.extend(dict.fromkeys(names, np.zeros(EACH, "i8")))
    (chunk,) = make_plan(described(path, check_duplicates=False))
    monkeypatch.setattr(unpacking, "RATIO", 2)
    # Of each basket alone it is far from it.
    monkeypatch.setattr(unpacking, "ALWAYS", 100_000)
    with refused(path, r"it unpacks to far more than it has bytes; if that is not damage, write"):
        inspect(path)
    with pytest.raises(InputError, match=r"branch 'rec.hdr.run', .*: all baskets until there has"):
        ak.sum(chunk.open().hdr.run)


def test_baskets_that_are_one_place_in_the_file_are_refused(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=None) as file:
        tree = file.mktree("recTree", {"rec.hdr.ismc": "int64"})
        for _ in range(8):
            tree.extend({"rec.hdr.ismc": np.ones(EACH, "i8")})
    with uproot.open(path) as file:
        branch = file["recTree/rec.hdr.ismc"]
        seeks, sizes = (branch.member(name)[:8] for name in ("fBasketSeek", "fBasketBytes"))
    data = path.read_bytes()
    for old, kind in ((seeks, ">8q"), (sizes, ">8i")):
        new = struct.pack(kind, *([old[0]] * 8 if kind == ">8q" else [len(data) // 4] * 8))
        assert data.count(struct.pack(kind, *old)) == 1
        data = data.replace(struct.pack(kind, *old), new)
    path.write_bytes(data)
    with refused(path, rf"the baskets of branch 'rec.hdr.ismc' are larger than the file; {AGAIN}"):
        inspect(path)


@pytest.mark.parametrize("codec", [uproot.ZSTD(5), uproot.LZMA(5), uproot.ZLIB(9)], ids=repr)
def test_block_that_unpacks_to_more_than_it_says_is_damage(tmp_path, codec):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=codec) as file:
        file.mktree("recTree", {"rec.hdr.ismc": "int8"}).extend({"rec.hdr.ismc": np.ones(3, "i1")})
        file["TotalPOT"] = np.full(5000, 1e18), np.arange(5001.0)
    with uproot.open(path) as file:
        key = file.key("TotalPOT")
        numbers, place = (key.fNbytes, key.fVersion, key.fObjlen), int(key.fSeekKey) + key.fKeylen
    size, less = numbers[-1], numbers[-1] - 5000
    data = path.read_bytes().replace(
        struct.pack(">ihi", *numbers), struct.pack(">ihi", *numbers[:2], less)
    )
    path.write_bytes(data)
    # Size of the one block when unpacked, in its header.
    assert data[place + 6 : place + 9] == size.to_bytes(3, "little")
    overwrite(path, place + 6, less.to_bytes(3, "little"))
    with refused(path, r"cannot be read \((Damaged|Decompression)Error: "):
        inspect(path, pot=None)


def test_pages_of_an_ntuple_that_unpack_to_far_more_are_refused(tmp_path, low):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=uproot.ZSTD(5)) as file:
        file.mkrntuple("caf", {"run": np.zeros(ZEROS, "i8")})
    with refused(path, rf"the largest column of it has {FAR_MORE}"):
        inspect(path)


def test_fields_inside_each_other_are_refused_where_a_file_is_known_from_before(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=None) as file:
        file.mkrntuple("caf", {"run": np.arange(20), "Ev": np.linspace(1.0, 2.0, 20)})
    (chunk,) = make_plan(described(path))
    for number, (name, parent) in enumerate((("Ev", 1), ("run", 0))):
        forge(path, "Header", field(number, name), field(parent, name))
    with pytest.raises(InputError, match=r"'caf': its fields are inside each other; the file is"):
        chunk.open()


def test_hdf5_column_that_claims_far_more_than_the_file_has_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in ("run", "subrun", "evt", "subevt"):
            options = {"chunks": (2**16, 1), "compression": "gzip"}
            file.create_dataset(f"rec.hdr/{name}", (2**36, 1), "i8", **options)
    with refused(
        path, r".*rec.hdr/run has \d+ bytes that unpack to 549755813888, more than 200 ti"
    ):
        inspect(path)


DEEP = "[" * 100_000 + "]" * 100_000


def write_text(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.toml"])
def test_description_nested_too_deep_is_refused(tmp_path, name):
    path = write_text(tmp_path / name, f"a = {DEEP}" if name == "a.toml" else DEEP)
    with pytest.raises(
        InputError, match=r"not valid (JSON|TOML): lists or tables nested too deep$"
    ):
        load_fileset(path)


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.toml"])
def test_description_that_is_too_long_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(unpacking, "MOST_TEXT", 1000)
    path = write_text(tmp_path / name, " " * 2000)
    with pytest.raises(InputError, match=r"not valid (JSON|TOML): more than 1000 bytes of text$"):
        load_fileset(path)


def archive(path, name, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return path


def array(shape):
    """Beginning of a numpy file with an array of a shape, and nothing of its content."""
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


FILES = pytest.mark.parametrize(
    ("load", "name", "member"),
    [
        (Templates.load, "a.zip", "templates.json"),
        (LimitModel.load, "a.npz", "nudipole_model.npy"),
        (Systematics.load, "a.npz", "nudipole_systematics.npy"),
    ],
    ids=["templates", "model", "systematics"],
)


@FILES
def test_archive_that_unpacks_to_far_more_is_refused(tmp_path, low, load, name, member):
    path = archive(tmp_path / name, member, bytes(10**6))
    with pytest.raises(InputError, match=rf"{name}: the archive has {FAR_MORE}"):
        load(path)


@FILES
def test_archive_with_an_impossible_array_is_refused(tmp_path, load, name, member):
    content = DEEP if member.endswith(".json") else array((2**50,))
    with pytest.raises(InputError, match=rf"{name}: not a .* file \(.*\); "):
        load(archive(tmp_path / name, member, content))


@pytest.mark.parametrize("load", [LimitModel.load, Systematics.load], ids=["model", "systematics"])
def test_json_nested_too_deep_is_refused(tmp_path, load):
    path = tmp_path / "a.json"
    path.write_text(f'{{"channels": {DEEP}}}')
    with pytest.raises(
        InputError, match=r"a.json: not a .* file \(lists or tables nested too deep"
    ):
        load(path)


def test_cluster_profile_nested_too_deep_is_refused(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(f"kind = {DEEP}")
    with pytest.raises(
        InputError, match=r"cannot read the cluster profile: lists or tables nested"
    ):
        load_profile(path)


def test_what_this_machine_has_no_memory_for_is_refused(monkeypatch):
    monkeypatch.setattr(unpacking, "_memory", lambda: 2**33)
    unpacking.check_unpacked("it", 2**30, 2**33)
    with pytest.raises(
        InputError, match=r"^it unpacks to 8589934593 bytes, this machine has 85899"
    ):
        unpacking.check_unpacked("it", 2**30, 2**33 + 1)
