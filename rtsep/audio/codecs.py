"""What stems can be written as: each codec's rates, channels and bitrates, and what is refused before the work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtsep.errors import FileError

Allowed = tuple[int, ...] | range  # all values, or all between two

BITRATE = re.compile(r"([1-9][0-9]{0,8}(?:\.[0-9]+)?)([kKM]?)")
FACTORS = {"": 1, "k": 1000, "K": 1000, "M": 1_000_000}
USUAL = 128_000  # bits a second, where none is asked for
USUAL_RATE = 44_100  # Hz
LEAST = 1000  # bits a second; below, thousands are meant
AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
# kbit/s that libvorbis aims at from quality 0 to 10 at 44.1 kHz, for one channel and for two
VORBIS_NOMINAL = {
    1: (48, 60, 70, 80, 86, 96, 110, 120, 140, 160, 240),
    2: (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500),
}


@dataclass(frozen=True)
class Codec:
    """One kind of file."""

    name: str
    ending: str
    rates: Allowed  # Hz
    channels: int  # at most
    bitrates: Callable[[int, int], Allowed] | None = None  # bits a second for a rate and channels; None: it has none
    encoder: str = ""  # FFmpeg's word; none where libsndfile or we write it
    container: str = ""  # FFmpeg's word
    samples: str = "fltp"  # FFmpeg's word for those that the encoder takes
    first_lost: bool = False  # decoders leave out the encoder's first frame
    holds_all: bool = False  # also what is above full scale


def _mp3(rate: int, channels: int) -> Allowed:
    if rate >= 32_000:
        kilobits: tuple[int, ...] = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    else:
        kilobits = (8, 16, 24, 32, 40, 48, 56, 64, *((80, 96, 112, 128, 144, 160) if rate >= 16_000 else ()))
    return tuple(1000 * one for one in kilobits)


def _aac(rate: int, channels: int) -> Allowed:
    return range(16_000 * channels, 6 * rate * channels + 1)  # 6144 bits a channel in 1024 frames


def _wma(rate: int, channels: int) -> Allowed:
    return range(24_000, 320_001)


def _opus(rate: int, channels: int) -> Allowed:
    return range(6000, min(510_000, 256_000 * channels) + 1)


def _vorbis(rate: int, channels: int) -> Allowed:
    nominal = _vorbis_nominal(rate, channels)
    return range(round(nominal[0]), round(nominal[-1]) + 1)


def _vorbis_nominal(rate: int, channels: int) -> list[float]:
    """Bits a second by quality; lower rates have so much less."""
    scale = 1000.0 * min(1.0, rate / 44_100) * (channels if channels > 2 else 1)
    return [scale * one for one in VORBIS_NOMINAL[2 if channels == 2 else 1]]


CODECS = {
    codec.name: codec
    for codec in (
        Codec("wav", "wav", range(1, 1 << 32), 255, holds_all=True),
        Codec("mp3", "mp3", MP3_RATES, 2, _mp3, "libmp3lame", "mp3"),
        Codec(
            "ogg", "ogg", range(1000, 200_001), 4, _vorbis
        ),  # above, libvorbis ends the process; of 6 one has no treble
        Codec("m4a", "m4a", AAC_RATES, 2, _aac, "aac", "ipod"),
        Codec("wma", "wma", range(8000, 48_001), 2, _wma, "wmav2", "asf", first_lost=True),
        Codec("flac", "flac", range(1, 655_351), 8, None, "flac", "flac", "s32"),
        Codec("opus", "opus", OPUS_RATES, 2, _opus, "libopus", "ogg", "flt"),
    )
}


def parse_bitrate(text: str) -> int:
    """Read a bitrate, as `128k` or `128000`.

    Args:
        text: bits a second, or thousands with `k`, or millions with `M`.

    Returns:
        Bits a second.

    Raises:
        FileError: for what is none, and for one that is meant in thousands and does not say so.
    """
    if not (found := BITRATE.fullmatch(text)):
        raise FileError(f"bitrate {text!r} is not bits per second; write it as 128k")
    bits = round(float(found[1]) * FACTORS[found[2]])
    if bits < LEAST:
        raise FileError(f"bitrate {text!r} is {found[1]} bits per second; write {found[1]}k for as many kilobits")
    return bits


def check_codec(codec: str, bitrate: str | None = None, sample_rate: int = 0, channels: int = 0) -> int:
    """Refuse what a codec cannot have.

    Args:
        codec: its name, one of `CODECS`.
        bitrate: as `parse_bitrate` reads it; None: none was asked for.
        sample_rate: in Hz; 0: not known yet, so that only what no rate allows is refused.
        channels: of every stem; 0: not known yet.

    Returns:
        Bits a second, where none were asked for the allowed ones next to 128k; 0 for a codec without.

    Raises:
        FileError: in one line, with what the codec can have, or which others can.
    """
    if codec not in CODECS:
        raise FileError(f"unknown codec {codec!r}; allowed are {', '.join(CODECS)}")
    kind = CODECS[codec]
    if sample_rate and sample_rate not in kind.rates:
        cure = _able(sample_rate, channels)
        raise FileError(f"{codec} cannot have {sample_rate} Hz, only {_listed(kind.rates)} Hz; use {cure}")
    if channels > kind.channels:
        cure = _able(sample_rate, channels)
        raise FileError(f"{codec} cannot have {channels} channels, only up to {kind.channels}; use {cure}")
    if kind.bitrates is None:
        if bitrate is not None:
            some = ", ".join(one.name for one in CODECS.values() if one.bitrates)
            raise FileError(f"{codec} has no bitrate, {bitrate!r} means nothing to it; leave it out, or use {some}")
        return 0
    bits = USUAL if bitrate is None else parse_bitrate(bitrate)
    if not sample_rate:
        ends = [kind.bitrates(rate, count) for rate in (kind.rates[0], kind.rates[-1]) for count in (1, 2)]
        allowed: Allowed = range(min(one[0] for one in ends), max(one[-1] for one in ends) + 1)
    else:
        allowed = kind.bitrates(sample_rate, channels or 2)
    if bitrate is None:
        nearest = min(max(bits, allowed[0]), allowed[-1])
        return nearest if nearest in allowed else min(allowed, key=lambda one: abs(one - nearest))
    if bits not in allowed:
        at = f" at {sample_rate} Hz" if sample_rate else ""
        raise FileError(f"{codec} cannot have a bitrate of {bitrate}{at}, only {_listed(allowed, 1000, 'k')}")
    return bits


def vorbis_quality(bits: int, sample_rate: int, channels: int) -> float:
    """Give the quality by which libvorbis aims at a bitrate.

    Args:
        bits: a second.
        sample_rate: in Hz.
        channels: how many.

    Returns:
        From 0, the smallest files, to 1.
    """
    nominal = _vorbis_nominal(sample_rate, channels)
    return float(np.interp(bits, nominal, np.linspace(0.0, 1.0, len(nominal))))


def _able(sample_rate: int, channels: int) -> str:
    """The codecs that can have them."""
    rate = sample_rate or USUAL_RATE
    return ", ".join(one.name for one in CODECS.values() if rate in one.rates and channels <= one.channels)


def _listed(allowed: Allowed, unit: int = 1, suffix: str = "") -> str:
    """What is allowed, as a person reads it."""
    whole = isinstance(allowed, tuple)
    texts = [
        f"{-(-one // unit) if one == allowed[0] else one // unit}{suffix}"
        for one in (allowed if whole else (allowed[0], allowed[-1]))
    ]
    return (", " if whole else " to ").join(texts)
