from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rtsep.audio.readers import open_audio
from rtsep.errors import FileError
from tests.support.recordings import RATE, encoded, made, music, read_all
from tests.support.signals import error_db, noise


def complaint(path: Path) -> str:
    """The one line that opening and reading a bad file gives."""
    with pytest.raises(FileError) as error:
        read_all(open_audio(path))
    text = str(error.value)
    assert str(path) in text and "\n" not in text and len(text) < 300
    return text


@pytest.mark.parametrize(
    ("name", "options", "limit_db"),
    [
        ("float.wav", {"subtype": "FLOAT"}, -300.0),
        ("pcm.wav", {"subtype": "PCM_24"}, -120.0),
        ("short.wav", {"subtype": "PCM_16"}, -75.0),
        ("wide.wav", {"subtype": "FLOAT", "format": "RF64"}, -300.0),
        ("a.flac", {"subtype": "PCM_24"}, -120.0),
        ("a.aiff", {"subtype": "PCM_24"}, -120.0),
        ("a.ogg", {}, -25.0),
    ],
)
def test_round_trip(tmp_path: Path, name: str, options: dict[str, str], limit_db: float) -> None:
    sound = music(30_001)
    reader = open_audio(made(tmp_path / name, sound, **options))
    assert (reader.sample_rate, reader.channels, reader.frames) == (RATE, 2, 30_001)
    assert reader.path == tmp_path / name
    assert error_db(sound, read_all(reader, 1000)) < limit_db


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_number_of_channels(tmp_path: Path, channels: int) -> None:
    sound = noise(5000, channels)
    reader = open_audio(made(tmp_path / "a.wav", sound, subtype="FLOAT"))
    assert reader.channels == channels
    assert np.array_equal(read_all(reader), sound)


def test_seek(tmp_path: Path) -> None:
    sound = noise(20_000)
    reader = open_audio(made(tmp_path / "a.wav", sound, subtype="FLOAT"))
    for frame in (15_000, 0, 7, 19_999):
        reader.seek(frame)
        assert np.array_equal(reader.read(100), sound[:, frame : frame + 100])
    reader.seek(99_999)
    assert reader.read(100).shape == (2, 0)
    reader.seek(-5)
    assert np.array_equal(reader.read(10), sound[:, :10])
    reader.close()


class TestFfmpeg:
    @pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.opus", "a.webm"])
    def test_lossy_formats(self, tmp_path: Path, ffmpeg: str, name: str) -> None:
        rate = 48000 if name in ("a.opus", "a.webm") else RATE
        sound = music(3 * RATE)
        reader = open_audio(encoded(tmp_path / name, ffmpeg, sound, "-b:a", "192k"))
        assert reader.sample_rate == rate and reader.channels == 2
        assert reader.frames == pytest.approx(3 * rate, abs=0.1 * rate)
        found = read_all(reader)
        assert found.shape[1] == pytest.approx(3 * rate, abs=0.1 * rate)
        spectrum = np.abs(np.fft.rfft(found[:, rate : 2 * rate]))
        assert spectrum.argmax(axis=1).tolist() == [440, 1000]
        assert 2.0 * spectrum.max(axis=1) / rate == pytest.approx([0.3, 0.2], rel=0.1)

    def test_a_lossless_format_is_exact(self, tmp_path: Path, ffmpeg: str) -> None:
        sound = (np.clip(noise(50_000), -1.0, 0.99) * 32768).round().astype(np.float32) / np.float32(32768)
        path = encoded(tmp_path / "a.m4a", ffmpeg, sound, "-c:a", "alac")
        reader = open_audio(path)
        assert reader.frames == pytest.approx(50_000, abs=100)
        assert np.array_equal(read_all(reader), sound)
        reader = open_audio(path)
        reader.read(10)
        reader.seek(22_050)  # half a second
        assert np.array_equal(reader.read(4000), sound[:, 22_050:26_050])
        reader.close()

    def test_names_that_ffmpeg_might_take_for_something_else(self, tmp_path: Path, ffmpeg: str) -> None:
        for name in ("-i.m4a", "http:a.m4a", "a%03d.m4a", "two words ü.m4a"):
            path = encoded(tmp_path / "plain.m4a", ffmpeg, music(20_000)).rename(tmp_path / name)
            assert read_all(open_audio(path)).shape[1] > 19_000

    def test_a_film_without_sound(self, tmp_path: Path, ffmpeg: str) -> None:
        path = tmp_path / "silent.mkv"
        command = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "color=s=16x16:d=0.2", str(path)]
        subprocess.run(command, check=True)
        assert "not a sound file" in complaint(path)

    def test_a_truncated_film(self, tmp_path: Path, ffmpeg: str) -> None:
        for options in ((), ("-movflags", "+faststart")):  # with its index behind or before the sound
            path = encoded(tmp_path / "a.m4a", ffmpeg, noise(3 * RATE), *options)
            os.truncate(path, path.stat().st_size // 2)
            assert complaint(path)

    @pytest.mark.parametrize("name", ["a.mp3", "a.opus", "a.webm"])
    def test_a_truncated_lossy_file(self, tmp_path: Path, ffmpeg: str, name: str) -> None:
        path = encoded(tmp_path / name, ffmpeg, noise(4 * RATE))
        os.truncate(path, path.stat().st_size // 2)
        assert complaint(path)

    def test_without_ffmpeg_the_cure_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(1000))
        assert "install ffmpeg" in complaint(tmp_path / "a.m4a")


class TestBadFiles:
    def test_missing(self, tmp_path: Path) -> None:
        assert "no such file" in complaint(tmp_path / "nothing.wav")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "folder" in complaint(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "empty.wav").touch()
        assert "empty" in complaint(tmp_path / "empty.wav")

    def test_no_sound_in_it(self, tmp_path: Path) -> None:
        assert "no sound" in complaint(made(tmp_path / "a.wav", np.zeros((2, 0), np.float32)))

    @pytest.mark.parametrize("name", ["notes.txt", "notes.wav", "notes.mp3", "notes"])
    def test_text(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("It was a dark and stormy night.\n" * 500)
        assert "sound file" in complaint(tmp_path / name)

    @pytest.mark.parametrize("name", ["random.wav", "random.flac", "random.bin"])
    def test_random_bytes(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(50_000))
        assert complaint(tmp_path / name)

    @pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
    @pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff"])
    def test_truncated(self, tmp_path: Path, name: str, keep: float) -> None:
        path = made(tmp_path / name, noise(3 * RATE))
        os.truncate(path, int(path.stat().st_size * keep))
        assert "truncated" in complaint(path) or "broken" in complaint(path)

    def test_only_a_header(self, tmp_path: Path) -> None:
        for name in ("a.wav", "a.flac", "a.ogg"):
            path = made(tmp_path / name, noise(RATE))
            os.truncate(path, 40)
            assert complaint(path)

    def test_a_wav_that_was_streamed_has_no_length_and_is_no_error(self, tmp_path: Path) -> None:
        sound = noise(1000)
        path = made(tmp_path / "a.wav", sound, subtype="FLOAT")
        data = bytearray(path.read_bytes())
        data[4:8] = b"\xff\xff\xff\xff"
        path.write_bytes(data)
        assert np.array_equal(read_all(open_audio(path)), sound)
