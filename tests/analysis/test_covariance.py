"""Matrices against reference vectors, explicit sums and least squares."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.covariance import (
    Layout,
    Shifts,
    Source,
    correlation,
    principal,
    principal_of,
    relative_size,
    total_covariance,
)
from analysis.systematics import systematics
from fileset.errors import InputError

RNG = np.random.default_rng(7)


@pytest.fixture(scope="module")
def vector(shared):
    entries = json.loads((shared / "reference" / "statistics_vectors.json").read_text())["vectors"]
    return next(v for v in entries if v["id"] == "mv.chi2")


@pytest.fixture(scope="module")
def reference(vector):
    """Rows of the reference vector."""
    central = np.array(vector["inputs"]["cv"])
    source = Source("ppfx", "universes", np.array(vector["inputs"]["universes"]) - central)
    layout = Layout({"nc": {"nc": 1.0}}, {"x": np.arange(4.0)}, {"x": "x"})
    return Shifts(layout, central, np.zeros(3), {"ppfx": source}, 1e20)


def chi2_of_nuisances(difference, variance, columns):
    """Smallest chi2 over the parameters of the columns, each with its penalty."""
    deviation = np.sqrt(variance)
    matrix = np.vstack([(columns / deviation).T, np.eye(len(columns))])
    target = np.concatenate([difference / deviation, np.zeros(len(columns))])
    solution = np.linalg.lstsq(matrix, target)[0]
    return float(np.square(target - matrix @ solution).sum())


def test_chi2_with_the_covariance_is_the_reference_one(vector, reference):
    difference = np.array(vector["inputs"]["data"]) - reference.nominal
    matrix = total_covariance(reference) + np.diag(reference.nominal)
    chi2 = difference @ np.linalg.solve(matrix, difference)
    assert chi2 == pytest.approx(vector["expected"], rel=vector["rtol"])


def test_chi2_with_principal_components_is_the_reference_one(vector, reference):
    difference = np.array(vector["inputs"]["data"]) - reference.nominal
    found = systematics(reference, keep=1.0)
    variance = reference.nominal + found.remainder
    chi2 = chi2_of_nuisances(difference, variance, found.up)
    assert chi2 == pytest.approx(vector["expected"], rel=1e-9)


@given(
    deviations=arrays(
        float, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-9, 9)
    ),
    keep=st.sampled_from([0.5, 0.9, 0.999, 1.0]),
)
def test_components_and_remainder_hold_the_whole_diagonal(deviations, keep):
    matrix = deviations.T @ deviations
    found = principal_of(deviations, keep)
    left = matrix - found.components.T @ found.components
    scale = np.trace(matrix)
    assert found.remainder == pytest.approx(np.diag(left), abs=1e-9 * scale)
    assert np.trace(left) <= (1.0 - keep) * scale + 1e-9 * scale
    # What is left is a covariance too.
    assert np.linalg.eigvalsh(left).min() >= -1e-9 * scale


@given(
    deviations=arrays(
        float, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-9, 9)
    )
)
def test_all_components_together_are_the_covariance(deviations):
    found = principal_of(deviations, 1.0)
    matrix = deviations.T @ deviations
    assert found.components.T @ found.components == pytest.approx(matrix, abs=1e-8)
    assert len(found.components) <= min(deviations.shape)


def test_no_component_is_kept_that_is_not_needed():
    found = principal(np.diag([8.0, 1.0, 0.9, 0.1]), keep=0.9)
    assert found.eigenvalues == pytest.approx([8.0, 1.0])
    assert found.remainder == pytest.approx([0.0, 0.0, 0.9, 0.1])


def test_components_of_fewer_universes_than_bins_are_those_of_the_matrix():
    deviations = RNG.normal(size=(5, 40)) * np.linspace(0.1, 3.0, 40)
    few, full = principal_of(deviations, 0.99), principal(deviations.T @ deviations, 0.99)
    assert few.eigenvalues == pytest.approx(full.eigenvalues, rel=1e-9)
    assert few.components == pytest.approx(full.components, abs=1e-9)
    assert few.remainder == pytest.approx(full.remainder, abs=1e-9)


@pytest.mark.parametrize("members", [100, 1000])
def test_flux_like_universes_of_many_bins_need_few_components(members):
    patterns = RNG.normal(size=(6, 400)) * np.array([5.0, 2.0, 1.0, 0.1, 0.01, 0.001])[:, None]
    universes = RNG.normal(size=(members, 6)) @ patterns / np.sqrt(members)
    found = principal_of(universes, 0.999)
    assert len(found.components) in (3, 4)
    assert np.trace(found.components @ found.components.T) >= 0.999 * np.square(universes).sum()


def test_components_do_not_depend_on_the_order_of_bins_or_universes():
    deviations = RNG.normal(size=(4, 9))
    bins, order = RNG.permutation(9), RNG.permutation(4)
    found = principal_of(deviations, 0.95)
    moved = principal_of(deviations[order][:, bins], 0.95)
    assert moved.components == pytest.approx(found.components[:, bins])
    assert moved.remainder == pytest.approx(found.remainder[bins])


def test_largest_entry_of_a_component_points_up():
    found = principal_of(np.array([[-3.0, 1.0], [0.1, 0.3]]), 1.0)
    assert all(c[np.argmax(np.abs(c))] > 0.0 for c in found.components)


def test_nothing_that_varies_gives_no_component():
    found = principal_of(np.zeros((3, 4)))
    assert found.components.shape == (0, 4)
    assert not found.remainder.any()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], r"has the eigenvalue -1, expected none below 0"),
        ([[1.0, 0.5], [0.0, 1.0]], "not finite and symmetric"),
        ([[np.nan, 0.0], [0.0, 1.0]], "not finite and symmetric"),
    ],
)
def test_what_is_no_covariance_is_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        principal(np.array(matrix))


@pytest.mark.parametrize("keep", [0.0, 1.1, float("nan")])
def test_fraction_that_is_none_is_refused(keep):
    with pytest.raises(InputError, match=r"keep = .*, expected a fraction of the trace"):
        principal(np.eye(2), keep)


def test_correlation_of_a_row_without_variance_is_none():
    found = correlation(np.array([[4.0, -6.0, 0.0], [-6.0, 9.0, 0.0], [0.0, 0.0, 0.0]]))
    assert found.tolist() == [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_deviations_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="the deviations are not finite"):
        principal_of(np.array([[np.nan, 1.0, 2.0]]))


LAYOUT = Layout({"nc": {"nc": 1.0}, "nuone": {"nuone": 1.0}}, {"x": np.arange(4.0)}, {"x": "x"})
NOMINAL = np.array([40.0, 10.0, 0.0, 5.0, 20.0, 5.0])


def sizes(changes, samples):
    """Total and shape of universes with these changes, one per row."""
    source = Source("any", "universes", np.asarray(changes))
    return relative_size(Shifts(LAYOUT, NOMINAL, NOMINAL, {}, 1e20), source, samples)


def test_normalisation_has_no_shape_and_a_tilt_nothing_else():
    assert sizes([0.1 * NOMINAL], ["nc", "nuone"]) == pytest.approx((0.1, 0.0), abs=1e-12)
    tilt = np.array([0.0, 0.0, 0.0, 1.0, 0.0, -1.0])
    assert sizes([tilt], ["nuone"]) == pytest.approx((0.0, np.sqrt(0.4 / 30.0)), abs=1e-12)


@given(factors=arrays(float, (3, 6), elements=st.floats(-0.9, 3.0)))
def test_total_and_shape_are_the_whole_relative_change(factors):
    total, shape = sizes(factors * NOMINAL, ["nc"])
    expected = np.average(factors[:, :3] ** 2, axis=1, weights=NOMINAL[:3]).mean()
    assert total**2 + shape**2 == pytest.approx(expected, abs=1e-12)
