"""Read TensorFlow V2 checkpoints without TensorFlow: an index, and one file of raw tensors.

The index is a table as LevelDB writes it (github.com/google/leveldb, doc/table_format.md): blocks
of sorted keys that share prefixes, each block with a CRC32C. Its values are protocol buffers
(tensorflow/core/protobuf/tensor_bundle.proto) that say where each tensor lies and what its own
CRC32C is. Everything is checked against the files before memory is taken for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

from rtsep.errors import ModelError

INDEX, DATA, STATE = ".index", ".data-00000-of-00001", "checkpoint"
MAGIC = 0xDB4775248B80FB57
FOOTER = 48
TRAILER = 5  # bytes behind a block: its type, and the CRC32C of both
MAX_INDEX_BYTES = 4_000_000  # of Spleeter's the largest has 13,000
MAX_ENTRIES = 10_000
MAX_NAME = 500
MAX_DIMENSIONS = 8
MAX_STATE_BYTES = 1_000_000
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 6: "|i1", 9: "<i8", 10: "|b1", 19: "<f2"}  # of types.proto


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies in the data file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int  # bytes
    size: int  # bytes
    crc: int  # CRC32C of its bytes, masked


@dataclass(frozen=True)
class Bundle:
    """A checkpoint whose index was read and checked; the data is read when asked for."""

    data: Path
    entries: dict[str, TensorEntry]

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor in its own shape, read-only.

        Raises:
            ModelError: where the file cannot be read, or the tensor's CRC32C differs.
        """
        entry = self.entries[name]
        try:
            with self.data.open("rb") as file:
                file.seek(entry.offset)
                raw = file.read(entry.size)
        except OSError as error:
            raise ModelError(f"{self.data} cannot be read ({error.strerror})") from error
        if len(raw) != entry.size or masked(crc32c(raw)) != entry.crc:
            raise ModelError(f"{self.data}: tensor {name!r} is damaged, its CRC32C differs; get the checkpoint again")
        return np.frombuffer(raw, entry.dtype).reshape(entry.shape)


def masked(crc: int) -> int:
    """Give a CRC32C as LevelDB stores it: rotated and moved, so that data may contain it."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def find_prefix(path: Path) -> Path:
    """Find a checkpoint, and give what its files' names begin with.

    Args:
        path: such a prefix itself, an `.index` file, or a folder. In a folder the file `checkpoint` says which one,
            else it is `model`, else the newest `model.ckpt-N`.

    Raises:
        ModelError: where there is none, and where the file `checkpoint` names another than one beside it.
    """
    if path.suffix == INDEX and path.is_file():
        return path.with_suffix("")
    if not path.is_dir():
        if path.with_name(path.name + INDEX).is_file():
            return path
        raise ModelError(f"{path} is no checkpoint: neither a folder nor the name of an {INDEX} file without its end")
    try:
        if (path / STATE).is_file():
            return path / _latest(path)
        found = {file.stem: file for file in path.glob(f"model*{INDEX}") if file.is_file()}
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    if "model" in found:
        return path / "model"
    steps = {int(match[1]): name for name in found if (match := re.fullmatch(r"model\.ckpt-([0-9]{1,18})", name))}
    if not steps:
        raise ModelError(f"{path} holds no checkpoint; wanted is model{INDEX} or model.ckpt-N{INDEX} and its data")
    return path / steps[max(steps)]


def _latest(folder: Path) -> str:
    """Read which checkpoint the file `checkpoint` names; it must lie beside that file."""
    file = folder / STATE
    if file.stat().st_size > MAX_STATE_BYTES:
        raise ModelError(f"{file} has more than {MAX_STATE_BYTES} bytes; that is no list of checkpoints")
    text = file.read_text(encoding="utf-8", errors="replace")
    match = re.search(r'^\s*model_checkpoint_path\s*:\s*"([^"\n]*)"', text, re.MULTILINE)
    if match is None:
        raise ModelError(f"{file} names no model_checkpoint_path; delete it if its folder holds just one checkpoint")
    # TensorFlow writes a full path where it was asked to save to one, and folders move from machine to machine: then
    # the name counts
    named = PureWindowsPath(match[1]) if "\\" in match[1] else PurePosixPath(match[1])
    if named.name != match[1] and not named.is_absolute():
        raise ModelError(f"{file} names {match[1]!r}, outside its folder; only a plain name is allowed there")
    if named.name in ("", "..") or not (folder / (named.name + INDEX)).is_file():
        raise ModelError(
            f"{file} names {named.name!r}, but {named.name + INDEX} is not there; get it, or edit the file"
        )
    return named.name


def open_bundle(prefix: Path) -> Bundle:
    """Read the index of a checkpoint and check it against its data file.

    Args:
        prefix: what its files' names begin with.

    Raises:
        ModelError: for files that are missing, damaged, compressed, of several shards or of another kind, and for
            tensors that do not fit their size or the file.
    """
    index, data = (prefix.with_name(prefix.name + end) for end in (INDEX, DATA))
    for file in (index, data):
        if not file.is_file():
            raise ModelError(f"{file} is missing; a checkpoint is an {INDEX} and a {DATA} file")
    entries = read_index(index)
    end = data.stat().st_size
    for name, entry in entries.items():
        if entry.offset + entry.size > end:
            raise ModelError(f"{data}: tensor {name!r} ends beyond the file's {end} bytes; get the checkpoint again")
    if sum(entry.size for entry in entries.values()) > end:
        raise ModelError(f"{data}: its tensors overlap; get the checkpoint again")
    return Bundle(data, entries)


def read_index(index: Path) -> dict[str, TensorEntry]:
    """Read an index alone: the entries by name, sorted.

    Raises:
        ModelError: for an index that is damaged, compressed, of several shards or of another kind.
    """
    try:
        size = index.stat().st_size
        if size > MAX_INDEX_BYTES:
            raise ModelError(f"{index} has {size} bytes; an index of more than {MAX_INDEX_BYTES} is not read")
        raw = index.read_bytes()
    except OSError as error:
        raise ModelError(f"{index} cannot be read ({error.strerror})") from error
    if len(raw) < FOOTER or int.from_bytes(raw[-8:], "little") != MAGIC:
        raise ModelError(f"{index} is no index of a TensorFlow V2 checkpoint, or is cut short; get it again")
    try:
        return _entries(raw)
    except _BrokenError as error:
        raise ModelError(f"{index}: {error}; get the checkpoint again") from error


class _BrokenError(Exception):
    """What is wrong inside an index, without the file's name."""


def _entries(raw: bytes) -> dict[str, TensorEntry]:
    footer = raw[-FOOTER:]
    _, _, position = _handle(footer, 0)  # of the table's own properties, which hold nothing for us
    start, size, _ = _handle(footer, position)
    items: list[tuple[bytes, bytes]] = []
    for _, handle in _block(raw, start, size):
        items += _block(raw, *_handle(handle, 0)[:2])
        if len(items) > MAX_ENTRIES:
            raise _BrokenError(f"it lists more than {MAX_ENTRIES} tensors")
    keys = [key for key, _ in items]
    if any(first >= second for first, second in pairwise(keys)):
        raise _BrokenError("its names are not in order")
    if not keys or keys[0] != b"":
        raise _BrokenError("it has no header")
    _check_header(items[0][1])
    entries = {}
    for key, value in items[1:]:
        name = key.decode("utf-8", "backslashreplace")
        entries[name] = _entry(name, value)
    return entries


def _block(raw: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Give the keys and values of one block, after its CRC32C was checked."""
    end = start + size
    if size < 4 or end + TRAILER > len(raw) - FOOTER:
        raise _BrokenError(f"a block of {size} bytes at {start} is not within the file")
    if masked(crc32c(raw[start : end + 1])) != int.from_bytes(raw[end + 1 : end + TRAILER], "little"):
        raise _BrokenError(f"the block at {start} is damaged, its CRC32C differs")
    if raw[end] != 0:
        raise _BrokenError(f"the block at {start} is compressed (type {raw[end]}), which is not supported")
    block = raw[start:end]
    # behind the entries: places where a key is whole, for searching, and their number
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    position, key = 0, b""
    if end < 0:
        raise _BrokenError(f"the block at {start} has no room for its table")
    for _ in range(MAX_ENTRIES + 1):
        if position == end:
            return
        shared, position = _varint(block, position)
        fresh, position = _varint(block, position)
        length, position = _varint(block, position)
        if shared > len(key) or shared + fresh > MAX_NAME or position + fresh + length > end:
            raise _BrokenError(f"the block at {start} has an entry that does not fit")
        key = key[:shared] + block[position : position + fresh]
        position += fresh + length
        yield key, block[position - length : position]
    raise _BrokenError(f"the block at {start} lists more than {MAX_ENTRIES} tensors")


def _check_header(value: bytes) -> None:
    fields = dict(_fields("the header", value))
    if (shards := fields.get(1, 0)) != 1:
        raise _BrokenError(f"its data is in {shards!r} files; only one is supported; save it anew with TensorFlow")
    if fields.get(2, 0) != 0:
        raise _BrokenError("its data is big-endian, which is not supported")


def _entry(name: str, value: bytes) -> TensorEntry:
    fields: dict[int, int | bytes] = {}
    for number, content in _fields(repr(name), value):
        if number == 7:
            raise _BrokenError(f"tensor {name!r} is stored in slices, which is not supported")
        fields[number] = content
    code, shard, offset, size, crc = (fields.get(number, 0) for number in (1, 3, 4, 5, 6))
    shape = fields.get(2, b"")
    if not (
        isinstance(code, int)
        and isinstance(shape, bytes)
        and isinstance(offset, int)
        and isinstance(size, int)
        and isinstance(crc, int)
        and shard == 0
    ):
        raise _BrokenError(f"the entry of {name!r} is not as it should be")
    if code not in DTYPES:
        raise _BrokenError(f"tensor {name!r} has the unsupported data type {code} of TensorFlow")
    dtype, sizes = np.dtype(DTYPES[code]), tuple(_sizes(name, shape))
    if len(sizes) > MAX_DIMENSIONS or size != dtype.itemsize * math.prod(sizes):
        raise _BrokenError(f"tensor {name!r} has {size} bytes, which is not {dtype.name} of shape {sizes}")
    return TensorEntry(dtype, sizes, offset, size, crc)


def _sizes(name: str, shape: bytes) -> Iterator[int]:
    for number, dimension in _fields(repr(name), shape):
        if number == 2 and isinstance(dimension, bytes):
            size = dict(_fields(repr(name), dimension)).get(1, 0)
            if not isinstance(size, int) or not 1 <= size < 1 << 31:
                raise _BrokenError(f"tensor {name!r} has a dimension of {size!r}")
            yield size


def _fields(what: str, message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give the fields of a protocol buffer: numbers as such, all else as bytes."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        match tag & 7:
            case 0:
                number, position = _varint(message, position)
                yield tag >> 3, number
                continue
            case 1:
                length = 8
            case 2:
                length, position = _varint(message, position)
            case 5:
                length = 4
            case kind:
                raise _BrokenError(f"{what} has a field of the unknown kind {kind}")
        position += length
        if position > len(message):
            raise _BrokenError(f"{what} is cut short")
        content = message[position - length : position]
        yield tag >> 3, int.from_bytes(content, "little") if tag & 7 != 2 else content


def _handle(data: bytes, position: int) -> tuple[int, int, int]:
    """Read where a block lies: its offset, its size, and the position behind."""
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return offset, size, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a whole number, seven bits a byte, the lowest first; give it and the position behind."""
    value = 0
    for place, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, position + place + 1
    raise _BrokenError(f"a number at {position} is cut short")
