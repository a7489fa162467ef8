import inspect

import awkward as ak
import numpy as np
import pytest

from fileset import load_fileset, open_chunk
from fileset.formats import FORMATS
from fileset.formats.nova_caf import KNOBS
from processors import VARIATIONS
from processors.categories import CATEGORIES, categorise
from processors.columns import provided
from processors.evaluation import factors, shifts, unavailable
from processors.fill import TruthCells
from processors.reading import as_columns, read_columns
from processors.registry import CATEGORY, find_variations
from processors.variations import REPLICAS

WEIGHTS = [v for v in VARIATIONS.values() if not v.shift]
SHIFTS = [v for v in VARIATIONS.values() if v.shift]
METADATA = {"format": "nova_caf", "universes": 100, "knobs": list(KNOBS), "is_mc": True}
LENGTHS = [0, 1, 1000]


def named(variation):
    return variation.name


def formats_with(variation):
    """Formats that have the columns of a variation; branches by dotted names are not known."""
    uses = {name for name in variation.uses if "." not in name}
    return [name for name in FORMATS if uses <= provided(name) | {CATEGORY}]


def metadata_of(variation):
    """Metadata of a format that has a variation."""
    return METADATA | {"format": formats_with(variation)[0]}


@pytest.fixture(scope="module")
def nova(toy):
    columns = read_columns(open_chunk(load_fileset(toy), "nd"))
    return columns.replaced({CATEGORY: categorise(columns)})


@pytest.fixture
def only(nova, make_events):
    """Function that gives n events with the columns that a variation needs and no others."""

    def make(variation, n):
        if "nova_caf" in formats_with(variation):
            return nova[np.arange(n)].only(variation.uses)
        metadata = metadata_of(variation)
        sigmas = np.array(FORMATS[metadata["format"]].knob_sigmas)
        made = {"knob_shifts": np.tile(1.0 + 0.1 * sigmas, (n, len(KNOBS)))}
        if not made.keys() >= set(variation.uses):
            pytest.skip(f"no events of {metadata['format']} here: {variation.name!r} NOT tested")
        return as_columns(make_events(made, **metadata))

    return make


def table_of(block, events):
    """Factors by event, whatever a variation returns them as."""
    return block.factors[block.cell] if isinstance(block, TruthCells) else block


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("variation", WEIGHTS, ids=named)
def test_weights_have_one_finite_row_per_event_from_declared_columns_alone(only, variation, n):
    events = only(variation, n)
    table = table_of(factors(events, variation), events)
    assert table.shape == (n, len(variation.labels(events.metadata)))
    assert np.isfinite(table).all()
    assert (table >= 0).all()


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("variation", SHIFTS, ids=named)
def test_shifts_replace_columns_from_declared_columns_alone(only, variation, n):
    events = only(variation, n)
    shifted = shifts(events, variation)
    assert list(shifted) == variation.labels(events.metadata)
    assert {len(columns) for columns in shifted.values()} == {n}


@pytest.mark.parametrize("variation", SHIFTS, ids=named)
def test_shifts_move_values_to_opposite_sides_of_the_nominal(only, variation):
    events = only(variation, 1000)
    up, *down = shifts(events, variation).values()
    replaced = up.given & up.moved
    assert replaced
    for name in replaced:
        known = np.isfinite(events[name])
        changes = [(side[name] - events[name])[known] for side in (up, *down)]
        assert all(change.any() for change in changes)
        assert (len(changes) == 1) or (np.prod(changes, axis=0) <= 0.0).all()


@pytest.mark.parametrize("variation", WEIGHTS, ids=named)
def test_up_and_down_lie_on_opposite_sides_of_the_nominal(only, variation):
    events = only(variation, 1000)
    labels = variation.labels(events.metadata)
    table = dict(zip(labels, table_of(factors(events, variation), events).T, strict=True))
    pairs = {up: up.removesuffix("Up") + "Down" for up in labels if up.endswith("Up")}
    for up, down in pairs.items():
        # One side alone is declared as such.
        assert ((table[up] - 1.0) * (table.get(down, 1.0) - 1.0) <= 0.0).all()


@pytest.mark.parametrize("variation", VARIATIONS.values(), ids=named)
def test_labels_are_unique_and_come_in_pairs_or_numbered(variation):
    labels = variation.labels(metadata_of(variation))
    assert len(set(labels)) == len(labels) > 0
    ups = {name.removesuffix("Up") for name in labels if name.endswith("Up")}
    downs = {name.removesuffix("Down") for name in labels if name.endswith("Down")}
    one_sided = len(labels) == len(ups | downs) == 1
    assert ups == downs or one_sided
    pairs = 2 * len(ups) == len(labels)
    assert pairs or one_sided or all(name[-3:].isdigit() for name in labels)


def test_labels_of_all_variations_made_by_default_are_unique():
    made = [v for v in VARIATIONS.values() if v.default]
    labels = ["nominal", *(label for v in made for label in v.labels(METADATA))]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("variation", VARIATIONS.values(), ids=named)
def test_every_variation_exists_in_some_format_and_says_what_it_is(variation):
    assert formats_with(variation)
    assert inspect.getdoc(variation.function)


def test_flux_normalisation_is_ten_percent_and_leaves_cosmics(make_events):
    events = make_events({"nu_pdg": [14, -12, 0]})
    table = factors(events, VARIATIONS["flux"])
    np.testing.assert_allclose(table, [[1.1, 0.9], [1.1, 0.9], [1.0, 1.0]])


def test_flux_universes_take_the_place_of_the_central_value(make_events):
    events = make_events({"flux_universes": [[0.9, 1.2], []]}, universes=2)
    assert VARIATIONS["ppfx"].replaces == "flux_weight"
    np.testing.assert_allclose(factors(events, VARIATIONS["ppfx"]), [[0.9, 1.2], [1.0, 1.0]])


def test_every_knob_arrives_under_its_own_label(toy, nova):
    table = factors(nova, VARIATIONS["genie"])
    labels = VARIATIONS["genie"].labels(METADATA)
    assert len(labels) == 24
    raw = open_chunk(load_fileset(toy), "nd").mc.nu.rwgt.genie
    for label, branch in [
        ("MaCCQEUp", "plus1sigma"),
        ("MaCCQEDown", "minus1sigma"),
        ("MaCCQE_2sigmaUp", "plus2sigma"),
        ("MaCCQE_2sigmaDown", "minus2sigma"),
    ]:
        expected = [values[0][0] if values else 1.0 for values in raw[branch].tolist()]
        np.testing.assert_array_equal(table[:, labels.index(label)], expected)
    row = ak.argmax(ak.num(raw.plus1sigma, axis=1) > 0)
    assert raw.plus1sigma[row].tolist()[0][3] == table[row, labels.index("MECnormUp")]


def test_knobs_of_a_file_are_taken_at_its_own_shifts(make_events):
    sevens = [[0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 10.0, 8.0, 5.0, 1.0, 3.0, 6.0, 9.0]]
    events = make_events({"knob_shifts": sevens}, format="dune_fd_caf", knobs=["A", "B"])
    table = factors(events, VARIATIONS["knobs"])
    labels = VARIATIONS["knobs"].labels(events.metadata)
    by_label = dict(zip(labels, table[0].tolist(), strict=True))
    assert by_label == pytest.approx(
        {
            **{"AUp": 1.1, "ADown": 0.9, "A_2sigmaUp": 1.2, "A_2sigmaDown": 0.8},
            **{"BUp": 3.0, "BDown": 5.0, "B_2sigmaUp": 6.0, "B_2sigmaDown": 8.0},
        }
    )


def test_knobs_of_the_real_dune_file_are_found_and_relative_to_their_central_value(dune_file):
    fileset = load_fileset({"fd": {"files": [str(dune_file)], "negative_weights": "keep"}})
    events = read_columns(open_chunk(fileset, "fd"))
    names = events.metadata["knobs"]
    assert (len(names), names[:2]) == (68, sorted(names)[:2])
    table = factors(events, VARIATIONS["knobs"])
    labels = VARIATIONS["knobs"].labels(events.metadata)
    column = table[:, labels.index("MaCCQEUp")]
    np.testing.assert_array_equal(column, ak.to_numpy(events["wgt_MaCCQE"])[:, 4].astype("f4"))
    assert np.ptp(column) > 0.1


def test_calibration_is_five_percent_of_every_energy_and_angle_of_theta(make_events):
    columns = {"shower_energy": [1.0, np.nan], "slice_energy": [2.0, 4.0]}
    up, down = shifts(make_events(columns), VARIATIONS["calibration"]).values()
    np.testing.assert_allclose(up.shower_energy, [1.05, np.nan])
    np.testing.assert_allclose(down.slice_energy, [1.9, 3.8])
    up, down = shifts(make_events({"theta": [0.1]}), VARIATIONS["angle"]).values()
    np.testing.assert_allclose([up.theta, down.theta], [[0.105], [0.095]])


def test_what_is_derived_follows_a_shift_and_the_rest_stays(make_events):
    events = make_events({"shower_energy": [1.0], "theta": [0.1], "slice_energy": [3.0]})
    up, _ = shifts(events, VARIATIONS["angle"]).values()
    assert up.etheta2.tolist() == pytest.approx([1.0 * 0.105**2])
    assert up.hadronic_energy.tolist() == [2.0]


class TestBootstrap:
    """Poisson replicas of events."""

    @pytest.fixture
    def events(self, make_events):
        n = 4000
        numbers = {"run": np.full(n, 7), "subrun": np.arange(n) // 100, "event": np.arange(n)}
        return make_events(numbers, is_mc=False)

    def test_replicas_are_poisson_of_mean_one(self, events):
        table = factors(events, VARIATIONS["bootstrap"])
        assert table.shape == (4000, REPLICAS)
        assert table.mean() == pytest.approx(1.0, abs=5 * 400_000**-0.5)
        assert table.var() == pytest.approx(1.0, abs=0.02)
        fractions = [np.mean(table == k) for k in range(4)]
        assert fractions == pytest.approx([0.3679, 0.3679, 0.1839, 0.0613], abs=0.004)

    def test_replicas_and_events_are_independent(self, events):
        table = factors(events, VARIATIONS["bootstrap"])
        correlation = np.corrcoef(table.T) - np.eye(REPLICAS)
        assert np.abs(correlation).max() < 6 * 4000**-0.5
        neighbours = np.corrcoef(table[:-1].ravel(), table[1:].ravel())[0, 1]
        assert abs(neighbours) < 5 * 400_000**-0.5

    def test_an_event_has_its_number_wherever_it_is_read(self, events):
        table = factors(events, VARIATIONS["bootstrap"])
        part = factors(as_columns(events)[np.array([3, 1, 1])], VARIATIONS["bootstrap"])
        np.testing.assert_array_equal(part, table[[3, 1, 1]])


def test_variations_that_a_format_cannot_have_are_named_with_what_they_lack():
    made = find_variations("all")
    assert unavailable(made, "nova_caf") == {}
    lacking = unavailable(made, "dune_fd_caf")
    assert lacking["ppfx"] == ["flux_universes"]
    assert set(lacking) == {"ppfx", "genie"}


def test_categories_are_a_column_that_variations_may_use():
    assert CATEGORY not in CATEGORIES
    ours = [v for v in VARIATIONS.values() if not v.source]
    assert unavailable(ours, "nova_caf").keys() == {"knobs"}
