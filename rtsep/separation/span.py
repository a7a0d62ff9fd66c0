"""The part of a file that is separated, in time and in channels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from rtsep.audio.readers import AudioFile, AudioReader, open_audio
from rtsep.audio.sources import Section
from rtsep.errors import FileError, SpecError


@dataclass(frozen=True)
class Span:
    """The part of every file that is separated; to the end where no duration is given.

    Raises:
        SpecError: for times that are out of range.
    """

    offset_s: float = 0.0
    duration_s: float | None = None
    channels: tuple[int, ...] = ()  # of the file, from 1; none: all, more than two mixed down
    strict: bool = False  # whether a spot that cannot be decoded is an error; else it is silent

    def __post_init__(self) -> None:
        if not 0.0 <= self.offset_s < math.inf:
            raise SpecError(f"offset {self.offset_s:g} s is out of range; it must be 0 or more")
        if self.duration_s is not None and not 0.0 < self.duration_s < math.inf:
            raise SpecError(f"duration {self.duration_s:g} s is out of range; it must be above 0")

    def open(self, path: Path) -> AudioFile:
        """Open a file as it is read, all of it; see `open_audio`."""
        return open_audio(path, channels=self.channels, strict=self.strict)

    def of(self, reader: AudioReader) -> AudioReader:
        """Give the part of one file.

        Raises:
            FileError: where the file ends before it.
        """
        if not self.offset_s and self.duration_s is None:
            return reader
        start = round(self.offset_s * reader.sample_rate)
        if start and start >= reader.measure():
            length = reader.frames / reader.sample_rate
            raise FileError(f"{reader.path}: offset {self.offset_s:g} s is not inside its {length:.1f} s")
        return Section(reader, start, None if self.duration_s is None else round(self.duration_s * reader.sample_rate))


EVERYTHING = Span()
