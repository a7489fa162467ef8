"""The branches that are said to be read are those that are read."""

import pytest

import fileset.events
from fileset import InputError, load_fileset, make_plan
from fileset.virtual import Followed
from processors import NuoneProcessor
from processors.tracing import trace


@pytest.fixture
def read(monkeypatch):
    """Branches that are read while something runs."""
    touched = set()
    whole = fileset.events.FileRange
    monkeypatch.setattr(
        fileset.events,
        "FileRange",
        lambda source, *rest: whole(Followed(source, touched.add), *rest),
    )
    return touched


@pytest.fixture(scope="module")
def plan(toy):
    return {chunk.dataset: chunk for chunk in make_plan(load_fileset(toy))}


@pytest.mark.parametrize(
    ("selection", "variations", "radiative"),
    [
        ("note_window", "none", "none"),
        ("note_window", None, "sarantakos"),
        ("event_cvn", "flux,genie", "none"),
        ("single_particle_cvn+note_window", "all,bootstrap", "none"),
    ],
)
@pytest.mark.parametrize("dataset", ["signal", "nd_data"])
def test_traced_branches_are_exactly_those_of_the_run(
    plan, read, dataset, selection, variations, radiative
):
    processor = NuoneProcessor(selection, variations, radiative)
    traced = {b for column in trace(processor, plan[dataset]) for b in column.branches}
    read.clear()
    processor.process(plan[dataset].open())
    assert read == traced


def test_tracing_reads_nothing(plan, monkeypatch):
    from fileset.baskets import Source

    sizes = []
    whole = Source.read

    def watched(self, name, start, stop, *rows):
        sizes.append(stop - start)
        return whole(self, name, start, stop, *rows)

    monkeypatch.setattr(Source, "read", watched)
    assert trace(NuoneProcessor(), plan["signal"])
    assert set(sizes) <= {0}


def test_each_column_says_what_needs_it_and_of_which_events(plan):
    found = {c.column: c for c in trace(NuoneProcessor(variations="ppfx"), plan["signal"])}
    universes = found["flux_universes"]
    assert (universes.uses, universes.all_events) == (("ppfx",), False)
    assert "rec.mc.nu.rwgt.ppfx.vuniv" in universes.branches
    energy = found["shower_energy"]
    assert energy.all_events
    assert {"selection", "axes"} <= set(energy.uses)


def test_data_need_no_truth(plan):
    columns = {c.column for c in trace(NuoneProcessor(), plan["nd_data"])}
    assert columns == {"shower_energy", "direction_x", "direction_y", "direction_z"}


def test_dune_columns_are_its_branches(dune_file):
    (chunk,) = make_plan(load_fileset({"fd": {"files": [str(dune_file)]}}))
    found = {c.column: c.branches for c in trace(NuoneProcessor(variations="none"), chunk)}
    assert found["shower_energy"] == ("RecoLepEnNue",)
    assert found["true_electron_energy"] == ("Ev", "Y")


def test_selection_that_the_format_cannot_have_is_refused_as_by_the_run(dune_file):
    (chunk,) = make_plan(load_fileset({"fd": {"files": [str(dune_file)]}}))
    with pytest.raises(InputError, match="cut 'longest_prong' needs the column 'longest_prong'"):
        trace(NuoneProcessor("event_cvn"), chunk)
