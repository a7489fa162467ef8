"""Toys per CPU second of a limit, beside pyhf and iminuit: ``python benchmarks/limit.py``.

400 bins, 40 nuisance parameters, 2000 background and 200 signal events at s = 1; two fits per toy,
drawing included. One thread per BLAS, so that CPU seconds are comparable; pyhf and iminuit take
part where they are installed, on the same toys.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from analysis.limit import Channel, LimitModel, Parameter, Sample
from analysis.limit.drawing import drawn, hypothesis
from analysis.limit.fit import Fitter
from analysis.limit.likelihood import Data, gradient, objective
from analysis.limit.newton import newton
from analysis.limit.toys import Experiment, run, run_all, with_workers

BINS, PARAMETERS, EVENTS, SIGNAL = 400, 40, 2000.0, 200.0


def model_of(kind: str) -> LimitModel:
    rng = np.random.default_rng(1)
    x = np.linspace(0.0, 1.0, BINS)
    background = np.exp(-2.0 * x)
    background *= EVENTS / background.sum()
    signal = np.exp(-0.5 * ((x - 0.2) / 0.15) ** 2)
    signal *= SIGNAL / signal.sum()
    phase = rng.uniform(0, 2 * np.pi, (PARAMETERS, 1))
    wave = np.sin(rng.uniform(1, 6, (PARAMETERS, 1)) * x + phase)
    relative = 0.05 * rng.uniform(0.3, 1.5, (PARAMETERS, 1)) * wave
    up = np.zeros((PARAMETERS, 2, BINS))
    up[:, 0] = relative * background
    if kind != "affine":
        up[:, 1] = relative * signal
    variance = np.zeros((2, BINS))
    if kind == "everything":
        variance[0] = (0.05 * background) ** 2
    shape = "code4p" if kind == "everything" else "linear"
    return LimitModel(
        channels=(Channel("nd", BINS),),
        samples=(Sample("background"), Sample("magnetic", signal=True)),
        parameters=tuple(Parameter(f"p{i}", shape=shape) for i in range(PARAMETERS)),
        nominal=np.array([background, signal]),
        mc_variance=variance,
        up=up,
        down=-0.7 * up if kind == "everything" else -up,
        high=np.ones((PARAMETERS, 2)),
        low=np.ones((PARAMETERS, 2)),
        observed=rng.poisson(background).astype(float),
    )


def experiment_of(fit: Fitter, s: float = 1.0) -> Experiment:
    point = fit.at(np.array([s]))
    where = hypothesis(fit.model, fit.data, point[0])
    return Experiment(fit.model, where, (s,), point, (1, 0))


def cpu(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def rate(kind: str, toys: int) -> str:
    fit = Fitter.of(model_of(kind))
    made = experiment_of(fit)
    run(made, 256)
    rates, result = [], None
    for _ in range(3):
        start = time.process_time()
        result = run(made, toys)
        rates.append(toys / (time.process_time() - start))
    return (
        f"{kind:12} {np.median(rates):8.0f} toys per CPU second, {result.evaluations / toys:.1f} "
        f"gradients per toy, {result.fallback} by full Newton steps, {result.negative} negative"
    )


def exactness(kind: str, toys: int) -> str:
    fit = Fitter.of(model_of(kind))
    made = experiment_of(fit)
    fast = run(made, toys).t[0]
    seconds, worst = 0.0, 0.0
    sizes = [min(256, toys - first) for first in range(0, toys, 256)]
    for number, size in enumerate(sizes):
        random = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(0, number)))
        data = drawn(fit.model, made.where, made.prepared()[0], size, random)
        for i in range(size):
            own = data.take(np.array([i]))
            start = time.process_time()
            ends = [newton(fit.model, own, made.starts[0], fixed=f) for f in (True, False)]
            seconds += time.process_time() - start
            values = [objective(fit.model, own, x[None])[0][0] for x in ends]
            exact = max(2.0 * (values[0] - values[1]), 0.0)
            worst = max(worst, abs(exact - fast[256 * number + i]))
    return (
        f"{kind:12} {toys} toys against full Newton steps: largest difference of t {worst:.1e}; "
        f"those at {toys / seconds:.0f} toys per CPU second"
    )


def first_toys(fit: Fitter, toys: int) -> tuple[Data, np.ndarray, Experiment]:
    made = experiment_of(fit)
    random = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(0, 0)))
    data = drawn(fit.model, made.where, made.prepared()[0], 256, random)
    return data.take(np.arange(toys)), run(made, 256).t[0][:toys], made


def boundary(toys: int) -> str:
    """Critical value of 90 % along s, and the limits of data with a deficit."""
    model = model_of("affine")
    fit = Fitter.of(model.asimov())
    sigmas = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
    points = fit.at(fit.width * np.array(sigmas))
    made = [
        Experiment(fit.model, hypothesis(fit.model, fit.data, p), (p[0],), p[None], (1, number))
        for number, p in enumerate(points)
    ]
    critical = [np.quantile(one.t[0], 0.9) for one in run_all(made, toys)]
    # As many events fewer as the signal would have at -1.5 standard deviations.
    low = model.with_data(np.maximum(model.background - 1.5 * fit.width * model.signal, 0.0))
    names = ("fc", "cls", "cls_asymptotic", "profile_two_sided", "profile_one_sided", "bayes_s")
    limits = {name: low.limit(name, cl=0.9, toys=toys, expected=0).upper for name in names}
    table = "  ".join(f"{s:g}: {value:.2f}" for s, value in zip(sigmas, critical, strict=True))
    shown = ", ".join(f"{name} {upper / fit.width:.2f}" for name, upper in limits.items())
    return (
        f"critical value at s / sigma ({toys} toys)  {table}\n"
        f"limit on s / sigma of data with a deficit of 1.5 sigma: {shown}"
    )


def coverage_of(toys: int) -> str:
    model = model_of("affine")
    lines = []
    for s in (0.0, 0.5, 1.0, 2.0, 5.0):
        for method in ("fc", "profile_one_sided", "profile_two_sided"):
            found = model.coverage(
                s,
                cl=0.9,
                method=method,
                experiments=toys if method == "fc" else 20 * toys,
                toys=400,
            )
            lines.append(f"s = {s:g}  {method:18} {found.fraction:.4f} +- {found.error:.4f}")
    return "\n".join(["coverage at 90 %", *lines])


def with_pyhf(toys: int) -> str:
    import pyhf

    model = model_of("affine")
    workspace = pyhf.Workspace(model.to_workspace())
    ready = workspace.model()
    data, ours, _ = first_toys(Fitter.of(model), toys)
    init, fixed = ready.config.suggested_init(), ready.config.suggested_fixed()
    bounds = ready.config.suggested_bounds()
    order = [int(name[1:]) for name in ready.config.auxdata_order]
    worst, start = 0.0, time.process_time()
    for i in range(toys):
        both = [*data.n[i], *data.aux[i, 1:][order]]
        t = pyhf.infer.test_statistics.tmu_tilde(1.0, both, ready, init, bounds, fixed)
        worst = max(worst, abs(float(t) - ours[i]))
    seconds = time.process_time() - start
    return (
        f"pyhf {pyhf.__version__}   {toys / seconds:8.2f} toys per CPU second, t within {worst:.1e}"
    )


def with_iminuit(toys: int) -> str:
    import iminuit

    fit = Fitter.of(model_of("affine"))
    data, ours, made = first_toys(fit, toys)
    worst, start = 0.0, time.process_time()
    only = np.zeros(1, dtype=np.int64)
    for i in range(toys):
        own = data.take(np.array([i]))

        def value(x: np.ndarray, own: Data = own) -> float:
            return float(objective(fit.model, own, x[None])[0][0])

        def slope(x: np.ndarray, own: Data = own) -> np.ndarray:
            return gradient(fit.model, own, only, x[None])[0][0]

        values = []
        for fixed in (True, False):
            names = [f"x{j}" for j in range(len(made.starts[0]))]
            fitter = iminuit.Minuit(value, made.starts[0], grad=slope, name=names)
            fitter.errordef, fitter.strategy = 0.5, 0
            fitter.limits["x0"], fitter.fixed["x0"] = (0.0, None), fixed
            values.append(fitter.migrad().fval)
        worst = max(worst, abs(2.0 * (values[0] - values[1]) - ours[i]))
    seconds = time.process_time() - start
    rate = f"iminuit {iminuit.__version__} {toys / seconds:6.1f} toys per CPU second"
    return f"{rate} with our gradient, t within {worst:.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toys", type=int, default=4096)
    parser.add_argument("--exact", type=int, default=1000, help="toys to fit by full Newton steps")
    parser.add_argument("--scan", action="store_true", help="a scan of 20 signals, 2e4 toys each")
    parser.add_argument("--boundary", type=int, metavar="TOYS", help="critical values near s = 0")
    parser.add_argument("--coverage", type=int, metavar="N", help="coverage of N experiments")
    parser.add_argument("--workers", type=int, default=2, help="threads of the scan")
    options = parser.parse_args()
    if options.boundary or options.coverage:
        asked = ((boundary, options.boundary), (coverage_of, options.coverage))
        print("\n".join(make(toys) for make, toys in asked if toys))
    else:
        everything(options)


def everything(options: argparse.Namespace) -> None:
    for kind in ("affine", "bilinear", "everything"):
        print(rate(kind, options.toys), flush=True)
    for kind in ("affine", "bilinear"):
        print(exactness(kind, options.exact), flush=True)
    model = model_of("affine")
    seconds = sorted(cpu(lambda: model.limit("cls_asymptotic", cl=0.9)) for _ in range(3))[1]
    print(f"asymptotic CLs with bands: {seconds:.2f} CPU seconds", flush=True)
    if options.scan:
        fit = Fitter.of(model)
        points = fit.at(np.linspace(0.0, fit.reach(4.7), 20))
        wall = time.perf_counter()
        start = time.process_time()
        for number, point in enumerate(points):
            where = hypothesis(fit.model, fit.data, point)
            made = Experiment(fit.model, where, (point[0],), point[None], (1, number))
            with_workers(options.workers, lambda mapper, made=made: run(made, 20_000, mapper))
        print(
            f"20 signals with 2e4 toys: {time.perf_counter() - wall:.1f} s wall with "
            f"{options.workers} threads, {time.process_time() - start:.1f} CPU seconds",
            flush=True,
        )
    for compare, toys in ((with_pyhf, 3), (with_iminuit, 50)):
        try:
            print(compare(toys), flush=True)
        except ModuleNotFoundError as error:
            print(f"not compared: {error}")


if __name__ == "__main__":
    main()
