"""What the command line understands: verbs, options, defaults and examples.

Imports nothing heavy, so that ``-h`` and a typing mistake answer at once.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .parsing import EXIT_CODES, Help, Parser, Version

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


def parser() -> Parser:
    """Build the command line of all verbs."""
    top = Parser(
        prog="nudipole",
        description="Neutrino magnetic moment from neutrino-electron scattering.",
        epilog=f"example: nudipole demo\n{EXIT_CODES}",
        formatter_class=Help,
    )
    top.add_argument("-v", "--verbose", action="store_true", help="log details, show tracebacks")
    top.add_argument("--version", action=Version, nargs=0, help="show the version")
    verbs = top.add_subparsers(title="verbs", required=True, metavar="VERB")
    for add in (_simulation, _events, _templates, _limits, _assistance):
        add(verbs)
    return top


def _simulation(verbs: Any) -> None:
    verb = _verb(verbs, "demo", "the whole job on a simulated near detector", "demo --out demo")
    _out_option(verb, "folder for everything", default=Path("demo"))
    verb.add_argument("--events", type=int, default=300_000, help="simulated slices")
    verb.add_argument("--seed", type=int, default=1)
    _execution_options(verb)
    _limit_options(verb)

    verb = _verb(
        verbs, "simulate", "write toy CAF files", "simulate --sample nuone --events 10000 --out sim"
    )
    _out_option(verb, "folder for the files", required=True)
    size = verb.add_mutually_exclusive_group(required=True)
    size.add_argument("--events", type=int, help="number of slices")
    size.add_argument("--pot", type=float, help="exposure; the number of slices is Poisson")
    verb.add_argument("--seed", type=int, default=1)
    verb.add_argument("--files", type=int, default=1)
    _choice(verb, "--sample", SAMPLES, default="nd")
    verb.add_argument("--mu-nu", type=float, default=0.0, help="magnetic moment [mu_B]")
    _choice(verb, "--horn-current", HORN_CURRENTS, default="FHC")
    _choice(verb, "--layout", LAYOUTS, "the same events in each", default="nova_caf")
    _choice(verb, "--container", CONTAINERS, default="ttree")
    verb.add_argument("--overwrite", action="store_true", help="replace the sample if it is there")


def _events(verbs: Any) -> None:
    verb = _verb(
        verbs,
        "files",
        "what would be read",
        "files nova_nd.toml",
        "files nova_nd.toml --preprocess nova_nd.json.gz --workers 8",
    )
    verb.add_argument("fileset", help="TOML or coffea JSON description, or a file or pattern")
    verb.add_argument(
        "--preprocess",
        type=Path,
        metavar="FILE",
        help="keep entries, uuids and exposure as .json or .json.gz, to be used as a fileset",
    )
    verb.add_argument(
        "--checksums", action="store_true", help="with --preprocess: keep sha256 of every file"
    )
    verb.add_argument("--workers", type=int, help="processes; default: one per core")
    _skip_option(verb)
    _json_option(verb)

    verb = _verb(verbs, "columns", "which branches a run reads", "columns nova_nd.toml")
    verb.add_argument("fileset", help="TOML or coffea JSON description, or a file or pattern")
    _physics_options(verb)
    _json_option(verb)

    verb = _verb(
        verbs,
        "process",
        "events to templates",
        "process nova_nd.toml -o templates.zip",
        "process nova_nd.toml -o templates.zip --max-chunks 2 --variations none",
        "process nova_nd.toml -o templates.zip --variations my_systematics.py --skim skim",
        "process nova_nd.toml -o templates.zip --scheduler tcp://host:8786 --resume chunks",
    )
    verb.add_argument("fileset", help="TOML or coffea JSON description, or a file or pattern")
    _out_option(verb, "templates file to write", "--output", dest="output", required=True)
    _physics_options(verb)
    verb.add_argument(
        "--skim", type=Path, metavar="DIR", help="keep selected rows there for the next run"
    )
    verb.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="keep the result of each chunk there, and go on from those that are",
    )
    verb.add_argument(
        "--allow-missing",
        action="store_true",
        help="write the result without the chunks that failed, at the exposure of the others",
    )
    _skip_option(verb)
    verb.add_argument(
        "--verify", action="store_true", help="compare every file with the checksum that was kept"
    )
    _execution_options(verb)


def _templates(verbs: Any) -> None:
    verb = _verb(verbs, "show", "cut flow, yields and ledger of templates", "show templates.zip")
    verb.add_argument("templates", type=Path)
    _pot_option(verb)
    _json_option(verb)

    verb = _verb(
        verbs,
        "covariance",
        "size of every source of variation, and nuisance parameters for a fit",
        "covariance templates.zip --out systematics.npz",
    )
    verb.add_argument("templates", type=Path)
    _out_option(verb, "keep them as .npz or .json", metavar="FILE")
    verb.add_argument("--axes", help="comma-separated axes to keep; default: all")
    verb.add_argument("--keep", type=float, default=0.999, help="part of the trace of universes")
    verb.add_argument("--symmetrise", help="comma-separated sources; default: none")
    verb.add_argument("--plot", type=Path, metavar="FILE", help="correlations as .png or .svg")
    _pot_option(verb)
    _json_option(verb)

    verb = _verb(verbs, "report", "self-contained HTML page and figures", "report t.zip --out page")
    verb.add_argument("templates", type=Path)
    _out_option(verb, "folder to write", required=True)
    verb.add_argument("--cl", type=float, default=0.90, help="confidence level")
    verb.add_argument(
        "--toys", type=int, default=0, help="toys per signal for fc and cls of the spectrum"
    )
    _pot_option(verb)


def _limits(verbs: Any) -> None:
    verb = _verb(
        verbs,
        "limit",
        "a limit from templates or an experiment",
        "limit nova_biao",
        "limit templates.zip --cl 0.90 --method fc",
        "limit templates.zip --fit --method cls_asymptotic",
    )
    verb.add_argument(
        "source",
        help="templates file, a published experiment such as nova_biao or a row of your own in "
        ".toml, or a model or pyhf workspace in .json or .npz",
    )
    _data_option(verb)
    verb.add_argument("--nue-fraction", type=float, help="nu-e part of the published expectation")
    _pot_option(verb)
    _limit_options(verb)
    _fit_options(verb)
    _json_option(verb)

    verb = _verb(verbs, "table", "every experiment: published, recomputed, ratio", "table --json")
    verb.add_argument(
        "names", nargs="*", metavar="EXPERIMENT", help="rows, or .toml files of your own; all"
    )
    _data_option(verb)
    verb.add_argument("--plot", type=Path, metavar="FILE", help="limits as .png or .svg")
    verb.add_argument(
        "--flavours", type=Path, metavar="FILE", help="delta chi2 of XENONnT by flavour, as figure"
    )
    _json_option(verb)

    verb = _verb(
        verbs,
        "combine",
        "one limit from several experiments, with the nuisances they share",
        "combine xenonnt lz pandax4t",
    )
    verb.add_argument(
        "names", nargs="+", metavar="EXPERIMENT", help="rows, or .toml files of your own"
    )
    verb.add_argument(
        "--bounded", help="convert to this quantity, such as numu; default: that of the first row"
    )
    verb.add_argument("--sin2-theta23", type=float, default=0.57, help="for solar conversions")
    verb.add_argument("--cl", type=float, default=0.90, help="confidence level")
    verb.add_argument(
        "--method",
        default="profile_one_sided",
        help="profile_one_sided, profile_two_sided, cls_asymptotic, cls or fc",
    )
    verb.add_argument("--toys", type=int, default=10_000, help="per tested signal, for fc and cls")
    verb.add_argument("--seed", type=int, default=1)
    _data_option(verb)
    _json_option(verb)

    verb = _verb(
        verbs,
        "sensitivity",
        "what a count could see: exposure, threshold, uncertainty",
        "sensitivity nova_kralik --plot sensitivity.png",
    )
    verb.add_argument("name", nargs="?", default="nova_kralik", help="row of expected_count")
    verb.add_argument(
        "--exposures", default="3.62e20,1.36e21,2.55e21,5e21,1e22", help="[POT], comma-separated"
    )
    verb.add_argument(
        "--thresholds", default="0.1,0.2,0.3,0.4,0.5", help="lowest recoil [GeV], comma-separated"
    )
    verb.add_argument(
        "--systematics", default="0.109,0.05,0.03", help="of the expectation, comma-separated"
    )
    verb.add_argument("--cl", type=float, default=0.90, help="confidence level")
    _choice(verb, "--method", METHODS, "as for limit", default="cls")
    verb.add_argument("--plot", type=Path, metavar="FILE", help="curves as .png or .svg")
    _json_option(verb)


def _assistance(verbs: Any) -> None:
    verb = _verb(
        verbs,
        "doctor",
        "whether all that a run needs is here: versions, caches, a cluster",
        "doctor",
        "doctor --scheduler tcp://host:8786",
        "doctor --cluster slurm.toml",
    )
    _cluster_options(verb)
    verb.add_argument("--timeout", type=float, default=60.0, help="longest wait for each [s]")
    _json_option(verb)

    verb = _verb(
        verbs,
        "completion",
        "script that completes verbs and options in a shell",
        "completion bash > ~/.local/share/bash-completion/completions/nudipole",
    )
    verb.add_argument("shell", choices=SHELLS, help=", ".join(SHELLS))


def _verb(verbs: Any, name: str, text: str, *examples: str) -> argparse.ArgumentParser:
    title = "example: " if len(examples) == 1 else "examples:\n  "
    verb: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=title + "\n  ".join(f"nudipole {example}" for example in examples),
        formatter_class=Help,
    )
    verb.set_defaults(command=name)
    return verb


def _choice(
    verb: argparse.ArgumentParser,
    option: str,
    names: Sequence[str],
    text: str = "",
    default: str | None = None,
) -> None:
    shown = ", ".join(names) + (f"; {text}" if text else "")
    metavar = option.lstrip("-").replace("-", "_").upper()
    verb.add_argument(option, choices=names, metavar=metavar, default=default, help=shown)


def _out_option(verb: argparse.ArgumentParser, text: str, *more: str, **options: Any) -> None:
    verb.add_argument("-o", "--out", *more, type=Path, help=text, **options)


def _physics_options(verb: argparse.ArgumentParser) -> None:
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
    _choice(verb, "--radiative", RADIATIVE, "correction of the SM signal", default="none")


def _execution_options(verb: argparse.ArgumentParser) -> None:
    text = "default: iterative, or dask where --scheduler or --cluster is given"
    _choice(verb, "--executor", EXECUTORS, text)
    _choice(verb, "--engine", ENGINES, "coffea is its own Runner", default="nudipole")
    verb.add_argument("--workers", type=int, help="processes; default: one per core")
    _cluster_options(verb)
    verb.add_argument("--chunksize", type=int, help="entries per chunk; large by default")
    verb.add_argument(
        "--chunk-timeout",
        type=float,
        metavar="SECONDS",
        default=3600.0,
        help="give a chunk up that takes longer; 0: wait for ever",
    )
    verb.add_argument("--max-chunks", type=int, help="chunks per dataset; scales the exposure")


def _skip_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--skip-bad-files",
        action="store_true",
        help="do without files that cannot be used, whole files, at the exposure of the others",
    )


def _limit_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--cl", type=float, default=0.90, help="confidence level")
    _choice(verb, "--method", METHODS, "all are the first seven", default="all")


def _fit_options(verb: argparse.ArgumentParser) -> None:
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
    _cluster_options(fit)
    fit.add_argument("--keep-toys", type=Path, metavar="FILE", help="write them, .npz or .json")
    fit.add_argument(
        "--join-toys", type=Path, nargs="+", metavar="FILE", help="use those that are kept"
    )
    fit.add_argument("--save", type=Path, metavar="FILE", help="keep the model as .npz or .json")
    fit.add_argument("--workspace", type=Path, metavar="FILE", help="write it for pyhf, as .json")
    fit.add_argument("--plot", type=Path, metavar="FILE", help="curves of the first method")
    fit.add_argument("--figures", type=Path, metavar="DIR", help="all pictures, as .png")
    fit.add_argument("--contour", help="scan another quantity too: flavours or charge_radius")


def _cluster_options(verb: argparse._ActionsContainer) -> None:
    verb.add_argument(
        "--scheduler", help="address of a running dask scheduler, tcp:// or tls://host:8786"
    )
    verb.add_argument(
        "--cluster", type=Path, metavar="FILE", help="TOML profile of a dask cluster to start"
    )


def _pot_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--pot", type=float, help="exposure [POT] for templates without data")


def _data_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--data", type=Path, metavar="DIR", help="folder with the data releases")


def _json_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="machine-readable output")
