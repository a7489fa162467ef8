import awkward as ak
import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, open_chunk
from fileset.columns import CANONICAL
from fileset.formats.gibuu import GIBUU
from fileset.survey import inspect_dataset
from processors import NuoneProcessor

NAME = "gibuu"


def described(path, **options):
    return load_fileset({"mc": {"files": [str(path)], "pot": 1e20, **options}})


@pytest.fixture(scope="module")
def real_file(shared):
    return shared / "data/events/gibuu/EventOutput.Pert.00000001.root"


@pytest.fixture(scope="module")
def real(real_file):
    return open_chunk(described(real_file, weight="weight", perfect_detector=True), "mc")


# process_ID, flavor_ID, evType, neutrino and final lepton.
EVENTS = [
    (2, 1, 1, 12, 11),
    (2, 2, 35, 14, 13),
    (2, 3, 2, 16, 15),
    (3, 2, 34, 14, 14),
    (-2, 1, 36, -12, -11),
    (-2, 2, 33, -14, -13),
    (-3, 1, 1, -12, -12),
]
PROCESS, FLAVOUR, TYPE, NEUTRINO, LEPTON = zip(*EVENTS, strict=True)
# At an angle of atan(3/4) to the neutrino.
OUTGOING = {"lepOut_Px": 0.3, "lepOut_Py": 0.0, "lepOut_Pz": 0.4, "lepOut_E": 0.6}
INCOMING = {"lepIn_Px": 0.0, "lepIn_Py": 0.0, "lepIn_Pz": 2.0, "lepIn_E": 2.0}


def write(path, process=PROCESS, **changed):
    count = len(process)
    content = {
        "weight": np.full(count, 0.25),
        "process_ID": np.array(process, dtype=np.int32),
        "flavor_ID": np.array(FLAVOUR[:count], dtype=np.int32),
        "evType": np.array(TYPE[:count], dtype=np.int32),
        **{name: np.full(count, value) for name, value in {**INCOMING, **OUTGOING}.items()},
        **changed,
    }
    with uproot.recreate(path) as file:
        file.mktree("RootTuple", {k: v.dtype for k, v in content.items()}).extend(content)
    return path


@pytest.fixture
def made(tmp_path):
    return open_chunk(described(write(tmp_path / "a.root"), weight="weight"), "mc")


def test_real_file_is_recognised_as_simulation(real_file):
    (info,) = inspect_dataset(described(real_file)["mc"]).infos
    assert (info.format, info.entries, info.is_mc) == (NAME, 4755, True)


@pytest.mark.parametrize(
    ("column", "branch"),
    [
        ("true_neutrino_energy", "lepIn_E"),
        ("true_electron_energy", "lepOut_E"),
        ("mode", "evType"),
        ("generator_weight", "weight"),
    ],
)
def test_columns_of_the_real_file_are_its_branches(real, real_file, column, branch):
    with uproot.open(real_file) as file:
        np.testing.assert_array_equal(real[column], file["RootTuple"][branch].array(library="np"))


def test_real_file_holds_charged_currents_of_electron_neutrinos(real):
    assert set(real.nu_pdg.tolist()) == {12}
    assert set(real.lepton_pdg.tolist()) == {11}
    assert real.is_cc.tolist() == [True] * 4755


def test_angle_in_the_real_file_is_the_polar_one_of_a_beam_along_z(real, real_file):
    with uproot.open(real_file) as file:
        x, y, z = (file["RootTuple"][f"lepOut_P{a}"].array(library="np") for a in "xyz")
    np.testing.assert_allclose(real.true_electron_theta, np.arctan2(np.hypot(x, y), z), rtol=1e-12)


def test_weights_add_up_to_the_cross_section_per_nucleon(real):
    # Above 30 GeV 0.677e-38 cm^2/GeV per nucleon, PDG review of neutrino cross-sections.
    energy, weight = np.asarray(real.true_neutrino_energy), np.asarray(real.generator_weight)
    assert weight.sum() / energy.mean() == pytest.approx(0.677, rel=0.05)


def test_every_column_has_its_documented_type(real):
    for name in GIBUU.columns:
        assert (name, ak.type(real[name]).content.primitive) == (name, CANONICAL[name].dtype)


def test_weights_below_zero_in_the_real_file_are_refused_unless_asked_for(real_file, real):
    with pytest.raises(InputError, match="'generator_weight' is negative"):
        NuoneProcessor(variations="none").process(real)
    options = {"weight": "weight", "perfect_detector": True, "negative_weights": "keep"}
    events = open_chunk(described(real_file, **options), "mc")
    flow = NuoneProcessor(variations="none").process(events)["mc"]["cutflow"]
    assert flow["nue_cc", "all"].value == pytest.approx(np.sum(events.weight), rel=1e-12)


def test_neutrino_and_lepton_follow_from_process_and_flavour(made):
    assert made.nu_pdg.tolist() == list(NEUTRINO)
    assert made.lepton_pdg.tolist() == list(LEPTON)
    assert made.is_cc.tolist() == [True, True, True, False, True, True, False]


def test_electron_is_missing_where_the_lepton_is_another(made):
    electron = [True, False, False, False, True, False, False]
    expected = np.where(electron, 0.6, np.nan)
    np.testing.assert_array_equal(made.true_electron_energy, expected)
    expected = np.where(electron, np.arctan(0.75), np.nan)
    np.testing.assert_allclose(made.true_electron_theta, expected, rtol=1e-15)


def test_nothing_is_signal_and_pairs_of_nucleons_are_told(tmp_path):
    path = write(tmp_path / "a.root")
    events = open_chunk(described(path, weight="weight", perfect_detector=True), "mc")
    counts = NuoneProcessor(variations="none").process(events)["mc"]["cutflow_events"]
    found = [counts[name, "all"] for name in ("nuone", "nue_cc", "mec", "numu_cc", "nc", "other")]
    # Electron neutrinos come first: the antineutrino's pair counts there.
    assert found == [0, 2, 1, 1, 2, 1]


@pytest.mark.parametrize("process", [1, -1])
def test_electron_scattering_is_refused(tmp_path, process):
    events = open_chunk(described(write(tmp_path / "a.root", process=[process])), "mc")
    with pytest.raises(InputError, match=r"a\.root.*: process_ID \+-1 is electron scattering, exp"):
        np.asarray(events.nu_pdg)
