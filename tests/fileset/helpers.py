"""What several tests of files share: descriptions, lines about files, branches of events."""

import re

import awkward as ak
import numpy as np

from fileset import load_fileset
from fileset.survey import inspect_dataset
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset

EVENTS = 60


def dataset(*paths, **options):
    return load_fileset({"nd": {"files": list(map(str, paths)), **options}})


def inspect(*paths, **options):
    return inspect_dataset(dataset(*paths, **options)["nd"]).infos


def about(path, name="nd"):
    """Beginning of every line about a file."""
    return f"^dataset '{name}', {re.escape(str(path))}: "


def physics(**extra):
    """Branches of nu-e events that the processor can use, one prong and one neutrino each."""
    prong = {"dir.x": 0.0, "dir.y": -0.06, "dir.z": 0.998, "shwlid.calE": 0.6}
    integers = {"pdg": 14, "iscc": 0, "mode": 5, "inttype": 1098, "prim..length": 1, "prim.pdg": 11}
    numbers = {"E": 2.0, "prim.p.E": 0.6, "rwgt.ppfx.cv": 1.0}
    lists = {f"rec.vtx.elastic.fuzzyk.png.{k}": np.full(EVENTS, v) for k, v in prong.items()}
    lists |= {f"rec.mc.nu.{k}": np.full(EVENTS, v, "i4") for k, v in integers.items()}
    lists |= {f"rec.mc.nu.{k}": np.full(EVENTS, v) for k, v in numbers.items()}
    ones = np.ones(EVENTS, int)
    valid = {"rec.vtx.elastic.IsValid": np.ones(EVENTS, "i1")}
    return {name: ak.unflatten(values, ones) for name, values in lists.items()} | valid | extra


def numbered(*rows):
    """Branches with run, subrun, cycle and event of each entry."""
    names = ("rec.hdr.run", "rec.hdr.subrun", "rec.hdr.evt")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return {n: np.array(c, "i4") for n, c in columns} | {"rec.hdr.cycle": np.zeros(len(rows), "i4")}


def process(*paths, **options):
    processor = NuoneProcessor(variations="flux")
    return process_fileset(dataset(*paths, **options), processor, Execution())


def overwrite(path, position, content):
    data = bytearray(path.read_bytes())
    data[position : position + len(content)] = content
    path.write_bytes(data)
