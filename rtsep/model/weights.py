"""Weights that can be trained on: `weights.safetensors` beside a graph, with the network's description in it.

The file is read as a stranger's: sizes before memory, shapes by what its own description makes,
nothing that could run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rtsep.errors import ModelError
from rtsep.model.architecture import network
from rtsep.model.families import Architecture, from_dict

DESCRIPTION = "architecture"  # the one entry of the file's metadata
MAX_BYTES = 2_000_000_000
MAX_HEADER_BYTES = 1_000_000  # the names and shapes of some thousand tensors
COUNTER = "num_batches_tracked"  # of a batch normalisation; says nothing, and is not stored
TYPES = {"F32", "F16"}
CURE = "get the model again, or import or export it anew"


class Weights(NamedTuple):
    """A network's description and its state dict."""

    architecture: Architecture
    tensors: dict[str, Tensor]


def write_weights(weights: Weights, path: Path, half: bool = False) -> None:
    """Write a network's weights; what is already there is replaced.

    half: matrices as float16; vectors (scalers, gains, offsets) stay float32, for their range is wide.
    Raises `ModelError` for values that are not finite in their type.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in weights.tensors.items():
        if name.endswith(COUNTER):
            continue
        kind = torch.float16 if half and tensor.ndim > 1 else torch.float32
        value = tensor.detach().to("cpu", kind, copy=True).contiguous()
        if not bool(torch.isfinite(value).all()):
            raise ModelError(f"weights: {name!r} holds values that are not finite as {_word(kind)}; train anew")
        stored[name] = value
    path.write_bytes(save(stored, {DESCRIPTION: json.dumps(weights.architecture.to_dict())}))


def read_weights(path: Path) -> Weights:
    """Read a network's description and its state dict, all float32, for `load_state_dict`.

    Raises `ModelError` in one line for a file that is missing, broken, foreign or hostile.
    """
    try:
        _check_sizes(path)
        with safe_open(path, framework="pt") as file:
            described = _described(path, file.metadata() or {})
            wanted = _shapes(described)
            found = set(file.keys())
            floats = {name for name in wanted if not name.endswith(COUNTER)}
            if missing := sorted(floats - found):
                raise ModelError(f"{path}: {missing[0]!r} is missing, which its network has; {CURE}")
            if extra := sorted(found - floats):
                raise ModelError(f"{path}: {extra[0]!r:.100} belongs to no tensor of its network; {CURE}")
            tensors = {name: _tensor(path, file, name, wanted[name]) for name in wanted if name in floats}
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error})") from error
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{path} is no safetensors file, or is damaged ({reason}); {CURE}") from error
    counters = {name: torch.tensor(0) for name in wanted if name not in floats}
    return Weights(described, {name: {**tensors, **counters}[name] for name in wanted})


def _check_sizes(path: Path) -> None:
    """Refuse what is too large before any of it is taken in."""
    size = path.stat().st_size
    if not 8 < size <= MAX_BYTES:
        raise ModelError(f"{path} has {size} bytes; 9 to {MAX_BYTES} are allowed; {CURE}")
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > MAX_HEADER_BYTES:
        raise ModelError(f"{path} is no safetensors file of ours: its header would have {header} bytes; {CURE}")


def _described(path: Path, metadata: dict[str, str]) -> Architecture:
    try:
        entries = json.loads(metadata[DESCRIPTION])
    except KeyError as error:
        raise ModelError(f"{path} does not say what network its tensors belong to; {CURE}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the description of its network is not JSON ({error}); {CURE}") from error
    if not isinstance(entries, dict):
        raise ModelError(f"{path}: the description of its network is no JSON object; {CURE}")
    try:
        return from_dict(entries)
    except (ModelError, OverflowError) as error:
        raise ModelError(f"{path}: {error}") from error


def _shapes(described: Architecture) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's state dict, without its memory."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in network(described).state_dict().items()}


def _tensor(path: Path, file: Any, name: str, shape: tuple[int, ...]) -> Tensor:
    part = file.get_slice(name)
    if (kind := part.get_dtype()) not in TYPES:
        raise ModelError(f"{path}: {name!r} is {kind}; allowed are {', '.join(sorted(TYPES))}; {CURE}")
    if (found := tuple(part.get_shape())) != shape:
        raise ModelError(f"{path}: {name!r} has shape {found}, its network wants {shape}; {CURE}")
    tensor: Tensor = file.get_tensor(name).to(torch.float32, copy=True)
    if not bool(torch.isfinite(tensor).all()):
        raise ModelError(f"{path}: {name!r} holds values that are not finite; {CURE}")
    return tensor


def _word(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
