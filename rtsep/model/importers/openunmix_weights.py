"""Read Open-Unmix's files of weights and settings as what they are: files of strangers.

Nothing is unpickled, and torch is not needed: see `torch_checkpoint`. The file's size, and its hash
where its name tells one, are checked first.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rtsep.errors import ModelError
from rtsep.model.importers import torch_checkpoint
from rtsep.model.importers.torch_checkpoint import BombError
from rtsep.model.importers.torch_pickle import BrokenError, Foreign, TensorView

MAX_JSON_BYTES = 4_000_000  # the losses of every epoch are in it
MAX_WEIGHT_BYTES = 1_900_000_000  # more would not fit in a graph, one file of at most 2 GiB
AGAIN = "get the file again"


def read_weights(path: Path, digits: str | None = None) -> dict[str, NDArray[Any]]:
    """Read a state dict, float tensors or counters by name, no larger together than the file.

    Args:
        path: a `.pth` file.
        digits: what the file's sha256 begins with; None for whatever it is.

    Returns:
        The arrays by their names.

    Raises:
        ModelError: for any other file, and for one whose sha256 is another.
    """
    raw = _read(path, MAX_WEIGHT_BYTES)
    found = hashlib.sha256(raw).hexdigest()
    if digits and not found.startswith(digits):
        raise ModelError(f"{path}: its sha256 begins with {found[:8]}, not with {digits} as its name says; {AGAIN}")
    try:
        content, tensor = torch_checkpoint.read(raw)
        views = _state_dict(path, content)
        if (claimed := sum(view.bytes for view in views.values())) > len(raw):
            raise ModelError(f"{path} has {len(raw)} bytes, but its tensors claim {claimed}; {AGAIN}")
        return {name: tensor(view) for name, view in views.items()}
    except BombError as error:
        raise ModelError(f"{path} has {len(raw)} bytes, but {error}; torch saves no such files") from error
    except BrokenError as error:
        raise ModelError(f"{path} is no file of plain tensors, or is damaged ({error!s:.160}); {AGAIN}") from error


def _state_dict(path: Path, content: object) -> dict[str, TensorView]:
    """Hold what a file contains against what it must be: tensors by name."""
    if not isinstance(content, dict) or not content:
        kind = content.name if isinstance(content, Foreign) else type(content).__name__
        raise ModelError(f"{path} holds a {kind:.60}; it must be a state dict, tensors by name")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, TensorView | Foreign):
            raise ModelError(f"{path}: {name!r:.100} is no tensor; the file must be a state dict, no whole checkpoint")
        if isinstance(value, Foreign):
            raise ModelError(f"{path}: {name!r:.100} is no plain tensor with values; save the state dict again")
    return content


def read_settings(path: Path, needed: tuple[str, ...]) -> dict[str, Any]:
    """Read a JSON object with at least some keys.

    Args:
        path: of the file.
        needed: the keys that it must have.

    Raises:
        ModelError: for anything else.
    """
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
