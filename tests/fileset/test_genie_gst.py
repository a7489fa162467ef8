import awkward as ak
import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, open_chunk
from fileset.columns import CANONICAL, opening_angle
from fileset.formats.genie_gst import GENIE_GST
from fileset.survey import inspect_dataset
from processors import NuoneProcessor
from processors.kernels import recoil_theta
from processors.kernels.constants import M_E

NAME = "genie_gst"


def described(path, **options):
    return load_fileset({"mc": {"files": [str(path)], **options}})


@pytest.fixture(scope="module")
def real_file(shared):
    return shared / "data/events/genie_gst/gntp.NuMI_C12_Dilepton_inclusive.gst.root"


@pytest.fixture(scope="module")
def real(real_file):
    return open_chunk(described(real_file, pot=1e20), "mc")


# Numu-e, nue-e, nuebar-e, nue CC quasi-elastic, numu CC on two nucleons, NC. Beam along y.
NEUTRINO_ENERGY = [2.0, 1.0, 500.0, 1.0, 2.0, 3.0]
RECOIL_ENERGY = [0.5, 0.9, 250.0, np.nan, np.nan, np.nan]
FLAGS = {
    "nuel": [1, 1, 1, 0, 0, 0],
    "mec": [0, 0, 0, 0, 1, 0],
    "cc": [0, 0, 0, 1, 1, 0],
    "nc": [1, 0, 0, 0, 0, 1],
}
CODES = {
    "neu": [14, 12, -12, 12, 14, 14],
    "fspl": [11, 11, 11, 11, 13, 14],
    "hitnuc": [0, 0, 0, 2112, 2000000201, 2112],
}


def branches():
    angle = recoil_theta(RECOIL_ENERGY, NEUTRINO_ENERGY)
    # The other leptons at right angles to the beam.
    angle = np.where(np.isnan(angle), 0.5 * np.pi, angle)
    energy = np.where(np.isnan(RECOIL_ENERGY), 0.8, np.add(RECOIL_ENERGY, M_E))
    momentum = np.sqrt(energy**2 - M_E**2)
    zero = np.zeros(6)
    return {
        **{name: np.array(values, dtype=bool) for name, values in FLAGS.items()},
        **{name: np.array(values, dtype=np.int32) for name, values in CODES.items()},
        "Ev": np.array(NEUTRINO_ENERGY),
        **{"pxv": zero, "pyv": np.array(NEUTRINO_ENERGY), "pzv": zero},
        "El": energy,
        **{"pxl": momentum * np.sin(angle), "pyl": momentum * np.cos(angle), "pzl": zero},
        **{"vtxx": np.full(6, 0.25), "vtxy": np.full(6, -1.5), "vtxz": np.arange(6.0)},
        "wght": np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0]),
    }


@pytest.fixture
def write(tmp_path):
    def write_file(*left_out):
        content = {k: v for k, v in branches().items() if k not in left_out}
        with uproot.recreate(tmp_path / "events.gst.root") as file:
            file.mktree("gst", {k: v.dtype for k, v in content.items()}).extend(content)
        return tmp_path / "events.gst.root"

    return write_file


@pytest.fixture
def made(write):
    return open_chunk(described(write(), pot=1e20, weight="wght", perfect_detector=True), "mc")


def test_real_file_is_recognised_as_simulation(real_file):
    (info,) = inspect_dataset(described(real_file, pot=1e20)["mc"]).infos
    assert (info.format, info.entries, info.is_mc, info.pot) == (NAME, 182, True, 1e20)


def test_exposure_must_be_given(real_file):
    with pytest.raises(InputError, match=r"no exposure found .* set 'pot' in the description"):
        inspect_dataset(described(real_file)["mc"])


@pytest.mark.parametrize(
    ("column", "branch"),
    [
        ("nu_pdg", "neu"),
        ("true_neutrino_energy", "Ev"),
        ("is_cc", "cc"),
        ("is_nuone", "nuel"),
        ("is_mec", "mec"),
        ("lepton_pdg", "fspl"),
    ],
)
def test_columns_of_the_real_file_are_its_branches(real, real_file, column, branch):
    with uproot.open(real_file) as file:
        np.testing.assert_array_equal(real[column], file["gst"][branch].array(library="np"))


def test_electrons_that_a_pion_left_are_not_the_lepton(real, real_file):
    with uproot.open(real_file) as file:
        assert ak.any(np.abs(file["gst"]["pdgf"].array()) == 11)
        assert not np.any(np.abs(file["gst"]["fspl"].array()) == 11)
    assert np.all(np.isnan(real.true_electron_energy))
    assert np.all(np.isnan(real.true_electron_theta))


def test_every_column_has_its_documented_type(real):
    for name in GENIE_GST.columns:
        assert (name, ak.type(real[name]).content.primitive) == (name, CANONICAL[name].dtype)


def test_total_energy_of_the_electron_is_that_of_the_primary_lepton(made):
    expected = [0.5 + M_E, 0.9 + M_E, 250.0 + M_E, 0.8, np.nan, np.nan]
    np.testing.assert_allclose(made.true_electron_energy, expected, rtol=1e-15)


def test_angle_is_to_the_neutrino_however_small(made):
    expected = [*recoil_theta(RECOIL_ENERGY, NEUTRINO_ENERGY)[:3], 0.5 * np.pi, np.nan, np.nan]
    assert expected[2] < 2e-3
    np.testing.assert_allclose(made.true_electron_theta, expected, rtol=1e-12)


def test_vertices_are_converted_from_metres(made):
    assert made.vertex_x.tolist() == [25.0] * 6
    assert made.vertex_y.tolist() == [-150.0] * 6
    assert made.vertex_z.tolist() == [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]


def test_pairs_of_nucleons_are_recognised_without_the_flag(write):
    events = open_chunk(described(write("mec", "nc"), pot=1e20), "mc")
    assert events.is_mec.tolist() == [False, False, False, False, True, False]


def test_scattering_on_electrons_is_signal_for_every_flavour(made):
    counts = NuoneProcessor(variations="none").process(made)["mc"]["cutflow_events"]
    found = [counts[name, "all"] for name in ("nuone", "nue_cc", "mec", "numu_cc", "nc")]
    assert found == [3, 1, 1, 0, 1]


def test_events_carry_the_generator_weight_and_a_perfect_detector(made):
    flow = NuoneProcessor(variations="none").process(made)["mc"]["cutflow"]
    assert flow["nuone", "all"].value == 4.0
    # Of the recoils only that of 0.5 GeV lies within the window, 0.3 to 0.9 GeV.
    assert flow["nuone", "ttheta2"].value == 1.0


def test_tree_of_the_same_name_from_elsewhere_is_not_recognised(write):
    with pytest.raises(InputError, match="cannot tell the format from its content"):
        inspect_dataset(described(write("nuel"), pot=1e20)["mc"])


def test_angle_to_a_vector_without_length_is_missing():
    angle = opening_angle([[0.0, 1.0, np.nan], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], np.eye(3)[[2]].T)
    np.testing.assert_array_equal(angle, [np.nan, 0.5 * np.pi, np.nan])


def test_angle_of_opposite_vectors_is_pi():
    assert opening_angle([[0.0], [0.0], [2.0]], [[0.0], [0.0], [-3.0]]) == np.pi
