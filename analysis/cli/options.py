"""Options that several verbs share, and the names that they offer."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What the library knows, told here too so that a mistake is answered before it is imported; a test
# compares them.
SAMPLES = ("nuone", "background", "nd", "data")
HORN_CURRENTS = ("FHC", "RHC")
LAYOUTS = ("nova_caf", "nova_flat_caf", "dune_fd_caf")
CONTAINERS = ("ttree", "rntuple")
EXECUTORS = ("iterative", "threads", "futures", "dask", "dask-awkward")
ENGINES = ("nudipole", "coffea")
RADIATIVE = ("none", "sarantakos", "bks")
METHODS = (
    *("fc", "classical", "cls", "bayes_s", "bayes_mu", "profile_one_sided", "profile_two_sided"),
    *("all", "fc_pole", "cls_asymptotic", "cls_profile", "classical_profile"),
)
SHELLS = ("bash", "zsh", "tcsh")


def choice(
    verb: argparse.ArgumentParser,
    option: str,
    names: Sequence[str],
    text: str = "",
    default: str | None = None,
) -> None:
    """Add an option that is one of some names."""
    shown = ", ".join(names) + (f"; {text}" if text else "")
    metavar = option.lstrip("-").replace("-", "_").upper()
    verb.add_argument(option, choices=names, metavar=metavar, default=default, help=shown)


def out_option(verb: argparse.ArgumentParser, text: str, *more: str, **options: Any) -> None:
    """Add the option for what is written."""
    verb.add_argument("-o", "--out", *more, type=Path, help=text, **options)


def physics_options(verb: argparse.ArgumentParser) -> None:
    """Add selection, variations, templates and radiative correction."""
    verb.add_argument(
        "--selection",
        default="note_window",
        help="event_cvn, single_particle_cvn, note_window, or several joined by '+'",
    )
    verb.add_argument(
        "--variations", help="comma-separated names and files of your own (x.py), 'all' or 'none'"
    )
    verb.add_argument(
        "--templates", help="signal templates, comma-separated, such as magnetic; default: all"
    )
    choice(verb, "--radiative", RADIATIVE, "correction of the SM signal", default="none")


def execution_options(verb: argparse.ArgumentParser) -> None:
    """Add where and in which pieces events are processed."""
    text = "default: iterative, or dask where --scheduler or --cluster is given"
    choice(verb, "--executor", EXECUTORS, text)
    choice(verb, "--engine", ENGINES, "coffea is its own Runner", default="nudipole")
    verb.add_argument("--workers", type=int, help="processes; default: one per core")
    cluster_options(verb)
    verb.add_argument("--chunksize", type=int, help="entries per chunk; large by default")
    verb.add_argument(
        "--chunk-timeout",
        type=float,
        metavar="SECONDS",
        default=3600.0,
        help="give a chunk up that takes longer; 0: wait for ever",
    )
    verb.add_argument("--max-chunks", type=int, help="chunks per dataset; scales the exposure")


def skip_option(verb: argparse.ArgumentParser) -> None:
    """Add what is done with bad files."""
    verb.add_argument(
        "--skip-bad-files",
        action="store_true",
        help="do without files that cannot be used, whole files, at the exposure of the others",
    )


def limit_options(verb: argparse.ArgumentParser) -> None:
    """Add level and method of a limit."""
    verb.add_argument("--cl", type=float, default=0.90, help="confidence level")
    choice(verb, "--method", METHODS, "all are the first seven", default="all")


def fit_options(verb: argparse.ArgumentParser) -> None:
    """Add what concerns a fit of the spectrum."""
    fit = verb.add_argument_group("fit of the spectrum")
    fit.add_argument(
        "--fit",
        action="store_true",
        help="fit the spectrum with its nuisance parameters instead of counting events; methods: "
        "fc, cls, cls_asymptotic, profile_one_sided, profile_two_sided, bayes_s, bayes_mu or all",
    )
    fit.add_argument("--axes", default="recoil_energy", help="comma-separated axes to fit")
    fit.add_argument("--symmetrise", help="comma-separated sources to make straight lines")
    fit.add_argument("--channel", default="nd", help="name of the templates in a combination")
    fit.add_argument(
        "--combine",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="more templates, models or experiments, correlated by name of parameter",
    )
    fit.add_argument("--toys", type=int, default=10_000, help="toys per tested signal")
    fit.add_argument("--first-toy", type=int, default=0, help="number of the first, for a part")
    fit.add_argument("--seed", type=int, default=1)
    fit.add_argument(
        "--workers", "--threads", type=int, default=2, help="the result does not depend on it"
    )
    cluster_options(fit)
    fit.add_argument("--keep-toys", type=Path, metavar="FILE", help="write them, .npz or .json")
    fit.add_argument(
        "--join-toys", type=Path, nargs="+", metavar="FILE", help="use those that are kept"
    )
    fit.add_argument("--save", type=Path, metavar="FILE", help="keep the model as .npz or .json")
    fit.add_argument("--workspace", type=Path, metavar="FILE", help="write it for pyhf, as .json")
    fit.add_argument("--plot", type=Path, metavar="FILE", help="curves of the first method")
    fit.add_argument("--figures", type=Path, metavar="DIR", help="all pictures, as .png")
    fit.add_argument("--contour", help="scan another quantity too: flavours or charge_radius")


def cluster_options(verb: argparse._ActionsContainer) -> None:
    """Add the two ways to a dask cluster."""
    verb.add_argument(
        "--scheduler", help="address of a running dask scheduler, tcp:// or tls://host:8786"
    )
    verb.add_argument(
        "--cluster", type=Path, metavar="FILE", help="TOML profile of a dask cluster to start"
    )


def pot_option(verb: argparse.ArgumentParser) -> None:
    """Add the exposure of templates without data."""
    verb.add_argument("--pot", type=float, help="exposure [POT] for templates without data")


def data_option(verb: argparse.ArgumentParser) -> None:
    """Add the folder with data releases."""
    verb.add_argument("--data", type=Path, metavar="DIR", help="folder with the data releases")


def json_option(verb: argparse.ArgumentParser) -> None:
    """Add output for machines."""
    verb.add_argument("--json", action="store_true", help="machine-readable output")
