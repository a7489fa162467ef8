"""Other experiments as models, for combinations: their counts, a published curve, or one number.

A combination is only as good as what was published: counts keep the whole likelihood; a curve of
-2 Delta ln L keeps it along s, its nuisance parameters gone; a best value with an error keeps a
parabola. Which of them a channel is, its name in :attr:`.model.Sample.name` says.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from fileset.errors import InputError

from .model import MOMENT_UNIT, Channel, Floats, Model, Parameter, Sample

COUNT, SCAN, GAUSSIAN = "background", "published curve", "published value"
"""Names of the sample of a channel without a moment."""

# Events of a bin whose Poisson distribution is as good as normal.
_MANY = 1e8
_SIGNAL = "magnetic"


def counted(
    kind: type[Model],
    channel: str,
    *,
    background: ArrayLike,
    signal: ArrayLike,
    observed: ArrayLike | None = None,
    uncertainty: float = 0.0,
    parameter: str | None = None,
    unit: float = MOMENT_UNIT,
    pot: float = 0.0,
) -> Model:
    """Make a model of one count, or a spectrum with one background.

    Parameters
    ----------
    kind : type
        Of the model to make.
    channel : str
        Name of the experiment.
    background, signal, observed : array_like, shape () or (n,)
        Events without a moment, at s = 1, and seen.
    uncertainty : float
        Of the normalisation of the background [relative], normal; infinite for a free one, 0 for a
        known one. More of them with :meth:`.model.BinnedModel.with_normalisation`.
    parameter : str, optional
        Its name; ``"<channel> background"`` by default, of its own in a combination.
    unit : float
        Moment at s = 1 [Bohr magneton].
    pot : float
        Exposure [POT], if there is one.

    Returns
    -------
    model of that kind
    """
    row = np.atleast_1d(np.asarray(background, dtype=float))
    bins = len(row)
    contents = np.array([row, np.broadcast_to(np.asarray(signal, dtype=float), bins)])
    seen = None
    if observed is not None:
        seen = np.broadcast_to(np.asarray(observed, dtype=float), bins).copy()
    known = _plain(kind, channel, contents, seen, f"{channel} {COUNT}", unit=unit, pot=pot)
    name = parameter or f"{channel} background"
    if uncertainty == 0.0:
        return known
    if np.isinf(uncertainty):
        return known.with_normalisation(name, 1.0, [f"{channel} {COUNT}"], "free")
    return known.with_normalisation(name, uncertainty, [f"{channel} {COUNT}"])


def gaussian(
    kind: type[Model], channel: str, best: float, error: float, *, unit: float = MOMENT_UNIT
) -> Model:
    """Make a model of a published best value of s and its standard deviation.

    Parameters
    ----------
    kind : type
        Of the model to make.
    channel : str
        Name of the experiment.
    best, error : float
        [(mu / unit)^2]; the best value can be below 0.
    unit : float
        Moment at s = 1 [Bohr magneton].

    Returns
    -------
    model of that kind
        One bin with so many events that its likelihood is a parabola in s.
    """
    if not (np.isfinite(best) and np.isfinite(error) and error > 0.0):
        raise InputError(f"{channel}: s = {best} +- {error}; expected finite numbers, an error > 0")
    slope = np.sqrt(_MANY) / error
    seen = np.array([max(_MANY + slope * best, 0.0)])
    contents = np.array([[_MANY], [slope]])
    return _plain(kind, channel, contents, seen, f"{channel} {GAUSSIAN}", unit=unit)


def from_scan(
    kind: type[Model],
    channel: str,
    s: ArrayLike,
    statistic: ArrayLike,
    *,
    unit: float = MOMENT_UNIT,
    tolerance: float = 0.1,
) -> Model:
    """Make a model of a published curve of -2 Delta ln L.

    Parameters
    ----------
    kind : type
        Of the model to make.
    channel : str
        Name of the experiment.
    s, statistic : array_like, shape (n,)
        Signals [(mu / unit)^2] and -2 Delta ln L there, four or more; a constant does not matter.
    unit : float
        Moment at s = 1 [Bohr magneton].
    tolerance : float
        Largest difference that is accepted between the curve and the model's.

    Returns
    -------
    model of that kind
        One count whose n, b and signal give the curve: a parabola with a skew. Not for a curve
        with two minima.

    Raises
    ------
    InputError
        For a curve that no count has.
    """
    x, y = np.asarray(s, dtype=float), np.asarray(statistic, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 4 or not np.isfinite([x, y]).all():
        raise InputError(f"{channel}: expected 4 or more finite points of s and -2 Delta ln L")
    width = float(np.ptp(x))

    def difference(p: Floats) -> Floats:
        slope, seen, ratio = np.exp(p)
        curve = 2.0 * (slope * x - seen * np.log1p(ratio * x))
        return np.asarray((curve - curve.mean()) - (y - y.mean()))

    fits = [
        least_squares(difference, np.log([n / width, n, scale / width]), max_nfev=2000)
        for n in (1.0, 10.0, 100.0)
        for scale in (0.1, 1.0)
        if (1.0 + scale * x / width > 0.0).all()
    ]
    best = min(fits, key=lambda fit: fit.cost, default=None)
    worst = np.inf if best is None else float(np.abs(best.fun).max())
    if best is None or not worst <= tolerance:
        raise InputError(
            f"{channel}: no count has this curve: {worst:.2g} away at worst, {tolerance:g} is "
            "allowed; take fewer points around the minimum, or a Gaussian"
        )
    slope, events, ratio = np.exp(best.x)
    contents = np.array([[slope / ratio], [slope]])
    return _plain(kind, channel, contents, np.array([events]), f"{channel} {SCAN}", unit=unit)


def _plain(
    kind: type[Model],
    channel: str,
    contents: Floats,
    observed: Floats | None,
    background: str,
    **facts: Any,
) -> Model:
    """Model of a background and a signal without nuisance parameters."""
    none = np.zeros((0, *contents.shape))
    parameters: tuple[Parameter, ...] = ()
    return kind(
        channels=(Channel(channel, contents.shape[1]),),
        samples=(Sample(background), Sample(_SIGNAL, signal=True)),
        parameters=parameters,
        nominal=contents,
        mc_variance=np.zeros_like(contents),
        up=none,
        down=none,
        high=np.ones((0, 2)),
        low=np.ones((0, 2)),
        observed=observed,
        origin=channel,
        **facts,
    )
