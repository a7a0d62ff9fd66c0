"""Segments in NumPy give what the kernels of the signal path give."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from rtsep.core.presets import plan
from rtsep.core.spec import Basis, Extension, ModelSpec
from rtsep.dsp import stft
from rtsep.dsp.masks import EXTENSION_CODE
from rtsep.dsp.masks import ratio_masks as kernel_masks
from rtsep.separation.batches import analyse_all, synthesise_all
from rtsep.separation.segment_masks import Masking, ratio_masks
from tests.support.engines import windowed_spec
from tests.support.signals import Float32, noise

RATE = 44100
SEGMENTS = 5


def spec(stems: int = 2, context: int = 24, extension: Extension = "zeros", basis: Basis = "lr") -> ModelSpec:
    model = windowed_spec(
        stems, window=512, hop=128, bins=160, context=context, analysis="hann", output="magnitude", exponent=2.0,
        extension=extension, family="spleeter",
    )  # fmt: skip
    return replace(model, basis=basis)


def both(model: ModelSpec, sound: Float32, raw: Float32) -> tuple[list[Float32], list[Float32]]:
    """Magnitudes and stems of every segment, by the kernels and by NumPy; raw is what a network says of each."""
    window = plan(model, RATE, "exact")
    frames = model.context * model.hop
    found: tuple[list[Float32], list[Float32]] = ([], [])
    stream, masking = stft.open_stream(model, window, 2 * model.context), Masking(model, window, 2)
    magnitudes = np.zeros((2, model.channels, model.context, model.bins), np.float32)
    stems = np.zeros((2, len(model.stems), model.channels, frames), np.float32)

    def render() -> None:
        synthesise_all(stream, raw, 1, stems[0])
        masking.render(raw, stems[1])
        for kept, one in zip(found, stems, strict=True):
            kept.append(one.copy())

    for segment in range(SEGMENTS):
        block = sound[:, segment * frames : (segment + 1) * frames]
        analyse_all(stream, np.ascontiguousarray(block), magnitudes[0])
        masking.analyse(block, magnitudes[1])
        for kept, one in zip(found, magnitudes, strict=True):
            kept.append(one.copy())
        if segment:  # one segment is always under way
            render()
    render()
    return found


def said(model: ModelSpec) -> Float32:
    shape = (len(model.stems), model.channels, model.context, model.bins)
    return np.random.default_rng(1).random(shape, np.float32)


def assert_same(model: ModelSpec, sound: Float32, raw: Float32) -> None:
    for one, other in zip(*both(model, sound, raw), strict=True):
        assert np.abs(one - other).max() < 1e-6 * max(1.0, np.abs(one).max())


@pytest.mark.parametrize("context", [8, 16, 24, 64])  # fewer, as many, not whole times as many as are done at once
@pytest.mark.parametrize("extension", ["zeros", "average", "edge"])
@pytest.mark.parametrize("stems", [2, 5])
def test_it_is_what_the_kernels_give(stems: int, extension: Extension, context: int) -> None:
    model = spec(stems, context, extension)
    assert_same(model, noise(SEGMENTS * context * model.hop), said(model))


def test_mid_and_side() -> None:
    model = spec(basis="ms")
    assert_same(model, noise(SEGMENTS * 24 * 128), said(model))


def test_what_is_no_sound_is_silence() -> None:
    model = spec()
    sound = noise(SEGMENTS * 24 * 128)
    sound[0, 100], sound[1, 7000], sound[0, 9000] = np.nan, np.inf, -2000.0
    assert_same(model, sound, said(model))
    assert all(np.isfinite(one).all() for one in both(model, sound, said(model))[1])


def test_silence_in_between() -> None:
    model = spec()
    sound = noise(SEGMENTS * 24 * 128)
    sound[:, 3000:11_000] = 0.0
    assert_same(model, sound, said(model))


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.5])
def test_masks_of_what_is_no_number_are_shared(exponent: float) -> None:
    raw = said(spec(4))
    raw[0, 0, 3, 5], raw[1, 1, 4, 6], raw[2, 0, 5, 7], raw[0, 1, 6, 8] = np.nan, np.inf, -np.inf, -1.0
    raw[:, 0, 7, 9] = 0.0
    raw[:, 0, 8, 10] = 1e30
    found = ratio_masks(raw[:, 0], exponent)
    refined = np.zeros((4, 2, raw.shape[3] + 1), np.float32)
    for frame in range(raw.shape[2]):
        kernel_masks(np.ascontiguousarray(raw[:, :, frame]), exponent, EXTENSION_CODE["zeros"], refined)
        np.testing.assert_allclose(found[:, frame], refined[:, 0, :-1], atol=2e-7)
    assert np.abs(found.sum(axis=0) - 1.0).max() < 2e-7


def test_no_kernels_are_loaded_for_it() -> None:
    program = "import sys, rtsep.separation.files; print('numba' in sys.modules, 'scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
