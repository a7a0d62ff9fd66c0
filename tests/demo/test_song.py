"""The demo song by measurement: levels, pitch, vowels, and the file that is shipped."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep import demo
from rtsep.demo import song
from rtsep.demo.phonemes import PHONEMES, split_syllable
from rtsep.demo.tone import Array, additive, control_count, upsample
from rtsep.demo.voice import SungNote, dry_voice, segments

RATE = song.SAMPLE_RATE


@pytest.fixture(scope="module")
def stems() -> dict[str, Array]:
    return song.render()


@pytest.fixture(scope="module")
def mixed(stems: dict[str, Array]) -> Array:
    return song.mix(stems)


def decibels(ratio: float) -> float:
    return float(20.0 * np.log10(ratio + 1e-12))


def rms(sound: Array) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def sung(syllable: str, pitch: float) -> Array:
    """The steady middle of one long dry note, half a second."""
    note = SungNote(0.3, 1.2, pitch, syllable)
    return dry_voice([note], 2 * RATE, RATE)[round(0.7 * RATE) : round(1.2 * RATE)]


def fundamental_hz(sound: Array) -> float:
    """The pitch at the highest peak of the autocorrelation between 70 and 600 Hz."""
    size = 1 << (2 * len(sound)).bit_length()
    correlation = np.fft.irfft(np.abs(np.fft.rfft(sound, size)) ** 2)[: len(sound)]
    correlation /= np.arange(len(sound), 0, -1)
    first, last = RATE // 600, RATE // 70
    # Twice and three times the period fit nearly as well, so the first good peak wins.
    good = np.flatnonzero(correlation[first:last] > 0.9 * correlation[first:last].max())
    run = good[: np.argmax(np.append(np.diff(good) > 1, True)) + 1]
    return RATE / float(first + run[np.argmax(correlation[first:last][run])])


def band_energy(sound: Array, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1.0 / RATE)
    return float(np.sum(power[(frequency >= low_hz) & (frequency < high_hz)]))


def test_same_bits_every_time(stems: dict[str, Array]) -> None:
    again = song.render()
    assert list(again) == ["vocals", "drums", "bass", "other"]
    for name, stem in stems.items():
        assert np.array_equal(stem, again[name])


def test_a_shorter_render_is_the_beginning(stems: dict[str, Array]) -> None:
    part = song.render(seconds=1.5)
    for name, stem in part.items():
        assert stem.shape == (2, round(1.5 * RATE))
        assert np.array_equal(stem, stems[name][:, : stem.shape[1]])


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="8000 Hz"):
        song.render(sample_rate=100)
    with pytest.raises(ValueError, match="a vowel among them"):
        split_syllable("S T")
    with pytest.raises(SystemExit, match=r"OUT\.ogg"):
        song.main(["song.wav"])


def test_stems_sum_to_the_mix(stems: dict[str, Array], mixed: Array) -> None:
    total = sum((stem.astype(np.float64) for stem in stems.values()), np.zeros(mixed.shape))
    assert decibels(rms(mixed - total.astype(np.float32)) / rms(mixed)) < -130.0


def test_levels(stems: dict[str, Array], mixed: Array) -> None:
    assert mixed.shape == (2, round(song.SECONDS * RATE))
    assert mixed.dtype == np.float32
    assert -1.5 < decibels(float(np.max(np.abs(mixed)))) < -0.7
    assert -17.0 < decibels(rms(mixed)) < -15.0
    for stem in stems.values():
        assert stem.dtype == np.float32
        assert np.all(np.isfinite(stem))
        assert decibels(float(np.max(np.abs(np.mean(stem, axis=1)))) / rms(stem)) < -60.0
        assert np.max(np.abs(stem[:, -4:])) < 1e-4


def test_nothing_where_only_aliases_and_clicks_would_be(stems: dict[str, Array]) -> None:
    for stem in stems.values():
        spectrum = np.abs(np.fft.rfft(stem[0])) ** 2
        above = np.fft.rfftfreq(stem.shape[1], 1.0 / RATE) > 17_000.0
        assert np.sum(spectrum[above]) < 1e-8 * np.sum(spectrum)


def test_the_singer_waits_for_the_intro(stems: dict[str, Array]) -> None:
    entry_s = segments(song.sung_notes())[0].start_s
    assert 4.0 < entry_s < song.INTRO_S
    silence, verse = stems["vocals"][:, : round((entry_s - 0.03) * RATE)], stems["vocals"][:, round(5.0 * RATE) :]
    assert decibels(rms(silence) / rms(verse)) < -100.0
    for name in ("drums", "bass", "other"):
        assert rms(stems[name][:, : 2 * RATE]) > 0.02


def test_voice_and_band_are_about_as_loud(stems: dict[str, Array]) -> None:
    part = slice(round(song.INTRO_S * RATE), round(21.0 * RATE))
    band = stems["drums"] + stems["bass"] + stems["other"]
    assert -2.0 < decibels(rms(stems["vocals"][:, part]) / rms(band[:, part])) < 2.0


def test_the_voice_is_in_the_centre(stems: dict[str, Array]) -> None:
    left, right = stems["vocals"]
    assert rms(left - right) < 0.35 * rms(left + right)


def test_the_voice_follows_the_melody() -> None:
    notes = song.sung_notes()
    dry = dry_voice(notes, round(song.SECONDS * RATE), RATE)
    long = [note for note in notes if note.length_s >= 0.38]
    assert len(long) > 10
    for note in long:
        # Whole turns of the vibrato are too long for most notes, hence the tolerance of a third of a tone.
        middle = dry[round((note.start_s + 0.08) * RATE) : round((note.start_s + 0.22) * RATE)]
        wanted_hz = 440.0 * 2.0 ** ((note.pitch - 69.0) / 12.0)
        assert abs(12.0 * np.log2(fundamental_hz(middle) / wanted_hz)) < 0.7, note


@pytest.mark.parametrize("pitch", [57.0, 62.0])
def test_vowels_have_their_formants(pitch: float) -> None:
    see, saw = sung("IY", pitch), sung("AO", pitch)
    # The second formant, 2550 Hz in "see" and 950 Hz in "saw", is what tells front vowels from back ones.
    front = band_energy(see, 2100.0, 3300.0) / band_energy(see, 700.0, 1300.0)
    back = band_energy(saw, 2100.0, 3300.0) / band_energy(saw, 700.0, 1300.0)
    assert front > 3.0
    assert back < 0.1


def test_an_s_hisses_and_has_no_pitch() -> None:
    note = SungNote(0.5, 0.8, 60.0, "S IY")
    sound = dry_voice([note], RATE, RATE)
    hiss = sound[round((0.5 - PHONEMES["S"].length_s + 0.02) * RATE) : round(0.47 * RATE)]
    assert band_energy(hiss, 4_000.0, 12_000.0) > 10.0 * band_energy(hiss, 50.0, 2_000.0)


def test_vibrato_and_breath_keep_the_voice_alive() -> None:
    note = sung("AA", 60.0)
    pieces = [fundamental_hz(note[start : start + 2048]) for start in range(0, len(note) - 2048, 512)]
    swing = 12.0 * np.log2(max(pieces) / min(pieces))
    assert 0.3 < swing < 1.6


def test_additive_sums_the_harmonics_it_is_given() -> None:
    frames, hop = 4410, 110
    partials = np.zeros((control_count(frames, hop), 3), np.complex64)
    partials[:, 2] = -0.5j
    tone = additive(np.arange(frames) * 100.0 / RATE, partials, hop)
    wanted = 0.5 * np.sin(2.0 * np.pi * 300.0 * np.arange(frames) / RATE)
    assert np.max(np.abs(tone - wanted)) < 1e-5


def test_controls_are_joined_by_straight_lines() -> None:
    assert np.allclose(upsample(np.array([0.0, 1.0, 0.0]), 4, 7), [0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5])


def test_the_shipped_file_is_this_song(mixed: Array) -> None:
    assert demo.SONG.stat().st_size < 600_000
    shipped, rate = soundfile.read(demo.SONG, dtype="float32", always_2d=True)
    assert rate == RATE
    assert shipped.T.shape == mixed.shape
    assert np.max(np.abs(shipped)) < 1.0
    assert np.corrcoef(shipped.T.ravel(), mixed.ravel())[0, 1] > 0.99


def test_naming_the_song_imports_nothing_heavy() -> None:
    tree = ast.parse(Path(demo.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "pathlib"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))


def test_main_writes_a_song(tmp_path: Path, stems: dict[str, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(song, "render", lambda: {name: stem[:, :RATE] for name, stem in stems.items()})
    song.main([str(tmp_path / "short.ogg")])
    assert soundfile.info(tmp_path / "short.ogg").frames == RATE
