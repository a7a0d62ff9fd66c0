"""Spectra whose frames are centred on the samples of a signal that is mirrored at both ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec
from rtsep.dsp.windows import model_window
from rtsep.separation.blocks import SoundSource, Whole

Complex64 = NDArray[np.complex64]

AT_ONCE = 256  # spectra of one transform


class CentredSpectra:
    """Frame k is centred on sample k x hop, for every such sample of the signal; as `torch.stft` with `center`.

    Args:
        source: the signal, at the model's rate.
        model: whose window and hop they are.
    """

    def __init__(self, source: SoundSource, model: ModelSpec) -> None:
        self.frames = 0  # samples of the signal, known at its end
        self._whole = Whole(source, model.channels)
        self._hop, self._pad = model.hop, model.window // 2
        self._window = model_window(model.analysis, model.window).astype(np.float32)
        self._held = np.zeros((model.channels, 0), np.float32)  # of the mirrored signal, from the next frame on
        self._tail = self._held  # the newest of the signal itself
        self._ended = False

    def take(self, count: int) -> Complex64:
        """Give the next spectra.

        Args:
            count: how many.

        Returns:
            (frames, channels, bins); fewer frames only at the end.
        """
        parts = []
        while count > 0 and len(part := self._transform(min(count, AT_ONCE))):
            parts.append(part)
            count -= len(part)
        empty = np.zeros((0, len(self._held), self._pad + 1), np.complex64)
        return np.concatenate(parts) if parts else empty

    def _transform(self, count: int) -> Complex64:
        length, hop = self._window.size, self._hop
        while not self._ended and self._held.shape[1] < length + (count - 1) * hop:
            self._fill(AT_ONCE * hop)
        count = max(0, min(count, (self._held.shape[1] - length) // hop + 1))
        spectra = np.empty((count, len(self._held), self._pad + 1), np.complex64)
        for i in range(count):
            np.fft.rfft(self._held[:, i * hop : i * hop + length] * self._window, out=spectra[i])
        self._held = self._held[:, count * hop :]
        return spectra

    def _fill(self, wanted: int) -> None:
        wanted = max(wanted, self._pad + 1)
        part = self._whole.read(wanted)
        parts = [self._held, part]
        if not self.frames and part.shape[1]:
            parts.insert(1, np.pad(part, ((0, 0), (self._pad, 0)), "reflect")[:, : self._pad])
        self.frames += part.shape[1]
        self._tail = np.concatenate([self._tail, part], axis=1)[:, -self._pad - 1 :]
        self._ended = part.shape[1] < wanted
        if self._ended and self.frames:
            parts.append(np.pad(self._tail, ((0, 0), (0, self._pad)), "reflect")[:, -self._pad :])
        self._held = np.concatenate(parts, axis=1)
