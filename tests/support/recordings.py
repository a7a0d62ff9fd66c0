"""Sound files that tests make and read again."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import soundfile

from rtsep.audio.readers import AudioReader
from rtsep.audio.sources import Resampled, Section, Signal
from tests.support.signals import Float32, sine

RATE = 44100


def music(frames: int, rate: int = RATE) -> Float32:
    """Tones that a lossy codec keeps well, 440 Hz at 0.3 and 1000 Hz at 0.2: (2, frames)."""
    wave = sine(frames, 440.0, rate, 0.3)
    wave[1] = sine(frames, 1000.0, rate, 0.2, channels=1)[0]
    return wave


def made(path: Path, sound: Float32, **options: str) -> Path:
    """Write a sound (channels, frames) by libsndfile, and give the path."""
    soundfile.write(path, sound.T, RATE, **options)
    return path


def floats(path: Path, sound: Float32, rate: int = RATE) -> Path:
    """Write a 32-bit float wav, which holds a sound as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.T, rate, subtype="FLOAT")
    return path


class Pipe(io.BytesIO):
    """Where a program writes that cannot go back to the header."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("a pipe")


CODECS = {  # by the ending of a file: format, codec, rate
    "aac": ("adts", "aac", RATE),
    "ac3": ("ac3", "ac3", RATE),
    "aiff": ("aiff", "pcm_s16be", RATE),
    "flac": ("flac", "flac", RATE),
    "m4a": ("ipod", "aac", RATE),
    "mka": ("matroska", "aac", RATE),
    "mkv": ("matroska", "libopus", 48000),
    "mp4": ("mp4", "aac", RATE),
    "mp3": ("mp3", "libmp3lame", RATE),
    "opus": ("ogg", "libopus", 48000),
    "wav": ("wav", "pcm_s16le", RATE),
    "webm": ("webm", "libopus", 48000),
    "wma": ("asf", "wmav2", RATE),
    "wv": ("wv", "wavpack", RATE),
}

LOSSY_CODECS = ("aac", "libmp3lame", "libopus", "ac3", "wmav2")


def coded(
    path: Path,
    *sounds: Float32,
    layout: str = "stereo",
    codec: str = "",
    piped: bool = False,
    film_s: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write sounds of 44.1 kHz, (channels, frames) each and a stream each, by FFmpeg's libraries.

    The path's ending is the format. Opus is at 48 kHz. With `piped` the header knows no length; with `film_s` there is
    a picture of so many seconds.
    """
    form, usual, rate = CODECS[path.suffix[1:]]
    form = "mp4" if film_s and form == "ipod" else form
    pipe = Pipe()
    with av.open(pipe if piped else str(path), "w", format=form, options=options or {}) as container:
        streams = [container.add_stream(codec or usual, rate=rate, layout=layout) for _ in sounds]
        picture = container.add_stream("mpeg4", rate=2, width=64, height=64, pix_fmt="yuv420p") if film_s else None
        for stream, sound in zip(streams, sounds, strict=True):
            assert isinstance(stream, av.AudioStream)
            coder = stream.codec_context
            if coder.name in LOSSY_CODECS:
                coder.bit_rate = 256_000
            if coder.name == "wavpack":
                coder.format = "s16p"  # its first is of 8 bits
            resampler = av.AudioResampler(coder.format, layout, rate, coder.frame_size or None)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", layout)
            frame.sample_rate, frame.pts = RATE, 0
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
        if picture is not None:
            for _ in range(round(2 * film_s)):
                container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
            container.mux(picture.encode(None))
    if piped:
        path.write_bytes(pipe.getvalue())
    return path


def read_all(reader: AudioReader | Resampled, block: int = 4096) -> Float32:
    """Read to the end, and close."""
    blocks = []
    try:
        while (part := reader.read(block)).shape[1]:
            assert part.dtype == np.float32
            assert part.flags.c_contiguous or isinstance(reader, Section | Signal)
            assert part.shape[1] <= block or isinstance(reader, Resampled)  # soxr gives when it has
            blocks.append(part)
    finally:
        reader.close()
    return np.concatenate(blocks, axis=1)


def heard(path: Path) -> Float32:
    """A whole sound file as (channels, frames)."""
    sound: Float32 = np.ascontiguousarray(soundfile.read(path, dtype="float32", always_2d=True)[0].T)
    return sound
