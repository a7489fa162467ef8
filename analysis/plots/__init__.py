"""Figures of results: every function takes one and returns a matplotlib ``Figure``.

Nothing here knows physics: yields are scaled, summed and divided, not computed. The only package
that imports matplotlib.
"""

from matplotlib.figure import Figure

from .bounds import FIT, METHODS, limits, method_name, sidedness
from .cuts import cut_flow, n_minus_one
from .inline import inline
from .sources import correlation, impacts, pulls
from .spectra import magnetic_weight, stacked
from .style import COLOURS, canvas, exposure_label, image, readable, scientific, source_name, styled

__all__ = [
    "COLOURS",
    "FIT",
    "METHODS",
    "Figure",
    "canvas",
    "correlation",
    "cut_flow",
    "exposure_label",
    "image",
    "impacts",
    "inline",
    "limits",
    "magnetic_weight",
    "method_name",
    "n_minus_one",
    "pulls",
    "readable",
    "scientific",
    "sidedness",
    "source_name",
    "stacked",
    "styled",
]
