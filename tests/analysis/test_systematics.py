"""Nuisance parameters and their file: what goes in comes out, and nothing else is read."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from analysis.covariance import Layout, Shifts, Source, total_covariance
from analysis.systematics import Nuisance, Systematics, systematics
from fileset.errors import InputError

RNG = np.random.default_rng(3)
LAYOUT = Layout(
    {"background": {"nc": 1.0, "nue_cc": 1.0}, "magnetic": {"magnetic_numu": 1e-18}},
    {"recoil_energy": np.array([0.5, 1.0, 2.0, 5.0])},
    {"recoil_energy": "T [GeV]"},
)
NOMINAL = np.array([20.0, 30.0, 10.0, 3.0, 2.0, 1.0])
UNIVERSES = NOMINAL * RNG.normal(0.0, 0.1, (8, 1)) + RNG.normal(0.0, 0.3, (8, 6))
UP, DOWN = 0.2 * NOMINAL, -0.1 * NOMINAL
SOURCES = {
    "ppfx": Source("ppfx", "universes", UNIVERSES),
    "calibration": Source("calibration", "pair", np.array([UP, DOWN]), ("Up", "Down")),
    "light": Source("light", "one_sided", np.array([-0.3 * NOMINAL]), ("Down",)),
    "bootstrap": Source("bootstrap", "replicas", RNG.normal(size=(4, 6))),
}
FOUND = Shifts(LAYOUT, NOMINAL, 0.01 * NOMINAL, SOURCES, 3.62e20, "abc123")


@pytest.fixture(scope="module")
def found():
    return systematics(FOUND)


def by_name(result):
    return {n.name: (n, result.up[i], result.down[i]) for i, n in enumerate(result.nuisances)}


def test_universes_become_numbered_components_and_the_others_stay_themselves(found):
    names = [nuisance.name for nuisance in found.nuisances]
    assert names[:2] == ["ppfx_pc00", "ppfx_pc01"]
    assert names[-2:] == ["calibration", "light"]
    assert {n.source for n in found.nuisances} == {"ppfx", "calibration", "light"}
    assert {n.constraint for n in found.nuisances} == {"normal"}


def test_component_is_the_same_column_up_and_down(found):
    nuisance, up, down = by_name(found)["ppfx_pc00"]
    assert (nuisance.kind, nuisance.interpolation) == ("component", "linear")
    assert np.array_equal(up, -down)


def test_pair_keeps_its_two_sides(found):
    nuisance, up, down = by_name(found)["calibration"]
    assert (nuisance.kind, nuisance.interpolation) == ("pair", "code4p")
    assert (up.tolist(), down.tolist()) == (UP.tolist(), DOWN.tolist())


def test_missing_side_is_the_nominal(found):
    nuisance, up, down = by_name(found)["light"]
    assert nuisance.kind == "one_sided"
    assert not up.any()
    assert down == pytest.approx(-0.3 * NOMINAL)


def test_nothing_is_lost_of_the_covariance(found):
    whole = systematics(FOUND, keep=1.0)
    assert whole.covariance() == pytest.approx(total_covariance(FOUND))
    assert np.diag(found.covariance()) == pytest.approx(np.diag(total_covariance(FOUND)))


def test_remainder_joins_the_statistics(found):
    coarse = systematics(FOUND, keep=0.5)
    assert coarse.remainder.sum() > found.remainder.sum() > 0.0
    assert coarse.statistical_variance == pytest.approx(0.01 * NOMINAL + coarse.remainder)


def test_only_what_is_named_is_symmetrised():
    result = by_name(systematics(FOUND, symmetrise=["calibration", "light"]))
    for name, half in (("calibration", 0.15 * NOMINAL), ("light", 0.3 * NOMINAL)):
        nuisance, up, down = result[name]
        assert nuisance.interpolation == "linear"
        assert up == pytest.approx(half)
        assert down == pytest.approx(-half)


def test_symmetrised_side_still_counts_once():
    only = replace(FOUND, sources={"light": SOURCES["light"]})
    expected = 0.09 * np.outer(NOMINAL, NOMINAL)
    for chosen in ([], ["light"]):
        assert systematics(only, symmetrise=chosen).covariance() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symmetrise": ["calibraton"]}, "no source 'calibraton' with sides.*closest: calibration"),
        ({"symmetrise": ["ppfx"]}, "no source 'ppfx' with sides to symmetrise"),
        ({"interpolation": "code4"}, "no interpolation 'code4'; closest: code4p"),
        ({"keep": 2.0}, "keep = 2.0, expected a fraction"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        systematics(FOUND, **options)


def assert_same(one, other):
    for name in ("nominal", "mc_variance", "remainder", "up", "down"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert getattr(one, name).shape == getattr(other, name).shape
    assert (one.nuisances, one.pot, one.origin, one.keep) == (
        *(other.nuisances, other.pot, other.origin, other.keep),
    )
    assert one.layout.samples == other.layout.samples
    assert one.layout.titles == other.layout.titles
    assert one.layout.labels == other.layout.labels


@pytest.mark.parametrize("ending", ["npz", "json"])
@pytest.mark.parametrize("sources", [SOURCES, {}], ids=["all", "none"])
def test_what_is_loaded_is_what_was_saved(tmp_path, ending, sources):
    result = systematics(replace(FOUND, sources=sources))
    path = tmp_path / f"systematics.{ending}"
    result.save(path)
    assert_same(Systematics.load(path), result)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["npz", "json"])
def test_the_same_result_gives_the_same_file(found, tmp_path, ending):
    for name in ("a", "b"):
        found.save(tmp_path / f"{name}.{ending}")
    first, second = sorted(tmp_path.iterdir())
    assert first.read_bytes() == second.read_bytes()


def test_file_has_no_pickle_in_it(found, tmp_path):
    found.save(tmp_path / "s.npz")
    with zipfile.ZipFile(tmp_path / "s.npz") as archive:
        for name in archive.namelist():
            array = np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            assert array.dtype.kind in "fU"


def test_failure_while_writing_leaves_the_old_file_and_nothing_else(found, tmp_path):
    path = tmp_path / "s.npz"
    found.save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        replace(found, origin=object()).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]


@pytest.mark.parametrize("name", ["s.pkl", "s", "s.npy"])
def test_other_endings_are_refused(found, tmp_path, name):
    for function in (found.save, Systematics.load):
        with pytest.raises(InputError, match=r"expected a name ending in \.npz or \.json"):
            function(tmp_path / name)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.npz: no such systematics file; 'covariance'"):
        Systematics.load(tmp_path / "absent.npz")


@pytest.mark.parametrize("ending", ["npz", "json"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"[1, 2]", b"{", b"\x80\x04]", b"{}" * 9])
def test_file_of_something_else_is_refused(tmp_path, ending, content):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.{ending}: not a systematics file \(.*make it again"):
        Systematics.load(path)


def test_single_array_and_pickles_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with path.open("wb") as file:
        np.save(file, np.arange(3.0))
    with pytest.raises(InputError, match="not a systematics file"):
        Systematics.load(path)
    np.savez(path, nudipole_systematics=np.array({"schema": 1}, dtype=object))
    with pytest.raises(InputError, match=r"not a systematics file .*allow_pickle"):
        Systematics.load(path)


def test_other_version_is_refused(found, tmp_path):
    path = tmp_path / "s.json"
    found.save(path)
    content = json.loads(path.read_text())
    content["nudipole_systematics"]["schema"] = 99
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="systematics of schema 99, this version reads 1"):
        Systematics.load(path)


NUISANCE = Nuisance("light", "light", "one_sided", "code0")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nominal": NOMINAL[:-1]}, r"nominal has the shape \(5,\), expected \(6,\)"),
        ({"up": np.ones((1, 6))}, r"up has the shape \(1, 6\), expected"),
        ({"down": np.zeros((0, 6))}, r"down has the shape \(0, 6\), expected"),
        ({"remainder": -NOMINAL}, "a variance is below 0"),
        ({"mc_variance": np.full(6, np.inf)}, "mc_variance is not finite"),
        ({"pot": 0.0}, r"pot = 0\.0, expected > 0"),
        ({"pot": "much"}, "must be real number"),
        ({"layout": replace(LAYOUT, axes={"recoil_energy": np.array([1.0, 0, 2, 3])})}, "ascend"),
        (
            {"nuisances": (NUISANCE,) * 2, "up": np.ones((2, 6)), "down": np.ones((2, 6))},
            "two nuisance parameters have one name",
        ),
        (
            {
                "nuisances": (replace(NUISANCE, constraint="poisson"),),
                **{"up": np.ones((1, 6)), "down": np.ones((1, 6))},
            },
            "a nuisance parameter is of an unknown kind",
        ),
    ],
)
def test_content_that_cannot_be_right_is_refused(found, tmp_path, changes, message):
    path = tmp_path / "s.npz"
    replace(found, **changes).save(path)
    with pytest.raises(InputError, match=rf"s\.npz: not a systematics file \(.*{message}"):
        Systematics.load(path)


@pytest.mark.parametrize("position", np.linspace(0.0, 0.99, 40))
def test_a_flipped_bit_is_refused_or_harmless_but_never_another_number(found, tmp_path, position):
    path = tmp_path / "s.npz"
    found.save(path)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 4
    path.write_bytes(content)
    try:
        loaded = Systematics.load(path)
    except InputError:
        return
    assert_same(loaded, found)


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_truncated_file_is_refused(found, tmp_path, kept):
    path = tmp_path / "s.npz"
    found.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="not a systematics file"):
        Systematics.load(path)
