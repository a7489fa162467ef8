import awkward as ak
import numpy as np
import pytest

from fileset import InputError, load_fileset, make_plan, open_chunk
from fileset.columns import CANONICAL
from fileset.formats.nuance_kin import NUANCE_KIN, load, recognise
from fileset.opening import HEAD
from fileset.survey import inspect_dataset
from processors import NuoneProcessor
from processors.kernels import recoil_cos_theta
from processors.kernels.constants import M_E

NAME = "nuance_kin"
SAMPLE, ELASTIC = "sample_outfile.kin", "sntools_es_juno_1kpc_seed7.kin"


def described(path, **options):
    return load_fileset({"mc": {"files": [str(path)], "pot": 1e20, **options}})


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data/events/nue_es_sntools"


@pytest.fixture(scope="module")
def real(folder):
    return {name: open_chunk(described(folder / name), "mc") for name in (SAMPLE, ELASTIC)}


# Numu-e, inverse beta decay, coherent pion production with two stages, and an event without
# neutrino; two of them in one event, as WCSim has it.
TEXT = """\
# Written by hand
$ begin
$ nuance 98
$ vertex 1.5 -2.5 1e2 0.0
$ track 11 0.511 0 0 1 -1
$ track 14 2000.0 0 1 0 -1
$ info 2 949000 0.0000E+00
$ track 14 1400.0 0 1 0 0
$ track 11 600.0 0.6 0.8 0.0 0
$ nuance -1001001
$ vertex 0 0 0 5
$ track -12 30.0 0 0 1 -1
$ track 2212 938.272 0 0 1 -1
$ track -11 28.7 0 0 -1 0
$ track 2112 940.0 0 0 1 0
$ end

$ begin
$ nuance 96
$ vertex 0 0 0 0
$ track 14 1000.0 0 0 1 -1
$ track 8016 14895.0 0 0 1 -1
$ track 11 900.0 0 0 1 -2
$ track 14 700.0 0 0 1 0
$ track 11 50.0 0 0 1 0
$ track -11 200.0 0 1 0 0
$ end
$ begin
$ nuance 0
$ vertex 0 0 0 0
$ track 13 300.0 0 0 1 0
$ end
$ stop
"""
EXPECTED = {
    "vertex_x": [1.5, 0.0, 0.0, 0.0],
    "vertex_y": [-2.5, 0.0, 0.0, 0.0],
    "vertex_z": [100.0, 0.0, 0.0, 0.0],
    "nu_pdg": [14, -12, 14, 0],
    "true_neutrino_energy": [2.0, 0.03, 1.0, np.nan],
    "true_electron_energy": [0.6, 0.0287, 0.2, np.nan],
    "true_electron_theta": [np.arctan2(0.6, 0.8), np.pi, 0.5 * np.pi, np.nan],
    "is_cc": [False, True, False, False],
    "mode": [98, -1001001, 96, 0],
    "lepton_pdg": [14, -11, 14, 13],
}


@pytest.fixture
def write(tmp_path):
    def write_file(text=TEXT, name="events.kin"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write_file


def lines_with(path, keyword):
    """Values of all lines with a keyword, read the simple way."""
    words = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line[2:] for line in words if line[1] == keyword]


@pytest.mark.parametrize(("name", "entries"), [(SAMPLE, 1416), (ELASTIC, 800)])
def test_real_files_are_recognised_and_read_to_the_end(folder, name, entries):
    (info,) = inspect_dataset(described(folder / name)["mc"]).infos
    assert (info.format, info.entries, info.is_mc) == (NAME, entries, True)
    assert len(lines_with(folder / name, "begin")) == entries


@pytest.mark.parametrize("name", [SAMPLE, ELASTIC])
def test_codes_vertices_and_tracks_of_the_real_files_are_their_lines(folder, real, name):
    events = real[name]
    codes = np.array(lines_with(folder / name, "nuance"), dtype=float)
    np.testing.assert_array_equal(events["mode"], codes[:, 0])
    vertices = np.array(lines_with(folder / name, "vertex"), dtype=float)
    for axis, values in zip("xyz", vertices.T[:3], strict=True):
        np.testing.assert_array_equal(events[f"vertex_{axis}"], values)
    tracks = np.array(lines_with(folder / name, "track"), dtype=float)
    for field, values in zip(("pdg", "energy", "x", "y", "z", "flag"), tracks.T, strict=True):
        np.testing.assert_array_equal(ak.flatten(events.track[field]), values)


def test_sntools_sample_holds_47_scatterings_on_electrons_among_the_other_channels(folder):
    events = open_chunk(described(folder / SAMPLE, perfect_detector=True), "mc")
    counts = NuoneProcessor(variations="none").process(events)["mc"]["cutflow_events"]
    # Inverse beta decay and charged currents on oxygen: 1157 + 40 + 69; neutral ones: 103.
    found = [counts[category, "all"] for category in ("nuone", "nue_cc", "nc")]
    assert found == [47, 1266, 103]


@pytest.mark.parametrize(("name", "count"), [(SAMPLE, 47), (ELASTIC, 800)])
def test_scattered_electrons_obey_the_kinematics_of_two_bodies_as_printed(real, name, count):
    events = real[name][np.abs(real[name]["mode"]) == 98]
    energy = np.asarray(events.true_neutrino_energy)
    recoil = np.asarray(events.true_electron_energy) - M_E
    found = np.cos(events.true_electron_theta)
    assert len(found) == count
    # Energies [MeV] and direction cosines have five decimals, half a unit of which is 5e-6.
    half = 5e-9
    shifts = [abs(recoil_cos_theta(recoil, energy) - recoil_cos_theta(recoil - half, energy))]
    shifts += [abs(recoil_cos_theta(recoil, energy) - recoil_cos_theta(recoil, energy + half))]
    assert np.all(np.abs(found - recoil_cos_theta(recoil, energy)) < 5.1e-6 + sum(shifts))


def test_electrons_at_rest_in_the_initial_state_are_not_the_electron(real):
    assert np.min(real[ELASTIC].true_electron_energy) > M_E + 2e-4


def test_sign_of_the_code_is_that_of_the_neutrino_in_sntools(real):
    np.testing.assert_array_equal(np.sign(real[ELASTIC]["mode"]), np.sign(real[ELASTIC].nu_pdg))


def test_every_column_has_its_documented_type(real):
    for name in NUANCE_KIN.columns:
        assert (name, ak.type(real[SAMPLE][name]).content.primitive) == (
            name,
            CANONICAL[name].dtype,
        )


@pytest.mark.parametrize("column", EXPECTED)
def test_columns_of_a_small_file(write, column):
    events = open_chunk(described(write()), "mc")
    np.testing.assert_allclose(events[column], EXPECTED[column], rtol=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT.replace("$ stop\n", ""), id="no stop"),
        pytest.param(TEXT.removesuffix("\n"), id="no end of line"),
        pytest.param(TEXT.replace("\n", "\r\n"), id="Windows"),
        pytest.param("\ufeff" + TEXT, id="byte order mark"),
        pytest.param(TEXT.replace("$ ", "$  \t"), id="other spaces"),
        pytest.param(TEXT.replace("\n$", "\n# \xe9\n\n  $"), id="comments between"),
    ],
)
def test_harmless_differences_change_nothing(write, text):
    path = write(text)
    assert recognise(path.read_bytes()[:HEAD])
    assert load(str(path))[0].tolist() == load(str(write(name="plain.kin")))[0].tolist()


def test_files_one_behind_the_other_are_read_as_one(write):
    assert len(load(str(write(TEXT + TEXT)))[0]) == 8


def test_part_of_a_file_can_be_opened(write):
    (chunk, *_) = make_plan(described(write()))
    assert len(chunk.open()) == 4
    assert chunk.open()[1:3].nuance.tolist() == [-1001001, 96]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"$ begin\n$ nuance 98\n", True),
        (b"# a comment\r\n\r\n$ begin\r\n", True),
        (b"# Generated on 2024-01-01 with the options:\n# Namespace(" + 600 * b"x", True),
        (b"# energy [GeV] flux\n0.5 1e-3\n", False),
        (b"# energy [GeV] flux\n", False),
        (b"$ stop\n", False),
        (b"$PATH\n", False),
        (b"", False),
        (b"root\x00\x00", False),
    ],
)
def test_file_is_recognised_by_its_beginning(head, expected):
    assert recognise(head[:HEAD]) is expected


def damaged(number, line):
    lines = TEXT.splitlines()
    lines[number - 1] = line
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            damaged(7, "$ track 11 600.0 0.6 0.8 0"),
            r"line 7, '\$ track 11 .*': 5 values, expected 6",
        ),
        (damaged(4, "$ vertex 1 2 x 0"), r"line 4, .*: could not convert string to float: 'x'"),
        (damaged(4, "$ vertex 1 2 nan 0"), "line 4, .*: a value is not finite"),
        (damaged(6, "$ track 14.5 2 0 1 0 -1"), r"line 6, .*: invalid literal .*'14\.5'"),
        (damaged(3, "$ nuance"), r"line 3, '\$ nuance': 0 values, expected 1"),
        (
            damaged(2, "$ track 14 2 0 1 0 -1"),
            r"'\$ track' cannot stand at the beginning of the fi",
        ),
        (damaged(16, "$ stop"), r"line 16, '\$ stop': '\$ stop' cannot stand behind '\$ track'"),
        (damaged(18, ""), r"line 19, .*'\$ nuance' cannot stand behind '\$ end'"),
        (damaged(4, ""), r"line 5, .*'\$ track' cannot stand behind '\$ nuance'"),
        (
            damaged(5, "$ trcak 11 0.511 0 0 1 -1"),
            r"line 5, .*no keyword '\$ trcak'; closest: track",
        ),
        (damaged(5, "\x00\x00\x00"), r"line 5, .*no keyword '\$ '; known: begin"),
        (damaged(5, "11 0.511 0 0 1 -1"), r"line 5, .*no keyword '\$ '"),
    ],
)
def test_damaged_line_is_refused_with_its_number(write, text, message):
    with pytest.raises(InputError, match=message):
        load(str(write(text)))


def test_event_that_is_cut_is_refused(write):
    text = "\n".join(TEXT.splitlines()[:24])
    with pytest.raises(InputError, match=r"the event in line 18 has no '\$ end'; the file is cut"):
        load(str(write(text)))


@pytest.mark.parametrize("text", ["$ stop\n", "# Generated on a day\n"])
def test_file_without_events_is_refused(write, text):
    with pytest.raises(InputError, match="there are no events in it; remove the file from"):
        load(str(write(text)))


def test_refusal_names_the_file_and_the_dataset(write):
    path = write(damaged(4, "$ vertex 1 2 3"))
    with pytest.raises(InputError, match=r"dataset 'mc', .*events\.kin: line 4, .*write it again"):
        inspect_dataset(described(path)["mc"])


def test_perfect_detector_finds_the_recoil_in_the_window(write):
    text = TEXT.replace("$ track 11 600.0 0.6 0.8 0.0 0", "$ track 11 600.0 0.03 0.9996 0.0 0")
    events = open_chunk(described(write(text), perfect_detector=True), "mc")
    counts = NuoneProcessor(variations="none").process(events)["mc"]["cutflow_events"]
    assert [counts["nuone", cut] for cut in ("all", "ttheta2")] == [1, 1]
