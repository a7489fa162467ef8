"""Files made to be wrong in one way each, and the line that a person reads about them."""

import re

import awkward as ak
import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, make_plan

from .helpers import EVENTS, about, inspect, numbered, physics, process


def test_missing_branch_is_refused_with_the_nearest_names(write_caf):
    mine = {"rec.my.weight": np.ones(EVENTS), "rec.my.height": np.ones(EVENTS)}
    path = write_caf(entries=EVENTS, branches=physics(**mine))
    message = (
        rf"^dataset 'nd', {path}, entries 0-{EVENTS}: column 'generator_weight' needs the branch "
        r"'wieght', which the file lacks; closest: my\.weight, my\.height; check 'format'$"
    )
    with pytest.raises(InputError, match=message):
        process(path, weight="rec.my.wieght")


def test_event_that_is_in_a_file_twice_is_refused(write_caf):
    path = write_caf(entries=4, branches=numbered((5, 1, 7), (5, 1, 8), (5, 2, 7), (5, 1, 8)))
    message = (
        r"events are in the file more than once \(1 of 4 events, the first is run 5, subrun 1,.* "
        r"evt 8.*\); remove the copies, or set check_duplicates = false if the numbers mean "
        r"nothing$"
    )
    with pytest.raises(InputError, match=about(path) + message):
        inspect(path)
    assert inspect(path, check_duplicates=False)[0].entries == 4


@pytest.fixture
def overlapping(write_caf):
    """Two files that are not copies of each other and have one event in common."""
    one = write_caf("one.root", branches=numbered((5, 1, 1), (5, 1, 2), (5, 2, 1)))
    two = write_caf("two.root", branches=numbered((5, 1, 3), (5, 1, 2), (6, 2, 1)))
    return one, two


def shared_event(one):
    return (
        rf"1 of its events are also in {one}, the first is run 5, subrun 1,.* evt 2.*; remove one "
        r"of the files, or set check_duplicates = false if the numbers mean nothing$"
    )


def test_event_that_is_in_two_files_of_a_dataset_is_refused(overlapping):
    one, two = overlapping
    with pytest.raises(InputError, match=about(two) + shared_event(one)):
        inspect(one, two)
    assert len(inspect(one, two, check_duplicates=False)) == 2


def test_subrun_that_is_split_over_two_files_is_accepted(write_caf):
    one = write_caf("one.root", branches=numbered((5, 1, 1), (5, 1, 2), (5, 1, 3)))
    two = write_caf("two.root", branches=numbered((5, 1, 4), (5, 1, 5), (5, 1, 6)))
    assert [info.subruns for info in inspect(one, two)] == [((5, 1),), ((5, 1),)]


def in_two_datasets(one, two, **options):
    described = {"first": {"files": [str(one)]}, "second": {"files": [str(two)]}}
    return make_plan(load_fileset({name: d | options for name, d in described.items()}))


def test_recorded_event_in_two_datasets_is_refused(overlapping):
    one, two = overlapping
    with pytest.raises(InputError, match=about(two, "second") + shared_event(one)):
        in_two_datasets(one, two, is_mc=False)
    assert len(in_two_datasets(one, two, is_mc=False, check_duplicates=False)) == 2


def test_simulated_datasets_may_number_their_events_alike(overlapping):
    assert len(in_two_datasets(*overlapping)) == 2


@pytest.mark.parametrize(
    ("spillpot", "value"),
    [([2e18, -3e18], r"-1e\+18"), ([1e18, np.inf], "inf")],
)
def test_spills_without_a_sensible_sum_are_refused(write_caf, spillpot, value):
    path = write_caf(spillpot=spillpot)
    message = (
        rf"exposure from 'spills' is {value} POT, expected > 0; mend the file, name another source "
        r"with 'exposure', or set 'pot'$"
    )
    with pytest.raises(InputError, match=about(path) + message):
        inspect(path)


@pytest.mark.parametrize("total_pot", [0.992e18, 1.009e18])
def test_exposures_that_agree_to_one_percent_are_accepted(write_caf, total_pot):
    (info,) = inspect(write_caf(spillpot=[1e18], total_pot=total_pot))
    assert (info.pot, info.exposure_source) == (1e18, "spills")


@pytest.mark.parametrize("total_pot", [0.988e18, 1.011e18])
def test_exposures_that_differ_by_more_are_refused(write_caf, total_pot):
    path = write_caf(spillpot=[1e18], total_pot=total_pot)
    message = (
        r"its exposures disagree by more than 1 %: 'spills' says 1e\+18 POT, 'TotalPOT' "
        rf"{re.escape(f'{total_pot:.6g}')}; name the right one with 'exposure', or set 'pot'$"
    )
    with pytest.raises(InputError, match=about(path) + message):
        inspect(path)


def weighted(write_caf, weight):
    branches = {"rec.weight": np.asarray(weight, float), "rec.hdr.run": np.arange(EVENTS)}
    return write_caf(entries=EVENTS, branches=physics(**branches))


def test_weights_that_are_all_zero_are_refused(write_caf):
    path = weighted(write_caf, np.zeros(EVENTS))
    message = (
        rf"^dataset 'nd': the weight from branch 'rec\.weight' is 0 in all {EVENTS} events; mend "
        r"the files, or remove 'weight' from the dataset to count every event once$"
    )
    with pytest.raises(InputError, match=message):
        process(path, weight="rec.weight")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weight_that_is_not_finite_is_refused(write_caf, value):
    path = weighted(write_caf, [value, *np.ones(EVENTS - 1)])
    message = (
        rf"^dataset 'nd', {path}, entries 0-{EVENTS}: 'generator_weight' is not finite in 1 of "
        rf"{EVENTS} values; mend the file or leave it out of the dataset$"
    )
    with pytest.raises(InputError, match=message):
        process(path, weight="rec.weight")


def test_negative_weight_is_refused_unless_the_dataset_says_what_to_do(write_caf):
    path = weighted(write_caf, [-0.5, -0.5, *np.ones(EVENTS - 2)])
    message = (
        rf"^dataset 'nd', {path}, entries 0-{EVENTS}: 'generator_weight' is negative in 2 of "
        rf'{EVENTS} values; mend the file, or set negative_weights = "clip" or "keep" in the '
        r"dataset$"
    )
    with pytest.raises(InputError, match=message):
        process(path, weight="rec.weight")
    kept, clipped = (
        process(path, weight="rec.weight", negative_weights=policy).cutflow["nd", "nuone", "all"]
        for policy in ("keep", "clip")
    )
    assert (kept.value, clipped.value) == (EVENTS - 3.0, EVENTS - 2.0)


def universes(write_caf, name, count):
    branches = {
        "rec.mc.nu.rwgt.ppfx.vuniv": [count * [1.0]] * 3,
        "rec.mc.nu.rwgt.ppfx.vuniv..length": ak.values_astype([[count]] * 3, "int32"),
        "rec.hdr.run": np.full(3, count),
    }
    return write_caf(name, branches=branches)


def test_universes_of_different_length_in_two_files_are_refused(write_caf):
    two, three = (universes(write_caf, f"{n}.root", n) for n in (2, 3))
    message = (
        rf"^dataset 'nd': its files mix numbers of flux universes \(universes: 2 in {two}, 3 in "
        rf"{three}\); describe them as separate datasets$"
    )
    with pytest.raises(InputError, match=message):
        inspect(two, three)


@pytest.fixture
def taken_with(write_caf):
    """Function that writes a file whose spills were taken with given horn currents."""

    def write(name, *currents):
        path = write_caf(name, spillpot=None)
        spills = {"spill.spillpot": np.full(len(currents), 1e18)}
        spills |= {
            f"spill.is{current}": np.array([c == current for c in currents], "i1")
            for current in ("FHC", "RHC")
        }
        with uproot.update(path) as file:
            file.mktree("spillTree", {k: v.dtype for k, v in spills.items()}).extend(spills)
        return path

    return write


def test_mixed_horn_currents_in_one_file_are_refused(taken_with):
    path = taken_with("a.root", "FHC", "RHC")
    message = "the file mixes horn currents FHC and RHC, whose fluxes differ; separate them$"
    with pytest.raises(InputError, match=about(path) + message):
        inspect(path)


def test_mixed_horn_currents_in_two_files_are_refused(taken_with):
    fhc, rhc = taken_with("f.root", "FHC", "FHC"), taken_with("r.root", "RHC")
    message = (
        rf"^dataset 'nd': its files mix horn currents \(horn_current: FHC in {fhc}, RHC in "
        rf"{rhc}\); describe them as separate datasets$"
    )
    with pytest.raises(InputError, match=message):
        inspect(fhc, rhc)
    assert [inspect(path)[0].horn_current for path in (fhc, rhc)] == ["FHC", "RHC"]


def test_horn_current_that_is_not_that_of_the_file_is_refused(taken_with):
    path = taken_with("a.root", "RHC")
    message = r"horn_current = 'FHC', but the file was taken with RHC; mend the description$"
    with pytest.raises(InputError, match=about(path) + message):
        inspect(path, horn_current="FHC")


def test_data_used_as_simulation_are_refused_and_simulation_used_as_data_is_not(write_caf):
    data = write_caf("data.root", branches={"rec.hdr.ismc": np.zeros(3, "i1")})
    message = "is_mc = true, but the file holds data; set is_mc = false or leave it out$"
    with pytest.raises(InputError, match=about(data) + message):
        inspect(data, is_mc=True)
    assert inspect(write_caf("mc.root"), is_mc=False)[0].is_mc is False


def test_overlay_needs_an_exposure_of_its_own(write_caf):
    path = write_caf(branches={"rec.mc.nu.mode": [[1], [10005], []]})
    message = (
        r"its simulated events are overlaid on others: the exposure in the file is that of their "
        r"hosts; set 'pot' to that of the overlaid events$"
    )
    with pytest.raises(InputError, match=about(path) + message):
        inspect(path)
    (info,) = inspect(path, pot=1e22)
    assert (info.pot, info.exposure_source) == (1e22, "explicit")


def test_overlay_that_only_the_description_knows_of_needs_an_exposure_too(write_caf):
    path = write_caf(branches={"rec.mc.nu.mode": [[1], [5], []]})
    assert inspect(path)[0].pot == 3e18
    with pytest.raises(InputError, match=f"{about(path)}its simulated events are overlaid .*'pot'"):
        inspect(path, overlay=True)
