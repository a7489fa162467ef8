"""Simulated near-detector events, written in the layouts of the NOvA and DUNE analysis files.

A toy for tests, demonstrations and closure: neutrino-electron elastic scattering from the published
flux with exact kinematics, plus plausible backgrounds. Do not take background levels, efficiencies
or resolutions from it. The modules state which numbers are assumptions.

Independence: nothing here uses the cross-sections of the event weights, so a sample generated with
a magnetic moment is a test of a reweighted one.
"""

from .background import CATEGORIES
from .sample import SAMPLES, SimulationConfig, expected_slices, simulate
from .signal import SIN2_THETA_W, T_MIN_GENERATED
from .writer import CONTAINERS, LAYOUTS

__all__ = [
    "CATEGORIES",
    "CONTAINERS",
    "LAYOUTS",
    "SAMPLES",
    "SIN2_THETA_W",
    "T_MIN_GENERATED",
    "SimulationConfig",
    "expected_slices",
    "simulate",
]
