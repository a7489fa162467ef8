"""Systematic uncertainties as nuisance parameters, and the file that a limit reads.

Universes become principal components, one parameter each; a pair or a single side is a parameter
of its own. All are in units of their standard deviation, constrained by a normal distribution. The
file, ``.npz`` or ``.json``, holds plain arrays and one JSON text: no pickle.
"""

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fileset.errors import InputError, closest

from .array_file import check_schema, read, refusing, write
from .covariance import Floats, Layout, Principal, Shifts, Source, principal_of

SCHEMA = 1
KINDS = ("component", "pair", "one_sided")
INTERPOLATIONS = ("linear", "code0", "code4p")
"""Between and beyond +-1 standard deviation: a straight line; one on each side; pyhf's code 4p."""

CONSTRAINT = "normal"

_CONTENT = "nudipole_systematics"
_VECTORS = ("nominal", "mc_variance", "remainder")
_MATRICES = ("up", "down")


@dataclass(frozen=True)
class Nuisance:
    """One parameter.

    Attributes
    ----------
    name : str
        ``ppfx_pc00`` for a component, otherwise the name of its source.
    source : str
    kind : str
        One of :data:`KINDS`. The other side of a single one is the nominal.
    interpolation : str
        One of :data:`INTERPOLATIONS`.
    constraint : str
        ``"normal"``: mean 0, standard deviation 1.
    """

    name: str
    source: str
    kind: str
    interpolation: str
    constraint: str = CONSTRAINT


@dataclass(frozen=True)
class Systematics:
    """Everything that a fit must know of the uncertainties of its templates, at one exposure.

    Attributes
    ----------
    layout : Layout
        What the rows are.
    nominal, mc_variance : ndarray, shape (rows,)
        Yields [events] and their variance from the finite simulation.
    remainder : ndarray, shape (rows,)
        Variance that the principal components leave, to be added to ``mc_variance``.
    nuisances : tuple of Nuisance
    up, down : ndarray, shape (nuisances, rows)
        Change by +1 and -1 standard deviation of each [events].
    pot : float
        Exposure [POT].
    origin : str
        sha256 of what the templates were made of (:func:`analysis.shifts.digest`).
    keep : float
        Fraction of the trace that the components of each source hold at least.
    """

    layout: Layout
    nominal: Floats
    mc_variance: Floats
    remainder: Floats
    nuisances: tuple[Nuisance, ...]
    up: Floats
    down: Floats
    pot: float
    origin: str
    keep: float

    @property
    def statistical_variance(self) -> Floats:
        """Variance of each row by itself: simulation and remainder; shape (rows,) [events^2]."""
        return self.mc_variance + self.remainder

    @property
    def deviations(self) -> Floats:
        """Matrix D, shape (n, rows), with :meth:`covariance` D^T D without the remainder."""
        # A side that does not exist is 0 and must not halve the square of the other.
        single = np.array(
            [n.kind == "one_sided" and n.interpolation != "linear" for n in self.nuisances]
        )
        weight = np.where(single, 1.0, math.sqrt(0.5)).reshape(-1, 1)
        return np.concatenate([weight * self.up, weight * self.down])

    def covariance(self) -> Floats:
        """Systematic covariance, the remainder included; shape (rows, rows) [events^2]."""
        return self.deviations.T @ self.deviations + np.diag(self.remainder)

    def save(self, path: str | Path) -> None:
        """Write to a file ending in ``.npz`` or ``.json``; a reader never sees half of it.

        Raises
        ------
        InputError
            For another ending.
        """
        content = {
            "schema": SCHEMA,
            "pot": self.pot,
            "origin": self.origin,
            "keep": self.keep,
            "samples": self.layout.samples,
            "axes": [
                {"name": name, "title": self.layout.titles[name], "edges": edges.tolist()}
                for name, edges in self.layout.axes.items()
            ],
            "nuisances": [asdict(nuisance) for nuisance in self.nuisances],
        }
        arrays = {name: getattr(self, name) for name in (*_VECTORS, *_MATRICES)}
        write(path, _CONTENT, content, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Systematics":
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is missing, of another version, or not what it should be.
        """
        with refusing(path, "systematics", "'covariance'") as path:
            content, arrays = read(path, _CONTENT)
            check_schema(content, SCHEMA, "systematics")
            for name in _MATRICES:
                # Of no nuisance at all, JSON keeps no number of rows.
                if not arrays[name].size:
                    arrays[name] = arrays[name].reshape(0, len(arrays["nominal"]))
            layout = Layout(
                {name: dict(parts) for name, parts in content["samples"].items()},
                {a["name"]: np.asarray(a["edges"], dtype=float) for a in content["axes"]},
                {a["name"]: a["title"] for a in content["axes"]},
            )
            nuisances = tuple(Nuisance(**n) for n in content["nuisances"])
            facts = {key: content[key] for key in ("pot", "origin", "keep")}
            result = cls(layout=layout, nuisances=nuisances, **arrays, **facts)
            _check(result)
        return result


def systematics(
    found: Shifts,
    keep: float = 0.999,
    symmetrise: Collection[str] = (),
    interpolation: str = "code4p",
) -> Systematics:
    """Make nuisance parameters of every source of variation.

    Parameters
    ----------
    found : Shifts
        Replicas in it are Monte Carlo statistics and make none.
    keep : float
        Fraction of the trace of each source's covariance that its principal components hold at
        least; the diagonal of what they leave is the remainder.
    symmetrise : collection of str
        Sources to take as half the difference of their sides, or as their one side with either
        sign; nothing is made symmetric without being named here.
    interpolation : str
        Of the other sources with sides, one of :data:`INTERPOLATIONS`.

    Returns
    -------
    Systematics

    Raises
    ------
    InputError
        For an unknown source or interpolation, or a fraction that is none.
    """
    sources = found.systematic
    for name in symmetrise:
        if name not in sources or not sources[name].sides:
            sided = [n for n, source in sources.items() if source.sides]
            raise InputError(f"no source {name!r} with sides to symmetrise; {closest(name, sided)}")
    if interpolation not in INTERPOLATIONS[1:]:
        raise InputError(
            f"no interpolation {interpolation!r}; {closest(interpolation, INTERPOLATIONS[1:])}"
        )
    remainder = np.zeros(found.layout.size)
    nuisances: list[Nuisance] = []
    up, down = [np.zeros((0, found.layout.size))], [np.zeros((0, found.layout.size))]
    for name, source in sources.items():
        if source.kind == "universes":
            kept = principal_of(source.deviations, keep)
            remainder += kept.remainder
            nuisances += _components(name, kept)
            sides = kept.components, -kept.components
        elif name in symmetrise:
            nuisances.append(Nuisance(name, name, source.kind, "linear"))
            sides = source.symmetric[None], -source.symmetric[None]
        else:
            nuisances.append(Nuisance(name, name, source.kind, interpolation))
            sides = _side(source, "Up"), _side(source, "Down")
        up.append(sides[0])
        down.append(sides[1])
    return Systematics(
        layout=found.layout,
        nominal=found.nominal,
        mc_variance=found.mc_variance,
        remainder=remainder,
        nuisances=tuple(nuisances),
        up=np.concatenate(up),
        down=np.concatenate(down),
        pot=found.pot,
        origin=found.origin,
        keep=keep,
    )


def _components(source: str, kept: Principal) -> list[Nuisance]:
    return [
        Nuisance(f"{source}_pc{i:02d}", source, "component", "linear")
        for i in range(len(kept.components))
    ]


def _side(source: Source, side: str) -> Floats:
    """Change of a source to one side; none where the source does not have it."""
    if side in source.sides:
        return source.members[[source.sides.index(side)]]
    return np.zeros((1, source.members.shape[1]))


def _check(result: Systematics) -> None:
    """Refuse content that cannot be right; what is raised names it."""
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_VECTORS, (result.layout.size,))
    shapes |= dict.fromkeys(_MATRICES, (len(result.nuisances), result.layout.size))
    for name, shape in shapes.items():
        array = getattr(result, name)
        if array.shape != shape:
            raise ValueError(f"{name} has the shape {array.shape}, expected {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    if (result.mc_variance < 0.0).any() or (result.remainder < 0.0).any():
        raise ValueError("a variance is below 0")
    if not (math.isfinite(result.pot) and result.pot > 0.0):
        raise ValueError(f"pot = {result.pot}, expected > 0")
    if any((np.diff(edges) <= 0.0).any() for edges in result.layout.axes.values()):
        raise ValueError("bin edges do not ascend")
    _check_nuisances(result.nuisances)


def _check_nuisances(nuisances: tuple[Nuisance, ...]) -> None:
    if len({nuisance.name for nuisance in nuisances}) != len(nuisances):
        raise ValueError("two nuisance parameters have one name")
    for nuisance in nuisances:
        known = nuisance.kind in KINDS and nuisance.interpolation in INTERPOLATIONS
        if not known or nuisance.constraint != CONSTRAINT:
            raise ValueError(f"a nuisance parameter is of an unknown kind: {nuisance}")
