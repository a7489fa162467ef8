"""Figures against the numbers that went into the templates by hand."""

import matplotlib as mpl
import numpy as np
import pytest
from hist import Hist
from hist.axis import StrCategory
from hist.storage import Int64, Weight
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from numpy.typing import NDArray

from analysis import plots
from analysis.limit.template_count import MomentLimit, template_count
from analysis.shifts import shifts
from analysis.systematics import systematics
from analysis.uncertainty import impacts, poisson_interval, project
from fileset.exposure import Ledger, LedgerRow
from processors.categories import AXIS, LABELS
from processors.cut_axes import histogram_of
from processors.histograms import HISTOGRAMS, empty
from processors.templates import Templates, collect

DATA_POT = 3.62e20
MC_POT = 10.0 * DATA_POT
BINS = (*AXIS, "magnetic_numu")
CUTS = ["all", "shower_energy", "note_window.ttheta2"]
MU = 2e-9
RNG = np.random.default_rng(20)
ETHETA2 = {name: RNG.integers(20, 60, 50).astype(float) for name in ("nuone", "nue_cc", "nc")}
RECOIL = {name: RNG.integers(20, 60, 20).astype(float) for name in ("nuone", "nue_cc", "nc")}
MAGNETIC_RATIO = np.linspace(3e17, 1e16, 20)
SIGNAL = {"magnetic_numu": RECOIL["nuone"] * MAGNETIC_RATIO}
COUNTS = RNG.poisson(8.0, 50)
COUNTS[7] = 0


def filled(name: str, yields: dict[str, NDArray[np.float64]], variations: dict[str, float]) -> Hist:
    """Histogram with yields along its first axis, all in one bin of the second, if there is one."""
    histogram = empty(histogram_of(name), list(variations), BINS)
    for category, values in yields.items():
        for position, factor in enumerate(variations.values()):
            target = histogram.view()[BINS.index(category), position]
            target = target if target.ndim == 1 else target[:, 3]
            target["value"], target["variance"] = factor * values, factor**2 * values
    return histogram


def cut_yields(yields: dict[str, list[float]], storage: Weight | Int64) -> Hist:
    histogram = Hist(
        StrCategory(AXIS, name="category"), StrCategory(CUTS, name="cut"), storage=storage
    )
    view = histogram.view()
    for category, values in yields.items():
        row = view[AXIS.index(category)]
        (row["value"] if isinstance(storage, Weight) else row)[...] = values
    return histogram


def output(
    etheta2: dict[str, NDArray[np.float64]],
    recoil: dict[str, NDArray[np.float64]],
    cuts: dict[str, list[float]],
    variations: dict[str, float],
) -> dict[str, Hist]:
    return {
        "spectrum": filled("spectrum", recoil, variations),
        "etheta2": filled("etheta2", etheta2, variations),
        "cutflow": cut_yields(cuts, Weight()),
        "cutflow_events": cut_yields(cuts, Int64()),
    }


def make_templates(*, data: bool = True, more: dict[str, Hist] | None = None) -> Templates:
    etheta2 = ETHETA2 | {"magnetic_numu": 1e17 * ETHETA2["nuone"]}
    cuts = {"nuone": [900.0, 800.0, 500.0], "nc": [90000.0, 4000.0, 0.0]}
    variations = {"nominal": 1.0, "fluxUp": 1.2, "fluxDown": 0.9}
    simulated = output(etheta2, RECOIL | SIGNAL, cuts, variations) | (more or {})
    parts = {"simulation": simulated}
    rows = [LedgerRow("simulation", "a.root", "a", 0, 10, MC_POT)]
    if data:
        parts["recorded"] = output(
            {"data": COUNTS.astype(float)}, {}, {"data": [9000.0, 500.0, 60.0]}, {"nominal": 1.0}
        ) | {name: histogram * 0.1 for name, histogram in (more or {}).items()}
        rows.append(LedgerRow("recorded", "b.root", "b", 0, 10, DATA_POT))
    datasets = {name: {"is_mc": name == "simulation"} for name in parts}
    return collect(parts, Ledger(tuple(rows)), datasets, {})


@pytest.fixture(scope="module")
def templates() -> Templates:
    return make_templates()


def etheta2_figure(templates: Templates) -> Figure:
    return plots.stacked(templates, "etheta2", "etheta2", pot=DATA_POT, mu_nu=MU)


def steps(axes: Axes, gid: str) -> StepPatch:
    return next(patch for patch in axes.patches if patch.get_gid() == gid)


def heights(axes: Axes, category: str) -> NDArray[np.float64]:
    values, _, baseline = steps(axes, f"category:{category}").get_data()
    return values - baseline


def points(axes: Axes) -> NDArray[np.float64]:
    return axes.containers[0].lines[0].get_ydata()


def legend(figure: Figure) -> list[str]:
    shown = figure.axes[0].get_legend() or figure.legends[0]
    return [text.get_text() for text in shown.get_texts()]


@pytest.mark.parametrize("category", ["nuone", "nue_cc", "nc"])
def test_heights_are_the_yields_at_the_exposure(templates: Templates, category: str) -> None:
    axes = etheta2_figure(templates).axes[0]
    assert heights(axes, category) == pytest.approx(ETHETA2[category] / 10.0)


def test_area_over_variable_bins_is_the_number_of_events(templates: Templates) -> None:
    figure = plots.stacked(templates, "spectrum", "recoil_energy", pot=MC_POT, mu_nu=MU)
    widths = np.diff(HISTOGRAMS["spectrum"].axes[0].edges)
    assert heights(figure.axes[0], "nuone") * widths / 0.1 == pytest.approx(RECOIL["nuone"])
    assert figure.axes[0].get_ylabel() == "events / 0.1 GeV"


def test_categories_without_events_are_not_in_the_legend(templates: Templates) -> None:
    assert LABELS["nc"] in legend(etheta2_figure(templates))
    assert LABELS["cosmic"] not in legend(etheta2_figure(templates))


def test_signal_line_is_the_model_plus_the_square_of_the_moment(templates: Templates) -> None:
    figure = etheta2_figure(templates)
    values, _, _ = steps(figure.axes[0], "signal").get_data()
    expected = sum(ETHETA2.values()) + MU**2 * 1e17 * ETHETA2["nuone"]
    assert values == pytest.approx(expected / 10.0)
    assert any("magnetic" in text and "= 2 ×" in text and "-9" in text for text in legend(figure))


def test_hatch_adds_the_larger_side_and_statistics_in_quadrature(templates: Templates) -> None:
    upper, _, lower = steps(etheta2_figure(templates).axes[0], "uncertainty").get_data()
    total = sum(ETHETA2.values())
    expected = np.hypot(0.2 * total, np.sqrt(total)) / 10.0
    assert 0.5 * (upper - lower) == pytest.approx(expected)
    assert 0.5 * (upper + lower) == pytest.approx(total / 10.0)


def test_data_are_points_with_poisson_errors(templates: Templates) -> None:
    axes = etheta2_figure(templates).axes[0]
    assert points(axes) == pytest.approx(COUNTS)
    bars = np.array(axes.containers[0].lines[2][0].get_segments())[:, :, 1]
    assert bars[7] == pytest.approx([0.0, 1.841], abs=1e-3)


def test_ratio_is_data_over_the_model(templates: Templates) -> None:
    bottom = etheta2_figure(templates).axes[1]
    assert points(bottom) == pytest.approx(COUNTS * 10.0 / sum(ETHETA2.values()))
    assert bottom.get_ylabel() == "data / SM"


def test_axes_carry_units_and_the_exposure(templates: Templates) -> None:
    top, bottom = etheta2_figure(templates).axes
    assert top.get_title(loc="right") == "data 3.62 × $10^{20}$ POT"
    assert top.get_title(loc="left") == f"MC {plots.scientific(MC_POT)} POT"
    assert top.get_ylabel() == "events / 0.001 GeV rad$^2$"
    assert bottom.get_xlabel().endswith("[GeV rad$^2$]")


def test_without_data_there_are_no_points_but_the_ratio_of_the_signal() -> None:
    figure = etheta2_figure(make_templates(data=False))
    assert not figure.axes[0].containers
    assert "data" not in legend(figure)
    assert figure.axes[1].get_ylabel() == "ratio to SM"


def test_energies_outside_the_selection_are_not_shown() -> None:
    templates = make_templates(data=False)
    templates.histograms["spectrum"].view()["value"][..., :5, :] = 0.0
    figure = plots.stacked(templates, "spectrum", "recoil_energy", pot=DATA_POT, mu_nu=MU)
    assert figure.axes[1].get_xlim() == pytest.approx((0.5, 5.0))


def test_events_beyond_the_other_axes_count(templates: Templates) -> None:
    beyond = make_templates()
    beyond.histograms["spectrum"].view(flow=True)[0, 0, 0, 4, -1] = (50.0, 50.0)
    before, after = (project(t, "spectrum", "recoil_energy", MC_POT) for t in (templates, beyond))
    assert after.total[3] - before.total[3] == pytest.approx(50.0)


def test_cut_flow_shows_expected_events_in_order(templates: Templates) -> None:
    axes = plots.cut_flow(templates, DATA_POT).axes[0]
    lines = {line.get_label(): line.get_xdata() for line in axes.lines}
    assert lines[LABELS["nuone"]] == pytest.approx([90.0, 80.0, 50.0])
    assert lines[LABELS["nc"]] == pytest.approx([9000.0, 400.0, np.nan], nan_ok=True)
    assert lines["SM total"] == pytest.approx([9090.0, 480.0, 50.0])
    assert lines[LABELS["data"]] == pytest.approx([9000.0, 500.0, 60.0])
    assert axes.get_xscale() == "log"
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["all events", "shower energy", "note window: ttheta2"]
    assert axes.yaxis_inverted()


def test_magnetic_weight_is_the_ratio_of_the_templates(templates: Templates) -> None:
    axes = plots.magnetic_weight(templates).axes[0]
    values, _, _ = axes.patches[0].get_data()
    assert values == pytest.approx(1e-18 * MAGNETIC_RATIO)
    assert axes.get_xlabel().endswith("[GeV]")


def moment_limit(mu_nu: float | None, sides: str) -> MomentLimit:
    expected = (1e-9, 1.5e-9, 2e-9, 3e-9, 4e-9)
    return MomentLimit(mu_nu, expected, None, "any", f"95 % CL {sides} upper limit", 0.95)


def test_limits_are_drawn_in_their_unit_with_their_convention() -> None:
    limits = {"fc": moment_limit(2.5e-9, "two-sided"), "cls": moment_limit(2.2e-9, "one-sided")}
    figure = plots.limits(limits, {"another experiment": 2.9e-9}, pot=3.62e20, mc_pot={"mc": 8e21})
    axes = figure.axes[0]
    observed = [line.get_xdata()[0] for line in axes.lines if line.get_label() == "observed"]
    assert observed == pytest.approx([2.5, 2.2])
    wide, narrow = axes.patches[:2]
    assert (wide.get_x(), wide.get_width()) == pytest.approx((1.0, 3.0))
    assert (narrow.get_x(), narrow.get_width()) == pytest.approx((1.5, 1.5))
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["Feldman-Cousins\ntwo-sided", "CLs\none-sided"]
    assert axes.get_title(loc="right") == "data 3.62 × $10^{20}$ POT\n95 % CL"
    assert axes.get_title(loc="left") == "MC 8.00 × $10^{21}$ POT"
    assert "10^{-9}" in axes.get_xlabel()
    assert legend(figure).count("observed") == 1
    published = next(line for line in axes.lines if line.get_label() == "another experiment")
    assert published.get_xdata() == pytest.approx([2.9, 2.9])


def test_limits_without_data_are_expected_only() -> None:
    assert "observed" not in legend(
        plots.limits({"fc": moment_limit(None, "two-sided")}, pot=3.62e20, mc_pot={"mc": 8e21})
    )


def test_every_category_has_its_own_colour() -> None:
    assert set(plots.COLOURS) == set(AXIS)
    assert len(set(plots.COLOURS.values())) == len(AXIS)


def test_drawing_leaves_the_settings_of_the_caller_alone(templates: Templates) -> None:
    with mpl.rc_context({"font.size": 33.0, "axes.facecolor": "red"}):
        figure = plots.magnetic_weight(templates)
        plots.image(figure)
        assert mpl.rcParams["font.size"] == 33.0
    assert figure.axes[0].get_facecolor() == (1.0, 1.0, 1.0, 1.0)


def varied(variations: dict[str, float]) -> Templates:
    """Templates whose variations are factors on everything."""
    parts = {"simulation": {"spectrum": filled("spectrum", RECOIL | SIGNAL, variations)}}
    ledger = Ledger((LedgerRow("simulation", "a.root", "a", 0, 10, MC_POT),))
    return collect(parts, ledger, {"simulation": {"is_mc": True}}, {})


def test_every_source_is_a_bar_and_the_largest_is_on_top() -> None:
    universes = {"ppfx_000": 1.3, "ppfx_001": 0.7, "bootstrap_000": 3.0}
    sides = {"kUp": 1.1, "kDown": 0.95, "k_2sigmaUp": 1.9, "lostUp": 0.8}
    templates = varied({"nominal": 1.0} | sides | universes)
    count = template_count(templates, DATA_POT)
    left, right = plots.impacts(impacts(templates, DATA_POT), count).axes
    bars = {b.get_gid(): (b.get_x(), b.get_x() + b.get_width()) for b in left.patches}
    assert bars["up:k"] == pytest.approx((0.0, 10.0))
    assert bars["down:k"] == pytest.approx((0.0, -5.0))
    assert bars["up:lost"] == pytest.approx((0.0, -20.0))
    assert bars["spread:ppfx"] == pytest.approx((-30.0, 30.0))
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["ppfx", "lost", "k", "MC statistics"]
    assert left.yaxis_inverted()
    # Everything moves by one factor: nothing is left in the bins.
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.0, 0.0, 0.0])


def test_the_smallest_of_many_sources_are_left_out_and_that_is_said() -> None:
    templates = varied({"nominal": 1.0} | {f"s{i}Up": 1.0 + 0.01 * i for i in range(40)})
    count = template_count(templates, DATA_POT)
    figure = plots.impacts(impacts(templates, DATA_POT), count)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert (len(names), names[0]) == (30, "s39")
    assert figure.axes[0].get_title(loc="left") == "the largest of 41 sources"


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<?xml")])
def test_images_are_the_same_each_time(templates: Templates, kind: str, start: bytes) -> None:
    first, second = (plots.image(plots.magnetic_weight(templates), kind) for _ in range(2))
    assert first.startswith(start)
    assert first == second


def test_correlations_are_those_of_the_bins_that_vary(templates: Templates) -> None:
    found = systematics(shifts(templates, DATA_POT))
    axes = plots.correlation(found).axes[0]
    shown = axes.images[0].get_array()
    # One of twenty bins in the second axis; everything moves together.
    assert shown.shape == (4 * 20, 4 * 20)
    assert shown.min() == pytest.approx(1.0)
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == [*(LABELS[c] for c in ("nuone", "nue_cc", "nc")), "magnetic numu"]
    assert axes.get_title(loc="left") == "20 bins of recoil_energy, ttheta2"


def test_correlations_of_nothing_are_drawn(templates: Templates) -> None:
    found = systematics(shifts(templates, DATA_POT, samples={"mec": {"mec": 1.0}}))
    assert plots.image(plots.correlation(found)).startswith(b"\x89PNG")


# Garwood intervals: table of the Particle Data Group's review of statistics at 68.27 %.
@pytest.mark.parametrize(
    ("n", "interval"), [(0, (0.0, 1.841)), (1, (0.173, 3.300)), (10, (6.891, 14.267))]
)
def test_poisson_intervals_are_the_tabulated_ones(n: int, interval: tuple[float, float]) -> None:
    lower, upper = poisson_interval(np.array([float(n)]))
    assert (lower[0], upper[0]) == pytest.approx(interval, abs=6e-4)
