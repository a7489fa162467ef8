"""Factors of single bins with Poisson constraints, shapesys in a workspace, both ways.

Such a constraint is a count of its own, tau times the factor with tau = 1 / (relative
uncertainty)^2: it becomes a bin of a channel beside the others, and its factor a free parameter.
Fits, toys and data without fluctuations then treat it as pyhf does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fileset.errors import InputError

from .model import BinnedModel, Channel, Floats, Model, Parameter, Sample

KIND = "shapesys"


def with_bin_factors(
    model: Model, name: str, sample: str, first: int, deviation: Sequence[float]
) -> Model:
    """Give the bins of a sample factors with Poisson constraints.

    Parameters
    ----------
    model : BinnedModel
        With data.
    name : str
        Of the modifier: the new channel has it, and the parameters with the number of their bin.
    sample : str
    first : int
        Its first bin.
    deviation : sequence of float
        Uncertainty of each bin [events]; 0 for none.

    Returns
    -------
    model of that kind

    Raises
    ------
    InputError
        If something else changes the shape of the sample: the two would not multiply here.
    """
    row = [s.name for s in model.samples].index(sample)
    bins = np.arange(first, first + len(deviation))
    if model.up[:, row][:, bins].any():
        raise InputError(f"sample {sample!r} has a {KIND} and a histosys; write it as a staterror")
    nominal = model.nominal[row, bins]
    filled = (np.asarray(deviation) > 0.0) & (nominal > 0.0)
    kept, count = bins[filled], int(filled.sum())
    tau = (nominal[filled] / np.asarray(deviation)[filled]) ** 2
    old, samples = len(model.parameters), len(model.samples)

    def padded(array: Floats) -> Floats:
        """Room for the new parameters, sample and bins."""
        width = [(0, 1), (0, count)]
        return np.pad(array, width if array.ndim == 2 else [(0, count), *width])

    arrays: dict[str, Any] = {
        n: padded(getattr(model, n)) for n in ("nominal", "mc_variance", "up", "down")
    }
    own = np.arange(count)
    arrays["nominal"][samples, model.bins :] = tau
    for side, sign in (("up", 1.0), ("down", -1.0)):
        arrays[side][old + own, row, kept] = sign * nominal[filled]
        arrays[side][old + own, samples, model.bins + own] = sign * tau
    more = ((0, count), (0, 1))
    arrays |= {n: np.pad(getattr(model, n), more, constant_values=1.0) for n in ("high", "low")}
    numbers = kept - first
    return replace(
        model,
        channels=(*model.channels, Channel(name, count)),
        samples=(*model.samples, Sample(f"{name} measurement")),
        parameters=(
            *model.parameters,
            *(Parameter(f"{name}[{i}]", "free", source=f"{KIND} {name}") for i in numbers),
        ),
        observed=None if model.observed is None else np.concatenate([model.observed, tau]),
        **arrays,
    )


def factor_names(model: BinnedModel) -> set[str]:
    """Names of the channels that are constraints."""
    sources = (p.source.split(" ", 1) for p in model.parameters if p.source.startswith(f"{KIND} "))
    return {name for _, name in sources}


def factor_modifiers(model: BinnedModel, p: int, bins: slice) -> list[dict[str, Any]]:
    """Modifiers of a sample in a channel that such factors are."""
    found: dict[str, Floats] = {}
    starts = dict(_starts(model))
    for j, parameter in enumerate(model.parameters):
        name = parameter.source.partition(" ")[2]
        if not parameter.source.startswith(f"{KIND} ") or not model.up[j, p, bins].any():
            continue
        place = starts[name] + [q.name for q in _of(model, name)].index(parameter.name)
        tau = model.nominal[:, place].sum()
        if model.observed is not None and abs(model.observed[place] - tau) > 1e-9 * tau:
            raise InputError(
                f"the measurement of {parameter.name!r} is not its nominal, as it must be in a "
                "workspace; give the observed data"
            )
        deviation = found.setdefault(name, np.zeros(bins.stop - bins.start))
        deviation += model.up[j, p, bins] / np.sqrt(tau)
    return [{"name": n, "type": KIND, "data": d.tolist()} for n, d in found.items()]


def _of(model: BinnedModel, name: str) -> list[Parameter]:
    return [p for p in model.parameters if p.source == f"{KIND} {name}"]


def _starts(model: BinnedModel) -> Sequence[tuple[str, int]]:
    ends = np.cumsum([channel.bins for channel in model.channels])
    return [(c.name, int(end) - c.bins) for c, end in zip(model.channels, ends, strict=True)]


def shapesys_of(modifiers: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """Those of one sample, by name."""
    return {name: content for (kind, name), content in modifiers.items() if kind == KIND}
