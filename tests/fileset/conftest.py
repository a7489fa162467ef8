"""Servers on the loopback interface, well and badly behaved, for the tests of remote input."""

import contextlib
import functools
import http.server
import importlib.util
import itertools
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


class WebHandler(http.server.SimpleHTTPRequestHandler):
    """Files and listings of a folder, in ranges, as file servers give them."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "WebServer"

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests += 1
        fault = next(self.server.faults, None)
        path = Path(self.translate_path(self.path))
        if isinstance(fault, int):
            self.send_error(fault)
        elif path.is_dir():
            super().do_GET()
        elif path.is_file():
            self.send_content(path.read_bytes(), fault)
        else:
            self.send_error(404)

    def send_content(self, content: bytes, fault: str | None) -> None:
        """Send what was asked for, or what the fault leaves of it."""
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = 0, len(content)
        if asked and fault != "whole":
            start, stop = int(asked[1]), min(int(asked[2] or stop) + 1, stop)
        self.send_response(206 if asked and fault != "whole" else 200)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = (start + stop) // 2 if fault in ("stall", "cut") else stop
        self.wfile.write(content[start:half])
        if fault == "stall":
            self.server.released.wait(30)
        self.close_connection = half < stop


class WebServer(http.server.ThreadingHTTPServer):
    """Web server whose next answers can be made to fail.

    Attributes
    ----------
    url : str
    requests : int
        How many came.
    faults : iterator
        What is wrong with each following answer: a status of HTTP, "whole" (ranges are ignored),
        "stall" (silence in the middle of the content), "cut" (the connection ends there) or None.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(WebHandler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests = 0
        self.faults: Iterator[Any] = iter(())
        self.released = threading.Event()

    def secure(self, context: ssl.SSLContext) -> None:
        """Serve https."""
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_port}"

    def fail(self, *faults: Any) -> None:
        """Set what is wrong with the next answers."""
        self.faults = iter(faults)

    def always(self, fault: Any) -> None:
        """Set what is wrong with all answers."""
        self.faults = itertools.repeat(fault)

    def handle_error(self, *_: object) -> None:
        """Clients that went away are part of the tests."""


class XrootdServer:
    """The ``xrootd`` program, serving a folder read-only.

    Attributes
    ----------
    url : str
        With one of the two slashes between server and path.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self.port = "any"
        self.start()

    def start(self) -> None:
        """Start it, after a :meth:`kill` on the same port."""
        config, log = self.home / "xrootd.cfg", self.home / "log"
        config.write_text(
            f"all.export / r/o\noss.localroot {self.folder}\nall.adminpath {self.home}/admin\n"
            f"all.pidpath {self.home}/pid\nxrd.port {self.port}\n",
            encoding="utf-8",
        )
        command = ["xrootd", "-c", str(config), "-s", str(self.home / "xrootd.pid")]
        if os.getuid() == 0:
            # It refuses to run as root.
            command += ["-R", "nobody"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=self.home, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 20
        while not (ready := re.search(r":(\d+) initialization completed", log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"xrootd did not start: {log.read_text()}")
            time.sleep(0.02)
        self.port = ready[1]
        self.url = f"root://127.0.0.1:{self.port}/"

    def pause(self) -> None:
        """Be silent: connections are accepted, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End at once."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def web() -> Iterator[Callable[[Path], WebServer]]:
    """Function that serves a folder over http."""
    with contextlib.ExitStack() as servers:

        def serve(folder: Path, context: ssl.SSLContext | None = None) -> WebServer:
            server = servers.enter_context(WebServer(folder))
            if context:
                server.secure(context)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            servers.callback(thread.join)
            servers.callback(server.shutdown)
            servers.callback(server.released.set)
            return server

        yield serve


@pytest.fixture
def mute() -> Iterator[str]:
    """Address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    """Address where no server is."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def xrootd_client() -> None:
    """Client of root://; skips, loudly, where it is not installed."""
    for module in ("XRootD", "fsspec_xrootd"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no module {module}: root:// is NOT tested; pip install -e '.[xrootd]'")


@pytest.fixture
def xrootd(xrootd_client: None) -> Iterator[Callable[[Path], XrootdServer]]:
    """Function that serves a copy of a folder over root://; skips, loudly, without the server."""
    if shutil.which("xrootd") is None:
        pytest.skip("no program xrootd: root:// is NOT tested; apt-get install xrootd-server")
    with contextlib.ExitStack() as servers:

        def serve(folder: Path) -> XrootdServer:
            # Not in pytest's folders, which other users cannot enter.
            home = Path(servers.enter_context(tempfile.TemporaryDirectory(prefix="xrootd-")))
            home.chmod(0o777)
            served = home / "served"
            shutil.copytree(folder, served)
            for path in (served, *served.rglob("*")):
                path.chmod(0o755)
            server = XrootdServer(home, served)
            servers.callback(server.kill)
            return server

        yield serve
