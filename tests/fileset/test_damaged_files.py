"""Files whose bytes are not what was written: each is refused in one line, or read as it was."""

import functools
import re
import shutil
import struct
from operator import attrgetter

import numpy as np
import pytest
import uproot

from analysis.cli import main
from fileset import InputError

from .helpers import EVENTS, about, inspect, numbered, overwrite, physics, process

COPY = r"check that it is complete or copy it again$"
PACKED = (
    r"cannot be read \(ValueError: unrecognized compression algorithm: b'QQ'\); it is damaged, or "
    r"compressed in a way that is not known here: copy it again, or write it with ZSTD, LZ4, ZLIB "
    r"or LZMA$"
)


def basket(path, branch, tree="recTree"):
    """Where the only basket of a branch is in the file: its first byte and the one behind it."""
    with uproot.open(path) as file:
        key = file[tree][branch].basket_key(0)
        assert key.data_compressed_bytes < key.data_uncompressed_bytes, "not compressed"
        start = int(key.data_cursor.index)
        return start, start + int(key.data_compressed_bytes)


def nudipole(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    return stop.value.code or 0


def test_unknown_compression_of_a_branch_that_inspection_reads_is_refused(write_caf):
    path = write_caf(entries=EVENTS, branches={"rec.hdr.ismc": np.ones(EVENTS, "i1")})
    overwrite(path, basket(path, "rec.hdr.ismc")[0], b"QQ")
    with pytest.raises(InputError, match=about(path) + PACKED):
        inspect(path)


@pytest.fixture
def one_unknown(write_caf):
    """A good file, and one with a basket that nobody can unpack."""

    def write(branch):
        good = write_caf("good.root", entries=EVENTS, branches=physics(**score(1)))
        bad = write_caf("bad.root", entries=EVENTS, branches=physics(**score(2)))
        overwrite(bad, basket(bad, branch)[0], b"QQ")
        return good, bad

    def score(run):
        return {"rec.weight": np.ones(EVENTS), "rec.hdr.run": np.full(EVENTS, run)}

    return write


# Read as an array on its way to a column, and as the column itself.
@pytest.mark.parametrize("branch", ["rec.mc.nu.E", "rec.weight"])
def test_unknown_compression_of_a_branch_that_the_run_reads_costs_the_file(one_unknown, branch):
    good, bad = one_unknown(branch)
    templates = process(good, bad, weight="rec.weight")
    (lost,) = templates.ledger.missing
    assert (lost.path, lost.skipped) == (str(bad), False)
    assert re.match(PACKED, lost.missing)
    assert templates.ledger.pot("nd") == 3e18


def test_command_line_ends_with_what_is_missing_and_without_a_traceback(
    one_unknown, tmp_path, capsys
):
    one_unknown("rec.mc.nu.E")
    output = tmp_path / "t.zip"
    code = nudipole("process", tmp_path / "*.root", "-o", output, "--variations", "flux")
    error = capsys.readouterr().err
    assert (code, output.exists(), "Traceback" in error) == (1, False, False)
    line = rf"^missing: dataset 'events', \S+bad\.root, entries 0-{EVENTS}: {PACKED}"
    assert re.search(line, error, re.MULTILINE)
    assert "nudipole: 1 of 2 chunks are missing; mend or remove the files and run again" in error


@pytest.mark.parametrize("codec", [uproot.ZLIB(1), uproot.LZ4(1)], ids=lambda c: c.name)
def test_no_flipped_bit_of_a_checked_basket_changes_a_value(tmp_path, codec):
    path = tmp_path / "a.root"
    run = np.repeat(np.arange(30), 4)
    with uproot.recreate(path, compression=codec) as file:
        branches = {"rec.hdr.ismc": np.ones(120, "i1"), **numbered(*((r, r, r) for r in run))}
        file.mktree("recTree", {k: v.dtype for k, v in branches.items()}).extend(branches)
    whole, (start, stop) = path.read_bytes(), basket(path, "rec.hdr.run")
    options = {"pot": 1e20, "check_duplicates": False}
    (expected,) = inspect(path, **options)
    refused = []
    # Behind the name of the codec and the sizes.
    for position in range(start + 9, stop):
        path.write_bytes(whole)
        overwrite(path, position, bytes([whole[position] ^ 1 << position % 8]))
        try:
            assert inspect(path, **options)[0].subruns == expected.subruns
        except InputError as error:
            refused.append(str(error))
    line = rf"{about(path)}cannot be read \(.*\); {COPY}"
    assert [error for error in refused if not re.match(line, error)] == []
    assert len(refused) >= 0.95 * (stop - start - 9)


def structure(path):
    """Bytes of the header, the list of keys, and the objects with their keys."""
    with uproot.open(path) as file:
        keys = [file.key(name) for name in file.keys(cycle=False)]
        pieces = [(0, 100), (file.fSeekKeys, file.fNbytesKeys)]
        pieces += [(key.fSeekKey, key.fNbytes) for key in keys]
        identifier = path.read_bytes().index(file.file.uuid.bytes)
    found = {position for start, size in pieces for position in range(start, start + size)}
    # Nothing can be compared with the identifier of the file.
    return sorted(found - set(range(identifier, identifier + 16)))


def classes(path):
    """Bytes of the description of the classes in the file."""
    with uproot.open(path) as file:
        return range(file.file.fSeekInfo, file.file.fSeekInfo + file.file.fNbytesInfo)


@pytest.mark.parametrize(
    ("where", "step", "at_least"), [(structure, 17, 30), (classes, 300, 0)], ids=["keys", "classes"]
)
def test_no_flipped_bit_outside_of_the_baskets_changes_what_is_found(
    write_caf, where, step, at_least
):
    path = write_caf(entries=40, spillpot=[1e18] * 50, total_pot=5e19)
    found = attrgetter("path", "tree", "uuid", "entries", "boundaries", "is_mc", "pot")
    whole, (before,), refused = path.read_bytes(), inspect(path), []
    for position in where(path)[::step]:
        path.write_bytes(whole)
        overwrite(path, position, bytes([whole[position] ^ 1 << position % 8]))
        try:
            assert found(inspect(path)[0]) == found(before)
        except InputError as error:
            refused.append(str(error))
    assert [line for line in refused if not re.match(about(path) + r".*\S; \w.*$", line)] == []
    assert len(refused) >= at_least


def test_tree_that_counts_other_entries_than_its_branches_is_refused(write_caf):
    path = write_caf(entries=40)
    # The number of entries of the tree, and of its branches, follow each other in this order.
    overwrite(path, path.read_bytes().index(struct.pack(">q", 40)), struct.pack(">q", 41))
    message = (
        r"tree 'recTree' says that it has 41 entries, but its branches hold 40; the file is "
        r"damaged or was not closed: copy it again$"
    )
    with pytest.raises(InputError, match=about(path) + message):
        inspect(path)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("spillTree", b"TTree", "XTree is no class of events, expected TTree or RNTuple; the file"),
        (
            "TotalPOT",
            b"TH1D",
            r"cannot be read \(AttributeError: 'Unknown_XH1D' object has no attr",
        ),
    ],
)
def test_object_whose_class_is_damaged_is_refused(write_caf, name, kind, message):
    path = write_caf(total_pot=3e18)
    data = path.read_bytes()
    # In front of the object and in the list of the folder.
    title = bytes([len(name)]) + name.encode()
    path.write_bytes(data.replace(kind + title, b"X" + kind[1:] + title))
    with pytest.raises(InputError, match=rf"{about(path)}{message}.*copy it again$"):
        inspect(path)


def test_a_damaged_file_does_not_change_how_other_files_are_read(write_caf):
    whole = uproot.classes["TBranch"].known_versions.copy()
    damaged, good = write_caf("damaged.root"), write_caf("good.root")
    data = damaged.read_bytes()
    # A version of TBranch that is not known: uproot learns a new one from the file.
    version = data.index(b"TBranch\0\x40") + 12
    overwrite(damaged, version, struct.pack(">H", 14))
    inspect(damaged)
    inspect(good)
    assert uproot.classes["TBranch"].known_versions == whole


def bytes_behind(data, position):
    """Size of the object that begins there, as ROOT writes it."""
    return struct.unpack_from(">I", data, position)[0] & ~0x40000000


def counted(length):
    return struct.pack(">I", 0x40000000 | length)


def unsplit(path, kind=b"TNamed"):
    """Write a tree whose only branch holds objects of a class, as ROOT does at split level 0.

    Its branch is made a TBranchElement (ROOT, ``TBranchElement.h``: class names, numbers, counters
    behind the TBranch); a shorter title gives the bytes back, so that nothing else moves.
    """
    title = 200 * b"-"
    with uproot.recreate(path) as file:
        file.mktree("recTree", {"rec": "int32"}, title=title.decode()).extend({"rec": np.arange(3)})
    data = path.read_bytes()
    size = functools.partial(bytes_behind, data)
    name = data.index(b"TBranch\0\x40")
    end = name + 12 + size(name + 8)
    names = bytes([len(kind)]) + kind + b"\0\0"
    more = names + struct.pack(">Ihiiii", 0, 1, -1, 0, -1, 0) + bytes(8)
    body = struct.pack(">H", 10) + data[name + 8 : end] + more
    element = b"TBranchElement\0" + counted(len(body)) + body
    growth = len(element) - (end - name)
    # Numbers of bytes of the title's object and of the list of branches, reference to the leaf.
    text, array, leaf = data.rindex(title, 0, name), name - 33, end + 25
    shorter = title[growth:]
    reference = struct.unpack_from(">I", data, leaf)[0] - len(more)
    path.write_bytes(
        data[: text - 25]
        + counted(size(text - 25) - growth)
        + data[text - 21 : text - 1]
        + bytes([len(shorter)])
        + shorter
        + data[text + len(title) : array]
        + counted(size(array) + growth)
        + data[array + 4 : name - 8]
        + counted(len(element) + 4)
        + data[name - 4 : name]
        + element
        + data[end:leaf]
        + struct.pack(">I", reference)
        + data[leaf + 4 :]
    )


def test_unsplit_objects_are_refused_with_what_they_are(tmp_path):
    path = tmp_path / "a.root"
    unsplit(path)
    with uproot.open(path) as file:
        assert file["recTree/rec"].classname == "TBranchElement"
    with pytest.raises(
        InputError, match=rf"{about(path)}.*'rec' holds .*TNamed.*; write it .*split"
    ):
        inspect(path, is_mc=True, pot=1e20)


def test_copy_of_a_file_with_another_identifier_is_refused_by_its_events(write_caf, tmp_path):
    path = write_caf(branches=numbered((5, 1, 1), (5, 1, 2), (5, 1, 3)))
    copy = tmp_path / "copy.root"
    shutil.copy(path, copy)
    with uproot.open(path) as file:
        identifier = file.file.uuid.bytes
    overwrite(copy, copy.read_bytes().index(identifier), b"\x00" * 16)
    with pytest.raises(InputError, match=f"{about(copy)}3 of its events are also in {path}, the"):
        inspect(path, copy)
