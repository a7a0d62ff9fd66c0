"""The model that live use plays: fitted to a rate, built, its passes timed; and which one it is where none is named."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtsep.core.budget import Budget, default_compute
from rtsep.core.limits import processors
from rtsep.core.presets import plan
from rtsep.core.spec import BUNDLED, WindowSpec
from rtsep.engine.base import Engine
from rtsep.engine.fallback import FallbackEngine
from rtsep.engine.registry import ENGINES, EngineOptions, open_engine
from rtsep.engine.timing import pass_time_s
from rtsep.errors import EngineError, NotBuiltError
from rtsep.host.late_masks import warning
from rtsep.host.options import LiveOptions
from rtsep.model.descriptor import resolve
from rtsep.model.store import StoredModel, find, names

USUAL_BLOCK = 256  # frames, where the device has not told its own yet
STEM_THREADS = 2  # threads that a network of Spleeter's kind makes use of: it has a part for each stem


@dataclass(frozen=True)
class LiveModel:
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


def choose_model(options: LiveOptions, rate: int) -> LiveModel:
    """Build the model that is wished for, or the first of the bundled ones whose masks come in time.

    Args:
        options: model, engine and latency.
        rate: of the device, in Hz.

    Raises:
        ModelError, EngineError, SpecError: for a model, an engine or a setting that cannot be.

    Thread: any, before the sound starts; not real-time safe (reads files, allocates).
    """
    if options.model:
        found = _holding(resolve(options.model), options, rate)
        return replace(found, note=warning(found.engine.spec.name, found.budget, found.pass_s))
    refused: list[str] = []
    *better, last = _bundled(options, refused)
    for stored in better:
        found = _holding(stored, options, rate)
        if found.holds:
            return replace(found, note=_why(found, refused))
        found.engine.close()
        refused.append(f"{stored.name} takes {_ms(found.pass_s)}, {_ms(found.budget.room_s)} are there")
    found = _holding(last, options, rate)
    return replace(found, note=_why(found, refused))


def _bundled(options: LiveOptions, refused: list[str]) -> list[StoredModel]:
    """The bundled models, the best first; of an engine that is built beforehand those that were built for it."""
    found = [find(name) for name in BUNDLED if name in names()]
    engine = ENGINES[_engine_options(options).engine]
    if (check := engine.check_built) is None:
        return found
    if reason := engine.probe(options.precision):
        raise EngineError(reason)
    built, missing = [], list[NotBuiltError]()
    for stored in found:
        try:
            check(stored.live(options.lookahead, options.context), _engine_options(options))
            built.append(stored)
        except NotBuiltError as error:
            missing.append(error)
            refused.append(f"for {stored.name} no engine is built")
    if not built:
        raise missing[0]
    return built


def _holding(stored: StoredModel, options: LiveOptions, rate: int) -> LiveModel:
    """The model with the fewest threads that hold, of those that may be taken; with the most if none do."""
    found = _built(stored, replace(options, threads=options.threads or 1), rate)
    on_cpu = "cpu" in ENGINES[options.engine].devices  # else threads are the standby's
    if options.threads or found.holds or not on_cpu or stored.spec.kind == "stateful" or processors() < STEM_THREADS:
        return found
    found.engine.close()
    return _built(stored, replace(options, threads=STEM_THREADS), rate)


def _built(stored: StoredModel, options: LiveOptions, rate: int) -> LiveModel:
    playable = stored.live(options.lookahead, options.context)
    window = plan(playable.spec, rate, options.latency, options.hop, options.mask_interval, options.lookahead)
    chosen = _engine_options(options)
    decks = chosen.rows
    engine = open_engine(playable, chosen)
    block = options.block or USUAL_BLOCK
    compute = default_compute(playable.spec, window, block) if options.compute is None else options.compute
    budget = Budget(window, block, compute, playable.spec.kind == "stateful")
    try:
        engine.warmup(playable.spec.context, decks)
        taken = 0.0 if options.freewheel else pass_time_s(engine, budget.interval_s, decks)
        if "cpu" not in ENGINES[options.engine].devices:
            engine = _with_standby(engine, playable, options, budget, decks)
    except BaseException:
        engine.close()
        raise
    return LiveModel(engine, window, budget, taken)


def _engine_options(options: LiveOptions) -> EngineOptions:
    decks = max(1, len(options.deck))  # each a row of every pass
    return EngineOptions(options.engine, options.precision, options.threads or 1, decks, options.lookahead + 1)


def _with_standby(engine: Engine, playable: StoredModel, options: LiveOptions, budget: Budget, decks: int) -> Engine:
    """An engine on a card, with one on the CPU beside it that goes on where the card fails in the middle of a set."""
    threads = max(options.threads, min(STEM_THREADS, processors()))
    standby = open_engine(playable, EngineOptions(threads=threads))
    try:
        standby.warmup(playable.spec.context, decks)
        taken = 0.0 if options.freewheel else pass_time_s(standby, budget.interval_s, decks)
        late = f"masks come late: {_ms(taken)} for one, {_ms(budget.room_s)} are there"
        return FallbackEngine(engine, standby, "" if budget.holds(taken) else late)
    except BaseException:
        standby.close()
        raise


def _why(found: LiveModel, refused: list[str]) -> str:
    if not found.pass_s:
        return ""
    name, taken, there = found.engine.spec.name, _ms(found.pass_s), _ms(found.budget.room_s)
    if not refused:
        return f"{name}: {taken} for a mask here, {there} are there"
    return f"{name}: {taken} for a mask; {'; '.join(refused)}"


def _ms(seconds: float) -> str:
    return f"{1000.0 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"
