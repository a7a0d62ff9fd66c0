"""What an engine's arithmetic costs: its stems against those of ONNX Runtime in float32."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rtsep.diagnostics.laboratory.case import Case
from rtsep.diagnostics.laboratory.chain import Chain
from rtsep.dsp.denormals import without_denormals
from rtsep.engine.base import Engine

COMPARED = 12  # masks
SKIPPED_S = 2.0  # of the song, that the networks have heard something
SPACING_S = 0.25  # from one mask that is compared to the next; a stateful model makes those between too

Spectra = NDArray[np.complex64]  # (masks, stems, channels, bins)


def sdr_db(case: Case, engine: Engine) -> float | None:
    """Give the SDR of the worst stem: the spectra that the masks let through, against the reference's, over music.

    Args:
        case: tells the model and how it is run.
        engine: of the case; it is reset.

    Returns:
        In dB; None where they are equal to the bit.
    """
    wanted, found = reference(case.reference), stems(case, engine)
    error, power = (np.square(np.abs(one)).sum((0, 2, 3), dtype=np.float64) for one in (found - wanted, wanted))
    heard = (power > 0.0) & (error > 0.0)
    if not heard.any():
        return None
    return round(float((10.0 * np.log10(power[heard] / error[heard])).min()), 2)


@lru_cache(maxsize=4)
def reference(case: Case) -> Spectra:
    """Give the stems' spectra by the reference; they are kept for the next engine of the same model.

    Args:
        case: with the reference's engine and precision.
    """
    engine = case.open(case.stored())
    try:
        return stems(case, engine)
    finally:
        engine.close()


def stems(case: Case, engine: Engine) -> Spectra:
    """Give the stems' spectra of one deck at some places of the demo song.

    Args:
        case: tells how the model is run.
        engine: what runs it; it is reset.
    """
    window = case.window(case.stored())
    chain = Chain(engine, window)
    hop_s = window.hop / window.sample_rate
    stateful = engine.spec.kind == "stateful"
    every = window.mask_interval * max(1, math.ceil(SPACING_S / hop_s / window.mask_interval))
    first = every * max(1, round(SKIPPED_S / hop_s / every))
    kept = []
    with without_denormals():
        for hop in range(first + every * (COMPARED - 1) + 1):
            compared = hop >= first and (hop - first) % every == 0
            chain.play(None if stateful else compared)
            if compared:
                kept.append(chain.streams[0].products.copy())
    return np.array(kept)
