"""Spectra to train on: under the model's own window, and under those that live use cuts it down to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rtsep.core.presets import PRESETS
from rtsep.core.spec import ModelSpec
from rtsep.dsp.windows import asymmetric, model_window
from rtsep.errors import ConfigError


def analysis_windows(spec: ModelSpec, presets: Sequence[str]) -> Tensor:
    """Give the analysis window of each preset at the model's rate.

    They are scaled to the sum of the model's own, as live use scales its magnitudes, so that a network hears the same
    music equally loud through all of them.

    Args:
        spec: of the model.
        presets: by name.

    Returns:
        (presets, window), float32.

    Raises:
        ConfigError: for a preset that is unknown, or longer than the model's window.
    """
    own = model_window(spec.analysis, spec.window)
    windows = []
    for preset in presets:
        if preset not in PRESETS:
            raise ConfigError(f"unknown latency preset {preset!r}; choose from {', '.join(PRESETS)}")
        tail = PRESETS[preset].synthesis
        if tail is not None and tail > spec.window:
            raise ConfigError(
                f"preset {preset} has a longer window than the model's {spec.window} frames; leave it out"
            )
        shape = own if tail is None else asymmetric(spec.window, tail)
        windows.append(torch.from_numpy(shape * (own.sum() / shape.sum())))
    return torch.stack(windows).float()


def to_basis(sound: Tensor, spec: ModelSpec) -> Tensor:
    """Bring left and right into the model's basis.

    Args:
        sound: (..., channels, frames).
        spec: of the model.

    Returns:
        (..., channels, frames).
    """
    if spec.basis == "lr":
        return sound
    left, right = sound.unbind(-2)
    return torch.stack([(left + right) / 2, (left - right) / 2], -2)


def spectra(sound: Tensor, spec: ModelSpec, window: Tensor) -> Tensor:
    """Transform sound to complex spectra of the model's lowest bins.

    As many hops as there are whole ones in the sound, the first window centred on its first frame; zeros are taken to
    lie around it.

    Args:
        sound: (..., channels, frames) of left and right.
        spec: of the model.
        window: (window,).

    Returns:
        (..., channels, hops, bins).
    """
    based = to_basis(sound, spec)
    rows = based.reshape(-1, based.shape[-1])
    found = torch.stft(
        rows, spec.window, spec.hop, window=window, center=True, pad_mode="constant", return_complex=True
    )
    hops = sound.shape[-1] // spec.hop
    return found[:, : spec.bins, :hops].transpose(-1, -2).reshape(*based.shape[:-1], hops, spec.bins)
