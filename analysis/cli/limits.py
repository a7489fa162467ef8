"""Verbs that bound the moment, or tell how others did."""

import argparse
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .fits import print_fit
from .output import print_table, write_figures

LOG = logging.getLogger(__name__)

if TYPE_CHECKING:
    from processors.templates import Templates

    from ..experiments import WorldRow


def limit(arguments: argparse.Namespace) -> int:
    """Print a limit with its convention."""
    if arguments.fit or arguments.source.endswith((".json", ".npz")):
        return print_fit(arguments)
    if arguments.source.endswith(".zip"):
        from processors.templates import Templates

        return print_count_limit(Templates.load(arguments.source), arguments)
    from ..experiment_tables import inputs_sentence, recomputed_table
    from ..experiments import recompute, recompute_all
    from ..tables import encode

    options: dict[str, Any] = {
        "confidence_level": arguments.cl,
        "nue_fraction": arguments.nue_fraction,
        "releases": arguments.data,
    }
    if arguments.method == "all":
        limits = list(recompute_all(arguments.source, **options).values())
    else:
        limits = [recompute(arguments.source, method=arguments.method, **options)]
    if limits[0].disputed:
        LOG.warning("%s is disputed: %s", limits[0].experiment, limits[0].disputed)
    if arguments.json:
        print(encode(limits))
        return 0
    print(f"{limits[0].source}\n{inputs_sentence(limits[0])}")
    print_table(recomputed_table(limits))
    print(f"{limits[0].reason}\n{limits[0].notes}".strip())
    return 0


def print_count_limit(templates: "Templates", arguments: argparse.Namespace) -> int:
    """Print the limit of the counting experiment that templates are."""
    from ..limit.template_count import moment_limits, template_count
    from ..tables import count_sentence, encode, headline, limits_table

    count = template_count(templates, getattr(arguments, "pot", None))
    limits = moment_limits(count, cl=arguments.cl, method=arguments.method)
    if getattr(arguments, "json", False):
        print(encode({"count": count, "limits": limits}))
        return 0
    if len(limits) > 1:
        print_table(limits_table(limits.values()))
    print(count_sentence(count))
    print(headline(next(iter(limits.values()))))
    return 0


def table(arguments: argparse.Namespace) -> int:
    """Print every experiment, published and recomputed."""
    from ..experiment_tables import world_table
    from ..experiments import world_rows
    from ..tables import encode

    rows = world_rows(arguments.names or None, releases=arguments.data)
    if arguments.plot or arguments.flavours:
        _draw_world(rows, arguments)
    if arguments.json:
        print(encode(rows))
    else:
        print_table(world_table(rows))
    return 0


def combine(arguments: argparse.Namespace) -> int:
    """Print one limit from several experiments."""
    from ..experiment_tables import combination_sentence, combined_table, nuisances_table
    from ..experiments import combine as combine_rows
    from ..tables import encode

    found = combine_rows(
        arguments.names,
        bounded=arguments.bounded,
        confidence_level=arguments.cl,
        method=arguments.method,
        sin2_theta23=arguments.sin2_theta23,
        releases=arguments.data,
        toys=arguments.toys,
        seed=arguments.seed,
    )
    if arguments.json:
        print(encode(found))
        return 0
    print_table(combined_table(found))
    if found.pulls:
        print_table(nuisances_table(found))
    print(combination_sentence(found))
    return 0


def sensitivity(arguments: argparse.Namespace) -> int:
    """Print expected limits against exposure, threshold and uncertainty."""
    from ..experiment_tables import sensitivity_table
    from ..experiments import find_experiment, sensitivity_scan
    from ..tables import encode

    row = find_experiment(arguments.name)
    systematics = _numbers("--systematics", arguments.systematics)
    scans = {
        "exposure": arguments.exposures,
        "threshold": arguments.thresholds,
        "background": arguments.backgrounds,
    }
    found = []
    for varied, text in scans.items():
        values = _numbers(f"--{varied}s", text)
        options = {"cl": arguments.cl, "method": arguments.method}
        found += sensitivity_scan(row, varied, values, systematics, **options)
    if arguments.plot:
        from ..experiments import published_limits
        from ..world_plots import sensitivity as draw

        known = published_limits(row.bounded)
        write_figures({arguments.plot: lambda: draw(row.system, found, known)})
    if arguments.json:
        print(encode(found))
    else:
        print_table(sensitivity_table(row.system, found))
        print(row.reason)
    return 0


def _draw_world(rows: "Sequence[WorldRow]", arguments: argparse.Namespace) -> None:
    import numpy as np

    from .. import world_plots
    from ..experiments import find_experiment, flavour_curves

    def flavours() -> Any:
        moments = np.linspace(0.0, 2.5e-11, 126)
        curves = flavour_curves(find_experiment("xenonnt"), moments, arguments.data)
        return world_plots.flavour_limits(curves)

    figures = {arguments.plot: lambda: world_plots.comparison(rows), arguments.flavours: flavours}
    write_figures({path: draw for path, draw in figures.items() if path})


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} {text}: expected numbers separated by commas") from None
