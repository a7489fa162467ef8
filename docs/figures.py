"""Draw the figures of the documentation: ``python docs/figures.py``."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from processors import kernels

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


if __name__ == "__main__":
    with matplotlib.rc_context({"svg.hashsalt": "nudipole", "svg.fonttype": "none"}):
        cross_sections().savefig(PAGES / "cross_sections.svg", metadata={"Date": None})
