"""Downloads from a real server on 127.0.0.1: good, broken, slow, hostile; nothing goes further than this machine."""

from __future__ import annotations

import hashlib
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsep.errors import FileError, ModelError
from rtsep.model.published import pull
from rtsep.model.published.downloads import RetryPolicy, downloads_folder
from rtsep.model.published.pull import UnreachableError, fetch
from rtsep.model.published.registry import PublishedFile, PublishedModel, published

BODY = np.random.default_rng(3).bytes(300_000)
SHA = hashlib.sha256(BODY).hexdigest()
TAG = '"one"'
QUICK = RetryPolicy(connect_s=5, read_s=5, tries=3, backoff_s=0.01)


@dataclass
class Way:
    """How the server behaves, and what it saw."""

    body: bytes = BODY
    etag: str | None = TAG
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)  # of the next answers' bodies, how many bytes are sent
    statuses: list[int] = field(default_factory=list)  # of the next answers
    redirects: list[str] = field(default_factory=list)
    shift: int = 0  # how far the ranges that are sent lie off those that were asked for
    endless: bool = False
    silent: bool = False
    stalls: bool = False  # after the bytes of a break, instead of breaking off
    over: threading.Event = field(default_factory=threading.Event)
    seen: list[dict[str, str]] = field(default_factory=list)  # headers, and the path
    sent: list[int] = field(default_factory=list)  # bytes of body, answer by answer


class Handler(BaseHTTPRequestHandler):
    """A small file server with faults to order."""

    way: Way

    def do_GET(self) -> None:
        way = self.way
        way.seen.append({**{name.title(): value for name, value in self.headers.items()}, "Path": self.path})
        if way.silent:
            way.over.wait(10)
            return
        if way.redirects:
            return self.head(302, {"Location": way.redirects.pop(0), "Content-Length": "0"})
        if way.statuses:
            return self.head(way.statuses.pop(0), {"Content-Length": "0"})
        if way.endless:
            return self.pour_for_ever()
        start, headers = self.begin(way)
        end = way.breaks.pop(0) if way.breaks else len(way.body)
        piece = way.body[start : start + end]
        headers["Content-Length"] = str(len(way.body) - start)
        self.head(206 if start else 200, headers)
        way.sent.append(len(piece))  # before: who has received all of it may look at once
        self.wfile.write(piece)
        if way.stalls:
            way.over.wait(10)

    def begin(self, way: Way) -> tuple[int, dict[str, str]]:
        headers = {"ETag": way.etag} if way.etag else {}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and way.ranges and self.headers.get("If-Range", way.etag) == way.etag:
            start = int(asked[1]) + way.shift
            headers["Content-Range"] = f"bytes {start}-{len(way.body) - 1}/{len(way.body)}"
            return start, headers
        return 0, headers

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def pour_for_ever(self) -> None:
        self.head(200, {})
        sent = 0
        try:
            while sent < 1_000_000_000:
                self.wfile.write(bytes(65536))
                sent += 65536
        except OSError:
            pass
        self.way.sent.append(sent)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass(frozen=True)
class Server:
    way: Way
    root: str

    def model(self, name: str = "2stems", sha256: str = SHA, about: int = len(BODY)) -> PublishedModel:
        """Spleeter's entry with this server's file in the place of the archive."""
        file = PublishedFile(f"{name}.tar.gz", f"{self.root}/{name}.tar.gz", sha256, about)
        return replace(published("spleeter:2stems"), files=(file,))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    way = Way()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"way": way})) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Server(way, f"http://127.0.0.1:{http.server_address[1]}")
        way.over.set()
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MODEL_PATH, empty."""
    for variable in ("GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE", "OPENUNMIX_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "models"))
    return tmp_path / "models"


def refused(model: PublishedModel, retry: RetryPolicy = QUICK, kind: type[ModelError] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        fetch(model, retry=retry)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in message
    assert message.startswith(model.files[0].url)
    return message


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_checked_and_not_fetched_again(server: Server, folder: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    path = fetch(server.model(), lambda done, total: steps.append((done, total)), QUICK)
    assert path == folder / "2stems.tar.gz"
    assert path.read_bytes() == BODY
    assert left(folder) == ["2stems.tar.gz"]
    assert [total for _, total in steps] == [len(BODY)] * len(steps)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == len(BODY)
    assert server.way.seen[0]["Accept-Encoding"] == "identity"
    assert "Range" not in server.way.seen[0]

    steps.clear()
    assert fetch(server.model(), lambda done, total: steps.append((done, total)), QUICK) == path
    assert len(server.way.seen) == 1
    assert steps == [(len(BODY), len(BODY))]


def test_a_broken_download_goes_on_where_it_broke_off(server: Server) -> None:
    server.way.breaks = [100_000, 50_001]
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert [seen.get("Range") for seen in server.way.seen] == [None, "bytes=100000-", "bytes=150001-"]
    assert [seen.get("If-Range") for seen in server.way.seen] == [None, TAG, TAG]
    assert sum(server.way.sent) == len(BODY)  # nothing twice


def test_a_download_goes_on_in_a_later_run(server: Server, folder: Path) -> None:
    server.way.breaks = [70_000, 0, 0]
    message = refused(server.model())
    assert "broke off" in message and "3 times" in message
    assert "run it again to go on after the 70000 bytes" in message
    assert (folder / "2stems.tar.gz.part").read_bytes() == BODY[:70_000]
    assert not (folder / "2stems.tar.gz").exists()

    steps: list[int] = []
    assert fetch(server.model(), lambda done, _: steps.append(done), QUICK).read_bytes() == BODY
    assert server.way.seen[-1]["Range"] == "bytes=70000-"
    assert sum(server.way.sent) == len(BODY)
    assert steps[0] > 70_000 and steps[-1] == len(BODY)
    assert left(folder) == ["2stems.tar.gz"]


def test_a_part_that_is_whole_needs_no_server(server: Server, folder: Path) -> None:
    folder.mkdir()
    (folder / "2stems.tar.gz.part").write_bytes(BODY)
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert not server.way.seen


def test_a_file_that_changed_on_the_server_starts_anew(server: Server, folder: Path) -> None:
    folder.mkdir()
    (folder / "2stems.tar.gz.part").write_bytes(b"old" * 1000)
    (folder / "2stems.tar.gz.part.etag").write_text('"old"')
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert server.way.seen[0]["If-Range"] == '"old"'
    assert len(server.way.seen) == 1


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_the_range_alone_is_asked_for(server: Server, etag: str | None) -> None:
    server.way.etag, server.way.breaks = etag, [1000]
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert server.way.seen[1]["Range"] == "bytes=1000-"
    assert "If-Range" not in server.way.seen[1]


def test_a_server_without_ranges_starts_anew(server: Server) -> None:
    server.way.ranges, server.way.breaks = False, [100_000]
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert server.way.sent == [100_000, len(BODY)]


def test_a_range_that_was_not_asked_for_is_not_glued_on(server: Server) -> None:
    server.way.breaks, server.way.shift = [100_000], 7
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert [seen.get("Range") for seen in server.way.seen] == [None, "bytes=100000-", None]


def test_a_part_beyond_the_file_starts_anew(server: Server, folder: Path) -> None:
    folder.mkdir()
    (folder / "2stems.tar.gz.part").write_bytes(bytes(len(BODY) + 5))
    server.way.statuses = [416]
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert "Range" in server.way.seen[0] and "Range" not in server.way.seen[1]


def test_an_altered_file_is_deleted_and_both_hashes_are_said(server: Server, folder: Path) -> None:
    server.way.body = BODY[:-1] + bytes([BODY[-1] ^ 1])
    message = refused(server.model())
    assert hashlib.sha256(server.way.body).hexdigest() in message
    assert SHA in message
    assert "deleted" in message and "set GITHUB_HOST to a mirror" in message
    assert left(folder) == []


def test_a_shortened_hash_is_enough_to_see_it(server: Server, folder: Path) -> None:
    assert fetch(server.model("good", SHA[:8]), retry=QUICK).read_bytes() == BODY
    assert "published is 00000000..." in refused(server.model("bad", "00000000"))
    assert left(folder) == ["good.tar.gz"]


def test_a_file_of_the_users_that_is_another_is_left_alone(server: Server, folder: Path) -> None:
    folder.mkdir()
    (folder / "2stems.tar.gz").write_bytes(b"mine")
    with pytest.raises(ModelError, match="move it away and run it again"):
        fetch(server.model(), retry=QUICK)
    assert (folder / "2stems.tar.gz").read_bytes() == b"mine"
    assert not server.way.seen


def test_what_does_not_exist_is_said_at_once(server: Server, folder: Path) -> None:
    server.way.statuses = [404]
    message = refused(server.model())
    assert "does not exist (404)" in message
    assert "set GITHUB_HOST to a mirror" in message
    assert "fetch 2stems.tar.gz otherwise and run: rtsep import spleeter PATH" in message
    assert len(server.way.seen) == 1


def test_a_server_in_trouble_is_asked_again(server: Server) -> None:
    server.way.statuses = [503, 500]
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    server.way.statuses = [503] * 3
    assert "answers 503 Service Unavailable, 3 times; run it again" in refused(server.model("other"))
    server.way.statuses = [403]
    assert "answers 403 Forbidden" in refused(server.model("other"))


def test_a_silent_server_is_given_up(server: Server) -> None:
    server.way.silent = True
    before = time.monotonic()
    message = refused(server.model(), RetryPolicy(read_s=0.1, tries=2, backoff_s=0.05), UnreachableError)
    assert "sent nothing for 0.1 s, 2 times" in message
    assert 0.25 <= time.monotonic() - before < 3
    assert len(server.way.seen) == 2


def test_a_server_that_falls_silent_is_left_with_what_it_sent(server: Server, folder: Path) -> None:
    server.way.stalls, server.way.breaks = True, [40_000, 20_000]
    message = refused(server.model(), RetryPolicy(read_s=0.2, tries=2, backoff_s=0))
    assert "sent nothing for 0.2 s, 2 times; run it again to go on after the 60000 bytes" in message
    assert (folder / "2stems.tar.gz.part").read_bytes() == BODY[:60_000]


def test_a_host_that_is_not_there(server: Server) -> None:
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        gone = replace(server, root=f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ModelError, match=r"cannot be reached \(.*refused.*\), 3 times") as caught:
            fetch(gone.model(), retry=QUICK)
        assert "secret" not in str(caught.value)
        # one try is enough where there is another way
        with pytest.raises(UnreachableError, match=r"cannot be reached \(.*refused.*\); run it again") as reach:
            fetch(gone.model(), retry=replace(QUICK, backoff_s=60), retry_unreachable=False)
    assert reach.value.notice == "127.0.0.1 cannot be reached (Connection refused)"


def test_an_endless_body_is_cut_off(server: Server, folder: Path) -> None:
    server.way.endless = True
    assert "sends more than the 600000 bytes" in refused(server.model())
    assert left(folder) == []
    for _ in range(100):
        if server.way.sent:
            break
        time.sleep(0.02)
    assert server.way.sent[0] < 100_000_000  # what fits into sockets, and no more
    assert len(server.way.seen) == 1


def test_a_body_that_announces_too_much_is_not_read(server: Server, folder: Path) -> None:
    assert "announces 300000 bytes, at most 200000 are read" in refused(server.model(about=100_000))
    assert left(folder) == []


def test_a_redirect_is_followed_with_its_range(server: Server) -> None:
    server.way.redirects, server.way.breaks = ["/elsewhere"], [1000]
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert [seen["Path"] for seen in server.way.seen] == ["/2stems.tar.gz", "/elsewhere", "/2stems.tar.gz"]


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_a_redirect_to_anything_but_http_is_refused(server: Server, folder: Path, target: str) -> None:
    server.way.redirects = [target]
    message = refused(server.model())
    assert f"leads to {target}, which is neither http nor https" in message
    assert len(server.way.seen) == 1
    assert left(folder) == []


def test_a_redirect_from_https_down_to_http_is_refused() -> None:
    with pytest.raises(ValueError, match="http://b/c, from https down to http"):
        pull._onward("https://a/x", "http://b/c")
    assert pull._onward("https://a/x/y", "z") == "https://a/x/z"
    assert pull._onward("http://a/x", "https://b/") == "https://b/"


def test_redirects_come_to_an_end(server: Server) -> None:
    server.way.redirects = ["/again"] * 20
    assert "more than 5 times" in refused(server.model())
    server.way.redirects = ["http://[bad"]
    assert "leads to an address that is none" in refused(server.model())


@pytest.mark.parametrize("host", ["ftp://127.0.0.1", "127.0.0.1", "file:///tmp"])
def test_a_mirror_must_be_http(server: Server, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("GITHUB_HOST", host)
    assert "is neither http nor https; set GITHUB_HOST" in refused(published("spleeter:2stems"))
    monkeypatch.setenv("GITHUB_HOST", "http://[bad")
    assert "cannot be asked for" in refused(published("spleeter:2stems"))


def test_mirrors_are_asked_and_their_files_are_not_trusted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_HOST", server.root)
    monkeypatch.setenv("OPENUNMIX_HOST", server.root)
    assert "f3a90b39dd28" in refused(published("spleeter:2stems-16kHz"))
    message = refused(published("openunmix:umxhq"))
    assert "8d85a5bd..." in message and "set OPENUNMIX_HOST to a mirror" in message
    assert "fetch its files otherwise and run: rtsep import openunmix PATH" in message
    assert [seen["Path"] for seen in server.way.seen] == [
        "/deezer/spleeter/releases/download/v1.4.0/2stems.tar.gz",
        "/records/3370489/files/bass-8d85a5bd.pth",
    ]


def test_open_unmix_is_a_folder_of_its_files(server: Server, folder: Path) -> None:
    files = tuple(PublishedFile(name, f"{server.root}/{name}", SHA[:8], 290_000) for name in ("a.pth", "b.pth"))
    model = replace(published("openunmix:umx"), files=files)
    steps: list[tuple[int, int | None]] = []
    path = fetch(model, lambda done, total: steps.append((done, total)), QUICK)
    assert path == folder / "openunmix-umx"
    assert [(path / file.name).read_bytes() for file in files] == [BODY, BODY]
    assert steps[0][1] == 590_000 and steps[-1] == (600_000, 600_000)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    (path / "a.pth").unlink()
    assert fetch(model, retry=QUICK) == path
    assert [seen["Path"] for seen in server.way.seen] == ["/a.pth", "/b.pth", "/a.pth"]


def test_a_checkpoint_in_model_path_is_taken_as_it_is(server: Server, folder: Path) -> None:
    inside = folder / "2stems"
    inside.mkdir(parents=True)
    (inside / "checkpoint").write_text('model_checkpoint_path: "model"')
    (inside / "model.index").touch()
    assert fetch(server.model(), retry=QUICK) == folder / "2stems.tar.gz"  # half a checkpoint is none
    (inside / "model.data-00000-of-00001").touch()
    server.way.seen.clear()
    assert fetch(server.model(), retry=QUICK) == inside
    assert not server.way.seen


def test_without_model_path_it_is_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_PATH")
    assert downloads_folder().name == "downloads"
    assert "rtsep" in downloads_folder().parts


def test_a_folder_that_cannot_be_made_is_an_error_of_the_disk(server: Server, folder: Path) -> None:
    folder.write_text("a file is in the way")
    with pytest.raises(FileError, match="set MODEL_PATH to another folder"):
        fetch(server.model(), retry=QUICK)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_keeps_what_has_arrived(server: Server, folder: Path) -> None:
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (123_456, hard))
    try:
        with pytest.raises(FileError, match="what has arrived is kept") as caught:
            fetch(server.model(), retry=QUICK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert (folder / "2stems.tar.gz.part").read_bytes() == BODY[:123_456]
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
    assert server.way.seen[-1]["Range"] == "bytes=123456-"


def test_a_proxy_that_is_set_is_not_asked_for_what_it_must_not(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch(server.model(), retry=QUICK).read_bytes() == BODY
