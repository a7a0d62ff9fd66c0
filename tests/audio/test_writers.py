"""Stems on disk: whole, exact, in every codec; and nothing left of those that went wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.audio.readers import open_audio
from rtsep.audio.writers import CODECS, ENCODERS, StemFiles, StemWriter, keep_source, part_of
from rtsep.errors import FileError
from tests.support.recordings import RATE, floats, heard, music, read_all
from tests.support.signals import Float32, noise

STEMS = ("vocals", "accompaniment")


class TestStemWriter:
    def test_round_trip(self, tmp_path: Path) -> None:
        stems = np.stack([noise(5000), 3.0 * noise(5000, seed=1)])  # louder than full scale is kept
        writer = StemWriter(tmp_path / "new" / "song", STEMS, 48000, 2)
        for start in range(0, 5000, 700):
            writer.write(stems[:, :, start : start + 700])
        writer.close()
        assert writer.paths == tuple(tmp_path / "new" / "song" / f"{stem}.wav" for stem in STEMS)
        for path, stem in zip(writer.paths, stems, strict=True):
            reader = open_audio(path)
            assert (reader.sample_rate, reader.frames) == (48000, 5000)
            assert np.array_equal(read_all(reader), stem)
            assert soundfile.info(path).subtype == "FLOAT"

    def test_what_is_too_long_for_a_wav_is_an_rf64(self, tmp_path: Path) -> None:
        writer = StemWriter(tmp_path, STEMS, 48000, 2, frames=10**9)
        writer.write(np.stack([noise(100), noise(100)]))
        writer.close()
        assert all(soundfile.info(path).format == "RF64" for path in writer.paths)
        assert np.array_equal(read_all(open_audio(writer.paths[0])), noise(100))

    def test_a_folder_that_cannot_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(FileError, match="cannot be written") as error:
            StemWriter(tmp_path / "file", STEMS, 48000, 2)
        assert str(tmp_path / "file") in str(error.value) and "\n" not in str(error.value)

    def test_a_full_disk(self, small_disk: Path) -> None:
        writer = StemWriter(small_disk / "song", STEMS, 48000, 2)
        block = np.stack([noise(1000), noise(1000)])
        with pytest.raises(FileError, match="the disk is full") as error:
            for _ in range(100):
                writer.write(block)
        assert str(small_disk) in str(error.value) and "\n" not in str(error.value)
        writer.close()
        kept = soundfile.read(writer.paths[0], dtype="float32")[0].T
        whole = np.tile(noise(1000), (1, 100))[:, : kept.shape[1]]
        assert kept.shape[1] > 10_000 and np.array_equal(kept, whole), "what was written before is kept"

    def test_a_limit_on_the_size_of_files(self, tmp_path: Path) -> None:
        """In a process of its own: the limit holds for everything that it writes."""
        program = """
import resource, sys
from pathlib import Path
import numpy as np
from rtsep.errors import FileError
from rtsep.audio.writers import StemWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = StemWriter(Path(sys.argv[1]), ("vocals", "rest"), 48000, 2)
try:
    for _ in range(100):
        writer.write(np.zeros((2, 2, 1000), np.float32))
except FileError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) == 1 and "vocals.wav" in lines[0] and "cannot be written" in lines[0]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def paths_in(folder: Path, codec: str = "wav") -> tuple[Path, ...]:
    return tuple(folder / "song" / f"{stem}.{codec}" for stem in STEMS)


def one_line(error: pytest.ExceptionInfo[FileError]) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 450
    return text


class TestStemFiles:
    def test_round_trip(self, tmp_path: Path) -> None:
        stems = np.stack([noise(5000), 3.0 * noise(5000, seed=1)])  # louder than full scale is kept
        paths = (tmp_path / "a" / "one.wav", tmp_path / "b" / "two.wav")
        with StemFiles(paths, 48000, 2, 5000) as files:
            for start in range(0, 5000, 700):
                files.write(stems[:, :, start : start + 700])
        for path, stem in zip(paths, stems, strict=True):
            assert soundfile.info(path).samplerate == 48000 and soundfile.info(path).subtype == "FLOAT"
            assert np.array_equal(heard(path), stem)

    def test_names_appear_only_when_all_are_whole(self, tmp_path: Path) -> None:
        paths = paths_in(tmp_path)
        with StemFiles(paths, RATE, 2, 1000) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
            assert files_in(tmp_path) == ["accompaniment.wav.part", "vocals.wav.part"]
            assert [part_of(path).is_file() for path in paths] == [True, True]
        assert files_in(tmp_path) == ["accompaniment.wav", "vocals.wav"]

    @pytest.mark.parametrize("wrong", [FileError, KeyboardInterrupt])
    @pytest.mark.parametrize("codec", ["wav", "flac"])
    def test_nothing_stays_after_an_error(
        self, tmp_path: Path, ffmpeg: str, codec: str, wrong: type[BaseException]
    ) -> None:
        paths = paths_in(tmp_path, codec)
        with pytest.raises(wrong, match="what went wrong"), StemFiles(paths, RATE, 2, 1000, codec) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
            raise wrong("what went wrong")
        assert files_in(tmp_path) == []

    def test_earlier_stems_stay_until_new_ones_are_whole(self, tmp_path: Path) -> None:
        paths = tuple(floats(path, noise(10)) for path in paths_in(tmp_path))
        with pytest.raises(FileError, match="stopped"), StemFiles(paths, RATE, 2, 1000) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
            raise FileError("stopped")
        assert [heard(path).shape for path in paths] == [(2, 10), (2, 10)]
        with StemFiles(paths, RATE, 2, 1000) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
        assert [heard(path).shape for path in paths] == [(2, 1000), (2, 1000)]
        assert files_in(tmp_path) == ["accompaniment.wav", "vocals.wav"]

    def test_what_is_too_long_for_a_wav_is_an_rf64(self, tmp_path: Path) -> None:
        with StemFiles(paths_in(tmp_path), RATE, 2, 10**9) as files:
            files.write(np.stack([noise(100), noise(100)]))
        assert soundfile.info(paths_in(tmp_path)[0]).format == "RF64"
        assert np.array_equal(heard(paths_in(tmp_path)[0]), noise(100))

    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("codec", CODECS)
    def test_every_codec(self, tmp_path: Path, ffmpeg: str, codec: str, channels: int) -> None:
        sound = music(2 * RATE)[:channels]
        paths = paths_in(tmp_path, codec)
        with StemFiles(paths, RATE, channels, 2 * RATE, codec, "192k") as files:
            for start in range(0, 2 * RATE, 10_000):
                block = sound[:, start : start + 10_000]
                files.write(np.stack([block, 0.5 * block]))
        assert files_in(tmp_path) == sorted(path.name for path in paths)
        for path, level in zip(paths, (1.0, 0.5), strict=True):
            reader = open_audio(path)
            assert (reader.sample_rate, reader.channels) == (RATE, channels)
            found = read_all(reader)
            slack = 0 if codec in ("wav", "flac", "ogg") else RATE // 10  # the padding of an encoder
            assert abs(found.shape[1] - 2 * RATE) <= slack
            check_tones(found, level)

    def test_a_bitrate_is_kept(self, tmp_path: Path, ffmpeg: str) -> None:
        sizes = []
        for bitrate in ("64k", "256k"):
            paths = paths_in(tmp_path / bitrate, "mp3")
            with StemFiles(paths, RATE, 2, RATE, "mp3", bitrate) as files:
                files.write(np.stack([noise(RATE), noise(RATE)]))
            sizes.append(paths[0].stat().st_size)
        assert sizes[0] == pytest.approx(8000, rel=0.15) and sizes[1] == pytest.approx(32_000, rel=0.15)

    @pytest.mark.parametrize("frames", [100, 200_000])  # fewer and more than a pipe holds
    @pytest.mark.parametrize("bitrate", ["plenty", "-y", "", "1k 2k"])
    def test_a_bad_bitrate_is_one_line(self, tmp_path: Path, ffmpeg: str, bitrate: str, frames: int) -> None:
        paths = paths_in(tmp_path, "m4a")
        with (
            pytest.raises(FileError, match="cannot be written") as error,
            StemFiles(paths, RATE, 2, frames, "m4a", bitrate) as files,
        ):
            files.write(np.stack([noise(frames), noise(frames)]))
        assert "vocals.m4a" in one_line(error)
        assert files_in(tmp_path) == []

    def test_without_ffmpeg(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        for codec in ENCODERS:
            with pytest.raises(FileError, match=f"codec '{codec}' needs ffmpeg.*; install it, or use wav") as error:
                StemFiles(paths_in(tmp_path, codec), RATE, 2, 1000, codec)
            one_line(error)
        with StemFiles(paths_in(tmp_path), RATE, 2, 1000) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
        assert files_in(tmp_path) == ["accompaniment.wav", "vocals.wav"]

    @pytest.mark.parametrize("codec", ["wav", "flac"])
    def test_a_full_disk(self, small_disk: Path, ffmpeg: str, codec: str) -> None:
        block = np.stack([noise(10_000), noise(10_000)])
        with (
            pytest.raises(FileError, match="the disk is full") as error,
            StemFiles(paths_in(small_disk, codec), RATE, 2, 10**6, codec) as files,
        ):
            for _ in range(100):
                files.write(block)
        assert "is kept" not in one_line(error), "nothing is"
        assert files_in(small_disk) == []

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "song").touch()
        with pytest.raises(FileError, match="stems cannot be written there") as error:
            StemFiles(paths_in(tmp_path), RATE, 2, 1000)
        assert str(tmp_path / "song") in one_line(error)

    @pytest.mark.parametrize("codec", ["wav", "flac"])
    @pytest.mark.parametrize("place", ["accompaniment.{}", "accompaniment.{}.part"])
    def test_a_folder_where_a_file_should_be(self, tmp_path: Path, ffmpeg: str, place: str, codec: str) -> None:
        """It is seen before an hour of work, or at the end; either way in one line, and no stem is there alone."""
        (tmp_path / "song" / place.format(codec)).mkdir(parents=True)
        with (
            pytest.raises(FileError, match="cannot be written") as error,
            StemFiles(paths_in(tmp_path, codec), RATE, 2, 1000, codec) as files,
        ):
            files.write(np.stack([noise(1000), noise(1000)]))
        one_line(error)
        assert files_in(tmp_path) == []

    def test_a_folder_that_vanishes(self, tmp_path: Path) -> None:
        paths = paths_in(tmp_path)
        with (
            pytest.raises(FileError, match="stems cannot be kept there") as error,
            StemFiles(paths, RATE, 2, 1000) as files,
        ):
            files.write(np.stack([noise(1000), noise(1000)]))
            for path in paths:
                part_of(path).unlink()
        one_line(error)

    def test_no_stems_are_no_files(self, tmp_path: Path) -> None:
        with StemFiles((), RATE, 2, 1000) as files:
            files.write(np.zeros((0, 2, 1000), np.float32))
        assert files_in(tmp_path) == []


def check_tones(found: Float32, level: float) -> None:
    """One second in the middle holds the tones of `music`."""
    spectrum = 2.0 * np.abs(np.fft.rfft(found[:, RATE // 2 : RATE // 2 + RATE])) / RATE
    assert spectrum.argmax(axis=1).tolist() == [440, 1000][: len(found)]
    assert spectrum.max(axis=1) == pytest.approx(level * np.array([0.3, 0.2])[: len(found)], rel=0.1)


def test_the_source_is_kept(tmp_path: Path) -> None:
    source = floats(tmp_path / "song.wav", noise(10))
    (tmp_path / "link.wav").symlink_to(source)
    keep_source(source, (tmp_path / "vocals.wav",))
    for path in (source, tmp_path / "link.wav", tmp_path / "." / "song.wav"):
        with pytest.raises(FileError, match="would be written over while it is read; choose another folder"):
            keep_source(source, (tmp_path / "vocals.wav", path))
    keep_source(tmp_path / "missing.wav", (source,))
