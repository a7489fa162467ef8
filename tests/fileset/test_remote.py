"""Files behind real servers on this machine: the same as on disk, or refused in bounded time."""

import itertools
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme
import uproot
from fsspec.implementations.http import HTTPFileSystem

from fileset import InputError, load_fileset, make_plan
from fileset.remote import glob, is_transient, open_root, retry
from fileset.simulate import simulate
from processors import NuoneProcessor
from processors.pipeline import Execution, process_fileset

NAME = "nuone_fhc_0000.root"
ROOT = Path(__file__).resolve().parents[2]

Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served")
    simulate(out, sample="nuone", events=2000, seed=5)
    (out / "more" / "deep").mkdir(parents=True)
    for name in ("more/a.root", "more/b.root", "more/deep/c.root", "more/notes.txt"):
        (out / name).write_bytes(b"not a ROOT file" * 100)
    return out


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(folder: Path, authority: trustme.CA, web: Serve) -> Any:
    """Server of https whose certificate is signed by the authority of the tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return web(folder, context)


@pytest.fixture
def trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """File with the certificate of the authority, which this process trusts."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    # Sessions are kept, with what was trusted when they were made.
    HTTPFileSystem.clear_instance_cache()
    yield path
    HTTPFileSystem.clear_instance_cache()


def filled(path: str) -> np.ndarray:
    fileset = load_fileset({"signal": {"files": [path], "is_mc": True}})
    result = process_fileset(fileset, NuoneProcessor(variations="none"), Execution())
    return result.hist.view(flow=True)


def elapsed(action: Callable[[], object]) -> float:
    """Seconds until an action fails as the server's silence makes it fail."""
    start = time.monotonic()
    with pytest.raises(InputError, match="does not answer"):
        action()
    return time.monotonic() - start


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("scheme", ["http", "https", "root"])
def test_a_file_behind_a_server_gives_the_same_histogram_as_on_disk(
    folder: Path, request: pytest.FixtureRequest, scheme: str
) -> None:
    if scheme == "https":
        server = request.getfixturevalue("secure")
    else:
        server = request.getfixturevalue({"http": "web", "root": "xrootd"}[scheme])(folder)
    on_disk = filled(str(folder / NAME))
    assert on_disk["value"].sum() > 0
    assert server.url.startswith(f"{scheme}://")
    np.testing.assert_array_equal(filled(f"{server.url}/{NAME}"), on_disk)


def test_the_command_line_trusts_the_authority_in_the_environment(
    secure: Any, trusted: Path
) -> None:
    listed = subprocess.run(
        [sys.executable, "run.py", "files", f"{secure.url}/{NAME}"],
        cwd=ROOT,
        env=os.environ | {"SSL_CERT_FILE": str(trusted)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert listed.returncode == 0, listed.stderr
    assert "nova_caf" in listed.stdout


def test_a_certificate_that_is_not_trusted_is_refused_and_says_how_to_trust_it(secure: Any) -> None:
    with pytest.raises(InputError, match=r"not trusted: .*; set SSL_CERT_FILE"):
        open_root(f"{secure.url}/{NAME}")


@pytest.mark.parametrize("protocol", ["web", "xrootd"])
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.root", [NAME]),
        ("more/*.root", ["more/a.root", "more/b.root"]),
        ("m*/deep/c*", ["more/deep/c.root"]),
        ("**/*.root", ["more/a.root", "more/b.root", "more/deep/c.root", NAME]),
        ("more/absent*", []),
    ],
)
def test_a_pattern_finds_files_at_any_depth(
    folder: Path, request: pytest.FixtureRequest, protocol: str, pattern: str, expected: list[str]
) -> None:
    url = request.getfixturevalue(protocol)(folder).url
    assert glob(f"{url}/{pattern}") == [f"{url}/{name}" for name in expected]


def test_a_pattern_over_xrootd_describes_a_dataset(folder: Path, xrootd: Serve) -> None:
    server = xrootd(folder)
    fileset = load_fileset({"signal": {"files": [f"{server.url}/nuone_*.root"], "is_mc": True}})
    assert list(fileset["signal"].files) == [f"{server.url}/{NAME}"]
    assert {chunk.path for chunk in make_plan(fileset)} == {f"{server.url}/{NAME}"}


@pytest.mark.parametrize("protocol", ["web", "xrootd"])
def test_a_missing_file_is_missing_over_every_protocol_and_asked_for_once(
    folder: Path, request: pytest.FixtureRequest, protocol: str
) -> None:
    url = f"{request.getfixturevalue(protocol)(folder).url}/absent.root"
    with pytest.raises(FileNotFoundError, match=r"absent\.root: no such file"):
        open_root(url)
    with pytest.raises(InputError, match=r"absent\.root: no such file"):
        make_plan(load_fileset({"signal": {"files": [url]}}))


@pytest.mark.parametrize("protocol", ["web", "xrootd"])
def test_a_folder_that_is_missing_is_not_an_empty_one(
    folder: Path, request: pytest.FixtureRequest, protocol: str
) -> None:
    url = request.getfixturevalue(protocol)(folder).url
    with pytest.raises(FileNotFoundError, match=r"/absent/?: no such file"):
        glob(f"{url}/absent/*.root")


@pytest.mark.parametrize("protocol", ["web", "xrootd"])
def test_a_file_that_is_not_root_is_refused_as_on_disk(
    folder: Path, request: pytest.FixtureRequest, protocol: str
) -> None:
    url = request.getfixturevalue(protocol)(folder).url
    with pytest.raises(ValueError, match="not a ROOT file"):
        open_root(f"{url}/more/a.root")


@pytest.mark.parametrize("fault", [503, 429, "cut", "stall"])
def test_what_a_web_server_recovers_from_is_tried_again(
    folder: Path, web: Serve, fault: Any
) -> None:
    server = web(folder)
    server.fail(fault)
    assert open_root(f"{server.url}/{NAME}", timeout=1).keys()
    assert next(server.faults, "used") == "used"


def test_a_web_server_that_does_not_recover_is_given_up_after_the_attempts(
    folder: Path, web: Serve
) -> None:
    server = web(folder)
    server.always(503)
    with pytest.raises(InputError, match=r"answers 503 Service Unavailable \(2 attempts\); try"):
        open_root(f"{server.url}/{NAME}", attempts=2)
    assert server.requests == 2


@pytest.mark.parametrize(
    ("fault", "message"),
    [(403, "answers 403 Forbidden"), (410, "no such file"), ("whole", "whole files, no ranges")],
)
def test_what_a_web_server_does_not_recover_from_is_asked_for_once(
    folder: Path, web: Serve, fault: Any, message: str
) -> None:
    server = web(folder)
    server.always(fault)
    with pytest.raises((InputError, FileNotFoundError), match=message):
        open_root(f"{server.url}/{NAME}")
    assert server.requests == 1


def test_a_file_without_permission_over_xrootd_is_not_a_missing_one(
    folder: Path, xrootd: Serve
) -> None:
    server = xrootd(folder)
    (server.folder / NAME).chmod(0)
    with pytest.raises(InputError, match=r"\[3010\] .*permission denied; check"):
        open_root(f"{server.url}/{NAME}")


@pytest.mark.parametrize("scheme", ["http", "https", "root"])
def test_a_server_that_never_answers_is_given_up_in_time(
    mute: str, request: pytest.FixtureRequest, scheme: str
) -> None:
    if scheme == "root":
        request.getfixturevalue("xrootd_client")
    url = f"{scheme}://{mute}//a.root"
    assert 0.5 < elapsed(lambda: open_root(url, timeout=1, attempts=1)) < 4


@pytest.mark.parametrize("scheme", ["http", "root"])
def test_where_no_server_is_two_attempts_are_made_without_waiting_for_the_time_out(
    nobody: str, request: pytest.FixtureRequest, scheme: str
) -> None:
    if scheme == "root":
        request.getfixturevalue("xrootd_client")
    start = time.monotonic()
    with pytest.raises(InputError, match=r"(?i)connect.* \(2 attempts\); try again later"):
        open_root(f"{scheme}://{nobody}//a.root", timeout=20, attempts=2)
    assert time.monotonic() - start < 4


def test_listing_a_silent_xrootd_server_is_given_up_in_time(folder: Path, xrootd: Serve) -> None:
    server = xrootd(folder)
    server.pause()
    assert elapsed(lambda: glob(f"{server.url}/*.root", timeout=1, attempts=1)) < 4


def test_a_web_server_that_stalls_while_branches_are_read_gives_a_transient_error(
    folder: Path, web: Serve
) -> None:
    server = web(folder)
    tree = open_root(f"{server.url}/{NAME}", timeout=1)["recTree"]
    server.always("stall")
    with pytest.raises(TimeoutError, match="Timeout on reading") as stalled:
        tree["rec.hdr.run"].array()
    assert is_transient(stalled.value)


@pytest.mark.parametrize(("fault", "transient"), [("cut", True), (503, True), (403, False)])
def test_what_fails_while_branches_are_read_over_http_can_be_told_apart(
    folder: Path, web: Serve, fault: Any, transient: bool
) -> None:
    server = web(folder)
    tree = open_root(f"{server.url}/{NAME}")["recTree"]
    server.always(fault)
    with pytest.raises(Exception, match=r"not completed|503|403") as failed:
        tree["rec.hdr.run"].array()
    assert is_transient(failed.value) is transient


def test_the_size_of_a_file_on_a_failing_web_server_is_not_a_missing_file(
    folder: Path, web: Serve
) -> None:
    server = web(folder)
    file = open_root(f"{server.url}/{NAME}")
    server.fail(503, 503)
    size = retry(lambda: file.file.source.num_bytes, server.url)
    assert size == (folder / NAME).stat().st_size


def test_an_xrootd_server_that_stalls_while_branches_are_read_gives_a_transient_error(
    folder: Path, xrootd: Serve
) -> None:
    server = xrootd(folder)
    url = f"{server.url}/{NAME}"
    tree = open_root(url, timeout=1)["recTree"]
    server.pause()
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="Operation expired") as stalled:
        tree["rec.hdr.run"].array()
    assert time.monotonic() - start < 5
    assert is_transient(stalled.value)
    server.resume()
    assert len(open_root(url, timeout=1)["recTree/rec.hdr.run"].array()) == tree.num_entries


def test_an_xrootd_server_that_dies_while_branches_are_read_is_found_again(
    folder: Path, xrootd: Serve
) -> None:
    server = xrootd(folder)
    url = f"{server.url}/{NAME}"
    tree = open_root(url, timeout=5)["recTree"]
    server.kill()
    with pytest.raises(OSError, match="Connection error") as dead:
        tree["rec.hdr.run"].array()
    assert is_transient(dead.value)
    server.start()
    assert len(open_root(url, timeout=5)["recTree/rec.hdr.run"].array()) == tree.num_entries


def test_a_connection_cut_in_the_middle_of_a_run_costs_nothing(folder: Path, web: Serve) -> None:
    server = web(folder)
    undisturbed = filled(f"{server.url}/{NAME}")
    server.faults = itertools.chain([None] * (server.requests - 1), ["cut"])
    np.testing.assert_array_equal(filled(f"{server.url}/{NAME}"), undisturbed)
    assert next(server.faults, "used") == "used"


def test_without_its_client_a_path_of_xrootd_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "XRootD", None)
    with pytest.raises(InputError, match=r"pip install 'nudipole\[xrootd\]'"):
        open_root("root://server//a.root")


def test_a_file_on_disk_is_opened_as_ever(folder: Path) -> None:
    assert isinstance(open_root(str(folder / NAME)), uproot.ReadOnlyDirectory)
    with pytest.raises(FileNotFoundError, match=r"absent\.root"):
        open_root(str(folder / "absent.root"))


@pytest.mark.parametrize(
    ("text", "transient"),
    [
        ("XRootD error: [FATAL] Socket timeout in file root://h//a", True),
        ("File did not vector_read properly: [ERROR] Stream disconnect", True),
        ("[ERROR] Server responded with an error: [3024] Overloaded", True),
        ("[ERROR] Server responded with an error: [3010] permission denied", False),
        ("[FATAL] Auth failed", False),
        ("[FATAL] Invalid address", False),
    ],
)
def test_the_status_of_the_xrootd_client_says_whether_it_may_recover(
    text: str, transient: bool
) -> None:
    assert is_transient(OSError(text)) is transient


def test_a_refusal_is_as_transient_as_what_it_was_raised_from(nobody: str) -> None:
    with pytest.raises(InputError, match="Cannot connect") as refused:
        open_root(f"http://{nobody}/a.root", attempts=1)
    assert is_transient(refused.value)
    assert not is_transient(InputError("no tree in it"))
