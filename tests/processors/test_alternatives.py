"""Alternative productions against counts worked out by hand."""

import numpy as np
import pytest
from hist import Hist
from hist.axis import Regular, StrCategory
from hist.storage import Int64, Weight

from fileset.errors import InputError
from fileset.exposure import Ledger, LedgerRow
from processors.alternatives import check_alternatives, merge_alternatives
from processors.categories import AXIS
from processors.templates import collect

POTS = {"nd": 1e21, "light": 2e20, "reference": 4e20, "other": 5e20}
NC = np.array([100.0, 50.0, 0.0])
NUONE = np.array([10.0, 20.0, 30.0])


def spectrum(yields, labels=("nominal",), templates=("magnetic_numu",), stop=3.0):
    histogram = Hist(
        StrCategory([*AXIS, *templates], name="category", growth=True),
        StrCategory(list(labels), name="variation"),
        Regular(3, 0.0, stop, name="recoil_energy"),
        storage=Weight(),
    )
    for category, values in yields.items():
        row = list(histogram.axes["category"]).index(category)
        for column in range(len(labels)):
            cell = histogram.view(flow=True)[row, column, 1:-1]
            cell["value"], cell["variance"] = (1.0 + column) * values, values
    return histogram


def part(yields, generated=None, **options):
    """What a run gives for a dataset: a spectrum and the number of events before any cut."""
    flow = Hist(
        StrCategory(AXIS, name="category"), StrCategory(["all"], name="cut"), storage=Int64()
    )
    for category in generated or [label for label in yields if label in AXIS]:
        flow.view()[AXIS.index(category), 0] = 1000
    return {"spectrum": spectrum(yields, **options), "cutflow_events": flow, "ledger": [1]}


def described(**datasets):
    return {
        name: {"dataset": name, "is_mc": True, "horn_current": "FHC"} | more
        for name, more in datasets.items()
    }


YIELDS = {"nc": NC, "nuone": NUONE, "magnetic_numu": 1e18 * NUONE}
LIGHT = {"alternative_to": "nd", "variation": "light_up"}
DATASETS = described(nd={}, light=LIGHT)
# A fifth of the exposure, 20 % more neutral currents.
OUTPUT = {
    "nd": part(YIELDS, labels=("nominal", "fluxUp", "fluxDown")),
    "light": part(YIELDS | {"nc": 0.2 * 1.2 * NC, "nuone": 0.2 * NUONE}),
}


def values(result, label, category="nc", dataset="nd", part="value"):
    histogram = result.output[dataset]["spectrum"]
    row = list(histogram.axes["category"]).index(category)
    column = list(histogram.axes["variation"]).index(label)
    return histogram.view(flow=True)[row, column][part][1:-1]


@pytest.fixture
def merged():
    return merge_alternatives(OUTPUT, POTS, DATASETS)


def test_alternative_is_a_variation_at_the_exposure_of_its_base(merged):
    assert list(merged.output) == ["nd"]
    assert values(merged, "lightUp") == pytest.approx(1.2 * NC)
    assert values(merged, "lightUp", "nuone") == pytest.approx(NUONE)
    # Each of its events stands for five, and so do their fluctuations.
    assert values(merged, "lightUp", part="variance") == pytest.approx(25.0 * 0.24 * NC)


def test_other_variations_and_results_of_the_base_stay(merged):
    assert list(merged.output["nd"]["spectrum"].axes["variation"])[:3] == [
        *("nominal", "fluxUp", "fluxDown"),
    ]
    assert values(merged, "fluxUp") == pytest.approx(2.0 * NC)
    assert merged.output["nd"]["cutflow_events"] is OUTPUT["nd"]["cutflow_events"]
    assert merged.output["nd"]["ledger"] == [1]


def test_missing_side_is_the_nominal_and_is_listed(merged):
    assert values(merged, "lightDown").tolist() == NC.tolist()
    assert merged.datasets == {"nd": DATASETS["nd"] | {"one_sided": ["lightDown"]}}


def test_what_it_was_is_kept(merged):
    assert merged.alternatives == {
        "light": DATASETS["light"]
        | {"label": "lightUp", "base": "nd", "reference": None, "pot": 2e20, "untouched": []}
    }


def test_nothing_that_was_given_is_changed(merged):
    assert list(OUTPUT["nd"]["spectrum"].axes["variation"]) == ["nominal", "fluxUp", "fluxDown"]
    assert "one_sided" not in DATASETS["nd"]


def test_two_sides_are_a_pair():
    down = {"alternative_to": "nd", "variation": "light_down"}
    output = OUTPUT | {"other": part(YIELDS | {"nc": 0.5 * 0.9 * NC})}
    result = merge_alternatives(output, POTS, described(nd={}, light=LIGHT, other=down))
    assert values(result, "lightUp") == pytest.approx(1.2 * NC)
    assert values(result, "lightDown") == pytest.approx(0.9 * NC)
    assert result.datasets["nd"]["one_sided"] == []


@pytest.mark.parametrize(
    ("variation", "labels"),
    [
        ("lightdown", ["lightDown", "lightUp"]),
        ("light_minus1sigma", ["lightDown", "lightUp"]),
        ("other_generator", ["other_generatorUp", "other_generatorDown"]),
        ("detector_univ_7", ["detector_univ_007"]),
    ],
)
def test_names_become_labels_as_those_of_spectra_do(variation, labels):
    datasets = described(nd={}, light=LIGHT | {"variation": variation})
    result = merge_alternatives(OUTPUT, POTS, datasets)
    assert list(result.output["nd"]["spectrum"].axes["variation"])[3:] == labels


def test_alternative_to_a_reference_is_the_base_plus_their_difference():
    datasets = described(
        nd={},
        reference={"alternative_to": "nd", "variation": "nominal"},
        light={"alternative_to": "reference", "variation": "light_up"},
    )
    # The reference fluctuates by 3 events in a bin, and so does what shares its events.
    fluctuation = np.array([3.0, 0.0, 0.0])
    output = {
        "nd": OUTPUT["nd"],
        "reference": part({"nc": 0.4 * NC + fluctuation, "nuone": 0.4 * NUONE}),
        "light": part({"nc": 0.2 * 1.2 * NC + fluctuation / 2.0, "nuone": 0.2 * NUONE}),
    }
    result = merge_alternatives(output, POTS, datasets)
    assert list(result.output) == ["nd"]
    assert list(result.output["nd"]["spectrum"].axes["variation"])[3:] == ["lightUp", "lightDown"]
    assert values(result, "lightUp") == pytest.approx(1.2 * NC)
    assert values(result, "lightDown").tolist() == NC.tolist()
    assert result.alternatives["light"]["reference"] == "reference"
    expected = NC + 25.0 * output["light"]["spectrum"]["nc", 0, :].variances()
    expected += 2.5**2 * output["reference"]["spectrum"]["nc", 0, :].variances()
    assert values(result, "lightUp", part="variance") == pytest.approx(expected)


def test_category_that_the_alternative_does_not_simulate_stays_nominal_and_is_listed():
    output = OUTPUT | {"light": part({"nuone": 0.2 * 1.1 * NUONE})}
    result = merge_alternatives(output, POTS, DATASETS)
    assert values(result, "lightUp").tolist() == NC.tolist()
    assert values(result, "lightUp", "nuone") == pytest.approx(1.1 * NUONE)
    assert result.alternatives["light"]["untouched"] == ["nc"]


def test_category_that_it_simulates_and_loses_to_the_cuts_is_lost():
    output = OUTPUT | {"light": part({"nuone": 0.2 * NUONE}, generated=["nuone", "nc"])}
    result = merge_alternatives(output, POTS, DATASETS)
    assert not values(result, "lightUp").any()
    assert result.alternatives["light"]["untouched"] == []


def test_spectra_without_a_cut_flow_simulate_what_they_hold():
    output = {name: {"spectrum": OUTPUT[name]["spectrum"]} for name in ("nd", "light")}
    output["light"] = {"spectrum": spectrum({"nc": 0.24 * NC})}
    result = merge_alternatives(output, POTS, DATASETS)
    assert values(result, "lightUp") == pytest.approx(1.2 * NC)
    assert values(result, "lightUp", "nuone").tolist() == NUONE.tolist()
    assert result.alternatives["light"]["untouched"] == ["nuone"]


def test_templates_of_flavours_in_one_of_them_alone_are_kept():
    light = part(
        {"nuone": 0.2 * NUONE, "nc": 0.2 * NC, "magnetic_nue": 7e17 * NUONE},
        templates=["magnetic_nue"],
    )
    result = merge_alternatives(OUTPUT | {"light": light}, POTS, DATASETS)
    categories = list(result.output["nd"]["spectrum"].axes["category"])
    assert categories[-2:] == ["magnetic_nue", "magnetic_numu"]
    assert values(result, "lightUp", "magnetic_nue") == pytest.approx(3.5e18 * NUONE)
    assert not values(result, "nominal", "magnetic_nue").any()
    assert values(result, "lightUp", "magnetic_numu").tolist() == (1e18 * NUONE).tolist()
    assert result.alternatives["light"]["untouched"] == ["magnetic_numu"]


def test_without_alternatives_everything_is_as_it_was():
    output = {"nd": OUTPUT["nd"]}
    result = merge_alternatives(output, POTS, described(nd={}))
    assert result.output == output
    assert result.output["nd"]["spectrum"] is output["nd"]["spectrum"]
    assert (result.datasets, result.alternatives) == (described(nd={}), {})


def test_merged_datasets_make_templates_that_know_the_variation(merged):
    ledger = Ledger((LedgerRow("nd", "a.root", "a", 0, 10, POTS["nd"]),))
    templates = collect(merged.output, ledger, merged.datasets, {})
    assert "lightUp" in templates.variations
    prediction = templates.prediction(2e21)
    assert prediction["nc", "lightUp", :].values() == pytest.approx(2.4 * NC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"light": {"alternative_to": "nd"}},
            r"dataset 'light': alternative_to = 'nd', variation = None, expected both",
            id="no-variation",
        ),
        pytest.param(
            {"light": {"variation": "light_up"}}, "alternative_to = None, variation", id="no-base"
        ),
        pytest.param(
            {"light": LIGHT | {"alternative_to": "nf"}},
            "alternative_to = 'nf', which is not in the result; known: light, nd",
            id="unknown-base",
        ),
        pytest.param(
            {"nd": {"is_mc": False}, "light": LIGHT}, "one of them is data", id="base-is-data"
        ),
        pytest.param({"light": LIGHT | {"is_mc": False}}, "one of them is data", id="is-data"),
        pytest.param(
            {"light": LIGHT | {"horn_current": "RHC"}},
            "dataset 'light' is of RHC and its base 'nd' of FHC",
            id="other-beam",
        ),
        pytest.param(
            {"light": LIGHT | {"variation": "nominal"}},
            "makes it a reference, and no dataset is an alternative_to it",
            id="reference-of-nothing",
        ),
        pytest.param(
            {"light": LIGHT, "other": LIGHT},
            "datasets 'light' and 'other' are both 'lightUp' of 'nd'",
            id="twice",
        ),
        pytest.param(
            {"light": LIGHT | {"variation": "flux_up"}},
            "dataset 'light': 'nd' has a variation 'fluxUp' already",
            id="known-variation",
        ),
        pytest.param(
            {"light": LIGHT | {"alternative_to": "other"}, "other": LIGHT},
            "alternative_to = 'other', which is 'lightUp' of 'nd'; expected a plain dataset",
            id="of-an-alternative",
        ),
        pytest.param(
            {"light": LIGHT | {"alternative_to": "light"}},
            "dataset 'light': alternative_to = 'light', which is 'lightUp' of 'light'",
            id="of-itself",
        ),
        pytest.param(
            {"absent": LIGHT}, "dataset 'absent': nothing of it is in the result", id="no-output"
        ),
    ],
)
def test_alternatives_that_go_with_nothing_are_refused(changes, message):
    output = OUTPUT | {"other": part(YIELDS)}
    with pytest.raises(InputError, match=message):
        merge_alternatives(output, POTS, described(**({"nd": {}} | changes)))


def test_alternatives_can_be_checked_before_anything_is_processed():
    check_alternatives(DATASETS)
    with pytest.raises(InputError, match="alternative_to = 'nd', which is not in the result"):
        check_alternatives(described(light=LIGHT))


def test_other_bins_are_refused():
    output = OUTPUT | {"light": part(YIELDS, stop=4.0)}
    with pytest.raises(InputError, match="dataset 'light': the bins of 'spectrum' are not those"):
        merge_alternatives(output, POTS, DATASETS)


def test_no_exposure_is_refused():
    with pytest.raises(InputError, match="dataset 'light': nothing of it is in the result, or no"):
        merge_alternatives(OUTPUT, POTS | {"light": 0.0}, DATASETS)
