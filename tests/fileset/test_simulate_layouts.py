"""The same simulated slices in every layout and container, read back with nothing but uproot."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from fileset.simulate import CONTAINERS, LAYOUTS, sample, simulate, weights
from fileset.simulate.caf import branch_names

KINDS = [
    ("nova_caf", "ttree"),
    ("nova_caf", "rntuple"),
    ("nova_flat_caf", "ttree"),
    ("dune_fd_caf", "ttree"),
    ("dune_fd_caf", "rntuple"),
]
NOVA, DUNE = KINDS[:3], KINDS[3:]

BATCH, SLICES = 300, 1000
BEAM = np.array([-8.42393199e-4, -6.17395015e-2, 9.98091942e-1])
M_E = 0.51099895e-3  # [GeV]
PRONG = "rec.vtx.elastic.fuzzyk.png"
UNIVERSES = "rec.mc.nu.rwgt.ppfx.vuniv"
INNER = {
    "rec.mc.nu.prim": "rec.mc.nu.prim.pdg",
    UNIVERSES: UNIVERSES,
    "rec.mc.nu.rwgt.genie": "rec.mc.nu.rwgt.genie.plus1sigma",
}
TOY_KNOBS = ["MaCCQE", "MaCCRES", "MaNCRES", "MECnorm", "FrCEx_pi", "COHnorm"]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[tuple[str, str], Path]:
    """One file per layout and container, of one seed, in four batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "BATCH", BATCH)
        patch.setattr(weights, "NO_WEIGHT_FRACTION", 0.05)
        folder = tmp_path_factory.mktemp("layouts")
        return {
            (layout, container): simulate(
                folder / layout / container,
                events=SLICES, seed=21, layout=layout, container=container,
            )[0]
            for layout, container in KINDS
        }  # fmt: skip


@pytest.fixture(scope="module")
def trees(files) -> dict[tuple[str, str], uproot.TTree]:
    names = dict.fromkeys(NOVA, "recTree") | dict.fromkeys(DUNE, "caf")
    return {kind: uproot.open(path)[names[kind]] for kind, path in files.items()}


@pytest.fixture(scope="module")
def nova(trees) -> uproot.TTree:
    return trees["nova_caf", "ttree"]


@pytest.fixture(scope="module")
def flat(trees) -> uproot.TTree:
    return trees["nova_flat_caf", "ttree"]


@pytest.fixture(scope="module")
def nested(trees) -> ak.Array:
    return trees["nova_caf", "rntuple"].arrays()


@pytest.fixture(scope="module")
def dune(trees) -> dict[str, np.ndarray]:
    return trees["dune_fd_caf", "ttree"].arrays(library="np")


def neutrino(tree: uproot.TTree, name: str, missing: float) -> np.ndarray:
    """Column of the slice's neutrino, as doubles."""
    values = ak.firsts(tree[f"rec.mc.nu.{name}"].array())
    return ak.to_numpy(ak.fill_none(values, missing)).astype(float)


def leading(tree: uproot.TTree, name: str) -> np.ndarray:
    """Column of the first prong, as doubles; NaN without one."""
    values = ak.firsts(tree[f"{PRONG}.{name}"].array())
    return ak.to_numpy(ak.fill_none(values, np.nan)).astype(float)


def angle_to_beam(vectors: np.ndarray) -> np.ndarray:
    """From the chord between unit vectors; one vector per row."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return 2 * np.arcsin(np.linalg.norm(unit - BEAM / np.linalg.norm(BEAM), axis=1) / 2)


def test_every_layout_and_container_is_tested():
    assert KINDS == [(layout, c) for layout, containers in LAYOUTS.items() for c in containers]
    assert {container for _, container in KINDS} == set(CONTAINERS)


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_containers_are_what_they_are_called(files, kind):
    name = {"ttree": "TTree", "rntuple": "ROOT::RNTuple"}[kind[1]]
    tree = "recTree" if kind in NOVA else "caf"
    assert uproot.open(files[kind]).classname_of(tree) == name


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
def test_slices_are_written_batch_by_batch(trees, kind):
    tree = trees[kind]
    assert tree.num_entries == SLICES
    if kind[1] == "ttree":
        assert {branch.num_baskets for branch in tree.branches} == {4}
    else:
        starts = [cluster.num_first_entry for cluster in tree.cluster_summaries]
        assert starts == [0, BATCH, 2 * BATCH, 3 * BATCH]


class TestFlatCAF:
    def test_every_branch_holds_the_values_of_the_nested_file(self, nova, flat):
        for name in branch_names():
            assert flat[name].typename == nova[name].typename, name
            assert ak.array_equal(flat[name].array(), nova[name].array()), name

    @pytest.mark.parametrize("path", [PRONG, "rec.mc.nu"])
    def test_a_list_of_the_record_has_its_length_and_no_other_companion(self, flat, path):
        lengths = flat[f"{path}..length"]
        assert lengths.typename == "int32_t"
        branches = [name for name in flat.keys() if name.startswith(f"{path}.")]
        companions = [name for name in branches if name.startswith(f"{path}..")]
        assert companions == [f"{path}..length"]
        content = next(name for name in branches if name not in companions)
        assert ak.array_equal(lengths.array(), ak.num(flat[content].array()), dtype_exact=False)

    @pytest.mark.parametrize("path", INNER)
    def test_a_list_inside_a_list_has_lengths_indices_and_a_total(self, flat, path):
        lengths, index = flat[f"{path}..length"].array(), flat[f"{path}..idx"].array()
        total = flat[f"{path}..totarraysize"].array(library="np")
        expected = [np.cumsum(row) - row for row in map(np.asarray, lengths)]
        assert ak.array_equal(index, ak.Array(expected), dtype_exact=False)
        np.testing.assert_array_equal(total, ak.sum(lengths, axis=1))
        np.testing.assert_array_equal(total, ak.num(flat[INNER[path]].array()))
        assert total.max() > 1

    @pytest.mark.parametrize("path", INNER)
    def test_companions_of_inner_lists_are_32_bit_integers(self, flat, path):
        types = [flat[f"{path}..{name}"].typename for name in ("length", "idx", "totarraysize")]
        assert types == ["int32_t[]", "int32_t[]", "int32_t"]

    @pytest.mark.parametrize(
        ("branch", "title"),
        [
            ("rec.hdr.ismc", "rec.hdr.ismc/B"),
            (f"{PRONG}.calE", f"{PRONG}.calE[{PRONG}..length]/F"),
            ("rec.mc.nu.iscc", "rec.mc.nu.iscc[rec.mc.nu..length]/B"),
            ("rec.mc.nu.prim..idx", "rec.mc.nu.prim..idx[rec.mc.nu..length]/I"),
            ("rec.mc.nu.prim.p.E", "rec.mc.nu.prim.p.E[rec.mc.nu.prim..totarraysize]/D"),
            (UNIVERSES, f"{UNIVERSES}[{UNIVERSES}..totarraysize]/F"),
        ],
    )
    def test_branches_are_sized_by_their_companions(self, flat, branch, title):
        assert flat[branch].title == title

    def test_no_branch_is_outside_the_record(self, flat):
        assert [name for name in flat.keys() if not name.startswith("rec.")] == []

    def test_totals_are_exposure_and_number_of_spills(self, files):
        file = uproot.open(files["nova_flat_caf", "ttree"])
        pot = file["spillTree/spill.spillpot"].array(library="np")
        assert file.classname_of("TotalPOT") == file.classname_of("TotalEvents") == "TH1D"
        assert file["TotalPOT"].values().tolist() == [pot.sum()]
        assert file["TotalEvents"].values().tolist() == [len(pot)]


class TestNestedRNTuple:
    def test_the_only_field_is_the_record(self, trees):
        assert trees["nova_caf", "rntuple"].keys(recursive=False) == ["rec"]

    def test_every_member_holds_the_values_of_the_tree(self, nova, nested):
        members = [name for name in branch_names() if ".." not in name]
        for name in members:
            found, expected = nested[tuple(name.split("."))], nova[name].array()
            if found.ndim == expected.ndim + 1:
                found = ak.flatten(found, axis=2)
            assert ak.array_equal(found, expected), name

    @pytest.mark.parametrize("path", INNER)
    def test_inner_lists_are_cut_where_the_tree_says(self, nova, nested, path):
        content = nested[tuple(INNER[path].split("."))]
        lengths = nova[f"{path}..length"].array()
        assert ak.array_equal(ak.num(content, axis=2), lengths, dtype_exact=False)

    def test_members_are_as_many_as_in_the_tree(self, trees):
        ntuple = trees["nova_caf", "rntuple"]
        parents = {name.rpartition(".")[0] for name in ntuple.keys()}
        leaves = {name for name in ntuple.keys() if name not in parents}
        assert leaves == {name for name in branch_names() if ".." not in name}


class TestSpills:
    @pytest.mark.parametrize("kind", NOVA[1:], ids=" ".join)
    def test_every_layout_has_the_same_spills(self, files, kind):
        reference = uproot.open(files["nova_caf", "ttree"])["spillTree"]
        spills = uproot.open(files[kind])["spillTree"]
        for name in ("run", "subrun", "evt", "spillpot", "isFHC", "isRHC"):
            found = spills[f"spill.{name}"].array(library="np")
            expected = reference[f"spill.{name}"].array(library="np")
            np.testing.assert_array_equal(found, expected, strict=True)

    @pytest.mark.parametrize(("horn_current", "is_fhc"), [("FHC", 1), ("RHC", 0)])
    def test_spills_say_their_horn_current(self, tmp_path, horn_current, is_fhc):
        path = simulate(tmp_path, events=5, horn_current=horn_current)[0]
        spills = uproot.open(path)["spillTree"].arrays(["spill.isFHC", "spill.isRHC"])
        assert str(spills["spill.isFHC"].type.content) == "int8"
        assert set(ak.to_numpy(spills["spill.isFHC"])) == {is_fhc}
        assert set(ak.to_numpy(spills["spill.isRHC"])) == {1 - is_fhc}


class TestDune:
    def test_names_and_types_are_those_of_the_released_file(self, trees, dune_file):
        released = uproot.open(dune_file)["caf"]
        # Two of the toy's knobs are not there; their branches are made like the others.
        mine = [b for b in trees["dune_fd_caf", "ttree"].branches if "norm" not in b.name]
        assert len(mine) == 38
        for branch in mine:
            assert branch.typename == released[branch.name].typename
            assert branch.title == released[branch.name].title

    def test_the_tree_and_the_record_hold_the_same(self, trees):
        tree, ntuple = (trees[kind].arrays() for kind in DUNE)
        assert tree.fields == ntuple.fields
        for name in tree.fields:
            assert ak.array_equal(tree[name], ntuple[name], equal_nan=True), name

    def test_slices_are_numbered_through_the_file(self, dune):
        np.testing.assert_array_equal(dune["event"], np.arange(1, SLICES + 1))

    @pytest.mark.parametrize("name", ["run", "subrun"])
    def test_headers_are_those_of_the_near_detector(self, nova, dune, name):
        np.testing.assert_array_equal(dune[name], nova[f"rec.hdr.{name}"].array(library="np"))

    @pytest.mark.parametrize(
        ("column", "branch", "missing"),
        [("isCC", "iscc", 0), ("nuPDG", "pdg", 0), ("mode", "mode", -1), ("Ev", "E", np.nan)],
    )
    def test_truth_is_that_of_the_neutrino(self, nova, dune, column, branch, missing):
        np.testing.assert_array_equal(dune[column], neutrino(nova, branch, missing))

    def test_electron_scattering_has_mode_5_and_nothing_else_has(self, nova, dune):
        elastic = neutrino(nova, "inttype", -1) == 1098
        np.testing.assert_array_equal(dune["mode"] == 5, elastic)
        assert 0 < elastic.sum() < SLICES

    def test_slices_without_a_neutrino_have_no_truth(self, nova, dune):
        absent = nova["rec.mc.nnu"].array(library="np") == 0
        assert 0 < absent.sum() < SLICES
        assert np.all(dune["nuPDG"][absent] == 0)
        assert np.all(dune["LepPDG"][absent] == 0)
        for name in ("Ev", "LepE", "Y", "NuMomX", "LepMomZ", "LepNuAngle"):
            np.testing.assert_array_equal(np.isnan(dune[name]), absent)

    def test_electron_of_elastic_scattering_is_the_lepton(self, nova, dune):
        elastic = dune["mode"] == 5
        is_electron = nova["rec.mc.nu.prim.pdg"].array()[elastic] == 11
        energy = ak.to_numpy(ak.flatten(nova["rec.mc.nu.prim.p.E"].array()[elastic][is_electron]))
        np.testing.assert_array_equal(dune["LepE"][elastic], energy)
        assert set(dune["LepPDG"][elastic]) == {11}
        visible = (1 - dune["Y"]) * dune["Ev"]
        np.testing.assert_allclose(visible[elastic], energy, rtol=1e-12)

    def test_charged_currents_have_the_charged_lepton_of_their_flavour(self, dune):
        cc = dune["isCC"] == 1
        nu_pdg = dune["nuPDG"][cc]
        np.testing.assert_array_equal(dune["LepPDG"][cc], nu_pdg - np.sign(nu_pdg))

    def test_neutral_currents_on_nuclei_have_the_neutrino(self, dune):
        nc = (dune["isCC"] == 0) & (dune["mode"] >= 0) & (dune["mode"] != 5)
        np.testing.assert_array_equal(dune["LepPDG"][nc], dune["nuPDG"][nc])
        assert nc.sum() > 10

    def test_neutrinos_fly_along_the_beam_with_their_energy(self, dune):
        momentum = np.stack([dune[f"NuMom{axis}"] for axis in "XYZ"], axis=1)
        direction = BEAM / np.linalg.norm(BEAM)
        np.testing.assert_allclose(momentum, dune["Ev"][:, None] * direction, rtol=1e-14)

    def test_angle_of_the_lepton_follows_from_the_momenta(self, dune):
        elastic = dune["mode"] == 5
        momentum = np.stack([dune[f"LepMom{axis}"] for axis in "XYZ"], axis=1)[elastic]
        angle = dune["LepNuAngle"][elastic]
        np.testing.assert_allclose(angle, angle_to_beam(momentum), rtol=1e-11)
        # Two-body kinematics: E theta^2 = 2 m_e (1 - y), up to theta^2.
        assert np.all(dune["LepE"][elastic] * angle**2 < 2.01 * M_E)

    def test_shower_is_that_of_the_near_detector_to_rounding(self, nova, dune):
        energy = leading(nova, "shwlid.calE")
        energy[energy < 0] = np.nan
        theta = angle_to_beam(np.stack([leading(nova, f"dir.{axis}") for axis in "xyz"], axis=1))
        np.testing.assert_array_equal(dune["RecoLepEnNue"], energy)
        np.testing.assert_allclose(dune["RecoLepAngNue"], theta, rtol=1e-12)
        ttheta2 = (dune["RecoLepEnNue"] - M_E) * dune["RecoLepAngNue"] ** 2
        np.testing.assert_allclose(ttheta2, (energy - M_E) * theta**2, rtol=1e-12)

    def test_slices_without_a_prong_have_no_shower_and_no_vertex(self, nova, dune):
        absent = nova["rec.vtx.elastic.fuzzyk.npng"].array(library="np") == 0
        assert 0 < absent.sum() < SLICES
        for name in ("RecoLepAngNue", "vtx_x", "vtx_y", "vtx_z"):
            np.testing.assert_array_equal(np.isnan(dune[name]), absent)
        assert np.all(np.isnan(dune["RecoLepEnNue"][absent]))

    @pytest.mark.parametrize("axis", "xyz")
    def test_vertex_is_the_reconstructed_one(self, nova, dune, axis):
        valid = nova["rec.vtx.elastic.IsValid"].array(library="np") != 0
        vertex = nova[f"rec.vtx.elastic.vtx.{axis}"].array(library="np")
        np.testing.assert_array_equal(dune[f"vtx_{axis}"][valid], vertex[valid].astype(float))

    def test_classifier_is_that_of_the_slice(self, nova, dune):
        score = nova["rec.sel.nueid.nueid"].array(library="np")
        np.testing.assert_array_equal(dune["cvnnue"], score.astype(float))

    def test_weight_is_the_flux_correction_or_1_where_there_is_none(self, nova, dune):
        central = neutrino(nova, "rwgt.ppfx.cv", 1.0)
        assert np.any(central > 90)
        np.testing.assert_array_equal(dune["weight"], np.where(central > 90, 1.0, central))

    @pytest.mark.parametrize("knob", TOY_KNOBS)
    def test_knobs_have_seven_shifts_with_the_centre_at_1(self, dune, knob):
        table = np.stack(dune[f"wgt_{knob}"])
        assert table.shape == (SLICES, 7)
        assert set(dune[f"{knob}_nshifts"]) == {7}
        assert set(dune[f"{knob}_cvwgt"]) == {1.0}
        assert set(table[:, 3]) == {1.0}
        assert np.all(table[dune["nuPDG"] == 0] == 1.0)

    @pytest.mark.parametrize("knob", TOY_KNOBS)
    def test_knobs_agree_with_those_of_the_near_detector(self, nova, dune, knob):
        table = np.stack(dune[f"wgt_{knob}"])[dune["nuPDG"] != 0]
        shifts = {"minus2": 1, "minus1": 2, "plus1": 4, "plus2": 5}
        for name, column in shifts.items():
            values = ak.flatten(nova[f"rec.mc.nu.rwgt.genie.{name}sigma"].array())
            values = ak.to_numpy(values).reshape(-1, len(TOY_KNOBS))[:, TOY_KNOBS.index(knob)]
            np.testing.assert_array_equal(table[:, column], values.astype(float))
        assert table[:, 4].max() > 1.0

    @pytest.mark.parametrize("knob", TOY_KNOBS)
    def test_knobs_respond_exponentially_up_to_three_sigma(self, dune, knob):
        response = np.log(np.stack(dune[f"wgt_{knob}"]))
        np.testing.assert_allclose(response, response[:, 4:5] * np.arange(-3, 4), atol=1e-6)

    @pytest.mark.parametrize("kind", DUNE, ids=" ".join)
    def test_norm_holds_the_weight_of_an_event_then_the_exposure(self, files, kind):
        spills = uproot.open(files["nova_caf", "ttree"])["spillTree/spill.spillpot"]
        histogram = uproot.open(files[kind])["norm"]
        pot = spills.array(library="np").sum()
        assert histogram.classname == "TH1D"
        assert histogram.values().tolist() == [1.0, pot, *([0.0] * 8)]

    def test_norm_is_binned_as_in_the_released_file(self, files, dune_file):
        released, mine = uproot.open(dune_file), uproot.open(files["dune_fd_caf", "ttree"])
        np.testing.assert_array_equal(mine["norm"].axis().edges(), released["norm"].axis().edges())

    @pytest.mark.parametrize(("horn_current", "is_fhc"), [("FHC", 1), ("RHC", 0)])
    def test_slices_say_their_horn_current(self, tmp_path, horn_current, is_fhc):
        path = simulate(tmp_path, events=5, horn_current=horn_current, layout="dune_fd_caf")[0]
        tree = uproot.open(path)["caf"].arrays(["isFHC", "isFD"], library="np")
        assert (set(tree["isFHC"]), set(tree["isFD"])) == ({is_fhc}, {0})

    def test_simulated_data_carry_no_truth(self, tmp_path):
        path = simulate(tmp_path, events=50, sample="data", layout="dune_fd_caf")[0]
        tree = uproot.open(path)["caf"].arrays(["nuPDG", "Ev", "weight", "mode"], library="np")
        assert set(tree["nuPDG"]) == {0}
        assert set(tree["mode"]) == {-1}
        assert set(tree["weight"]) == {1.0}
        assert np.all(np.isnan(tree["Ev"]))


class TestFiles:
    @pytest.mark.parametrize("kind", KINDS, ids=" ".join)
    def test_a_file_without_slices_is_complete(self, tmp_path, kind, trees):
        path = simulate(tmp_path, pot=1.0, layout=kind[0], container=kind[1])[0]
        tree = uproot.open(path)["recTree" if kind in NOVA else "caf"]
        assert tree.num_entries == 0
        assert tree.keys() == trees[kind].keys()

    def test_names_of_files_do_not_depend_on_the_layout(self, files):
        assert {path.name for path in files.values()} == {"nd_fhc_0000.root"}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"layout": "nova"}, r"unknown layout 'nova'; expected one of \['nova_caf', 'nova_f"),
            ({"container": "hdf5"}, r"unknown container 'hdf5'; expected one of \['ttree', "),
            (
                {"layout": "nova_flat_caf", "container": "rntuple"},
                "'nova_flat_caf' cannot be written as 'rntuple': its names have dots",
            ),
        ],
    )
    def test_impossible_layouts_are_refused(self, tmp_path, change, message):
        with pytest.raises(ValueError, match=message):
            simulate(tmp_path / "out", events=10, **change)
        assert not list(tmp_path.iterdir())
