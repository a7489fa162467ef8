"""Fits of spectra with their nuisance parameters: ``limit --fit``."""

import argparse
import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import print_table, write_figures

if TYPE_CHECKING:
    from ..limit import LimitModel
    from ..limit.contours import Contour
    from ..limit.result import ModelLimit
    from ..limit.toys_file import ToysFile


def print_fit(arguments: argparse.Namespace) -> int:
    """Print limits from spectra, and write what was asked for beside them."""
    from ..limit.toys_file import ToysFile
    from ..limit_tables import fit_content
    from ..tables import encode

    model = _model(arguments)
    if arguments.save:
        model.save(arguments.save)
    fitted = model if model.observed is not None else model.asimov()
    if arguments.workspace:
        arguments.workspace.write_text(encode(fitted.to_workspace()), encoding="utf-8")
    store = ToysFile(arguments.join_toys or ())
    try:
        limits, tests = _computed(fitted, arguments, store)
    finally:
        # Whatever ended the work, its blocks need not be made again.
        if arguments.keep_toys and store.made:
            store.save(arguments.keep_toys)
    contour = _contour(arguments)
    _draw(fitted, limits, contour, arguments)
    if arguments.json:
        content = fit_content(fitted, limits, model.observed is None)
        content |= {name: test._asdict() for name, test in tests.items()}
        content["inputs"] = _hashes([arguments.source, *arguments.combine])
        content["toys_file"] = {"blocks_read": store.taken, "blocks_made": store.made}
        if contour:
            facts = {n: v.tolist() if hasattr(v, "tolist") else v for n, v in _plain(contour)}
            content["contour"] = {"quantities": arguments.contour} | facts
        print(encode(content))
        return 0
    _print_words(model, limits, tests)
    return 0


def _plain(contour: "Contour") -> Any:
    return contour._asdict().items()


def _computed(
    fitted: "LimitModel", arguments: argparse.Namespace, store: "ToysFile"
) -> tuple[list["ModelLimit"], dict[str, Any]]:
    """Limits by every method that was asked for, and the tests that go with them."""
    from ..limit.methods import METHODS

    methods = list(METHODS) if arguments.method == "all" else [arguments.method]
    kept = store if arguments.keep_toys or arguments.join_toys else None
    options: dict[str, Any] = {"toys": arguments.toys, "seed": arguments.seed, "store": kept}
    with _workers(arguments) as workers:
        options["workers"] = workers
        first = {"first_toy": arguments.first_toy}
        limits = [fitted.limit(m, cl=arguments.cl, **options, **first) for m in methods]
        tests = {
            "goodness": fitted.goodness(**options),
            "discovery": fitted.discovery(**options),
        }
    return limits, tests


@contextlib.contextmanager
def _workers(arguments: argparse.Namespace) -> Iterator[int | Executor]:
    """Threads here, or a dask cluster: the result is the same."""
    if not (arguments.scheduler or arguments.cluster):
        yield arguments.workers
        return
    from processors.executors import open_executor

    places = {"scheduler": arguments.scheduler, "cluster": arguments.cluster}
    with open_executor("dask", **places) as executor:
        yield executor


def _model(arguments: argparse.Namespace) -> "LimitModel":
    """Model of the source, and of all that is to be combined with it."""
    from ..limit import LimitModel

    first = _model_of(arguments.source, arguments, arguments.channel)
    others = [_model_of(s, arguments, Path(s).stem) for s in arguments.combine]
    return LimitModel.combine([first, *others]) if others else first


def _model_of(source: str, arguments: argparse.Namespace, channel: str) -> "LimitModel":
    from processors.templates import Templates

    from ..limit import LimitModel

    if source.endswith(".zip"):
        return LimitModel.from_templates(
            Templates.load(source), channel=channel, **_template_options(arguments)
        )
    if source.endswith((".json", ".npz")):
        return LimitModel.load(source)
    from ..experiments.row_model import row_model

    return row_model(source, nue_fraction=arguments.nue_fraction, releases=arguments.data)


def _template_options(arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = arguments.symmetrise.split(",") if arguments.symmetrise else ()
    return {"pot": arguments.pot, "axes": arguments.axes.split(","), "symmetrise": chosen}


def _contour(arguments: argparse.Namespace) -> "Contour | None":
    if not arguments.contour:
        return None
    from processors.templates import Templates

    from ..limit import LimitModel
    from ..limit.second import scan

    if not arguments.source.endswith(".zip") or arguments.combine:
        raise ValueError("--contour needs one templates file: a model has no other templates")
    templates = Templates.load(arguments.source)
    return scan(LimitModel, templates, arguments.contour, **_template_options(arguments))


def _draw(
    fitted: "LimitModel",
    limits: list["ModelLimit"],
    contour: "Contour | None",
    arguments: argparse.Namespace,
) -> None:
    """Write the pictures that were asked for."""
    if not (arguments.plot or arguments.figures):
        return
    from .. import limit_plots
    from ..limit.second import QUANTITIES

    figures: dict[Path, Callable[[], Any]] = {}
    if arguments.plot:
        figures[arguments.plot] = lambda: limit_plots.curves(limits[0])
    if folder := arguments.figures:
        folder.mkdir(parents=True, exist_ok=True)
        for one in limits:
            name = f"{one.method}.png"
            figures[folder / f"curves_{name}"] = functools.partial(limit_plots.curves, one)
            if len(one.curve.band):
                figures[folder / f"band_{name}"] = functools.partial(limit_plots.band, one)
        figures[folder / "delta_chi2.png"] = lambda: limit_plots.delta_chi2(fitted)
        figures[folder / "spectrum.png"] = lambda: limit_plots.spectrum(fitted, limits[0])
        if fitted.parameters:
            figures[folder / "pulls.png"] = lambda: limit_plots.pulls(fitted.impacts())
        if contour:
            labels = QUANTITIES[arguments.contour]
            figures[folder / f"contour_{arguments.contour}.png"] = functools.partial(
                limit_plots.contours, contour, labels.first, labels.title
            )
    write_figures(figures)


def _hashes(sources: list[str]) -> dict[str, str | None]:
    """sha256 of every file; None for a row of the table."""
    return {
        source: hashlib.sha256(Path(source).read_bytes()).hexdigest()
        if source.endswith((".zip", ".json", ".npz"))
        else None
        for source in sources
    }


def _print_words(model: "LimitModel", limits: list["ModelLimit"], tests: dict[str, Any]) -> None:
    from ..limit_tables import (
        data_test_sentence,
        fit_sentence,
        fit_table,
        model_sentence,
        pulls_table,
    )

    if len(limits) > 1:
        print_table(fit_table(limits))
    if model.observed is not None:
        if model.parameters:
            print_table(pulls_table(model.impacts()))
        for name, test in tests.items():
            print(data_test_sentence(name, test))
    print(model_sentence(model))
    print(fit_sentence(limits[0]))
