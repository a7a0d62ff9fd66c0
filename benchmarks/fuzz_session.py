"""A child of the fuzzer: separates files one after the other, and says of each in a line of JSON what became of it."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from rtsep.audio.readers import open_audio
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import RtsepError
from rtsep.model.store import find
from rtsep.separation.files import separate_file
from rtsep.separation.job import Job
from rtsep.separation.options import SeparationOptions
from rtsep.separation.output import Output

MOST_WORDS = 400  # characters of an error's one line


def main() -> None:
    """Separate the files that are named."""
    engine = IdentityEngine(find("streaming-2stems").spec)
    for name in sys.argv[1:]:
        started = time.monotonic()
        result, broken = _outcome(Path(name), engine)
        row = {"result": result, "broken": broken, "seconds": time.monotonic() - started, "peak_mib": _peak_mib()}
        print(json.dumps(row), flush=True)


def _outcome(path: Path, engine: IdentityEngine) -> tuple[str, str]:
    """What became of a file, and what promise it broke."""
    with tempfile.TemporaryDirectory() as name:
        paths = tuple(Path(name) / f"{stem}.wav" for stem in engine.spec.stems)
        try:
            separate_file(Job(path, paths), [engine], SeparationOptions(), Output(Path(name)))
        except RtsepError as error:
            words = str(error)
            left = [one.name for one in Path(name).iterdir()]
            if "\n" in words or len(words) > MOST_WORDS + len(str(path)):
                return "error", f"its error is no short line: {words[:200]!r}"
            return "error", f"it failed and left {left}" if left else ""
        except Exception as error:
            return "exception", f"{type(error).__name__}: {error}"
        return "stems", _not_whole(path, paths)


def _not_whole(path: Path, paths: tuple[Path, ...]) -> str:
    """What is wrong with the stems of a file; nothing, where they are whole."""
    reader = open_audio(path)
    try:
        blocks = []
        while (block := reader.read(1 << 16)).shape[1]:
            blocks.append(block)
        sound = np.concatenate(blocks, axis=1)
        rate = reader.sample_rate
    finally:
        reader.close()
    stems = [soundfile.read(one, dtype="float32", always_2d=True)[0].T for one in paths]
    if not all(np.isfinite(stem).all() for stem in stems):
        return "its stems hold numbers that are not finite"
    if any(stem.shape[1] != sound.shape[1] for stem in stems):
        return f"its stems have {stems[0].shape[1]} frames, the sound has {sound.shape[1]} at {rate} Hz"
    return ""


def _peak_mib() -> float:
    """The most memory that this process had."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    main()
