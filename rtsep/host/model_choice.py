"""A model in its seat: fitted to a rate, built, its passes timed; and which one it is where none is named."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from rtsep.core.budget import Budget, default_compute
from rtsep.core.presets import plan
from rtsep.core.spec import BUNDLED, WindowSpec
from rtsep.engine.base import Engine
from rtsep.engine.build import build
from rtsep.engine.timing import pass_time_s
from rtsep.host.late_masks import warning
from rtsep.model.descriptor import resolve
from rtsep.model.store import StoredModel, find, names

USUAL_BLOCK = 256  # frames, where the device has not told its own yet
TOWERS = 2  # threads that a network of Spleeter's kind makes use of: it has a part for each stem


@dataclass(frozen=True)
class Wish:
    """How a model is to be played; as the options of `rtsep live`."""

    model: str = ""  # empty: the best that holds
    engine: str = "onnx"
    precision: str = "f32"
    threads: int = 0  # 0: one, or one for each of two stems where one does not hold
    latency: str = "23"
    hop: int | None = None
    refresh: int | None = None
    lookahead: int = 0
    context: int = 0
    compute: int | None = None
    block: int = 0
    timed: bool = True  # whether passes are timed: where nothing is ever late, they need not be


@dataclass(frozen=True)
class Seat:
    """A model that is ready to play."""

    engine: Engine
    window: WindowSpec
    budget: Budget
    pass_s: float  # of nine passes in ten; 0 where none was timed
    note: str = ""  # what is to be said before the sound

    @property
    def holds(self) -> bool:
        """Whether masks come in time, as far as the passes that were timed tell."""
        return self.budget.holds(self.pass_s)


def seat(wish: Wish, rate: int) -> Seat:
    """Build the model that is wished for, or the first of the bundled ones whose masks come in time.

    Args:
        wish: model, engine and latency.
        rate: of the device, in Hz.

    Raises:
        ModelError, EngineError, SpecError: for a model, an engine or a setting that cannot be.
    """
    if wish.model:
        found = _holding(resolve(wish.model), wish, rate)
        return replace(found, note=warning(found.engine.spec.name, found.budget, found.pass_s))
    refused: list[str] = []
    *better, last = [name for name in BUNDLED if name in names()]
    for name in better:
        found = _holding(find(name), wish, rate)
        if found.holds:
            return replace(found, note=_why(found, refused))
        found.engine.close()
        refused.append(f"{name} takes {_ms(found.pass_s)}, {_ms(found.budget.room_s)} are there")
    found = _holding(find(last), wish, rate)
    return replace(found, note=_why(found, refused))


def _holding(stored: StoredModel, wish: Wish, rate: int) -> Seat:
    """The model with the fewest threads that hold, of those that may be taken; with the most if none do."""
    found = _built(stored, replace(wish, threads=wish.threads or 1), rate)
    if wish.threads or found.holds or stored.spec.kind == "stateful" or (os.cpu_count() or 1) < TOWERS:
        return found
    found.engine.close()
    return _built(stored, replace(wish, threads=TOWERS), rate)


def _built(stored: StoredModel, wish: Wish, rate: int) -> Seat:
    playable = stored.live(wish.lookahead, wish.context)
    window = plan(playable.spec, rate, wish.latency, wish.hop, wish.refresh, wish.lookahead)
    engine = build(playable, wish.engine, wish.threads, wish.precision)
    block = wish.block or USUAL_BLOCK
    compute = default_compute(playable.spec, window, block) if wish.compute is None else wish.compute
    budget = Budget(window, block, compute)
    engine.warmup(playable.spec.context)
    return Seat(engine, window, budget, pass_time_s(engine, budget.interval_s) if wish.timed else 0.0)


def _why(found: Seat, refused: list[str]) -> str:
    if not found.pass_s:
        return ""
    name, taken, there = found.engine.spec.name, _ms(found.pass_s), _ms(found.budget.room_s)
    if not refused:
        return f"{name}: {taken} for a mask here, {there} are there"
    return f"{name}: {taken} for a mask; {'; '.join(refused)}"


def _ms(seconds: float) -> str:
    return f"{1000.0 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"
