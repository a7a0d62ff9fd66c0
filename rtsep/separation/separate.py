"""A whole signal to stems, by the method that was chosen."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.readers import AudioReader
from rtsep.audio.sources import Resampled
from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Engine
from rtsep.separation.blocks import run
from rtsep.separation.options import EXACT, Refinement, SeparationOptions
from rtsep.separation.segments import segmented

Float32 = NDArray[np.float32]


def prepare(model: ModelSpec, method: SeparationOptions) -> None:
    """Load the modules that `separate` will need, and the kernels' machinery; it would do so itself, later."""
    if model.family == "rtsep" or method.preset != EXACT:
        import rtsep.separation.batches
    elif model.family == "openunmix":
        import rtsep.separation.openunmix
    elif method.mwf:
        import rtsep.separation.multichannel_wiener  # noqa: F401
    if model.family != "spleeter" or method.preset != EXACT or method.mwf:
        from rtsep.dsp.native import start

        start()


def separate(
    engines: Sequence[Engine], reader: AudioReader, method: SeparationOptions
) -> Generator[Float32, None, None]:
    """Separate a whole signal; the stems are as long as it and in time with it.

    Args:
        engines: of one model; those that the method can use work side by side.
        reader: the signal, at any rate.
        method: how it is separated.

    Yields:
        Stems, (stems, channels, frames); a block is only good until the next.

    Raises:
        SpecError: for what cannot be.
    """
    model = engines[0].spec
    method.check(model)
    rate = method.sample_rate(model, reader.sample_rate)
    if model.family == "rtsep" or method.preset != EXACT:
        from rtsep.separation.batches import open_process  # each way loads only what it needs

        process = open_process(engines[0], plan(model, rate, method.preset))
        yield from run(process, reader, len(model.stems), model.channels)
        return
    source = Resampled(reader, rate, model.channels)
    if model.family == "openunmix":
        from rtsep.separation import openunmix

        yield from openunmix.separate(engines[0], source, method.refinement or Refinement())
        return
    window = plan(model, rate, method.preset)
    if not method.mwf:
        yield from segmented(engines, window, source)
        return
    from rtsep.separation.multichannel_wiener import two_ways

    look, refine = two_ways(model, window)
    for _ in segmented(engines, window, source, look):
        pass
    source.seek(0)
    yield from segmented(engines, window, source, refine)
