from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileset.identity import describe, event_keys, numbers

IDENTITY = ("run", "subrun", "event")

# Few different values, so that equal rows come up; the extremes of the types too.
INTEGERS = st.sampled_from([0, 1, 2, -1, 2**31 - 1, -(2**31), 2**62, 2**62 + 1])
FLOATS = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2**-52, -1.0, 1e300, float("inf"), float("nan")])
ROWS = st.lists(st.tuples(INTEGERS, INTEGERS, FLOATS), min_size=1, max_size=40)
SMALL = st.integers(0, 2)
EVENTS = st.lists(st.tuples(SMALL, SMALL, SMALL), min_size=1, max_size=40)


def as_columns(rows, types=("int64", "int64", "float64")):
    columns = zip(*rows, strict=True)
    named = zip(IDENTITY, columns, types, strict=True)
    return {name: np.array(column, kind) for name, column, kind in named}


def event_file(rows, types=("int32", "int32", "int64")):
    """A file as the search for duplicates sees it."""
    columns = as_columns(rows, types)
    tree = SimpleNamespace(
        names=frozenset(columns), read=lambda name, stop: ak.Array(columns[name])
    )
    return SimpleNamespace(tree=tree)


LAYOUT = SimpleNamespace(identity=IDENTITY)


def canonical(row):
    """A row by whose equality events are the same: NaN equals itself."""
    return tuple("nan" if value != value else value for value in row)


@given(ROWS)
def test_keys_are_equal_for_equal_rows_and_for_no_others(rows):
    keys = event_keys(as_columns(rows)).tolist()
    same = {(i, j) for i, a in enumerate(keys) for j, b in enumerate(keys) if a == b}
    named = [canonical(row) for row in rows]
    assert same == {(i, j) for i, a in enumerate(named) for j, b in enumerate(named) if a == b}


def test_neighbouring_events_of_many_runs_have_different_keys():
    run, subrun, event = (axis.ravel() for axis in np.indices((10, 30, 1000)))
    assert len(np.unique(event_keys({"run": run, "subrun": subrun, "event": event}))) == 300_000


def test_numbers_that_change_places_make_another_key():
    one, two = event_keys(as_columns([(1, 2, 3.0), (2, 1, 3.0)]))
    assert one != two


@pytest.mark.parametrize("kind", ["int8", "int16", "uint16", "int32", "uint32", "int64"])
def test_a_key_does_not_depend_on_the_width_of_the_numbers_in_the_file(kind):
    rows = [(1, 0, 5), (100, 7, 99)]
    expected = event_keys(as_columns(rows, 3 * ("int64",)))
    np.testing.assert_array_equal(event_keys(as_columns(rows, 3 * (kind,))), expected)


@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_events_changes_nothing(rows, random):
    shuffled = random.sample(rows, len(rows))
    subruns, twice = numbers(LAYOUT, event_file(rows))
    again, twice_again = numbers(LAYOUT, event_file(shuffled))
    assert (subruns, twice.partition(",")[0]) == (again, twice_again.partition(",")[0])


@given(EVENTS)
def test_subruns_and_repetitions_are_those_of_a_python_set(rows):
    subruns, twice = numbers(LAYOUT, event_file(rows))
    assert list(subruns) == sorted({(run, subrun) for run, subrun, _ in rows})
    repeated = len(rows) - len(set(rows))
    assert twice.startswith(f"{repeated} of {len(rows)} events, the first is run ") or not repeated
    assert bool(twice) is bool(repeated)


def test_the_repeated_event_is_named_by_its_numbers():
    rows = [(3, 1, 7), (3, 1, 8), (3, 2, 7), (3, 1, 8)]
    _, twice = numbers(LAYOUT, event_file(rows))
    assert twice == "1 of 4 events, the first is run 3, subrun 1, event 8"


def test_file_that_lacks_one_of_the_numbers_has_no_duplicates_that_could_be_told():
    layout = SimpleNamespace(identity=("run", "subrun", "entry"))
    assert numbers(layout, event_file([(1, 1, 1), (1, 1, 1)])) == ((), "")
    assert numbers(SimpleNamespace(identity=()), event_file([(1, 1, 1)])) == ((), "")


def test_numbers_beyond_the_first_three_are_used_where_they_are_there():
    layout = SimpleNamespace(identity=(*IDENTITY, "slice"))
    assert numbers(layout, event_file([(1, 1, 1), (1, 1, 1)]))[1].startswith("1 of 2 events")


def test_an_event_is_described_by_the_last_names_of_its_branches():
    columns = {"rec.hdr.run": np.array([7, 8]), "rec.hdr.evt": np.array([1, 2])}
    assert describe(columns, 1) == "run 8, evt 2"
