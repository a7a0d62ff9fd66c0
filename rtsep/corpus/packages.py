"""Debian packages as .deb files: those that are there, and the rest from apt."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from rtsep.corpus.manifest import Archive, sha256_of
from rtsep.errors import FileError

PATIENCE_S = 3600.0  # for one package


@dataclass(frozen=True)
class Deb:
    """A .deb on disk, and what the manifest says of it."""

    path: Path
    archive: Archive


def obtain(name: str, folder: Path, given: Path | None = None) -> Deb:
    """Get the .deb of a package: one that is there, else fetched by apt.

    Args:
        name: of the package.
        folder: where it is looked for, and fetched to.
        given: a folder where it is looked for first; None for none.

    Raises:
        FileError: for one that apt cannot get, that is no such package, or whose sum is not what apt knows.
    """
    places = [place for place in (given, folder) if place is not None]
    found = next((path for place in places for path in _lying(name, place)), None)
    path = found or _fetched(name, folder)
    return Deb(path, _identified(name, path))


def program(name: str) -> str:
    """Find a program of Debian.

    Raises:
        FileError: if it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise FileError(f"{name} is not installed; the corpus is built on Debian, Ubuntu or the like")
    return found


def _lying(name: str, folder: Path) -> list[Path]:
    found = sorted(folder.glob(f"{name}_*.deb"))
    if len(found) > 1:
        raise FileError(f"{folder} holds {found[0].name} and {found[1].name}; keep the one to use")
    return found


def _fetched(name: str, folder: Path) -> Path:
    apt = program("apt-get")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="part-", dir=folder) as place:
            done = subprocess.run(
                [apt, "-q", "download", name],
                cwd=place,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_S,
            )
            found = _lying(name, Path(place))
            if done.returncode != 0 or not found:
                raise FileError(_reason(name, folder, done.stderr))
            return found[0].rename(folder / found[0].name)
    except OSError as error:
        raise FileError(f"{name} cannot be kept in {folder}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise FileError(f"{name} was not there after {PATIENCE_S / 60:.0f} minutes; is the network slow?") from error


def _reason(name: str, folder: Path, complaint: str) -> str:
    if shutil.disk_usage(folder).free < 1 << 20:
        return f"{name} cannot be kept in {folder}: the disk is full"
    lines = [line.removeprefix("E: ") for line in complaint.splitlines() if line.startswith("E: ")]
    what = lines[0] if lines else "apt-get download failed"
    return (
        f"{name} cannot be fetched ({what}); is there a network? `apt-get update` may help, --packages takes .debs "
        "that you have, and --skip-missing goes on without it"
    )


def _identified(name: str, path: Path) -> Archive:
    """Ask the .deb itself what it is, and apt whether it knows it."""
    command = [program("dpkg-deb"), "--field", str(path), "Package", "Version"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    control = Deb822(done.stdout)
    if done.returncode != 0 or "Version" not in control:
        raise FileError(f"{path} is not a Debian package; get it again")
    if control.get("Package") != name:
        raise FileError(f"{path} holds the package {control.get('Package')!r}, not {name!r}")
    version, sum_ = str(control["Version"]), sha256_of(path)
    expected = _expected(name, version)
    if expected and sum_ != expected:
        raise FileError(f"{path} is not what Debian published as {name} {version}: its sha256 differs; get it again")
    return Archive(name, version, sum_, bool(expected))


def _expected(name: str, version: str) -> str:
    """The sha256 that apt knows for a version; "" where it knows none."""
    apt = shutil.which("apt-cache")
    if apt is None:
        return ""
    done = subprocess.run([apt, "show", f"{name}={version}"], capture_output=True, text=True, check=False)
    return str(Deb822(done.stdout).get("SHA256", "")) if done.returncode == 0 else ""
