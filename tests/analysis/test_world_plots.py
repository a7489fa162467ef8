"""Figures of published experiments against the rows that went into them."""

import numpy as np
import pytest

from analysis import world_plots
from analysis.experiments import EXPERIMENTS, FlavourCurves, WorldRow, flavour_curves, world_rows

MU = np.linspace(0.0, 2.5e-11, 26)


def row(**changed):
    values = {
        "id": "a",
        "system": "system a",
        "bounded": "numu",
        "published": 2e-10,
        "recomputed": 1e-10,
        "ratio": 0.5,
        "method": "relation",
        "convention": "published: 90 % CL",
        "verified": True,
        "reason": "because",
    }
    return WorldRow(**values | changed)


def points(figure):
    """Values of all markers but those of the legend, in the order of drawing."""
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    return [float(line.get_xdata()[0]) for line in lines if len(line.get_xdata())]


def labels(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_both_numbers_of_a_row_are_drawn_under_what_they_bound():
    figure = world_plots.comparison([row(), row(bounded="Dirac", recomputed=None, published=3e-12)])
    assert points(figure) == [2e-10, 1e-10, 3e-12]
    heading, system, dirac, _ = labels(figure)
    assert (heading, system) == ("flavour nu_mu", "system a")
    assert dirac.startswith("Dirac neutrinos only")


def test_unlike_sensitive_and_unverified_numbers_look_different():
    figure = world_plots.comparison(
        [
            row(
                verified=False,
                reason="unlike: x",
                convention="published: a; recomputed: expected: b",
            )
        ]
    )
    assert labels(figure)[1] == "system a *"
    marker = figure.axes[0].lines[2]
    assert (marker.get_fillstyle(), marker.get_marker()) == ("none", "v")


def test_rows_without_numbers_and_theory_are_left_out():
    figure = world_plots.comparison(
        [row(), row(bounded="theory"), row(published=None, recomputed=None)]
    )
    assert len(labels(figure)) == 2
    with pytest.raises(ValueError, match="no row has a limit to draw"):
        world_plots.comparison([row(bounded="theory")])


def test_all_rows_of_the_project_can_be_drawn(tmp_path):
    figure = world_plots.comparison(world_rows(releases=tmp_path))
    assert len(labels(figure)) > 50


def test_curves_are_drawn_with_two_levels():
    curves = FlavourCurves("toy", MU, {name: 1e22 * MU**2 for name in ("effective", "numu")})
    figure = world_plots.flavour_limits(curves)
    drawn = figure.axes[0].lines
    np.testing.assert_allclose(drawn[0].get_xdata(), MU / 1e-11)
    np.testing.assert_allclose(drawn[1].get_ydata(), curves.delta["numu"])
    assert [line.get_ydata()[0] for line in drawn[2:]] == [2.706, 6.635]


def test_moments_of_flavours_at_a_level_follow_from_their_parts_of_the_flux(shared):
    curves = flavour_curves(EXPERIMENTS["xenonnt"], MU, shared / "data/limits")
    at_90 = {name: np.interp(2.706, delta, MU) for name, delta in curves.delta.items()}
    assert at_90["effective"] < at_90["nue"] < at_90["nutau"] < at_90["numu"]
    # Spectra of the flavours are alike, so the limits go as the root of their parts.
    assert at_90["effective"] / at_90["nue"] == pytest.approx(0.55**0.5, rel=0.02)
    assert at_90["effective"] / at_90["numu"] == pytest.approx((0.45 * 0.43) ** 0.5, rel=0.02)


def test_curves_need_a_recoil_spectrum():
    with pytest.raises(ValueError, match="lsnd has no recoil spectrum; its likelihood is relation"):
        flavour_curves(EXPERIMENTS["lsnd"], MU)
