"""Pulls of the nuisance parameters and their impacts on s, from the curvature at the best fit."""

from typing import NamedTuple

import numpy as np

from .fit import Fitter
from .likelihood import curvature
from .model import BinnedModel
from .newton import second_derivatives


class ParameterImpact(NamedTuple):
    """What a fit says of one nuisance parameter.

    Attributes
    ----------
    name : str
    pull, error : float
        Best value and standard deviation after the fit; a constrained one starts from 0 and 1.
    impact : float
        Change of the best s with the parameter one such standard deviation higher, everything else
        fitted again; linear, and as if there were no bound at s = 0 [(mu / unit)^2].
    """

    name: str
    pull: float
    error: float
    impact: float


def impacts(model: BinnedModel) -> tuple[ParameterImpact, ...]:
    """Pulls and impacts of all nuisance parameters, the largest impact first.

    Parameters
    ----------
    model : BinnedModel
        With data.

    Returns
    -------
    tuple of ParameterImpact
    """
    fit = Fitter.of(model)
    hessian = second_derivatives(fit.model, fit.data, fit.best)
    if not np.linalg.eigvalsh(hessian).min() > 0.0:
        hessian = curvature(fit.model, fit.data.n[0], fit.best)
    covariance = np.linalg.inv(hessian)
    errors = np.sqrt(np.diag(covariance))
    found = [
        ParameterImpact(
            parameter.name,
            float(fit.best[j]),
            float(errors[j]),
            float(covariance[0, j] / errors[j]),
        )
        for j, parameter in enumerate(model.parameters, start=1)
    ]
    return tuple(sorted(found, key=lambda one: -abs(one.impact)))
