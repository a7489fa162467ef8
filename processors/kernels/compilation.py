"""How kernels are compiled and called: no stale machine code, no warnings about deliberate NaN."""

import contextlib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def quiet(ufunc: Any) -> Callable[..., Any]:
    """Wrap a compiled ufunc so that calling it never emits a floating-point warning.

    The compiler may evaluate the branch for good input on bad input too and discard the result; the
    processor's flags remember it, and numpy would warn or not depending on version and machine. Bad
    input shows as NaN in the result, always.

    Parameters
    ----------
    ufunc : numba DUFunc
        Compiled kernel; stays reachable as attribute ``ufunc``, its source as ``__wrapped__``.

    Returns
    -------
    callable
        Takes what the ufunc takes, awkward arrays included.
    """
    source = ufunc.__wrapped__

    @functools.wraps(source)
    def kernel(*arguments: Any, **options: Any) -> Any:
        with np.errstate(all="ignore"):
            return ufunc(*arguments, **options)

    kernel.ufunc = ufunc  # type: ignore[attr-defined]
    return kernel


def discard_stale_kernels(folder: Path) -> None:
    """Delete numba's index files in ``folder`` unless they belong to the present sources.

    numba keys its cache on the file of a kernel alone: after an edit of a constant or of a helper
    in another file it would silently go on using code compiled with the old one. Covers the cache
    beside the sources; with ``NUMBA_CACHE_DIR`` set, empty that folder after such an edit.

    Parameters
    ----------
    folder : Path
        Package folder; all its ``.py`` files together decide.
    """
    cache = folder / "__pycache__"
    stamp = cache / "kernels.sha256"
    sources = b"".join(source.read_bytes() for source in sorted(folder.glob("*.py")))
    digest = hashlib.sha256(sources).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return
    # In a folder that we may not write, numba keeps no cache either.
    with contextlib.suppress(OSError):
        for index in cache.glob("*.nbi"):
            index.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        stamp.write_text(digest, encoding="ascii")
