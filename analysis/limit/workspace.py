"""Exchange with pyhf and HistFactory: workspaces out and in, with the same likelihood.

pyhf's defaults apply: histosys by code 4p, which is a straight line for symmetric changes, and
normsys by code 4. What the two cannot both say is refused. pyhf itself is not needed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fileset.errors import InputError

from .model import BinnedModel, Channel, Floats, Model, Parameter, Sample
from .workspace_factors import (
    KIND,
    factor_modifiers,
    factor_names,
    shapesys_of,
    with_bin_factors,
)

VERSION = "1.0.0"
POI = "s"

_KINDS = ("normfactor", "histosys", "normsys", "staterror", KIND)


def to_workspace(model: BinnedModel) -> dict[str, Any]:
    """Write a model as a HistFactory workspace.

    Parameters
    ----------
    model : BinnedModel
        With data. A free parameter theta becomes a normfactor of 1 + theta.

    Returns
    -------
    dict
        Of plain JSON values, after pyhf's schema 1.0.0. Exposure and unit have no place there.

    Raises
    ------
    InputError
        Without data, or for what pyhf cannot say.
    """
    if model.observed is None:
        raise InputError("a workspace needs data; give some, or LimitModel.asimov()")
    _check_export(model)
    channels, first = [], 0
    constraints = factor_names(model)
    for channel in model.channels:
        bins = slice(first, first + channel.bins)
        if channel.name in constraints:
            first += channel.bins
            continue
        samples = [
            {
                "name": sample.name,
                "data": model.nominal[p, bins].tolist(),
                "modifiers": _modifiers(model, channel, p, bins),
            }
            for p, sample in enumerate(model.samples)
            if model.nominal[p, bins].any()
        ]
        data = model.observed[bins].tolist()
        channels.append(({"name": channel.name, "samples": samples}, data))
        first += channel.bins
    top = 100.0 * max(1.0, float(model.background.sum() / model.signal.sum()))
    poi = {"name": POI, "inits": [0.0], "bounds": [[0.0, top]]}
    return {
        "version": VERSION,
        "channels": [channel for channel, _ in channels],
        "observations": [{"name": channel["name"], "data": data} for channel, data in channels],
        "measurements": [{"name": "limit", "config": {"poi": POI, "parameters": [poi]}}],
    }


def _check_export(model: BinnedModel) -> None:
    for j, p in enumerate(model.parameters):
        if p.source.startswith(f"{KIND} "):
            continue
        if p.name == POI:
            raise InputError(f"parameter {POI!r} has the name of the signal; rename it")
        if p.shape == "code0" and (model.up[j] != -model.down[j]).any():
            raise InputError(f"parameter {p.name!r} has code 0, a workspace 4p; make it code4p")
        lines = p.factor == "linear" and (model.high[j] != 1.0).any()
        ones = model.high[j][model.high[j] != 1.0]
        free = p.constraint == "free"
        if lines != free or (free and ((ones != 2.0).any() or model.up[j].any())):
            raise InputError(
                f"parameter {p.name!r}: a workspace has free normalisations of 1 + theta and no "
                "other lines; use with_normalisation"
            )


def _modifiers(model: BinnedModel, channel: Channel, p: int, bins: slice) -> list[dict[str, Any]]:
    """All that changes a sample in a channel."""
    found: list[dict[str, Any]] = []
    nominal = model.nominal[p, bins]
    if model.samples[p].signal:
        found.append({"name": POI, "type": "normfactor", "data": None})
    elif model.mc_relative[bins].any():
        deviation = np.sqrt(model.mc_variance[p, bins]).tolist()
        found.append({"name": f"staterror_{channel.name}", "type": "staterror", "data": deviation})
    found += factor_modifiers(model, p, bins)
    for j, parameter in enumerate(model.parameters):
        if parameter.source.startswith(f"{KIND} "):
            continue
        up, down = model.up[j, p, bins], model.down[j, p, bins]
        if up.any() or down.any():
            sides = {"hi_data": (nominal + up).tolist(), "lo_data": (nominal + down).tolist()}
            found.append({"name": parameter.name, "type": "histosys", "data": sides})
        high, low = float(model.high[j, p]), float(model.low[j, p])
        if parameter.constraint == "free" and high != 1.0:
            found.append({"name": parameter.name, "type": "normfactor", "data": None})
        elif high != 1.0 or low != 1.0:
            sides = {"hi": high, "lo": low}
            found.append({"name": parameter.name, "type": "normsys", "data": sides})
    return found


class _Part(NamedTuple):
    """One sample in one channel."""

    name: str
    first: int
    nominal: Floats
    modifiers: dict[tuple[str, str], Any]


def from_workspace(
    kind: type[Model], workspace: Mapping[str, Any], *, unit: float, pot: float = 0.0
) -> Model:
    """Read a workspace as a kind of model.

    Parameters
    ----------
    kind : type
        Of the model to make.
    workspace : mapping
        With one measurement, whose parameter of interest is a normfactor.
    unit : float
        Moment [Bohr magneton] where that parameter is 1: it counts as s = (mu / unit)^2.
    pot : float
        Exposure [POT], if it is known.

    Raises
    ------
    InputError
        For a modifier that this model does not have, or what is no workspace.
    """
    try:
        return _read(kind, workspace, unit, pot)
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"not a workspace of schema {VERSION} ({reason}); make it again") from None


def _read(kind: type[Model], workspace: Mapping[str, Any], unit: float, pot: float) -> Model:
    (measurement,) = workspace["measurements"]
    poi = measurement["config"]["poi"]
    fixed = [p["name"] for p in measurement["config"]["parameters"] if p.get("fixed")]
    if fixed:
        raise InputError(f"parameters {', '.join(fixed)} are fixed; take them out of the workspace")
    data = {o["name"]: np.array(o["data"], dtype=float) for o in workspace["observations"]}
    channels = tuple(Channel(c["name"], len(data[c["name"]])) for c in workspace["channels"])
    parts, first = [], 0
    for channel in workspace["channels"]:
        parts += [_part(channel["name"], sample, first) for sample in channel["samples"]]
        _check_statistics(channel["name"], [p for p in parts if p.first == first], poi)
        first += len(data[channel["name"]])
    parts = _apart(parts, channels)
    samples = {p.name: Sample(p.name, ("normfactor", poi) in p.modifiers) for p in parts}
    apart = ("staterror", KIND)
    names = {n: k for p in parts for k, n in p.modifiers if k not in apart and n != poi}
    rows, numbers = [{n: i for i, n in enumerate(group)} for group in (samples, names)]
    lead = (len(names), len(samples))
    arrays = {name: np.zeros((*lead, first)) for name in ("up", "down")}
    arrays |= {name: np.ones(lead) for name in ("high", "low")}
    arrays |= {name: np.zeros((len(samples), first)) for name in ("nominal", "mc_variance")}
    for part in parts:
        _fill(arrays, part, rows[part.name], numbers)
    result = kind(
        channels=channels,
        samples=tuple(samples.values()),
        parameters=tuple(_parameter(n, k, arrays, numbers[n]) for n, k in names.items()),
        observed=np.concatenate([data[channel.name] for channel in channels]),
        unit=unit,
        pot=pot,
        origin="workspace",
        **arrays,
    )
    for part in parts:
        for name, deviation in shapesys_of(part.modifiers).items():
            result = with_bin_factors(result, name, part.name, part.first, deviation)
    return result


def _part(channel: str, sample: Mapping[str, Any], first: int) -> _Part:
    modifiers = {}
    for modifier in sample["modifiers"]:
        if modifier["type"] not in _KINDS:
            raise InputError(
                f"channel {channel!r}, sample {sample['name']!r}: modifier {modifier['name']!r} is "
                f"a {modifier['type']}; this model has {', '.join(_KINDS)}"
            )
        modifiers[modifier["type"], modifier["name"]] = modifier["data"]
    return _Part(sample["name"], first, np.array(sample["data"], dtype=float), modifiers)


def _check_statistics(channel: str, parts: list[_Part], poi: str) -> None:
    """One Monte Carlo factor per bin is on the sum of all backgrounds, and on nothing else."""
    having = [any(k == "staterror" for k, _ in part.modifiers) for part in parts]
    backgrounds = [("normfactor", poi) not in part.modifiers for part in parts]
    if any(having) and having != backgrounds:
        raise InputError(
            f"channel {channel!r}: staterror is not on all backgrounds and on them alone; mend it"
        )


def _apart(parts: list[_Part], channels: tuple[Channel, ...]) -> list[_Part]:
    """Name samples after their channel too where one name has different normalisations."""
    seen: dict[str, list[Any]] = {}
    for part in parts:
        factors = {k: v for k, v in part.modifiers.items() if k[0] in ("normfactor", "normsys")}
        seen.setdefault(part.name, []).append(factors)
    starts = np.cumsum([0, *(channel.bins for channel in channels)])
    where = {int(start): channel.name for start, channel in zip(starts, channels, strict=False)}
    return [
        part
        if all(factors == seen[part.name][0] for factors in seen[part.name])
        else part._replace(name=f"{part.name}@{where[part.first]}")
        for part in parts
    ]


def _fill(arrays: dict[str, Floats], part: _Part, row: int, numbers: Mapping[str, int]) -> None:
    bins = slice(part.first, part.first + len(part.nominal))
    arrays["nominal"][row, bins] = part.nominal
    for (kind, name), content in part.modifiers.items():
        if kind == "staterror":
            arrays["mc_variance"][row, bins] = np.square(content)
            continue
        if name not in numbers:
            continue
        j = numbers[name]
        if kind == "histosys":
            arrays["up"][j, row, bins] = np.subtract(content["hi_data"], part.nominal)
            arrays["down"][j, row, bins] = np.subtract(content["lo_data"], part.nominal)
        else:
            sides = (2.0, 0.0) if kind == "normfactor" else (content["hi"], content["lo"])
            arrays["high"][j, row], arrays["low"][j, row] = sides


def _parameter(name: str, kind: str, arrays: dict[str, Floats], j: int) -> Parameter:
    if kind == "normfactor":
        return Parameter(name, "free", factor="linear")
    scale = np.abs(arrays["nominal"]).max()
    straight = np.abs(arrays["up"][j] + arrays["down"][j]).max() <= 1e-12 * scale
    return Parameter(name, shape="linear" if straight else "code4p")
