"""What codecs can have, and what is refused before any work."""

from __future__ import annotations

import pytest

from rtsep.audio.codecs import CODECS, check_codec, parse_bitrate, vorbis_quality
from rtsep.errors import FileError


@pytest.mark.parametrize(
    ("text", "bits"),
    [("128k", 128_000), ("128K", 128_000), ("96000", 96_000), ("0.5M", None), ("1.5M", 1_500_000), ("64.5k", 64_500)],
)
def test_bitrates_are_read(text: str, bits: int | None) -> None:
    if bits is None:
        with pytest.raises(FileError, match="write it as 128k"):
            parse_bitrate(text)
    else:
        assert parse_bitrate(text) == bits


@pytest.mark.parametrize("text", ["", "k", "plenty", "-y", "1k 2k", "0", "-128k", "1e5", "128kb", "12\u0663k"])
def test_what_is_no_bitrate(text: str) -> None:
    with pytest.raises(FileError, match="is not bits per second; write it as 128k"):
        parse_bitrate(text)


@pytest.mark.parametrize("text", ["320", "128", "999"])
def test_thousands_that_are_not_said(text: str) -> None:
    with pytest.raises(FileError, match=f"'{text}' is {text} bits per second; write {text}k"):
        parse_bitrate(text)


@pytest.mark.parametrize(
    ("codec", "bitrate", "rate", "channels", "bits"),
    [
        ("wav", None, 44_100, 2, 0),
        ("wav", None, 96_000, 6, 0),
        ("flac", None, 192_000, 2, 0),
        ("mp3", None, 0, 0, 128_000),
        ("mp3", "320k", 44_100, 2, 320_000),
        ("mp3", "320k", 0, 0, 320_000),
        ("mp3", None, 8000, 1, 64_000),
        ("mp3", "144k", 22_050, 2, 144_000),
        ("m4a", "512k", 44_100, 2, 512_000),
        ("m4a", None, 7350, 1, 44_100),
        ("ogg", "500k", 48_000, 2, 500_000),
        ("ogg", None, 44_100, 2, 128_000),
        ("wma", "24k", 8000, 1, 24_000),
        ("opus", "510k", 48_000, 2, 510_000),
    ],
)
def test_what_can_be(codec: str, bitrate: str | None, rate: int, channels: int, bits: int) -> None:
    assert check_codec(codec, bitrate, rate, channels) == bits


@pytest.mark.parametrize(
    ("codec", "bitrate", "rate", "channels", "words"),
    [
        ("aiff", None, 0, 0, "unknown codec 'aiff'; allowed are wav, mp3, ogg, m4a, wma, flac, opus"),
        ("mp3", None, 96_000, 2, "cannot have 96000 Hz, only 8000, .*48000 Hz; use wav, ogg, m4a, flac$"),
        ("m4a", None, 192_000, 2, "use wav, ogg, flac$"),
        ("ogg", None, 384_000, 2, "only 1000 to 200000 Hz; use wav, flac$"),
        ("wma", None, 88_200, 2, "only 8000 to 48000 Hz"),
        ("opus", None, 44_100, 2, "cannot have 44100 Hz, only 8000, 12000, 16000, 24000, 48000 Hz"),
        ("mp3", None, 44_100, 4, "cannot have 4 channels, only up to 2; use wav, ogg, flac$"),
        ("mp3", "500k", 0, 0, "cannot have a bitrate of 500k, only 8k to 320k"),
        ("mp3", "500k", 44_100, 2, "500k at 44100 Hz, only 32k, 40k, .*, 320k$"),
        ("mp3", "320k", 22_050, 2, "320k at 22050 Hz, only 8k, .*, 160k$"),
        ("ogg", "128k", 8000, 2, "only 12k to 90k$"),
        ("opus", "300k", 48_000, 1, "only 6k to 256k$"),
        ("mp3", "320", 44_100, 2, "write 320k"),
        ("wav", "192k", 44_100, 2, "wav has no bitrate, '192k' means nothing to it; leave it out, or use mp3, ogg"),
        ("flac", "192k", 0, 0, "flac has no bitrate"),
    ],
)
def test_what_cannot_be(codec: str, bitrate: str | None, rate: int, channels: int, words: str) -> None:
    with pytest.raises(FileError, match=words) as error:
        check_codec(codec, bitrate, rate, channels)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("codec", CODECS)
def test_the_usual_bitrate_is_allowed_at_every_rate(codec: str) -> None:
    rates = CODECS[codec].rates
    for rate in rates if isinstance(rates, tuple) else (rates[0], 22_050, 44_100, rates[-1]):
        for channels in (1, 2):
            bits = check_codec(codec, None, rate, channels)
            assert not bits or check_codec(codec, str(bits), rate, channels) == bits


def test_only_wav_holds_what_is_above_full_scale() -> None:
    assert [name for name, codec in CODECS.items() if codec.holds_all] == ["wav"]


def test_qualities_of_vorbis() -> None:
    assert [vorbis_quality(1000 * bits, 44_100, 2) for bits in (64, 128, 192, 500)] == pytest.approx([0, 0.4, 0.6, 1])
    assert vorbis_quality(96_000, 48_000, 1) == pytest.approx(0.5)
    assert vorbis_quality(64_000, 22_050, 2) == pytest.approx(0.4)
