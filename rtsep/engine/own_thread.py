"""An engine on a thread of its own, for those that call it from several: cards want one thread for all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rtsep.engine.base import Engine, Float32, Real


class OwnThreadEngine:
    """Opens, runs and closes an engine on one thread, whoever asks; see `Engine` for the protocol.

    Args:
        open_engine: opens the engine, there.

    Raises:
        RtsepError: what `open_engine` raises.
    """

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._thread = ThreadPoolExecutor(1, "rtsep-card")
        try:
            self._engine = self._thread.submit(open_engine).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self.spec, self.provider = self._engine.spec, self._engine.provider
        self.rows = getattr(self._engine, "rows", 1)  # of one call, at most
        self.serves_many = self.spec.kind == "windowed"  # callers in turn: it has no states

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Get ready; see `Engine.warmup`."""
        self._thread.submit(self._engine.warmup, frames, rows).result()
        self.provider = self._engine.provider

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """Write the masks; see `Engine.infer`."""
        self._thread.submit(self._engine.infer, magnitudes, masks, real).result()

    def reset(self, row: int | None = None) -> None:
        """Set the states of one row, or of all, to zero."""
        self._thread.submit(self._engine.reset, row).result()

    def close(self) -> None:
        """Close the engine there, and end the thread."""
        try:
            self._thread.submit(self._engine.close).result()
        except RuntimeError:  # closed already
            return
        finally:
            self._thread.shutdown()
