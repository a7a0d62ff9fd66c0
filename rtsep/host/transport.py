"""What Python tells the callback: play and stop, and where in its ring a file goes on or has ended.

The order of these stores is what the callback relies on, so they are kernels: an assignment through NumPy is seen
by another core at any time, on ARM even before what was written before it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel, load_acquire, store_release
from rtsep.dsp.ring import RingMemory


@kernel
def set_phase(state: NDArray[np.void], phase: int) -> None:
    """Let the callback play or stop; who sees the phase sees all that was made ready before.

    Args:
        state: (1,) of `STATE` of host/device_io.py.
        phase: PRIMING, RUNNING or STOPPED.

    Thread: any, one at a time; real-time safe.
    """
    store_release(state, "phase", phase)


@kernel
def end_file(state: NDArray[np.void], ring: RingMemory) -> None:
    """Say that the file ends with what is in its ring; who sees that sees all of its frames.

    Args:
        state: (1,) of `DECK_INPUT` of host/device_io.py.
        ring: of the file.

    Thread: the player's; real-time safe.
    """
    store_release(state, "file_end", load_acquire(ring.state, "written"))


@kernel
def go_on_from(state: NDArray[np.void], position: int) -> None:
    """Drop what the callback has not taken before a position, of before a seek, and take the file's end back.

    The callback reads the end first: if it is taken back, the frame to go on from is there too, and what is
    missing in a block is not counted as frames that came late.

    Args:
        state: (1,) of `DECK_INPUT` of host/device_io.py.
        position: a count of frames ever written to the file's ring.

    Thread: the player's; real-time safe.
    """
    store_release(state, "file_skip", position)
    store_release(state, "file_end", -1)
