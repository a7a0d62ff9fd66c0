"""Songs in stems as references: the mix, and what should come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.dataset.assignment import ACCOMPANIMENT, VOCALS, has_submix, matching_stems
from rtsep.dataset.layouts import LayoutOptions, find_songs
from rtsep.dataset.scanners import REST
from rtsep.dataset.songs import Song, read_mix, read_stem
from rtsep.errors import ConfigError, FileError, RouteError, SpecError

Float32 = NDArray[np.float32]

OWN_MIX = ("musdb", "musdb-hq")  # layouts whose results are published for their own mix
LOOSE = ("sourcefolder",)  # layouts without a single song that is mixed


@dataclass(frozen=True)
class Clip:
    """The part of every song that is scored.

    Raises:
        SpecError: for a start or a length that is out of range.
    """

    start_s: float | None = None  # None for around the middle
    seconds: float | None = None  # None for all that there is

    def __post_init__(self) -> None:
        if self.start_s is not None and not 0.0 <= self.start_s < 1e6:
            raise SpecError(f"start {self.start_s:g} s is out of range; it must be 0 or more")
        if self.seconds is not None and not 1.0 <= self.seconds < 1e6:
            raise SpecError(f"seconds {self.seconds:g} is out of range; it must be 1 or more")

    def of(self, song: Song, sample_rate: int) -> tuple[int, int]:
        """Find the part of a song.

        Args:
            song: to cut.
            sample_rate: that frames count at, in Hz.

        Returns:
            First frame and number of frames.

        Raises:
            FileError: where the song ends before.
        """
        whole = round(song.seconds * sample_rate)
        frames = whole if self.seconds is None else min(whole, round(self.seconds * sample_rate))
        start = (whole - frames) // 2 if self.start_s is None else round(self.start_s * sample_rate)
        if start >= whole:
            raise FileError(f"{song.name}: start {self.start_s:g} s is not inside its {song.seconds:.1f} s")
        return start, min(frames, whole - start)


WHOLE = Clip()


@dataclass(frozen=True)
class Track:
    """A song as it is scored."""

    name: str
    sample_rate: int  # Hz
    mix: Float32  # (channels, frames)
    references: Mapping[str, Float32]  # each stem that is known of it, likewise


def songs_to_score(layout: str, folder: Path, options: LayoutOptions) -> list[Song]:
    """Find the songs of a data set.

    Their mix is the sum of all their stems, but for MUSDB's, which have their own.

    Args:
        layout: its name.
        folder: of the data set.
        options: what the layout must be told.

    Raises:
        ConfigError: where the sum of the stems would be no mix.
    """
    name = layout.replace("_", "-")
    if name in LOOSE:
        raise ConfigError(f"the layout {layout!r} has no mix to separate; put the stems of each song into a folder")
    if options.stems:
        raise ConfigError("--set stems: the mix is the sum of all stems; --stems chooses those that are reported")
    songs = find_songs(layout, folder, options)
    return songs if name in OWN_MIX else [replace(song, mix=None) for song in songs]


def read_track(song: Song, stems: Sequence[str], clip: Clip, sample_rate: int, channels: int) -> Track:
    """Read a song's mix and its references for a separator.

    Args:
        song: to read.
        stems: the separator's, in their order.
        clip: the part that is scored.
        sample_rate: in Hz.
        channels: of the separator.

    Raises:
        FileError: for a song that has none of the stems, or cannot be read.
    """
    start, frames = clip.of(song, sample_rate)
    references = {}
    for stem in stems:
        names = reference_stems(song, stem, stems)
        if names is not None:
            sound = np.zeros((channels, frames), np.float32)
            for name in names:
                sound += read_stem(song, name, start, frames, sample_rate, channels)
            references[stem] = sound
    if not references:
        raise FileError(f"{song.name} has none of {', '.join(stems)}; it has: {', '.join(song.stems)}")
    return Track(song.name, sample_rate, read_mix(song, start, frames, sample_rate, channels), references)


def reference_stems(song: Song, stem: str, stems: Sequence[str]) -> tuple[str, ...] | None:
    """Name the song's stems whose sum is one of the separator's.

    A stem that a song does not have is silent in it, unless the song has some stems in one piece.

    Args:
        song: with its own stems.
        stem: the separator's.
        stems: all of the separator's, in order.

    Returns:
        Names; empty for silence, None where it is not known.
    """
    missing = set(stems[:-1]) - set(song.stems)
    if REST in song.stems and missing and (stem in missing or stem == stems[-1]):
        return None
    if has_submix(song, stems) and stem != VOCALS and stem not in song.stems:
        return None
    return matching_stems(song, stem, stems)


def stems_to_score(available: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """Choose the stems that are scored together: the separator's own, or the voice against all else.

    `accompaniment` may be asked of any separator that has vocals: it is then the sum of all others.

    Args:
        available: the separator's.
        asked: by the user; empty for all.

    Raises:
        RouteError: for a stem that there is not.
    """
    pooled = (VOCALS, ACCOMPANIMENT)
    if set(asked) <= set(available):
        return tuple(available)
    if VOCALS in available and set(asked) <= set(pooled):
        return pooled
    allowed = dict.fromkeys([*available, *(pooled if VOCALS in available else ())])
    wrong = next((stem for stem in asked if stem not in allowed), ACCOMPANIMENT)
    words = f"there is no stem {wrong!r}" if wrong not in allowed else f"{ACCOMPANIMENT} is scored with vocals alone"
    raise RouteError(f"{words}; choose from {', '.join(allowed)}")


def pooled_estimates(estimates: Mapping[str, Float32], stems: Sequence[str]) -> dict[str, Float32]:
    """Give the estimates of some stems, the accompaniment as the sum of all but vocals where there is none.

    Args:
        estimates: by stem, (channels, frames) each.
        stems: that are wanted.
    """
    found = {stem: estimates[stem] for stem in stems if stem in estimates}
    if ACCOMPANIMENT in stems and ACCOMPANIMENT not in found:
        rest = [sound for stem, sound in estimates.items() if stem != VOCALS]
        found[ACCOMPANIMENT] = np.sum(rest, axis=0, dtype=np.float32)
    return found
