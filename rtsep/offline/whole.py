"""A whole signal to stems, by the method that was chosen."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from rtsep.engine.base import Engine
from rtsep.files import AudioReader
from rtsep.offline import openunmix
from rtsep.offline.method import EXACT, Method, Refinement
from rtsep.offline.process import open_process, run
from rtsep.offline.tiles import ByWiener, Look, Render, by_masks, tiled
from rtsep.plan import plan
from rtsep.sources import Resampled

Float32 = NDArray[np.float32]


def separate(engines: Sequence[Engine], reader: AudioReader, method: Method) -> Generator[Float32, None, None]:
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
