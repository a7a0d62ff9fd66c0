"""What a graph's precision costs in sound: the same song through the same signal path, at each precision of the graph.

The sound is held against that of float32 (SDR of each stem), and where the song's own stems are known, against
these: what the separation loses. Everything runs on the CPU. float16 is run by ONNX Runtime, which rounds as the graph
says; it has no bfloat16 and no 8 bit floats, and joins others in its own way, so these are float32 arithmetic with
every value rounded (`benchmarks/emulation.py`), and float16 is shown by both.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from benchmarks.emulation import emulated
from benchmarks.quality import demo_songs
from benchmarks.results import Figures, run
from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.dataset.layouts import LayoutOptions
from rtsep.engine.onnx import OnnxEngine
from rtsep.errors import ModelError
from rtsep.evaluation.metrics import sdr_db
from rtsep.evaluation.tracks import Clip, Track, read_track, songs_to_score
from rtsep.model.graphs.hop_graph import hop_graph
from rtsep.model.graphs.precision import PRECISIONS, at_precision
from rtsep.model.store import StoredModel, digest, find
from rtsep.separation.heard import Float32, heard_magnitudes
from rtsep.separation.stream import StreamSeparator

MODELS = "spleeter-2stems-live,streaming-2stems"
PRESET, MASK_INTERVAL = "23", 8  # of a windowed model: each mask is the newest of a context of its own
SECONDS, QUICK_SECONDS, CALIBRATION_SECONDS = 12.0, 2.0, 20.0
RUN, EMULATED = "ONNX Runtime", "rounded float32"
WAYS = {"fp16": (RUN, EMULATED), "bf16": (EMULATED,), "int8": (EMULATED,), "fp8": (EMULATED,)}


@dataclass(frozen=True)
class Songs:
    """What is heard, and what else calibrates."""

    measured: list[Track]
    others: list[Track]


def songs_of(spec: ModelSpec, folder: Path | None, names: str, seconds: float) -> Songs:
    """The demo song and some of a folder; the folder's others calibrate, or the demo song itself where there are none.

    `names` are told with commas.
    """
    with tempfile.TemporaryDirectory() as temporary:
        demo = _tracks(spec, demo_songs(Path(temporary)), seconds)
    whole = _tracks(spec, folder, seconds) if folder else []
    wanted = [track for track in whole if track.name in names.split(",")]
    longer = _tracks(spec, folder, CALIBRATION_SECONDS) if folder else demo
    return Songs(demo + wanted, [track for track in longer if track.name not in names.split(",")])


def _tracks(spec: ModelSpec, folder: Path, seconds: float) -> list[Track]:
    songs = songs_to_score("stems", folder, LayoutOptions())
    clip = Clip(seconds=seconds)
    return [read_track(song, spec.stems, clip, spec.sample_rate, spec.channels) for song in songs]


def separated(graph: onnx.ModelProto, spec: ModelSpec, sound: Float32) -> Float32:
    """The stems (stems, channels, frames) of a sound, aligned with it, its end cut off."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(graph, path)
        engine = OnnxEngine(StoredModel(spec, path, digest(path), "path"))
    interval = MASK_INTERVAL if spec.kind == "windowed" else None
    separator = StreamSeparator(engine, plan(spec, spec.sample_rate, PRESET, mask_interval=interval))
    stems = np.zeros((len(spec.stems), *sound.shape), np.float32)
    given = separator.feed(sound, stems)
    engine.close()
    return stems[:, :, separator.latency.total : given]


def rows_of(name: str, folder: Path | None, of: str, seconds: float) -> Iterable[Figures]:
    """A row for each song, precision and way of one model."""
    graph, spec = hop_graph(find(name).live(), 0)
    songs = songs_of(spec, folder, of, seconds)
    samples = [one for track in songs.others for one in heard_magnitudes(spec, track.mix)] if not spec.states else []
    whole = {track.name: separated(graph, spec, track.mix) for track in songs.measured}
    for precision in PRECISIONS:
        if precision not in WAYS:
            continue  # it is the graph as it was
        try:
            made = at_precision(graph, precision, samples)
        except ModelError as error:
            yield {"model": name, "precision": precision, "refused": str(error)}
            continue
        for way in WAYS[precision]:
            for track in songs.measured:
                found = separated(made if way == RUN else emulated(made), spec, track.mix)
                row = {
                    "model": name,
                    "precision": precision,
                    "run": way,
                    "song": track.name,
                    "megabytes": made.ByteSize() / 1e6,
                    "float32_megabytes": graph.ByteSize() / 1e6,
                    "stems": _scores(spec, track, whole[track.name], found),
                }
                print(_line(row), flush=True)
                yield row


def _scores(spec: ModelSpec, track: Track, whole: Float32, found: Float32) -> Figures:
    scores = {}
    for place, stem in enumerate(spec.stems):
        scores[stem] = {"sdr_to_float32_db": sdr_db(whole[place], found[place])}
        if stem in track.references:
            truth = track.references[stem][:, : whole.shape[2]]
            scores[stem]["float32_sdr_db"] = sdr_db(truth, whole[place])
            scores[stem]["loss_db"] = sdr_db(truth, whole[place]) - sdr_db(truth, found[place])
    return scores


def _line(row: Figures) -> str:
    words = [
        f"{stem} {one['sdr_to_float32_db']:.1f} dB" + (f" (loses {one['loss_db']:.3f})" if "loss_db" in one else "")
        for stem, one in row["stems"].items()
    ]
    return f"{row['model']} {row['precision']} ({row['run']}), {row['song']}: {', '.join(words)}"


def measure(
    quick: bool = False, models: str = MODELS, songs: Path | None = None, of: str = "", seconds: float = SECONDS
) -> Figures:
    """SDR of the stems at each precision against float32, and what is lost against the song's own stems."""
    length = QUICK_SECONDS if quick else seconds
    rows = [row for name in models.split(",") for row in rows_of(name, songs, of, length)]
    return {"preset": PRESET, "mask_interval": MASK_INTERVAL, "seconds": length, "rows": rows}


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    options.add_argument("--models", default=MODELS, help="names or paths, with commas")
    options.add_argument("--songs", type=Path, help="a folder of songs in stems; without it just the demo song")
    options.add_argument("--of", default="", help="which of them are heard, with commas; the others calibrate")
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each song, from its middle")
    run("precision", measure, options)
