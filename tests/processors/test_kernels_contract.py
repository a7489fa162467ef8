"""What all kernels promise: broadcasting, float64, source equal to compiled, fresh compilation."""

import inspect
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from numba import njit

from processors import kernels
from processors.kernels import constants, dipole_portal, radiative

S2W = constants.SIN2_THETA_W
BAD = [0.0, -1.0, np.nan, np.inf]
RECOIL = np.concatenate([BAD, np.geomspace(1e-9, 2e3, 40)])  # [GeV]
ENERGY = np.concatenate([BAD, np.geomspace(1e-6, 1e3, 40)])[:, None]  # [GeV]

UFUNCS = {
    "max_recoil_energy": (kernels.max_recoil_energy, (RECOIL,)),
    "min_neutrino_energy": (kernels.min_neutrino_energy, (RECOIL,)),
    "recoil_cos_theta": (kernels.recoil_cos_theta, (RECOIL, ENERGY)),
    "recoil_theta": (kernels.recoil_theta, (RECOIL, ENERGY)),
    "ttheta2": (kernels.ttheta2, (RECOIL, ENERGY)),
    "sm_dsigma_dT": (kernels.sm_dsigma_dT, (RECOIL, ENERGY, -12, S2W)),
    "sm_sigma": (kernels.sm_sigma, (RECOIL, 2.0, ENERGY, 14, S2W)),
    "magnetic_dsigma_dT": (kernels.magnetic_dsigma_dT, (RECOIL, ENERGY, 1e-9)),
    "magnetic_sigma": (kernels.magnetic_sigma, (RECOIL, 2.0, ENERGY, 1e-9)),
    "magnetic_over_sm": (kernels.magnetic_over_sm, (RECOIL, ENERGY, 14, S2W)),
    "tree_level_ratio": (radiative.tree_level_ratio, (RECOIL, ENERGY, 14, S2W)),
    "sarantakos_ratio": (radiative.sarantakos_ratio, (RECOIL, ENERGY, -14, S2W)),
    "bks_ratio": (radiative.bks_ratio, (RECOIL, ENERGY, 12, S2W)),
    "bks_dsigma_dT": (kernels.bks_dsigma_dT, (RECOIL, ENERGY, -14)),
    "charge_radius_dsigma_dT": (kernels.charge_radius_dsigma_dT, (RECOIL, ENERGY, 14, S2W, 1e-31)),
    "charge_radius_transition_dsigma_dT": (
        kernels.charge_radius_transition_dsigma_dT,
        (RECOIL, ENERGY, -1e-32),
    ),
    "millicharge_dsigma_dT": (kernels.millicharge_dsigma_dT, (RECOIL, ENERGY, -12, S2W, 1e-12)),
    "dipole_max_mass": (kernels.dipole_max_mass, (ENERGY, RECOIL)),
    "lowest_recoil": (dipole_portal.lowest_recoil, (ENERGY, RECOIL, constants.M_E)),
    "highest_recoil": (dipole_portal.highest_recoil, (ENERGY, RECOIL, 11.2)),
    "dipole_upscatter_dsigma_dT": (
        kernels.dipole_upscatter_dsigma_dT,
        (RECOIL, ENERGY, 1e-3, 1e-9, constants.M_E, 1),
    ),
    "helm_form_factor": (kernels.helm_form_factor, (RECOIL, 131)),
    "max_nuclear_recoil": (kernels.max_nuclear_recoil, (ENERGY, 18, 22)),
    "cevns_dsigma_dT": (kernels.cevns_dsigma_dT, (RECOIL, ENERGY, 18, 22, S2W)),
    "magnetic_nucleus_dsigma_dT": (
        kernels.magnetic_nucleus_dsigma_dT,
        (RECOIL, ENERGY, 18, 22, 1e-10),
    ),
    "magnetic_nucleus_spin0_dsigma_dT": (
        kernels.magnetic_nucleus_spin0_dsigma_dT,
        (RECOIL, ENERGY, 18, 22, 1e-10),
    ),
    "released_electrons": (kernels.released_electrons, (RECOIL, 54)),
}


@pytest.mark.parametrize("name", UFUNCS)
def test_compiled_kernel_equals_its_source_on_every_argument(name):
    ufunc, arguments = UFUNCS[name]
    source = np.vectorize(ufunc.__wrapped__, otypes=[np.float64])
    compiled = ufunc(*arguments)
    # Comparing NaN in the interpreter sets the floating-point flag that numpy reports.
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(compiled, source(*arguments))


@pytest.mark.parametrize("name", UFUNCS)
def test_kernel_broadcasts_to_float64_without_a_warning_for_bad_input(name):
    ufunc, arguments = UFUNCS[name]
    result = ufunc(*arguments)
    assert result.dtype == np.float64
    assert result.shape == np.broadcast_shapes(*(np.shape(argument) for argument in arguments))


def test_public_ufuncs_are_all_in_this_test():
    public = {name for name in kernels.__all__ if hasattr(getattr(kernels, name), "ufunc")}
    assert public <= set(UFUNCS)


@pytest.mark.parametrize("name", UFUNCS)
def test_kernel_documents_itself(name):
    ufunc, _ = UFUNCS[name]
    assert "[" in ufunc.__doc__
    assert next(iter(inspect.signature(ufunc).parameters)) in {"T", "T_min", "E_nu", "q"}


@pytest.mark.parametrize("name", UFUNCS)
def test_kernel_pickles_by_name(name):
    ufunc, _ = UFUNCS[name]
    assert pickle.loads(pickle.dumps(ufunc)) is ufunc


def test_importing_the_kernels_compiles_none_of_them():
    command = (
        "from processors.kernels import magnetic; print(magnetic.magnetic_dsigma_dT._ufunc.types)"
    )
    run = subprocess.run(
        [sys.executable, "-c", command],
        cwd=Path(kernels.__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"


def test_single_precision_columns_are_computed_in_double():
    T, E_nu = np.float32(0.3), np.float32(1.7)
    single = kernels.magnetic_over_sm(T, E_nu, np.int32(-14), S2W)
    assert single == kernels.magnetic_over_sm(float(T), float(E_nu), -14, S2W)


def test_kernel_keeps_the_structure_of_awkward_arrays():
    T = ak.Array([[0.3, 0.6], [], [0.9]])
    result = kernels.sm_dsigma_dT(T, 2.0, 14, S2W)
    assert ak.num(result).to_list() == [2, 0, 1]
    flat = kernels.sm_dsigma_dT(np.array([0.3, 0.6, 0.9]), 2.0, 14, S2W)
    assert ak.flatten(result).to_list() == flat.tolist()


def test_kernels_run_inside_other_compiled_functions():
    magnetic, radius = kernels.magnetic_dsigma_dT.ufunc, kernels.charge_radius_dsigma_dT.ufunc

    @njit
    def spectrum(recoils, E_nu, charge_radius2):
        total = np.zeros(recoils.size)
        for i in range(recoils.size):
            total[i] = magnetic(recoils[i], E_nu, 1e-9)
            total[i] += radius(recoils[i], E_nu, 14.0, 0.23, charge_radius2)
        return total

    recoils = np.linspace(0.1, 2.5, 30)
    expected = kernels.magnetic_dsigma_dT(recoils, 2.0, 1e-9)
    expected += kernels.charge_radius_dsigma_dT(recoils, 2.0, 14, 0.23, 1e-32)
    np.testing.assert_array_equal(spectrum(recoils, 2.0, 1e-32), expected)


def test_kernels_run_in_threads():
    rng = np.random.default_rng(5)
    energies = rng.uniform(0.1, 10.0, (16, 20_000))
    recoils = energies * rng.uniform(0.0, 1.0, energies.shape)

    def compute(row):
        return kernels.bks_dsigma_dT(recoils[row], energies[row], 12)

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(compute, range(16)))
    np.testing.assert_array_equal(rows, kernels.bks_dsigma_dT(recoils, energies, 12))


def test_editing_a_constant_changes_what_a_cached_kernel_computes(tmp_path):
    package = tmp_path / "copied_kernels"
    source = Path(kernels.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    command = "import copied_kernels; print(copied_kernels.sm_dsigma_dT(0.5, 2.0, 14, 0.23))"
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}

    def compute():
        run = subprocess.run(
            [sys.executable, "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return float(run.stdout)

    before = compute()
    text = (package / "constants.py").read_text(encoding="utf-8")
    (package / "constants.py").write_text(text.replace("G_F**2", "G_F**2 * 4.0"), encoding="utf-8")
    assert compute() == pytest.approx(4.0 * before, rel=1e-14, abs=0.0)
