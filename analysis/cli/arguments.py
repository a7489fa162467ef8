"""What the command line understands: verbs, options, defaults and examples.

Imports nothing heavy, so that ``-h`` and a typing mistake answer at once.
"""

import argparse
from pathlib import Path
from typing import Any

from .options import (
    CONTAINERS,
    HORN_CURRENTS,
    LAYOUTS,
    METHODS,
    SAMPLES,
    SHELLS,
    choice,
    cluster_options,
    data_option,
    execution_options,
    fit_options,
    json_option,
    limit_options,
    out_option,
    physics_options,
    pot_option,
    skip_option,
)
from .parsing import EXIT_CODES, Help, Parser, Version


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
    out_option(verb, "folder for everything", default=Path("demo"))
    verb.add_argument("--events", type=int, default=300_000, help="simulated slices")
    verb.add_argument("--seed", type=int, default=1)
    execution_options(verb)
    limit_options(verb)

    verb = _verb(
        verbs, "simulate", "write toy CAF files", "simulate --sample nuone --events 10000 --out sim"
    )
    out_option(verb, "folder for the files", required=True)
    size = verb.add_mutually_exclusive_group(required=True)
    size.add_argument("--events", type=int, help="number of slices")
    size.add_argument("--pot", type=float, help="exposure; the number of slices is Poisson")
    verb.add_argument("--seed", type=int, default=1)
    verb.add_argument("--files", type=int, default=1)
    choice(verb, "--sample", SAMPLES, default="nd")
    verb.add_argument("--mu-nu", type=float, default=0.0, help="magnetic moment [mu_B]")
    choice(verb, "--horn-current", HORN_CURRENTS, default="FHC")
    choice(verb, "--layout", LAYOUTS, "the same events in each", default="nova_caf")
    choice(verb, "--container", CONTAINERS, default="ttree")
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
    skip_option(verb)
    json_option(verb)

    verb = _verb(verbs, "columns", "which branches a run reads", "columns nova_nd.toml")
    verb.add_argument("fileset", help="TOML or coffea JSON description, or a file or pattern")
    physics_options(verb)
    json_option(verb)

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
    out_option(verb, "templates file to write", "--output", dest="output", required=True)
    physics_options(verb)
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
    skip_option(verb)
    verb.add_argument(
        "--verify", action="store_true", help="compare every file with the checksum that was kept"
    )
    execution_options(verb)


def _templates(verbs: Any) -> None:
    verb = _verb(verbs, "show", "cut flow, yields and ledger of templates", "show templates.zip")
    verb.add_argument("templates", type=Path)
    pot_option(verb)
    json_option(verb)

    verb = _verb(
        verbs,
        "covariance",
        "size of every source of variation, and nuisance parameters for a fit",
        "covariance templates.zip --out systematics.npz",
    )
    verb.add_argument("templates", type=Path)
    out_option(verb, "keep them as .npz or .json", metavar="FILE")
    verb.add_argument("--axes", help="comma-separated axes to keep; default: all")
    verb.add_argument("--keep", type=float, default=0.999, help="part of the trace of universes")
    verb.add_argument("--symmetrise", help="comma-separated sources; default: none")
    verb.add_argument("--plot", type=Path, metavar="FILE", help="correlations as .png or .svg")
    pot_option(verb)
    json_option(verb)

    verb = _verb(verbs, "report", "self-contained HTML page and figures", "report t.zip --out page")
    verb.add_argument("templates", type=Path)
    out_option(verb, "folder to write", required=True)
    verb.add_argument("--cl", type=float, default=0.90, help="confidence level")
    verb.add_argument(
        "--toys", type=int, default=0, help="toys per signal for fc and cls of the spectrum"
    )
    pot_option(verb)


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
    data_option(verb)
    verb.add_argument("--nue-fraction", type=float, help="nu-e part of the published expectation")
    pot_option(verb)
    limit_options(verb)
    fit_options(verb)
    json_option(verb)

    verb = _verb(verbs, "table", "every experiment: published, recomputed, ratio", "table --json")
    verb.add_argument(
        "names", nargs="*", metavar="EXPERIMENT", help="rows, or .toml files of your own; all"
    )
    data_option(verb)
    verb.add_argument("--plot", type=Path, metavar="FILE", help="limits as .png or .svg")
    verb.add_argument(
        "--flavours", type=Path, metavar="FILE", help="delta chi2 of XENONnT by flavour, as figure"
    )
    json_option(verb)

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
    data_option(verb)
    json_option(verb)

    verb = _verb(
        verbs,
        "sensitivity",
        "what a count could see: exposure, threshold, background, uncertainty",
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
        "--backgrounds",
        default="0,0.25,0.5,1,2",
        help="other than nu-e scattering, relative to it, comma-separated",
    )
    verb.add_argument(
        "--systematics", default="0.109,0.05,0.03", help="of the expectation, comma-separated"
    )
    verb.add_argument("--cl", type=float, default=0.90, help="confidence level")
    choice(verb, "--method", METHODS, "as for limit", default="cls")
    verb.add_argument("--plot", type=Path, metavar="FILE", help="curves as .png or .svg")
    json_option(verb)


def _assistance(verbs: Any) -> None:
    verb = _verb(
        verbs,
        "doctor",
        "whether all that a run needs is here: versions, caches, a cluster",
        "doctor",
        "doctor --scheduler tcp://host:8786",
        "doctor --cluster slurm.toml",
    )
    cluster_options(verb)
    verb.add_argument("--timeout", type=float, default=120.0, help="longest wait for each [s]")
    json_option(verb)

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
