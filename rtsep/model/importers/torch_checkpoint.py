"""Read torch's files of plain tensors without torch, and without unpickling anything.

A file holds a pickle that describes the tensors, and their storages as raw bytes: as members of a
zip archive since torch 1.6, behind the pickle before. Memory is taken for a tensor only when it is
asked for, so that its size can be held against the file's.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rtsep.core import archive
from rtsep.model.importers.torch_pickle import BrokenError, Foreign, PickleReader, Storage, TensorView, one_line

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a file before 1.6; then its version, then the machine
VERSION = 1001
MAX_PICKLE_BYTES = 20_000_000
STORAGES = {  # torch's names for the types of values, and NumPy's
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "|i1",
    "torch.ByteStorage": "|u1",
    "torch.BoolStorage": "|b1",
}

MAX_LISTED = 20_000  # files that a zip may list
# what zipfile raises on bytes that are no archive, or on a broken one
ZIP_ERRORS = (*archive.BROKEN, OSError)


class BombError(BrokenError):
    """A file that would unpack to more than itself."""


Values = Callable[[Storage], NDArray[Any]]  # gives all values of a storage


def read(raw: bytes) -> tuple[Any, Callable[[TensorView], NDArray[Any]]]:
    """Read what a file holds, and give with it what reads one of its tensors.

    Args:
        raw: the whole file.

    Returns:
        What the file holds, tensors as `TensorView`; and a function from one of these to its array.

    Raises:
        BrokenError: for a file that is damaged, hostile, or none of torch's; the function raises it too.
    """
    content, values = _read_zip(raw) if raw.startswith(b"PK") else _read_stream(raw)
    return content, lambda view: _viewed(view, values)


def _viewed(view: TensorView, values: Values) -> NDArray[Any]:
    """Copy a tensor out of its storage, in the order of its axes."""
    row, size = values(view.storage), view.storage.dtype.itemsize
    if 0 in view.shape:
        return np.zeros(view.shape, view.storage.dtype)
    strides = tuple(size * stride for stride in view.strides)
    return np.array(as_strided(row[view.offset :], view.shape, strides, writeable=False), order="C")


def _read_zip(raw: bytes) -> tuple[Any, Values]:
    """Read the format since torch 1.6."""
    try:
        archive.check_listing(raw, MAX_LISTED)
        source = zipfile.ZipFile(io.BytesIO(raw))
        members = {member.filename: member for member in source.infolist()}
        if (unpacked := sum(member.file_size for member in source.infolist())) > len(raw):
            raise BombError(f"would unpack to {unpacked}")
        pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
        packings = {member.compress_type for member in members.values()}
        if len(pickles) != 1 or len(members) != len(source.infolist()) or not packings <= archive.PACKINGS:
            raise BrokenError("it is an archive of another kind")
        folder = pickles[0].removesuffix("data.pkl")
        if members[pickles[0]].file_size > MAX_PICKLE_BYTES:
            raise BrokenError(f"its description has more than {MAX_PICKLE_BYTES} bytes")
        order = source.read(f"{folder}byteorder") if f"{folder}byteorder" in members else b"little"
        if order != b"little":
            raise BrokenError("it was not saved on a little-endian machine")
        content = PickleReader(_zip_storage).run(io.BytesIO(source.read(pickles[0])))
    except ZIP_ERRORS as error:
        raise BrokenError(one_line(error)) from error

    @lru_cache(maxsize=1)  # tensors that were one on a GPU share theirs
    def values(storage: Storage) -> NDArray[Any]:
        try:
            found = source.read(f"{folder}data/{storage.key}")
        except ZIP_ERRORS as error:
            raise BrokenError(one_line(error)) from error
        if len(found) != storage.count * storage.dtype.itemsize:
            raise BrokenError(f"storage {storage.key!r:.40} has {len(found)} bytes, not those of its values")
        return np.frombuffer(found, storage.dtype)

    return content, values


def _read_stream(raw: bytes) -> tuple[Any, Values]:
    """Read the format before torch 1.6: pickles one after the other, then the storages."""
    file = io.BytesIO(raw)
    magic, version, machine = (PickleReader(_no_storage).run(file) for _ in range(3))
    if magic != MAGIC or version != VERSION or not isinstance(machine, dict):
        raise BrokenError("it does not begin as torch's files do")
    if machine.get("little_endian") is not True:
        raise BrokenError("it was not saved on a little-endian machine")
    program = PickleReader(_stream_storage)
    content = program.run(file)
    keys = PickleReader(_no_storage).run(file)
    if (
        not isinstance(keys, list)
        or any(not isinstance(key, str) for key in keys)
        or set(keys) != set(program.storages)
    ):
        raise BrokenError("its storages are not those of its tensors")
    places: dict[str, int] = {}
    at = file.tell()
    for key in keys:
        storage = program.storages[key]
        if int.from_bytes(raw[at : at + 8], "little") != storage.count or key in places:
            raise BrokenError(f"storage {key!r:.40} has another number of values than its tensors say")
        places[key] = at + 8
        at += 8 + storage.count * storage.dtype.itemsize
    if at > len(raw):
        raise BrokenError(f"its storages end at {at} bytes, the file at {len(raw)}")
    return content, lambda storage: np.frombuffer(raw, storage.dtype, storage.count, places[storage.key])


def _storage(told: object, length: int) -> Storage:
    """Make a storage of what a pickle says of one: its kind, type, name, device, and number of values."""
    if not isinstance(told, tuple) or len(told) != length or told[0] != "storage":
        raise BrokenError("it refers to something that is no storage")
    kind, key, device, count = told[1:5]
    if not isinstance(kind, Foreign) or not isinstance(key, str) or not isinstance(device, str):
        raise BrokenError("it refers to a storage in an unknown way")
    if type(count) is not int or count < 0:
        raise BrokenError(f"storage {key!r:.40} has {count!r:.40} values")
    if kind.name not in STORAGES:
        raise BrokenError(f"it has values of the type {kind.name!r:.60}, which is not read here")
    return Storage(np.dtype(STORAGES[kind.name]), key, count)


def _zip_storage(told: object) -> Storage:
    return _storage(told, 5)


def _stream_storage(told: object) -> Storage:
    if isinstance(told, tuple) and len(told) == 6 and told[5] is not None:
        raise BrokenError("it refers to a part of a storage, as no torch since 0.4 does")
    return _storage(told, 6)


def _no_storage(told: object) -> Storage:
    raise BrokenError("it refers to a storage where none can be")
