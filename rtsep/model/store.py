"""Find models: embedded, the user's own, or by path; every file is checked before it is trusted.

A model is a folder with `model.json` (the spec, and size and sha256 of the other files) and
`model.onnx`, and `weights.safetensors` where it can be trained on. A U-Net needs no `model.onnx`: its
graph is written from its weights when it is wanted, and they may be packed (`weights.packed`). To find
a model JSON and bytes are read alone; the engine that loads a graph checks that its inputs and outputs
match the spec.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.core import folders
from rtsep.core.spec import ModelSpec
from rtsep.errors import ModelError
from rtsep.model.folder import JSON_NAME as JSON_NAME
from rtsep.model.folder import ONNX_NAME as ONNX_NAME
from rtsep.model.folder import PLAIN_NAME as PLAIN_NAME
from rtsep.model.folder import Base, Packing, StoredFile, file_entry, packing_entry, read_json
from rtsep.model.folder import digest as digest
from rtsep.model.published import registry
from rtsep.model.published.registry import store_name

if TYPE_CHECKING:
    from rtsep.model.weights import Weights

EMBEDDED = Path(__file__).parent / "embedded"
LIVE_CONTEXT = 64  # spectra that a network of Spleeter's kind sees live


@dataclass(frozen=True)
class StoredModel:
    """A model whose files are whole: its spec, and where that lies which it plays from."""

    spec: ModelSpec
    path: Path  # of the graph, or of the weights that it is written from
    sha256: str  # of the graph or of the weights: two models of one sum and spec play alike
    origin: str  # "embedded", "user" or "path"
    trainable: StoredFile | None = None  # its weights, unverified
    packing: Packing | None = None  # of the weights, where they are packed

    @property
    def name(self) -> str:
        """The name that the spec gives."""
        return self.spec.name

    @property
    def written(self) -> bool:
        """Whether its graph is written from its weights, for what is wanted of it."""
        return self.trainable is not None and self.path == self.trainable.path

    @property
    def weights(self) -> Path | None:
        """The file of the weights that it can be trained on with, verified now; None where there is none.

        Raises:
            ModelError: for one that is missing or altered.
        """
        try:
            return self.trainable.verified() if self.trainable else None
        except OSError as error:
            raise ModelError(f"{self.name}: its weights cannot be read ({error.strerror})") from error

    def read_weights(self) -> Weights:
        """Read the network's architecture and its weights, unpacked where they are packed.

        Raises:
            ModelError: where there are none, and for those that are altered, broken or hostile.
        """
        from rtsep.model import packed, weights

        path = self.weights
        if path is None:
            raise ModelError(f"{self.name} is only a graph, without weights; import or train it with this rtsep")
        if self.packing is None:
            return weights.read_weights(path)
        base = None if self.packing.base is None else _base(self.name, self.packing.base)
        return packed.read_packed(path, self.packing, base)

    def graph(self) -> bytes:
        """Give the ONNX graph: that of the file, or one written for the spec.

        Raises:
            ModelError: where the file cannot be read, or no graph be written.
        """
        return self.graphs(1)[0][1]

    def graphs(self, most: int) -> list[tuple[int, bytes]]:
        """Give the ONNX graph in parts that can work side by side.

        Only a graph that is written here has parts, where no stem's mask depends on another's.

        Args:
            most: parts at the most.

        Returns:
            For each part how many stems it gives, and its graph.

        Raises:
            ModelError: where the file cannot be read, or no graph be written.
        """
        if not self.written:
            try:
                return [(len(self.spec.stems), self.path.read_bytes())]
            except OSError as error:
                raise ModelError(f"{self.path} cannot be read ({error.strerror})") from error
        from rtsep.model.graphs.unet import unet_graphs

        return unet_graphs(self.read_weights(), self.spec, most)

    def with_context(self, frames: int) -> StoredModel:
        """Give the same model with another context.

        Args:
            frames: spectra that it sees at once; 0 for its own.

        Raises:
            SpecError: where it has no such context.
        """
        return replace(self, spec=self.spec.with_context(frames)) if frames else self

    def live(self, lookahead: int = 0, context: int = 0) -> StoredModel:
        """Give the same model as it plays live.

        Nothing is lost above its band: the stems sum to the mix. What is not played is not computed, where the graph is
        written here. Spleeter's networks see 64 spectra: more past is worth nothing to them.

        Args:
            lookahead: spectra by which masks look ahead.
            context: spectra that a windowed model sees; 0 for what live use has.

        Raises:
            SpecError: for a context that the model cannot have.
        """
        spec = self.spec
        if not context and spec.family == "spleeter" and spec.context_step:
            context = min(spec.context, -(-LIVE_CONTEXT // spec.context_step) * spec.context_step)
        if context:
            spec = spec.with_context(context)
        if spec.extension == "zeros":
            spec = replace(spec, extension="average")
        if self.written and 0 <= lookahead < spec.context:
            spec = spec.with_newest(lookahead + 1)
        return replace(self, spec=spec)


def user_folder() -> Path:
    """Give the folder of the user's models: RTSEP_MODELS, or the platform's place for data."""
    return folders.chosen("RTSEP_MODELS") or folders.data() / "models"


def names() -> list[str]:
    """Name all models that can be found by name, the embedded first."""
    embedded, user = _folders(EMBEDDED), _folders(user_folder())
    return [*embedded, *(name for name in user if name not in embedded)]


def catalogue() -> list[StoredModel]:
    """Give all models that can be found by name.

    Raises:
        ModelError: for one that is broken.
    """
    return [find(name) for name in names()]


def find(name_or_path: str | Path) -> StoredModel:
    """Find a model by its name, its folder, its model.json or its .onnx file, and verify it.

    Args:
        name_or_path: a plain name is an embedded model first, then one of the user's, then a path; a published one's
            (`spleeter:2stems`, `spleeter-2stems`) is that of the folder it is put into, else any of the user's that was
            made of its released files.

    Raises:
        ModelError: for a model that is missing, altered or broken.
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
    path = folders.expanded(wanted)
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
            origin = read_json(path).get("origin")
        except (ModelError, OSError):
            continue  # it is another one's trouble
        if isinstance(origin, dict) and store_name(str(origin.get("released"))) == name:
            return path
    return None


def _read(path: Path, origin: str, asked: Path | None = None) -> StoredModel:
    """Read and verify one model.json, and the graph beside it or the weights that it is written from."""
    if not path.is_file():
        beside = f" beside {asked}" if asked and asked != path else ""
        raise ModelError(f"{path} is missing{beside}; a model is a folder with {JSON_NAME} and {ONNX_NAME}")
    entries = read_json(path)
    spec_entries = entries.get("spec")
    if not isinstance(spec_entries, dict) or not ("graph" in entries or "weights" in entries):
        raise ModelError(f"{path}: 'spec', and 'graph' or 'weights', must be JSON objects; export the model again")
    try:
        spec = ModelSpec.from_dict(spec_entries)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    # names become names of files and folders
    for name in (spec.name, *spec.stems, *(state.name for state in spec.states)):
        if not PLAIN_NAME.fullmatch(name):
            raise ModelError(f"{path}: name {name!r} is not plain; letters, digits, '.', '_' and '-' are allowed")
    graph = file_entry(path, "graph", entries["graph"]) if "graph" in entries else None
    trainable = file_entry(path, "weights", entries["weights"]) if "weights" in entries else None
    packing = packing_entry(path, entries["weights"]) if trainable else None
    played = graph or trainable
    assert played is not None
    played.verified()
    if asked is not None and asked.suffix != ".json" and asked.resolve() != played.path.resolve():
        raise ModelError(f"{asked} is not the file that {path} describes, which is {played.path.name}")
    # what packed weights come to may depend on another model's
    sum_ = packing.floats_sha256 if packing and not graph else played.sha256
    return StoredModel(spec, played.path, sum_, origin, trainable, packing)


def _base(name: str, base: Base) -> Weights:
    """The weights that those of the model `name` are told by their difference to."""
    from rtsep.model.packed import floats_sha256

    try:
        model = find(base.model)
    except ModelError as error:
        raise ModelError(f"{name} is told by its difference to {base.model}: {error}") from error
    if model.packing is not None and model.packing.base is not None:
        raise ModelError(f"{name} is told by its difference to {base.model}, and that by another; get the model again")
    found = model.read_weights()
    if (real := floats_sha256(found.tensors)) != base.floats_sha256:
        raise ModelError(
            f"{name} is told by its difference to {base.model} with weights {base.floats_sha256[:12]}..., but those "
            f"here are {real[:12]}...; get both models again"
        )
    return found
