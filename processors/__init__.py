"""Events to histograms: columns, selections, weights, variations and the processor itself."""

from .nuone import NuoneProcessor
from .selections import SELECTION, SELECTIONS
from .variations import VARIATIONS, normalisation, variation

__all__ = [
    "SELECTION",
    "SELECTIONS",
    "VARIATIONS",
    "NuoneProcessor",
    "normalisation",
    "variation",
]
