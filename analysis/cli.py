"""The command line: verbs in the order of the flow.

Results go to stdout, progress and logs to stderr. Exit code 2 with one line: the input is wrong.
Exit code 1: the work is incomplete, and the message says what is missing.
"""

import argparse
import dataclasses
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import parser
from .watching import interrupt, on_signals, progress_bar, watched

if TYPE_CHECKING:
    from fileset import Fileset
    from processors.templates import Templates

    from .experiments import WorldRow
    from .tables import Table

PACKAGES = ("fileset", "processors", "analysis")


class ShadowedPackageError(ImportError):
    """One of our package names belongs to somebody else here."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; exits with a status."""
    try:
        check_packages()
        arguments = parser().parse_args(argv)
        logging.basicConfig(level="DEBUG" if arguments.verbose else "WARNING", stream=sys.stderr)
        if not arguments.verbose:
            # Where the dashboard is, and what is waited for.
            logging.getLogger("processors.cluster").setLevel("INFO")
        with on_signals(interrupt, signal.SIGTERM):
            status = COMMANDS[arguments.command](arguments)
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted; nothing was written, run the command again", 1))
    except BrokenPipeError:
        sys.exit(0)
    # InputError and its relatives from libraries: the input is wrong, the line says how.
    except (ValueError, FileExistsError, ShadowedPackageError) as error:
        if "-v" in sys.argv or "--verbose" in sys.argv:
            raise
        sys.exit(_fail(" ".join(str(error).split()), 2))
    sys.exit(status or 0)


def check_packages() -> None:
    """Refuse to run with somebody else's ``processors``: the three names are generic.

    Raises
    ------
    ShadowedPackageError
        If a package does not lie beside this one.
    """
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != home / name:
            raise ShadowedPackageError(
                f"'import {name}' gives {found}, expected {home / name}; install nudipole in a "
                "virtual environment of its own"
            )


def demo(arguments: argparse.Namespace) -> int:
    """Simulate, process, set a limit, write figures and a page."""
    from .demo import DATA_POT, make_events, process_events

    with progress_bar("simulating", None):
        fileset = make_events(arguments.out, arguments.events, arguments.seed)
    with watched() as hooks:
        templates = process_events(fileset, _execution(arguments), **hooks)
    if _incomplete(templates):
        return 1
    path = arguments.out / "templates.zip"
    templates.save(path)
    page = _report(templates, arguments.out, arguments.cl, None)
    _print_templates(templates, DATA_POT)
    _print_limit(templates, arguments)
    print(f"templates: {path}\nreport: {page}")
    return 0


def simulate(arguments: argparse.Namespace) -> int:
    """Write toy files and say which."""
    from fileset.simulate import simulate

    with progress_bar("simulating", None):
        paths = simulate(
            arguments.out,
            events=arguments.events,
            pot=arguments.pot,
            seed=arguments.seed,
            files=arguments.files,
            sample=arguments.sample,
            mu_nu=arguments.mu_nu,
            horn_current=arguments.horn_current,
            layout=arguments.layout,
            container=arguments.container,
            overwrite=arguments.overwrite,
        )
    print(*paths, sep="\n")
    return 0


def files(arguments: argparse.Namespace) -> int:
    """Look into every file of a fileset."""
    from fileset import load_fileset
    from fileset.preprocess import preprocess
    from fileset.survey import is_spectra, survey

    from .tables import SHOWN_FILES, encode, files_table

    if arguments.checksums and not arguments.preprocess:
        raise ValueError("--checksums are kept by --preprocess FILE; name a file")
    fileset = load_fileset(arguments.fileset)
    if any(map(is_spectra, fileset.values())):
        return _print_spectra(fileset, arguments)
    workers = arguments.workers or os.cpu_count() or 1
    total = sum(len(dataset.files) for dataset in fileset.values())
    # A handful of files is there at once.
    with progress_bar("looking", total, shown=total > SHOWN_FILES) as (bar, task):

        def progress(path: str, _: object) -> None:
            bar.update(task, advance=1)

        if arguments.preprocess:
            found = preprocess(
                fileset,
                arguments.preprocess,
                workers=workers,
                skip_bad_files=arguments.skip_bad_files,
                checksums=arguments.checksums,
                progress=progress,
            )
        else:
            found = {
                name: survey(dataset, workers=workers, progress=progress)
                for name, dataset in fileset.items()
            }
    infos = {name: result.infos for name, result in found.items()}
    problems = [line for result in found.values() for line in result.bad.values()]
    if arguments.json:
        print(encode({"files": infos, "problems": problems}))
    else:
        _print_table(files_table(fileset, infos))
    for problem in problems:
        _fail(problem, 2)
    if arguments.preprocess and (arguments.skip_bad_files or not problems):
        print(f"fileset: {arguments.preprocess}")
        return 0
    return 2 if problems else 0


def _print_spectra(fileset: "Fileset", arguments: argparse.Namespace) -> int:
    """List finished spectra instead of events."""
    from fileset.formats.cafana_spectrum import survey_spectra

    from .tables import encode, spectra_rows, spectra_table

    found = {
        (name, path): survey_spectra(path, timeout=dataset.timeout)
        for name, dataset in fileset.items()
        for path in dataset.files
    }
    spectra = {key: listed for key, (listed, _) in found.items()}
    problems = [line for _, lines in found.values() for line in lines]
    if arguments.json:
        print(encode({"spectra": spectra_rows(spectra), "problems": problems}))
    else:
        _print_table(spectra_table(spectra))
    for problem in problems:
        _fail(problem, 2)
    return 2 if problems else 0


def columns(arguments: argparse.Namespace) -> int:
    """Say which branches a run reads, without reading any."""
    from fileset import load_fileset, make_plan
    from processors.tracing import trace

    from .tables import columns_table, encode

    processor = _processor(arguments)
    plan = make_plan(load_fileset(arguments.fileset))
    first = {chunk.dataset: chunk for chunk in reversed(plan)}
    found = {name: trace(processor, first[name]) for name in reversed(first)}
    if arguments.json:
        print(encode(found))
        return 0
    for name, traced in found.items():
        _print_table(columns_table(name, traced))
    return 0


def process(arguments: argparse.Namespace) -> int:
    """Process a fileset and save the templates."""
    from fileset import load_fileset
    from fileset.formats import CAFANA_SPECTRUM
    from processors.pipeline import process_fileset, process_spectra

    if not arguments.output.parent.is_dir():
        raise ValueError(f"{arguments.output}: no such folder {arguments.output.parent}; make it")
    fileset = load_fileset(arguments.fileset)
    if any(dataset.format == CAFANA_SPECTRUM for dataset in fileset.values()):
        templates = process_spectra(fileset)
    else:
        processor = _processor(arguments)
        with watched() as hooks:
            templates = process_fileset(fileset, processor, _execution(arguments), **hooks)
        if hooks["stop"]() and templates.ledger.missing:
            return _save_partial(templates, arguments)
    if _incomplete(templates) and not arguments.allow_missing:
        return 1
    if not _saved(templates, arguments.output):
        return _fail(_resuming(arguments), 1)
    _partial(arguments.output).unlink(missing_ok=True)
    _print_templates(templates, None)
    print(f"templates: {arguments.output}")
    return 0


def _save_partial(templates: "Templates", arguments: argparse.Namespace) -> int:
    """Save what an interrupted run has, never under the name of a result."""
    rows = templates.ledger.rows
    done = len(rows) - len(templates.ledger.missing)
    path = _partial(arguments.output)
    kept = f"their sum is in {path}; " if _saved(templates, path) else ""
    return _fail(
        f"interrupted: {done} of {len(rows)} chunks are done; {kept}{_resuming(arguments)}", 1
    )


def _saved(templates: "Templates", path: Path) -> bool:
    """Save; say so if it cannot be done, which leaves what was there as it was."""
    try:
        templates.save(path)
    except OSError as error:
        _fail(f"{path}: cannot be written: {error.strerror or error}", 1)
        return False
    return True


def _partial(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial")


def _resuming(arguments: argparse.Namespace) -> str:
    """How to go on, after what cut a run short."""
    if folder := arguments.resume or arguments.skim:
        return f"what is done is kept in {folder}: run the same command again to go on from there"
    return "run again, with --resume DIR to keep what is done"


def show(arguments: argparse.Namespace) -> int:
    """Print what is in a templates file."""
    from processors.templates import Templates

    from .tables import encode

    templates = Templates.load(arguments.templates)
    if arguments.json:
        content = {
            "provenance": templates.provenance,
            "datasets": templates.datasets,
            "pot": {name: templates.ledger.pot(name) for name in templates.datasets},
            "missing": [row.path for row in templates.ledger.missing],
            "variations": templates.variations,
        }
        if (cutflow := templates.histograms.get("cutflow_events")) is not None:
            content["cuts"] = list(cutflow.axes["cut"])
            content["cutflow_events"] = {
                dataset: {c: cutflow[dataset, c, :].values().tolist() for c in cutflow.axes[1]}
                for dataset in cutflow.axes["dataset"]
            }
        print(encode(content))
        return 0
    _print_templates(templates, arguments.pot or templates.data_pot or None)
    return 0


def covariance(arguments: argparse.Namespace) -> int:
    """Print how large every source is; keep the nuisance parameters, draw the correlations."""
    from processors.templates import Templates

    from .shifts import shifts, with_magnetic
    from .systematics import systematics
    from .tables import encode, source_rows, sources_table

    templates = Templates.load(arguments.templates)
    found = shifts(
        templates,
        arguments.pot or templates.data_pot,
        axes=arguments.axes.split(",") if arguments.axes else None,
        samples=with_magnetic(templates),
    )
    chosen = arguments.symmetrise.split(",") if arguments.symmetrise else ()
    result = systematics(found, arguments.keep, chosen)
    if arguments.out:
        result.save(arguments.out)
    if arguments.plot:
        from .plots import correlation, image

        arguments.plot.write_bytes(image(correlation(result), arguments.plot.suffix[1:]))
    if arguments.json:
        names = [nuisance.name for nuisance in result.nuisances]
        facts = {"pot": found.pot, "samples": found.layout.samples, "parameters": names}
        print(encode(facts | {"sources": source_rows(found, result)}))
        return 0
    _print_table(sources_table(found, result))
    for label, path in (("systematics", arguments.out), ("correlations", arguments.plot)):
        if path:
            print(f"{label}: {path}")
    return 0


def limit(arguments: argparse.Namespace) -> int:
    """Print a limit with its convention."""
    if arguments.fit or arguments.source.endswith((".json", ".npz")):
        return _print_fit(arguments)
    if arguments.source.endswith(".zip"):
        from processors.templates import Templates

        return _print_limit(Templates.load(arguments.source), arguments)
    from .experiment_tables import inputs_sentence, recomputed_table
    from .experiments import recompute, recompute_all
    from .tables import encode

    options: dict[str, Any] = {
        "confidence_level": arguments.cl,
        "nue_fraction": arguments.nue_fraction,
    }
    if arguments.method == "all":
        limits = list(recompute_all(arguments.source, **options).values())
    else:
        limits = [recompute(arguments.source, method=arguments.method, **options)]
    if arguments.json:
        print(encode(limits))
        return 0
    print(f"{limits[0].source}\n{inputs_sentence(limits[0])}")
    _print_table(recomputed_table(limits))
    print(f"{limits[0].reason}\n{limits[0].notes}".strip())
    return 0


def table(arguments: argparse.Namespace) -> int:
    """Print every experiment, published and recomputed."""
    from .experiment_tables import world_table
    from .experiments import world_rows
    from .tables import encode

    rows = world_rows(arguments.names or None, releases=arguments.data)
    if arguments.plot or arguments.flavours:
        _draw_world(rows, arguments)
    if arguments.json:
        print(encode(rows))
    else:
        _print_table(world_table(rows))
    return 0


def sensitivity(arguments: argparse.Namespace) -> int:
    """Print expected limits against exposure, threshold and uncertainty."""
    from .experiment_tables import sensitivity_table
    from .experiments import find_experiment, sensitivity_scan
    from .tables import encode

    row = find_experiment(arguments.name)
    systematics = _numbers("--systematics", arguments.systematics)
    scans = {"exposure": arguments.exposures, "threshold": arguments.thresholds}
    found = []
    for varied, text in scans.items():
        values = _numbers(f"--{varied}s", text)
        options = {"cl": arguments.cl, "method": arguments.method}
        found += sensitivity_scan(row, varied, values, systematics, **options)
    if arguments.plot:
        from .world_plots import sensitivity as draw

        _write_figures({arguments.plot: lambda: draw(row.system, found)})
    if arguments.json:
        print(encode(found))
    else:
        _print_table(sensitivity_table(row.system, found))
        print(row.reason)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write the HTML page and its figures."""
    from processors.templates import Templates

    templates = Templates.load(arguments.templates)
    print(_report(templates, arguments.out, arguments.cl, arguments.pot))
    return 0


COMMANDS = {
    command.__name__: command
    for command in (
        *(demo, simulate, files, columns, process, show, covariance),
        *(limit, table, sensitivity, report),
    )
}


def _processor(arguments: argparse.Namespace) -> Any:
    from processors import NuoneProcessor

    return NuoneProcessor(
        arguments.selection, arguments.variations, arguments.radiative, arguments.templates
    )


def _execution(arguments: argparse.Namespace) -> Any:
    from processors.pipeline import Execution

    names = [f.name for f in dataclasses.fields(Execution)]
    given = {name: getattr(arguments, name, None) for name in names}
    if given["scheduler"] or given["cluster"]:
        given["executor"] = given["executor"] or "dask"
    # What was not given has its default there.
    return Execution(**{name: value for name, value in given.items() if value is not None})


def _incomplete(templates: "Templates") -> bool:
    """Say what is missing; whether there is more than was to be skipped."""
    # Of a file that is skipped, all chunks say the same: the last one is enough.
    rows = {(row.path, -1 if row.skipped else row.start): row for row in templates.ledger.missing}
    for row in rows.values():
        where = f"dataset {row.dataset!r}, {row.path}, entries {row.start}-{row.stop}: "
        # A reason that concerns the whole file says itself which.
        where = "" if row.missing.startswith("dataset ") else where
        print(f"{'skipped' if row.skipped else 'missing'}: {where}{row.missing}", file=sys.stderr)
    missing = [row for row in templates.ledger.missing if not row.skipped]
    if missing:
        _fail(
            f"{len(missing)} of {len(templates.ledger.rows)} chunks are missing; mend or remove "
            "the files and run again, or accept their loss with 'process --allow-missing'",
            1,
        )
    return bool(missing)


def _report(templates: "Templates", out: Path, cl: float, pot: float | None) -> Path:
    from .report import write_report

    return write_report(templates, out, confidence_level=cl, pot=pot)


def _print_templates(templates: "Templates", pot: float | None) -> None:
    from .tables import cutflow_table, ledger_table, notes, variations_line, yields_table

    # Finished spectra have no cut flow.
    for dataset in templates.datasets if "cutflow" in templates.histograms else ():
        _print_table(cutflow_table(templates, dataset))
    _print_table(ledger_table(templates))
    if pot and templates.simulated:
        _print_table(yields_table(templates, pot))
    print(variations_line(templates.variations))
    for note in notes(templates):
        print(f"note: {note}")


def _draw_world(rows: "Sequence[WorldRow]", arguments: argparse.Namespace) -> None:
    import numpy as np

    from . import world_plots
    from .experiments import find_experiment, flavour_curves

    def flavours() -> Any:
        moments = np.linspace(0.0, 2.5e-11, 126)
        curves = flavour_curves(find_experiment("xenonnt"), moments, arguments.data)
        return world_plots.flavour_limits(curves)

    figures = {arguments.plot: lambda: world_plots.comparison(rows), arguments.flavours: flavours}
    _write_figures({path: draw for path, draw in figures.items() if path})


def _write_figures(figures: Mapping[Path, Callable[[], Any]]) -> None:
    from .plots import image

    for path, draw in figures.items():
        if not path.parent.is_dir():
            raise ValueError(f"{path}: no such folder {path.parent}; make it")
        path.write_bytes(image(draw(), path.suffix[1:]))
        print(f"figure: {path}", file=sys.stderr)


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} {text}: expected numbers separated by commas") from None


def _print_limit(templates: "Templates", arguments: argparse.Namespace) -> int:
    from .limit.template_count import moment_limits, template_count
    from .tables import count_sentence, encode, headline, limits_table

    count = template_count(templates, getattr(arguments, "pot", None))
    limits = moment_limits(count, cl=arguments.cl, method=arguments.method)
    if getattr(arguments, "json", False):
        print(encode({"count": count, "limits": limits}))
        return 0
    if len(limits) > 1:
        _print_table(limits_table(limits.values()))
    print(count_sentence(count))
    print(headline(next(iter(limits.values()))))
    return 0


def _fit_model(arguments: argparse.Namespace) -> Any:
    from processors.templates import Templates

    from .limit import LimitModel

    if arguments.source.endswith(".zip"):
        templates = Templates.load(arguments.source)
        axes = arguments.axes.split(",")
        return LimitModel.from_templates(templates, pot=arguments.pot, axes=axes)
    if not arguments.source.endswith((".json", ".npz")):
        raise ValueError(f"--fit of {arguments.source!r}: expected templates or a model file")
    return LimitModel.load(arguments.source)


def _print_fit(arguments: argparse.Namespace) -> int:
    """Limits from the spectrum with its nuisance parameters."""
    from .limit.methods import METHODS
    from .limit_tables import fit_content, fit_sentence, fit_table, model_sentence, pulls_table
    from .tables import encode

    model = _fit_model(arguments)
    if arguments.save:
        model.save(arguments.save)
    fitted = model if model.observed is not None else model.asimov()
    if arguments.workspace:
        arguments.workspace.write_text(encode(fitted.to_workspace()), encoding="utf-8")
    methods = list(METHODS) if arguments.method == "all" else [arguments.method]
    options = {"toys": arguments.toys, "seed": arguments.seed, "workers": arguments.threads}
    limits = [fitted.limit(method, cl=arguments.cl, **options) for method in methods]
    if arguments.plot:
        from .limit_plots import curves
        from .plots import image

        arguments.plot.write_bytes(image(curves(limits[0]), arguments.plot.suffix[1:]))
    if arguments.json:
        print(encode(fit_content(fitted, limits, model.observed is None)))
        return 0
    if len(limits) > 1:
        _print_table(fit_table(limits))
    if model.observed is not None and model.parameters:
        _print_table(pulls_table(model.impacts()))
    print(model_sentence(model))
    print(fit_sentence(limits[0]))
    return 0


def _print_table(table: "Table") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    # Wide when not on a terminal: a pipe must not cut names and paths.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    drawn = RichTable(
        *table.columns, title=table.title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False
    )
    for row in table.rows:
        drawn.add_row(*row)
    console.print(drawn, markup=False)


def _fail(message: str, status: int) -> int:
    print(f"nudipole: {message}", file=sys.stderr)
    return status
