"""Keep freed memory for the next chunk.

Called when the package is imported, in every process and before numpy: glibc decides how threads
share memory when the first of them begins.
"""

import contextlib
import ctypes
import os

# Names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT = 2**30


def keep_freed_memory(most: int = _KEPT) -> None:
    """Have the C library keep memory that this process has freed, and reuse it.

    Parameters
    ----------
    most : int
        How much to keep [bytes]; 1 GiB at most.

    Notes
    -----
    By default glibc returns arrays of some megabytes to the system when they are freed, and every
    thread has memory of its own; the next chunk pays for fresh pages, a fifth of its time. Nothing
    is done where there is no glibc, where the environment has ``MALLOC_`` variables, or
    ``NUDIPOLE_KEEP_MEMORY=0``.
    """
    unwanted = os.environ.get("NUDIPOLE_KEEP_MEMORY") == "0"
    if unwanted or any(name.startswith("MALLOC_") for name in os.environ):
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in (
            (_M_MMAP_THRESHOLD, min(most, _KEPT)),
            (_M_TRIM_THRESHOLD, min(most, _KEPT)),
            (_M_ARENA_MAX, 1),
        ):
            mallopt(parameter, value)
