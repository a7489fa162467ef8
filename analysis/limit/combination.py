"""Models put together: channels of one experiment, or experiments, correlated by name.

A parameter of one name is one parameter, whatever it changes; to keep two apart, or to make two
one, rename them first. Other experiments enter as counts or spectra of their own, or as published
curves and numbers (:mod:`.published`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fileset.errors import InputError, closest

from .model import BinnedModel, Model, Parameter, Sample

_KINDS = ("channels", "samples", "parameters")
_NOMINAL = ("nominal", "mc_variance")
_CHANGES = ("up", "down")
_FACTORS = ("high", "low")


def combine(models: Sequence[Model]) -> Model:
    """Put the channels of several models side by side.

    Parameters
    ----------
    models : sequence of one kind of model
        Parameters of one name are one; channels must differ. Samples of one name are one, and get
        the name of their channel added where their normalisations differ. Signals are brought to
        the unit of the first model.

    Returns
    -------
    model of that kind
        With data if all have some; exposures are not added and the result has none.

    Raises
    ------
    InputError
        Without a model, or if one name means different things.
    """
    if not models:
        raise InputError("no model to combine; give at least one")
    alike = [in_unit(model, models[0].unit) for model in models]
    parameters = _parameters(alike)
    numbers = {parameter.name: i for i, parameter in enumerate(parameters)}
    alike = _apart(alike)
    samples = _samples(alike)
    rows = {sample.name: i for i, sample in enumerate(samples)}
    lead = (len(parameters), len(samples))
    arrays: dict[str, Any] = {name: np.ones(lead) for name in _FACTORS}
    blocks: dict[str, list[Any]] = {name: [] for name in (*_NOMINAL, *_CHANGES)}
    for model in alike:
        own_rows = [rows[sample.name] for sample in model.samples]
        own = np.ix_([numbers[p.name] for p in model.parameters], own_rows)
        for name in _FACTORS:
            arrays[name][own] = getattr(model, name)
        for name, parts in blocks.items():
            changes = name in _CHANGES
            block = np.zeros((*(lead if changes else lead[1:]), model.bins))
            block[own if changes else own_rows] = getattr(model, name)
            parts.append(block)
    arrays |= {name: np.concatenate(parts, axis=-1) for name, parts in blocks.items()}
    data = [model.observed for model in alike if model.observed is not None]
    return type(models[0])(
        channels=tuple(channel for model in alike for channel in model.channels),
        samples=samples,
        parameters=parameters,
        observed=np.concatenate(data) if len(data) == len(alike) else None,
        unit=models[0].unit,
        origin="+".join(model.origin for model in alike),
        **arrays,
    )


def renamed(
    model: Model,
    *,
    channels: Mapping[str, str] | None = None,
    samples: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Model:
    """Give other names, to say what is one thing in a combination and what is not.

    Parameters
    ----------
    model : BinnedModel
    channels, samples, parameters : mapping of str to str, optional
        Old name to new one; those that are not named stay.

    Returns
    -------
    model of that kind

    Raises
    ------
    InputError
        For a name that the model does not have, and if two would have one name.
    """
    changed: dict[str, Any] = {}
    for kind, names in zip(_KINDS, (channels, samples, parameters), strict=True):
        things = getattr(model, kind)
        known = [thing.name for thing in things]
        for name in names or ():
            if name not in known:
                raise InputError(
                    f"nothing to rename: no {kind[:-1]} {name!r}; {_near(name, known)}"
                )
        changed[kind] = tuple(
            replace(thing, name=(names or {}).get(thing.name, thing.name)) for thing in things
        )
    return replace(model, **changed)


def only(model: Model, channels: Collection[str]) -> Model:
    """Leave out all channels but some, in the order of the model.

    Raises
    ------
    InputError
        For a channel that the model does not have, and if no signal is left.
    """
    known = [channel.name for channel in model.channels]
    for name in channels:
        if name not in known:
            raise InputError(f"no channel {name!r}; {_near(name, known)}")
    kept = np.repeat([n in channels for n in known], [channel.bins for channel in model.channels])
    arrays = {n: getattr(model, n)[..., kept] for n in (*_NOMINAL, *_CHANGES)}
    observed = None if model.observed is None else model.observed[kept]
    chosen = tuple(channel for channel in model.channels if channel.name in channels)
    return replace(model, channels=chosen, observed=observed, **arrays)


def in_unit(model: Model, unit: float) -> Model:
    """Same model with s in other units.

    Parameters
    ----------
    model : BinnedModel
    unit : float
        Moment at s = 1 [Bohr magneton].
    """
    if model.unit == unit:
        return model
    if not unit > 0.0:
        raise InputError(f"unit = {unit}, expected a moment > 0")
    factor = np.where(model.is_signal, (unit / model.unit) ** 2, 1.0)[:, None]
    changes: dict[str, Any] = {n: factor * getattr(model, n) for n in ("nominal", *_CHANGES)}
    return replace(model, mc_variance=factor**2 * model.mc_variance, unit=unit, **changes)


def _apart(models: Sequence[Model]) -> list[Model]:
    """Name samples after their first channel too where one name has different normalisations."""
    factors: dict[str, set[Any]] = {}
    for model in models:
        for sample, how in _normalisations(model).items():
            factors.setdefault(sample, set()).add(how)
    unlike = {sample for sample, found in factors.items() if len(found) > 1}
    return [
        renamed(
            model,
            samples={
                sample.name: f"{sample.name}@{model.channels[0].name}"
                for sample in model.samples
                if sample.name in unlike
            },
        )
        for model in models
    ]


def _normalisations(model: BinnedModel) -> dict[str, frozenset[Any]]:
    """What multiplies each sample, by name of the parameter."""
    return {
        sample.name: frozenset(
            (parameter.name, float(model.high[j, i]), float(model.low[j, i]))
            for j, parameter in enumerate(model.parameters)
            if model.high[j, i] != 1.0 or model.low[j, i] != 1.0
        )
        for i, sample in enumerate(model.samples)
    }


def _samples(models: Sequence[BinnedModel]) -> tuple[Sample, ...]:
    found: dict[str, Sample] = {}
    for sample in (sample for model in models for sample in model.samples):
        if found.setdefault(sample.name, sample) != sample:
            raise InputError(f"sample {sample.name!r} is signal in one model and not in another")
    return tuple(found.values())


def _parameters(models: Sequence[BinnedModel]) -> tuple[Parameter, ...]:
    names = dict.fromkeys(p.name for model in models for p in model.parameters)
    return tuple(_one_parameter(models, name) for name in names)


def _one_parameter(models: Sequence[BinnedModel], name: str) -> Parameter:
    """What models say of a parameter, where it makes a difference to them."""
    places = [(m, j, p) for m in models for j, p in enumerate(m.parameters) if p.name == name]
    first = places[0][2]
    said = {
        "constraint": {p.constraint for _, _, p in places},
        "shape": {p.shape for m, j, p in places if (m.up[j] != -m.down[j]).any()},
        "factor": {p.factor for m, j, p in places if (m.high[j] != 1.0).any()},
    }
    for what, values in said.items():
        if len(values) > 1:
            raise InputError(
                f"parameter {name!r} has the {what} {' and '.join(sorted(values))}; rename one of "
                "them, or make them alike"
            )
    return replace(first, **{what: values.pop() for what, values in said.items() if values})


def _near(name: str, known: Sequence[str]) -> str:
    return closest(name, known) if known else "there is none"
