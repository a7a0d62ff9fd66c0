"""From the spectrogram ring of one stream through an engine to the masks of one hop."""

from __future__ import annotations

import numpy as np

from rtsep.core.spec import WindowSpec
from rtsep.dsp.denormals import without_denormals
from rtsep.dsp.spectrogram_ring import SpectrogramRing, gather
from rtsep.engine.base import Engine, Float32
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.slots import slots


class Inference:
    """Runs an engine on the hops of one stream: a single deck, whose phases are the rows.

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
        self.slots = slots(model, window)
        self.stateful = model.kind == "stateful"
        self._ring = ring
        rows = self.slots.rows()
        with without_denormals():  # so helpers of an engine begin: they are started by its first call
            engine.warmup(model.context, rows)
        self._magnitudes = np.zeros(magnitudes_shape(model, model.context, rows), np.float32)
        self._output = np.zeros(masks_shape(model, model.context, rows), np.float32)
        self._real = np.zeros(rows, np.bool_)
        self._masks: list[Float32] = [row[:, :, self.slots.frame] for row in self._output]
        self.masks = self._masks[0]
        gather(ring, -1, window.frame_stride, self._magnitudes[0])  # compiled before it matters

    def run(self, hop: int) -> bool:
        """Make the masks of one hop.

        A stateful engine must be given every hop that it wants, in order.

        Args:
            hop: counted from 0.

        Returns:
            False if its frames are no longer in the spectrogram ring.
        """
        row = self.slots.row(hop)
        if not gather(self._ring, hop, self.slots.frame_stride, self._magnitudes[row]):
            return False
        self._real[:] = False
        self._real[row] = True
        self.engine.infer(self._magnitudes, self._output, self._real)
        self.masks = self._masks[row]
        return True

    def reset(self, hop: int | None = None) -> None:
        """Forget the past of one hop's phase, or of all."""
        self.engine.reset(None if hop is None else self.slots.row(hop))
