"""A small writer of TensorFlow V2 checkpoints, whole and broken, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

CODES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}
MAGIC = bytes.fromhex("57fb808b247547db")
HEADER = b"\x08\x01\x1a\x02\x08\x01"  # one shard, little endian, version 1
RESTART = 16  # entries from one whole key to the next

Item = tuple[bytes, bytes]


def varint(value: int) -> bytes:
    """A whole number, seven bits a byte."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def mask(data: bytes) -> bytes:
    """The masked CRC32C of `data`, 4 bytes."""
    crc = crc32c(data)
    return ((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def number(field: int, value: int) -> bytes:
    """A field of a protocol buffer that holds a whole number; zero is left out, as is usual."""
    return varint(field << 3) + varint(value) if value else b""


def message(field: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds another one."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def entry(code: int, shape: Sequence[int], offset: int, size: int, crc: bytes) -> bytes:
    """The entry of one tensor."""
    dimensions = b"".join(message(2, number(1, length)) for length in shape)
    place = number(4, offset) + number(5, size)
    return number(1, code) + message(2, dimensions) + place + varint(6 << 3 | 5) + crc


def block(items: Sequence[Item], kind: int = 0) -> bytes:
    """A block of sorted keys and values, with its type and CRC32C."""
    content, restarts, before = b"", [], b""
    for place, (key, value) in enumerate(items):
        shared = 0
        if place % RESTART:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        else:
            restarts.append(len(content))
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    content += b"".join(place.to_bytes(4, "little") for place in (*restarts, len(restarts)))
    return content + bytes([kind]) + mask(content + bytes([kind]))


def table(items: Sequence[Item], per_block: int = 64, kind: int = 0) -> bytes:
    """An index file: blocks of `per_block` entries of type `kind`, and the footer."""
    out, handles = b"", []
    for first in range(0, len(items), per_block):
        part = items[first : first + per_block]
        packed = block(part, kind)
        handles.append((part[-1][0], varint(len(out)) + varint(len(packed) - 5)))
        out += packed
    places = b""
    for packed in (block([]), block(handles)):
        places += varint(len(out)) + varint(len(packed) - 5)
        out += packed
    return out + places.ljust(40, b"\0") + MAGIC


def packed(arrays: Mapping[str, NDArray[Any]]) -> tuple[list[Item], bytes]:
    """The items of the index, and the data file."""
    items, data = [(b"", HEADER)], b""
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        raw = array.tobytes()
        shape = arrays[name].shape  # the line above makes a scalar a list of one
        items.append((name.encode(), entry(CODES[array.dtype.name], shape, len(data), len(raw), mask(raw))))
        data += raw
    return items, data


def write_checkpoint(prefix: Path, arrays: Mapping[str, NDArray[Any]], per_block: int = 64) -> Path:
    """Write `arrays` as a checkpoint with a `checkpoint` file beside it; give the folder."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    items, data = packed(arrays)
    write_parts(prefix, table(items, per_block), data)
    (prefix.parent / "checkpoint").write_text(f'model_checkpoint_path: "{prefix.name}"\n', encoding="utf-8")
    return prefix.parent


def write_parts(prefix: Path, index: bytes, data: bytes) -> Path:
    """Write the two files of a checkpoint as they are given; give the prefix."""
    prefix.with_name(f"{prefix.name}.index").write_bytes(index)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    return prefix
