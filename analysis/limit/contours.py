"""Two quantities at once: a second one beside s, such as the moment of another flavour.

At every value of the second quantity its templates join the background, with all that the nuisance
parameters do to them; s is profiled as always.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import chdtri

from fileset.errors import InputError

from .fit import Fitter
from .likelihood import objective
from .model import BinnedModel, Floats, Model

LEVELS = {f"{100 * cl:g} %": float(chdtri(2, 1.0 - cl)) for cl in (0.6827, 0.90, 0.95, 0.99)}
"""Confidence level to -2 Delta ln L for two quantities: chi-square with two degrees of freedom."""

Other = tuple[BinnedModel, Callable[[float], float]]
"""Templates of a second quantity, those of the signal of a model, and their coefficient."""


class Contour(NamedTuple):
    """-2 Delta ln L of two quantities.

    Attributes
    ----------
    s : ndarray, shape (n,)
        First quantity [(mu / unit)^2].
    values : ndarray, shape (m,)
        Second quantity.
    statistic : ndarray, shape (m, n)
        0 at the best point of the grid or beside it.
    best : tuple of float
        s and second quantity at the minimum.
    levels : dict of str to float
        See :data:`LEVELS`.
    unit : float
        Moment at s = 1 [Bohr magneton].
    """

    s: Floats
    values: Floats
    statistic: Floats
    best: tuple[float, float]
    levels: dict[str, float]
    unit: float


def contour(
    model: BinnedModel, others: Sequence[Other], values: Floats, signals: Floats
) -> Contour:
    """Scan -2 Delta ln L in s and a second quantity.

    Parameters
    ----------
    model : BinnedModel
        With data; its signal is the first quantity.
    others : sequence of (BinnedModel, callable)
        Of the second quantity: models of the same channels and nuisance parameters whose signal is
        a template, and the coefficient of that template as a function of the quantity. Two
        flavours: one model and ``lambda s: s``. A charge radius: a model for each of r and r^2.
    values, signals : ndarray, shape (m,), (n,)
        Grid, at least two of each; only s is bounded by 0.

    Returns
    -------
    Contour
        The minimum is that of the best s at each value, not of the grid of s.

    Raises
    ------
    InputError
        If the models do not fit together, or something is expected less than never.
    """
    if min(len(values), len(signals)) < 2:
        raise InputError("a contour needs at least two values of each quantity")
    rows, lowest = [], []
    for value in values:
        fit = Fitter.of(_with(model, [(m, c(float(value))) for m, c in others], float(value)))
        points = fit.at(np.asarray(signals, dtype=float))
        data = fit.data.take(np.zeros(len(points), dtype=np.int64))
        rows.append(2.0 * objective(fit.model, data, points)[0])
        lowest.append((2.0 * fit.value, float(fit.best[0])))
    minimum, best, place = min((v, s, i) for i, (v, s) in enumerate(lowest))
    return Contour(
        np.asarray(signals, dtype=float),
        np.asarray(values, dtype=float),
        np.maximum(np.array(rows) - minimum, 0.0),
        (best, float(values[place])),
        dict(LEVELS),
        model.unit,
    )


def _with(model: Model, others: Sequence[tuple[BinnedModel, float]], value: float) -> Model:
    """Model whose background has templates of other models in it."""
    arrays: dict[str, Any] = {n: getattr(model, n).copy() for n in ("nominal", "up", "down")}
    variance = model.mc_variance.copy()
    (row,) = np.flatnonzero(~model.is_signal)[:1]
    plain = (model.high == 1.0).all(axis=0) & (model.low == 1.0).all(axis=0)
    if not plain[row]:
        raise InputError("a contour needs a background without normalisations of its own first")
    for other, coefficient in others:
        names = [[p.name for p in m.parameters] for m in (model, other)]
        if other.channels != model.channels or names[0] != names[1]:
            raise InputError("a contour needs models of the same channels and nuisance parameters")
        for name, array in arrays.items():
            array[..., row, :] += coefficient * getattr(other, name)[..., other.is_signal, :].sum(
                -2
            )
        variance[row] += coefficient**2 * other.mc_variance[other.is_signal].sum(axis=0)
    try:
        return replace(model, **arrays, mc_variance=variance)
    except InputError as error:
        raise InputError(f"second quantity at {value:g}: {error}") from None
