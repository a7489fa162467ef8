"""Draw the figures of the documentation.

``python docs/figures.py`` draws the cross-sections, ``python docs/figures.py demo/templates.zip``
also what a demo has found.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.limit.template_count import moment_limits, template_count
from processors import kernels
from processors.hypotheses import coefficients
from processors.templates import Templates

PAGES = Path(__file__).parent
SIN2_THETA_W = kernels.constants.SIN2_THETA_W

# Energies [GeV], flavour, moment [Bohr magneton], charge radius [cm^2], charge [e]: each of the
# size that experiments of the kind can see.
PANELS = {
    "near detector: numu, 2 GeV": (2.0, 14, 1e-9, 1e-32, 3e-9, 1e-3),
    "reactor: nuebar, 3 MeV": (3e-3, -12, 3e-11, 5e-32, 1e-12, 1e-6),
    "solar: nue, 0.4 MeV": (4e-4, 12, 6e-12, 1e-31, 2e-13, 1e-7),
    "forward: nutau, 500 GeV": (500.0, 16, 1e-8, 1e-31, 1e-7, 1e-2),
}


def curves(
    energy: float, pdg: int, moment: float, radius: float, charge: float, lowest: float
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Recoil energies [GeV] and dsigma/dT [cm^2/GeV] of each hypothesis."""
    T = np.geomspace(lowest, kernels.max_recoil_energy(energy), 120)
    sm = kernels.sm_dsigma_dT(T, energy, pdg, SIN2_THETA_W)
    return T, {
        "Standard Model": sm,
        rf"magnetic moment {moment:.0e} $\mu_\mathrm{{B}}$": kernels.magnetic_dsigma_dT(
            T, energy, moment
        ),
        rf"SM with $\langle r^2\rangle$ = {radius:.0e} cm$^2$": kernels.charge_radius_dsigma_dT(
            T, energy, pdg, SIN2_THETA_W, radius
        ),
        f"SM with charge {charge:.0e} e": kernels.millicharge_dsigma_dT(
            T, energy, pdg, SIN2_THETA_W, charge
        ),
    }


def cross_sections() -> Figure:
    """Differential cross-sections of the hypotheses at four kinds of experiment."""
    figure = Figure(figsize=(9.0, 7.4), layout="constrained")
    for axes, (title, arguments) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        T, hypotheses = curves(*arguments)
        for (label, values), style in zip(hypotheses.items(), ("-", "--", "-.", ":"), strict=True):
            axes.plot(T, values, style, label=label, linewidth=1.6)
        axes.set(xscale="log", yscale="log", title=title, xlabel="T [GeV]")
        axes.set_ylabel(r"d$\sigma$/dT [cm$^2$/GeV per electron]")
        top = max(values.max() for values in hypotheses.values())
        axes.set_ylim(hypotheses["Standard Model"].max() / 300.0, 2.0 * top)
        axes.legend(fontsize=7, loc="lower left")
    return figure


# Of middle lightness: they are seen on white and on black.
GREY, BLUE, GREEN, RED = "#787878", "#4c8bd0", "#3f9d6d", "#d9534a"


def demo(templates: Templates) -> Figure:
    """Recoil energy of what the demo selects, with the magnetic signal at its limit."""
    pot = templates.data_pot
    limit = moment_limits(template_count(templates), cl=0.90, method="fc")["fc"].mu_nu
    shown = {"ttheta2": sum, "recoil_energy": slice(0.3j, 0.9j)}
    expected = templates.prediction(pot)[{"variation": "nominal", **shown}]
    magnetic = templates.signal(pot, coefficients(mu_nu=limit))[{"variation": "nominal", **shown}]
    data = templates.data()[shown].values()
    edges = expected.axes["recoil_energy"].edges
    total = expected[{"category": sum}].values()
    background = total - expected[{"category": "nuone"}].values()
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    axes = figure.subplots()
    fill = {"fill": True, "alpha": 0.55}
    axes.stairs(background, edges, color=GREY, label="background", **fill)
    axes.stairs(total, edges, baseline=background, color=BLUE, label=r"$\nu$-e scattering", **fill)
    text = rf"and $\mu_\nu$ = {1e9 * limit:.2f}·10$^{{-9}}$ $\mu_\mathrm{{B}}$, the 90 % CL limit"
    axes.stairs(total + magnetic.values(), edges, baseline=None, color=RED, linewidth=2, label=text)
    points = {"fmt": "o", "color": GREEN, "markersize": 4, "label": "pseudo-data"}
    axes.errorbar(0.5 * (edges[1:] + edges[:-1]), data, np.sqrt(data), **points)
    axes.set(xlim=edges[[0, -1]], ylim=(0.0, 23.0), xlabel="electron kinetic energy T [GeV]")
    axes.set_ylabel("events")
    axes.set_title(f"simulated near detector, {pot:.3g} POT", loc="left", fontsize=10)
    axes.legend(frameon=False, labelcolor=GREY, loc="upper left", ncols=2)
    return figure


# Text that is seen on any page, as outlines: it looks the same everywhere.
STYLE = {
    "svg.hashsalt": "nudipole",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor"), GREY),
    **dict.fromkeys(("xtick.color", "ytick.color"), GREY),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
}


if __name__ == "__main__":
    with matplotlib.rc_context({"svg.hashsalt": "nudipole", "svg.fonttype": "none"}):
        cross_sections().savefig(PAGES / "cross_sections.svg", metadata={"Date": None})
    for path in sys.argv[1:]:
        with matplotlib.rc_context(STYLE):
            figure = demo(Templates.load(Path(path)))
            figure.savefig(PAGES / "demo.svg", metadata={"Date": None}, transparent=True)
