"""The streaming transform: one hop in, its spectrum, its masks, one hop of every stem out.

Weighted overlap-add, after R. Crochiere, "A weighted overlap-add method of short-time Fourier
analysis/synthesis" (IEEE TASSP 1980).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp import fft
from rtsep.dsp.bins import interpolate, to_device, to_model
from rtsep.dsp.limits import LOUDEST
from rtsep.dsp.masks import EXTENSION_CODE, ratio_masks
from rtsep.dsp.native import kernel
from rtsep.dsp.windows import magnitude_scale, model_window, window_pair

STATE = np.dtype(
    [
        ("hop", np.int64),
        ("latency", np.int64),  # frames from the newest input to what `delayed` gives
        ("delay", np.int64),  # hops that a spectrum waits for its mask
        ("mid_side", np.int64),
        ("extension", np.int64),
        ("hops", np.int64),  # hops analysed
        ("played", np.int64),  # hops synthesised
        ("broken_samples", np.int64),  # input samples that were not finite, or absurd
        ("broken_masks", np.int64),  # bins of masks that were not finite
        ("exponent", np.float64),
        ("scale", np.float32),
    ],
    align=True,
)


class Stream(NamedTuple):
    """All that the transform of one stream holds. Shapes: C channels, S stems, K bins, N window, M synthesis."""

    state: NDArray[np.void]  # (1,) of STATE
    transform: fft.Plan  # of N points
    analysis: NDArray[np.float32]  # (N,)
    shown: NDArray[np.float32]  # (N,) window that the network sees, where it is another one; else (0,)
    shown_spectrum: NDArray[np.complex64]  # (C, K)
    synthesis: NDArray[np.float32]  # (M,)
    model_below: NDArray[np.int64]  # device bins to the model's
    model_weight: NDArray[np.float32]
    device_below: NDArray[np.int64]  # model bins to the device's
    device_weight: NDArray[np.float32]
    total: NDArray[np.float32]  # (K,) what the masks sum to
    history: NDArray[np.float32]  # (C, the newest input that is still needed)
    frame: NDArray[np.float32]  # (C, N) windowed
    spectra: NDArray[np.complex64]  # (delay + batch, C, K) by hop
    magnitude: NDArray[np.float32]  # (K + 1,), the last one zero
    refined: NDArray[np.float32]  # (S, C, model bins + 1)
    masks: NDArray[np.float32]  # (S, C, K) in use
    products: NDArray[np.complex64]  # (S, C, K)
    frames: NDArray[np.float32]  # (S, C, N)
    overlap: NDArray[np.float32]  # (S, C, M)


def open_stream(model: ModelSpec, window: WindowSpec, batch: int = 1, behind: int = 0) -> Stream:
    """Make a silent stream with equal masks.

    Args:
        model: what is played.
        window: how it is run.
        batch: hops that may be analysed before they are synthesised.
        behind: frames that the stems are delayed by elsewhere, as `delayed` is then too.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    stems, channels = len(model.stems), model.channels
    length, tail = window.window, window.synthesis
    bins = length // 2 + 1
    pair = window_pair(model, window)
    down, up = to_model(model, window), to_device(model, window)
    total = np.ones(bins, np.float32)
    if model.extension == "zeros":
        interpolate(up.below, up.weight, np.append(np.ones(model.bins, np.float32), np.float32(0.0)), total)
    state = np.zeros(1, STATE)
    state["hop"] = window.hop
    state["delay"] = window.delay_hops
    state["latency"] = window.latency.total + behind
    state["mid_side"] = model.basis == "ms"
    state["extension"] = EXTENSION_CODE[model.extension]
    state["exponent"] = model.exponent
    shown = model_window(model.analysis, length if window.own_window else 0).astype(np.float32)
    state["scale"] = magnitude_scale(model, shown if window.own_window else pair.analysis)
    history = max(length, window.latency.total + behind + window.hop)
    stream = Stream(
        state=state,
        transform=fft.plan(length),
        analysis=pair.analysis,
        shown=shown,
        shown_spectrum=np.zeros((channels, bins), np.complex64),
        synthesis=pair.synthesis,
        model_below=down.below,
        model_weight=down.weight,
        device_below=up.below,
        device_weight=up.weight,
        total=total,
        history=np.zeros((channels, history), np.float32),
        frame=np.zeros((channels, length), np.float32),
        spectra=np.zeros((window.delay_hops + batch, channels, bins), np.complex64),
        magnitude=np.zeros(bins + 1, np.float32),
        refined=np.zeros((stems, channels, model.bins + 1), np.float32),
        masks=np.zeros((stems, channels, bins), np.float32),
        products=np.zeros((stems, channels, bins), np.complex64),
        frames=np.zeros((stems, channels, length), np.float32),
        overlap=np.zeros((stems, channels, tail), np.float32),
    )
    reset(stream)
    return stream


def reset(stream: Stream) -> None:
    """Forget all sound; keep the counters of faults.

    Thread: one at a time, between two hops; not real-time safe (Python).
    """
    for array in (stream.history, stream.spectra, stream.overlap):
        array[...] = 0
    stream.masks[...] = stream.total / len(stream.masks)
    stream.state["hops"] = stream.state["played"] = 0


@kernel
def shift(row: NDArray[np.float32], frames: int) -> None:
    """Move a row towards its start; a slice assignment would make a copy on the way.

    Args:
        row: (any,), changed in place.
        frames: by how many.

    Thread: any; real-time safe.
    """
    for i in range(len(row) - frames):
        row[i] = row[i + frames]


@kernel
def _remember(stream: Stream, block: NDArray[np.float32]) -> None:
    """Append a hop (channels, hop) to the history, without what is no sound."""
    state = stream.state[0]
    channels, hop = block.shape
    for channel in range(channels):
        history = stream.history[channel]
        shift(history, hop)
        for i in range(hop):
            sample = block[channel, i]
            if not abs(sample) <= LOUDEST:  # also true of NaN
                sample = np.float32(0.0)
                state.broken_samples += 1
            history[len(history) - hop + i] = sample


@kernel
def analyse(stream: Stream, block: NDArray[np.float32], magnitudes: NDArray[np.float32]) -> None:
    """Take one hop and give the magnitudes of its spectrum.

    Args:
        stream: changed in place.
        block: (channels, hop).
        magnitudes: (channels, model bins), written in place, on the scale of the model's own window.

    Thread: one at a time, live the pipeline's; real-time safe.
    """
    _remember(stream, block)
    state = stream.state[0]
    spectrum = stream.spectra[state.hops % len(stream.spectra)]
    _transform(stream, stream.analysis, spectrum)
    state.hops += 1
    if len(stream.shown):
        spectrum = stream.shown_spectrum
        _transform(stream, stream.shown, spectrum)
    channels, bins = spectrum.shape
    for channel in range(channels):
        for k in range(bins):
            value = spectrum[channel, k]
            stream.magnitude[k] = state.scale * np.sqrt(value.real * value.real + value.imag * value.imag)
        interpolate(stream.model_below, stream.model_weight, stream.magnitude, magnitudes[channel])


@kernel
def _transform(stream: Stream, window: NDArray[np.float32], spectrum: NDArray[np.complex64]) -> None:
    """The spectrum (channels, bins) of the newest frame under a window, in the model's basis."""
    state = stream.state[0]
    channels, length = stream.frame.shape
    start = stream.history.shape[1] - length
    for i in range(length):
        weight = window[i]
        if state.mid_side:
            left, right = stream.history[0, start + i], stream.history[1, start + i]
            stream.frame[0, i] = np.float32(0.5) * (left + right) * weight
            stream.frame[1, i] = np.float32(0.5) * (left - right) * weight
        else:
            for channel in range(channels):
                stream.frame[channel, i] = stream.history[channel, start + i] * weight
    fft.forward(stream.transform, stream.frame, spectrum)


@kernel
def set_masks(stream: Stream, raw: NDArray[np.float32]) -> int:
    """Use what the network gave from now on.

    Args:
        stream: changed in place.
        raw: (stems, channels, model bins).

    Returns:
        The number of bins that were not finite.

    Thread: one at a time, live the pipeline's; real-time safe.
    """
    state = stream.state[0]
    broken = ratio_masks(raw, state.exponent, state.extension, stream.refined)
    state.broken_masks += broken
    stems, channels, bins = stream.masks.shape
    for channel in range(channels):
        rest = stream.masks[stems - 1, channel]  # the last stem is what the others leave
        for k in range(bins):
            rest[k] = stream.total[k]
        for stem in range(stems - 1):
            mask = stream.masks[stem, channel]
            interpolate(stream.device_below, stream.device_weight, stream.refined[stem, channel], mask)
            for k in range(bins):
                rest[k] -= mask[k]
    return broken


@kernel
def synthesise(stream: Stream, stems: NDArray[np.float32]) -> None:
    """Give the next hop of every stem, `latency` frames behind its input.

    Args:
        stream: changed in place.
        stems: (stems, channels, hop), written in place.

    Thread: one at a time, live the pipeline's; real-time safe.
    """
    ready = stream.state[0].played >= stream.state[0].delay
    if ready:
        spectrum = next_spectrum(stream)
        count, channels, bins = stream.products.shape
        for stem in range(count):
            for channel in range(channels):
                for k in range(bins):
                    stream.products[stem, channel, k] = stream.masks[stem, channel, k] * spectrum[channel, k]
    resynthesise(stream, ready, stems)


@kernel
def next_spectrum(stream: Stream) -> NDArray[np.complex64]:
    """Give the spectrum (channels, bins) that the next hop of the stems is made from.

    Thread: one at a time, live the pipeline's; real-time safe.
    """
    state = stream.state[0]
    return stream.spectra[(state.played - state.delay) % len(stream.spectra)]


@kernel
def resynthesise(stream: Stream, ready: bool, stems: NDArray[np.float32]) -> None:
    """Turn `products`, the spectra of the stems, into their next hop.

    Args:
        stream: changed in place.
        ready: whether there are products; else the stems run out, or are still silent.
        stems: (stems, channels, hop or more), the hop written in place.

    Thread: one at a time, live the pipeline's; real-time safe.
    """
    state = stream.state[0]
    count, channels, tail = stream.overlap.shape
    length, hop = stream.frame.shape[1], state.hop
    if ready:
        for stem in range(count):
            fft.inverse(stream.transform, stream.products[stem], stream.frames[stem])
        if state.mid_side:
            for stem in range(count):
                for i in range(length - tail, length):
                    mid, side = stream.frames[stem, 0, i], stream.frames[stem, 1, i]
                    stream.frames[stem, 0, i] = mid + side
                    stream.frames[stem, 1, i] = mid - side
    for stem in range(count):
        for channel in range(channels):
            overlap = stream.overlap[stem, channel]
            if ready:
                for i in range(tail):
                    overlap[i] += stream.synthesis[i] * stream.frames[stem, channel, length - tail + i]
            for i in range(hop):
                stems[stem, channel, i] = overlap[i]
            shift(overlap, hop)
            for i in range(tail - hop, tail):
                overlap[i] = 0.0
    state.played += 1


@kernel
def delayed(stream: Stream, block: NDArray[np.float32]) -> None:
    """Give the input that belongs to the stems of the last `synthesise`, behind what delays them elsewhere.

    Args:
        stream: what it went into.
        block: (channels, hop), written in place.

    Thread: one at a time, live the pipeline's; real-time safe.
    """
    hop = stream.state[0].hop
    start = stream.history.shape[1] - hop - stream.state[0].latency
    for channel in range(len(block)):
        for i in range(hop):
            block[channel, i] = stream.history[channel, start + i]
