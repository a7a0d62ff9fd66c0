"""What every engine checks: that a graph matches its spec, and that a call matches both."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Float32, Real
from rtsep.errors import EngineError, ModelError
from rtsep.model.store import StoredModel

MAX_STATE = 16_777_216  # values in one state: 64 MB
MAX_FRAMES = 16384  # spectra in one call: 3 minutes, and 390 MB of masks for two stereo stems


@dataclass(frozen=True)
class GraphValue:
    """An input or output of a graph; None for a size that is free."""

    name: str
    shape: tuple[int | None, ...]
    float32: bool


def check_graph(
    model: StoredModel, inputs: list[GraphValue], outputs: list[GraphValue], stems: int | None = None
) -> None:
    """Check that a graph has exactly the inputs and outputs of its spec.

    Args:
        model: what the graph is of.
        inputs: of the graph.
        outputs: of the graph.
        stems: how many of them it gives, where it is a part of the model.

    Raises:
        ModelError: where it has not.
    """
    spec = model.spec
    windowed = spec.kind == "windowed"
    batch, frames = (None, None if spec.context_step else spec.context) if windowed else (1, None)
    magnitudes = (batch, spec.channels, frames, spec.bins)
    masks = (batch, len(spec.stems) if stems is None else stems, spec.channels, spec.newest or frames, spec.bins)
    for state in spec.states:
        if min(state.shape, default=0) < 1 or prod(state.shape) > MAX_STATE:
            raise ModelError(
                f"{model.path}: state {state.name!r} has shape {_words(state.shape)}; "
                f"it must have 1 to {MAX_STATE} values"
            )
    _match(model, "input", inputs, {"magnitudes": magnitudes} | {s.name: s.shape for s in spec.states})
    _match(model, "output", outputs, {"masks": masks} | {f"{s.name}_out": s.shape for s in spec.states})


def _match(model: StoredModel, side: str, found: list[GraphValue], wanted: dict[str, tuple[int | None, ...]]) -> None:
    remedy = "the file is not the model that its model.json describes; export or get it again"
    names = {value.name for value in found}
    if names != set(wanted):
        raise ModelError(
            f"{model.path}: its {side}s are {', '.join(sorted(names))}; "
            f"its spec wants {', '.join(sorted(wanted))}; {remedy}"
        )
    for value in found:
        shape = wanted[value.name]
        if not value.float32:
            raise ModelError(f"{model.path}: {side} {value.name!r} is not float32; {remedy}")
        # What the spec leaves free must be free. What it fixes must be the same, but the size of an
        # output may be unknown to the runtime: then the warm-up shows whether it fits the buffer.
        unknown = (None,) if side == "output" else ()
        if len(value.shape) != len(shape) or any(
            has not in (wants, *unknown) for wants, has in zip(shape, value.shape, strict=True)
        ):
            raise ModelError(
                f"{model.path}: {side} {value.name!r} has shape {_words(value.shape)}; "
                f"its spec wants {_words(shape)}; {remedy}"
            )


def _words(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)


def check_frames(spec: ModelSpec, frames: int) -> int:
    """Give the spectra of one call: a windowed model's fixed context, or what was asked.

    Raises:
        EngineError: for a number that the graph does not take.
    """
    if spec.kind == "windowed" and not spec.context_step:
        return spec.context
    if not 1 <= frames <= MAX_FRAMES:
        raise EngineError(f"{frames} spectra in one call; allowed are 1 to {MAX_FRAMES}; cut them into several calls")
    if spec.context_step and frames % spec.context_step:
        raise EngineError(f"{frames} spectra in one call; {spec.name} takes multiples of {spec.context_step}")
    return frames


def magnitudes_shape(spec: ModelSpec, frames: int, rows: int = 1) -> tuple[int, int, int, int]:
    """Give the shape (rows, channels, frames, bins) of the magnitudes of a call of so many spectra.

    Raises:
        EngineError: for a number that the graph does not take.
    """
    return rows, spec.channels, check_frames(spec, frames), spec.bins


def masks_shape(spec: ModelSpec, frames: int, rows: int = 1) -> tuple[int, int, int, int, int]:
    """Give the shape (rows, stems, channels, frames, bins) of the masks of a call of so many spectra.

    Raises:
        EngineError: for a number that the graph does not take.
    """
    return rows, len(spec.stems), spec.channels, spec.given(check_frames(spec, frames)), spec.bins


def check_call(spec: ModelSpec, magnitudes: Float32, masks: Float32, real: Real) -> list[int]:
    """Check that the arrays of one call have the shapes that the spec gives.

    Args:
        spec: of the model.
        magnitudes: (rows, channels, frames, bins).
        masks: (rows, stems, channels, frames, bins).
        real: (rows,), or None for all.

    Returns:
        The rows that are real, in their order.

    Raises:
        EngineError: where they have not.
    """
    rows, frames = (len(magnitudes), magnitudes.shape[2]) if magnitudes.ndim == 4 else (1, 0)
    shape, given = magnitudes_shape(spec, frames, rows), masks_shape(spec, frames, rows)
    if magnitudes.shape != shape or masks.shape != given:
        raise EngineError(
            f"magnitudes {magnitudes.shape} and masks {masks.shape} do not fit {spec.name}, "
            f"which wants {shape} and {given}"
        )
    if real is not None and real.shape != (rows,):
        raise EngineError(f"real has the shape {real.shape}; it must be ({rows},), one for each row")
    return [row for row in range(rows) if real is None or real[row]]
