"""Weights in a quarter of their bytes: `weights.packed`, from which the floats are made on loading.

The kernels of a U-Net are signed whole numbers of a few bits with one scale for each output channel, all
else is float32 as it was. They lie in a safetensors blob, one number a byte, which zlib brings down to
little more than their entropy. The numbers may be a difference, which is added to the kernels of another
model, the base. Rounding is the same on every machine, so what is unpacked has a sum that is known.

The file is read as a stranger's: it says what network it holds before anything else, and no more is
unpacked than that network has.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rtsep.errors import ModelError
from rtsep.model.architectures import Architecture, UNetArchitecture
from rtsep.model.folder import JSON_NAME, Packing, file_record
from rtsep.model.shapes import MIX, tensor_shapes
from rtsep.model.weights import (
    CURE,
    DESCRIPTION,
    MAX_HEADER_BYTES,
    Float32,
    Weights,
    check_names,
    check_tensors,
    read_description,
)

BITS = (4, 8)  # fewest and most of a kernel's numbers
DIFFERENCE_BITS = (2, 8)  # likewise where they are a difference
MOST_VALUES = 250_000_000  # of one network: a gigabyte of floats
SCALE = ".scale"  # behind the name of a kernel
CLIPPINGS = (1.0, 0.92, 0.84, 0.76, 0.68, 0.6, 0.52, 0.44)  # of a channel's peak; the best of them is taken
STRATEGIES = (zlib.Z_HUFFMAN_ONLY, zlib.Z_DEFAULT_STRATEGY)  # for noise, and for many zeros in a row


def floats_sha256(tensors: Mapping[str, Float32]) -> str:
    """Give the sha256 of all tensors as little-endian float32, in the order of their names."""
    sum_ = hashlib.sha256()
    for name in sorted(tensors):
        sum_.update(np.ascontiguousarray(tensors[name], "<f4").data)
    return sum_.hexdigest()


def write_packed(
    weights: Weights, path: Path, bits: int, base: Weights | None = None, name: str = ""
) -> dict[str, Any]:
    """Write a U-Net's weights packed.

    Args:
        weights: of a U-Net.
        path: of the file.
        bits: of each number of a kernel, 4 to 8; of a difference from 2.
        base: weights that the numbers are added to; None for none.
        name: of the model that the base is of.

    Returns:
        What model.json is to say of the file.

    Raises:
        ModelError: for what cannot be packed.
    """
    architecture = weights.architecture
    if not isinstance(architecture, UNetArchitecture):
        raise ModelError(f"only the weights of U-Nets can be packed, these are of family {architecture.family}")
    check_tensors(weights, "weights")
    low, high = BITS if base is None else DIFFERENCE_BITS
    if not low <= bits <= high:
        raise ModelError(f"{bits} bits cannot be packed; allowed are {low} to {high}")
    if base is not None:
        _check_base(base, architecture, f"base {name}")
    stored: dict[str, NDArray[Any]] = {}
    for key in _sizes(architecture, str(path)):
        tensor = weights.tensors[key]
        if tensor.ndim == 1:
            stored[key] = np.ascontiguousarray(tensor, np.float32)
            continue
        wanted = tensor if base is None else tensor - base.tensors[key]
        stored[key], stored[key + SCALE] = _rounded(wanted, _channels(key), bits)
    blob = save(stored, {DESCRIPTION: json.dumps(architecture.to_dict())})
    path.write_bytes(min((_squeezed(blob, strategy) for strategy in STRATEGIES), key=len))
    sum_ = floats_sha256(_floats(stored, architecture, base))
    entry = {**file_record(path), "bits": bits, "floats_sha256": sum_}
    if base is not None:
        entry["base"] = {"model": name, "floats_sha256": floats_sha256(base.tensors)}
    return entry


def read_packed(path: Path, packing: Packing, base: Weights | None = None) -> Weights:
    """Unpack weights.

    Args:
        path: of the file.
        packing: what model.json says of it.
        base: the weights of `packing.base`; None where it has none.

    Raises:
        ModelError: for a file that is broken, foreign or hostile, that does not come to the floats that `packing`
            tells, or that does not fit its base.
    """
    low, high = BITS if packing.base is None else DIFFERENCE_BITS
    if not low <= packing.bits <= high:
        raise ModelError(f"{path}: its numbers have {packing.bits} bits; allowed are {low} to {high}; {CURE}")
    try:
        architecture, blob = _unsqueezed(path)
        stored = load(blob)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error})") from error
    except (zlib.error, SafetensorError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{path} holds no packed weights, or is damaged ({reason}); {CURE}") from error
    _check_stored(path, stored, architecture, packing.bits)
    if base is not None:
        _check_base(base, architecture, str(path))
    tensors = _floats(stored, architecture, base)
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ModelError(f"{path}: {name!r} comes to values that are not finite; {CURE}")
    if (real := floats_sha256(tensors)) != packing.floats_sha256:
        raise ModelError(
            f"{path} comes to floats with sha256 {real[:12]}..., {JSON_NAME} says {packing.floats_sha256[:12]}...; "
            f"{CURE}"
        )
    return Weights(architecture, tensors)


def _rounded(values: Float32, axis: int, bits: int) -> tuple[NDArray[np.int8], Float32]:
    """Whole numbers of `bits`, and the scale of each channel along `axis` that makes the smallest error."""
    top = 2 ** (bits - 1) - 1
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    peaks = np.abs(rows).max(1)
    least, scales = np.full(len(rows), np.inf), np.zeros(len(rows), np.float32)
    for clipping in CLIPPINGS:
        tried = np.where(peaks > 0.0, peaks * np.float32(clipping / top), np.float32(1.0)).astype(np.float32)
        tried = np.where(tried > 0.0, tried, np.float32(1.0))  # of peaks too small for float32
        error = np.square(_codes(rows, tried, top) * tried[:, None] - rows).sum(1, dtype=np.float64)
        better = error < least
        least, scales = np.where(better, error, least), np.where(better, tried, scales)
    codes = _codes(rows, scales, top).astype(np.int8)
    shape = (values.shape[axis], *np.delete(values.shape, axis))
    return np.ascontiguousarray(np.moveaxis(codes.reshape(shape), 0, axis)), scales


def _codes(rows: Float32, scales: Float32, top: int) -> Float32:
    codes: Float32 = np.clip(np.rint(rows / scales[:, None]), -top, top)
    return codes


def _floats(stored: Mapping[str, NDArray[Any]], architecture: Architecture, base: Weights | None) -> dict[str, Float32]:
    found: dict[str, Float32] = {}
    for name, shape in tensor_shapes(architecture).items():
        if len(shape) == 1:
            found[name] = stored[name]
            continue
        along = [1] * len(shape)
        along[_channels(name)] = -1
        kernel: Float32 = stored[name].astype(np.float32)
        with np.errstate(over="ignore"):  # told by `read_packed`
            kernel *= stored[name + SCALE].reshape(along)
            if base is not None:
                kernel += base.tensors[name]
        found[name] = kernel
    return found


def _channels(name: str) -> int:
    """The axis of a kernel's output channels: the second of a transposed convolution."""
    return 1 if ".decoders." in name and f".{MIX}." not in name else 0


def _squeezed(blob: bytes, strategy: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
    return packer.compress(blob) + packer.flush()


def _unsqueezed(path: Path) -> tuple[Architecture, bytes]:
    """The network that a file holds, and its blob: its head first, then just as much as the head allows."""
    unpacker = zlib.decompressobj()
    raw = path.read_bytes()
    size = unpacker.decompress(raw, 8)
    length = struct.unpack("<Q", size)[0] if len(size) == 8 else 0
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise ModelError(f"{path} holds no packed weights of ours: their header would have {length} bytes; {CURE}")
    header = unpacker.decompress(unpacker.unconsumed_tail, length)
    try:
        metadata = json.loads(header)["__metadata__"]
        if not all(isinstance(value, str) for value in metadata.values()):
            raise TypeError("its metadata is no text")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} does not say what network its tensors belong to; {CURE}") from error
    architecture = read_description(metadata, str(path))
    wanted = sum(_sizes(architecture, str(path)).values())
    data = unpacker.decompress(unpacker.unconsumed_tail, wanted + 1)
    if len(data) < wanted and not unpacker.eof:
        raise ModelError(f"{path} is truncated: {len(data)} of {wanted} bytes come out; {CURE}")
    if len(data) != wanted or not unpacker.eof or unpacker.unused_data:
        raise ModelError(f"{path} holds not just the {wanted} bytes that its network has; {CURE}")
    return architecture, size + header + data


def _sizes(architecture: Architecture, where: str) -> dict[str, int]:
    """The bytes of each tensor and its scales, by the tensor's name; `ModelError` for a network that cannot be."""
    if not isinstance(architecture, UNetArchitecture):
        raise ModelError(f"{where}: only U-Nets can be packed, its network is of family {architecture.family}; {CURE}")
    shapes = tensor_shapes(architecture)
    values = sum(int(np.prod(shape, dtype=object)) for shape in shapes.values())
    if values > MOST_VALUES:
        raise ModelError(f"{where}: its network has {values} weights; at most {MOST_VALUES} can be packed; {CURE}")
    return {
        name: 4 * shape[0] if len(shape) == 1 else int(np.prod(shape)) + 4 * shape[_channels(name)]
        for name, shape in shapes.items()
    }


def _check_stored(path: Path, stored: Mapping[str, NDArray[Any]], architecture: Architecture, bits: int) -> None:
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, shape in tensor_shapes(architecture).items():
        wanted[name] = ("float32" if len(shape) == 1 else "int8", shape)
        if len(shape) > 1:
            wanted[name + SCALE] = ("float32", (shape[_channels(name)],))
    check_names(stored, wanted, str(path))
    top = 2 ** (bits - 1) - 1
    for name, (kind, shape) in wanted.items():
        tensor = stored[name]
        if (tensor.dtype.name, tensor.shape) != (kind, shape):
            raise ModelError(
                f"{path}: {name!r} is {tensor.dtype.name} of shape {tensor.shape}, its network wants {kind} of "
                f"{shape}; {CURE}"
            )
        if kind == "int8":
            if tensor.size and (int(tensor.min()) < -top or int(tensor.max()) > top):
                raise ModelError(f"{path}: {name!r} holds numbers of more than {bits} bits; {CURE}")
        elif not np.isfinite(tensor).all():
            raise ModelError(f"{path}: {name!r} holds values that are not finite; {CURE}")


def _check_base(base: Weights, architecture: Architecture, where: str) -> None:
    if tensor_shapes(base.architecture) != tensor_shapes(architecture):
        raise ModelError(f"{where}: its base is another network; give one of the same stems, channels and filters")
