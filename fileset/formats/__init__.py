"""Input formats, one module each: schema, canonical columns, exposure sources.

Adding a format means adding one module with a :class:`Format` and one line in :data:`FORMATS`,
and its nu-e code to :data:`SIGNAL_CODES`; see ``docs/inputs.md``.
"""

from .base import Code, Format
from .dune_fd_caf import DUNE_FD_CAF
from .nova_caf import NOVA_CAF

FORMATS: dict[str, Format] = {f.name: f for f in (NOVA_CAF, DUNE_FD_CAF)}

SIGNAL_CODES: dict[str, tuple[Code, ...]] = {
    # The second one in events that were overlaid on others.
    "nova_caf": (Code("interaction_type", 1098), Code("mode", 10005)),
    # Also holds inelastic nu-e -> mu: 'lepton_pdg' tells it apart.
    "dune_fd_caf": (Code("mode", 5),),
}
"""What marks neutrino-electron elastic scattering; the number means something else elsewhere."""

MEC_CODES: dict[str, tuple[Code, ...]] = {
    "nova_caf": (Code("mode", 10),),
    "dune_fd_caf": (Code("mode", 10),),
}
"""What marks scattering on two nucleons; a format without an entry does not tell."""

__all__ = ["FORMATS", "MEC_CODES", "SIGNAL_CODES", "Code", "Format"]
