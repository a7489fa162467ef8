"""Charge radius of the neutrino: the Standard Model value and the conventions of the literature.

Everywhere else the convention is that of Giunti and Studenikin, arXiv:1403.6344: the charge form
factor is q^2 <r^2> / 6 and g_V is shifted by (2/3) m_W^2 sin^2(theta_W) <r^2>.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processors.kernels.constants import G_F, GEV2_TO_CM2, M_E, M_MU, M_TAU, M_W

CONVENTIONS = {
    "giunti_studenikin": 1.0,
    "vogel_engel": 2.0,
    "bernabeu": -2.0,
}
"""Factor that takes a charge radius of this convention to that of Giunti and Studenikin.

Vogel and Engel's is also that of TEXONO, LSND and CHARM-II; Bernabeu et al. have the other sign.
"""

_LEPTON_MASS = {"nue": M_E, "numu": M_MU, "nutau": M_TAU}


def convert_charge_radius(
    charge_radius2: ArrayLike, source: str, target: str = "giunti_studenikin"
) -> NDArray[np.float64]:
    """Squared charge radius in another convention.

    Parameters
    ----------
    charge_radius2 : array_like of float
        Squared charge radius [cm^2], of either sign.
    source, target : str
        Names of conventions: ``giunti_studenikin``, ``vogel_engel``, ``bernabeu``.

    Returns
    -------
    ndarray, shape of ``charge_radius2``
        Squared charge radius [cm^2]. A change of sign turns an upper limit into a lower one.

    Raises
    ------
    ValueError
        For an unknown convention.

    Examples
    --------
    >>> convert_charge_radius([-2.1e-32, 3.3e-32], "vogel_engel")  # TEXONO
    array([-4.2e-32,  6.6e-32])
    """
    for convention in (source, target):
        if convention not in CONVENTIONS:
            raise ValueError(
                f"charge-radius convention {convention!r} is unknown; "
                f"expected one of {sorted(CONVENTIONS)}"
            )
    factor = CONVENTIONS[source] / CONVENTIONS[target]
    return np.asarray(charge_radius2, dtype=np.float64) * factor


def sm_charge_radius(flavour: str) -> float:
    """Squared charge radius of a neutrino in the Standard Model.

    Parameters
    ----------
    flavour : str
        ``nue``, ``numu`` or ``nutau``.

    Returns
    -------
    float
        Squared charge radius [cm^2], negative.

    Raises
    ------
    ValueError
        For an unknown flavour.

    Notes
    -----
    -G_F / (2 sqrt(2) pi^2) [3 - 2 ln(m_l^2 / m_W^2)] (Bernabeu et al. 2000, in the convention of
    Giunti and Studenikin). Couplings with electroweak radiative corrections contain it already: add
    to them the deviation from it alone.

    Examples
    --------
    >>> f"{sm_charge_radius('numu'):.2e}"
    '-4.81e-33'
    """
    if flavour not in _LEPTON_MASS:
        raise ValueError(f"flavour {flavour!r} is unknown; expected one of {sorted(_LEPTON_MASS)}")
    logarithm = 2.0 * np.log(_LEPTON_MASS[flavour] / M_W)
    scale = -G_F / (2.0 * np.sqrt(2.0) * np.pi**2) * GEV2_TO_CM2
    return float(scale * (3.0 - 2.0 * logarithm))
