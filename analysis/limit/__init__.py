"""Limits: from counts and templates to numbers with a stated convention."""

from .count_expectation import ExpectedLimits, expected_limits, mean_upper_limit
from .counting import METHODS, CountLimit, count_limit

__all__ = [
    "METHODS",
    "CountLimit",
    "ExpectedLimits",
    "count_limit",
    "expected_limits",
    "mean_upper_limit",
]
