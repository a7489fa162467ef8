import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoEventsFactory

from fileset import InputError, load_fileset, open_chunk
from fileset.columns import CANONICAL
from fileset.events import canonical
from fileset.formats.dune_flat_caf import DUNE_FLAT_CAF
from fileset.schema import CAFSchema
from fileset.survey import inspect_dataset
from processors import NuoneProcessor

NAME = "dune_flat_caf"
NAN = np.nan
IXN = "rec.common.ixn.dlp."
PART = f"{IXN}part.dlp."
NU = "rec.mc.nu."

# Momentum of 0.5 GeV/c at 0.05 rad to a beam that comes down by 0.101 rad.
MOMENTUM = 0.5 * np.array(
    [np.sin(0.05), -np.sin(0.101) * np.cos(0.05), np.cos(0.101) * np.cos(0.05)]
)

# Spills with two, no and two interactions. The first has two primary electrons, a secondary one
# and a proton; the second a photon and no truth; the third a positron; the fourth nothing, and
# its true interaction is not in the file.
BRANCHES = {
    "rec.meta.nd_lar.enabled": [1, 1, 1],
    "rec.meta.nd_lar.run": [7, 7, 7],
    "rec.meta.nd_lar.subrun": [2, 2, 3],
    "rec.meta.nd_lar.event": [11, 12, 13],
    "rec.meta.minerva.enabled": [0, 0, 0],
    "rec.meta.minerva.run": [0, 0, 0],
    "rec.meta.fd_hd.enabled": [0, 0, 0],
    "rec.meta.fd_hd.run": [0, 0, 0],
    "rec.beam.ismc": [0, 0, 0],
    "rec.beam.pulsepot": [1e13, 1e13, 2e13],
    "rec.beam.hornI": [NAN, NAN, NAN],
    f"{IXN}.length": [2, 0, 2],
    f"{IXN}vtx.x": [[1.0, -np.inf], [], [3.0, -999.0]],
    f"{IXN}vtx.y": [[10.0, -np.inf], [], [30.0, -999.0]],
    f"{IXN}vtx.z": [[100.0, -np.inf], [], [300.0, -999.0]],
    f"{IXN}dir.heshw.x": [[NAN, NAN], [], [NAN, NAN]],
    f"{IXN}dir.heshw.y": [[NAN, NAN], [], [NAN, NAN]],
    f"{IXN}dir.heshw.z": [[NAN, NAN], [], [NAN, NAN]],
    f"{IXN}nuhyp.cvn.nue": [[NAN, NAN], [], [NAN, NAN]],
    f"{IXN}truth..length": [[2, 0], [], [1, 1]],
    f"{IXN}truth..idx": [[0, 2], [], [0, 1]],
    f"{IXN}truth..totarraysize": [2, 0, 2],
    f"{IXN}truth": [[0, 1], [], [0, 5]],
    f"{IXN}truthOverlap..length": [[2, 0], [], [1, 1]],
    f"{IXN}truthOverlap": [[0.25, 0.75], [], [0.5, 0.5]],
    f"{PART}.length": [[4, 1], [], [1, 0]],
    f"{PART}primary": [[1, 1, 0, 1, 1], [], [1]],
    f"{PART}pdg": [[11, 11, 11, 2212, 22], [], [-11]],
    f"{PART}E": [[0.25, 0.5, 4.0, 2.0, 1.0], [], [1.5]],
    f"{PART}p.x": [[0.0, MOMENTUM[0], 0.0, 0.0, 0.0], [], [0.0]],
    f"{PART}p.y": [[0.0, MOMENTUM[1], 0.0, 0.0, 0.0], [], [0.0]],
    f"{PART}p.z": [[1.0, MOMENTUM[2], 1.0, 1.0, 1.0], [], [1.5]],
    f"{PART}end.x": [[0.0, 2.0, 0.0, 0.0, 0.0], [], [4.0]],
    f"{PART}end.y": [[0.0, 6.0, 0.0, 0.0, 0.0], [], [8.0]],
    f"{PART}end.z": [[0.0, 10.0, 0.0, 0.0, 0.0], [], [12.0]],
    f"{NU}.length": [2, 1, 1],
    f"{NU}pdg": [[-14, 14], [14], [12]],
    f"{NU}E": [[1.0, 2.0], [3.0], [4.0]],
    f"{NU}iscc": [[1, 0], [0], [1]],
    f"{NU}mode": [[10, 7], [5], [1]],
    f"{NU}momentum.x": [[0.0, 0.0], [0.0], [0.0]],
    f"{NU}momentum.y": [[0.0, 0.0], [0.0], [-4.0]],
    f"{NU}momentum.z": [[1.0, 2.0], [3.0], [0.0]],
    f"{NU}prim..length": [[1, 2], [0], [2]],
    f"{NU}prim.pdg": [[-13, 14, 11], [], [2212, 11]],
    f"{NU}prim.p.E": [[0.5, 1.5, 0.625], [], [1.0, 3.0]],
    f"{NU}prim.p.px": [[0.0, 0.0, 3e-4], [], [0.0, 0.0]],
    f"{NU}prim.p.py": [[0.0, 0.0, 4e-4], [], [0.0, -2.0]],
    f"{NU}prim.p.pz": [[0.5, 1.5, 0.5], [], [1.0, 2.0]],
}

COLUMNS = {
    "run": [7, 7, 7, 7],
    "subrun": [2, 2, 3, 3],
    "event": [11, 11, 13, 13],
    "shower_energy": [0.5, NAN, 1.5, NAN],
    "direction_x": [2.0 * MOMENTUM[0], NAN, 0.0, NAN],
    "direction_y": [2.0 * MOMENTUM[1], NAN, 0.0, NAN],
    "direction_z": [2.0 * MOMENTUM[2], NAN, 1.0, NAN],
    "theta": [0.05, NAN, 0.101, NAN],
    "vertex_x": [1.0, NAN, 3.0, NAN],
    "vertex_y": [10.0, NAN, 30.0, NAN],
    "vertex_z": [100.0, NAN, 300.0, NAN],
    "shower_stop_x": [2.0, NAN, 4.0, NAN],
    "shower_stop_y": [6.0, NAN, 8.0, NAN],
    "shower_stop_z": [10.0, NAN, 12.0, NAN],
    "nue_id": [NAN, NAN, NAN, NAN],
    "nu_pdg": [14, 0, 12, 0],
    "true_neutrino_energy": [2.0, NAN, 4.0, NAN],
    "true_electron_energy": [0.625, NAN, 3.0, NAN],
    "true_electron_theta": [1e-3, NAN, np.pi / 4, NAN],
    "is_cc": [False, False, True, False],
    "mode": [7, -1, 1, -1],
    "lepton_pdg": [11, 0, 11, 0],
}

# A far-detector file: no momenta, modes of SIMB, one true interaction per readout.
FAR = {
    name.replace("ixn.dlp", "ixn.pandora").replace("part.dlp", "part.pandora"): values
    for name, values in BRANCHES.items()
    if name.startswith(IXN)
}
FAR |= {name: [[NAN] * len(row) for row in FAR[name]] for name in FAR if ".part.pandora.p." in name}
FAR |= {
    f"{IXN}.length": [0, 0, 0],
    f"{IXN}vtx.x": ak.Array(np.zeros((3, 0))),
    "rec.meta.nd_lar.enabled": [0, 0, 0],
    "rec.meta.fd_hd.enabled": [1, 1, 1],
    "rec.meta.fd_hd.run": [1, 1, 1],
    "rec.meta.fd_hd.subrun": [1, 1, 1],
    "rec.meta.fd_hd.event": [1, 2, 3],
    "rec.common.ixn.pandora.dir.heshw.x": [[0.0, 0.6], [], [0.0, 0.0]],
    "rec.common.ixn.pandora.dir.heshw.y": [[np.sin(0.101), 0.0], [], [0.0, 0.0]],
    "rec.common.ixn.pandora.dir.heshw.z": [[np.cos(0.101), 0.8], [], [1.0, 1.0]],
    f"{NU}mode": [[7, 5], [5], [0]],
}


def typed(name, values):
    """Types of a flat CAF: indices have 64 bits without sign, the rest 32."""
    array = ak.Array(values)
    integers = np.issubdtype(ak.to_numpy(ak.flatten(array, axis=None)).dtype, np.integer)
    kind = "uint64" if name.endswith(".truth") else "int32" if integers else "float32"
    return ak.values_astype(array, kind)


@pytest.fixture
def write(tmp_path):
    def write_file(changes=None, pot=(1e13, 3e13), directory=""):
        branches = {k: v for k, v in (BRANCHES | (changes or {})).items() if v is not None}
        content = {name: typed(name, values) for name, values in branches.items()}
        path = tmp_path / "events.flat.root"
        with uproot.recreate(path) as file:
            types = {name: array.type.content for name, array in content.items()}
            file.mktree(f"{directory}cafTree", types).extend(content)
            if pot is not None:
                meta = {"pot": np.array(pot), "run": np.ones(len(pot), np.int32)}
                file.mktree(f"{directory}meta", {k: v.dtype for k, v in meta.items()}).extend(meta)
        return path

    return write_file


def described(path, **options):
    return load_fileset({"mc": {"files": [str(path)], **options}})


def inspected(path, **options):
    (info,) = inspect_dataset(described(path, **options)["mc"]).infos
    return info


def test_interactions_of_a_spill_are_events_with_their_canonical_columns(write):
    events = open_chunk(described(write()), "mc")
    assert set(COLUMNS) == set(DUNE_FLAT_CAF.columns)
    for name, expected in COLUMNS.items():
        np.testing.assert_allclose(events[name], expected, rtol=1e-5, atol=1e-7, err_msg=name)
        assert (name, ak.type(events[name]).content.primitive) == (name, CANONICAL[name].dtype)


def test_readout_stays_readable_per_interaction(write):
    events = open_chunk(described(write()), "mc")
    assert events.beam.pulsepot.tolist() == [np.float32(1e13)] * 2 + [np.float32(2e13)] * 2
    assert events.ixn.truth.tolist() == [[0, 1], [], [0], [5]]
    assert events.truth.prim.pdg.tolist() == [[14, 11], None, [2212, 11], None]


def test_column_reads_its_branches_alone(write):
    log = []
    metadata = {"format": NAME, "dataset": "mc"}
    with uproot.open(write()) as file:
        factory = NanoEventsFactory.from_root(
            file, treepath="cafTree", schemaclass=CAFSchema, access_log=log, metadata=metadata
        )
        events = canonical(factory.events())
        assert events.metadata == metadata
        before = {access.branch for access in log}
        events.nu_pdg.tolist()
    lists = {f"{IXN}{name}" for name in ("truth", "truth..length", "truthOverlap")}
    lists |= {f"{IXN}truthOverlap..length", f"{IXN}.length", f"{NU}.length"}
    assert before <= lists | {"rec.meta.fd_hd.enabled"}
    assert {access.branch for access in log} - before == {f"{NU}pdg"}


def test_angle_in_the_prototype_is_to_the_beam_of_numi(write):
    path = write({"rec.meta.minerva.enabled": [1, 1, 1]})
    theta = open_chunk(described(path), "mc").theta
    np.testing.assert_allclose(theta[2], 0.05887, rtol=1e-5)


def test_angle_in_a_detector_with_unknown_beam_is_missing(write):
    changes = {"rec.meta.nd_lar.enabled": [0, 0, 0], "rec.meta.fd_vd.enabled": [1, 1, 1]}
    events = open_chunk(described(write(changes)), "mc")
    np.testing.assert_array_equal(events.theta, [NAN] * 4)
    assert ak.sum(np.isfinite(events.direction_z)) == 2


def test_far_detector_is_read_from_pandora_and_its_direction_from_the_shower(write):
    events = open_chunk(described(write(FAR)), "mc")
    np.testing.assert_allclose(events.shower_energy, COLUMNS["shower_energy"])
    np.testing.assert_allclose(events.theta, [0.0, NAN, 0.101, NAN], atol=1e-6)
    np.testing.assert_allclose(events.direction_y, [np.sin(0.101), NAN, 0.0, NAN], rtol=1e-6)
    assert events.event.tolist() == [1, 1, 3, 3]


def test_modes_of_the_far_detector_are_translated_from_simb(write):
    events = open_chunk(described(write(FAR)), "mc")
    assert events.mode.tolist() == [7, -1, 1, -1]


@pytest.mark.parametrize(
    ("simb", "mode"),
    [(0, 1), (1, 4), (2, 3), (3, 5), (7, 12), (10, 10), (11, 6), (1098, 7), (1099, 8), (-1, -100)],
)
def test_every_simb_mode_has_its_number_of_genie(write, simb, mode):
    path = write(FAR | {f"{NU}mode": [[0, simb], [0], [0]]})
    assert open_chunk(described(path), "mc").mode[0] == mode


def test_inelastic_scattering_on_electrons_is_no_signal(write):
    path = write(FAR | {f"{NU}prim.pdg": [[-13, 12, 13], [], [2212, 11]]})
    events = open_chunk(described(path), "mc")
    assert (events.mode[0], events.lepton_pdg[0]) == (7, 13)
    counts = NuoneProcessor(variations="none").process(events)["mc"]["cutflow_events"]
    assert counts["nuone", "all"] == 0


def test_processor_finds_the_signal_among_interactions(write):
    output = NuoneProcessor(variations="none").process(open_chunk(described(write()), "mc"))["mc"]
    counts = output["cutflow_events"]
    found = {name: counts[name, "all"] for name in ("nuone", "cosmic", "nue_cc", "mec", "nc")}
    assert found == {"nuone": 1, "cosmic": 2, "nue_cc": 1, "mec": 0, "nc": 0}
    assert counts["nuone", "ttheta2"] == 1


def test_data_without_truth_have_the_reconstructed_columns(write):
    without = {name: None for name in BRANCHES if name.startswith(NU)}
    path = write(without)
    events = open_chunk(described(path), "mc")
    np.testing.assert_allclose(events.shower_energy, COLUMNS["shower_energy"])
    assert events.metadata["is_mc"] is False
    with pytest.raises(InputError, match=r"column 'nu_pdg' needs the branch 'truth'"):
        events.nu_pdg.tolist()


def test_exposure_is_that_of_pulses_and_of_the_original_files(write):
    info = inspected(write())
    assert info.exposures == {"pulses": (pytest.approx(4e13), 1.0), "meta": (4e13, 1.0)}
    assert (info.entries, info.is_mc, info.horn_current) == (3, True, "")


def test_exposure_of_a_far_detector_in_a_directory_is_that_of_its_tree(write):
    path = write(FAR | {"rec.beam.pulsepot": [NAN] * 3}, directory="cafmaker/")
    info = inspected(path)
    assert (info.tree, info.exposures) == ("cafmaker/cafTree", {"meta": (4e13, 1.0)})


def test_pot_of_the_file_in_every_pulse_is_refused(write):
    path = write({"rec.beam.pulsepot": [4e13] * 3})
    with pytest.raises(InputError, match=r"'pulses' says 1\.2e\+14 POT, 'meta' 4e\+13"):
        inspected(path)
    assert inspected(path, exposure="meta").pot == 4e13


def test_exposure_that_nobody_filled_in_is_none(write):
    path = write({"rec.beam.pulsepot": [0.0] * 3}, pot=(0.0,))
    with pytest.raises(InputError, match=r"no exposure found \(looked for pulses, meta\)"):
        inspected(path)


@pytest.mark.parametrize(
    ("current", "horn"), [([200.0, 0.5, 200.0], "FHC"), ([-200.0] * 3, "RHC"), ([NAN] * 3, "")]
)
def test_horn_current_is_its_sign(write, current, horn):
    assert inspected(write({"rec.beam.hornI": current})).horn_current == horn


def test_both_horn_currents_in_one_file_are_refused(write):
    with pytest.raises(InputError, match="mixes horn currents"):
        inspected(write({"rec.beam.hornI": [200.0, -200.0, 200.0]}))


def test_repeated_readouts_are_refused(write):
    path = write({"rec.meta.nd_lar.event": [11, 11, 13]})
    with pytest.raises(InputError, match="events are in the file more than once"):
        inspected(path)


def test_file_is_recognised_by_its_interactions(write):
    assert inspected(write()).format == NAME
    without = {name: None for name in BRANCHES if name.startswith(IXN)}
    path = write(without)
    with pytest.raises(InputError, match="cannot tell the format from its content"):
        inspected(path)
    with pytest.raises(
        InputError, match=r"elements of 'common\.ixn\.dlp', which the file does not"
    ):
        open_chunk(described(path, format=NAME), "mc")
