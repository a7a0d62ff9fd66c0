"""From the spectrogram ring through an engine to the masks of one hop."""

from __future__ import annotations

import numpy as np

from rtsep.core.spec import WindowSpec
from rtsep.dsp.denormals import without_denormals
from rtsep.dsp.spectrogram_ring import SpectrogramRing, gather
from rtsep.engine.base import Engine, Float32
from rtsep.engine.graph import masks_shape
from rtsep.errors import SpecError


class Inference:
    """Runs an engine on the hops of one stream; both the separator and the host's worker use it.

    `masks` (stems, channels, bins) holds the raw result of the last `run`.

    Args:
        engine: it is made warm.
        window: how the model is run.
        ring: what the frames are taken from.

    Raises:
        SpecError: for a lookahead that the graph's frames do not reach.
    """

    def __init__(self, engine: Engine, window: WindowSpec, ring: SpectrogramRing) -> None:
        model = engine.spec
        self.engine = engine
        self._window = window
        self._ring = ring
        self.stateful = model.kind == "stateful"
        phases = window.frame_stride // window.mask_interval if self.stateful else 1
        with without_denormals():  # so helpers of an engine begin: they are started by its first call
            engine.warmup(model.context, phases)
        self._magnitudes = np.zeros((model.channels, model.context, model.bins), np.float32)
        given = model.given(model.context)
        if window.lookahead_hops >= given:
            raise SpecError(
                f"lookahead of {window.lookahead_hops} hops: the graph of {model.name} gives the newest {given} frames "
                f"alone; allowed are 0 to {given - 1}"
            )
        self._output = np.zeros(masks_shape(model, model.context), np.float32)
        gather(ring, -1, window.frame_stride, self._magnitudes)  # compiled before it matters
        self.masks: Float32 = self._output[:, :, given - 1 - window.lookahead_hops]

    def wants(self, hop: int) -> bool:
        """Say whether a mask is made at this hop, counted from 0."""
        return hop % self._window.mask_interval == 0

    def phase(self, hop: int) -> int:
        """Give the engine's states, by their number, that the frame of this hop continues."""
        return hop % self._window.frame_stride // self._window.mask_interval if self.stateful else 0

    def run(self, hop: int) -> bool:
        """Make the masks of one hop.

        A stateful engine must be given every hop that it wants, in order.

        Args:
            hop: counted from 0.

        Returns:
            False if its frames are no longer in the spectrogram ring.
        """
        if not gather(self._ring, hop, self._window.frame_stride, self._magnitudes):
            return False
        self.engine.infer(self._magnitudes, self._output, self.phase(hop))
        return True

    def reset(self, hop: int | None = None) -> None:
        """Forget the past of one hop's phase, or of all."""
        self.engine.reset(None if hop is None else self.phase(hop))
