"""Published experiments as rows of numbers, and their limits recomputed from these numbers.

One TOML file per experiment in this folder; every input states whether it was read in the source,
assumed or not verified. Add an experiment by adding a file.
"""

from .combination import Combined, combine
from .counting import signal_yield
from .recompute import Limit, recompute, recompute_all
from .row_model import row_model
from .rows import (
    BOUNDED,
    EXPERIMENTS,
    Experiment,
    find_experiment,
    load_experiment,
    load_experiments,
    published_limits,
)
from .sensitivity import Sensitivity, sensitivity_scan
from .spectrum import FlavourCurves, flavour_curves
from .world import WorldRow, world_rows

__all__ = [
    "BOUNDED",
    "EXPERIMENTS",
    "Combined",
    "Experiment",
    "FlavourCurves",
    "Limit",
    "Sensitivity",
    "WorldRow",
    "combine",
    "find_experiment",
    "flavour_curves",
    "load_experiment",
    "load_experiments",
    "published_limits",
    "recompute",
    "recompute_all",
    "row_model",
    "sensitivity_scan",
    "signal_yield",
    "world_rows",
]
