import hashlib
import os

import pytest

from fileset import InputError, load_fileset, make_plan
from fileset.preprocess import preprocess
from fileset.simulate import simulate


@pytest.fixture
def known(tmp_path):
    """Fileset of one file, with its checksum, and the file."""
    (path,) = simulate(tmp_path / "mc", sample="nuone", events=200, seed=3)
    described = {"mc": {"files": [str(path)]}}
    preprocess(load_fileset(described), tmp_path / "mc.json", checksums=True)
    return load_fileset(tmp_path / "mc.json"), path


def flip_a_bit_of_the_data(path):
    """As a disk does: neither size nor time of the file change."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_checksum_is_that_of_the_content(known):
    fileset, path = known
    (facts,) = fileset["mc"].known.values()
    assert facts["checksum"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_unchanged_file_is_verified(known):
    fileset, path = known
    assert [chunk.path for chunk in make_plan(fileset, verify=True)] == [str(path)]


def test_bit_that_no_codec_sees_is_seen(known):
    fileset, path = known
    flip_a_bit_of_the_data(path)
    assert make_plan(fileset), "size and time are those of before"
    with pytest.raises(InputError, match=rf"'mc', {path}: its content has changed .*copy it again"):
        make_plan(fileset, verify=True)


def test_a_file_with_a_wrong_checksum_can_be_skipped(known, tmp_path):
    _, path = known
    simulate(tmp_path / "other", sample="nuone", events=100, seed=4)
    described = {"mc": {"files": [str(path), str(tmp_path / "other/*.root")]}}
    preprocess(load_fileset(described), tmp_path / "two.json", checksums=True)
    flip_a_bit_of_the_data(path)
    plan = make_plan(load_fileset(tmp_path / "two.json"), verify=True, skip_bad_files=True)
    assert {chunk.path: bool(chunk.bad) for chunk in plan} == {
        str(tmp_path / "other/nuone_fhc_0000.root"): False,
        str(path): True,
    }


def test_verifying_without_checksums_says_how_to_make_them(known):
    _, path = known
    fileset = load_fileset({"mc": {"files": [str(path)]}})
    with pytest.raises(InputError, match=r"no checksum of it is known; .*--checksums"):
        make_plan(fileset, verify=True)
