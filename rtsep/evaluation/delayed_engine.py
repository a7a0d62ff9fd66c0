"""An engine whose masks come late, to measure what their age costs."""

from __future__ import annotations

from collections import deque

from rtsep.engine.base import Engine, Float32


class DelayedEngine:
    """An engine that gives each call the masks of an earlier one; see `Engine` for the protocol.

    Before the first mask is there, each stem has an equal share of the mix. Calls must come in the order of time, one
    spectrum (a windowed model: one context) at a time.

    Args:
        engine: that makes the masks.
        late: calls by which they come late.
    """

    def __init__(self, engine: Engine, late: int) -> None:
        self.spec, self.provider = engine.spec, f"{engine.provider}, {late} masks late"
        self._engine, self._late = engine, late
        self._waiting: deque[Float32] = deque()

    def warmup(self, frames: int = 1, phases: int = 1) -> None:
        """See `Engine`."""
        self._engine.warmup(frames, phases)

    def infer(self, magnitudes: Float32, masks: Float32, phase: int = 0) -> None:
        """Write what was inferred `late` calls ago; see `Engine.infer`."""
        self._engine.infer(magnitudes, masks, phase)
        self._waiting.append(masks.copy())
        if len(self._waiting) > self._late:
            masks[...] = self._waiting.popleft()
        else:
            masks[...] = 1.0 / len(self.spec.stems)  # masks and magnitudes alike are made to sum to the mix

    def reset(self, phase: int | None = None) -> None:
        """Forget all masks, whichever phase is reset."""
        self._engine.reset(phase)
        self._waiting.clear()

    def close(self) -> None:
        """See `Engine`."""
        self._engine.close()
