"""Sound at another rate, of other channels, in part, and from memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rtsep.audio.readers import AudioReader, open_audio
from rtsep.audio.sources import Resampled, Section, Signal, resampled
from rtsep.errors import FileError, SpecError
from tests.support.recordings import RATE, coded, floats, made, music, read_all
from tests.support.signals import Float32, error_db, noise, sine


class TestResampled:
    def test_the_same_rate_changes_nothing(self, tmp_path: Path) -> None:
        sound = noise(9000)
        reader = Resampled(open_audio(made(tmp_path / "a.wav", sound, subtype="FLOAT")), RATE, 2)
        assert reader.frames == 9000
        assert np.array_equal(read_all(reader, 1000), sound)

    @pytest.mark.parametrize("frames", [44100, 30_001, 100, 1])
    @pytest.mark.parametrize("rate", [48000, 96000, 22050, 44100])
    def test_length(self, tmp_path: Path, rate: int, frames: int) -> None:
        reader = Resampled(open_audio(made(tmp_path / "a.wav", noise(frames), subtype="FLOAT")), rate, 2)
        assert reader.sample_rate == rate and reader.frames == round(frames * rate / RATE)
        assert abs(read_all(reader, 1000).shape[1] - frames * rate / RATE) <= 1.0

    @pytest.mark.parametrize("rate", [48000, 88200, 32000])
    def test_a_tone_keeps_its_pitch_level_and_place(self, tmp_path: Path, rate: int) -> None:
        sound = sine(RATE, 1000.0, RATE, 0.5)
        reader = Resampled(open_audio(made(tmp_path / "a.wav", sound, subtype="FLOAT")), rate, 2)
        found = read_all(reader, 777)
        middle = slice(rate // 4, rate // 2)
        assert error_db(sine(rate, 1000.0, rate, 0.5)[:, middle], found[:, middle]) < -80.0

    def test_mono_and_many_channels(self, tmp_path: Path) -> None:
        mono = made(tmp_path / "m.wav", noise(20_000, 1), subtype="FLOAT")
        found = read_all(Resampled(open_audio(mono), 48000, 2))
        assert np.array_equal(found[0], found[1])
        six = made(tmp_path / "s.wav", noise(20_000, 6), subtype="FLOAT")
        assert read_all(Resampled(open_audio(six), 48000, 2)).shape[0] == 2
        assert read_all(Resampled(open_audio(six), RATE, 1)).shape == (1, 20_000)

    def test_seek(self, tmp_path: Path) -> None:
        sound = sine(2 * RATE, 500.0, RATE, 0.5)
        reader = Resampled(open_audio(made(tmp_path / "a.wav", sound, subtype="FLOAT")), 48000, 2)
        read_all_of = [reader.read(10_000) for _ in range(3)]
        assert sum(part.shape[1] for part in read_all_of) > 20_000
        reader.seek(48_000)  # one second: a whole number of periods
        found = np.concatenate([reader.read(5000) for _ in range(3)], axis=1)[:, 1000:10_000]
        assert error_db(sine(10_000, 500.0, 48000, 0.5)[:, 1000:10_000], found) < -60.0
        reader.seek(reader.frames)
        assert reader.read(1000).shape[1] <= 1
        reader.seek(0)
        assert reader.read(1000).shape[1] > 0, "it plays again after its end"
        reader.close()

    def test_a_truncated_file_breaks_off_with_an_error(self, tmp_path: Path) -> None:
        path = made(tmp_path / "a.flac", noise(3 * RATE))
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(FileError, match=r"truncated|broken"):
            read_all(Resampled(open_audio(path), 48000, 2))


class TestASoundAtAnotherRate:
    @pytest.mark.parametrize("rate", [48000, 22050, 96000])
    def test_as_a_reader_would_have_it(self, rate: int) -> None:
        sound = noise(30_001)
        found = resampled(sound, RATE, rate)
        assert found.dtype == np.float32 and found.flags.c_contiguous
        assert abs(found.shape[1] - 30_001 * rate / RATE) <= 1.0
        stream = read_all(Resampled(Signal(sound, RATE), rate, 2), 1000)
        assert error_db(found, stream[:, : found.shape[1]]) < -100.0

    def test_what_needs_no_change_is_the_same(self) -> None:
        sound, silence = noise(100), np.zeros((2, 0), np.float32)
        assert resampled(sound, RATE, RATE) is sound
        assert resampled(silence, RATE, 48000) is silence

    def test_a_rate_that_cannot_be(self) -> None:
        for source, target, named in ((RATE, 0, 0), (-5, RATE, -5), (RATE, 1_000_000, 1_000_000)):
            with pytest.raises(SpecError, match=f"sample rate {named} Hz is out of range; allowed are 1000 to 768000"):
                resampled(noise(100), source, target)


def of_a_file(folder: Path, sound: Float32) -> AudioReader:
    return open_audio(floats(folder / "a.wav", sound))


def of_memory(folder: Path, sound: Float32) -> AudioReader:
    return Signal(sound, RATE)


class TestSection:
    @pytest.mark.parametrize("opened", [of_a_file, of_memory])
    @pytest.mark.parametrize(("start", "frames"), [(0, 20_000), (0, 5000), (7, 1), (12_345, 5000), (19_999, 1)])
    def test_a_part(self, tmp_path: Path, opened: object, start: int, frames: int) -> None:
        assert callable(opened)
        sound = noise(20_000)
        part = Section(opened(tmp_path, sound), start, frames)
        assert (part.sample_rate, part.channels, part.frames) == (RATE, 2, frames)
        assert np.array_equal(read_all(part, 777), sound[:, start : start + frames])

    def test_it_ends_with_the_sound(self) -> None:
        sound = noise(1000)
        part = Section(Signal(sound, RATE), 900, 10**9)
        assert part.frames == 100
        assert np.array_equal(read_all(part), sound[:, 900:])
        beyond = Section(Signal(sound, RATE), 1000, 5)
        assert beyond.frames == 0 and beyond.read(5).shape == (2, 0)

    def test_seek_counts_from_its_start_and_stays_inside(self) -> None:
        sound = noise(1000)
        part = Section(Signal(sound, RATE), 100, 200)
        for frame in (150, 0, 199):
            part.seek(frame)
            assert np.array_equal(part.read(50), sound[:, 100 + frame : min(150 + frame, 300)])
        to_the_end = Section(Signal(sound, RATE), 900)
        assert to_the_end.frames == 100 and np.array_equal(read_all(to_the_end), sound[:, 900:])
        part.seek(-7)
        assert np.array_equal(part.read(5), sound[:, 100:105])
        part.seek(500)
        assert part.read(5).shape == (2, 0)

    def test_of_what_is_in_packets(self, tmp_path: Path) -> None:
        sound = music(RATE)
        reader = open_audio(coded(tmp_path / "a.m4a", sound, codec="alac"))
        assert error_db(sound[:, 11_025:22_050], read_all(Section(reader, 11_025, 11_025), 1000)) < -70.0

    def test_at_another_rate(self) -> None:
        """What lies outside of the part is not heard in it."""
        sound = sine(2 * RATE, 500.0, RATE)
        sound[:, :RATE] = 0.9
        part = Resampled(Section(Signal(sound, RATE), RATE, RATE // 2), 48000, 2)
        assert part.frames == 24_000
        found = read_all(part, 1000)
        assert abs(found.shape[1] - 24_000) <= 1
        wanted = sine(24_000, 500.0, 48000)
        assert error_db(wanted[:, 1000:23_000], found[:, 1000:23_000]) < -60.0


class TestSignal:
    def test_it_is_a_reader(self) -> None:
        sound = noise(1000, channels=3)
        signal = Signal(sound, 22050)
        assert (signal.sample_rate, signal.channels, signal.frames, str(signal.path)) == (22050, 3, 1000, "signal")
        assert np.array_equal(read_all(signal, 300), sound)
        signal.seek(990)
        assert np.array_equal(signal.read(300), sound[:, 990:])
        assert signal.read(300).shape == (3, 0)
