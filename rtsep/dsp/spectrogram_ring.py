"""The context ring: the newest spectra, from which a model is shown every `spacing`-th.

The signal path writes, the engine's thread reads; what the writer has lapped is found out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp.native import fence, kernel, load_acquire, store_release

STATE = np.dtype([("hops", np.int64)], align=True)  # spectra ever written
RESERVE_HOPS = 64  # how far the reader may fall behind


class Context(NamedTuple):
    """Magnitudes on the model's grid, by hop."""

    state: NDArray[np.void]  # (1,) of STATE
    frames: NDArray[np.float32]  # (capacity, channels, bins)


def context_ring(model: ModelSpec, window: WindowSpec) -> Context:
    """An empty context: the past is silence."""
    capacity = model.context * window.spacing + RESERVE_HOPS
    return Context(np.zeros(1, STATE), np.zeros((capacity, model.channels, model.bins), np.float32))


@kernel
def next_frame(context: Context) -> NDArray[np.float32]:
    """The slot (channels, bins) to fill before `commit`."""
    return context.frames[context.state[0].hops % len(context.frames)]


@kernel
def commit(context: Context) -> None:
    """The slot is filled; let the reader see it."""
    store_release(context.state, "hops", context.state[0].hops + 1)


@kernel
def gather(context: Context, newest: int, spacing: int, out: NDArray[np.float32]) -> bool:
    """Copy every `spacing`-th frame up to hop `newest` into out (channels, frames, bins).

    Frames before the first are silence. False when the writer has gone over some of them.
    """
    channels, count, _ = out.shape
    capacity = len(context.frames)
    for i in range(count):
        hop = newest - (count - 1 - i) * spacing
        for channel in range(channels):
            if hop < 0:
                out[channel, i] = 0.0
            else:
                out[channel, i] = context.frames[hop % capacity, channel]
    fence()
    oldest = max(0, newest - (count - 1) * spacing)
    return load_acquire(context.state, "hops") < oldest + capacity
