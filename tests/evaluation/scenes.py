"""Songs and separators for tests of scores, small enough to be scored in a blink."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtsep.core.spec import ModelSpec
from rtsep.dataset.layouts import LayoutOptions
from rtsep.dataset.songs import Song
from rtsep.engine.registry import EngineOptions
from rtsep.evaluation.estimation import EvaluatedModel
from rtsep.evaluation.runner import Evaluation
from rtsep.evaluation.tracks import songs_to_score
from rtsep.model.store import StoredModel
from tests.support.engines import windowed_spec
from tests.support.recordings import floats
from tests.support.signals import Float32, late, noise

RATE = 8000  # of BSSEval's scenes: museval's time goes with it


def stored(spec: ModelSpec | None = None) -> StoredModel:
    """A model that has no graph, for engines that need none."""
    return StoredModel(spec or windowed_spec(), Path("nowhere.onnx"), "0" * 64, "path")


def identity(spec: ModelSpec | None = None) -> EvaluatedModel:
    """Gives every stem an equal share of the mix."""
    return EvaluatedModel(stored(spec), EngineOptions("identity"))


def identity_evaluation(bsseval: bool = False, spec: ModelSpec | None = None, **choices: object) -> Evaluation:
    return Evaluation(identity(spec), bsseval=bsseval, **choices)  # type: ignore[arg-type]


def song(folder: Path, name: str, stems: dict[str, Float32], rate: int = 44100) -> Song:
    """Write a song in stems, and give it as evaluation finds it."""
    for stem, sound in stems.items():
        floats(folder / name / f"{stem}.wav", sound, rate)
    return next(one for one in songs_to_score("stems", folder, LayoutOptions()) if one.name == name)


def scene(seed: int = 0, channels: int = 1) -> tuple[Float32, Float32]:
    """References and estimates (2, channels, 4 s) at `RATE`: late, leaky, filtered and noisy, as separated ones are."""
    frames = 4 * RATE
    references = np.stack([noise(frames, channels, seed=seed + stem, level=0.05 + 0.1 * stem) for stem in range(2)])
    behind = late(references, 3)[:, :, :frames]
    leaks = np.float32(0.2) * references[::-1]
    hiss = noise(frames, channels, seed=seed + 9, level=0.01)
    estimates = np.float32(0.6) * references + np.float32(0.3) * behind + leaks + hiss
    return references, estimates.astype(np.float32)


def as_16_bits(sounds: Float32) -> Float32:
    """What a 16-bit wav file keeps of sounds."""
    return (np.round(sounds * 32768.0) / 32768.0).astype(np.float32)
