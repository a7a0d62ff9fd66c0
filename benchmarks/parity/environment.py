"""The two virtual environments that the originals live in, beside ours: their versions do not go together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import ROOT

PYTHON = (3, 11)  # the newest that TensorFlow 2.12 has wheels for


@dataclass(frozen=True)
class Original:
    """A program whose numbers are the measure, and how it is installed."""

    name: str
    version: str
    folder: str
    needs: tuple[str, ...]  # all that separating takes; the program itself then comes without its dependencies

    def python(self, work: Path) -> Path:
        """The interpreter of its environment."""
        return work / self.folder / "bin" / "python"


SPLEETER = Original(
    "spleeter",
    "2.4.2",
    "spleeter-env",
    (
        *("tensorflow-cpu==2.12.1", "numpy<1.25", "pandas<2", "typer<0.10", "click<8.2", "httpx[http2]"),
        *("ffmpeg-python", "norbert==0.2.1", "setuptools<80"),
    ),
)
OPENUNMIX = Original("openunmix", "1.3.0", "umx-env", ("torch==2.13.0", "numpy<2", "tqdm"))


def ensure(original: Original, work: Path) -> None:
    """Make the environment if it is not there and whole. Raises SystemExit without a fitting Python."""
    if _version(original, work) == original.version:
        return
    print(f"{work / original.folder}: installing {original.name} {original.version} ...", flush=True)
    shutil.rmtree(work / original.folder, ignore_errors=True)
    subprocess.run([_interpreter(), "-m", "venv", str(work / original.folder)], check=True)
    pip = [str(original.python(work)), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *original.needs], check=True)
    subprocess.run([*pip, "--no-deps", f"{original.name}=={original.version}"], check=True)


def run(original: Original, module: str, work: Path, *arguments: str) -> None:
    """Run one of our scripts inside the environment. Raises CalledProcessError where it fails."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
    variables = {**os.environ, **quiet, "MODEL_PATH": str(Path(arguments[0]) / "models")}
    subprocess.run([str(original.python(work)), "-m", module, *arguments], cwd=ROOT, env=variables, check=True)


def _version(original: Original, work: Path) -> str:
    asked = f"from importlib.metadata import version; print(version({original.name!r}))"
    command = [str(original.python(work)), "-c", asked]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _interpreter() -> str:
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = "python{}.{}".format(*PYTHON)
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"the originals need {name}, which is not on the PATH; install it")
    return found
