"""Which spectrum of a file is which category and variation: the ``spectra`` of a description.

::

    [mc]
    format = "cafana_spectrum"
    files = ["spectra.root"]
    is_mc = true

    [mc.spectra]
    nuone = "nuone/{variation}"
    nc = ["nc_coherent/{variation}", "nc_other/{variation}"]
    magnetic_numu = { path = "nuone_mm/{variation}", minus = "nuone/{variation}", per = 1e-9 }

    [mc.variations]
    calibrationUp = "calibshift"

Keys are truth categories or signal templates (:mod:`processors.hypotheses`); data have one key,
``data``. A list is added up. A path is the directory of a spectrum, with ``*`` for anything but
``/``; ``{variation}`` stands for the name of the variation that a spectrum is, and a path such as
``"*_{variation}.root:nuone"`` looks at the name of the file too. ``minus`` is subtracted, for
spectra that have the property on top of the Standard Model (NOvA's weight is 1 plus the ratio:
thoroho-nova, ``NuMagMomentAna/Vars/NuoneWeights.cxx``). ``per`` is the moment [Bohr magneton],
charge radius squared [cm^2] or charge [e] that a template was made with. ``variations`` gives new
names to those in the file, before :func:`variation_label` makes labels of them.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fileset.catalog import Dataset
from fileset.errors import InputError, closest
from fileset.formats.cafana_spectrum import Spectrum, SpectrumFile

from .categories import CATEGORIES, DATA
from .hypotheses import TEMPLATES, coefficients
from .variations import NOMINAL

NOMINAL_NAMES = (NOMINAL, "nom", "cv")
"""Names of the spectrum without a shift, as CAFAna and its users write them."""

UNIVERSE = "universe"
"""Name of the source of universes that have no other."""

_SIGMAS = re.compile(
    r"(?P<source>.+?)_?(?P<sign>[+-]|plus_?|minus_?)(?P<size>[1-9])(_?sigma)?", re.IGNORECASE
)
_SIDES = re.compile(r"(?P<source>.+?)_?(?P<side>up|down|dn)", re.IGNORECASE)
_NUMBERS = re.compile(r"(?P<source>.*?)_?(?P<number>\d+)")
_VARIATION = "{variation}"


def variation_label(name: str) -> str:
    """Bin of the variation axis for the name of a shifted spectrum.

    Parameters
    ----------
    name : str
        ``calib_+1`` (PredictionInterp), ``calib_minus1sigma``, ``lightdown``, ``ppfx_univ_7``, ...

    Returns
    -------
    str
        ``<source>Up`` or ``<source>Down`` for a side, ``<source>_2sigmaUp`` for more than one
        standard deviation, ``<source>_007`` for a universe; for everything else, such as an
        alternative model, the ``Up`` of a source of its own.

    Examples
    --------
    >>> [variation_label(n) for n in ("nom", "calib_+1", "calib_-2", "lightdown", "ppfx_univ_7")]
    ['nominal', 'calibUp', 'calib_2sigmaDown', 'lightDown', 'ppfx_univ_007']
    """
    if name in NOMINAL_NAMES:
        return NOMINAL
    if match := _SIGMAS.fullmatch(name):
        reach = "" if match["size"] == "1" else f"_{match['size']}sigma"
        side = "Up" if match["sign"].lower().startswith(("+", "plus")) else "Down"
        return f"{match['source']}{reach}{side}"
    if match := _SIDES.fullmatch(name):
        return match["source"] + ("Up" if match["side"].lower() == "up" else "Down")
    if match := _NUMBERS.fullmatch(name):
        return f"{match['source'] or UNIVERSE}_{int(match['number']):03d}"
    return f"{name}Up"


class Recipe(NamedTuple):
    """One key of ``spectra``.

    Attributes
    ----------
    paths, minus : tuple of str
        Patterns of what is added and of what is subtracted.
    coefficient : float
        Coefficient of the template that the difference was made with; 1 for a category.
    """

    paths: tuple[str, ...]
    minus: tuple[str, ...]
    coefficient: float


class Located(NamedTuple):
    """A spectrum and the file that it was read from."""

    file: SpectrumFile
    spectrum: Spectrum

    def __str__(self) -> str:
        return f"{self.file.path}:{self.spectrum.name}"


def recipes(dataset: Dataset) -> dict[str, Recipe]:
    """Keys and values of ``spectra``, checked.

    Raises
    ------
    InputError
        If a key is unknown or a value is not what it should be.
    """
    where = f"dataset {dataset.name!r}"
    if dataset.is_mc is None:
        raise InputError(f"{where}: set is_mc, spectra do not say whether they are simulation")
    if not dataset.spectra:
        raise InputError(
            f"{where}: missing key 'spectra', a table such as "
            f'{"nuone" if dataset.is_mc else DATA} = "directory"; the verb files lists directories'
        )
    names = list(dataset.variations.values())
    for new, old in dataset.variations.items():
        if not isinstance(old, str) or names.count(old) > 1:
            raise InputError(f"{where}: variations.{new} = {old!r}, expected a name, each once")
    allowed = (*CATEGORIES, *TEMPLATES) if dataset.is_mc else (DATA,)
    for key in dataset.spectra:
        if key not in allowed:
            raise InputError(f"{where}: spectra has no key {key!r}; {closest(key, allowed)}")
    return {key: _recipe(key, v, f"{where}: spectra.{key}") for key, v in dataset.spectra.items()}


def _recipe(key: str, value: Any, where: str) -> Recipe:
    entry = value if isinstance(value, Mapping) else {"path": value}
    unknown = sorted(set(entry) - {"path", "minus", "per"})
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known: path, minus, per")
    paths, minus = (_patterns(entry.get(k, ()), where) for k in ("path", "minus"))
    if not paths:
        raise InputError(f"{where}: missing 'path', the directory of a spectrum")
    if key in TEMPLATES:
        return Recipe(paths, minus, _coefficient(key, entry.get("per"), where))
    if "per" in entry or minus:
        raise InputError(f"{where}: 'per' and 'minus' are for signal templates; leave them out")
    return Recipe(paths, (), 1.0)


def _patterns(value: Any, where: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(v, str) and v for v in listed):
        raise InputError(f"{where} = {value!r}, expected the directory of a spectrum or several")
    return tuple(listed)


def _coefficient(template: str, per: Any, where: str) -> float:
    """Coefficient of a template for one value of its property."""
    number = isinstance(per, int | float) and not isinstance(per, bool) and math.isfinite(per)
    if not number or per == 0:
        raise InputError(
            f"{where}: per = {per!r}, expected the value that the template was made with, such as "
            "1e-9 for a moment of 1e-9 Bohr magnetons"
        )
    flavour = {template.rpartition("_")[2]: float(per)}
    found = (
        coefficients(mu_nu=flavour)
        | coefficients(charge_radius2=flavour)
        | coefficients(millicharge=flavour)
    )
    return found[template]


def find(pattern: str, files: Sequence[SpectrumFile], dataset: Dataset) -> dict[str, Located]:
    """Spectra that match a path, by the label of their variation.

    Parameters
    ----------
    pattern : str
        Of a :class:`Recipe`.
    files : sequence of SpectrumFile
        Of the dataset.
    dataset : Dataset

    Returns
    -------
    dict of str to Located
        With the nominal; universes of ensembles have a label each.

    Raises
    ------
    InputError
        If there is none, no nominal, or two for one label.
    """
    where = f"dataset {dataset.name!r}"
    expression = _expression(pattern)
    found: dict[str, Located] = {}
    ensembles: list[Located] = []
    for file in files:
        for name in file.kinds:
            text = f"{file.path.rpartition('/')[2]}:{name}" if ":" in pattern else name
            if (match := expression.fullmatch(text)) is None:
                continue
            located = Located(file, file.read(name))
            variation = match.groupdict().get("variation", NOMINAL)
            for label, spectrum in _labelled(located.spectrum, variation, dataset.variations):
                if label in found:
                    raise InputError(
                        f"{where}: {pattern!r} gives {label!r} twice, {found[label]} and {located};"
                        f" narrow it down or tell them apart with {_VARIATION}"
                    )
                found[label] = Located(file, spectrum)
            ensembles += [located] if located.spectrum.universes else []
    if NOMINAL not in found:
        raise InputError(f"{where}: {_not_found(pattern, list(found), files)}")
    for ensemble in ensembles:
        _check_nominal(ensemble, found[NOMINAL], where)
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    """Regular expression of a path with ``*`` and ``{variation}``."""
    placeholder = re.escape(_VARIATION)
    text = re.escape(pattern).replace(r"\*", "[^/:]*")
    text = text.replace(placeholder, "(?P<variation>[^/:]+)", 1)
    # Wherever else it stands, the same.
    return re.compile(text.replace(placeholder, "(?P=variation)"))


def _labelled(
    spectrum: Spectrum, variation: str, variations: Mapping[str, str]
) -> Iterator[tuple[str, Spectrum]]:
    """A spectrum and its universes with their labels."""
    new_names = {old: new for new, old in variations.items()}
    own = variation_label(new_names.get(variation, variation))
    source = spectrum.source or UNIVERSE if own == NOMINAL else variation
    if own == NOMINAL or not spectrum.universes:
        yield own, spectrum
    for name, universe in spectrum.universes.items():
        full = f"{new_names.get(source, source)}_{name}" if name.isdigit() else name
        yield variation_label(new_names.get(full, full)), universe


def _not_found(pattern: str, found: list[str], files: Sequence[SpectrumFile]) -> str:
    if found:
        return (
            f"{pattern!r} gives {', '.join(found[:5])} and no nominal; name it, variations = "
            f'{{ nominal = "..." }}'
        )
    known = sorted({name for file in files for name in file.kinds})
    return f"no spectrum matches {pattern!r}; {closest(pattern, known)}"


def _check_nominal(ensemble: Located, nominal: Located, where: str) -> None:
    """Refuse universes around another nominal: the difference would be taken for an uncertainty."""
    one, other = (_per_exposure(located.spectrum) for located in (ensemble, nominal))
    if one.shape != other.shape or abs(one - other).max() > 1e-6 * abs(other).max():
        raise InputError(
            f"{where}: the nominal of the ensemble {ensemble} is not {nominal}; make both with the "
            "same cuts, weights and files"
        )


def _per_exposure(spectrum: Spectrum) -> NDArray[np.float64]:
    return spectrum.values / (spectrum.pot if spectrum.pot > 0.0 else 1.0)
