import numpy as np
import pytest
import uproot

from fileset import InputError, load_fileset, make_plan, open_chunk


@pytest.fixture
def fileset(write_caf):
    paths = [write_caf("a.root", entries=10), write_caf("b.root", entries=4)]
    return load_fileset({"nd": {"files": list(map(str, paths)), "pot": 14e18}})


def ranges(plan):
    return [(chunk.path[-6:], chunk.start, chunk.stop) for chunk in plan]


def test_every_entry_of_every_file_is_planned_once(fileset):
    plan = make_plan(fileset, chunksize=4)
    expected = [("a.root", 0, 4), ("a.root", 4, 8), ("a.root", 8, 10), ("b.root", 0, 4)]
    assert ranges(plan) == expected


def test_exposure_of_the_chunks_is_shared_by_entries_and_adds_up(fileset):
    plan = make_plan(fileset, chunksize=4)
    assert [chunk.pot for chunk in plan] == pytest.approx([4e18, 4e18, 2e18, 4e18])


def test_chunks_end_on_boundaries_of_the_file(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        tree = file.mktree("recTree", {"rec.hdr.ismc": "int8"})
        for size in (3, 3, 4):
            tree.extend({"rec.hdr.ismc": np.ones(size, "i1")})
    fileset = load_fileset({"nd": {"files": [str(tmp_path / "a.root")], "pot": 1.0}})
    assert [c[1:] for c in ranges(make_plan(fileset, chunksize=7))] == [(0, 6), (6, 10)]
    assert [c[1:] for c in ranges(make_plan(fileset, chunksize=6))] == [(0, 6), (6, 10)]
    assert [c[1:] for c in ranges(make_plan(fileset, chunksize=2))] == [
        (0, 2),
        (2, 3),
        (3, 5),
        (5, 6),
        (6, 8),
        (8, 10),
    ]


def test_a_limited_run_has_the_exposure_of_its_chunks(fileset):
    plan = make_plan(fileset, chunksize=4, max_chunks=2)
    assert (ranges(plan), sum(c.pot for c in plan)) == (
        [("a.root", 0, 4), ("a.root", 4, 8)],
        pytest.approx(8e18),
    )


@pytest.mark.parametrize("options", [{"chunksize": 0}, {"max_chunks": 0}, {"max_chunks": -1}])
def test_numbers_that_are_not_positive_are_refused(fileset, options):
    with pytest.raises(InputError, match="must be positive"):
        make_plan(fileset, **options)


def test_a_chunk_opens_with_its_own_entries(fileset):
    events = open_chunk(fileset, "nd", 1, chunksize=4)
    assert events.run.tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("dataset", "chunk", "message"),
    [
        ("md", 0, "no dataset 'md' in the fileset; known: nd"),
        ("nd", 4, "dataset 'nd' has chunks 0 to 3, asked for 4"),
        ("nd", -1, "dataset 'nd' has chunks 0 to 3, asked for -1"),
    ],
)
def test_what_is_not_there_cannot_be_opened(fileset, dataset, chunk, message):
    with pytest.raises(InputError, match=message):
        open_chunk(fileset, dataset, chunk, chunksize=4)


def test_a_file_in_two_datasets_is_refused(write_caf):
    path = str(write_caf())
    fileset = load_fileset({"one": {"files": [path]}, "two": {"files": [path]}})
    with pytest.raises(InputError, match=r"'one' and 'two' both hold .*count twice"):
        make_plan(fileset)
