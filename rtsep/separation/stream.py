"""The heart: blocks of any size in, stems out, at a latency that is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import Latency, WindowSpec
from rtsep.dsp import stft
from rtsep.dsp.denormals import without_denormals
from rtsep.dsp.spectrogram_ring import commit, next_frame, spectrogram_ring
from rtsep.engine.base import Engine
from rtsep.engine.inference import Inference
from rtsep.errors import SpecError

Float32 = NDArray[np.float32]


class StreamSeparator:
    """Separates a stream hop by hop; the result does not depend on how the stream is cut.

    After construction no array is made. One thread calls it at a time.

    Args:
        engine: it is made warm, and reset.
        window: how the model is run.
    """

    def __init__(self, engine: Engine, window: WindowSpec) -> None:
        model = engine.spec
        self.model = model
        self.window = window
        self._stream = stft.open_stream(model, window)
        self._context = spectrogram_ring(model, window)
        self._inference = Inference(engine, window, self._context)
        self._pending = np.zeros((model.channels, window.hop), np.float32)
        self._stems = np.zeros((len(model.stems), model.channels, window.hop), np.float32)
        self._fed = 0
        self._given = 0
        self._hop()  # compile, or load what was compiled
        self.reset()

    @property
    def latency(self) -> Latency:
        """By how many frames the stems are behind the input of `feed`."""
        return self.window.latency

    @property
    def broken_samples(self) -> int:
        """Input samples that were not finite, or absurd, and were taken as zero."""
        return int(self._stream.state[0]["broken_samples"])

    @property
    def broken_masks(self) -> int:
        """Mask bins that were not finite and were shared equally."""
        return int(self._stream.state[0]["broken_masks"])

    def emitted(self, frames: int) -> int:
        """Give the frames that `feed` will give for a block of `frames`."""
        hop = self.window.hop
        return (self._fed % hop + frames) // hop * hop

    def feed(self, block: Float32, stems: Float32) -> int:
        """Take a block of any length and write the stems that are ready.

        Args:
            block: (channels, frames).
            stems: (stems, channels, at least `emitted(frames)`), written in place.

        Returns:
            The frames written, a whole number of hops.

        Raises:
            SpecError: for arrays of other shapes.
        """
        if block.ndim != 2 or block.shape[0] != self.model.channels:
            raise SpecError(f"a block is ({self.model.channels}, frames), not {block.shape}")
        frames = block.shape[1]
        if stems.shape[:2] != self._stems.shape[:2] or stems.shape[2] < self.emitted(frames):
            wanted = (*self._stems.shape[:2], self.emitted(frames))
            raise SpecError(f"the array for the stems is {stems.shape}; it must be at least {wanted}")
        hop = self.window.hop
        taken = written = 0
        while taken < frames:
            held = self._fed % hop
            part = min(hop - held, frames - taken)
            self._pending[:, held : held + part] = block[:, taken : taken + part]
            taken += part
            self._fed += part
            if held + part == hop:
                self._hop()
                stems[:, :, written : written + hop] = self._stems
                written += hop
        self._given += written
        return written

    def flush(self, stems: Float32) -> int:
        """Write what is still inside; then all that was fed has come out, `latency` frames late.

        The separator is then as new.

        Args:
            stems: (stems, channels, at least latency + hop), written in place.

        Returns:
            The frames written.

        Raises:
            SpecError: for an array that is too small.
        """
        rest = self._fed + self.latency.total - self._given
        if stems.ndim != 3 or stems.shape[:2] != self._stems.shape[:2] or stems.shape[2] < rest:
            wanted = (*self._stems.shape[:2], rest)
            raise SpecError(f"the array for the stems is {stems.shape}; flush needs at least {wanted}")
        held = self._fed % self.window.hop
        self._pending[:, held:] = 0.0
        written = 0
        while written < rest:
            self._hop()
            part = min(self.window.hop, rest - written)
            stems[:, :, written : written + part] = self._stems[:, :, :part]
            written += part
            self._pending[...] = 0.0
        self.reset()
        return written

    def reset(self) -> None:
        """Forget all sound, as if nothing had been fed."""
        stft.reset(self._stream)
        self._context.state["hops"] = 0
        self._inference.reset()
        self._fed = self._given = 0

    def _hop(self) -> None:
        with without_denormals():  # as on the host's threads: the same numbers, and no slower where a song dies away
            self._transform()

    def _transform(self) -> None:
        made = int(self._stream.state[0]["hops"]) - self.window.ahead  # the newest spectrum that a mask is made from
        stft.analyse(self._stream, self._pending, next_frame(self._context))
        commit(self._context)
        if made >= 0 and self._inference.slots.wants(made):
            self._inference.run(made)
            if stft.set_masks(self._stream, self._inference.masks):
                self._inference.reset(made)
        stft.synthesise(self._stream, self._stems)
