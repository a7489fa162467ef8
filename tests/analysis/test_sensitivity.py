"""Expected limits of counting experiments against exposure, threshold and uncertainty."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from analysis import world_plots
from analysis.cli import main
from analysis.experiment_tables import sensitivity_table
from analysis.experiments import EXPERIMENTS, sensitivity_scan

NOVA = EXPERIMENTS["nova_kralik"]
DOCS = Path(__file__).resolve().parents[2] / "docs"


def moments(varied, values, systematics, **options):
    return [p.mu_nu for p in sensitivity_scan(NOVA, varied, values, systematics, **options)]


@pytest.mark.parametrize(
    ("exposure", "syst", "expected"),
    [
        (3.62e20, 0.109, 1.46e-9),
        (1.36e21, 0.109, 1.18e-9),
        (1.36e21, 0.05, 1.03e-9),
        (1.36e21, 0.03, 1.00e-9),
        (2.55e21, 0.109, 1.10e-9),
        (2.55e21, 0.05, 0.92e-9),
        (2.55e21, 0.03, 0.87e-9),
    ],
)
def test_sensitivity_is_that_of_an_independent_gaussian_estimate(exposure, syst, expected):
    # 1.645 standard deviations, all of the expectation nu-e scattering.
    (mu,) = moments("exposure", [exposure], [syst], method="profile_two_sided")
    assert mu == pytest.approx(expected, rel=0.05)


def test_lower_threshold_is_worth_more_than_exposure():
    (low,) = moments("threshold", [0.1], [0.109])
    (long,) = moments("exposure", [1e22], [0.109])
    assert low < long


def test_limits_improve_with_exposure_and_with_less_uncertainty():
    found = moments("exposure", [3.62e20, 1.36e21, 2.55e21], [0.03])
    assert all(after < before for before, after in pairwise(found))
    by_systematic = moments("exposure", [2.55e21], [0.109, 0.05, 0.03])
    assert all(after < before for before, after in pairwise(by_systematic))


def test_background_weakens_the_limit_as_its_events_do():
    none, double = moments("background", [0.0, 2.0], [0.0], method="profile_one_sided")
    assert double / none == pytest.approx(3.0**0.25, rel=0.03)


def test_points_say_what_was_varied_and_how_many_events_are_expected():
    (point,) = sensitivity_scan(NOVA, "threshold", [0.2], [0.05], cl=0.95)
    assert (point.varied, point.value, point.background_syst) == ("threshold", 0.2, 0.05)
    assert point.expected_events > 165
    assert point.confidence_level == 0.95
    assert "95 % CL" in point.convention


@pytest.mark.parametrize(
    ("row", "varied", "value", "message"),
    [
        ("lsnd", "exposure", 1e21, "lsnd is no sensitivity of a count; its likelihood is relation"),
        ("sbnd", "mass", 1.0, "varied = 'mass'; expected one of exposure, threshold, b"),
        ("sbnd", "exposure", -1.0, "sbnd: exposure = -1.0; expected a finite number, positive"),
        ("sbnd", "threshold", 5.0, "sbnd: recoil_energy = .*; expected the lower end first"),
    ],
)
def test_impossible_scan_is_refused(row, varied, value, message):
    with pytest.raises(ValueError, match=message):
        sensitivity_scan(EXPERIMENTS[row], varied, [value], [0.1])


def test_table_has_one_column_for_each_uncertainty():
    found = sensitivity_scan(NOVA, "exposure", [1e21, 2e21], [0.1, 0.05])
    table = sensitivity_table("NOvA", found)
    assert table.columns[-2:] == ("mu_nu < at 10 %", "mu_nu < at 5 %")
    assert [row[:2] for row in table.rows] == [("exposure", "1e+21 POT"), ("exposure", "2e+21 POT")]
    assert float(table.rows[1][-1]) == pytest.approx(found[3].mu_nu, rel=5e-3)


def test_figure_has_one_curve_for_each_uncertainty():
    found = [
        *sensitivity_scan(NOVA, "exposure", [1e21, 2e21], [0.1, 0.05]),
        *sensitivity_scan(NOVA, "threshold", [0.2, 0.3], [0.1, 0.05]),
    ]
    left, right = world_plots.sensitivity("NOvA", found).axes
    assert list(left.lines[1].get_ydata()) == [point.mu_nu / 1e-9 for point in found[2:4]]
    assert list(right.lines[0].get_xdata()) == [0.2, 0.3]


def test_command_prints_what_the_scan_gives(capsys, tmp_path):
    options = ["--exposures", "1e21", "--thresholds", "0.2", "--systematics", "0.05"]
    options += ["--backgrounds", "0.5"]
    figure = tmp_path / "sensitivity.png"
    with pytest.raises(SystemExit) as stop:
        main(["sensitivity", "sbnd", *options, "--json", "--plot", str(figure)])
    assert stop.value.code == 0
    points = json.loads(capsys.readouterr().out)
    assert [point["varied"] for point in points] == ["exposure", "threshold", "background"]
    (expected,) = sensitivity_scan(EXPERIMENTS["sbnd"], "exposure", [1e21], [0.05])
    assert points[0]["mu_nu"] == expected.mu_nu
    assert figure.stat().st_size > 5000


def test_command_refuses_what_is_no_list_of_numbers(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sensitivity", "--exposures", "1e21;2e21"])
    assert stop.value.code == 2
    assert "--exposures 1e21;2e21: expected numbers" in capsys.readouterr().err


def test_numbers_of_the_page_are_those_of_the_scan():
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+) POT \| (\S+) \| (\S+) \| (\S+) \|$", page, flags=re.MULTILINE)
    assert len(rows) == 3
    for exposure, *limits in rows:
        found = moments("exposure", [float(exposure)], [0.109, 0.05, 0.03])
        assert [f"{mu / 1e-9:.2f}" for mu in found] == limits
