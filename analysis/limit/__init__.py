"""Limits: from counts and templates to numbers with a stated convention."""

from .combination import combine
from .count_expectation import ExpectedLimits, expected_limits, mean_upper_limit
from .counting import METHODS, CountLimit, count_limit
from .limit_model import LimitModel
from .model import Channel, Parameter, Sample

__all__ = [
    "METHODS",
    "Channel",
    "CountLimit",
    "ExpectedLimits",
    "LimitModel",
    "Parameter",
    "Sample",
    "combine",
    "count_limit",
    "expected_limits",
    "mean_upper_limit",
]
