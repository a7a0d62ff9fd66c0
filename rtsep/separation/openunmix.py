"""A whole signal as Open-Unmix takes it: centred frames, the networks over all of it, the Wiener filter in windows.

After the separator of Open-Unmix 1.3: the signal is mirrored at both ends, the networks' magnitudes
take the mix's phase (or share the mix), and expectation-maximisation refines them in windows of 300
frames. Where that one has everything in memory, this goes through the signal piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import RESIDUAL, ModelSpec, WindowSpec
from rtsep.dsp import stft, wiener
from rtsep.dsp.native import kernel
from rtsep.dsp.windows import hann
from rtsep.engine.base import Engine
from rtsep.errors import SpecError
from rtsep.separation.blocks import SoundSource
from rtsep.separation.centered_stft import CentredSpectra
from rtsep.separation.options import Refinement, targets

Float32 = NDArray[np.float32]
Complex64 = NDArray[np.complex64]

EPSILON = 1e-10
LONGEST = 10_800  # frames that a bidirectional network sees at once: four minutes at 44.1 kHz
MARGIN = 600  # frames at the ends of such a piece that are only there to be looked at
STREAM_FRAMES = 300  # frames that a network with a carried state is given at once


def separate(engine: Engine, source: SoundSource, refinement: Refinement) -> Iterator[Float32]:
    """Separate a signal at the model's rate.

    Args:
        engine: of the model.
        source: the signal.
        refinement: how magnitudes become stems.

    Yields:
        Stems, (stems, channels, frames).

    Raises:
        SpecError: for one target that is to be refined without a residual beside it.
        EngineError: where the engine fails.
    """
    model = engine.spec
    if len(targets(model)) == 1 and refinement.iterations and not refinement.residual:
        raise SpecError(
            f"{model.name} has one target, which nothing can be weighed against; add --residual or use --niter 0"
        )
    centred = CentredSpectra(source, model)
    resynthesis = _Resynthesis(model, refinement)
    for raw, spectra in _pieces(engine, centred, refinement.window):
        for start in range(0, len(spectra), refinement.window):
            part = slice(start, start + refinement.window)
            yield resynthesis.window(raw[:, :, part], spectra[part])
    yield resynthesis.rest(centred.frames)


def _pieces(engine: Engine, centred: CentredSpectra, window: int) -> Iterator[tuple[Float32, Complex64]]:
    """The networks' magnitudes (stems, channels, frames, bins) and the spectra (frames, channels, bins).

    Pieces are whole windows, but the last.
    """
    stateful = engine.spec.kind == "stateful"
    longest = (STREAM_FRAMES if stateful else LONGEST) // window * window or window
    margin = 0 if stateful else -(-MARGIN // window) * window
    engine.reset()
    begin = 0  # of the held spectra, those before are only looked at
    held = centred.take(longest)
    while len(held):
        magnitudes = np.ascontiguousarray(np.abs(held).transpose(1, 0, 2))
        raw = np.empty((len(engine.spec.stems), *magnitudes.shape), np.float32)
        engine.infer(magnitudes[np.newaxis], raw[np.newaxis])
        del magnitudes
        more = centred.take(1) if len(held) == longest else held[:0]
        end = len(held) - (margin if len(more) else 0)
        yield raw[: len(targets(engine.spec)), :, begin:end], held[begin:end]
        del raw
        if not len(more):
            return
        begin = margin
        kept = np.concatenate([held[end - margin :], more])
        held = np.concatenate([kept, centred.take(longest - len(kept))])


def _window(model: ModelSpec) -> WindowSpec:
    """The model's own window and hop, which need not overlap as a live preset must."""
    if model.window % model.hop:
        raise SpecError(f"{model.name}: hop {model.hop} does not divide its window of {model.window} frames")
    return WindowSpec("exact", model.sample_rate, model.window, model.window, model.hop, 1, 1, 0)


@kernel
def _estimate_all(raw: Float32, spectra: Complex64, share: bool, residual: bool, sources: Complex64) -> None:
    for i in range(len(spectra)):
        wiener.estimate(raw[:, :, i], spectra[i], share, residual, EPSILON, sources[i])


@kernel
def _refine_all(places: wiener.Places, spectra: Complex64, sources: Complex64) -> None:
    for i in range(len(spectra)):
        wiener.look(places, sources[i], spectra[i])
    for i in range(len(spectra)):
        wiener.refine(places, spectra[i], EPSILON, sources[i])


@kernel
def _resynthesise_all(stream: stft.Stream, sources: Complex64, stems: Float32) -> None:
    hop = stream.state[0].hop
    for i in range(len(sources)):
        stream.products[...] = sources[i]
        stft.resynthesise(stream, True, stems[:, :, i * hop : (i + 1) * hop])


class _Resynthesis:
    """Windows of magnitudes and spectra to the stems of the signal that is in the middle of the frames."""

    def __init__(self, model: ModelSpec, refinement: Refinement) -> None:
        # one target and its residual are always two: a model has no fewer, and the second is dropped
        self._residual = refinement.residual or len(targets(model)) == 1
        names = targets(model) + ((RESIDUAL,) if self._residual else ())
        self._given = len(targets(model)) + refinement.residual
        self._refinement = refinement
        self._stream = stft.open_stream(replace(model, stems=names), _window(model))
        self._window, self._hop = model.window, model.hop
        self._frame = 0  # the next
        self._skip = model.window // 2  # samples of the mirrored start that are still to come
        self._done = 0

    def window(self, raw: Float32, spectra: Complex64) -> Float32:
        """Stems (stems, channels, frames) of one window of refinement."""
        shape = self._stream.products.shape
        sources = np.empty((len(spectra), *shape), np.complex64)
        _estimate_all(raw, spectra, self._refinement.share, self._residual, sources)
        for _ in range(self._refinement.iterations):
            places = wiener.open_places(*shape)
            _refine_all(places, spectra, sources)
        output = np.empty((*shape[:2], len(spectra) * self._hop), np.float32)
        _resynthesise_all(self._stream, sources, output)
        for i in range(len(spectra)):
            self._level(output[:, :, i * self._hop : (i + 1) * self._hop], self._frame, self._frame)
            self._frame += 1
        return self._cut(output, output.shape[2])

    def rest(self, frames: int) -> Float32:
        """What is left of the stems of a signal of `frames` samples, after the last window."""
        hops = self._window // self._hop
        output = np.empty((*self._stream.products.shape[:2], hops * self._hop), np.float32)
        for i in range(hops):
            part = output[:, :, i * self._hop : (i + 1) * self._hop]
            stft.resynthesise(self._stream, False, part)
            self._level(part, self._frame + i, self._frame - 1)
        return self._cut(output, frames - self._done + self._skip)

    def _cut(self, output: Float32, end: int) -> Float32:
        start = min(self._skip, output.shape[2])
        self._skip -= start
        cut = output[: self._given, :, start:end]
        self._done += cut.shape[2]
        return cut

    def _level(self, part: Float32, place: int, last: int) -> None:
        """Make up for frames that do not exist: before the first, and after the last."""
        overlap = self._window // self._hop
        there = [k for k in range(place - overlap + 1, place + 1) if 0 <= k <= last]
        if len(there) == overlap:
            return
        squares = (hann(self._window) ** 2).reshape(overlap, self._hop)
        found = sum((squares[place - k] for k in there), np.zeros(self._hop))
        part *= np.divide(squares.sum(axis=0), found, out=np.zeros(self._hop), where=found > 1e-11)
