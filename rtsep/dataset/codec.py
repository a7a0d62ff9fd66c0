"""What a lossy codec leaves of a sound: encoded and decoded in memory by libsndfile."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsep.errors import FileError

Float32 = NDArray[np.float32]

CODECS = {"mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS")}
PEAK = 0.5  # codecs know how loud a sound is: at full scale they clip, far below they drop it


def transcoded(sound: Float32, sample_rate: int, codec: str, loss: float) -> Float32:
    """Encode and decode a sound: the same length, at its place to the frame, at its own level.

    Args:
        sound: (channels, frames), not silent.
        sample_rate: in Hz.
        codec: one of CODECS.
        loss: 0 (the best that the codec has, about 250 kb/s) to 0.95 (about 80).

    Returns:
        (channels, frames).

    Raises:
        FileError: where this libsndfile cannot encode so.
    """
    peak = float(np.abs(sound).max())
    container, subtype = CODECS[codec]
    file = io.BytesIO()
    try:
        level = np.float32(PEAK / peak)
        soundfile.write(
            file, (sound * level).T, sample_rate, subtype, format=container, compression_level=loss, closefd=False
        )
        file.seek(0)
        decoded: Float32 = soundfile.read(file, sound.shape[1], dtype="float32", always_2d=True, fill_value=0.0)[0]
    except soundfile.SoundFileError as error:
        cure = "install soundfile's own wheel, or set augmentation.codec to 0"
        raise FileError(f"libsndfile cannot encode {codec} at {sample_rate} Hz ({error}); {cure}") from error
    return np.ascontiguousarray(decoded.T, np.float32) / level
