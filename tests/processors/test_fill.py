import contextlib
import itertools

import hist
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from processors.categories import AXIS
from processors.fill import Entries, Filling, Shown, TruthCells
from processors.histograms import HISTOGRAMS, LABELS, Histogram, empty
from processors.reading import as_columns

VARIATIONS = ["nominal", "aUp", "aDown", "u_000", "u_001", "s"]
SPECIAL = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, -1e300, 1e300])
VALUES = st.one_of(st.floats(-2.0, 2.0), SPECIAL)
FACTORS = st.floats(-3.0, 3.0)


def regular(name):
    return st.builds(
        lambda bins, low, width: hist.axis.Regular(bins, low, low + width, name=name),
        st.integers(1, 6),
        st.floats(-1.5, 1.0),
        st.floats(0.1, 2.0),
    )


def variable(name):
    edges = st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=7, unique=True).map(sorted)
    spaced = edges.filter(lambda e: np.diff(e).min() > 1e-6)
    return spaced.map(lambda e: hist.axis.Variable(e, name=name))


@st.composite
def fills(draw):
    """Axes, columns, and m entries of n events, each any number of times."""
    names = draw(st.sampled_from([("x",), ("x", "y")]))
    axes = tuple(draw(st.one_of(regular(name), variable(name))) for name in names)
    n = draw(st.integers(0, 12))
    columns = {name: draw(hnp.arrays(float, n, elements=VALUES)) for name in names}
    m = draw(st.integers(0, 20)) if n else 0
    row = np.sort(draw(hnp.arrays(np.int64, m, elements=st.integers(0, max(n - 1, 0)))))
    category = draw(hnp.arrays(np.int64, m, elements=st.integers(0, len(LABELS) - 1)))
    weight, other = (draw(hnp.arrays(float, m, elements=FACTORS)) for _ in range(2))
    pair = draw(hnp.arrays(float, (n, 2), elements=FACTORS))
    cell = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 2)))
    by_cell = draw(hnp.arrays(float, (3, 2), elements=FACTORS))
    return axes, columns, Entries(row, category, weight, {"w": other}), pair, cell, by_cell


def filling_of(histogram, variations, categories, columns, entries, mask=None):
    mask = np.ones(len(columns), bool) if mask is None else mask
    return Filling(histogram, variations, categories, {"nominal": Shown(columns, entries, mask)})


@contextlib.contextmanager
def histogram_of(axes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HISTOGRAMS, "made", Histogram(axes))
        yield


def filled_in_parts(columns, entries, pair, cell, by_cell, mask=None, cuts=()):
    """Fill variations 1 and 2 with pairs in place of a weight, and the rest by cells."""
    filling = filling_of("made", VARIATIONS, LABELS, columns, entries, mask)
    borders = [0, *sorted(cuts), len(columns)]
    for start, stop in itertools.pairwise(borders):
        filling.add(1, pair[start:stop], "w", start)
        filling.add(3, TruthCells(cell[start:stop], by_cell), "", start)
    return filling.result()


@given(made=fills(), cut=st.integers(0, 12))
@settings(max_examples=80, deadline=None)
def test_one_pass_equals_one_ordinary_fill_per_variation(make_events, made, cut):
    axes, columns, entries, pair, cell, by_cell = made
    events = as_columns(make_events(columns))
    cuts = [min(cut, len(events))]
    with histogram_of(axes):
        target = filled_in_parts(events, entries, pair, cell, by_cell, cuts=cuts).to_hist()
    row, ones = entries.row, np.ones(len(entries.row))
    factors = [ones, *pair[row].T, *by_cell[cell[row]].T]
    expected = empty(Histogram(axes), VARIATIONS, LABELS)
    for v, factor in enumerate(factors):
        expected.fill(
            category=np.array(LABELS)[entries.category],
            variation=VARIATIONS[v],
            **{name: values[row] for name, values in columns.items()},
            weight=(entries.without["w"] if v in (1, 2) else entries.weight) * factor,
        )
    for part in ("value", "variance"):
        np.testing.assert_allclose(
            target.view(flow=True)[part], expected.view(flow=True)[part], rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("factor", [1.0, 1.5], ids=["same table", "another table"])
@given(made=fills(), cut=st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_parts_of_the_events_add_up_to_all_of_them(make_events, factor, made, cut):
    axes, columns, entries, pair, cell, by_cell = made
    events = as_columns(make_events(columns))
    first = np.arange(len(events)) < cut
    other = by_cell * factor
    # The cells of the second part lie behind those of the first: one table for both.
    both, moved = np.concatenate([by_cell, other]), np.where(first, cell, cell + len(by_cell))
    with histogram_of(axes):
        whole = filled_in_parts(events, entries, pair, moved, both).to_hist()
        one = filled_in_parts(events, entries, pair, cell, by_cell, first)
        two = filled_in_parts(events, entries, pair, cell, other, ~first)
        before = one.to_hist(), two.to_hist()
        totals = [(one + two).to_hist(), (two + one).to_hist()]
        assert (one.to_hist(), two.to_hist()) == before
        one += two
        totals.append(one.to_hist())
    for total, part in itertools.product(totals, ("value", "variance")):
        np.testing.assert_allclose(
            total.view(flow=True)[part], whole.view(flow=True)[part], rtol=1e-12, atol=1e-12
        )


def test_a_shift_has_its_own_events_and_bins(make_events):
    events = as_columns(make_events({"etheta2": [0.0101, 0.0101]}))
    moved = as_columns(make_events({"etheta2": [0.0301, 0.0101]}))
    entries = Entries(np.array([0, 1]), np.array([0, 0]), np.array([2.0, 4.0]))
    shown = {
        "nominal": Shown(events, entries, np.array([True, True])),
        "s": Shown(moved, entries, np.array([True, False])),
    }
    filled = Filling("etheta2", VARIATIONS, AXIS, shown).result().to_hist()
    assert filled[0, "nominal", :].values().nonzero()[0].tolist() == [10]
    assert filled[0, "s", :].values().nonzero()[0].tolist() == [30]
    assert filled[0, "nominal", 10] == hist.accumulators.WeightedSum(6.0, 20.0)
    assert filled[0, "s", 30] == hist.accumulators.WeightedSum(2.0, 4.0)


def test_a_table_that_changes_between_parts_is_applied_to_its_own(make_events):
    events = as_columns(make_events({"etheta2": [0.01, 0.01]}))
    entries = Entries(np.array([0, 1]), np.array([0, 0]), np.array([2.0, 4.0]))
    filling = filling_of("etheta2", ["nominal", "a"], AXIS, events, entries)
    for start, factor in ((0, 3.0), (1, 5.0)):
        filling.add(1, TruthCells(np.array([0]), np.array([[factor]])), "", start)
    assert filling.result().to_hist()[0, "a", ...].sum().value == 2.0 * 3.0 + 4.0 * 5.0


def test_a_part_without_events_leaves_tables_as_they_are(make_events, filled_with_nothing):
    events = as_columns(make_events({"etheta2": [0.01]}))
    entries = Entries(np.array([0]), np.array([0]), np.array([2.0]))
    filling = filling_of("etheta2", ["nominal", "a", "b"], AXIS, events, entries)
    filling.add(1, TruthCells(np.array([0]), np.array([[3.0, 5.0]])))
    nothing = filled_with_nothing("etheta2", ["nominal", "a", "b"], AXIS)
    for total in (filling.result() + nothing, nothing + filling.result()):
        assert [part.sums.shape for part in total.parts] == [(2, 1, 1), (2, 1, 1)]
        assert total.sums[:, 0].tolist() == [[2.0, 6.0, 10.0], [4.0, 36.0, 100.0]]


def test_tables_that_change_from_part_to_part_do_not_pile_up(make_events):
    events = as_columns(make_events({"etheta2": [0.01]}))
    entries = Entries(np.array([0]), np.array([0]), np.array([2.0]))

    def filled(factor):
        filling = filling_of("etheta2", ["nominal", "a"], AXIS, events, entries)
        filling.add(1, TruthCells(np.array([0]), np.array([[factor]])))
        return filling.result()

    total = filled(1.0)
    for factor in (2.0, 3.0, 1.0, 4.0):
        total += filled(factor)
    assert len(total.parts) == 3
    assert total.sums[:, 0, 1].tolist() == [2.0 * 11.0, 4.0 * 31.0]


def test_only_bins_with_events_are_kept(make_events):
    events = as_columns(make_events({"etheta2": [0.0101, 0.0102, 0.03]}))
    entries = Entries(np.array([0, 1, 2]), np.array([0, 0, 3]), np.array([1.0, 2.0, 4.0]))
    filled = filling_of("etheta2", ["nominal"], AXIS, events, entries).result()
    size = HISTOGRAMS["etheta2"].size
    assert filled.index.tolist() == [11, 3 * size + 31]
    assert filled.sums[:, :, 0].tolist() == [[3.0, 4.0], [5.0, 16.0]]


@pytest.fixture
def filled_with_nothing(make_events):
    def filled(histogram, variations, categories):
        columns = {axis.name: np.empty(0) for axis in HISTOGRAMS[histogram].axes}
        nothing = np.empty(0, np.int64)
        entries = Entries(nothing, nothing, np.empty(0))
        events = as_columns(make_events(columns))
        return filling_of(histogram, variations, categories, events, entries).result()

    return filled


def test_histograms_that_were_filled_differently_do_not_add(filled_with_nothing):
    labels = ["nominal"], ["nominal", "b"]
    one, other = (filled_with_nothing("etheta2", names, AXIS) for names in labels)
    with pytest.raises(ValueError, match="cannot add etheta2 of 2 variations to etheta2 of 1"):
        one + other


def test_sum_has_the_categories_of_both_in_their_order(filled_with_nothing):
    parts = [
        filled_with_nothing("etheta2", ["nominal"], (*AXIS, label))
        for label in ("magnetic_numu", "magnetic_nue")
    ]
    assert (parts[0] + parts[1]).categories == (*AXIS, "magnetic_nue", "magnetic_numu")
    assert list((parts[0] + parts[1]).to_hist().axes[0]) == [*AXIS, "magnetic_nue", "magnetic_numu"]


def test_nothing_at_all_is_an_empty_histogram(filled_with_nothing):
    empty_one = filled_with_nothing("spectrum", ["nominal"], AXIS).to_hist()
    assert empty_one.sum(flow=True).value == 0.0
    assert empty_one.axes == empty(HISTOGRAMS["spectrum"], ["nominal"]).axes


def test_factors_in_single_precision_are_summed_in_double(make_events):
    n = 20_000
    events = as_columns(make_events({"etheta2": np.full(n, 0.0101)}))
    entries = Entries(np.arange(n), np.zeros(n, np.int64), np.full(n, 1.0))
    factors = np.full((n, 1), 0.1, np.float32)
    filling = filling_of("etheta2", ["nominal", "a"], AXIS, events, entries)
    filling.add(1, factors)
    exact = n * float(np.float32(0.1))
    assert filling.result().sums[0, 0, 1] == pytest.approx(exact, rel=1e-12, abs=0.0)


def test_empty_histogram_has_named_axes_and_weighted_storage():
    target = empty(HISTOGRAMS["spectrum"], VARIATIONS)
    assert target.axes.name == ("category", "variation", "recoil_energy", "ttheta2")
    assert target.storage_type is hist.storage.Weight
    assert target.sum(flow=True).value == 0.0


def test_edges_of_the_note_window_are_edges_of_the_spectrum():
    energy, angle = HISTOGRAMS["spectrum"].axes
    for edge, axis in [(0.3, energy), (0.9, energy), (0.003, angle)]:
        assert np.isclose(axis.edges, edge, rtol=0, atol=1e-12).any()


@pytest.mark.parametrize("histogram", HISTOGRAMS.values(), ids=list(HISTOGRAMS))
def test_axes_of_every_histogram_keep_what_lies_outside(histogram):
    assert all(axis.traits.underflow and axis.traits.overflow for axis in histogram.axes)
