import contextlib
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from fileset import InputError, Ledger, load_fileset
from processors import NuoneProcessor
from processors.categories import CATEGORIES
from processors.pipeline import Execution, process_fileset
from processors.templates import Templates, collect


@pytest.fixture(scope="module")
def templates(toy):
    processor = NuoneProcessor(variations="flux,calibration")
    return process_fileset(load_fileset(toy), processor, Execution())


@pytest.fixture
def saved(templates, tmp_path):
    path = tmp_path / "templates.zip"
    templates.save(path)
    return path


def only(templates, *names):
    return replace(templates, datasets={n: templates.datasets[n] for n in names})


def test_what_is_loaded_is_what_was_saved(templates, saved):
    loaded = Templates.load(saved)
    assert (loaded.ledger, loaded.datasets, loaded.provenance) == (
        templates.ledger,
        templates.datasets,
        templates.provenance,
    )
    assert loaded.histograms.keys() == templates.histograms.keys()
    for name, histogram in templates.histograms.items():
        assert loaded.histograms[name] == histogram
        assert [a.label for a in loaded.histograms[name].axes] == [a.label for a in histogram.axes]


def test_file_has_no_pickle_in_it(saved):
    with zipfile.ZipFile(saved) as archive:
        names = archive.namelist()
        assert {name.rsplit(".", 1)[-1] for name in names} == {"json", "npy"}
        for name in names:
            content = archive.read(name)
            if name.endswith(".npy"):
                assert np.load(io.BytesIO(content), allow_pickle=False).dtype.kind in "fiub"
            else:
                json.loads(content)


def test_failure_while_writing_leaves_the_old_file_and_nothing_else(templates, saved):
    before = saved.read_bytes()
    broken = replace(templates, provenance={"selection": object()})
    with pytest.raises(TypeError, match="not JSON serializable"):
        broken.save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["templates.zip"]


def test_saving_twice_replaces_the_file(templates, saved):
    only(templates, "nd").save(saved)
    assert list(Templates.load(saved).datasets) == ["nd"]


def zipped(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"notes.txt": "hello"}, "not a templates file .*no item named 'templates.json'"),
        ({"templates.json": "{"}, "not a templates file"),
        ({"templates.json": "[1, 2]"}, "not a templates file"),
        ({"templates.json": '{"schema": 99}'}, "templates of schema 99, this version reads 1"),
        ({"templates.json": '{"schema": 1, "histograms": ["x"]}'}, "not a templates file"),
        (
            {"templates.json": '{"schema": 1, "histograms": [], "ledger": [{"a": 1}]}'},
            "not a templates file",
        ),
    ],
)
def test_zip_file_of_something_else_is_refused(tmp_path, content, message):
    path = tmp_path / "x.zip"
    zipped(path, content)
    with pytest.raises(InputError, match=rf"x\.zip: {message}"):
        Templates.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip file" * 100])
def test_file_that_is_not_a_zip_is_refused(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.zip: not a templates file \(.*\); process again"):
        Templates.load(tmp_path / "x.zip")


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.zip: no such templates file; 'process' writes"):
        Templates.load(tmp_path / "absent.zip")
    with pytest.raises(InputError, match=r": not a templates file"):
        Templates.load(tmp_path)


@pytest.mark.parametrize("position", np.linspace(0.0, 0.99, 40))
def test_a_flipped_bit_is_refused_or_harmless_but_never_another_number(templates, saved, position):
    content = bytearray(saved.read_bytes())
    content[int(position * len(content))] ^= 4
    saved.write_bytes(content)
    with contextlib.suppress(InputError):
        assert Templates.load(saved).histograms == templates.histograms


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_truncated_file_is_refused(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="not a templates file"):
        Templates.load(saved)


def test_prediction_scales_every_simulated_dataset_to_one_exposure(templates):
    pot = 3e20
    prediction = templates.prediction(pot)
    assert prediction.axes.name == templates.hist.axes.name[1:]
    view = templates.hist.view(flow=True)
    names = list(templates.hist.axes["dataset"])
    scales = {n: pot / templates.ledger.pot(n) for n in ("signal", "nd")}
    for part, power in (("value", 1), ("variance", 2)):
        expected = sum(view[part][names.index(n)] * s**power for n, s in scales.items())
        # Truth categories come first; the signal templates are no part of the prediction.
        size = prediction.axes["category"].size
        found = prediction.view(flow=True)[part][:size]
        np.testing.assert_allclose(found, expected[:size], rtol=1e-12)
    assert list(prediction.axes["category"]) == list(CATEGORIES)


def test_prediction_is_proportional_to_the_exposure(templates):
    a, b = (templates.prediction(pot).values().sum() for pot in (1e20, 2e20))
    assert b == pytest.approx(2 * a, rel=1e-12, abs=0.0)
    assert a > 0


def test_prediction_of_signal_agrees_between_the_two_samples(templates):
    counts = []
    for name in ("signal", "nd"):
        flow = only(templates, name).prediction(1e21, "cutflow")["nuone", "all"]
        counts.append((flow.value, flow.variance))
    (a, variance_a), (b, variance_b) = counts
    assert abs(a - b) < 4 * np.sqrt(variance_a + variance_b)


@pytest.mark.parametrize("pot", [0.0, -1e20, float("nan")])
def test_prediction_without_an_exposure_is_refused(templates, pot):
    with pytest.raises(InputError, match=r"exposure .* POT, expected > 0; give --pot"):
        templates.prediction(pot)


def test_prediction_without_simulation_is_refused(templates):
    with pytest.raises(InputError, match="no simulated dataset in the templates"):
        only(templates, "nd_data").prediction(1e20)


def test_data_are_the_counts_of_the_data_alone(templates):
    data = templates.data()
    assert data.axes.name == ("recoil_energy", "ttheta2")
    selected = templates.histograms["cutflow_events"]["nd_data", "data", -1]
    assert data.sum(flow=True).value == selected > 0
    assert templates.data("cutflow_events")["all"] == 800
    assert templates.data_pot == templates.ledger.pot("nd_data") > 0


def test_without_data_there_are_none(templates):
    simulated = only(templates, "signal", "nd")
    assert (simulated.data(), simulated.data_pot) == (None, 0)


def test_dataset_that_lacks_a_variation_carries_its_nominal(toy, dune_file):
    fileset = {"nd": load_fileset(toy)["nd"]}
    fileset |= load_fileset({"fd": {"files": [str(dune_file)]}})
    both = process_fileset(fileset, NuoneProcessor(variations="flux,genie"), Execution())
    assert "MECnormUp" in both.variations
    hist = both.hist
    nominal = hist["fd", :, "nominal", ...].view(flow=True)
    assert nominal["value"].sum() > 0
    assert np.array_equal(hist["fd", :, "MECnormUp", ...].view(flow=True), nominal)
    assert not np.array_equal(hist["fd", :, "fluxUp", ...].view(flow=True), nominal)
    own = hist["nd", :, "MECnormUp", ...].values(flow=True)
    assert not np.array_equal(own, hist["nd", :, "nominal", ...].values(flow=True))


def test_alternative_dataset_becomes_a_variation_of_its_base(templates):
    # The same events at twice the exposure: half of them for every proton.
    part = {name: histogram["signal", ...] for name, histogram in templates.histograms.items()}
    rows = [row for row in templates.ledger.rows if row.dataset == "signal"]
    rows += [replace(row, dataset="light", pot=2.0 * row.pot) for row in rows]
    metadata = templates.datasets["signal"]
    light = metadata | {"alternative_to": "signal", "variation": "light_up"}
    found = collect(
        {"signal": part, "light": part},
        Ledger(tuple(rows)),
        {"signal": metadata, "light": light},
        {},
    )
    assert found.simulated == ["signal"]
    prediction = found.prediction(1e21)
    nominal, half = (prediction["nuone", x, ...].values() for x in ("nominal", "lightUp"))
    assert half == pytest.approx(0.5 * nominal)
    assert found.provenance["alternatives"]["light"]["label"] == "lightUp"


def test_data_carry_their_counts_in_every_variation(templates):
    hist = templates.hist
    for label in templates.variations:
        assert hist["nd_data", "data", label, ...].sum(flow=True).value == pytest.approx(
            templates.data().sum(flow=True).value
        )


def test_collecting_keeps_each_dataset_apart(toy, templates):
    processor = NuoneProcessor(variations="none")
    fileset = load_fileset(toy)
    one = process_fileset({"nd": fileset["nd"]}, processor, Execution())
    both = process_fileset({n: fileset[n] for n in ("signal", "nd")}, processor, Execution())
    for name in ("cutflow", "cutflow_events", "nminusone", "spectrum"):
        apart, alone = both.histograms[name]["nd", ...], one.histograms[name]["nd", ...]
        assert np.array_equal(apart.view(flow=True), alone.view(flow=True))


def test_datasets_without_output_are_left_out(templates):
    output = {"nd": {"cutflow": templates.histograms["cutflow"]["nd", ...]}}
    collected = collect(output, templates.ledger, templates.datasets, {})
    assert list(collected.cutflow.axes["dataset"]) == ["nd"]


def test_templates_of_a_format_that_is_not_known_are_refused(templates, tmp_path):
    datasets = {name: m | {"format": "of_tomorrow"} for name, m in templates.datasets.items()}
    path = tmp_path / "x.zip"
    replace(templates, datasets=datasets).save(path)
    with pytest.raises(InputError, match=r"x\.zip: dataset .* is of format 'of_tomorrow'"):
        Templates.load(path)
