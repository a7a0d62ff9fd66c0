"""A folder as people have them: songs in many formats, some of them broken, and what a computer left beside them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

FORMATS = (  # ending, and libsndfile's words; none where FFmpeg's libraries write it
    ("wav", ("WAV", "PCM_16")),
    ("mp3", ("MP3", "MPEG_LAYER_III")),
    ("flac", ("FLAC", "PCM_16")),
    ("m4a", ("ipod", "aac")),
    ("wav", ("WAV", "FLOAT")),
    ("ogg", ("OGG", "VORBIS")),
    ("wma", ("asf", "wmav2")),
    ("wav", ("WAV", "PCM_24")),
    ("aiff", ("AIFF", "PCM_16")),
    ("au", ("AU", "PCM_16")),
    ("caf", ("CAF", "PCM_16")),
)
BY_FFMPEG = ("m4a", "wma")
RATES = (44_100, 48_000, 32_000, 22_050)
LENGTHS_S = (0.4, 2.0)
BAD_SHARE = 0.2
ODD_EVERY = 5
ODD = (  # names, as bytes: a disk takes any
    b"Stra\xdfe %d",
    "🎤 a\"b'c %d".encode(),
    b"-x %d",
    b"two\nlines %d",
    b"[bold] {codec} %d %%d",
    b"n" * 240 + b" %d",
    "アルバム %d".encode(),
    b"%% %d.wav",
)
BESIDE = (
    "._a.wav",
    ".DS_Store",
    "__MACOSX/._b.wav",
    ".Trash-1000/files/old.wav",
    "@eaDir/c.wav",
    "cover.jpg",
    "list.cue",
)


@dataclass(frozen=True)
class Songs:
    """What lies in the folder."""

    folder: Path
    good: tuple[Path, ...]
    bad: tuple[Path, ...]


def make(folder: Path, count: int, seed: int) -> Songs:
    """Fill a folder; by one seed it is always the same."""
    chance = np.random.default_rng(seed)
    kinds = list(BAD)
    good: list[Path] = []
    bad: list[Path] = []
    for number in range(count):
        place = folder / ("cd1", "cd2", "")[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        sound, rate = _sound(chance), int(chance.choice(RATES))
        if len(bad) < BAD_SHARE * number:
            kind = kinds[len(bad) % len(kinds)]
            bad.append(place / f"{_name(number)}.{'flac' if kind == 'half of a song' else 'wav'}")
            BAD[kind](bad[-1], sound, chance)
        else:
            ending, words = FORMATS[len(good) % len(FORMATS)]
            good.append(place / f"{_name(number)}.{ending}")
            _write(good[-1], sound, rate, words)
    for name in BESIDE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0\5\26\7 of no use")
    return Songs(folder, tuple(good), tuple(bad))


def _name(number: int) -> str:
    """Every third song is called like one in another folder, or in the same with another ending."""
    if number % ODD_EVERY == 0:
        return os.fsdecode(ODD[number // ODD_EVERY % len(ODD)] % number)
    return f"{number // 3:02d} song"


def _sound(chance: np.random.Generator) -> Float32:
    """Noise and a tone, (frames, 1 or 2), of about a second."""
    frames = int(44_100 * chance.uniform(*LENGTHS_S))
    sound = chance.normal(0.0, 0.05, (frames, int(chance.integers(1, 3))))
    tone = 0.2 * np.sin(np.arange(frames)[:, None] * chance.uniform(0.02, 0.2))
    return np.asarray(sound + tone, np.float32)


def _write(path: Path, sound: Float32, rate: int, words: tuple[str, str]) -> None:
    if path.suffix[1:] not in BY_FFMPEG:
        soundfile.write(os.fsencode(path), sound, rate, format=words[0], subtype=words[1])
        return
    with path.open("wb") as file, av.open(file, "w", format=words[0]) as container:
        stream = container.add_stream(words[1], rate=rate, layout="stereo" if sound.shape[1] == 2 else "mono")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = 96_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), "fltp", stream.layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _half(path: Path, sound: Float32, chance: np.random.Generator) -> None:
    _write(path, np.tile(sound, (3, 1)), 44_100, ("FLAC" if path.suffix == ".flac" else "WAV", "PCM_16"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _unreadable(path: Path, sound: Float32, chance: np.random.Generator) -> None:
    _write(path, sound, 44_100, ("WAV", "PCM_16"))
    path.chmod(0)


BAD: dict[str, Callable[[Path, Float32, np.random.Generator], object]] = {
    "empty": lambda path, sound, chance: path.touch(),
    "text": lambda path, sound, chance: path.write_text("This is no sound at all, whatever its name says.\n" * 20),
    "noise of bytes": lambda path, sound, chance: path.write_bytes(chance.bytes(5000)),
    "zeros": lambda path, sound, chance: path.write_bytes(bytes(5000)),
    "half of a song": _half,
    "half of a wav": _half,
    "no rights": _unreadable,
}
