"""From a model to the folder of an engine: written beside its place and moved there whole, or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rtsep import __version__
from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Float32
from rtsep.engine.tensorrt.compiler import compiled
from rtsep.engine.tensorrt.family import Family, families_for
from rtsep.engine.tensorrt.key import EngineKey, as_used, engines_folder, key_of
from rtsep.engine.tensorrt.manifest import (
    ENGINE_NAME,
    FORMAT,
    BuiltEngine,
    EngineFile,
    Manifest,
    Parity,
    Timing,
    open_built,
)
from rtsep.engine.tensorrt.parity import parity
from rtsep.errors import EngineError
from rtsep.model.graphs.hop_graph import hop_graph
from rtsep.model.graphs.precision import PRECISIONS, at_precision
from rtsep.model.store import StoredModel

MAX_ROWS = 64
UNFINISHED = ".building-"
OLD_S = 24 * 3600.0  # after which what a killed build left is removed

Timer = Callable[[BuiltEngine], Timing]
Say = Callable[[str], None]


@dataclass(frozen=True)
class BuildOptions:
    """What is to be built of a model, for every card alike.

    Raises:
        EngineError: for a precision that there is not, or a number out of range.
    """

    precision: str = "fp16"
    context: int = 0  # spectra that it sees in one call; 0: as live use has it
    rows: int = 1  # of one call, at most
    newest: int = 1  # spectra that get masks, one more than live use looks ahead; 0: all, for whole files
    family: str = ""  # the library that builds it, by its module's name; "": the first that can

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise EngineError(f"precision is {self.precision!r:.100}; allowed are {', '.join(PRECISIONS)}")
        if not 1 <= self.rows <= MAX_ROWS:
            raise EngineError(f"batch is {self.rows}; allowed are 1 to {MAX_ROWS} rows of a call")


DEFAULTS = BuildOptions()


@dataclass(frozen=True)
class PreparedGraph:
    """A graph that is ready to be compiled for any card."""

    used: StoredModel
    spec: ModelSpec  # of the graph as it runs
    graph: bytes
    parity: Parity


def build(
    model: StoredModel,
    gpus: Sequence[str],
    options: BuildOptions = DEFAULTS,
    card: str = "",
    samples: Callable[[StoredModel], Sequence[Float32]] = lambda model: (),
    timer: Timer | None = None,
    say: Say = lambda line: None,
) -> list[BuiltEngine]:
    """Build the engines of a model for some cards.

    Args:
        model: as the store gives it.
        gpus: compute capabilities that they are for, as `sm89`.
        options: what is built.
        card: compute capability of the card at hand; "" for none.
        samples: gives music for a model as it is used: magnitudes (1, channels, frames, bins).
        timer: times passes of what was built; asked only where the card is the one that it is for.
        say: is told what goes on, line by line.

    Returns:
        Them, in the order of the cards.

    Raises:
        EngineError: for what cannot be built here; before anything is built where that can be known.
        ModelError: for a model that has no such graph.
        SpecError: for a context that it cannot have.
    """
    families = [families_for(gpu, card, options.family)[0] for gpu in gpus]
    for family in families:
        family.load()
    prepared = prepare(model, options, samples, say)
    return [
        _build(prepared, options, gpu, family, timer if gpu == card else None, say)
        for gpu, family in zip(gpus, families, strict=True)
    ]


def prepare(
    model: StoredModel, options: BuildOptions, samples: Callable[[StoredModel], Sequence[Float32]], say: Say
) -> PreparedGraph:
    """Write the graph of a model in its precision, and measure what that costs.

    Args:
        model: as the store gives it.
        options: what is built.
        samples: see `build`.
        say: see `build`.

    Raises:
        ModelError, SpecError: see `build`.
    """
    used = as_used(model, options.context, options.newest)
    say(f"{model.name}: writing the graph, {options.precision}, context {used.spec.context}")
    plain, spec = hop_graph(used, used.spec.context, options.newest)
    heard = samples(used)
    half = len(heard) // 2  # what is scaled by the one half is measured on the other
    graph = at_precision(plain, options.precision, heard[:half]).SerializeToString()
    near = parity(plain.SerializeToString(), graph, spec, heard[half:])
    say(f"  {near}")
    return PreparedGraph(used, spec, graph, near)


def _build(
    prepared: PreparedGraph, options: BuildOptions, gpu: str, family: Family, timer: Timer | None, say: Say
) -> BuiltEngine:
    key = key_of(prepared.used, options.precision, prepared.spec.context, options.newest, options.rows, gpu, family)
    root = engines_folder()
    cache = root / f"timing-{family.short}{family.version}-{gpu}.cache" if family.timing_cache else None
    started = time.monotonic()
    with _written_whole(root, key) as folder:
        content = compiled(prepared.graph, key, cache)
        (folder / ENGINE_NAME).write_bytes(content)
        manifest = Manifest(
            format=FORMAT,
            key=key,
            spec=prepared.spec,
            engine=EngineFile(len(content), hashlib.sha256(content).hexdigest()),
            built=datetime.now(UTC).isoformat(timespec="seconds"),
            build_s=round(time.monotonic() - started, 2),
            parity=prepared.parity,
            libraries=_libraries(),
        )
        if timer is not None:
            manifest = replace(manifest, timing=_timed(timer, BuiltEngine(folder, manifest), say))
        manifest.write(folder)
    say(f"  {gpu}: {family.title} {family.version}, {len(content) / 1e6:.1f} MB in {manifest.build_s:.1f} s")
    say(f"    {root / key.folder_name}")
    return open_built(root / key.folder_name)


def _timed(timer: Timer, built: BuiltEngine, say: Say) -> Timing | None:
    """The time of a pass; an engine is no worse where that cannot be told, as without pycuda."""
    try:
        timing = timer(built)
    except EngineError as error:
        say(f"  {built.key.gpu}: not timed: {error}")
        return None
    say(f"  {built.key.gpu}: {timing}")
    return timing


@contextmanager
def _written_whole(root: Path, key: EngineKey) -> Iterator[Path]:
    """Give a folder beside the engine's place; it takes that place if all goes well, and goes away if not.

    Raises:
        EngineError: where nothing can be written there.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        beside = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=root))
        before = root / f"{beside.name}-before"
        try:
            beside.chmod(0o755)
            yield beside
            place = root / key.folder_name
            if place.exists():
                place.rename(before)
            try:
                beside.rename(place)
            except OSError:
                if before.exists():
                    before.rename(place)  # the one that was there is as good as ever
                raise
        finally:
            for left in (beside, before):
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        raise EngineError(f"the engine cannot be written to {root} ({error.strerror}); make room there") from error


def _sweep(root: Path) -> None:
    """Remove what builds left that were killed long ago."""
    for folder in root.glob(f"{UNFINISHED}*"):
        if time.time() - folder.stat().st_mtime > OLD_S:
            shutil.rmtree(folder, ignore_errors=True)


def _libraries() -> dict[str, str]:
    """What took part in writing it, and its version."""
    found = {"rtsep": __version__}
    for name in ("onnx", "onnxruntime", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
