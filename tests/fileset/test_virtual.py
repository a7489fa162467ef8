"""Events whose branches are decoded here against those of coffea."""

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoEventsFactory

from fileset import baskets, load_fileset, make_plan
from fileset.baskets import open_source
from fileset.coffea_api import nanoevents
from fileset.columns import listed
from fileset.formats import FORMATS
from fileset.simulate import simulate
from fileset.virtual import Values, range_of, source_events
from processors.reading import read_columns


def leaves(records, path=()):
    for name in records.fields:
        member = records[name]
        below = leaves(member, (*path, name)) if member.fields else [(*path, name)]
        yield from below


def assert_same_events(path, layout, start, stop):
    tree, schema, metadata = FORMATS[layout].tree, FORMATS[layout].schema, {"dataset": "a"}
    expected = NanoEventsFactory.from_root(
        uproot.open({path: None}),
        treepath=tree,
        schemaclass=schema,
        entry_start=start,
        entry_stop=stop,
        metadata=metadata,
    ).events()
    found = source_events(open_source(path, tree), schema, start, stop, metadata)
    assert type(found) is type(expected)
    assert found.metadata == expected.metadata
    assert found.layout.form == expected.layout.form
    assert found.attrs["@form"] == expected.attrs["@form"]
    for leaf in leaves(expected):
        assert ak.array_equal(
            found[leaf], expected[leaf], equal_nan=True, dtype_exact=True, check_parameters=True
        ), leaf


@pytest.mark.parametrize(
    ("layout", "container"),
    [
        ("nova_caf", "ttree"),
        ("nova_caf", "rntuple"),
        ("nova_flat_caf", "ttree"),
        ("dune_fd_caf", "ttree"),
        ("dune_fd_caf", "rntuple"),
    ],
)
def test_events_are_those_of_coffea(tmp_path, layout, container):
    simulate(tmp_path, sample="nd", events=300, seed=4, layout=layout, container=container)
    assert_same_events(str(next(tmp_path.glob("*.root"))), layout, 20, 250)


@pytest.mark.parametrize(
    ("path", "layout"),
    [
        ("dune_fd_caf/CICafFile_numu_x_nue.root", "dune_fd_caf"),
        ("genie_gst/gntp.NuMI_C12_Dilepton_inclusive.gst.root", "genie_gst"),
        ("gibuu/EventOutput.Pert.00000001.root", "gibuu"),
    ],
)
def test_events_of_real_files_are_those_of_coffea(shared, path, layout):
    assert_same_events(str(shared / "data/events" / path), layout, 10, 170)


def test_a_branch_is_decoded_once_for_lengths_and_content(toy, monkeypatch):
    events = chunk(toy)
    read = []
    original = baskets.Source.read
    monkeypatch.setattr(
        baskets.Source, "read", lambda s, name, *a: read.append(name) or original(s, name, *a)
    )
    ak.materialize(events.mc.nu.E)
    ak.materialize(events.mc.nu.rwgt.ppfx.vuniv)
    assert len(read) == len(set(read))


def chunk(toy):
    path = str(next((toy.parent / "signal").glob("*.root")))
    found = open_source(path, "recTree")
    return source_events(found, FORMATS["nova_caf"].schema, 100, 900, {})


def test_events_know_their_source_until_others_are_made_of_them(toy):
    events = chunk(toy)
    found = range_of(events)
    run = found.source.read("rec.hdr.run", found.start, found.stop)
    np.testing.assert_array_equal(run, events.hdr.run)
    assert range_of(events[::-1]) is None
    assert range_of(ak.with_field(events, run, "run")) is None
    assert range_of(ak.Array([1, 2])) is None


@pytest.mark.parametrize(
    ("layout", "container"),
    [("nova_caf", "ttree"), ("nova_caf", "rntuple"), ("nova_flat_caf", "ttree")],
)
@pytest.mark.parametrize("rows", [None, [0, 3, 4, 100, 229], []], ids=["all", "some", "none"])
def test_values_at_a_place_are_those_of_the_events(tmp_path, layout, container, rows):
    simulate(tmp_path, sample="nd", events=300, seed=4, layout=layout, container=container)
    source = open_source(str(next(tmp_path.glob("*.root"))), FORMATS[layout].tree)
    events = source_events(source, FORMATS[layout].schema, 20, 250, {"dataset": "a"})
    values = Values(events)
    quick = 0
    for leaf in leaves(events):
        # Of the whole first: what is known of its lists is used for the others.
        found = values.at([".".join(leaf)])
        if rows is not None:
            found = values.of(np.array(rows, dtype=np.int64)).at([".".join(leaf)])
        if found is not None:
            quick += 1
            expected = events[leaf] if rows is None else events[leaf][rows]
            assert ak.array_equal(
                listed(found[0]), expected, equal_nan=True, dtype_exact=True, check_parameters=False
            ), leaf
    assert quick > 50


def test_values_of_events_that_are_not_from_a_file_are_not_known():
    events = nanoevents(ak.Array([{"x": 1.0}, {"x": 2.0}]), {})
    assert Values(events).at(["x"]) is None
    assert Values(events).of(np.array([1])).at(["x"]) is None


def test_records_and_missing_fields_have_no_plain_values(tmp_path):
    simulate(tmp_path, sample="nd", events=30, seed=4)
    source = open_source(str(next(tmp_path.glob("*.root"))), "recTree")
    values = Values(source_events(source, FORMATS["nova_caf"].schema, 0, 30, {}))
    assert [values.at([path]) for path in ("mc.nu", "hdr", "hdr.nothing")] == [None, None, None]


def test_a_range_of_a_file_gives_the_columns_without_events(toy):
    planned = make_plan(load_fileset(toy))[0]
    expected, columns = read_columns(planned.open()), read_columns(planned.open_range())
    assert len(columns) == len(expected) == 1500
    for name in sorted(columns.fields):
        assert ak.array_equal(columns[name], expected[name], equal_nan=True), name
