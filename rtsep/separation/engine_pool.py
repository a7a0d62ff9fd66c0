"""The engines that work side by side on whole signals."""

from __future__ import annotations

from rtsep.core.limits import memory, processors
from rtsep.engine.base import Engine
from rtsep.engine.own_thread import OwnThreadEngine
from rtsep.engine.registry import ENGINES, EngineOptions, open_engine, open_engines
from rtsep.errors import SpecError
from rtsep.model.store import StoredModel
from rtsep.separation.options import EXACT, SeparationOptions

MOST = 8  # engines; each needs some hundred megabytes
ON_CARD = 2  # that take turns: while one computes, the other's copies are under way
SONG_BYTES = 7_000_000_000  # what an engine needs that thinks about a whole song at once


def open_pool(
    model: StoredModel,
    method: SeparationOptions,
    jobs: int,
    engine: str = "onnx",
    threads: int = 0,
    precision: str = "fp32",
) -> list[Engine]:
    """Open engines that keep so many threads busy with so many files.

    Spleeter's segments can be thought about side by side; other models do one file each, as many as
    memory has room for. A card does one thing after the other: two engines for segments, else one.

    Args:
        model: what they run.
        method: what it is for.
        jobs: how many files there are.
        engine: a name out of `ENGINES`.
        threads: of all engines together; 0: one for every processor.
        precision: see `EngineOptions`.

    Raises:
        EngineError, ModelError: see `open_engine`.
        SpecError: for what an engine that gives masks alone cannot do.
    """
    on_card = "cpu" not in ENGINES[engine].devices if engine in ENGINES else False
    if on_card and method.preset == EXACT and (method.mwf or model.spec.family == "openunmix"):
        cure = "leave out --mwf" if method.mwf else "choose a --latency"
        raise SpecError(
            f"{'--mwf' if method.mwf else model.spec.name} at latency exact needs the network's magnitudes, and engine "
            f"{engine} gives masks; {cure}, or --engine onnx"
        )
    threads = threads or processors()
    segments = model.spec.family == "spleeter" and method.preset == EXACT
    whole = model.spec.family == "openunmix" and model.spec.kind == "windowed" and method.preset == EXACT
    room = memory() // SONG_BYTES if whole else MOST
    count = max(1, min(threads, MOST, room, threads if segments else jobs))
    model = model if method.preset == EXACT else model.live()
    newest = 0 if method.preset == EXACT else 1
    options = EngineOptions(engine, precision, threads // count, newest=newest)
    if not on_card:
        return open_engines(model, count, options)
    return [OwnThreadEngine(lambda: open_engine(model, options)) for _ in range(ON_CARD if segments else 1)]
