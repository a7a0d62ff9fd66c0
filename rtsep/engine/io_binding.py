"""What compiled engines share: buffers made once, bound once, and states that swap sides.

A windowed graph takes any number of rows, so the rows of a call that are real are packed into one pass. A
stateful graph takes one row, so it passes once for each, and each row has states of its own. A state is never
copied: a row has two sets of state buffers; a pass reads one set and writes the other, and the next
goes the other way, so there are two bindings a row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Float32, Real
from rtsep.engine.graph import check_call, check_frames, magnitudes_shape, masks_shape
from rtsep.errors import EngineError, one_line


@dataclass
class Plan:
    """Buffers and bindings for passes of one number of rows and frames."""

    magnitudes: Float32  # rows, channels, frames, bins
    masks: list[Float32]  # by part of the graph: rows, the part's stems, channels, frames or only the newest, bins
    beside: Any = None  # what a library keeps for them elsewhere
    bindings: list[list[Any]] = field(default_factory=list)  # by row with states of its own, then by set that is read


@dataclass
class States:
    """The states of a row: two sets, or one that is empty for all rows of a windowed model."""

    sets: list[list[Any]]  # arrays, or what a library has in their place
    newest: int = 0  # the set that holds the newest states


class IOBindingEngine(ABC):
    """An engine whose library takes buffers beforehand; see `Engine` for the protocol.

    Args:
        spec: of the model.
        provider: what runs it, in words for people.
    """

    def __init__(self, spec: ModelSpec, provider: str) -> None:
        self.spec = spec
        self.provider = provider
        self._stateful = spec.kind == "stateful"
        self._states: list[States] = []
        self._plans: dict[tuple[int, int], Plan] = {}  # by rows and frames of a pass
        self._warm: set[int] = set()
        self._closed = False

    @property
    def _stems(self) -> list[int]:
        """How many stems each part of the graph gives."""
        return [len(self.spec.stems)]

    def _buffer(self, shape: tuple[int, ...]) -> Float32:
        """Make memory for what goes in or comes out: zeros."""
        return np.zeros(shape, np.float32)

    def _state(self, shape: tuple[int, ...]) -> Any:
        """Make memory for a state: zeros."""
        return np.zeros(shape, np.float32)

    def _zero(self, state: Any) -> None:
        """Set a state to zero."""
        state.fill(0.0)

    def _drop(self, plan: Plan) -> None:
        """Give back what a library keeps for a plan that is not used any more."""
        plan.bindings.clear()

    @abstractmethod
    def _bind(self, plan: Plan, before: list[Any], after: list[Any]) -> Any:
        """Bind a plan's buffers, with states read from `before` and written to `after`."""

    @abstractmethod
    def _run(self, binding: Any) -> None:
        """Infer once on what is bound; the library's own exceptions pass through."""

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Bind buffers and run all twice, so that both directions are warm; states end as zeros.

        Args:
            frames: spectra in a row.
            rows: of a call, each with states of its own.

        Raises:
            EngineError: for numbers that the graph does not take, and where the library fails.
        """
        self._warm.add(check_frames(self.spec, frames))
        if rows < 1:
            raise EngineError(f"rows is {rows}; it must be 1 or more")
        magnitudes = np.zeros(magnitudes_shape(self.spec, frames, rows), np.float32)
        masks = np.empty(masks_shape(self.spec, frames, rows), np.float32)
        for count in (rows,) if self._stateful else range(1, rows + 1):
            for _ in range(2):
                self.infer(magnitudes[:count], masks[:count])
        self.reset()

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """Write the masks for the magnitudes of the rows that are real; see `Engine.infer`.

        Raises:
            EngineError: for arrays that do not fit the spec, and where the library fails.
        """
        rows = check_call(self.spec, magnitudes, masks, real)
        for together in [[row] for row in rows] if self._stateful else [rows] if rows else []:
            self._pass(magnitudes, masks, together)

    def _pass(self, magnitudes: Float32, masks: Float32, rows: list[int]) -> None:
        place = rows[0] if self._stateful else 0
        plan = self._plan(len(rows), magnitudes.shape[2], place)
        for row, packed in zip(rows, plan.magnitudes, strict=True):
            packed[...] = magnitudes[row]
        states = self._states[place]
        try:
            self._run(plan.bindings[place][states.newest])
        except Exception as error:  # the libraries' errors share no base class
            raise EngineError(f"{self.provider} failed on {self.spec.name}: {one_line(error)}") from error
        states.newest = (states.newest + 1) % len(states.sets)
        first = 0
        for part in plan.masks:
            for row, packed in zip(rows, part, strict=True):
                masks[row, first : first + len(packed)] = packed
            first += part.shape[1]

    def reset(self, row: int | None = None) -> None:
        """Set the states of one row, or of all, to zero."""
        for states in self._states if row is None else self._states[row : row + 1]:
            for state in states.sets[states.newest]:
                self._zero(state)

    def close(self) -> None:
        """Drop all buffers and bindings; any later call raises `EngineError`."""
        self._closed = True
        for plan in self._plans.values():
            self._drop(plan)
        self._plans.clear()
        self._states.clear()

    def _plan(self, rows: int, frames: int, place: int) -> Plan:
        """Give the plan for so many rows and frames, with bindings up to a place, made on first use."""
        plan = self._plans.get((rows, frames))
        if plan is not None and place < len(plan.bindings):
            return plan
        if self._closed:
            raise EngineError(f"the engine of {self.spec.name} is closed; build a new one")
        if plan is None:
            for stale in [key for key in self._plans if key[1] not in self._warm]:  # only what was warmed up stays
                self._drop(self._plans.pop(stale))
            count, _, *shape = masks_shape(self.spec, frames, rows)
            plan = self._plans[rows, frames] = Plan(
                magnitudes=self._buffer(magnitudes_shape(self.spec, frames, rows)),
                masks=[self._buffer((count, stems, *shape)) for stems in self._stems],
            )
        while len(self._states) <= place:
            count = 2 if self._stateful else 1
            sets = [[self._state(state.shape) for state in self.spec.states] for _ in range(count)]
            self._states.append(States(sets))
        for states in self._states[len(plan.bindings) : place + 1]:
            turned = [*states.sets[1:], states.sets[0]]
            plan.bindings.append([self._bind(plan, *sides) for sides in zip(states.sets, turned, strict=True)])
        return plan

    def _names(self) -> tuple[list[str], list[str]]:
        """Give the names of the graph's inputs and outputs, in the order of the buffers."""
        states = [state.name for state in self.spec.states]
        return ["magnitudes", *states], ["masks", *(f"{name}_out" for name in states)]


def threads_in_words(threads: int) -> str:
    """Give "1 thread" or "2 threads".

    Raises:
        EngineError: for a number below 1.
    """
    if threads < 1:
        raise EngineError(f"threads is {threads}; it must be 1 or more")
    return f"{threads} thread{'s' if threads > 1 else ''}"
