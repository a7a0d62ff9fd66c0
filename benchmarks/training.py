"""How fast `rtsep train` makes examples, how fast it learns from them, and whether it ever waits for them."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import soundfile
import torch

from benchmarks.results import ROOT, Figures, run
from benchmarks.throughput import music_file
from rtsep.dataset.examples import Collection, Examples
from rtsep.dataset.layouts import find_songs
from rtsep.training import run as training
from rtsep.training.batches import batches
from rtsep.training.device import choose_device
from rtsep.training.logs import read_log
from rtsep.training.settings import Songs, TrainSettings, read_train_settings

SETTINGS = ROOT / "configs" / "training" / "streaming-2stems.toml"  # the network and the recipe of the default
FORMATS = ("wav", "flac")
STEMS = ("vocals", "drums", "bass", "other")
SONGS = 4
SONG_S, QUICK_SONG_S = 60.0, 8.0
CPU_BATCH = 4  # as on a processor that learns; a GPU takes the recipe's
SAMPLE_RATE = 44_100
LOADED, QUICK_LOADED = 1024, 8  # examples
STEPS, QUICK_STEPS = {"cpu": 24, "cuda": 400}, 4
PRECISIONS = {"cpu": ("fp32",), "cuda": ("fp32", "bf16")}


def songs(folder: Path, seconds: float) -> None:
    """Songs in four stems, in the format that the folder is called by; only speed counts, so all are the demo song."""
    folder.mkdir()
    music_file(folder / "song.wav", seconds)
    sound, rate = soundfile.read(folder / "song.wav", dtype="int16")
    (folder / "song.wav").unlink()
    for number in range(SONGS):
        (folder / str(number)).mkdir()
        for stem in STEMS:
            soundfile.write(folder / str(number) / f"{stem}.{folder.name}", sound, rate, subtype="PCM_16")


def loading(settings: TrainSettings, folder: Path, workers: int, count: int) -> Figures:
    """Examples a second, while nothing learns from them."""
    collection = Collection(tuple(find_songs("stems", folder)))
    examples = Examples([collection], settings.stems, SAMPLE_RATE, settings.examples, settings.seed)
    batch = settings.optimisation.batch
    taken = max(1, count // batch)
    with closing(batches(examples, batch, 0, workers)) as made:
        for _ in range(2 * workers):  # until all are at work
            next(made)
        started = time.perf_counter()
        for _ in range(taken):
            next(made)
        took = time.perf_counter() - started
    return {"format": folder.name, "workers": workers, "examples_per_s": taken * batch / took}


def learning(settings: TrainSettings, folder: Path, precision: str, steps: int) -> Figures:
    """A run as `rtsep train` makes it; the second half counts."""
    device = choose_device("auto", 0, None)
    optimisation = replace(settings.optimisation, steps=steps, precision=precision)
    intervals = replace(settings.intervals, log_steps=steps // 2, valid_steps=steps + 1)
    told = replace(settings, train=(Songs("stems", folder),), valid=(), optimisation=optimisation, intervals=intervals)
    with tempfile.TemporaryDirectory() as place:
        training.train(told, Path(place) / "run", device)
        last = read_log(Path(place) / "run" / "log.csv")[-1]
    on_gpu = device.device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads",
        "precision": precision,
        "batch": optimisation.batch,
        "workers": device.workers,
        "examples_per_s": last["examples_per_s"],
        "idle": last["idle"],
    }


def measure(quick: bool = False) -> Figures:
    """Examples a second: made, by format and workers, and learnt from, on the GPU if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = read_train_settings(SETTINGS)
    if device == "cpu":
        settings = replace(settings, optimisation=replace(settings.optimisation, batch=CPU_BATCH))
    steps, count = (QUICK_STEPS, QUICK_LOADED) if quick else (STEPS[device], LOADED)
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / form for form in FORMATS]
        for folder in folders:
            songs(folder, QUICK_SONG_S if quick else SONG_S)
        crews = sorted({1, max(1, cores - 1), cores})
        made = [loading(settings, folder, workers, count) for folder in folders for workers in crews]
        learnt = [learning(settings, folders[0], precision, steps) for precision in PRECISIONS[device]]
    return {"settings": SETTINGS.name, "seconds": settings.examples.seconds, "made": made, "learnt": learnt}


if __name__ == "__main__":
    run("training", measure)
