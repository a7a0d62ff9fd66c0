"""A model's folder: the files in it, and what its model.json says of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rtsep.core.records import RecordError, convert
from rtsep.core.spec import ModelSpec
from rtsep.errors import ModelError

FORMAT = 1
JSON_NAME = "model.json"
ONNX_NAME = "model.onnx"
WEIGHTS_NAME = "weights.safetensors"
PACKED_NAME = "weights.packed"
MAX_JSON_BYTES = 1_000_000
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHA256 = re.compile(r"[0-9a-f]{64}")
CURE = "get the model again, or export it anew"

Record = TypeVar("Record")


@dataclass(frozen=True)
class StoredFile:
    """A file of a model's folder, and what model.json says of it."""

    path: Path
    bytes: int
    sha256: str

    def verified(self) -> Path:
        """Give the path of the file, found whole just now.

        Raises:
            ModelError: for one that is missing, a link out of the folder, or has other bytes.
        """
        if not self.path.is_file():
            raise ModelError(f"{self.path} is missing; get the whole model folder again")
        if self.path.resolve().parent != self.path.parent.resolve():
            raise ModelError(f"{self.path} is a link that leaves the model's folder; put the file itself there")
        found = self.path.stat().st_size
        if found != self.bytes:
            raise ModelError(f"{self.path} has {found} bytes, {JSON_NAME} says {self.bytes}; get the model again")
        if (real := digest(self.path)) != self.sha256:
            raise ModelError(
                f"{self.path} has sha256 {real[:12]}..., {JSON_NAME} says {self.sha256[:12]}...; get the model again"
            )
        return self.path


@dataclass(frozen=True)
class FileEntry:
    """What model.json says of any file."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Base:
    """The model whose weights others are told by their difference to."""

    model: str  # its name in the store
    floats_sha256: str


@dataclass(frozen=True)
class Packing:
    """What model.json says of weights that are packed."""

    bits: int
    floats_sha256: str  # of what is unpacked
    base: Base | None = None


def digest(path: Path) -> str:
    """Give the sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a model.json.

    Raises:
        ModelError: where it is none, or of another format.
    """
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ModelError(f"{path} has {size} bytes; a {JSON_NAME} has at most {MAX_JSON_BYTES}")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}); export the model again") from error
    if not isinstance(entries, dict):
        raise ModelError(f"{path} is not a JSON object; export the model again")
    if entries.get("format") != FORMAT:
        raise ModelError(f"{path}: format is {entries.get('format')!r}; this rtsep reads format {FORMAT}; update rtsep")
    return entries


def file_entry(path: Path, kind: str, entry: object) -> StoredFile:
    """Check what a model.json says of one of the files beside it.

    Args:
        path: of the model.json.
        kind: the file's name in it, as `graph`.
        entry: what it says.

    Raises:
        ModelError: for an entry that names no plain file with its size and sha256.
    """
    told = _checked(path, kind, entry, FileEntry)
    if not PLAIN_NAME.fullmatch(told.file):
        raise ModelError(
            f"{path}: {kind}.file is {told.file!r:.200}; it must be a plain file name in the model's own folder"
        )
    return StoredFile(path.parent / told.file, told.bytes, told.sha256)


def packing_entry(path: Path, entry: Mapping[str, Any]) -> Packing | None:
    """Check what a model.json says of how its weights are packed.

    Args:
        path: of the model.json.
        entry: what it says of the weights.

    Returns:
        None where they are not packed.

    Raises:
        ModelError: for what cannot be unpacked.
    """
    if "floats_sha256" not in entry:
        return None
    told = _checked(path, "weights", entry, Packing)
    sums = {"weights.floats_sha256": told.floats_sha256}
    if told.base is not None:
        if not PLAIN_NAME.fullmatch(told.base.model):
            raise ModelError(
                f"{path}: weights.base.model is {told.base.model!r:.100}; it must be the plain name of a model"
            )
        sums["weights.base.floats_sha256"] = told.base.floats_sha256
    for place, sum_ in sums.items():
        if not SHA256.fullmatch(sum_):
            raise ModelError(f"{path}: {place} is {sum_!r:.100}; it must be a sha256; {CURE}")
    return told


def _checked(path: Path, place: str, entry: object, kind: type[Record]) -> Record:
    try:
        return convert(entry, kind, strict_names=False, place=place)
    except RecordError as error:
        raise ModelError(f"{path}: {error}; {CURE}") from error


def file_record(path: Path) -> dict[str, Any]:
    """What model.json is to say of a file that lies there."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest(path)}


def write_json(folder: Path, spec: ModelSpec, files: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the model.json of a folder whose files lie there already, and remove those of before.

    Args:
        folder: of the model.
        spec: of the model.
        files: the `file_record` of the `graph`, of the `weights`, or of both.

    Returns:
        Its path.
    """
    kept = {entry["file"] for entry in files.values()}
    for name in (ONNX_NAME, WEIGHTS_NAME, PACKED_NAME):
        if name not in kept:
            (folder / name).unlink(missing_ok=True)
    entries = {"format": FORMAT, "spec": spec.to_dict(), **files}
    (folder / JSON_NAME).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    return folder / JSON_NAME
