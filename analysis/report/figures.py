"""Figures of a report: names, captions, descriptions, and how each is drawn."""

import functools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from processors.cut_axes import N_MINUS_ONE

from .. import limit_plots, plots, world_plots
from .findings import HEADLINE, Findings
from .words import mathtext

_SPECTRA = {
    "etheta2": ("<i>Eθ</i>² before the cut on it", "E theta squared"),
    "recoil_energy": ("Electron kinetic energy of the selected events", "kinetic energy T"),
}


class Drawing(NamedTuple):
    """A figure to be drawn.

    Attributes
    ----------
    name : str
        Stem of its file, and identifier on the page.
    part : str
        Section of the page that it stands in.
    title : str
        Caption, as HTML.
    alt : str
        Description for those who cannot see it.
    draw : callable
    """

    name: str
    part: str
    title: str
    alt: str
    draw: Callable[[], plots.Figure]


def drawings(found: Findings) -> list[Drawing]:
    """Figures that the results have something for, in the order of the page."""
    return [*_limits(found), *_spectra(found), *_uncertainties(found), *_selection(found)]


def _limits(found: Findings) -> Iterator[Drawing]:
    kind, mu_nu = found.drawn
    yield Drawing(
        "limits",
        "limits",
        "Limits by method",
        f"Upper limits on the magnetic moment, one row per method: {kind} limit for "
        f"{plots.METHODS[HEADLINE]} {mu_nu:.3g} Bohr magnetons, with expected bands.",
        lambda: plots.limits(found.limits, pot=found.count.pot, mc_pot=found.count.mc_pot),
    )
    if found.fit is not None:
        fit, limit = found.fit, found.fit.limits["profile_two_sided"]
        yield Drawing(
            "curve",
            "limits",
            "Fit of the spectrum against the moment",
            "Likelihood ratio of the fit and its p-value against the magnetic moment, with what "
            f"excludes a moment at {100 * limit.confidence_level:g} % confidence level.",
            lambda: limit_plots.curves(limit),
        )
        if fit.is_data:
            yield Drawing(
                "fit",
                "limits",
                "Spectrum before and after the fit",
                "Data, expectation before and after the fit without a moment, and the fit with the "
                "moment at the limit, in the bins of the fit.",
                lambda: limit_plots.spectrum(fit.model, limit),
            )
        if fit.impacts:
            yield Drawing(
                "pulls",
                "limits",
                "Pulls and impacts",
                "Where the fit leaves each nuisance parameter, and by how much each moves the "
                f"signal; the largest impact is that of {fit.impacts[0].name}.",
                lambda: plots.pulls(fit.impacts, limit.upper),
            )
    yield Drawing(
        "comparison",
        "comparison",
        "Limits of other experiments and this one",
        f"Published and recomputed limits of {len(found.world) - 1} experiments and the {kind} "
        f"limit of this result, {mu_nu:.3g} Bohr magnetons; the numbers are in the table.",
        lambda: world_plots.comparison(found.world),
    )


def _spectra(found: Findings) -> Iterator[Drawing]:
    """Figures of all axes but those that repeat another."""
    templates = found.templates
    kind, mu_nu = found.drawn
    shown = "stacked by category with its uncertainty"
    shown += "" if found.count.n_obs is None else ", data, and their ratio"
    wanted = [("etheta2", "etheta2"), ("spectrum", "recoil_energy")]
    if "etheta2" not in templates.histograms:
        wanted = [("spectrum", axis) for axis in templates.hist.axes.name[3:]]
    for name, axis in wanted:
        title, words = _SPECTRA.get(
            axis, (mathtext(templates.histograms[name].axes[axis].label), axis)
        )
        yield Drawing(
            axis,
            "spectra",
            title,
            f"Expected events against {words}, {shown}; the line adds the magnetic signal at the "
            f"{kind} limit.",
            functools.partial(
                plots.stacked, templates, name, axis, pot=found.count.pot, mu_nu=mu_nu
            ),
        )
    if "recoil_energy" in templates.hist.axes.name:
        yield Drawing(
            "weights",
            "spectra",
            "Weight of the magnetic signal",
            "Ratio of the magnetic signal at 1e-9 Bohr magnetons to the Standard Model signal "
            "against electron kinetic energy; it rises towards low energy.",
            lambda: plots.magnetic_weight(templates),
        )


def _uncertainties(found: Findings) -> Iterator[Drawing]:
    yield Drawing(
        "sources",
        "uncertainty",
        "Effect of each source",
        "Change of the expected events by one standard deviation of each source, the largest "
        "first, and of their shape; the numbers are in the table.",
        lambda: plots.impacts(found.sources, found.count),
    )
    yield Drawing(
        "correlation",
        "uncertainty",
        "Correlation between bins and categories",
        "Matrix of the systematic correlations between all bins of all categories and of the "
        "magnetic signal, from -1 to 1.",
        lambda: plots.correlation(found.correlated),
    )


def _selection(found: Findings) -> Iterator[Drawing]:
    templates, pot = found.templates, found.count.pot
    if "cutflow" in templates.histograms:
        yield Drawing(
            "cutflow",
            "selection",
            "Events after each cut",
            f"Expected events after each of the cuts, by category, at {pot:.3g} POT; "
            "the numbers are in the table.",
            lambda: plots.cut_flow(templates, pot),
        )
    cuts = templates.provenance.get("cuts", {})
    names = [name for name in templates.histograms if name.startswith(N_MINUS_ONE)]
    for name in names:
        cut = name.removeprefix(N_MINUS_ONE).rpartition(".")[0]
        ends = {end: cuts.get(cut, {}).get(end) for end in ("low", "high")}
        # A name from a file becomes that of a file.
        yield Drawing(
            f"without_{re.sub(r'[^A-Za-z0-9_.]', '_', cut)}",
            "nminusone",
            mathtext(plots.readable(cut)),
            f"What the cut {plots.readable(cut)} cuts on, of the events that pass all other cuts; "
            "grey where it removes them.",
            functools.partial(plots.n_minus_one, templates, name, pot, **ends),
        )
