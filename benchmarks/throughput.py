"""How many times faster than real time files are separated, by engine, precision, threads and preset.

python -m benchmarks --only throughput
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.card import ROOT
from rtsep.bench import throughput
from rtsep.demo import SONG
from rtsep.errors import EngineError

MODEL = "starter-2stems"
ENGINES = (("onnx", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
SECONDS, SONG_SECONDS = 60.0, 180.0


def whole_process(seconds: float, threads: int) -> dict[str, Any]:
    """`rtsep separate` of one song, from the shell and back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "music.wav"
        sound, rate = soundfile.read(SONG, dtype="float32", always_2d=True)
        copies = int(np.ceil(seconds * rate / len(sound)))
        soundfile.write(path, np.tile(sound, (copies, 1))[: int(seconds * rate)], rate)
        command = [sys.executable, "-m", "rtsep", "separate", str(path), "-o", f"{folder}/out", "--threads"]
        started = time.perf_counter()
        subprocess.run([*command, str(threads)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - started
    return {
        "seconds": seconds,
        "threads": threads,
        "took_s": round(took, 2),
        "times_real_time": round(seconds / took, 1),
    }


def measure(quick: bool = False) -> dict[str, Any]:
    """Every engine that is here, and the whole process."""
    seconds = 5.0 if quick else SECONDS
    rows: list[dict[str, Any]] = []
    for engine, precision in ENGINES[:1] if quick else ENGINES:
        for threads in (1,) if quick else (1, 2):
            for preset in ("exact",) if quick else ("exact", "23"):
                asked = {"engine": engine, "precision": precision, "threads": threads, "preset": preset}
                try:
                    found = throughput(MODEL, preset, seconds, engine, threads, precision)
                except EngineError as error:
                    rows.append({**asked, "lacking": str(error)})
                    continue
                kept = {key: found[key] for key in ("times_real_time", "all_times_real_time")}
                rows.append({**asked, "provider": found["engine"], **kept})
    songs = [whole_process(5.0 if quick else SONG_SECONDS, threads) for threads in ((2,) if quick else (1, 2))]
    return {"model": MODEL, "seconds": seconds, "rows": rows, "whole_process": songs}
