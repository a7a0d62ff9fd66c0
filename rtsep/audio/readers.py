"""Sound files as they are read: any format, in blocks, with exact seeks, as long as what can be decoded."""

from __future__ import annotations

import math
import stat
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.decoder import MP4, AudioPacket, Decoder, Spot
from rtsep.audio.packet_table import packet_table
from rtsep.audio.seeking import packets_by_table, packets_by_time
from rtsep.audio.truncation import missing_bytes
from rtsep.errors import FileError

Float32 = NDArray[np.float32]

Subtype = Literal["PCM_16", "FLOAT"]  # of a wav

STANDARD_INPUT = Path("/dev/stdin")  # what `-` stands for
MOST_TOLD = 3  # spots that are told one by one
WRONG_S = 0.2  # by which a header's length may be wrong without a word
# whose headers count right, and by how much less than that a whole file may hold, in seconds
COUNTING = {"flac": 0.0, "wv": 0.0, "tta": 0.0, "ape": 0.0, "tak": 0.0, "caf": WRONG_S, MP4: WRONG_S}


class AudioReader(Protocol):
    """An open audio file; axes are (channels, frames)."""

    path: Path
    sample_rate: int
    channels: int

    @property
    def frames(self) -> int:
        """How long it is, as far as is known: by its header, until its end was seen. 0 where nobody knows."""

    def measure(self) -> int:
        """Find out how many frames it holds, where its header cannot be trusted."""

    def read(self, frames: int) -> Float32:
        """Read the next frames.

        Args:
            frames: how many.

        Returns:
            Sound, (channels, frames); fewer frames only at the end.

        Raises:
            FileError: if the file breaks off.
        """

    def seek(self, frame: int) -> None:
        """Go on reading at a frame from the start."""

    @property
    def remarks(self) -> list[str]:
        """What a listener should know of it, in words; complete once its end was read."""

    def prepare_seeks(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Do beforehand what the first seek would take its time for; beside a thread that reads."""

    def close(self) -> None:
        """Let the file go."""


def open_audio(path: Path, stream: int = 0, channels: tuple[int, ...] = (), strict: bool = False) -> AudioFile:
    """Open any audio file, or a pipe.

    Args:
        path: of the file; `-` is the standard input.
        stream: which of its streams of sound, from 0.
        channels: which of its channels, from 1, one or two; none: mono and stereo as they are, more mixed down.
        strict: whether a spot that cannot be decoded is an error; else it is silent, and told in `remarks`.

    Raises:
        FileError: for a file that is missing, empty, cut short, broken or of no known format.
    """
    path = STANDARD_INPUT if str(path) == "-" else path
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise FileError(f"{path} is a folder; name an audio file")
        if stat.S_ISREG(facts.st_mode):
            if facts.st_size == 0:
                raise FileError(f"{path} is empty")
            if words := missing_bytes(path):
                raise FileError(f"{path} is truncated: {words}")
        elif stat.S_ISCHR(facts.st_mode) and path.samefile("/dev/null"):
            raise FileError(f"{path} is empty")
        return AudioFile(path, stream, channels, strict)
    except FileNotFoundError as error:
        raise FileError(f"{path}: no such file") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error


class AudioFile:
    """A file that is being read, see `open_audio` and `AudioReader`."""

    def __init__(self, path: Path, stream: int = 0, channels: tuple[int, ...] = (), strict: bool = False) -> None:
        self.path = path
        self._stream, self._chosen, self._strict = stream, channels, strict
        self._decoder = Decoder(path, stream, channels)
        try:
            self.sample_rate, self.channels = self._decoder.sample_rate, self._decoder.channels
            self._promised = self._decoder.promised
            self._known = 0  # frames, once the end was seen
            self._spots: dict[int, Spot] = {}  # by their first frame
            self.faults: dict[int, Spot] = {}  # samples that are no numbers, likewise
            self._packets = self._decoder.packets()
            self._begin()
            if not self._pending:
                raise FileError(f"{path} holds no sound")
        except BaseException:
            self._decoder.close()
            raise
        self.remarks = self._mixed_down()  # what a listener should know of it; complete once its end was read

    @property
    def frames(self) -> int:
        """How long it is, as far as is known: by its header, until its end was seen. 0 where nobody knows."""
        return self._known or self._promised

    def measure(self) -> int:
        """Find out how many frames it holds, by decoding it once where no header can be trusted.

        Raises:
            FileError: where it cannot be decoded, or is a pipe.
        """
        if not (self._decoder.plain or (self._promised and self._decoder.format_name in COUNTING)):
            self.prepare_seeks()
        return self.frames

    def prepare_seeks(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Decode the file once where that is needed to find places in it; beside a thread that reads.

        Args:
            stopped: whether nobody wants it any more.

        Raises:
            FileError: where it cannot be decoded, and when stopped.
        """
        if self._decoder.seekable and not self._decoder.seekable_by_time:
            self._known = packet_table(self.path, self._stream, stopped).frames

    def read(self, frames: int) -> Float32:
        """Read the next frames, (channels, frames), fewer only at the end.

        Raises:
            FileError: if the file breaks off; with `strict`, if a spot cannot be decoded.
        """
        held = sum(block.shape[1] for block in self._pending)
        while held < frames and (blocks := next(self._source, None)) is not None:
            self._pending += blocks
            held += sum(block.shape[1] for block in blocks)
        parts, wanted = [], min(frames, held)
        while wanted:
            block = self._pending.popleft()
            if block.shape[1] > wanted:
                self._pending.appendleft(block[:, wanted:])
                block = block[:, :wanted]
            parts.append(block)
            wanted -= block.shape[1]
        if not parts:
            return np.zeros((self.channels, 0), np.float32)
        return np.ascontiguousarray(parts[0]) if len(parts) == 1 else np.concatenate(parts, axis=1)

    def seek(self, frame: int) -> None:
        """Go on reading at a frame from the start, to the sample.

        Raises:
            FileError: for a pipe, and where the file breaks.
        """
        frame = max(0, frame)
        if not self._decoder.seekable:
            raise FileError(
                f"{self.path} is a pipe, which plays from its beginning to its end; name a file to go elsewhere"
            )
        packets = self._jump(frame) if frame else None
        if packets is None:
            self._decoder.close()
            self._decoder = Decoder(self.path, self._stream, self._chosen)
            packets = self._decoder.packets()
        self._packets = packets
        behind = frame - self._decoder.position
        self._begin()
        while behind > 0 and (count := self.read(min(behind, self.sample_rate)).shape[1]):
            behind -= count

    def close(self) -> None:
        """Let the file go; more than once is no harm."""
        self._decoder.close()

    def _jump(self, frame: int) -> Iterator[AudioPacket] | None:
        packets = packets_by_time(self._decoder, frame) if self._decoder.seekable_by_time else None
        if packets is None and not self._decoder.plain:
            packets = packets_by_table(self._decoder, packet_table(self.path, self._stream), frame)
        return packets

    def _begin(self) -> None:
        """Read on until there is sound."""
        self._pending: deque[Float32] = deque()
        self._source = self._blocks()
        for blocks in self._source:
            self._pending += blocks
            if blocks:
                break

    def _blocks(self) -> Iterator[list[Float32]]:
        decoder = self._decoder
        for packet in self._packets:
            blocks = decoder.feed(packet)
            self._spots |= {spot.start: spot for spot in decoder.spots}
            self.faults |= {spot.start: spot for spot in decoder.faults}
            if self._strict and (self._spots or self.faults):
                at_s = min({**self._spots, **self.faults}) / self.sample_rate
                raise FileError(f"{self.path} is broken at {at_s:.2f} s; without --strict that spot is silent")
            yield blocks
        self._end()

    def _end(self) -> None:
        """What is known once the end was read."""
        self._known = position = self._decoder.position
        if 2 * sum(spot.frames for spot in self._spots.values()) > position:
            raise FileError(f"{self.path} is broken: most of it cannot be decoded")
        short = self._promised - position
        plain = self._decoder.plain and self._decoder.seekable
        if short > (0.0 if plain else COUNTING.get(self._decoder.format_name, math.inf)) * self.sample_rate:
            raise FileError(f"{self.path} is truncated: it ends at {position} of {self._promised} frames")
        found = [*self._mixed_down(), *self._silent_in_words()]
        if self._promised and abs(short) > WRONG_S * self.sample_rate:
            said_s, true_s = self._promised / self.sample_rate, position / self.sample_rate
            found.append(f"its header says {said_s:.2f} s, it holds {true_s:.2f} s")
        self.remarks = found

    def _mixed_down(self) -> list[str]:
        speakers = self._decoder.speakers
        if self._decoder.matrix is None or self._chosen:
            return []
        names = " ".join(speakers) if all(speakers) else "not named"
        return [f"its {len(speakers)} channels ({names}) are mixed down to stereo; --channels 1,2 takes two of them"]

    def _silent_in_words(self) -> list[str]:
        kinds = {"what cannot be decoded": self._spots, "what is no number": self.faults}
        return [f"{what} is silent: at {self._places(spots)}" for what, spots in kinds.items() if spots]

    def _places(self, spots: dict[int, Spot]) -> str:
        words = [
            f"{spot.start / self.sample_rate:.2f} s ({1000 * spot.frames / self.sample_rate:.0f} ms)"
            for spot in (spots[start] for start in sorted(spots)[:MOST_TOLD])
        ]
        return ", ".join(words) + (f" and {len(spots) - MOST_TOLD} more" if len(spots) > MOST_TOLD else "")


def lossless_subtype(path: Path) -> Subtype:
    """Give the smaller subtype of a wav that holds the very samples of an audio file.

    Raises:
        FileError: for a file that cannot be read.
    """
    decoder = Decoder(path)
    try:
        return "PCM_16" if decoder.codec.format.packed.name == "s16" and decoder.matrix is None else "FLOAT"
    finally:
        decoder.close()
