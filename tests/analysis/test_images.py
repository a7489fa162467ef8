"""Figures as pictures, against those that were looked at, without their words.

What is drawn is compared at low resolution and without any text: neither fonts nor how a release of
matplotlib smooths edges decide. Words have tests of their own. After a change that was looked at::

    python -m tests.analysis.test_images

writes the pictures in ``tests/analysis/baseline`` again.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from analysis import plots
from analysis.limit.impacts import ParameterImpact
from analysis.limit.template_count import template_count
from analysis.plots import spectra
from analysis.uncertainty import impacts

from .test_plots import DATA_POT, MC_POT, MU, filled, make_templates, moment_limit, varied

BASELINE = Path(__file__).parent / "baseline"
DPI = 50
TOLERANCE = 10.0
"""Largest difference of the mean of 4 x 4 pixels, of 255."""


def a_spectrum() -> Figure:
    return plots.stacked(make_templates(), "etheta2", "etheta2", pot=DATA_POT, mu_nu=MU)


def a_cut_flow() -> Figure:
    return plots.cut_flow(make_templates(), DATA_POT)


def a_cut_left_out() -> Figure:
    yields = {"nuone": np.linspace(9.0, 0.0, 52), "nc": np.full(52, 2.0)}
    name = "nminusone.electron_id.electron_id"
    templates = make_templates(more={name: filled(name, yields, {"nominal": 1.0})})
    return plots.n_minus_one(templates, name, MC_POT, low=0.2, high=None)


def some_limits() -> Figure:
    limits = {"fc": moment_limit(2.5e-9, "two-sided"), "cls": moment_limit(2.2e-9, "one-sided")}
    return plots.limits(limits, pot=3.62e20, mc_pot={"mc": 8e21})


def some_sources() -> Figure:
    sides = {"kUp": 1.1, "kDown": 0.95, "lostUp": 0.8, "ppfx_000": 1.3, "ppfx_001": 0.7}
    templates = varied({"nominal": 1.0} | sides)
    return plots.impacts(impacts(templates, DATA_POT), template_count(templates, DATA_POT))


def some_pulls() -> Figure:
    found = [ParameterImpact("flux", -0.6, 0.8, 0.7), ParameterImpact("k", 0.2, 1.0, -0.3)]
    return plots.pulls(found, 3.0)


FIGURES = (a_spectrum, a_cut_flow, a_cut_left_out, some_limits, some_sources, some_pulls)


def picture(figure: Figure) -> Image.Image:
    """What is drawn, small and without words."""
    for words in (*figure.findobj(Text), *figure.findobj(Legend)):
        words.set_visible(False)
    # Where axes lie depends on their words otherwise.
    figure.set_layout_engine("none")
    stream = io.BytesIO()
    figure.savefig(stream, dpi=DPI)
    return Image.open(stream).convert("RGB")


def means(image: Image.Image) -> NDArray[np.float64]:
    """Mean of each square of 4 x 4 pixels."""
    pixels = np.asarray(image, dtype=np.float64)
    high, wide = (size // 4 * 4 for size in pixels.shape[:2])
    return pixels[:high, :wide].reshape(high // 4, 4, wide // 4, 4, 3).mean(axis=(1, 3))


def difference(draw: Callable[[], Figure]) -> float:
    drawn = picture(draw())
    with Image.open(BASELINE / f"{draw.__name__}.png") as known:
        assert np.abs(np.subtract(drawn.size, known.size)).max() <= 1
        one, other = means(drawn), means(known.convert("RGB"))
    high, wide = np.minimum(one.shape, other.shape)[:2]
    return float(np.abs(one[:high, :wide] - other[:high, :wide]).max())


@pytest.mark.parametrize("draw", FIGURES)
def test_a_figure_looks_as_it_did(draw: Callable[[], Figure]) -> None:
    assert difference(draw) < TOLERANCE


@pytest.mark.parametrize("part", ["_draw_signal", "_draw_ratio", "draw_points", "draw_stack"])
def test_a_figure_without_one_of_its_parts_looks_different(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectra, part, lambda *arguments: None)
    assert difference(a_spectrum) > 2.0 * TOLERANCE


if __name__ == "__main__":
    BASELINE.mkdir(exist_ok=True)
    for draw in FIGURES:
        image = picture(draw()).quantize(256)
        image.save(BASELINE / f"{draw.__name__}.png", optimize=True)
