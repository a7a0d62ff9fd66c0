"""What an engine is: magnitudes in, masks out, states and buffers its own."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec

Float32 = NDArray[np.float32]


class Engine(Protocol):
    """A compiled model. One thread calls it at a time.

    `infer` allocates nothing that grows and, after `warmup`, nothing of its own for the number
    of frames it was warmed up for.
    """

    spec: ModelSpec
    provider: str  # what runs it, in words for people: "ONNX Runtime CPU, 1 thread"

    def warmup(self, frames: int = 1, phases: int = 1) -> None:
        """Get ready for calls of so many spectra.

        Args:
            frames: spectra in a call; a windowed model's are its context.
            phases: interleaved runs, each with states of its own.
        """

    def infer(self, magnitudes: Float32, masks: Float32, phase: int = 0) -> None:
        """Write the masks for magnitudes.

        Args:
            magnitudes: (channels, frames, bins), linear, as the model's own analysis gives them.
            masks: (stems, channels, frames, bins), written in place; raw, by the spec's `output`. Of a
                spec with `newest` they are only so many frames, the last of the context.
            phase: which of the interleaved runs of a stateful model these frames belong to.

        Raises:
            EngineError: for arrays that do not fit the spec, and where the library fails.
        """

    def reset(self, phase: int | None = None) -> None:
        """Set the states of one phase, or of all, to zero."""

    def close(self) -> None:
        """Release what the engine holds; it cannot infer any more."""
