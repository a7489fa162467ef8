"""Electrons per tonne of detector material, from its composition by mass."""

from collections.abc import Mapping

from scipy.constants import N_A

GRAM_PER_TONNE = 1e6

# Atomic number and standard atomic weight [g/mol], IUPAC 2021 (abridged).
ATOMS = {
    "H": (1, 1.008),
    "C": (6, 12.011),
    "O": (8, 15.999),
    "Cl": (17, 35.45),
    "Ti": (22, 47.867),
}

# Mass fractions. NOvA: as in the public DarkNews near-detector card; they add up to 0.998.
COMPOSITION_BY_MASS = {
    "nova": {"C": 0.667, "Cl": 0.161, "H": 0.108, "Ti": 0.032, "O": 0.030},
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
    unknown = sorted(set(composition) - set(ATOMS))
    if unknown:
        raise ValueError(f"elements {unknown} have no atomic weight here; known: {sorted(ATOMS)}")
    if min(composition.values(), default=0.0) < 0.0 or sum(composition.values()) > 1.0 + 1e-9:
        raise ValueError(f"mass fractions {dict(composition)} must be >= 0 and add up to at most 1")
    moles = sum(
        fraction * ATOMS[element][0] / ATOMS[element][1]
        for element, fraction in composition.items()
    )
    return moles * GRAM_PER_TONNE * N_A


ELECTRONS_PER_TONNE = {
    detector: electrons_per_tonne(composition)
    for detector, composition in COMPOSITION_BY_MASS.items()
}
"""Electrons per tonne by detector."""
