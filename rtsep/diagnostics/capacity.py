"""What this machine holds: the time that a model's pass takes, against what each preset gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rtsep.core.budget import Budget, default_compute
from rtsep.core.presets import PRESETS, plan
from rtsep.core.slack import host_block
from rtsep.core.spec import Latency
from rtsep.engine.registry import EngineOptions, open_engine
from rtsep.engine.timing import pass_time_s
from rtsep.errors import SpecError
from rtsep.host.late_masks import cure
from rtsep.model.store import StoredModel

SAMPLE_RATE, BLOCK = 44100, 256  # of a usual device
THREADS = (1, 2)


@dataclass(frozen=True)
class ModelTiming:
    """One model with so many threads: what a pass takes, and the budget of each preset."""

    model: str
    threads: int
    pass_s: float
    budgets: tuple[Budget, ...]

    def words(self, budget: Budget) -> str:
        """Write a preset's verdict in a line: `46: a mask every 23 ms: yes, 15 ms of 21; 70 ms in all`."""
        told = f"{budget.window.preset:>5}: a mask every {_ms(budget.interval_s)}"
        if budget.holds(self.pass_s):
            return f"{told}: yes, {_ms(self.pass_s)} of {_ms(budget.room_s)}; {_total_ms(budget)} in all"
        fitted, cured = budget.fitted(self.pass_s), cure(budget, self.pass_s)
        told += f": no, {_ms(self.pass_s)} of {_ms(budget.room_s)}"
        if fitted == budget:
            return f"{told}; {cured}"
        return f"{told}; every {_ms(fitted.interval_s)}: yes, {cured}; {_total_ms(fitted)} in all"


def timings(stored: StoredModel, cores: int) -> Iterator[ModelTiming]:
    """Time a model's passes on this machine, with each number of threads that it has cores for.

    Args:
        stored: the model.
        cores: of the machine.

    Yields:
        One timing for each number of threads.
    """
    playable = stored.live()
    budgets, stateful = [], playable.spec.kind == "stateful"
    for preset in PRESETS:
        try:
            window = plan(playable.spec, SAMPLE_RATE, preset)
        except SpecError:
            continue  # its window is longer than the model's
        budgets.append(Budget(window, BLOCK, default_compute(playable.spec, window, BLOCK), stateful))
    for threads in THREADS[:1] if stateful else THREADS:
        if threads <= cores:
            engine = open_engine(playable, EngineOptions(threads=threads))
            engine.warmup(playable.spec.context)
            taken = pass_time_s(engine, max(budget.interval_s for budget in budgets))
            engine.close()
            yield ModelTiming(stored.name, threads, taken, tuple(budgets))


def _total_ms(budget: Budget) -> str:
    """The latency without the device's."""
    own, window = budget.window.latency, budget.window
    total = Latency(
        block=host_block(budget.block, window.hop), window=own.window, lookahead=own.lookahead, compute=budget.compute
    )
    return f"{total.ms(window.sample_rate):.0f} ms"


def _ms(seconds: float) -> str:
    return f"{1000.0 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"
