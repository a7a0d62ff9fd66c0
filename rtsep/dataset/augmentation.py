"""Changes by chance to what is trained on: each a row of a table, with its probability and its ranges.

A call draws a fixed table of random numbers, a row for each step in the order of the table, whatever
happens; the first number of a row decides whether the step is taken, the others are all that the
step may know of chance. So no setting changes what another one draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.dataset.codec import CODECS, transcoded
from rtsep.dataset.filters import equalised, reverberated
from rtsep.dataset.pitch import FADE_S, changed_speed, changed_tempo, shifted_pitch
from rtsep.errors import ConfigError

Float32 = NDArray[np.float32]
Draws = NDArray[np.float64]

DRAWS = 10  # random numbers, 0 to 1, for each step
BANDS = 8  # of the equaliser
FAINTEST = 1e-20  # peak; below it a float has too few digits to be divided by, and LAME ends the whole process


@dataclass(frozen=True)
class Augmentation:
    """Probabilities, 0 to 1, and the ranges that values are drawn from, evenly; nothing happens by default.

    Raises:
        ConfigError: for what is no probability, and for a range that is none or too wide.
    """

    # for each stem by itself
    mute: float = 0.0  # the stem is silent
    mono: float = 0.0
    swap: float = 0.0  # of the channels
    resample: float = 0.0  # pitch and tempo together; a crop that gets shorter ends in silence
    resample_semitones: tuple[float, float] = (-1.0, 1.0)
    pitch: float = 0.0  # at the same tempo
    pitch_semitones: tuple[float, float] = (-2.0, 2.0)
    tempo: float = 0.0  # at the same pitch; a crop that gets shorter ends in silence
    tempo_ratio: tuple[float, float] = (0.85, 1.15)
    eq: float = 0.0  # a smooth curve
    eq_db: tuple[float, float] = (-6.0, 6.0)
    hard_clip: float = 0.0
    soft_clip: float = 0.0
    clip_db: tuple[float, float] = (-12.0, -3.0)  # where it clips, against the peak
    reverb: float = 0.0
    reverb_s: tuple[float, float] = (0.2, 1.5)  # until it is 60 dB weaker
    reverb_db: tuple[float, float] = (-24.0, -6.0)
    codec: float = 0.0  # MP3 or Vorbis
    codec_loss: tuple[float, float] = (0.2, 0.9)  # from about 250 to about 80 kb/s
    silence: float = 0.0  # a stretch of the stem is silent
    silence_s: tuple[float, float] = (0.3, 2.0)
    gain: float = 0.0
    gain_db: tuple[float, float] = (-12.0, 2.0)
    # for all stems of an example alike, so that they still sum to its mix
    mix_mono: float = 0.0
    mix_swap: float = 0.0
    level: float = 0.0
    level_db: tuple[float, float] = (-40.0, 0.0)

    def __post_init__(self) -> None:
        for name, _ in (*STEM_STEPS, *MIX_STEPS):
            if not 0.0 <= (chance := getattr(self, name)) <= 1.0:
                raise ConfigError(f"augmentation.{name} = {chance} is a probability; allowed are 0 to 1")
        for name, (lowest, highest) in RANGES.items():
            first, last = getattr(self, name)
            if not lowest <= first <= last <= highest:
                allowed = f"two numbers from {lowest:g} to {highest:g}, the lower one first"
                raise ConfigError(f"augmentation.{name} = [{first}, {last}] is no range; allowed are {allowed}")


def augment_stem(sound: Float32, sample_rate: int, chosen: Augmentation, rng: np.random.Generator) -> Float32:
    """Change one stem by chance; what is silent stays so.

    Only `resample`, `pitch` and `tempo` move what is heard, each within the crop.

    Args:
        sound: (channels, frames); never changed in place, but where nothing happens it comes back itself.
        sample_rate: in Hz.
        chosen: what may happen, and how likely it is.
        rng: draws what happens.

    Returns:
        (channels, frames), contiguous.

    Raises:
        FileError: where libsndfile lacks a codec.
    """
    return _augmented(STEM_STEPS, sound, sample_rate, chosen, rng)


def augment_mix(stems: Float32, sample_rate: int, chosen: Augmentation, rng: np.random.Generator) -> Float32:
    """Change all stems of an example alike: their sum changes as a mix would.

    Args:
        stems: (stems, channels, frames); never changed in place.
        sample_rate: in Hz.
        chosen: what may happen, and how likely it is.
        rng: draws what happens.

    Returns:
        (stems, channels, frames), contiguous.
    """
    return _augmented(MIX_STEPS, stems, sample_rate, chosen, rng)


Step = Callable[[Float32, int, Augmentation, Draws], Float32]
Steps = tuple[tuple[str, Step], ...]


def _augmented(
    steps: Steps, sound: Float32, sample_rate: int, chosen: Augmentation, rng: np.random.Generator
) -> Float32:
    draws = rng.random((len(steps), DRAWS))
    for (name, step), (decision, *_), row in zip(steps, draws, draws[:, 1:], strict=True):
        if decision < getattr(chosen, name) and _peak(sound) > FAINTEST:
            sound = step(sound, sample_rate, chosen, row)
    return np.ascontiguousarray(sound, np.float32)


def _mute(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return np.zeros_like(sound)


def _mono(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return np.repeat(sound.mean(axis=-2, keepdims=True), sound.shape[-2], axis=-2)


def _swap(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return sound[..., ::-1, :]


def _resample(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return changed_speed(sound, sample_rate, _between(chosen.resample_semitones, draws[0]))


def _pitch(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return shifted_pitch(sound, sample_rate, _between(chosen.pitch_semitones, draws[0]))


def _tempo(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return changed_tempo(sound, sample_rate, _between(chosen.tempo_ratio, draws[0]))


def _eq(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return equalised(sound, sample_rate, [_between(chosen.eq_db, draw) for draw in draws[:BANDS]])


def _hard_clip(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    limit = _clip_level(sound, chosen, draws)
    return np.clip(sound, -limit, limit)


def _soft_clip(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    limit = _clip_level(sound, chosen, draws)
    bent: Float32 = limit * np.tanh(sound / limit)
    return bent


def _clip_level(sound: Float32, chosen: Augmentation, draws: Draws) -> np.float32:
    return np.float32(_peak(sound)) * _factor(_between(chosen.clip_db, draws[0]))


def _reverb(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    decay_s, wet_db = _between(chosen.reverb_s, draws[0]), _between(chosen.reverb_db, draws[1])
    return reverberated(sound, sample_rate, decay_s, wet_db, seed=int(draws[2] * 2**32))


def _codec(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    codec = list(CODECS)[int(draws[0] * len(CODECS))]
    return transcoded(sound, sample_rate, codec, _between(chosen.codec_loss, draws[1]))


def _silence(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    frames, fade = sound.shape[-1], FADE_S * sample_rate
    length = min(_between(chosen.silence_s, draws[0]) * sample_rate, frames)
    start = draws[1] * (frames - length)
    corners = [start - fade, start, start + length, start + length + fade]
    first, last = max(0, math.floor(corners[0])), min(frames, math.ceil(corners[3]))
    sound = sound.copy()
    sound[..., first:last] *= np.interp(np.arange(first, last), corners, [1.0, 0.0, 0.0, 1.0]).astype(np.float32)
    return sound


def _gain(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return sound * _factor(_between(chosen.gain_db, draws[0]))


def _level(sound: Float32, sample_rate: int, chosen: Augmentation, draws: Draws) -> Float32:
    return sound * _factor(_between(chosen.level_db, draws[0]))


def _peak(sound: Float32) -> float:
    return max(float(sound.max(initial=0.0)), -float(sound.min(initial=0.0)))


def _between(span: tuple[float, float], draw: float) -> float:
    return span[0] + (span[1] - span[0]) * float(draw)


def _factor(gain_db: float) -> np.float32:
    return np.float32(10.0 ** (gain_db / 20.0))


# each by the name of its probability, in the order in which they are drawn and done: as a sound is
# made, recorded, stored and played
STEM_STEPS: Steps = (
    ("mute", _mute),
    ("mono", _mono),
    ("swap", _swap),
    ("resample", _resample),
    ("pitch", _pitch),
    ("tempo", _tempo),
    ("eq", _eq),
    ("hard_clip", _hard_clip),
    ("soft_clip", _soft_clip),
    ("reverb", _reverb),
    ("codec", _codec),
    ("silence", _silence),
    ("gain", _gain),
)
MIX_STEPS: Steps = (("mix_mono", _mono), ("mix_swap", _swap), ("level", _level))
RANGES = {  # what the ranges may be
    "resample_semitones": (-12.0, 12.0),
    "pitch_semitones": (-12.0, 12.0),
    "tempo_ratio": (0.5, 2.0),
    "eq_db": (-20.0, 20.0),
    "clip_db": (-40.0, 0.0),
    "reverb_s": (0.01, 10.0),
    "reverb_db": (-60.0, 20.0),
    "codec_loss": (0.0, 0.95),
    "silence_s": (0.0, 60.0),
    "gain_db": (-60.0, 40.0),
    "level_db": (-100.0, 40.0),
}
