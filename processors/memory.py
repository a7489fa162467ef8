"""Keep freed memory for the next chunk."""

import contextlib
import ctypes

# Names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT, _LARGEST = 2**30, 2**28
_set: list[int] = []


def keep_freed_memory(most: int = _KEPT) -> None:
    """Have the C library keep memory that this process has freed, and reuse it.

    Parameters
    ----------
    most : int
        Largest amount [bytes]. The first call in a process decides, the others do nothing.

    Notes
    -----
    By default glibc returns arrays of some megabytes to the system when they are freed, and the
    next chunk pays for fresh pages: a fifth of its time. Threads share what is kept. Nothing is
    done where there is no glibc.
    """
    if _set:
        return
    _set.append(min(most, _KEPT))
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in (
            (_M_MMAP_THRESHOLD, _LARGEST),
            (_M_TRIM_THRESHOLD, _set[0]),
            (_M_ARENA_MAX, 1),
        ):
            mallopt(parameter, value)
