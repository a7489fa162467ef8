"""Every open vector of statistics is computed by this package: one that is not known fails."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from analysis.covariance import Layout, Shifts, Source, total_covariance
from analysis.limit import LimitModel, count_limit, mean_upper_limit
from analysis.limit.classics import (
    asimov_significance,
    chi_squares,
    garwood,
    gaussian_interval,
    li_ma,
    two_parameter_threshold,
    z_bi,
)
from analysis.limit.count_likelihood import conditional_background, profile_threshold
from analysis.limit.fit import Fitter, crossing
from analysis.limit.likelihood import best_factors
from analysis.limit.template_count import TemplateCount

from .limit_models import counting

FILE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "statistics_vectors.json"
VECTORS = json.loads(FILE.read_text())["vectors"] if FILE.is_file() else []


def ends(i, method, cl=None):
    limit = count_limit(
        i["n"], i.get("b", 0.0), i.get("sigma_b", 0.0), cl=cl or i["cl"], method=method
    )
    return [limit.lower, limit.upper]


def upper(method):
    return lambda i: ends(i, method)[1]


def profile_upper(i):
    """By the model, not by the closed form of a count."""
    relative = i["sigma_b"] / i["b"] if "sigma_b" in i else None
    return crossed(counting(i["n"], i["b"] or 1e-12, 1.0, relative=relative), i["up"])


def crossed(model, threshold):
    fit = Fitter.of(model)
    return crossing(lambda s: fit.statistic(s) - threshold, fit.best[0], fit.reach(threshold))


def threshold(i):
    if i.get("ndof") == 2:
        return two_parameter_threshold(i["cl"])
    return profile_threshold(i["cl"], sides=2 if "ndof" in i else 1)


def combination(i):
    rows = zip(i["n"], i["b"], i["yield_per_unit_s"], i["rel"], strict=True)
    parts = [
        LimitModel.counted(
            str(c), observed=n, background=b, signal=k, uncertainty=rel, parameter="flux"
        )
        for c, (n, b, k, rel) in enumerate(rows)
    ]
    s = crossed(LimitModel.combine(parts), i["up"])
    return [s, math.sqrt(s)]


def discovered(i):
    found = counting(i["n"], i["b"], 1.0).discovery(toys=0)
    return [found.statistic, math.sqrt(found.statistic), found.p_value]


def barlow_beeston(i):
    model = counting(i["n"], i["mu"], 1.0)
    variance = np.array([[(i["rel"] * i["mu"]) ** 2], [0.0]])
    fit = Fitter.of(
        LimitModel(**{**vars(model), "mc_variance": variance, "observed": model.observed})
    )
    return best_factors(fit.model, fit.data, fit.at(np.zeros(1)))[0, 0]


def workspace(data, signal, background, modifier):
    poi = {"name": "mu", "type": "normfactor", "data": None}
    samples = [
        {"name": "signal", "data": signal, "modifiers": [poi]},
        {"name": "background", "data": background, "modifiers": [modifier]},
    ]
    config = {"poi": "mu", "parameters": [{"name": "mu", "inits": [1.0], "bounds": [[0.0, 10.0]]}]}
    content = {
        "version": "1.0.0",
        "channels": [{"name": "one", "samples": samples}],
        "observations": [{"name": "one", "data": data}],
        "measurements": [{"name": "m", "config": config}],
    }
    return LimitModel.from_workspace(content, unit=1e-9)


def poisson_factor(i):
    modifier = {"name": "u", "type": "shapesys", "data": [i["rel"] * i["mu"]]}
    fit = Fitter.of(workspace([i["n"]], [1.0], [i["mu"]], modifier))
    return 1.0 + fit.at(np.zeros(1))[0, 1]


def limits_of_workspace(i):
    if "unc" in i:
        modifier = {"name": "u", "type": "shapesys", "data": i["unc"]}
    elif "up" in i:
        sides = {"hi_data": i["up"], "lo_data": i["dn"]}
        modifier = {"name": "u", "type": "histosys", "data": sides}
    else:
        high, low = i["b"] * (1.0 + i["rel"]), i["b"] * (1.0 - i["rel"])
        sides = {"hi_data": [high], "lo_data": [low]}
        modifier = {"name": "u", "type": "histosys", "data": sides}
        i = {"obs": [i["n"]], "signal": [1.0], "bkg": [i["b"]], "cl": i["cl"]}
    model = workspace(i["obs"], i["signal"], i["bkg"], modifier)
    found = model.limit("cls_asymptotic", cl=i["cl"])
    return [found.upper, *found.expected]


def statistic_of_workspace(i, kind):
    sides = {"hi": 1.0 + i["rel"], "lo": 1.0 - i["rel"]}
    if kind == "histosys":
        sides = {f"{side}_data": [i["b"] * value] for side, value in sides.items()}
    modifier = {"name": "u", "type": kind, "data": sides}
    fit = Fitter.of(workspace([i["n"]], [1.0], [i["b"]], modifier))
    return fit.statistic(np.array([i["s"]]))[0]


def multiverse(i):
    central = np.array(i["cv"])
    source = Source("flux", "universes", np.array(i["universes"]) - central)
    layout = Layout({"nc": {"nc": 1.0}}, {"x": np.arange(4.0)}, {"x": "x"})
    shifts = Shifts(layout, central, np.zeros(3), {"flux": source}, 1e20)
    difference = np.array(i["data"]) - central
    matrix = total_covariance(shifts) + np.diag(central)
    return difference @ np.linalg.solve(matrix, difference)


def xenon_limits(i, signal):
    model = LimitModel.counted(
        "xenonnt", observed=i["n"], background=i["b"], signal=signal, uncertainty=i["sigma_b_rel"]
    )
    return [10.0 * math.sqrt(crossed(model, up)) for up in (1.642374, 2.705543, 6.634897)]


def xenon_flavours(i):
    all_of, electron = np.array(i["s_eff_at_1e11"]), np.array(i["s_e_at_1e11"])
    other = all_of - electron
    signals = {
        "eff": all_of,
        "e": electron,
        "mu (s23^2=.57)": 0.43 * other,
        "tau": 0.57 * other,
        "mu (s23^2=.5)": 0.5 * other,
    }
    return {name: xenon_limits(i, signal) for name, signal in signals.items()}


GROUPS = {
    "thr": threshold,
    "pois_upper": upper("classical"),
    "garwood": lambda i: garwood(i["n"], i["cl"]),
    "fc90": lambda i: ends(i, "fc"),
    "fc0": lambda i: ends(i, "fc"),
    "fcsens": lambda i: mean_upper_limit(i["b"], cl=i["cl"], method="fc"),
    "fcgauss90": lambda i: gaussian_interval(i["x0"], i["cl"]),
    "cls_count": upper("cls"),
    "ch_cls": upper("cls"),
    "bayes_flat_mu": upper("bayes_mu"),
    "dchi2": profile_upper,
    "prof": profile_upper,
    "bhathat": lambda i: conditional_background(i["n"], i["b"], i["s"], i["sigma_b"]),
    "zbi": lambda i: z_bi(i["n_on"], i["n_off"], i["tau"]),
    "lima": lambda i: li_ma(i["n_on"], i["n_off"], i["tau"]),
    "asimovZ": lambda i: asimov_significance(i["s"], i["b"]),
    "asimovZ_sys": lambda i: asimov_significance(i["s"], i["b"], i["sigma_b"]),
    "q0": discovered,
    "bblite_gauss": barlow_beeston,
    "bblite_pois": poisson_factor,
    "combo": combination,
    "mu": lambda i: 1e9 * TemplateCount(0, 1.0, 0.0, {}, i["k"] * 1e18, 1.0, {}).mu_nu(i["s_up"]),
}
SINGLE = {
    "mv.chi2": multiverse,
    "biao.prof_1.642": upper("profile_one_sided"),
    "biao.fc_profile": upper("fc"),
    "biao.fc_pole": upper("fc_pole"),
    "biao.ch_classical": upper("classical"),
    "biao.bayes_s": upper("bayes_s"),
    "biao.bayes_mu": upper("bayes_mu"),
    "biao.asym_cls": upper("cls_asymptotic"),
    "biao.identity": lambda i: [ends(i, "cls")[1], ends(i, "bayes_s")[1]],
    "pyhf.readme_ul95": limits_of_workspace,
    "pyhf.readme_ul90": limits_of_workspace,
    "pyhf.corr_ul90": limits_of_workspace,
    "pyhf.biao_histosys_ul90": limits_of_workspace,
    "pyhf.biao_histosys_t5": lambda i: statistic_of_workspace(i, "histosys"),
    "pyhf.biao_normsys_t5": lambda i: statistic_of_workspace(i, "normsys"),
    "xenonnt.binned": lambda i: xenon_limits(i, i["s_at_1e11"]),
    "xenonnt.flavours": xenon_flavours,
}


def test_there_are_vectors(shared):
    assert len(VECTORS) > 100


@pytest.mark.parametrize("vector", VECTORS, ids=[v["id"] for v in VECTORS])
def test_vector_is_what_this_package_computes(vector):
    if "file" in vector["inputs"]:
        # Its model is not among the references: the workspace of pyhf has the place of this one.
        assert not (FILE.parent / vector["inputs"]["file"]).exists(), "there it is: compare it"
        return
    compute = SINGLE.get(vector["id"]) or GROUPS.get(vector["group"])
    assert compute, f"nothing computes {vector['id']}"
    # The end of a fit is not more precise.
    tolerance = {"rel": max(vector["rtol"], 1e-9), "abs": vector["atol"]}
    found, expected = compute(vector["inputs"]), vector["expected"]
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name] == pytest.approx(values, **tolerance), name
    elif isinstance(expected, list):
        assert list(found) == pytest.approx(expected, **tolerance)
    else:
        assert float(np.squeeze(found)) == pytest.approx(expected, **tolerance)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("pearson", 4.0 / 4.0 + 1.0 / 2.0 + 1.0),
        ("neyman", 4.0 / 6.0 + 1.0 / 1.0 + 1.0),
        ("cnp", 4.0 * (1.0 / 6.0 + 0.5) / 3.0 + (1.0 + 1.0) / 3.0 + 2.0),
        ("baker_cousins", 2.0 * (-2.0 + 6.0 * math.log(1.5) + 1.0 - math.log(2.0) + 1.0)),
    ],
)
def test_distance_of_counts_from_their_expectation(name, by_hand):
    assert chi_squares([6.0, 1.0, 0.0], [4.0, 2.0, 1.0])[name] == pytest.approx(by_hand)
