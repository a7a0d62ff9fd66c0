"""Throughput of `rtsep separate`: seconds of music in a second, and a whole song with the start of the program."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import soundfile

from benchmarks.results import Figures, program, run
from rtsep.demo import SONG
from rtsep.diagnostics import benchmarks as bench
from rtsep.engine.registry import NETWORK_ENGINES
from rtsep.errors import EngineError
from rtsep.model.store import find, names
from rtsep.separation.engine_pool import open_pool
from rtsep.separation.options import SeparationOptions

MODEL, OFFICIAL = "streaming-2stems", "spleeter-2stems"  # measured where it is installed
ENGINES = [(engine.name, precision) for engine in NETWORK_ENGINES for precision in engine.precisions]
THREADS = (1, 2)
PRESETS = ("exact", "23")
SECONDS, QUICK_SECONDS = 60.0, 2.0
SONG_S, QUICK_SONG_S = 180.0, 4.0
COMMANDS = 3


def music_file(path: Path, seconds: float) -> None:
    """The demo song over and over, as a 16-bit wav."""
    sound, sample_rate = soundfile.read(SONG, dtype="float32")
    left = int(seconds * sample_rate)
    with soundfile.SoundFile(path, "w", sample_rate, sound.shape[1]) as file:
        while left:
            part = sound[:left]
            file.write(part)
            left -= len(part)


def whole_command(model: str, seconds: float, threads: int, runs: int) -> Figures:
    """`rtsep separate` on a song, from its start to its end, several times, in turns with the network alone."""
    method = SeparationOptions()
    engines = open_pool(find(model), method, 1, threads=threads)
    network = bench.Network(engines, method, seconds, soundfile.info(SONG).samplerate)
    network.think()
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        music_file(song, seconds)
        command = [*program(), "separate", str(song), "-o", str(Path(folder) / "stems"), "--threads", str(threads)]
        times, alone = [], []
        for _ in range(runs):
            started = time.perf_counter()
            subprocess.run([*command, "-p", model], check=True, capture_output=True)
            times.append(time.perf_counter() - started)
            alone.append(network.think())
    return {
        "model": model,
        "threads": threads,
        "song_s": seconds,
        "took_s": times,
        "times_real_time": seconds / statistics.median(times),
        "network_s": alone,
        "share_of_network": statistics.median(a / b for a, b in zip(alone, times, strict=True)),
    }


def measure(quick: bool = False) -> Figures:
    """How many times faster than real time files are separated, by engine, threads and preset."""
    rows, absent = [], {}
    for engine, precision in ENGINES:
        for threads in THREADS[1:] if quick else THREADS:
            for preset in PRESETS[:1] if quick else PRESETS:
                try:
                    seconds = QUICK_SECONDS if quick else SECONDS
                    found = bench.throughput(MODEL, preset, seconds, engine, threads, precision)
                except EngineError as error:
                    absent[f"{engine} {precision}"] = str(error)
                    continue
                keys = ("engine", "preset", "seconds", "times_real_time", "all_times_real_time")
                rows.append({"threads": threads, "precision": precision, **{key: found[key] for key in keys}})
    song_s, runs = (QUICK_SONG_S, 1) if quick else (SONG_S, COMMANDS)
    models = [MODEL, *(name for name in names() if name == OFFICIAL)]
    counts = THREADS[1:] if quick else THREADS
    commands = [whole_command(model, song_s, count, runs) for model in models for count in counts]
    return {"model": MODEL, "rows": rows, "absent": absent, "commands": commands}


if __name__ == "__main__":
    run("throughput", measure)
