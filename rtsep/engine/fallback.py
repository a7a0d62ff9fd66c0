"""An engine with another beside it: where the first fails in the middle of a set, the second goes on."""

from __future__ import annotations

import numpy as np

from rtsep.core.spec import ModelSpec
from rtsep.dsp.limits import EPSILON
from rtsep.engine.base import Engine, Float32, Real
from rtsep.engine.graph import masks_shape
from rtsep.errors import EngineError, one_line

SAME = (  # of a spec: what goes in, and what is made of what comes out
    "stems",
    "sample_rate",
    "channels",
    "window",
    "hop",
    "basis",
    "kind",
    "context",
    "bins",
    "ahead",
)


class FallbackEngine:
    """A primary engine, and a standby that is warm; see `Engine` for the protocol.

    A call that the primary fails is done by the standby, as is every one after it: with states that begin anew, and
    `notice` says so in one line. Until the first real call a failure is an error, as of any engine.

    Args:
        primary: what infers.
        standby: of the same model; it may give magnitudes where the primary gives masks already, and frames before the
            newest.
        notice: what is to be said with the news that the standby goes on, as that its masks will be late.

    Raises:
        EngineError: where they are not of the same model.
    """

    def __init__(self, primary: Engine, standby: Engine, notice: str = "") -> None:
        differing = [name for name in SAME if getattr(primary.spec, name) != getattr(standby.spec, name)]
        outputs = primary.spec.output, standby.spec.output
        if differing or outputs not in ((outputs[0],) * 2, ("mask", "magnitude")):
            raise EngineError(
                f"{standby.provider} cannot stand in for {primary.provider}: "
                f"they differ in {', '.join(differing) or 'output'}"
            )
        self.spec: ModelSpec = primary.spec
        self.provider = primary.provider
        self.notice = ""  # what happened, in one line; empty while nothing has
        self._primary, self._standby, self._remark = primary, standby, notice
        self._ratio = outputs[0] != outputs[1]
        self._all: Float32 | None = None  # masks of the standby, where it gives more frames
        self._total: Float32 = np.zeros(0, np.float32)

    @property
    def failed(self) -> bool:
        """Whether the standby does the work."""
        return bool(self.notice)

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Get both ready; see `Engine.warmup`."""
        self._standby.warmup(frames, rows)
        given, wanted = (masks_shape(spec, frames, rows) for spec in (self._standby.spec, self.spec))
        self._all = None if given == wanted else np.zeros(given, np.float32)
        self._total = np.zeros(wanted[2:], np.float32)
        if not self.failed:
            self._primary.warmup(frames, rows)
            self.provider = self._primary.provider  # which may know only now how it runs

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """Write the masks, by the primary as long as it can; see `Engine.infer`."""
        if not self.failed:
            try:
                self._primary.infer(magnitudes, masks, real)
                return
            except EngineError as error:
                self._fail(error)
        given = masks if self._all is None else self._all[: len(masks)]
        self._standby.infer(magnitudes, given, real)
        for row in range(len(masks)):
            if real is None or real[row]:
                if given is not masks:
                    masks[row] = given[row, :, :, -masks.shape[3] :]
                if self._ratio:
                    self._to_masks(masks[row])

    def keep_warm(self) -> None:
        """Keep the primary's clocks up where it has any; that it fails is found here too."""
        if not self.failed:
            try:
                keep_warm(self._primary)
            except EngineError as error:
                self._fail(error)

    def reset(self, row: int | None = None) -> None:
        """Set the states of one row, or of all, to zero."""
        if not self.failed:
            try:
                self._primary.reset(row)
                return
            except EngineError as error:
                self._fail(error)
        self._standby.reset(row)

    def close(self) -> None:
        """Release both; a primary that failed only now, so that nothing waits for it while it plays."""
        try:
            self._primary.close()
        finally:
            self._standby.close()

    def _fail(self, error: EngineError) -> None:
        self._standby.reset()
        self.provider = self._standby.provider
        self.notice = f"{one_line(error)}; {self._standby.provider} goes on{f', {self._remark}' * bool(self._remark)}"

    def _to_masks(self, magnitudes: Float32) -> None:
        """Make ratio masks in place, as the primary's graph does: (stems, channels, frames, bins)."""
        stems = len(magnitudes)
        np.maximum(magnitudes, 0.0, out=magnitudes)
        np.power(magnitudes, self._standby.spec.exponent, out=magnitudes)
        np.sum(magnitudes, axis=0, out=self._total)
        self._total += EPSILON
        magnitudes += EPSILON / stems
        magnitudes /= self._total


def keep_warm(engine: Engine) -> None:
    """Have an engine that needs it run a pass that nobody asked for; others do nothing.

    Args:
        engine: any; what has clocks that fall while it rests has a method of that name.

    Raises:
        EngineError: where it fails.
    """
    if keep := getattr(engine, "keep_warm", None):
        keep()


def notice(engine: Engine) -> str:
    """Give what happened to an engine that has another beside it; empty where nothing did, and for others.

    Args:
        engine: any.
    """
    return str(getattr(engine, "notice", ""))
