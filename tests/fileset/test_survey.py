import os
from concurrent.futures import BrokenExecutor
from dataclasses import replace

import loky
import numpy as np
import pytest

from fileset import InputError, load_fileset
from fileset import files as looking
from fileset import survey as surveying
from fileset.survey import inspect_dataset, survey


@pytest.fixture
def dataset(write_caf):
    """Five files, of which the second is truncated and the fourth gone."""
    paths = [
        write_caf(f"{i}.root", entries=i + 1, branches={"rec.hdr.run": np.full(i + 1, i)})
        for i in range(5)
    ]
    os.truncate(paths[1], 1500)
    paths[3].unlink()
    return load_fileset({"nd": {"files": list(map(str, paths))}})["nd"]


def known_entries(dataset, **entries):
    """The dataset as preprocessing leaves it, with what it once knew of some files."""
    known = {
        path: {"entries": entries[name]}
        for path in dataset.files
        if (name := stem(path)) in entries
    }
    return replace(dataset, known=known)


def stem(path):
    return f"n{path.rpartition('/')[2].removesuffix('.root')}"


def test_good_files_are_described_and_bad_ones_get_a_reason_each(dataset):
    found = survey(dataset)
    paths = list(dataset.files)
    assert [info.path for info in found.infos] == [paths[0], paths[2], paths[4]]
    assert list(found.bad) == [paths[1], paths[3]]
    assert found.bad[paths[1]].startswith(f"dataset 'nd', {paths[1]}: the file is truncated, 1500")
    assert found.bad[paths[3]].startswith(f"dataset 'nd', {paths[3]}: no such file; check the path")


def test_several_processes_find_the_same_as_one(dataset, monkeypatch):
    serial = survey(dataset)
    monkeypatch.setattr(surveying, "_PARALLEL", 2)
    assert survey(dataset, workers=2) == serial


def test_processes_are_started_for_many_files_that_are_not_known(dataset, monkeypatch):
    def refuse(**options):
        raise AssertionError("no pool is needed")

    monkeypatch.setattr(loky, "get_reusable_executor", refuse)
    monkeypatch.setattr(surveying, "_PARALLEL", 3)
    facts = {path: {"entries": 1} for path in list(dataset.files)[:3]}
    survey(replace(dataset, known=facts), workers=2)
    survey(dataset, workers=1)
    # What is known of files elsewhere says nothing about these.
    elsewhere = {f"/elsewhere/{i}.root": {"entries": 1} for i in range(10)}
    with pytest.raises(AssertionError, match="no pool"):
        survey(replace(dataset, known=elsewhere), workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_hears_of_every_file_in_order_and_what_was_found(dataset, monkeypatch, workers):
    monkeypatch.setattr(surveying, "_PARALLEL", 2)
    heard = []
    found = survey(dataset, workers=workers, progress=lambda *news: heard.append(news))
    assert [path for path, _ in heard] == list(dataset.files)
    good = {info.path: info for info in found.infos}
    assert dict(heard) == good | found.bad


def test_the_first_bad_file_stops_a_run_that_does_not_skip_it(dataset):
    with pytest.raises(InputError, match=r"^dataset 'nd', .*1\.root: the file is truncated"):
        inspect_dataset(dataset)


def test_skipping_leaves_the_others_at_their_own_exposure(dataset):
    found = inspect_dataset(dataset, skip_bad_files=True)
    assert [(info.entries, info.pot) for info in found.infos] == [(1, 3e18), (3, 3e18), (5, 3e18)]


def test_explicit_exposure_keeps_the_share_of_bad_files_whose_entries_are_known(dataset):
    described = replace(known_entries(dataset, n1=2, n3=4), pot=15e20)
    found = inspect_dataset(described, skip_bad_files=True)
    # 1 + 2 + 3 + 4 + 5 entries in all.
    assert [info.pot for info in found.infos] == pytest.approx([1e20, 3e20, 5e20], rel=1e-14)


@pytest.mark.parametrize("known", [{}, {"n1": 2}, {"n3": 4}, {"n1": 2, "n3": "many"}])
def test_explicit_exposure_is_refused_where_the_share_of_a_bad_file_is_not_known(dataset, known):
    described = replace(known_entries(dataset, **known), pot=15e20)
    message = (
        r"^dataset 'nd': pot = 1\.5e\+21 is that of all files, but the share of \S+[13]\.root, "
        r"which is skipped, is not known; remove the file from the description and give the "
        r"exposure of the others$"
    )
    with pytest.raises(InputError, match=message):
        inspect_dataset(described, skip_bad_files=True)


def test_dataset_of_bad_files_alone_is_refused_although_they_are_skipped(dataset):
    paths = list(dataset.files)
    bad = replace(dataset, files={path: "" for path in (paths[1], paths[3])})
    with pytest.raises(
        InputError, match=r"^dataset 'nd': no file can be used; the first: dataset 'nd', .*truncat"
    ):
        inspect_dataset(bad, skip_bad_files=True)


def test_copy_of_a_good_file_is_bad_and_its_exposure_counts_once(dataset, tmp_path):
    first = next(iter(dataset.files))
    copy = tmp_path / "copy.root"
    copy.write_bytes((tmp_path / "0.root").read_bytes())
    doubled = replace(dataset, files={first: "", str(copy): ""})
    found = inspect_dataset(doubled, skip_bad_files=True)
    assert ([info.path for info in found.infos], list(found.bad)) == ([first], [str(copy)])
    assert f"this and {first} are one file" in found.bad[str(copy)]


def test_file_that_the_network_withholds_is_bad_with_its_name(dataset, monkeypatch):
    def silent(*arguments):
        raise TimeoutError

    monkeypatch.setattr(looking, "facts", silent)
    first, *_ = survey(dataset).bad.items()
    path = next(iter(dataset.files))
    assert first == (path, f"dataset 'nd', {path}: TimeoutError; try again later")


def test_mixture_is_refused_although_bad_files_are_skipped(dataset, write_caf):
    data = write_caf("data.root", branches={"rec.hdr.ismc": np.zeros(3, "i1")})
    mixed = replace(dataset, files=dataset.files | {str(data): ""})
    with pytest.raises(InputError, match="mix data and simulation"):
        inspect_dataset(mixed, skip_bad_files=True)


class Dying:
    """Pool whose worker dies after the first task."""

    def map(self, function, tasks, chunksize):
        yield function(tasks[0])
        raise BrokenExecutor("a worker was killed\nby the system")


def test_process_that_dies_is_reported_in_one_line(dataset, monkeypatch):
    monkeypatch.setattr(loky, "get_reusable_executor", lambda **options: Dying())
    monkeypatch.setattr(surveying, "_PARALLEL", 2)
    message = (
        r"^dataset 'nd': a process that looked into its files died \(BrokenExecutor: a worker was "
        r"killed\); look again with one worker to see at which file$"
    )
    with pytest.raises(InputError, match=message):
        survey(dataset, workers=2)
