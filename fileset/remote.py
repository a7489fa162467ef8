"""Files behind a server: open and list them in bounded time, again where that can help.

Everything that concerns remote paths. What a network recovers from (a server that is starting, busy
or silent) is tried again; what it does not (no such file, no permission, a certificate that is not
trusted, a server without ranges) is refused at once. ``root://`` needs the extra ``xrootd``.
"""

import errno
import functools
import hashlib
import importlib.util
import itertools
import math
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import uproot
from fsspec.implementations.cached import CachingFileSystem

from .errors import InputError

T = TypeVar("T")

TIMEOUT = 60.0
"""How long a server may be silent, where the dataset does not say [s]."""

ATTEMPTS = 3

_BLOCK = 8 * 2**20

_BACK_OFF = 0.5
"""Wait before the second attempt; doubled before each further one [s]."""

_XROOTD_SCHEMES = ("root", "roots", "xroot", "xroots")

_HTTP_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

_OS_TRANSIENT = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ESTALE}
)

# Uproot and fsspec-xrootd pass on the text of the client's status, not its code.
_XROOTD_STATUS = re.compile(r"\[(?:ERROR|FATAL)\] ([^\n]+?)(?= in file |\)?\n|\)?$)")

# xrootd/xrootd: texts of XrdCl/XrdClStatus.cc, codes of XErrorCode in XProtocol/XProtocol.hh. Of
# what a server answers, the codes with which XrdCl/XrdClXRootDMsgHandler.cc goes to another server
# (3005 file system, 3007 I/O, 3012 server, 3024 overloaded) and those that say "not now" (3008 no
# memory, 3014 no server, 3020 in progress, 3034 and 3035 time-outs).
_XROOTD_TRANSIENT = re.compile(
    r"Socket |Stream disconnect|Connection error|Operation (expired|interrupted|in progress)"
    r"|Hand shake failed|Invalid session|Poller error|No more free SIDs"
    r"|\[30(05|07|08|12|14|20|24|34|35)\]"
)
_XROOTD_MISSING = re.compile(r"\[3011\]|Resource not found")
_XROOTD_SILENT = re.compile(r"Operation expired|Socket timeout|\[303[45]\]")


def is_remote(path: str) -> bool:
    """Whether a path names a file behind a server.

    >>> is_remote("root://server//path/file.root"), is_remote("C:/path/file.root")
    (True, False)
    """
    return "://" in path and not path.startswith("file://")


def open_root(
    path: str, *, timeout: float = TIMEOUT, attempts: int = ATTEMPTS
) -> uproot.ReadOnlyDirectory:
    """Open a ROOT file, wherever it is.

    Parameters
    ----------
    path : str
        Path or URL. A local file is opened once, whatever the other arguments.
    timeout : float
        How long the server may be silent, while connecting and within each later read [s]; whole
        seconds for ``root://``, at least one. File systems of other protocols (``s3://``) keep
        their own limits.
    attempts : int
        How often it is tried if the failure is one that a network recovers from.

    Returns
    -------
    uproot.ReadOnlyDirectory
        Later reads of it keep the time-out and are not repeated: see :func:`is_transient`.

    Raises
    ------
    FileNotFoundError
        If there is no such file, for every protocol.
    InputError
        If the server does not answer, refuses, or serves no ranges, or the client of the protocol
        is not installed; raised from the error that it is about.
    ValueError
        If it is not a ROOT file.

    Notes
    -----
    For ``root://`` the client's settings (``XRD_CONNECTIONWINDOW`` and others) are set for the
    whole process, save those that the environment sets. https trusts the authorities in
    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, or the system's.
    """
    # As a dictionary, or a colon in the path would begin the name of an object.
    if not is_remote(path):
        return uproot.open({path: None})
    if _is_xrootd(path):
        options = {"handler": uproot.source.xrootd.XRootDSource} | _file_system(path, timeout)
    else:
        options = {"handler": RangeSource} | _file_system(path, timeout)
    return retry(lambda: uproot.open({path: None}, **options), path, attempts=attempts)


def sha256(path: str, *, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> str:
    """Digest of the content of a file, wherever it is, as 64 hexadecimal digits.

    Parameters
    ----------
    path, timeout, attempts
        As for :func:`open_root`.

    Raises
    ------
    FileNotFoundError, InputError
        As for :func:`open_root`.
    """
    if not is_remote(path):
        with Path(path).open("rb") as local:
            return hashlib.file_digest(local, "sha256").hexdigest()

    def read() -> str:
        options = _file_system(path, timeout, "fsspec_xrootd")
        digest = hashlib.sha256()
        with fsspec.open(path, "rb", **options) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    return retry(read, path, attempts=attempts)


def glob(pattern: str, *, timeout: float = TIMEOUT, attempts: int = ATTEMPTS) -> list[str]:
    """Files that match a URL with ``*`` in it, in alphabetical order.

    Parameters
    ----------
    pattern : str
        ``*`` stands for any characters of one name, ``**`` for folders at any depth.
    timeout, attempts
        As for :func:`open_root`, of each folder.

    Returns
    -------
    list of str
        URLs; empty if nothing matches.

    Raises
    ------
    FileNotFoundError, InputError
        As for :func:`open_root`; a folder that cannot be listed is never taken for an empty one.
    """
    options = _file_system(pattern, timeout, "fsspec_xrootd")
    system, path = fsspec.core.url_to_fs(pattern, **options)
    # Listings are kept between calls, and that of a server's top folder is not found again.
    system.invalidate_cache()
    folder = path[: path.index("*")].rpartition("/")[0]
    segments = path.removeprefix(folder).strip("/").split("/")

    @functools.cache
    def names(folder: str) -> dict[str, bool]:
        # Web servers list a folder under its name with a slash.
        place = f"{folder}/" if is_remote(folder) else folder or "/"
        where = system.unstrip_protocol(place)
        entries = retry(lambda: system.ls(place, detail=True), where, attempts=attempts)
        kinds = {e["name"].removeprefix(folder): e["type"] == "directory" for e in entries}
        stripped = {n.strip("/").removeprefix("./"): is_folder for n, is_folder in kinds.items()}
        # Pages that list a folder also link to elsewhere and to themselves in another order.
        return {n: f for n, f in stripped.items() if n and "/" not in n and not n.startswith("?")}

    return sorted(system.unstrip_protocol(p) for p in _matches(names, folder, segments))


def _matches(
    names: Callable[[str], dict[str, bool]], folder: str, segments: list[str]
) -> Iterator[str]:
    segment, *rest = segments
    inside = sorted(names(folder).items())
    if segment == "**":
        yield from _matches(names, folder, rest or ["*"])
        for name, is_folder in inside:
            if is_folder:
                yield from _matches(names, f"{folder}/{name}", segments)
        return
    wanted = re.compile(re.escape(segment).replace(r"\*", ".*"))
    for name, is_folder in inside:
        if not wanted.fullmatch(name) or is_folder != bool(rest):
            continue
        if rest:
            yield from _matches(names, f"{folder}/{name}", rest)
        else:
            yield f"{folder}/{name}"


def retry(action: Callable[[], T], path: str, *, attempts: int = ATTEMPTS) -> T:
    """Do something with a remote file, again while it fails as networks fail.

    Parameters
    ----------
    action : callable
        Without side effects that a repetition would double.
    path : str
        The file that it reads, for the message; what fails on a local one is not repeated.
    attempts : int

    Returns
    -------
    What ``action`` returns.

    Raises
    ------
    FileNotFoundError, InputError
        As for :func:`open_root`. Errors that are not of the network pass.
    """
    if not is_remote(path):
        return action()
    import aiohttp

    for attempt in itertools.count(1):
        try:
            return action()
        except (OSError, aiohttp.ClientError) as error:
            if _is_missing(error):
                raise FileNotFoundError(f"{path}: no such file") from error
            again = is_transient(error)
            if not (again or isinstance(error, aiohttp.ClientError) or _xrootd_status(error)):
                raise
            if attempt == attempts or not again:
                tries = f" ({attempt} attempts)" if attempt > 1 else ""
                what, advice = _explain(error)
                raise InputError(f"{path}: {what}{tries}; {advice}") from error
        time.sleep(_BACK_OFF * 2 ** (attempt - 1))
    raise AssertionError("unreachable")


def is_transient(error: BaseException) -> bool:
    """Whether a network or a file server may recover from an error.

    Parameters
    ----------
    error : exception
        Of opening a file, or of reading it much later: branches are read when they are first used.

    Returns
    -------
    bool
        False for everything that would fail the same way again. For an :class:`InputError`, what
        the error that it was raised from says.
    """
    import aiohttp

    if isinstance(error, InputError):
        return error.__cause__ is not None and is_transient(error.__cause__)
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status in _HTTP_TRANSIENT
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return False
    if status := _xrootd_status(error):
        return _XROOTD_TRANSIENT.search(status) is not None
    if isinstance(unresolved := getattr(error, "os_error", error), socket.gaierror):
        return unresolved.errno == socket.EAI_AGAIN
    network = ConnectionError, TimeoutError, BlockingIOError, aiohttp.ClientConnectionError
    if isinstance(error, (*network, aiohttp.ClientPayloadError)):
        return True
    if isinstance(error, OSError):
        return error.errno in _OS_TRANSIENT
    # Uproot closes a root:// file at its first error, and others may be reading it.
    return isinstance(error, ValueError) and str(error) == "I/O operation on closed file"


def _xrootd_status(error: BaseException) -> str:
    found = _XROOTD_STATUS.search(str(error)) if isinstance(error, OSError) else None
    return found[1].strip() if found else ""


def _is_missing(error: Exception) -> bool:
    # Uproot takes any error that a root:// server answers for a missing file.
    if status := _xrootd_status(error):
        return _XROOTD_MISSING.search(status) is not None
    return isinstance(error, FileNotFoundError) or getattr(error, "status", 0) in (404, 410)


def _explain(error: Exception) -> tuple[str, str]:
    """What happened and what to do about it."""
    status = _xrootd_status(error)
    if isinstance(error, TimeoutError) or _XROOTD_SILENT.search(status):
        return "the server does not answer", "try again later or raise 'timeout'"
    if untrusted := getattr(error, "certificate_error", None):
        reason = getattr(untrusted, "verify_message", "") or untrusted
        return (
            f"the certificate of the server is not trusted: {reason}",
            "set SSL_CERT_FILE to a file with that of the authority that signed it",
        )
    if code := getattr(error, "status", 0):
        what = f"the server answers {code} {getattr(error, 'message', '')}".strip()
    else:
        what = status or " ".join(str(error).split()) or type(error).__name__
    if is_transient(error):
        return what, "try again later"
    return what, "check the address and that you may read it"


def _is_xrootd(path: str) -> bool:
    return path.partition("://")[0].lower() in _XROOTD_SCHEMES


def _file_system(path: str, timeout: float, client: str = "XRootD") -> dict[str, Any]:
    """Options of the file system of a path, with the time-out [s]."""
    if path.lower().startswith(("http://", "https://")):
        return {"get_client": _http_session, "client_kwargs": {"timeout": timeout}}
    if not _is_xrootd(path):
        return {}
    if any(importlib.util.find_spec(module) is None for module in ("XRootD", client)):
        raise InputError(f"{path}: root:// needs its client; pip install 'nudipole[xrootd]'")
    from XRootD import client as xrootd

    seconds = max(1, math.ceil(timeout))
    settings = {
        "RequestTimeout": seconds,
        "StreamTimeout": seconds,
        "ConnectionWindow": seconds,
        # Repetitions are ours; the client would wait a whole window between its own.
        "ConnectionRetry": 1,
        # Time-outs are looked at this often; by default every 15 s.
        "TimeoutResolution": 1,
        # Half an hour by default, in which a server that failed once is not asked again.
        "StreamErrorWindow": 0,
    }
    for name, value in settings.items():
        xrootd.EnvPutInt(name, value)
    return {"timeout": seconds}


async def _http_session(*, timeout: float, **_: Any) -> Any:
    """Session of aiohttp: limits on silence, not on the length of a transfer."""
    import aiohttp

    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout),
        # Made here, where SSL_CERT_FILE is read again; aiohttp's own is made when it is imported.
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context()),
        headers={"Accept-Encoding": "identity"},
        raise_for_status=_refuse_whole_file,
    )


async def _refuse_whole_file(response: Any) -> None:
    # Uproot would take the first bytes of the file for the ones that it asked for.
    asked = "Range" in response.request_info.headers
    if asked and response.status == 200 and response.content_length != 0:
        response.close()
        raise InputError(
            f"{response.url}: the server sends whole files, no ranges of bytes; copy the file or "
            "read it from another server"
        )


class RangeSource(uproot.source.fsspec.FSSpecSource):
    """Source of Uproot whose reads fail with the error of the network."""

    _fs: Any

    def _open(self) -> None:
        super()._open()
        if self._async_impl and not isinstance(self._fs, CachingFileSystem):
            self._fs = _Raising(self._fs)


class _Raising:
    """File system of fsspec that raises the errors that it would return or replace."""

    def __init__(self, system: Any) -> None:
        self._system = system

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    async def _cat_ranges(self, **ranges: Any) -> list[bytes]:
        # By default errors come among the results, and surface as a TypeError of their slices.
        return await self._system._cat_ranges(**ranges, on_error="raise")

    def size(self, path: str) -> int | None:
        """Length of a file [bytes]; any failure would be a missing file."""
        try:
            return self._system.size(path)
        except FileNotFoundError as error:
            raise error.__cause__ or error from None
