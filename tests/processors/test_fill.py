import hist
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from processors.categories import AXIS
from processors.fill import HISTOGRAMS, Entries, Histogram, empty, fill

LABELS = ["nominal", "aUp", "aDown"]
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
    """Axes, columns, and m entries of n events in any order and any number of times."""
    names = draw(st.sampled_from([("x",), ("x", "y")]))
    axes = tuple(draw(st.one_of(regular(name), variable(name))) for name in names)
    n = draw(st.integers(0, 12))
    columns = {name: draw(hnp.arrays(float, n, elements=VALUES)) for name in names}
    m = draw(st.integers(0, 20)) if n else 0
    row = draw(hnp.arrays(np.int64, m, elements=st.integers(0, max(n - 1, 0))))
    category = draw(hnp.arrays(np.int64, m, elements=st.integers(0, len(AXIS) - 1)))
    weight = draw(hnp.arrays(float, m, elements=FACTORS))
    factors = draw(hnp.arrays(float, (n, 2), elements=FACTORS))
    return axes, columns, row, category, weight, factors


@given(made=fills(), first=st.integers(0, 1))
@settings(max_examples=60, deadline=None)
def test_one_pass_equals_one_ordinary_fill_per_variation(make_events, made, first):
    axes, columns, row, category, weight, factors = made
    target = empty(Histogram(axes), LABELS)
    events = make_events(columns)
    fill(target, Entries(events, row, category, weight), factors, first)
    expected = empty(Histogram(axes), LABELS)
    for v in range(2):
        expected.fill(
            category=np.array(AXIS)[category],
            variation=LABELS[first + v],
            **{name: values[row] for name, values in columns.items()},
            weight=weight * factors[row, v],
        )
    for part in ("value", "variance"):
        np.testing.assert_allclose(
            target.view(flow=True)[part], expected.view(flow=True)[part], rtol=1e-12, atol=1e-12
        )


def test_fills_add_up(make_events):
    axes = (hist.axis.Regular(2, 0.0, 1.0, name="x"),)
    target = empty(Histogram(axes), LABELS)
    one = Entries(make_events({"x": [0.25]}), np.array([0]), np.array([3]), np.array([2.0]))
    for _ in range(3):
        fill(target, one, np.array([[1.0, 0.5, 4.0]]), 0)
    assert target[3, :, 0].values().tolist() == [6.0, 3.0, 24.0]
    assert target[3, :, 0].variances().tolist() == [12.0, 3.0, 192.0]


def test_a_subset_keeps_every_entry_of_the_events_that_pass(make_events):
    events = make_events({"x": [0.0, 1.0, 2.0, 3.0]})
    row, category = np.array([0, 1, 2, 3, 2, 1]), np.array([0, 1, 2, 3, 4, 5])
    entries = Entries(events, row, category, np.arange(6.0))
    kept = entries.subset(np.array([False, False, True, True]))
    assert kept.events.x.tolist() == [2.0, 3.0]
    assert kept.events.x[kept.row].tolist() == [2.0, 3.0, 2.0]
    assert (kept.category.tolist(), kept.weight.tolist()) == ([2, 3, 4], [2.0, 3.0, 4.0])


def test_empty_histogram_has_named_axes_and_weighted_storage():
    target = empty(HISTOGRAMS["spectrum"], LABELS)
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
