"""What is scanned beside s: named second quantities of templates, with their units."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fileset.errors import InputError, closest
from processors.hypotheses import coefficients
from processors.templates import Templates

from .contours import LEVELS, Contour, contour
from .fit import Fitter
from .from_templates import model_and_others
from .model import MOMENT_UNIT, BinnedModel, Floats

RADIUS_UNIT = 1e-32
"""Charge radius squared at a value of 1 [cm^2]."""

_STEPS = 41


class Quantity(NamedTuple):
    """A second quantity.

    Attributes
    ----------
    first, title : str
        Labels of s and of it, with units.
    signal : dict of str to float
        Templates of s.
    others : dict of str to (dict, callable)
        Templates, and their coefficient as a function of the quantity.
    lowest : float or None
        Physical bound; None without one.
    """

    first: str
    title: str
    signal: dict[str, float]
    others: dict[str, tuple[dict[str, float], Callable[[float], float]]]
    lowest: float | None


def _squared(neutrino: str) -> str:
    return rf"$\mu_{{{neutrino}}}^2$ [$(10^{{-9}}\,\mu_\mathrm{{B}})^2$]"


def _flavour(name: str) -> dict[str, float]:
    return coefficients(mu_nu={name: MOMENT_UNIT})


def _radius(power: int) -> dict[str, float]:
    name = "charge_radius_squared" if power == 2 else "charge_radius"
    return {f"{name}_numu": RADIUS_UNIT**power}


QUANTITIES = {
    "flavours": Quantity(
        _squared(r"\nu_e"),
        _squared(r"\nu_\mu"),
        _flavour("nue"),
        {"numu": (_flavour("numu"), lambda s: s)},
        0.0,
    ),
    "charge_radius": Quantity(
        _squared(r"\nu"),
        r"$\langle r^2\rangle$ of $\nu_\mu$ [$10^{-32}\,\mathrm{cm}^2$]",
        coefficients(mu_nu=MOMENT_UNIT),
        {"r": (_radius(1), lambda r: r), "r2": (_radius(2), lambda r: r**2)},
        None,
    ),
}
"""Name to what is scanned beside s."""


def scan(kind: type[BinnedModel], templates: Templates, name: str, **options: Any) -> Contour:
    """Scan s and a second quantity of templates.

    Parameters
    ----------
    kind : type
        Of the model to make.
    templates : Templates
    name : str
        Of :data:`QUANTITIES`.
    **options
        Of :func:`.from_templates.model_and_others`.

    Returns
    -------
    Contour
        As far as the line of the highest level goes. Without data, of the expectation.

    Raises
    ------
    InputError
        For an unknown quantity.
    """
    if name not in QUANTITIES:
        raise InputError(f"no quantity {name!r}; {closest(name, QUANTITIES)}")
    wanted = QUANTITIES[name]
    parts = {n: templates_ for n, (templates_, _) in wanted.others.items()}
    model, found = model_and_others(kind, templates, others=parts, signal=wanted.signal, **options)
    if model.observed is None:
        model = model.asimov()
    others = [(found[n], how) for n, (_, how) in wanted.others.items()]
    top = 1.3 * max(LEVELS.values())
    signals = np.linspace(0.0, Fitter.of(model).reach(top), _STEPS)

    def lowest_at(value: float) -> float:
        return float(contour(model, others, _pair(value), signals).statistic[1].min())

    ends = [_reach(lowest_at, top, sign) for sign in (-1.0, 1.0)]
    low = ends[0] if wanted.lowest is None else wanted.lowest
    return contour(model, others, np.linspace(low, ends[1], _STEPS), signals)


def _pair(value: float) -> Floats:
    return np.array([0.0, value])


def _reach(lowest_at: Callable[[float], float], top: float, sign: float) -> float:
    """Value, on one side of 0, from where the statistic is above everything that is drawn."""
    value, far = 0.1 * sign, 0.0
    for _ in range(60):
        try:
            if lowest_at(value) > top:
                return value
        except InputError:
            # Less than nothing would be expected: as far as the quantity goes.
            return far or value / 1.5
        far, value = value, 1.5 * value
    raise InputError("nothing here bounds the second quantity; its templates are empty")
