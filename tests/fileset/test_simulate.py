import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from scipy import stats
from scipy.integrate import quad

from fileset.fluxes import load_flux
from fileset.formats.nova_caf import KNOBS
from fileset.simulate import (
    CATEGORIES,
    SIN2_THETA_W,
    T_MIN_GENERATED,
    SimulationConfig,
    expected_slices,
    sample,
    simulate,
)
from fileset.simulate import caf as layout

# Independent of the generator: 30-digit reference values, see the physics specification.
K_SM = 1.72326594630963776990e-41  # 2 G_F^2 m_e / pi [cm^2/GeV]
K_MAG = 2.49467202454263773342e-25  # pi alpha^2 / m_e^2 [cm^2]
M_E = 0.51099895e-3  # [GeV]
TONNES, ELECTRONS_PER_TONNE = 193.0, 3.2956e29
BEAM = np.array([-8.42393199e-4, -6.17395015e-2, 9.98091942e-1])

FLUXES = {name: load_flux(f"nova_nd_{name}") for name in ("fhc", "rhc")}

POT = 2e22
MU = 1e-9

PRONG = "vtx.elastic.fuzzyk.png."


def couplings(nu_pdg: int) -> tuple[float, float]:
    left = (0.5 if abs(nu_pdg) == 12 else -0.5) + SIN2_THETA_W
    return (left, SIN2_THETA_W) if nu_pdg > 0 else (SIN2_THETA_W, left)


def window_sigma(E_nu: float, T_low: float, T_high: float, nu_pdg: int, mu_nu: float) -> float:
    """Cross-section [cm^2] between two recoil energies, in closed form."""
    T_high = min(T_high, 2 * E_nu**2 / (M_E + 2 * E_nu))
    if T_high <= T_low:
        return 0.0
    g_L, g_R = couplings(nu_pdg)

    def primitive(T):
        cubic = -(g_R**2) * E_nu / 3 * (1 - T / E_nu) ** 3
        return g_L**2 * T + cubic - g_L * g_R * M_E * T**2 / (2 * E_nu**2)

    magnetic = math.log(T_high / T_low) - (T_high - T_low) / E_nu
    return K_SM * (primitive(T_high) - primitive(T_low)) + K_MAG * mu_nu**2 * magnetic


def expected(
    T_low: float, T_high: float, nu_pdg: int, mu_nu: float, horn_current: str = "fhc"
) -> float:
    """Slices per proton on target: flux x cross-section x electrons, by adaptive quadrature."""
    spectrum = FLUXES[horn_current].spectra[nu_pdg]
    kinks = [(T + math.sqrt(T * (T + 2 * M_E))) / 2 for T in (T_low, T_high)]
    total = 0.0
    for (low, high), flux in zip(pairwise(spectrum.edges), spectrum.flux, strict=True):
        ends = [low, *(kink for kink in kinks if low < kink < high), high]
        integral = sum(
            quad(window_sigma, a, b, (T_low, T_high, nu_pdg, mu_nu), epsabs=0.0, epsrel=1e-8)[0]
            for a, b in pairwise(ends)
            if a >= kinks[0]
        )
        total += flux / (high - low) * integral
    return TONNES * ELECTRONS_PER_TONNE * total


@cache
def tree_of(path: Path) -> uproot.TTree:
    return uproot.open(path)["recTree"]


def read(paths: list[Path], name: str) -> ak.Array:
    return ak.concatenate([tree_of(path)[f"rec.{name}"].array() for path in paths])


def per_neutrino(paths: list[Path], name: str) -> np.ndarray:
    return ak.to_numpy(ak.flatten(read(paths, f"mc.nu.{name}")))


def electrons(paths: list[Path]) -> np.ndarray:
    """px, py, pz, E of the true electron of every neutrino-electron slice."""
    is_electron = read(paths, "mc.nu.prim.pdg") == 11
    return np.stack(
        [
            ak.to_numpy(ak.flatten(read(paths, f"mc.nu.prim.p.{axis}")[is_electron]))
            for axis in ("px", "py", "pz", "E")
        ],
        axis=1,
    )


@pytest.fixture(scope="module")
def standard(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("standard")
    return simulate(folder, pot=POT, seed=11, files=2, sample="nuone")


@pytest.fixture(scope="module")
def magnetic(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("magnetic")
    return simulate(folder, pot=POT, seed=12, sample="nuone", mu_nu=MU)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory) -> list[Path]:
    return simulate(tmp_path_factory.mktemp("nd"), pot=7.24e20, seed=13, files=2, sample="nd")


@pytest.fixture(scope="module")
def beam_data(tmp_path_factory) -> list[Path]:
    return simulate(tmp_path_factory.mktemp("data"), pot=3.62e19, seed=14, sample="data")


class TestKinematics:
    def test_energy_angle_and_recoil_obey_two_body_kinematics(self, magnetic):
        E_nu, electron = per_neutrino(magnetic, "E"), electrons(magnetic)
        T = electron[:, 3] - M_E
        beam = BEAM / np.linalg.norm(BEAM)
        along = electron[:, :3] @ beam
        across = np.linalg.norm(np.cross(electron[:, :3], beam), axis=1)
        T_max = 2 * E_nu**2 / (M_E + 2 * E_nu)
        cos_theta = (E_nu + M_E) / E_nu * np.sqrt(T / (T + 2 * M_E))
        assert np.all(T <= T_max * (1 + 1e-12))
        np.testing.assert_allclose(np.cos(np.arctan2(across, along)), cos_theta, rtol=1e-9)
        inverse = 2 * M_E * E_nu**2 * cos_theta**2
        inverse /= (M_E + E_nu) ** 2 - E_nu**2 * cos_theta**2
        np.testing.assert_allclose(T, inverse, rtol=1e-6)
        exact = 2 * M_E * T * (1 - T / E_nu) - (M_E * T / E_nu) ** 2
        np.testing.assert_allclose(across**2, exact, rtol=1e-6, atol=1e-12)

    def test_electron_is_on_its_mass_shell_and_the_neutrino_stays_massless(self, standard):
        electron, E_nu = electrons(standard), per_neutrino(standard, "E")
        mass2 = electron[:, 3] ** 2 - (electron[:, :3] ** 2).sum(axis=1)
        np.testing.assert_allclose(mass2, M_E**2, atol=1e-12)
        outgoing = E_nu[:, None] * BEAM / np.linalg.norm(BEAM) - electron[:, :3]
        np.testing.assert_allclose(
            np.linalg.norm(outgoing, axis=1), E_nu + M_E - electron[:, 3], atol=1e-9
        )

    def test_azimuth_is_uniform_about_the_beam(self, standard):
        across = electrons(standard)[:, :3] @ np.linalg.svd(BEAM[None])[2][1:].T
        azimuth = np.arctan2(across[:, 1], across[:, 0])
        assert stats.kstest(azimuth, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3

    def test_nothing_is_generated_below_the_threshold(self, magnetic):
        assert electrons(magnetic)[:, 3].min() - M_E >= T_MIN_GENERATED * (1 - 1e-9)


class TestRates:
    @pytest.mark.parametrize("nu_pdg", [12, -12, 14, -14])
    @pytest.mark.parametrize(("files", "mu_nu"), [("standard", 0.0), ("magnetic", MU)])
    def test_every_flavour_follows_flux_times_cross_section(self, files, mu_nu, nu_pdg, request):
        count = np.sum(per_neutrino(request.getfixturevalue(files), "pdg") == nu_pdg)
        mean = POT * expected(T_MIN_GENERATED, 20.0, nu_pdg, mu_nu)
        assert abs(count - mean) < 4 * math.sqrt(mean)

    @pytest.mark.parametrize("horn_current", ["FHC", "RHC"])
    @pytest.mark.parametrize("mu_nu", [0.0, 1e-9, 1e-8])
    def test_total_rate_agrees_with_quadrature(self, horn_current, mu_nu):
        config = SimulationConfig(pot=POT, mu_nu=mu_nu, horn_current=horn_current)
        mean = sum(
            expected(T_MIN_GENERATED, 20.0, pdg, mu_nu, horn_current.lower())
            for pdg in (12, -12, 14, -14)
        )
        # The electrons per tonne are printed with five digits.
        assert expected_slices(config, POT)["nuone"] == pytest.approx(POT * mean, rel=2e-5, abs=0.0)

    def test_counts_per_tonne_in_the_technical_note_window(self, standard):
        # Specification, section 5: 1.584 per tonne at 3.62e20 protons, 0.3 < T < 0.9 GeV.
        T = electrons(standard)[:, 3] - M_E
        mean = 1.584 * TONNES * POT / 3.62e20
        assert abs(np.sum((T > 0.3) & (T < 0.9)) - mean) < 4 * math.sqrt(mean)

    @pytest.mark.parametrize(("files", "mu_nu"), [("standard", 0.0), ("magnetic", MU)])
    def test_recoil_spectrum_follows_the_cross_section(self, files, mu_nu, request):
        T = electrons(request.getfixturevalue(files))[:, 3] - M_E
        edges = np.geomspace(T_MIN_GENERATED, 12.0, 25)
        counts = np.histogram(T, edges)[0]
        means = np.array(
            [
                POT * sum(expected(a, b, pdg, mu_nu) for pdg in (12, -12, 14, -14))
                for a, b in pairwise(edges)
            ]
        )
        chi2 = np.sum((counts - means) ** 2 / means)
        assert 1e-3 < stats.chi2(len(means)).sf(chi2) < 1 - 1e-3

    def test_neutrino_energy_is_flat_inside_a_flux_bin_up_to_the_cross_section(self, standard):
        E_nu = per_neutrino(standard, "E")[per_neutrino(standard, "pdg") == 14]
        E_nu = E_nu[(E_nu > 1.8) & (E_nu < 2.0)]
        # Above the threshold sigma grows as E_nu - shift, up to terms of m_e / E_nu.
        g_L, g_R = couplings(14)
        shift = T_MIN_GENERATED * (g_L**2 + g_R**2) / (g_L**2 + g_R**2 / 3)
        mean = 1.9 + 0.2**2 / 12 / (1.9 - shift)
        assert abs(E_nu.mean() - mean) < 4 * 0.2 / math.sqrt(12 * len(E_nu))

    def test_natural_mixture_has_the_expected_categories(self, mixture):
        means = expected_slices(SimulationConfig(pot=1.0), 7.24e20)
        elastic = np.sum(per_neutrino(mixture, "mode") == 5)
        without_truth = np.sum(read(mixture, "mc.nnu") == 0)
        total = len(read(mixture, "mc.nnu"))
        assert tuple(means) == CATEGORIES
        assert abs(elastic - means["nuone"]) < 4 * math.sqrt(means["nuone"])
        assert abs(without_truth - means["cosmic"]) < 4 * math.sqrt(means["cosmic"])
        assert abs(total - sum(means.values())) < 4 * math.sqrt(sum(means.values()))
        assert 18_000 < sum(means.values()) / 2 < 22_000


class TestReconstruction:
    def test_energy_resolution_is_as_stated(self, standard):
        vertex = np.stack([per_neutrino(standard, f"vtx.{axis}") for axis in "xyz"], axis=1)
        central = (np.abs(vertex[:, :2]).max(axis=1) < 100) & (vertex[:, 2] < 600)
        shower = ak.to_numpy(ak.fill_none(ak.firsts(read(standard, f"{PRONG}shwlid.calE")), -5.0))
        T = electrons(standard)[:, 3] - M_E
        use = central & (shower > 0) & (T > 0.3) & (T < 3)
        pull = (shower[use] / T[use] - 1) / np.hypot(0.10 / np.sqrt(T[use]), 0.03)
        assert pull.mean() == pytest.approx(0.0, abs=0.03)
        assert pull.std() == pytest.approx(1.0, abs=0.03)

    def test_angular_resolution_is_as_stated(self, standard):
        electron = electrons(standard)
        T = electron[:, 3] - M_E
        use = (ak.to_numpy(read(standard, "vtx.elastic.fuzzyk.npng")) > 0) & (T > 0.3)
        directions = np.stack(
            [ak.to_numpy(ak.firsts(read(standard, f"{PRONG}dir.{axis}"))[use]) for axis in "xyz"],
            axis=1,
        )
        true = electron[use, :3] / np.linalg.norm(electron[use, :3], axis=1, keepdims=True)
        angle = np.linalg.norm(np.cross(directions, true), axis=1)
        pull2 = (angle / 0.025) ** 2 * T[use] / 2
        assert pull2.mean() == pytest.approx(1.0, abs=0.03)

    def test_slices_without_prongs_have_no_vertex_and_no_scores(self, mixture):
        empty = ak.to_numpy(read(mixture, "vtx.elastic.fuzzyk.npng")) == 0
        assert 0.005 < empty.mean() < 0.2
        assert not np.any(ak.to_numpy(read(mixture, "vtx.elastic.IsValid"))[empty])
        assert np.all(ak.num(read(mixture, f"{PRONG}len"))[empty] == 0)
        for name in ("sel.nuone.nuoneid", "vtx.elastic.vtx.x", "sel.nuecosrej.distallpngtop"):
            assert np.all(ak.to_numpy(read(mixture, name))[empty] < 0)

    def test_no_column_holds_a_number_that_is_not_finite(self, mixture):
        for name in layout.branch_names():
            assert np.all(np.isfinite(ak.to_numpy(ak.flatten(read(mixture, name[4:]), None)))), name

    def test_prong_scores_add_up_to_one(self, mixture):
        total = sum(read(mixture, f"{PRONG}cvnpart.{label}id") for label in layout.CVN_LABELS)
        np.testing.assert_allclose(ak.to_numpy(ak.flatten(total)), 1.0, atol=1e-5)


class TestWeights:
    def test_universes_spread_by_the_published_uncertainty(self, mixture):
        flux = load_flux("nova_nd_fhc")
        universes = ak.to_numpy(ak.flatten(read(mixture, "mc.nu.rwgt.ppfx.vuniv"))).reshape(-1, 100)
        E_nu, nu_pdg = per_neutrino(mixture, "E"), per_neutrino(mixture, "pdg")
        for pdg, spectrum in flux.spectra.items():
            mine = nu_pdg == pdg
            index = np.searchsorted(spectrum.edges, E_nu[mine], side="right") - 1
            published = spectrum.fractional_uncertainty[index]
            # Beyond 25 % the floor that keeps weights positive may bite.
            np.testing.assert_allclose(
                universes[mine].std(axis=1)[published < 0.25],
                published[published < 0.25],
                rtol=1e-4,
            )
            np.testing.assert_allclose(universes[mine].std(axis=1), published, rtol=0.05)
        assert universes.min() > 0

    def test_universes_are_the_same_in_every_sample(self, mixture, magnetic):
        def first_of_bin(paths):
            use = (per_neutrino(paths, "pdg") == 14) & (abs(per_neutrino(paths, "E") - 1.9) < 0.1)
            weights = ak.to_numpy(ak.flatten(read(paths, "mc.nu.rwgt.ppfx.vuniv")))
            return weights.reshape(-1, 100)[use][0]

        np.testing.assert_array_equal(first_of_bin(mixture), first_of_bin(magnetic))

    def test_central_value_is_one_or_marked_as_absent(self, standard):
        central = per_neutrino(standard, "rwgt.ppfx.cv")
        absent = central > 90
        assert np.all(central[~absent] == 1.0)
        assert 0 < absent.mean() < 0.01

    def test_knobs_leave_electron_scattering_alone_and_move_backgrounds(self, mixture):
        elastic = per_neutrino(mixture, "mode") == 5
        up, down = (
            ak.to_numpy(ak.flatten(read(mixture, f"mc.nu.rwgt.genie.{shift}1sigma"))).reshape(
                -1, len(KNOBS)
            )
            for shift in ("plus", "minus")
        )
        assert np.all(up[elastic] == 1.0)
        mec = per_neutrino(mixture, "mode") == 10
        column = KNOBS.index("MECnorm")
        assert np.all(up[mec, column] > 1.0)
        assert np.all(down[mec, column] < 1.0)


class TestFiles:
    def test_branches_are_exactly_those_declared(self, mixture):
        names = tree_of(mixture[0]).keys()
        assert [name for name in names if name.startswith("rec.")] == layout.branch_names()
        assert uproot.open(mixture[0])["spillTree"].keys() == [
            "spill.run",
            "spill.subrun",
            "spill.evt",
            "spill.spillpot",
            "spill.isFHC",
            "spill.isRHC",
        ]

    @pytest.mark.parametrize(
        ("branch", "typename"),
        [
            ("rec.slc.calE", "float"),
            ("rec.hdr.ismc", "int8_t"),
            ("rec.vtx.elastic.fuzzyk.png.shwlid.start.x", "float[]"),
            ("rec.vtx.elastic.fuzzyk.png.truth.p.E", "float[]"),
            ("rec.mc.nu.E", "double[]"),
            ("rec.mc.nu.prim..length", "int32_t[]"),
            ("rec.mc.nu.prim.p.E", "double[]"),
            ("rec.mc.nu.rwgt.ppfx.vuniv", "float[]"),
            ("rec.mc.nu.rwgt.genie.minus2sigma", "float[]"),
        ],
    )
    def test_branches_have_the_types_of_the_format(self, mixture, branch, typename):
        assert tree_of(mixture[0])[branch].typename == typename

    def test_lengths_of_nested_lists_match_their_content(self, mixture):
        for name, content in (
            ("prim", "prim.pdg"),
            ("rwgt.ppfx.vuniv", "rwgt.ppfx.vuniv"),
            ("rwgt.genie", "rwgt.genie.plus2sigma"),
        ):
            stated = ak.sum(read(mixture, f"mc.nu.{name}..length"), axis=1)
            assert ak.all(stated == ak.num(read(mixture, f"mc.nu.{content}")))

    @pytest.mark.parametrize(
        ("files", "pot"), [("standard", POT), ("magnetic", POT), ("mixture", 7.24e20)]
    )
    def test_spills_add_up_to_the_exposure(self, files, pot, request):
        trees = [uproot.open(path)["spillTree"] for path in request.getfixturevalue(files)]
        spills = np.concatenate([tree["spill.spillpot"].array(library="np") for tree in trees])
        assert spills.sum() == pytest.approx(pot, rel=1e-12, abs=0.0)
        assert spills.min() > 0
        assert all(tree.num_entries <= 20_000 for tree in trees)

    def test_exposure_follows_from_the_number_of_events(self, tmp_path):
        paths = simulate(tmp_path, events=1001, seed=3, files=2, sample="nuone")
        spills = [uproot.open(p)["spillTree"]["spill.spillpot"].array(library="np") for p in paths]
        rate = sum(expected(T_MIN_GENERATED, 20.0, pdg, 0.0) for pdg in (12, -12, 14, -14))
        assert [tree_of(path).num_entries for path in paths] == [501, 500]
        assert np.concatenate(spills).sum() == pytest.approx(1001 / rate, rel=2e-5, abs=0.0)

    def test_slices_belong_to_spills_and_are_unique(self, mixture, standard):
        seen: set[tuple[int, ...]] = set()
        for paths in (mixture, standard):
            keys = [
                ak.to_numpy(read(paths, f"hdr.{k}")) for k in ("run", "subrun", "evt", "subevt")
            ]
            seen |= set(zip(*keys, strict=True))
        assert len(seen) == len(read(mixture, "hdr.evt")) + len(read(standard, "hdr.evt"))
        spills = uproot.open(mixture[0])["spillTree"]["spill.evt"].array(library="np")
        assert np.isin(ak.to_numpy(read(mixture[:1], "hdr.evt")), spills).all()

    def test_simulated_data_carry_no_truth(self, beam_data):
        assert len(read(beam_data, "hdr.ismc")) > 1000
        assert not ak.any(read(beam_data, "hdr.ismc"))
        assert not ak.any(read(beam_data, "mc.nnu"))
        assert not ak.any(read(beam_data, "mc.nallnus"))
        assert not ak.any(read(beam_data, f"{PRONG}truth.pdg"))
        tree = tree_of(beam_data[0])
        truth = [name for name in layout.branch_names() if name.startswith("rec.mc.nu.")]
        assert all(ak.count(tree[name].array(), axis=None) == 0 for name in truth)


class TestReproducibility:
    def test_same_seed_gives_the_same_events(self, tmp_path):
        first = simulate(tmp_path / "a", events=300, seed=5, sample="nd")
        second = simulate(tmp_path / "b", events=300, seed=5, sample="nd")
        for name in layout.branch_names():
            pair = [tree_of(paths[0])[name].array() for paths in (first, second)]
            assert ak.to_list(pair[0]) == ak.to_list(pair[1]), name

    def test_another_seed_gives_other_events(self, tmp_path):
        first = simulate(tmp_path / "a", events=300, seed=5, sample="nd")
        second = simulate(tmp_path / "b", events=300, seed=6, sample="nd")
        assert not ak.any(read(first, "slc.calE") == read(second, "slc.calE"))

    def test_a_file_does_not_depend_on_how_many_follow(self, tmp_path):
        two = simulate(tmp_path / "two", events=400, seed=5, files=2, sample="nuone")
        four = simulate(tmp_path / "four", events=800, seed=5, files=4, sample="nuone")
        assert ak.array_equal(read(two, "mc.nu.E"), read(four[:2], "mc.nu.E"))

    def test_batches_bound_memory_without_losing_slices(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sample, "BATCH", 64)
        paths = simulate(tmp_path, events=200, seed=5, sample="nd")
        tree = tree_of(paths[0])
        assert tree.num_entries == 200
        assert tree["rec.slc.calE"].num_baskets == 4


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"events": 0}, "events=0: expected at least one per file"),
            ({"events": -5}, "events=-5: expected"),
            ({"events": 2, "files": 3}, r"events=2: expected at least one per file \(3\)"),
            ({"events": 10, "pot": 1e20}, "give exactly one"),
            ({"events": None}, "give exactly one"),
            ({"events": None, "pot": 0.0}, "pot=0.0: expected"),
            ({"events": None, "pot": math.nan}, "pot=nan: expected"),
            ({"mu_nu": -1e-9}, "mu_nu=-1e-09: expected"),
            ({"mu_nu": math.nan}, "mu_nu=nan: expected"),
            ({"sample": "nue"}, "unknown sample 'nue'; expected one of"),
            ({"files": 0}, "files=0: expected at least 1"),
            ({"seed": -1}, "seed=-1: expected"),
            ({"horn_current": "fhc"}, "unknown horn_current 'fhc'"),
        ],
    )
    def test_impossible_input_is_refused(self, tmp_path, change, message):
        with pytest.raises(ValueError, match=message):
            simulate(tmp_path, **({"events": 10, "seed": 1} | change))
        assert not list(tmp_path.iterdir())

    def test_existing_files_are_kept_unless_told_otherwise(self, tmp_path):
        simulate(tmp_path, events=10, files=2)
        with pytest.raises(FileExistsError, match=r"nd_fhc_0000\.root exists"):
            simulate(tmp_path, events=10)
        assert simulate(tmp_path, events=10, overwrite=True) == list(tmp_path.iterdir())

    def test_a_file_as_output_folder_is_refused(self, tmp_path):
        (tmp_path / "taken").touch()
        with pytest.raises(FileExistsError, match="not a folder"):
            simulate(tmp_path / "taken", events=10)

    def test_a_failure_leaves_no_file_behind(self, tmp_path, monkeypatch):
        def fail(*arguments, **options):
            raise RuntimeError("no detector")

        monkeypatch.setattr(sample, "reconstruct", fail)
        with pytest.raises(RuntimeError, match="no detector"):
            simulate(tmp_path, events=10)
        assert not list(tmp_path.iterdir())

    def test_undeclared_columns_are_not_written(self):
        with pytest.raises(ValueError, match="'extra'"):
            layout.jagged(np.array([1]), {"extra": np.ones(1)}, {})
