"""Files forged to be wrong in one place, with their checksums mended: what random damage found."""

import re
import struct

import awkward as ak
import numpy as np
import pytest
import uproot
import xxhash

from fileset import InputError, load_fileset, make_plan, open_chunk
from fileset.basket_bytes import Basket
from fileset.basket_values import Encoding, Lists
from fileset.coffea_api import ProcessorABC
from fileset.formats.cafana_spectrum import open_spectra
from fileset.survey import inspect_dataset
from processors import NuoneProcessor
from processors.executors import InProcess
from processors.run import run

from .helpers import overwrite

EVENTS = 20
AGAIN = r"the file is damaged: copy it again$"


def described(path, **options):
    return load_fileset({"nd": {"files": [str(path)], "pot": 1e20, **options}})


def inspect(path, **options):
    return inspect_dataset(described(path, **options)["nd"]).infos[0]


def refused(path, message):
    """Context in which a file is refused with this message, in one line."""
    return pytest.raises(InputError, match=rf"^dataset 'nd', {re.escape(str(path))}: {message}")


def write_tree(path, tree, branches, **histograms):
    content = {name: ak.Array(values) for name, values in branches.items()}
    with uproot.recreate(path, compression=None) as file:
        file.mktree(tree, {k: v.type.content for k, v in content.items()}).extend(content)
        for name, values in histograms.items():
            file[name] = values
    return path


def first_value(path, tree, branch):
    """Byte at which the values of the only basket of a branch begin."""
    with uproot.open(path) as file:
        return int(file[tree][branch].basket_key(0).data_cursor.index)


@pytest.fixture
def ntuple(tmp_path):
    """An RNTuple of two fields in alphabetical order, which are not compressed."""
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=None) as file:
        file.mkrntuple("caf", {"run": np.arange(EVENTS), "Ev": np.linspace(1.0, 2.0, EVENTS)})
    return path


def envelopes(path):
    """First byte of header, footer and first page list, and the one behind it."""
    with uproot.open(path) as file:
        content = file["caf"]
        group, *_ = content.footer.cluster_group_records
        page_list = group.page_list_link.locator
        found = {p: (f"fSeek{p}", f"fNBytes{p}") for p in ("Header", "Footer")}
        spans = {part: tuple(map(content.member, names)) for part, names in found.items()}
    spans["pages"] = page_list.offset, page_list.num_bytes
    return {part: (start, start + size) for part, (start, size) in spans.items()}


def forge(path, part, old, new):
    """Replace bytes of an envelope and mend the checksums."""
    start, stop = envelopes(path)[part]
    data = path.read_bytes()
    assert data.count(old, start, stop) == 1
    forge_at(path, data.index(old, start, stop), new)


def forge_at(path, position, new):
    """Write bytes into an envelope and mend the checksums."""
    data, spans = bytearray(path.read_bytes()), envelopes(path)
    data[position : position + len(new)] = new
    for name, (first, last) in spans.items():
        checksum = xxhash.xxh3_64_intdigest(bytes(data[first : last - 8]))
        data[last - 8 : last] = struct.pack("<Q", checksum)
        if name == "Header":
            # Footer and page list know it.
            footer, pages = spans["Footer"][0] + 16, spans["pages"][0] + 8
            data[footer : footer + 8] = data[pages : pages + 8] = data[last - 8 : last]
    path.write_bytes(data)


def field(parent, name):
    """Beginning of the description of a field: parent, role, flags and name."""
    return struct.pack("<IHHI", parent, 0, 0, len(name)) + name.encode()


def test_forged_ntuple_with_nothing_changed_is_read(ntuple):
    forge(ntuple, "Header", field(1, "run"), field(1, "run"))
    assert inspect(ntuple).entries == EVENTS
    for part in ("Header", "Footer"):
        pack(ntuple, part, *envelopes(ntuple)[part])
    assert inspect(ntuple).entries == EVENTS


# Uproot looks for the end of the path of such a field without end.
@pytest.mark.parametrize(
    ("parents", "message"),
    [
        ((1, 0), "its fields are inside each other"),
        ((0, 7), "a field is inside field 7 of 2"),
    ],
)
def test_fields_of_an_ntuple_that_contain_each_other_are_refused(ntuple, parents, message):
    for number, (name, parent) in enumerate(zip(("Ev", "run"), parents, strict=True)):
        forge(ntuple, "Header", field(number, name), field(parent, name))
    with refused(ntuple, f"RNTuple 'caf': {message}; {AGAIN}"):
        inspect(ntuple)


def test_page_that_claims_more_than_its_bytes_can_hold_is_refused(ntuple):
    size = struct.pack("<i", 8 * EVENTS)
    with uproot.open(ntuple) as file:
        page = file["caf"].page_link_list[0][1].pages[0]
        offset = struct.pack("<q", page.locator.offset)
        sign = -1 if page.has_checksum else 1
    old, new = (struct.pack("<i", sign * n) + size + offset for n in (EVENTS, 2**28))
    forge(ntuple, "pages", old, new)
    with refused(ntuple, rf"RNTuple 'caf': a page of 160 bytes claims {2**28} elements; {AGAIN}"):
        inspect(ntuple)


@pytest.mark.parametrize("entries", [2**55, 7], ids=["far too many", "too few"])
def test_cluster_that_counts_other_entries_than_its_columns_is_refused(ntuple, entries):
    forge(ntuple, "pages", struct.pack("<QQ", 0, EVENTS), struct.pack("<QQ", 0, entries))
    with refused(ntuple, rf"RNTuple 'caf': no column has the {entries} entries of a clu.*{AGAIN}"):
        inspect(ntuple)


def lists(content):
    """Where the lists of an envelope begin: with a negative length and a number of items."""
    found = [struct.unpack_from("<qI", content, at) for at in range(len(content) - 11)]
    return [at for at, (size, items) in enumerate(found) if -len(content) < size < 0 and items < 99]


def pack(path, part, start, stop):
    """Move header or footer to the end of the file, compressed, as ROOT has it."""
    data, size = path.read_bytes(), stop - start
    packed = uproot.compression.compress(data[start:stop], uproot.ZLIB(9))
    assert len(packed) < size
    # Of the anchor: place, size, and size when unpacked.
    old, new = (
        struct.pack(">QQQ", start, size, size),
        struct.pack(">QQQ", len(data), len(packed), size),
    )
    anchor = data.index(old) - (8 if part == "Header" else 32)
    anchored = data[anchor : anchor + 64].replace(old, new)
    checksum = struct.pack(">Q", xxhash.xxh3_64_intdigest(anchored))
    path.write_bytes(data[:anchor] + anchored + checksum + data[anchor + 72 :] + packed)


# Uproot would read as many items as a list claims, of a length of 0 again and again.
@pytest.mark.parametrize(
    ("part", "count", "packed"),
    [
        ("Header", 4, False),
        ("Header", 4, True),
        ("Footer", 5, False),
        ("Footer", 5, True),
        ("pages", 5, False),
    ],
)
def test_lists_of_an_ntuple_that_are_longer_than_what_holds_them_are_refused(
    ntuple, part, count, packed
):
    start, stop = envelopes(ntuple)[part]
    whole = ntuple.read_bytes()
    found = lists(whole[start : stop - 8])
    assert len(found) == count
    name = {"pages": "page list"}.get(part, part.lower())
    for at in found:
        for place, content in ((8, b"\xff" * 4), (0, bytes(8)), (0, struct.pack("<q", -(2**63)))):
            ntuple.write_bytes(whole)
            forge_at(ntuple, start + at + place, content)
            if packed:
                pack(ntuple, part, start, stop)
            with refused(
                ntuple, rf"RNTuple 'caf': the lists in its {name} are longer than .*{AGAIN}"
            ):
                inspect(ntuple)


# Some are lengths of lists, which Uproot would read before it looks at the checksum.
@pytest.mark.parametrize("part", ["Header", "Footer", "pages"])
def test_every_changed_byte_of_an_envelope_is_seen(ntuple, part):
    whole, (start, stop) = ntuple.read_bytes(), envelopes(ntuple)[part]
    name = {"pages": "page list"}.get(part, part.lower())
    for position in range(start, stop):
        ntuple.write_bytes(whole)
        overwrite(ntuple, position, bytes([whole[position] ^ 0x7F]))
        with refused(ntuple, rf"RNTuple 'caf': the checksum of its {name} is wrong; {AGAIN}"):
            inspect(ntuple)


def test_envelope_that_claims_more_than_its_bytes_can_hold_is_refused(ntuple):
    start, stop = envelopes(ntuple)["pages"]
    forge(ntuple, "Footer", *(struct.pack("<Qi", n, stop - start) for n in (stop - start, 2**40)))
    with refused(
        ntuple, rf"RNTuple 'caf': its page list has {stop - start} bytes of {2**40}; {AGAIN}"
    ):
        inspect(ntuple)


def test_page_list_of_two_groups_of_clusters_is_refused(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=None) as file:
        ntuple = file.mkrntuple("caf", {"run": np.arange(EVENTS)})
        ntuple.extend({"run": np.arange(EVENTS)})
    with uproot.open(path) as file:
        groups = file["caf"].footer.cluster_group_records
        places = [struct.pack("<q", g.page_list_link.locator.offset) for g in groups]
    forge(path, "Footer", places[1], places[0])
    with refused(path, rf"RNTuple 'caf': its groups of clusters have one page list; {AGAIN}"):
        inspect(path)


def test_directory_that_claims_more_objects_than_it_has_room_for_is_refused(write_caf):
    path = write_caf()
    with uproot.open(path) as file:
        start = file.fSeekKeys
    (length,) = struct.unpack_from(">h", path.read_bytes(), start + 14)
    # With other bytes behind it, uproot reads as many keys as that in circles.
    overwrite(path, start + length, struct.pack(">i", 2**31 - 1))
    with refused(path, rf"a directory claims {2**31 - 1} objects, with room for \d; {AGAIN}"):
        inspect(path)


def test_directory_inside_itself_is_refused(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file["one/two/name"] = "value"
    with uproot.open(path) as file:
        start = int(file.key("one/two").data_cursor.index)
        # Behind a version and two dates: bytes of its keys; their place comes last.
        size, place = struct.pack(">i", file.fNbytesKeys), struct.pack(">i", file.fSeekKeys)
    overwrite(path, start + 10, size)
    overwrite(path, start + 26, place)
    with refused(path, f"directory 'one/two' is inside itself; {AGAIN}"):
        inspect(path)


def test_object_that_claims_more_than_its_compressed_blocks_have_is_refused(tmp_path):
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file.mktree("recTree", {"rec.hdr.ismc": "int8"}).extend({"rec.hdr.ismc": np.ones(3, "i1")})
        file["TotalPOT"] = np.full(500, 1e18), np.arange(501.0)
    with uproot.open(path) as file:
        key = file.key("TotalPOT")
        size, numbers = key.fObjlen, (key.fNbytes, key.fVersion)
    old, new = (struct.pack(">ihi", *numbers, n) for n in (size, 2**30))
    path.write_bytes(path.read_bytes().replace(old, new))
    line = rf"DamagedError: its compressed blocks have {size} bytes, its key says {2**30}"
    with refused(path, rf"cannot be read \({line}\); check that it is complete or copy it again"):
        inspect(path, pot=None)


def test_tree_without_branches_is_refused_whatever_it_counts(tmp_path):
    path = write_tree(tmp_path / "a.root", "caf", {"run": np.arange(EVENTS)})
    with uproot.open(path) as file:
        tree = file["caf"]
        sizes = tree.member("fTotBytes"), tree.member("fZipBytes")
    # Sizes and numbers of lines, areas and markers in front of it; the first loses its size.
    position = path.read_bytes().index(struct.pack(">qqq", EVENTS, *sizes)) - 36
    assert path.read_bytes()[position] == 0x40
    overwrite(path, position, b"\0")
    with uproot.open(path) as file:
        assert (len(file["caf"].branches), file["caf"].num_entries > 2**40) == (0, True)
    with refused(path, r"tree 'caf' says that it has \d+ entries, but its branches hold 0; the fi"):
        inspect(path)


def flat(**lengths):
    """Branches of a NOvA flat CAF of three slices with one neutrino of two universes each."""
    ones = np.ones(3, "i4")
    universes = [[0.9, 1.1]] * 3
    return {
        "rec.hdr.ismc": ones,
        "rec.hdr.run": ones,
        "rec.mc.nu..length": ones,
        "rec.mc.nu.pdg": ak.unflatten(np.full(3, 14, "i4"), ones),
        "rec.mc.nu.rwgt.ppfx.vuniv..length": ak.unflatten(2 * ones, ones),
        "rec.mc.nu.rwgt.ppfx.vuniv": universes,
    }


# Each one would be a bin of every histogram.
@pytest.mark.parametrize("length", [2**31 - 1, -1])
def test_impossible_number_of_flux_universes_is_refused(tmp_path, length):
    path = write_tree(tmp_path / "a.root", "recTree", flat())
    branch = "rec.mc.nu.rwgt.ppfx.vuniv..length"
    overwrite(path, first_value(path, "recTree", branch), struct.pack(">i", length))
    ends = sorted((length, 2))
    expected = rf"neutrinos with {min(length, 0)} to {ends[1]} flux universes, expected 0 to 10000"
    with refused(path, f"{expected}; {AGAIN}"):
        inspect(path)


class Vertices(ProcessorABC):
    """Looks at a member of every slice."""

    def process(self, events):
        key = tuple(events.metadata[name] for name in ("fileuuid", "entrystart", "entrystop"))
        return {"nd": {"sum": ak.sum(events["slc", "vertex", "x"]), "ledger": [key]}}

    def postprocess(self, accumulator):
        return accumulator


def missing(path, processor):
    """Why the only chunk of a file is not in the sum."""
    ledger = run(make_plan(described(path)), processor, InProcess())[1]
    (row,) = ledger.missing
    return row.missing


SBN = {
    "rec.hdr.ismc": np.ones(3, "i4"),
    "rec.slc..length": np.array([1, 1, 2], "i4"),
    "rec.slc.vertex.x": ak.Array([[1.0], [2.0], [3.0, 4.0]]),
}


def test_damage_in_what_tells_slices_apart_is_a_line_and_costs_the_chunk(tmp_path):
    path = write_tree(tmp_path / "a.root", "recTree", SBN)
    with uproot.open(path) as file:
        seek = int(file["recTree/rec.slc..length"].member("fBasketSeek")[0])
    overwrite(path, seek, b"\xff" * 4)
    line = r"cannot be read \(DamagedError: .*there is no basket where the tree says\); check that"
    with refused_at_opening(path, line):
        open_chunk(described(path), "nd")
    assert re.match(line, missing(path, NuoneProcessor(variations="none")))


def refused_at_opening(path, message):
    """As ``refused``, with the entries of the chunk."""
    where = rf"^dataset 'nd', {re.escape(str(path))}, entries 0-3: "
    return pytest.raises(InputError, match=where + message)


# awkward would take memory for as much, for each slice.
def test_element_that_is_larger_than_its_branch_is_damage(tmp_path):
    path = write_tree(tmp_path / "a.root", "recTree", SBN)
    # Title, numbers per element, bytes of each.
    leaf = b"rec.slc.vertex.x[nrec.slc.vertex.x]" + struct.pack(">ii", 1, 8)
    assert path.read_bytes().count(leaf) == 1
    where = path.read_bytes().index(leaf) + len(leaf) - 8
    overwrite(path, where, struct.pack(">i", 2**27))
    line = rf"cannot be read \(DamagedError: branch 'rec.slc.vertex.x': an element of {2**30} bytes"
    assert re.match(line, missing(path, Vertices()))


def test_first_list_of_many_does_not_take_memory_for_lists_as_long():
    content, key = np.arange(10**6, dtype=">f8").view(np.uint8), 90
    table = np.array([key, key + len(content)], ">u4").view(np.uint8)
    lists = Lists(Encoding(np.dtype(">f8"), header=0), 10**7)
    lists.add(Basket(1, content, table, key), slice(0, 1))
    assert lists.result().offsets[1] == 10**6


def test_content_that_is_shorter_than_its_lists_say_is_damage(tmp_path):
    path = write_tree(tmp_path / "a.root", "recTree", SBN)
    overwrite(path, first_value(path, "recTree", "rec.slc..length"), struct.pack(">i", 9))
    line = r"cannot be read \(TypeError: size of array .*; check that it is complete"
    assert re.match(line, missing(path, Vertices()))


# awkward would write anywhere: such a file could end the process, without a word.
def test_lists_that_end_before_they_begin_are_damage(tmp_path):
    path = write_tree(tmp_path / "a.root", "recTree", SBN)
    overwrite(path, first_value(path, "recTree", "rec.slc..length"), struct.pack(">i", -1))
    line = r"cannot be read \(DamagedError: .* lists end before they begin\); check that"
    assert re.match(line, missing(path, Vertices()))


def test_lists_of_an_ntuple_that_end_before_they_begin_are_refused(tmp_path):
    path = tmp_path / "a.root"
    rows = [{"hdr": {"ismc": 1}, "mc": {"nu": [{"mode": 5}] * n}} for n in (1, 2, 3)]
    offsets = struct.pack("<qqq", 1, 3, 6)
    with uproot.recreate(path, compression=None) as file:
        file.mkrntuple("recTree", {"rec": ak.Array(rows)})
    assert path.read_bytes().count(offsets) == 1
    overwrite(path, path.read_bytes().index(offsets), struct.pack("<qqq", 1, -3, 6))
    with refused(path, rf"branch 'rec\.mc\.nu\.mode' has lists that end before they be.*{AGAIN}"):
        inspect(path)


def test_knobs_with_another_number_of_shifts_are_refused(tmp_path):
    shifts = ak.unflatten(np.ones(20), [7, 7, 6])
    branches = {"run": np.arange(3), "wgt_MaCCQE": shifts, "MaCCQE_nshifts": np.full(3, 7, "i4")}
    path = write_tree(tmp_path / "a.root", "caf", branches)
    with refused_at_opening(path, r"branch 'wgt_MaCCQE' lacks 7 shifts per event; mend the file"):
        ak.sum(open_chunk(described(path), "nd").knob_shifts)


@pytest.mark.parametrize("pot", [[1e308, 1e308], [np.inf, -np.inf]], ids=["overflow", "both"])
def test_spills_whose_sum_is_no_number_are_refused_without_a_warning(write_caf, pot):
    path = write_caf(spillpot=pot)
    with refused(path, r"exposure from 'spills' is (inf|nan) POT, expected > 0; mend the file"):
        inspect_dataset(load_fileset({"nd": {"files": [str(path)]}})["nd"])


def test_counter_of_a_list_does_not_pass_for_the_exposure(tmp_path):
    path = write_tree(tmp_path / "a.root", "recTree", {"rec.hdr.ismc": np.ones(3, "i1")})
    with uproot.update(path) as file:
        file.mktree("spillTree", {"spill.spillpot": "var * float64"}).extend(
            {"spill.spillpot": ak.Array([[1e18], []])}
        )
    with refused(path, r"cannot be read \(ValueError: .*check that it is complete or copy it ag"):
        inspect(path)


def test_event_weight_whose_square_overflows_is_refused(tmp_path):
    norm = np.array([1e200, 1e20]), np.arange(3.0)
    path = write_tree(tmp_path / "a.root", "caf", {"run": np.arange(3)}, norm=norm)
    with refused(path, r"event weight from 'norm' is 1e\+200, expected > 0 and finite; mend the"):
        inspect(path)


@pytest.mark.parametrize("flags", [[np.nan] * 3, [np.inf, 999.0, np.nan]])
def test_horn_flag_that_is_no_number_is_not_known(tmp_path, flags):
    branches = {"run": np.arange(3), "isFHC": np.array(flags)}
    assert inspect(write_tree(tmp_path / "a.root", "caf", branches)).horn_current == ""


def test_name_that_cannot_be_printed_is_escaped(write_caf):
    path = write_caf(tree="recThree")
    data = path.read_bytes().replace(b"\x08recThree", b"\x08rec\n\xff\x07ee")
    path.write_bytes(data)
    with refused(path, r"cannot tell the format from its content \(rec\\n\\udcff\\x07ee \(TTree\)"):
        inspect(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b"\x04TH1D\x04hist",
            b"\x04TH\0D\x04hist",
            r"spectrum 'nuone': cannot be read \(AttributeError: .*\); check",
        ),
        (b"Spectrum\0", b"Spec\n\xffum\0", r"spectrum 'nuone' is of class Spec\\n\\udcffum: its c"),
        (b"\x05nuone", b"\x05nu\nne", r"no spectrum 'nuone'; closest: nu\\nne$"),
    ],
    ids=["histogram", "class", "name"],
)
def test_damaged_spectrum_is_refused_in_one_line(tmp_path, old, new, message):
    path = tmp_path / "a.root"
    with uproot.recreate(path, compression=None) as file:
        file["nuone/type"] = "Spectrum"
        for name in ("hist", "pot"):
            file[f"nuone/{name}"] = np.array([1.0, 2.0]), np.array([0.0, 1.0, 2.0])
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: {message}"):
        open_spectra(str(path)).read("nuone")


TEXT = """\
$ begin
$ nuance 98
$ vertex 0 0 0 0
$ track 14 2000.0 0 1 0 -1
$ end
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nuance 98", f"nuance {2**64}", rf"line 2, .*: {2**64} is no code; the text is damaged"),
        ("track 14", f"track {10**400}", r"line 4, .*: 1(0){19} is no code; the text is damaged"),
        ("0 -1", f"0 {-(2**31)}", rf"line 4, .*: {-(2**31)} is no code; the text is damaged"),
        ("$ vertex", "$ ver\0ex", r"line 3, .*: no keyword '\$ ver\\x00ex'; closest: vertex; the"),
    ],
    ids=["interaction", "particle", "flag", "keyword"],
)
def test_text_with_impossible_codes_is_refused_by_line(tmp_path, old, new, message):
    path = tmp_path / "a.kin"
    path.write_text(TEXT.replace(old, new))
    with refused(path, message):
        inspect(path)
