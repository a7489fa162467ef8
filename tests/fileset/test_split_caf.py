"""Files of C++ objects, written by ROOT: see ``data/make_split_caf.py``."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, make_plan, open_chunk
from fileset.formats.nova_caf import NOVA_CAF
from fileset.memberwise import mend
from processors import NuoneProcessor
from processors.histograms import HISTOGRAMS

DATA = Path(__file__).parent / "data"
READABLE = ["split_record", "split_vector", "rntuple"]

_spec = importlib.util.spec_from_file_location("make_split_caf", DATA / "make_split_caf.py")
written = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(written)


@pytest.fixture
def describe(tmp_path):
    """Function that describes one of the files."""

    def write(name):
        text = f'[{name}]\nfiles = ["{DATA / name}.root"]\n'
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        return load_fileset(tmp_path / f"{name}.toml")

    return write


def member(record, path, missing):
    for name in path.split("."):
        if name not in record:
            return missing
        record = record[name]
    return record


def elastic(path, missing=math.nan):
    return lambda s: member(s["vtx"]["elastic"], path, missing)


def prong(path):
    """Member of the first prong, whose class sets what is not given to -5."""

    def value(s):
        prongs = member(s["vtx"]["elastic"], "fuzzyk.png", [])
        return member(prongs[0], path, -5.0) if prongs else math.nan

    return value


def truth(path, missing):
    return lambda s: member(s["mc"]["nu"][0], path, missing) if s["mc"]["nu"] else missing


def electron(s):
    primaries = truth("prim", [])(s)
    return next((p["p"]["E"] for p in primaries if abs(p["pdg"]) == 11), math.nan)


def no_weight(values):
    return [1.0 if value > 90 else value for value in values]


def knobs(point):
    return lambda s: [knob[point] for knob in truth("rwgt.genie", [])(s)]


EXPECTED = {
    "run": lambda s: s["hdr"]["run"],
    "subrun": lambda s: s["hdr"]["subrun"],
    "event": lambda s: s["hdr"]["evt"],
    "shower_energy": prong("shwlid.calE"),
    "slice_energy": lambda s: s["slc"]["calE"],
    **{f"direction_{axis}": prong(f"dir.{axis}") for axis in "xyz"},
    **{f"vertex_{axis}": elastic(f"vtx.{axis}") for axis in "xyz"},
    **{f"shower_stop_{axis}": prong(f"shwlid.stop.{axis}") for axis in "xyz"},
    "wall_distance": lambda s: s["sel"]["nuecosrej"]["distallpngtop"],
    "prong_count": elastic("fuzzyk.npng", 0),
    "longest_prong": lambda s: max(
        (p["len"] for p in elastic("fuzzyk.png", [])(s)), default=math.nan
    ),
    "plane_count": lambda s: s["slc"]["ncontplanes"],
    "cell_count": lambda s: s["slc"]["nhit"],
    "shower_gap": prong("shwlid.gap"),
    "shower_energy_fraction": prong("shwlid.lid.shwEFrac"),
    "vertex_energy": prong("shwlid.lid.vtxgev"),
    "vertex_activity": elastic("prong3dvertexenergyvolume10"),
    "nuone_id": lambda s: s["sel"]["nuone"]["nuoneid"],
    "epi0_id": lambda s: s["sel"]["nuone"]["epi0nuoneid"],
    "nue_id": lambda s: s["sel"]["nueid"]["nueid"],
    "electron_id": prong("cvnpart.electronid"),
    "electron_id_5label": prong("spprongcvnpart5label.electronid"),
    "nu_pdg": truth("pdg", 0),
    "true_neutrino_energy": truth("E", math.nan),
    "true_electron_energy": electron,
    "is_cc": truth("iscc", False),
    "mode": truth("mode", -1),
    "interaction_type": truth("inttype", -1),
    "flux_weight": lambda s: no_weight([truth("rwgt.ppfx.cv", 1.0)(s)])[0],
    "flux_universes": lambda s: no_weight(truth("rwgt.ppfx.vuniv", [])(s)),
    "knob_minus2": knobs("minus2sigma"),
    "knob_minus1": knobs("minus1sigma"),
    "knob_plus1": knobs("plus1sigma"),
    "knob_plus2": knobs("plus2sigma"),
}


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("column", NOVA_CAF.columns)
def test_every_column_of_a_file_by_root_is_what_was_written(describe, name, column):
    found = open_chunk(describe(name), name)[column].tolist()
    expected = [EXPECTED[column](s) for s in written.slices()]
    assert len(found) == written.N_SLICES
    assert ak.array_equal(found, expected, equal_nan=True, dtype_exact=False)


@pytest.mark.parametrize("name", READABLE)
def test_exposure_and_facts_of_a_file_by_root_are_what_was_written(describe, name):
    (chunk,) = make_plan(describe(name))
    assert chunk.pot == sum(spill["spillpot"] for spill in written.spills())
    told = {key: chunk.metadata[key] for key in ("format", "is_mc", "horn_current", "universes")}
    assert told == {"format": "nova_caf", "is_mc": True, "horn_current": "FHC", "universes": 4}


@pytest.mark.parametrize("name", READABLE)
def test_part_of_a_file_by_root_has_its_own_lists(describe, name):
    fileset = describe(name)
    (chunk,) = make_plan(fileset)
    events = replace(chunk, start=7, stop=13).open()
    expected = [[[p["pdg"] for p in nu["prim"]] for nu in s["mc"]["nu"]] for s in written.slices()]
    assert events.mc.nu.prim.pdg.tolist() == expected[7:13]


def test_a_run_gives_the_same_histograms_from_every_file_by_root(describe):
    outputs = []
    for name in READABLE:
        (chunk,) = make_plan(describe(name))
        outputs.append(NuoneProcessor().process(chunk.open())[name])
    for histogram in HISTOGRAMS:
        assert outputs[0][histogram] == outputs[1][histogram] == outputs[2][histogram]


def test_unsplit_objects_are_refused_with_the_class_and_what_to_do(describe):
    message = r"unsplit\.root: tree 'recTree': branch 'rec' holds unsplit objects of class "
    with pytest.raises(InputError, match=message + r"caf::StandardRecord.* split level 99"):
        make_plan(describe("unsplit"))


def test_lists_of_objects_in_lists_have_all_members_that_are_numbers():
    with uproot.open(DATA / "split_record.root") as file:
        mend(file["recTree"])
        primaries = file["recTree/rec/mc/mc.nu/mc.nu.prim"].array()
    expected = [
        [[{k: p[k] for k in ("pdg", "p", "time")} for p in nu["prim"]] for nu in s["mc"]["nu"]]
        for s in written.slices()
    ]
    assert primaries.tolist() == expected


def test_lists_of_a_class_that_the_file_does_not_describe_are_left_alone():
    with uproot.open(DATA / "split_record.root") as file:
        found = mend(file["recTree"])
    with uproot.open(DATA / "split_record.root") as file:
        del file.file.streamers["caf::SRTrueParticle"]
        assert found.keys() - mend(file["recTree"]).keys() == {"mc.nu.prim"}


# As many elements as the last one says take minutes to step over.
@pytest.mark.parametrize("length", [b"\0\0\0\x09", b"\xff\xff\xff\xff"])
def test_bytes_that_are_not_as_the_streamers_say_are_refused(length):
    with uproot.open(DATA / "split_record.root") as file:
        mend(file["recTree"])
        branch = file["recTree/rec/mc/mc.nu/mc.nu.prim"]
        basket = branch.basket(0)
        damaged = np.array(basket.data)
        # Length of the first list of the second entry.
        first = basket.byte_offsets[1] + 12
        damaged[first : first + 4] = list(length)
        with pytest.raises((ValueError, IndexError), match=r"streamers|out of bounds"):
            branch.interpretation.basket_array(damaged, basket.byte_offsets)
