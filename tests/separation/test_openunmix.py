"""Open-Unmix's way with a whole signal, against the same written plainly in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.audio.sources import Signal
from rtsep.core.spec import RESIDUAL, ModelSpec
from rtsep.errors import SpecError
from rtsep.separation import openunmix
from rtsep.separation.openunmix import EPSILON, separate
from rtsep.separation.options import Refinement, SeparationOptions, targets
from tests.dsp.test_wiener import first, refined
from tests.support.engines import FrameEngine, infer_one, stateful_spec, windowed_spec
from tests.support.signals import Float32, error_db, noise

SIZES: dict[str, Any] = {
    "window": 256,
    "hop": 64,
    "bins": 129,
    "analysis": "hann",
    "output": "magnitude",
    "family": "openunmix",
}


def spec(stems: int = 4, residual: bool = False, **changes: Any) -> ModelSpec:
    model = windowed_spec(stems, **{**SIZES, "context": 8, "context_step": 1, **changes})
    return ModelSpec.from_dict({**model.to_dict(), "stems": (*model.stems, RESIDUAL)}) if residual else model


def plainly(sound: Float32, model: ModelSpec, refinement: Refinement) -> NDArray[np.float64]:
    """(stems, channels, frames), everything at once."""
    window, hop, frames = model.window, model.hop, sound.shape[1]
    shape = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    padded = np.pad(sound, ((0, 0), (window // 2, window // 2)), "reflect")
    count = 1 + frames // hop
    mix = np.stack([np.fft.rfft(padded[:, k * hop : k * hop + window] * shape) for k in range(count)])
    magnitudes = np.abs(mix).transpose(1, 0, 2).astype(np.float32)
    raw = np.zeros((len(model.stems), *magnitudes.shape), np.float32)
    infer_one(FrameEngine(model), magnitudes, raw)
    raw = raw[: len(targets(model))]
    parts = []
    for start in range(0, count, refinement.window):
        part = slice(start, start + refinement.window)
        made = first(raw[:, :, part], mix[part], refinement.share, refinement.residual, EPSILON)
        for _ in range(refinement.iterations):
            made = refined(made, mix[part], EPSILON)
        parts.append(made)
    estimates = np.concatenate(parts, axis=1)
    whole = np.zeros((len(estimates), len(sound), padded.shape[1] + window))
    squares = np.zeros(padded.shape[1] + window)
    for k in range(count):
        whole[:, :, k * hop : k * hop + window] += np.fft.irfft(estimates[:, k]) * shape
        squares[k * hop : k * hop + window] += shape**2
    middle = slice(window // 2, window // 2 + frames)
    return whole[:, :, middle] / squares[middle]


def separated(model: ModelSpec, sound: Float32, refinement: Refinement) -> Float32:
    blocks = [block.copy() for block in separate(FrameEngine(model), Signal(sound, 44100), refinement)]
    return np.concatenate(blocks, axis=2)


@pytest.mark.parametrize("iterations", [0, 1, 2])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("share", [False, True])
def test_it_is_open_unmixs_result(share: bool, residual: bool, iterations: int) -> None:
    sound = noise(7_777)
    refinement = Refinement(iterations, share, residual, window=50)
    wanted = plainly(sound, spec(), refinement)
    found = separated(spec(), sound, refinement)
    assert found.shape == wanted.shape == (4 + residual, 2, 7_777)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("frames", [1, 63, 64, 200, 1000, 1023, 1024, 1025])
@pytest.mark.parametrize("hop", [64, 128])
def test_any_length(frames: int, hop: int) -> None:
    """Both ends are as the frames that are there say; also with an overlap that does not add up to a constant."""
    sound = noise(frames, seed=frames)
    model, refinement = spec(2, hop=hop), Refinement(0, window=5)
    wanted = plainly(sound, model, refinement)
    found = separated(model, sound, refinement)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_one_target_and_what_it_leaves() -> None:
    """A model with a residual stem of its own has one target; the residual is computed, not the network's."""
    model = ModelSpec.from_dict({**spec(2).to_dict(), "stems": ("guitar", RESIDUAL)})
    sound = noise(3_000)
    alone = separated(model, sound, Refinement(0))
    both = separated(model, sound, Refinement(0, residual=True))
    assert alone.shape[0] == 1 and both.shape[0] == 2
    np.testing.assert_array_equal(alone[0], both[0])
    assert error_db(sound, both.sum(axis=0)) < -100.0
    assert np.abs(separated(model, sound, Refinement(1, residual=True)) - both).max() > 1e-3
    with pytest.raises(SpecError, match="one target, which nothing can be weighed against; add --residual"):
        separated(model, sound, Refinement(1))


def test_more_targets_than_asked_for_are_not_a_residual() -> None:
    model = spec(4, residual=True)
    assert targets(model) == model.stems[:4]
    assert SeparationOptions().stems(model) == model.stems[:4]
    assert SeparationOptions(refinement=Refinement(residual=True)).stems(model) == model.stems


class LocalEngine(FrameEngine):
    """Masks by the frame alone, so that pieces can be compared with the whole; keeps how long its calls were."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.lengths: list[int] = []

    def infer_row(self, magnitudes: Float32, masks: Float32, row: int) -> None:
        self.lengths.append(magnitudes.shape[1])
        share = magnitudes / (1.0 + magnitudes)
        masks[...] = np.stack([share**n for n in range(1, len(masks) + 1)]) * magnitudes


@pytest.mark.parametrize("frames", [64 * 29, 64 * 30 - 1, 64 * 30, 64 * 31, 64 * 100 + 7, 64 * 119, 64 * 120 + 1])
def test_a_long_signal_goes_piece_by_piece(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    sound, refinement = noise(frames), Refinement(1, window=10)
    whole = [block.copy() for block in separate(LocalEngine(spec()), Signal(sound, 44100), refinement)]
    monkeypatch.setattr(openunmix, "LONGEST", 30)
    monkeypatch.setattr(openunmix, "MARGIN", 7)
    engine = LocalEngine(spec())
    pieces = [block.copy() for block in separate(engine, Signal(sound, 44100), refinement)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=2), np.concatenate(whole, axis=2))
    assert max(engine.lengths) <= 30


def test_a_carried_state_needs_no_margins() -> None:
    """A causal network is given the signal in order, each frame once, from a state of zero."""
    model = stateful_spec(2, **{**SIZES, "basis": "lr", "context_step": 0})
    sound = noise(64 * 700)
    wanted = plainly(sound, model, Refinement(1))
    engine = FrameEngine(model)
    infer_one(engine, np.ones((2, 3, 129), np.float32), np.zeros((2, 2, 3, 129), np.float32))  # a past to forget
    blocks = [block.copy() for block in separate(engine, Signal(sound, 44100), Refinement(1))]
    assert engine.calls == 1 + -(-701 // openunmix.STREAM_FRAMES)
    assert np.abs(np.concatenate(blocks, axis=2) - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_what_is_refused() -> None:
    with pytest.raises(SpecError, match="niter -1 is out of range; allowed are 0 to 100"):
        Refinement(-1)
    with pytest.raises(SpecError, match="Wiener window 0 is out of range"):
        Refinement(window=0)
    with pytest.raises(SpecError, match="hop 100 does not divide its window of 256 frames"):
        separated(spec(hop=100), noise(1000), Refinement(0))
