"""One pass over the sound of a file, by FFmpeg's libraries (PyAV), on a time line without holes.

No header is believed: the sound is as long as what can be decoded. What cannot be is silence of the same length, and so
is what time stamps say was lost on the way.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from rtsep.audio.downmix import stereo_matrix
from rtsep.audio.formats import DEMUXERS
from rtsep.errors import FileError

Float32 = NDArray[np.float32]
if TYPE_CHECKING:
    AudioPacket = Packet[AudioStream]
else:
    AudioPacket = Packet  # not generic while it runs

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
RATES = (1000, 768_000)  # Hz
MOST_CHANNELS = 64
LOST_S = 0.05  # by which time stamps must jump to tell that something is missing where nothing failed
LONGEST_S = 30.0  # of what is missing at one spot; a longer jump is a wrong time stamp
SCALES = {"u8": 2.0**-7, "s16": 2.0**-15, "s32": 2.0**-31, "s64": 2.0**-63}  # of whole numbers to full scale
PLAIN = (b"RIFF", b"RF64", b"FORM")  # how files of plain samples begin; FFmpeg would search megabytes of them for DTS
PROBE_BYTES = "65536"


@dataclass(frozen=True)
class Spot:
    """What could not be decoded and is silent."""

    start: int  # frame
    frames: int


class Decoder:
    """Decodes one stream of a file from its beginning; see `packets` and `feed`.

    Args:
        path: of the file; a pipe is read as it comes.
        stream: which of its streams of sound, from 0.
        channels: which of its channels, from 1, one or two; none: all of mono and stereo, and more mixed down.

    Raises:
        FileError: where there is no such sound, or nothing of it can be decoded.
        OSError: where the file cannot be read.
    """

    def __init__(self, path: Path, stream: int = 0, channels: tuple[int, ...] = ()) -> None:
        self.path = path
        self.position = 0  # frames given so far, silence for what is missing included
        self.spots: list[Spot] = []
        self.faults: list[Spot] = []  # samples that are no numbers: silent too
        self._origin: float | None = None  # frames by which time stamps are ahead of the position
        self._failed = False  # what came last
        self._file = _Bytes(path)
        try:
            options = {"format_whitelist": ",".join(DEMUXERS), **self._probe()}
            try:
                self._container = av.open(self._file, "r", options=options, metadata_errors="ignore")
            except (av.error.FFmpegError, ValueError) as error:
                raise FileError(f"{path} is not a sound file") from error
            streams = self._container.streams.audio
            if not streams:
                raise FileError(f"{path} is not a sound file: there is no sound in it")
            if stream >= len(streams):
                raise FileError(f"{path} has no stream of sound {stream}; it has {len(streams)}, counted from 0")
            self.stream = streams[stream]
            if self.stream.codec_context is None:
                raise FileError(f"{path}: its sound is in a codec that FFmpeg does not know")
            self.codec = self.stream.codec_context
            self.codec.options = {"err_detect": "crccheck+explode"}  # else damaged FLAC plays as noise
            self.sample_rate, self.speakers = self.codec.sample_rate, self._speakers()
            self.matrix = _matrix(path, self.speakers, channels)
        except BaseException:
            self._file.close()
            raise
        self.channels = len(self.speakers) if self.matrix is None else len(self.matrix)
        self._resampler: AudioResampler | None = None  # for what has another form than the beginning

    @property
    def promised(self) -> int:
        """The frames that the file's head promises; 0 where it says nothing."""
        duration, base = self.stream.duration, self.stream.time_base
        if not duration and len(self._container.streams) == 1:  # else it may be the picture's
            duration, base = self._container.duration, Fraction(1, av.time_base)
        return max(0, round(float(duration * base) * self.sample_rate)) if duration and base else 0

    @property
    def format_name(self) -> str:
        """What FFmpeg calls the format of the file."""
        return str(self._container.format.name)

    @property
    def seekable(self) -> bool:
        """Whether the file can be read from elsewhere; a pipe cannot."""
        return self._file.seekable()

    @property
    def plain(self) -> bool:
        """Whether the file is plain samples: its length is that of its bytes."""
        return self.codec.name.startswith("pcm_") and self.format_name in ("wav", "w64", "aiff", "au", "caf")

    @property
    def seekable_by_time(self) -> bool:
        """Whether time stamps say exactly where a packet lies."""
        return self.plain or self.format_name == "flac"

    def packets(self) -> Iterator[AudioPacket]:
        """Give the packets from here to the end, an empty one last, which gets out what the decoder holds.

        Raises:
            FileError: where the file cannot be taken apart.
        """
        try:
            yield from self._container.demux(self.stream)
        except av.error.FFmpegError as error:
            at = self.position / self.sample_rate
            raise FileError(f"{self.path} is broken: nothing can be read behind {at:.2f} s") from error

    def feed(self, packet: AudioPacket) -> list[Float32]:
        """Decode a packet.

        Returns:
            Sound, (channels, frames) each, with silence for what was lost before it.
        """
        blocks: list[Float32] = []
        base = packet.time_base or self.stream.time_base or 0
        length = round(float((packet.duration or 0) * base) * self.sample_rate)
        room = length or None if self.format_name == MP4 else None  # it says what of its last packet is no sound
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            self._failed, frames = True, []
            blocks += self._silence(length)
        for frame in frames:
            if frame.samples:
                blocks += self._lost(frame)
                blocks += self._sounds(frame, room)
        return blocks

    def seek(self, time_stamp: int) -> bool:
        """Go on with the packets at a time stamp of the stream, or before it; the position is the caller's to set.

        Returns:
            Whether that went well; where it did not, nothing can be read any more.
        """
        self.settle(self.position)
        try:
            self._container.seek(time_stamp, stream=self.stream)
        except (av.error.FFmpegError, ValueError, OSError):
            return False
        return True

    def settle(self, position: int) -> None:
        """Forget what was decoded after a seek until here, where the sound stands at a position."""
        self.position, self.spots, self.faults = position, [], []
        self._origin, self._failed = None, False

    def close(self) -> None:
        """Let the file go; more than once is no harm."""
        self._container.close()
        self._file.close()

    def _probe(self) -> dict[str, str]:
        """How much FFmpeg may read to find out what the file is; as it likes where nothing is said."""
        if not self._file.seekable():
            return {}
        magic = self._file.read(4)
        self._file.seek(0)
        return {"probesize": PROBE_BYTES} if magic in PLAIN else {}

    def _speakers(self) -> tuple[str, ...]:
        """What loudspeakers the channels are for; checked, since everything else goes by it."""
        rate, count = self.codec.sample_rate or 0, self.codec.channels or 0
        if not RATES[0] <= rate <= RATES[1]:
            raise FileError(
                f"{self.path}: sample rate {rate} Hz is out of range; allowed are {RATES[0]} to {RATES[1]} Hz"
            )
        if not 1 <= count <= MOST_CHANNELS:
            raise FileError(f"{self.path}: {count} channels cannot be; allowed are 1 to {MOST_CHANNELS}")
        names = tuple(channel.name for channel in self.codec.layout.channels)
        if len(names) != count or not set(names) & {"FL", "FR", "FC"}:
            usual = av.AudioLayout(USUAL[count]).channels if count in USUAL else ()
            names = tuple(channel.name for channel in usual) or ("",) * count
        return names

    def _lost(self, frame: AudioFrame) -> list[Float32]:
        """Silence for what is missing before a frame, by its time stamp."""
        failed, self._failed = self._failed, False
        if frame.pts is None or frame.time_base is None:
            return []
        stamp = float(frame.pts * frame.time_base) * self.sample_rate
        if self._origin is None:
            self._origin = stamp - self.position
        missing = round(stamp - self._origin) - self.position
        if not failed and abs(missing) <= LOST_S * self.sample_rate:
            return []
        # else a new file behind the first, or a wrong time stamp
        blocks = self._silence(missing) if 0 < missing <= LONGEST_S * self.sample_rate else []
        self._origin = stamp - self.position
        return blocks

    def _silence(self, frames: int) -> list[Float32]:
        if frames <= 0:
            return []
        self.spots.append(Spot(self.position, frames))
        self.position += frames
        return [np.zeros((self.channels, frames), np.float32)]

    def _sounds(self, frame: AudioFrame, room: int | None) -> list[Float32]:
        if (frame.sample_rate, len(frame.layout.channels)) == (self.sample_rate, len(self.speakers)):
            frames = [frame]
        else:  # another song behind the first
            if self._resampler is None:
                self._resampler = AudioResampler("fltp", self.codec.layout, self.sample_rate)
            frames = self._resampler.resample(frame)
        blocks = []
        for one in frames:
            sound = self._sane(_samples(one)[:, :room])
            blocks.append(sound if self.matrix is None else self.matrix @ sound)
            self.position += sound.shape[1]
        return blocks

    def _sane(self, sound: Float32) -> Float32:
        """The same without samples that are no numbers: they are silent."""
        wrong = ~np.isfinite(sound)
        if not wrong.any():
            return sound
        at = np.flatnonzero(wrong.any(axis=0))
        self.faults.append(Spot(self.position + int(at[0]), len(at)))
        return np.where(wrong, np.float32(0.0), sound)


class _Bytes:
    """A file as FFmpeg reads it: by a name of any bytes, and what it wants to seek in vain is no exception."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._file = file = path.open("rb", buffering=0)
        self.seekable, self.read, self.tell, self.close = file.seekable, file.read, file.tell, file.close
        weakref.finalize(self, file.close)  # where nobody closed it

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, OverflowError):
            return -1


USUAL = {3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # where a file doesn't say, by channels


def _samples(frame: AudioFrame) -> Float32:
    """The samples of a frame as floats, (channels, frames), contiguous."""
    coded = frame.to_ndarray()
    if not frame.format.is_planar:
        coded = coded.reshape(frame.samples, -1).T
    scale = SCALES.get(frame.format.packed.name)
    if frame.format.packed.name == "u8":
        coded = coded.astype(np.float32) - np.float32(128.0)
    sound = np.ascontiguousarray(coded, np.float32)
    return sound if scale is None else sound * np.float32(scale)


def _matrix(path: Path, speakers: tuple[str, ...], channels: tuple[int, ...]) -> Float32 | None:
    """What the channels of a file are multiplied by; None where they stay as they are."""
    if channels:
        if not all(1 <= channel <= len(speakers) for channel in channels):
            given = ",".join(map(str, channels))
            raise FileError(f"{path}: channels {given} are not in it; it has {len(speakers)}, counted from 1")
        return np.eye(len(speakers), dtype=np.float32)[[channel - 1 for channel in channels]]
    return stereo_matrix(speakers) if len(speakers) > 2 else None
