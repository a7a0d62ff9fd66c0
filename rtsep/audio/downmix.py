"""More channels than two to stereo, by the matrix that players use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

HALF_POWER = 0.5**0.5
# what each loudspeaker gives to the left and to the right (ITU-R BS.775); low-frequency effects are left out, as there
SPEAKERS = {
    "FL": (1.0, 0.0),
    "FR": (0.0, 1.0),
    "FC": (HALF_POWER, HALF_POWER),
    "LFE": (0.0, 0.0),
    "LFE2": (0.0, 0.0),
    "FLC": (1.0, 0.0),
    "FRC": (0.0, 1.0),
    "SL": (HALF_POWER, 0.0),
    "SR": (0.0, HALF_POWER),
    "BL": (HALF_POWER, 0.0),
    "BR": (0.0, HALF_POWER),
    "BC": (0.5, 0.5),
    "DL": (1.0, 0.0),
    "DR": (0.0, 1.0),
    "WL": (1.0, 0.0),
    "WR": (0.0, 1.0),
}
OTHER = (0.5, 0.5)  # of a loudspeaker above, or one that is not known


def stereo_matrix(speakers: tuple[str, ...]) -> Float32:
    """Give the matrix that takes loudspeakers to two channels.

    It is scaled so that full scale in every channel stays within full scale, as FFmpeg does for whole numbers.

    Args:
        speakers: of the channels in their order, by FFmpeg's short names ("FL", "FC", ...).

    Returns:
        (2, channels).
    """
    matrix = np.array([SPEAKERS.get(speaker, OTHER) for speaker in speakers], np.float64).T
    most = float(np.abs(matrix).sum(axis=1).max())
    return (matrix / max(1.0, most)).astype(np.float32)


def to_channels(block: Float32, channels: int) -> Float32:
    """Fit sound to mono or stereo: mono is doubled, stereo averaged, of more the first two count.

    Args:
        block: (any, frames).
        channels: 1 or 2.

    Returns:
        (channels, frames); `block` itself where it fits.
    """
    if len(block) == channels:
        return block
    if channels == 1:
        mono: Float32 = block[:2].mean(axis=0, keepdims=True)
        return mono
    return np.repeat(block, channels, axis=0) if len(block) == 1 else np.ascontiguousarray(block[:channels])
