"""What a counting experiment could see: limits against exposure, threshold and uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from .counting import expected_count
from .inputs import INPUTS
from .rows import Experiment

VARIED = ("exposure", "threshold", "background")
"""What a scan goes through: ``threshold`` is the lower end of the window in recoil energy [GeV],
``background`` that which is no neutrino-electron scattering over that which is [1]."""


@dataclass(frozen=True)
class Sensitivity:
    """Expected limit of one configuration.

    Attributes
    ----------
    varied : str
        One of `VARIED`.
    value : float
        Its value: protons on target, [GeV] or [1].
    background_syst : float
        Uncertainty of all that is expected without a moment [relative].
    expected_events : int
        Events seen if there is no moment.
    mu_nu : float
        Median upper limit [Bohr magneton].
    confidence_level : float
        Level of ``mu_nu``.
    convention : str
        The method in words.
    """

    varied: str
    value: float
    background_syst: float
    expected_events: int
    mu_nu: float
    confidence_level: float
    convention: str


def sensitivity_scan(
    experiment: Experiment,
    varied: str,
    values: Sequence[float],
    systematics: Sequence[float],
    *,
    cl: float = 0.90,
    method: str = "cls",
) -> list[Sensitivity]:
    """Expected limits for all values of one input and all uncertainties.

    Parameters
    ----------
    experiment : Experiment
        Row of the method ``expected_count``; its other inputs stay.
    varied : str
        One of `VARIED`.
    values : sequence of float
        Exposures [POT], thresholds [GeV] or backgrounds [1].
    systematics : sequence of float
        Uncertainties of all that is expected without a moment [relative].
    cl : float
        Confidence level.
    method : str
        One of `analysis.limit.METHODS`.

    Returns
    -------
    list of Sensitivity
        By uncertainty, then by value.

    Raises
    ------
    ValueError
        For a row of another method, an unknown input and values out of range.

    Notes
    -----
    The efficiency stays as it is below the threshold of the row: a lower threshold is optimistic.
    """
    if experiment.method != "expected_count":
        raise ValueError(
            f"{experiment.name} is no sensitivity of a count; its likelihood is {experiment.method}"
        )
    if varied not in VARIED:
        raise ValueError(f"varied = {varied!r}; expected one of {', '.join(VARIED)}")
    return [
        _expected(experiment, varied, value, syst, cl, method)
        for syst, value in product(systematics, values)
    ]


def _expected(
    experiment: Experiment, varied: str, value: float, syst: float, cl: float, method: str
) -> Sensitivity:
    high = experiment.inputs["recoil_energy"][1]
    by_name: dict[str, tuple[str, object]] = {
        "exposure": ("exposure", value),
        "threshold": ("recoil_energy", [value, high]),
        "background": ("background_ratio", value),
    }
    changed = dict([("background_syst", syst), by_name[varied]])
    checks = INPUTS["expected_count"]
    inputs = {key: checks[key](f"{experiment.name}: {key}", v) for key, v in changed.items()}
    row = replace(experiment, inputs={**experiment.inputs, **inputs})
    outcome = expected_count(row, cl, method)
    return Sensitivity(
        varied=varied,
        value=value,
        background_syst=syst,
        expected_events=outcome.n_obs or 0,
        mu_nu=outcome.observed,
        confidence_level=cl,
        convention=outcome.convention,
    )
