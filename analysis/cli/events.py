"""Verbs from events to templates."""

import argparse
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .limits import print_count_limit
from .output import fail, incomplete, print_skipped, print_table, print_templates
from .results import make_report
from .watching import progress_bar, watched

if TYPE_CHECKING:
    from fileset import Fileset
    from processors.templates import Templates


def demo(arguments: argparse.Namespace) -> int:
    """Simulate, process, set a limit, write figures and a page."""
    from ..demo import DATA_POT, make_events, process_events

    with progress_bar("simulating", None):
        fileset = make_events(arguments.out, arguments.events, arguments.seed)
    with watched() as hooks:
        templates = process_events(fileset, _execution(arguments), **hooks)
    if incomplete(templates):
        return 1
    path = arguments.out / "templates.zip"
    templates.save(path)
    page = make_report(templates, arguments.out, arguments.cl, None)
    print_templates(templates, DATA_POT)
    print_count_limit(templates, arguments)
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

    from ..tables import SHOWN_FILES, encode, files_table

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
        skipped = {name: dataset.skipped for name, dataset in fileset.items()}
        print(encode({"files": infos, "problems": problems, "skipped": skipped}))
    else:
        print_table(files_table(fileset, infos))
    for dataset in fileset.values():
        print_skipped(dataset.skipped.values())
    for problem in problems:
        fail(problem, 2)
    if arguments.preprocess and (arguments.skip_bad_files or not problems):
        print(f"fileset: {arguments.preprocess}")
        return 0
    return 2 if problems else 0


def _print_spectra(fileset: "Fileset", arguments: argparse.Namespace) -> int:
    """List finished spectra instead of events."""
    from fileset.formats.cafana_spectrum import survey_spectra

    from ..tables import encode, spectra_rows, spectra_table

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
        print_table(spectra_table(spectra))
    for problem in problems:
        fail(problem, 2)
    return 2 if problems else 0


def columns(arguments: argparse.Namespace) -> int:
    """Say which branches a run reads, without reading any."""
    from fileset import load_fileset, make_plan
    from processors.tracing import trace

    from ..tables import columns_table, encode

    processor = _processor(arguments)
    plan = make_plan(load_fileset(arguments.fileset))
    first = {chunk.dataset: chunk for chunk in reversed(plan)}
    found = {name: trace(processor, first[name]) for name in reversed(first)}
    if arguments.json:
        print(encode(found))
        return 0
    for name, traced in found.items():
        print_table(columns_table(name, traced))
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
    if incomplete(templates) and not arguments.allow_missing:
        return 1
    if not _saved(templates, arguments.output):
        return fail(_resuming(arguments), 1)
    _partial(arguments.output).unlink(missing_ok=True)
    print_templates(templates, None)
    print(f"templates: {arguments.output}")
    return 0


def _save_partial(templates: "Templates", arguments: argparse.Namespace) -> int:
    """Save what an interrupted run has, never under the name of a result."""
    rows = templates.ledger.rows
    done = len(rows) - len(templates.ledger.missing)
    path = _partial(arguments.output)
    kept = f"their sum is in {path}; " if _saved(templates, path) else ""
    return fail(
        f"interrupted: {done} of {len(rows)} chunks are done; {kept}{_resuming(arguments)}", 1
    )


def _saved(templates: "Templates", path: Path) -> bool:
    """Save; say so if it cannot be done, which leaves what was there as it was."""
    try:
        templates.save(path)
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror or error}", 1)
        return False
    return True


def _partial(output: Path) -> Path:
    return output.with_name(f"{output.name}.partial")


def _resuming(arguments: argparse.Namespace) -> str:
    """How to go on, after what cut a run short."""
    if folder := arguments.resume or arguments.skim:
        return f"what is done is kept in {folder}: run the same command again to go on from there"
    return "run again, with --resume DIR to keep what is done"


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
