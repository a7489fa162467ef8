"""Every hypothesis as coefficients of a few templates, so that none needs another run.

The rate of neutrino-electron scattering is quadratic in each electromagnetic property. A template
is the signal weighted by the part of the cross-section that goes with one power of one property,
relative to the Standard Model, for one flavour; a hypothesis is a set of coefficients. Moments do
not interfere; charge radius and millicharge do, hence a linear and a quadratic template each.
Diagonal and transition charge radii share the quadratic one. Not for a charge radius and a
millicharge at once: their product has no template.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fileset.errors import InputError, closest

from . import kernels

Floats = NDArray[np.float64]

FLAVOURS = {12: "nue", 14: "numu", 16: "nutau"}
"""Absolute PDG code to the flavour of a template; neutrinos and antineutrinos together."""


class Truth(NamedTuple):
    """What the cross-section of an event depends on.

    Attributes
    ----------
    recoil, neutrino : ndarray, shape (n,)
        Recoil and neutrino energy [GeV].
    pdg : ndarray of int, shape (n,)
    sin2_theta_w : float
        Weak mixing of the generator, so that the ratio cancels the cross-section the events were
        made with.
    """

    recoil: Floats
    neutrino: Floats
    pdg: NDArray[np.int64]
    sin2_theta_w: float


BASIS = {
    "magnetic": "mu_B^2",
    "charge_radius": "cm^2",
    "charge_radius_squared": "cm^4",
    "millicharge": "e",
    "millicharge_squared": "e^2",
}
"""Name of a power of a property to the unit of its coefficient."""

TEMPLATE_FLAVOURS = {
    f"{name}_{flavour}": code for name in BASIS for code, flavour in FLAVOURS.items()
}
"""Labels of all templates, such as ``magnetic_numu``, and the absolute PDG code of each."""

TEMPLATES = tuple(TEMPLATE_FLAVOURS)
"""Labels of all templates, in the order of a histogram's category axis."""


def find_basis(names: str | None) -> tuple[str, ...]:
    """Members of :data:`BASIS` by comma-separated names; all for None.

    Raises
    ------
    InputError
        For an unknown name.
    """
    wanted = [name.strip() for name in names.split(",")] if names else list(BASIS)
    for name in wanted:
        if name not in BASIS:
            raise InputError(f"no template {name!r}; {closest(name, BASIS)}")
    return tuple(wanted)


def ratios(truth: Truth, basis: Collection[str] = tuple(BASIS)) -> dict[str, Floats]:
    """Cross-section that goes with each power of each property, over the Standard Model.

    Parameters
    ----------
    truth : Truth
        n events.
    basis : collection of str
        Which of them.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Keyed like :data:`BASIS`, in its order; per unit of the coefficient.
    """
    found = {}
    if "magnetic" in basis:
        found["magnetic"] = kernels.magnetic_over_sm(*truth)
    sm = kernels.sm_dsigma_dT(*truth)
    # The shift of the vector coupling goes as q / T.
    for name, kernel, step in (
        ("charge_radius", kernels.charge_radius_dsigma_dT, np.full_like(sm, 1e-31)),
        ("millicharge", kernels.millicharge_dsigma_dT, 1e-8 * truth.recoil),
    ):
        both = (name, f"{name}_squared")
        if not set(both).isdisjoint(basis):
            found |= dict(zip(both, _powers(kernel, truth, sm, step), strict=True))
    return {name: found[name] for name in BASIS if name in basis}


def _powers(
    kernel: Callable[..., Floats], truth: Truth, sm: Floats, step: Floats
) -> tuple[Floats, Floats]:
    """Linear and quadratic coefficient of a cross-section that is quadratic in its last argument.

    Exact for any step but for rounding; the step should change the cross-section by order one.
    """
    plus, minus = (kernel(*truth, sign * step) / sm for sign in (1.0, -1.0))
    return (plus - minus) / (2.0 * step), (plus + minus - 2.0) / (2.0 * step**2)


PerFlavour = float | Mapping[str, float]


def coefficients(
    *,
    mu_nu: PerFlavour = 0.0,
    charge_radius2: PerFlavour = 0.0,
    millicharge: PerFlavour = 0.0,
) -> dict[str, float]:
    """Coefficients of the templates for a hypothesis.

    Parameters
    ----------
    mu_nu : float or mapping of flavour to float
        Effective magnetic moment [Bohr magneton]; one number for all flavours, or by flavour
        (``nue``, ``numu``, ``nutau``; missing ones are 0).
    charge_radius2 : float or mapping
        Charge radius squared [cm^2], in addition to the SM, convention of Giunti and Studenikin.
    millicharge : float or mapping
        Electric charge [e].

    Returns
    -------
    dict of str to float
        Template label to coefficient, without those that are 0.

    Raises
    ------
    ValueError
        For an unknown flavour, or a charge radius and a millicharge of the same flavour.
    """
    moment, radius, charge = (_by_flavour(v) for v in (mu_nu, charge_radius2, millicharge))
    both = [f for f in radius if radius[f] and charge[f]]
    if both:
        raise ValueError(
            f"charge radius and millicharge of {both[0]} at once: their interference has no "
            "template; set one of them to 0"
        )
    result: dict[str, float] = {}
    for flavour in FLAVOURS.values():
        result |= {
            f"magnetic_{flavour}": moment[flavour] ** 2,
            f"charge_radius_{flavour}": radius[flavour],
            f"charge_radius_squared_{flavour}": radius[flavour] ** 2,
            f"millicharge_{flavour}": charge[flavour],
            f"millicharge_squared_{flavour}": charge[flavour] ** 2,
        }
    return {label: value for label, value in result.items() if value}


def _by_flavour(value: PerFlavour) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return dict.fromkeys(FLAVOURS.values(), float(value))
    unknown = sorted(set(value) - set(FLAVOURS.values()))
    if unknown:
        raise ValueError(f"no flavour {unknown[0]!r}; known: {', '.join(FLAVOURS.values())}")
    return {flavour: float(value.get(flavour, 0.0)) for flavour in FLAVOURS.values()}
