"""A tenth of a second for the small frozen cases of the tests: tones, noise bursts and silence, left unlike right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def small_sound(frames: int, seed: int = 7) -> NDArray[np.float32]:
    """Sound (frames, 2), float32, of values that 16 bit hold exactly."""
    generator = np.random.default_rng(seed)
    time = np.arange(frames) / 44_100.0
    tones = [
        0.3 * np.sin(2 * np.pi * hertz * time + phase) for hertz, phase in ((500.0, 0.0), (1900.0, 1.0), (8200.0, 2.0))
    ]
    burst = generator.normal(0.0, 0.2, frames) * (np.sin(2 * np.pi * 45.0 * time) > 0.2)
    hiss = generator.normal(0.0, 0.02, frames)
    left = tones[0] + 0.6 * tones[1] + 0.8 * burst + hiss
    right = 0.7 * tones[0] - 0.5 * tones[2] + 0.5 * np.roll(burst, 11) - hiss
    sound = np.stack([left, right], axis=1)
    sound[frames // 2 : frames // 2 + frames // 12] = 0.0
    return (np.round(np.clip(sound, -0.99, 0.99) * 32768.0) / 32768.0).astype(np.float32)
