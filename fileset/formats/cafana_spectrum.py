"""CAFAna ``Spectrum`` files: finished histograms with their axes and exposure.

Not an event format: what such a file holds becomes templates as it is (``processors/spectra.py``).
A directory is a spectrum: ``type``, the content ``hist`` (or ``hist_sparse``), the exposure ``pot``
and ``livetime``, and per axis ``label<i>`` and ``bins<i>``. Several axes are one histogram of all
bins, the last axis fastest, with one underflow and one overflow bin for everything outside.

Layouts by their sources: CAFAnaCore (``Spectrum.cxx``, ``Hist.cxx``, ``Binning.cxx``,
``VarBase.cxx``), sbnana (``EnsembleSpectrum.cxx``, ``Multiverse.cxx``) and their predecessors in
sbncode and DUNE's lblpwgtools, down to spectra without ``bins<i>``.
"""

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import uproot
from numpy.typing import NDArray

from ..errors import InputError, closest, printable
from ..opening import INSPECTING, check_complete, readable
from ..remote import TIMEOUT, open_root
from ..root_limits import contents

Floats = NDArray[np.float64]

NAME = "cafana_spectrum"
READABLE = (SPECTRUM, ENSEMBLE) = ("Spectrum", "EnsembleSpectrum")

# "Group separator" between the parts of a multiverse's name: sbnana, Multiverse.cxx.
_SEPARATOR = chr(29)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Content of one spectrum, at its own exposure.

    Attributes
    ----------
    name : str
        Directory in the file; ``"."`` for the file itself.
    values, variances : ndarray, shape (n_1 + 2, n_2 + 2, ...)
        Events per bin, under- and overflow included, and their variance: what the file says, or
        the values where it keeps no squares of weights. What is outside any of several axes is
        in the first or in the last corner.
    edges : tuple of ndarray, shapes (n_i + 1,)
        Bin edges per axis, in the unit of its label.
    labels : tuple of str
        Title per axis, as it is in the file.
    pot : float
        Protons on target; NaN where the file says nothing.
    livetime : float
        Seconds.
    universes : dict of str to Spectrum
        Alternatives of an ensemble without its nominal, which is the spectrum itself. Number, or
        ``<systematic>_<shift>`` such as ``calib_-1`` where each universe is one shift.
    multiverse : str
        What the universes are, of an ensemble and each of them; two ensembles that share it have
        universe for universe the same shifts. Empty where the file does not say.
    """

    name: str
    values: Floats
    variances: Floats
    edges: tuple[Floats, ...]
    labels: tuple[str, ...]
    pot: float
    livetime: float
    universes: Mapping[str, "Spectrum"] = field(default_factory=dict)
    multiverse: str = ""

    @property
    def total(self) -> float:
        """Sum over all bins, under- and overflow included."""
        return float(self.values.sum())

    @property
    def entries(self) -> float:
        """Number of events without weights that would be known as well."""
        variance = float(self.variances.sum())
        return self.total**2 / variance if variance > 0.0 else self.total

    @property
    def source(self) -> str:
        """Name of the one systematic that all universes vary; empty for several."""
        kind, *parts = self.multiverse.split(_SEPARATOR)
        systematics = parts[2:-1] if kind == "gas" else []
        return systematics[0] if len(systematics) == 1 else ""


@dataclass(frozen=True)
class SpectrumFile:
    """An open file with spectra.

    Attributes
    ----------
    path, uuid : str
    kinds : dict of str to str
        Directory of every spectrum to its class; one of :data:`READABLE` or it cannot be read.
    directory : uproot.ReadOnlyDirectory
    """

    path: str
    uuid: str
    kinds: dict[str, str]
    directory: uproot.ReadOnlyDirectory = field(repr=False)

    def read(self, name: str) -> Spectrum:
        """Read one spectrum.

        Raises
        ------
        InputError
            If it is not there, of another class, not finite or not consistent in itself.
        """
        with _about(self.path), readable(f"spectrum {name!r}", INSPECTING):
            kind = self.kinds.get(name)
            if kind is None:
                raise InputError(f"no spectrum {name!r}; {closest(name, self.kinds)}")
            if kind not in READABLE:
                raise InputError(
                    f"spectrum {name!r} is of class {kind}: its content depends on a weighting "
                    "that is not in the file; save the weighted result as a Spectrum"
                )
            folder = self.directory if name == "." else self.directory[name]
            return read_ensemble(folder, name) if kind == ENSEMBLE else read_spectrum(folder, name)


@contextlib.contextmanager
def _about(path: str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {printable(str(error))}") from None


def open_spectra(path: str, *, timeout: float = TIMEOUT) -> SpectrumFile:
    """Open a file and find its spectra.

    Parameters
    ----------
    path : str
    timeout : float
        Longest wait for an answer about a remote file [s].

    Raises
    ------
    InputError
        If it cannot be read as a ROOT file; one without spectra can.
    """
    with _about(path), readable("spectra", INSPECTING):
        directory = open_root(path, timeout=timeout)
        check_complete(directory)
        return SpectrumFile(path, str(directory.file.uuid), _kinds(directory), directory)


def survey_spectra(path: str, *, timeout: float = TIMEOUT) -> tuple[list[Spectrum], list[str]]:
    """Read every spectrum of a file and collect what is wrong instead of stopping at it.

    Returns
    -------
    spectra : list of Spectrum
        Those that can be read; classes that cannot are passed over.
    problems : list of str
        One line per spectrum that cannot be right, or about the file.
    """
    spectra, problems = [], []
    try:
        file = open_spectra(path, timeout=timeout)
    except InputError as error:
        return [], [str(error)]
    for name in [name for name, kind in file.kinds.items() if kind in READABLE]:
        try:
            spectra.append(file.read(name))
        except InputError as error:
            problems.append(str(error))
    return spectra, problems


def _kinds(directory: uproot.ReadOnlyDirectory) -> dict[str, str]:
    content: dict[str, dict[str, str]] = {}
    for path, kind in contents(directory).items():
        folder, _, leaf = path.rpartition("/")
        content.setdefault(folder, {})[leaf] = kind
    found: dict[str, str] = {}
    for folder, objects in content.items():
        filled = "pot" in objects and ("hist" in objects or "hist_sparse" in objects)
        if objects.get("type") == "TObjString":
            tag = str(directory[f"{folder}/type".lstrip("/")])
        else:
            tag = SPECTRUM
        # Predictions and binnings have a type too.
        if filled or tag == ENSEMBLE:
            found[folder] = tag
    # The older ensembles consist of spectra, which are not samples of their own.
    inside = [f"{name}/".lstrip("/") for name, tag in found.items() if tag == ENSEMBLE]
    return {
        name or ".": tag
        for name, tag in found.items()
        if not any(name.startswith(folder) and name != folder for folder in inside)
    }


def read_spectrum(folder: Mapping[str, Any], name: str) -> Spectrum:
    """Read a spectrum from its directory, which uproot opens as a mapping.

    Parameters
    ----------
    folder : mapping of str to object
    name : str
        For messages.
    """
    flat, own_axis = _content(folder, name)
    axes = _axes(folder, name) or (own_axis,)
    bins = math.prod(len(axis.edges) - 1 for axis in axes)
    if bins != len(flat.values) - 2:
        raise InputError(
            f"spectrum {name!r}: {len(flat.values) - 2} bins of content, {bins} of its axes; "
            "write the file again"
        )
    return _shaped(name, flat, axes, folder)


def read_ensemble(folder: Mapping[str, Any], name: str) -> Spectrum:
    """Read a spectrum with universes from its directory; arguments of :func:`read_spectrum`.

    The older layout is a directory of spectra, ``nom``, ``univ0``, ``univ1``, ...; the newer one
    a histogram of all universes, the nominal first, each with its under- and overflow.
    """
    if "nom" in folder:
        keys = itertools.takewhile(
            lambda key: key in folder, (f"univ{i}" for i in itertools.count())
        )
        universes = [read_spectrum(folder[key], f"{name}/{key}") for key in keys]
        nominal, multiverse = replace(read_spectrum(folder["nom"], f"{name}/nom"), name=name), ""
    else:
        nominal, *universes = _stacked(folder, name)
        multiverse = str(folder.get("multiverse", ""))
    names = _universe_names(multiverse, len(universes), name)
    named = (replace(universe, multiverse=multiverse) for universe in universes)
    return replace(nominal, universes=dict(zip(names, named, strict=True)), multiverse=multiverse)


def _stacked(folder: Mapping[str, Any], name: str) -> Iterator[Spectrum]:
    flat, _ = _content(folder, name)
    axes = _axes(folder, name)
    size = math.prod(len(axis.edges) - 1 for axis in axes) + 2
    number, rest = divmod(len(flat.values), size)
    # Those that were filled have room for two bins more: sbnana, EnsembleSpectrum.cxx.
    if not axes or number < 1 or rest not in (0, 2):
        raise InputError(
            f"spectrum {name!r}: {len(flat.values)} bins are no whole number of universes of "
            f"{size} bins; write the file again"
        )
    for i in range(number):
        part = slice(i * size, (i + 1) * size)
        yield _shaped(name, _Flat(flat.values[part], flat.variances[part]), axes, folder)


def _universe_names(multiverse: str, count: int, name: str) -> list[str]:
    """Names of the universes after the nominal, as CAFAna makes them from the multiverse's name."""
    kind, *parts = multiverse.split(_SEPARATOR)
    names = [f"{i:03d}" for i in range(count)]
    expected = count
    if kind == "gas":
        expected = int(parts[0].removeprefix("nuniv="))
    elif kind == "cross":
        reach = int(parts[0].removeprefix("nsigma="))
        shifts = [n for n in range(-reach, reach + 1) if n]
        names = [f"{systematic}_{n:+d}" for systematic in parts[1:-1] for n in shifts]
        expected = len(names)
    if expected != count:
        raise InputError(
            f"spectrum {name!r}: {count} universes beside the nominal, its multiverse has "
            f"{expected}; write the file again"
        )
    return names


class _Flat(NamedTuple):
    """Content of one histogram, with its under- and overflow."""

    values: Floats
    variances: Floats


class _Axis(NamedTuple):
    edges: Floats
    label: str


def _content(folder: Mapping[str, Any], name: str) -> tuple[_Flat, _Axis]:
    """Content of a directory, and the axis of the histogram itself."""
    histogram, sparse = folder.get("hist"), folder.get("hist_sparse")
    if histogram is not None and len(histogram.axes) == 1:
        values = np.asarray(histogram.values(flow=True), dtype=np.float64)
        squares = np.asarray(histogram.member("fSumw2"), dtype=np.float64)
        axis = histogram.member("fXaxis")
    elif histogram is None and sparse is not None and len(sparse.member("fAxes")) == 1:
        axis = sparse.member("fAxes")[0]
        values, squares = _dense(sparse, int(axis.member("fNbins")) + 2)
    else:
        raise InputError(
            f"spectrum {name!r}: expected a one-dimensional 'hist' or 'hist_sparse'; save it with "
            "Spectrum::SaveTo"
        )
    # ROOT's rule for a histogram without squares of weights.
    variances = squares if squares.size == values.size else np.abs(values)
    bad = ~np.isfinite(values)
    if bad.any():
        raise InputError(
            f"spectrum {name!r}: {bad.sum()} of {bad.size} bins are not finite; find the weight "
            "that is not and fill it again"
        )
    # CAFAnaCore subtracts the squares of a spectrum that is subtracted (Hist.cxx, Add).
    if not (np.isfinite(variances) & (variances >= 0.0)).all():
        raise InputError(
            f"spectrum {name!r}: errors that are not finite; save the spectra that it is a "
            "difference of, or without CAFANA_STAT_ERRS"
        )
    own = _Axis(np.asarray(axis.edges(), dtype=np.float64), str(axis.member("fTitle")))
    return _Flat(values, variances), own


def _dense(sparse: Any, size: int) -> tuple[Floats, Floats]:
    """Content and squares of weights of a one-dimensional ``THnSparse``; no squares as none.

    Its chunks list the filled bins: per bin a number of ``fSingleCoordinateSize`` bytes, the least
    significant first (ROOT, ``THnSparse.cxx``).
    """
    values, squares = np.zeros(size), np.zeros(size)
    weighted = True
    for chunk in sparse.member("fBinContent"):
        width = int(chunk.member("fSingleCoordinateSize"))
        raw = np.asarray(chunk.member("fCoordinates")).astype(np.uint8).reshape(-1, width)
        bins = raw.astype(np.int64) @ (256 ** np.arange(width, dtype=np.int64))
        values[bins] = np.asarray(chunk.member("fContent"))[: len(bins)]
        kept = chunk.member("fSumw2")
        weighted = weighted and kept is not None
        if weighted:
            squares[bins] = np.asarray(kept)[: len(bins)]
    return values, squares if weighted else np.zeros(0)


def _axes(folder: Mapping[str, Any], name: str) -> tuple[_Axis, ...]:
    """All axes; none of a file without binnings."""
    axes: list[_Axis] = []
    while (edges := _edges(folder, f"bins{len(axes)}")) is not None:
        if not (len(edges) > 1 and np.isfinite(edges).all() and (np.diff(edges) > 0.0).all()):
            raise InputError(
                f"spectrum {name!r}: bin edges {edges.tolist()} do not rise; write the file again"
            )
        axes.append(_Axis(edges, str(folder.get(f"label{len(axes)}", ""))))
    if f"label{max(len(axes), 1)}" in folder:
        raise InputError(
            f"spectrum {name!r}: more labels than binnings ({len(axes)}); write the file again"
        )
    return tuple(axes)


def _edges(folder: Mapping[str, Any], bins: str) -> Floats | None:
    stored, simple = folder.get(f"{bins}/edges"), folder.get(f"{bins}/nminmax")
    if stored is not None:
        return np.asarray(stored.member("fElements"), dtype=np.float64)
    if simple is not None:
        # Older binnings of equal width have no list of edges.
        number, low, high = simple.member("fElements")
        return np.linspace(low, high, int(number) + 1)
    return None


def _shaped(name: str, flat: _Flat, axes: tuple[_Axis, ...], folder: Mapping[str, Any]) -> Spectrum:
    """Spectrum with one dimension per axis."""
    shape = tuple(len(axis.edges) - 1 for axis in axes)
    return Spectrum(
        name,
        _with_axes(flat.values, shape),
        _with_axes(flat.variances, shape),
        tuple(axis.edges for axis in axes),
        tuple(axis.label for axis in axes),
        _exposure(folder, "pot"),
        _exposure(folder, "livetime"),
    )


def _with_axes(flat: Floats, shape: tuple[int, ...]) -> Floats:
    full = np.zeros([n + 2 for n in shape])
    full[(slice(1, -1),) * len(shape)] = flat[1:-1].reshape(shape)
    full[(0,) * len(shape)] = flat[0]
    full[(-1,) * len(shape)] = flat[-1]
    return full


def _exposure(folder: Mapping[str, Any], key: str) -> float:
    """Content of the one bin of a histogram; NaN without it."""
    histogram = folder.get(key)
    return math.nan if histogram is None else float(histogram.values()[0])
