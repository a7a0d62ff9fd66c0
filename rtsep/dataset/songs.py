"""A song in stems on disk, and any part of it as sound. Nothing stays open between two parts.

Opening a file costs a tenth of reading three seconds of it, so readers are not kept; only lengths
are remembered. Threads and processes may therefore read at will.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.downmix import to_channels
from rtsep.audio.readers import open_audio
from rtsep.audio.sources import resampled
from rtsep.errors import FileError

Float32 = NDArray[np.float32]

MARGIN = 4096  # frames read on both sides of a part that is resampled: longer than the filter


@dataclass(frozen=True)
class StemSource:
    """Where a sound lies."""

    path: Path
    stream: int = 0  # which of the file's streams of sound
    offset_s: float = 0.0  # where in it the song begins
    gain: float = 1.0  # -1 takes it away: the rest of a mix is the mix and, so, its stem


@dataclass(frozen=True)
class Song:
    """A song in stems; it need not have all stems that a model has."""

    name: str
    stems: Mapping[str, tuple[StemSource, ...]]  # the sources of one stem are summed, none at all is silence
    mix: StemSource | None
    frames: int  # at `sample_rate`; they end with the longest stem, or with the mix where that is shorter
    sample_rate: int  # Hz

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.sample_rate


@dataclass(frozen=True)
class Header:
    """What a file holds."""

    sample_rate: int  # Hz
    channels: int
    frames: int  # that can be decoded

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.sample_rate


def song_from_files(name: str, stems: Mapping[str, tuple[StemSource, ...]], mix: StemSource | None = None) -> Song:
    """Make a song from its files.

    Args:
        name: of the song.
        stems: the sources of each stem.
        mix: its own mix; None where it has none.

    Raises:
        FileError: for a song without files, and for a file that cannot be read.
    """
    parts = [source for sources in stems.values() for source in sources]
    first = mix or next(iter(parts), None)
    if first is None:
        raise FileError(f"{name}: a song without any sound file")
    rate = read_header(first).sample_rate
    ends_s = [max(map(duration_s, parts))] if parts else []
    if mix is not None:
        ends_s.append(duration_s(mix))
    return Song(name, stems, mix, max(0, round(min(ends_s) * rate)), rate)


def duration_s(source: StemSource) -> float:
    """Give the seconds from the song's beginning to the file's end.

    Raises:
        FileError: if the file cannot be read.
    """
    return read_header(source).seconds - source.offset_s


def read_header(source: StemSource) -> Header:
    """Find out what a stream of a file holds; it is remembered until the file changes.

    Raises:
        FileError: for a file that cannot be read, and for a stream that it has not.
    """
    try:
        facts = source.path.stat()
    except OSError as error:
        raise FileError(f"{source.path} cannot be read: {error.strerror}") from error
    return _header(source.path, source.stream, facts.st_mtime_ns, facts.st_size)


def read_stem(song: Song, stem: str, start: int, frames: int, sample_rate: int, channels: int = 2) -> Float32:
    """Read a part of one stem; outside of the files there is silence.

    Args:
        song: that has the stem.
        stem: its name.
        start: first frame, at `sample_rate`.
        frames: of the part, at `sample_rate`.
        sample_rate: that it is resampled to, in Hz.
        channels: of the result; mono is doubled.

    Returns:
        (channels, frames), contiguous.

    Raises:
        FileError: for a stem that the song does not have, for a broken file, and for a sample that is not finite, with
            file and time.
    """
    if stem not in song.stems:
        raise FileError(f"{song.name} has no stem {stem!r}; it has: {', '.join(song.stems)}")
    return _sum(song.stems[stem], start, frames, sample_rate, channels)


def read_mix(song: Song, start: int, frames: int, sample_rate: int, channels: int = 2) -> Float32:
    """Read a part of the mix: of the song's own mix file, else the sum of all its stems.

    Args:
        song: whose mix it is.
        start: first frame, at `sample_rate`.
        frames: of the part, at `sample_rate`.
        sample_rate: that it is resampled to, in Hz.
        channels: of the result; mono is doubled.

    Returns:
        (channels, frames), contiguous.

    Raises:
        FileError: as `read_stem` does.
    """
    everything = tuple(source for sources in song.stems.values() for source in sources)
    return _sum(everything if song.mix is None else (song.mix,), start, frames, sample_rate, channels)


def summed(parts: Iterable[Float32], channels: int, frames: int) -> Float32:
    """Sum sounds of one shape; a single one comes back itself.

    Args:
        parts: (channels, frames) each.
        channels: of silence, where there are none.
        frames: likewise.

    Returns:
        (channels, frames).
    """
    total = None
    for part in parts:
        total = part if total is None else total + part
    return np.zeros((channels, frames), np.float32) if total is None else total


def _sum(sources: tuple[StemSource, ...], start: int, frames: int, sample_rate: int, channels: int) -> Float32:
    return summed((_fitted(source, start, frames, sample_rate, channels) for source in sources), channels, frames)


def _fitted(source: StemSource, start: int, frames: int, sample_rate: int, channels: int) -> Float32:
    sound = to_channels(read_source(source, start, frames, sample_rate), channels)
    return sound if source.gain == 1.0 else np.float32(source.gain) * sound


def read_source(source: StemSource, start: int, frames: int, sample_rate: int) -> Float32:
    """Read a part of one source, without its gain.

    Args:
        source: the file and its stream.
        start: first frame, at `sample_rate`.
        frames: of the part, at `sample_rate`.
        sample_rate: that it is resampled to, in Hz.

    Returns:
        (its own channels, frames), contiguous; silence outside of the file.

    Raises:
        FileError: for a broken file, and for a sample that is not finite, with file and time.
    """
    head = read_header(source)
    offset = round(source.offset_s * head.sample_rate)
    if head.sample_rate == sample_rate:
        return _part(source, head, offset + start, frames)
    # whole blocks of both rates, so that a part falls on the same instants wherever it begins
    common = math.gcd(head.sample_rate, sample_rate)
    theirs, ours = head.sample_rate // common, sample_rate // common
    margin = math.ceil(MARGIN / theirs)
    first, last = start // ours - margin, -(-(start + frames) // ours) + margin
    sound = _part(source, head, offset + first * theirs, (last - first) * theirs)
    begin = start - first * ours
    return np.ascontiguousarray(resampled(sound, head.sample_rate, sample_rate)[:, begin : begin + frames])


def _part(source: StemSource, head: Header, start: int, frames: int) -> Float32:
    """A part at the file's own rate, zeros outside of the file."""
    first, last = (min(max(at, 0), head.frames) for at in (start, start + frames))
    if last == first:
        return np.zeros((head.channels, frames), np.float32)
    reader = open_audio(source.path, source.stream)
    try:
        reader.seek(first)
        found = reader.read(last - first)
        faults = [place for place in reader.faults if first <= place < last]
    finally:
        reader.close()
    if found.shape[1] < last - first:
        ends_s = (first + found.shape[1]) / head.sample_rate
        raise FileError(f"{source.path} is truncated: it ends at {ends_s:.3f} s, not {head.seconds:.3f} s")
    if faults:
        words = "holds a sample that is not a finite number"
        raise FileError(f"{source.path} {words} at {min(faults) / head.sample_rate:.3f} s")
    if found.shape[1] == frames:
        return found
    sound = np.zeros((head.channels, frames), np.float32)
    sound[:, first - start : first - start + found.shape[1]] = found
    return sound


def remarks_on(source: StemSource) -> tuple[str, ...]:
    """Decode a source to its end, and give what should be known of it, in words.

    Raises:
        FileError: for a broken file.
    """
    reader = open_audio(source.path, source.stream)
    try:
        while reader.read(reader.sample_rate).shape[1]:
            pass
        return tuple(remark.partition(";")[0] for remark in reader.remarks)  # less the options of who separates
    finally:
        reader.close()


def song_remarks(song: Song) -> list[str]:
    """Give what should be known of a song's files, in words; what cannot be read at all is told when it is."""
    parts = [source for sources in song.stems.values() for source in sources]
    told = []
    for source in dict.fromkeys([*([song.mix] if song.mix else []), *parts]):
        with contextlib.suppress(FileError):
            told += [f"{source.path.name}: {remark}" for remark in remarks_on(source)]
    return told


@lru_cache(maxsize=1 << 16)
def _header(path: Path, stream: int, modified_ns: int, size: int) -> Header:
    """The header of a stream; time and size of the file tell when to look again."""
    reader = open_audio(path, stream)
    try:
        return Header(reader.sample_rate, reader.channels, reader.measure())
    finally:
        reader.close()
