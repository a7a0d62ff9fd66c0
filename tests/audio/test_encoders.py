"""Each codec by what a decoder hears: the sound in its place, as loud, at the bitrate that was asked for."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from rtsep.audio.codecs import CODECS
from rtsep.audio.encoders import open_encoder
from rtsep.errors import FileError
from tests.support.recordings import RATE, music
from tests.support.signals import Float32, error_db, noise

LOSSY = [name for name, codec in CODECS.items() if codec.bitrates]


def decoded(path: Path, codec: str) -> Float32:
    """What FFmpeg hears, (channels, frames), with the codec's own padding."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        blocks = []
        for frame in container.decode(stream):
            block = frame.to_ndarray()
            block = block if frame.format.is_planar else block.reshape(-1, stream.channels).T
            blocks.append(block.astype(np.float64) / (2.0**31 if block.dtype == np.int32 else 1.0))
    return np.concatenate(blocks, axis=1).astype(np.float32)


def rate_of(codec: str) -> int:
    return 48000 if codec == "opus" else RATE


def encode(path: Path, codec: str, sound: Float32, rate: int, bitrate: str | None = None) -> Float32:
    encoder = open_encoder(path, codec, rate, len(sound), bitrate)
    for start in range(0, sound.shape[1], 10_000):
        encoder.write(sound[:, start : start + 10_000])
    encoder.close()
    encoder.close()
    return decoded(path, codec)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", CODECS)
def test_the_sound_is_in_its_place(tmp_path: Path, codec: str, channels: int) -> None:
    """From its first frame: no codec may shift a stem against the others, or leave its beginning out."""
    rate = rate_of(codec)
    sound = music(2 * rate, rate)[:channels]
    sound[:, rate:] *= 0.25  # a step in the middle, and one at the start
    found = encode(tmp_path / "any name", codec, sound, rate, "192k" if codec in LOSSY else None)
    assert len(found) == channels and 0 <= found.shape[1] - 2 * rate < 4096
    assert error_db(sound[:, 2000:-2000], found[:, 2000 : 2 * rate - 2000]) < (-25.0 if codec in LOSSY else -130.0)


def test_lossless_ones_are_exact(tmp_path: Path) -> None:
    sound = noise(30_000, level=0.1)
    np.testing.assert_array_equal(encode(tmp_path / "a", "wav", sound, RATE), sound)
    flac = encode(tmp_path / "b", "flac", sound, RATE)
    np.testing.assert_array_equal(flac, np.round(sound * 2.0**23) / 2.0**23)
    assert soundfile.info(tmp_path / "b").subtype == "PCM_24"


def test_flac_does_not_wrap(tmp_path: Path) -> None:
    loud = np.tile(np.array([[1.0, -1.0, 1.5, -1.5]], np.float32), 2000)
    found = encode(tmp_path / "a", "flac", loud, RATE)
    assert found[0, :4].tolist() == [1.0 - 2.0**-23, -1.0, 1.0 - 2.0**-23, -1.0]


@pytest.mark.parametrize(("codec", "channels"), [("wav", 6), ("ogg", 4), ("flac", 4), ("flac", 6)])
def test_more_channels(tmp_path: Path, codec: str, channels: int) -> None:
    levels = np.arange(1, channels + 1, dtype=np.float32)[:, None] / np.float32(6)
    sound = np.repeat(music(RATE), 3, axis=0)[:channels] * levels
    found = encode(tmp_path / "a", codec, sound, RATE)
    kept = np.sqrt(np.mean(np.square(found), axis=1)) / np.sqrt(np.mean(np.square(sound), axis=1))
    np.testing.assert_allclose(kept, 1.0, atol=0.05)


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
@pytest.mark.parametrize("codec", CODECS)
def test_other_rates(tmp_path: Path, codec: str, rate: int) -> None:
    if rate not in CODECS[codec].rates:
        with pytest.raises(FileError, match=f"cannot have {rate} Hz"):
            open_encoder(tmp_path / "a", codec, rate, 2)
        return
    sound = music(2 * rate, rate)
    found = encode(tmp_path / "a", codec, sound, rate)
    if codec == "opus" and rate < 48_000:  # decoders give 48 kHz
        assert found.shape[1] == pytest.approx(2 * 48_000, abs=960)
        return
    assert error_db(sound[:, rate // 2 : rate], found[:, rate // 2 : rate]) < -15.0
    assert soundfile.info(tmp_path / "a").samplerate == rate if codec in ("wav", "flac", "ogg") else True


@pytest.mark.parametrize(("codec", "low", "high"), [("mp3", 64, 256), ("m4a", 64, 256), ("ogg", 80, 320)])
def test_a_bitrate_is_kept(tmp_path: Path, codec: str, low: int, high: int) -> None:
    for kilobits in (low, high):
        encode(tmp_path / "a", codec, 0.3 * noise(4 * RATE), RATE, f"{kilobits}k")
        assert (tmp_path / "a").stat().st_size / 4 * 8e-3 == pytest.approx(kilobits, rel=0.25)


@pytest.mark.parametrize("codec", CODECS)
def test_a_full_disk(small_disk: Path, codec: str) -> None:
    """However late a library tells of it, or not at all."""
    sound = 0.5 * noise(100_000)
    with pytest.raises(FileError, match="the disk is full") as error:
        encoder = open_encoder(small_disk / "a", codec, rate_of(codec), 2)
        for _ in range(100):
            encoder.write(sound)
        encoder.close()
    assert "\n" not in str(error.value) and str(small_disk / "a") in str(error.value)
    encoder.close()


@pytest.mark.parametrize("codec", CODECS)
def test_names_of_any_bytes(tmp_path: Path, codec: str) -> None:
    folder = tmp_path / "http:"
    folder.mkdir()
    path = folder / "caf\udce9 %d.mp3"
    sound = music(rate_of(codec), rate_of(codec))
    encoder = open_encoder(path, codec, rate_of(codec), 2)
    encoder.write(sound)
    encoder.close()
    path.rename(tmp_path / "plain")
    assert decoded(tmp_path / "plain", codec).shape[1] >= sound.shape[1] - 128  # FFmpeg's, of a page of Vorbis


@pytest.mark.parametrize("codec", CODECS)
def test_where_no_file_can_be(tmp_path: Path, codec: str) -> None:
    with pytest.raises(FileError, match="stems cannot be written there"):
        open_encoder(tmp_path / "missing" / "a", codec, rate_of(codec), 2)


@pytest.mark.parametrize("codec", CODECS)
def test_no_sound_at_all(tmp_path: Path, codec: str) -> None:
    encoder = open_encoder(tmp_path / "a", codec, rate_of(codec), 2)
    encoder.write(noise(10)[:, :0])
    encoder.close()
    assert (tmp_path / "a").is_file()
