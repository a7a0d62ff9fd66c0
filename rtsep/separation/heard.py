"""What a network hears of a sound: the magnitudes that the live path shows it. Graphs of 8 bits are scaled by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Real
from rtsep.engine.identity import IdentityEngine
from rtsep.separation.stream import StreamSeparator

Float32 = NDArray[np.float32]


class _Listener(IdentityEngine):
    """Remembers what it is given."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.heard: list[Float32] = []

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        super().infer(magnitudes, masks, real)
        self.heard.append(magnitudes[:1].copy())


def heard_magnitudes(model: ModelSpec, sound: Float32, preset: str = "23", every: int = 0) -> list[Float32]:
    """Give the magnitudes of a sound as a model hears them live, context after context.

    Args:
        model: of any kind; the contexts of a stateful one are single spectra.
        sound: (channels, frames), at the model's own rate.
        preset: of the latency.
        every: spectra from one context to the next; 0: as many as it has.

    Returns:
        Magnitudes (1, channels, context, bins), each beginning so many spectra after the one before it; the first is
        full.
    """
    every = every or model.context
    stride = plan(model, model.sample_rate, preset).frame_stride
    window = plan(model, model.sample_rate, preset, mask_interval=stride * every)
    listener = _Listener(model)
    separator = StreamSeparator(listener, window)
    listener.heard.clear()
    separator.feed(sound, np.empty((len(model.stems), *sound.shape), np.float32))
    return listener.heard[-(-model.context // every) :]  # at the first there is hardly any past
