"""Electrons that a recoil energy can set free."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.kernels import (
    SHELLS,
    constants,
    ionised_electrons,
    magnetic_dsigma_dT,
    released_electrons,
)


@pytest.mark.parametrize(("element", "Z"), [("xenon", 54), ("germanium", 32), ("argon", 18)])
def test_all_electrons_are_free_far_above_the_deepest_shell(element, Z):
    assert SHELLS[element].Z == Z
    assert sum(SHELLS[element].electrons.values()) == Z
    assert ionised_electrons(1.0, element) == Z
    assert ionised_electrons(0.0, element) == 0.0


@pytest.mark.parametrize(
    ("element", "energy", "below", "above"),
    [
        pytest.param("xenon", 34.759e-6, 52, 54, id="xenon K"),
        pytest.param("xenon", 4.8356e-6, 44, 48, id="xenon L3"),
        pytest.param("xenon", 12.0e-9, 0, 4, id="xenon, outermost"),
        pytest.param("germanium", 11.1031e-6, 30, 32, id="germanium K"),
        pytest.param("germanium", 1.217e-6, 22, 26, id="germanium L3"),
        pytest.param("germanium", 7.9e-9, 0, 4, id="germanium, valence"),
        pytest.param("argon", 3.2059e-6, 16, 18, id="argon K"),
        pytest.param("argon", 15.7e-9, 0, 4, id="argon, outermost"),
    ],
)
def test_shell_opens_at_its_binding_energy(element, energy, below, above):
    # A part in 10^12 is far below the digits of the table and far above rounding.
    around = energy * np.array([1.0 - 1e-12, 1.0 + 1e-12])
    assert ionised_electrons(around, element).tolist() == [below, above]


@pytest.mark.parametrize("element", SHELLS)
def test_shells_are_ordered_from_the_outside_in(element):
    energies = list(SHELLS[element].electrons)
    assert energies == sorted(energies)
    assert min(SHELLS[element].electrons.values()) >= 2


@given(T=st.floats(0.0, 1e-3), more=st.floats(0.0, 1e-3), element=st.sampled_from(sorted(SHELLS)))
def test_more_energy_never_releases_fewer_electrons(T, more, element):
    assert ionised_electrons(T, element) <= ionised_electrons(T + more, element)


@pytest.mark.parametrize("element", SHELLS)
def test_free_electrons_over_predict_below_a_kev(element):
    T = constants.KEV * np.array([0.3, 0.9])
    bound, free = (ionised_electrons(T, element, binding) for binding in ("steps", "free"))
    assert np.all(bound < free)
    assert np.all(free == SHELLS[element].Z)


def test_binding_multiplies_the_cross_section_per_electron():
    per_electron = magnetic_dsigma_dT(5e-6, 3e-4, 1e-11)
    assert ionised_electrons(5e-6, "xenon") * per_electron == pytest.approx(
        48 * per_electron, rel=1e-14, abs=0.0
    )


@pytest.mark.parametrize("binding", ["steps", "free"])
@pytest.mark.parametrize("T", [-1e-9, np.nan, np.inf])
def test_unphysical_recoil_gives_nan(T, binding):
    assert np.isnan(ionised_electrons(T, "xenon", binding))


def test_element_without_table_gives_nan_in_the_kernel_and_an_error_by_name():
    assert np.isnan(released_electrons(1e-6, 53))
    with pytest.raises(ValueError, match="no binding energies of 'iodine'; available: xenon, ger"):
        ionised_electrons(1e-6, "iodine")


def test_unknown_binding_model_names_the_available_ones():
    with pytest.raises(ValueError, match="no binding model 'rrpa'; available: steps, free"):
        ionised_electrons(1e-6, "xenon", "rrpa")


@pytest.mark.parametrize("element", ["germanium", "argon"])
def test_unverified_values_say_so(element):
    assert SHELLS[element].unverified
    assert "unverified" in ionised_electrons.__doc__
