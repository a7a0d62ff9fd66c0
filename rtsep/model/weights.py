"""Weights that can be trained on: `weights.safetensors` beside a graph, with the network's description in it.

The file is read as a stranger's: sizes before memory, shapes by what its own description makes,
nothing that could run. torch is not needed: the tensors are NumPy's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rtsep.core.spec import ModelSpec
from rtsep.errors import ModelError
from rtsep.model.architectures import Architecture, from_dict
from rtsep.model.folder import WEIGHTS_NAME, file_record, write_json
from rtsep.model.shapes import tensor_shapes

Float32 = NDArray[np.float32]

DESCRIPTION = "architecture"  # the one entry of the file's metadata
MAX_BYTES = 2_000_000_000
MAX_HEADER_BYTES = 1_000_000  # the names and shapes of some thousand tensors
TYPES = {"F32", "F16"}
CURE = "get the model again, or import or export it anew"


class Weights(NamedTuple):
    """A network's description and its tensors, float32, by the names of `tensor_shapes`."""

    architecture: Architecture
    tensors: Mapping[str, Float32]


def write_weights(weights: Weights, path: Path, half: bool = False) -> None:
    """Write a network's weights; what is already there is replaced.

    Args:
        weights: of the network.
        path: of the file.
        half: matrices as float16; vectors (scalers, gains, offsets) stay float32, for their range is wide.

    Raises:
        ModelError: for tensors that are not the network's, and values that are not finite in their type.
    """
    check_tensors(weights, "weights")
    stored: dict[str, NDArray[Any]] = {}
    for name in tensor_shapes(weights.architecture):
        tensor = weights.tensors[name]
        kind = np.dtype(np.float16 if half and tensor.ndim > 1 else np.float32)
        with np.errstate(over="ignore"):  # told below
            value = np.ascontiguousarray(tensor, kind)
        if not np.isfinite(value).all():
            raise ModelError(f"weights: {name!r} holds values that are not finite as {kind.name}; train anew")
        stored[name] = value
    path.write_bytes(save(stored, {DESCRIPTION: json.dumps(weights.architecture.to_dict())}))


def read_weights(path: Path) -> Weights:
    """Read a network's architecture and its tensors, all float32.

    Raises:
        ModelError: for a file that is missing, broken, foreign or hostile.
    """
    try:
        _check_sizes(path)
        with safe_open(path, framework="np") as file:
            architecture = read_description(file.metadata() or {}, str(path))
            wanted = tensor_shapes(architecture)
            check_names(file.keys(), wanted, str(path))
            tensors = {name: _tensor(path, file, name, shape) for name, shape in wanted.items()}
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error})") from error
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{path} is no safetensors file, or is damaged ({reason}); {CURE}") from error
    return Weights(architecture, tensors)


def write_model(weights: Weights, spec: ModelSpec, folder: Path) -> Path:
    """Write a model that plays from its weights alone, as a U-Net can.

    Args:
        weights: of the network.
        spec: of the model.
        folder: to write into.

    Returns:
        The path of its model.json.

    Raises:
        ModelError: for tensors that are not the network's, and values that are not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(weights, folder / WEIGHTS_NAME)
    return write_json(folder, spec, {"weights": file_record(folder / WEIGHTS_NAME)})


def check_tensors(weights: Weights, where: str) -> None:
    """Check that tensors have just the names and shapes of their network.

    Args:
        weights: of the network.
        where: what the message begins with, as the file's name.

    Raises:
        ModelError: where they have not.
    """
    wanted = tensor_shapes(weights.architecture)
    check_names(weights.tensors, wanted, where)
    for name, shape in wanted.items():
        if (found := weights.tensors[name].shape) != shape:
            raise ModelError(f"{where}: {name!r} has shape {found}, its network wants {shape}; {CURE}")


def check_names(found: Iterable[str], wanted: Iterable[str], where: str) -> None:
    """Check that the names of tensors are those of their network.

    Args:
        found: the names that are there.
        wanted: those of the network.
        where: what the message begins with, as the file's name.

    Raises:
        ModelError: for one that is missing or too much.
    """
    found, wanted = set(found), set(wanted)
    if missing := sorted(wanted - found):
        raise ModelError(f"{where}: {missing[0]!r} is missing, which its network has; {CURE}")
    if extra := sorted(found - wanted):
        raise ModelError(f"{where}: {extra[0]!r:.100} belongs to no tensor of its network; {CURE}")


def _check_sizes(path: Path) -> None:
    """Refuse what is too large before any of it is taken in."""
    size = path.stat().st_size
    if not 8 < size <= MAX_BYTES:
        raise ModelError(f"{path} has {size} bytes; 9 to {MAX_BYTES} are allowed; {CURE}")
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > MAX_HEADER_BYTES:
        raise ModelError(f"{path} is no safetensors file of ours: its header would have {header} bytes; {CURE}")


def read_description(metadata: Mapping[str, str], where: str) -> Architecture:
    """Read the network's architecture off the metadata of a file.

    Args:
        metadata: of a safetensors file.
        where: what the message begins with, as the file's name.

    Raises:
        ModelError: where it is missing, no JSON, or not allowed.
    """
    try:
        entries = json.loads(metadata[DESCRIPTION])
    except KeyError as error:
        raise ModelError(f"{where} does not say what network its tensors belong to; {CURE}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: the description of its network is not JSON ({error}); {CURE}") from error
    if not isinstance(entries, dict):
        raise ModelError(f"{where}: the description of its network is no JSON object; {CURE}")
    try:
        return from_dict(entries)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error


def _tensor(path: Path, file: Any, name: str, shape: tuple[int, ...]) -> Float32:
    part = file.get_slice(name)
    if (kind := part.get_dtype()) not in TYPES:
        raise ModelError(f"{path}: {name!r} is {kind}; allowed are {', '.join(sorted(TYPES))}; {CURE}")
    if (found := tuple(part.get_shape())) != shape:
        raise ModelError(f"{path}: {name!r} has shape {found}, its network wants {shape}; {CURE}")
    tensor: Float32 = file.get_tensor(name).astype(np.float32)
    if not np.isfinite(tensor).all():
        raise ModelError(f"{path}: {name!r} holds values that are not finite; {CURE}")
    return tensor
