import itertools

import awkward as ak
import mpmath
import numpy as np
import pytest
import uproot

from fileset import load_fileset, make_plan, open_chunk
from fileset.baskets import open_source
from fileset.coffea_api import BaseSchema, NanoEventsFactory
from fileset.columns import Canonical, with_columns
from fileset.events import canonical
from fileset.formats.nova_caf import NUMI_BEAM_DIRECTION, NovaCAFSchema
from fileset.virtual import basket_cuts, source_events
from processors import kernels
from processors.columns import DERIVED, add_columns, provided
from processors.reading import read_columns

M_E = 0.51099895e-3  # electron mass [GeV], CODATA 2018


def across_beam():
    """A unit vector at right angles to the beam."""
    across = np.cross(NUMI_BEAM_DIRECTION, [1.0, 0.0, 0.0])
    return across / np.linalg.norm(across)


def directions(angles):
    """Unit vectors at known angles to the beam, with 50 digits, then rounded."""
    beam, across = mpmath.matrix(NUMI_BEAM_DIRECTION), mpmath.matrix(across_beam())
    with mpmath.workdps(50):
        beam /= mpmath.norm(beam)
        across -= (across.T * beam)[0] * beam
        across /= mpmath.norm(across)
        rows = [mpmath.cos(a) * beam + mpmath.sin(a) * across for a in map(mpmath.mpf, angles)]
    return np.array([[float(x) for x in row] for row in rows])


def angle(direction):
    """Angle of a (rounded) vector to the beam, by the arc cosine with 60 digits."""
    with mpmath.workdps(60):
        a, b = mpmath.matrix(direction.tolist()), mpmath.matrix(NUMI_BEAM_DIRECTION)
        return float(mpmath.acos((a.T * b)[0] / mpmath.norm(a) / mpmath.norm(b)))


def of_direction(make_events, rows, **more):
    rows = np.asarray(rows, float).reshape(-1, 3)
    named = {f"direction_{axis}": rows[:, i] for i, axis in enumerate("xyz")}
    return add_columns(make_events(named | more))


@pytest.mark.parametrize("size", [1e-7, 1e-4, 0.01, 0.041, 0.3, 1.5, 3.0])
def test_theta_matches_a_sixty_digit_computation(make_events, size):
    rows = directions([size])
    events = of_direction(make_events, rows)
    assert events.theta.tolist() == pytest.approx([angle(rows[0])], rel=2e-9, abs=3e-16)


def test_theta_does_not_depend_on_the_length_of_the_direction(make_events):
    rows = directions([0.02, 0.5])
    events = of_direction(make_events, 7.5 * rows)
    assert events.theta.tolist() == pytest.approx([0.02, 0.5], rel=1e-10, abs=0.0)


def test_theta_is_zero_along_the_beam_and_pi_against_it(make_events):
    beam = np.array(NUMI_BEAM_DIRECTION)
    assert of_direction(make_events, [beam, -beam]).theta.tolist() == pytest.approx(
        [0.0, np.pi], abs=1e-7
    )


def test_direction_that_is_missing_or_zero_has_no_angle(make_events):
    events = of_direction(make_events, [[0.0, 0.0, 0.0], [np.nan, 0.0, 1.0]])
    assert np.isnan(events.theta).tolist() == [True, True]


def test_detector_axis_is_not_the_beam(make_events):
    # 3.54 degrees downwards, as published for the NuMI beam at the NOvA near detector.
    (theta,) = of_direction(make_events, [0.0, 0.0, 1.0]).theta
    assert np.degrees(theta) == pytest.approx(3.54, abs=0.01)


def test_energy_angle_products_use_total_and_kinetic_energy(make_events):
    events = add_columns(make_events({"shower_energy": [0.8], "theta": [0.05]}))
    assert events.etheta2[0] == pytest.approx(0.8 * 0.05**2, rel=1e-14, abs=0.0)
    assert events.recoil_energy[0] == pytest.approx(0.8 - M_E, rel=1e-14, abs=0.0)
    assert events.ttheta2[0] == pytest.approx((0.8 - M_E) * 0.05**2, rel=1e-14, abs=0.0)


@pytest.mark.parametrize("column", ["etheta2", "ttheta2", "recoil_energy"])
def test_missing_energy_stays_missing(make_events, column):
    events = add_columns(make_events({"shower_energy": [np.nan], "theta": [0.05]}))
    assert np.isnan(events[column]).tolist() == [True]


def test_energies_outside_the_shower_and_of_the_true_electron(make_events):
    energies = {"slice_energy": [1.0], "shower_energy": [0.75], "true_electron_energy": [2.0]}
    events = add_columns(make_events(energies))
    assert events.hadronic_energy.tolist() == [0.25]
    assert events.true_recoil_energy.tolist() == [2.0 - M_E]


def test_simulated_signal_obeys_two_body_kinematics(toy):
    events = add_columns(open_chunk(load_fileset(toy), "signal"))
    T, E_nu = ak.to_numpy(events.true_recoil_energy), ak.to_numpy(events.true_neutrino_energy)
    assert np.all(T > 0.0)
    # 2 E_nu^2 / (2 E_nu + m), written out.
    assert np.all(T <= 2 * E_nu**2 / (2 * E_nu + M_E) * (1 + 1e-12))
    assert np.all(np.isfinite(kernels.magnetic_over_sm(T, E_nu, events.nu_pdg, 0.231295)))


def test_column_that_the_format_provides_is_kept(make_events):
    rows = {f"direction_{axis}": [1.0] for axis in "xyz"}
    assert add_columns(make_events(rows | {"theta": [0.125]})).theta.tolist() == [0.125]


def test_only_columns_whose_inputs_are_there_are_added(make_events):
    assert add_columns(make_events({"shower_energy": [1.0]})).fields == [
        "shower_energy",
        "recoil_energy",
    ]
    assert {"theta", "etheta2", "ttheta2", "hadronic_energy"} <= provided("nova_caf")
    assert "hadronic_energy" not in provided("dune_fd_caf")


@pytest.mark.parametrize("name", DERIVED)
def test_derived_column_reads_what_it_declares_and_nothing_else(make_events, name):
    function, uses, kind = DERIVED[name]
    events = make_events({column: [0.5, 0.25, 0.125] for column in uses})
    values = function(events)
    assert values.shape == (3,)
    assert np.isfinite(values).all()
    assert kind.unit
    assert kind.unit in kind.meaning


def counting(column, calls):
    def expression(events):
        calls.append(column)
        return events[column]

    return expression


def test_columns_are_computed_when_they_are_looked_at_and_once(make_events):
    calls = []
    kinds = {"b": Canonical("1", "copy"), "c": Canonical("1", "copy")}
    events = with_columns(
        make_events({"a": [1.0, 2.0]}),
        {"b": counting("a", calls), "c": counting("b", calls)},
        kinds,
    )
    subset = events[np.array([True, False])]
    assert calls == []
    assert subset.b.tolist() == [1.0]
    assert events.c.tolist() == [1.0, 2.0]
    assert calls == ["a", "b"]


def test_nothing_is_read_before_it_is_used_and_then_only_what_is_needed(toy):
    log = []
    with uproot.open(toy.parent / "signal/nuone_fhc_0000.root") as file:
        metadata = {"dataset": "signal", "format": "nova_caf"}
        factory = NanoEventsFactory.from_root(
            file,
            treepath="recTree",
            schemaclass=NovaCAFSchema,
            metadata=metadata,
            access_log=log,
        )
        events = add_columns(canonical(factory.events()))
        assert log == []
        ak.sum(events.recoil_energy)
    assert {str(getattr(entry, "branch", entry)) for entry in log} == {
        "rec.vtx.elastic.fuzzyk.png.nplane",
        "rec.vtx.elastic.fuzzyk.png.shwlid.calE",
    }


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_neighbours_are_all_events_once_and_in_order(toy, size):
    columns = read_columns(make_plan(load_fileset(toy))[0].open())
    some = columns[np.arange(len(columns)) % 3 == 0]
    for events in (columns, some, some.replaced({"theta": np.zeros(len(some))})):
        parts = list(events.neighbours(size))
        np.testing.assert_array_equal(np.concatenate(parts), np.arange(len(events)))
        assert all(len(part) >= size for part in parts[:-1])


def test_no_basket_is_in_two_parts(tmp_path):
    edges = [0, 400, 800, 1000]
    with uproot.recreate(tmp_path / "a.root") as file:
        made = file.mktree("t", {"x": np.float32, "w": ("f4", (50,))})
        for start, stop in itertools.pairwise(edges):
            made.extend({"x": np.zeros(stop - start), "w": np.zeros((stop - start, 50))})
    source = open_source(str(tmp_path / "a.root"), "t")
    assert source.largest == "w"
    events = source_events(source, BaseSchema, 100, 900, {})
    assert basket_cuts(events).tolist() == [300, 700]


def test_rows_of_a_subset_are_those_of_the_whole(toy):
    chunk = make_plan(load_fileset(toy))[0]
    rows = np.flatnonzero(np.arange(chunk.stop - chunk.start) % 7 == 2)
    for name in ("nu_pdg", "true_electron_energy", "wall_distance", "knob_plus1", "shower_energy"):
        whole, late = read_columns(chunk.open()), read_columns(chunk.open())
        # Read by the subset of a subset of columns that were replaced, as the processor does.
        replaced = late.replaced({"category": np.zeros(len(late), int)})
        some = replaced[rows][np.arange(len(rows)) % 2 == 1]
        expected = whole[name][rows[1::2]]
        assert ak.array_equal(ak.Array(some[name]), ak.Array(expected), equal_nan=True)
        assert name not in late.touched
