"""Red giants with a neutrino moment: energy loss of one zone, and the brightness of the tip.

Not a star: no structure, no growth of the core.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad

from processors.kernels.constants import SECOND

from ..theory.domain import non_negative, positive
from .matter import CM, ERG, plasma_frequency
from .plasmon import magnetic_width, sm_width

# Brightness of the tip of the red-giant branch, Viaux et al., arXiv:1308.4627, from memory.
TIP_STATUS = "unverified"
"""Status of the coefficients of `tip_of_red_giant_branch`."""


def plasmon_energy_loss(
    mu_nu: float, *, temperature: float, density: float, electron_fraction: float
) -> tuple[float, float]:
    """Energy that decays of transverse plasmons take out of matter.

    Parameters
    ----------
    mu_nu : float
        Effective moment of stars [Bohr magneton], >= 0.
    temperature : float
        [GeV], > 0.
    density : float
        [g/cm^3], > 0.
    electron_fraction : float
        Electrons per nucleon [1].

    Returns
    -------
    tuple of float
        Loss by the moment, and in the Standard Model [erg / g / s].

    Raises
    ------
    ValueError
        For values out of range.

    Notes
    -----
    2 / (2 pi^2) integral k^2 dk omega Gamma / (exp(omega / T) - 1) with omega^2 = k^2 + omega_P^2:
    both polarisations with the mass of a plasmon at rest, no longitudinal plasmons. The two are
    then in the ratio of `magnetic_over_sm` at the plasma frequency (Raffelt 1996, ch. 6).
    """
    T = float(positive("temperature", temperature, "GeV"))
    mass = float(plasma_frequency(density, electron_fraction))

    def occupied(k: float) -> float:
        return k * k / np.expm1(np.hypot(k, mass) / T)

    number = quad(occupied, 0.0, 40.0 * T, points=[T])[0] / np.pi**2
    # omega times the width does not depend on omega.
    widths = magnetic_width(mass, mass, mu_nu), sm_width(mass, mass)
    per_volume = [number * mass * float(width) for width in widths]  # [GeV^5]
    magnetic, sm = (loss * CM**3 * SECOND / ERG / density for loss in per_volume)
    return magnetic, sm


def tip_of_red_giant_branch(mu_nu: ArrayLike) -> NDArray[np.float64]:
    """Absolute I-band magnitude at the tip of the red-giant branch with a neutrino moment.

    Parameters
    ----------
    mu_nu : array_like of float
        Effective moment of stars [Bohr magneton], >= 0, valid to about 1e-11.

    Returns
    -------
    ndarray, shape of ``mu_nu``
        Magnitude [mag]; smaller is brighter. The coefficients are unverified (``TIP_STATUS``).

    Raises
    ------
    ValueError
        For a moment that is negative or not finite.

    Notes
    -----
    -4.03 - 0.23 [sqrt(m^2 + 0.80^2) - 0.80 - 0.18 m^1.5] with m = mu / 1e-12 mu_B, a fit to
    models of the globular cluster M5 (Viaux et al., arXiv:1308.4627).
    """
    moment = non_negative("mu_nu", mu_nu, "Bohr magneton") / 1e-12
    return -4.03 - 0.23 * (np.hypot(moment, 0.80) - 0.80 - 0.18 * moment**1.5)
