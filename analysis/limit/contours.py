"""Two quantities at once: a second one beside s, such as the moment of another flavour.

At every value of the second quantity its templates join the background, with all that the nuisance
parameters do to them; s is profiled as always.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fileset.errors import InputError

from .classics import two_parameter_threshold
from .fit import Fitter
from .likelihood import objective
from .model import BinnedModel, Floats, Model

LEVELS = {f"{100 * cl:g} %": two_parameter_threshold(cl) for cl in (0.6827, 0.90, 0.95, 0.99)}
"""Confidence level to -2 Delta ln L for two quantities: chi-square with two degrees of freedom."""


class Contribution(NamedTuple):
    """Templates of a second quantity, and what the nuisance parameters of a model do to them.

    Attributes
    ----------
    nominal, mc_variance : ndarray, shape (bins,)
        Events at a coefficient of 1, below 0 for an interference, and their variance.
    up, down : ndarray, shape (parameters, bins)
        Change by +1 and -1 standard deviation.
    """

    nominal: Floats
    mc_variance: Floats
    up: Floats
    down: Floats

    @classmethod
    def of(cls, model: BinnedModel) -> "Contribution":
        """Signal of a model that has the nuisance parameters of another one."""
        signal = model.is_signal
        arrays = (model.nominal, model.mc_variance)
        changes = (model.up, model.down)
        return cls(*(a[signal].sum(0) for a in arrays), *(a[:, signal].sum(1) for a in changes))


Other = tuple[Contribution, Callable[[float], float]]
"""Templates of a second quantity and their coefficient as a function of it."""


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
    others : sequence of (Contribution, callable)
        Templates of the second quantity with their coefficients. Two flavours: one of them and
        ``lambda s: s``. A charge radius: one for r and one for r^2.
    values, signals : ndarray, shape (m,), (n,)
        Grid, at least two of each; only s is bounded by 0.

    Returns
    -------
    Contour
        The minimum is that of the best s at each value, not of the grid of s.

    Raises
    ------
    InputError
        If the models do not fit together, or less than nothing is expected.
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


def _with(model: Model, others: Sequence[tuple[Contribution, float]], value: float) -> Model:
    """Model whose background has templates of a second quantity in it."""
    plain = (model.high == 1.0).all(axis=0) & (model.low == 1.0).all(axis=0) & ~model.is_signal
    if not plain.any():
        raise InputError("a contour needs a background without normalisations of its own")
    # In the largest one: where they interfere, they take away from it.
    row = int(np.argmax(np.where(plain, model.nominal.sum(axis=1), -1.0)))
    arrays: dict[str, Any] = {n: getattr(model, n).copy() for n in Contribution._fields}
    for contribution, coefficient in others:
        if contribution.up.shape != (len(model.parameters), model.bins):
            raise InputError("a contour needs templates with the bins and parameters of the model")
        for name, array in arrays.items():
            factor = coefficient**2 if name == "mc_variance" else coefficient
            array[..., row, :] += factor * getattr(contribution, name)
    try:
        return replace(model, **arrays)
    except InputError as error:
        raise InputError(f"second quantity at {value:g}: {error}") from None
