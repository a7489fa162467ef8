"""A fit of the spectrum as a person asks for one: text, JSON, files, figures."""

import hashlib
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from analysis.cli import main
from analysis.limit import LimitModel
from analysis.limit.branches import search
from analysis.limit.compiling import compiled
from analysis.limit.engine import minimise
from analysis.limit.likelihood import Data, curvature, objective
from analysis.limit.methods import SAMPLED
from analysis.limit_plots import curves, spectrum
from analysis.plots import image
from fileset import load_fileset
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset

from .limit_models import shapes

EXPECTED = {"cls": 400, "cls_asymptotic": 0}


@pytest.fixture(scope="module")
def templates(toy, tmp_path_factory):
    found = process_fileset(
        load_fileset(toy), NuoneProcessor("event_cvn", "ppfx,calibration"), Execution()
    )
    path = tmp_path_factory.mktemp("fit") / "templates.zip"
    found.save(path)
    return path


def nudipole(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


def test_fit_says_its_level_convention_exposure_and_toys(templates, capsys):
    command = ("limit", templates, "--fit", "--method", "fc", "--toys", 400)
    assert nudipole(*command) == 0
    text = capsys.readouterr().out
    for piece in (
        "90 % CL two-sided Feldman-Cousins",
        "POT",
        "400 toys per point, seed 1",
        "mu_nu <",
    ):
        assert piece in text


def test_json_has_all_methods_and_their_monte_carlo_error(templates, capsys):
    assert nudipole("limit", templates, "--fit", "--toys", 400, "--json", "--cl", 0.95) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["schema"] == 1
    assert re.fullmatch("[0-9a-f]{64}", content["model"]["origin"])
    assert len(content["limits"]) == 7
    (digest,) = content["inputs"].values()
    assert digest == hashlib.sha256(templates.read_bytes()).hexdigest()
    for name in ("goodness", "discovery"):
        assert 0.0 <= content[name]["p_value"] <= 1.0
        assert (content[name]["toys"], content[name]["seed"]) == (400, 1)
    for name, limit in content["limits"].items():
        assert limit["confidence_level"] == 0.95
        assert limit["mu_nu"] == pytest.approx(1e-9 * math.sqrt(limit["upper"]))
        assert (limit["upper_error"] > 0.0) == (name in SAMPLED) == (limit["toys"] == 400)
        assert limit["convention"].startswith("95 % CL")
        assert (limit["expected_toys"], limit["seed"]) == (EXPECTED.get(name, 1000), 1)
        assert limit["expected"] == sorted(limit["expected"])


def test_kept_model_and_workspace_give_the_same_limit(templates, tmp_path, capsys):
    kept, workspace = tmp_path / "model.npz", tmp_path / "workspace.json"
    asked = ("--method", "cls_asymptotic", "--json")
    command = ("limit", templates, "--fit", *asked, "--save", kept, "--workspace", workspace)
    uppers = []
    for again in (command, ("limit", kept, *asked), ("limit", workspace, *asked)):
        assert nudipole(*again) == 0
        uppers.append(json.loads(capsys.readouterr().out)["limits"]["cls_asymptotic"]["upper"])
    assert uppers == pytest.approx([uppers[0]] * 3, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bebc_wa66", "--fit"), "has no likelihood to combine"),
        (("nova_bia", "--fit"), "nova_biao"),
        (("absent.npz",), "no such model file"),
        (("templates", "--fit", "--method", "classical"), "no method 'classical' for a model"),
        (("templates", "--fit", "--axes", "energy"), "axis 'energy'"),
    ],
)
def test_mistake_is_one_line(templates, capsys, arguments, message):
    given = [templates if a == "templates" else a for a in arguments]
    assert nudipole("limit", *given) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_curves_and_spectrum_are_drawn(templates, tmp_path):
    model = LimitModel.from_templates(process(templates))
    for method in ("fc", "cls"):
        found = model.limit(method, cl=0.9, toys=400, expected=100)
        figure = curves(found)
        labels = [axes.get_ylabel() for axes in figure.axes]
        assert labels == ["−2 Δ ln L", "p-value" if method == "fc" else "CLs"]
        assert image(figure).startswith(b"\x89PNG")
    assert image(spectrum(model, found)).startswith(b"\x89PNG")


def process(path):
    from processors.templates import Templates

    return Templates.load(path)


def folded():
    """One parameter takes events away on either side, most of them on one."""
    model = shapes(6, 2, events=40.0)
    up, down = model.up.copy(), model.down.copy()
    up[1, 0], down[1, 0] = -0.2 * model.background, -0.4 * model.background
    parameters = (model.parameters[0], replace(model.parameters[1], shape="code4p"))
    return replace(model, up=up, down=down, parameters=parameters)


def test_parameter_whose_sides_go_the_same_way_is_fitted_from_each():
    ready = compiled(folded())
    assert ready.folded == (2,)
    assert compiled(shapes()).folded == ()
    random = np.random.default_rng(3)
    toys, point = 300, np.zeros(3)
    n = random.poisson(0.7 * folded().background, (toys, 6)).astype(float)
    data = Data(n, 0.5 * random.standard_normal((toys, 3)), np.ones((1, 1)))
    metric = np.linalg.inv(curvature(ready, folded().background, point))
    start = np.repeat(point[None], toys, axis=0)
    best = search(ready, data, start, metric, fixed=True).values
    alone = minimise(ready, data, start, metric, fixed=True).values
    assert (best <= alone + 1e-7).all()
    assert (best < alone - 0.1).any()
    grid = np.linspace(-5.0, 5.0, 41)
    lowest = np.full(toys, np.inf)
    for a in grid:
        for b in grid:
            at = np.repeat([[0.0, a, b]], toys, axis=0)
            lowest = np.minimum(lowest, objective(ready, data, at)[0])
    assert (best <= lowest + 1e-7).all()


def test_limit_of_a_folded_model_has_no_negative_statistic():
    found = folded().limit("fc", cl=0.9, toys=400, expected=200)
    assert found.upper > 0.0
    assert (found.curve.statistic >= 0.0).all()


def test_all_pictures_are_written(templates, tmp_path, capsys):
    asked = ("--method", "fc", "--toys", 300, "--figures", tmp_path, "--contour", "flavours")
    assert nudipole("limit", templates, "--fit", *asked, "--symmetrise", "calibration") == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("curves_fc.png", "band_fc.png", "delta_chi2.png", "spectrum.png", "pulls.png"),
        "contour_flavours.png",
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_symmetrised_source_has_one_minimum(templates):
    model, straight = (
        LimitModel.from_templates(process(templates), symmetrise=names)
        for names in ((), ("calibration",))
    )
    shape = {p.name: p.shape for p in straight.parameters}
    assert shape["calibration"] == "linear"
    assert len(compiled(straight).folded) <= len(compiled(model).folded)


def test_published_count_is_fitted_and_combined(templates, capsys):
    asked = ("--method", "profile_two_sided", "--json")
    assert nudipole("limit", "nova_biao", "--fit", *asked) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["limits"]["profile_two_sided"]["upper"] * 4.289 == pytest.approx(11.239, rel=2e-4)
    assert alone["inputs"] == {"nova_biao": None}
    command = ("limit", templates, "--fit", *asked, "--combine", "nova_biao")
    assert nudipole(*command) == 0
    both = json.loads(capsys.readouterr().out)
    assert both["model"]["channels"].keys() == {"nd", "nova_biao"}
    assert "nova_biao background" in both["model"]["parameters"]


def test_kept_toys_are_used_again(templates, tmp_path, capsys):
    kept = tmp_path / "toys.npz"
    asked = ("limit", templates, "--fit", "--method", "fc", "--toys", 300, "--json")
    found = []
    for more in (("--keep-toys", kept), ("--join-toys", kept)):
        assert nudipole(*asked, *more) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["limits"] == found[1]["limits"]
    assert found[1]["toys_file"]["blocks_made"] == 0
    assert found[1]["toys_file"]["blocks_read"] == found[0]["toys_file"]["blocks_made"]
