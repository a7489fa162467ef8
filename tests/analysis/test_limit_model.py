"""The model of a limit: what it accepts, what it refuses, and its file."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.limit import LimitModel, combine
from fileset import InputError, load_fileset
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset

from .limit_models import counting, shapes


@pytest.fixture(scope="module")
def templates(toy):
    return process_fileset(load_fileset(toy), NuoneProcessor("event_cvn"), Execution())


def test_templates_become_samples_parameters_and_data(templates):
    model = LimitModel.from_templates(templates, min_background=0.01)
    assert [s.name for s in model.samples if s.signal] == ["magnetic"]
    assert model.observed.sum() <= templates.data().sum(flow=True).value
    assert model.pot == templates.data_pot
    assert {p.shape for p in model.parameters} <= {"linear", "code4p"}
    assert (model.background > 0.0).all()


def test_merging_bins_keeps_the_events(templates):
    fine = LimitModel.from_templates(templates, min_background=1e-6)
    coarse = LimitModel.from_templates(templates, min_background=1e9)
    assert coarse.bins == 1 < fine.bins
    assert coarse.background.sum() == pytest.approx(fine.background.sum())
    assert coarse.signal.sum() == pytest.approx(fine.signal.sum())
    assert coarse.observed.sum() == fine.observed.sum()


def test_exposure_of_data_is_not_overridden(templates):
    with pytest.raises(InputError, match=r"--pot is for templates without data"):
        LimitModel.from_templates(templates, pot=1e20)


@pytest.mark.parametrize("ending", ["json", "npz"])
@pytest.mark.parametrize("model", [shapes(mc=0.1), counting(3, 2.0, 1.0)], ids=["shape", "count"])
def test_file_gives_back_the_model(tmp_path, model, ending):
    model.save(tmp_path / f"model.{ending}")
    again = LimitModel.load(tmp_path / f"model.{ending}")
    assert (again.channels, again.samples) == (model.channels, model.samples)
    assert again.parameters == model.parameters
    for name in ("nominal", "mc_variance", "up", "down", "high", "low", "observed"):
        assert np.array_equal(getattr(again, name), getattr(model, name))


def test_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(InputError, match=r"not a model file .*make it again"):
        LimitModel.load(tmp_path / "model.json")
    with pytest.raises(InputError, match=r"rename it"):
        LimitModel.load(tmp_path / "model.txt")


def with_value(model, name, place, value):
    array = getattr(model, name).copy()
    array[place] = value
    return replace(model, **{name: array})


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("nominal", (0, 3), 0.0, r"no background under the signal in channel 'nd', bin 3"),
        ("nominal", (0, 3), np.nan, r"nominal is not finite in sample 'background', .*bin 3"),
        ("nominal", (1, 3), -1.0, r"nominal is below 0 in sample 'magnetic'"),
        ("up", (2, 0, 1), np.inf, r"up is not finite in parameter 'p2', sample 'background'"),
        ("observed", 5, -1.0, r"observed is below 0 in channel 'nd', bin 5"),
        ("nominal", 1, 0.0, r"the signal has no events"),
    ],
)
def test_model_without_a_likelihood_is_refused(name, place, value, message):
    with pytest.raises(InputError, match=message):
        with_value(shapes(), name, place, value)


def test_wrong_shape_and_names_are_refused():
    model = shapes()
    with pytest.raises(InputError, match=r"up has the shape"):
        replace(model, up=model.up[:2])
    with pytest.raises(InputError, match=r"two parameters have one name"):
        replace(model, parameters=(model.parameters[0],) * 5)
    odd = replace(model.parameters[0], shape="spline")
    with pytest.raises(InputError, match=r"parameter 'p0': no 'spline'"):
        replace(model, parameters=(odd, *model.parameters[1:]))
    with pytest.raises(InputError, match=r"no sample 'nue'"):
        model.with_normalisation("rate", 0.1, ["nue"])


def test_affine_is_said_of_what_is_affine():
    assert shapes().affine
    assert not shapes(signal_systematics=True).affine
    assert not shapes(mc=0.1).affine
    assert shapes().with_normalisation("rate", 0.1, ["background"]).affine
    assert not shapes().with_normalisation("pot", 0.02).affine
    assert not shapes().with_normalisation("rate", 0.1, ["background"], "lognormal").affine


def test_exposure_scales_events_and_their_variance():
    model = shapes(mc=0.1)
    twice = model.scaled(2.0)
    assert twice.background == pytest.approx(2.0 * model.background)
    assert twice.mc_relative == pytest.approx(model.mc_relative)


def test_combination_shares_what_has_one_name():
    fhc = shapes()
    rhc = replace(shapes(20, 5, seed=2), channels=(replace(fhc.channels[0], name="rhc", bins=20),))
    both = combine([fhc, rhc])
    assert both.bins == 60
    assert both.parameters == fhc.parameters
    assert np.array_equal(both.up[:, :, :40], fhc.up)
    assert np.array_equal(both.up[:, :, 40:], rhc.up)
    with pytest.raises(InputError, match=r"two channels have one name"):
        combine([fhc, fhc])
    other = replace(
        rhc, parameters=(replace(rhc.parameters[0], constraint="free"), *rhc.parameters[1:])
    )
    with pytest.raises(InputError, match=r"parameter 'p0' has the constraint free and normal"):
        combine([fhc, other])
