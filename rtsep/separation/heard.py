"""What a network is given of a sound: the magnitudes themselves, for all that is measured or fitted on music."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.sources import resampled, to_channels
from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Real
from rtsep.engine.identity import IdentityEngine
from rtsep.separation.stream import StreamSeparator

Float32 = NDArray[np.float32]


class _Heard(IdentityEngine):
    """Keeps what it is given of some calls."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.wanted: frozenset[int] = frozenset()
        self.calls: list[Float32] = []
        self._count = 0

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """See `IdentityEngine`."""
        super().infer(magnitudes, masks, real)
        if self._count in self.wanted:
            self.calls.append(magnitudes.copy())
        self._count += 1

    def reset(self, row: int | None = None) -> None:
        """See `IdentityEngine`; counting begins anew too."""
        self._count = 0
        self.calls.clear()


def heard(spec: ModelSpec, sound: Float32, sample_rate: int, calls: int) -> list[Float32]:
    """Give the magnitudes that a model is given of a sound, as live use with the model's own window gives them.

    Args:
        spec: of the model.
        sound: (channels, frames).
        sample_rate: of the sound, in Hz.
        calls: how many; of a windowed model contexts that are spread over the sound, the first of them full, of a
            stateful one its spectra from the beginning on.

    Returns:
        (1, channels, context, bins) each, in order; fewer where the sound is too short.

    Raises:
        SpecError: for a model that cannot be played so.
    """
    fitted = to_channels(resampled(sound, sample_rate, spec.sample_rate), spec.channels)
    if spec.kind == "stateful":
        wanted = frozenset(range(calls))
    else:
        hops = fitted.shape[1] // spec.hop
        first = min(spec.context, hops // 2)
        wanted = frozenset(np.linspace(first, hops - 1, calls, dtype=int).tolist()) if hops else frozenset()
    engine = _Heard(spec)
    separator = StreamSeparator(engine, plan(spec, spec.sample_rate, "exact"))
    engine.wanted = wanted
    stems = np.empty((len(spec.stems), spec.channels, separator.emitted(fitted.shape[1])), np.float32)
    separator.feed(fitted, stems)
    return engine.calls
