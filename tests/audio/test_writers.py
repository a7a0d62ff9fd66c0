"""Stems on disk: whole, exact, in every codec; and nothing left of those that went wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.audio import wav
from rtsep.audio.codecs import CODECS
from rtsep.audio.readers import open_audio
from rtsep.audio.writers import BLOCK, StemFiles, StemWriter, keep_source, part_of
from rtsep.errors import FileError
from tests.support.recordings import RATE, floats, heard, music, read_all
from tests.support.signals import Float32, error_db, noise

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

    def test_what_is_too_long_for_a_wav_is_an_rf64(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wav, "LARGEST", 800)
        writer = StemWriter(tmp_path, STEMS, 48000, 2)
        writer.write(np.stack([noise(100), noise(100)]))
        writer.close()
        assert all(soundfile.info(path).format == "RF64" for path in writer.paths)
        assert np.array_equal(read_all(open_audio(writer.paths[0])), noise(100))

    def test_a_folder_that_cannot_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(FileError, match="cannot be written") as error:
            StemWriter(tmp_path / "file", STEMS, 48000, 2)
        assert str(tmp_path / "file") in str(error.value) and "\n" not in str(error.value)

    def test_nothing_written_is_nothing_left(self, tmp_path: Path) -> None:
        for folder in (tmp_path / "new" / "song", tmp_path):
            writer = StemWriter(folder, STEMS, 48000, 2)
            assert [soundfile.info(path).frames for path in writer.paths] == [0, 0]
            writer.close()
            writer.close()
            assert list(tmp_path.iterdir()) == []

    def test_stems_that_cannot_all_be_begun(self, tmp_path: Path) -> None:
        (tmp_path / "accompaniment.wav").mkdir()
        with pytest.raises(FileError, match="cannot be written there"):
            StemWriter(tmp_path, STEMS, 48000, 2)
        assert [path.name for path in tmp_path.iterdir()] == ["accompaniment.wav"]

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
        assert len(lines) == 1 and "vocals.wav cannot be written: the file system takes no longer file" in lines[0]
        assert "choose another disk; what was written before is kept" in lines[0]
        kept = soundfile.info(tmp_path / "vocals.wav").frames
        assert kept == (100_000 - 94) // 8, "all that the file could hold"


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def paths_in(folder: Path, codec: str = "wav") -> tuple[Path, ...]:
    return tuple(folder / "song" / f"{stem}.{codec}" for stem in STEMS)


def one_line(error: pytest.ExceptionInfo[FileError]) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 450
    return text


def nothing_in(folder: Path) -> None:
    """Nothing is there but what was there before: no file, and no folder."""
    assert [path.name for path in folder.rglob("*")] == []


class TestStemFiles:
    def test_round_trip(self, tmp_path: Path) -> None:
        stems = np.stack([noise(5000), 3.0 * noise(5000, seed=1)])  # louder than full scale is kept
        paths = (tmp_path / "a" / "one.wav", tmp_path / "b" / "two.wav")
        with StemFiles(paths, 48000, 2) as files:
            for start in range(0, 5000, 700):
                files.write(stems[:, :, start : start + 700])
        for path, stem in zip(paths, stems, strict=True):
            assert soundfile.info(path).samplerate == 48000 and soundfile.info(path).subtype == "FLOAT"
            assert np.array_equal(heard(path), stem)
        assert files.remarks == []

    @pytest.mark.parametrize("codec", ["wav", "flac"])
    def test_names_appear_only_when_all_are_whole(self, tmp_path: Path, codec: str) -> None:
        paths = paths_in(tmp_path, codec)
        with StemFiles(paths, RATE, 2, codec) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
            assert files_in(tmp_path) == [f"accompaniment.{codec}.part", f"vocals.{codec}.part"]
            assert [part_of(path).is_file() for path in paths] == [True, True]
        assert files_in(tmp_path) == [f"accompaniment.{codec}", f"vocals.{codec}"]

    @pytest.mark.parametrize("wrong", [FileError, KeyboardInterrupt])
    @pytest.mark.parametrize("codec", CODECS)
    def test_nothing_stays_after_an_error(self, tmp_path: Path, codec: str, wrong: type[BaseException]) -> None:
        rate = 48_000
        with (
            pytest.raises(wrong, match="what went wrong"),
            StemFiles(paths_in(tmp_path / "out", codec), rate, 2, codec) as files,
        ):
            files.write(np.stack([noise(1000), noise(1000)]))
            raise wrong("what went wrong")
        nothing_in(tmp_path)

    @pytest.mark.parametrize("wrong", [FileError, KeyboardInterrupt])
    @pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "wav"])
    def test_encoding_can_be_ended(self, tmp_path: Path, codec: str, wrong: type[BaseException]) -> None:
        """It may take minutes after the last block."""
        calls = 0

        def told() -> None:
            nonlocal calls
            calls += 1
            if calls > 4:
                raise wrong("enough")

        with (
            pytest.raises(wrong, match="enough"),
            StemFiles(paths_in(tmp_path, codec), 48_000, 2, codec, on_block=told) as files,
        ):
            for _ in range(10):
                files.write(0.1 * np.stack([noise(BLOCK), noise(BLOCK)]))
        assert calls < 9, "the other stem is given up too"
        nothing_in(tmp_path)

    def test_earlier_stems_stay_until_new_ones_are_whole(self, tmp_path: Path) -> None:
        paths = tuple(floats(path, noise(10)) for path in paths_in(tmp_path))
        with pytest.raises(FileError, match="stopped"), StemFiles(paths, RATE, 2) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
            raise FileError("stopped")
        assert [heard(path).shape for path in paths] == [(2, 10), (2, 10)]
        with StemFiles(paths, RATE, 2) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
        assert [heard(path).shape for path in paths] == [(2, 1000), (2, 1000)]
        assert files_in(tmp_path) == ["accompaniment.wav", "vocals.wav"]

    def test_what_is_too_long_for_a_wav_is_an_rf64(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wav, "LARGEST", 800)
        with StemFiles(paths_in(tmp_path), RATE, 2) as files:
            files.write(np.stack([noise(100), noise(100)]))
        assert soundfile.info(paths_in(tmp_path)[0]).format == "RF64"
        assert np.array_equal(heard(paths_in(tmp_path)[0]), noise(100))

    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "opus"])
    def test_every_codec(self, tmp_path: Path, codec: str, channels: int) -> None:
        sound = music(2 * RATE)[:channels]
        paths = paths_in(tmp_path, codec)
        with StemFiles(paths, RATE, channels, codec, "192k" if CODECS[codec].bitrates else None) as files:
            for start in range(0, 2 * RATE, 10_000):
                block = sound[:, start : start + 10_000]
                files.write(np.stack([block, 0.5 * block]))
        assert files_in(tmp_path) == sorted(path.name for path in paths)
        assert files.remarks == []
        for path, level in zip(paths, (1.0, 0.5), strict=True):
            reader = open_audio(path)
            assert (reader.sample_rate, reader.channels) == (RATE, channels)
            found = read_all(reader)
            slack = {"wav": 0, "flac": 0, "ogg": 128}.get(codec, RATE // 10)  # the padding of an encoder
            assert abs(found.shape[1] - 2 * RATE) <= slack
            check_tones(found, level)

    def test_what_a_codec_cannot_have_is_refused_before_the_work(self, tmp_path: Path) -> None:
        for codec, bitrate, rate in (("mp3", None, 96_000), ("mp3", "500k", RATE), ("wav", "192k", RATE)):
            with pytest.raises(FileError, match=r"cannot have|has no bitrate"):
                StemFiles(paths_in(tmp_path, codec), rate, 2, codec, bitrate)
        nothing_in(tmp_path)

    @pytest.mark.parametrize("codec", ["wav", "flac", "mp3", "ogg"])
    def test_a_full_disk(self, small_disk: Path, codec: str) -> None:
        block = np.stack([noise(10_000), noise(10_000)])
        with (
            pytest.raises(FileError, match="the disk is full") as error,
            StemFiles(paths_in(small_disk, codec), RATE, 2, codec) as files,
        ):
            for _ in range(100):
                files.write(block)
        assert "is kept" not in one_line(error), "nothing is"
        nothing_in(small_disk)

    def test_a_disk_that_is_full_at_the_very_end(self, small_disk: Path) -> None:
        """Where the sound that waits has room, and the files beside it have not."""
        block = 0.2 * np.stack([noise(12_000), noise(12_000)])
        with (
            pytest.raises(FileError, match="the disk is full"),
            StemFiles(paths_in(small_disk, "flac"), RATE, 2, "flac") as files,
        ):
            files.write(block)
        nothing_in(small_disk)

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "song").touch()
        with pytest.raises(FileError, match="stems cannot be written there") as error:
            StemFiles(paths_in(tmp_path), RATE, 2)
        assert str(tmp_path / "song") in one_line(error)

    @pytest.mark.parametrize("codec", ["wav", "flac", "ogg"])
    @pytest.mark.parametrize("place", ["accompaniment.{}", "accompaniment.{}.part"])
    def test_a_folder_where_a_file_should_be(self, tmp_path: Path, place: str, codec: str) -> None:
        """It is seen before an hour of work, in one line, and no stem is there alone."""
        (tmp_path / "song" / place.format(codec)).mkdir(parents=True)
        with pytest.raises(FileError, match="cannot be written") as error:
            StemFiles(paths_in(tmp_path, codec), RATE, 2, codec)
        one_line(error)
        assert files_in(tmp_path) == []

    def test_a_folder_that_vanishes(self, tmp_path: Path) -> None:
        paths = paths_in(tmp_path)
        with pytest.raises(FileError, match="stems cannot be kept there") as error, StemFiles(paths, RATE, 2) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
            for path in paths:
                part_of(path).unlink()
        one_line(error)

    def test_no_stems_are_no_files(self, tmp_path: Path) -> None:
        for codec in ("wav", "flac"):
            with StemFiles((), RATE, 2, codec) as files:
                files.write(np.zeros((0, 2, 1000), np.float32))
            assert files.remarks == [] and not list(tmp_path.iterdir())

    def test_what_a_killed_run_left_goes(self, tmp_path: Path) -> None:
        """Whatever it wrote; of other stems nothing is touched."""
        folder = tmp_path / "song"
        folder.mkdir()
        for name in ("vocals.mp3.part", "vocals.wav.part", "accompaniment.flac.part", "other.wav.part", "vocals.txt"):
            (folder / name).write_bytes(b"half")
        with StemFiles(paths_in(tmp_path), RATE, 2) as files:
            files.write(np.stack([noise(1000), noise(1000)]))
        assert files_in(tmp_path) == ["accompaniment.wav", "other.wav.part", "vocals.txt", "vocals.wav"]

    def test_what_is_killed_leaves_parts_at_the_most(self, tmp_path: Path) -> None:
        program = """
import os, signal, sys
from pathlib import Path
import numpy as np
from rtsep.audio.writers import StemFiles
def told():
    os.kill(os.getpid(), signal.SIGKILL)
paths = tuple(Path(sys.argv[1]) / f"{stem}.mp3" for stem in ("vocals", "rest"))
with StemFiles(paths, 44100, 2, "mp3", on_block=told) as files:
    files.write(np.zeros((2, 2, 100_000), np.float32))
"""
        done = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
        assert done.returncode == -9
        assert files_in(tmp_path) == ["rest.mp3.part", "vocals.mp3.part"], "the sound that waited has no name"


class TestOneGain:
    @pytest.mark.parametrize("codec", [codec for codec in CODECS if codec not in ("wav", "opus")])
    def test_stems_that_would_clip_are_all_lower(self, tmp_path: Path, codec: str) -> None:
        """So that they sum to the mix as before, but for a gain that is said."""
        loud = music(2 * RATE) * np.float32(10.0 ** (6.0 / 20.0) / 0.3)  # of which the left is at +6 dB
        paths = paths_in(tmp_path, codec)
        with StemFiles(paths, RATE, 2, codec, "192k" if CODECS[codec].bitrates else None) as files:
            for start in range(0, 2 * RATE, 10_000):
                files.write(np.stack([0.25 * loud, loud])[:, :, start : start + 10_000])
        name = f"accompaniment.{codec}"
        assert files.remarks == [f"all stems are 6.0 dB lower, since {name} would clip at +6.0 dB"]
        for path, level in zip(paths, (0.25, 1.0), strict=True):
            check_tones(read_all(open_audio(path)), level / 0.3)

    def test_they_null_against_what_came(self, tmp_path: Path) -> None:
        stems = np.stack([noise(50_000, level=0.5), noise(50_000, seed=1, level=0.1)])
        peak = float(np.abs(stems).max())
        paths = paths_in(tmp_path, "flac")
        with StemFiles(paths, RATE, 2, "flac") as files:
            files.write(stems)
        found = np.stack([heard(path) for path in paths])
        assert np.abs(found).max() == pytest.approx(1.0, abs=1e-6)
        assert error_db(stems.sum(axis=0), peak * found.sum(axis=0)) < -120.0
        assert len(files.remarks) == 1

    @pytest.mark.parametrize(
        ("peak", "said"), [(1.0, ""), (0.5, ""), (1.0005, "0.004 dB"), (1.02, "0.2 dB"), (-4.0, "12.0 dB")]
    )
    def test_how_much_is_said(self, tmp_path: Path, peak: float, said: str) -> None:
        stem = np.zeros((1, 2, 1000), np.float32)
        stem[0, 1, 500] = peak
        with StemFiles((tmp_path / "a.flac",), RATE, 2, "flac") as files:
            files.write(stem)
        found = files.remarks
        assert found == ([f"all stems are {said} lower, since a.flac would clip at +{said}"] if said else [])

    def test_16_bits_are_not_clipped_in_silence(self, tmp_path: Path) -> None:
        loudest = np.full((1, 2, 10), -1.0, np.float32)
        with StemFiles((tmp_path / "a.wav",), RATE, 2, subtype="PCM_16") as files:
            files.write(loudest)
        assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"
        with (
            pytest.raises(FileError, match="louder than 16 bits hold"),
            StemFiles((tmp_path / "b.wav",), RATE, 2, subtype="PCM_16") as files,
        ):
            files.write(1.01 * loudest)


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
