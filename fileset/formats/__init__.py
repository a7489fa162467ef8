"""Input formats, one module each: schema or loader, canonical columns, exposure sources.

Adding a format means adding one module with a :class:`Format`, one line in :data:`FORMATS` and its
codes in the two tables below; see ``docs/inputs.md``.
"""

from .base import Code, Format
from .cafana_spectrum import NAME as CAFANA_SPECTRUM
from .dune_fd_caf import DUNE_FD_CAF
from .dune_flat_caf import DUNE_FLAT_CAF
from .genie_gst import GENIE_GST
from .gibuu import GIBUU
from .nova_caf import NOVA_CAF
from .nova_flat_caf import NOVA_FLAT_CAF
from .nova_h5 import NOVA_H5
from .nuance_kin import NUANCE_KIN
from .nuisance_flattree import NUISANCE_FLATTREE
from .sbn_flat_caf import SBN_FLAT_CAF

FORMATS: dict[str, Format] = {
    layout.name: layout
    for layout in (
        NOVA_CAF,
        NOVA_FLAT_CAF,
        NOVA_H5,
        SBN_FLAT_CAF,
        DUNE_FD_CAF,
        DUNE_FLAT_CAF,
        GENIE_GST,
        NUISANCE_FLATTREE,
        GIBUU,
        NUANCE_KIN,
    )
}

# The second one in events that were overlaid on others.
_NOVA = (Code("interaction_type", 1098), Code("mode", 10005))

SIGNAL_CODES: dict[str, tuple[Code, ...]] = {
    "nova_caf": _NOVA,
    "nova_flat_caf": _NOVA,
    "nova_h5": _NOVA,
    # Also holds inelastic nu-e -> mu: 'lepton_pdg' tells it apart.
    "dune_fd_caf": (Code("mode", 5),),
    "sbn_flat_caf": (Code("interaction_type", 1098),),
    # There 5 is coherent scattering.
    "dune_flat_caf": (Code("mode", 7),),
    "genie_gst": (Code("is_nuone", True),),
    # Its codes depend on the generator behind it; see there.
    "nuisance_flattree": (Code("is_nuone", True),),
    # GiBUU has no neutrino-electron scattering.
    "gibuu": (),
    "nuance_kin": (Code("mode", 98), Code("mode", -98)),
}
"""What marks neutrino-electron elastic scattering; the number means something else elsewhere."""

MEC_CODES: dict[str, tuple[Code, ...]] = {
    "nova_caf": (Code("mode", 10),),
    "nova_flat_caf": (Code("mode", 10),),
    "nova_h5": (Code("mode", 10),),
    "dune_fd_caf": (Code("mode", 10),),
    "sbn_flat_caf": (Code("mode", 10),),
    "dune_flat_caf": (Code("mode", 10),),
    "genie_gst": (Code("is_mec", True),),
    "nuisance_flattree": tuple(Code("mode", mode) for mode in (2, -2, 53, -53)),
    "gibuu": (Code("mode", 35), Code("mode", 36)),
}
"""What marks scattering on two nucleons; a format without an entry does not tell."""

__all__ = ["CAFANA_SPECTRUM", "FORMATS", "MEC_CODES", "SIGNAL_CODES", "Code", "Format"]
