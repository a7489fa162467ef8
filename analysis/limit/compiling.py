"""From the arrays of a model to what its fits need."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fileset.errors import InputError

from .expectation import CODE0, CODE4P, LINEAR, Expectation, Map
from .model import BinnedModel, Floats

# In squared standard deviations of the counts, and relative to the part that changes sign.
_SEEN, _BENT = 0.02, 0.1
_KINDS = {"linear": LINEAR, "code0": CODE0, "code4p": CODE4P}


def compiled(model: BinnedModel) -> Expectation:
    """Make a model ready for fits.

    Raises
    ------
    InputError
        If a normalisation is not positive at +-1 standard deviation.
    """
    statistics = bool(model.mc_relative.any())
    even = (model.up + model.down) / 2.0
    odd = (model.up - model.down) / 2.0
    bent = [j for j, p in enumerate(model.parameters) if p.shape != "linear" and even[j].any()]
    positions = [*range(len(model.parameters)), *bent]
    kinds = [LINEAR] * len(model.parameters) + [_KINDS[model.parameters[j].shape] for j in bent]
    changes = np.concatenate([odd, even[bent]])
    groups: dict[tuple[bool, bytes, bytes], list[int]] = {}
    # What the Monte Carlo factors multiply comes first.
    for p in sorted(range(len(model.samples)), key=lambda p: model.samples[p].signal):
        key = (model.samples[p].signal, model.high[:, p].tobytes(), model.low[:, p].tobytes())
        groups.setdefault(key, []).append(p)
    rows: list[tuple[int, int]] = []
    contents: list[Floats] = []
    for number, members in enumerate(groups.values()):
        for feature in range(-1, len(changes)):
            source = model.nominal if feature < 0 else changes[feature]
            content = source[members].sum(axis=0)
            if content.any() or feature < 0:
                rows.append((number, feature))
                contents.append(content)
    signal = [key[0] for key in groups]
    varied = sum(not signal[group] for group, _ in rows) if statistics else 0
    how = Map(
        np.array([group for group, _ in rows], dtype=np.int64),
        np.array([feature for _, feature in rows], dtype=np.int64),
        np.array(positions, dtype=np.int64) + 1,
        np.array(kinds, dtype=np.int64),
        np.array(signal),
        *_factors(model, [members[0] for members in groups.values()]),
    )
    constrained = [0.0] + [float(p.constraint == "normal") for p in model.parameters]
    return Expectation(
        np.array(contents),
        varied,
        how,
        model.mc_relative,
        np.array(constrained),
        _folded(model, even, odd, bent),
        model.affine,
    )


def _folded(model: BinnedModel, even: Floats, odd: Floats, bent: list[int]) -> tuple[int, ...]:
    """Parameters whose sides go the same way by more than the data can overlook."""
    background = model.background
    weight = np.divide(1.0, background, out=np.zeros_like(background), where=background > 0.0)

    def size(change: Floats) -> float:
        return float((change[~model.is_signal].sum(axis=0) ** 2 * weight).sum())

    sizes = {j + 1: size(even[j]) for j in bent}
    chosen = [j + 1 for j in bent if sizes[j + 1] > max(_SEEN, _BENT * size(odd[j]))]
    return tuple(sorted(chosen, key=lambda position: -sizes[position]))


def _factors(
    model: BinnedModel, samples: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Normalisations of the samples that stand for each group."""
    groups, positions, values = [], [], []
    for group, sample in enumerate(samples):
        for j, parameter in enumerate(model.parameters):
            high, low = model.high[j, sample], model.low[j, sample]
            if high == 1.0 and low == 1.0:
                continue
            line = parameter.factor == "linear"
            if not line and not (high > 0.0 and low > 0.0):
                raise InputError(
                    f"parameter {parameter.name!r}: normalisation {high:g} and {low:g}, expected "
                    "> 0; make it linear"
                )
            groups.append(group)
            positions.append(j + 1)
            code = [0.0] * 6 if line else list(code4_coefficients(high, low))
            values.append([0.0 if line else 1.0, high, low, *code])
    return (
        np.array(groups, dtype=np.int64),
        np.array(positions, dtype=np.int64),
        np.array(values, dtype=float).reshape(-1, 9),
    )


def code4_coefficients(high: float, low: float) -> Floats:
    """Coefficients of theta to theta^6 between -1 and 1, as in pyhf's code 4.

    The polynomial and its first two derivatives meet ``high^theta`` at 1 and ``low^-theta`` at -1.
    """
    log_high, log_low = np.log(high), np.log(low)
    target = [
        high - 1.0,
        low - 1.0,
        high * log_high,
        -low * log_low,
        high * log_high**2,
        low * log_low**2,
    ]
    orders = np.arange(1, 7)
    sign = np.where(orders % 2 == 0, 1.0, -1.0)
    curvature = orders * (orders - 1.0)
    matrix = [np.ones(6), sign, orders, -orders * sign, curvature, curvature * sign]
    return np.linalg.solve(np.array(matrix, dtype=float), np.array(target))
