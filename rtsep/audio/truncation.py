"""Whether a file was cut short, by what its head promises; nothing else of a head is believed.

A length that says "not known", as programs write it that cannot go back to the head, promises nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

OGG_PAGE = 65307  # bytes of the largest page
SLACK = 4096  # bytes by which encoders of MP3 count wrong
MOST_CHUNKS = 64  # that are looked at before the samples


def missing_bytes(path: Path) -> str:
    """Say what a file lacks of what its head promises; empty where it lacks nothing, or promises nothing.

    Args:
        path: of a plain file.

    Returns:
        A part of a sentence, as "its header promises 5292044 bytes, it has 2646022".

    Raises:
        OSError: where it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head.startswith(b"OggS"):
            return _ogg(file, size)
        look = next((look for magic, look in PROMISES.items() if head.startswith(magic)), None)
        look = _atoms if head[4:8] == b"ftyp" else look
        promised = look(file, size) if look else 0
    return f"its header promises {promised} bytes, it has {size}" if promised > size + 1 else ""


def _riff(file: BinaryIO, size: int, order: str = "little") -> int:
    """RIFF, RF64 and AIFF: by the chunk of the samples."""
    big = order == "big"
    place, long = 12, 0
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return 0
        name, length = head[:4], int.from_bytes(head[4:], "big" if big else "little")
        if name == b"ds64":
            long = int.from_bytes(file.read(16)[8:], "little")
        if name in (b"data", b"SSND"):
            if length == 0xFFFFFFFF and long:
                return place + 8 + long if long < 1 << 62 else 0
            return 0 if _unknown(length) else place + 8 + length
        place += 8 + length + length % 2
    return 0


def _unknown(length: int) -> bool:
    """Whether a length of 32 bits is one that programs write who do not know it: none, half of all or all, about."""
    return length == 0 or 0x7FFFEF00 <= length <= 0x80001000 or length >= 0xFFFFEF00


def _aiff(file: BinaryIO, size: int) -> int:
    return _riff(file, size, "big")


def _atoms(file: BinaryIO, size: int) -> int:
    """MP4: by its atoms, one behind the other."""
    place = 0
    while 0 <= place < size:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return place + 8
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end
            return 0
        place += length
    return place


def _matroska(file: BinaryIO, size: int) -> int:
    """Matroska: by the size of its segment, which may be unknown."""
    file.seek(0)
    head = file.read(4096)
    at = head.find(b"\x18\x53\x80\x67")
    if at < 0 or at + 12 > len(head) or not head[at + 4]:
        return 0
    first = head[at + 4]
    length = 9 - first.bit_length()
    value = int.from_bytes(head[at + 4 : at + 4 + length], "big") & ~(1 << 7 * length)
    return 0 if value == (1 << 7 * length) - 1 else at + 4 + length + value


def _mp3(file: BinaryIO, size: int) -> int:
    """MP3: by the bytes that the first frame counts, where it is one of Xing's."""
    file.seek(0)
    head = file.read(10)
    place = 0
    if head[:3] == b"ID3" and len(head) == 10:
        place = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(place)
    frame = file.read(200)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags = int.from_bytes(frame[at + 4 : at + 8], "big") if at >= 0 else 0
    if not flags & 2:
        return 0
    begin = at + 8 + 4 * (flags & 1)
    return place + int.from_bytes(frame[begin : begin + 4], "big") - SLACK


def _ogg(file: BinaryIO, size: int) -> str:
    """Ogg: its last page says that it is the last, and is whole."""
    file.seek(max(0, size - OGG_PAGE))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
    length = 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 26 else 27
    return "its last page is missing" if len(page) < length or not page[5] & 4 else ""


PROMISES: dict[bytes, Callable[[BinaryIO, int], int]] = {  # by how a file begins
    b"RIFF": _riff,
    b"RF64": _riff,
    b"BW64": _riff,
    b"FORM": _aiff,
    b"\x1a\x45\xdf\xa3": _matroska,
    b"ID3": _mp3,
    b"\xff\xfb": _mp3,
    b"\xff\xf3": _mp3,
    b"\xff\xfa": _mp3,
}
