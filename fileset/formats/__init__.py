"""Input formats, one module each: schema, canonical columns, exposure sources.

Adding a format means adding one module with a :class:`Format` and one line in :data:`FORMATS`,
and its nu-e code to :data:`SIGNAL_CODES`.
"""

from .base import Format, SignalCode
from .dune_fd_caf import DUNE_FD_CAF
from .nova_caf import NOVA_CAF

FORMATS: dict[str, Format] = {f.name: f for f in (NOVA_CAF, DUNE_FD_CAF)}

SIGNAL_CODES: dict[str, SignalCode] = {
    "nova_caf": SignalCode("interaction_type", 1098),
    # Mode 5 also holds inelastic nu-e -> mu: 'lepton_pdg' tells it apart.
    "dune_fd_caf": SignalCode("mode", 5),
}
"""What marks neutrino-electron elastic scattering; the number means something else elsewhere."""

__all__ = ["FORMATS", "SIGNAL_CODES", "Format", "SignalCode"]
