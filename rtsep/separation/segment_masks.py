"""Ratio masks on whole segments, at the model's own rate and window: what the signal path does, in NumPy.

A file has no deadline: where the native path needs no start, and its kernels are neither loaded nor
compiled, a song is done sooner. Results are those of the kernels within rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.fft import irfft, rfft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp.limits import EDGE_BINS, EPSILON, LOUDEST
from rtsep.dsp.windows import window_pair

Float32 = NDArray[np.float32]
Complex64 = NDArray[np.complex64]

AT_ONCE = 16  # spectra: all that is done with them stays in the processor's cache


class Masking:
    """Segments to magnitudes, and with the network's word to stems; see `Treatment`.

    Args:
        model: that gives the masks.
        window: how it is run.
        segments: that are analysed before the first of them is rendered.
    """

    def __init__(self, model: ModelSpec, window: WindowSpec, segments: int) -> None:
        self._model = model
        self._pair = window_pair(model, window)
        self._hop, self._length = window.hop, window.window
        bins = window.window // 2 + 1
        kept = model.bins if model.extension == "zeros" else bins  # the others are in no stem
        self._spectra = np.zeros((segments, model.channels, model.context, kept), np.complex64)
        self._analysed = self._rendered = 0  # segments
        past = window.window - window.hop
        self._sound = np.zeros((model.channels, past + model.context * window.hop), np.float32)
        self._full = np.zeros((len(model.stems), AT_ONCE, bins), np.complex64)
        self._frames = np.zeros((len(model.stems), AT_ONCE, window.window), np.float32)
        overlap = window.window // window.hop
        self._sums = np.zeros((model.channels, len(model.stems), AT_ONCE + overlap - 1, window.hop), np.float32)

    def analyse(self, segment: Float32, magnitudes: Float32) -> None:
        """See `Treatment.analyse`."""
        spectra = self._spectra[self._analysed % len(self._spectra)]
        self._analysed += 1
        past = self._length - self._hop
        self._sound[:, :past] = self._sound[:, -past:]
        self._sound[:, past:] = self._basis(_sane(segment))
        if not self._sound.any():
            spectra.fill(0.0)
            magnitudes.fill(0.0)
            return
        frames, full = self._frames[0], self._full[0].copy()
        for channel, sound in enumerate(self._sound):
            windows = sliding_window_view(sound, self._length)[:: self._hop]
            for start in range(0, len(windows), AT_ONCE):
                part = slice(start, min(start + AT_ONCE, len(windows)))
                count = part.stop - start
                np.multiply(windows[part], self._pair.analysis, out=frames[:count])
                rfft(frames[:count], out=full[:count])
                spectra[channel, part] = full[:count, : spectra.shape[2]]
                np.abs(full[:count, : magnitudes.shape[2]], out=magnitudes[channel, part])

    def render(self, raw: Float32, stems: Float32) -> None:
        """See `Treatment.render`."""
        spectra = self._spectra[self._rendered % len(self._spectra)]
        self._rendered += 1
        hop = self._hop
        for channel in range(len(spectra)):
            for start in range(0, raw.shape[2], AT_ONCE):
                part = slice(start, min(start + AT_ONCE, raw.shape[2]))
                self._multiply(raw[:, channel, part], spectra[channel, part])
                made = self._overlap(self._sums[channel], part.stop - start)
                stems[:, channel, start * hop : part.stop * hop] = made.reshape(len(stems), -1)
        if self._model.basis == "ms":
            mid, side = stems[:, 0].copy(), stems[:, 1]
            np.add(mid, side, out=stems[:, 0])
            np.subtract(mid, side, out=stems[:, 1])

    def _basis(self, segment: Float32) -> Float32:
        if self._model.basis == "lr":
            return segment
        return np.stack([segment[0] + segment[1], segment[0] - segment[1]]) * np.float32(0.5)

    def _multiply(self, raw: Float32, spectra: Complex64) -> None:
        """The spectra of the stems; raw: (stems, frames, bins), spectra: (frames, bins)."""
        count, bins = raw.shape[1:]
        masks = ratio_masks(raw, self._model.exponent)
        products = self._full[:, :count]
        np.multiply(masks, spectra[:, :bins], out=products[:, :, :bins])
        if self._model.extension == "zeros":
            return
        seen = masks if self._model.extension == "average" else masks[:, :, -EDGE_BINS:]
        above = seen[:-1].mean(axis=2, keepdims=True, dtype=np.float64).astype(np.float32)
        np.multiply(above, spectra[:, bins:], out=products[:-1, :, bins:])
        np.multiply(1.0 - above.sum(axis=0), spectra[:, bins:], out=products[-1, :, bins:])

    def _overlap(self, sums: Float32, count: int) -> Float32:
        """The next hops of every stem, (stems, count, hop); a view that is good until the next call."""
        frames = self._frames[:, :count]
        irfft(self._full[:, :count], out=frames)  # type: ignore[arg-type]  # the stubs know no float32
        frames *= self._pair.synthesis
        overlap = self._length // self._hop
        sums[:, : overlap - 1] = sums[:, AT_ONCE : AT_ONCE + overlap - 1]
        sums[:, overlap - 1 :] = 0.0
        parts = frames.reshape(*frames.shape[:2], overlap, self._hop)
        for place in range(overlap):
            sums[:, place : place + count] += parts[:, :, place]
        made = sums[:, :count]
        if count < AT_ONCE:  # where the rest is looked for
            made = made.copy()
            sums[:, AT_ONCE:] = sums[:, count : count + overlap - 1].copy()
        return made


def ratio_masks(raw: Float32, exponent: float) -> Float32:
    """Make masks that sum to one; as `dsp.masks.ratio_masks`.

    Args:
        raw: (stems, ...).
        exponent: of the ratio.

    Returns:
        (stems, ...), as `raw`.
    """
    power = np.maximum(raw, np.float32(0.0))
    with np.errstate(over="ignore", invalid="ignore"):
        if exponent == 2.0:
            power *= power
        elif exponent != 1.0:
            power **= np.float32(exponent)
        whole = power.sum(axis=0)
        sound = np.isfinite(whole.max()) and np.isfinite(raw.sum())
    if not sound:  # such bins are shared equally
        broken = ~(np.isfinite(whole) & np.isfinite(raw).all(axis=0))
        power[:, broken] = 0.0
        whole[broken] = 0.0
    power += np.float32(EPSILON / len(raw))
    whole += np.float32(EPSILON)
    power /= whole
    np.subtract(1.0, power[:-1].sum(axis=0), out=power[-1])
    return power


def _sane(segment: Float32) -> Float32:
    """Without what is no sound."""
    if abs(segment).max(initial=0.0) <= LOUDEST:  # not true of NaN
        return segment
    return np.where(np.abs(segment) <= LOUDEST, segment, np.float32(0.0))
