"""What a run says of itself."""

import json
import re
import sys
from pathlib import Path

import cloudpickle
import pytest

from fileset import load_fileset, make_plan
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset
from processors.summary import digest
from processors.templates import Templates

COUNTED = Path("/proc/thread-self/io")
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Failing(NuoneProcessor):
    """Fails where a file goes on."""

    def process(self, events):
        if events.metadata["entrystart"] > 0:
            raise ValueError("no good")
        return super().process(events)


@pytest.fixture(scope="module", params=["iterative", "futures"])
def ran(toy, request, tmp_path_factory):
    """Templates of a run in which three of seven chunks fail, and what was said meanwhile."""
    lines = []
    kept = tmp_path_factory.mktemp("kept")
    execution = Execution(request.param, workers=2, chunksize=800, resume=kept)
    templates = process_fileset(
        load_fileset(toy),
        Failing(variations="flux"),
        execution,
        progress=lambda tally: lines.append(tally.line()),
    )
    return templates, lines


def test_summary_counts_what_was_done(ran, toy):
    templates, _ = ran
    run = templates.provenance["run"]
    assert run["files"] == 4
    assert run["chunks"] == {"planned": 7, "resumed": 0, "failed": 3}
    assert run["fileset"] == digest(make_plan(load_fileset(toy)))
    assert list(run["seconds"]) == ["plan", "process"]
    assert all(spent > 0.0 for spent in run["seconds"].values())
    assert run["events_per_second"] > 0
    assert len(run["slowest_files"]) == 4
    spent = [seconds for _, seconds in run["slowest_files"]]
    assert spent == sorted(spent, reverse=True)


@pytest.mark.skipif(not COUNTED.exists(), reason="no count of bytes here: NOT tested")
def test_bytes_that_were_read_are_at_least_what_events_are_made_of(ran):
    # A worker that is new reads code too.
    assert ran[0].provenance["run"]["bytes_read"] > 10_000


def test_summary_is_kept_with_the_options(ran, tmp_path):
    ran[0].save(tmp_path / "t.zip")
    provenance = Templates.load(tmp_path / "t.zip").provenance
    assert provenance == json.loads(json.dumps(ran[0].provenance))
    options = provenance["options"]
    assert (options["chunksize"], options["workers"], options["skim"]) == (800, 2, None)
    assert options["resume"].startswith("/")


def test_progress_says_where_it_is(ran):
    _, lines = ran
    assert len(lines) == 7
    for line in lines:
        assert re.fullmatch(r"\w+, [\d.e+]+ POT so far, [\d,]+ events/s, \d failed", line)
    assert lines[-1].endswith("3 failed")


def test_identity_of_a_fileset_is_that_of_its_files_and_description(toy):
    fileset = load_fileset(toy)
    whole = digest(make_plan(fileset))
    assert digest(make_plan(fileset, chunksize=100)) == whole
    assert digest(make_plan({"nd": fileset["nd"]})) != whole
    described = [{}, {"negative_weights": "clip"}]
    files = {"files": list(fileset["signal"].files)}
    one, other = (digest(make_plan(load_fileset({"s": files | more}))) for more in described)
    assert one != other
