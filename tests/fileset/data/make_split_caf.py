"""Write small NOvA files the way the experiment does: C++ objects, streamed by ROOT.

No other library writes them. The files beside this script are its output; tests compare what the
project reads with :func:`slices` and :func:`spills`, for which ROOT is not needed. To make the
files again, run this script with a Python that has PyROOT, and with a C++ compiler on the path::

    python make_split_caf.py [folder]

The classes are a small part of NOvA's StandardRecord under its own names (namespace ``caf``),
which the column names of h5 files list (hepnos/HEPnOS-NOvA-Classes) and column expressions of
published analyses use. The tree is made as in the CAFMaker modules:
``Branch("rec", "caf::StandardRecord", &rec)``.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FILES = {
    "split_record.root": "one elastic vertex per slice, branch 'rec', split",
    "split_vector.root": "list of elastic vertices, branch 'rec.', split",
    "unsplit.root": "branch 'rec' holds whole objects, split level 0",
    "rntuple.root": "one elastic vertex per slice, field 'rec' of an RNTuple",
}

N_SLICES = 20

CLASSES = """
#include <vector>
namespace caf {
struct SRVector3D { float x = -5, y = -5, z = -5; };
struct SRLorentzVector { float E = -5, px = -5, py = -5, pz = -5; };
struct SRHeader {
  unsigned int run = 0, subrun = 0; int cycle = 0; unsigned int evt = 0;
  unsigned short subevt = 0; bool ismc = false;
};
struct SRSlice { float calE = -5; unsigned int nhit = 0, ncontplanes = 0; };
struct SRELid { float shwEFrac = -5, vtxgev = -5, gap = -5, epi0llt = -5; };
struct SRShowerLID {
  float calE = -5, shwE = -5, len = -5, gap = -5, width = -5; unsigned short nhit = 0;
  SRVector3D start, stop; SRELid lid;
};
struct SRCVNParticleResult { float electronid = -5, photonid = -5, muonid = -5; };
struct SRSPPCVNPart5Label { float electronid = -5, muonid = -5; int pdgmax = 0; };
struct SRProng { float len = -5, calE = -5; unsigned short nplane = 0; SRVector3D dir; };
struct SRFuzzyKProng : public SRProng {
  SRFuzzyKProng() {}
  SRShowerLID shwlid; SRCVNParticleResult cvnpart; SRSPPCVNPart5Label spprongcvnpart5label;
};
struct SRFuzzyK {
  unsigned int longestidx = 0; std::size_t npng = 0; std::vector<SRFuzzyKProng> png;
};
struct SRElastic {
  bool IsValid = false; SRVector3D vtx; SRFuzzyK fuzzyk; float prong3dvertexenergyvolume10 = -5;
};
struct SRVertexBranch { SRElastic elastic; };
struct SRNuonE { float nuoneid = -5, epi0nuoneid = -5; };
struct SRNueId { float nueid = -5; };
struct SRNueCosRej {
  float distallpngtop = -5, distallpngbottom = -5, distallpngeast = -5, distallpngwest = -5;
};
struct SRIDBranch { SRNuonE nuone; SRNueId nueid; SRNueCosRej nuecosrej; };
struct SRTrueParticle {
  short pdg = 0; SRLorentzVector p; std::vector<unsigned int> daughterlist; double time = -5;
};
struct SRGenieWgts { float minus2sigma = 1, minus1sigma = 1, plus1sigma = 1, plus2sigma = 1; };
struct SRPPFX { float cv = 1; std::vector<float> vuniv; };
struct SRMCReweight { SRPPFX ppfx; std::vector<SRGenieWgts> genie; };
struct SRNeutrino {
  float E = -5; short pdg = 0, pdgorig = 0; int mode = -1, inttype = -1; bool iscc = false;
  SRVector3D vtx; std::vector<unsigned int> genVersion; std::vector<SRTrueParticle> prim;
  SRMCReweight rwgt;
};
struct SRTruthBranch { int nnu = 0; std::vector<SRNeutrino> nu; };
struct StandardRecord {
  SRHeader hdr; SRSlice slc; SRVertexBranch vtx; SRIDBranch sel; SRTruthBranch mc;
};
struct SRSpill {
  unsigned int run = 0, subrun = 0, evt = 0; float spillpot = 0; bool isFHC = true, isRHC = false;
};
}
#ifdef __CLING__
LINKS
#endif
"""

_POINTS, _KNOBS = "minus2sigma minus1sigma plus1sigma plus2sigma".split(), 6


def slices() -> list[dict[str, Any]]:
    """Content of the slice tree: nested records, as the classes above nest them.

    Returns
    -------
    list of dict
        Members that are not there keep the defaults of the classes. Every number is exact in
        single precision.
    """
    return [
        {
            "hdr": {"run": 11, "subrun": i // 10, "cycle": 0, "evt": 100 + i, "subevt": 1 + i % 3}
            | {"ismc": True},
            "slc": {"calE": 0.5 + i / 8, "nhit": 20 + i, "ncontplanes": 5 + i},
            "vtx": {"elastic": _elastic(i)},
            "sel": {
                "nuone": {"nuoneid": i / 32, "epi0nuoneid": 1 - i / 32},
                "nueid": {"nueid": i / 64},
                "nuecosrej": {
                    f"distallpng{wall}": 50.0 + i + 8 * j
                    for j, wall in enumerate(("top", "bottom", "east", "west"))
                },
            },
            "mc": {"nnu": i % 3, "nu": [_neutrino(i, j) for j in range(i % 3)]},
        }
        for i in range(N_SLICES)
    ]


def spills() -> list[dict[str, Any]]:
    """Content of the spill tree."""
    return [{"run": 11, "evt": 100 + i, "spillpot": 2.0**44 * (1 + i)} for i in range(3)]


def _xyz(x: float, y: float, z: float) -> dict[str, float]:
    return {"x": x, "y": y, "z": z}


def _elastic(i: int) -> dict[str, Any]:
    """Elastic vertex; every seventh slice has none."""
    if i % 7 == 6:
        return {"IsValid": False}
    prongs = [_prong(i, j) for j in range(i % 4)]
    return {
        "IsValid": True,
        "vtx": _xyz(i + 0.25, -i - 0.5, 40.0 * i),
        "fuzzyk": {"longestidx": 0, "npng": len(prongs), "png": prongs},
        "prong3dvertexenergyvolume10": i / 128,
    }


def _prong(i: int, j: int) -> dict[str, Any]:
    unit = 16 * i + j
    return {
        "len": 100.0 + unit,
        "calE": 1.0 + unit / 16,
        "nplane": 10 + j,
        "dir": _xyz(0.125 * j, -0.0625, 0.875),
        "shwlid": {
            # The last prong of a slice has no shower: defaults stay.
            "calE": 0.75 + unit / 16 if j < 2 else -5.0,
            "gap": 0.5 * j,
            "nhit": 7 + j,
            "start": _xyz(unit, unit + 1.0, unit + 2.0),
            "stop": _xyz(unit + 3.0, unit + 4.0, unit + 5.0),
            "lid": {"shwEFrac": 1 / 2**j, "vtxgev": 0.03125 * unit},
        },
        "cvnpart": {"electronid": unit / 512, "photonid": 1 - unit / 512},
        "spprongcvnpart5label": {"electronid": unit / 1024, "pdgmax": 11},
    }


def _neutrino(i: int, j: int) -> dict[str, Any]:
    unit = 4 * i + j
    universes = (0, 4)[i % 2]
    return {
        "E": 1.5 + unit / 4,
        "pdg": (14, -14, 12)[unit % 3],
        "pdgorig": 14,
        "mode": (0, 5, 10)[unit % 3],
        "inttype": (1001, 1098, 1001)[unit % 3],
        "iscc": unit % 2 == 0,
        "vtx": _xyz(unit, -unit, 10.0 * unit),
        "genVersion": [3, 0, 6][: i % 4],
        "prim": [_primary(i, j, k) for k in range((i + j) % 4)],
        "rwgt": {
            "ppfx": {
                # No weight is written as 99.
                "cv": 99.0 if unit % 5 == 4 else 1 + unit / 256,
                "vuniv": [99.0 if k == 3 else 1 + (unit + k) / 64 for k in range(universes)],
            },
            "genie": [
                {point: 1 + (k + 1) * s / 32 for point, s in zip(_POINTS, (-2, -1, 1, 2), strict=1)}
                for k in range(_KNOBS if i % 5 else 0)
            ],
        },
    }


def _primary(i: int, j: int, k: int) -> dict[str, Any]:
    unit = 8 * i + 4 * j + k
    return {
        "pdg": (2212, 11, 22)[unit % 3],
        "p": {"E": 0.25 + unit / 8, "px": unit / 16, "py": -unit / 16, "pz": unit / 32},
        "daughterlist": list(range(k)),
        "time": 218.0 + unit,
    }


def main(folder: Path) -> None:
    """Write all files, each in a process of its own: ROOT takes one definition of a class only.

    Parameters
    ----------
    folder : Path
    """
    for name in FILES:
        subprocess.run([sys.executable, __file__, str(folder), name], check=True)


def write(path: Path) -> None:
    """Write one file.

    Parameters
    ----------
    path : Path
        Its name is one of ``FILES``.
    """
    import ROOT

    is_list = path.name == "split_vector.root"
    _compile(ROOT, is_list)
    branch = "rec." if is_list else "rec"
    # ROOT writes the name into the file: without the folder.
    os.chdir(path.parent)
    file = ROOT.TFile(path.name, "RECREATE", "", 505)
    for name, field, kind, rows in (
        ("recTree", branch, "StandardRecord", slices()),
        ("spillTree", "spill", "SRSpill", spills()),
    ):
        if path.name == "rntuple.root":
            _write_ntuple(ROOT, file, name, field, kind, rows)
        else:
            _write_tree(ROOT, name, field, kind, rows, 0 if path.name == "unsplit.root" else 99)
    file.Close()


def _compile(root: Any, is_list: bool) -> None:
    """Make the classes known to ROOT, with dictionaries."""
    kinds = [line.split()[1] for line in CLASSES.splitlines() if line.startswith("struct")]
    items = ("SRFuzzyKProng", "SRElastic", "SRTrueParticle", "SRGenieWgts", "SRNeutrino")
    links = [f"#pragma link C++ class caf::{kind}+;" for kind in kinds]
    links += [f"#pragma link C++ class std::vector<caf::{item}>+;" for item in items]
    code = CLASSES.replace("LINKS", "\n".join(links))
    if is_list:
        code = code.replace("bool IsValid = false;", "").replace(
            "SRElastic elastic", "std::vector<SRElastic> elastic"
        )
    header = Path(tempfile.mkdtemp()) / "records.h"
    header.write_text(code, encoding="utf-8")
    root.gROOT.ProcessLine(f".L {header}+")


def _write_tree(
    root: Any, name: str, branch: str, kind: str, rows: list[dict[str, Any]], split: int
) -> None:
    record = getattr(root.caf, kind)()
    tree = root.TTree(name, "records")
    # Buffers as small as the content, or the file is mostly their headers.
    tree.Branch(branch, f"caf::{kind}", record, 2000, split)
    for row in rows:
        record.__assign__(getattr(root.caf, kind)())
        _fill(record, row)
        tree.Fill()
    tree.Write()


def _write_ntuple(
    root: Any, file: Any, name: str, field: str, kind: str, rows: list[dict[str, Any]]
) -> None:
    model = root.RNTupleModel.Create()
    model.MakeField[f"caf::{kind}"](field)
    with root.RNTupleWriter.Append(model, name, file) as writer:
        for row in rows:
            entry = writer.CreateEntry()
            _fill(entry[field], row)
            writer.Fill(entry)


def _fill(record: Any, row: dict[str, Any]) -> None:
    for name, value in row.items():
        member = getattr(record, name, None)
        if isinstance(value, list):
            _extend(member, value)
        elif isinstance(value, dict) and hasattr(member, "push_back"):
            # A list of elastic vertices is empty where a record would not be valid.
            _extend(member, [value] if value["IsValid"] else [])
        elif isinstance(value, dict):
            _fill(member, value)
        elif member is not None:
            setattr(record, name, value)


def _extend(vector: Any, values: list[Any]) -> None:
    for value in values:
        if isinstance(value, dict):
            vector.emplace_back()
            _fill(vector.back(), value)
        else:
            vector.push_back(value)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else __file__)
    target = target if target.is_dir() else target.parent
    if len(sys.argv) > 2:
        write(target / sys.argv[2])
    else:
        main(target)
