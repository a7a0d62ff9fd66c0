"""Wav files of our own making, read by libsndfile and FFmpeg; and what they say while they grow."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from rtsep.audio import wav
from rtsep.audio.wav import FLOAT, PCM, WavFile
from tests.support.signals import Float32, noise


def read(path: Path) -> Float32:
    found: Float32 = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    return found


def read_by_ffmpeg(path: Path) -> Float32:
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        blocks = [frame.to_ndarray().reshape(-1, stream.channels).T for frame in container.decode(stream)]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def chunks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Names and sizes of the chunks, as they are said."""
    with path.open("rb") as file:
        yield struct.unpack("<4sI4x", file.read(12))
        while head := file.read(8):
            name, size = struct.unpack("<4sI", head)
            yield name, size
            file.seek(size, 1)


@pytest.fixture(params=["short", "long"])
def long(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a wav is too long for a plain one after 4000 bytes, in place of 4 GiB."""
    if request.param == "long":
        monkeypatch.setattr(wav, "LARGEST", 4000)
    return bool(request.param == "long")


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_sample_comes_back(tmp_path: Path, channels: int, long: bool) -> None:
    sound = 2.0 * np.repeat(noise(1001), 3, axis=0)[:channels]
    file = WavFile(tmp_path / "a.wav", 22050, channels)
    for start in range(0, 1001, 100):
        file.write(sound[:, start : start + 100])
    assert file.frames == 1001
    file.close()
    file.close()
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (22050, channels, 1001, "FLOAT")
    assert info.format == ("RF64" if long else "WAV")
    np.testing.assert_array_equal(read(tmp_path / "a.wav"), sound)
    np.testing.assert_array_equal(read_by_ffmpeg(tmp_path / "a.wav"), sound)


def test_it_is_whole_after_every_block(tmp_path: Path, long: bool) -> None:
    file = WavFile(tmp_path / "a.wav", 48000, 2)
    for blocks in range(10):
        info = soundfile.info(tmp_path / "a.wav")
        assert (info.frames, info.format) == (100 * blocks, "RF64" if long and blocks >= 5 else "WAV")
        np.testing.assert_array_equal(read(tmp_path / "a.wav"), np.tile(noise(100), blocks or 1)[:, : 100 * blocks])
        if blocks:
            assert read_by_ffmpeg(tmp_path / "a.wav").shape == (2, 100 * blocks)
        file.write(noise(100))
    file.write(noise(100)[:, :0])
    assert soundfile.info(tmp_path / "a.wav").frames == 1000
    file.close()


def test_the_chunks_of_both_kinds(tmp_path: Path, long: bool) -> None:
    """As EBU Tech 3306 has them: sizes of 64 bits stand where room was kept for them."""
    file = WavFile(tmp_path / "a.wav", 48000, 2)
    file.write(noise(1000))
    file.close()
    size = (tmp_path / "a.wav").stat().st_size
    if not long:
        found = list(chunks(tmp_path / "a.wav"))
        assert found == [(b"RIFF", size - 8), (b"JUNK", 28), (b"fmt ", 18), (b"fact", 4), (b"data", 8000)]
        return
    data = (tmp_path / "a.wav").read_bytes()
    assert data[:20] == b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", 28)
    assert struct.unpack("<QQQI", data[20:48]) == (size - 8, 8000, 1000, 0)
    assert data[-8008:-8000] == b"data\xff\xff\xff\xff"


def test_past_4_gib(tmp_path: Path) -> None:
    """Most of it is a hole in the file."""
    file, before = WavFile(tmp_path / "a.wav", 48000, 2), (1 << 32) // 8 - 500
    file.write(noise(1000))
    file._bytes = 8 * before
    file.write(noise(400))
    assert soundfile.info(tmp_path / "a.wav").format == "WAV"
    file.write(noise(1000, seed=1))
    file.close()
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.format, info.frames) == ("RF64", before + 1400)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", 1000, dtype="float32")[0].T, noise(1000))
    tail = soundfile.read(tmp_path / "a.wav", start=before, dtype="float32")[0].T
    np.testing.assert_array_equal(tail, np.concatenate([noise(400), noise(1000, seed=1)], axis=1))
    with av.open(str(tmp_path / "a.wav")) as container:
        assert container.streams.audio[0].duration == before + 1400


def test_16_bits_are_rounded_and_do_not_wrap(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "a.wav", 48000, 1, kind=PCM)
    file.write(np.array([[0.0, 0.5, -1.0, 1.0, 2.0, -2.0, 1.6 / 2**15]], np.float32))
    file.close()
    found = soundfile.read(tmp_path / "a.wav", dtype="int16")[0]
    assert found.tolist() == [0, 16384, -32768, 32767, 32767, -32768, 2]
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_a_full_disk_leaves_whole_frames(small_disk: Path) -> None:
    file = WavFile(small_disk / "a.wav", 48000, 2, kind=FLOAT)
    with pytest.raises(OSError, match="No space"):
        for _ in range(1000):
            file.write(noise(999))
    file.close()
    kept = read(small_disk / "a.wav")
    np.testing.assert_array_equal(kept, np.tile(noise(999), 1000)[:, : kept.shape[1]])
    assert kept.shape[1] > 10_000 and file.frames == kept.shape[1]
