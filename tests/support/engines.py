"""Specs and small engines that tests use in place of networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rtsep.core.spec import ModelSpec, StateSpec
from rtsep.engine.base import Engine, Float32, Real
from rtsep.engine.graph import check_call

STEMS = {
    2: ("vocals", "accompaniment"),
    4: ("vocals", "drums", "bass", "other"),
    5: ("vocals", "piano", "drums", "bass", "other"),
}
RATES = (44100, 48000, 88200, 96000)

_WINDOWED = ModelSpec(
    name="windowed",
    stems=STEMS[2],
    sample_rate=44100,
    channels=2,
    window=2048,
    hop=512,
    analysis="sqrt_hann",
    basis="lr",
    kind="windowed",
    context=8,
    bins=256,
    output="mask",
    exponent=1.0,
    extension="average",
    states=(),
    licence="CC0-1.0",
)


def windowed_spec(stems: int = 2, **changes: Any) -> ModelSpec:
    """A spec like a small U-Net's; `changes` are fields of `ModelSpec`."""
    return replace(_WINDOWED, stems=STEMS[stems], **changes)


def stateful_spec(stems: int = 2, **changes: Any) -> ModelSpec:
    """A spec like the streaming's: causal, mid and side."""
    state = StateSpec("mean", (1, 2, 256))
    spec = replace(_WINDOWED, name="stateful", stems=STEMS[stems], kind="stateful", context=1, basis="ms",
                   extension="edge", states=(state,))  # fmt: skip
    return replace(spec, **changes)


class FrameEngine:
    """Masks that depend on the frame itself and on what was around it.

    Each stem's share follows the level against its mean: over the context of a windowed spec, over
    the past of the phase for a stateful one. A frame at the wrong place or in the wrong phase shows.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.provider = "a test"
        self.calls = 0
        self._means: dict[int, Float32] = {}  # by row
        count = len(spec.stems)
        self._order = np.arange(1, count + 1, dtype=np.float32).reshape(count, 1, 1)

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        self.reset()

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.calls += 1
        for row in check_call(self.spec, magnitudes, masks, real):
            self.infer_row(magnitudes[row], masks[row], row)

    def infer_row(self, magnitudes: Float32, masks: Float32, row: int) -> None:
        """Write the masks (stems, channels, frames, bins) of the magnitudes (channels, frames, bins) of a row."""
        mean = magnitudes.mean(axis=1)
        for frame in range(magnitudes.shape[1]):
            now = magnitudes[:, frame]
            if self.spec.kind == "stateful":
                mean = self._means.get(row, np.zeros_like(now)) * np.float32(0.75) + now * np.float32(0.25)
                self._means[row] = mean
            level = now / (now + mean + np.float32(1e-3))  # 0 to 1
            shares = 1.0 + np.sin(7.0 * level * self._order)
            masks[:, :, frame] = shares if self.spec.output == "mask" else shares * now

    def reset(self, row: int | None = None) -> None:
        if row is None:
            self._means.clear()
        else:
            self._means.pop(row, None)

    def close(self) -> None:
        pass


class GateEngine(FrameEngine):
    """An oracle: frames louder than a threshold, by their own sum of magnitudes, go to the first stem."""

    def __init__(self, spec: ModelSpec, threshold: float) -> None:
        super().__init__(spec)
        self.threshold = threshold

    def infer_row(self, magnitudes: Float32, masks: Float32, row: int) -> None:
        loud = (magnitudes.sum(axis=(0, 2)) > self.threshold).astype(np.float32)
        masks[...] = 0.0
        masks[0] = loud[np.newaxis, :, np.newaxis]
        masks[1] = 1.0 - masks[0]


class BrokenEngine(FrameEngine):
    """Gives `value` in some bins of every second call."""

    def __init__(self, spec: ModelSpec, value: float) -> None:
        super().__init__(spec)
        self.value = value
        self.resets: list[int | None] = []

    def infer_row(self, magnitudes: Float32, masks: Float32, row: int) -> None:
        super().infer_row(magnitudes, masks, row)
        if self.calls % 2:
            masks[0, :, :, 3:9] = self.value

    def reset(self, row: int | None = None) -> None:
        super().reset(row)
        if row is not None:
            self.resets.append(row)


def infer_one(engine: Engine, magnitudes: Float32, masks: Float32, row: int = 0) -> None:
    """Infer on one row (channels, frames, bins), the only one that is real, to its masks (stems, channels, ...)."""
    call = np.zeros((row + 1, *magnitudes.shape), np.float32), np.zeros((row + 1, *masks.shape), np.float32)
    call[0][row] = magnitudes
    engine.infer(*call, np.arange(row + 1) == row)
    masks[...] = call[1][row]


def is_engine(engine: Engine) -> Engine:
    """For the type checker: these are engines."""
    return engine
