"""Files damaged at random: each gives a result, or one line about it; none hangs.

What was found in this way, and mended, has a test of its own in ``test_forged_files.py``.
"""

import contextlib
import io
import itertools
import json
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import h5py
import hist
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cli import main
from fileset import InputError, load_fileset, make_plan
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.executors import InProcess
from processors.run import run
from processors.spectra import spectrum_templates

from . import test_cafana_spectrum as cafana
from . import test_dune_flat_caf as dune
from . import test_gibuu as gibuu
from . import test_nuisance_flattree as nuisance
from . import test_sbn_flat_caf as sbn
from .helpers_time import TooLongError, limited

# Damaged numbers may overflow, which numpy says; as anywhere outside of the tests, it goes on.
pytestmark = pytest.mark.filterwarnings("ignore")

EVENTS = 12
PRONG, NU = "rec.vtx.elastic.fuzzyk.png", "rec.mc.nu"


def write_tree(path, tree, branches, compression, spills=None, **histograms):
    trees = {tree: branches} | ({"spillTree": spills} if spills else {})
    with uproot.recreate(path, compression=compression) as file:
        for name, content in trees.items():
            content = {k: ak.Array(v) for k, v in content.items()}
            file.mktree(name, {k: v.type.content for k, v in content.items()}).extend(content)
        for name, values in histograms.items():
            file[name] = values


SPILLS = {"spill.spillpot": np.full(20, 1e18), "spill.isFHC": np.ones(20, "i1")}


def nova(*, flat):
    """Branches of nu-e events that the processor can use, one prong and one neutrino each."""
    prong = {"dir.x": 0.0, "dir.y": -0.06, "dir.z": 0.998, "shwlid.calE": 0.6}
    neutrino = {"E": 2.0, "prim.p.E": 0.6, "rwgt.ppfx.cv": 1.0}
    codes = {"pdg": 14, "iscc": 0, "mode": 5, "inttype": 1098, "prim..length": 1, "prim.pdg": 11}
    lists = {f"{PRONG}.{name}": np.full(EVENTS, value) for name, value in prong.items()}
    lists |= {f"{NU}.{name}": np.full(EVENTS, value) for name, value in neutrino.items()}
    lists |= {f"{NU}.{name}": np.full(EVENTS, value, "i4") for name, value in codes.items()}
    ones = np.ones(EVENTS, "i4")
    branches = {name: ak.unflatten(values, ones) for name, values in lists.items()}
    branches |= {f"rec.hdr.{name}": ones for name in ("run", "subrun", "cycle", "ismc")}
    branches |= {"rec.hdr.evt": np.arange(EVENTS), "rec.vtx.elastic.IsValid": ones.astype("i1")}
    return branches | ({f"{PRONG}..length": ones, f"{NU}..length": ones} if flat else {})


def gst():
    ones, zeros = np.ones(EVENTS), np.zeros(EVENTS)
    codes = {"neu": 14, "fspl": 11, "hitnuc": 0, "nuel": 1, "mec": 0, "cc": 0, "nc": 1}
    momenta = {"pxv": zeros, "pyv": zeros, "pzv": ones, "pxl": zeros, "pyl": zeros, "pzl": ones}
    vertices = dict.fromkeys(("vtxx", "vtxy", "vtxz"), zeros)
    integers = {name: np.full(EVENTS, code, "i4") for name, code in codes.items()}
    return integers | {"Ev": 2.0 * ones, "El": ones} | momenta | vertices


KIN = """\
# Written by hand
$ begin
$ nuance 98
$ vertex 1.5 -2.5 1e2 0.0
$ track 11 0.511 0 0 1 -1
$ track 14 2000.0 0 1 0 -1
$ track 14 1400.0 0 1 0 0
$ track 11 600.0 0.01 1.0 0.0 0
$ end
$ stop
"""


def write_h5(path):
    keys = {"run": [1, 1], "subrun": [2, 2], "cycle": [0, 0], "evt": [7, 8], "subevt": [1, 1]}
    prong = {"shwlid.calE": 0.6, "dir.x": 0.0, "dir.y": -0.06, "dir.z": 0.998}
    with h5py.File(path, "w") as file:
        for group, columns in {
            "rec.hdr": {"ismc": [0, 0]},
            "rec.vtx.elastic": {"IsValid": [1, 1]},
            PRONG: {f"{PRONG}_idx": [0, 0]} | {name: [v, v] for name, v in prong.items()},
            "spill": {"spillpot": [1e18, 2e18]},
        }.items():
            for name, values in (keys | columns).items():
                file[f"{group}/{name}"] = np.reshape(values, (2, 1))


@dataclass(frozen=True)
class Sample:
    """A good file: its content, the places in it that matter most, and its description."""

    content: bytes
    places: list[int]
    suffix: str
    options: dict[str, object]

    def __repr__(self):
        return f"<{len(self.content)} bytes>"


def places(path: Path) -> list[int]:
    """Bytes of the header, of keys, beginnings of objects, baskets and envelopes."""
    if path.suffix != ".root":
        return list(range(min(1000, path.stat().st_size)))
    with uproot.open(path) as file:
        spans = [(0, 100), (file.fSeekKeys, file.fNbytesKeys), (file.file.fSeekInfo, 80)]
        for key in map(file.key, file.keys(cycle=False)):
            spans.append((key.fSeekKey, min(key.fNbytes, 3000)))
            content = key.get()
            if isinstance(content, uproot.ReadOnlyDirectory):
                spans.append((content.fSeekKeys, content.fNbytesKeys))
            elif isinstance(content, uproot.TTree):
                for branch in content.values():
                    seeks, sizes = branch.member("fBasketSeek"), branch.member("fBasketBytes")
                    spans += list(zip(seeks, sizes, strict=True))[: branch.num_baskets]
            elif key.fClassName == "ROOT::RNTuple":
                for part in ("Header", "Footer"):
                    spans.append((content.member(f"fSeek{part}"), content.member(f"fNBytes{part}")))
                links = [group.page_list_link for group in content.footer.cluster_group_records]
                spans += [(link.locator.offset, link.locator.num_bytes) for link in links]
    return sorted({place for start, size in spans for place in range(start, start + size)})


GENERATOR = {"pot": 1e20, "perfect_detector": True}
OPTIONS = {
    "genie_gst": GENERATOR,
    "nuance_kin": GENERATOR,
    "gibuu": GENERATOR | {"weight": "weight"},
    "nuisance_flattree": GENERATOR | {"weight": "Weight"},
    "cafana_spectrum": {"format": "cafana_spectrum", "is_mc": True}
    | {"spectra.nuone": "nuone", "spectra.nc": "all"},
}
SPLIT = ("split_record", "split_vector")
SIMULATED = ("nova_caf_rntuple", "dune_fd_caf_ttree", "dune_fd_caf_rntuple")
NAMES = (
    *("nova_caf", "nova_flat_caf", "nova_h5", *SPLIT, *SIMULATED, "dune_flat_caf", "sbn_flat_caf"),
    *OPTIONS,
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    write_tree(folder / "nova_caf.root", "recTree", nova(flat=False), uproot.ZLIB(1), SPILLS)
    total = np.array([2e19]), np.array([0.0, 1.0])
    flat = nova(flat=True)
    write_tree(folder / "nova_flat_caf.root", "recTree", flat, None, SPILLS, TotalPOT=total)
    readouts = {name: sbn.typed(values) for name, values in sbn.BRANCHES.items()}
    total = np.array([3e18]), total[1]
    write_tree(folder / "sbn_flat_caf.root", "recTree", readouts, uproot.LZ4(1), TotalPOT=total)
    spills = {name: dune.typed(name, values) for name, values in dune.BRANCHES.items()}
    write_tree(folder / "dune_flat_caf.root", "cafTree", spills, uproot.ZLIB(1))
    write_tree(folder / "genie_gst.root", "gst", gst(), uproot.LZ4(1))
    write_tree(folder / "nuisance_flattree.root", "FlatTree_VARS", nuisance.content(), None)
    gibuu.write(folder / "gibuu.root")
    ensemble = {
        "all/nom": cafana.spectrum(),
        "all/univ0": cafana.spectrum([0.0, 1.0, 1.0, 1.0, 0.0]),
    }
    kinds = {"nuone": cafana.spectrum(), "all": {"type": "EnsembleSpectrum"}}
    cafana.write(folder / "cafana_spectrum.root", **kinds, **ensemble)
    (folder / "nuance_kin.kin").write_text(KIN)
    write_h5(folder / "nova_h5.h5")
    for name in SPLIT:
        shutil.copy(Path(__file__).parent / "data" / f"{name}.root", folder)
    for name in SIMULATED:
        layout, _, container = name.rpartition("_")
        options = {"layout": layout, "container": container}
        (path,) = simulate(folder / name, sample="nuone", events=3, seed=1, **options)
        path.rename(folder / f"{name}.root")
    return {
        path.stem: Sample(path.read_bytes(), places(path), path.suffix, OPTIONS.get(path.stem, {}))
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


CHANGES = {
    "bit": lambda data, at, value: data[:at] + bytes([data[at] ^ 1 << value % 8]) + data[at + 1 :],
    "byte": lambda data, at, value: data[:at] + bytes([value % 256]) + data[at + 1 :],
    "word": lambda data, at, value: data[:at] + value.to_bytes(4, "big") + data[at + 4 :],
    "zeros": lambda data, at, value: data[:at] + bytes(value % 99) + data[at + value % 99 :],
    "ones": lambda data, at, value: data[:at] + b"\xff" * (value % 99) + data[at + value % 99 :],
    "lost": lambda data, at, value: data[:at] + data[at + value % 99 :],
    "twice": lambda data, at, value: data[: at + value % 99] + data[at:],
    "cut": lambda data, at, value: data[:at],
    "longer": lambda data, at, value: data + bytes(value % 999),
}

WORDS = st.sampled_from((0, 1, 7, 255, 2**16, 2**24, 2**28, 2**31 - 1, 2**31, 2**32 - 1))
# The kind, whether where it matters most, where, and a number for it.
DAMAGE = st.lists(
    st.tuples(
        # What changes the length is seldom more than a truncated file.
        st.sampled_from([*CHANGES, *list(CHANGES)[:5] * 2]),
        st.booleans(),
        st.integers(0, 2**20),
        WORDS | st.integers(0, 2**32 - 1),
    ),
    min_size=1,
    max_size=3,
)


def damaged(sample, damage):
    data = sample.content
    for kind, matters, number, value in damage:
        at = sample.places[number % len(sample.places)] if matters else number
        if data:
            data = CHANGES[kind](data, at % len(data), value)
    return data


def describe(folder, sample, content):
    """Write a file and its description, and return where this is."""
    (folder / f"a{sample.suffix}").write_bytes(content)
    options = "".join(f"{k} = {json.dumps(v)}\n" for k, v in sample.options.items())
    description = folder / "nd.toml"
    description.write_text(f'[nd]\nfiles = ["a{sample.suffix}"]\n{options}')
    return description


def outcome(description):
    """Lines about a file, and the sum of what could be processed."""
    fileset = load_fileset(description)
    try:
        if fileset["nd"].spectra:
            return [], {"nd": spectrum_templates(fileset).histograms}
        plan = make_plan(fileset)
        output, ledger = run(plan, NuoneProcessor(variations="flux,knobs"), InProcess())
    except InputError as error:
        return [str(error)], {}
    return [f"{row.path}: {row.missing}" for row in ledger.missing], output


def numbers(output):
    """Every number of every histogram."""
    found = [h for result in output.values() for h in result.values() if isinstance(h, hist.Hist)]
    views = [h.view(flow=True) for h in found]
    return np.concatenate(
        [np.ravel(v[n]) for v in views for n in v.dtype.names or (...,)] or [np.zeros(0)]
    )


def test_what_keeps_the_processor_busy_is_ended():
    with pytest.raises(TooLongError, match="SIGPROF"), limited(limit=0.1):
        sum(1 for _ in itertools.count())


def test_what_waits_for_itself_is_ended():
    lock = threading.Lock()
    lock.acquire()
    with pytest.raises(TooLongError, match="SIGALRM"), limited(wait=0.1):
        lock.acquire()


def test_library_that_never_comes_back_is_ended():
    code = """
import itertools
from tests.fileset.helpers_time import limited
with limited(limit=0.1, wait=0.1, more=0.1):
    sum(itertools.count())
"""
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert (ended.returncode, ended.stderr[:10]) == (1, "Timeout (0")


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_good_before_they_are_damaged(samples, tmp_path, name):
    lines, output = outcome(describe(tmp_path, samples[name], samples[name].content))
    assert lines == []
    assert numbers(output).any()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(damage=DAMAGE)
def test_damage_gives_a_result_or_one_line_about_the_file(samples, tmp_path_factory, name, damage):
    sample = samples[name]
    description = describe(tmp_path_factory.mktemp("fuzz"), sample, damaged(sample, damage))
    with limited():
        lines, output = outcome(description)
    # What is wrong with several spectra, such as other axes, is wrong with the dataset.
    named = f"a{sample.suffix}", *(["dataset 'nd'"] if name == "cafana_spectrum" else [])
    good = [line for line in lines if line.isprintable() and any(n in line for n in named)]
    assert lines == good
    assert np.isfinite(numbers(output)).all()


@pytest.mark.parametrize(
    "name", ["nova_caf", "dune_fd_caf_rntuple", "nuance_kin", "cafana_spectrum"]
)
@settings(max_examples=20)
@given(damage=DAMAGE)
def test_command_line_ends_with_a_status_and_without_a_traceback(
    samples, tmp_path_factory, name, damage
):
    folder = tmp_path_factory.mktemp("cli")
    description = describe(folder, samples[name], damaged(samples[name], damage))
    output = ["-o", str(folder / "t.zip"), "--variations", "none"]
    for arguments in (["files", str(description)], ["process", str(description), *output]):
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()) as errors,
            pytest.raises(SystemExit) as end,
            limited(),
        ):
            main(arguments)
        assert end.value.code in (0, 1, 2)
        assert "Traceback" not in errors.getvalue()
