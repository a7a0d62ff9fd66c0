"""What a lossy codec leaves of a sound."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.dataset.codec import CODECS, transcoded
from rtsep.errors import FileError
from tests.dataset.sounds import RATE, delay, music, rms_db


@pytest.mark.parametrize("loss", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_loses_something_and_moves_nothing(codec: str, loss: float) -> None:
    for level in (1.0, 0.001, 20.0):
        sound = music() * np.float32(level)
        result = transcoded(sound, RATE, codec, loss)
        assert result.shape == sound.shape
        likeness = [float(np.corrcoef(result[n], sound[n])[0, 1]) for n in (0, 1)]
        assert 0.9 < min(likeness) < 0.99999
        assert delay(result[0], sound[0]) == 0
        assert rms_db(result) == pytest.approx(rms_db(sound), abs=0.5)


def test_more_loss_sounds_worse() -> None:
    for codec in CODECS:
        errors = [rms_db(transcoded(music(), RATE, codec, loss) - music()) for loss in (0.0, 0.9)]
        assert errors[1] > errors[0] + 3.0


def test_a_rate_that_a_codec_does_not_know_is_said() -> None:
    with pytest.raises(FileError, match=r"cannot encode mp3 at 96000 Hz .* set augmentation.codec to 0"):
        transcoded(music(), 96_000, "mp3", 0.5)
