"""Download published models: resumed where they broke off, never beyond a size, checked before they count.

What arrives is kept in a `.part` file (its ETag in a `.part.etag` beside it) and asked for again
from its end (RFC 9110, range requests). Only a file with the published sha256 gets its real name.
Pooch decides whether a file is needed and puts it in its place; how it comes is ours, since
Pooch's own downloader does not resume.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from http.client import responses as phrases  # the server's own would reach the terminal unchecked
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pooch  # type: ignore[import-untyped]
import requests
import urllib3

from rtsep.errors import FileError, ModelError
from rtsep.model.published.downloads import (
    RETRY_POLICY,
    OnProgress,
    RetryPolicy,
    downloads_folder,
    own_checkpoint,
    printable,
)
from rtsep.model.published.registry import PublishedFile, PublishedModel, store_name
from rtsep.model.store import digest

CHUNK_BYTES = 1 << 16
MAX_REDIRECTS = 5
PASSING = (408, 429, 500, 502, 503, 504)  # answers that another try may better
STRONG_ETAG = re.compile(r'"[!#-~]{0,200}"')  # a weak one does not promise equal bytes
CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")

pooch.get_logger().setLevel("WARNING")  # what there is to say, the progress says


class UnreachableError(ModelError):
    """A host that cannot be spoken with at all.

    Args:
        message: the one line for people.
        notice: which host, and why.
    """

    def __init__(self, message: str, notice: str) -> None:
        super().__init__(message)
        self.notice = notice


def fetch(
    published: PublishedModel,
    on_progress: OnProgress | None = None,
    retry: RetryPolicy = RETRY_POLICY,
    retry_unreachable: bool = True,
) -> Path:
    """Get the original files of a published model; what is there already and right is not downloaded again.

    Args:
        published: the model.
        on_progress: counts the bytes of all files together; the total is None where the server does not say it, and an
            estimate until the last file has begun.
        retry: how long to wait, and how often to try again.
        retry_unreachable: whether a host that cannot be reached is tried again; there may be another way.

    Returns:
        For Spleeter the `.tar.gz`, or, without any download, the folder MODEL_PATH/<weights> if it holds a checkpoint.
        For Open-Unmix the folder with the `.pth` files.

    Raises:
        UnreachableError: for a host that cannot be reached.
        ModelError: for a server that does not have the file, breaks off or sends another one.
        FileError: where the disk is full or cannot be written. After any of them, running it again goes on with what
            has arrived.
    """
    folder = downloads_folder()
    if published.family == "spleeter":
        if there := own_checkpoint(published.weights):
            return there
    else:
        folder /= store_name(published.name)
    done, ahead = 0, published.about_bytes
    try:
        for file in published.files:
            ahead -= file.about_bytes
            shifted = _shifted(on_progress, done, ahead)
            part = folder / f"{file.name}.part"
            _get(file, folder, _Download(file, part, published, shifted, retry, retry_unreachable))
            done += (folder / file.name).stat().st_size
    except OSError as error:
        raise FileError(
            f"{folder}: {error.strerror or error}; make room there or set MODEL_PATH to another folder, "
            f"and run it again: what has arrived is kept"
        ) from error
    return folder / published.files[0].name if published.family == "spleeter" else folder


def _shifted(on_progress: OnProgress | None, done: int, ahead: int) -> OnProgress:
    """Make a file's progress into that of all files: `done` bytes before it, about `ahead` after it."""

    def shifted(size: int, total: int | None) -> None:
        if on_progress is not None:
            on_progress(done + size, None if total is None else done + total + ahead)

    return shifted


def _get(file: PublishedFile, folder: Path, download: _Download) -> None:
    target = folder / file.name
    if target.is_file():
        if not (real := digest(target)).startswith(file.sha256):
            raise ModelError(
                f"{target} has sha256 {real}, published is {_written(file)}; move it away and run it again"
            )
        size = target.stat().st_size
        download.on_progress(size, size)
        return
    folder.mkdir(parents=True, exist_ok=True)
    whole = f"sha256:{file.sha256}" if len(file.sha256) == 64 else None  # Pooch knows no shortened ones
    pooch.retrieve(file.url, known_hash=whole, fname=file.name, path=folder, downloader=download)


class _BrokenOffError(Exception):
    """A try that failed in a way that the next one may not; the message goes on from the URL."""


class _OutOfReachError(_BrokenOffError):
    """A try that the host of `url` did not answer at all."""

    def __init__(self, what: str, url: str) -> None:
        super().__init__(what)
        self.notice = f"{printable(urlsplit(url).hostname or url)} {what}"


class _Session(requests.Session):
    """Leaves redirects to us: the library would read the whole body of one, however long."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


@dataclass(frozen=True)
class _Download:
    """How one file comes, as Pooch calls it."""

    file: PublishedFile
    part: Path
    published: PublishedModel
    on_progress: OnProgress
    retry: RetryPolicy
    retry_unreachable: bool

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Bring the file to `output_file`, right and whole, or raise."""
        # a part may be whole already, if the program was ended in its last moment
        if not self._have() or not digest(self.part).startswith(self.file.sha256):
            self._receive()
            if not (real := digest(self.part)).startswith(self.file.sha256):
                self._forget()
                raise self._refusal(f"has sha256 {real}, published is {_written(self.file)}; what came is deleted")
        self.part.replace(output_file)
        self._forget()

    def _receive(self) -> None:
        last: _BrokenOffError | None = None
        for number in range(self.retry.tries):
            time.sleep(self.retry.backoff_s * 2 ** (number - 1) if number else 0)
            try:
                with _Session() as session:
                    return self._try(session)
            except _BrokenOffError as broken:
                last = broken
                if isinstance(broken, _OutOfReachError) and not self.retry_unreachable:
                    break
        again = f"run it again to go on after the {have} bytes that are kept, " if (have := self._have()) else ""
        refusal = self._refusal(f"{last}, {number + 1} times" if number else str(last), again or "run it again, ")
        if isinstance(last, _OutOfReachError):
            raise UnreachableError(str(refusal), last.notice)
        raise refusal

    def _try(self, session: requests.Session) -> None:
        have = self._have()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._etag.is_file() and STRONG_ETAG.fullmatch(etag := self._etag.read_text(encoding="ascii")):
                headers["If-Range"] = etag
        with self._open(session, headers) as response:
            size, total = self._begin(response, have)
            if total is not None and total > self.file.max_bytes:
                raise self._refusal(f"announces {total} bytes, at most {self.file.max_bytes} are read")
            with self.part.open("ab" if size else "wb") as sink:
                if not size:
                    etag = response.headers.get("ETag", "")
                    self._etag.write_text(etag if STRONG_ETAG.fullmatch(etag) else "", encoding="ascii")
                while chunk := self._read(response):
                    size += len(chunk)
                    if size > self.file.max_bytes:
                        break
                    sink.write(chunk)
                    self.on_progress(size, total)
        if size > self.file.max_bytes:
            self._forget()
            raise self._refusal(f"sends more than the {self.file.max_bytes} bytes that are read; what came is deleted")
        if total is not None and size < total:
            raise _BrokenOffError(f"ended after {size} of {total} bytes")

    def _open(self, session: requests.Session, headers: dict[str, str]) -> requests.Response:
        """Ask for the file, and follow where the server sends us on to, if that is safe."""
        url = self.file.url
        if not _is_http(url):
            raise self._refusal("is neither http nor https", "")
        for _ in range(MAX_REDIRECTS + 1):
            response = self._ask(session, url, headers)
            if not response.is_redirect:
                return response
            response.close()
            try:
                url = _onward(url, response.headers["Location"])
            except ValueError as error:
                raise self._refusal(f"leads to {error}") from error
        raise self._refusal(f"leads on to another address more than {MAX_REDIRECTS} times")

    def _ask(self, session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
        waits = (self.retry.connect_s, self.retry.read_s)
        try:
            return session.get(url, headers=headers, timeout=waits, stream=True, allow_redirects=False)
        except requests.ConnectTimeout as error:
            raise _OutOfReachError(f"did not answer within {self.retry.connect_s:g} s", url) from error
        except requests.ReadTimeout as error:
            raise _OutOfReachError(f"sent nothing for {self.retry.read_s:g} s", url) from error
        except requests.ConnectionError as error:
            raise _OutOfReachError(f"cannot be reached ({_cause(error)})", url) from error
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:
            raise self._refusal(f"cannot be asked for ({' '.join(str(error).split())[:200]})", "") from error

    def _begin(self, response: requests.Response, have: int) -> tuple[int, int | None]:
        """Judge the head of an answer; give where its body begins, and the size of the whole file if said."""
        status, headers = response.status_code, response.headers
        if status == 200:
            length = headers.get("Content-Length", "")
            return 0, int(length) if re.fullmatch(r"\d{1,15}", length) else None
        if status == 206 and have:
            found = CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
            if found and int(found[1]) == have:
                return have, None if found[3] == "*" else int(found[3])
        if status in (206, 416):  # our part does not fit this server's file
            self._forget()
            raise _BrokenOffError("does not go on where the download broke off")
        if status in PASSING:
            raise _BrokenOffError(f"answers {status} {phrases.get(status, '')}".rstrip())
        if status == 404:
            raise self._refusal("does not exist (404)", "")
        raise self._refusal(f"answers {status} {phrases.get(status, '')}".rstrip())

    def _read(self, response: requests.Response) -> bytes:
        """Give the next bytes as they lie on the server, at once as they come; none at the end."""
        try:
            return bytes(response.raw.read1(CHUNK_BYTES, decode_content=False))
        except urllib3.exceptions.ReadTimeoutError as error:
            raise _BrokenOffError(f"sent nothing for {self.retry.read_s:g} s") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _BrokenOffError(f"broke off ({_cause(error)})") from error

    def _refusal(self, what: str, again: str = "run it again, ") -> ModelError:
        mirror, by_hand = self.published.mirror, self.published.by_hand
        return ModelError(f"{printable(self.file.url)} {what}; {again}set {mirror} to a mirror, or {by_hand}")

    @property
    def _etag(self) -> Path:
        return self.part.with_name(f"{self.part.name}.etag")

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self._etag.unlink(missing_ok=True)


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _onward(url: str, location: str) -> str:
    """Give the address that a redirect at `url` leads to; `ValueError` if it must not be followed."""
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise ValueError(f"an address that is none ({error})") from error
    if not _is_http(target):
        raise ValueError(f"{printable(target)}, which is neither http nor https")
    if url.lower().startswith("https:") and not target.lower().startswith("https:"):
        # a shortened hash proves little against someone on the line
        raise ValueError(f"{printable(target)}, from https down to http")
    return target


def _cause(error: BaseException) -> str:
    """Give the system's own words out of the libraries' nested ones."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return str(inner.strerror)
        if str(inner).startswith("Tunnel connection failed"):  # the standard library's words for a proxy's answer
            return f"its proxy says {printable(str(inner).partition(':')[2].strip())}"
        inner = inner.__cause__ or inner.__context__
    return "the connection ended early"


def _written(file: PublishedFile) -> str:
    return file.sha256 if len(file.sha256) == 64 else f"{file.sha256}..."
