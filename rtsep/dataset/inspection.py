"""What is wrong with songs, in words, before training begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.downmix import to_channels
from rtsep.dataset.songs import Header, Song, StemSource, read_header, read_source, remarks_on
from rtsep.errors import FileError

Float32 = NDArray[np.float32]

SAME_LENGTH_S = 0.05  # lossy formats add up to this at the end
SILENT = 1e-4  # peak, -80 dBFS
SAME_MIX_DB = -24.0  # lossy stems differ by less from their lossy mix (-27 of short tones in noise, AAC)
BLOCK_S = 20.0  # read at once


@dataclass(frozen=True)
class Issue:
    """What is wrong with a song or one of its files."""

    song: str  # its name; empty for all songs
    file: Path | None
    message: str
    fatal: bool  # training would fail on it

    def __str__(self) -> str:
        return ": ".join(part for part in (self.song, str(self.file or ""), self.message) if part)


def inspect(songs: Iterable[Song], stems: Sequence[str], sample_rate: int, thorough: bool) -> list[Issue]:
    """Find what is wrong with songs, song by song.

    Args:
        songs: to look at.
        stems: the songs' own that matter; empty for all.
        sample_rate: that they are used at, in Hz.
        thorough: with all sound: truncated and broken files, samples that are not finite, silent stems, a mix that is
            not the sum of all its stems. Without it only headers are read: unreadable files, other sample rates, mono
            beside stereo, unequal lengths.
    """
    found: list[Issue] = []
    songs = tuple(songs)
    offered = dict.fromkeys(stem for song in songs for stem in song.stems)
    for stem in stems:
        if stem not in offered:
            found.append(Issue("", None, f"no song has the stem {stem!r}; they have: {', '.join(offered)}", False))
    for song in songs:
        headers, issues = _headers(song, stems)
        issues += _rates(song, headers, sample_rate)
        issues += _channels(song, headers)
        issues += _lengths(song, headers)
        if thorough and not any(issue.fatal for issue in issues):
            issues += _sound(song, stems)
        found += issues
    return found


def _sources(song: Song, stems: Sequence[str]) -> dict[StemSource, str]:
    """The files that matter, each once, and what they are: a stem's name or `mix`."""
    named = {song.mix: "mix"} if song.mix else {}
    parts = ((source, stem) for stem, sources in song.stems.items() if not stems or stem in stems for source in sources)
    for source, stem in parts:
        named.setdefault(StemSource(source.path, source.stream, source.offset_s), stem)
    return named


def _headers(song: Song, stems: Sequence[str]) -> tuple[dict[StemSource, Header], list[Issue]]:
    headers, issues = {}, []
    for source in _sources(song, stems):
        try:
            headers[source] = read_header(source)
        except FileError as error:
            issues.append(_broken(song, source, error))
    return headers, issues


def _rates(song: Song, headers: dict[StemSource, Header], sample_rate: int) -> list[Issue]:
    issues = []
    for rate in sorted({head.sample_rate for head in headers.values()} - {sample_rate}):
        files = [source for source, head in headers.items() if head.sample_rate == rate]
        words = f"{rate} Hz, resampled to {sample_rate} Hz{_others(files)}"
        issues.append(Issue(song.name, files[0].path, words, False))
    return issues


def _channels(song: Song, headers: dict[StemSource, Header]) -> list[Issue]:
    mono = [source for source, head in headers.items() if head.channels == 1]
    issues = []
    if mono and len(mono) < len(headers):
        words = f"mono beside stereo, goes to both sides{_others(mono)}"
        issues.append(Issue(song.name, mono[0].path, words, False))
    return issues


def _lengths(song: Song, headers: dict[StemSource, Header]) -> list[Issue]:
    lengths_s = {source: head.frames / head.sample_rate - source.offset_s for source, head in headers.items()}
    longest_s = max(lengths_s.values(), default=0.0)
    shorter = [source for source, length_s in lengths_s.items() if length_s < longest_s - SAME_LENGTH_S]
    issues = []
    for source in shorter:
        end = "the song ends with it" if source == song.mix else "silence follows"
        words = f"unequal lengths: {lengths_s[source]:.2f} s, the longest file has {longest_s:.2f} s; {end}"
        issues.append(Issue(song.name, source.path, words, False))
    return issues


def _sound(song: Song, stems: Sequence[str]) -> list[Issue]:
    """Read a song block by block, and list what is wrong with its sound."""
    rate, block = song.sample_rate, round(BLOCK_S * song.sample_rate)
    sources = _sources(song, stems)
    sums = song.mix is not None and all(_plain(source) in sources for one in song.stems.values() for source in one)
    issues: dict[StemSource, Issue] = {}
    peaks = dict.fromkeys(sources, 0.0)
    told: list[Issue] = []
    difference = power = 0.0
    for start in range(0, song.frames, block):
        frames = min(block, song.frames - start)
        sounds: dict[StemSource, Float32] = {}
        for source in sources:
            if source in issues:
                continue
            try:
                sound = read_source(source, start, frames, rate)
            except FileError as error:
                issues[source] = _broken(song, source, error)
                continue
            peaks[source] = max(peaks[source], float(np.abs(sound).max(initial=0.0)))
            sounds[source] = to_channels(sound, 2)
        if sums and not issues and song.mix is not None:
            difference += _energy(sounds[song.mix] - _summed(song, sounds))
            power += _energy(sounds[song.mix])
    for source in sources:
        if source not in issues:
            told += [Issue(song.name, source.path, remark, False) for remark in remarks_on(source)]
    found = [*issues.values(), *told]
    for source, peak in peaks.items():
        if peak < SILENT and source not in issues:
            found.append(Issue(song.name, source.path, f"{sources[source]} is silent: never above -80 dBFS", False))
    if sums and not issues and song.mix is not None and power > 0.0 and difference > 0.0:
        level_db = 10.0 * float(np.log10(difference / power))
        if level_db > SAME_MIX_DB:
            words = f"the mix is not the sum of its stems: the difference is {level_db:.1f} dB against the mix"
            found.append(Issue(song.name, song.mix.path, words, False))
    return found


def _summed(song: Song, sounds: dict[StemSource, Float32]) -> Float32:
    total = np.zeros_like(next(iter(sounds.values())))
    for sources in song.stems.values():
        for source in sources:
            total += np.float32(source.gain) * sounds[_plain(source)]
    return total


def _plain(source: StemSource) -> StemSource:
    """The same sound at its own level."""
    return StemSource(source.path, source.stream, source.offset_s)


def _energy(sound: Float32) -> float:
    return float(np.sum(np.square(sound, dtype=np.float64)))


def _broken(song: Song, source: StemSource, error: FileError) -> Issue:
    return Issue(song.name, source.path, str(error).removeprefix(f"{source.path} ").removeprefix(": "), True)


def _others(files: list[StemSource]) -> str:
    return f" (so are {len(files) - 1} more of the song's files)" if len(files) > 1 else ""
