"""Detector materials: electrons and nuclei per tonne, from the composition by mass.

Free electrons are counted, all of them: below about a keV in heavy atoms only some take part.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.constants import N_A

GRAM_PER_TONNE = 1e6

# Atomic number and standard atomic weight [g/mol], IUPAC 2021 (abridged).
ATOMS = {
    "H": (1, 1.008),
    "C": (6, 12.011),
    "O": (8, 15.999),
    "Cl": (17, 35.45),
    "Ar": (18, 39.95),
    "Ti": (22, 47.867),
    "Ge": (32, 72.630),
    "I": (53, 126.90),
    "Xe": (54, 131.29),
    "Cs": (55, 132.91),
    "W": (74, 183.84),
}

# Mole fractions of the isotopes of natural elements by mass number, IUPAC 2013 (representative).
ISOTOPES = {
    "H": {1: 0.999885, 2: 0.000115},
    "C": {12: 0.9893, 13: 0.0107},
    "O": {16: 0.99757, 17: 0.00038, 18: 0.00205},
    "Cl": {35: 0.7576, 37: 0.2424},
    "Ar": {36: 0.003336, 38: 0.000629, 40: 0.996035},
    "Ti": {46: 0.0825, 47: 0.0744, 48: 0.7372, 49: 0.0541, 50: 0.0518},
    "Ge": {70: 0.2052, 72: 0.2745, 73: 0.0776, 74: 0.3652, 76: 0.0775},
    "I": {127: 1.0},
    "Xe": {
        124: 0.00095,
        126: 0.00089,
        128: 0.01910,
        129: 0.26401,
        130: 0.04071,
        131: 0.21232,
        132: 0.26909,
        134: 0.10436,
        136: 0.08857,
    },
    "Cs": {133: 1.0},
    "W": {180: 0.0012, 182: 0.2650, 183: 0.1431, 184: 0.3064, 186: 0.2843},
}


def mass_fractions(formula: Mapping[str, float]) -> dict[str, float]:
    """Composition by mass of a chemical formula.

    Parameters
    ----------
    formula : mapping of str to float
        Atoms per molecule by element symbol.

    Returns
    -------
    dict of str to float
        Mass fraction [1] by element symbol; they add up to 1.

    Raises
    ------
    ValueError
        For an element without tabulated weight.

    Examples
    --------
    >>> {element: round(part, 4) for element, part in mass_fractions({"H": 2, "O": 1}).items()}
    {'H': 0.1119, 'O': 0.8881}
    """
    _require_known(formula)
    masses = {element: count * ATOMS[element][1] for element, count in formula.items()}
    return {element: mass / math.fsum(masses.values()) for element, mass in masses.items()}


def _require_known(elements: Mapping[str, float]) -> None:
    unknown = sorted(set(elements) - set(ATOMS))
    if unknown:
        raise ValueError(f"elements {unknown} have no atomic weight here; known: {sorted(ATOMS)}")


# Mass fractions. NOvA: as in the public DarkNews near-detector card; they add up to 0.998. The
# others are pure substances by their formula: dopants and dissolved gases, below a per cent, are
# left out, and so are the coating and glue of plastic scintillator (MINERvA: 5 % of a plane).
COMPOSITION_BY_MASS = {
    "nova": {"C": 0.667, "Cl": 0.161, "H": 0.108, "Ti": 0.032, "O": 0.030},
    "argon": {"Ar": 1.0},
    # Plastic scintillator: polystyrene (C8H8)n, as in MINERvA's tracker (arXiv:1305.5199).
    "polystyrene": mass_fractions({"C": 1, "H": 1}),
    # MiniBooNE (arXiv:0806.4201) and LSND (hep-ex/0104049): CH2.
    "mineral_oil": mass_fractions({"C": 1, "H": 2}),
    # Borexino: 1,2,4-trimethylbenzene, C9H12 (arXiv:0806.2400).
    "pseudocumene": mass_fractions({"C": 9, "H": 12}),
    "water": mass_fractions({"H": 2, "O": 1}),
    "caesium_iodide": mass_fractions({"Cs": 1, "I": 1}),
    "germanium": {"Ge": 1.0},
    "xenon": {"Xe": 1.0},
    "tungsten": {"W": 1.0},
}


def electrons_per_tonne(composition: Mapping[str, float]) -> float:
    """Count the electrons in a tonne of material.

    Parameters
    ----------
    composition : mapping of str to float
        Mass fraction [1] by element symbol; what is missing from a sum of one counts as nothing.

    Returns
    -------
    float
        Electrons per tonne.

    Raises
    ------
    ValueError
        For an element without tabulated weight, and for fractions that are negative or exceed one.

    Examples
    --------
    >>> f"{electrons_per_tonne({'H': 0.1119, 'O': 0.8881}):.3e}"
    '3.343e+29'
    """
    _require_fractions(composition)
    moles = sum(
        fraction * ATOMS[element][0] / ATOMS[element][1]
        for element, fraction in composition.items()
    )
    return moles * GRAM_PER_TONNE * N_A


def nuclei_per_tonne(composition: Mapping[str, float]) -> dict[tuple[int, int], float]:
    """Count the nuclei in a tonne of material, of natural isotopic abundance.

    Parameters
    ----------
    composition : mapping of str to float
        Mass fraction [1] by element symbol; what is missing from a sum of one counts as nothing.

    Returns
    -------
    dict of tuple to float
        Nuclei per tonne by atomic number and mass number (Z, A).

    Raises
    ------
    ValueError
        As in `electrons_per_tonne`.

    Examples
    --------
    >>> f"{nuclei_per_tonne({'Ar': 1.0})[18, 40]:.3e}"
    '1.501e+28'
    """
    _require_fractions(composition)
    return {
        (ATOMS[element][0], A): fraction / ATOMS[element][1] * GRAM_PER_TONNE * N_A * abundance
        for element, fraction in composition.items()
        for A, abundance in ISOTOPES[element].items()
    }


def _require_fractions(composition: Mapping[str, float]) -> None:
    _require_known(composition)
    if min(composition.values(), default=0.0) < 0.0 or sum(composition.values()) > 1.0 + 1e-9:
        raise ValueError(f"mass fractions {dict(composition)} must be >= 0 and add up to at most 1")


ELECTRONS_PER_TONNE = {
    material: electrons_per_tonne(composition)
    for material, composition in COMPOSITION_BY_MASS.items()
}
"""Electrons per tonne by material."""


@dataclass(frozen=True)
class Target:
    """Mass of one material.

    Attributes
    ----------
    material : str
        Key of ``COMPOSITION_BY_MASS``.
    mass : float
        [tonne].

    Raises
    ------
    ValueError
        For an unknown material, and a mass that is not a positive number.

    Examples
    --------
    >>> f"{Target('nova', 193.0).electrons:.4e}"
    '6.3606e+31'
    """

    material: str
    mass: float

    def __post_init__(self) -> None:
        if self.material not in COMPOSITION_BY_MASS:
            known = difflib.get_close_matches(self.material, COMPOSITION_BY_MASS) or sorted(
                COMPOSITION_BY_MASS
            )
            raise ValueError(f"no target material {self.material!r}; closest: {', '.join(known)}")
        if not 0.0 < self.mass < math.inf:
            raise ValueError(f"target mass {self.mass}; expected a positive number [tonne]")

    @property
    def electrons(self) -> float:
        """Number of electrons."""
        return self.mass * ELECTRONS_PER_TONNE[self.material]

    @property
    def nuclei(self) -> dict[tuple[int, int], float]:
        """Number of nuclei by atomic number and mass number (Z, A)."""
        counts = nuclei_per_tonne(COMPOSITION_BY_MASS[self.material])
        return {nucleus: self.mass * count for nucleus, count in counts.items()}
