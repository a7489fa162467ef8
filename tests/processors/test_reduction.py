"""One shape of the sum for one plan, whoever adds what, in whichever order it comes."""

import random
import weakref
from typing import ClassVar

import pytest

from fileset import InputError
from fileset.plan import Chunk
from processors.reduction import RADIX, Reduction
from processors.work import process_branch

FILES = (1, 1, 20, 3, 70, *[1] * 90, 9, 2)
SIZES = (1, RADIX, 30, 64, 10_000)


def plan_of(files):
    """Chunks of files with so many of them."""
    return [
        Chunk("nd", f"{file}.root", "rec", f"uuid{file}", start, start + 1, 1.0, {})
        for file, chunks in enumerate(files)
        for start in range(chunks)
    ]


class Opened(Chunk):
    """A chunk of no file."""

    def open(self):
        return self


class Values:
    """Gives a number to each chunk, such that their sum depends on the order to the last bit."""

    def __init__(self, bad=(), error=InputError):
        self.bad, self.error = bad, error

    def of(self, chunk):
        return random.Random(f"{chunk.uuid} {chunk.start}").gauss() * 10.0 ** (chunk.start % 7)

    def process(self, chunk):
        if chunk.key in self.bad:
            raise self.error("no good")
        return {"nd": {"sum": self.of(chunk), "ledger": [chunk.key]}}


PLAN = [Opened(**vars(chunk)) for chunk in plan_of(FILES)]


def branches(plan, size):
    """All of a plan in branches of at most a size, or of sizes drawn for each."""
    reduction, position, found = Reduction(plan), 0, []
    while position < len(plan):
        found.append(reduction.branch(position, size() if callable(size) else size))
        position = found[-1].stop
    return found


def total(plan, cut, order=0, skip=False, processor=None):
    """Sum of branches, each added up by itself, that come in a random order."""
    reduction = Reduction(plan, skip)
    for branch in random.Random(order).sample(cut, len(cut)):
        done = process_branch(processor or Values(), [plan[p] for p in branch], skip, None)
        reduction.add(branch, done.output, any(outcome.bad for outcome in done.outcomes))
    return reduction.total()


@pytest.fixture(scope="module")
def one_by_one():
    return total(PLAN, branches(PLAN, 1))


@pytest.mark.parametrize("size", SIZES)
def test_branches_are_the_whole_plan_once(size):
    found = branches(PLAN, size)
    assert [p for branch in found for p in branch] == list(range(len(PLAN)))
    assert all(0 < len(branch) <= size for branch in found)


def test_branches_are_as_large_as_they_may_be():
    plan = plan_of([1] * 100)
    assert branches(plan, 64) == [range(64), range(64, 100)]
    assert len(branches(plan, RADIX)) == 13
    assert len(branches(plan_of([100]), RADIX)) == 13


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", [1, 2])
def test_sum_is_the_same_to_the_last_bit_for_any_branches_in_any_order(size, order, one_by_one):
    assert total(PLAN, branches(PLAN, size), order) == one_by_one


@pytest.mark.parametrize("seed", range(10))
def test_sum_is_the_same_for_branches_of_mixed_sizes_of_any_files(seed):
    draw = random.Random(seed)
    files = [draw.choice([1, 1, 2, 7, 8, 9, 65]) for _ in range(draw.randrange(1, 80))]
    plan = [Opened(**vars(chunk)) for chunk in plan_of(files)]
    mixed = branches(plan, lambda: draw.choice(SIZES))
    assert total(plan, mixed, seed) == total(plan, branches(plan, 1))


def test_sum_depends_on_the_order_in_this_test(one_by_one):
    plain = sum(Values().of(chunk) for chunk in PLAN)
    assert one_by_one["nd"]["sum"] == pytest.approx(plain, rel=1e-9)
    assert one_by_one["nd"]["sum"] != plain
    assert one_by_one["nd"]["ledger"] == [chunk.key for chunk in PLAN]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_with_a_bad_chunk_is_left_out_as_a_whole(size):
    bad = Values({PLAN[p].key for p in (10, 60, 100)})
    found = total(PLAN, branches(PLAN, size), 3, skip=True, processor=bad)
    lost = {PLAN[p].path for p in (10, 60, 100)}
    assert found["nd"]["ledger"] == [chunk.key for chunk in PLAN if chunk.path not in lost]
    assert found == total(PLAN, branches(PLAN, 1), 4, skip=True, processor=bad)


@pytest.mark.parametrize("size", SIZES)
def test_a_chunk_that_is_lost_leaves_the_others_of_its_file(size):
    bad = Values({PLAN[10].key}, ValueError)
    found = total(PLAN, branches(PLAN, size), 3, processor=bad)
    assert found["nd"]["ledger"] == [c.key for c in PLAN if c.key not in bad.bad]
    assert found == total(PLAN, branches(PLAN, 1), processor=bad)


@pytest.mark.parametrize("chunks", [1, 2, 17, 60, 180])
def test_what_was_done_before_a_stop_is_summed_like_a_plan_that_ends_there(chunks):
    cut = [range(p, p + 1) for p in range(chunks)]
    shorter = PLAN[:chunks]
    assert total(PLAN, cut, 5) == total(shorter, branches(shorter, 64))


class Counted:
    """A result of which one can tell how many there are."""

    alive: ClassVar = weakref.WeakSet()

    def __init__(self):
        self.alive.add(self)

    def __add__(self, other):
        return Counted()

    __iadd__ = __add__


@pytest.mark.parametrize("files", [[1] * 3000, [3000], [20] * 150], ids=["files", "one", "both"])
def test_results_do_not_pile_up_behind_a_chunk_that_takes_long(files):
    reduction, most = Reduction(plan_of(files)), 0
    for position in (*range(1, 3000), 0):
        reduction.add(range(position, position + 1), {"nd": Counted()})
        most = max(most, len(Counted.alive))
    # Neighbours that wait, on each of the levels.
    assert most < RADIX * 6
    assert reduction.total() is not None


def test_there_may_be_nothing_to_sum():
    assert Reduction([]).total() is None
    reduction = Reduction(plan_of([2, 1]))
    reduction.add(range(2), None)
    assert reduction.total() is None
