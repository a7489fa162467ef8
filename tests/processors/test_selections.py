import awkward as ak
import numpy as np
import pytest

from fileset import InputError, load_fileset, open_chunk
from processors import SELECTION, SELECTIONS, NuoneProcessor
from processors.columns import add_columns
from processors.nuone import everything, shown
from processors.selections import find_selection, select

COMPOSED = [*SELECTIONS, "single_particle_cvn+note_window", "event_cvn+single_particle_cvn"]

# Event that passes every cut; a cut value on either side of it is in the table below.
GOOD = {
    "longest_prong": 400.0,
    "plane_count": 60,
    "cell_count": 100,
    "vertex_x": 0.0,
    "vertex_y": 0.0,
    "vertex_z": 500.0,
    "shower_stop_x": 0.0,
    "shower_stop_y": 0.0,
    "shower_stop_z": 700.0,
    "shower_energy_fraction": 0.9,
    "vertex_energy": 0.01,
    "shower_gap": 1.0,
    "shower_energy": 0.7,
    "recoil_energy": 0.7,
    "nuone_id": 0.9,
    "epi0_id": 0.95,
    "theta": 0.03,
    "etheta2": 0.001,
    "ttheta2": 0.001,
    "prong_count": 1,
    "wall_distance": 50.0,
    "electron_id": 0.95,
    "electron_id_5label": 0.9,
    "hadronic_energy": 0.01,
    "vertex_activity": 0.01,
    "nue_id": 0.5,
}

# Selection, column, values that fail, values that pass: the published ones, see the specification.
BOUNDARIES = [
    ("event_cvn", "longest_prong", [800.0], [799.9]),
    ("event_cvn", "plane_count", [120], [119]),
    ("event_cvn", "cell_count", [600], [599]),
    ("event_cvn", "vertex_x", [-185.1, 175.1], [-184.9, 174.9]),
    ("event_cvn", "vertex_y", [-175.1, 175.1], [-174.9, 174.9]),
    ("event_cvn", "vertex_z", [94.9, 1095.1], [95.1, 1094.9]),
    ("event_cvn", "shower_stop_x", [-190.1, 180.1], [-189.9, 179.9]),
    ("event_cvn", "shower_stop_y", [-180.1, 190.1], [-179.9, 189.9]),
    ("event_cvn", "shower_stop_z", [104.9, 1275.1], [105.1, 1274.9]),
    ("event_cvn", "shower_energy_fraction", [0.8], [0.801]),
    ("event_cvn", "vertex_energy", [0.02], [0.0199]),
    ("event_cvn", "shower_gap", [20.0], [19.9]),
    ("event_cvn", "shower_energy", [0.5, 5.0], [0.51, 4.99]),
    ("event_cvn", "nuone_id", [0.73], [0.731]),
    ("event_cvn", "epi0_id", [0.92], [0.921]),
    ("event_cvn", "etheta2", [0.005], [0.00499]),
    ("single_particle_cvn", "prong_count", [0, 2], [1]),
    ("single_particle_cvn", "vertex_x", [-130.1, 150.1], [-129.9, 149.9]),
    ("single_particle_cvn", "vertex_y", [-140.1, 140.1], [-139.9, 139.9]),
    ("single_particle_cvn", "vertex_z", [149.9, 800.1], [150.1, 799.9]),
    ("single_particle_cvn", "shower_stop_z", [1250.0], [1249.9]),
    ("single_particle_cvn", "electron_id", [0.89], [0.891]),
    ("single_particle_cvn", "hadronic_energy", [0.035], [0.0349]),
    ("single_particle_cvn", "vertex_activity", [0.0, 0.03], [0.001, 0.0299]),
    ("single_particle_cvn", "shower_energy", [4.1], [0.1, 4.09]),
    ("single_particle_cvn", "electron_id_5label", [0.5], [0.51]),
    ("single_particle_cvn", "nue_id", [-0.05], [-0.04]),
    ("single_particle_cvn", "etheta2", [0.01], [0.0099]),
    ("note_window", "recoil_energy", [0.3, 0.9], [0.301, 0.899]),
    ("note_window", "ttheta2", [0.003], [0.0029]),
]


def good(make_events, n=1, **changed):
    return make_events({k: np.full(n, v) for k, v in GOOD.items()} | changed)


@pytest.fixture(scope="module")
def nova(toy):
    return add_columns(open_chunk(load_fileset(toy), "nd"))


@pytest.mark.parametrize("name", COMPOSED)
def test_good_event_passes_everything(make_events, name):
    passed = select(good(make_events), find_selection(name))
    assert all(mask.tolist() == [True] for mask in passed.values())


@pytest.mark.parametrize(("name", "column", "fail", "succeed"), BOUNDARIES)
def test_published_cut_values_decide(make_events, name, column, fail, succeed):
    events = good(make_events, len(fail + succeed), **{column: np.array(fail + succeed)})
    passed = everything(select(events, SELECTIONS[name]))
    assert passed.tolist() == [False] * len(fail) + [True] * len(succeed)


@pytest.mark.parametrize("name", SELECTIONS)
def test_an_event_without_any_value_fails_every_cut(make_events, name):
    integers = {"plane_count", "cell_count", "prong_count"}
    missing = {k: [np.nan] for k in GOOD if k not in integers} | {"prong_count": [0]}
    events = make_events({k: [v] for k, v in GOOD.items()} | missing)
    passed = select(events, SELECTIONS[name])
    counted = {"planes", "cells"}
    assert not any(mask.any() for cut, mask in passed.items() if cut not in counted)


@pytest.mark.parametrize("name", COMPOSED)
def test_masks_are_one_truth_value_per_event_for_any_number_of_events(nova, name):
    for n in (0, 1, 100):
        masks = select(nova[:n], find_selection(name))
        assert {(m.shape, m.dtype) for m in masks.values()} == {((n,), np.dtype(bool))}


@pytest.mark.parametrize("name", COMPOSED)
def test_cut_flow_never_grows_and_leaving_a_cut_out_never_loses(nova, name):
    output = NuoneProcessor(name, "none").process(nova)["nd"]
    flow = output["cutflow_events"].values()
    assert np.all(np.diff(flow, axis=1) <= 0)
    left_out, last = output["nminusone"].values(), output["cutflow"].values()[:, -1:]
    assert np.all(left_out >= last * (1 - 1e-12))


def test_both_selections_apply_and_shared_names_stay_apart():
    cuts = find_selection("event_cvn+single_particle_cvn")
    assert len(cuts) == len(SELECTIONS["event_cvn"]) + len(SELECTIONS["single_particle_cvn"])
    assert cuts["vertex_x"] is SELECTIONS["event_cvn"]["vertex_x"]
    assert cuts["single_particle_cvn.vertex_x"] is SELECTIONS["single_particle_cvn"]["vertex_x"]


def test_default_is_the_window_of_the_note():
    assert SELECTION is SELECTIONS["note_window"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("note_windw", "no selection 'note_windw'; closest: note_window"),
        ("note_window+event_cvm", "no selection 'event_cvm'; closest: event_cvn"),
        ("", "no selection ''; known: event_cvn, note_window, single_particle_cvn"),
    ],
)
def test_unknown_selection_is_refused_with_its_neighbours(name, message):
    with pytest.raises(InputError, match=message):
        NuoneProcessor(name)


def test_missing_column_of_a_cut_is_named_with_the_dataset(make_events):
    events = make_events({"recoil_energy": [0.5]})
    with pytest.raises(
        InputError, match="'hand_made': cut 'ttheta2' needs the column 'direction_x"
    ):
        select(events, SELECTIONS["note_window"])


@pytest.mark.parametrize("name", ["note_window", "event_cvn+note_window", *COMPOSED])
def test_sideband_histogram_leaves_out_the_angle_cuts_of_every_selection(make_events, name):
    far = good(make_events, etheta2=[0.045], ttheta2=[0.045])
    passed = select(far, find_selection(name))
    assert shown(passed, "etheta2").tolist() == [True]
    assert shown(passed, "spectrum").tolist() == [False]


def test_awkward_predicates_work_as_well(make_events):
    masks = select(good(make_events, 2), {"any": lambda e: ak.Array([True, False])})
    assert masks["any"].tolist() == [True, False]
