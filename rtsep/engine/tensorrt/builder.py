"""From a model to the folder of an engine: written beside its place and moved there whole, or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rtsep import __version__
from rtsep.engine.base import Float32
from rtsep.engine.tensorrt.compiler import compiled
from rtsep.engine.tensorrt.family import family_for
from rtsep.engine.tensorrt.key import EngineKey, as_used, engines_folder, key_of
from rtsep.engine.tensorrt.manifest import (
    ENGINE_NAME,
    FORMAT,
    BuiltEngine,
    EngineFile,
    Manifest,
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


def build(
    model: StoredModel,
    precision: str,
    gpu: str,
    context: int = 0,
    rows: int = 1,
    newest: int = 1,
    card: str = "",
    family: str = "",
    samples: Callable[[StoredModel], Sequence[Float32]] = lambda model: (),
    timer: Timer | None = None,
    say: Say = lambda line: None,
) -> BuiltEngine:
    """Build the engine of a model for a card.

    Args:
        model: as the store gives it.
        precision: one of `PRECISIONS`.
        gpu: compute capability that it is for, as `sm89`.
        context: spectra that it sees in one call; 0 for what live use has.
        rows: of one call, at most.
        newest: how many of the context's spectra get masks, one more than live use looks ahead; 0: all, for whole files.
        card: compute capability of the card at hand; "" for none.
        family: the library that builds it, by its module's name; "" for the first that can.
        samples: gives music for a model as it is used: magnitudes (1, channels, frames, bins).
        timer: times passes of what was built; asked only where the card is the one that it is for.
        say: is told what goes on, line by line.

    Raises:
        EngineError: for what cannot be built here.
        ModelError: for a model that has no such graph.
        SpecError: for a context that it cannot have.
    """
    if precision not in PRECISIONS:
        raise EngineError(f"precision is {precision!r:.100}; allowed are {', '.join(PRECISIONS)}")
    if not 1 <= rows <= MAX_ROWS:
        raise EngineError(f"batch is {rows}; allowed are 1 to {MAX_ROWS} rows of a call")
    library = family_for(gpu, card, family)
    library.load()
    used = as_used(model, context, newest)
    key = key_of(used, precision, used.spec.context, newest, rows, gpu, library)
    say(f"{model.name} for {gpu}: writing the graph in {precision}")
    plain, spec = hop_graph(used, used.spec.context, key.newest)
    heard = samples(used)
    converted = at_precision(plain, precision, heard).SerializeToString()
    near = parity(plain.SerializeToString(), converted, spec, heard)
    say(f"  {f'{near.db} dB from fp32, on ' if near.db is not None else 'distance from fp32 not measured: '}{near.note}")
    say(f"  compiling with {library.title} {library.version}")
    started = time.monotonic()
    root = engines_folder()
    cache = root / f"timing-{library.short}{library.version}-{gpu}.cache" if library.timing_cache else None
    with _written_whole(root, key) as folder:
        content = compiled(converted, precision, key.context, key.rows, gpu, library, cache)
        (folder / ENGINE_NAME).write_bytes(content)
        manifest = Manifest(
            format=FORMAT,
            key=key,
            spec=spec,
            engine=EngineFile(len(content), hashlib.sha256(content).hexdigest()),
            built=datetime.now(UTC).isoformat(timespec="seconds"),
            build_s=round(time.monotonic() - started, 2),
            parity=near,
            libraries=_libraries(),
        )
        if timer is not None and gpu == card:
            manifest = replace(manifest, timing=timer(BuiltEngine(folder, manifest)))
        manifest.write(folder)
    say(f"  {len(content) / 1e6:.1f} MB in {manifest.build_s:.1f} s: {root / key.folder_name}")
    return open_built(root / key.folder_name)


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
            beside.rename(place)
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
