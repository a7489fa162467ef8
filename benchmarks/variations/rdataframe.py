"""ROOT's RDataFrame in C++, built against a ROOT that another Python can import."""

import subprocess
from pathlib import Path

from fileset.catalog import GENERATOR_SIN2_THETA_W
from fileset.formats.nova_caf import NUMI_BEAM_DIRECTION
from processors.kernels import constants

from . import job as definition
from .job import Job, UnavailableError

MODES = {"rdf_vary": "vary", "rdf_fused": "fused"}

LIBRARIES = "Core RIO Hist ROOTVecOps Tree TreePlayer MathCore ROOTDataFrame".split()

_ASK = (
    "import warnings; warnings.simplefilter('ignore'); import ROOT; "
    "print(ROOT.TROOT.GetIncludeDir()); print(ROOT.TROOT.GetSharedLibDir()); "
    "print(ROOT.gROOT.GetVersion())"
)


def build(root_python: str, folder: Path) -> tuple[Path, str]:
    """Compile the program; -O3 for this machine.

    Returns
    -------
    tuple of Path and str
        The program, and the versions of ROOT and the compiler.

    Raises
    ------
    UnavailableError
        If there is no such Python, it has no ROOT, or g++ fails.
    """
    try:
        asked = subprocess.run(
            [root_python, "-c", _ASK], check=True, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise UnavailableError(f"no program {root_python!r}: give --root-python") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.strip().splitlines()[-1:])
        raise UnavailableError(f"{root_python} has no ROOT: {reason}") from None
    include, libraries, version = asked.stdout.split()[-3:]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "constants.h").write_text(header())
    program = folder / "rdataframe"
    command = ["g++", "-O3", "-march=native", "-std=c++17", f"-I{folder}", f"-I{include}"]
    command += [str(Path(__file__).with_suffix(".cpp")), "-o", str(program), f"-L{libraries}"]
    # The wheel's own libraries need others that only the loader finds.
    command += [f"-Wl,-rpath,{libraries}", "-Wl,--allow-shlib-undefined", "-pthread"]
    command += [f"-l{name}" for name in LIBRARIES]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise UnavailableError("no g++ to compile the RDataFrame contestants with") from None
    except subprocess.CalledProcessError as error:
        raise UnavailableError(f"g++ failed: {error.stderr.strip()[:1000]}") from None
    compiler = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True)
    return program, f"ROOT {version}, g++ {compiler.stdout.strip()} -O3 -march=native"


def header() -> str:
    """The same numbers as in Python."""
    norm = sum(x * x for x in NUMI_BEAM_DIRECTION) ** 0.5
    numbers = dict(
        zip(("kBeamX", "kBeamY", "kBeamZ"), (x / norm for x in NUMI_BEAM_DIRECTION), strict=True)
    )
    numbers |= {
        "kElectronMass": constants.M_E,
        "kSin2ThetaW": GENERATOR_SIN2_THETA_W,
        "kMagneticOverSM": constants.K_MAGNETIC / constants.K_SM,
        "kLeftNue": constants.G_LEFT_SARANTAKOS_NUE,
        "kLeftNumu": constants.G_LEFT_SARANTAKOS_NUMU,
        "kRight": constants.G_RIGHT_SARANTAKOS,
        "kAlpha": constants.ALPHA,
        "kTMax": definition.T_MAX,
        "kTTheta2Max": definition.TTHETA2_MAX,
        "kNoWeight": definition.NO_WEIGHT,
        "kCellWidth": definition.CELL_WIDTH,
    }
    integers = {
        "kNuoneInttype": definition.NUONE_INTTYPE,
        "kKnobs": definition.KNOBS,
        "kBins": definition.BINS,
        "kCategories": len(definition.CATEGORIES),
        "kEnergyCells": definition.ENERGY_CELLS,
    }
    lines = [f"constexpr double {name} = {value!r};" for name, value in numbers.items()]
    lines += [f"constexpr int {name} = {value};" for name, value in integers.items()]
    flavours = ", ".join(map(str, definition.FLAVOURS))
    lines.append(f"constexpr int kFlavours[{len(definition.FLAVOURS)}] = {{{flavours}}};")
    return "#pragma once\n" + "\n".join(lines) + "\n"


def command(program: Path, mode: str, job: Job, warm_up: str, output: Path) -> list[str]:
    numbers = (job.variations, job.universes, job.threads)
    return [str(program), MODES[mode], job.path, warm_up, *map(str, numbers), str(output)]
