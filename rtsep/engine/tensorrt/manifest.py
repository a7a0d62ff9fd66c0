"""The engines that were built: what lies beside one and says what it is, and which is the one that is wanted.

Nothing of it is trusted before it was checked, and nothing is built here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rtsep.core.records import RecordError, convert
from rtsep.core.spec import ModelSpec
from rtsep.core.whole_file import write_whole
from rtsep.engine.tensorrt.family import FAMILIES, families_for
from rtsep.engine.tensorrt.key import EngineKey, engines_folder, key_of
from rtsep.errors import EngineError, ModelError, NotBuiltError
from rtsep.model.store import StoredModel

FORMAT = 1
MANIFEST_NAME = "manifest.json"
ENGINE_NAME = "engine.bin"
CACHE_NAME = "runtime.cache"
MAX_MANIFEST_BYTES = 1_000_000
MAX_ENGINE_BYTES = 4_000_000_000
MAX_CACHE_BYTES = 1_000_000_000
SUM_BYTES = 32  # of a sha256
SAME = ("model", "precision", "context", "newest", "gpu")  # parts of a key that say what an engine is for


@dataclass(frozen=True)
class EngineFile:
    """The compiled engine: always `engine.bin`, so many bytes with that sum."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Parity:
    """How near the converted graph comes to the one in fp32, both in ONNX Runtime, on music."""

    db: float | None  # None: nothing was converted, or it cannot be told
    note: str  # on what, or why not

    def __str__(self) -> str:
        """Say it in words for people."""
        return self.note if self.db is None else f"{self.db:.1f} dB from fp32, on {self.note}"


@dataclass(frozen=True)
class Timing:
    """How long a pass took on the card that it was built on, there and back."""

    passes: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    def __str__(self) -> str:
        """Say it in words for people."""
        return f"a pass {self.p50_ms:.2f} ms, 99 of 100 within {self.p99_ms:.2f}, the worst {self.max_ms:.2f}"


@dataclass(frozen=True)
class Manifest:
    """All that is known of an engine that was built."""

    format: int
    key: EngineKey
    spec: ModelSpec  # of the graph as it runs
    engine: EngineFile
    built: str  # when, UTC
    build_s: float
    parity: Parity
    timing: Timing | None = None  # None where there was no card
    libraries: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it into the folder of its engine."""
        text = json.dumps(asdict(self), indent=2, allow_nan=False)
        (folder / MANIFEST_NAME).write_text(f"{text}\n", encoding="utf-8")


@dataclass(frozen=True)
class BuiltEngine:
    """An engine on disk that was found whole."""

    path: Path  # of the folder
    manifest: Manifest

    @property
    def key(self) -> EngineKey:
        """What it is made of."""
        return self.manifest.key

    @property
    def spec(self) -> ModelSpec:
        """The spec of the graph as it runs: what goes in and comes out of it."""
        return self.manifest.spec

    @property
    def rows(self) -> int:
        """Rows of a call, at most."""
        return self.key.rows

    def read(self) -> bytes:
        """Read the engine; these very bytes were checked.

        Raises:
            EngineError: for one that is missing or was altered meanwhile.
        """
        told = self.manifest.engine
        content = _read(self.path / ENGINE_NAME, min(told.bytes, MAX_ENGINE_BYTES))
        if len(content) != told.bytes:
            raise EngineError(f"{ENGINE_NAME} is truncated")
        if hashlib.sha256(content).hexdigest() != told.sha256:
            raise EngineError(f"{ENGINE_NAME} was altered: its sha256 is not that of {MANIFEST_NAME}")
        return content

    def read_cache(self) -> bytes:
        """Read what the card compiled when it last ran here; empty where that is missing or damaged."""
        try:
            content = _read(self.path / CACHE_NAME, MAX_CACHE_BYTES)
        except EngineError:
            return b""
        sum_, cache = content[:SUM_BYTES], content[SUM_BYTES:]
        return cache if hashlib.sha256(cache).digest() == sum_ else b""

    def write_cache(self, cache: bytes) -> None:
        """Keep what the card compiled, for the next run; a killed write leaves what was there.

        Args:
            cache: as the library serialises it.

        Raises:
            OSError: where it cannot be written; the engine runs without.
        """
        write_whole(self.path / CACHE_NAME, hashlib.sha256(cache).digest() + cache)


def open_built(folder: Path) -> BuiltEngine:
    """Find an engine's folder whole: its manifest well formed, its file of that size and sum.

    Args:
        folder: that `rtsep build` made.

    Raises:
        EngineError: what is wrong with it, in one line without a cure: who asks knows what was wanted.
    """
    manifest = read_manifest(folder)
    if folder.name != manifest.key.folder_name:
        raise EngineError(f"{MANIFEST_NAME} describes {manifest.key.folder_name}, another engine")
    size = (folder / ENGINE_NAME).stat().st_size if (folder / ENGINE_NAME).is_file() else None
    if size is None:
        raise EngineError(f"{ENGINE_NAME} is missing")
    if size != manifest.engine.bytes:
        raise EngineError(f"{ENGINE_NAME} has {size} bytes, {MANIFEST_NAME} says {manifest.engine.bytes}")
    built = BuiltEngine(folder, manifest)
    built.read()
    return built


def read_manifest(folder: Path) -> Manifest:
    """Read and check an engine's manifest, without its engine.

    Args:
        folder: that `rtsep build` made.

    Raises:
        EngineError: for one that is missing, no manifest, or of another format.
    """
    content = _read(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES)
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"{MANIFEST_NAME} is not JSON ({error})") from error
    if not isinstance(entries, dict) or entries.get("format") != FORMAT:
        raise EngineError(f"{MANIFEST_NAME} is not of format {FORMAT}, which this rtsep reads")
    try:
        return convert(entries, Manifest)
    except (RecordError, ModelError) as error:
        raise EngineError(f"{MANIFEST_NAME}: {error}") from error


def find_built(
    model: StoredModel, precision: str, context: int, rows: int, gpu: str, newest: int = 1, family: str = ""
) -> BuiltEngine:
    """Find the engine of a model for a card, among those that were built.

    One that takes more rows than are wanted serves too. Live the one of the fewest is taken, for whole files (`newest`
    0) that of the most: so many segments are one call.

    Args:
        model: as it is used, see `as_used`.
        precision: of the graph.
        context: spectra that it sees in one call.
        rows: of one call.
        gpu: compute capability of the card, as `sm89`.
        newest: how many of the context's spectra get masks; 0: all.
        family: the library that runs it, by its module's name; "" for the first that can.

    Raises:
        NotBuiltError: where it was not built, was built of or for something else, or is damaged: with the command that
            builds it.
    """
    libraries = families_for(gpu, gpu, family)
    wanted = {one.name: key_of(model, precision, context, newest, rows, gpu, one) for one in libraries}
    first = wanted[libraries[0].name]
    fitting: list[tuple[int, Path]] = []
    why = [f"no engine of {model.name} was built for {gpu} with {precision}, context {context}"]
    for folder in folders(f"{model.name}-"):
        try:
            key = read_manifest(folder).key
        except EngineError as error:
            if folder.name.startswith(f"{model.name}-{precision}-{context}-{gpu}-"):
                why.append(f"the engine {folder.name} is damaged: {error}")
            continue
        if any(getattr(key, part) != getattr(first, part) for part in SAME):
            continue
        if stale := staleness(key, wanted.get(key.family, first)):
            why.append(f"the engine {folder.name} {stale}")
        else:
            fitting.append((key.rows, folder))
    for _, folder in sorted(fitting, reverse=newest == 0):
        try:
            return open_built(folder)
        except EngineError as error:
            why.append(f"the engine {folder.name} is damaged: {error}")
    raise NotBuiltError(f"{why[-1]}; build it with: {first.command(model)}")


def staleness(key: EngineKey, wanted: EngineKey) -> str:
    """Say what keeps an engine from being the one that is wanted, though it is for the same; empty for nothing.

    Args:
        key: of the engine.
        wanted: what it would be here and now.
    """
    if key.model_sha256 != wanted.model_sha256:
        return "was built of another version of the model"
    if key.graphs_sha256 != wanted.graphs_sha256:
        return "was built by another version of rtsep"
    if (key.family, key.version) != (wanted.family, wanted.version):
        theirs, ours = (
            f"{FAMILIES[one.family].title if one.family in FAMILIES else one.family} {one.version}"
            for one in (key, wanted)
        )
        return f"was built with {theirs}, here is {ours}"
    if key.platform != wanted.platform:
        return f"was built for {key.platform}, this is {wanted.platform}"
    return f"takes {key.rows} rows in a call, {wanted.rows} are wanted" if key.rows < wanted.rows else ""


def folders(beginning: str = "") -> Iterator[Path]:
    """Give the folders of engines that were built, whole or not, in the order of their names.

    Args:
        beginning: of their names.
    """
    root = engines_folder()
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name.startswith(beginning) and folder.name[0] != "." and folder.is_dir():
            yield folder


def _read(path: Path, most: int) -> bytes:
    """Read a file of an engine's folder that has at most so many bytes.

    Raises:
        EngineError: for one that is missing, larger, or a link out of the folder.
    """
    try:
        if not path.is_file():
            raise EngineError(f"{path.name} is missing")
        if path.resolve().parent != path.parent.resolve():
            raise EngineError(f"{path.name} is a link that leaves the engine's folder")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise EngineError(f"{path.name} cannot be read ({error.strerror})") from error
    if len(content) > most:
        raise EngineError(f"{path.name} has more than {most} bytes")
    return content
