"""BSSEval version 4 by the museval package: the figures that MUSDB18's results are published in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import EngineError

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

BYTES_PER_SAMPLE = 100  # that museval needs for each sample of every stem and channel; measured 90


@dataclass(frozen=True)
class BssEval:
    """Figures in dB of each stem and window of 1 s; NaN where a stem is silent there."""

    sdr: Float64  # (stems, windows), as all of them
    isr: Float64
    sir: Float64
    sar: Float64


def require_museval() -> None:
    """Check that museval is there, before any long work for it.

    Raises:
        EngineError: where it is missing.
    """
    try:
        import museval.metrics  # noqa: F401
    except ImportError as error:
        raise EngineError(
            f"BSSEval needs museval ({error}); pip install 'rtsep[evaluate]', or leave it out with --no-museval"
        ) from error


def bss_eval(references: Float32, estimates: Float32, sample_rate: int) -> BssEval | None:
    """Score estimates against their references, as MUSDB18's results are.

    The images variant with one filter of 512 taps for the whole signal, windows and hops of 1 s, no permutation. All
    sound is rounded to 16 bits first, see `rounding_step`.

    Args:
        references: (stems, channels, frames).
        estimates: (stems, channels, frames).
        sample_rate: in Hz.

    Returns:
        The figures; None where they are not defined: fewer than two stems, less than a second, a stem that is silent
        throughout, or stems that cannot be told apart.
    """
    from museval.metrics import bss_eval as original

    if why_undefined(references, estimates, sample_rate):
        return None
    step = rounding_step(references)
    rounded = [np.round(sounds / step).astype(np.float64) * step for sounds in (references, estimates)]
    swapped = (np.ascontiguousarray(sounds.transpose(0, 2, 1)) for sounds in rounded)
    try:
        sdr, isr, sir, sar, _ = original(*swapped, window=sample_rate, hop=sample_rate)
    except np.linalg.LinAlgError:
        return None
    except AttributeError as error:
        if error.name != "linalg":  # by which museval 0.4.1 names that error, and which numpy 2.4 lacks
            raise
        return None
    return BssEval(sdr, isr, sir, sar)


def why_undefined(references: Float32, estimates: Float32, sample_rate: int) -> str:
    """Say why there are no figures, in words; empty where nothing is seen that is in the way.

    Args:
        references: (stems, channels, frames).
        estimates: (stems, channels, frames).
        sample_rate: in Hz.
    """
    if len(references) < 2:
        return "fewer than two stems sound"
    if references.shape[2] < sample_rate:
        return "it is shorter than 1 s"
    heard = rounding_step(references) / 2  # what is below is rounded to nothing
    if not all(np.abs(sound).max() > heard for sounds in (references, estimates) for sound in sounds):
        return "a stem or an estimate is silent throughout"
    return ""


def rounding_step(references: Float32) -> float:
    """Give the step of 16 bits whose full scale is the power of two above the references' peak, 1 at most.

    Music out of a lossy codec, read as float32, has bands without any energy. museval's equations are then so near to
    singular that SIR and SAR are off by tens of dB, on four of five songs tried; the noise of 16 bits cures that, and
    is in the sounds that published results were made from. What was 16 bits before stays as it is, since steps are
    powers of two.

    Args:
        references: of any shape, full scale 1.
    """
    peak = float(np.abs(references).max(initial=0.0))
    return float(2.0 ** (min(0, np.ceil(np.log2(peak))) - 15)) if peak else 2.0**-15
