"""A hypothesis as coefficients of templates gives the same rate as its own cross-section."""

import numpy as np
import pytest
from hist import Hist
from hypothesis import given
from hypothesis import strategies as st

from fileset.errors import InputError
from fileset.exposure import Ledger, LedgerRow
from processors import kernels
from processors.categories import AXIS
from processors.histograms import HISTOGRAMS, empty
from processors.hypotheses import TEMPLATES, Truth, coefficients, ratios
from processors.templates import Templates

SIN2 = 0.2313
FLAVOUR = {12: "nue", -12: "nue", 14: "numu", -14: "numu", 16: "nutau", -16: "nutau"}


def truth(pdg: int, neutrino: float = 2.0, fraction: float = 0.3) -> Truth:
    energy = np.array([neutrino])
    return Truth(fraction * kernels.max_recoil_energy(energy), energy, np.array([pdg]), SIN2)


def rate(event: Truth, **hypothesis: float) -> float:
    """Cross-section of a hypothesis over the SM, from the templates."""
    flavour = FLAVOUR[int(event.pdg[0])]
    return 1.0 + sum(
        value * ratios(event)[label.removesuffix(f"_{flavour}")][0]
        for label, value in coefficients(**hypothesis).items()
        if label.endswith(f"_{flavour}")
    )


@pytest.mark.parametrize("pdg", FLAVOUR)
@given(neutrino=st.floats(1e-3, 100.0), fraction=st.floats(0.01, 0.99), scale=st.floats(-3.0, 3.0))
def test_charge_radius_templates_sum_to_its_cross_section(
    pdg: int, neutrino: float, fraction: float, scale: float
) -> None:
    event = truth(pdg, neutrino, fraction)
    radius = scale * 1e-32
    direct = kernels.charge_radius_dsigma_dT(*event, radius) / kernels.sm_dsigma_dT(*event)
    assert rate(event, charge_radius2=radius) == pytest.approx(direct[0], rel=1e-9, abs=0.0)


@pytest.mark.parametrize("pdg", FLAVOUR)
@given(neutrino=st.floats(1e-3, 100.0), fraction=st.floats(0.01, 0.99), scale=st.floats(-3.0, 3.0))
def test_millicharge_templates_sum_to_its_cross_section(
    pdg: int, neutrino: float, fraction: float, scale: float
) -> None:
    event = truth(pdg, neutrino, fraction)
    charge = scale * 1e-8 * float(event.recoil[0])
    direct = kernels.millicharge_dsigma_dT(*event, charge) / kernels.sm_dsigma_dT(*event)
    assert rate(event, millicharge=charge) == pytest.approx(direct[0], rel=1e-9, abs=0.0)


@pytest.mark.parametrize("pdg", FLAVOUR)
def test_magnetic_template_is_the_ratio_of_the_cross_sections(pdg: int) -> None:
    event = truth(pdg)
    magnetic = kernels.magnetic_dsigma_dT(event.recoil, event.neutrino, 3e-10)
    expected = 1.0 + magnetic / kernels.sm_dsigma_dT(*event)
    assert rate(event, mu_nu=3e-10) == pytest.approx(expected[0], rel=1e-12, abs=0.0)


def test_a_moment_of_one_flavour_has_the_templates_of_that_flavour_only() -> None:
    assert coefficients(mu_nu={"numu": 2e-9}) == {"magnetic_numu": 4e-18}
    assert set(coefficients(mu_nu=1e-9)) == {f"magnetic_{f}" for f in ("nue", "numu", "nutau")}
    assert set(coefficients(charge_radius2=1e-32)) <= set(TEMPLATES)


def test_a_charge_radius_enters_linearly_and_quadratically() -> None:
    assert coefficients(charge_radius2={"nue": -2e-32}) == {
        "charge_radius_nue": -2e-32,
        "charge_radius_squared_nue": pytest.approx(4e-64, rel=1e-12, abs=0.0),
    }


def test_interference_without_a_template_is_refused() -> None:
    with pytest.raises(ValueError, match="charge radius and millicharge of nue at once"):
        coefficients(charge_radius2=1e-32, millicharge={"nue": 1e-12})
    with pytest.raises(ValueError, match="no flavour 'muon'"):
        coefficients(mu_nu={"muon": 1e-9})


@pytest.fixture
def templates() -> Templates:
    """100 SM signal events, 50 per unit of one template; half the exposure of the tests."""
    histogram: Hist = empty(HISTOGRAMS["spectrum"], ["nominal"], (*AXIS, "magnetic_numu"))
    histogram.view()["value"][AXIS.index("nuone"), 0, 3, 4] = 100.0
    histogram.view()["value"][len(AXIS), 0, 3, 4] = 50.0
    dataset = Hist(*_with_dataset(histogram), storage=histogram.storage_type())
    dataset.view(flow=True)[0, : len(AXIS) + 1] = histogram.view(flow=True)
    row = LedgerRow("mc", "a.root", "a", 0, 1, 1e20)
    return Templates({"spectrum": dataset}, Ledger((row,)), {"mc": {"is_mc": True}}, {})


def _with_dataset(histogram: Hist) -> list[object]:
    from hist.axis import StrCategory

    category = StrCategory(list(histogram.axes[0]), name="category")
    return [StrCategory(["mc"], name="dataset"), category, *list(histogram.axes)[1:]]


def test_signal_is_coefficient_times_template_at_the_exposure(templates: Templates) -> None:
    signal = templates.signal(2e20, {"magnetic_numu": 0.1})
    assert signal.axes.name == ("variation", "recoil_energy", "ttheta2")
    assert signal.sum(flow=True).value == pytest.approx(10.0)
    assert templates.prediction(2e20).sum(flow=True).value == pytest.approx(200.0)


def test_flavour_without_events_adds_nothing_and_an_unknown_template_is_refused(
    templates: Templates,
) -> None:
    assert templates.signal(2e20, {"magnetic_nutau": 1.0}).sum(flow=True).value == 0.0
    with pytest.raises(InputError, match="no signal template 'magnetic_muon'; closest: magnetic_"):
        templates.signal(2e20, {"magnetic_muon": 1.0})
