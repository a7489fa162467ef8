"""Whether two contestants found the same in every bin."""

from pathlib import Path

import numpy as np

from .job import CATEGORIES, Job

TOLERANCE = 1e-9
"""Relative, per bin; float64 sums in another order differ by 1e-12 or so."""


def deviation(job: Job, one: Path, other: Path) -> float:
    """Largest relative difference of any sum of weights or of squares; 0 where both are 0."""
    n = 2 * int(np.prod(job.shape))
    first, second = (np.memmap(path, np.float64, "r", shape=(n,)) for path in (one, other))
    largest = 0.0
    for start in range(0, n, 1 << 20):
        a, b = first[start : start + (1 << 20)], second[start : start + (1 << 20)]
        scale = np.maximum(np.abs(a), np.abs(b))
        different = np.abs(a - b) / np.where(scale > 0.0, scale, 1.0)
        # Not max(): NaN must not pass.
        largest = max(largest, float(np.nan_to_num(different, nan=np.inf).max()))
    return largest


def where(job: Job, one: Path, other: Path) -> str:
    """The first bin in which two contestants differ, for the message."""
    first, second = (np.fromfile(path).reshape(2, *job.shape) for path in (one, other))
    bad = np.argwhere(~np.isclose(first, second, rtol=TOLERANCE, atol=0.0, equal_nan=False))
    part, variation, category, *bins = bad[0]
    at = tuple(bad[0])
    return (
        f"{len(bad)} bins differ, the first: {('values', 'squares')[part]} of "
        f"{job.labels[variation]}, {CATEGORIES[category]}, bin {tuple(map(int, bins))}: "
        f"{first[at]:.12g} and {second[at]:.12g}"
    )
