"""What a limit is made from: channels, samples, nuisance parameters and data, as plain arrays.

The expectation of bin i is ``sum_p c_p N_p(theta) (nominal_pi + sum_j shift_pij(theta_j))`` with
``c = 1`` for a background and ``c = s`` for a signal; ``s = (mu / unit)^2 >= 0`` is what a limit is
on. In s and not in mu the likelihood has one minimum and a slope at the bound. Not for one count,
which :func:`analysis.limit.count_limit` treats exactly.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fileset.errors import InputError, closest

Floats = NDArray[np.float64]

Model = TypeVar("Model", bound="BinnedModel")

SHAPES = ("linear", "code0", "code4p")
"""Between and beyond +-1 standard deviation: a straight line; one on each side; pyhf's code 4p."""

FACTORS = ("code4", "linear")
"""Normalisations: pyhf's code 4 (exponential beyond +-1); 1 + theta (high - 1)."""

CONSTRAINTS = ("normal", "free")

MOMENT_UNIT = 1e-9
"""Moment at s = 1 [Bohr magneton]."""


@dataclass(frozen=True)
class Channel:
    """Bins of one selection, flattened."""

    name: str
    bins: int


@dataclass(frozen=True)
class Sample:
    """One contribution; a signal is multiplied by s."""

    name: str
    signal: bool = False


@dataclass(frozen=True)
class Parameter:
    """One nuisance parameter.

    Attributes
    ----------
    name : str
        One name in two channels, or two experiments, is one parameter.
    constraint : str
        ``"normal"``, mean 0 and standard deviation 1, or ``"free"``.
    shape, factor : str
        How changes and normalisations interpolate, of :data:`SHAPES` and :data:`FACTORS`.
    source : str
        Where it comes from; the name if empty.
    """

    name: str
    constraint: str = "normal"
    shape: str = "linear"
    factor: str = "code4"
    source: str = ""


@dataclass(frozen=True)
class BinnedModel:
    """Binned Poisson model with one parameter of interest, s, and nuisance parameters.

    Attributes
    ----------
    channels : tuple of Channel
    samples : tuple of Sample
    parameters : tuple of Parameter
    nominal, mc_variance : ndarray, shape (samples, bins)
        Events, of a signal per unit of s, and their variance from the finite simulation. That of
        the backgrounds is one factor per bin on their sum, constrained by a normal distribution
        (Barlow & Beeston, light); 0 for none.
    up, down : ndarray, shape (parameters, samples, bins)
        Change by +1 and -1 standard deviation [events].
    high, low : ndarray, shape (parameters, samples)
        Normalisation at +1 and -1; 1 for none.
    observed : ndarray, shape (bins,), or None
        Events; not integer for Asimov data.
    pot : float
        Exposure [POT]; 0 where it is not known.
    unit : float
        Moment at s = 1 [Bohr magneton].
    origin : str
        sha256 of the templates behind it, or where it was read.
    """

    channels: tuple[Channel, ...]
    samples: tuple[Sample, ...]
    parameters: tuple[Parameter, ...]
    nominal: Floats
    mc_variance: Floats
    up: Floats
    down: Floats
    high: Floats
    low: Floats
    observed: Floats | None = None
    pot: float = 0.0
    unit: float = MOMENT_UNIT
    origin: str = ""

    def __post_init__(self) -> None:
        check(self)

    @property
    def bins(self) -> int:
        """Bins of all channels."""
        return sum(channel.bins for channel in self.channels)

    @property
    def is_signal(self) -> NDArray[np.bool_]:
        """Which samples are signal; shape (samples,)."""
        return np.array([sample.signal for sample in self.samples])

    @property
    def background(self) -> Floats:
        """Expected events without a moment; shape (bins,)."""
        return np.asarray(self.nominal[~self.is_signal].sum(axis=0))

    @property
    def signal(self) -> Floats:
        """Expected signal events per unit of s; shape (bins,)."""
        return np.asarray(self.nominal[self.is_signal].sum(axis=0))

    @property
    def mc_relative(self) -> Floats:
        """Relative uncertainty of the background from the finite simulation; shape (bins,)."""
        deviation = np.sqrt(self.mc_variance[~self.is_signal].sum(axis=0))
        filled = self.background > 0.0
        return np.divide(deviation, self.background, out=np.zeros(self.bins), where=filled)

    @property
    def affine(self) -> bool:
        """Whether the expectation is linear in s and all parameters: the likelihood is convex."""
        lines = np.array([p.shape == "linear" for p in self.parameters], dtype=bool)
        straight = self.up[~lines] == -self.down[~lines]
        factors = (self.high != 1.0).any() or (self.low != 1.0).any()
        signal = self.up[:, self.is_signal].any() or self.down[:, self.is_signal].any()
        return bool(straight.all() and not factors and not signal and not self.mc_relative.any())

    def with_data(self, observed: Sequence[float] | Floats | None) -> Self:
        """Same model with other data, shape (bins,), or with none."""
        return replace(self, observed=None if observed is None else np.array(observed, float))

    def asimov(self, s: float = 0.0) -> Self:
        """Same model with its own nominal expectation at a signal as data."""
        return self.with_data(self.background + s * self.signal)

    def scaled(self, factor: float) -> Self:
        """Same model at another exposure, without data: expectations times a factor."""
        if not (np.isfinite(factor) and factor > 0.0):
            raise InputError(f"exposure times {factor}, expected a finite factor > 0")
        times: dict[str, Any] = {
            name: factor * getattr(self, name) for name in ("nominal", "up", "down", "pot")
        }
        return replace(self, observed=None, mc_variance=factor**2 * self.mc_variance, **times)

    def with_normalisation(
        self,
        name: str,
        relative: float,
        samples: Sequence[str] | None = None,
        kind: str = "linear",
    ) -> Self:
        """Same model with a normalisation of some samples.

        Parameters
        ----------
        name : str
            A new parameter.
        relative : float
            Uncertainty; ``kind = "free"`` takes none and needs 1.
        samples : sequence of str, optional
            All by default.
        kind : str
            ``"linear"``: 1 + relative theta; ``"lognormal"``: (1 + relative)^theta by code 4;
            ``"free"``: 1 + theta without a constraint.
        """
        if kind not in ("linear", "lognormal", "free"):
            raise InputError(
                f"no normalisation {kind!r}; {closest(kind, ('linear', 'lognormal', 'free'))}"
            )
        if not (np.isfinite(relative) and relative > 0.0):
            raise InputError(f"normalisation {name!r} of {relative}, expected a finite one > 0")
        known = [sample.name for sample in self.samples]
        for sample in samples or ():
            if sample not in known:
                raise InputError(
                    f"normalisation {name!r}: no sample {sample!r}; {closest(sample, known)}"
                )
        chosen = np.array([samples is None or sample in samples for sample in known])
        change = np.where(chosen[:, None], relative * self.nominal, 0.0)
        factor = np.where(chosen, 1.0 + relative, 1.0)
        none, one = np.zeros_like(change), np.ones_like(factor)
        parameter = Parameter(name, factor="linear" if kind == "free" else "code4")
        if kind == "linear":
            return self._extended(parameter, change, -change, one, one)
        if kind == "lognormal":
            return self._extended(parameter, none, none, factor, 1.0 / factor)
        free = replace(parameter, constraint="free")
        return self._extended(free, none, none, 1.0 + chosen, 1.0 - chosen)

    def _extended(self, parameter: Parameter, *arrays: Floats) -> Self:
        names = ("up", "down", "high", "low")
        more: dict[str, Any] = {
            n: np.concatenate([getattr(self, n), a[None]])
            for n, a in zip(names, arrays, strict=True)
        }
        return replace(self, parameters=(*self.parameters, parameter), **more)


def check(model: BinnedModel) -> None:
    """Refuse a model that has no likelihood, in one line."""
    _check_names(model)
    bins, samples, parameters = model.bins, len(model.samples), len(model.parameters)
    shapes: Mapping[str, tuple[int, ...]] = {
        "nominal": (samples, bins),
        "mc_variance": (samples, bins),
        "up": (parameters, samples, bins),
        "down": (parameters, samples, bins),
        "high": (parameters, samples),
        "low": (parameters, samples),
        "observed": (bins,),
    }
    for name, shape in shapes.items():
        array = getattr(model, name)
        if array is None:
            continue
        if array.shape != shape:
            raise InputError(f"{name} has the shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise InputError(f"{name} is not finite in {_where(model, name, ~np.isfinite(array))}")
        if name not in ("up", "down", "low", "high") and (array < 0.0).any():
            raise InputError(f"{name} is below 0 in {_where(model, name, array < 0.0)}; merge bins")
    if not (model.pot >= 0.0 and model.unit > 0.0):
        raise InputError(f"pot = {model.pot}, unit = {model.unit}; expected >= 0 and > 0")
    _check_bins(model)


def _check_names(model: BinnedModel) -> None:
    for what in ("channels", "samples", "parameters"):
        names = [thing.name for thing in getattr(model, what)]
        if len(set(names)) != len(names):
            raise InputError(f"two {what} have one name: {', '.join(names)}; rename one of them")
    for p in model.parameters:
        for value, known in ((p.constraint, CONSTRAINTS), (p.shape, SHAPES), (p.factor, FACTORS)):
            if value not in known:
                near = difflib.get_close_matches(value, known, 1) or known
                raise InputError(f"parameter {p.name!r}: no {value!r}; expected {', '.join(near)}")
        if p.constraint == "free" and p.shape != "linear":
            raise InputError(f"parameter {p.name!r} is free and no line; constrain it")
    if not any(sample.signal for sample in model.samples):
        raise InputError("no sample is signal; mark one with signal = True")


def _check_bins(model: BinnedModel) -> None:
    background, signal = model.background, model.signal
    if not signal.any():
        raise InputError("the signal has no events; loosen the selection or add a signal sample")
    lonely = (background <= 0.0) & (signal > 0.0)
    if lonely.any():
        raise InputError(
            f"no background under the signal in {bin_label(model, int(np.argmax(lonely)))}: one "
            "event there would have no probability without a moment; merge bins"
        )
    if model.observed is not None and (model.observed[background <= 0.0] > 0.0).any():
        place = int(np.argmax((background <= 0.0) & (model.observed > 0.0)))
        raise InputError(f"data where nothing is expected in {bin_label(model, place)}; merge bins")


def _where(model: BinnedModel, name: str, bad: NDArray[np.bool_]) -> str:
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    words = []
    if len(place) > 2 or name in ("high", "low"):
        words.append(f"parameter {model.parameters[place[0]].name!r}")
    if name != "observed":
        words.append(f"sample {model.samples[place[-1 if name in ('high', 'low') else -2]].name!r}")
    if name not in ("high", "low"):
        words.append(bin_label(model, place[-1]))
    return ", ".join(words)


def bin_label(model: BinnedModel, position: int) -> str:
    """Channel and number of a bin in words, for messages."""
    for channel in model.channels:
        if position < channel.bins:
            return f"channel {channel.name!r}, bin {position}"
        position -= channel.bins
    raise IndexError(position)
