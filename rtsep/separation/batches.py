"""Blocks of a fixed size to stems: the core that live use has, with many frames to one call of the engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import WindowSpec
from rtsep.dsp import stft
from rtsep.dsp.native import kernel
from rtsep.engine.base import Engine
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.separation.blocks import Process
from rtsep.separation.stream import StreamSeparator

Float32 = NDArray[np.float32]

STATEFUL_FRAMES = 256  # spectra in one call of a stateful engine


@kernel
def analyse_all(stream: stft.Stream, block: Float32, magnitudes: Float32) -> None:
    """Analyse whole hops.

    Args:
        stream: changed in place.
        block: (channels, hops * hop).
        magnitudes: (channels, hops, bins), written in place.
    """
    hop = stream.state[0].hop
    channels, hops, bins = magnitudes.shape
    frame = np.empty((channels, bins), np.float32)
    for i in range(hops):
        stft.analyse(stream, block[:, i * hop : (i + 1) * hop], frame)
        magnitudes[:, i] = frame


@kernel
def synthesise_all(stream: stft.Stream, masks: Float32, step: int, stems: Float32) -> None:
    """Synthesise whole hops with a mask every `step` of them.

    Args:
        stream: changed in place.
        masks: (stems, channels, hops / step, bins), raw.
        step: hops from one mask to the next.
        stems: (stems, channels, hops * hop), written in place.
    """
    hop = stream.state[0].hop
    for i in range(masks.shape[2] * step):
        if i % step == 0:
            stft.set_masks(stream, masks[:, :, i // step])
        stft.synthesise(stream, stems[:, :, i * hop : (i + 1) * hop])


class BatchProcess:
    """Gives the engine a time axis: as `StreamSeparator`, within 1e-5, and many times faster; see `Process`.

    A windowed model sees segments of its own length one after the other.

    Args:
        engine: it is made warm, and reset.
        window: how the model is run.
    """

    def __init__(self, engine: Engine, window: WindowSpec) -> None:
        model = engine.spec
        stateful = model.kind == "stateful"
        self._engine = engine
        self._step = window.mask_interval if stateful else 1
        self._frame_stride = window.frame_stride
        frames = STATEFUL_FRAMES if stateful else model.context
        hops = frames * window.frame_stride
        self.block = hops * window.hop
        self.delay = window.latency.total
        self._stream = stft.open_stream(model, window, hops)
        self._magnitudes = np.zeros((model.channels, hops, model.bins), np.float32)
        self._phases = window.frame_stride // self._step
        self._seen = np.zeros(magnitudes_shape(model, frames, self._phases), np.float32)
        self._raw = np.zeros(masks_shape(model, frames, self._phases), np.float32)
        self._masks = np.zeros((len(model.stems), model.channels, hops // self._step, model.bins), np.float32)
        engine.warmup(frames, self._phases)
        engine.reset()

    def __call__(self, block: Float32, stems: Float32) -> None:
        """See `Process`."""
        analyse_all(self._stream, block, self._magnitudes)
        for phase, seen in enumerate(self._seen):
            seen[...] = self._magnitudes[:, phase * self._step :: self._frame_stride]
        self._engine.infer(self._seen, self._raw)
        for phase, raw in enumerate(self._raw):
            self._masks[:, :, phase :: self._phases] = raw
        synthesise_all(self._stream, self._masks, self._step, stems)


class StreamProcess:
    """Gives what live use would, hop by hop, for windowed models at a live preset; see `Process`.

    Args:
        engine: it is made warm, and reset.
        window: how the model is run.
    """

    def __init__(self, engine: Engine, window: WindowSpec) -> None:
        self._separator = StreamSeparator(engine, window)
        self.block = window.hop * max(1, 16384 // window.hop)
        self.delay = window.latency.total

    def __call__(self, block: Float32, stems: Float32) -> None:
        """See `Process`."""
        self._separator.feed(block, stems)


def open_process(engine: Engine, window: WindowSpec) -> Process:
    """Find the fastest way to what live use means by these settings."""
    batched = engine.spec.kind == "stateful" or window.preset == "exact"
    return BatchProcess(engine, window) if batched else StreamProcess(engine, window)
