"""The scores of one song by one setting, and how they are made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.evaluation.bsseval import bss_eval, why_undefined
from rtsep.evaluation.metrics import false_levels_db, is_silent, magnitude_error, sdr_db, si_sdr_db
from rtsep.evaluation.settings import Setting
from rtsep.evaluation.tracks import Track

Float32 = NDArray[np.float32]

BSSEVAL = ("sdr", "sir", "sar", "isr")
SILENT = "the stem is silent in the song"  # as the vocals of an instrumental


@dataclass(frozen=True)
class StemScore:
    """What one stem scored, see `metrics`; NaN where it is not defined."""

    stem: str
    sdr_db: float
    mix_sdr_db: float  # plain SDR of the untouched mixture as the estimate
    si_sdr_db: float
    magnitude_error: float
    false_db: tuple[float, ...]  # level against the mix in each second in which the reference is silent
    bsseval: Mapping[str, tuple[float, ...]]  # by figure, dB, of each window of 1 s
    undefined: Mapping[str, str] = field(default_factory=dict)  # why there is no "SDR", no "BSSEval", in words

    @property
    def gain_db(self) -> float:
        """How much better in dB than the untouched mixture; NaN where one of both is without end."""
        gain = self.sdr_db - self.mix_sdr_db
        return gain if math.isfinite(gain) else math.nan


@dataclass(frozen=True)
class TrackScore:
    """A song's scores by one setting."""

    song: str
    setting: Setting
    sample_rate: int  # Hz
    seconds: float
    latency_ms: float  # the separator's own
    stems: tuple[StemScore, ...]

    def only(self, stems: Sequence[str]) -> TrackScore:
        """Give the same score without all other stems."""
        return replace(self, stems=tuple(score for score in self.stems if score.stem in stems))

    def to_dict(self) -> dict[str, Any]:
        """Give the score as JSON has it, in which what is no finite number is null."""
        plain: dict[str, Any] = json_safe(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> TrackScore:
        """Read what `to_dict` gave, null as NaN.

        Args:
            entries: the JSON object.

        Raises:
            KeyError: for a name that is missing.
            TypeError: for a value of another type.
            ValueError: for a value that is none.
            SpecError: for a setting that cannot be.
        """
        stems = tuple(_stem_score(entry) for entry in entries["stems"])
        numbers = {name: float(entries[name]) for name in ("seconds", "latency_ms")}
        setting = Setting(**entries["setting"])
        return cls(str(entries["song"]), setting, int(entries["sample_rate"]), **numbers, stems=stems)


def score_track(
    track: Track, setting: Setting, latency_ms: float, estimates: Mapping[str, Float32], bsseval: bool
) -> TrackScore:
    """Score the estimates of a track's stems; those that the track does not know are left out.

    Args:
        track: with the references.
        setting: by which they were separated.
        latency_ms: of the separator.
        estimates: by stem, (channels, frames) each, in time with the track.
        bsseval: whether museval's figures are made too.
    """
    stems = [stem for stem in estimates if stem in track.references]
    windows, why = _bsseval(track, estimates) if bsseval else ({}, "")
    scores = []
    for stem in stems:
        reference, estimate = track.references[stem], estimates[stem]
        silent = is_silent(reference, track.mix)
        scores.append(
            StemScore(
                stem=stem,
                sdr_db=math.nan if silent else sdr_db(reference, estimate),
                mix_sdr_db=math.nan if silent else sdr_db(reference, track.mix),
                si_sdr_db=math.nan if silent else si_sdr_db(reference, estimate),
                magnitude_error=magnitude_error(reference, estimate),
                false_db=tuple(false_levels_db(reference, estimate, track.mix, track.sample_rate).tolist()),
                bsseval=windows.get(stem, {}),
                undefined=_undefined(silent, why),
            )
        )
    seconds = track.mix.shape[1] / track.sample_rate
    return TrackScore(track.name, setting, track.sample_rate, seconds, latency_ms, tuple(scores))


Windows = dict[str, dict[str, tuple[float, ...]]]  # by stem and figure


def _bsseval(track: Track, estimates: Mapping[str, Float32]) -> tuple[Windows, str]:
    """BSSEval of all stems together, without those that are silent throughout; why there is none, where it is so."""
    if missing := [stem for stem in estimates if stem not in track.references]:
        return {}, f"the song has no {missing[0]} to compare with"
    stems = [stem for stem in estimates if not is_silent(track.references[stem], track.mix)]
    if len(stems) < 2:
        return {}, "fewer than two stems sound"
    references, estimated = (np.stack([sounds[stem] for stem in stems]) for sounds in (track.references, estimates))
    if why := why_undefined(references, estimated, track.sample_rate):
        return {}, why
    found = bss_eval(references, estimated, track.sample_rate)
    if found is None:
        return {}, "the stems cannot be told apart"
    by_stem = {
        stem: {name: tuple(getattr(found, name)[i].tolist()) for name in BSSEVAL} for i, stem in enumerate(stems)
    }
    return by_stem, ""


def _undefined(silent: bool, why: str) -> dict[str, str]:
    if silent:
        return {"SDR": SILENT, "BSSEval": SILENT}
    return {"BSSEval": why} if why else {}


def _stem_score(entries: dict[str, Any]) -> StemScore:
    numbers = {name: _number(entries[name]) for name in ("sdr_db", "mix_sdr_db", "si_sdr_db", "magnitude_error")}
    windows = {str(name): tuple(map(_number, values)) for name, values in entries["bsseval"].items()}
    return StemScore(
        str(entries["stem"]),
        **numbers,
        false_db=tuple(map(_number, entries["false_db"])),
        bsseval=windows,
        undefined={str(name): str(why) for name, why in entries.get("undefined", {}).items()},  # older ones have none
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def json_safe(value: Any) -> Any:
    """Give the same with None for every number that JSON does not have; others to seven digits."""
    if isinstance(value, dict):
        return {key: json_safe(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value
