"""Figures of results: every function takes one and returns a matplotlib ``Figure``.

Nothing here knows physics: yields are scaled, summed and divided, not computed. The only package
that imports matplotlib.
"""

from matplotlib.figure import Figure

from .bounds import METHODS, limits, sidedness
from .cuts import cut_flow
from .sources import correlation, impacts
from .spectra import magnetic_weight, stacked
from .style import COLOURS, canvas, exposure_label, image, readable, scientific, source_name, styled

__all__ = [
    "COLOURS",
    "METHODS",
    "Figure",
    "canvas",
    "correlation",
    "cut_flow",
    "exposure_label",
    "image",
    "impacts",
    "limits",
    "magnetic_weight",
    "readable",
    "scientific",
    "sidedness",
    "source_name",
    "stacked",
    "styled",
]
