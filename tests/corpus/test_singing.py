from __future__ import annotations

import numpy as np
import pytest

from rtsep.corpus.score import SAMPLE_RATE
from rtsep.corpus.singing import SPEECH_S, UPBEAT_S, layered, mixed_down, perform, sing
from rtsep.corpus.vocal_styles import STACKS, VOCAL_STYLES, Layer
from rtsep.corpus.vocoder import FRAME_S, Voice, analyse, synthesise
from rtsep.errors import FileError
from tests.corpus.speech import RATE, SYLLABLES, cents_off, needs_effects, needs_world, speech

pytestmark = [needs_world, needs_effects]
TUNED = [name for name, way in VOCAL_STYLES.items() if way.expression is not None]


@pytest.fixture(scope="module")
def voice() -> Voice:
    return analyse(speech(), RATE)


@pytest.mark.parametrize("name", TUNED)
def test_the_sung_pitch_follows_the_melody(voice: Voice, name: str) -> None:
    performance = perform(voice, VOCAL_STYLES[name], np.random.default_rng(4))
    sound = synthesise(performance.voice, performance.pitch)
    off = cents_off(sound, performance.pitch, performance.voice.voiced, FRAME_S, SAMPLE_RATE)
    assert len(off) > 6
    assert np.median(off) < 30.0
    # The line itself is the tune's: off by glides, scoops and vibrato only.
    rows = np.arange(len(performance.pitch)) * FRAME_S
    index = np.searchsorted([note.start_s for note in performance.notes], rows, side="right") - 1
    told = np.array([note.pitch for note in performance.notes])[np.maximum(index, 0)]
    assert np.median(np.abs(performance.pitch - told)) < 0.3
    assert all(performance.key.contains(note.pitch) for note in performance.notes)


def test_notes_stand_on_beats_and_stretch_the_speech(voice: Voice) -> None:
    way = VOCAL_STYLES["slow"]
    performance = perform(voice, way, np.random.default_rng(5))
    starts_s = np.array([note.start_s for note in performance.notes])
    assert starts_s[0] > UPBEAT_S
    assert len(starts_s) >= len(SYLLABLES) - 1
    assert len(performance.pitch) * FRAME_S > 2.0 * len(voice.pitch_hz) * FRAME_S
    quick = perform(voice, VOCAL_STYLES["spoken"], np.random.default_rng(5))
    assert len(quick.pitch) * FRAME_S == pytest.approx(1.03 * len(voice.pitch_hz) * FRAME_S + UPBEAT_S, rel=0.15)


@pytest.mark.parametrize("name", VOCAL_STYLES)
def test_each_style_sounds(voice: Voice, name: str) -> None:
    performance = perform(voice, VOCAL_STYLES[name], np.random.default_rng(6))
    sound = synthesise(performance.voice, performance.pitch)
    assert sound.dtype == np.float32 and np.isfinite(sound).all() and sound.std() > 1e-3
    assert performance.voice.voiced.any() != VOCAL_STYLES[name].whisper
    hertz = np.fft.rfftfreq(len(sound), 1.0 / SAMPLE_RATE)
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert 10.0 * np.log10(power[hertz > RATE / 2].sum() / power.sum()) > -60.0  # the speech had nothing there


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_finished_is_a_record(voice: Voice, seed: int) -> None:
    performance = perform(voice, VOCAL_STYLES["rapped"], np.random.default_rng(6))
    sound = mixed_down(performance, np.random.default_rng(seed))
    assert sound.dtype == np.float32
    assert sound.shape[0] == 2 and sound.shape[1] >= (len(performance.pitch) - 1) * FRAME_S * SAMPLE_RATE
    assert np.isfinite(sound).all()
    assert 0.05 < np.abs(sound).max() <= 0.901
    assert np.abs(sound[:, -1]).max() < 1e-5
    middle, side = sound.sum(axis=0), sound[0] - sound[1]
    assert middle.std() > side.std() > 0.0  # the lead is in the middle, its room and doubles around it


def test_deliveries_differ_as_their_names_say(voice: Voice) -> None:
    def drawn(name: str) -> float:
        made = [perform(voice, VOCAL_STYLES[name], np.random.default_rng(seed)) for seed in range(4)]
        return float(np.mean([np.median(performance.pitch) for performance in made]))

    assert drawn("falsetto") > drawn("sung") + 3.0 > drawn("spoken")
    rapped = perform(voice, VOCAL_STYLES["rapped"], np.random.default_rng(8))
    assert not rapped.notes
    assert np.ptp(rapped.pitch) < 8.0


def test_the_same_seed_sings_the_same_and_others_do_not() -> None:
    spoken = speech()
    first, again, other = (sing(spoken, RATE, np.random.default_rng(seed)) for seed in (11, 11, 12))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.allclose(first, other)


def test_long_speech_is_cut_to_a_phrase() -> None:
    sound = sing(np.tile(speech(), 12), RATE, np.random.default_rng(13))
    assert sound.shape[1] / SAMPLE_RATE < 12.0 * SPEECH_S


def test_layers_are_in_the_key_and_never_in_unison(voice: Voice) -> None:
    performance = perform(voice, VOCAL_STYLES["corrected"], np.random.default_rng(14))
    third = layered(performance, Layer(degrees=2), np.random.default_rng(15)) - performance.pitch
    middles = [round((note.start_s + 0.6 * note.length_s) / FRAME_S) for note in performance.notes]
    assert set(np.round(third[middles])) <= {3.0, 4.0, 5.0}  # pentatonic scales have wider steps
    double = layered(performance, Layer(), np.random.default_rng(16)) - performance.pitch
    assert 0.02 < np.abs(double).mean() < 0.5
    assert np.median(layered(performance, Layer(octaves=-1), np.random.default_rng(17)) - performance.pitch) < -11.0


def test_chances_are_shares() -> None:
    assert sum(STACKS.values()) == pytest.approx(1.0)
    assert sum(way.chance for way in VOCAL_STYLES.values()) == pytest.approx(1.0)


def test_noise_is_refused() -> None:
    noise = np.random.default_rng(18).standard_normal(RATE).astype(np.float32)
    with pytest.raises(FileError, match="voiced"):
        sing(noise, RATE, np.random.default_rng(19))
