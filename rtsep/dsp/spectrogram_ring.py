"""The spectrogram ring: the newest spectra, from which a model is shown every `frame_stride`-th.

The signal path writes, the engine's thread reads; what the writer has lapped is found out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp.native import fence, fence_release, kernel, load_acquire, store_release

STATE = np.dtype([("hops", np.int64)], align=True)  # spectra ever written
RESERVE_HOPS = 64  # how far the reader may fall behind


class SpectrogramRing(NamedTuple):
    """Magnitudes on the model's grid, by hop."""

    state: NDArray[np.void]  # (1,) of STATE
    frames: NDArray[np.float32]  # (capacity, channels, bins)


def spectrogram_ring(model: ModelSpec, window: WindowSpec) -> SpectrogramRing:
    """Make an empty ring: the past is silence.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    capacity = model.context * window.frame_stride + RESERVE_HOPS
    return SpectrogramRing(np.zeros(1, STATE), np.zeros((capacity, model.channels, model.bins), np.float32))


@kernel
def next_frame(ring: SpectrogramRing) -> NDArray[np.float32]:
    """Give the slot (channels, bins) to fill before `commit`; with it the frame one lap before is gone.

    Thread: one at a time, live the pipeline's; real-time safe.
    """
    fence_release()  # the count of before is seen before the slot changes: a reader that meets new bins knows it
    return ring.frames[ring.state[0].hops % len(ring.frames)]


@kernel
def commit(ring: SpectrogramRing) -> None:
    """Let the reader see the slot, which is filled.

    Thread: one at a time, live the pipeline's; real-time safe.
    """
    store_release(ring.state, "hops", ring.state[0].hops + 1)


@kernel
def gather(ring: SpectrogramRing, newest: int, frame_stride: int, out: NDArray[np.float32]) -> bool:
    """Copy every `frame_stride`-th frame up to a hop; frames before the first are silence.

    Args:
        ring: what is read from.
        newest: the hop of the last frame.
        frame_stride: hops from one frame to the next.
        out: (channels, frames, bins), written in place.

    Returns:
        False when the writer has gone over some of them, or may be about to.

    Thread: one at a time, live the inference worker's; real-time safe.
    """
    channels, count, bins = out.shape
    capacity = len(ring.frames)
    for i in range(count):
        hop = newest - (count - 1 - i) * frame_stride
        for channel in range(channels):
            for k in range(bins):
                out[channel, i, k] = ring.frames[hop % capacity, channel, k] if hop >= 0 else np.float32(0.0)
    fence()  # the frames are read before the count that judges them
    oldest = max(0, newest - (count - 1) * frame_stride)
    # Not <=: while the count is `hops`, the slot of frame `hops - capacity` is being written.
    return load_acquire(ring.state, "hops") < oldest + capacity
