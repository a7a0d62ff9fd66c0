"""Validation of a run: held-out songs, separated by the exported model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
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
from rtsep.training.batches import AudioBatch

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class ValidationClip:
    """A part of a held-out song."""

    name: str
    stems: Float32  # (stems, channels, frames)


def read_clips(songs: Sequence[Song], spec: ModelSpec, seconds: float, most: int) -> list[ValidationClip]:
    """Read the middle of the first songs that have all stems.

    Args:
        songs: held out of training.
        spec: of the model; its stems and its rate.
        seconds: of each; 0 for all of it.
        most: songs at the most.

    Raises:
        SpecError: where there are songs, but none with all stems.
    """
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


def as_batch(clip: ValidationClip, seconds: float, spec: ModelSpec) -> AudioBatch:
    """Cut a clip into a batch of examples.

    Args:
        clip: to cut; what is left over at its end is left out.
        seconds: of each example.
        spec: of the model.
    """
    frames = min(clip.stems.shape[2], round(seconds * spec.sample_rate))
    count = clip.stems.shape[2] // frames
    pieces = torch.from_numpy(clip.stems[:, :, : count * frames]).reshape(*clip.stems.shape[:2], count, frames)
    return pieces.permute(2, 0, 1, 3), torch.ones(count, len(spec.stems), dtype=torch.bool)


def validation_setting(spec: ModelSpec, preset: str) -> Setting:
    """Choose how the songs are played to be judged; see `validate`.

    Args:
        spec: of the model.
        preset: as of `validate`.

    Raises:
        SpecError: for a preset that the model cannot have.
    """
    chosen = preset or ("offline" if spec.kind == "windowed" else "exact")
    setting = Setting("offline") if chosen == "offline" else Setting("stream", chosen)
    if setting.way == "stream":
        setting.window(spec, spec.sample_rate)
    return setting


def validate(
    network: nn.Module, architecture: Architecture, spec: ModelSpec, clips: Sequence[ValidationClip], preset: str
) -> dict[str, float]:
    """Give the SDR of each stem, as the exported model plays at a preset.

    Args:
        network: is exported first.
        architecture: of the network.
        spec: of the model.
        clips: to separate.
        preset: `offline` is the family's way with whole files; empty: that for a windowed model, which is slow hop by
            hop, and `exact` for a stateful one.

    Returns:
        dB by stem, mean over the clips where it sounds.

    Raises:
        FileError: where the exported model cannot be written.
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
