"""Published experiments as rows of numbers, and their limits recomputed from these numbers.

One TOML file per experiment in this folder; every input states whether it was read in the source,
assumed or not verified. Add an experiment by adding a file.
"""

from .recompute import Limit, recompute, recompute_all, signal_yield
from .rows import EXPERIMENTS, Experiment, find_experiment, load_experiments

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "Limit",
    "find_experiment",
    "load_experiments",
    "recompute",
    "recompute_all",
    "signal_yield",
]
