"""The way of a hop: transform, upload, inference, download, inverse; each part timed where it is done."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsep.audio.downmix import to_channels
from rtsep.audio.sources import resampled
from rtsep.core.spec import WindowSpec
from rtsep.demo import SONG
from rtsep.dsp import stft
from rtsep.dsp.native import clock_ns, kernel
from rtsep.dsp.spectrogram_ring import SpectrogramRing, commit, gather, next_frame, spectrogram_ring
from rtsep.engine.base import Engine
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.slots import slots

Float32 = NDArray[np.float32]

# `engine` is the whole call: upload, inference and download, and what Python adds; those three are an engine's own
# timings, where it has them. `hop` is all of it.
STAGES = ("stft", "gather", "upload", "inference", "download", "engine", "inverse", "hop")
DECK_OFFSET_S = 7.0  # decks play other parts of the song


@runtime_checkable
class PartClock(Protocol):
    """What an engine's own clock is, its attribute `times`: how long the parts of its passes took on the card."""

    passes: int  # ever timed

    def newest_ns(self, passes: int) -> dict[str, int]:
        """Give the parts `upload`, `inference` and `download` of the newest passes together, in nanoseconds.

        Args:
            passes: how many.
        """


def song(sample_rate: int, channels: int) -> Float32:
    """Read the demo song, (channels, frames).

    Args:
        sample_rate: wanted, in Hz.
        channels: wanted.
    """
    sound, rate = soundfile.read(SONG, dtype="float32", always_2d=True)
    return to_channels(resampled(np.ascontiguousarray(sound.T), rate, sample_rate), channels)


@kernel
def _analyse(stream: stft.Stream, ring: SpectrogramRing, block: Float32) -> int:
    started = clock_ns()
    stft.analyse(stream, block, next_frame(ring))
    commit(ring)
    return int(clock_ns() - started)


@kernel
def _gather(ring: SpectrogramRing, hop: int, frame_stride: int, magnitudes: Float32) -> int:
    started = clock_ns()
    gather(ring, hop, frame_stride, magnitudes)
    return int(clock_ns() - started)


@kernel
def _synthesise(stream: stft.Stream, masks: Float32, due: bool, stems: Float32) -> int:
    started = clock_ns()
    if due:
        stft.set_masks(stream, masks)
    stft.synthesise(stream, stems)
    return int(clock_ns() - started)


class Chain:
    """An engine and the signal path around it, for any number of decks that play the demo song.

    A mask is used in the hop that it was made in, also where live use waits for it.

    Args:
        engine: it is made warm, and reset.
        window: how the model is run.
        decks: how many.
        sound: (channels, frames), looped; None: the demo song.
    """

    def __init__(self, engine: Engine, window: WindowSpec, decks: int = 1, sound: Float32 | None = None) -> None:
        model = engine.spec
        self.engine, self.window = engine, window
        clock = getattr(engine, "times", None)
        self._clock: PartClock | None = clock if isinstance(clock, PartClock) else None
        self.slots = slots(model, window)
        self.hop = 0
        self.times_ns = dict.fromkeys(STAGES, 0)  # of the newest hop; 0: not done
        self.streams = [stft.open_stream(model, window) for _ in range(decks)]
        self._rings = [spectrogram_ring(model, window) for _ in range(decks)]
        self._blocks = _cut(song(window.sample_rate, model.channels) if sound is None else sound, window.hop)
        self._stems = np.zeros((len(model.stems), model.channels, window.hop), np.float32)
        rows = self.slots.rows(decks)
        engine.warmup(model.context, rows)
        self._magnitudes = np.zeros(magnitudes_shape(model, model.context, rows), np.float32)
        self._masks = np.zeros(masks_shape(model, model.context, rows), np.float32)
        self._real = np.zeros(rows, np.bool_)
        for _ in range(self.slots.mask_interval + 1):  # compile, or load what was compiled
            self.play()
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        self.hop = 0
        self.engine.reset()
        for stream, ring in zip(self.streams, self._rings, strict=True):
            stft.reset(stream)
            ring.state["hops"] = 0

    def play(self, due: bool | None = None) -> bool:
        """Take one hop of every deck through everything; `times_ns` tells how long each part took.

        Args:
            due: whether a mask is made; None: as live use makes them.

        Returns:
            Whether one was made.
        """
        started = time.perf_counter_ns()
        due = self.slots.wants(self.hop) if due is None else due
        times = self.times_ns
        for stage in STAGES:
            times[stage] = 0
        for deck, (stream, ring) in enumerate(zip(self.streams, self._rings, strict=True)):
            times["stft"] += _analyse(stream, ring, self._block(deck))
        rows = [self.slots.row(self.hop, deck) for deck in range(len(self.streams))]
        if due:
            self._real[:] = False
            for row, ring in zip(rows, self._rings, strict=True):
                self._real[row] = True
                times["gather"] += _gather(ring, self.hop, self.slots.frame_stride, self._magnitudes[row])
            before = self._clock.passes if self._clock else 0
            called = time.perf_counter_ns()
            self.engine.infer(self._magnitudes, self._masks, self._real)
            times["engine"] = time.perf_counter_ns() - called
            if self._clock:
                times.update(self._clock.newest_ns(self._clock.passes - before))
        for row, stream in zip(rows, self.streams, strict=True):
            masks = self._masks[row, :, :, self.slots.frame]
            times["inverse"] += _synthesise(stream, masks, due, self._stems)
        self.hop += 1
        times["hop"] = time.perf_counter_ns() - started
        return due

    def _block(self, deck: int) -> Float32:
        ahead = int(deck * DECK_OFFSET_S * self.window.sample_rate) // self.window.hop
        block: Float32 = self._blocks[(self.hop + ahead) % len(self._blocks)]
        return block


def _cut(sound: Float32, hop: int) -> Float32:
    """Cut sound (channels, frames) into (hops, channels, hop)."""
    channels, frames = sound.shape
    return np.ascontiguousarray(sound[:, : frames // hop * hop].reshape(channels, -1, hop).transpose(1, 0, 2))
