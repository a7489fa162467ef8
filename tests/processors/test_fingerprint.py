"""Fingerprints of code: other whenever it is, alike in every process where it is the same."""

import functools
import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import numba
import numpy as np
import pytest

import processors
from processors import fingerprint as module
from processors.fingerprint import describe, fingerprint, sources

ROOT = Path(processors.__file__).parents[1]
LIMITS = "LOWEST = 0.4\nNAMES = {'a', 'b', 'c', 'd'}\n"
CUTS = "import limits\ndef above(e):\n    return e.recoil_energy > limits.LOWEST\n"
ANALYSIS = """\
import mycuts
from processors import NuoneProcessor
from processors.checkpoints import code_of
from processors.selections import SELECTIONS
SELECTIONS["mine"] = {"above": lambda e: mycuts.above(e) & (e.x in {"a", "b", "c", "d"})}
print(code_of(NuoneProcessor("mine", "none")))
"""
VARIATION = """\
from processors import variation
@variation(uses=("neutrino_energy",))
def mine(events):
    import limits
    return limits.LOWEST, 1.0
"""


@pytest.fixture
def analysis(tmp_path):
    """Function that runs an analysis of several files in a process of its own."""
    (tmp_path / "limits.py").write_text(LIMITS)
    (tmp_path / "mycuts.py").write_text(CUTS)
    (tmp_path / "mine.py").write_text(VARIATION)

    def run(text=ANALYSIS, seed="1", given=""):
        (tmp_path / "main.py").write_text(text)
        # Its files must be older than the process, as they are when a person runs it.
        for path in tmp_path.glob("*.py"):
            os.utime(path, (1e9 + len(path.read_bytes()),) * 2)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
            "PYTHONHASHSEED": seed,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [sys.executable, tmp_path / "main.py"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            input=given,
            check=True,
        )
        return done.stdout.strip(), done.stderr

    return run


def test_it_is_the_same_in_every_process(analysis):
    assert analysis(seed="1") == analysis(seed="7")


def test_a_cut_changed_in_a_file_that_is_imported_counts(analysis, tmp_path):
    before, _ = analysis()
    (tmp_path / "mycuts.py").write_text(CUTS.replace(">", "<"))
    assert analysis()[0] != before


def test_a_value_changed_in_a_file_that_the_imported_one_imports_counts(analysis, tmp_path):
    before, _ = analysis()
    (tmp_path / "limits.py").write_text(LIMITS.replace("0.4", "0.5"))
    assert analysis()[0] != before


def test_what_a_file_of_variations_imports_inside_a_function_counts(analysis, tmp_path):
    text = ANALYSIS.replace('"none"', '"mine.py"')
    before, _ = analysis(text)
    (tmp_path / "limits.py").write_text(LIMITS.replace("0.4", "0.5"))
    assert analysis(text)[0] != before


def test_a_file_edited_after_the_start_is_never_taken_for_what_was_loaded(analysis):
    edited = ANALYSIS.replace("print", "import os; os.utime(mycuts.__file__); print")
    (first, said), (again, _) = analysis(edited), analysis(edited)
    assert first != again
    assert "mycuts.py changed after the start" in said


def test_a_value_set_in_an_imported_module_counts(analysis):
    call = ANALYSIS.replace("mycuts.above(e)", "mycuts.limits.LOWEST")
    changed = call.replace("print", "mycuts.limits.LOWEST = float(input()); print")
    assert analysis(changed, given="0.6") == analysis(changed, given="0.6")
    assert analysis(changed, given="0.6") != analysis(changed, given="0.7")


def text(value):
    return describe(value, set())


def made(threshold):
    return lambda e: e > threshold


def keyword(e, *, threshold=1):
    return e > threshold


def other_keyword(e, *, threshold=2):
    return e > threshold


other_keyword.__qualname__ = "keyword"
TABLE = {"low": np.array([1.0, 2.0])}


def looks_up(e):
    return e > TABLE["low"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (made(1), made(2)),
        (made([1, 2]), made([1, 3])),
        (made({"a": np.arange(3)}), made({"a": np.arange(4)})),
        (made(made(1)), made(made(2))),
        (keyword, other_keyword),
        (lambda e, t=1: e > t, lambda e, t=2: e > t),
        (lambda e: [x > 1 for x in e], lambda e: [x > 2 for x in e]),
        (lambda e: (lambda: 1)(), lambda e: (lambda: 2)()),
        (lambda e: e > 1, lambda e: e < 1),
        (lambda e: e.a, lambda e: e.b),
        (functools.partial(max, 1), functools.partial(max, 2)),
        (numba.njit(made(1)), numba.njit(made(2))),
        (types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)),
        (type("A", (), {"f": made(1)}), type("A", (), {"f": made(2)})),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.float32(1), np.float64(1)),
        (np.add, np.subtract),
        (len, max),
    ],
)
def test_what_differs_is_described_differently(one, other):
    assert text(one) != text(other)
    assert text(one) == text(one)


def test_a_global_that_a_function_uses_counts(monkeypatch):
    before = text(looks_up)
    monkeypatch.setitem(TABLE, "low", np.array([1.0, 2.5]))
    assert text(looks_up) != before


def test_one_object_or_two_that_are_equal_are_alike():
    pair = (1, "x")
    assert text([pair, pair]) == text([(1, "x"), (*pair,)])


def test_what_refers_to_itself_is_described():
    loop = [1]
    loop.append(loop)
    assert text(loop) == "[1, #0]"


def test_what_cannot_be_compared_is_unlike_itself_in_another_process(monkeypatch, caplog):
    before = text(threading.Lock())
    assert text(threading.Lock()) == before
    assert "lock cannot be compared" in caplog.text
    monkeypatch.setattr(module, "_UNLIKE_ANY_OTHER", "another process")
    assert text(threading.Lock()) != before


def test_sources_follow_imports_and_name_what_is_installed():
    found = sources(frozenset({"processors.nuone"}))
    assert {"processors.selections", "processors.kernels.magnetic", "fileset.virtual"} <= set(found)
    assert {"installed awkward", "installed numba", "installed uproot"} <= set(found)
    assert not {"analysis", "fileset.simulate", "os", "numpy"} & set(found)


def test_versions_and_more_modules_count(monkeypatch):
    before = fingerprint(1)
    assert fingerprint(1, modules=["processors.selections"]) != before
    monkeypatch.setattr(module.platform, "python_version", lambda: "3.99")
    assert fingerprint(1) != before
