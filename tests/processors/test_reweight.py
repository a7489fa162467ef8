from collections import Counter

import awkward as ak
import numpy as np
import pytest
from scipy import stats

from fileset import InputError, load_fileset, open_chunk
from fileset.simulate import simulate
from fileset.survey import inspect_dataset
from processors.categories import AXIS, SIGNAL, categorise
from processors.columns import add_columns
from processors.histograms import LABELS
from processors.hypotheses import BASIS, TEMPLATES
from processors.nuone import NuoneProcessor
from processors.reading import as_columns
from processors.reweight import nominal_weights, radiative_weight, template_weights

MU = 1e-9
EVENTS = 30_000

# 30-digit reference values of the physics specification.
K_SM = 1.72326594630963776990e-41  # 2 G_F^2 m_e / pi [cm^2/GeV]
K_MAG = 2.49467202454263773342e-25  # pi alpha^2 / m_e^2 [cm^2]
M_E = 0.51099895e-3  # [GeV]
SIN2 = 0.231295

MAGNETIC = ("magnetic_nue", "magnetic_numu")

COUPLINGS = {
    12: (0.5 + SIN2, SIN2),
    -12: (SIN2, 0.5 + SIN2),
    14: (-0.5 + SIN2, SIN2),
    -14: (SIN2, -0.5 + SIN2),
}


def magnetic_ratio(events):
    """Weights of the magnetic templates of all flavours, back in the order of the events."""
    ratio = np.full(len(events), np.nan)
    for label, (index, values) in template_weights(events, MAGNETIC).items():
        assert label in MAGNETIC
        ratio[index] = values
    return ratio


@pytest.fixture(scope="module")
def signal(tmp_path_factory):
    """SM and magnetic samples: events and exposure of each."""
    folder = tmp_path_factory.mktemp("closure")
    samples = {}
    for mu, seed in ((0.0, 20), (MU, 21)):
        files = simulate(folder, sample="nuone", events=EVENTS, seed=seed, mu_nu=mu)
        fileset = load_fileset({"nuone": {"files": list(map(str, files))}})
        pot = sum(info.pot for info in inspect_dataset(fileset["nuone"]).infos)
        samples[mu] = add_columns(open_chunk(fileset, "nuone")), pot
    return samples


EDGES = {
    "true_recoil_energy": [*np.geomspace(0.1, 5.0, 16), np.inf],  # [GeV]
    # Beyond the kinematic limit, 0.001: the reconstructed angle is smeared.
    "ttheta2": [*np.linspace(0.0, 0.006, 13), np.inf],  # [GeV rad^2]
}


def spectrum(events, weight, column):
    """Sum and variance of weights in bins of a column, with the overflow."""
    values, edges = ak.to_numpy(events[column]), EDGES[column]
    return tuple(np.histogram(values, edges, weights=weight**power)[0] for power in (1, 2))


def chi2(a, b):
    return np.sum((a[0] - b[0]) ** 2 / (a[1] + b[1]))


@pytest.mark.parametrize("column", EDGES)
def test_simulated_moment_agrees_with_reweighted_standard_model(signal, column):
    (sm, pot_sm), (magnetic, pot) = signal[0.0], signal[MU]
    simulated = spectrum(magnetic, np.full(len(magnetic), 1e20 / pot), column)
    reweighted = spectrum(sm, 1e20 / pot_sm * (1.0 + MU**2 * magnetic_ratio(sm)), column)
    unweighted = spectrum(sm, np.full(len(sm), 1e20 / pot_sm), column)
    assert 0.005 < stats.chi2.sf(chi2(simulated, reweighted), len(EDGES[column]) - 1) < 0.995
    assert chi2(simulated, unweighted) > 200.0


def test_magnetic_ratio_is_the_ratio_of_the_published_formulas(signal):
    events = signal[0.0][0][:200]
    names = ("true_recoil_energy", "true_neutrino_energy", "nu_pdg")
    expected = []
    for T, E_nu, pdg in zip(*(events[name].tolist() for name in names), strict=True):
        g_L, g_R = COUPLINGS[pdg]
        sm = K_SM * (g_L**2 + g_R**2 * (1 - T / E_nu) ** 2 - g_L * g_R * M_E * T / E_nu**2)
        expected.append(K_MAG * (1 / T - 1 / E_nu) / sm)
    np.testing.assert_allclose(magnetic_ratio(events), expected, rtol=1e-9)


def test_magnetic_ratio_uses_the_mixing_angle_of_the_generator(make_events):
    truth = {"true_recoil_energy": [0.5], "true_neutrino_energy": [2.0], "nu_pdg": [14]}
    low, high = (magnetic_ratio(make_events(truth, sin2_theta_w=s))[0] for s in (0.223, 0.2387))
    # Up to the mass term, below 1e-3: g_L^2 + g_R^2 (1 - y)^2 with y = 1/4.
    sm_low, sm_high = ((s - 0.5) ** 2 + s**2 * 0.75**2 for s in (0.223, 0.2387))
    assert low / high == pytest.approx(sm_high / sm_low, rel=1e-4, abs=0.0)


def test_template_weights_are_never_applied_to_background(toy):
    events = as_columns(add_columns(open_chunk(load_fileset(toy), "nd")))
    entries = NuoneProcessor().entries(events, list(TEMPLATES), [])
    signal = np.flatnonzero(categorise(events) == AXIS.index(SIGNAL))
    template = entries.category >= len(AXIS)
    assert sorted(entries.row[template]) == sorted(signal.tolist() * len(BASIS))
    assert entries.row[~template].tolist() == list(range(len(events)))
    assert np.all(entries.weight[~template] == 1.0)
    labels = np.array(LABELS)[entries.category]
    magnetic = np.char.startswith(labels, "magnetic_")
    order = np.argsort(entries.row[magnetic])
    expected = magnetic_ratio(events[signal])
    np.testing.assert_array_equal(entries.weight[magnetic][order], expected)


def test_weight_that_is_replaced_is_left_out_of_the_nominal_one(make_events):
    columns = {"generator_weight": [2.0, 3.0], "flux_weight": [0.0, 0.5]}
    events = make_events(columns, event_weight=10.0)
    assert nominal_weights(events).tolist() == [0.0, 15.0]
    assert nominal_weights(events, without="flux_weight").tolist() == [20.0, 30.0]


def test_signal_is_known_by_its_code_and_not_by_its_neighbours(make_events):
    columns = {
        "interaction_type": [1098, 1001, 1098, -1, 1100, 1004, 1006, 1001],
        "nu_pdg": [14, 14, -12, 0, 14, -12, 12, 16],
        "mode": [5, 0, 5, -1, 10, 1, 1, 0],
        "is_cc": [False, True, True, False, True, True, False, True],
    }
    names = [AXIS[i] for i in categorise(make_events(columns))]
    assert names == ["nuone", "numu_cc", "nuone", "cosmic", "mec", "nue_cc", "nc", "other"]


def test_inelastic_muon_production_is_not_signal_where_the_lepton_is_known(make_events):
    columns = {"mode": [5, 5], "lepton_pdg": [11, -13], "nu_pdg": [14, 14], "is_cc": [False, True]}
    events = make_events(columns, codes={"nuone": [["mode", 5]], "mec": []})
    assert [AXIS[i] for i in categorise(events)] == ["nuone", "numu_cc"]


def test_data_have_one_category_and_weight_one(make_events):
    events = make_events({"x": [1.0, 2.0]}, is_mc=False, event_weight=3.0)
    assert [AXIS[i] for i in categorise(events)] == ["data", "data"]
    assert nominal_weights(events).tolist() == [1.0, 1.0]


def test_nominal_weight_is_the_product_of_those_that_exist(make_events):
    columns = {"generator_weight": [2.0, 1.0], "flux_weight": [0.5, 0.9]}
    assert nominal_weights(make_events(columns, event_weight=10.0)).tolist() == [10.0, 9.0]
    assert nominal_weights(make_events({"x": [1.0]}, event_weight=0.25)).tolist() == [0.25]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["generator_weight", "flux_weight"])
def test_weight_that_is_not_finite_is_refused_by_name(make_events, name, bad):
    events = make_events({name: [1.0, bad, bad]})
    with pytest.raises(InputError, match=f"'hand_made': '{name}' is not finite in 2 of 3 values"):
        nominal_weights(events)


@pytest.mark.parametrize("name", ["generator_weight", "flux_weight"])
def test_negative_weight_is_refused_by_name_with_what_to_do(make_events, name):
    events = make_events({name: [1.0, -2.0, -0.5]})
    with pytest.raises(InputError, match=f"'{name}' is negative in 2 of 3 values; .*\"clip\" or"):
        nominal_weights(events)


def test_negative_weights_are_clipped_and_counted_where_the_dataset_says_so(make_events):
    events = make_events({"generator_weight": [1.0, -2.0, -0.5]}, negative_weights="clip")
    clipped = Counter()
    assert nominal_weights(events, clipped).tolist() == [1.0, 0.0, 0.0]
    assert clipped == {"generator_weight": 2}


def test_negative_weights_are_kept_where_the_dataset_says_so(make_events):
    events = make_events({"generator_weight": [1.0, -2.0]}, negative_weights="keep")
    assert nominal_weights(events).tolist() == [1.0, -2.0]


def test_signal_without_truth_is_refused(make_events):
    truth = {"true_recoil_energy": [np.nan], "true_neutrino_energy": [2.0], "nu_pdg": [14]}
    with pytest.raises(InputError, match="'magnetic template' is not finite in 1 of 1 values"):
        magnetic_ratio(make_events(truth))


def test_electron_above_the_kinematic_limit_is_refused(make_events):
    truth = {"true_recoil_energy": [2.5], "true_neutrino_energy": [2.0], "nu_pdg": [14]}
    with pytest.raises(InputError, match="above the kinematic limit in 1 of 1 nu-e events"):
        magnetic_ratio(make_events(truth))


def test_electron_at_the_limit_up_to_single_precision_is_inside(make_events):
    T = 2 * 2.0**2 / (2 * 2.0 + M_E)
    truth = {"true_neutrino_energy": [2.0], "nu_pdg": [14]}
    events = make_events(truth | {"true_recoil_energy": [T * (1 + 1e-7)]})
    assert magnetic_ratio(events)[0] > 0.0


@pytest.mark.parametrize(("pdg", "low", "high"), [(14, 1.005, 1.03), (12, 0.96, 0.99)])
def test_radiative_correction_has_the_published_sign_and_size(make_events, pdg, low, high):
    truth = {"true_recoil_energy": [0.7], "true_neutrino_energy": [2.0], "nu_pdg": [pdg]}
    (ratio,) = radiative_weight(make_events(truth), "sarantakos")
    assert low < ratio < high


def test_no_radiative_scheme_leaves_the_generator_as_it_is(make_events):
    assert radiative_weight(make_events({"x": [1.0, 2.0]}), "none").tolist() == [1.0, 1.0]
