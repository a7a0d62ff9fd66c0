"""Where each packet of a file begins in its sound: what makes seeking exact in every format.

Headers and time stamps of many formats tell only about where a packet lies. The table is made by decoding the file
once; after a seek the packet that came is looked up in it by its place and its bytes, not by what it says of itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.decoder import AudioPacket, Decoder, Spot
from rtsep.errors import FileError

MOST_TABLES = 256  # that are remembered


@dataclass(frozen=True)
class PacketTable:
    """The packets of one stream, in their order."""

    places: NDArray[np.int64]  # of each in the file, bytes; -1 where nobody knows
    sums: NDArray[np.uint32]  # of the bytes of each
    stamps: NDArray[np.int64]  # of each, in the stream's time base
    starts: NDArray[np.int64]  # frame at which the sound stands when each is fed to a decoder
    frames: int  # of the whole sound
    spots: tuple[Spot, ...]  # of it that could not be decoded

    def packet_before(self, frame: int) -> int:
        """Give the last packet that is fed at a frame or before it."""
        return max(0, int(np.searchsorted(self.starts, frame, "right")) - 1)

    def find(self, packet: AudioPacket) -> int | None:
        """Give the place in the table of a packet, the first that came after a seek; None where it is none of these."""
        first, last = np.searchsorted(self.places, [packet.pos or 0, (packet.pos or 0) + 1])
        same = np.flatnonzero(self.sums[first:last] == checksum(packet))
        return int(first + same[0]) if packet.pos is not None and len(same) else None


_REMEMBERED: dict[tuple[Path, int, int, int], PacketTable] = {}
_LOCK = Lock()


def checksum(packet: AudioPacket) -> int:
    """Give a sum of a packet's bytes."""
    return zlib.crc32(bytes(packet))


def packet_table(path: Path, stream: int = 0, stopped: Callable[[], bool] = lambda: False) -> PacketTable:
    """Decode a file once, and tell where its packets lie; it is remembered until the file changes.

    Args:
        path: of the file.
        stream: which of its streams of sound, from 0.
        stopped: whether nobody wants to know any more; asked for each packet.

    Raises:
        FileError: for a file that cannot be decoded, and when stopped.
        OSError: where it cannot be read.
    """
    facts = path.stat()
    key = (path, stream, facts.st_mtime_ns, facts.st_size)
    found = _REMEMBERED.get(key) or _read(path, stream, stopped)
    with _LOCK:
        _REMEMBERED[key] = found
        while len(_REMEMBERED) > MOST_TABLES:
            del _REMEMBERED[next(iter(_REMEMBERED))]
    return found


def _read(path: Path, stream: int, stopped: Callable[[], bool]) -> PacketTable:
    decoder = Decoder(path, stream)
    try:
        rows = []
        for packet in decoder.packets():
            if stopped():
                raise FileError(f"{path}: stopped")
            if packet.size:
                place = -1 if packet.pos is None else packet.pos
                rows.append((place, checksum(packet), packet.pts or 0, decoder.position))
            decoder.feed(packet)
        columns = np.array(rows, np.int64).reshape(-1, 4).T
        places, sums, stamps, starts = (np.ascontiguousarray(column) for column in columns)
        # places rise in a sound file; where they do not, nothing is found and the file is read from its beginning
        return PacketTable(places, sums.astype(np.uint32), stamps, starts, decoder.position, tuple(decoder.spots))
    finally:
        decoder.close()
