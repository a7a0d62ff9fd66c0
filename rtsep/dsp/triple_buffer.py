"""A triple buffer: one writer, one reader, always the newest whole value, never a wait.

Unlike a seqlock, a writer that is stopped in mid-write holds nobody up. The exchange is ordered both ways: what was
written to a slot, by whatever means, is seen by who gets it, and what was read from it is read before it is given back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import exchange, kernel, load_acquire

CONTROL = np.dtype(
    [
        ("middle", np.int64),  # the slot in between, plus FRESH when the reader has not seen it
        ("back", np.int64),  # the writer's slot
        ("front", np.int64),  # the reader's slot
    ],
    align=True,
)
FRESH = 4
SLOT = 3  # mask of the slot's number


def triple_buffer() -> NDArray[np.void]:
    """Make the control of a triple buffer; its slots are the first axis, of length 3, of any arrays.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    return np.array([(1, 0, 2)], CONTROL)


@kernel
def publish(state: NDArray[np.void]) -> None:
    """Hand over the slot `back`, which the writer has filled, and get another.

    Thread: the buffer's writer; real-time safe.
    """
    state[0].back = exchange(state, "middle", state[0].back | FRESH) & SLOT


@kernel
def take(state: NDArray[np.void]) -> bool:
    """Move the newest published slot to `front`.

    Returns:
        False when there is none since the last time.

    Thread: the buffer's reader; real-time safe.
    """
    if not load_acquire(state, "middle") & FRESH:
        return False
    state[0].front = exchange(state, "middle", state[0].front) & SLOT
    return True
