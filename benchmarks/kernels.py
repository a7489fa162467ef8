"""Time per event of the kernels, and time to import them: ``python benchmarks/kernels.py``.

Rounds rotate through the kernels, so that a drift of the machine hits all of them alike.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from processors import kernels
from processors.kernels import constants, radiative

FLAVOURS = np.array([12, -12, 14, -14])
REWEIGHTING = ("radiative ratio, sarantakos", "magnetic over SM", "charge radius")


def cases(events: int) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(1)
    beam = rng.uniform(0.5, 10.0, events)
    sun = rng.uniform(1e-3, 0.02, events)
    fraction = rng.uniform(0.05, 0.99, events)
    recoil = fraction * kernels.max_recoil_energy(beam)
    slow = fraction * kernels.max_recoil_energy(sun)
    pdg = rng.choice(FLAVOURS, events).astype(float)
    s2w = constants.SIN2_THETA_W
    nuclear = fraction * kernels.max_nuclear_recoil(sun, 54, 77)
    return {
        REWEIGHTING[0]: lambda: radiative.sarantakos_ratio(recoil, beam, pdg, s2w),
        REWEIGHTING[1]: lambda: kernels.magnetic_over_sm(recoil, beam, pdg, s2w),
        REWEIGHTING[2]: lambda: kernels.charge_radius_dsigma_dT(recoil, beam, pdg, s2w, 1e-32),
        "SM": lambda: kernels.sm_dsigma_dT(recoil, beam, pdg, s2w),
        "millicharge": lambda: kernels.millicharge_dsigma_dT(recoil, beam, pdg, s2w, 1e-12),
        "radiative ratio, bks": lambda: radiative.bks_ratio(slow, sun, pdg, s2w),
        "dipole portal": lambda: kernels.dipole_upscatter_dsigma_dT(
            recoil, beam, 0.01, 1e-9, constants.M_E, 1
        ),
        "coherent": lambda: kernels.cevns_dsigma_dT(nuclear, sun, 54, 77, s2w),
        "xenon electrons": lambda: kernels.released_electrons(slow, 54),
    }


def nanoseconds_per_event(events: int, rounds: int) -> dict[str, float]:
    calls = cases(events)
    timings: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            timings[name].append(time.process_time() - start)
    return {name: 1e9 * median(values) / events for name, values in timings.items()}


def import_seconds(statement: str, rounds: int) -> float:
    root = Path(__file__).resolve().parents[1]
    timings = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True, cwd=root)
        timings.append(time.perf_counter() - start)
    return median(timings)


# Loads the kernels without the packages that ``processors/__init__.py`` imports.
KERNELS_ALONE = (
    "import sys, types; package = types.ModuleType('processors'); "
    "package.__path__ = ['processors']; sys.modules['processors'] = package; "
    "import processors.kernels as kernels; "
)
FIRST_USE = (
    "from processors.kernels import radiative; "
    "radiative.sarantakos_ratio(0.5, 2.0, 14, 0.23); "
    "kernels.magnetic_over_sm(0.5, 2.0, 14, 0.23); "
    "kernels.charge_radius_dsigma_dT(0.5, 2.0, 14, 0.23, 1e-32)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--imports", type=int, default=3, help="processes per import")
    arguments = parser.parse_args()
    timings = nanoseconds_per_event(arguments.events, arguments.rounds)
    for name, value in timings.items():
        print(f"{name:30s} {value:6.1f} ns per event")
    total = sum(timings[name] for name in REWEIGHTING)
    print(f"{'reweighting, first three':30s} {total:6.1f} ns per event")
    for label, statement in {
        "import processors.kernels": "import processors.kernels",
        "the kernels alone": KERNELS_ALONE,
        "the first three, first call": KERNELS_ALONE + FIRST_USE,
        "import numba alone": "import numba",
    }.items():
        print(f"{label:30s} {import_seconds(statement, arguments.imports):6.2f} s, warm cache")


if __name__ == "__main__":
    main()
