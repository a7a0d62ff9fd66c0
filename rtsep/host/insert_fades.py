"""What of an insert is heard: wet or dry or on the way, at one latency, and never a step between.

A row has two lines: what came in, and what came back; where that is missing, the dry sound stands in, as late as the
wet would be. A tap reads one of them, so late that all rows of the insert come out together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel


@kernel
def wanted_tap(insert: Any, number: int) -> int:
    """How late the row's line is to be heard.

    Thread: the pipeline's; real-time safe.
    """
    state, row = insert.state[0], insert.rows[number]
    if row.slots == 0:
        return state.latency
    return max(0, state.latency - state.slack * insert.back.shape[1] - row.chain)


@kernel
def dry_delay(insert: Any, number: int) -> int:
    """How late the dry sound is that stands in for the wet.

    Thread: the pipeline's; real-time safe.
    """
    return insert.state[0].slack * insert.back.shape[1] + insert.rows[number].chain


@kernel
def go_dry(insert: Any, number: int) -> None:
    """Remember how far the wet sound was from the dry one, which goes on; before the hop is in the lines.

    Thread: the pipeline's; real-time safe.
    """
    state, row = insert.state[0], insert.rows[number]
    row.faded, row.left = 0, 0
    if not row.kept:  # there was no wet sound
        return
    mask = insert.dry.shape[2] - 1
    at = state.hop * insert.back.shape[1] - 1
    for channel in range(len(insert.back)):
        dry = insert.dry[number, channel, (at - dry_delay(insert, number)) & mask]
        insert.last[number, channel] = insert.wet[number, channel, at & mask] - dry
    row.left = state.fade


@kernel
def mend(insert: Any, number: int, wet: bool) -> None:
    """Write the row's next hop into its wet line: what came back, or the dry sound that is as late, without a step.

    Thread: the pipeline's; real-time safe.
    """
    state, row = insert.state[0], insert.rows[number]
    channels, frames = insert.back.shape
    mask = insert.dry.shape[2] - 1
    start, fade = state.hop * frames, state.fade
    late = dry_delay(insert, number)
    for channel in range(channels):
        faded, left = row.faded, row.left
        last = insert.last[number, channel]
        for i in range(frames):
            out = insert.back[channel, i]
            if not wet or faded < fade:
                dry = insert.dry[number, channel, (start + i - late) & mask]
                dry += last * np.float32(left / fade)
                left = max(0, left - 1)
                if wet:
                    faded += 1
                    dry += (out - dry) * np.float32(faded / fade)
                out = dry
            insert.wet[number, channel, (start + i) & mask] = out
    if wet:
        row.faded = min(fade, row.faded + frames)
    row.left = max(0, row.left - frames)
    row.kept = min(mask + 1, row.kept + frames) if state.hop else mask + 1  # before it there was only silence


@kernel
def play_tap(insert: Any, number: int, block: NDArray[np.float32]) -> None:
    """Give the row's hop at its tap, or on the way from an old tap to a new one.

    Thread: the pipeline's; real-time safe.
    """
    state, row = insert.state[0], insert.rows[number]
    channels, frames = insert.back.shape
    mask = insert.dry.shape[2] - 1
    start, fade = state.hop * frames, state.fade
    is_wet, tap = int(row.slots != 0), wanted_tap(insert, number)
    if is_wet and row.kept < tap + frames:  # its line does not reach back so far yet
        is_wet, tap = 0, state.latency
    if row.tap_left == 0 and (row.tap != tap or row.tap_wet != is_wet):
        if state.hop > state.slack:  # else there was only silence
            row.old, row.old_wet, row.tap_left = row.tap, row.tap_wet, fade
        row.tap, row.tap_wet = tap, is_wet
    if row.tap == 0 and row.tap_wet == 0 and row.tap_left == 0:
        return
    new = insert.wet[number] if row.tap_wet else insert.dry[number]
    old = insert.wet[number] if row.old_wet else insert.dry[number]
    for channel in range(channels):
        left = row.tap_left
        for i in range(frames):
            heard = new[channel, (start + i - row.tap) & mask]
            if left > 0:
                left -= 1
                heard += (old[channel, (start + i - row.old) & mask] - heard) * np.float32(left / fade)
            block[channel, i] = heard
    row.tap_left = max(0, row.tap_left - frames)
