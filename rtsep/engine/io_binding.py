"""What compiled engines share: buffers made once, bound once, and states that swap sides.

A state is never copied. Each phase has two sets of state buffers; a call reads one set and
writes the other, and the next call goes the other way, so there are two bindings a phase.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Float32
from rtsep.engine.graph import check_call, check_frames, masks_shape
from rtsep.errors import EngineError


@dataclass
class Plan:
    """Buffers and bindings for calls of one number of frames."""

    magnitudes: Float32  # 1, channels, frames, bins
    masks: Float32  # 1, stems, channels, frames or only the newest, bins
    bindings: list[tuple[Any, Any]] = field(default_factory=list)  # by phase: there, and back


@dataclass
class Phase:
    """The states of one interleaved run."""

    buffers: tuple[list[Float32], list[Float32]]
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
        self._phases: list[Phase] = []
        self._plans: dict[int, Plan] = {}
        self._warm: set[int] = set()
        self._closed = False

    @abstractmethod
    def _bind(self, plan: Plan, before: list[Float32], after: list[Float32]) -> Any:
        """Bind a plan's buffers, with states read from `before` and written to `after`."""

    @abstractmethod
    def _run(self, binding: Any) -> None:
        """Infer once on what is bound; the library's own exceptions pass through."""

    def warmup(self, frames: int = 1, phases: int = 1) -> None:
        """Bind buffers and run twice a phase, so that both directions are warm; states end as zeros.

        Args:
            frames: spectra in a call.
            phases: interleaved runs, each with states of its own.

        Raises:
            EngineError: for numbers that the graph does not take, and where the library fails.
        """
        frames = check_frames(self.spec, frames)
        if phases < 1:
            raise EngineError(f"phases is {phases}; it must be 1 or more")
        self._warm.add(frames)
        plan = self._plan(frames, phases - 1)
        magnitudes, masks = np.zeros_like(plan.magnitudes[0]), np.empty_like(plan.masks[0])
        for phase in range(phases):
            for _ in range(2):
                self.infer(magnitudes, masks, phase)
        self.reset()

    def infer(self, magnitudes: Float32, masks: Float32, phase: int = 0) -> None:
        """Write the masks for magnitudes; see `Engine.infer`.

        Raises:
            EngineError: for arrays that do not fit the spec, and where the library fails.
        """
        check_call(self.spec, magnitudes, masks, phase)
        plan = self._plan(magnitudes.shape[1], phase)
        state = self._phases[phase]
        plan.magnitudes[0] = magnitudes
        try:
            self._run(plan.bindings[phase][state.newest])
        except Exception as error:  # the libraries' errors share no base class
            raise EngineError(f"{self.provider} failed on {self.spec.name}: {one_line(error)}") from error
        state.newest = 1 - state.newest
        masks[...] = plan.masks[0]

    def reset(self, phase: int | None = None) -> None:
        """Set the states of one phase, or of all, to zero."""
        for state in self._phases if phase is None else self._phases[phase : phase + 1]:
            for buffer in state.buffers[state.newest]:
                buffer.fill(0.0)

    def close(self) -> None:
        """Drop all buffers and bindings; any later call raises `EngineError`."""
        self._closed = True
        self._plans.clear()
        self._phases.clear()

    def _plan(self, frames: int, phase: int) -> Plan:
        """Give the plan for so many frames, with bindings up to `phase`, made on first use."""
        plan = self._plans.get(frames)
        if plan is not None and phase < len(plan.bindings):
            return plan
        if self._closed:
            raise EngineError(f"the engine of {self.spec.name} is closed; build a new one")
        if plan is None:
            for stale in set(self._plans) - self._warm:  # only what was warmed up stays for good
                del self._plans[stale]
            plan = self._plans[frames] = Plan(
                magnitudes=np.zeros((1, self.spec.channels, frames, self.spec.bins), np.float32),
                masks=np.zeros((1, *masks_shape(self.spec, frames)), np.float32),
            )
        while len(self._phases) <= phase:
            there, back = ([np.zeros(state.shape, np.float32) for state in self.spec.states] for _ in range(2))
            self._phases.append(Phase((there, back)))
        for state in self._phases[len(plan.bindings) : phase + 1]:
            there, back = state.buffers
            plan.bindings.append((self._bind(plan, there, back), self._bind(plan, back, there)))
        return plan

    def _names(self) -> tuple[list[str], list[str]]:
        """Give the names of the graph's inputs and outputs, in the order of the buffers."""
        states = [state.name for state in self.spec.states]
        return ["magnitudes", *states], ["masks", *(f"{name}_out" for name in states)]


def one_line(error: Exception) -> str:
    """Give a library's error message as one line that is not too long."""
    return " ".join(str(error).split())[:300]


def threads_in_words(threads: int) -> str:
    """Give "1 thread" or "2 threads".

    Raises:
        EngineError: for a number below 1.
    """
    if threads < 1:
        raise EngineError(f"threads is {threads}; it must be 1 or more")
    return f"{threads} thread{'s' if threads > 1 else ''}"
