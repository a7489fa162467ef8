"""How kernels are compiled and called: late, no stale code, no warnings about deliberate NaN."""

import contextlib
import functools
import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np

_COMPILING = threading.RLock()


class Kernel:
    """Ufunc of float64 that compiles on first use and never emits a floating-point warning.

    Late, because loading all kernels, even from the cache on disk, takes longer than importing
    numba. Quiet, because the compiler may evaluate the branch for good input on bad input too and
    discard the result; the processor's flags remember it, and numpy would warn or not depending on
    version and machine. Bad input shows as NaN in the result, always.

    Parameters
    ----------
    ufunc : numba DUFunc
        Without signatures. Its Python source stays reachable as ``__wrapped__``.
    """

    def __init__(self, ufunc: Any) -> None:
        self.__wrapped__: Any = ufunc.__wrapped__
        functools.update_wrapper(self, self.__wrapped__)
        self._ufunc = ufunc
        self._compiled = False

    @property
    def ufunc(self) -> Any:
        """The numpy ufunc, for use inside other compiled functions: float64 alone."""
        if not self._compiled:
            with _COMPILING:
                self._compile()
        return self._ufunc

    def _compile(self) -> None:
        if self._compiled:
            return
        arguments = ", ".join(["float64"] * self.__wrapped__.__code__.co_argcount)
        self._ufunc.add(f"float64({arguments})")
        # Otherwise single-precision or integer columns would get kernels of their own precision.
        self._ufunc.disable_compile()
        self._compiled = True

    def __reduce__(self) -> str:
        """Pickle by name, as functions do."""
        return str(self.__wrapped__.__qualname__)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the ufunc; takes what it takes, awkward arrays included."""
        with np.errstate(all="ignore"):
            return self.ufunc(*arguments, **options)


def quiet(ufunc: Any) -> Kernel:
    """Make a `Kernel`: the decorator above ``@vectorize(cache=True)``."""
    return Kernel(ufunc)


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
