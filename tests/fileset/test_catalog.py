import gzip
import json
from pathlib import Path

import pytest

from fileset import Dataset, InputError, load_fileset
from fileset.catalog import GENERATOR_SIN2_THETA_W


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mc").mkdir()
    for name in ("b.root", "a.root", "notes.txt"):
        (tmp_path / "mc" / name).touch()
    return tmp_path


def described(folder: Path, text: str, name: str = "nova_nd.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_fileset(path)


def one(**entry):
    return load_fileset({"nd": {"files": ["a.root"], **entry}})["nd"]


def test_patterns_are_sorted_and_relative_to_the_folder_of_the_description(folder):
    fileset = described(folder, '[nd]\nfiles = ["mc/*.root"]\ntree = "recTree"')
    expected = {str(folder / "mc" / name): "recTree" for name in ("a.root", "b.root")}
    assert list(fileset["nd"].files.items()) == list(expected.items())


def test_working_directory_does_not_change_what_a_description_means(folder, monkeypatch):
    path = folder / "nova_nd.toml"
    path.write_text('[nd]\nfiles = ["mc/*.root", "other.root"]', encoding="utf-8")
    before = load_fileset(path)
    monkeypatch.chdir(folder / "mc")
    assert load_fileset(path) == before


def test_brackets_in_the_name_of_the_folder_are_not_a_pattern(tmp_path):
    folder = tmp_path / "run[1]"
    folder.mkdir()
    (folder / "a.root").touch()
    fileset = described(folder, '[nd]\nfiles = ["*.root"]')
    assert list(fileset["nd"].files) == [str(folder / "a.root")]


def test_absolute_patterns_and_paths_stay_as_they_are(folder):
    fileset = load_fileset({"nd": {"files": [f"{folder}/mc/*.root", "/elsewhere/x.root"]}})
    names = [str(folder / "mc/a.root"), str(folder / "mc/b.root"), "/elsewhere/x.root"]
    assert list(fileset["nd"].files) == names


def test_a_pattern_of_files_is_a_fileset_of_one_dataset(folder):
    fileset = load_fileset(f"{folder}/mc/*.root")
    assert [len(dataset.files) for dataset in fileset.values()] == [2]


@pytest.mark.parametrize(
    "url", ["root://server.org//store/a.root", "https://server.org/a.root?token=x"]
)
def test_urls_pass_through_unexpanded(folder, url):
    assert list(described(folder, f'[nd]\nfiles = ["{url}"]')["nd"].files) == [url]


def test_every_key_of_a_toml_description_arrives(folder):
    fileset = described(
        folder,
        """
        [nd]
        format = "nova_caf"
        files = ["mc/a.root"]
        is_mc = true
        horn_current = "RHC"
        exposure = "TotalPOT"
        pot = 3
        signal_code = 5
        weight = "rec.weight"
        sin2_theta_w = 0.2387
        """,
    )
    assert fileset["nd"] == Dataset(
        "nd",
        {str(folder / "mc/a.root"): ""},
        "nova_caf",
        True,
        "RHC",
        "TotalPOT",
        3,
        5,
        "rec.weight",
        0.2387,
    )


def test_defaults_leave_everything_to_the_files():
    assert one() == Dataset("nd", {"a.root": ""}, "", None, "", "", None, None, "")
    # GENIE documents its angle; its square of the sine is printed as 0.231295.
    assert pytest.approx(0.231295, abs=5e-7) == GENERATOR_SIN2_THETA_W


def test_plain_coffea_json_with_metadata_is_read(folder):
    entry = {"files": {"mc/a.root": "recTree"}, "metadata": {"is_mc": True, "year": 2020}}
    dataset = described(folder, json.dumps({"nd": entry}), "coffea.json")["nd"]
    assert (dataset.files, dataset.is_mc) == ({str(folder / "mc/a.root"): "recTree"}, True)


@pytest.mark.parametrize("extra", [{}, {"format": "root", "compressed_form": "H4sI", "did": None}])
def test_coffea_json_is_read_as_its_preprocessing_leaves_it(folder, extra):
    file = {"object_path": "caf", "steps": [[0, 500], [500, 900]], "num_entries": 900, "uuid": "u"}
    entry = {"files": {"mc/a.root": file}, "form": None, "metadata": None, **extra}
    dataset = described(folder, json.dumps({"fd": entry}), "coffea.json")["fd"]
    assert (dataset.files, dataset.format) == ({str(folder / "mc/a.root"): "caf"}, "")


@pytest.mark.filterwarnings("ignore:Passing a dict to preprocess:DeprecationWarning")
def test_output_of_coffeas_own_preprocessing_is_read(toy):
    from coffea.dataset_tools import preprocess

    path = str(toy.parent / "signal/nuone_fhc_0000.root")
    fileset = {"signal": {"files": {path: "recTree"}, "metadata": {"horn_current": "FHC"}}}
    available, _ = preprocess(fileset, step_size=700, scheduler="sync")
    dataset = load_fileset(json.loads(json.dumps(available)))["signal"]
    assert dataset == Dataset("signal", {path: "recTree"}, horn_current="FHC")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"fromat": "nova_caf"}, "dataset 'nd': unknown key 'fromat'; closest: format"),
        ({"format": "nova_cfa"}, "unknown format 'nova_cfa'; closest: nova_caf"),
        ({"format": 3}, "format = 3, expected str"),
        ({"is_mc": "yes"}, "is_mc = 'yes', expected bool"),
        ({"is_mc": 1}, "is_mc = 1, expected bool"),
        ({"horn_current": "fhc"}, "horn_current = 'fhc', expected FHC or RHC"),
        ({"pot": "3e20"}, "pot = '3e20', expected int or float"),
        ({"pot": True}, "pot = True, expected int or float"),
        ({"pot": 0.0}, "pot = 0.0, expected protons on target > 0"),
        ({"pot": -1e20}, r"pot = -1e\+20, expected protons on target > 0"),
        ({"pot": float("nan")}, "pot = nan, expected protons on target > 0"),
        ({"pot": float("inf")}, "pot = inf, expected protons on target > 0"),
        ({"signal_code": 5.0}, "signal_code = 5.0, expected int"),
        ({"sin2_theta_w": 1.2}, "sin2_theta_w = 1.2, expected 0 < value < 1"),
        ({"files": []}, "missing key 'files'"),
        ({"files": 3}, "files = 3, expected a list"),
        ({"files": [["a.root"]]}, "expected path and tree"),
        ({"files": {"a.root": 3}}, "expected path and tree"),
        ({"files": ["a.root", "a.root"]}, "file listed twice: a.root"),
        ({"metadata": "x"}, "metadata = 'x', expected keys and values"),
        ({"metadata": {"is_mc": "no"}}, "is_mc = 'no', expected bool"),
    ],
    ids=str,
)
def test_values_that_cannot_be_right_are_refused_by_key(entry, message):
    with pytest.raises(InputError, match=message):
        one(**entry)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "x.toml", r"x\.toml: no dataset in it; add at least one"),
        ("[nd]\nfiles = ]", "x.toml", r"x\.toml: not valid TOML: .*line 2"),
        ("{'nd': 1}", "x.json", r"x\.json: not valid JSON: .*line 1"),
        ("[1, 2]", "x.json", r"x\.json: expected datasets by name, found list"),
        ("nd = 3", "x.toml", r"x\.toml: dataset 'nd': missing key 'files'"),
        ("[nd]\nis_mc = true", "x.toml", r"x\.toml: dataset 'nd': missing key 'files'"),
        ('[nd]\nfiles = ["mc/*.rot"]', "x.toml", r"'nd': no file matches mc/\*\.rot in /"),
        ('[nd]\nfiles = ["a.root"]\npots = 1', "x.toml", r"x\.toml: .*key 'pots'; closest: pot"),
    ],
)
def test_message_about_a_bad_description_names_the_file(folder, text, name, message):
    with pytest.raises(InputError, match=message):
        described(folder, text, name)


def test_missing_description_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.toml: cannot read .*: No such file"):
        load_fileset(tmp_path / "absent.toml")


def test_description_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "packed.json"
    path.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(InputError, match=r"packed\.json: not valid JSON"):
        load_fileset(path)


def test_pattern_on_a_server_without_its_client_is_refused():
    with pytest.raises(InputError, match="cannot list nosuch://server/"):
        one(files=["nosuch://server/*.root"])
