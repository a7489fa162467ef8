import awkward as ak
import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, open_chunk
from fileset.columns import CANONICAL
from fileset.formats.nuisance_flattree import NUISANCE_FLATTREE
from fileset.survey import inspect_dataset
from processors import NuoneProcessor
from processors.kernels import recoil_theta
from processors.kernels.constants import M_E

NAME = "nuisance_flattree"


def described(path, **options):
    return load_fileset({"mc": {"files": [str(path)], "pot": 1e20, **options}})


@pytest.fixture(scope="module")
def real_file(shared):
    return shared / "data/events/nuwro_flattree/NuWro_numu_x_numu_FlatTree_Beam.root"


@pytest.fixture(scope="module")
def real(real_file):
    return open_chunk(described(real_file, perfect_detector=True), "mc")


@pytest.fixture(scope="module")
def branches(real_file):
    with uproot.open(real_file) as file:
        return file["FlatTree_VARS"].arrays(library="np")


def elastic(energy, recoil):
    """Final electron and neutrino, momenta and energies, of a neutrino along z."""
    theta = float(recoil_theta(recoil, energy))
    momentum = np.sqrt(recoil * (recoil + 2.0 * M_E))
    electron = momentum * np.array([np.sin(theta), 0.0, np.cos(theta)])
    return electron, recoil + M_E, np.array([0.0, 0.0, energy]) - electron, energy - recoil


FAST, SLOW = elastic(2.0, 1.5), elastic(2.0, 0.4)
UP = np.array([1.0, 0.0, 0.0])
REMNANT = (1000060120, np.zeros(3), 11.2)


def products(scattered, neutrino, *more):
    electron, energy, outgoing, rest = scattered
    return [(11, electron, energy), (neutrino, outgoing, rest), *more]


# Mode, neutrino, final-state particles (PDG code, momentum, energy).
EVENTS = {
    "numu-e, electron faster": (54, 14, products(FAST, 14)),
    "numubar-e, neutrino faster": (-54, -14, products(SLOW, -14, REMNANT)),
    "numu-e of an older release": (59, 14, products(SLOW, 14)),
    "nue-e of an older release": (0, 12, products(SLOW, 12, REMNANT)),
    "unknown with a muon": (0, 14, [(13, UP, 1.1)]),
    "unknown with a pion": (0, 12, [*products(FAST, 12), (111, UP, 1.2)]),
    "nue CC": (1, 12, [(11, 0.3 * UP, 0.3), (2212, UP, 1.4)]),
    "numu CC on two nucleons": (2, 14, [(13, UP, 1.1), (2212, UP, 1.4)]),
    "NC with electrons of a pion": (31, 14, [(14, UP, 1.0), (11, UP, 0.2), (-11, UP, 0.2)]),
    "inverse muon decay": (55, 14, [(13, UP, 1.1), (12, 0.1 * UP, 0.1)]),
    "no lepton": (9999, 14, [(2212, UP, 1.4)]),
}
NUONE = [True, True, True, True, False, False, False, False, False, False, False]
LEPTON = [11, -14, 14, 12, 13, 11, 11, 13, 14, 13, 0]
# The fastest of these is what NUISANCE calls the lepton.
LEPTONS = (11, 12, 13, 14)


def content():
    rows = []
    for mode, neutrino, particles in EVENTS.values():
        leptons = [p for p in particles if abs(p[0]) in LEPTONS]
        empty = (0, np.full(3, np.nan), -999.9)
        pdg, momentum, energy = max(leptons, key=lambda p: np.linalg.norm(p[1]), default=empty)
        cosine = momentum[2] / np.linalg.norm(momentum) if pdg else -999.9
        rows.append((mode, neutrino, pdg, energy, cosine))
    mode, neutrino, pdg, energy, cosine = zip(*rows, strict=True)
    particles = [event[2] for event in EVENTS.values()]
    return {
        "Mode": ak.Array(np.array(mode, dtype=np.int32)),
        "PDGnu": ak.Array(np.array(neutrino, dtype=np.int32)),
        "Enu_true": ak.Array(np.full(len(rows), 2.0, dtype=np.float32)),
        "PDGLep": ak.Array(np.array(pdg, dtype=np.int32)),
        "ELep": ak.Array(np.array(energy, dtype=np.float32)),
        "CosLep": ak.Array(np.array(cosine, dtype=np.float32)),
        "Weight": ak.Array(np.full(len(rows), 0.5, dtype=np.float32)),
        "pdg": ak.values_astype([[p[0] for p in event] for event in particles], "int32"),
        "E": ak.values_astype([[p[2] for p in event] for event in particles], "float32"),
        **{
            f"p{axis}": ak.values_astype([[p[1][i] for p in event] for event in particles], "f4")
            for i, axis in enumerate("xyz")
        },
    }


LIST = ("pdg", "E", "px", "py", "pz")


@pytest.fixture
def write(tmp_path):
    def write_file(*left_out):
        kept = {k: v for k, v in content().items() if k not in left_out}
        with uproot.recreate(tmp_path / "flat.root") as file:
            tree = file.mktree("FlatTree_VARS", {k: v.type.content for k, v in kept.items()})
            tree.extend(kept)
        return tmp_path / "flat.root"

    return write_file


@pytest.fixture
def whole(write):
    return open_chunk(described(write(), weight="Weight", perfect_detector=True), "mc")


@pytest.fixture
def reduced(write):
    return open_chunk(described(write("PDGnu", "Weight", *LIST)), "mc")


def test_real_file_is_recognised_as_simulation(real_file):
    (info,) = inspect_dataset(described(real_file)["mc"]).infos
    assert (info.format, info.entries, info.is_mc) == (NAME, 49996, True)


@pytest.mark.parametrize(
    ("column", "branch"),
    [("true_neutrino_energy", "Enu_true"), ("mode", "Mode"), ("lepton_pdg", "PDGLep")],
)
def test_columns_of_the_real_file_are_its_branches(real, branches, column, branch):
    np.testing.assert_array_equal(real[column], branches[branch])


def test_charged_currents_of_the_real_file_are_the_modes_below_thirty(real, branches):
    np.testing.assert_array_equal(real.is_cc, np.abs(branches["Mode"]) < 30)


def test_real_file_holds_muon_neutrinos_and_no_electron(real):
    assert set(real.nu_pdg.tolist()) == {14}
    assert np.all(np.isnan(real.true_electron_energy))
    assert np.all(np.isnan(real.true_electron_theta))


def test_real_file_holds_no_signal_and_its_pairs_of_nucleons_are_told(real, branches):
    counts = NuoneProcessor(variations="none").process(real)["mc"]["cutflow_events"]
    assert counts["nuone", "all"] == 0
    assert counts["mec", "all"] == np.count_nonzero(branches["Mode"] == 2)


def test_every_column_has_its_documented_type(real):
    for name in NUISANCE_FLATTREE.columns:
        assert (name, ak.type(real[name]).content.primitive) == (name, CANONICAL[name].dtype)


def test_scattering_on_electrons_is_found_by_mode_or_by_its_final_state(whole):
    assert whole.is_nuone.tolist() == NUONE


def test_fastest_lepton_is_the_lepton(whole):
    assert whole.lepton_pdg.tolist() == LEPTON


def test_struck_electron_is_no_charged_current(whole):
    expected = [False, False, False, False, True, True, True, True, False, True, False]
    assert whole.is_cc.tolist() == expected


def test_electron_behind_a_faster_neutrino_comes_from_the_list(whole):
    fast, slow = 1.5 + M_E, 0.4 + M_E
    lost = [np.nan] * 4
    expected = [fast, slow, slow, slow, np.nan, fast, 0.3, *lost]
    np.testing.assert_allclose(whole.true_electron_energy, expected, rtol=1e-7)


def test_angle_of_the_electron_obeys_the_kinematics_of_two_bodies(whole):
    fast, slow = recoil_theta([1.5, 0.4], 2.0)
    np.testing.assert_allclose(whole.true_electron_theta[:4], [fast, slow, slow, slow], rtol=1e-5)


def test_angle_of_other_electrons_comes_from_the_cosine(whole):
    expected = [np.nan, recoil_theta(1.5, 2.0), 0.5 * np.pi, np.nan, np.nan, np.nan, np.nan]
    # The cosine has the seven digits of a float32.
    np.testing.assert_allclose(whole.true_electron_theta[4:], expected, atol=1e-5)


def test_events_carry_the_weight_the_dataset_asks_for(whole):
    flow = NuoneProcessor(variations="none").process(whole)["mc"]["cutflow"]
    assert flow["nuone", "all"].value == 2.0
    # Recoils of 0.4 GeV lie within the window, 0.3 to 0.9 GeV.
    assert flow["nuone", "ttheta2"].value == 1.5


def test_reduced_tree_knows_scattering_on_electrons_by_its_mode_alone(reduced):
    assert reduced.is_nuone.tolist() == [True, True, True] + [False] * 8


def test_reduced_tree_tells_the_flavour_unless_the_lepton_was_struck(reduced):
    assert reduced.nu_pdg.tolist() == [0, -14, 14, 12, 14, 12, 12, 14, 14, 14, 0]


def test_electron_behind_a_faster_neutrino_is_missing_in_a_reduced_tree(reduced):
    expected = [1.5 + M_E, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(reduced.true_electron_energy[:4], expected, rtol=1e-7)
    expected = [recoil_theta(1.5, 2.0), np.nan, np.nan, np.nan]
    np.testing.assert_allclose(reduced.true_electron_theta[:4], expected, atol=1e-5)


def test_tree_of_the_same_name_without_a_mode_is_not_recognised(write):
    with pytest.raises(InputError, match="cannot tell the format from its content"):
        inspect_dataset(described(write("Mode"))["mc"])
