"""What the original program gave of our demo song with its official weights, and what we give.

Kept by `benchmarks/parity/excerpt.py`. The weights are not ours to keep here: RTSEP_OFFICIAL_2STEMS names the folder
of their checkpoint, or an imported model. What does not depend on weights is always looked at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.audio.readers import open_audio
from rtsep.audio.sources import Signal
from rtsep.demo import SONG
from rtsep.engine.identity import IdentityEngine
from rtsep.model.importers.spleeter import import_spleeter
from rtsep.separation.options import SeparationOptions
from rtsep.separation.separate import separate
from rtsep.separation.separator import Separator
from tests.support.engines import windowed_spec
from tests.support.recordings import read_all
from tests.support.signals import Float32

KEPT = Path(__file__).parents[1] / "data" / "parity" / "spleeter-official.json"
OFFICIAL = os.environ.get("RTSEP_OFFICIAL_2STEMS", "")
STEMS = ("vocals", "accompaniment")
RATE = 44100
TOLERANCE = 1e-4  # of the peak


def kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    assert found["song"] == SONG.name
    return found


def song(seconds: int) -> Float32:
    """(channels, frames): the demo song over and over."""
    sound = read_all(open_audio(SONG))
    return np.tile(sound, (1, -(-seconds * RATE // sound.shape[1])))[:, : seconds * RATE]


def piece(found: Float32, start: int, wanted: Any) -> tuple[Float32, NDArray[np.float64]]:
    """The same frames, (channels, frames), of what we gave and of what was kept."""
    theirs = np.array(wanted).T
    return found[:, start : start + theirs.shape[1]], theirs


def test_what_all_stems_sum_to_is_the_originals() -> None:
    """Level, time, segments and the end of the band do not depend on the weights: any masks that sum to one give it."""
    figures = kept()
    model = windowed_spec(
        2, window=4096, hop=1024, bins=1024, context=512, analysis="hann", output="magnitude", exponent=2.0,
        extension="zeros", family="spleeter",
    )  # fmt: skip
    blocks = separate([IdentityEngine(model, [0.3, 0.7])], Signal(song(figures["seconds"]), RATE), SeparationOptions())
    found = np.concatenate([block.sum(axis=0) for block in blocks], axis=1)
    loud = 0.0
    for one in figures["pieces"]:
        ours, theirs = piece(found, one["start"], np.array(one[STEMS[0]]) + np.array(one[STEMS[1]]))
        loud = max(loud, float(np.abs(theirs).max()))
        assert np.abs(ours - theirs).max() < TOLERANCE * max(figures["peaks"].values()), one["start"]
    assert loud > 0.1, "silence proves nothing"


@pytest.mark.skipif(not OFFICIAL, reason="RTSEP_OFFICIAL_2STEMS does not say where the official weights are")
def test_the_stems_are_the_originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = OFFICIAL
    if list(Path(OFFICIAL).glob("*.index")):
        monkeypatch.setenv("RTSEP_MODELS", str(tmp_path))
        name = import_spleeter(Path(OFFICIAL), "official", "2stems").name
    separator = Separator(name)
    figures = kept()
    found = separator.separate(song(figures["seconds"]).T)
    separator.close()
    for stem in STEMS:
        peak = figures["peaks"][stem]
        assert np.abs(found[stem]).max() == pytest.approx(peak, rel=1e-3)
        for one in figures["pieces"]:
            ours, theirs = piece(found[stem].T, one["start"], one[stem])
            assert np.abs(ours - theirs).max() < TOLERANCE * peak, (stem, one["start"])
