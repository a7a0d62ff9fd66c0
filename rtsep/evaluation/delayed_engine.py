"""An engine whose masks come late, to measure what their age costs."""

from __future__ import annotations

from collections import deque

from rtsep.engine.base import Engine, Float32, Real
from rtsep.engine.graph import check_call


class DelayedEngine:
    """An engine that gives each row the masks of an earlier one; see `Engine` for the protocol.

    Before the first mask is there, each stem has an equal share of the mix. Rows must come in the order of time, each
    with one spectrum (a windowed model: one context).

    Args:
        engine: that makes the masks.
        late: rows, usually calls, by which they come late.
    """

    def __init__(self, engine: Engine, late: int) -> None:
        self.spec, self.provider = engine.spec, f"{engine.provider}, {late} masks late"
        self._engine, self._late = engine, late
        self._waiting: deque[Float32] = deque()

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """See `Engine`."""
        self._engine.warmup(frames, rows)

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """Write what was inferred `late` rows ago; see `Engine.infer`."""
        self._engine.infer(magnitudes, masks, real)
        for row in check_call(self.spec, magnitudes, masks, real):
            self._waiting.append(masks[row].copy())
            if len(self._waiting) > self._late:
                masks[row] = self._waiting.popleft()
            else:
                masks[row] = 1.0 / len(self.spec.stems)  # masks and magnitudes alike are made to sum to the mix

    def reset(self, row: int | None = None) -> None:
        """Forget all masks, whichever row is reset."""
        self._engine.reset(row)
        self._waiting.clear()

    def close(self) -> None:
        """See `Engine`."""
        self._engine.close()
