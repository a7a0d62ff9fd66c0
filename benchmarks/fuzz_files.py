"""Sound files that are whole, and what chance makes of them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 44100
SECONDS = 1.5
FORMATS = {  # by ending: FFmpeg's format and encoder; none: libsndfile's
    "wav": ("wav", "pcm_s16le"),
    "aiff": ("aiff", "pcm_s24be"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "m4a": ("ipod", "aac"),
    "aac": ("adts", "aac"),
    "ogg": (),
    "opus": ("ogg", "libopus"),
    "mka": ("matroska", "aac"),
    "wma": ("asf", "wmav2"),
    "wv": ("wv", "wavpack"),
    "caf": (),
}
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
HEAD = 400  # bytes that hold the headers


def originals(folder: Path) -> dict[str, bytes]:
    """Make a whole file in each format, and give their bytes by ending."""
    folder.mkdir(parents=True)
    time_s = np.arange(round(SECONDS * RATE)) / RATE
    sound = np.stack([0.3 * np.sin(2 * np.pi * pitch * time_s) for pitch in (440.0, 660.0)]).astype(np.float32)
    sound += 0.02 * np.random.default_rng(0).standard_normal(sound.shape).astype(np.float32)
    return {ending: _whole(folder / f"whole.{ending}", sound, how).read_bytes() for ending, how in FORMATS.items()}


def mutated(whole: dict[str, bytes], number: int, seed: int, folder: Path) -> Path:
    """Write the file of a number.

    Args:
        whole: files by ending, see `originals`.
        number: of the file; with the seed it says all.
        seed: of the run.
        folder: where it is written.
    """
    rng = np.random.default_rng((seed, number))
    ending = list(whole)[number % len(whole)]
    data = bytearray(whole[ending])
    for _ in range(int(rng.integers(1, 4))):
        MUTATIONS[int(rng.integers(len(MUTATIONS)))](data, rng)
    if rng.random() < 0.05:  # the head of one, the body of another
        other = whole[list(whole)[int(rng.integers(len(whole)))]]
        at = int(rng.integers(1, HEAD))
        data = bytearray(bytes(data[:at]) + other[at:])
    path = folder / f"{number:05d}.{ending}"
    path.write_bytes(data)
    return path


def _whole(path: Path, sound: np.ndarray, how: tuple[str, ...]) -> Path:
    if not how:
        soundfile.write(path, sound.T, RATE)
        return path
    form, codec = how
    rate = 48000 if codec == "libopus" else RATE
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        coder = stream.codec_context
        if codec in ("aac", "libmp3lame", "libopus", "wmav2"):
            coder.bit_rate = 128_000
        if codec == "wavpack":
            coder.format = "s16p"
        resampler = av.AudioResampler(coder.format, "stereo", rate, coder.frame_size or None)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", "stereo")
        frame.sample_rate, frame.pts = RATE, 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def _bits(data: bytearray, rng: np.random.Generator) -> None:
    """Bits of the header turned."""
    for _ in range(int(rng.integers(1, 12))):
        at = int(rng.integers(min(HEAD, len(data))))
        data[at] ^= 1 << int(rng.integers(8))


def _extremes(data: bytearray, rng: np.random.Generator) -> None:
    """Numbers of the header as large or small as they get."""
    for _ in range(int(rng.integers(1, 4))):
        at, width = int(rng.integers(max(1, min(HEAD, len(data)) - 8))), int(rng.choice([1, 2, 4, 8]))
        data[at : at + width] = bytes([int(rng.choice(EXTREMES))]) * width


def _noise(data: bytearray, rng: np.random.Generator) -> None:
    """A run of random bytes somewhere."""
    length = int(rng.integers(1, 2000))
    at = int(rng.integers(max(1, len(data) - length)))
    data[at : at + length] = rng.bytes(min(length, len(data) - at))


def _zeros(data: bytearray, rng: np.random.Generator) -> None:
    """A hole, as a disk leaves it."""
    length = int(rng.integers(1, 20_000))
    at = int(rng.integers(max(1, len(data))))
    data[at : at + length] = bytes(len(data[at : at + length]))


def _cut(data: bytearray, rng: np.random.Generator) -> None:
    """The end is missing."""
    del data[int(rng.integers(1, max(2, len(data)))) :]


def _taken_out(data: bytearray, rng: np.random.Generator) -> None:
    """A piece is missing."""
    at = int(rng.integers(max(1, len(data))))
    del data[at : at + int(rng.integers(1, 4000))]


def _twice(data: bytearray, rng: np.random.Generator) -> None:
    """A piece is there twice."""
    at, length = int(rng.integers(max(1, len(data)))), int(rng.integers(1, 8000))
    data[at:at] = data[at : at + length]


def _behind(data: bytearray, rng: np.random.Generator) -> None:
    """Something hangs on behind."""
    data += rng.bytes(int(rng.integers(1, 5000)))


MUTATIONS = (_bits, _extremes, _noise, _zeros, _cut, _taken_out, _twice, _behind)
