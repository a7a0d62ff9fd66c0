"""Spleeter's way with a whole signal, against the same written plainly in NumPy."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.audio.sources import Signal
from rtsep.core.presets import plan
from rtsep.core.spec import Extension, ModelSpec
from rtsep.engine.base import Real
from rtsep.separation.options import SeparationOptions
from rtsep.separation.segments import SegmentProcess
from rtsep.separation.separate import separate
from tests.dsp.test_wiener import Complex, first, refined
from tests.support.engines import FrameEngine, infer_one, windowed_spec
from tests.support.signals import Float32, noise

RATE = 44100
EPSILON = 1e-10  # of Spleeter's masks
EXACT = SeparationOptions()


def spec(stems: int = 2, extension: Extension = "zeros") -> ModelSpec:
    return windowed_spec(
        stems,
        window=512,
        hop=128,
        bins=128,
        context=16,
        context_step=8,
        analysis="hann",
        output="magnitude",
        exponent=2.0,
        extension=extension,
        family="spleeter",
    )


def spectra(sound: Float32, model: ModelSpec) -> NDArray[np.complex128]:
    """(channels, frames, bins): a window of zeros before the sound, the end padded."""
    frames = -(-(sound.shape[1] + model.window) // model.hop)
    padded = np.pad(sound, ((0, 0), (model.window, model.window)))
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(model.window) / model.window)
    cut = [padded[:, i * model.hop : i * model.hop + model.window] * window for i in range(frames)]
    return np.fft.rfft(np.stack(cut, axis=1), axis=2)


def thought(mix: NDArray[np.complex128], model: ModelSpec) -> Float32:
    """What the network says of every segment: (stems, channels, frames, bins)."""
    frames = mix.shape[1]
    segments = -(-frames // model.context)
    magnitudes = np.zeros((model.channels, segments * model.context, model.bins), np.float32)
    magnitudes[:, :frames] = np.abs(mix[:, :, : model.bins])
    raw = np.zeros((len(model.stems), *magnitudes.shape), np.float32)
    for start in range(0, segments * model.context, model.context):
        segment = slice(start, start + model.context)
        infer_one(FrameEngine(model), magnitudes[:, segment], raw[:, :, segment])
    return raw[:, :, :frames]


def sounds(stems: Complex, model: ModelSpec, frames: int) -> NDArray[np.float64]:
    """(stems, channels, frames): overlap-add with the constant of Spleeter, without what was put before."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(model.window) / model.window)
    cut = np.fft.irfft(stems, axis=3) * window
    whole = np.zeros((*stems.shape[:2], stems.shape[2] * model.hop + model.window))
    for i in range(stems.shape[2]):
        whole[:, :, i * model.hop : i * model.hop + model.window] += cut[:, :, i]
    return whole[:, :, model.window : model.window + frames] * 2.0 / 3.0


def plainly(sound: Float32, model: ModelSpec, mwf: bool = False) -> NDArray[np.float64]:
    mix = spectra(sound, model)
    raw = thought(mix, model).astype(np.float64)
    if mwf:
        epsilon = float(np.finfo(np.float32).eps)
        by_frame = mix.transpose(1, 0, 2)
        made = refined(first(raw.astype(np.float32), by_frame, True, False, epsilon), by_frame, epsilon)
        return sounds(made.transpose(0, 2, 1, 3), model, sound.shape[1])
    power = raw**2
    masks = (power + EPSILON / len(raw)) / (power.sum(axis=0) + EPSILON)
    above = np.zeros if model.extension == "zeros" else np.ones
    row = masks.mean(axis=3, keepdims=True) * above((1, 1, 1, mix.shape[2] - model.bins))
    return sounds(np.concatenate([masks, row], axis=3) * mix, model, sound.shape[1])


def separated(engines: Sequence[FrameEngine], sound: Float32, method: SeparationOptions = EXACT) -> Float32:
    return np.concatenate([block.copy() for block in separate(engines, Signal(sound, RATE), method)], axis=2)


def assert_close(found: Float32, wanted: NDArray[np.float64], tolerance: float) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("extension", ["zeros", "average"])
@pytest.mark.parametrize("stems", [2, 4, 5])
def test_it_is_spleeters_result(stems: int, extension: Extension) -> None:
    sound = noise(10_007)
    model = spec(stems, extension)
    assert_close(separated([FrameEngine(model)], sound), plainly(sound, model), 2e-5)


@pytest.mark.parametrize("frames", [1, 127, 128, 1920, 2048, 4096, 6001])
def test_any_length(frames: int) -> None:
    """Ends on and beside the ends of hops and segments."""
    sound = noise(frames, seed=frames)
    assert_close(separated([FrameEngine(spec())], sound), plainly(sound, spec()), 1e-4)


@pytest.mark.parametrize("stems", [2, 5])
def test_the_wiener_filter_over_the_whole_signal(stems: int) -> None:
    """The places of the sources are those of the whole signal, though it is never held."""
    sound = noise(9_001)
    sound[:, 5000:] *= np.array([[0.1], [1.0]], np.float32)
    model = spec(stems)
    assert_close(
        separated([FrameEngine(model)], sound, SeparationOptions(mwf=True)), plainly(sound, model, mwf=True), 1e-4
    )


class SlowEngine(FrameEngine):
    """Takes turns in being slow, so that segments end in another order than they began."""

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        time.sleep(0.01 * (self.calls % 3))
        super().infer(magnitudes, masks, real)


@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize("engines", [2, 3])
def test_several_engines_give_what_one_gives(engines: int, mwf: bool) -> None:
    sound = noise(20_000)
    one = separated([FrameEngine(spec())], sound, SeparationOptions(mwf=mwf))
    np.testing.assert_array_equal(
        separated([SlowEngine(spec()) for _ in range(engines)], sound, SeparationOptions(mwf=mwf)), one
    )


class FailingEngine(FrameEngine):
    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        if self.calls == 2:
            raise OSError("out of order")
        super().infer(magnitudes, masks, real)


def test_an_engine_that_fails_says_so() -> None:
    with pytest.raises(OSError, match="out of order"):
        separated([FailingEngine(spec()), FailingEngine(spec())], noise(30_000))


def test_the_delay_is_what_it_says() -> None:
    model = spec()
    process = SegmentProcess([FrameEngine(model)] * 2, plan(model, RATE, "exact"))
    sound = noise(process.block * 6)
    given = []
    stems = np.zeros((2, 2, process.block), np.float32)
    for start in range(0, sound.shape[1], process.block):
        process(sound[:, start : start + process.block], stems)
        given.append(stems.copy())
    process.close()
    whole = np.concatenate(given, axis=2)[:, :, process.delay :]
    assert_close(whole, plainly(sound, model)[:, :, : whole.shape[2]], 2e-5)


class RowsEngine(FrameEngine):
    """Takes several segments in a call, as what is built for a card does."""

    rows = 3

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        assert len(magnitudes) == self.rows, "it is ready for one number of rows"
        super().infer(magnitudes, masks, real)


@pytest.mark.parametrize("mwf", [False, True])
@pytest.mark.parametrize(("engines", "frames"), [(1, 20_000), (2, 20_000), (2, 6144), (2, 100)])
def test_several_segments_in_a_call_give_what_one_gives(engines: int, frames: int, mwf: bool) -> None:
    sound = noise(frames)
    together = [RowsEngine(spec()) for _ in range(engines)]
    found = separated(together, sound, SeparationOptions(mwf=mwf))
    np.testing.assert_array_equal(found, separated([FrameEngine(spec())], sound, SeparationOptions(mwf=mwf)))
    segments = -(-(frames + spec().window) // (spec().context * spec().hop))
    ways = 2 if mwf else 1
    assert sum(engine.calls for engine in together) <= ways * (1 + segments // 3)
