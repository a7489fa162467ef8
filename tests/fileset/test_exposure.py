import json

import pytest

from fileset import Chunk, Ledger
from fileset.exposure import settle

PLAN = [
    Chunk("nd", "a.root", "recTree", "ua", 0, 10, 1e20, {}),
    Chunk("nd", "a.root", "recTree", "ua", 10, 15, 5e19, {}),
    Chunk("fd", "b.root", "caf", "ub", 0, 10, 3e20, {}),
]
KEYS = [chunk.key for chunk in PLAN]


def test_complete_sum_has_the_exposure_of_the_plan():
    ledger = settle(PLAN, KEYS, {})
    assert (ledger.missing, ledger.datasets) == ([], ["nd", "fd"])
    assert (ledger.pot("nd"), ledger.pot("fd")) == (1.5e20, 3e20)
    assert (ledger.entries("nd"), ledger.entries("fd")) == (15, 10)


def test_lost_chunk_takes_its_exposure_and_its_entries_with_it():
    ledger = settle(PLAN, [KEYS[2], KEYS[0]], {1: "OSError: gone"})
    assert [(row.start, row.missing) for row in ledger.missing] == [(10, "OSError: gone")]
    assert (ledger.pot("nd"), ledger.entries("nd")) == (1e20, 10)


@pytest.mark.parametrize(
    ("summed", "lost", "message"),
    [
        ([*KEYS, KEYS[0]], {}, r"a\.root, entries 0-10, is in it 2 times"),
        (KEYS[1:], {}, r"a\.root, entries 0-10, is in it 0 times \(no failure reported\)"),
        (KEYS, {1: "died"}, r"a\.root, entries 10-15, is in it 1 times \(died\)"),
        ([*KEYS, ("nd", "uz", 0, 10)], {}, "entries that were not planned: .*'uz'"),
        ([*KEYS, ("fd", "ua", 0, 10)], {}, "entries that were not planned: .*'fd', 'ua'"),
        ([*KEYS[1:], ("nd", "ua", 0, 9)], {}, "is in it 0 times"),
    ],
)
def test_sum_that_is_not_the_plan_is_refused(summed, lost, message):
    with pytest.raises(RuntimeError, match=f"the sum is wrong: .*{message}"):
        settle(PLAN, summed, lost)


def test_ledger_survives_json():
    ledger = settle(PLAN, KEYS[:2], {2: "ValueError: no"})
    assert Ledger.from_json(json.loads(json.dumps(ledger.to_json()))) == ledger
