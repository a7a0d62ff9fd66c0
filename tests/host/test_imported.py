"""Models of Spleeter and Open-Unmix in the host, as a user brings them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.errors import SpecError
from rtsep.host.factory import open_host
from rtsep.host.options import LiveOptions
from rtsep.host.report import host_report
from rtsep.model.importers.openunmix import import_openunmix
from rtsep.model.importers.spleeter import import_spleeter
from tests.support.signals import Float32, error_db, noise

KEPT = Path(__file__).parents[1] / "data" / "parity"
RATE, FRAMES = 44100, 30_000


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "models"))
    entries = json.loads((KEPT / "spleeter-small" / "config.json").read_text(encoding="utf-8"))
    assert entries["mask_extension"] == "zeros"
    import_spleeter(KEPT / "spleeter-small", "unet", KEPT / "spleeter-small" / "config.json")
    import_openunmix(KEPT / "openunmix-small", "unmix", ("vocals", "drums"))


def played(tmp_path: Path, **choices: object) -> tuple[Float32, Float32]:
    """The song and its stems (stems, channels, frames), waiting for every mask."""
    sound = noise(FRAMES)
    soundfile.write(tmp_path / "song.wav", sound.T, RATE, subtype="FLOAT")
    options = LiveOptions(
        **{
            "input": str(tmp_path / "song.wav"),
            "output": "null",
            "record": tmp_path / "stems",
            "freewheel": True,
            **choices,
        }  # type: ignore[arg-type]
    )
    with open_host(options) as host:
        while not host.finished:
            time.sleep(0.01)
        report = host_report(host)
        stems = host.rig.model.stems
    assert report["stale_masks"] == report["output_underflows"] == report["input_overflows"] == 0
    paths = [tmp_path / "stems" / f"{stem}.wav" for stem in stems]
    return sound, np.stack([soundfile.read(path, dtype="float32")[0].T for path in paths])


@pytest.mark.parametrize("latency", ["exact", "6", "3"])
@pytest.mark.parametrize(("model", "context"), [("unet", 64), ("unet", 128), ("unmix", 0), ("unmix", 24)])
def test_the_stems_sum_to_the_mix(tmp_path: Path, model: str, context: int, latency: str) -> None:
    """Also above the band of a Spleeter model whose configuration says `zeros`."""
    sound, stems = played(tmp_path, model=model, context=context, latency=latency)
    assert error_db(sound, stems.sum(axis=0)) < -100.0
    assert np.abs(stems[0] - stems[1]).max() > 0.05, "the network says something"


def test_another_context_gives_other_masks(tmp_path: Path) -> None:
    one, other = (played(tmp_path, model="unmix", context=context, latency="6")[1] for context in (4, 40))
    assert np.abs(one - other).max() > 1e-3


def test_a_context_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="context 100 does not suit unet; allowed are multiples of 64 up to 4096"):
        played(tmp_path, model="unet", context=100)
    with pytest.raises(SpecError, match="context 64: streaming-2stems has a fixed context of 1 frames; leave it out"):
        played(tmp_path, model="streaming-2stems", context=64)
