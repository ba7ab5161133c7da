"""The catalogue of public traces, against a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gpuyard.errors import ConfigError, InputError
from gpuyard.traces import FORMATS
from gpuyard.traces.catalogue import HOST, Entry, entries, entry, fetch

BODY = b"node,num\r\n6214e9,12\n"


class Answers(BaseHTTPRequestHandler):
    """Answers every request as the server's ``mode`` says, and remembers its path."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.mode == "missing":
            self.send_error(404)
            return
        body = b"something else\n" if self.server.mode == "changed" else BODY
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY) if self.server.mode != "changed" else len(body)))
        self.end_headers()
        self.wfile.write(body[:7] if self.server.mode == "cut" else body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        running.mode, running.asked = "good", []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A catalogue of one small file whose bytes are those of BODY."""
    only = Entry(
        name="small", kind="inventory", format="", description="a small file", repository="someone/things",
        commit="0123456789abcdef0123456789abcdef01234567", path="a folder/small.csv", bytes=len(BODY),
        sha256=hashlib.sha256(BODY).hexdigest(), licence="CC0-1.0", citation="nobody",
    )  # fmt: skip
    monkeypatch.setattr("gpuyard.traces.catalogue.entries", lambda: (only,))
    return only


def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/mirror/"


def test_every_entry_is_pinned_to_a_commit_and_a_hash_and_names_licence_and_citation() -> None:
    assert len(entries()) == 25
    for item in entries():
        assert len(item.commit) == 40
        assert set(item.commit) <= set("0123456789abcdef")
        assert len(item.sha256) == 64
        assert set(item.sha256) <= set("0123456789abcdef")
        assert item.bytes > 0
        assert item.licence
        assert item.citation
        assert item.kind in {"jobs", "requests", "inventory", "topology", "series"}


def test_names_and_files_are_unique_so_that_no_download_hides_another() -> None:
    assert len({item.name for item in entries()}) == len(entries())
    assert len({item.file for item in entries()}) == len(entries())


def test_formats_named_in_the_catalogue_are_formats_that_can_be_read() -> None:
    assert {item.format for item in entries()} - {""} <= set(FORMATS)


def test_the_address_quotes_spaces_and_keeps_the_commit() -> None:
    assert entry("philly-vcs").url() == (
        f"{HOST}/S-Lab-System-Group/HeliosArtifact/bdaae109c21f8038a2331e6a23a582d5ae78ab5b"
        "/framework/QSSF%20Service/data/philly_vc.csv"
    )


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'philly'"):
        entry("phily")


def test_a_good_download_has_the_bytes_and_leaves_nothing_else(
    server: ThreadingHTTPServer, known: Entry, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "folder"
    path = fetch("small", folder, base_url=address(server))
    assert path == folder / "small.csv"
    assert path.read_bytes() == BODY
    assert [item.name for item in folder.iterdir()] == ["small.csv"]
    assert server.asked == ["/mirror/someone/things/0123456789abcdef0123456789abcdef01234567/a%20folder/small.csv"]


def test_a_file_that_is_there_already_is_not_fetched_again(
    server: ThreadingHTTPServer, known: Entry, tmp_path: Path
) -> None:
    (tmp_path / "small.csv").write_bytes(BODY)
    assert fetch("small", tmp_path, base_url=address(server)).read_bytes() == BODY
    assert server.asked == []


def test_another_file_of_that_name_is_never_overwritten(
    server: ThreadingHTTPServer, known: Entry, tmp_path: Path
) -> None:
    (tmp_path / "small.csv").write_bytes(b"mine")
    with pytest.raises(InputError, match="another file already has the name"):
        fetch("small", tmp_path, base_url=address(server))
    assert (tmp_path / "small.csv").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("mode", "said"),
    [("changed", "SHA-256 is not"), ("missing", "the server answers 404"), ("cut", "cannot be fetched|SHA-256 is not")],
)
def test_what_is_wrong_is_refused_and_nothing_is_left_behind(
    server: ThreadingHTTPServer, known: Entry, tmp_path: Path, mode: str, said: str
) -> None:
    server.mode = mode
    with pytest.raises(InputError, match=said):
        fetch("small", tmp_path / "new" / "folder", base_url=address(server))
    assert list(tmp_path.rglob("*")) == []


def test_without_a_connection_the_error_says_what_to_do(known: Entry, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"download the file on another machine and save it as .*small\.csv"):
        fetch("small", tmp_path, base_url="http://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_the_users_to_change(
    server: ThreadingHTTPServer, known: Entry, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="choose a folder that can be written to"):
        fetch("small", tmp_path / "file" / "folder", base_url=address(server))


def test_a_progress_bar_goes_to_standard_error(
    server: ThreadingHTTPServer, known: Entry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch("small", tmp_path, base_url=address(server), progress=True)
    shown = capsys.readouterr()
    assert "small" in shown.err
    assert shown.out == ""
