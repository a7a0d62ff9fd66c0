from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.errors import FileError
from rtsep.files import AudioReader, Resampled, StemWriter, open_audio, to_channels
from tests.signals import Float32, error_db, noise, sine

RATE = 44100
STEMS = ("vocals", "accompaniment")


def music(frames: int, rate: int = RATE) -> Float32:
    """Tones that a lossy codec keeps well."""
    wave = sine(frames, 440.0, rate, 0.3)
    wave[1] = sine(frames, 1000.0, rate, 0.2, channels=1)[0]
    return wave


def made(path: Path, sound: Float32, **options: str) -> Path:
    soundfile.write(path, sound.T, RATE, **options)
    return path


def encoded(path: Path, ffmpeg: str, sound: Float32, *options: str) -> Path:
    """Write by ffmpeg, in the format that the name says."""
    source = made(path.with_suffix(".source.wav"), sound, subtype="FLOAT")
    subprocess.run([ffmpeg, "-v", "error", "-y", "-i", source, *options, path], check=True)
    return path


def read_all(reader: AudioReader | Resampled, block: int = 4096) -> Float32:
    blocks = []
    try:
        while (part := reader.read(block)).shape[1]:
            assert part.dtype == np.float32 and part.flags.c_contiguous
            assert part.shape[1] <= block or isinstance(reader, Resampled)  # soxr gives when it has
            blocks.append(part)
    finally:
        reader.close()
    return np.concatenate(blocks, axis=1)


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


class TestChannels:
    def test_to_channels(self) -> None:
        mono, stereo, six = noise(10, 1), noise(10, 2), noise(10, 6)
        assert np.array_equal(to_channels(mono, 2), np.concatenate([mono, mono]))
        assert to_channels(stereo, 2) is stereo
        assert error_db(stereo.mean(axis=0, keepdims=True), to_channels(stereo, 1)) < -130.0
        assert np.array_equal(to_channels(six, 2), six[:2])
        assert error_db(six[:2].mean(axis=0, keepdims=True), to_channels(six, 1)) < -130.0


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
from rtsep.files import StemWriter
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
