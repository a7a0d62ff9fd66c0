"""A voice taken apart into pitch, spectral envelope and noise, changed, and put together again.

The method is WORLD: M. Morise, F. Yokomori, K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system
for real-time applications", IEICE Transactions E99-D(7), 2016; by the package pyworld.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import PathFinder
from types import ModuleType

import numpy as np
import numpy.typing as npt

from rtsep.audio.sources import resampled
from rtsep.corpus.melody import smooth_noise
from rtsep.corpus.score import SAMPLE_RATE, Float32, Track
from rtsep.errors import FileError, SpecError

FRAME_S = 0.005
LEAST_VOICE_S = 0.3
LEAST_VOICED_SHARE = 0.15
PITCH_HZ = (60.0, 500.0)  # of speech
BINS = 1025  # WORLD wants an FFT of 2048 at 44.1 kHz
TRUSTED = 0.88  # of half the sample rate: above it the filters of recorders have eaten the sound
FLOOR = -30.0  # of log power
LN_PER_DB = np.log(10.0) / 10.0


@dataclass(frozen=True)
class Voice:
    """Speech or song, a row every `FRAME_S` seconds."""

    pitch_hz: Track
    """(frames,); 0 where the folds rest."""
    envelope: Float32
    """(frames, bins), natural logarithm of power, from 0 Hz to half of `sample_rate`."""
    noise: Float32
    """(frames, bins), 0 to 1: which share of the amplitude is noise."""
    sample_rate: int

    @property
    def voiced(self) -> npt.NDArray[np.bool_]:
        """Where the folds sound, (frames,)."""
        return np.asarray(self.pitch_hz > 0.0)

    @property
    def loudness_db(self) -> Track:
        """Mean power of each frame, (frames,)."""
        return np.asarray(10.0 * np.log10(np.exp(self.envelope).mean(axis=1) + 1e-12), np.float64)

    @property
    def pitch(self) -> float:
        """The median pitch, as a MIDI number."""
        return float(12.0 * np.log2(np.median(self.pitch_hz[self.voiced]) / 440.0) + 69.0)

    @property
    def bins_hz(self) -> Track:
        """The frequencies of the envelope, (bins,)."""
        return np.linspace(0.0, self.sample_rate / 2, self.envelope.shape[1])


@cache
def _world() -> ModuleType:
    """The compiled part of pyworld. Its Python part only adds a version, and wants an old setuptools for it."""
    package = importlib.util.find_spec("pyworld")
    spec = PathFinder.find_spec("pyworld", package.submodule_search_locations) if package else None
    if spec is None or spec.loader is None:
        raise SpecError("singing needs the package pyworld, which is not installed; pip install pyworld")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def analyse(speech: Float32, sample_rate: int) -> Voice:
    """Take speech apart.

    Args:
        speech: (frames,).
        sample_rate: in Hz.

    Raises:
        FileError: if too little of it is voiced to be sung, or it holds what is no number.
        SpecError: without the package pyworld.
    """
    if sample_rate > SAMPLE_RATE:
        speech, sample_rate = resampled(speech[None], sample_rate, SAMPLE_RATE)[0], SAMPLE_RATE
    peak = float(np.abs(speech).max(initial=0.0))
    if not np.isfinite(peak):
        raise FileError("the speech holds numbers that are not finite; record or convert it anew")
    seconds = len(speech) / sample_rate
    voiced = np.zeros(0, np.bool_)
    if peak > 1e-4 and seconds > LEAST_VOICE_S:
        world = _world()
        sound = speech.astype(np.float64) * (0.8 / peak)
        rough, times = world.dio(sound, sample_rate, *PITCH_HZ, frame_period=1000.0 * FRAME_S)
        pitch_hz = world.stonemask(sound, rough, times, sample_rate)
        voiced = pitch_hz > 0.0
    voice_s = float(voiced.sum()) * FRAME_S
    if voice_s < max(LEAST_VOICE_S, LEAST_VOICED_SHARE * seconds):
        raise FileError(
            f"only {voice_s:.2f} s of {seconds:.2f} s of speech are voiced; singing needs {LEAST_VOICE_S} s and "
            f"{LEAST_VOICED_SHARE:.0%}: choose other speech"
        )
    power = world.cheaptrick(sound, pitch_hz, times, sample_rate)
    noise = world.d4c(sound, pitch_hz, times, sample_rate)
    envelope = np.maximum(np.log(np.maximum(power, 1e-16)), FLOOR)
    return Voice(pitch_hz, envelope.astype(np.float32), noise.astype(np.float32), sample_rate)


def synthesise(voice: Voice, pitch: Track) -> Float32:
    """Let a voice sound at a pitch, where it is voiced.

    Args:
        voice: at 44.1 kHz.
        pitch: MIDI numbers for each of its rows, (rows,).

    Returns:
        (frames,) at 44.1 kHz.
    """
    pitch_hz = np.where(voice.voiced, 440.0 * 2.0 ** ((pitch - 69.0) / 12.0), 0.0)
    power = np.exp(voice.envelope, dtype=np.float64, order="C")
    noise = np.clip(voice.noise, 1e-3, 1.0, dtype=np.float64, order="C")
    sound = _world().synthesize(pitch_hz, power, noise, voice.sample_rate, 1000.0 * FRAME_S)
    return np.asarray(sound, np.float32)


def formant_shifted(voice: Voice, formants: float, rng: np.random.Generator) -> Voice:
    """Move the formants of a voice, bring it to 44.1 kHz, and add what its old rate lacks.

    Above the old band vowels go on falling by 1 to 3 dB for each kHz, hiss hardly before 11 kHz; both become noise.

    Args:
        voice: at its own rate.
        formants: how many times as high they get.
        rng: draws what is added.
    """
    bins_hz = np.linspace(0.0, SAMPLE_RATE / 2, BINS)
    top_hz = TRUSTED * voice.sample_rate / 2
    source_hz = np.minimum(bins_hz / formants, top_hz)
    place = source_hz / (voice.sample_rate / 2) * (voice.envelope.shape[1] - 1)
    below = np.minimum(place.astype(np.int64), voice.envelope.shape[1] - 2)
    share = (place - below).astype(np.float32)
    envelope, noise = (
        np.take(table, below, axis=1) * (1.0 - share) + np.take(table, below + 1, axis=1) * share
        for table in (voice.envelope, voice.noise)
    )
    above_khz = np.maximum(bins_hz - formants * top_hz, 0.0) / 1000.0
    if above_khz.any():
        first = int(np.argmax(above_khz > 0.0))
        new = slice(first, BINS)
        edge = envelope[:, max(0, first - 60) : first].mean(axis=1, keepdims=True)
        vowel = rng.uniform(1.0, 3.0) * above_khz[new]
        hiss = rng.uniform(0.0, 0.8) * above_khz[new] + 2.5 * np.maximum(bins_hz[new] - 11_000.0, 0.0) / 1000.0
        ripple = 1.3 * np.sin(bins_hz[new] / rng.uniform(300.0, 900.0) + rng.uniform(0.0, 6.3))
        fall_db = np.where(voice.voiced[:, None], vowel, hiss) - ripple
        envelope[:, new] = edge - LN_PER_DB * fall_db
        rough = rng.uniform(0.5, 1.0) * noise[:, first - 1 : first]
        noise[:, new] = np.clip(rough + above_khz[new] / rng.uniform(6.0, 16.0), 0.0, 1.0)
    return Voice(voice.pitch_hz, envelope.astype(np.float32), noise.astype(np.float32), SAMPLE_RATE)


def coloured(voice: Voice, tilt_db: float, breath: float) -> Voice:
    """Make a voice brighter or breathier.

    Args:
        voice: to change.
        tilt_db: for each octave away from 1 kHz.
        breath: adds noise (above 0) or takes some.
    """
    octaves = np.clip(np.log2(np.maximum(voice.bins_hz, 1.0) / 1000.0), -2.0, 3.0)
    envelope = voice.envelope + (LN_PER_DB * tilt_db * octaves).astype(np.float32)
    return replace(voice, envelope=envelope, noise=voice.noise ** np.float32(np.exp(-breath)))


def whispered(voice: Voice) -> Voice:
    """Let the folds of a voice rest: all noise, its lows gone."""
    envelope = voice.envelope + (2.0 * np.log(voice.bins_hz / (voice.bins_hz + 600.0) + 1e-3)).astype(np.float32)
    return Voice(np.zeros_like(voice.pitch_hz), envelope, np.ones_like(voice.noise), voice.sample_rate)


def time_warped(voice: Voice, places: Track) -> Voice:
    """Read a voice in another time: slower, faster, held, or backwards.

    Args:
        voice: to read.
        places: for each new row the row of the voice to read, fractions allowed, (frames,).
    """
    places = np.clip(places, 0.0, len(voice.pitch_hz) - 1.0)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, len(voice.pitch_hz) - 1)
    near = np.round(places).astype(np.int64)
    share = (places - below).astype(np.float32)[:, None]
    envelope = voice.envelope[below]
    envelope += share * (voice.envelope[above] - envelope)
    return Voice(voice.pitch_hz[near], envelope, voice.noise[near], voice.sample_rate)


def amplified(voice: Voice, gain_db: Track) -> Voice:
    """Give each row of a voice a gain.

    Args:
        voice: to change.
        gain_db: (rows,).
    """
    return replace(voice, envelope=voice.envelope + (LN_PER_DB * gain_db).astype(np.float32)[:, None])


def after_silence(voice: Voice, seconds: float) -> Voice:
    """Put so many seconds of silence before a voice."""
    rows = round(seconds / FRAME_S)
    bins = voice.envelope.shape[1]
    return Voice(
        np.concatenate([np.zeros(rows), voice.pitch_hz]),
        np.concatenate([np.full((rows, bins), FLOOR, np.float32), voice.envelope]),
        np.concatenate([np.ones((rows, bins), np.float32), voice.noise]),
        voice.sample_rate,
    )


def with_breaths(voice: Voice, chance: float, rng: np.random.Generator) -> Voice:
    """Let a voice take breaths at the end of some of its pauses.

    Args:
        voice: to change.
        chance: probability of a breath in a pause.
        rng: draws them.
    """
    loudness_db = voice.loudness_db
    top_db = float(np.percentile(loudness_db[voice.voiced], 90)) if voice.voiced.any() else 0.0
    mouth = whispered(voice).envelope[voice.voiced].mean(axis=0) if voice.voiced.any() else None
    if mouth is None:
        return voice
    envelope, noise = voice.envelope.copy(), voice.noise.copy()
    for first, last in _runs((loudness_db < top_db - 40.0) & ~voice.voiced):
        rows = min(last - first, round(rng.uniform(0.2, 0.5) / FRAME_S))
        if rows * FRAME_S < 0.15 or rng.random() >= chance:
            continue
        shape = np.sin(np.linspace(0.05, np.pi - 0.05, rows)) ** 2
        level_db = top_db - rng.uniform(18.0, 36.0) - 10.0 * np.log10(np.exp(mouth).mean())
        row_db = level_db + 10.0 * np.log10(shape) + smooth_noise(rows, 8, rng)
        part = slice(last - rows, last)
        envelope[part] = np.logaddexp(envelope[part], mouth + (LN_PER_DB * row_db).astype(np.float32)[:, None])
        noise[part] = 1.0
    return replace(voice, envelope=envelope, noise=noise)


def _runs(mask: npt.NDArray[np.bool_]) -> Sequence[tuple[int, int]]:
    """First and end of each stretch where `mask` (n,) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
