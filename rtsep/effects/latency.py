"""The latency of a plugin, by what it reports and by what becomes of noise."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtsep.effects.effect import Block

LONGEST_S = 0.5  # that is looked for
NOISE_S = 0.5
NULL_DB = -40.0  # what is left of noise that went through unchanged but later
TIME = re.compile(r"delay|time|pre|look|_ms$|_s$")  # knobs that may be the delay which was measured


@dataclass(frozen=True)
class Heard:
    """What noise showed."""

    frames: int  # where in and out are most alike
    rest_db: float  # of the output, what is not the input so much later; -inf: nothing


def hear(process: Callable[[Block], Block], rate: int, hop: int, channels: int) -> Heard:
    """Send noise through, and find it again.

    Args:
        process: takes a block (channels, hop), and gives one.
        rate: in Hz.
        hop: frames of a block.
        channels: of a block.
    """
    longest, count = int(LONGEST_S * rate), int((NOISE_S + LONGEST_S) * rate / hop)
    sound = (0.05 * np.random.default_rng(0).standard_normal((channels, count * hop))).astype(np.float32)
    parts = [process(np.ascontiguousarray(sound[:, n * hop : (n + 1) * hop])) for n in range(count)]
    out = np.concatenate(parts, axis=1)[0].astype(np.float64)
    sent = sound[0].astype(np.float64)
    size = 1 << (2 * len(sent) - 1).bit_length()
    alike = np.fft.irfft(np.fft.rfft(out, size) * np.fft.rfft(sent, size).conj(), size)[:longest]
    frames = int(np.abs(alike).argmax())
    late, power = sent[: len(sent) - frames], float(np.square(out[frames:]).sum())
    if not power:
        return Heard(0, 0.0)
    gain = float(out[frames:] @ late) / float(late @ late)
    rest = float(np.square(out[frames:] - gain * late).sum())
    return Heard(frames, 10.0 * float(np.log10(rest / power)) if rest else -np.inf)


def doubtful(reported: int, first: Heard) -> bool:
    """Say whether noise came out unchanged, but not where it was reported.

    Args:
        reported: by the plugin, in frames.
        first: as the plugin comes.
    """
    return first.rest_db <= NULL_DB and first.frames != reported


def decide(reported: int, first: Heard, turned: Heard) -> tuple[int, str]:
    """Give the latency that is reckoned with, and how it is known.

    A delay's time looks like latency; so what was measured counts against what is reported only where noise comes
    out unchanged, and at the same place after all knobs that mean a time have been turned.

    Args:
        reported: by the plugin, in frames.
        first: as the plugin comes.
        turned: with those knobs elsewhere.

    Returns:
        Frames, and words.
    """
    if first.rest_db > NULL_DB:
        return reported, "as it reports: noise does not come through unchanged"
    if first.frames == reported:
        return reported, f"as it reports, and measured: a null of {first.rest_db:.0f} dB"
    if turned == first or (turned.frames == first.frames and turned.rest_db <= NULL_DB):
        return first.frames, f"measured: a null of {first.rest_db:.0f} dB; it reports {reported}"
    return reported, f"as it reports: the {first.frames} frames that noise shows change with its knobs"
