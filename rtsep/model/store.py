"""Find models: embedded, the user's own, or by path; every file is checked before it is trusted.

A model is a folder with `model.json` (the spec, and size and sha256 of the other files),
`model.onnx`, and `weights.safetensors` where it can be trained on. This module reads JSON and bytes
only; the engine that loads a graph checks that its inputs and outputs match the spec.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from rtsep.errors import ModelError
from rtsep.model import registry
from rtsep.model.registry import store_name
from rtsep.spec import ModelSpec

FORMAT = 1
JSON_NAME = "model.json"
ONNX_NAME = "model.onnx"
WEIGHTS_NAME = "weights.safetensors"
EMBEDDED = Path(__file__).parent / "embedded"
MAX_JSON_BYTES = 1_000_000
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class StoredFile:
    """A file of a model's folder, and what model.json says of it."""

    path: Path
    bytes: int
    sha256: str

    def verified(self) -> Path:
        """The path of the file, found whole just now; else `ModelError` in one line."""
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
class StoredModel:
    """A model whose files are whole: its spec and where its graph lies."""

    spec: ModelSpec
    path: Path  # of the ONNX file
    sha256: str  # of the ONNX file
    origin: str  # "embedded", "user" or "path"
    trainable: StoredFile | None = None  # its weights, unverified

    @property
    def name(self) -> str:
        """The name that the spec gives."""
        return self.spec.name

    @property
    def weights(self) -> Path | None:
        """The file of the weights that it can be trained on with, verified now; None where there is none.

        Raises `ModelError` for one that is missing or altered.
        """
        try:
            return self.trainable.verified() if self.trainable else None
        except OSError as error:
            raise ModelError(f"{self.name}: its weights cannot be read ({error.strerror})") from error

    def with_context(self, frames: int) -> StoredModel:
        """The same model with another context, 0 for its own; `SpecError` where it has no such one."""
        return replace(self, spec=self.spec.with_context(frames)) if frames else self

    def live(self) -> StoredModel:
        """The same model with nothing lost above its band: live, the stems sum to the mix."""
        lossy = self.spec.extension == "zeros"
        return replace(self, spec=replace(self.spec, extension="average")) if lossy else self


def user_folder() -> Path:
    """Give the folder of the user's models: RTSEP_MODELS, or the platform's place for data."""
    if chosen := os.environ.get("RTSEP_MODELS"):
        return Path(chosen)
    return Path(platformdirs.user_data_dir("rtsep")) / "models"


def names() -> list[str]:
    """Name all models that can be found by name, the embedded first."""
    embedded, user = _folders(EMBEDDED), _folders(user_folder())
    return [*embedded, *(name for name in user if name not in embedded)]


def catalogue() -> list[StoredModel]:
    """Give all models that can be found by name; a broken one raises `ModelError`."""
    return [find(name) for name in names()]


def find(name_or_path: str | Path) -> StoredModel:
    """Find a model by its name, its folder, its model.json or its .onnx file, and verify it.

    A plain name is an embedded model first, then one of the user's, then a path; a published one's
    (`spleeter:2stems`, `spleeter-2stems`) is that of the folder it is put into, else any of the
    user's that was made of its released files. Raises `ModelError` in one line for a model that is
    missing, altered or broken.
    """
    try:
        return _find(name_or_path)
    except OSError as error:
        raise ModelError(f"model {str(name_or_path)[:200]!r} cannot be read ({error.strerror})") from error


def _find(name_or_path: str | Path) -> StoredModel:
    wanted = str(name_or_path)
    name = store_name(wanted)
    if isinstance(name_or_path, str) and PLAIN_NAME.fullmatch(name):
        for origin, folder in (("embedded", EMBEDDED / name), ("user", user_folder() / name)):
            if (folder / JSON_NAME).is_file():
                return _read(folder / JSON_NAME, origin)
        if other := _released(name):
            return _read(other, "user")
    path = Path(wanted).expanduser()
    if path.is_dir():
        return _read(path / JSON_NAME, "path")
    if path.is_file():
        return _read(path if path.suffix == ".json" else path.with_name(JSON_NAME), "path", path)
    if wanted in registry.names():
        raise ModelError(f"{wanted} is not on this machine; get it with: rtsep models pull {wanted}")
    raise ModelError(
        f"no model {wanted!r}; known are {', '.join(names()) or 'none'}; "
        f"give one of these, or the path of a folder with {JSON_NAME} and {ONNX_NAME}"
    )


def digest(path: Path) -> str:
    """Give the sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(
        folder.name for folder in root.iterdir() if PLAIN_NAME.fullmatch(folder.name) and (folder / JSON_NAME).is_file()
    )


def _released(name: str) -> Path | None:
    """Find the user's model that was made of a released one's files, and its model.json; None if there is none."""
    if name not in map(store_name, registry.names()):
        return None
    for folder in _folders(user_folder()):
        path = user_folder() / folder / JSON_NAME
        try:
            origin = _json(path).get("origin")
        except (ModelError, OSError):
            continue  # it is another one's trouble
        if isinstance(origin, dict) and store_name(str(origin.get("released"))) == name:
            return path
    return None


def _read(path: Path, origin: str, asked: Path | None = None) -> StoredModel:
    """Read and verify one model.json and the graph beside it."""
    if not path.is_file():
        beside = f" beside {asked}" if asked and asked != path else ""
        raise ModelError(f"{path} is missing{beside}; a model is a folder with {JSON_NAME} and {ONNX_NAME}")
    entries = _json(path)
    if entries.get("format") != FORMAT:
        raise ModelError(f"{path}: format is {entries.get('format')!r}; this rtsep reads format {FORMAT}; update rtsep")
    spec_entries, graph = entries.get("spec"), entries.get("graph")
    if not isinstance(spec_entries, dict) or not isinstance(graph, dict):
        raise ModelError(f"{path}: 'spec' and 'graph' must be JSON objects; export the model again")
    try:
        spec = ModelSpec.from_dict(spec_entries)
    except (ModelError, OverflowError) as error:
        raise ModelError(f"{path}: {error}") from error
    # names become names of files and folders
    for name in (spec.name, *spec.stems, *(state.name for state in spec.states)):
        if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
            raise ModelError(f"{path}: name {name!r} is not plain; letters, digits, '.', '_' and '-' are allowed")
    onnx = _file(path, "graph", graph)
    onnx.verified()
    if asked is not None and asked.suffix != ".json" and asked.resolve() != onnx.path.resolve():
        raise ModelError(f"{asked} is not the graph that {path} describes, which is {onnx.path.name}")
    trainable = _file(path, "weights", entries["weights"]) if "weights" in entries else None
    return StoredModel(spec=spec, path=onnx.path, sha256=onnx.sha256, origin=origin, trainable=trainable)


def _json(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise ModelError(f"{path} has {size} bytes; a {JSON_NAME} has at most {MAX_JSON_BYTES}")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}); export the model again") from error
    if not isinstance(entries, dict):
        raise ModelError(f"{path} is not a JSON object; export the model again")
    return entries


def _file(path: Path, kind: str, entry: object) -> StoredFile:
    """Check what model.json says of one of the files beside it."""
    if not isinstance(entry, dict):
        raise ModelError(f"{path}: {kind!r} must be a JSON object; export the model again")
    name, size, sha256 = entry.get("file"), entry.get("bytes"), entry.get("sha256")
    if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
        raise ModelError(f"{path}: {kind} file is {name!r}; it must be a plain file name in the model's own folder")
    if not isinstance(size, int) or not isinstance(sha256, str):
        raise ModelError(f"{path}: the {kind} needs 'bytes' and 'sha256'; export the model again")
    return StoredFile(path.parent / name, size, sha256)
