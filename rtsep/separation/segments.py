"""A whole signal in segments of the model's context, as Spleeter cuts it: several engines think at once.

A segment is as long as the context, and the network sees each segment by itself. The first frame of the
first is silence, as Spleeter puts a window of zeros before the sound. While the engines are busy
with some segments, the next is analysed and the last is put together. An engine that takes several rows in a call is
given as many segments at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.engine.base import Engine
from rtsep.separation.blocks import SoundSource, run
from rtsep.separation.segment_masks import Masking

Float32 = NDArray[np.float32]

MOST_ROWS = 8  # of a call: their magnitudes and masks take 100 MB with four stems


class Treatment(Protocol):
    """What becomes of the segments of one signal; both are called for each segment, in their order."""

    def analyse(self, segment: Float32, magnitudes: Float32) -> None:
        """Take the next segment in.

        Args:
            segment: (channels, frames * hop).
            magnitudes: for the network, (channels, frames, bins), written in place.
        """

    def render(self, raw: Float32, stems: Float32) -> None:
        """Give the stems of the next segment.

        Args:
            raw: the network's word, (stems, channels, frames, bins).
            stems: (stems, channels, frames * hop), written in place.
        """


# of so many segments that are analysed before the first of them is rendered
Open = Callable[[ModelSpec, WindowSpec, int], Treatment]


def segmented(
    engines: Sequence[Engine], window: WindowSpec, source: SoundSource, treatment: Open = Masking
) -> Generator[Float32, None, None]:
    """Separate a whole signal at the model's rate.

    Args:
        engines: of one model; they work side by side.
        window: how the model is run.
        source: the signal.
        treatment: what becomes of its segments.

    Yields:
        Stems, (stems, channels, frames); see `run`.
    """
    model = engines[0].spec
    process = SegmentProcess(engines, window, treatment)
    try:
        yield from run(process, source, len(model.stems), model.channels)
    finally:
        process.close()


@dataclass(frozen=True)
class _Desk:
    """What lies before an engine and what it gives: as many segments as it takes in a call."""

    magnitudes: Float32  # (segments, channels, frames, bins)
    raw: Float32  # (segments, stems, channels, frames, bins)


class SegmentProcess:
    """Segments through one or more engines of the same model; see `Process`. Close it when done.

    Args:
        engines: of one model; they work side by side.
        window: how the model is run.
        treatment: what becomes of the segments.
    """

    def __init__(self, engines: Sequence[Engine], window: WindowSpec, treatment: Open = Masking) -> None:
        model = engines[0].spec
        frames, hop = model.context, window.hop
        rows = call_rows(engines)
        self._frames = frames * hop
        self.block = rows * self._frames
        # the silent frame before the first, and a call of each engine that is still thinking
        self.delay = window.latency.total + hop + len(engines) * self.block
        self._treatment = treatment(model, window, rows * (len(engines) + 1))
        self._segment = np.zeros((model.channels, hop + self._frames), np.float32)
        shape = (model.channels, frames, model.bins)
        # one more than there are engines, so that the next call is ready before one of them is
        self._free = deque(
            _Desk(np.zeros((rows, *shape), np.float32), np.zeros((rows, len(model.stems), *shape), np.float32))
            for _ in range(len(engines) + 1)
        )
        self._thinking: deque[tuple[_Desk, Future[None]]] = deque()
        self._engines: SimpleQueue[Engine] = SimpleQueue()
        for engine in engines:
            self._engines.put(engine)
        self._pool = ThreadPoolExecutor(len(engines), "rtsep-segment")

    def __call__(self, block: Float32, stems: Float32) -> None:
        """See `Process`."""
        hop = self._segment.shape[1] - self._frames
        desk = self._free.popleft()
        for row, magnitudes in enumerate(desk.magnitudes):
            self._segment[:, hop:] = block[:, row * self._frames : (row + 1) * self._frames]
            self._treatment.analyse(self._segment[:, : self._frames], magnitudes)
            self._segment[:, :hop] = self._segment[:, self._frames :]  # that hop belongs to the next segment
        self._thinking.append((desk, self._pool.submit(self._think, desk)))
        if self._free:
            stems[...] = 0.0
            return
        desk, thought = self._thinking.popleft()
        thought.result()
        for row, raw in enumerate(desk.raw):
            self._treatment.render(raw, stems[:, :, row * self._frames : (row + 1) * self._frames])
        self._free.append(desk)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(cancel_futures=True)

    def _think(self, desk: _Desk) -> None:
        engine = self._engines.get()
        try:
            # Of silence nothing can be taken: masks do not matter, and no time is lost at the end.
            if desk.magnitudes.any():  # then all rows: an engine is ready for one number of them
                engine.infer(desk.magnitudes, desk.raw)
            else:
                desk.raw.fill(0.0)
        finally:
            self._engines.put(engine)


def call_rows(engines: Sequence[Engine]) -> int:
    """Give how many segments a call has: as many as the engines take, where they say so, and one where they do not.

    Args:
        engines: of one model.
    """
    return min(MOST_ROWS, *(getattr(engine, "rows", 1) for engine in engines))
