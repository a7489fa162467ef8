import pickle
from dataclasses import replace

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from fileset import InputError, baskets, load_fileset, make_plan
from fileset.coffea_api import accumulate
from fileset.formats.nova_caf import NUMI_BEAM_DIRECTION
from processors import VARIATIONS, NuoneProcessor, nuone
from processors.categories import AXIS
from processors.histograms import HISTOGRAMS
from processors.pipeline import Execution, process_fileset

M_E = 0.51099895e-3  # [GeV]
SELECTION = "single_particle_cvn+note_window"


@pytest.fixture(scope="module")
def fileset(toy):
    return load_fileset(toy)


@pytest.fixture(scope="module")
def chunk(fileset):
    """First 1500 slices of the mixed sample."""
    return next(c for c in make_plan(fileset) if c.dataset == "nd")


@pytest.fixture(scope="module")
def output(chunk):
    return NuoneProcessor().process(chunk.open())["nd"]


@pytest.fixture(scope="module")
def raw(chunk):
    """Columns by uproot alone, for an independent computation."""
    png = "rec.vtx.elastic.fuzzyk.png"
    with uproot.open(chunk.path) as file:
        tree = file["recTree"]

        def leading(name):
            rows = tree[name].array(entry_stop=chunk.stop).tolist()
            return np.array([row[0] if row else np.nan for row in rows])

        direction = np.stack([leading(f"{png}.dir.{axis}") for axis in "xyz"])
        cosine = NUMI_BEAM_DIRECTION @ direction / np.linalg.norm(direction, axis=0)
        energy = leading(f"{png}.shwlid.calE")
        return {
            # A negative energy is a sentinel.
            "energy": np.where(energy < 0, np.nan, energy),
            "theta": np.arccos(np.clip(cosine, -1, 1)),
            "signal": leading("rec.mc.nu.inttype") == 1098,
        }


def windowed(raw, energy_scale, angle_scale, category):
    """Expected counts in the spectrum after the note's window."""
    T = energy_scale * raw["energy"] - M_E
    ttheta2 = T * (angle_scale * raw["theta"]) ** 2
    with np.errstate(invalid="ignore"):
        keep = (T > 0.3) & (T < 0.9) & (ttheta2 < 0.003) & category
    edges = [axis.edges for axis in HISTOGRAMS["spectrum"].axes]
    return np.histogram2d(T[keep], ttheta2[keep], edges)[0]


@pytest.mark.parametrize(
    ("label", "energy", "angle"),
    [
        ("nominal", 1.0, 1.0),
        ("calibrationUp", 1.05, 1.0),
        ("calibrationDown", 0.95, 1.0),
        ("angleUp", 1.0, 1.05),
        ("angleDown", 1.0, 0.95),
    ],
)
def test_spectrum_and_its_shifts_match_an_independent_computation(
    output, raw, label, energy, angle
):
    expected = windowed(raw, energy, angle, raw["signal"])
    assert expected.sum() > 5
    values = output["spectrum"]["nuone", label, ...].values()
    np.testing.assert_allclose(values, expected, atol=1e-9)


def test_shifts_change_the_yield(raw):
    yields = {scale: windowed(raw, scale, 1.0, True).sum() for scale in (0.95, 1.0, 1.05)}
    assert len(set(yields.values())) > 1


def test_weight_variation_scales_what_is_selected(output):
    spectrum = output["spectrum"]
    nominal = spectrum["numu_cc", "nominal", ...].values()
    np.testing.assert_allclose(spectrum["numu_cc", "fluxUp", ...].values(), 1.1 * nominal)
    np.testing.assert_allclose(spectrum["numu_cc", "fluxDown", ...].values(), 0.9 * nominal)


def test_variation_axis_has_the_labels_of_every_variation_once(chunk, output):
    labels = list(output["spectrum"].axes["variation"])
    made = [v for v in VARIATIONS.values() if v.default]
    expected = [label for v in made for label in v.labels(chunk.metadata)]
    assert labels[0] == "nominal"
    assert sorted(labels[1:]) == sorted(expected)


def test_only_the_variations_asked_for_are_filled(chunk):
    output = NuoneProcessor(variations="angle,flux").process(chunk.open())["nd"]
    labels = ["nominal", "fluxUp", "fluxDown", "angleUp", "angleDown"]
    assert list(output["etheta2"].axes["variation"]) == labels


def test_data_are_counted_once_and_have_no_variations(fileset):
    chunk = next(c for c in make_plan(fileset) if c.dataset == "nd_data")
    output = NuoneProcessor().process(chunk.open())["nd_data"]
    assert list(output["spectrum"].axes["variation"]) == ["nominal"]
    flow = output["cutflow"].values()
    assert flow[-1, 0] == chunk.stop - chunk.start
    assert not flow[:-1].any()
    total = output["spectrum"].sum(flow=True).value
    assert total == output["cutflow"]["data", -1].value > 0


def test_first_step_of_the_cut_flow_counts_every_entry_once(chunk, output):
    flow = output["cutflow_events"]
    counts = {name: flow[name, "all"] for name in flow.axes["category"]}
    assert counts["nuone"] > 0
    assert sum(counts.values()) == chunk.stop - chunk.start


def test_last_step_of_the_cut_flow_is_what_is_in_the_spectrum(output):
    in_spectrum = output["spectrum"][:, "nominal", ...].project("category").values(flow=False)
    # The signal templates come after the categories and are not in the cut flow.
    flow = output["spectrum"].view(flow=True)["value"][: len(AXIS), 0].sum(axis=(1, 2))
    in_spectrum = in_spectrum[: len(AXIS)]
    np.testing.assert_allclose(flow, output["cutflow"].values()[:, -1])
    assert np.all(in_spectrum <= flow * (1 + 1e-12))


def test_leaving_a_cut_out_matches_a_direct_count(output, raw):
    T = raw["energy"] - M_E
    ttheta2 = T * raw["theta"] ** 2
    in_window = (T > 0.3) & (T < 0.9) & raw["signal"]
    forward = (ttheta2 < 0.003) & raw["signal"]
    n_minus_one = output["nminusone"]
    assert n_minus_one["nuone", "ttheta2"].value == np.count_nonzero(in_window)
    assert n_minus_one["nuone", "recoil_energy"].value == np.count_nonzero(forward)


def test_sideband_of_the_angle_is_kept_in_its_histogram(output, raw):
    T = raw["energy"] - M_E
    inside = (T > 0.3) & (T < 0.9) & raw["signal"]
    etheta2 = (raw["energy"] * raw["theta"] ** 2)[inside]
    expected = np.histogram(etheta2, HISTOGRAMS["etheta2"].axes[0].edges)[0]
    np.testing.assert_allclose(output["etheta2"]["nuone", "nominal", :].values(), expected)
    assert output["etheta2"].sum(flow=True).value > output["spectrum"].sum(flow=True).value


def equal(a, b, rtol=1e-12):
    """Whether two outputs of one dataset agree, histogram by histogram."""
    assert a.keys() == b.keys()
    for name in (name for name in a if isinstance(a[name], hist.Hist)):
        assert a[name].axes == b[name].axes
        x, y = (h.view(flow=True) for h in (a[name], b[name]))
        for part in x.dtype.names or (...,):
            np.testing.assert_allclose(x[part], y[part], rtol=rtol, atol=0, err_msg=name)
    return True


@pytest.mark.parametrize("selection", ["note_window", SELECTION])
def test_a_chunk_is_the_sum_of_its_parts_and_of_nothing(chunk, selection):
    processor = NuoneProcessor(selection)
    parts = [replace(chunk, start=0, stop=601), replace(chunk, start=601)]
    a, b = (processor.process(part.open()) for part in parts)
    nothing = processor.process(chunk.open()[:0])
    total = processor.postprocess(accumulate([a, nothing, b]))["nd"]
    whole = processor.postprocess(processor.process(chunk.open()))["nd"]
    assert equal(total, whole, rtol=1e-10)
    assert [key[1:] for key in total["ledger"]] == [(0, 601), (0, 1500), (601, 1500)]


def test_processor_is_stateless_and_survives_pickle(chunk, output):
    processor = NuoneProcessor()
    before = dict(vars(processor))
    first = processor.process(chunk.open())["nd"]
    again = pickle.loads(pickle.dumps(processor)).process(chunk.open())["nd"]
    assert vars(processor) == before
    assert equal(first, again, rtol=0.0)
    assert equal(first, output, rtol=0.0)


def test_events_are_not_changed_by_processing(chunk):
    events = chunk.open()
    NuoneProcessor().process(events)
    assert events.fields == ["hdr", "vtx", "slc", "sel", "mc"]


def test_radiative_correction_touches_the_standard_model_signal_alone(chunk, output):
    corrected = NuoneProcessor(radiative="sarantakos").process(chunk.open())["nd"]
    flow = corrected["cutflow"].values() / output["cutflow"].values().clip(1e-300)
    names = list(output["cutflow"].axes["category"])
    changed = {names[i] for i in np.argwhere((flow != 1.0) & (flow != 0.0))[:, 0]}
    assert changed == {"nuone"}
    assert 0.97 < flow[names.index("nuone"), 0] < 1.03


def test_coffeas_own_runner_gives_the_same(fileset):
    ours, stock = (
        process_fileset(fileset, NuoneProcessor(), Execution(engine=engine, chunksize=900))
        for engine in ("nudipole", "coffea")
    )
    assert ours.datasets == stock.datasets
    assert equal(dict(ours.histograms), dict(stock.histograms))
    for name in ours.datasets:
        assert stock.ledger.entries(name) == ours.ledger.entries(name)
        assert stock.ledger.pot(name) == pytest.approx(ours.ledger.pot(name), rel=1e-12, abs=0.0)


def rewritten(chunk, path, change):
    """Copy of the file of a chunk whose branches went through ``change``."""
    with uproot.open(chunk.path) as file, uproot.recreate(path) as copy:
        names = [name for name in file["recTree"].keys() if name.startswith("rec.")]
        content = {name: file["recTree"][name].array() for name in names}
        change(content)
        tree = copy.mktree("recTree", {k: v.type.content for k, v in content.items()})
        tree.extend(content)
    return load_fileset({"nd": {"files": [str(path)], "pot": 1e20}})


def poison(name, value):
    def change(content):
        counts = ak.num(content[name]) if content[name].ndim > 1 else None
        flat = ak.to_numpy(ak.flatten(content[name], axis=None)).copy()
        flat[:] = value
        content[name] = flat if counts is None else ak.unflatten(flat, counts)

    return change


def test_file_without_flux_universes_has_the_other_variations(chunk, tmp_path):
    def without(content):
        for name in [name for name in content if "vuniv" in name]:
            del content[name]

    fileset = rewritten(chunk, tmp_path / "a.root", without)
    templates = process_fileset(fileset, NuoneProcessor(), Execution())
    labels = templates.variations
    assert "fluxUp" in labels
    assert not any(label.startswith("ppfx") for label in labels)


@pytest.mark.parametrize(
    ("branch", "message"),
    [
        ("rec.mc.nu.rwgt.ppfx.cv", "'flux_weight' is not finite in"),
        ("rec.mc.nu.rwgt.ppfx.vuniv", "variation 'ppfx_000' is not finite"),
        ("rec.mc.nu.rwgt.genie.plus1sigma", "variation 'MaCCQEUp' is not finite"),
        ("rec.mc.nu.prim.p.E", "'magnetic template' is not finite"),
    ],
)
def test_weight_that_is_nan_in_the_file_is_refused_by_name(chunk, tmp_path, branch, message):
    fileset = rewritten(chunk, tmp_path / "a.root", poison(branch, np.nan))
    with pytest.raises(InputError, match=f"dataset 'nd', .*a.root, entries 0-1500: {message}"):
        process_fileset(fileset, NuoneProcessor(), Execution())


@pytest.mark.parametrize("branch", ["shwlid.calE", "dir.x", "dir.z"])
def test_reconstruction_that_is_nan_fails_the_cuts_and_nothing_else(chunk, tmp_path, branch):
    name = f"rec.vtx.elastic.fuzzyk.png.{branch}"
    fileset = rewritten(chunk, tmp_path / "a.root", poison(name, np.nan))
    templates = process_fileset(fileset, NuoneProcessor(), Execution())
    assert templates.hist.sum(flow=True).value == 0.0
    assert templates.histograms["cutflow_events"]["nd", :, "all"].sum() == 1500


def test_unknown_radiative_scheme_is_refused():
    with pytest.raises(ValueError, match="no radiative scheme 'sarantacos'; known: "):
        NuoneProcessor(radiative="sarantacos")


def test_weight_tables_are_decoded_once_and_only_for_events_that_are_shown(
    chunk, output, monkeypatch
):
    taken = {}
    read = baskets.Source.read

    def noted(self, name, start, stop, rows=None):
        taken.setdefault(name, []).append(None if rows is None else np.asarray(rows) + start)
        return read(self, name, start, stop, rows)

    monkeypatch.setattr(baskets.Source, "read", noted)
    result = NuoneProcessor().process(chunk.open())["nd"]
    assert result["spectrum"] == output["spectrum"]
    tables = [name for name in taken if name.endswith(("sigma", "vuniv"))]
    assert len(tables) == 5
    for name in tables:
        rows = np.concatenate(taken[name])
        assert len(rows) == len(np.unique(rows)) < chunk.stop - chunk.start


def test_events_are_filled_in_parts_with_the_same_result(chunk, output, monkeypatch):
    monkeypatch.setattr(nuone, "AT_A_TIME", 10)
    parts = NuoneProcessor().process(chunk.open())["nd"]
    for name in HISTOGRAMS:
        for part in ("value", "variance"):
            np.testing.assert_allclose(
                parts[name].view(flow=True)[part],
                output[name].view(flow=True)[part],
                rtol=1e-12,
                atol=1e-12,
            )
