"""How a whole signal is separated: as the model's own family does it, or as live use would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.engine.base import Engine
from rtsep.errors import SpecError
from rtsep.files import AudioReader
from rtsep.offline import openunmix
from rtsep.offline.openunmix import Refinement
from rtsep.offline.process import open_process, run
from rtsep.offline.tiles import ByWiener, Look, Render, by_masks, tiled
from rtsep.plan import plan
from rtsep.sources import Resampled
from rtsep.spec import ModelSpec

Float32 = NDArray[np.float32]

EXACT = "exact"


@dataclass(frozen=True)
class Method:
    """The choices for a whole signal.

    preset: `exact` follows the model's family to the letter; a live one gives what live use would.
    mwf: Spleeter's multichannel Wiener filter. refinement: Open-Unmix's, None for its defaults.
    """

    preset: str = EXACT
    mwf: bool = False
    refinement: Refinement | None = None

    def check(self, model: ModelSpec) -> None:
        """Raise `SpecError` for a choice that the model's family does not have."""
        family = model.family if self.preset == EXACT else "rtsep"
        if self.mwf and family != "spleeter":
            raise SpecError(f"--mwf is Spleeter's, with latency exact; {model.name} at {self.preset} has none")
        if self.refinement is not None and family != "openunmix":
            raise SpecError(
                f"--niter, --softmask, --residual and --wiener-window are Open-Unmix's, with latency exact; "
                f"{model.name} at {self.preset} has none of them"
            )

    def stems(self, model: ModelSpec) -> tuple[str, ...]:
        """The stems that come out, in their order."""
        if model.family == "openunmix" and self.preset == EXACT:
            return openunmix.stems(model, self.refinement or Refinement())
        return model.stems

    def sample_rate(self, model: ModelSpec, source: int) -> int:
        """The rate of the stems in Hz: the model's where a family is followed, else the source's own."""
        return model.sample_rate if model.family != "rtsep" and self.preset == EXACT else source


def separate(engines: Sequence[Engine], reader: AudioReader, method: Method) -> Iterator[Float32]:
    """The stems of a whole signal, (stems, channels, frames) at a time, as long as it and in time with it.

    engines: of one model; those that the method can use work side by side. A block is only good
    until the next. Raises `SpecError` for what cannot be.
    """
    model = engines[0].spec
    method.check(model)
    rate = method.sample_rate(model, reader.sample_rate)
    if model.family == "rtsep" or method.preset != EXACT:
        process = open_process(engines[0], plan(model, rate, method.preset))
        yield from run(process, reader, len(model.stems), model.channels)
        return
    source = Resampled(reader, rate, model.channels)
    if model.family == "openunmix":
        yield from openunmix.separate(engines[0], source, method.refinement or Refinement())
        return
    window = plan(model, rate, method.preset)
    render: Render = by_masks
    if method.mwf:
        look = Look(model, window)
        for _ in tiled(engines, window, source, look):
            pass
        source.seek(0)
        render = ByWiener(look.places)
    yield from tiled(engines, window, source, render)
