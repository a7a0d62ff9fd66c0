"""Validation of a run: held-out songs, separated by the exported model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rtsep.core.spec import ModelSpec
from rtsep.dataset.assignment import matching_stems
from rtsep.dataset.songs import Song, read_stem
from rtsep.errors import FileError, SpecError
from rtsep.evaluation.estimation import EvaluatedModel
from rtsep.evaluation.metrics import is_silent, sdr_db
from rtsep.evaluation.settings import Setting
from rtsep.model.architectures import Architecture
from rtsep.model.networks.export import export_model
from rtsep.model.store import find

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class ValidationClip:
    """A part of a held-out song: stems (stems, channels, frames)."""

    name: str
    stems: Float32


def read_clips(songs: Sequence[Song], spec: ModelSpec, seconds: float, most: int) -> list[ValidationClip]:
    """Read the middle of the first songs that have all stems; raises `SpecError` where there are none."""
    found: list[ValidationClip] = []
    for song in songs:
        names = {stem: matching_stems(song, stem, spec.stems) for stem in spec.stems}
        if not all(names.values()) or len(found) == most:
            continue
        whole = round(song.seconds * spec.sample_rate)
        frames = min(whole, round(seconds * spec.sample_rate)) if seconds else whole
        start = (whole - frames) // 2
        stems = [
            sum(read_stem(song, part, start, frames, spec.sample_rate, spec.channels) for part in names[stem])
            for stem in spec.stems
        ]
        found.append(ValidationClip(song.name, np.stack(stems)))
    if songs and not found:
        raise SpecError(f"no held-out song has all of {', '.join(spec.stems)}; name other songs")
    return found


def validation_setting(spec: ModelSpec, preset: str) -> Setting:
    """How the songs are played to be judged; see `validate`. Raises `SpecError` for what the model cannot."""
    chosen = preset or ("offline" if spec.kind == "windowed" else "exact")
    setting = Setting("offline") if chosen == "offline" else Setting("stream", chosen)
    if setting.way == "stream":
        setting.window(spec, spec.sample_rate)
    return setting


def validate(
    network: nn.Module, architecture: Architecture, spec: ModelSpec, clips: Sequence[ValidationClip], preset: str
) -> dict[str, float]:
    """SDR in dB of each stem, mean over the clips where it sounds, as the model plays at a preset.

    network: is exported first. preset: `offline` is the family's way with whole files;
    empty: that for a windowed model, which is slow hop by hop, and `exact` for a stateful one.
    """
    setting = validation_setting(spec, preset)
    found: dict[str, list[float]] = {stem: [] for stem in spec.stems}
    with tempfile.TemporaryDirectory(prefix="rtsep-validation-") as folder:
        try:
            path = export_model(network, architecture, spec, Path(folder) / "model", trainable=False)
        except OSError as error:
            raise FileError(f"{folder} cannot be written: {error.strerror}; make room, or set TMPDIR") from error
        separator = EvaluatedModel(find(path))
        for clip in clips:
            mix = clip.stems.sum(0)
            estimates = separator.estimate(mix, spec.sample_rate, setting)
            for stem, reference in zip(spec.stems, clip.stems, strict=True):
                if stem in estimates and not is_silent(reference, mix):
                    found[stem].append(sdr_db(reference, estimates[stem]))
    return {stem: float(np.mean(values)) for stem, values in found.items() if values}
