"""The part of a file that is separated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtsep.audio.readers import AudioReader
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

    def __post_init__(self) -> None:
        if not 0.0 <= self.offset_s < math.inf:
            raise SpecError(f"offset {self.offset_s:g} s is out of range; it must be 0 or more")
        if self.duration_s is not None and not 0.0 < self.duration_s < math.inf:
            raise SpecError(f"duration {self.duration_s:g} s is out of range; it must be above 0")

    def of(self, reader: AudioReader) -> AudioReader:
        """Give the part of one file.

        Raises:
            FileError: where the file ends before it.
        """
        if not self.offset_s and self.duration_s is None:
            return reader
        start = round(self.offset_s * reader.sample_rate)
        if start >= reader.frames:
            length = reader.frames / reader.sample_rate
            raise FileError(f"{reader.path}: offset {self.offset_s:g} s is not inside its {length:.1f} s")
        frames = reader.frames if self.duration_s is None else round(self.duration_s * reader.sample_rate)
        return Section(reader, start, frames)


EVERYTHING = Span()
