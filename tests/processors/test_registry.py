"""How variations are declared, found and evaluated."""

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileset import InputError
from processors import VARIATIONS, NuoneProcessor, normalisation, variation
from processors.categories import AXIS, CATEGORIES
from processors.evaluation import at_sigmas, factors, rows, shifts
from processors.fill import TruthCells
from processors.kernels.constants import M_E
from processors.registry import Variation, VariationFile, declare, find_variations

OWN = '''
from processors import variation

@variation(uses=("true_neutrino_energy",))
def tilt(events):
    """Tilt of the flux, 5 % per GeV."""
    slope = 0.05 * (events.true_neutrino_energy - 2.0)
    return 1.0 + slope, 1.0 - slope
'''


def made(function, uses=("x",), labels=("aUp", "aDown"), **more):
    return Variation("a", function, uses, lambda _: list(labels), **more)


def test_a_new_variation_is_one_function(registry, make_events):
    @variation(uses=("neutrino_energy",))
    def tilt(events):
        return 1 + 0.1 * events.neutrino_energy, 1 - 0.1 * events.neutrino_energy

    events = make_events({"neutrino_energy": [1.0, 2.0]})
    assert registry["tilt"].labels({}) == ["tiltUp", "tiltDown"]
    np.testing.assert_allclose(factors(events, registry["tilt"]), [[1.1, 0.9], [1.2, 0.8]])


def test_one_sided_variation_has_one_side_and_nothing_makes_up_the_other(registry, make_events):
    @variation(uses=("x",), one_sided=True)
    def lost(events):
        return 1.0 - 0.1 * events.x

    assert registry["lost"].labels({}) == ["lostUp"]
    table = factors(make_events({"x": [1.0, 2.0]}), registry["lost"])
    np.testing.assert_allclose(table, [[0.9], [0.8]])


def test_one_sided_shift_has_one_side(registry, make_events):
    @variation(uses=("theta",), shift=True, one_sided=True)
    def bent(events):
        return {"theta": events.theta + 0.01}

    shifted = shifts(make_events({"theta": [0.1]}), registry["bent"])
    assert {label: c.theta.tolist() for label, c in shifted.items()} == {"bentUp": [0.11]}


def test_normalisation_by_category_moves_its_categories_alone(registry, make_events):
    normalisation("mec_rate", {"mec": 0.3, "nc": 0.1})
    position = {name: i for i, name in enumerate(CATEGORIES)}
    events = make_events({"category": [position[c] for c in ("nuone", "mec", "nc")]})
    block = factors(events, registry["mec_rate"])
    np.testing.assert_allclose(block.factors[block.cell], [[1.0, 1.0], [1.3, 0.7], [1.1, 0.9]])


def test_normalisation_of_an_unknown_category_is_refused(registry):
    with pytest.raises(InputError, match="'rate': no category 'nuon'; closest: nuone"):
        normalisation("rate", {"nuon": 0.1})


def test_coffea_weights_are_accepted(make_events):
    from coffea.analysis_tools import Weights

    def with_weights(events):
        weights = Weights(len(events))
        weights.add("a", np.array([2.0, 4.0]), np.array([3.0, 4.4]), np.array([1.0, 3.6]))
        return weights

    table = factors(make_events({"x": [0.0, 0.0]}), made(with_weights))
    np.testing.assert_allclose(table, [[1.5, 0.5], [1.1, 0.9]])


def nudge(what, kind="UpDownSystematic"):
    """Function that lets coffea make a systematic of 10 % of something."""

    def function(events):
        record = events.nanoevents()
        record.add_systematic("nudge", kind, what, lambda x: x[:, None] * np.array([[1.1, 0.9]]))
        return record.systematics.nudge

    return function


@pytest.mark.parametrize("kind", ["UpDownSystematic", "UpDownMultiSystematic"])
def test_systematic_of_weights_that_coffea_made_is_accepted(make_events, kind):
    events = make_events({"x": [0.0, 5.0]})
    for uses in (("x",), ()):
        table = factors(events, made(nudge("weight", kind), uses=uses))
        np.testing.assert_allclose(table, [[1.1, 0.9], [1.1, 0.9]])


@pytest.mark.parametrize("what", ["shower_energy", ["shower_energy"]])
def test_systematic_of_a_column_that_coffea_made_is_a_shift(make_events, what):
    kind = "UpDownSystematic" if isinstance(what, str) else "UpDownMultiSystematic"
    uses = ("shower_energy", "slice_energy", "recoil_energy")
    columns = {"shower_energy": [1.0, np.nan], "slice_energy": [2.0, np.nan]}
    moved = shifts(make_events(columns), made(nudge(what, kind), uses=uses, shift=True))
    np.testing.assert_allclose(moved["aUp"].shower_energy, [1.1, np.nan])
    np.testing.assert_allclose(moved["aDown"].shower_energy, [0.9, np.nan])
    # What it left alone stays, and what is derived follows although it was read.
    assert moved["aUp"].moved.isdisjoint({"slice_energy"})
    np.testing.assert_allclose(moved["aUp"].hadronic_energy, [0.9, np.nan])
    assert moved["aUp"].recoil_energy[0] == pytest.approx(1.1 - M_E)


def test_systematic_of_several_columns_that_coffea_made_is_a_shift(make_events):
    def both(events):
        record = events.nanoevents()
        scaled = lambda x, s: ak.zip({n: s * x[n] for n in x.fields})[:, None]  # noqa: E731
        record.add_systematic(
            *("both", "UpDownMultiSystematic", ["shower_energy", "slice_energy"]),
            lambda x: ak.concatenate([scaled(x, 1.1), scaled(x, 0.9)], axis=1),
        )
        return record.systematics.both

    events = make_events({"shower_energy": [1.0], "slice_energy": [2.0]})
    moved = shifts(events, made(both, uses=("shower_energy", "slice_energy"), shift=True))
    assert moved["aUp"].slice_energy.tolist() == [2.2]
    assert moved["aDown"].hadronic_energy.tolist() == pytest.approx([0.9])


def test_systematic_of_no_events_that_coffea_made_is_accepted(make_events):
    none = make_events({"shower_energy": np.zeros(0)})
    shift = made(nudge("shower_energy"), uses=("shower_energy",), shift=True)
    assert [len(c) for c in shifts(none, shift).values()] == [0, 0]
    assert factors(none, made(nudge("weight"), uses=("shower_energy",))).shape == (0, 2)


def test_systematic_of_coffea_that_is_declared_as_the_wrong_kind_is_refused(make_events):
    events = make_events({"shower_energy": [1.0]})
    uses = ("shower_energy",)
    with pytest.raises(
        InputError, match=r"'a': it gives .* varies columns; declare it with shift="
    ):
        factors(events, made(nudge("shower_energy"), uses=uses))
    with pytest.raises(InputError, match=r"'a': it gives .* varies weights; leave out shift="):
        shifts(events, made(nudge("weight"), uses=uses, shift=True))


def test_a_name_that_is_taken_is_refused_with_where_it_is(registry, tmp_path):
    path = tmp_path / "own.py"
    text = OWN.replace("tilt", "flux")
    with pytest.raises(
        InputError, match=r"own\.py: there is a variation 'flux' already, in the pa"
    ):
        declare(VariationFile(str(path), text))


def test_reading_what_is_not_declared_is_refused_by_name(make_events):
    sneaky = made(lambda events: (events.x + events.y, events.x))
    with pytest.raises(InputError, match=r"'a': .*it reads 'y', which its uses = \('x'\) do not"):
        factors(make_events({"x": [1.0], "y": [1.0]}), sneaky)


def test_optional_columns_may_be_read_where_they_are(make_events):
    either = made(lambda e: (e.x, e.y if "y" in e.fields else e.x), optional=("y",))
    assert factors(make_events({"x": [1.0], "y": [2.0]}), either).tolist() == [[1.0, 2.0]]
    assert factors(make_events({"x": [1.0]}), either).tolist() == [[1.0, 1.0]]


def test_an_error_in_a_function_names_the_variation_and_the_dataset(make_events):
    broken = made(lambda events: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        factors(make_events({"x": [1.0]}), broken)
    assert caught.value.__notes__ == ["in variation 'a', dataset 'hand_made'"]


def test_function_that_gives_a_wrong_shape_is_refused(make_events):
    short = made(lambda events: (np.ones(1), np.ones(1)))
    with pytest.raises(
        InputError, match=r"'a' gives an array of shape \(1, 2\), expected \(2, 2\)"
    ):
        factors(make_events({"x": [1.0, 2.0]}), short)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            [0],
            r"gives cells of shape \(1,\) and type int64, expected one integer for each of 2",
        ),
        ([0.0, 1.0], r"gives cells of shape \(2,\) and type float64, expected one integer"),
        ([0, 2], "gives cells from 0 to 2, expected 0 to 1; add one with factors 1"),
        ([-1, 0], "gives cells from -1 to 0, expected 0 to 1"),
    ],
)
def test_cells_that_the_table_does_not_have_are_refused(make_events, cell, message):
    wrong = made(lambda events: TruthCells(np.array(cell), np.ones((2, 2))))
    with pytest.raises(InputError, match=f"variation 'a' {message}"):
        factors(make_events({"x": [1.0, 2.0]}), wrong)


@pytest.mark.parametrize("kind", [">f4", ">f8", "<f4", "f2", "i4"])
def test_factors_of_any_type_are_taken_as_they_are(make_events, kind):
    table = np.array([[1, 2], [3, 1]], dtype=kind)
    found = factors(make_events({"x": [1.0, 2.0]}), made(lambda events: table))
    assert found.dtype.isnative
    assert found.tolist() == table.tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_factor_that_is_not_finite_is_refused_with_the_label(make_events, bad):
    poisoned = made(lambda events: (events.x, np.where(events.x > 1, bad, 1.0)))
    with pytest.raises(InputError, match="variation 'aDown' is not finite in some of 2 selected"):
        factors(make_events({"x": [1.0, 2.0]}), poisoned)


def test_negative_factor_is_refused_or_clipped_as_the_dataset_says(make_events):
    negative = made(lambda events: (events.x, -events.x))
    with pytest.raises(InputError, match=r"'a' is negative in 1 of 2 values; .*\"clip\" or"):
        factors(make_events({"x": [1.0]}), negative)
    clipped = factors(make_events({"x": [1.0]}, negative_weights="clip"), negative)
    assert clipped.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"theta": [1.0]}, r"a shift returns 2 dictionaries of columns, one per label \(aUp, aDo"),
        (({"theta": [1.0]}, {"theta": [1.0, 2.0]}), "replaces 'theta' with 2 values, expected a"),
        (({"tehta": [1.0]}, {"theta": [1.0]}), "replaces 'tehta' with 1 values, expected a column"),
    ],
)
def test_shift_that_returns_something_else_is_refused(make_events, result, message):
    wrong = made(lambda events: result, uses=("theta",), shift=True)
    with pytest.raises(InputError, match=message):
        shifts(make_events({"theta": [0.1]}), wrong)


def test_rows_without_a_table_are_ones_and_keep_the_precision(make_events):
    events = make_events({"t": [[], [2.0, 3.0], []]})
    assert rows(events, "t", 2).tolist() == [[1.0, 1.0], [2.0, 3.0], [1.0, 1.0]]


def test_row_of_another_length_is_refused(make_events):
    events = make_events({"t": [[1.0, 1.0], [1.0]]})
    with pytest.raises(InputError, match="'hand_made': 't' has 1 values in some events, expe"):
        rows(events, "t", 2)


@pytest.mark.parametrize(
    ("stored", "values", "wanted", "expected"),
    [
        ((-2, -1, 1, 2), [0.6, 0.9, 1.2, 1.6], (1, -1, 2, -2), [1.2, 0.9, 1.6, 0.6]),
        ((-2, -1, 1, 2), [0.6, 0.9, 1.2, 1.6], (0.5, 0.0, 1.5, 3.0), [1.1, 1.0, 1.4, 2.0]),
        ((1,), [1.3], (0.5, -1.0), [1.15, 0.7]),
        ((2, -2, 0), [3.0, 0.5, 1.0], (1.0, -1.0), [2.0, 0.75]),
    ],
)
def test_knobs_are_linear_between_the_shifts_that_are_stored(stored, values, wanted, expected):
    # Half a sigma of a ratio r is 1 + 0.5 (r - 1), not 0.5 r.
    np.testing.assert_allclose(at_sigmas(stored, np.array(values), wanted), expected)


@given(st.lists(st.floats(0.1, 3.0), min_size=4, max_size=4))
def test_stored_shifts_come_back_as_they_are(values):
    stored = (-2.0, -1.0, 1.0, 2.0)
    table = np.tile(values, (3, 1))
    np.testing.assert_allclose(at_sigmas(stored, table, stored), table, rtol=1e-14)


def test_variations_are_found_by_name_in_the_order_asked_for():
    assert [v.name for v in find_variations("angle,flux")] == ["angle", "flux"]
    assert find_variations(None) == [v for v in VARIATIONS.values() if v.default]
    assert find_variations("none") == []
    assert find_variations("all,bootstrap")[-1].name == "bootstrap"


def test_unknown_variation_is_refused_with_its_neighbours():
    with pytest.raises(InputError, match="no variation 'calibraton'; closest: calibration"):
        find_variations("flux,calibraton")


class TestFileOfOnesOwn:
    """Variations in a file outside the package."""

    @pytest.fixture
    def path(self, tmp_path, registry):
        path = tmp_path / "own.py"
        path.write_text(OWN, encoding="utf-8")
        return path

    def test_its_variations_are_made_beside_the_default_ones(self, path):
        names = [v.name for v in NuoneProcessor(variations=str(path)).find()]
        assert names == [*(v.name for v in find_variations("all")), "tilt"]

    def test_its_variations_alone_or_with_some_others(self, path):
        assert [v.name for v in NuoneProcessor(variations=f"none,{path}").find()] == ["tilt"]
        both = NuoneProcessor(variations=f"flux,{path}").find()
        assert [v.name for v in both] == ["flux", "tilt"]

    def test_it_is_not_among_the_default_ones_of_others(self, path):
        NuoneProcessor(variations=str(path))
        assert "tilt" not in [v.name for v in NuoneProcessor().find()]

    def test_a_changed_file_replaces_what_it_declared(self, path, make_events):
        NuoneProcessor(variations=str(path))
        path.write_text(OWN.replace("0.05", "0.5"), encoding="utf-8")
        (tilt,) = NuoneProcessor(variations=f"none,{path}").find()
        table = factors(make_events({"true_neutrino_energy": [3.0]}), tilt)
        assert table.tolist() == [[1.5, 0.5]]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("x = 1 +", r"own\.py: SyntaxError: .*; mend it"),
            ("1 / 0", r"own\.py: ZeroDivisionError: division by zero; mend it"),
            ("x = 1", r"own\.py: declares no variation; see docs/systematics\.md"),
        ],
    )
    def test_a_file_that_declares_nothing_is_refused(self, path, text, message):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            NuoneProcessor(variations=str(path))

    def test_a_file_that_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(InputError, match=r"absent\.py: cannot read the variations"):
            NuoneProcessor(variations=str(tmp_path / "absent.py"))


def test_axis_of_categories_and_of_normalisations_agree():
    assert AXIS[: len(CATEGORIES)] == tuple(CATEGORIES)
