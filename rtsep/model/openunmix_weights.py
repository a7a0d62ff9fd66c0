"""Read Open-Unmix's files of weights and settings as what they are: files of strangers.

Weights are unpickled by torch's restricted reader only, after the file's size, its hash where its
name tells one, and what it unpacks to were checked.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsep.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

MAX_JSON_BYTES = 4_000_000  # the losses of every epoch are in it
MAX_WEIGHT_BYTES = 1_900_000_000  # more would not fit in a graph, one file of at most 2 GiB
AGAIN = "get the file again"


def read_weights(path: Path, digits: str | None = None) -> dict[str, Tensor]:
    """Read a state dict, float tensors or counters by name, no larger together than the file.

    digits: what the file's sha256 begins with. Raises `ModelError` for anything else.
    """
    import torch

    raw = _read(path, MAX_WEIGHT_BYTES)
    found = hashlib.sha256(raw).hexdigest()
    if digits and not found.startswith(digits):
        raise ModelError(f"{path}: its sha256 begins with {found[:8]}, not with {digits} as its name says; {AGAIN}")
    try:
        unpacked = _unpacked_bytes(raw)
        weights = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True) if unpacked <= len(raw) else None
    except Exception as error:  # torch raises nearly anything on bytes that it did not write
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ModelError(f"{path} is no file of plain tensors, or is damaged ({reason}); {AGAIN}") from error
    if weights is None:
        raise ModelError(f"{path} has {len(raw)} bytes, but would unpack to {unpacked}; torch saves no such files")
    if not isinstance(weights, dict) or not weights:
        raise ModelError(f"{path} holds a {type(weights).__name__}; it must be a state dict, tensors by name")
    claimed = 0
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise ModelError(f"{path}: {name!r:.100} is no tensor; the file must be a state dict, no whole checkpoint")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise ModelError(f"{path}: {name!r:.100} is no plain tensor with values; save the state dict again")
        claimed += tensor.numel() * tensor.element_size()
    if claimed > len(raw):
        raise ModelError(f"{path} has {len(raw)} bytes, but its tensors claim {claimed}; {AGAIN}")
    return weights


def read_settings(path: Path, needed: tuple[str, ...]) -> dict[str, Any]:
    """Read a JSON object with at least the keys that are `needed`, or raise `ModelError`."""
    try:
        entries = json.loads(_read(path, MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}); {AGAIN}") from error
    if not isinstance(entries, dict) or not set(needed) <= set(entries):
        raise ModelError(f"{path} is not Open-Unmix's: it must be a JSON object with {', '.join(needed)}")
    return entries


def _read(path: Path, most: int) -> bytes:
    """Read a file that lies in its own folder and is not absurdly large."""
    if path.resolve().parent != path.parent.resolve():
        raise ModelError(f"{path} is a link that leaves its folder; put the file itself there")
    if not 0 < (size := path.stat().st_size) <= most:
        raise ModelError(f"{path} has {size} bytes; 1 to {most} are allowed; {AGAIN}")
    return path.read_bytes()


def _unpacked_bytes(raw: bytes) -> int:
    """How much the members of a zip archive, torch's format since 1.6, are when unpacked; else 0."""
    if not raw.startswith(b"PK"):
        return 0
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return sum(member.file_size for member in archive.infolist())
