"""What an engine is: magnitudes in, masks out, states and buffers its own."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec

Float32 = NDArray[np.float32]
Real = NDArray[np.bool_] | None  # (rows,), which rows of a call are to be inferred; None: all


class Engine(Protocol):
    """A compiled model. One thread calls it at a time.

    A call has rows, one for each slot: an interleaved run (a phase) of one deck. Row i is slot i in every
    call, and keeps the states of slot i where the model has any. One call is one inference: what is due
    on several slots is inferred together.

    `infer` allocates nothing that grows and, after `warmup`, nothing of its own for the number
    of frames and rows it was warmed up for.
    """

    spec: ModelSpec
    provider: str  # what runs it, in words for people: "ONNX Runtime CPU, 1 thread"

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Get ready for calls of so many spectra and up to so many rows; all states end as zeros.

        Args:
            frames: spectra in a row; a windowed model's are its context.
            rows: of a call, each with states of its own.
        """

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """Write the masks for the magnitudes of the rows that are real.

        Args:
            magnitudes: (rows, channels, frames, bins), linear, as the model's own analysis gives them.
            masks: (rows, stems, channels, frames, bins), written in place; raw, by the spec's `output`. Of a
                spec with `newest` they are only so many frames, the last of the context.
            real: (rows,), those that are inferred; None: all. The masks and states of the others stay as they are.

        Raises:
            EngineError: for arrays that do not fit the spec, and where the library fails.
        """

    def reset(self, row: int | None = None) -> None:
        """Set the states of one row, or of all, to zero."""

    def close(self) -> None:
        """Release what the engine holds; it cannot infer any more."""
