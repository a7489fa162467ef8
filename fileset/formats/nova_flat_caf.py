"""NOvA flat CAF: the same events as a CAF, every list flattened, with companion branches.

Made from a CAF by SRProxy's flattener (``<list>..length``, ``..idx``, ``..totarraysize``). Names,
columns, exposure and flags are those of :mod:`fileset.formats.nova_caf`; the schema finds the lists
by their companions.
"""

from dataclasses import replace

from .nova_caf import NOVA_CAF, is_flat

NOVA_FLAT_CAF = replace(
    NOVA_CAF,
    name="nova_flat_caf",
    title="NOvA flat CAF (trees 'recTree' and 'spillTree', lists with '..length')",
    matches=is_flat,
)
