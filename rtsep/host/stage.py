"""Stages: what sound goes through, each a tuple of arrays that says its own latency, and a kernel.

A stage is a `NamedTuple` with a property `latency`; `@stage(Kind)` names the kernel that does its work
on one hop, in place. A deck has a list of them for its stems, the master one for the mix, and the signal
path runs them in order, natively.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numba import literal_unroll
from numba.extending import overload
from numpy.typing import NDArray

from rtsep.core.spec import Latency
from rtsep.dsp.native import kernel

_kernels: dict[type, Any] = {}


class Stage(Protocol):
    """What the signal path can run.

    Thread: any; not real-time safe (Python).
    """

    @property
    def latency(self) -> Latency:
        """What it adds, in frames, under the name of its part."""


def stage(kind: type) -> Callable[[Callable[..., None]], Any]:
    """Make the decorated function the kernel of a kind of stage: (stage, block) with block (rows, channels, hop).

    It is compiled with the signal path, so it may neither allocate nor lock.

    Args:
        kind: a `NamedTuple`.

    Thread: any, at import; not real-time safe (Python).
    """

    def register(function: Callable[..., None]) -> Any:
        _kernels[kind] = kernel(function)
        return _kernels[kind]

    return register


def process(one: Any, block: NDArray[np.float32]) -> None:
    """Do a stage's work on a hop, in place; within kernels alone.

    Args:
        one: the stage.
        block: (rows, channels, hop).

    Thread: the pipeline's; real-time safe.
    """
    _kernels[type(one)](one, block)


@overload(process, strict=False)  # strictly the annotations would have to be on the lambda too
def _process(one: Any, block: Any) -> Callable[..., None]:
    work = _kernels[one.instance_class]
    return lambda one, block: work(one, block)


@kernel
def run_stages(stages: tuple[Any, ...], block: NDArray[np.float32]) -> None:
    """Run stages in their order on a hop, in place.

    Args:
        stages: at least one.
        block: (rows, channels, hop).

    Thread: the pipeline's; real-time safe.
    """
    for one in literal_unroll(stages):
        process(one, block)


class StemStages(NamedTuple):
    """A stage of stages that leave a deck's dry sound alone, the last row; it is delayed elsewhere.

    Thread: any; not real-time safe (Python).
    """

    stages: tuple[Any, ...]  # at least one

    @property
    def latency(self) -> Latency:
        """What they add up to."""
        return total_latency(self.stages)


@stage(StemStages)
def run_stem_stages(of_stems: StemStages, block: NDArray[np.float32]) -> None:
    """Run them on all rows but the last.

    Args:
        of_stems: the stages.
        block: (stems + 1, channels, hop), in place.

    Thread: the pipeline's; real-time safe.
    """
    for one in literal_unroll(of_stems.stages):  # `run_stages` within itself would crash
        process(one, block[: len(block) - 1])


def total_latency(stages: Iterable[Stage]) -> Latency:
    """Add up what stages say, those that sound goes through one behind the other.

    Thread: any; not real-time safe (Python).
    """
    return sum((one.latency for one in stages), Latency())
