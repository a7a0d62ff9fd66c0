"""Augmentation: what each step does to a sound, how often, and what no step may do."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsep.core.config import read_settings
from rtsep.dataset import augmentation
from rtsep.dataset.augmentation import (
    MIX_STEPS,
    RANGES,
    STEM_STEPS,
    Augmentation,
    Draws,
    Float32,
    Step,
    Steps,
    augment_mix,
    augment_stem,
)
from rtsep.errors import ConfigError
from tests.dataset.sounds import FRAMES, RATE, music, near, rms_db

STEPS = [name for name, _ in (*STEM_STEPS, *MIX_STEPS)]
STEM_NAMES = [name for name, _ in STEM_STEPS]


def chosen(**settings: Any) -> Augmentation:
    return Augmentation(**settings)


def augmented(sound: Float32, seed: int = 0, **settings: Any) -> Float32:
    """By the function that the settings are for."""
    augment = augment_mix if sound.ndim == 3 else augment_stem
    return augment(sound, RATE, chosen(**settings), np.random.default_rng(seed))


def fit(name: str, seed: int = 0) -> Float32:
    """A sound of the shape that the step takes."""
    return music(seed) if name in STEM_NAMES else np.stack([music(seed), music(seed + 1), music(seed + 2)])


@pytest.mark.parametrize("name", STEPS)
def test_every_step_keeps_the_form_and_is_repeatable(name: str) -> None:
    sound = fit(name)
    before = sound.copy()
    first, again = augmented(sound, seed=3, **{name: 1.0}), augmented(sound, seed=3, **{name: 1.0})
    assert np.array_equal(first, again)
    assert first.shape == sound.shape and first.dtype == np.float32
    assert first.flags.c_contiguous and np.isfinite(first).all()
    assert not np.array_equal(first, sound)
    assert np.array_equal(sound, before), "never in place"


@pytest.mark.parametrize("name", sorted(set(STEPS) - {"mute", "mono", "swap", "mix_mono", "mix_swap"}))
def test_another_seed_gives_another_sound(name: str) -> None:
    settings: dict[str, Any] = {name: 1.0, "silence_s": (0.1, 0.3)}
    assert not np.array_equal(augmented(fit(name), 1, **settings), augmented(fit(name), 2, **settings))


def test_nothing_happens_by_default() -> None:
    for sound in (music(), np.stack([music(0), music(1)])):
        assert np.array_equal(augmented(sound), sound)


@pytest.mark.parametrize("name", STEPS)
def test_silence_stays_silent(name: str) -> None:
    assert not augmented(np.zeros_like(fit(name)), seed=0, **{name: 1.0}).any()


@pytest.mark.parametrize("name", STEPS)
def test_what_is_fainter_than_any_sound_stays_finite(name: str) -> None:
    """Tails of reverbs end in such numbers; scaled up to be transcoded they would end the process."""
    faint = np.zeros_like(fit(name))
    faint[..., : faint.shape[-1] // 2] = 2e-45
    assert all(np.isfinite(augmented(faint, seed, **{name: 1.0})).all() for seed in range(4))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [64, 1000])
def test_short_and_mono_sounds_are_taken_too(frames: int, channels: int) -> None:
    settings: dict[str, Any] = {name: 1.0 for name in STEM_NAMES if name != "mute"}
    for seed in range(4):
        result = augmented(music(seed, frames, channels), seed, **settings)
        assert result.shape == (channels, frames) and np.isfinite(result).all()


def marked(number: int) -> Step:
    """A step that leaves its mark in one sample."""

    def step(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
        mark = np.zeros_like(sound)
        mark[..., number] = 1.0
        return sound + mark

    return step


@pytest.mark.parametrize(("table", "steps"), [("STEM_STEPS", STEM_STEPS), ("MIX_STEPS", MIX_STEPS)])
def test_frequencies_match_probabilities(table: str, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, table, tuple((name, marked(n)) for n, (name, _) in enumerate(steps)))
    augment = augment_stem if steps is STEM_STEPS else augment_mix
    chances = np.linspace(0.0, 1.0, len(steps))
    settings = chosen(**{name: float(chance) for (name, _), chance in zip(steps, chances, strict=True)})
    rng, sound = np.random.default_rng(5), np.ones((1, len(steps)), np.float32)
    taken = np.array([augment(sound, RATE, settings, rng)[0] - 1.0 for _ in range(6000)])
    assert taken.mean(axis=0) == pytest.approx(chances, abs=0.025)
    assert taken[:, 0].max() == 0.0 and taken[:, -1].min() == 1.0
    together = taken.T @ taken / len(taken)
    independent = np.outer(chances, chances)
    np.fill_diagonal(independent, chances)
    assert together == pytest.approx(independent, abs=0.03)


def test_the_draws_of_a_step_do_not_depend_on_the_others() -> None:
    sound = music()
    gained = augmented(sound, seed=9, gain=1.0)
    factor = gained[0, -1] / sound[0, -1]
    both = augmented(sound, seed=9, gain=1.0, swap=1.0, silence=0.0, hard_clip=0.0)
    assert near(both, gained[::-1], 1e-6)
    for name in ("swap", "eq", "soft_clip", "reverb", "silence", "codec"):
        alone = augmented(sound, seed=9, **{name: 1.0})
        assert near(augmented(sound, seed=9, gain=1.0, **{name: 1.0}), alone * factor, 1e-6)
    for settings in (chosen(), chosen(**{name: 1.0 for name in STEM_NAMES if name not in ("pitch", "codec")})):
        rng = np.random.default_rng(1)
        augment_stem(sound, RATE, settings, rng)
        assert rng.random() == after_a_call(), "each call takes as much of chance as any other"


def after_a_call() -> float:
    rng = np.random.default_rng(1)
    augment_stem(np.zeros((2, 8), np.float32), RATE, chosen(), rng)
    return rng.random()


def test_gain_is_drawn_evenly_in_db() -> None:
    sound = music(frames=2000)
    rng, settings = np.random.default_rng(2), chosen(gain=1.0, gain_db=(-10.0, 2.0))
    gains_db = [rms_db(augment_stem(sound, RATE, settings, rng)) - rms_db(sound) for _ in range(3000)]
    assert min(gains_db) == pytest.approx(-10.0, abs=0.1) and max(gains_db) == pytest.approx(2.0, abs=0.1)
    counts = np.histogram(gains_db, 6, (-10.0, 2.0))[0]
    assert counts / 500 == pytest.approx(np.ones(6), abs=0.2)
    exact = augmented(sound, gain=1.0, gain_db=(-6.0, -6.0))
    assert rms_db(exact) - rms_db(sound) == pytest.approx(-6.0, abs=1e-4)


def test_swap_and_mono() -> None:
    sound = music()
    assert np.array_equal(augmented(sound, swap=1.0), sound[::-1])
    mono = augmented(sound, mono=1.0)
    assert np.array_equal(mono[0], mono[1]) and near(mono[0], (sound[0] + sound[1]) / 2, 1e-7)


def test_mute_and_silence() -> None:
    sound = music() + np.float32(0.5)
    assert not augmented(sound, mute=1.0).any()
    lengths_s = []
    for seed in range(40):
        result = augmented(sound, seed, silence=1.0, silence_s=(0.1, 0.3))
        factor = (result / sound)[0]
        lengths_s.append(float(np.mean(factor == 0.0)) * FRAMES / RATE)
        assert np.abs(np.diff(factor)).max() < 1 / (0.009 * RATE), "it fades"
        assert np.isin([0.0], factor).all() and (np.diff(np.flatnonzero(factor == 0.0)) == 1).all(), "one stretch"
    assert 0.1 <= min(lengths_s) < 0.15 and 0.25 < max(lengths_s) <= 0.3 + 1 / RATE
    assert not augmented(sound, silence=1.0, silence_s=(5.0, 5.0)).any(), "a stretch longer than the crop"


def test_clipping_stops_at_a_level_against_the_peak() -> None:
    sound = music()
    limit = np.abs(sound).max() * 10.0 ** (-6.0 / 20.0)
    hard = augmented(sound, hard_clip=1.0, clip_db=(-6.0, -6.0))
    assert np.abs(hard).max() == pytest.approx(limit, rel=1e-5)
    below = np.abs(sound) < limit
    assert np.array_equal(hard[below], sound[below]) and np.mean(~below) > 0.001
    soft = augmented(sound, soft_clip=1.0, clip_db=(-6.0, -6.0))
    assert 0.9 * limit < np.abs(soft).max() < limit
    assert np.mean(np.sign(soft) == np.sign(sound)) == 1.0
    quiet = np.abs(sound) < limit / 20
    assert near(soft[quiet], sound[quiet], 1e-3 * limit)


@pytest.mark.parametrize("name", [name for name, _ in MIX_STEPS])
def test_stems_still_sum_to_the_mix(name: str) -> None:
    stems = fit(name)
    result = augmented(stems, seed=6, **{name: 1.0})
    mix = augmented(stems.sum(axis=0, keepdims=True), seed=6, **{name: 1.0})
    assert near(result.sum(axis=0), mix[0], 1e-6)


def test_the_level_covers_its_range() -> None:
    stems = fit("level")[:, :, :500]
    rng, settings = np.random.default_rng(3), chosen(level=1.0)
    levels_db = [rms_db(augment_mix(stems, RATE, settings, rng)) - rms_db(stems) for _ in range(1000)]
    assert -40.0 <= min(levels_db) < -39.0 and -1.0 < max(levels_db) <= 0.0
    assert np.median(levels_db) == pytest.approx(-20.0, abs=2.0)


def test_settings_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("gain = 0.5\ngain_db = [-10, 2]\ncodec = 1\n")
    settings = Augmentation(**read_settings(path, Augmentation))
    assert settings.gain == 0.5 and settings.gain_db == (-10.0, 2.0) and settings.codec == 1


def test_every_field_is_a_probability_or_a_range() -> None:
    assert sorted(field.name for field in fields(Augmentation)) == sorted([*STEPS, *RANGES])


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_probability_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=rf"augmentation\.codec = {value} is a probability; allowed are 0 to 1"):
        chosen(codec=value)


@pytest.mark.parametrize("value", [(3.0, -3.0), (-100.0, 0.0), (float("nan"), 0.0)])
def test_a_range_out_of_range_is_refused(value: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.gain_db = \[.*allowed are two numbers from -60 to 40"):
        chosen(gain_db=value)
