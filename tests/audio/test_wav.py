"""Wav files of our own making, read by libsndfile; and what they say while they grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.audio import wav
from rtsep.audio.wav import FLOAT, PCM, WavFile
from tests.support.signals import Float32, noise


def read(path: Path) -> Float32:
    found: Float32 = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    return found


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("frames", [1000, 10**10])
def test_every_sample_comes_back(tmp_path: Path, channels: int, frames: int) -> None:
    sound = 2.0 * np.repeat(noise(1001), 3, axis=0)[:channels]
    file = WavFile(tmp_path / "a.wav", 22050, channels, frames)
    for start in range(0, 1001, 100):
        file.write(sound[:, start : start + 100])
    file.close()
    file.close()
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (22050, channels, 1001, "FLOAT")
    assert info.format == ("WAV" if frames == 1000 else "RF64")
    np.testing.assert_array_equal(read(tmp_path / "a.wav"), sound)


@pytest.mark.parametrize("long", [0, 10**10])
def test_it_is_whole_after_every_block(tmp_path: Path, long: int) -> None:
    file = WavFile(tmp_path / "a.wav", 48000, 2, long)
    for blocks in range(4):
        assert soundfile.info(tmp_path / "a.wav").frames == 100 * blocks
        np.testing.assert_array_equal(read(tmp_path / "a.wav"), np.tile(noise(100), blocks or 1)[:, : 100 * blocks])
        file.write(noise(100))
    file.write(noise(100)[:, :0])
    assert soundfile.info(tmp_path / "a.wav").frames == 400
    file.close()


def test_16_bits_are_rounded_and_do_not_wrap(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "a.wav", 48000, 1, kind=PCM)
    file.write(np.array([[0.0, 0.5, -1.0, 1.0, 2.0, -2.0, 1.6 / 2**15]], np.float32))
    file.close()
    found = soundfile.read(tmp_path / "a.wav", dtype="int16")[0]
    assert found.tolist() == [0, 16384, -32768, 32767, 32767, -32768, 2]
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_a_plain_wav_ends_before_its_sizes_wrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "UNKNOWN", 1000)
    file = WavFile(tmp_path / "a.wav", 48000, 1, kind=FLOAT)
    file.write(noise(200)[:1])
    with pytest.raises(OSError, match="longer than 4 GB"):
        file.write(noise(200)[:1])
    file.close()
    np.testing.assert_array_equal(read(tmp_path / "a.wav"), noise(200)[:1])


def test_a_full_disk_leaves_whole_frames(small_disk: Path) -> None:
    file = WavFile(small_disk / "a.wav", 48000, 2)
    with pytest.raises(OSError, match="No space"):
        for _ in range(1000):
            file.write(noise(999))
    file.close()
    kept = read(small_disk / "a.wav")
    np.testing.assert_array_equal(kept, np.tile(noise(999), 1000)[:, : kept.shape[1]])
    assert kept.shape[1] > 10_000
