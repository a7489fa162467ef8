"""Verbs that look into templates."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .output import print_table, print_templates

if TYPE_CHECKING:
    from processors.templates import Templates


def show(arguments: argparse.Namespace) -> int:
    """Print what is in a templates file."""
    from processors.templates import Templates

    from ..tables import encode

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
    print_templates(templates, arguments.pot or templates.data_pot or None)
    return 0


def covariance(arguments: argparse.Namespace) -> int:
    """Print how large every source is; keep the nuisance parameters, draw the correlations."""
    from processors.templates import Templates

    from ..shifts import shifts, with_magnetic
    from ..systematics import systematics
    from ..tables import encode, source_rows, sources_table

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
        from ..plots import correlation, image

        arguments.plot.write_bytes(image(correlation(result), arguments.plot.suffix[1:]))
    if arguments.json:
        names = [nuisance.name for nuisance in result.nuisances]
        facts = {"pot": found.pot, "samples": found.layout.samples, "parameters": names}
        print(encode(facts | {"sources": source_rows(found, result)}))
        return 0
    print_table(sources_table(found, result))
    for label, path in (("systematics", arguments.out), ("correlations", arguments.plot)):
        if path:
            print(f"{label}: {path}")
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write the HTML page and its figures."""
    from processors.templates import Templates

    templates = Templates.load(arguments.templates)
    print(make_report(templates, arguments.out, arguments.cl, arguments.pot, arguments.toys))
    return 0


def make_report(
    templates: "Templates", out: Path, cl: float, pot: float | None, toys: int = 0
) -> Path:
    """Write the page and its figures into a folder; gives its path."""
    from ..report import write_report

    return write_report(templates, out, confidence_level=cl, pot=pot, toys=toys)
