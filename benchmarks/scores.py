"""Plain SDR of the embedded model by preset, on songs in stems: `python -m benchmarks.scores FOLDER`.

FOLDER/<song>/<stem>.ogg, for the clips in CLIPS; the mix is the sum of the stems.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsep.engine.base import Engine
from rtsep.engine.build import build
from rtsep.model.store import find
from rtsep.offline.files import separate_file
from rtsep.offline.jobs import Output, plan_jobs
from rtsep.offline.method import Method
from rtsep.plan import PRESETS

MODEL = "starter-2stems"
STEMS = ("vocals", "drums", "bass", "other")
CLIP_S = 25
CLIPS = {  # starts in seconds, where vocals sound
    "lithium": (0, 100, 225, 275),
    "sodium": (200, 225, 250, 275),
    "potassium": (75, 150, 200),
    "rubidium": (100, 175),
    "caesium": (175,),
}

Float32 = NDArray[np.float32]


def sdr(reference: Float32, estimate: Float32) -> float:
    """Signal to distortion over the whole clip, in dB."""
    return float(10.0 * np.log10(np.sum(reference**2) / np.sum((reference - estimate) ** 2)))


def score(engine: Engine, song: Path, start_s: int, preset: str) -> tuple[float, ...]:
    """SDR of vocals in the mix and separated, of accompaniment in the mix and separated."""
    parts = []
    for stem in STEMS:
        with soundfile.SoundFile(song / f"{stem}.ogg") as file:
            file.seek(start_s * file.samplerate)
            parts.append(file.read(CLIP_S * file.samplerate, dtype="float32", always_2d=True))
            rate = file.samplerate
    mix = np.sum(parts, axis=0)
    with tempfile.TemporaryDirectory() as folder:
        soundfile.write(Path(folder) / "mix.wav", mix, rate, subtype="FLOAT")
        method, output = Method(preset), Output(Path(folder))
        (job,) = plan_jobs([Path(folder) / "mix.wav"], engine.spec.stems, output)
        separate_file(job, [engine], method, output)
        vocals, accompaniment = (soundfile.read(path, dtype="float32")[0] for path in job.paths)
    rest = mix - parts[0]
    return sdr(parts[0], mix), sdr(parts[0], vocals), sdr(rest, mix), sdr(rest, accompaniment)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--preset", action="append", choices=list(PRESETS))
    options = parser.parse_args()
    engine = build(find(MODEL))
    for preset in options.preset or PRESETS:
        songs = []
        for name, starts in CLIPS.items():
            songs.append(np.mean([score(engine, options.folder / name, start, preset) for start in starts], axis=0))
            print(preset, name, *(f"{value:.2f}" for value in songs[-1]))
        print(preset, "mean", *(f"{value:.2f}" for value in np.mean(songs, axis=0)), flush=True)


if __name__ == "__main__":
    main()
