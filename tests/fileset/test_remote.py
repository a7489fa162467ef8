"""Files behind a web server, read in ranges."""

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fileset import InputError, load_fileset, make_plan
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset


class RangeServer(http.server.SimpleHTTPRequestHandler):
    """Web server for files that answers range requests, as file servers do."""

    def log_message(self, *_: object) -> None:
        """Keep the test output clean."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = 0, len(content)
        if asked:
            start = int(asked[1])
            stop = min(int(asked[2]) + 1, len(content)) if asked[2] else len(content)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.write(content[start:stop])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served")
    simulate(out, sample="nuone", events=2000, seed=5)
    return out


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    def handler(*arguments: object) -> RangeServer:
        return RangeServer(*arguments, directory=str(folder))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_behind_a_web_server_gives_the_same_histogram_as_on_disk(
    folder: Path, address: str
) -> None:
    name = "nuone_fhc_0000.root"
    histograms = [
        process_fileset(
            load_fileset({"signal": {"files": [path], "is_mc": True}}),
            NuoneProcessor(variations="none"),
            Execution(),
        ).hist
        for path in (str(folder / name), f"{address}/{name}")
    ]
    assert histograms[0].sum(flow=True).value > 0
    np.testing.assert_array_equal(histograms[0].view(flow=True), histograms[1].view(flow=True))


def test_a_missing_remote_file_is_refused_in_one_line(address: str) -> None:
    fileset = load_fileset({"signal": {"files": [f"{address}/absent.root"]}})
    with pytest.raises(InputError, match=r"absent\.root: no such file"):
        make_plan(fileset)
