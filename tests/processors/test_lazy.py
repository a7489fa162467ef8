"""The same processor as a dask-awkward graph: the same bits, the same branches and no more."""

import os
import shutil
from pathlib import Path

import dask
import dask_awkward as dak
import distributed
import pytest

from fileset import InputError, load_fileset, make_plan
from processors import NuoneProcessor
from processors.checkpoints import encode
from processors.executors import InProcess
from processors.lazy import LazyGraph, lazy_outcomes, open_lazy
from processors.pipeline import Execution, process_fileset
from processors.run import run
from processors.tracing import trace


@pytest.fixture(scope="module")
def processor():
    return NuoneProcessor(variations="flux,ppfx,genie,calibration,angle")


@pytest.fixture(scope="module")
def plan(toy):
    return make_plan(load_fileset(toy), chunksize=700)


def result(ran):
    output, ledger = ran
    return {name: encode(part) for name, part in output.items()}, ledger


def test_it_gives_the_same_to_the_last_bit(plan, processor):
    with open_lazy(plan, workers=2, scheduler=None) as graph:
        ran = run(plan, processor, graph)
    assert result(ran) == result(run(plan, processor, InProcess()))


def test_it_gives_the_same_on_a_dask_scheduler(plan, processor):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        with open_lazy(plan, workers=None, scheduler=cluster.scheduler_address) as graph:
            ran = run(plan, processor, graph)
    assert result(ran) == result(run(plan, processor, InProcess()))


def test_it_gives_the_same_of_a_dune_file(dune_file, processor):
    fileset = load_fileset({"fd": {"files": [str(dune_file)], "pot": 1e20}})
    plan = make_plan(fileset, chunksize=1000)
    ran = run(plan, processor, LazyGraph(plan))
    assert result(ran) == result(run(plan, processor, InProcess()))


def test_it_reads_the_branches_that_a_run_reads(plan, processor):
    part = [chunk for chunk in plan if chunk.dataset == "nd"]
    (read,) = dak.necessary_columns(lazy_outcomes(part, processor)).values()
    traced = {branch for t in trace(processor, part[0]) for branch in t.branches}
    assert traced <= set(read)
    # Lengths of lists are read with their content.
    assert {branch for branch in set(read) - traced if not branch.endswith("..length")} == set()


def test_nothing_is_read_before_it_is_computed(plan, processor, tmp_path):
    path = shutil.copy(plan[0].path, tmp_path)
    own = make_plan(load_fileset({"signal": {"files": [path]}}))
    graph = lazy_outcomes(own, processor)
    assert graph.npartitions == len(own)
    os.truncate(path, 2000)
    with pytest.raises((OSError, ValueError, RuntimeError), match=r"."):
        dask.compute(graph, scheduler="sync")


def test_a_damaged_file_is_refused_with_a_way_out(plan, processor, tmp_path):
    path = shutil.copy(plan[0].path, tmp_path)
    own = make_plan(load_fileset({"signal": {"files": [path]}}))
    os.truncate(path, Path(path).stat().st_size // 2)
    with pytest.raises(InputError, match=r"dask-awkward: cannot be read .* another --executor"):
        run(own, processor, LazyGraph(own))


def test_an_error_in_one_chunk_is_in_the_ledger(plan, processor):
    class Failing(NuoneProcessor):
        def process(self, events):
            if events.metadata["entrystart"] > 0:
                raise ZeroDivisionError("once")
            return super().process(events)

    ran = run(plan, Failing(variations="flux"), LazyGraph(plan))
    assert {row.missing for row in ran[1].missing} == {"ZeroDivisionError: once"}
    good = [chunk for chunk in plan if chunk.start == 0]
    expected = run(good, NuoneProcessor(variations="flux"), InProcess())
    assert result(ran)[0] == result(expected)[0]


def test_what_goes_on_from_where_it_stopped_is_refused(toy, tmp_path):
    execution = Execution("dask-awkward", resume=tmp_path)
    with pytest.raises(InputError, match="computes everything at once; leave out"):
        process_fileset(load_fileset(toy), NuoneProcessor(), execution)


def test_it_is_an_executor_of_the_whole_flow(toy):
    fileset = load_fileset(toy)
    made = [
        process_fileset(fileset, NuoneProcessor(variations="flux"), Execution(name))
        for name in ("iterative", "dask-awkward")
    ]
    one, other = ({n: h.view(flow=True).tobytes() for n, h in t.histograms.items()} for t in made)
    assert one == other
    assert made[1].provenance["executor"] == "dask-awkward"
