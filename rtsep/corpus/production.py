"""What a mixing desk does to a take: place, equaliser, compressor, distortion, echo, room, level."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rtsep.corpus.score import SAMPLE_RATE, Float32
from rtsep.errors import SpecError

if TYPE_CHECKING:
    import pedalboard

    Make = Callable[[np.random.Generator], pedalboard.Plugin]

TAIL_S = 1.0
PEAK = 0.9


@dataclass(frozen=True)
class Slot:
    """One place in a rack: how often an effect stands there, and how it is drawn."""

    chance: float
    make: Make


def _high_pass(low_hz: float, high_hz: float) -> Make:
    def make(rng: np.random.Generator) -> pedalboard.Plugin:
        from pedalboard import HighpassFilter

        return HighpassFilter(rng.uniform(low_hz, high_hz))

    return make


def _low_shelf(low_hz: float, high_hz: float, low_db: float, high_db: float) -> Make:
    def make(rng: np.random.Generator) -> pedalboard.Plugin:
        from pedalboard import LowShelfFilter

        return LowShelfFilter(rng.uniform(low_hz, high_hz), rng.uniform(low_db, high_db))

    return make


def _high_shelf(low_hz: float, high_hz: float, low_db: float, high_db: float) -> Make:
    def make(rng: np.random.Generator) -> pedalboard.Plugin:
        from pedalboard import HighShelfFilter

        return HighShelfFilter(rng.uniform(low_hz, high_hz), rng.uniform(low_db, high_db))

    return make


def _bell(low_hz: float, high_hz: float, low_db: float, high_db: float) -> Make:
    def make(rng: np.random.Generator) -> pedalboard.Plugin:
        from pedalboard import PeakFilter

        hertz = float(np.exp(rng.uniform(np.log(low_hz), np.log(high_hz))))
        return PeakFilter(hertz, rng.uniform(low_db, high_db), rng.uniform(0.5, 2.0))

    return make


def _compressor(low_db: float, high_db: float) -> Make:
    def make(rng: np.random.Generator) -> pedalboard.Plugin:
        from pedalboard import Compressor

        return Compressor(
            rng.uniform(low_db, high_db), rng.uniform(2.0, 6.0), rng.uniform(1.0, 25.0), rng.uniform(50.0, 250.0)
        )

    return make


def _distortion(low_db: float, high_db: float) -> Make:
    def make(rng: np.random.Generator) -> pedalboard.Plugin:
        from pedalboard import Distortion

        return Distortion(rng.uniform(low_db, high_db))

    return make


def _motion(rng: np.random.Generator) -> pedalboard.Plugin:
    from pedalboard import Chorus, Phaser

    if rng.random() < 0.6:
        return Chorus(rng.uniform(0.3, 1.5), rng.uniform(0.05, 0.3), mix=rng.uniform(0.2, 0.5))
    return Phaser(rng.uniform(0.2, 1.5), mix=rng.uniform(0.2, 0.5))


def _echo(rng: np.random.Generator) -> pedalboard.Plugin:
    from pedalboard import Delay

    return Delay(rng.uniform(0.08, 0.5), rng.uniform(0.1, 0.4), rng.uniform(0.06, 0.28))


def _room(low: float, high: float) -> Make:
    def make(rng: np.random.Generator) -> pedalboard.Plugin:
        from pedalboard import Reverb

        wet = rng.uniform(low, high) * rng.choice((0.5, 1.0))
        return Reverb(rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.8), wet, rng.uniform(0.7, 1.0), rng.uniform(0.5, 1.0))

    return make


RACKS: Mapping[str, Sequence[Slot]] = {
    "vocals": (
        Slot(1.0, _high_pass(60.0, 160.0)),
        Slot(0.7, _low_shelf(150.0, 350.0, -6.0, 3.0)),
        Slot(0.7, _bell(400.0, 1500.0, -4.0, 4.0)),
        Slot(0.8, _bell(2000.0, 5000.0, -2.0, 6.0)),
        Slot(0.8, _high_shelf(6000.0, 10_000.0, -5.0, 8.0)),
        Slot(0.9, _compressor(-30.0, -14.0)),
        Slot(0.15, _distortion(3.0, 14.0)),
        Slot(0.12, _motion),
        Slot(0.25, _echo),
        Slot(0.8, _room(0.04, 0.4)),
    ),
    "drums": (
        Slot(0.6, _low_shelf(60.0, 150.0, -4.0, 5.0)),
        Slot(0.5, _bell(200.0, 5000.0, -6.0, 6.0)),
        Slot(0.5, _high_shelf(3000.0, 9000.0, -8.0, 6.0)),
        Slot(0.6, _compressor(-28.0, -10.0)),
        Slot(0.08, _distortion(3.0, 12.0)),
        Slot(0.6, _room(0.04, 0.3)),
    ),
    "bass": (
        Slot(0.6, _low_shelf(60.0, 150.0, -4.0, 5.0)),
        Slot(0.5, _bell(200.0, 3000.0, -6.0, 5.0)),
        Slot(0.3, _high_shelf(2000.0, 6000.0, -10.0, 4.0)),
        Slot(0.6, _compressor(-28.0, -12.0)),
        Slot(0.15, _distortion(3.0, 14.0)),
        Slot(0.06, _motion),
        Slot(0.12, _room(0.03, 0.15)),
    ),
    "clean": (
        Slot(0.5, _high_pass(40.0, 200.0)),
        Slot(0.5, _bell(200.0, 5000.0, -6.0, 6.0)),
        Slot(0.5, _high_shelf(3000.0, 9000.0, -8.0, 6.0)),
        Slot(0.4, _compressor(-30.0, -10.0)),
        Slot(0.3, _motion),
        Slot(0.2, _echo),
        Slot(0.7, _room(0.05, 0.4)),
    ),
    "driven": (
        Slot(0.7, _high_pass(60.0, 160.0)),
        Slot(1.0, _distortion(6.0, 30.0)),
        Slot(0.7, _high_shelf(3500.0, 7000.0, -10.0, 0.0)),
        Slot(0.6, _bell(300.0, 3000.0, -6.0, 6.0)),
        Slot(0.4, _compressor(-24.0, -10.0)),
        Slot(0.15, _echo),
        Slot(0.5, _room(0.03, 0.25)),
    ),
}


def produced(sound: Float32, rack: str, rng: np.random.Generator) -> Float32:
    """Send a take through a rack of effects, each drawn anew.

    Args:
        sound: (2, frames) at 44.1 kHz.
        rack: a name of `RACKS`.
        rng: draws the effects.

    Returns:
        (2, frames).

    Raises:
        SpecError: without the package pedalboard.
    """
    try:
        from pedalboard import Chain
    except ImportError as error:
        raise SpecError(
            "effects need the package pedalboard, which is not installed; pip install pedalboard"
        ) from error
    board = Chain([slot.make(rng) for slot in RACKS[rack] if rng.random() < slot.chance])
    # Drives and thresholds mean something only at a known level.
    return board(rms_normalised(sound, -18.0), SAMPLE_RATE) if len(board) else sound


def panned(sound: Float32, side: float) -> Float32:
    """Pan a take, its power kept.

    Args:
        sound: (frames,) or (2, frames).
        side: -1 (left) to 1 (right).

    Returns:
        (2, frames).
    """
    gains = np.sqrt(np.array([[1.0 - side], [1.0 + side]]), dtype=np.float32)
    return np.asarray(sound * gains, np.float32)


def delayed(sound: Float32, frames: int) -> Float32:
    """Delay a take; what falls behind its end is cut.

    Args:
        sound: (..., frames).
        frames: how much later.

    Returns:
        (..., frames), as long as before.
    """
    return np.concatenate([np.zeros_like(sound[..., :frames]), sound[..., : sound.shape[-1] - frames]], axis=-1)


def doubled(sound: Float32, rng: np.random.Generator) -> Float32:
    """Double a take: its sum on one side, the same 8 to 30 ms later on the other.

    Args:
        sound: (2, frames) at 44.1 kHz.
        rng: draws delay and side.

    Returns:
        (2, frames).
    """
    mono = sound.mean(axis=0)
    sides = [mono, delayed(mono, round(rng.uniform(0.008, 0.03) * SAMPLE_RATE))]
    return np.stack(sides if rng.random() < 0.5 else sides[::-1])


def stereo_widened(sound: Float32, rng: np.random.Generator) -> Float32:
    """Widen a take by itself, 10 to 35 ms later, between the sides in opposite phase: the sum stays as it is.

    Args:
        sound: (2, frames) at 44.1 kHz.
        rng: draws delay and width.

    Returns:
        (2, frames).
    """
    late = delayed(sound.mean(axis=0), round(rng.uniform(0.01, 0.035) * SAMPLE_RATE))
    side = np.float32(rng.uniform(0.15, 0.7)) * late
    return sound + np.stack([side, -side])


def rms_normalised(sound: Float32, rms_db: float) -> Float32:
    """Bring a take to a level, or as loud as a peak of 0.9 lets it be; silence stays.

    Args:
        sound: (channels, frames).
        rms_db: the level, dBFS.

    Returns:
        (channels, frames).
    """
    peak = float(np.abs(sound).max(initial=0.0))
    if peak < 1e-6:
        return sound
    gain = 10.0 ** (rms_db / 20.0) / float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return np.asarray(sound * min(gain, PEAK / peak), np.float32)


def with_tail(sound: Float32) -> Float32:
    """Add a second of silence behind a take, for echoes and rooms to end in.

    Args:
        sound: (channels, frames) at 44.1 kHz.

    Returns:
        (channels, frames + 44100).
    """
    return np.pad(sound, ((0, 0), (0, round(TAIL_S * SAMPLE_RATE))))


def faded(sound: Float32, seconds: float = 0.02) -> Float32:
    """Let the end of a take fall to silence.

    Args:
        sound: (..., frames) at 44.1 kHz.
        seconds: of the fade.

    Returns:
        (..., frames).
    """
    frames = min(sound.shape[-1], round(seconds * SAMPLE_RATE))
    gain = np.ones(sound.shape[-1], np.float32)
    gain[sound.shape[-1] - frames :] = np.cos(np.linspace(0.0, np.pi / 2, frames)) ** 2
    return sound * gain
