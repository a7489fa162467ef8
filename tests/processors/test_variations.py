import awkward as ak
import numpy as np
import pytest

from fileset import InputError, load_fileset, open_chunk
from fileset.formats import FORMATS
from processors import VARIATIONS, variation
from processors.columns import add_columns, provided
from processors.variations import Variation, factors, find_variations, rows, unavailable

WEIGHTS = [v for v in VARIATIONS.values() if not v.shift]
SHIFTS = [v for v in VARIATIONS.values() if v.shift]
METADATA = {"format": "nova_caf", "universes": 100}
LENGTHS = [0, 1, 1000]


def named(variation):
    return variation.name


@pytest.fixture(scope="module")
def nova(toy):
    return add_columns(open_chunk(load_fileset(toy), "nd"))


@pytest.fixture
def only(nova, make_events):
    """Function that gives n events with the columns that a variation declares and no others."""

    def make(variation, n):
        columns = {name: ak.materialize(nova[:n][name]) for name in variation.uses}
        return make_events(columns, **METADATA)

    return make


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("variation", WEIGHTS, ids=named)
def test_weights_have_one_finite_row_per_event_from_declared_columns_alone(only, variation, n):
    table = factors(only(variation, n), variation)
    assert table.shape == (n, len(variation.labels(METADATA)))
    assert np.isfinite(table).all()
    assert (table > 0).all()


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("variation", SHIFTS, ids=named)
def test_shifts_replace_columns_up_and_down_from_declared_columns_alone(only, variation, n):
    events = only(variation, n)
    shifted = variation.function(events)
    assert len(shifted) == len(variation.labels(METADATA)) == 2
    for columns in shifted:
        assert set(columns) <= set(events.fields)
        assert {len(values) for values in columns.values()} == {n}


@pytest.mark.parametrize("variation", SHIFTS, ids=named)
def test_shifts_move_every_value_up_and_down(nova, variation):
    up, down = variation.function(nova)
    assert up.keys() == down.keys()
    for name in up:
        nominal = ak.to_numpy(nova[name])
        known = nominal > 0
        assert known.any()
        assert (ak.to_numpy(up[name])[known] > nominal[known]).all()
        assert (ak.to_numpy(down[name])[known] < nominal[known]).all()


@pytest.mark.parametrize("variation", WEIGHTS, ids=named)
def test_up_and_down_lie_on_opposite_sides_of_the_nominal(only, variation):
    labels = variation.labels(METADATA)
    table = dict(zip(labels, factors(only(variation, 1000), variation).T, strict=True))
    for label in (name for name in labels if name.endswith("Up")):
        down = label.removesuffix("Up") + "Down"
        assert ((table[label] - 1.0) * (table[down] - 1.0) <= 0.0).all()


@pytest.mark.parametrize("variation", VARIATIONS.values(), ids=named)
def test_labels_are_unique_and_come_in_pairs_or_numbered(variation):
    labels = variation.labels(METADATA)
    assert len(set(labels)) == len(labels) > 0
    ups = {name.removesuffix("Up") for name in labels if name.endswith("Up")}
    downs = {name.removesuffix("Down") for name in labels if name.endswith("Down")}
    assert ups == downs
    assert 2 * len(ups) == len(labels) or all(name[-3:].isdigit() for name in labels)


def test_labels_of_all_variations_together_are_unique():
    labels = ["nominal", *(label for v in VARIATIONS.values() for label in v.labels(METADATA))]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("variation", VARIATIONS.values(), ids=named)
def test_every_variation_exists_in_some_format(variation):
    assert any(set(variation.uses) <= provided(name) for name in FORMATS)


def test_flux_normalisation_is_ten_percent_and_leaves_cosmics(make_events):
    events = make_events({"nu_pdg": [14, -12, 0]})
    table = factors(events, VARIATIONS["flux"])
    np.testing.assert_allclose(table, [[1.1, 0.9], [1.1, 0.9], [1.0, 1.0]])


def test_flux_universes_are_relative_to_the_central_value(make_events):
    events = make_events(
        {"flux_universes": [[0.9, 1.2], []], "flux_weight": [0.75, 1.0]}, universes=2
    )
    table = factors(events, VARIATIONS["ppfx"])
    np.testing.assert_allclose(table, [[0.9 / 0.75, 1.2 / 0.75], [1.0, 1.0]])


def test_every_knob_arrives_under_its_own_label(nova):
    table = factors(nova, VARIATIONS["genie"])
    labels = VARIATIONS["genie"].labels(METADATA)
    assert len(labels) == 24
    raw = nova.mc.nu.rwgt.genie
    row = ak.argmax(ak.num(raw.plus1sigma, axis=1) > 0)
    for label, branch in [
        ("MaCCQEUp", "plus1sigma"),
        ("MaCCQEDown", "minus1sigma"),
        ("MaCCQE_2sigmaUp", "plus2sigma"),
        ("MaCCQE_2sigmaDown", "minus2sigma"),
    ]:
        expected = [values[0][0] if values else 1.0 for values in raw[branch].tolist()]
        np.testing.assert_array_equal(table[:, labels.index(label)], expected)
    assert raw.plus1sigma[row].tolist()[0][3] == table[row, labels.index("MECnormUp")]


def test_calibration_is_five_percent_of_every_energy_and_angle_of_theta(make_events):
    events = make_events({"shower_energy": [1.0, np.nan], "slice_energy": [2.0, 4.0]})
    up, down = VARIATIONS["calibration"].function(events)
    np.testing.assert_allclose(up["shower_energy"], [1.05, np.nan])
    np.testing.assert_allclose(down["slice_energy"], [1.9, 3.8])
    up, down = VARIATIONS["angle"].function(make_events({"theta": [0.1]}))
    np.testing.assert_allclose([up["theta"], down["theta"]], [[0.105], [0.095]])


def test_row_of_another_length_is_refused(make_events):
    events = make_events(
        {"flux_universes": [[1.0, 1.0], [1.0]], "flux_weight": [1.0, 1.0]}, universes=2
    )
    message = r"dataset 'hand_made': 'flux_universes' has 1 values in some events, expected 2"
    with pytest.raises(InputError, match=message):
        factors(events, VARIATIONS["ppfx"])


def test_rows_without_a_table_are_ones(make_events):
    events = make_events({"t": [[], [2.0, 3.0], []]})
    assert rows(events, "t", 2).tolist() == [[1.0, 1.0], [2.0, 3.0], [1.0, 1.0]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weight_that_is_not_finite_is_refused_with_the_label(make_events, bad):
    tables = {
        name: [[1.0] * 6] for name in ("knob_plus1", "knob_minus1", "knob_plus2", "knob_minus2")
    }
    tables["knob_minus1"] = [[1.0, bad, 1.0, 1.0, 1.0, 1.0]]
    with pytest.raises(InputError, match="variation 'MaCCRESDown' is not finite in some of 1 sel"):
        factors(make_events(tables), VARIATIONS["genie"])


def test_function_that_gives_a_wrong_shape_is_refused(make_events):
    short = Variation("short", lambda e: (np.ones(1), np.ones(1)), ("x",), lambda _: ["a", "b"])
    with pytest.raises(InputError, match=r"'short' gives an array of shape \(1, 2\), expected \(2"):
        factors(make_events({"x": [1.0, 2.0]}), short)


def test_a_new_variation_is_one_function(monkeypatch, make_events):
    monkeypatch.setattr("processors.variations.VARIATIONS", registry := {})

    @variation(uses=("neutrino_energy",))
    def tilt(events):
        return 1 + 0.1 * events.neutrino_energy, 1 - 0.1 * events.neutrino_energy

    events = make_events({"neutrino_energy": [1.0, 2.0]})
    assert registry["tilt"].labels({}) == ["tiltUp", "tiltDown"]
    np.testing.assert_allclose(factors(events, registry["tilt"]), [[1.1, 0.9], [1.2, 0.8]])


def test_variations_are_found_by_name_in_the_order_asked_for():
    assert [v.name for v in find_variations("angle,flux")] == ["angle", "flux"]
    assert find_variations(None) == list(VARIATIONS.values())
    assert find_variations("none") == []


def test_unknown_variation_is_refused_with_its_neighbours():
    with pytest.raises(InputError, match="no variation 'calibraton'; closest: calibration"):
        find_variations("flux,calibraton")


def test_variations_that_a_format_cannot_have_are_named_with_what_they_lack():
    assert unavailable(None, "nova_caf") == {}
    lacking = unavailable(None, "dune_fd_caf")
    assert lacking["ppfx"] == ["flux_universes", "flux_weight"]
    assert set(lacking) == {"ppfx", "genie"}
