from __future__ import annotations

import numpy as np
import pytest

from rtsep.core.presets import plan
from rtsep.dsp.spectrogram_ring import RESERVE_HOPS, SpectrogramRing, commit, gather, next_frame, spectrogram_ring
from tests.support.compiled import llvm
from tests.support.engines import stateful_spec, windowed_spec

CHANNELS, BINS = 2, 16


def ring(context: int = 4, preset: str = "23") -> tuple[SpectrogramRing, int]:
    """A spectrogram ring and the stride of its frames."""
    model = windowed_spec(context=context, bins=BINS)
    window = plan(model, 44100, preset)
    return spectrogram_ring(model, window), window.frame_stride


def push(memory: SpectrogramRing, hop: int) -> None:
    """Write a frame that says which hop it is of."""
    slot = next_frame(memory)
    assert slot.shape == (CHANNELS, BINS)
    slot[0], slot[1] = hop, -hop
    commit(memory)


def test_the_ring_is_large_enough_for_its_model() -> None:
    memory, frame_stride = ring(context=8, preset="3")
    assert frame_stride == 8 and len(memory.frames) >= 8 * frame_stride + RESERVE_HOPS


@pytest.mark.parametrize("frame_stride", [1, 2, 8])
def test_every_nth_frame_up_to_the_newest(frame_stride: int) -> None:
    memory, _ = ring(context=4, preset="3")
    out = np.full((CHANNELS, 4, BINS), np.nan, np.float32)
    rng = np.random.default_rng(frame_stride)
    for hop in range(400):
        push(memory, hop)
        newest = hop - int(rng.integers(0, min(hop + 1, RESERVE_HOPS // 2)))
        assert gather(memory, newest, frame_stride, out)
        expected = [max(0, newest - frame_stride * back) for back in (3, 2, 1, 0)]
        assert (out[0] == np.array(expected)[:, np.newaxis]).all()
        assert (out[1] == -out[0]).all()


def test_before_the_first_frame_is_silence() -> None:
    memory, _ = ring()
    memory.frames[...] = 99.0
    push(memory, 5)
    out = np.full((CHANNELS, 4, BINS), np.nan, np.float32)
    assert gather(memory, 0, 2, out)
    assert (out[:, :3] == 0.0).all() and (out[0, 3] == 5.0).all()


def test_a_reset_forgets() -> None:
    memory, _ = ring()
    for hop in range(10):
        push(memory, hop + 1)
    memory.state["hops"] = 0
    push(memory, 7)
    out = np.full((CHANNELS, 4, BINS), np.nan, np.float32)
    assert gather(memory, 0, 1, out)
    assert (out[:, :3] == 0.0).all() and (out[0, 3] == 7.0).all()


def test_a_lapped_reader_is_told() -> None:
    memory, frame_stride = ring()
    capacity = len(memory.frames)
    out = np.zeros((CHANNELS, 4, BINS), np.float32)
    newest = 3 * frame_stride  # its oldest frame is hop 0
    hop = 0
    while hop <= newest:
        push(memory, hop)
        hop += 1
    while hop < capacity - 1:  # the frame being written may be the oldest's slot when hops == capacity
        push(memory, hop)
        hop += 1
        assert gather(memory, newest, frame_stride, out), hop
    push(memory, hop)
    hop += 1
    assert hop == capacity and not gather(memory, newest, frame_stride, out)
    assert gather(memory, newest + frame_stride, frame_stride, out)


def test_the_frame_that_is_being_overwritten_is_not_taken() -> None:
    memory, frame_stride = ring()
    capacity = len(memory.frames)
    out = np.zeros((CHANNELS, 4, BINS), np.float32)
    for hop in range(capacity):
        push(memory, hop)
    next_frame(memory)[0] = -1.0  # half written: the reader is lapped by exactly one, and the count does not say so yet
    assert not gather(memory, 3 * frame_stride, frame_stride, out) and (out[0, 0] == -1.0).all()
    assert gather(memory, 3 * frame_stride + 1, frame_stride, out) and (out[0, 0] == 1.0).all()


def test_the_count_is_seen_before_the_slot_changes() -> None:
    memory, _ = ring()
    assert "fence release" in llvm(next_frame, memory)
    assert "release, align 8" in llvm(commit, memory)
    out = np.zeros((CHANNELS, 4, BINS), np.float32)
    assert "fence acquire" in llvm(gather, memory, 0, 1, out)


def test_a_stateful_model_sees_one_frame() -> None:
    model = stateful_spec(bins=BINS)
    memory = spectrogram_ring(model, plan(model, 44100, "3"))
    for hop in range(20):
        push(memory, hop)
    out = np.zeros((CHANNELS, 1, BINS), np.float32)
    assert gather(memory, 11, 8, out) and (out[0] == 11.0).all()
